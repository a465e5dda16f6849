"""Dynamic margin: factors, tools against procyclicality, and when a new rate takes effect (spec DM, RBF-6)."""

import numpy as np
import pytest

from margrave.kernels.dynamic_rate import (
    Cadence,
    Reading,
    Standing,
    blended,
    buffered,
    crowded,
    crowding,
    decided,
    floored,
    liquidity_multiplier,
    rates,
    speed_limited,
    vol_multiplier,
)

NAN = float("nan")
MODEL = np.array([80.0, 100.0, 120.0, 125.0, 150.0])  # reference.json, procyclicality.apc_tools


def test_the_larger_window_decides_within_bounds():
    found = vol_multiplier(np.array([0.4, 0.9, 9.0, 0.1]), np.array([0.6, 0.6, 0.6, 0.1]), 0.6, 0.8, 3.0)
    assert found == pytest.approx([1.0, 1.5, 3.0, 0.8])


@pytest.mark.parametrize(
    ("spread", "depth", "days", "factor"),
    [
        (1.0, 1.0, 1.0, 1.0),
        (2.0, 1.0, 1.0, 2.0),  # a wider spread asks for more
        (1.0, 0.4, 1.0, 2.5),  # so does a thinner book
        (1.0, 0.0, 1.0, 4.0),  # an empty one asks for the most
        (1.0, 2.0, 3.0, 3.0),  # and a position that takes long to close
        (0.2, 9.0, 0.1, 0.5),
    ],
)
def test_the_worst_sign_of_a_thin_market_decides(spread, depth, days, factor):
    assert liquidity_multiplier(spread, depth, days, 0.5, 4.0) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("base", "lower", "upper", "outstanding", "rate"),
    [
        # reference.json, dydx_v4_oimf
        (0.2, 0.0, 0.0, 1.5e12, 0.2),
        (0.2, 1e12, 2e12, 1.5e12, 0.6),
        (0.2, 25e12, 50e12, 80e12, 1.0),
        (0.2, 25e12, 50e12, 25e12, 0.2),
        (0.2, 25e12, 60e12, 28_123_456_789_123, 0.271393298),
        (0.2, 1e12, 1e12, 1e12 + 1e4, 1.0),  # bounds that meet are a step
    ],
)
def test_a_crowded_market_takes_the_rate_to_one(base, lower, upper, outstanding, rate):
    assert crowded(base, crowding(outstanding, lower, upper)) == pytest.approx(rate, rel=1e-8)
    assert np.isnan(crowding(NAN, lower, upper))


@pytest.mark.parametrize(
    ("tool", "asked"),
    [
        (lambda: buffered(MODEL, 100.0, 0.25), [100.0, 125.0, 125.0, 125.0, 150.0]),
        (lambda: blended(MODEL, 200.0, 0.25), [110.0, 125.0, 140.0, 143.75, 162.5]),
        (lambda: floored(MODEL, 95.0), [95.0, 100.0, 120.0, 125.0, 150.0]),
        (lambda: speed_limited(MODEL, 0.1).charged, [80.0, 88.0, 96.8, 106.48, 117.128]),
        (lambda: speed_limited(MODEL, 0.1).uncovered, [0.0, 12.0, 23.2, 18.52, 32.872]),
    ],
)
def test_tools_against_procyclicality(tool, asked):
    # the first three: reference.json, procyclicality.apc_tools
    assert tool() == pytest.approx(asked)


# --- cadence ---


