"""The one place that rounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.core.rounding import Direction, Step, round_all, round_to


@pytest.mark.parametrize(
    ("amount", "step", "direction", "expected"),
    [
        (5739.0835, 0.5, Direction.UP, 5739.5),  # Bybit's published liquidation price, tick 0.5
        (5739.500000000001, 0.5, Direction.UP, 5739.5),  # a rounding error is no reason to jump a step
        (0.000243939, 1e-8, Direction.TRUNCATE, 0.00024393),  # Binance cuts coins
        (-0.00000163901, 1e-8, Direction.TRUNCATE, -0.00000163),
        (0.285, 0.01, Direction.NEAREST, 0.29),
        (0.285, 0.01, Direction.HALF_EVEN, 0.28),
        (-0.281, 0.01, Direction.AWAY, -0.29),
        (-0.281, 0.01, Direction.DOWN, -0.29),
        (-0.281, 0.01, Direction.UP, -0.28),
        (1.0, 0.3, Direction.DOWN, 0.9),
    ],
)
def test_amounts_move_onto_the_grid(amount, step, direction, expected):
    assert round_to(amount, Step(step, direction)) == expected
    assert round_all(np.array([amount]), Step(step, direction))[0] == expected


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20),
    st.sampled_from([1e-9, 1e-8, 0.01, 0.5, 0.3, 1.0]),
    st.sampled_from(list(Direction)),
)
def test_an_array_is_rounded_as_its_elements(amounts, step, direction):
    rule = Step(step, direction)
    expected = [round_to(a, rule) for a in amounts]
    assert round_all(np.array(amounts), rule).tolist() == pytest.approx(expected, rel=1e-15, abs=0)


def test_what_is_not_a_number_stays_and_no_rule_is_no_change():
    amounts = np.array([np.nan, np.inf, 1.26])
    assert round_all(amounts, None) is amounts
    assert round_all(amounts, Step(0.1, Direction.DOWN)).tolist()[1:] == [np.inf, 1.2]


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan"), float("inf")])
def test_a_step_that_is_none_is_refused(step):
    with pytest.raises(ValueError, match="step is"):
        Step(step, Direction.UP)


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("step", [1e-9, 1e-8, 1e-2, 0.5, 1.0])
def test_amounts_beside_steps_and_middles_move_together_as_they_move_alone(step, direction):
    rule, drawn = Step(step, direction), np.random.default_rng(5)
    for scale in (1e-3, 1.0, 150.0, 1e6):
        halves = np.rint(drawn.uniform(-scale, scale, 60) / step * 2.0) * 0.5 * step
        away = np.concatenate(
            [halves * (1.0 + k) for k in (0.0, 1e-16, 3e-16, 1e-15, 6e-15, 2e-14, 3e-14, 1e-13)]
        )
        amounts = np.concatenate(
            [away, 2.0 * halves - away[-60:], np.nextafter(halves, np.inf), np.nextafter(halves, -np.inf)]
        )
        alone = [round_to(float(amount), rule) for amount in amounts]
        np.testing.assert_array_equal(round_all(amounts, rule), alone)


@given(
    st.integers(-(10**15), 10**15),
    st.integers(-40, 40),
    st.sampled_from((1e-9, 1e-8, 1e-6, 0.01, 0.5, 0.25, 0.0025, 0.125, 1.0, 1 / 3, 0.3, 100.0)),
    st.sampled_from(list(Direction)),
)
def test_a_few_last_digits_about_half_a_step_move_as_they_move_alone(halves, digits, step, direction):
    amount, rule = 0.5 * halves * step * (1.0 + digits * 1.1e-16), Step(step, direction)
    assert round_all(np.array([amount]), rule).tolist() == [round_to(amount, rule)]


@given(st.integers(0, 2**32 - 1), st.sampled_from(list(Direction)), st.sampled_from((1e-8, 1e-6, 1e-4)))
def test_ticks_of_lots_move_as_they_move_alone(seed, direction, step):
    dice = np.random.default_rng(seed)
    lots, ticks = 0.001 * dice.integers(1, 5_000, 50), 0.1 * dice.integers(100, 1_000_000, 50)
    amounts, rule = lots * ticks * dice.choice((0.004, 0.01, 0.125)), Step(step, direction)
    assert round_all(amounts, rule).tolist() == [round_to(amount, rule) for amount in amounts.tolist()]


def test_nothing_is_nothing_on_a_wide_grid():
    assert round_all(np.array([0.0, 149.0, np.nan]), Step(100.0, Direction.NEAREST)).tolist()[:2] == [
        0.0,
        100.0,
    ]
