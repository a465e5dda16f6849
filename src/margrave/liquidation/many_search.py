"""The nearest changes of sign of many curves at once, as `search` finds them of one.

The excess on the grid of `search`, on both sides of every break, and down its dips; every change of its sign is then
closed in on, in all rows together. Letters: R rows, a pool and an underlying each; G places of the grid.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, final

import numpy as np

from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.roots import bracketed_root
from margrave.liquidation.direction import slack_of
from margrave.liquidation.search import (
    DIP_POINTS,
    DIP_ROUNDS,
    FACTOR_MAX,
    FACTOR_MIN,
    ROOT_STEPS,
    ROOT_TOLERANCE,
    SIDE_STEP,
    TOGETHER,
    grid,
    may_cross,
)

_STRETCH: Final = 20  # places of the grid after which rows that are done are left out

Asked: TypeAlias = Callable[[F64], F64]
"""Logarithms of factors, (n,), to the excess of the n rows that it was made for."""


@final
@dataclass(frozen=True, slots=True)
class Curves:
    """Excess of rows as functions of the logarithm of a factor."""

    scan: F64  # (R, G) on the grid; NaN where it is not known
    asking: Callable[[I64], Asked]  # made for some rows, of which each may be there many times


def nothing_served() -> tuple[I64, Curves]:
    """No rows, and their curves."""
    return np.zeros(0, dtype=np.int64), Curves(np.zeros((0, len(grid()))), lambda _row: lambda where: where)


@final
@dataclass(frozen=True, slots=True)
class _Points:
    """Where the excess of rows is known: logarithms of factors and values, (n,), by row and ascending."""

    row: I64
    at: F64
    value: F64


def scanned(count: int, pick: Callable[[I64], Callable[[int], F64]]) -> F64:
    """Excess of rows on the grid, (R, G), outward from the prices of now as far as a row is above zero.

    Parameters
    ----------
    count : int
        R.
    pick : callable
        From rows, (n,), a function from a place of the grid to their excess there, (n,).

    Returns
    -------
    (R, G) ndarray
        Beyond a place below zero, or one where it is not known, what it is there: nothing further out is nearer.
    """
    places, every = len(grid()), np.arange(count)
    middle = places // 2
    out = np.empty((count, places))
    out[:, middle] = pick(every)(middle) if count else 0.0
    slack = slack_of(out[:, middle])
    for side in (range(middle + 1, places), range(middle - 1, -1, -1)):
        active, last = every, middle
        for begin in range(0, len(side), _STRETCH):
            on = out[active, last] >= -slack[active]
            rest = active[~on]
            out[rest[:, None], list(side[begin:])] = out[rest, last][:, None]
            active = active[on]
            if not active.size:
                break
            ask = pick(active)
            for last in side[begin : begin + _STRETCH]:
                out[active, last] = ask(last)
    return out


def nearest_changes(curves: Curves, breaks: tuple[I64, F64]) -> F64:
    """Factors of the nearest changes of sign below and above.

    Parameters
    ----------
    curves : Curves
        Of R rows.
    breaks : ((n,) ndarray of int, (n,) ndarray)
        Rows, and factors at which the excess of each may bend or jump.

    Returns
    -------
    (2, R) ndarray
        NaN where there is none, where the excess is below zero as it is, and where the scan has a NaN.
    """
    scan = curves.scan
    out = np.full((2, len(scan)), np.nan)
    wanted = (scan[:, scan.shape[1] // 2] >= 0.0) & np.isfinite(scan).all(axis=1)
    if not wanted.any():
        return out
    rows, place = np.flatnonzero(wanted), np.cumsum(wanted) - 1
    mine = wanted[breaks[0]]
    slack = slack_of(scan[rows, scan.shape[1] // 2])
    some = Curves(scan[rows] + slack[:, None], lambda row: _asking(curves, rows[row], slack[row]))
    out[:, rows] = _nearest(some, place[breaks[0][mine]], breaks[1][mine])
    return out


def _asking(curves: Curves, row: I64, slack: F64) -> Asked:
    asked = curves.asking(row)
    return lambda where: asked(where) + slack


def _nearest(curves: Curves, row: I64, factor: F64) -> F64:
    count = len(curves.scan)
    points = _inner(curves.scan)
    sides = np.array([1.0 - SIDE_STEP, 1.0, 1.0 + SIDE_STEP])
    row, factor = np.repeat(row, len(sides)), np.outer(factor, sides).ravel()
    reach = (factor > FACTOR_MIN) & (factor < FACTOR_MAX)
    row, where = row[reach], np.log(factor[reach])
    near = _is_near(points, count, row, where)
    row, where = row[near], where[near]
    points = _merged(points, row, where, curves.asking(row)(where))
    points = _dipped(points, count, curves)
    changes = _changes(points)
    row, low, high = points.row[changes], points.at[changes], points.at[changes + 1]
    root = bracketed_root(curves.asking(row), low, high, ROOT_TOLERANCE, 0.0, ROOT_STEPS)
    return _sides(row, root, count)


def _inner(scan: F64) -> _Points:
    # Places of the scan out to the first below zero on either side.
    at, middle = np.log(grid()), scan.shape[1] // 2
    below = scan < 0.0
    up, down = below[:, middle:], below[:, middle::-1]
    first, past = np.where(
        [down.any(axis=1), up.any(axis=1)], [down.argmax(axis=1), up.argmax(axis=1)], middle
    )
    places = np.arange(len(at))
    kept = (places >= middle - first[:, None]) & (places <= middle + past[:, None])
    row, place = np.nonzero(kept)
    return _Points(row, at[place], scan[kept])


def _merged(points: _Points, row: I64, at: F64, value: F64) -> _Points:
    # What is there already keeps its value.
    order = np.lexsort((at, row))
    row, at, value = row[order], at[order], value[order]
    again = np.zeros(len(row), dtype=np.bool_)
    again[1:] = (row[1:] == row[:-1]) & (at[1:] == at[:-1])
    place = _places(points, row, at)
    beside = np.minimum(place, len(points.at) - 1)
    again |= (points.row[beside] == row) & (points.at[beside] == at)
    row, at, value, place = row[~again], at[~again], value[~again], place[~again]
    return _Points(
        np.insert(points.row, place, row),
        np.insert(points.at, place, at),
        np.insert(points.value, place, value),
    )


def _places(points: _Points, row: I64, at: F64) -> I64:
    # The first of the points that is not before each (row, at).
    low, high = points.row.searchsorted(row), points.row.searchsorted(row, side="right")
    while (low < high).any():
        middle = (low + high) // 2
        before = (points.at[np.minimum(middle, len(points.at) - 1)] < at) & (low < high)
        low, high = np.where(before, middle + 1, low), np.where(before, high, middle)
    return low


def _changes(points: _Points) -> I64:
    below = points.value < 0.0
    return np.flatnonzero((points.row[1:] == points.row[:-1]) & (below[1:] != below[:-1]))


def _is_near(points: _Points, count: int, row: I64, where: F64) -> Bools:
    # Nothing beyond the bracket of the nearest change on a side can be nearer.
    low, high = np.full(count, -np.inf), np.full(count, np.inf)
    changes = _changes(points)
    left, right, of = points.at[changes], points.at[changes + 1], points.row[changes]
    np.maximum.at(low, of[right <= 0.0], left[right <= 0.0])
    np.minimum.at(high, of[left >= 0.0], right[left >= 0.0])
    return np.asarray((where >= low[row]) & (where <= high[row]))


def _dipped(points: _Points, count: int, curves: Curves) -> _Points:
    # Into every interior minimum of the depth between points of one sign, as `search` does.
    depth, below = np.abs(points.value), points.value < 0.0
    row = points.row
    left, here, right = depth[:-2], depth[1:-1], depth[2:]
    inside = (row[2:] == row[:-2]) & (below[1:-1] == below[:-2]) & (below[1:-1] == below[2:])
    at = np.flatnonzero(inside & (here <= left) & (here <= right))
    at = at[may_cross(left[at], here[at], right[at])] + 1
    at = at[_is_near(points, count, row[at], points.at[at])]
    low, high, sign = points.at[at - 1], points.at[at + 1], np.where(below[at], -1.0, 1.0)
    of, fraction = row[at], np.linspace(0.0, 1.0, DIP_POINTS)
    for _ in range(DIP_ROUNDS):
        if not of.size:
            break
        u = low[:, None] + (high - low)[:, None] * fraction
        seen = curves.asking(np.repeat(of, DIP_POINTS))(u.ravel()).reshape(u.shape)
        turn = np.arange(len(of))
        best = np.clip(np.argmin(seen * sign[:, None], axis=1), 1, DIP_POINTS - 2)
        points = _merged(points, of, u[turn, best], seen[turn, best])
        left, here, right = (np.abs(seen[turn, best + k]) for k in (-1, 0, 1))
        on = may_cross(left, here, right) & (seen[turn, best] * sign >= 0.0)
        low, high = u[turn, best - 1][on], u[turn, best + 1][on]
        of, sign = of[on], sign[on]
    return points


def _sides(row: I64, root: F64, count: int) -> F64:
    # An odd number of changes together is one change, an even number rounding; of those left, the nearest on each side.
    first = np.ones(len(row), dtype=np.bool_)
    first[1:] = (row[1:] != row[:-1]) | (np.diff(root) > TOGETHER)
    size = np.bincount(np.cumsum(first) - 1, minlength=int(first.sum())) if len(row) else np.zeros(0)
    kept = np.flatnonzero(first)[size % 2 == 1]
    factor, of = np.exp(root[kept]), row[kept]
    lower, upper = np.full(count, -np.inf), np.full(count, np.inf)
    down = factor < 1.0
    np.maximum.at(lower, of[down], factor[down])
    np.minimum.at(upper, of[~down], factor[~down])
    return np.array([np.where(np.isfinite(side), side, np.nan) for side in (lower, upper)])
