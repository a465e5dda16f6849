"""Margin ladders: published tables, boundaries, and many ladders at once."""

import numpy as np
import pytest

from margrave.kernels.ladder import (
    ladder_key,
    ladder_margin,
    ladder_margin_many,
    marginal_rate,
    progressive_deduction,
    segment,
)

# Spec "inverse margining" 1.2, size tiers in coin (amounts of a Binance COIN-M table of 2021; two of the four
# levels published, the rest inferred). The first published level carries a deduction of its own.
FLOOR = np.array([0.0, 50.0, 100.0, 200.0])
RATE = np.array([0.025, 0.05, 0.10, 0.125])
FLAT = np.zeros(4)
AMOUNT = np.array([0.56, 1.81, 6.81, 11.81])

# Spec "deribit" 2.1 (linear perpetual): initial 2 % + 0.005 % a coin, one segment.
SLOPE_ONLY = (np.array([0.0]), np.array([0.02]), np.array([0.00005]), np.array([0.0]))


@pytest.mark.parametrize(
    ("price", "size", "margin"),
    [
        # Spec 1.2: USD 10m notional; size to 4 digits there, exact here.
        (40_000, 250.0, 19.44),
        (50_000, 200.0, 13.19),
        (60_000, 10_000_000 / 60_000, 9.856666666666667),
        (75_000, 10_000_000 / 75_000, 6.523333333333333),
        (100_000, 100.0, 3.19),
        (120_000, 10_000_000 / 120_000, 2.3566666666666667),
    ],
)
def test_coin_tiers_of_ten_million_dollars(price, size, margin):
    assert size == 10_000_000 / price
    assert ladder_margin(FLOOR, RATE, FLAT, AMOUNT, np.array(size)) == pytest.approx(margin, rel=1e-12)


def test_deductions_are_the_published_amounts_above_the_first():
    assert progressive_deduction(FLOOR, RATE) == pytest.approx(AMOUNT - 0.56, rel=1e-12)


def test_a_single_bracket_has_no_deduction():
    assert progressive_deduction(np.array([0.0]), np.array([0.01])).tolist() == [0.0]


@pytest.mark.parametrize(
    ("size", "margin"),
    [(25.0, 0.53125), (350.0, 13.125)],  # spec "inverse margining", LM [I]: Deribit linear page
)
def test_size_slope(size, margin):
    assert ladder_margin(*SLOPE_ONLY, np.array(size)) == pytest.approx(margin, rel=1e-14)


@pytest.mark.parametrize(
    ("size", "tier"),
    [
        (0.0, 0),
        (49.999, 0),
        (50.0, 0),  # a boundary belongs to the tier below
        (np.nextafter(50.0, 51.0), 1),
        (100.0, 1),
        (200.0, 2),
        (200.1, 3),
        (1e12, 3),
        (np.inf, 3),
        (np.nan, 3),
    ],
)
def test_tier_of_a_size(size, tier):
    assert segment(FLOOR, np.array(size)) == tier
    assert segment(FLOOR, np.array([[size]])).tolist() == [[tier]]


def test_nan_gives_nan():
    sizes = np.array([1.0, np.nan])
    assert np.isnan(ladder_margin(FLOOR, RATE, FLAT, AMOUNT, sizes)).tolist() == [False, True]
    key = ladder_key(FLOOR, np.array([0, 4]))
    margin, _ = ladder_margin_many(key, RATE, FLAT, AMOUNT, np.zeros(2, dtype=np.int64), sizes)
    assert np.isnan(margin).tolist() == [False, True]


@pytest.mark.parametrize(("size", "rate"), [(0.0, 0.025), (50.0, 0.025), (50.1, 0.05), (1000.0, 0.125)])
def test_marginal_rate_of_brackets(size, rate):
    assert marginal_rate(FLOOR, RATE, FLAT, np.array(size)) == rate


def test_marginal_rate_of_a_slope_counts_twice():
    floor, rate, slope, _ = SLOPE_ONLY
    assert marginal_rate(floor, rate, slope, np.array(100.0)) == pytest.approx(0.03, rel=1e-14)


# --- many ladders ---

START = np.array([0, 4, 5, 8])
MANY_FLOOR = np.array([0.0, 50.0, 100.0, 200.0, 0.0, 0.0, 50.0, 60.0])
MANY_RATE = np.array([0.025, 0.05, 0.10, 0.125, 0.02, 0.01, 0.02, 0.03])
MANY_SLOPE = np.array([0.0, 0.0, 0.0, 0.0, 0.00005, 0.0, 0.0, 0.001])
MANY_DEDUCTION = np.array([0.56, 1.81, 6.81, 11.81, 0.0, 0.0, 0.5, 0.0])


def test_each_position_finds_its_own_ladder():
    key = ladder_key(MANY_FLOOR, START)
    ladder = np.array([0, 1, 2, 2, 0, 1, 2])
    size = np.array([0.0, 0.0, 0.0, 50.0, 250.0, 350.0, 100.0])
    margin, row = ladder_margin_many(key, MANY_RATE, MANY_SLOPE, MANY_DEDUCTION, ladder, size)
    assert row.tolist() == [0, 4, 5, 5, 3, 4, 7]
    assert margin == pytest.approx([-0.56, 0.0, 0.0, 0.5, 19.44, 13.125, 13.0], rel=1e-12)


def test_scenarios_have_one_row_each():
    key = ladder_key(MANY_FLOOR, START)
    ladder = np.array([0, 1, 2])
    size = np.array([[250.0, 25.0, 60.0], [50.0, 350.0, 60.5]])
    margin, row = ladder_margin_many(key, MANY_RATE, MANY_SLOPE, MANY_DEDUCTION, ladder, size)
    assert row.tolist() == [[3, 4, 6], [0, 4, 7]]
    for scenario in range(2):
        alone, _ = ladder_margin_many(key, MANY_RATE, MANY_SLOPE, MANY_DEDUCTION, ladder, size[scenario])
        assert np.array_equal(margin[scenario], alone)


def test_no_positions():
    key = ladder_key(MANY_FLOOR, START)
    none = np.empty(0, dtype=np.int64)
    margin, row = ladder_margin_many(key, MANY_RATE, MANY_SLOPE, MANY_DEDUCTION, none, np.empty((3, 0)))
    assert margin.shape == row.shape == (3, 0)


def test_no_ladders_have_an_empty_key():
    assert ladder_key(np.empty(0), np.array([0])).shape == (0,)


@pytest.mark.parametrize(
    ("floor", "start", "named"),
    [
        ([0.0, 1.0], [], "start"),
        ([0.0, 1.0], [1, 2], "start"),
        ([0.0, 1.0], [0, 1], "start"),
        ([0.0, 1.0], [0, 2, 2], "start"),
        ([0.0, 1.0], [0, 2, 1], "start"),
        ([1.0, 2.0], [0, 2], "floor"),
        ([0.0, 0.0], [0, 2], "floor"),
        ([0.0, 2.0, 1.0], [0, 3], "floor"),
        ([0.0, np.nan], [0, 2], "floor"),
        ([np.nan, 1.0], [0, 2], "floor"),
        ([0.0, 1.0, 0.5, 2.0], [0, 2, 4], "floor"),
    ],
)
def test_a_malformed_stack_is_refused(floor, start, named):
    with pytest.raises(ValueError, match=f"^{named} must"):
        ladder_key(np.array(floor), np.array(start, dtype=np.int64))


def test_the_key_leaves_the_floors_alone():
    floor = MANY_FLOOR.copy()
    ladder_key(floor, START)
    assert np.array_equal(floor, MANY_FLOOR)
