"""Standard option margin: row OM of the inverse-margining specification and the venues' variants."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.domain.account import Account, Balance, Order, Position
from margrave.domain.fills import expire, intrinsic, premium
from margrave.domain.instruments import CoinPremium, Instrument, Option, QuotePremium, Right
from margrave.domain.market import Market, Quote
from margrave.engine.assess import assess
from margrave.kernels.black76 import coin_price
from margrave.margin.requirement import discrepancy
from margrave.rulebook.reform import stated
from margrave.rulebook.schema import AccountRules, CrossPool, OptionModel, ShortTerms, Strategy
from tests.unit.made import AT

INITIAL = ShortTerms(code="TEST-OPT-001", base=0.15, floor=0.10)
DERIBIT = OptionModel(
    initial_call=INITIAL,
    initial_put=ShortTerms(code="TEST-OPT-002", base=0.15, floor=0.10, covers_maintenance=True),
    maintenance_call=ShortTerms(code="TEST-OPT-003", base=0.075, floor=0.075),
    maintenance_put=ShortTerms(code="TEST-OPT-004", base=0.075, floor=0.075, mark_fraction=0.075),
    order_fee=0.0003,
)
ACCOUNT = AccountRules(cross_pool=CrossPool.SETTLEMENT, code="TEST-ACCOUNT-001")


def option(strike, right=Right.CALL, days=30.0, coin=True, symbol=None):
    payoff = CoinPremium(contract_size=1.0) if coin else QuotePremium(contract_size=1.0)
    kind = Option(expiry=AT + timedelta(days=days), strike=strike, right=right)
    name = symbol or f"{strike:g}-{right}"
    return Instrument(
        symbol=name, base="BTC", quote="USD", settlement="BTC" if coin else "USD", kind=kind, payoff=payoff
    )


def priced(index, *quoted, vol=0.8):
    quotes = {}
    for instrument, mark in quoted:
        quotes[instrument.symbol] = Quote(mark=mark, forward=index, vol=vol)
    return Market(at=AT, instruments={i.symbol: i for i, _ in quoted}, quotes=quotes, index={"BTC": index})


def held(*legs, coins=10.0, cash=0.0, orders=()):
    positions = tuple(Position(symbol=i.symbol, quantity=q, entry=0.05) for i, q in legs)
    balances = (Balance(asset="BTC", amount=coins), Balance(asset="USD", amount=cash))
    return Account(balances=balances, positions=positions, orders=orders)


def margin(model, market, account):
    pool = next(
        p for p in assess(account, market, stated("test.options", model, ACCOUNT)).pools if p.positions
    )
    return pool.initial, pool.maintenance


# Section 5 of the specification: F, K, vol, days, call -> standard short IM / MM (coin). OM-2.
STANDARD = [
    (50_000, 50_000, 0.80, 30, Right.CALL, 0.0, 0.2412984078, 0.1662984078),
    (62_000, 75_000, 0.65, 7, Right.CALL, 0.0, 0.1006143833, 0.0756143833),
    (3_000, 2_500, 0.90, 90, Right.PUT, 0.02, 0.1913368094, 0.1663368094),
]


@pytest.mark.parametrize(
    ("forward", "strike", "vol", "days", "right", "lending", "initial", "maintenance"), STANDARD
)
def test_short_option_formula(forward, strike, vol, days, right, lending, initial, maintenance):
    mark = float(coin_price(forward, strike, vol, days / 365, right is Right.CALL, lending))
    contract = option(strike, right, days)
    got = margin(DERIBIT, priced(forward, (contract, mark), vol=vol), held((contract, -1.0)))
    assert got == pytest.approx((initial, maintenance), abs=5.1e-11)


def test_long_option_needs_nothing_beyond_its_premium():
    # OM-1, and the recorded position CAP-OPT-LONG of deribit.md: IM = MM = 0.
    contract = option(1_500, Right.PUT)
    assert margin(DERIBIT, priced(1_900, (contract, 0.05)), held((contract, 1.0))) == (0.0, 0.0)
    assert premium(contract, 2.0, 0.05) == pytest.approx(-0.1)


def test_quote_settled_options_multiply_by_the_index():
    # bit.com, cex.md: index 2098, strike 1850 put, mark 2.4: MM 159.75, IM 212.2 a coin, 50 coins.
    contract = option(1_850, Right.PUT, coin=False)
    got = margin(DERIBIT, priced(2_098, (contract, 2.4)), held((contract, -50.0), cash=1e6))
    assert got == pytest.approx((10_610.0, 7_987.5), abs=0.51)


def test_bybit_terms_take_the_worse_mark_and_a_fee():
    # Bybit, cex.md 3.2: qty -1, index 30,000, mark 300: MM = 900 + 300 + 60 = 1,260.
    initial = ShortTerms(code="T-1", base=0.15, floor=0.10, covers_maintenance=True, mark_at_least_entry=True)
    keep = ShortTerms(code="T-2", base=0.03, floor=0.03, mark_fraction=0.03, fee=0.002)
    model = OptionModel(
        initial_call=initial, initial_put=initial, maintenance_call=keep, maintenance_put=keep
    )
    contract = option(33_000, Right.CALL, coin=False)
    account = replace(
        held(),
        positions=(Position(symbol=contract.symbol, quantity=-1.0, entry=320.0),),
        balances=(Balance(asset="USD", amount=1e5),),
    )
    assert margin(model, priced(30_000, (contract, 300.0)), account) == pytest.approx((3_000 + 320, 1_260))


@pytest.mark.parametrize(
    ("sold", "bought", "coin", "most"),
    [
        (option(50_000), option(55_000), True, 5_000 / 55_000),  # call spread, worst at the long strike
        (option(50_000, Right.PUT), option(45_000, Right.PUT), True, 5_000 / (50_000 * 0.34)),
        (option(50_000, coin=False), option(55_000, coin=False), False, 5_000.0),
    ],
)
def test_vertical_is_charged_at_most_its_width(sold, bought, coin, most):
    # OM-3
    import msgspec

    model = msgspec.structs.replace(DERIBIT, strategies=(Strategy.VERTICAL,), strategy_code="TEST-STRAT-001")
    marks = (0.09, 0.07) if coin else (4_500.0, 3_500.0)
    market, account = (
        priced(50_000, (sold, marks[0]), (bought, marks[1])),
        held((sold, -1.0), (bought, 1.0), cash=1e5),
    )
    alone, together = margin(DERIBIT, market, account), margin(model, market, account)
    assert together == pytest.approx(tuple(min(a, most) for a in alone))
    assert discrepancy(assess(account, market, stated("t.s", model, ACCOUNT)).explain("initial")) < 1e-12


def test_strangle_is_charged_its_greater_side_and_the_other_mark():
    import msgspec

    model = msgspec.structs.replace(DERIBIT, strategies=(Strategy.STRANGLE,))
    call, put = option(55_000), option(45_000, Right.PUT)
    market, account = priced(50_000, (call, 0.05), (put, 0.04)), held((call, -1.0), (put, -1.0))
    assert margin(model, market, account) == pytest.approx((0.10 + 0.05 + 0.04, 0.075 + 0.05 + 0.04))


def test_covered_call_and_cash_secured_put_are_charged_their_mark():
    import msgspec

    both = (Strategy.COVERED_CALL, Strategy.CASH_SECURED_PUT)
    model = msgspec.structs.replace(DERIBIT, strategies=both)
    call, put = option(55_000), option(45_000, Right.PUT, coin=False)
    market = priced(50_000, (call, 0.05), (put, 2_000.0))
    assert margin(model, market, held((call, -1.0), coins=1.0)) == pytest.approx((0.05, 0.05))
    assert margin(model, market, held((call, -2.0), coins=1.0))[0] == pytest.approx(0.05 + 0.05 + 0.10)
    assert margin(model, market, held((put, -1.0), coins=0.0, cash=45_000.0)) == pytest.approx((2_000, 2_000))


@pytest.mark.parametrize(
    ("quantity", "price", "asked"), [(-0.1, 0.05, 0.011640607), (0.1, 0.05, 0.1 * (0.05 + 0.0003))]
)
def test_open_option_orders(quantity, price, asked):
    # deribit.md 2.3, captured 2022-04-20: 0.1 of a 43,000 call sold at index 41,590.34.
    contract = option(43_000)
    account = replace(held(), orders=(Order(symbol=contract.symbol, quantity=quantity, price=price),))
    pool = assess(account, priced(41_590.34, (contract, 0.05)), stated("t.o", DERIBIT, ACCOUNT)).pools[0]
    assert pool.order_margin == pytest.approx(asked, abs=6e-10)


@given(st.floats(100, 1e6), st.floats(100, 1e6), st.booleans())
def test_short_call_never_loses_more_than_a_coin_and_a_put_may(strike, delivery, call):
    # OM-4, OM-5: a coin call pays at most one coin; a put K/S - 1 without bound.
    contract = option(strike, Right.CALL if call else Right.PUT)
    flat, flows = expire(contract, Position(symbol=contract.symbol, quantity=-1.0, entry=0.05), delivery)
    assert flat.quantity == 0.0
    assert flows.realised == -intrinsic(contract, delivery)
    if call:
        assert 0 <= -flows.realised < 1
    else:
        assert -flows.realised == pytest.approx(max(strike / delivery - 1, 0), rel=1e-9, abs=1e-12)


@given(st.floats(0.3, 3.0), st.floats(0.1, 2.0), st.floats(0.01, 2.0))
def test_parity_in_value(moneyness, vol, years):
    # OM-9, finding 9: long call + short put = long inverse future with notional K and entry K, in coin.
    strike, forward = 50_000.0, 50_000.0 * moneyness
    call, put = (coin_price(forward, strike, vol, years, right) for right in (True, False))
    assert float(call - put) == pytest.approx(1 - strike / forward, abs=1e-12)


def test_expired_option_values_at_intrinsic_and_future_vol_is_found_in_the_mark():
    contract = option(40_000, days=0.0)
    market = Market(
        at=datetime(2026, 11, 1, tzinfo=UTC),
        instruments={contract.symbol: contract},
        quotes={contract.symbol: Quote(mark=0.2)},
        index={"BTC": 50_000.0},
    )
    pool = assess(held((contract, 1.0)), market, stated("t.e", DERIBIT, ACCOUNT)).pools[0]
    assert pool.equity == pytest.approx(10.2)
    assert pool.margin_balance == pytest.approx(10.0)  # no option value credit (OM-8)
    assert np.isfinite(pool.maintenance)
