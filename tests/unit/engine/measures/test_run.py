"""Measures of a run by hand, on a small made run and where columns are missing."""

import numpy as np
import pytest

from margrave.engine.measures.run import (
    covered_share,
    fund_coverage,
    longest_acceleration,
    one_sided,
    outcome,
    peak_rate,
    profile,
    profile_distance,
    steps_of,
)

AT = np.array([0.0, 10.0, 20.0, 30.0, 40.0])
FULL = {
    "price": np.array([100.0, 98.0, 95.0, 90.0, 92.0]),
    "outside": np.array([100.0, 98.0, 97.0, 96.0, 96.0]),
    "open_interest": np.array([50.0, 48.0, 40.0, 30.0, 30.0]),
    "margin": np.array([4.0, 4.0, 3.0, 2.0, 2.0]),
    "balance": np.array([8.0, 6.0, 4.0, 2.5, 3.0]),
    "liquidated": np.array([0.0, 1.0, 3.0, 6.0, 0.0]),
    "deleveraged": np.array([0.0, 0.0, 0.0, 5.0, 0.0]),
    "shortfall": np.array([0.0, 0.0, 0.5, 1.5, 0.0]),
    "fund": np.array([3.0, 3.1, 2.6, 1.0, 1.2]),
}


def test_a_whole_run():
    found = outcome(steps_of(AT, **FULL), 20.0)
    assert found.amplification == pytest.approx(np.log(0.92) / np.log(0.96))
    assert found.deepest == pytest.approx(-0.10)
    assert (found.liquidated, found.deleveraged) == (10.0, 5.0)
    assert found.deleveraged_share == pytest.approx(1 / 3)
    assert found.shortfall == 2.0
    assert found.fund_draw == pytest.approx(2.0)
    assert found.open_interest_change == pytest.approx(-0.4)
    assert found.seconds_to_deleveraging == 20.0
    assert found.peak_utilisation == pytest.approx(0.8)
    assert found.peak_rate == pytest.approx(14.0 / 20.0)  # the steps at 20 and 30
    assert found.longest_acceleration == 3.0


def test_what_is_not_known_is_not_told():
    found = outcome(steps_of(AT, liquidated=FULL["liquidated"]), 20.0)
    assert found.liquidated == 10.0
    for name in ("amplification", "deepest", "deleveraged", "deleveraged_share", "shortfall", "fund_draw"):
        assert np.isnan(getattr(found, name)), name
    for name in ("open_interest_change", "seconds_to_deleveraging", "peak_rate", "longest_acceleration"):
        assert np.isnan(getattr(found, name)), name
    assert np.isnan(found.peak_utilisation)


def test_nothing_left_is_beyond_any_utilisation():
    found = outcome(steps_of(AT, **FULL | {"balance": FULL["balance"] - 2.5}), 5.0)
    assert found.peak_utilisation == np.inf


def test_a_quiet_run():
    zero = np.zeros(5)
    found = outcome(
        steps_of(AT, **FULL | {"liquidated": zero, "deleveraged": zero, "outside": np.full(5, 9.0)}), 5.0
    )
    assert (found.peak_rate, found.longest_acceleration) == (0.0, 0.0)
    assert np.isnan([found.deleveraged_share, found.seconds_to_deleveraging, found.amplification]).all()


@pytest.mark.parametrize(
    ("total", "steps"),
    [([1.0, 2.0, 3.0], 1), ([0.0, 1.0, 3.0, 6.0, 6.0], 3), ([5.0, 5.0, 6.0, 6.0, 9.0], 1), ([], 0)],
)
def test_acceleration_is_a_second_difference_above_zero(total, steps):
    assert longest_acceleration(np.array(total)) == steps


def test_the_peak_is_of_any_window_that_ends_with_a_step():
    assert peak_rate(AT, np.array([4.0, 1.0, 4.0, 1.0, 1.0]), 15.0) == pytest.approx(5.0 / 15.0)
    assert peak_rate(np.array([]), np.array([]), 15.0) == 0.0


def test_profiles_in_time():
    edges = np.array([0.0, 15.0, 45.0])
    one, other = profile(AT, FULL["liquidated"], edges), profile(AT, FULL["deleveraged"], edges)
    assert (one.tolist(), other.tolist()) == ([0.1, 0.9], [0.0, 1.0])
    assert profile_distance(one, other) == pytest.approx(0.1)
    assert profile_distance(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1.0
    assert np.isnan(profile(AT, np.zeros(5), edges)).all()


def test_a_feed_of_both_sides():
    assert one_sided(np.array([104.0, 22.0]), np.array([0.0, 10.0])).tolist() == [52.0, 6.0]


def test_a_fund_beside_what_runs_ask():
    asked = np.concatenate([np.zeros(180), np.arange(1.0, 21.0)])
    assert fund_coverage(39.0, asked) == pytest.approx(2.0)  # the two worst of 200: 19 and 20
    assert fund_coverage(1.0, np.zeros(10)) == np.inf
    assert covered_share(15.0, asked) == pytest.approx(195 / 200)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: steps_of(np.array([1.0, 0.0])), "at"),
        (lambda: steps_of(AT, volume=AT), "volume must be a column"),
        (lambda: steps_of(AT, price=AT[:2]), "price"),
        (lambda: steps_of(AT, shortfall=AT - 1.0), "shortfall"),
        (lambda: outcome(steps_of(np.array([])), 1.0), "steps"),
        (lambda: outcome(steps_of(AT, **FULL), 0.0), "window"),
        (lambda: profile(AT, -AT, AT), "volume"),
        (lambda: fund_coverage(-1.0, AT), "fund"),
    ],
)
def test_a_bad_number_is_refused_by_name(call, match):
    with pytest.raises(ValueError, match=match):
        call()
