"""Who loses how much when something has to go: whole positions in turn, pro rata, by water-filling, or a cut of profits.

Every rule gives amounts between zero and what is there, and they add to what is wanted, or to everything where there
is less. In whole lots they add exactly: amounts are counted in lots, and what rounding leaves goes to the largest
remainders, of equal ones to the earlier row (spec clearing 5.3; Campbell, Hey, Moallemi and Nutz, arXiv 2603.15963).
"""

from typing import Final

import numpy as np

from margrave.kernels.arrays import F64, I64, Real, non_negative

_SAME: Final = 1e-9  # of a lot: how far a size may be from a whole number of lots
_NOTHING: Final = 1e-15  # of the largest capacity: below, there is none


def queue(score: F64) -> I64:
    """Rows from the first that is closed to the last; of equal scores the earlier row is first.

    Parameters
    ----------
    score : (K,) ndarray
        Higher is closed earlier; not NaN.
    """
    if np.isnan(score).any():
        raise ValueError("score must not be NaN: nobody is put in a queue by a number that is unknown")
    return np.argsort(-np.asarray(score, dtype=np.float64), kind="stable").astype(np.int64)


def by_queue(score: F64, size: F64, wanted: float, lot: float = 0.0) -> F64:
    """Whole positions from the front of the queue; the last of them in part.

    Parameters
    ----------
    score : (K,) ndarray
        Higher is closed earlier; of equal scores the earlier row.
    size : (K,) ndarray
        Contracts, >= 0; whole lots where a lot is given.
    wanted : float
        Contracts that have to go, >= 0; whole lots likewise.
    lot : float
        Smallest amount that is traded, or zero: any amount is.

    Returns
    -------
    (K,) ndarray
        Contracts that each loses. The sum is ``wanted``, or everything where there is less.

    Raises
    ------
    ValueError
        A number below zero or not finite, a score that is NaN, or what is not whole lots.
    """
    order = queue(score)
    sizes, amount, unit = _counted(size, wanted, lot)
    before = np.cumsum(sizes[order]) - sizes[order]
    taken = np.empty(len(order))
    taken[order] = np.clip(amount - before, 0.0, sizes[order])
    return _amounts(taken, size, unit)


def pro_rata(size: F64, wanted: float, lot: float = 0.0) -> F64:
    """The same share of every position, ``D q_i / sum q``; parameters and result as `by_queue`."""
    sizes, amount, unit = _counted(size, wanted, lot)
    total = sizes.sum()
    share = sizes * (amount / total) if total > 0.0 else np.zeros_like(sizes)
    return _amounts(_whole(share, sizes, amount) if lot else share, size, unit)


def haircut(profit: F64, wanted: float, lot: float = 0.0) -> F64:
    """The same share of every profit; losses are not touched.

    Parameters
    ----------
    profit : (K,) ndarray
        Unrealised profit, a loss < 0, in money; where a lot is given, whole smallest units.
    wanted : float
        Deficit, >= 0.
    lot : float
        Smallest unit of the money, or zero.

    Returns
    -------
    (K,) ndarray
        What each gives up. Where all profits are less than the deficit they go, and no more.
    """
    return pro_rata(np.maximum(np.asarray(profit, dtype=np.float64), 0.0), wanted, lot)


def water_filling(size: F64, wanted: float, capacity: Real = 1.0, lot: float = 0.0) -> F64:
    """Lower the highest ``size / capacity`` first: ``max(0, q_i - level c_i)``, the level such that they add up.

    Parameters
    ----------
    size, wanted, lot
        As `by_queue`.
    capacity : float or (K,) ndarray
        >= 0. One levels the sizes themselves; equity over price levels leverage, and minimises the largest that
        is left. A position of no capacity goes first.

    Returns
    -------
    (K,) ndarray
        Contracts that each loses; the sum as `by_queue`.
    """
    sizes, amount, unit = _counted(size, wanted, lot)
    room, _ = _room(capacity, sizes)
    share = np.clip(sizes - _level(sizes, room, amount) * room, 0.0, sizes)
    share = np.where(room > 0.0, share, sizes)
    bare = sizes[room == 0.0].sum()
    if bare >= amount:  # what has no capacity is enough: nobody else is touched
        share = np.where(room > 0.0, 0.0, sizes * (amount / bare if bare > 0.0 else 0.0))
    return _amounts(_whole(share, sizes, amount) if lot else share, size, unit)


def level_left(size: F64, wanted: float, capacity: Real = 1.0) -> float:
    """The level to which `water_filling` lowers: ``size / capacity`` of all that lose anything and keep some."""
    sizes, amount, _ = _counted(size, wanted, 0.0)
    room, largest = _room(capacity, sizes)
    return _level(sizes, room, amount) / largest


def _room(capacity: Real, sizes: F64) -> tuple[F64, float]:
    # Capacity as a share of the largest, so that no ratio overflows; and the largest.
    room = np.broadcast_to(non_negative("capacity", capacity), sizes.shape)
    largest = float(room.max(initial=0.0)) or 1.0
    return np.where(room > _NOTHING * largest, room / largest, 0.0), largest


def _level(sizes: F64, room: F64, amount: float) -> float:
    # Rows by falling height; the first k are lowered to one level as soon as that is not below the next height.
    holds = room > 0.0
    left = amount - sizes[~holds].sum()
    height = sizes[holds] / room[holds]
    order = np.argsort(-height, kind="stable")
    if not len(order) or left <= 0.0:
        return float(height.max(initial=0.0))
    levels = (np.cumsum(sizes[holds][order]) - left) / np.cumsum(room[holds][order])
    enough = levels >= np.append(height[order][1:], 0.0)
    return float(max(levels[int(np.argmax(enough))], 0.0)) if enough.any() else 0.0


def _counted(size: F64, wanted: float, lot: float) -> tuple[F64, float, float]:
    # Sizes and amount in lots, the amount no more than there is; and the unit to multiply by.
    sizes, amount = non_negative("size", size), float(non_negative("wanted", wanted))
    unit = float(non_negative("lot", lot)) or 1.0
    if lot:
        sizes, amount = _lots("size", sizes, unit), float(_lots("wanted", np.asarray(amount), unit))
    return sizes, min(amount, float(sizes.sum())), unit


def _amounts(counts: F64, size: F64, unit: float) -> F64:
    # Three lots of 0.1 are more than 0.3 in floats, and nobody loses more than is there.
    return np.minimum(counts * unit, size)


def _lots(name: str, value: F64, lot: float) -> F64:
    count = np.round(value / lot)
    if np.any(np.abs(value / lot - count) > _SAME * np.maximum(count, 1.0)):
        raise ValueError(f"{name} must be whole lots of {lot:g}")
    return count


def _whole(share: F64, sizes: F64, amount: float) -> F64:
    # Largest remainders: every row within one lot of its share, inside its size; counts are exact below 2^53.
    counts = np.minimum(np.floor(share + _SAME), sizes)
    order = np.argsort(-(share - counts), kind="stable")
    left = int(amount - counts.sum())
    while left:
        step = 1.0 if left > 0 else -1.0
        able = order[counts[order] < sizes[order]] if left > 0 else order[::-1][counts[order[::-1]] > 0.0]
        able = able[: abs(left)]
        counts[able] += step
        left -= int(step) * len(able)
    return counts