@pytest.mark.parametrize(
    ("cadence", "target", "held"),
    [
        (Cadence(), [1.0, 2.0, 0.5, 3.0, 1.0], [1.0, 2.0, 0.5, 3.0, 1.0]),
        (Cadence(every=20.0), [1.0, 2.0, 0.5, 3.0, 1.0], [1.0, 1.0, 0.5, 0.5, 1.0]),
        (
            Cadence(step_up=0.5, step_down=0.25),
            [1.0, 2.0, 0.5, 3.0, 1.0],
            [1.0, 1.5, 1.125, 1.6875, 1.265625],
        ),
        (Cadence(notice=20.0), [1.0, 2.0, 2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 2.0, 2.0]),
        (Cadence(notice=20.0), [1.0, 2.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0]),  # taken back in time
        (Cadence(notice=20.0), [1.0, 3.0, 2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 2.0, 2.0]),  # lowered, on its date
        (Cadence(notice=20.0), [1.0, 2.0, 3.0, 3.0, 3.0], [1.0, 1.0, 1.0, 2.0, 3.0]),  # raised again, later
        (Cadence(notice=20.0), [1.0, 2.0, 2.0, 0.5, 0.5], [1.0, 1.0, 1.0, 0.5, 0.5]),  # a fall holds at once
        (Cadence(), [1.0, NAN, 2.0, NAN, NAN], [1.0, 1.0, 2.0, 2.0, 2.0]),
    ],
)
def test_a_rate_over_time(cadence, target, held):
    assert rates(10.0 * np.arange(5), np.array(target), cadence) == pytest.approx(held)


def test_stale_inputs_freeze_release_and_nothing_else():
    stale = np.array([False, True, True, False])
    found = rates(np.arange(4.0), np.array([1.0, 0.5, 2.0, 0.5]), Cadence(), stale)
    assert found == pytest.approx([1.0, 1.0, 2.0, 0.5])


def test_an_emergency_holds_at_once_and_says_so():
    cadence = Cadence(every=100.0, notice=50.0, step_up=0.1)
    state = decided(Standing(1.0, 0.0, ((9.0, 1.2),)), Reading(1.0, 4.0, is_emergency=True), cadence)
    assert state == Standing(4.0, 1.0, (), is_override=True)
    kept = decided(state, Reading(2.0, 0.5, is_emergency=True), cadence)
    assert kept == state  # it only raises, and the next decision is not due
    assert not decided(state, Reading(101.0, 0.5), cadence).is_override
    assert decided(state, Reading(101.0, 4.0), cadence).is_override
    series = rates(np.arange(2.0), np.array([1.0, 4.0]), cadence, None, np.array([False, True]))
    assert series.tolist() == [1.0, 4.0]


def test_a_limit_counts_from_the_last_decision_in_force_or_not():
    state = decided(Standing(1.0, 0.0), Reading(1.0, 9.0), Cadence(notice=5.0, step_up=0.5))
    assert (state.rate, state.decided) == (1.0, 1.5)
    assert decided(state, Reading(2.0, 9.0), Cadence(notice=5.0, step_up=0.5)).decided == 2.25


def test_an_empty_series():
    assert rates(np.array([]), np.array([]), Cadence()).tolist() == []


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: vol_multiplier(1.0, 1.0, 0.0, 1.0, 2.0), "usual"),
        (lambda: vol_multiplier(1.0, 1.0, 1.0, 2.0, 1.0), "low"),
        (lambda: liquidity_multiplier(-1.0, 1.0, 1.0, 1.0, 2.0), "spread"),
        (lambda: crowding(1.0, 2.0, 1.0), "lower"),
        (lambda: blended(1.0, 1.0, 1.5), "weight"),
        (lambda: buffered(1.0, 1.0, -0.1), "buffer"),
        (lambda: speed_limited(MODEL, -0.1), "step"),
        (lambda: Cadence(every=-1.0), "every"),
        (lambda: Cadence(step_up=0.0), "step_up"),
        (lambda: rates(np.array([1.0, 0.0]), np.ones(2), Cadence()), "at"),
        (lambda: rates(np.array([1.0]), np.array([NAN]), Cadence()), "first target"),
    ],
)
def test_a_bad_number_is_refused_by_name(call, match):
    with pytest.raises(ValueError, match=match):
        call()
