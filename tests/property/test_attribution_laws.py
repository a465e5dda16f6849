"""IM-3: the parts of a pool's profit add up to its change of equity, whatever happened."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Position
from margrave.engine.assess import assess
from margrave.engine.default.closing import LiquidationRule
from margrave.engine.paths.attribution import Funded, Liquidated, Moved, Traded, attribute
from margrave.engine.whatif import Leg
from tests.unit.made import INVERSE, LINEAR, market, rules

PERPETUALS = (replace(INVERSE, taker_fee=0.0005), replace(LINEAR, taker_fee=0.0005))
SIZES = {"BTCUSD": 20_000.0, "BTCUSDT": 0.5}


def at(mark: float):
    return market(*PERPETUALS, BTCUSD=mark, BTCUSDT=mark * 1.001)


SYMBOLS = st.sampled_from(list(SIZES))
EVENTS = st.one_of(
    st.builds(lambda m: Moved(at(m)), st.floats(35_000, 70_000)),
    st.builds(Funded, SYMBOLS, st.floats(-0.003, 0.003)),
    st.builds(
        lambda s, n, p: Traded(Leg(s, n * SIZES[s], p)),
        SYMBOLS,
        st.sampled_from([-1.5, -0.5, 0.5, 1.0]),
        st.one_of(st.none(), st.floats(45_000, 55_000)),
    ),
    st.just(Liquidated(LiquidationRule(slippage=0.002, fee_rate=0.0005, penalty_rate=0.002))),
)


@st.composite
def accounts(draw):
    positions = tuple(
        Position(
            symbol=s,
            quantity=size * draw(st.sampled_from([-2.0, 1.0, 3.0])),
            entry=50_000.0,
            mode=draw(st.sampled_from(list(MarginMode))),
        )
        for s, size in SIZES.items()
    )
    cash = (Balance(asset="BTC", amount=0.2), Balance(asset="USDT", amount=9_000.0))
    return Account(balances=cash, positions=positions)


def equity(account, where):
    return {p.name: p.equity for p in assess(account, where, rules()).pools}


@given(accounts(), st.lists(EVENTS, max_size=7))
@settings(max_examples=80, deadline=None)
def test_im_3_parts_sum_to_the_change_of_equity(account, events):
    start = at(50_000.0)
    state, parts = attribute(account, start, rules(), events)
    before, after = equity(account, start), equity(state.account, state.market)
    for told in parts:
        change = after.get(told.pool, 0.0) - before.get(told.pool, 0.0)
        assert told.total == pytest.approx(change, abs=1e-9 * max(1.0, abs(change)))
    # Margin moves between pools of one asset only: nothing is made of it (IM-7).
    for currency in ("BTC", "USDT"):
        assert sum(p.moved for p in parts if p.currency == currency) == pytest.approx(0.0, abs=1e-8)


@given(st.floats(-0.003, 0.003), st.floats(45_000, 55_000))
@settings(max_examples=20, deadline=None)
def test_im_3_each_part_is_of_its_own_event(rate, mark):
    account = Account(
        balances=(Balance(asset="USDT", amount=50_000.0),),
        positions=(Position(symbol="BTCUSDT", quantity=1.0, entry=50_000.0),),
    )
    events = (Moved(at(mark)), Funded("BTCUSDT", rate), Traded(Leg("BTCUSDT", -0.5)))
    _, parts = attribute(account, at(50_000.0), rules(), events)
    told = next(p for p in parts if p.pool == "cross USDT")
    price = mark * 1.001
    assert told.price == pytest.approx(price - 50_050.0, abs=1e-8)
    assert told.funding == pytest.approx(-rate * price, abs=1e-8)
    assert told.fee == pytest.approx(-0.0005 * 0.5 * price)
    assert (told.liquidation, told.moved) == (0.0, pytest.approx(0.0, abs=1e-8))
