"""Multipliers and their slopes: the example schedule T1, the three interpolations, faulty tables."""

import numpy as np
import pytest

from margrave.kernels.schedule import (
    log_excursion,
    multiplier_linear,
    multiplier_pchip,
    multiplier_step,
    slope_linear,
    slope_pchip,
    slope_step,
    validate_table,
)

# Spec "inverse margining" 1.3, default example schedule T1.
T1_X = np.array([-0.20, -0.10, -0.05, 0.0, 0.05, 0.10, 0.20])
T1_G = np.array([2.00, 1.50, 1.20, 1.00, 0.90, 0.80, 0.60])

MULTIPLIERS = [multiplier_linear, multiplier_pchip, multiplier_step]
SLOPES = [slope_linear, slope_pchip, slope_step]

# Spec 1.3, worked example (inverse contract, 100,000 dollars from 50,000, base maintenance rate 5 %):
# price, g, maintenance rate in per cent, maintenance margin in coin.
LONG = [
    (45_000, 1.526803, 7.63401, 0.16964473),
    (46_500, 1.335424, 6.67712, 0.14359400),
    (47_500, 1.207760, 6.03880, 0.12713261),
    (48_000, 1.163288, 5.81644, 0.12117583),
    (49_000, 1.080811, 5.40405, 0.11028682),
    (50_000, 1.000000, 5.00000, 0.10000000),
    (52_500, 0.902420, 4.51210, 0.08594473),
    (55_000, 0.809380, 4.04690, 0.07357997),
    (60_000, 0.635357, 3.17678, 0.05294641),
    (62_500, 0.600000, 3.00000, 0.04800000),
]
LONG_INITIAL = [15.26803, 13.35424, 12.07760, 11.63288, 10.80811, 10.0, 9.02420, 8.09380, 6.35357, 6.0]
SHORT = [
    (45_000, 0.789279, 3.94639, 0.08769766),
    (47_500, 0.897413, 4.48707, 0.09446457),
    (49_000, 0.959595, 4.79797, 0.09791781),
    (50_000, 1.000000, 5.00000, 0.10000000),
    (51_000, 1.079211, 5.39605, 0.10580495),
    (52_000, 1.156883, 5.78441, 0.11123874),
    (52_500, 1.195161, 5.97580, 0.11382482),
    (55_000, 1.471861, 7.35931, 0.13380555),
]


@pytest.mark.parametrize(
    ("side", "row"),
    [(1.0, row) for row in LONG] + [(-1.0, row) for row in SHORT],
    ids=[f"long {row[0]}" for row in LONG] + [f"short {row[0]}" for row in SHORT],
)
def test_worked_example(side, row):
    price, g, rate, margin = row
    multiplier = multiplier_linear(T1_X, T1_G, log_excursion(side, price, 50_000.0))
    assert multiplier == pytest.approx(g, abs=5.1e-7)
    assert 5.0 * multiplier == pytest.approx(rate, abs=5.1e-6)
    assert 0.05 * multiplier * 100_000 / price == pytest.approx(margin, abs=5.1e-9)


def test_initial_rates_of_the_worked_example():
    x = log_excursion(1.0, np.array([row[0] for row in LONG], dtype=float), 50_000.0)
    assert 10.0 * multiplier_linear(T1_X, T1_G, x) == pytest.approx(LONG_INITIAL, abs=5.1e-6)


@pytest.mark.parametrize(
    ("side", "price", "ratio"),
    [
        # Spec 1.3, column SR: (1 + ρ - ρ')/(1 + r) long, (1 - ρ - ρ')/(1 - r) short; ρ = 5 % × g. On a knot
        # the spec takes the right-hand slope for a long and, x falling, for a short alike.
        (1.0, 45_000, 1.26318),
        (1.0, 46_500, 1.30169),
        (1.0, 48_000, 1.19825),
        (1.0, 50_000, 1.09524),
        (1.0, 60_000, 1.07787),
        (1.0, 62_500, 0.98095),
        (-1.0, 45_000, 1.11635),
        (-1.0, 50_000, 1.10526),
        (-1.0, 52_000, 1.20227),
        (-1.0, 55_000, 1.29095),
    ],
)
def test_steepness_ratio_needs_the_slope(side, price, ratio):
    x = log_excursion(side, price, 50_000.0)
    rho, slope = 0.05 * multiplier_linear(T1_X, T1_G, x), 0.05 * slope_linear(T1_X, T1_G, x)
    assert (1.0 + side * rho - slope) / (1.0 + side * 0.05) == pytest.approx(ratio, abs=5.1e-6)


@pytest.mark.parametrize("multiplier", MULTIPLIERS)
def test_knots_are_met_exactly(multiplier):
    assert multiplier(T1_X, T1_G, T1_X).tolist() == T1_G.tolist()
    assert multiplier(T1_X, T1_G, np.array(0.0)) == 1.0


@pytest.mark.parametrize("x", [-np.inf, -1e308, -0.2000001, 0.2000001, 1e308, np.inf])
@pytest.mark.parametrize("multiplier", MULTIPLIERS)
def test_constant_outside_the_knots(multiplier, x):
    assert multiplier(T1_X, T1_G, np.array([x])).tolist() == [2.0 if x < 0.0 else 0.6]


