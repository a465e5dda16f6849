"""The likeliest joint move that makes a pool liquidatable: first-order reliability (FORM).

In standard normal space, where log prices move by a day's vol and the market's correlations, the boundary's
nearest point to the origin is found by the Hasofer-Lind and Rackwitz-Fiessler iteration.

References
----------
Hasofer and Lind, Journal of Engineering Mechanics 100, 1974; Rackwitz and Fiessler, Computers and Structures 9,
1978.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from margrave.kernels.arrays import F64
from margrave.kernels.normal import normal_cdf
from margrave.liquidation.bounds import DAYS_IN_YEAR, JointMove
from margrave.liquidation.direction import excess_of, pooled_at
from margrave.margin.pooled import Prepared

Surface: TypeAlias = Callable[[F64], F64]  # (n, d) standard normal moves -> (n,) excess

_STEPS = 60
_DIFFERENCE = 1e-5  # [standard deviations] of the central differences
_LIMIT = 300.0  # [standard deviations] a move longer than this is none
_TOLERANCE = 1e-9


def joint_move(
    prepared: Prepared, pool: int, assets: tuple[int, ...], starts: tuple[tuple[int, float], ...]
) -> JointMove | None:
    """Shortest move of several underlyings to the boundary.

    Parameters
    ----------
    prepared : Prepared
        Book, market and rules.
    pool : int
        Row of the pools.
    assets : tuple of int
        Underlyings that move, rows of the table's assets.
    starts : tuple of (int, float)
        Known boundary points on the axes, as (place in ``assets``, factor); where the iteration starts besides
        the origin.

    Returns
    -------
    JointMove or None
        None where no iteration settled on the boundary.
    """
    names = [prepared.table.assets[a] for a in assets]
    vol = prepared.vols[list(assets)]
    daily = np.where(np.isfinite(vol), vol, 1.0) / np.sqrt(DAYS_IN_YEAR)
    root = daily[:, None] * _root(_correlation(prepared, names))
    inverse = np.linalg.pinv(root)

    def excess(z: F64) -> F64:
        shift = np.ones((z.shape[0], len(prepared.table.assets)))
        shift[:, list(assets)] = np.exp(z @ root.T)
        pooled = pooled_at(prepared, shift)
        return np.asarray(excess_of(prepared, pooled)[: z.shape[0], pool])

    first = [np.zeros(len(assets))]
    for place, factor in starts:
        log = np.zeros(len(assets))
        log[place] = np.log(factor)
        first.append(inverse @ log)
    ends = [end for start in first if (end := _nearest(excess, start)) is not None]
    if not ends:
        return None
    best = min(ends, key=lambda z: float(z @ z))
    length = float(np.sqrt(best @ best))
    moved = tuple(zip(names, np.exp(root @ best).tolist(), strict=True))
    assumed = tuple(name for name, v in zip(names, vol, strict=True) if not np.isfinite(v))
    return JointMove(moved, length, float(normal_cdf(np.asarray(-length))), assumed)


def _correlation(prepared: Prepared, names: list[str]) -> F64:
    known = prepared.market.correlations

    def between(a: str, b: str) -> float:
        return 1.0 if a == b else float(known.get((a, b), known.get((b, a), 0.0)))

    return np.array([[between(a, b) for b in names] for a in names])


def _root(correlation: F64) -> F64:
    # Symmetric root; what rounding or a careless table puts below zero is cut.
    values, vectors = np.linalg.eigh(correlation)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def _nearest(excess: Surface, start: F64) -> F64 | None:
    z = start
    scale = abs(float(excess(np.zeros((1, z.size)))[0])) or 1.0
    for _ in range(_STEPS):
        value, gradient = _slope(excess, z)
        steep = float(gradient @ gradient)
        if not steep > 0.0 or not np.isfinite(value):
            return None
        wanted = gradient * ((float(gradient @ z) - value) / steep)
        if float(np.linalg.norm(wanted)) > _LIMIT:
            return None
        if (
            float(np.linalg.norm(wanted - z)) <= _TOLERANCE * (1.0 + float(np.linalg.norm(z)))
            and abs(value) <= 1e-9 * scale
        ):
            return wanted
        z = _along(excess, z, wanted, value, gradient)
    return None


def _slope(excess: Surface, z: F64) -> tuple[float, F64]:
    steps = np.eye(z.size) * _DIFFERENCE
    seen = excess(np.vstack([z, z + steps, z - steps]))
    return float(seen[0]), (seen[1 : z.size + 1] - seen[z.size + 1 :]) / (2.0 * _DIFFERENCE)


def _along(excess: Surface, z: F64, wanted: F64, value: float, gradient: F64) -> F64:
    # The step is shortened until the merit, half the squared length and a penalty off the boundary, falls.
    penalty = 2.0 * float(np.linalg.norm(z) / np.linalg.norm(gradient)) + 10.0 / float(
        np.linalg.norm(gradient)
    )
    share = 0.5 ** np.arange(8)
    trial = z + share[:, None] * (wanted - z)
    merit = 0.5 * (trial * trial).sum(axis=1) + penalty * np.abs(excess(trial))
    now = 0.5 * float(z @ z) + penalty * abs(value)
    falls = np.flatnonzero(merit < now)
    return np.asarray(trial[falls[0] if falls.size else np.argmin(merit)])
