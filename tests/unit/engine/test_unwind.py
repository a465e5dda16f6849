"""Incremental liquidation of one account: FM-5, CMM-6, IMM-1, IMM-8."""

from dataclasses import replace

import pytest

from margrave.adapters.files import load_example
from margrave.core.errors import RefusedError
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Leg, Order, Position
from margrave.domain.instruments import Instrument, Linear, Perpetual
from margrave.engine.assess import assess
from margrave.engine.assessment import Status
from margrave.engine.changes import close_part
from margrave.engine.default.closing import LiquidationRule, conversion, slice_of
from margrave.engine.default.unwind import Outcome, unwind
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.ladders import Tier, TierUnit, WholePosition
from margrave.rulebook.schema import AccountRules, CrossPool, Netting
from tests.unit.made import (
    INVERSE,
    LINEAR,
    inverse_account,
    inverse_market,
    linear_account,
    linear_market,
    market,
    rules,
)

ETH = Instrument(
    symbol="ETHUSDT",
    base="ETH",
    quote="USDT",
    settlement="USDT",
    kind=Perpetual(),
    payoff=Linear(contract_size=1.0),
)
RULE = LiquidationRule(slice_share=0.25, slippage=0.001, fee_rate=0.0005, penalty_rate=0.002)


def test_fm_5_slices_until_maintenance_is_covered():
    # 2 BTC from 50,000 on 10,000 USDT at 5 %: at 47,000 the balance is 4,000 against 4,700.
    account, at = linear_account(), linear_market(47_000.0)
    done = unwind(account, at, rules(), replace(RULE, slippage=0.0, fee_rate=0.0, penalty_rate=0.0))
    (pool,) = done.pools
    assert pool.outcome is Outcome.RESTORED
    assert [s.action for s in pool.steps] == ["close"]
    # One slice of 0.5 leaves 1.5 × 47,000 × 5 % = 3,525; closing at the mark costs nothing.
    assert pool.end.maintenance == pytest.approx(3_525.0)
    assert pool.end.equity == pytest.approx(4_000.0)
    after = assess(done.account, at, rules()).pools[0]
    assert (after.margin_balance, after.maintenance) == (pool.end.margin_balance, pool.end.maintenance)
    assert after.status is not Status.LIQUIDATABLE


def test_fm_5_the_buffer_asks_for_more_slices():
    account, at = linear_account(), linear_market(47_000.0)
    plain, buffered = (unwind(account, at, rules(), replace(RULE, buffer=b)).pools[0] for b in (0.0, 0.5))
    assert len(buffered.steps) > len(plain.steps)
    assert buffered.end.margin_balance >= 1.5 * buffered.end.maintenance


def test_fm_5_orders_are_cancelled_first():
    order = Order(symbol="BTCUSDT", quantity=1.0, price=46_000.0)
    account = replace(linear_account(), orders=(order,))
    done = unwind(account, linear_market(47_000.0), rules(), RULE)
    assert [s.action for s in done.steps][:2] == ["cancel", "close"]
    assert done.steps[0].orders == (order,)
    assert done.account.orders == ()


def test_fm_5_with_orders_alone_a_debt_is_left():
    orders = (Order(symbol="BTCUSDT", quantity=1.0, price=46_000.0),)
    account = Account(balances=(Balance(asset="USDT", amount=-1.0),), orders=orders)
    (pool,) = unwind(account, linear_market(47_000.0), rules(), RULE).pools
    assert pool.outcome is Outcome.CLOSED  # nothing to close, and a debt of one
    assert pool.deficit == pytest.approx(1.0)


def test_fm_5_fee_penalty_and_slippage_of_a_fill():
    (step,) = unwind(linear_account(), linear_market(47_000.0), rules(), RULE).steps[:1]
    (fill,) = step.fills
    assert fill.price == pytest.approx(46_953.0)  # 47,000 less 0.1 %
    assert fill.slippage == pytest.approx(23.5)  # 47 on half a coin
    assert fill.fee == pytest.approx(11.73825)  # 23,476.5 × 0.05 %
    assert fill.penalty == pytest.approx(46.953)
    assert step.cost == pytest.approx(82.19125)
    assert step.after.equity == pytest.approx(step.before.equity - step.cost)


def hedged(btc: float, eth: float, cash: float) -> Account:
    return Account(
        balances=(Balance(asset="USDT", amount=cash),),
        positions=(
            Position(symbol="BTCUSDT", quantity=btc, entry=50_000.0),
            Position(symbol="ETHUSDT", quantity=eth, entry=3_000.0),
        ),
    )


TWO = market(LINEAR, ETH, BTCUSDT=50_000.0, ETHUSDT=3_000.0)
TWO = replace(TWO, index={**TWO.index, "ETH": 3_000.0})


