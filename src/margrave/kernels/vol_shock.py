"""Shocks of implied vol that scale with tenor: near expiries move more (spec OM-6)."""

import numpy as np

from margrave.kernels.arrays import F64, Real, non_negative, positive

TENOR_DAYS = 30.0
"""Tenor at which a shock is what its range says."""


def tenor_scale(days: Real, power_short: float, power_long: float, days_least: float = 0.0) -> F64:
    """Scale of a shock at a tenor: ``(30 / max(days, least))^p`` with one power below 30 days and another above.

    Parameters
    ----------
    days : (...) ndarray or float
        Days to expiry, >= 0; above zero where `days_least` is zero.
    power_short, power_long : float
        Powers, >= 0 (Deribit and its kin: 0.30 and 0.13), chosen by the days before their floor.
    days_least : float
        Floor of the days inside the scale.

    Returns
    -------
    (...) ndarray
        One at 30 days.
    """
    days = non_negative("days", days)
    floored = positive("days", np.maximum(days, days_least))
    return (TENOR_DAYS / floored) ** np.where(days < TENOR_DAYS, power_short, power_long)


def shocked_vol(vol: Real, shock: Real, scale: Real, least: float = 0.0) -> F64:
    """Vol after a relative shock: ``max(vol (1 + shock scale), least)``.

    Parameters
    ----------
    vol : (...) ndarray or float
        Implied vol, >= 0. [per year, as a fraction]
    shock : (...) ndarray or float
        Relative shock at 30 days: 0.5 up, -0.25 down.
    scale : (...) ndarray or float
        From `tenor_scale`.
    least : float
        Floor of the shocked vol, >= 0; an up-shock may have one, a down-shock ends at zero.
    """
    return np.maximum(non_negative("vol", vol) * (1.0 + np.asarray(shock) * scale), least)
