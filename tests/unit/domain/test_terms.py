"""Contract terms, fills, funding and expiry: rows FM and LM of the specification."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.domain.account import Account, Balance, Flows, Leg, Order, Position
from margrave.domain.fills import average_entry, expire, fill, funding, notional, profit, settle_session
from margrave.domain.instruments import (
    CoinPremium,
    Future,
    Instrument,
    Inverse,
    Linear,
    Option,
    Perpetual,
    Quanto,
    QuotePremium,
    Right,
    Spot,
    coefficients,
    expiry_of,
    payoff_asset,
)
from margrave.domain.market import Market, Quote
from margrave.engine.assess import assess
from tests.unit.made import INVERSE, LINEAR, rules

AT = datetime(2026, 11, 1, tzinfo=UTC)
PRICES = st.floats(1.0, 1e6)
SIZES = st.floats(1.0, 1e6)


def listed(kind, payoff, settlement="USD"):
    return Instrument(symbol="X", base="ETH", quote="USD", settlement=settlement, kind=kind, payoff=payoff)


@pytest.mark.parametrize(
    ("payoff", "asset", "pair"),
    [
        (Linear(contract_size=2.0), "USD", (2.0, 0.0)),
        (Inverse(contract_value=10.0), "ETH", (0.0, 10.0)),
        (Quanto(multiplier=1e-6), "BTC", (1e-6, 0.0)),
    ],
)
def test_a_payoff_is_two_coefficients_in_an_asset(payoff, asset, pair):
    instrument = listed(Perpetual(), payoff, settlement="BTC")
    assert payoff_asset(instrument) == asset
    assert coefficients(payoff) == pair
    assert expiry_of(instrument) is None
    assert expiry_of(listed(Future(expiry=AT), payoff)) == AT


@pytest.mark.parametrize("payoff", [CoinPremium(contract_size=1.0), QuotePremium(contract_size=1.0)])
def test_options_and_premium_payoffs_belong_together(payoff):
    option = listed(Option(expiry=AT, strike=2_000.0, right=Right.PUT), payoff)
    assert payoff_asset(option) == ("ETH" if isinstance(payoff, CoinPremium) else "USD")
    for kind, wrong in ((Spot(), payoff), (option.kind, Linear(contract_size=1.0))):
        with pytest.raises(ValueError, match="premium payoff"):
            listed(kind, wrong)


BAD = [
    (lambda: Linear(contract_size=0.0), "contract_size"),
    (lambda: Inverse(contract_value=-1.0), "contract_value"),
    (lambda: Quanto(multiplier=float("nan")), "multiplier"),
    (lambda: Future(expiry=datetime(2026, 1, 1)), "time zone"),  # noqa: DTZ001 - the fault that is meant
    (lambda: Quote(mark=5e-324), "mark"),
    (lambda: Quote(mark=float("inf")), "mark"),
    (lambda: Quote(mark=1.0, vol=-0.1), "vol"),
    (lambda: Position(symbol="X", quantity=float("nan"), entry=1.0), "quantity"),
    (lambda: Position(symbol="X", quantity=1e300, entry=1.0), "quantity"),
    (lambda: Balance(asset="BTC", amount=-1e300), "amount"),
    (lambda: Position(symbol="X", quantity=1.0, entry=-5.0), "entry"),
    (lambda: Position(symbol="X", quantity=1.0, entry=1.0, leverage=0.0), "leverage"),
    (lambda: Position(symbol="X", quantity=1.0, entry=1.0, isolated_margin=1.0), "isolated_margin"),
    (lambda: Position(symbol="X", quantity=1.0, entry=1.0, leg=Leg.SHORT), "sign of its short leg"),
    (lambda: Order(symbol="X", quantity=0.0, price=1.0), "quantity"),
    (lambda: Balance(asset="", amount=1.0), "asset"),
    (lambda: Balance(asset="BTC", amount=1.0, locked=-1.0), "locked"),
    (
        lambda: Account(balances=(Balance(asset="BTC", amount=1.0), Balance(asset="BTC", amount=2.0))),
        "balances",
    ),
    (lambda: Market(at=AT, instruments={}, quotes={}, index={"BTC": 0.0}), "index.BTC"),
    (lambda: Market(at=AT, instruments={}, quotes={}, vols={"BTC": 0.0}), "vols.BTC"),
    (lambda: Market(at=AT, instruments={}, quotes={}, returns={"BTC": (0.1, -6.1)}), r"returns.BTC\[1\]"),
    (lambda: Market(at=AT, instruments={}, quotes={}, returns={"BTC": (float("nan"),)}), r"returns.BTC\[0\]"),
    (lambda: Market(at=AT, instruments={}, quotes={}, returns={"BTC": (0.1,), "ETH": ()}), "returns.ETH"),
    (lambda: average_entry(Linear(contract_size=1.0), ()), "fills"),
    (lambda: average_entry(Linear(contract_size=1.0), ((1.0, 1.0), (-1.0, 1.0))), "one side"),
]


@pytest.mark.parametrize(("build", "said"), BAD)
def test_bad_terms_are_refused_by_name(build, said):
    with pytest.raises(ValueError, match=said):
        build()


@given(
    st.lists(st.tuples(SIZES, PRICES), min_size=1, max_size=6),
    PRICES,
    st.sampled_from([INVERSE, LINEAR]),
    st.sampled_from([1.0, -1.0]),
)
def test_average_entry_keeps_the_profit_of_the_fills(fills, mark, instrument, sign):
    total = sum(q for q, _ in fills)
    entry = average_entry(instrument.payoff, tuple((sign * q, p) for q, p in fills))
    whole = profit(instrument.payoff, sign * total, entry, mark)
    scale = notional(instrument.payoff, total, mark) + notional(instrument.payoff, total, entry)
    assert whole == pytest.approx(
        sum(profit(instrument.payoff, sign * q, p, mark) for q, p in fills), abs=1e-9 * scale
    )


@given(
    SIZES,
    PRICES,
    st.floats(0.01, 3.0),
    PRICES,
    st.sampled_from([INVERSE, LINEAR]),
    st.sampled_from([1.0, -1.0]),
)
def test_a_fill_never_makes_or_loses_money(size, entry, share, price, instrument, sign):
    # Equity at the fill's price is the same before and after, closing, partly closing, or going through zero.
    before = Position(symbol=instrument.symbol, quantity=sign * size, entry=entry)
    after, flows = fill(instrument, before, -sign * size * share, price)
    value = profit(instrument.payoff, before.quantity, entry, price)
    left = profit(instrument.payoff, after.quantity, after.entry, price) if after.quantity else 0.0
    scale = notional(instrument.payoff, size, price) + notional(instrument.payoff, size, entry)
    assert flows.realised + left == pytest.approx(value, abs=1e-9 * scale)
    if share < 1:
        assert after.entry == entry
    elif share > 1:
        assert (after.entry, after.isolated_margin) == (price, None)


def test_fees_funding_and_settlement_move_cash():
    held = Position(symbol="BTCUSD", quantity=100_000.0, entry=50_000.0)
    _, flows = fill(INVERSE, held, 10_000.0, 40_000.0, fee_rate=0.0005)
    assert flows.fee == pytest.approx(-0.000125)
    # Long pays when the rate is above zero: N / P x rate (spec 1.2).
    assert funding(INVERSE, held, 40_000.0, 0.0001).funding == pytest.approx(-0.00025)
    assert funding(INVERSE, Position(symbol="BTCUSD", quantity=-1e5, entry=5e4), 4e4, 1e-4).funding > 0
    settled, cash = settle_session(INVERSE, held, 60_000.0)
    assert (settled.entry, cash.total) == (60_000.0, pytest.approx(1 / 3))
    assert (Flows(1.0, 2.0, 3.0) + Flows(1.0)).total == 7.0
    flat, paid = expire(
        listed(Future(expiry=AT), Linear(contract_size=1.0)),
        Position(symbol="X", quantity=2.0, entry=1_800.0),
        2_000.0,
    )
    assert (flat.quantity, paid.realised) == (0.0, 400.0)


def test_linear_contract_that_settles_in_its_coin_is_converted():
    # LM-4: settlement asset and payoff are independent.
    coin = Instrument(
        symbol="L",
        base="BTC",
        quote="USD",
        settlement="BTC",
        kind=Perpetual(),
        payoff=Linear(contract_size=1.0),
    )
    market = Market(
        at=AT, instruments={"L": coin}, quotes={"L": Quote(mark=50_000.0)}, index={"BTC": 50_000.0}
    )
    account = Account(
        balances=(Balance(asset="BTC", amount=1.0),),
        positions=(Position(symbol="L", quantity=2.0, entry=40_000.0),),
    )
    pool = assess(account, market, rules()).pools[0]
    assert pool.currency == "BTC"
    assert pool.equity == pytest.approx(1.0 + 20_000 / 50_000)
    assert pool.maintenance == pytest.approx(0.05 * 2.0)


def test_quanto_pays_in_its_third_asset():
    quanto = Instrument(
        symbol="Q",
        base="ETH",
        quote="USD",
        settlement="BTC",
        kind=Perpetual(),
        payoff=Quanto(multiplier=1e-6),
    )
    market = Market(
        at=AT, instruments={"Q": quanto}, quotes={"Q": Quote(mark=3_000.0)}, index={"BTC": 60_000.0}
    )
    account = Account(
        balances=(Balance(asset="BTC", amount=1.0),),
        positions=(Position(symbol="Q", quantity=100.0, entry=2_500.0),),
    )
    assert assess(account, market, rules()).pools[0].equity == pytest.approx(1.05)
