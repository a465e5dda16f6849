"""One linear programme in trades, in lots: what costs least and lifts every excess to where it should be.

SciPy's HiGHS solves it; the package is asked for when it is needed, so that nothing else depends on it.
"""

from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from margrave.core.errors import Reason, invalid
from margrave.kernels.arrays import F64

_NODES = 2_000  # of the search in whole lots: a count, so that the answer does not depend on the machine
_PENALTY = 1e3  # on a shortfall, in costs of the whole trade


@final
@dataclass(frozen=True, slots=True)
class Linear:
    """Excess as a line in the trades from where they stand, all in lots."""

    at: F64  # (n,) trades now
    excess: F64  # (m,) above target at ``at``, scaled
    buying: F64  # (m, n) change of excess per lot bought
    selling: F64  # (m, n) change of excess per lot sold
    step_up: F64  # (n,) most lots that may be bought from here
    step_down: F64  # (n,) most lots that may be sold
    cost: F64  # (n,) per lot of the whole trade, > 0


def solved(line: Linear, is_whole: bool) -> F64 | None:
    """Cheapest trades by a line.

    Parameters
    ----------
    line : Linear
        The excess about the trades as they stand.
    is_whole : bool
        Whether trades are whole lots.

    Returns
    -------
    (n,) ndarray or None
        Trades in lots, the whole of them and not the step; the shortfall is least where it cannot be none.
        None where the solver settles on nothing.

    Raises
    ------
    InvalidInputError
        SciPy is not installed.
    """
    optimize = _scipy()
    line, n = _in_lots(line), line.at.size
    # Columns: step bought, step sold, trade bought, trade sold, shortfall. Trade = at + step.
    shortfall = np.ones((line.excess.size, 1))
    lifts = np.hstack([line.buying, line.selling, np.zeros((line.excess.size, 2 * n)), shortfall])
    eye = np.eye(n)
    ties = np.hstack([-eye, eye, eye, -eye, np.zeros((n, 1))])
    scale = float(np.abs(line.cost).max())
    weight = np.concatenate([np.zeros(2 * n), line.cost / scale, line.cost / scale, [_dear(line) / scale]])
    upper = np.concatenate([line.step_up, line.step_down, np.full(2 * n, np.inf), [np.inf]])
    found = optimize.milp(
        weight,
        integrality=np.concatenate([np.full(4 * n, float(is_whole)), [0.0]]),
        bounds=optimize.Bounds(0.0, upper),
        constraints=[
            optimize.LinearConstraint(lifts, -line.excess, np.inf),
            optimize.LinearConstraint(ties, line.at, line.at),
        ],
        options={"node_limit": _NODES, "mip_rel_gap": 1e-6},
    )
    if found.x is None:
        return None
    trade = np.asarray(found.x[2 * n : 3 * n] - found.x[3 * n : 4 * n], dtype=np.float64)
    return np.round(trade) if is_whole else trade


def _in_lots(line: Linear) -> Linear:
    # Excess told in lots of the trade that lifts it most: the solver's tolerance is then a part of a lot.
    steepest = np.maximum(np.abs(line.buying), np.abs(line.selling)).max(axis=1, initial=0.0)
    unit = np.where(steepest > 0.0, steepest, 1.0)
    return replace(
        line,
        excess=line.excess / unit,
        buying=line.buying / unit[:, None],
        selling=line.selling / unit[:, None],
    )


def _dear(line: Linear) -> float:
    # Lifting by trade is always cheaper than falling short by the same excess.
    slopes = np.maximum(line.buying, line.selling).max(axis=0, initial=0.0)
    useful = slopes > 0.0
    dearest = float((line.cost[useful] / slopes[useful]).max()) if useful.any() else float(line.cost.max())
    return _PENALTY * max(dearest, float(line.cost.max()))


def _scipy() -> Any:
    try:
        from scipy import optimize
    except ImportError as fault:
        message = "optimisation needs SciPy; install it with: pip install margrave[optimise]"
        raise invalid("scipy", Reason.NOT_FOUND, message) from fault
    return optimize
