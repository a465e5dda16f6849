"""Cascades: every figure of section 4.3 of the inverse-margining specification, and closed forms of the research."""

import numpy as np
import pytest

from margrave.engine.measures.cascade import (
    Impact,
    cascade,
    cascade_index,
    contagion,
    fire_sale,
    linear_cascade,
    shortfall,
)
from margrave.engine.measures.density import acceleration_index, branching_ratio, heatmap
from margrave.liquidation import liquidations
from margrave.rulebook.reform import with_schedule
from tests.unit import made

ENTRY, NOTIONAL, LEVERAGES = 50_000.0, 20e6, (3, 5, 8, 10, 12, 15, 20, 25)
IMPACT = Impact(0.05, 100e6)
FLAT = made.rules(made.flat_ladder(0.02, 0.02))
RULES = {"flat": FLAT, "T1": with_schedule(FLAT, made.T1)}


def bounds(payoff: str, schedule: str):
    """Where the engine liquidates each cohort, and where it is bankrupt."""
    found = []
    for leverage in LEVERAGES:
        if payoff == "inverse":
            account = made.inverse_account(NOTIONAL, ENTRY, NOTIONAL / ENTRY / leverage)
            market = made.inverse_market(ENTRY)
        else:
            account = made.linear_account(NOTIONAL / ENTRY, ENTRY, NOTIONAL / leverage)
            market = made.linear_market(ENTRY)
        (pool,) = liquidations(account, market, RULES[schedule])
        found.append((pool.bounds[0].exact, pool.bankruptcy[0].exact))
    return np.array(found).T


HELD = np.full(len(LEVERAGES), NOTIONAL)
COHORTS = {
    ("linear", "flat"): [34013.61, 40816.33, 44642.86, 45918.37, 46768.71, 47619.05, 48469.39, 48979.59],
    ("linear", "T1"): [34722.22, 41597.29, 45116.05, 46263.90, 47025.86, 47795.02, 48583.38, 49055.93],
    ("inverse", "flat"): [38250.00, 42500.00, 45333.33, 46363.64, 47076.92, 47812.50, 48571.43, 49038.46],
    ("inverse", "T1"): [39000.00, 43117.10, 45721.53, 46650.90, 47292.90, 47968.08, 48673.83, 49107.72],
}


@pytest.mark.parametrize("book", COHORTS)
def test_where_the_cohorts_are_liquidated(book):
    assert bounds(*book)[0] == pytest.approx(COHORTS[book], abs=5.1e-3)


# Shock, then price at the end, USD millions liquidated, and amplification of each book.
TABLE = [
    (-0.015, (49250.00, 0, 1.000), (49250.00, 0, 1.000), (49250.00, 0, 1.000), (49250.00, 0, 1.000)),
    (-0.02, (49000.00, 0, 1.000), (48029.73, 40, 1.990), (48029.73, 40, 1.990), (48029.73, 40, 1.990)),
    (-0.025, (47784.69, 40, 1.790), (47309.22, 60, 2.185), (47309.22, 60, 2.185), (47309.22, 60, 2.185)),
    (-0.03, (47066.61, 60, 1.985), (47066.61, 60, 1.985), (46598.29, 80, 2.313), (46134.63, 100, 2.642)),
    (-0.04, (46117.89, 80, 1.980), (45659.01, 100, 2.225), (45659.01, 100, 2.225), (45204.70, 120, 2.470)),
    (-0.05, (45183.40, 100, 1.975), (45183.40, 100, 1.975), (44733.82, 120, 2.170), (44733.82, 120, 2.170)),
]


@pytest.mark.parametrize("row", TABLE)
def test_where_a_shock_ends(row):
    for book, (final, millions, amplification) in zip(COHORTS, row[1:], strict=True):
        found = cascade(bounds(*book)[0], HELD, ENTRY, row[0], IMPACT)
        assert round(found.final, 2) == final, book
        assert found.volume == pytest.approx(1e6 * millions), book
        assert round(found.amplification, 3) == amplification, book


