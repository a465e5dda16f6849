"""Weighted sums of rows: what portfolios gain where each thing that they hold is valued once."""

from typing import Final

import numpy as np

from margrave.kernels.arrays import F64, I64

_CELLS: Final = 1 << 17  # of the result at a time: what a cache holds beside what is added


def weighted_sums(values: F64, row: I64, weight: F64, start: I64) -> F64:
    """Sum rows of values by weight, portfolio by portfolio, each in the order of its own entries.

    Parameters
    ----------
    values : (U, N) ndarray
        Rows of numbers.
    row : (n,) ndarray of int
        Row of each entry.
    weight : (n,) ndarray
        Of each entry.
    start : (K + 1,) ndarray of int
        Where each portfolio's entries begin; the last is n.

    Returns
    -------
    (K, N) ndarray
        A portfolio has the same digits whatever stands beside it, which a matrix product does not promise. NaN
        where a row is.
    """
    count = np.diff(start)
    out = np.zeros((len(count), values.shape[1]))
    step = max(_CELLS // max(values.shape[1], 1), 1)
    for first in range(0, len(count), step):
        _add(out[first : first + step], values, row, weight, start[first : first + step + 1])
    return out


def _add(out: F64, values: F64, row: I64, weight: F64, start: I64) -> None:
    count = np.diff(start)
    # The longest first, so that those that have another entry stand together.
    order = np.argsort(-count, kind="stable")
    longest = count[order]
    total = np.zeros(out.shape)
    for place in range(int(count.max(initial=0))):
        more = int(np.searchsorted(-longest, -place))
        entry = start[order[:more]] + place
        total[:more] += weight[entry, None] * values[row[entry]]
    out[order] = total
