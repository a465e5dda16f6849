"""Delta, gamma and vega beside full revaluation: how far the quick formula is off (spec PMM-1, RBM-7).

Margin always comes from full revaluation; this is a check, and a curved book shows its error here.
"""

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from margrave.kernels.arrays import F64
from margrave.margin.pool_view import PoolColumns, pools_at
from margrave.margin.tails.joint_rows import JointRows
from margrave.margin.tails.revaluation import Exposures, exposures_of, profits
from margrave.margin.tails.tail import TailMargin, measure_of
from margrave.rulebook.tail import TailModel

_BUMP: Final = 1e-3  # relative move: truncation 1e-6 of gamma, rounding 1e-10 of the pool's worth


@final
@dataclass(frozen=True, slots=True)
class Sensitivities:
    """First and second derivatives of a pool's worth by relative moves of F assets [pool currency]."""

    assets: tuple[str, ...]
    delta: F64  # (F,) by price
    gamma: F64  # (F, F) by two prices
    vega: F64  # (F,) by the vols of each asset's options, moved by the same factor


@final
@dataclass(frozen=True, slots=True)
class TailCheck:
    """The measure by full revaluation and by delta, gamma and vega."""

    exact: float
    approximate: float
    sensitivities: Sensitivities

    @property
    def error(self) -> float:
        """What the approximation asks too much, < 0 too little."""
        return self.approximate - self.exact


def tail_check(model: TailModel, columns: PoolColumns, pool: int, margin: TailMargin) -> TailCheck:
    """Measure a pool's tail by delta, gamma and vega in the rows in which its margin was measured.

    Parameters
    ----------
    model, columns, pool : TailModel, PoolColumns, int
        As given to `margrave.margin.tails.tail.tail_margin`.
    margin : TailMargin
        What it gave, known.
    """
    one = pools_at(columns, np.array([pool]))
    found = sensitivities(exposures_of(one, model.collateral_moves), margin.rows.assets)
    losses = -approximate_profits(found, margin.rows)
    return TailCheck(margin.tail.value, measure_of(model.measure, losses).value, found)


def sensitivities(exposures: Exposures, assets: tuple[str, ...]) -> Sensitivities:
    """Derivatives of the first pool by central differences of its full revaluation."""
    count = len(assets)
    i, j = np.triu_indices(count, 1)
    eye, pairs = np.eye(count), np.eye(count)[i]
    other = np.eye(count)[j]
    none = np.zeros((2 * count, count))
    steps = np.concatenate((eye, -eye, pairs + other, pairs - other, other - pairs, -pairs - other, none))
    vols = np.concatenate((np.zeros((len(steps) - 2 * count, count)), eye, -eye))
    worth = profits(exposures, JointRows(assets, 1.0 + _BUMP * steps, 1.0 + _BUMP * vols))
    up, down, *rest = np.split(worth, np.cumsum([count, count, *[len(i)] * 4, count]))
    gamma = np.diag((up + down) / _BUMP**2)
    gamma[i, j] = (rest[0] - rest[1] - rest[2] + rest[3]) / (4.0 * _BUMP**2)
    gamma[j, i] = gamma[i, j]
    return Sensitivities(assets, (up - down) / (2.0 * _BUMP), gamma, (rest[4] - rest[5]) / (2.0 * _BUMP))


def approximate_profits(by: Sensitivities, rows: JointRows) -> F64:
    """Profit of a pool in every row by delta, gamma and vega, (N,)."""
    x = rows.price - 1.0
    curved = np.einsum("ni,ij,nj->n", x, by.gamma, x)
    straight = np.einsum("ni,i->n", x, by.delta) + np.einsum("ni,i->n", rows.vol - 1.0, by.vega)
    return np.asarray(straight + curved / 2.0)