def test_liquidations_in_turn():
    # linear T1 at -2 %: 49,000 takes the cohort of 25, its sale that of 20, and there it stops.
    place = bounds("linear", "T1")[0]
    found = cascade(place, HELD, ENTRY, -0.02, IMPACT)
    assert found.price == pytest.approx([49_000, 49_000 * np.exp(-0.01), 49_000 * np.exp(-0.02)])
    assert found.liquidated.tolist() == [20e6, 40e6]
    assert found.round_of(place, HELD).tolist() == [-1, -1, -1, -1, -1, -1, 1, 0]
    filled = found.filled_at(place, HELD)
    assert np.isnan(filled[:6]).all()
    assert filled[6:] == pytest.approx([found.price[2], found.price[1]])


@pytest.mark.parametrize("payoff", ["linear", "inverse"])
def test_a_schedule_trades_nearer_triggers_for_a_wider_band(payoff):
    # Finding 5: under T1 more is liquidated, and less of each lies beyond bankruptcy.
    flat, tiered = bounds(payoff, "flat"), bounds(payoff, "T1")
    assert (tiered[0] > flat[0]).all()
    assert tiered[1] == pytest.approx(flat[1])
    a, c = (0.0, 1.0) if payoff == "inverse" else (1.0 / ENTRY, 0.0)
    lost = []
    for place, bust in (flat, tiered):
        filled = np.full(len(HELD), 0.965 * place)  # a gap through the band of 2 %
        lost.append(shortfall(HELD, np.full(8, a), np.full(8, c), bust, filled))
    assert (lost[1] <= lost[0]).all()
    assert lost[1].sum() < lost[0].sum()


def test_shortfall_by_hand():
    # 2 long linear at bankruptcy 45,000 filled at 44,000; 100k inverse long and short through 45,454.55 and 55,555.56.
    quantity, a, c = np.array([2.0, 1e5, -1e5, 2.0]), np.array([1.0, 0, 0, 1.0]), np.array([0.0, 1.0, 1.0, 0])
    bust = np.array([45_000.0, 50_000 / 1.1, 50_000 / 0.9, 45_000.0])
    found = shortfall(quantity, a, c, bust, np.array([44_000.0, 45_000.0, 56_000.0, np.nan]))
    expected = [2_000.0, 1e5 / 45_000 - 2.2, 1.8 - 1e5 / 56_000, 0.0]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(("per_cent", "ratio"), [(5, 0.25), (10, 0.5), (15, 0.75), (19, 0.95), (20, 1.0)])
def test_branching_ratios(per_cent, ratio):
    assert branching_ratio(per_cent * 1e6 * 100, 0.05 / 100e6) == pytest.approx(ratio)


def test_acceleration_index_of_a_schedule():
    # Between 46,000 and 49,500 the flat linear book has four cohorts of 20 million, T1 five: nearer triggers.
    edges = np.array([46_000.0, 49_500.0])
    dense = {s: heatmap(bounds("linear", s)[0], HELD, edges).density[0] for s in RULES}
    index = acceleration_index(branching_ratio(dense["T1"], 5e-10), branching_ratio(dense["flat"], 5e-10))
    assert index == pytest.approx(5 / 4)


def test_cascade_index_is_the_worst_over_shocks():
    place = bounds("inverse", "T1")[0]
    shocks = [-s for s in (0.015, 0.02, 0.025, 0.03, 0.04, 0.05)]
    found = cascade_index(place, HELD, ENTRY, IMPACT, shocks)
    assert (round(found.value, 3), found.shock) == (2.642, -0.03)


def test_a_rise_buys_back_shorts_and_leaves_longs():
    place, held = np.array([101.0, 103.0, np.nan, 99.0]), np.array([-10.0, -10.0, -10.0, 10.0])
    found = cascade(place, held, 100.0, 0.015, Impact(0.02, 10.0))
    assert found.liquidated.tolist() == [10.0, 20.0]
    assert found.final == pytest.approx(101.5 * np.exp(0.04))
    assert found.round_of(place, held).tolist() == [0, 1, -1, -1]


