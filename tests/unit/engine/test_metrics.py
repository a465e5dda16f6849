"""Metrics of consequence: the figures of the inverse-margining specification, sections 4.1 and 4.2."""

from math import exp

import numpy as np
import pytest

from margrave.engine.analysis.metrics import (
    call_after,
    call_convexity,
    consequences,
    distance_in_sigma,
    excess_after,
    jump_through_probability,
    pyramid,
    time_to_liquidation,
    touch_probability,
    velocity,
)
from margrave.rulebook.reform import with_schedule
from tests.unit.made import T1, inverse_account, inverse_market, rules

TIERED = with_schedule(rules(), T1)


@pytest.mark.parametrize(("x", "elasticity"), [(-0.0726, -5.492), (-0.03, -4.571), (0.03, -3.128)])
def test_elasticity_of_the_requirement(x, elasticity):
    (told,) = consequences(inverse_account(), inverse_market(50_000 * exp(x)), TIERED, "BTC")
    assert told.elasticity == pytest.approx(elasticity, abs=6e-4)
    (flat,) = consequences(inverse_account(), inverse_market(50_000 * exp(x)), rules(), "BTC")
    assert flat.elasticity == pytest.approx(-1.0, abs=1e-6)


# Section 1.3: steepness ratio against a flat schedule, long and short.
STEEPNESS = [
    (45_000, 1e5, 1.26318),
    (46_500, 1e5, 1.30169),
    (48_000, 1e5, 1.19825),
    (52_500, 1e5, 1.09059),
    (62_500, 1e5, 0.98095),
    (45_000, -1e5, 1.11635),
    (49_000, -1e5, 1.10739),
    (52_000, -1e5, 1.20227),
    (55_000, -1e5, 1.29095),
]


@pytest.mark.parametrize(("mark", "quantity", "ratio"), STEEPNESS)
def test_steepness_ratio(mark, quantity, ratio):
    (told,) = consequences(inverse_account(quantity), inverse_market(mark), TIERED, "BTC")
    assert told.steepness == pytest.approx(ratio, abs=6e-6)


@pytest.mark.parametrize(
    ("shock", "flat", "tiered"),
    [
        (-0.03, 0.03505155, 0.02249105),
        (-0.04, 0.0125, -0.00450916),
        (-0.06, -0.03404255, -0.06289919),
        (-0.10, -0.13333333, -0.19186695),
    ],
)
def test_excess_and_call_after_a_shock(shock, flat, tiered):
    for rulebook, excess in ((rules(), flat), (TIERED, tiered)):
        arguments = (inverse_account(), inverse_market(50_000), rulebook, "BTC", np.array([shock]))
        assert excess_after(*arguments)[0, 0] == pytest.approx(excess, abs=6e-9)
        assert call_after(*arguments)[0, 0] == pytest.approx(max(-excess, 0), abs=6e-9)


def test_call_accelerates_where_it_begins():
    assert call_convexity(inverse_account(), inverse_market(50_000), TIERED, "BTC", -0.04)[0] > 0


@pytest.mark.parametrize(
    ("liquidation", "sigma", "touched"), [(47_727.272727, 1.11095, 0.26659), (48_082.72722, 0.93376, 0.35043)]
)
def test_distance_in_sigma_and_touch_probability(liquidation, sigma, touched):
    distance = distance_in_sigma(50_000, liquidation, 0.80)
    assert distance == pytest.approx(sigma, abs=6e-6)
    assert touch_probability(distance) == pytest.approx(touched, abs=6e-6)


@pytest.mark.parametrize(
    ("rate", "vol", "chance", "within"),
    [
        (0.005, 0.8, 0.5595, 6e-5),
        (0.02, 0.8, 0.02052, 6e-6),
        (0.05, 0.8, 1.14e-8, 6e-11),
        (0.05, 2.0, 0.02242, 2e-4),
        (0.067, 2.0, 0.00241, 6e-5),
    ],
)
def test_jump_through_the_band(rate, vol, chance, within):
    assert jump_through_probability(rate, vol, 1.0) == pytest.approx(chance, abs=within)
    assert jump_through_probability(rate, vol, 1.0, side=-1) < jump_through_probability(rate, vol, 1.0)


# Section 4.2: released margin of N = 100k against the flat schedule at the same price.
@pytest.mark.parametrize(
    ("mark", "released"), [(52_500, 0.01858673), (55_000, 0.03465825), (60_000, 0.06077385)]
)
def test_released_margin(mark, released):
    (told,) = consequences(inverse_account(), inverse_market(mark), TIERED, "BTC")
    assert told.released_initial == pytest.approx(released, abs=6e-9)
    assert told.dollars == mark
    assert told.idle == pytest.approx(
        0.2 + 100_000 * (1 / 50_000 - 1 / mark) - 100_000 / mark / told.leverage_available
    )
    assert told.utilisation < 1 < told.leverage_used


def test_pyramiding_reaches_more_with_a_nearer_liquidation():
    # 0.2 coin, start 100k at 50k, 20 steps of +1 %: the multiplier of the two exposures is 1.4135.
    flat = pyramid(inverse_account(), inverse_market(50_000), rules(), 20, 0.01)
    tiered = pyramid(inverse_account(), inverse_market(50_000), TIERED, 20, 0.01)
    assert flat.price == pytest.approx(61_009.50, abs=0.005)
    assert flat.quantity == pytest.approx(806_231.15, abs=0.01)
    assert flat.equity == pytest.approx(1.32148457, abs=1e-8)
    assert flat.entry == pytest.approx(56_236.93, abs=0.01)
    assert flat.liquidation_distance == pytest.approx(-0.045455, abs=6e-7)
    assert tiered.quantity == pytest.approx(1_139_632.47, abs=0.01)
    assert tiered.equity == pytest.approx(1.59827602, abs=1e-8)
    assert tiered.entry == pytest.approx(56_760.64, abs=0.01)
    assert tiered.liquidation_distance == pytest.approx(-0.036030, abs=1e-6)
    assert tiered.quantity / flat.quantity == pytest.approx(1.4135, abs=6e-5)
    assert tiered.liquidation_distance > flat.liquidation_distance


def test_velocity_and_time_to_liquidation():
    speed = velocity(50_000, 49_500, 0.5)
    assert speed == pytest.approx(-0.0201007, abs=1e-7)
    assert time_to_liquidation(49_500, 48_000, speed) == pytest.approx(1.5308, abs=1e-4)
    assert time_to_liquidation(49_500, 51_000, speed) == float("inf")
