"""Coinbase International's rates of a position from its size: the close-out horizon rule (spec cex.md 6).

The venue publishes the rule, and of its parameters the base rates of three contracts; the risk parameter and the
table from size to horizon have to be given.
"""

from typing import NamedTuple

import numpy as np

from margrave.kernels.arrays import F64, Real, non_negative

_MAINTENANCE_SHARE = 2.0 / 3.0
_CLOSE_OUT_SHARE = 1.0 / 3.0
_CLOSE_OUT_POINTS = 0.12


class Rates(NamedTuple):
    """Rates on value, from the first that is breached to the last [fraction]."""

    initial: F64
    maintenance: F64
    close_out: F64


def close_out_rates(base: Real, risk: Real, horizon: Real) -> Rates:
    """Initial, maintenance and close-out rate.

    Parameters
    ----------
    base : float or ndarray
        Base initial rate of the contract, >= 0: 0.20 BTC-PERP and ETH-PERP, 0.50 INJ-PERP.
    risk : float or ndarray
        Risk parameter of the contract, >= 0 [fraction at a horizon of one].
    horizon : float or ndarray
        Close-out horizon of the size, >= 0, in the unit that the risk parameter is for.

    Returns
    -------
    Rates
        ``max(base, risk sqrt(horizon))``, two thirds of it, and ``max(initial / 3, maintenance - 0.12)``; none is
        above one.
    """
    grown = non_negative("risk", risk) * np.sqrt(non_negative("horizon", horizon))
    initial = np.minimum(np.maximum(non_negative("base", base), grown), 1.0)
    maintenance = _MAINTENANCE_SHARE * initial
    return Rates(
        initial, maintenance, np.maximum(_CLOSE_OUT_SHARE * initial, maintenance - _CLOSE_OUT_POINTS)
    )
