"""Offset and contributions against the one calculation."""

from dataclasses import replace

import pytest

from margrave.adapters.files import load_example
from margrave.core.words import INITIAL, LEVELS, MAINTENANCE
from margrave.domain.account import Account, Balance, Leg, Position
from margrave.engine.analysis.contributions import contributions, sensitivities
from margrave.engine.analysis.offset import offsets
from margrave.engine.analysis.parts import required
from margrave.engine.assess import assess
from margrave.engine.whatif import moved
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.ladders import Progressive, Tier, TierUnit
from margrave.rulebook.schema import AccountRules, CrossPool, Netting
from tests.unit.made import inverse_account, inverse_market, rules

EXAMPLES = ("inverse", "hybrid", "collateral")


def example(name):
    case = load_example(name)
    return replace(case.accounts[0], orders=()), case.market, in_force(case.rules, case.market.at)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("level", [INITIAL, MAINTENANCE])
def test_the_requirement_is_that_of_the_assessment_without_orders(name, level):
    account, market, rulebook = example(name)
    told = {o.pool: o.requirement for o in offsets(account, market, rulebook, level)}
    assert told == {p.name: getattr(p, LEVELS[level]) for p in assess(account, market, rulebook).pools}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_part_alone_and_a_marginal_are_assessments_of_their_own(name):
    account, market, rulebook = example(name)
    for pool in contributions(account, market, rulebook):
        for part in pool.positions:
            (held,) = (p for p in account.positions if p.symbol == part.symbol)
            alone = assess(replace(account, positions=(held,)), market, rulebook).pools
            left = tuple(p for p in account.positions if p is not held)
            without = assess(replace(account, positions=left), market, rulebook).pools
            rest = sum(p.initial for p in without if p.name == pool.pool)
            assert part.alone == next(p.initial for p in alone if p.name == pool.pool)
            assert part.marginal == pool.requirement - rest


def test_two_legs_of_one_contract_offset_where_the_rules_net_them():
    # A venue that charges the greater side asks 0.2 coins (10 % of 2) of legs that alone ask 0.2 and 0.1.
    account = Account(
        balances=(Balance(asset="BTC", amount=5.0),),
        positions=(
            Position(symbol="BTCUSD", quantity=100_000.0, entry=50_000.0, leg=Leg.LONG),
            Position(symbol="BTCUSD", quantity=-50_000.0, entry=50_000.0, leg=Leg.SHORT),
        ),
    )
    netting = AccountRules(
        cross_pool=CrossPool.SETTLEMENT, code="TEST-ACCOUNT-001", netting=Netting.LARGER_LEG
    )
    (told,) = offsets(account, inverse_market(50_000.0), rules(account=netting), cap=0.1)
    assert told.sum_of_parts == pytest.approx(0.3, rel=1e-12)
    assert told.requirement == pytest.approx(0.2, rel=1e-12)
    assert told.capped == pytest.approx(0.27, rel=1e-12)
    assert told.pairs[0].fraction == pytest.approx(1 / 3, rel=1e-12)


def test_the_pair_that_the_schedule_nets_is_told_with_its_saving():
    account, market, rulebook = example("inverse")
    (told,) = offsets(account, market, rulebook)
    (pair,) = told.pairs
    assert (pair.first, pair.second) == ("BTC-PERPETUAL", "BTC-26MAR27")
    both = replace(account, positions=account.positions[:2])
    together = assess(both, market, rulebook).pools[0].initial
    alone = dict(told.parts)
    assert pair.saving == alone[pair.first] + alone[pair.second] - together
    assert told.fraction == pytest.approx(pair.saving / told.sum_of_parts, rel=1e-9)


def test_a_cap_that_is_no_fraction_is_refused():
    account, market, rulebook = example("inverse")
    with pytest.raises(ValueError, match="a fraction from 0 to 1"):
        offsets(account, market, rulebook, cap=1.5)


def test_an_unknown_pool_is_left_out_and_an_empty_set_asks_nothing():
    account, market, rulebook = example("hybrid")
    quotes = {s: q for s, q in market.quotes.items() if s != "BTCUSDT"}
    blind = replace(market, quotes=quotes)
    assert [o.pool for o in offsets(account, blind, rulebook)] == [
        p.name for p in assess(account, blind, rulebook).pools if p.positions and not p.issues
    ]
    initial, maintenance = required(account, market, rulebook, [()])
    assert (initial.tolist(), maintenance.tolist()) == ([0.0], [0.0])


def test_tiers_leave_a_residual_by_size():
    # Maintenance of 1 % to 1 coin and 2 % beyond: at 2 coins R = 0.03, and q dR/dq = 0.04.
    tiers = (Tier(0.0, 0.01, 0.02), Tier(1.0, 0.02, 0.04))
    rulebook = rules(Progressive(code="TEST-LADDER-002", unit=TierUnit.VALUE, tiers=tiers))
    (told,) = contributions(inverse_account(coins=5.0), inverse_market(50_000.0), rulebook, MAINTENANCE)
    assert told.requirement == pytest.approx(0.03, rel=1e-12)
    assert told.positions[0].euler == pytest.approx(0.04, rel=1e-8)
    assert told.residual == pytest.approx(-0.01, rel=1e-7)


def test_sensitivities_are_differences_of_the_requirement():
    account, market, rulebook = example("inverse")
    (told,) = sensitivities(account, market, rulebook, MAINTENANCE)

    def asked(spot, vol):
        return assess(account, moved(market, {"BTC": spot}, {"BTC": vol}), rulebook).pools[0].maintenance

    assert told.spot == pytest.approx(0.5 * (asked(1.01, 1.0) - asked(0.99, 1.0)), rel=1e-9)
    assert told.curvature == pytest.approx(
        asked(1.01, 1.0) - 2 * asked(1.0, 1.0) + asked(0.99, 1.0), abs=1e-12
    )
    assert told.vol == pytest.approx(asked(1.0, 1.01) - asked(1.0, 1.0), rel=1e-9)
    assert told.vol > 0 > told.vega  # a short option asks more when vol rises
    (future,) = sensitivities(replace(account, positions=account.positions[:1]), market, rulebook)
    assert future.vol is None


def test_a_model_of_scenarios_is_asked_the_same_questions():
    # Losses of a scenario add up: at one worst scenario the requirement scales with size, so Euler is exact.
    account, market, _ = example("inverse")
    rulebook = in_force("deribit.spm", market.at)
    (told,) = offsets(account, market, rulebook)
    (shares,) = contributions(account, market, rulebook)
    assert told.requirement == assess(account, market, rulebook).pools[0].initial
    assert 0.0 < told.fraction < 1.0
    assert told.pairs[0].saving == max(p.saving for p in told.pairs) > 0.0
    assert shares.residual == pytest.approx(0.0, abs=1e-8)
    assert shares.positions[1].marginal < 0.0  # the short future hedges the long one
