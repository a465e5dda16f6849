"""Rows of the specification's section 2 that no other file names: LM, FM, IM, CMM, CMS."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from margrave.adapters.files import load_example
from margrave.core.errors import InvalidInputError, RefusedError
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Position
from margrave.domain.fills import average_entry, expire, funding, profit
from margrave.domain.instruments import Future, Linear
from margrave.engine.assess import assess
from margrave.engine.changes import open_position
from margrave.liquidation import liquidations
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.ladders import BaseSlope, Progressive, RiskLimit, Tier, TierUnit, resolve
from tests.unit.made import (
    AT,
    INVERSE,
    LINEAR,
    flat_ladder,
    inverse_account,
    inverse_market,
    linear_account,
    linear_market,
    market,
    rules,
)


def test_lm_1_linear_profit_has_no_curvature_and_entries_average_arithmetically():
    marks = np.array([40_000.0, 50_000.0, 60_000.0])
    gains = [profit(LINEAR.payoff, 2.0, 50_000.0, m) for m in marks]
    assert gains == [-20_000.0, 0.0, 20_000.0]
    assert gains[0] - 2 * gains[1] + gains[2] == 0.0
    assert average_entry(Linear(contract_size=1.0), ((1.0, 50_000.0), (0.5, 40_000.0))) == pytest.approx(
        46_666.67, abs=0.005
    )


@pytest.mark.parametrize(("coins", "rate", "margin"), [(25.0, 0.02125, 0.53125), (350.0, 0.0375, 13.125)])
def test_lm_3_size_slope(coins, rate, margin):
    # Deribit linear: 2 % + 0.005 % a coin.
    ladder = BaseSlope(
        code="TEST-SLOPE-001", unit=TierUnit.COIN, initial=0.02, maintenance=0.01, slope=0.00005
    )
    pool = assess(linear_account(coins, 100_000.0), linear_market(100_000.0), rules(ladder)).pools[0]
    assert pool.initial == pytest.approx(margin * 100_000.0)
    assert pool.initial / pool.positions[0].notional == pytest.approx(rate)


def test_lm_8_inverse_short_and_linear_long_are_dual():
    short = liquidations(inverse_account(-1e5), inverse_market(50_000), rules())[0].bounds[0].exact
    long = liquidations(linear_account(), linear_market(50_000), rules())[0].bounds[0].exact
    assert short * long == pytest.approx(50_000.0**2, rel=1e-12)


def test_fm_1_initial_below_maintenance_is_refused_when_rules_load():
    with pytest.raises(InvalidInputError, match="a call must come before liquidation"):
        rules(flat_ladder(0.01, 0.02))


def test_fm_2_dated_future_settles_and_releases_its_margin():
    dated = replace(LINEAR, symbol="DATED", kind=Future(expiry=AT + timedelta(days=30)))
    held = Position(symbol="DATED", quantity=2.0, entry=50_000.0)
    before = Account(balances=(Balance(asset="USDT", amount=2e4),), positions=(held,))
    prices = market(dated, DATED=51_000.0)
    assert assess(before, prices, rules()).pools[0].maintenance == pytest.approx(5_100.0)
    flat, flows = expire(dated, held, 51_000.0)
    after = Account(balances=(Balance(asset="USDT", amount=2e4 + flows.total),), positions=(flat,))
    pool = assess(after, prices, rules()).pools[0]
    assert (pool.equity, pool.maintenance, pool.initial) == (22_000.0, 0.0, 0.0)


def test_fm_3_funding_changes_equity_and_not_the_requirement():
    account, prices = inverse_account(), inverse_market(50_000)
    paid = funding(INVERSE, account.positions[0], 50_000.0, 0.0001).funding
    charged = replace(account, balances=(Balance(asset="BTC", amount=0.2 + paid),))
    before, after = (assess(a, prices, rules()).pools[0] for a in (account, charged))
    assert after.equity - before.equity == pytest.approx(-0.0002)
    assert (after.initial, after.maintenance) == (before.initial, before.maintenance)


def test_fm_6_brackets_are_continuous_and_risk_limits_step():
    brackets = Progressive(
        code="TEST-B-001",
        unit=TierUnit.VALUE,
        tiers=(Tier(floor=0.0, maintenance=0.01), Tier(floor=1.0, maintenance=0.05)),
    )
    steps = RiskLimit(
        code="TEST-R-001",
        unit=TierUnit.VALUE,
        base_limit=1.0,
        step=1.0,
        initial=0.02,
        maintenance=0.01,
        increment=0.01,
    )
    for ladder, jumps in ((brackets, False), (steps, True)):
        asked = [
            assess(inverse_account(50_000.0 * s, coins=9.0), inverse_market(50_000), rules(ladder))
            .pools[0]
            .maintenance
            for s in (1 - 1e-9, 1 + 1e-9)
        ]
        assert (asked[1] - asked[0] > 0.005) is jumps
    assert len(resolve(steps, 1).floor) == 100


def test_im_1_an_isolated_position_tells_its_ratio_prices_and_largest_loss():
    account = inverse_account(coins=1.0, mode=MarginMode.ISOLATED, isolated_margin=0.2)
    bucket = assess(account, inverse_market(50_000), rules()).pools[1]
    assert bucket.ratio == pytest.approx(0.1 / 0.2)
    found = liquidations(account, inverse_market(50_000), rules())[1]
    assert (found.bounds[0].exact, found.bounds[0].bankruptcy) == pytest.approx(
        (47_727.272727, 45_454.545455)
    )
    gone = assess(account, inverse_market(found.bounds[0].bankruptcy), rules()).pools[1]
    assert gone.positions[0].profit == pytest.approx(-0.2)  # the largest loss is its own margin


def test_cmm_1_one_requirement_and_one_ratio_a_pool():
    twin = replace(INVERSE, symbol="TWIN")
    legs = (
        Position(symbol="BTCUSD", quantity=1e5, entry=48_000),
        Position(symbol="TWIN", quantity=-4e4, entry=51_000),
    )
    account = Account(balances=(Balance(asset="BTC", amount=0.5),), positions=legs)
    (pool,) = assess(account, market(INVERSE, twin, BTCUSD=50_000.0, TWIN=50_000.0), rules()).pools
    assert pool.equity == pytest.approx(0.5 + sum(p.profit for p in pool.positions))
    assert pool.maintenance == pytest.approx(sum(p.maintenance for p in pool.positions))
    assert pool.ratio == pytest.approx(pool.maintenance / pool.margin_balance)


def test_cms_7_isolated_and_cross_prices_of_one_book_stand_side_by_side():
    cross = inverse_account(coins=0.5)
    alone = inverse_account(coins=0.3, mode=MarginMode.ISOLATED, isolated_margin=0.2)
    prices = [
        liquidations(a, inverse_market(50_000), rules())[k].bounds[0].exact
        for a, k in ((cross, 0), (alone, 1))
    ]
    assert prices == pytest.approx([1e5 * 1.05 / 2.5, 1e5 * 1.05 / 2.2])


def test_imm_3_opening_debits_the_wallet_or_rejects_the_whole_order():
    empty = Account(balances=(Balance(asset="BTC", amount=0.5),))
    position = Position(symbol="BTCUSD", quantity=1e5, entry=50_000.0, mode=MarginMode.ISOLATED)
    opened = open_position(empty, inverse_market(50_000), rules(), position)
    assert opened.balances[0].amount == pytest.approx(0.3)
    assert opened.positions[0].isolated_margin == pytest.approx(0.2)
    for wrong, said in (
        (replace(position, quantity=3e5), "open less"),
        (replace(position, quantity=3e5, mode=MarginMode.CROSS), "initial margin"),
    ):
        with pytest.raises(RefusedError, match=said):
            open_position(empty, inverse_market(50_000), rules(), wrong)
    with pytest.raises(RefusedError, match="open already"):
        open_position(opened, inverse_market(50_000), rules(), position)
    crossed = open_position(empty, inverse_market(50_000), rules(), replace(position, mode=MarginMode.CROSS))
    assert crossed.balances == empty.balances


def test_cmm_7_the_move_of_every_other_underlying_that_would_liquidate_a_pool():
    case = load_example("collateral")
    (found,) = liquidations(case.accounts[0], case.market, in_force("example.multi", case.market.at))
    assert [(p.along, p.bounds[0].side) for p in found.each] == [("BTC", "down"), ("ETH", "up")]
