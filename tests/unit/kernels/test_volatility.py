"""Filters and forecasts of volatility by hand, and their limits."""

import numpy as np
import pytest

from margrave.kernels.history import ewma_variances
from margrave.kernels.volatility import (
    Garch,
    annual,
    garch_forecast,
    garch_horizon,
    garch_variances,
    per_step,
    targeted,
)

LAW = Garch(1e-6, 0.1, 0.85)


def test_a_year_and_back():
    assert annual(0.02, 365.0) == pytest.approx(0.02 * 365**0.5)
    assert per_step(annual(np.array([0.02, 0.0]), 365.0), 365.0) == pytest.approx([0.02, 0.0])


def test_the_filter_by_hand():
    found = garch_variances(np.array([[0.01], [-0.02]]), LAW, 2e-5)
    first = 1e-6 + 0.1 * 1e-4 + 0.85 * 2e-5
    assert found[:, 0] == pytest.approx([2e-5, first, 1e-6 + 0.1 * 4e-4 + 0.85 * first])


def test_the_filter_starts_at_the_long_run():
    assert garch_variances(np.zeros((1, 2)), LAW)[0] == pytest.approx([2e-5, 2e-5])
    assert targeted(0.1, 0.85, 2e-5).long_run == pytest.approx(2e-5)


def test_without_a_long_run_pull_it_is_the_weighted_average():
    returns = np.random.default_rng(3).normal(0.0, 0.02, (50, 2))
    nearly = garch_variances(returns, Garch(1e-300, 0.06, 0.94 - 1e-15), 4e-4)
    assert nearly == pytest.approx(ewma_variances(returns, 0.94, 4e-4), rel=1e-9)


def test_forecasts_go_to_the_long_run_and_add_up():
    steps = np.arange(5.0)
    each = garch_forecast(8e-5, LAW, steps)
    assert each[:2] == pytest.approx([8e-5, 2e-5 + 0.95 * 6e-5])
    assert garch_forecast(8e-5, LAW, 1e4) == pytest.approx(2e-5)
    assert garch_horizon(8e-5, LAW, 5.0) == pytest.approx(each.sum())


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: Garch(0.0, 0.1, 0.1), "omega"),
        (lambda: Garch(1e-6, -0.1, 0.1), "alpha"),
        (lambda: Garch(1e-6, 0.5, 0.5), "less than one"),
        (lambda: garch_variances(np.array([[np.nan]]), LAW), "returns"),
        (lambda: garch_variances(np.zeros((1, 1)), LAW, 0.0), "seed"),
        (lambda: garch_forecast(0.0, LAW, 1.0), "variance"),
        (lambda: garch_horizon(1e-5, LAW, 0.0), "steps"),
        (lambda: annual(-1.0, 365.0), "vol"),
        (lambda: per_step(1.0, 0.0), "steps_a_year"),
    ],
)
def test_a_bad_number_is_refused_by_name(call, match):
    with pytest.raises(ValueError, match=match):
        call()