def test_cmm_6_the_leg_that_relieves_most_per_cost_goes_first():
    tiers = (
        Tier(floor=0.0, initial=0.10, maintenance=0.05),
        Tier(floor=100_000.0, initial=0.2, maintenance=0.1),
    )
    ladder = WholePosition(code="TEST-LADDER-002", unit=TierUnit.VALUE, tiers=tiers)
    account = hedged(1.0, 40.0, 11_000.0)  # 50,000 at 5 %, 120,000 at 10 %
    (first, *_) = unwind(account, TWO, rules(ladder), RULE).steps
    # A quarter of ETH leaves 90,000 at 5 %: 7,500 relieved for 105 of cost; a quarter of BTC 625 for 44.
    assert [f.symbol for f in first.fills] == ["ETHUSDT"]
    assert "most per cost of 2 legs" in first.why
    assert first.before.maintenance - first.after.maintenance == pytest.approx(7_500.0)


def netted(matched: float = 0.0) -> AccountRules:
    return AccountRules(
        cross_pool=CrossPool.SETTLEMENT,
        code="TEST-ACCOUNT-002",
        netting=Netting.LARGER_SIDE,
        matched_charge=matched,
    )


def test_cmm_6_a_hedge_that_relieves_nothing_is_not_broken():
    later = replace(LINEAR, symbol="BTCUSDT-LATER")
    at = market(LINEAR, later, BTCUSDT=50_000.0, **{"BTCUSDT-LATER": 50_000.0})
    account = Account(
        balances=(Balance(asset="USDT", amount=3_000.0),),
        positions=(
            Position(symbol="BTCUSDT", quantity=2.0, entry=50_000.0),
            Position(symbol="BTCUSDT-LATER", quantity=-1.0, entry=50_000.0),
        ),
    )
    done = unwind(account, at, rules(account=netted()), RULE)
    # The larger side alone is charged: until they are level only the long leg relieves.
    assert {f.symbol for s in done.steps for f in s.fills} == {"BTCUSDT"}
    assert done.pools[0].outcome is Outcome.RESTORED


def test_cmm_6_where_no_leg_alone_relieves_a_slice_of_all_is_closed():
    later = replace(LINEAR, symbol="BTCUSDT-LATER")
    at = market(LINEAR, later, BTCUSDT=50_000.0, **{"BTCUSDT-LATER": 50_000.0})
    positions = tuple(
        Position(symbol=s, quantity=q, entry=50_000.0) for s, q in (("BTCUSDT", 1.0), ("BTCUSDT-LATER", -1.0))
    )
    account = Account(balances=(Balance(asset="USDT", amount=2_000.0),), positions=positions)
    (step, *_) = unwind(account, at, rules(account=netted()), RULE).steps
    assert len(step.fills) == 2
    assert "a slice of all" in step.why


def test_imm_1_an_isolated_deficit_stays_out_of_the_wallet():
    position = Position(
        symbol="BTCUSDT", quantity=1.0, entry=50_000.0, mode=MarginMode.ISOLATED, isolated_margin=2_500.0
    )
    account = Account(balances=(Balance(asset="USDT", amount=7_000.0),), positions=(position,))
    done = unwind(account, linear_market(45_000.0), rules(), RULE)
    wallet, bucket = done.pools
    assert wallet.outcome is Outcome.SAFE
    assert bucket.outcome is Outcome.CLOSED
    assert bucket.deficit == pytest.approx(
        2_500.0 + 45.0
    )  # the gap, and slippage of 0.1 %; no fee from nothing
    assert done.account.balances == account.balances
    assert done.account.positions == ()


def test_imm_4_a_closed_isolated_position_gives_its_rest_to_the_wallet():
    position = Position(
        symbol="BTCUSDT", quantity=1.0, entry=50_000.0, mode=MarginMode.ISOLATED, isolated_margin=2_600.0
    )
    account = Account(balances=(Balance(asset="USDT", amount=7_000.0),), positions=(position,))
    rule = LiquidationRule(slice_share=1.0)
    done = unwind(account, linear_market(49_000.0), rules(), rule)
    assert done.pools[1].outcome is Outcome.CLOSED  # 1,600 against 2,450
    assert done.account.balances[0].amount == pytest.approx(8_600.0)


def test_imm_8_other_pools_are_bit_identical():
    isolated = Position(symbol="BTCUSDT", quantity=1.0, entry=50_000.0, mode=MarginMode.ISOLATED)
    account = replace(inverse_account(), positions=(*inverse_account().positions, isolated))
    at = replace(
        market(INVERSE, LINEAR, BTCUSD=50_000.0, BTCUSDT=46_000.0), index={"BTC": 50_000.0, "USDT": 1.0}
    )
    before = assess(account, at, rules())
    done = unwind(account, at, rules(), RULE)
    after = assess(done.account, at, rules())
    assert {p.outcome for p in done.pools} == {Outcome.SAFE, Outcome.RESTORED}
    kept = next(p for p in before.pools if p.name == "cross BTC")
    assert next(p for p in after.pools if p.name == "cross BTC") == kept


