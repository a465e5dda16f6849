"""uniMMR and its bands, spot as a hedge, and BitMEX's record in integers."""

import numpy as np
import pytest

from margrave.core.errors import InvalidInputError, MargraveError
from margrave.domain.account import Account, Balance, Position
from margrave.domain.instruments import Instrument, Linear, Perpetual
from margrave.domain.market import Market, Quote
from margrave.engine.assess import assess
from margrave.engine.assessment import Status
from margrave.liquidation import liquidations
from margrave.margin.bitmex_position import Contract, isolated_record
from margrave.margin.spot_hedge import spot_in_use
from margrave.margin.unified import Unified, adjusted_equity, asset_equity, requirement
from margrave.rulebook.bands import Band, band_at, liquidation_ratio
from margrave.rulebook.catalogue import shipped
from margrave.rulebook.load import checked
from margrave.rulebook.schema import AccountRules, CrossPool, Rulebook
from tests.unit.made import AT, rules


def with_bands(bands: tuple[Band, ...]) -> Rulebook:
    account = AccountRules(cross_pool=CrossPool.SETTLEMENT, code="TEST-ACCOUNT-001", bands=bands)
    return rules(account=account)


def test_the_ratio_of_the_venues_example():
    # cex.md 1.4; response example of PM Pro's account
    account = Unified(122607.35137903, 47.44938412, 23.72469206)
    assert account.ratio == pytest.approx(5167.92171923, abs=5e-9)
    assert account.available == pytest.approx(122559.90199491, abs=5e-9)
    assert Unified(1.0, 0.0, 0.0).ratio == float("inf")


def test_a_collateral_rate_hits_only_what_is_above_zero():
    np.testing.assert_allclose(asset_equity(np.array([2.0, -2.0]), 100.0, 0.9), [180, -200])
    with pytest.raises(ValueError, match="rate must be <= 1"):
        asset_equity(1.0, 100.0, 1.2)


def test_open_loss_lowers_equity_and_loans_ask_margin():
    index = np.array([1.0, 60_000.0])
    equity = adjusted_equity(np.array([1000.0, 57_000.0]), np.array([10.0, 0.01]), index)
    assert equity == pytest.approx(57_390)
    asked = requirement(np.array([50.0, 0.001]), np.array([0.0, 0.1]), np.array([0.1, 0.08]), index)
    assert asked == pytest.approx(50 + 60 + 480)


# cex.md 1.4, PM Pro: above 1.5 free, to 1.2 a reminder, to 1.05 reduce only, to 1 liquidation, then the claim
@pytest.mark.parametrize(
    ("ratio", "name", "may_open", "liquidates"),
    [
        (float("inf"), "free", True, False),
        (1.51, "free", True, False),
        (1.5, "reminder", True, False),
        (1.2, "reduce-only", False, False),
        (1.05, "liquidation", False, True),
        (1.0, "liquidation and claim", False, True),
        (-3.0, "liquidation and claim", False, True),
    ],
)
def test_bands_of_portfolio_margin_pro(ratio, name, may_open, liquidates):
    book = next(b for b in shipped() if b.id == "binance.pm-pro")
    band = band_at(book.account.bands, ratio)
    assert band is not None
    assert (band.name, band.may_open, band.liquidates) == (name, may_open, liquidates)


def test_an_unknown_ratio_has_no_band():
    assert band_at((Band(code="A-001", name="all"),), float("nan")) is None
    assert band_at((), 2.0) is None


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ((1.2, 1.5, None), "not below"),
        ((1.5, 1.2), "drop `above`"),
        ((None, 1.2), "only the last"),
    ],
)
def test_bands_that_are_no_ladder_are_refused(ends, told):
    bands = tuple(Band(code=f"A-00{k}", name=str(k), above=e) for k, e in enumerate(ends))
    with pytest.raises(InvalidInputError, match=told):
        checked(with_bands(bands))


def test_a_worse_band_does_not_stop_liquidating():
    bands = (Band(code="A-001", name="a", above=1.0, liquidates=True), Band(code="A-002", name="b"))
    with pytest.raises(InvalidInputError, match="does not liquidate"):
        checked(with_bands(bands))


# cex.md 7: spot 5, derivative delta -4 (Gate); spec CM-6
@pytest.mark.parametrize(
    ("spot", "delta", "limit", "used"),
    [
        (5.0, -4.0, np.inf, 4.0),
        (3.0, -4.0, np.inf, 3.0),
        (5.0, 4.0, np.inf, 0.0),
        (-5.0, 4.0, np.inf, -4.0),
        (5.0, -4.0, 1.5, 1.5),
        (0.0, -4.0, np.inf, 0.0),
    ],
)
def test_spot_hedges_up_to_the_delta(spot, delta, limit, used):
    use = spot_in_use(spot, delta, limit)
    assert float(use.in_use) == used
    assert float(use.free) == spot - used


def test_a_limit_below_zero_is_refused():
    with pytest.raises(ValueError, match="limit"):
        spot_in_use(1.0, -1.0, -0.5)


