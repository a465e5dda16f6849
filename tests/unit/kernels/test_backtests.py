"""Backtests of margin: published and recomputed figures of the research, 2.3, and their edges."""

import math

import numpy as np
import pytest

from margrave.kernels.backtests import (
    Zone,
    accepted,
    boundaries,
    coverage_test,
    critical,
    cumulative,
    independence_test,
    normal_increase,
    plus_factor,
    shortfall_test,
    zone,
)


def hits(count, rows):
    found = np.zeros(count, dtype=bool)
    found[list(rows)] = True
    return found


@pytest.mark.parametrize(
    ("count", "exceptions", "probability", "ratio", "p_value"),
    [
        (250, 5, 0.05, 6.071480346, 0.01373817726),
        (250, 13, 0.05, 0.02079191303, 0.8853472694),
        (30, 7, 0.01, 32.33833117, 1.295327306e-08),
        (250, 0, 0.01, 5.025167927, 0.02498150305),
        (1043, 57, 0.05, 0.4614663953, 0.4969394477),  # MathWorks
        (1000, 10, 0.01, 0.0, 1.0),
    ],
)
def test_kupiec(count, exceptions, probability, ratio, p_value):
    found = coverage_test(count, exceptions, probability)
    assert (found.ratio, found.p_value) == pytest.approx((ratio, p_value), rel=1e-9, abs=1e-12)
    assert coverage_test(9, 9, 0.5).ratio == pytest.approx(18 * math.log(2))


def test_critical_ratios():
    assert critical(0.95) == pytest.approx(3.841458821, rel=1e-9)
    assert critical(0.95, 2) == pytest.approx(5.991464547, rel=1e-9)


@pytest.mark.parametrize(
    ("count", "probability", "kept"), [(255, 0.01, (1, 6)), (510, 0.05, (17, 35)), (1000, 0.01, (5, 16))]
)
def test_numbers_of_exceptions_that_are_not_rejected(count, probability, kept):
    assert accepted(count, probability) == kept  # Jorion's table


def test_exceptions_in_a_cluster_pass_coverage_and_fail_independence():
    found = independence_test(hits(250, (50, 51, 52, 120, 121)), 0.01)
    pairs = (found.quiet_quiet, found.quiet_exception, found.exception_quiet, found.exception_exception)
    assert pairs == (242, 2, 2, 3)
    told = (found.after_quiet, found.after_exception, found.after_any)
    assert told == pytest.approx((0.008196721311, 0.6, 0.02008032129), rel=1e-9)
    assert found.independence.ratio == pytest.approx(19.04930694, rel=1e-9)
    assert found.independence.p_value == pytest.approx(1.273840284e-05, rel=1e-8)
    assert found.coverage.ratio == pytest.approx(1.956809788, rel=1e-9)
    assert (found.together.ratio, found.together.p_value) == pytest.approx(
        (21.00611673, 2.74523615e-05), rel=1e-8
    )


@pytest.mark.parametrize("rows", [(), range(10)])
def test_days_that_are_all_alike_tell_nothing_of_independence(rows):
    assert independence_test(hits(10, rows), 0.1).independence.ratio == 0.0


# Basel 1996: cumulative probability at 1 % of 250 days, zone and plus factor
@pytest.mark.parametrize(
    ("exceptions", "chance", "colour", "plus"),
    [
        (0, 0.08105851616, Zone.GREEN, 0.0),
        (4, 0.8921876269, Zone.GREEN, 0.0),
        (5, 0.9588168159, Zone.YELLOW, 0.4),
        (9, 0.9997498099, Zone.YELLOW, 0.85),
        (10, 0.9999461014, Zone.RED, 1.0),
        (40, 1.0, Zone.RED, 1.0),
    ],
)
def test_traffic_light(exceptions, chance, colour, plus):
    assert cumulative(250, 0.01)[exceptions] == pytest.approx(chance, rel=1e-9)
    assert zone(250, exceptions, 0.01) is colour
    assert plus_factor(exceptions) == plus


def test_zone_boundaries():
    assert boundaries(250, 0.01) == (5, 10)
    assert boundaries(750, 0.005) == (7, 13)  # cfrm17
    assert boundaries(1000, 0.05) == (62, 77)


def test_what_a_normal_model_lacks():
    assert normal_increase(250, np.array([5.0, 9.0])) == pytest.approx([0.3981971146, 0.8791470085], rel=1e-9)


def test_expected_shortfall_by_hand():
    profit = np.array([-1, 2, -5, 0.5, -3, -8, 1, 0.2, -2.5, 0.7])  # reference.json, worked
    found = shortfall_test(profit, 4.0, 6.0, 0.2)
    assert (found.conditional, found.unconditional) == pytest.approx((-1 / 12, -1 / 12))
    quiet = shortfall_test(np.array([1.0, 2.0]), 4.0, 6.0, 0.2)
    assert math.isnan(quiet.conditional)
    assert quiet.unconditional == 1.0


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: coverage_test(0, 0, 0.1), "exceptions"),
        (lambda: coverage_test(5, 6, 0.1), "exceptions"),
        (lambda: coverage_test(5, 1, 0.0), "probability"),
        (lambda: critical(1.0), "confidence"),
        (lambda: critical(0.9, 3), "degrees"),
        (lambda: accepted(3, 0.3, 1e-9), "confidence"),
        (lambda: independence_test(np.array([True]), 0.1), "is_exception"),
        (lambda: normal_increase(250, 0.0), "exceptions"),
        (lambda: shortfall_test(np.array([1.0]), 0.0, 1.0, 0.1), "value_at_risk"),
        (lambda: shortfall_test(np.array([1.0]), 1.0, 1.0, 1.0), "tail"),
        (lambda: shortfall_test(np.array([]), 1.0, 1.0, 0.1), "profit"),
    ],
)
def test_a_bad_number_is_refused_by_name(call, match):
    with pytest.raises(ValueError, match=match):
        call()
