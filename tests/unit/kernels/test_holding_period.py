"""Holding period, liquidity and concentration: figures printed in the clearing research, 2.2."""

from math import sqrt

import numpy as np
import pytest

from margrave.kernels.holding_period import (
    average_impact,
    days_to_liquidate,
    horizon_factor,
    liquidation_factor,
    normal_shortfall,
    square_root_impact,
)


@pytest.mark.parametrize(
    ("found", "figure"),
    [
        (horizon_factor(2.0), 1.4142),
        (horizon_factor(10.0), 3.1623),
        (horizon_factor(1.0 / 24.0), 0.2041),
        (horizon_factor(15.0, 24.0 * 60.0), 0.1021),
        (liquidation_factor(1.0), 1.0),
        (liquidation_factor(5.0), 1.4832),
        (liquidation_factor(10.0), 1.9621),
        (square_root_impact(1.0, 0.04, 0.01), 0.0040),
        (average_impact(square_root_impact(1.0, 0.04, 0.01)), 0.0027),
        (days_to_liquidate(-50e6, 200e6, 0.1), 2.5),
        (normal_shortfall(1.0, 2.326347874), 0.0034),
    ],
)
def test_printed_figures(found, figure):
    assert found == pytest.approx(figure, abs=5e-5)


def test_many_slices_are_a_third_of_the_time():
    assert liquidation_factor(1e6) == pytest.approx(sqrt(1e6 / 3.0), rel=1e-6)


@pytest.mark.parametrize(
    ("what", "name"),
    [
        (lambda: horizon_factor(-1.0), "days"),
        (lambda: liquidation_factor(0.0), "slices"),
        (lambda: square_root_impact(1.0, np.nan, 0.01), "daily_vol"),
        (lambda: days_to_liquidate(1.0, 0.0, 0.1), "daily_volume"),
        (lambda: normal_shortfall(0.0, 1.0), "deviation"),
    ],
)
def test_bad_arguments_are_refused_by_name(what, name):
    with pytest.raises(ValueError, match=name):
        what()