# cex.md 2, a live ETHUSDT position of 2022-05-21; every figure is the record's own
ETHUSDT = Contract(size=1e-5, inverse=False, scale=1e6, tick=0.05, taker=0.00075, maintenance=0.01)
XBTUSD = Contract(size=1.0, inverse=True, scale=1e8, tick=0.5, taker=0.00075, maintenance=0.005)


def test_bitmex_record_to_the_unit():
    record = isolated_record(ETHUSDT, 2000, 1963.0, 1964.195, 3.0, 0.0001)
    assert (record.cost, record.initial, record.commission) == (39_260_000, 13_086_667, 39_261)
    assert (record.margin, record.maintenance, record.profit) == (13_125_928, 435_787, 23_900)
    assert record.margin_now == 13_149_828
    assert (record.bankruptcy_price, record.liquidation_price) == (1308.7, 1328.5)
    assert round(record.profit_share, 4) == 0.0006


@pytest.mark.parametrize(("sign", "bust"), [(1.0, 45_454.5454), (-1.0, 55_555.5555)])
def test_bitmex_inverse_prices_are_those_of_the_closed_form(sign, bust):
    # cex.md 0: bankruptcy E L / (L + s)
    record = isolated_record(XBTUSD, sign * 100_000, 50_000.0, 50_000.0, 10.0)
    assert abs(record.bankruptcy_price - bust) <= 0.5
    assert sign * (record.liquidation_price - record.bankruptcy_price) > 0
    assert record.profit == 0


def test_bitmex_shorts_without_leverage_never_go_bankrupt():
    assert isolated_record(XBTUSD, -100, 50_000.0, 50_000.0, 1.0).bankruptcy_price == float("inf")
    assert isolated_record(ETHUSDT, 2000, 1963.0, 1963.0, 1.0).bankruptcy_price == 0


def test_bitmex_a_funding_rate_below_zero_is_refused():
    with pytest.raises(MargraveError, match="funding_rate"):
        isolated_record(ETHUSDT, 2000, 1963.0, 1963.0, 3.0, -0.0001)


@pytest.mark.parametrize(
    "numbers",
    [(0.0, 1.0, 1.0, 3.0), (5.0, 0.0, 1.0, 3.0), (5.0, 1.0, float("nan"), 3.0), (5.0, 1.0, 1.0, 0.5)],
)
def test_bitmex_a_bad_number_is_refused(numbers):
    with pytest.raises(ValueError, match="is"):
        isolated_record(ETHUSDT, *numbers)


# Long 1 BTC at 50,000, first bracket: maintenance 0.4 % of value. Cash C: C + P - 50,000 = 1.05 x 0.004 P.
def pro_account(cash: float, mark: float = 50_000.0):
    perpetual = Instrument(
        symbol="BTCUSDT", base="BTC", quote="USDT", settlement="USDT", kind=Perpetual(), payoff=Linear(contract_size=1.0)
    )  # fmt: skip
    quotes = {"BTCUSDT": Quote(mark=mark)}
    market = Market(
        at=AT, instruments={"BTCUSDT": perpetual}, quotes=quotes, index={"BTC": mark, "USDT": 1.0}
    )
    position = Position(symbol="BTCUSDT", quantity=1.0, entry=50_000.0, leverage=100.0)
    return Account(balances=(Balance(asset="USD", amount=cash),), positions=(position,)), market


@pytest.mark.parametrize(
    ("cash", "band", "status"),
    [
        (200 * 9.0, "free", Status.HEALTHY),
        (200 * 1.3, "reminder", Status.CALL),
        (200 * 1.1, "reduce-only", Status.CALL),
        (200 * 1.04, "liquidation", Status.LIQUIDATABLE),
        (200 * 0.5, "liquidation and claim", Status.LIQUIDATABLE),
    ],
)
def test_an_account_stands_in_a_band_and_closes_at_its_edge(cash, band, status):
    book = next(b for b in shipped() if b.id == "binance.pm-pro")
    pool = assess(*pro_account(cash), book).pools[0]
    assert (pool.band, pool.status) == (band, status)


def test_the_liquidation_price_is_where_the_closing_band_begins():
    book = next(b for b in shipped() if b.id == "binance.pm-pro")
    down, up = liquidations(*pro_account(5_000.0), book, "BTC")[0].bounds
    # Far above, brackets grow while profit in USDT counts nothing: its collateral rate is not published.
    assert up.factor > 3
    assert down.exact == pytest.approx((50_000 - 5_000) / (1 - 1.05 * 0.004), rel=1e-12)


def test_without_a_requirement_or_without_bands():
    book = next(b for b in shipped() if b.id == "binance.pm-pro")
    account, market = pro_account(100.0)
    empty = Account(balances=account.balances)
    debt = Account(balances=(Balance(asset="USD", amount=-1.0),))
    assert assess(empty, market, book).pools[0].band == "free"
    assert assess(debt, market, book).pools[0].band == "liquidation and claim"
    assert assess(account, market, rules()).pools[0].band == ""
    assert liquidation_ratio(()) == 1.0
    assert liquidation_ratio((Band(code="A-001", name="a", liquidates=True),)) == 1.0
