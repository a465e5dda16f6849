"""What asks most of a pool where it becomes liquidatable: a position, or a unit of portfolio margin and its cell."""

import numpy as np

from margrave.core.words import MAINTENANCE
from margrave.liquidation.direction import Direction, factors, pooled_at, positions_of
from margrave.margin.health.health import HealthMargin
from margrave.margin.health.health_tree import health_tree
from margrave.margin.pool_models import PoolTrees
from margrave.margin.pooled import Pooled, Prepared
from margrave.margin.requirement import Requirement
from margrave.margin.scenario.scenarios import ScenarioMargin


def binding(prepared: Prepared, direction: Direction, pooled: Pooled, row: int, factor: float) -> str:
    """Say what the largest part of a pool's maintenance is.

    Parameters
    ----------
    prepared, direction : Prepared, Direction
        The pool, and what moves.
    pooled : Pooled
        Evaluated at several factors.
    row : int
        Row of it at which the bound lies.
    factor : float
        The factor of that row.
    """
    alone, symbol = _largest_position(prepared, direction.pool, pooled, row)
    joint = pooled.workings.joint
    asked = 0.0 if joint is None else float(joint.maintenance[row, direction.pool])
    if joint is None or asked < alone:
        return f"maintenance of {symbol}"
    if asked == 0.0:  # nothing is asked, so that all of the balance is gone
        return "equity"
    if isinstance(joint.workings, ScenarioMargin):
        return _unit(prepared, joint.workings, direction.pool, row)
    # These models keep their workings for one row of prices.
    here = pooled_at(prepared, factors(prepared, direction, np.array([factor]))).workings.joint
    assert here is not None
    if isinstance(here.workings, HealthMargin):
        return _of_tree(
            health_tree(here.workings, prepared.table, prepared.pools, direction.pool, MAINTENANCE)
        )
    assert isinstance(here.workings, PoolTrees)
    tree = here.workings.tree(direction.pool, MAINTENANCE)
    assert tree is not None, "a pool whose maintenance binds is asked some"
    return _of_tree(tree)


def _largest_position(prepared: Prepared, pool: int, pooled: Pooled, row: int) -> tuple[float, str]:
    rows = positions_of(prepared, pool)
    charged = pooled.workings.charged[MAINTENANCE][row, rows] * pooled.workings.to_pool[row, rows]
    largest = int(np.argmax(charged))
    return float(charged[largest]), prepared.book.symbols[int(prepared.book.instrument[rows[largest]])]


def _unit(prepared: Prepared, margin: ScenarioMargin, pool: int, row: int) -> str:
    units = margin.portfolio.units
    mine = np.flatnonzero(units.unit_pool == pool)
    if mine.size == 0:  # only cut from collateral
        return "haircuts of collateral"
    unit = int(mine[int(np.argmax(margin.level[MAINTENANCE].risk[row, mine]))])
    block = next(b for b in margin.blocks if unit in b.unit)
    place = int(np.flatnonzero(block.unit == unit)[0])
    name, grid, cell = (
        prepared.table.assets[int(units.unit_base[unit])],
        block.worth.grid,
        int(block.cell[row, place]),
    )
    return f"risk of {name}: cell {cell + 1}, price {grid.move[cell]:+.4g}, vol {grid.vol[cell]}"


def _of_tree(tree: Requirement) -> str:
    # Down the largest parts, to the first that says which of several decided and is not just "more than nothing".
    node, names = tree, [tree.label]
    while node.parts:
        node = max(node.parts, key=lambda part: part.amount)
        names.append(node.label)
        if node.binds:
            return f"{node.label}: {node.binds}"
    return names[min(1, len(names) - 1)]
