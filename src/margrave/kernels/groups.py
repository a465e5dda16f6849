"""Groups of rows by a key, numbered in the order in which they are first seen: what a dictionary does, for arrays."""

import numpy as np

from margrave.kernels.arrays import I64


def first_seen(key: I64) -> tuple[I64, I64]:
    """Number the groups of equal keys in the order in which each is first seen.

    Parameters
    ----------
    key : (n,) ndarray of int
        What makes rows equal.

    Returns
    -------
    first : (G,) ndarray of int
        First row of each group, ascending.
    group : (n,) ndarray of int
        Group of each row.

    Notes
    -----
    The numbering depends on the order of the rows and never on the size of a key, so that a sum over groups has
    the same digits whatever else is numbered beside them.
    """
    if len(key) == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    if len(key) <= _FEW:
        return _few_seen(key)
    order = key.argsort(kind="stable")
    ordered = key[order]
    starts = np.empty(len(key), dtype=np.bool_)
    starts[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=starts[1:])
    first = order[starts]
    place = first.argsort()
    rank = np.empty(len(first), dtype=np.int64)
    rank[place] = np.arange(len(first))
    group = np.empty(len(key), dtype=np.int64)
    group[order] = rank[starts.cumsum() - 1]
    return first[place], group


_FEW = 32  # rows of one account: a dictionary is quicker than arrays


def _few_seen(key: I64) -> tuple[I64, I64]:
    number: dict[int, int] = {}
    group = [number.setdefault(k, len(number)) for k in key.tolist()]
    first = [group.index(k) for k in range(len(number))]
    return np.array(first, dtype=np.int64), np.array(group, dtype=np.int64)


def rows_of(wanted: I64, key: I64) -> I64:
    """First row of ``key`` that holds each wanted value, (n,); -1 where none does."""
    if len(key) == 0:
        return np.full(len(wanted), -1, dtype=np.int64)
    order = key.argsort(kind="stable")
    place = np.minimum(key.searchsorted(wanted, sorter=order), len(key) - 1)
    row = order[place]
    return np.where(key[row] == wanted, row, -1)


def run_ends(group: I64, count: int) -> tuple[I64, I64]:
    """Rows sorted by group, in their order within a group, and where each group starts, (count + 1,)."""
    order = group.argsort(kind="stable")
    start = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(group, minlength=count), out=start[1:])
    return order, start