def test_an_isolated_position_of_which_a_part_is_left_keeps_its_margin():
    position = Position(
        symbol="BTCUSDT", quantity=2.0, entry=50_000.0, mode=MarginMode.ISOLATED, isolated_margin=10_000.0
    )
    done = unwind(Account(positions=(position,)), linear_market(47_000.0), rules(), LiquidationRule())
    (left,) = done.account.positions
    assert left.quantity == 1.5
    assert left.isolated_margin == pytest.approx(8_500.0)  # 10,000 less the 1,500 that half a coin lost


def test_inverse_slices_pay_in_coin():
    done = unwind(inverse_account(coins=0.15), inverse_market(47_000.0), rules(), RULE)
    assert done.pools[0].currency == "BTC"
    assert all(f.currency == "BTC" for s in done.steps for f in s.fills)
    for step in done.steps:
        assert step.after.equity == pytest.approx(step.before.equity - step.cost, abs=1e-12)


def test_the_floor_stops_before_equity_is_gone():
    account, at = linear_account(cash=6_050.0), linear_market(47_000.0)
    (pool,) = unwind(account, at, rules(), replace(RULE, floor=0.0, slippage=0.01)).pools
    assert pool.outcome is Outcome.BANKRUPT
    assert pool.end.equity >= 0.0
    assert pool.positions
    assert pool.deficit == 0.0


def test_a_pool_that_cannot_be_valued_is_not_touched():
    at = replace(linear_market(47_000.0), quotes={})
    done = unwind(linear_account(), at, rules(), RULE)
    assert done.pools[0].outcome is Outcome.UNKNOWN
    assert done.account == linear_account()


@pytest.mark.parametrize(
    ("rule", "start", "held", "size"),
    [
        (LiquidationRule(slice_share=0.25), 8.0, 8.0, -2.0),
        (LiquidationRule(slice_share=0.25), -8.0, -8.0, 2.0),
        (LiquidationRule(slice_share=0.25, lot=3.0), 8.0, 8.0, -3.0),
        (LiquidationRule(slice_share=0.25, lot=10.0), 100.0, 95.0, -30.0),
        (LiquidationRule(slice_share=0.25), 8.0, 2.0 + 1e-12, -2.0 - 1e-12),
        (LiquidationRule(slice_share=0.25, lot=100.0), 8.0, 8.0, -8.0),
    ],
)
def test_slices(rule, start, held, size):
    assert slice_of(rule, start, held) == size


@pytest.mark.parametrize(
    "wrong",
    [{"slice_share": 0.0}, {"buffer": -1.0}, {"lot": -1.0}, {"slippage": 1.0}, {"floor": 1.0}],
)
def test_a_rule_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LiquidationRule(**wrong)


def test_conversion_needs_both_prices():
    assert conversion(linear_market(50_000.0), "BTC", "USDT") == 50_000.0
    with pytest.raises(RefusedError, match="no index price"):
        conversion(linear_market(50_000.0), "BTC", "DOGE")


@pytest.mark.parametrize("quantity", [2.0, -2.0])
def test_closing_an_option_at_its_mark_moves_its_premium_and_no_equity(quantity):
    case = load_example("inverse")
    account, at = case.accounts[0], case.market
    option = next(p for p in account.positions if p.symbol.endswith("-C"))
    held = replace(account, positions=(replace(option, quantity=quantity),), orders=())
    mark = at.quotes[option.symbol].mark
    book = in_force(case.rules, at.at)
    after = close_part(held, at, option.symbol, -quantity / 2, mark)
    equities = [assess(a, at, book).pools[0].equity for a in (held, after)]
    assert equities[1] == pytest.approx(equities[0], abs=1e-12)
    assert after.balances[0].amount - held.balances[0].amount == pytest.approx(quantity / 2 * mark)


def test_fm_5_hedge_mode_unwinds_the_leg_that_is_short_of_margin():
    legs = tuple(
        Position(symbol="BTCUSDT", quantity=q, entry=50_000.0, mode=MarginMode.ISOLATED, leg=leg)
        for q, leg in ((1.0, Leg.LONG), (-1.0, Leg.SHORT))
    )
    done = unwind(Account(positions=legs), linear_market(46_000.0), rules(), RULE)
    assert [p.outcome for p in done.pools] == [Outcome.RESTORED, Outcome.SAFE]
    long, short = done.account.positions
    assert 0 < long.quantity < 1
    assert short == legs[1]
