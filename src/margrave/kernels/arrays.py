"""Array types of the kernels, and the checks that refuse a bad argument by its name."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]
I32: TypeAlias = NDArray[np.int32]
C128: TypeAlias = NDArray[np.complex128]
Bools: TypeAlias = NDArray[np.bool_]

Real: TypeAlias = float | F64  # a number, or an array that broadcasts with its neighbours
Flag: TypeAlias = bool | Bools


def finite(name: str, value: Real) -> F64:
    """Return the argument as float64; ValueError with its name where NaN or infinite."""
    array = np.asarray(value, dtype=np.float64)
    return _refuse_unless(np.isfinite(array), name, array, "finite")


def positive(name: str, value: Real) -> F64:
    """Return the argument as float64; ValueError with its name unless 0 < value < inf."""
    array = np.asarray(value, dtype=np.float64)
    return _refuse_unless((array > 0.0) & (array < np.inf), name, array, "finite and > 0")


def non_negative(name: str, value: Real) -> F64:
    """Return the argument as float64; ValueError with its name unless 0 <= value < inf."""
    array = np.asarray(value, dtype=np.float64)
    return _refuse_unless((array >= 0.0) & (array < np.inf), name, array, "finite and >= 0")


def _refuse_unless(holds: Bools, name: str, array: F64, allowed: str) -> F64:
    # `holds` is false for NaN in every caller: a comparison with NaN is.
    if np.count_nonzero(holds) != holds.size:  # a third of the time of all() on a small array
        raise ValueError(f"{name} must be {allowed}, got {array[~np.asarray(holds)].flat[0]}")
    return array
