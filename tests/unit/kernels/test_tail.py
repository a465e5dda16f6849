"""Quantiles, shortfall and their precision: conventions by hand, and what is refused."""

from math import erf, exp, pi, sqrt

import numpy as np
import pytest

from margrave.kernels.holding_period import normal_shortfall
from margrave.kernels.tail import (
    expected_shortfall,
    least_collateral,
    linear_quantile,
    lower_quantile,
    normal_expected_shortfall,
    normal_value_at_risk,
    quantile_precision,
    shortfall_precision,
    solvency_share,
    tail_count,
    upper_quantile,
)

TEN = np.array([3.0, 10.0, 1.0, 7.0, 5.0, 9.0, 2.0, 8.0, 4.0, 6.0])


@pytest.mark.parametrize(
    ("confidence", "lower", "upper", "shortfall"),
    [
        (0.80, 8.0, 9.0, 9.5),  # k = 2: the third and the second largest, the mean of two
        (0.85, 9.0, 9.0, (10.0 + 9.0 / 2.0) / 1.5),  # k = 1.5
        (0.90, 9.0, 10.0, 10.0),  # k = 1 in spite of rounding
        (0.95, 10.0, 10.0, 10.0),  # k = 0.5: the largest is all there is
        (0.05, 1.0, 1.0, 54.5 / 9.5),  # k = 9.5: 54 of the nine largest and half of one
    ],
)
def test_conventions(confidence, lower, upper, shortfall):
    assert lower_quantile(TEN, confidence).value == lower
    assert upper_quantile(TEN, confidence).value == upper
    assert expected_shortfall(TEN, confidence).value == pytest.approx(shortfall, rel=1e-14)


@pytest.mark.parametrize("confidence", [0.8, 0.85, 0.93, 0.999, 0.5, 1e-9])
def test_the_linear_quantile_is_that_of_numpy(confidence):
    assert linear_quantile(TEN, confidence).value == pytest.approx(np.quantile(TEN, confidence), rel=1e-12)


def test_the_rows_that_bind_come_worst_first_and_ties_in_order():
    tail = expected_shortfall(np.array([1.0, 5.0, 2.0, 5.0, 4.0]), 0.5)  # k = 2.5
    assert tail.row.tolist() == [1, 3, 4]
    assert tail.weight == pytest.approx([0.4, 0.4, 0.2])


@pytest.mark.parametrize(("confidence", "count"), [(0.0, 5), (1.0, 5), (float("nan"), 5), (0.9, 0)])
def test_what_is_no_confidence_or_no_sample_is_refused(confidence, count):
    with pytest.raises(ValueError, match=r"confidence|losses"):
        tail_count(count, confidence)


def test_losses_must_be_finite():
    with pytest.raises(ValueError, match="losses"):
        lower_quantile(np.array([1.0, np.nan]), 0.5)


def test_the_bound_of_a_quantile_is_an_order_statistic():
    # 100 losses, 95 %: P(Binomial(100, 0.05) < 2) = 0.0371 and P(< 3) = 0.1183, so that the second largest bounds.
    losses = np.arange(1.0, 101.0)
    assert quantile_precision(losses, 0.95, 0.95).upper == 99.0
    # k = 5, sqrt(k a) = 2.18: from the sixth largest to the third and the ninth, rounded outwards.
    assert quantile_precision(losses, 0.95, 0.95).standard_error == (98.0 - 92.0) / 2.0


def test_a_sample_too_small_for_a_bound_says_so():
    # P(no loss beyond the 99 % quantile) = 0.99^100 = 0.366, above 5 %: not even the largest loss bounds it.
    found = quantile_precision(np.arange(1.0, 101.0), 0.99, 0.95)
    assert np.isnan(found.upper)
    assert found.standard_error == (100.0 - 98.0) / 2.0
    assert np.isnan(quantile_precision(np.arange(1.0, 51.0), 0.99, 0.95).standard_error)
    assert np.isnan(shortfall_precision(np.arange(1.0, 101.0), 0.99, 0.95).standard_error)


def test_precision_of_a_shortfall_by_hand():
    # k = 4: losses 10, 9, 8, 7, mean 8.5, variance 1.25, (8.5 - 7)^2 = 2.25 times 0.6.
    found = shortfall_precision(TEN, 0.6, 0.95)
    error = sqrt((1.25 + 0.6 * 2.25) / 4.0)
    assert found.standard_error == pytest.approx(error, rel=1e-12)
    assert found.upper == pytest.approx(8.5 + 1.6448536269514722 * error, rel=1e-12)


@pytest.mark.parametrize(
    ("vol", "confidence", "figure"),
    [
        (0.8, 0.99, 9_741.33),  # CBM-2
        (0.8, 0.995, 10_786.01),  # CBM-2
        (0.5, 0.99, 6_088.33),  # RBM-3: 6.088 %
        (2.0, 0.99, 24_353.32),  # RBM-3: 24.353 %
    ],
)
def test_value_at_risk_of_a_linear_book(vol, confidence, figure):
    assert normal_value_at_risk(100_000.0 * vol / sqrt(365.0), confidence) == pytest.approx(figure, abs=0.005)


def test_normal_shortfall_is_the_density_over_the_tail():
    assert normal_expected_shortfall(2.0, 0.975) == pytest.approx(
        2.0 * 2.3378027922, rel=1e-9
    )  # Basel's 2.34
    d = 0.7
    by_hand = 2.0 * exp(-d * d / 2.0) / sqrt(2.0 * pi) - 1.4 * 0.5 * (1.0 - erf(d / sqrt(2.0)))
    assert normal_shortfall(2.0, 1.4) == pytest.approx(by_hand, rel=1e-12)


def test_least_collateral_is_the_smallest_that_is_solvent_often_enough():
    assert least_collateral(TEN, 0.8) == 8.0
    assert solvency_share(TEN, 8.0) == 0.8
    assert solvency_share(TEN, np.nextafter(8.0, 0.0)) == 0.7
    assert least_collateral(-TEN, 0.99) == 0.0  # what only gains needs none