def test_square_root_impact():
    found = cascade(np.array([99.0]), np.array([25.0]), 100.0, -0.02, Impact(0.1, 100.0, 0.5))
    assert found.final == pytest.approx(98.0 * np.exp(-0.05))


@pytest.mark.parametrize("shock", [-1.0, 0.0, float("nan"), float("inf")])
def test_a_shock_that_is_none_is_refused(shock):
    with pytest.raises(ValueError, match="shock"):
        cascade(np.array([99.0]), np.array([1.0]), 100.0, shock, IMPACT)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: Impact(0.05, 0.0), "depth"),
        (lambda: Impact(-0.05, 1.0), "coefficient"),
        (lambda: cascade(np.array([99.0]), np.array([np.nan]), 100.0, -0.1, IMPACT), "notional"),
        (lambda: cascade_index(np.array([99.0]), np.array([1.0]), 100.0, IMPACT, []), "shocks"),
        (lambda: contagion(np.ones((2, 3)), 1.0), "square"),
        (lambda: fire_sale(np.array([-1.0]), np.array([1.0]), 0.1, 0.1), "assets"),
    ],
)
def test_a_bad_number_is_refused_by_name(call, match):
    with pytest.raises(ValueError, match=match):
        call()


# --- closed forms: reference.json, cascade_linear ---


@pytest.mark.parametrize(
    ("density", "gain", "rounds", "limit"),
    [(30.0, 0.6, [2.0, 3.2, 3.92, 4.352, 4.6112], 5.0), (45.0, 0.9, [2.0, 3.8, 5.42, 6.878, 8.1902], 20.0)],
)
def test_a_uniform_book(density, gain, rounds, limit):
    found = linear_cascade(2.0, 0.02, density, 5)
    assert found.gain == pytest.approx(gain)
    assert found.rounds == pytest.approx(rounds)
    assert found.limit == pytest.approx(limit)


def test_a_gain_of_one_never_ends():
    assert linear_cascade(2.0, 0.02, 50.0, 3).limit == np.inf
    assert linear_cascade(-2.0, 0.02, 60.0, 3).limit == -np.inf
    assert linear_cascade(0.0, 0.02, 50.0, 3).limit == 0.0


def test_the_map_comes_to_the_closed_form():
    # 20,000 small longs, evenly spread in log price: gain 0.6, a shock of 2 % ends at 2 / (1 - 0.6) per cent.
    depths = np.linspace(0.0, 0.20, 20_001)[1:]
    place, held = 100.0 * np.exp(-depths), np.full(20_000, 0.2 / 20_000)
    found = cascade(place, held, 100.0, np.expm1(-0.02), Impact(0.6, 1.0))
    assert np.log(found.final / 100.0) == pytest.approx(-0.05, rel=1e-3)
    assert found.amplification == pytest.approx(1 / (1 - 0.6), rel=1e-3)


def test_forced_sales_of_leveraged_holders():
    found = fire_sale(np.array([100.0, 50.0]), np.array([9.0, 4.0]), 0.01, 0.0004)
    assert found.sales == pytest.approx([9.0, 2.0])
    assert found.price_fall == pytest.approx(0.0044)
    assert found.second_loss == pytest.approx([0.44, 0.22])


# --- several assets ---


def test_contagion_of_one_asset_is_its_branching_ratio():
    found = contagion(np.array([[1_000e6]]), 0.05 / 100e6)
    assert found.reproduction == pytest.approx(0.5)
    assert found.total(np.array([-0.02])) == pytest.approx([-0.04])


def test_a_shock_to_one_asset_moves_the_other_through_shared_accounts():
    found = contagion(np.array([[2.0, 0.0], [4.0, 1.0]]), np.array([0.1, 0.05]))
    assert found.gain == pytest.approx(np.array([[0.2, 0.0], [0.2, 0.05]]))
    assert found.total(np.array([-0.08, 0.0])) == pytest.approx([-0.1, -0.02 / 0.95])
    runaway = contagion(np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), 1.0)
    assert runaway.reproduction == pytest.approx(1.0)
    assert runaway.total(np.array([-0.01, 0.0, 0.0])).tolist() == [-np.inf, -np.inf, 0.0]
