"""Filtered history: returns of the past at the vol of today (spec clearing 2.1)."""

import numpy as np

from margrave.kernels.arrays import F64, Real, finite, positive


def ewma_variances(returns: F64, decay: float, seed: Real) -> F64:
    """Variances that an exponentially weighted filter foresaw, ``s2[t + 1] = l s2[t] + (1 - l) r[t]^2``.

    Parameters
    ----------
    returns : (T, N) ndarray
        Of N assets on T common dates, oldest first.
    decay : float
        ``l``, in [0, 1].
    seed : float or (N,) ndarray
        Variance foreseen for the first row, > 0.

    Returns
    -------
    (T + 1, N) ndarray
        Row t is what was known before return t; the last row is what is known now.

    References
    ----------
    Barone-Adesi and others 1999; clearing 2.1, group `fhs`.
    """
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"decay must be between 0 and 1, got {decay}")
    squares = finite("returns", returns) ** 2
    variances = np.empty((len(squares) + 1, squares.shape[1]))
    variances[0] = positive("seed", seed)
    for t, square in enumerate(squares):
        variances[t + 1] = decay * variances[t] + (1.0 - decay) * square
    return variances


def vol_ratios(variances: F64, least: float, most: float) -> F64:
    """Vol now over vol then, (T, N), between a floor and a cap: a step of vol makes filters over-react.

    Parameters
    ----------
    variances : (T + 1, N) ndarray
        From `ewma_variances`; a variance of zero then counts as the cap.
    least, most : float
        Bounds, ``0 <= least <= most``.
    """
    if not 0.0 <= least <= most:
        raise ValueError(f"least must be between 0 and most, got {least} and {most}")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(variances[-1] / variances[:-1])
    return np.clip(np.where(np.isnan(ratio), 1.0, ratio), least, most)


def rescaled(returns: F64, ratio: F64) -> F64:
    """Returns at today's vol: ``r s_now / s_then``, (T, N)."""
    return returns * ratio


def half_rescaled(returns: F64, ratio: F64) -> F64:
    """Returns half-way to today's vol: ``r (s_now + s_then) / (2 s_then)``, (T, N)."""
    return returns * (1.0 + ratio) / 2.0