@pytest.mark.parametrize("x", [-np.inf, -1e308, -0.2000001, 0.2, 0.2000001, 1e308, np.inf])
@pytest.mark.parametrize("slope", SLOPES)
def test_flat_outside_the_knots(slope, x):
    assert slope(T1_X, T1_G, np.array([x])).tolist() == [0.0]


@pytest.mark.parametrize("function", MULTIPLIERS + SLOPES)
def test_nan_gives_nan(function):
    result = function(T1_X, T1_G, np.array([0.0, np.nan, 0.3]))
    assert np.isnan(result).tolist() == [False, True, False]


@pytest.mark.parametrize("function", MULTIPLIERS + SLOPES)
@pytest.mark.parametrize("shape", [(), (0,), (4,), (2, 3)])
def test_shape_is_kept(function, shape):
    result = function(T1_X, T1_G, np.full(shape, 0.03))
    assert isinstance(result, np.ndarray)
    assert result.shape == shape


@pytest.mark.parametrize(
    ("x", "slope"),
    [(-0.2, -5.0), (-0.15, -5.0), (-0.07, -6.0), (-0.05, -4.0), (-0.01, -4.0), (0.0, -2.0), (0.15, -2.0)],
)
def test_linear_slope_is_that_to_the_right(x, slope):
    assert slope_linear(T1_X, T1_G, np.array(x)) == pytest.approx(slope, rel=1e-12)


@pytest.mark.parametrize(
    ("x", "g"),
    [
        (-0.10000001, 2.0),
        (-0.10, 1.5),
        (-0.05000001, 1.5),
        (-0.00000001, 1.2),
        (0.0, 1.0),
        (0.04999999, 1.0),
        (0.05, 0.9),
    ],
)
def test_step_relief_waits_for_the_knot(x, g):
    assert multiplier_step(T1_X, T1_G, np.array(x)) == g


def test_two_knots_are_a_straight_line():
    x, g = np.array([-0.1, 0.1]), np.array([1.2, 0.8])
    at = np.linspace(-0.15, 0.15, 31)
    assert multiplier_pchip(x, g, at) == pytest.approx(multiplier_linear(x, g, at), rel=1e-14)
    assert slope_pchip(x, g, at) == pytest.approx(slope_linear(x, g, at), rel=1e-12)


def test_a_flat_table_changes_nothing():
    # INV-9: with every multiplier 1 the flat results come out bit for bit.
    x = np.linspace(-0.5, 0.5, 101)
    for multiplier, slope in zip(MULTIPLIERS, SLOPES, strict=True):
        assert np.all(multiplier(T1_X, np.ones(7), x) == 1.0)
        assert np.all(slope(T1_X, np.ones(7), x) == 0.0)


def test_the_pchip_end_slope_does_not_overshoot():
    # The first chord is flat next to a steep one, then the other way: slopes cut to 0 and to three chords.
    x = np.array([-0.2, 0.0, 0.01, 0.02, 0.3])
    g = np.array([1.01, 1.0, 0.5, 0.5, 0.4])
    at = np.linspace(-0.2, 0.3, 5001)
    assert np.all(np.diff(multiplier_pchip(x, g, at)) <= 1e-15)


# --- tables ---


@pytest.mark.parametrize("multiplier", MULTIPLIERS)
def test_t1_is_a_good_table(multiplier):
    assert validate_table(T1_X, T1_G, multiplier) == []


FAULTY = [
    ([0.0], [1.0], ["two lists of one length"]),
    ([0.0, 1.0], [1.0], ["two lists of one length"]),
    ([[0.0, 1.0]], [[1.0, 0.9]], ["two lists of one length"]),
    ([0.0, np.nan], [1.0, 0.9], ["finite"]),
    ([0.0, 0.1], [1.0, np.inf], ["finite"]),
    ([0.0, 0.1], [1.0, 0.0], ["must be > 0, got 0.0"]),
    ([0.0, 0.1, 0.2], [1.0, 0.8, 0.9], ["must not increase, got 0.8 then 0.9"]),
    ([0.0, 0.1, 0.1], [1.0, 0.9, 0.8], ["must ascend, got 0.1 then 0.1"]),
    ([0.0, 0.2, 0.1], [1.0, -0.9, 0.8], ["must be > 0", "must not increase", "must ascend"]),
    ([-0.1, 0.1], [1.2, 0.9], ["at excursion 0 must be 1, got 1.05"]),
    ([0.1, 0.2], [0.9, 0.8], ["at excursion 0 must be 1, got 0.9"]),
]


@pytest.mark.parametrize(("knots_x", "knots_g", "messages"), FAULTY)
def test_a_faulty_table_says_why(knots_x, knots_g, messages):
    faults = validate_table(np.array(knots_x), np.array(knots_g), multiplier_linear)
    assert len(faults) == len(messages)
    for fault, message in zip(faults, messages, strict=True):
        assert message in fault


def test_the_anchor_depends_on_the_interpolation():
    # On a straight line the multiplier at 0 is 1; the last knot reached says 1.1.
    x, g = np.array([-0.1, 0.1]), np.array([1.1, 0.9])
    assert validate_table(x, g, multiplier_linear) == []
    assert validate_table(x, g, multiplier_step) == ["the multiplier at excursion 0 must be 1, got 1.1"]
