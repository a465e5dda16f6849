"""Holding period, liquidity and concentration: how a daily risk grows with the time that closing takes (clearing 2.2)."""

import numpy as np

from margrave.kernels.arrays import F64, Real, non_negative, positive
from margrave.kernels.normal import normal_cdf, normal_pdf


def horizon_factor(days: Real, of_days: Real = 1.0) -> F64:
    """Square root of time: what a deviation over ``of_days`` is multiplied by for ``days``."""
    return np.sqrt(non_negative("days", days) / positive("of_days", of_days))


def liquidation_factor(slices: Real) -> F64:
    """Deviation of a position that is closed in n equal daily slices, of one day's: ``sqrt((n + 1)(2 n + 1) / (6 n))``.

    In the limit of many slices it is ``sqrt(n / 3)``.
    """
    n = positive("slices", slices)
    return np.sqrt((n + 1.0) * (2.0 * n + 1.0) / (6.0 * n))


def square_root_impact(coefficient: Real, daily_vol: Real, size_over_volume: Real) -> F64:
    """Price move at the end of an order, as a fraction: ``Y s sqrt(Q / V)``; `average_impact` is what it costs."""
    y, vol = non_negative("coefficient", coefficient), non_negative("daily_vol", daily_vol)
    return y * vol * np.sqrt(non_negative("size_over_volume", size_over_volume))


def average_impact(impact: Real) -> F64:
    """Average cost of an order whose price moved by ``impact`` along a square root: two thirds of it."""
    return 2.0 / 3.0 * np.asarray(impact, dtype=np.float64)


def days_to_liquidate(position: Real, daily_volume: Real, participation: Real) -> F64:
    """Days that closing a position takes at a share of the daily volume; position and volume in one unit."""
    volume = positive("daily_volume", daily_volume) * positive("participation", participation)
    return np.abs(np.asarray(position, dtype=np.float64)) / volume


def normal_shortfall(deviation: Real, margin: Real) -> F64:
    """Expected loss beyond the margin of a normal loss: ``s phi(d) - M (1 - N(d))``, ``d = M / s``."""
    s, m = positive("deviation", deviation), np.asarray(margin, dtype=np.float64)
    d = m / s
    return s * normal_pdf(d) - m * normal_cdf(-d)
