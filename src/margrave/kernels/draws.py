"""Draws from a stated seed: the same rows in every run.

The bits are those of the counter-based Philox generator, whose stream NumPy promises for every version and
platform (NEP 19 promises nothing of `Generator.normal`). What is made of them here uses IEEE arithmetic and one
logarithm, which may differ in its last digit between machines.
"""

from functools import lru_cache
from typing import Final

import numpy as np

from margrave.kernels.arrays import F64, finite
from margrave.kernels.normal import normal_quantile

_KEPT: Final = 16  # columns of draws that stay in memory
_DEFINITE: Final = 1e-12  # a pivot below stands for zero: perfectly correlated assets


@lru_cache(maxsize=_KEPT)
def standard_normals(seed: int, stream: str, count: int) -> F64:
    """Independent standard normal draws of one named stream.

    Parameters
    ----------
    seed : int
        In [0, 2^64).
    stream : str
        Name of the stream, such as an asset: its draws do not depend on which other streams are drawn, nor on how
        many draws are asked.
    count : int
        How many.

    Returns
    -------
    (count,) ndarray
        Read-only.
    """
    draws = normal_quantile(uniforms(seed, stream, count))
    draws.setflags(write=False)
    return draws


def uniforms(seed: int, stream: str, count: int) -> F64:
    """Independent draws between zero and one, neither of them ever drawn, (count,); parameters as `standard_normals`."""
    name = int.from_bytes(stream.encode("utf-8"), "little") % (2**61 - 1)
    bits = np.random.Philox(key=np.array([seed, name], dtype=np.uint64)).random_raw(count)
    # The middle of one of 2^53 cells.
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53


def correlation_root(correlation: F64) -> F64:
    """Lower triangle L with ``L L' = C`` of a correlation matrix that may be singular.

    Parameters
    ----------
    correlation : (N, N) ndarray
        Symmetric, ones on the diagonal.

    Raises
    ------
    ValueError
        The matrix is not positive semidefinite: the correlations cannot hold together.
    """
    c = finite("correlation", correlation)
    root = np.zeros_like(c)
    for j in range(len(c)):
        left = c[j:, j] - (root[j:, :j] * root[j, :j]).sum(axis=1)
        if left[0] < -_DEFINITE or (left[0] <= _DEFINITE and np.abs(left).max() > np.sqrt(_DEFINITE)):
            raise ValueError("correlation must be positive semidefinite")
        if left[0] > _DEFINITE:
            root[j:, j] = left / np.sqrt(left[0])
    return root


def correlated(draws: F64, root: F64) -> F64:
    """Independent columns (n, N) made to correlate by a `correlation_root`, in the same digits on any thread count."""
    out = np.zeros_like(draws)
    for i in range(len(root)):
        for j in range(i + 1):
            if root[i, j]:
                out[:, i] += root[i, j] * draws[:, j]
    return out


def student_scale(seed: int, degrees: int, count: int) -> F64:
    """What turns correlated normals into a joint Student-t of unit variance, (count,): ``sqrt((v - 2) / chi2_v)``.

    Parameters
    ----------
    seed, count : int
        As in `standard_normals`; one scale a row, so that all assets have their wild days together.
    degrees : int
        Degrees of freedom, at least 3: below, there is no variance to match a vol with.
    """
    if degrees < 3:
        raise ValueError(f"degrees must be at least 3, got {degrees}")
    squares = np.zeros(count)
    for k in range(degrees):
        squares += standard_normals(seed, f"chi-square {k}", count) ** 2
    return np.sqrt((degrees - 2) / squares)
