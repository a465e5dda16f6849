"""Weights and rates that worsen with the square root of a size: an asset counts less, a debt or a position costs more.

Sizes are in base units, factors in 1 per root of one (the venues' "IMF factor"); spec defi 3.2.
"""

from typing import Final

import numpy as np

from margrave.kernels.arrays import F64, Real

_HEADROOM = 1.1  # how far the discount stands above one at no size
SIZE_KEPT: Final = 0.8
"""Share of a weight that the premium starts from: small sizes are inside its fifth."""


def size_discount(weight: Real, factor: Real, size: Real) -> F64:
    """Weight of an asset after its size: ``min(weight, 1.1 / (1 + factor sqrt(size)))``.

    Parameters
    ----------
    weight, factor, size : float or ndarray
        Weight in 0..1, factor >= 0 (0: no discount), size >= 0 [base].

    Returns
    -------
    ndarray
        NaN where an argument is NaN.
    """
    return np.minimum(weight, _HEADROOM / (1.0 + np.multiply(factor, np.sqrt(size))))


def size_premium(weight: Real, factor: Real, size: Real) -> F64:
    """Weight of a debt, or margin rate of a position, after its size: ``max(weight, .8 weight + factor sqrt(size))``.

    Parameters and NaN are those of `size_discount`; the weight is >= 0.
    """
    grown: F64 = SIZE_KEPT * np.asarray(weight) + np.multiply(factor, np.sqrt(size))
    return np.maximum(weight, grown)
