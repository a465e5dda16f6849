"""Spot holdings as a hedge: only up to the derivative delta of the same risk unit (spec CM-6; cex.md 7)."""

from typing import NamedTuple

import numpy as np

from margrave.kernels.arrays import F64, Real, finite


class SpotUse(NamedTuple):
    """How much of a coin hedges the unit's derivatives, and how much stays free, signs of the holding."""

    in_use: F64  # [coin]
    free: F64  # [coin]


def spot_in_use(spot: Real, delta: Real, limit: Real = np.inf) -> SpotUse:
    """Spot that enters the risk unit's scenarios.

    Parameters
    ----------
    spot : float or ndarray
        Coins held, or owed below zero.
    delta : float or ndarray
        Net delta of the unit's derivatives [coin].
    limit : float or ndarray
        Most that the holder lets the venue use, >= 0 [coin].

    Returns
    -------
    SpotUse
        Zero in use where spot and delta point the same way: a holding is never taken to add risk.
    """
    held, net = finite("spot", spot), finite("delta", delta)
    if np.any(np.isnan(limit)) or np.any(np.asarray(limit) < 0.0):
        raise ValueError(f"limit must be >= 0, got {limit}")
    most = np.minimum(np.minimum(np.abs(held), np.abs(net)), limit)
    used = np.where(held * net < 0.0, np.sign(held) * most, 0.0)
    return SpotUse(used, held - used)
