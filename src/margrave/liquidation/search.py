"""Every place at which a function of one factor changes its sign, found in a few calls for all of them."""

from collections.abc import Callable
from functools import cache
from typing import Final, TypeAlias

import numpy as np

from margrave.kernels.arrays import F64, Bools
from margrave.kernels.roots import bracketed_root

FACTOR_MIN: Final = 1e-6
FACTOR_MAX: Final = 1e6
_GRID_HALF = 200  # points on either side of no move
_GRID_BEND = 5.0  # how much denser the grid is about no move than at its ends
_ZERO_STEP = 1e-9  # a zero by formula is looked at from both sides, beyond the rounding of the curve
TOGETHER: Final = 5e-11  # sign changes nearer to each other than this are rounding
SIDE_STEP: Final = 1e-12  # a break is looked at from both sides, for functions that jump there
DIP_POINTS: Final = 33
DIP_ROUNDS: Final = 6
_DIP_RISE: Final = (
    10.0  # a dip that bends can go below its lowest point by what it rises on one side; tenfold, for kinks
)
ROOT_TOLERANCE: Final = 2e-15  # relative, of the factor
ROOT_STEPS: Final = 240
_HALVINGS = 60

Curve: TypeAlias = Callable[[F64], F64]


@cache
def grid() -> F64:
    """Factors from the least to the largest, dense about one; one itself is among them. Not to be written to."""
    u = np.linspace(-1.0, 1.0, 2 * _GRID_HALF + 1)
    factors = np.asarray(np.exp(np.log(FACTOR_MAX) * np.sinh(_GRID_BEND * u) / np.sinh(_GRID_BEND)))
    factors.flags.writeable = False
    return factors


def known_stretch(curve: Curve) -> tuple[float, float]:
    """Factors around one between which a curve has a value; 0 and inf where it has one as far as is searched.

    Parameters
    ----------
    curve : callable, (S,) ndarray -> (S,) ndarray
        Function of the factor, finite at one. A rule may say nothing of prices beyond its reach: NaN.
    """
    whole = np.log(grid())

    def of_log(u: F64) -> F64:
        return curve(np.exp(u))

    at, _ = _known(of_log, whole, of_log(whole))
    low = 0.0 if at[0] == whole[0] else float(np.exp(at[0]))
    return low, float("inf") if at[-1] == whole[-1] else float(np.exp(at[-1]))


def _known(curve: Curve, at: F64, values: F64) -> tuple[F64, F64]:
    # The points about zero at which a curve has a value, out to the last on either side.
    unknown = np.flatnonzero(~np.isfinite(values))
    if unknown.size == 0:
        return at, values
    here = int(np.searchsorted(at, 0.0))
    low = max(unknown[unknown < here], default=-1) + 1
    high = min(unknown[unknown > here], default=len(at))
    ends = [_edge(curve, float(at[low - 1]), float(at[low]))] if low else []
    ends += [_edge(curve, float(at[high]), float(at[high - 1]))] if high < len(at) else []
    points, order = np.unique(np.concatenate([at[low:high], ends]), return_index=True)
    return points, np.concatenate([values[low:high], curve(np.array(ends))])[order]


def _edge(curve: Curve, unknown: float, known: float) -> float:
    for _ in range(_HALVINGS):
        middle = (unknown + known) / 2.0
        unknown, known = (unknown, middle) if np.isfinite(curve(np.array([middle]))[0]) else (middle, known)
    return known


def sign_changes(curve: Curve, breaks: F64, proposed: F64) -> F64:
    """Factors at which a curve changes between ``< 0`` and ``>= 0``.

    Parameters
    ----------
    curve : callable, (S,) ndarray -> (S,) ndarray
        Function of the factor, finite at one; may jump at the breaks. Searched to where it has no value.
    breaks : (n,) ndarray
        Factors at which the curve may bend or jump.
    proposed : (m,) ndarray
        Factors at which a formula has it zero; looked at from a little outside, where rounding has no say.

    Returns
    -------
    (k,) ndarray
        Ascending. Every sign change that the grid, the breaks and the dips and humps show. At a jump, the
        factor of the jump.
    """
    sides = np.array([1.0 - SIDE_STEP, 1.0, 1.0 + SIDE_STEP])
    near = np.array([1.0 - _ZERO_STEP, 1.0 + _ZERO_STEP])
    wanted = np.concatenate([np.outer(breaks, sides).ravel(), np.outer(proposed, near).ravel()])
    inside = wanted[(wanted > FACTOR_MIN) & (wanted < FACTOR_MAX)]
    # All in ln factor, so that a point seen twice has the same value twice.
    at = np.unique(np.concatenate([np.log(grid()), np.log(inside)]))

    def of_log(u: F64) -> F64:
        return curve(np.exp(u))

    at, values = _with_dips(of_log, *_known(of_log, at, of_log(at)))
    below = values < 0.0
    left = np.flatnonzero(below[1:] != below[:-1])
    if left.size == 0:
        return np.empty(0)
    found = bracketed_root(of_log, at[left], at[left + 1], ROOT_TOLERANCE, 0.0, ROOT_STEPS)
    return np.exp(found[_settled(found)])


def _settled(found: F64) -> Bools:
    # Rounding may change the sign several times about one zero: an odd number of changes together is one change,
    # an even number none.
    first = np.concatenate([[True], np.diff(found) > TOGETHER])
    count = np.bincount(np.cumsum(first) - 1)
    kept = np.zeros(found.size, dtype=bool)
    kept[np.flatnonzero(first)] = count % 2 == 1
    return kept


def may_cross(left: F64, here: F64, right: F64) -> Bools:
    """Whether a dip whose depth is ``here``, with those of its neighbours, (n,) each, is worth going down into.

    Where a function is convex, it falls between three points no further below the middle one than the higher of the others
    stands above it, in the ratio of their distances, which is about one on the grid.
    """
    rise = np.maximum(left, right) - here
    return np.asarray((rise > 0.0) & (here <= _DIP_RISE * rise))


def _with_dips(curve: Curve, points: F64, values: F64) -> tuple[F64, F64]:
    # A dip below zero between two points of the grid shows only at its lowest point: go down into every interior
    # minimum of a positive stretch, and up every maximum of a negative one.
    sign = np.where(values < 0.0, -1.0, 1.0)
    depth = np.abs(values)
    left, here, right = depth[:-2], depth[1:-1], depth[2:]
    same = (sign[1:-1] == sign[:-2]) & (sign[1:-1] == sign[2:])
    at = np.flatnonzero(same & (here <= left) & (here <= right) & may_cross(left, here, right)) + 1
    if at.size == 0:
        return points, values
    low, high, side = points[at - 1], points[at + 1], sign[at]
    found, fraction = [], np.linspace(0.0, 1.0, DIP_POINTS)
    for _ in range(DIP_ROUNDS):
        u = low[:, None] + (high - low)[:, None] * fraction
        seen = curve(u.ravel()).reshape(u.shape)
        best = np.clip(np.argmin(seen * side[:, None], axis=1), 1, DIP_POINTS - 2)
        rows = np.arange(len(side))
        found.append((u[rows, best], seen[rows, best]))
        left, here, right = (np.abs(seen[rows, best + k]) for k in (-1, 0, 1))
        on = may_cross(left, here, right) & (seen[rows, best] * side >= 0.0)
        low, high, side = u[rows, best - 1][on], u[rows, best + 1][on], side[on]
        if not side.size:
            break
    points = np.concatenate([points, *(p for p, _ in found)])
    values = np.concatenate([values, *(v for _, v in found)])
    points, order = np.unique(points, return_index=True)
    return points, values[order]
