"""INV-1 to INV-10 of the inverse-margining specification, section 1.3, on random schedules and positions."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.core.errors import InvalidInputError
from margrave.domain.account import Account, Balance, Memory, Position
from margrave.domain.book import book_of
from margrave.engine.assess import assess
from margrave.liquidation import liquidations
from margrave.margin.pooled import evaluate, prepare
from margrave.margin.requirement import discrepancy
from margrave.rulebook.reform import with_schedule
from margrave.rulebook.schedules import Interpolation, Reference, Schedule
from margrave.valuation.scenarios import shifted
from tests.unit.made import (
    AT,
    flat_ladder,
    inverse_account,
    inverse_market,
    linear_account,
    linear_market,
    rules,
)

MARKS = st.floats(5_000, 500_000)
SIDES = st.sampled_from([1.0, -1.0])
RATES = st.floats(0.001, 0.2)


@st.composite
def schedules(draw, **fixed):
    adverse = sorted(draw(st.lists(st.floats(-1.0, -0.01), min_size=1, max_size=4, unique=True)))
    favour = sorted(draw(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=4, unique=True)))
    above = sorted(
        draw(st.lists(st.floats(1.0, 3.0), min_size=len(adverse), max_size=len(adverse))), reverse=True
    )
    below = sorted(
        draw(st.lists(st.floats(0.1, 1.0), min_size=len(favour), max_size=len(favour))), reverse=True
    )
    interpolation = draw(st.sampled_from([Interpolation.LINEAR, Interpolation.PCHIP]))
    knots = (*zip(adverse, above, strict=True), (0.0, 1.0), *zip(favour, below, strict=True))
    return Schedule(name="any", code="TEST-ANY-001", knots=knots, **{"interpolation": interpolation, **fixed})


def along(account, market, rulebook, factors):
    prepared = prepare(book_of((account,)), market, rulebook)
    asset = prepared.table.assets.index("BTC")
    shifts = np.ones((len(factors), len(prepared.table.assets)))
    shifts[:, asset] = factors
    pooled = evaluate(prepared, shifted(prepared.table, shifts))
    return pooled, pooled.maintenance[:, 0] / pooled.workings.valued.notional[:, 0]


@given(schedules(), SIDES, RATES)
def test_inv_1_rate_never_rises_with_favourable_movement(schedule, side, rate):
    rulebook = with_schedule(rules(flat_ladder(min(2 * rate, 1), rate)), schedule)
    factors = np.exp(side * np.linspace(-1.5, 1.5, 301))
    _, charged = along(inverse_account(side * 1e5), inverse_market(50_000), rulebook, factors)
    assert np.all(np.diff(charged) <= 1e-12)


@given(schedules(interpolation=Interpolation.LINEAR), SIDES, RATES)
def test_inv_2_rate_is_continuous(schedule, side, rate):
    rulebook = with_schedule(rules(flat_ladder(min(2 * rate, 1), rate)), schedule)
    x = np.linspace(-1.2, 1.2, 801)
    _, charged = along(inverse_account(side * 1e5), inverse_market(50_000), rulebook, np.exp(side * x))
    knots = np.array(schedule.knots)
    lipschitz = rate * np.max(np.abs(np.diff(knots[:, 1]) / np.diff(knots[:, 0])))
    assert np.all(np.abs(np.diff(charged)) <= lipschitz * np.diff(x) * (1 + 1e-9) + 1e-12)


@given(schedules(), SIDES, RATES, MARKS)
def test_inv_3_at_the_reference_the_rate_is_the_base_rate(schedule, side, rate, mark):
    flat = rules(flat_ladder(min(2 * rate, 1), rate))
    account = inverse_account(side * 1e5, entry=mark)
    tiered = assess(account, inverse_market(mark), with_schedule(flat, schedule)).pools[0]
    assert tiered.maintenance == assess(account, inverse_market(mark), flat).pools[0].maintenance


@given(schedules(), RATES, st.floats(0.4, 2.5))
def test_inv_4_a_long_at_p_is_charged_the_rate_of_a_short_at_r_squared_over_p(schedule, rate, move):
    rulebook = with_schedule(rules(flat_ladder(min(2 * rate, 1), rate)), schedule)
    _, long = along(inverse_account(1e5), inverse_market(50_000), rulebook, np.array([move]))
    _, short = along(inverse_account(-1e5), inverse_market(50_000), rulebook, np.array([1 / move]))
    assert long == pytest.approx(short, rel=1e-9)


@given(
    schedules(),
    SIDES,
    RATES,
    st.floats(0.3, 3.0),
    st.floats(0.0, 0.05),
    st.floats(0.05, 0.5),
    st.floats(1.0, 2.0),
)
def test_inv_5_floor_and_cap_hold_and_initial_keeps_its_distance(
    schedule, side, rate, move, floor, cap, apart
):
    import msgspec

    bounded = msgspec.structs.replace(schedule, floor=floor, cap=cap, initial_over_maintenance=apart)
    rulebook = with_schedule(rules(flat_ladder(min(2 * rate, 1), rate)), bounded)
    pooled, charged = along(inverse_account(side * 1e5), inverse_market(50_000), rulebook, np.array([move]))
    assert floor - 1e-12 <= charged[0] <= cap + 1e-12
    assert pooled.initial[0, 0] >= apart * pooled.maintenance[0, 0] * (1 - 1e-12)


@given(schedules(), SIDES, RATES, st.booleans())
def test_inv_6_excess_keeps_one_sign_of_slope(schedule, side, rate, inverse):
    rulebook = with_schedule(rules(flat_ladder(min(2 * rate, 1), rate)), schedule)
    account, market = (
        (inverse_account(side * 1e5), inverse_market(50_000))
        if inverse
        else (linear_account(side * 2.0), linear_market(50_000))
    )
    factors = np.exp(np.linspace(-1.5, 1.5, 401))
    pooled, charged = along(account, market, rulebook, factors)
    if np.max(charged) < 1:
        slope = side * np.diff(pooled.margin_balance[:, 0] - pooled.maintenance[:, 0])
        assert np.all(slope > -1e-9)


@given(schedules(), SIDES, st.floats(0.005, 0.08), st.booleans(), st.floats(0.93, 1.07))
def test_inv_7_liquidation_is_nearer_iff_the_multiplier_there_is_above_one(
    schedule, side, rate, inverse, move
):
    flat = rules(flat_ladder(min(2 * rate, 1), rate))
    tiered = with_schedule(flat, schedule)
    account, market = (
        (inverse_account(side * 1e5), inverse_market(50_000 * move))
        if inverse
        else (linear_account(side * 2.0), linear_market(50_000 * move))
    )
    if any(assess(account, market, r).status == "liquidatable" for r in (flat, tiered)):
        return
    plain, charged = (liquidations(account, market, r)[0].bounds for r in (flat, tiered))
    if len(plain) != 1 or len(charged) != 1:
        return
    _, at_bound = along(account, market, tiered, np.array([charged[0].factor]))
    multiplier = at_bound[0] / rate
    distance = [abs(np.log(b[0].factor)) for b in (plain, charged)]
    if multiplier > 1 + 1e-6:
        assert distance[1] < distance[0] + 1e-9
    elif multiplier < 1 - 1e-6:
        assert distance[1] > distance[0] - 1e-9


@given(SIDES, st.lists(st.floats(0.7, 1.4), min_size=1, max_size=8), schedules(reference=Reference.RATCHET))
def test_inv_8_ratchet_depends_on_mark_and_best_only_and_is_entry_at_a_new_high(side, path, schedule):
    import msgspec

    best = 50_000 * (max if side > 0 else min)([1.0, *path])
    memory = Memory(underlying="BTC", at=AT, best_mark=best, side=int(side))
    account = replace(inverse_account(side * 1e5), memory=(memory,))
    entry = msgspec.structs.replace(schedule, reference=Reference.ENTRY)
    at_best = [
        assess(account, inverse_market(best), with_schedule(rules(), s)).pools[0].maintenance
        for s in (schedule, entry)
    ]
    assert at_best[0] == pytest.approx(at_best[1], rel=1e-12)
    below = best * (0.9 if side > 0 else 1.1)
    pulled = [
        assess(account, inverse_market(below), with_schedule(rules(), s)).pools[0].maintenance
        for s in (schedule, entry)
    ]
    assert pulled[0] >= pulled[1] * (1 - 1e-12)


@given(SIDES, RATES, st.floats(0.3, 3.0))
def test_inv_9_a_table_of_ones_is_the_flat_rule_bit_for_bit(side, rate, move):
    ones = Schedule(name="ones", code="TEST-ONES-001", knots=((-1.0, 1.0), (0.0, 1.0), (1.0, 1.0)))
    flat = rules(flat_ladder(min(2 * rate, 1), rate))
    account, market = inverse_account(side * 1e5), inverse_market(50_000 * move)
    with_ones, without = (assess(account, market, r).pools[0] for r in (with_schedule(flat, ones), flat))
    assert (with_ones.initial, with_ones.maintenance) == (without.initial, without.maintenance)


@given(schedules(), SIDES, st.floats(0.3, 3.0))
def test_inv_10_splitting_a_position_changes_nothing(schedule, side, move):
    rulebook, market = with_schedule(rules(), schedule), inverse_market(50_000 * move)
    twin = replace(market.instruments["BTCUSD"], symbol="TWIN")
    market = replace(
        market,
        instruments={**market.instruments, "TWIN": twin},
        quotes={**market.quotes, "TWIN": market.quotes["BTCUSD"]},
    )
    halves = tuple(Position(symbol=s, quantity=side * 5e4, entry=50_000) for s in ("BTCUSD", "TWIN"))
    split = Account(balances=(Balance(asset="BTC", amount=0.2),), positions=halves)
    whole, parts = (assess(a, market, rulebook).pools[0] for a in (inverse_account(side * 1e5), split))
    assert parts.maintenance == pytest.approx(whole.maintenance, rel=1e-12)


@given(schedules(), SIDES, st.floats(0.3, 3.0))
def test_the_tree_gives_back_every_number(schedule, side, move):
    assessment = assess(
        inverse_account(side * 1e5), inverse_market(50_000 * move), with_schedule(rules(), schedule)
    )
    for level in ("initial", "maintenance"):
        tree = assessment.explain(level)
        assert discrepancy(tree) < 1e-12
        assert tree.amount == pytest.approx(getattr(assessment.pools[0], level), rel=1e-12)


@pytest.mark.parametrize(
    ("knots", "said"),
    [
        (((0.1, 0.9), (0.0, 1.0)), "not above the one before"),
        (((-0.1, 0.9), (0.0, 1.0)), "rises with favourable movement"),
        (((-0.1, 1.2), (0.1, 0.9)), "has no knot (0, 1)"),
    ],
)
def test_a_table_that_is_not_monotone_is_refused(knots, said):
    with pytest.raises(InvalidInputError, match=said.replace("(", r"\(").replace(")", r"\)")):
        with_schedule(rules(), Schedule(name="bad", code="TEST-BAD-001", knots=knots))
