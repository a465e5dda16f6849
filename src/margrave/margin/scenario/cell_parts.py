"""What the binding cell of a unit is made of: each position, each balance that moves, and what the model does to them.

Read off the workings of the calculation; nothing is valued a second time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, I64
from margrave.margin.scenario.scene import Scene
from margrave.margin.scenario.unit_risk import Block, bucket_gains, cell_weights
from margrave.rulebook.portfolio import VolMove

_NOISE = 1e-13  # of the loss, or of one unit of money: what the order of a sum leaves


@final
@dataclass(frozen=True, slots=True)
class CellParts:
    """Binding cell of one unit in row 0 of prices; profit > 0 [pool currency], weighted as the cell is."""

    cell: int  # row of the grid
    move: float  # of every price of the unit
    vol: VolMove
    factor: float  # weight of the cell, and coins at the edge of a tail
    member: I64  # rows of the scene's members that hold something
    profit: F64  # of each of them
    bucket: I64  # rows of the scene's collateral that moves with the unit
    collateral: F64  # of each of them
    worst: float  # >= 0
    rest: tuple[
        tuple[str, float], ...
    ]  # profit > 0 that the model adds or takes: discounts, share of gains, ...


def cell_parts(block: Block, unit: int) -> CellParts:
    """Parts of a unit's worst cell.

    Parameters
    ----------
    block : Block
        Units of the same terms.
    unit : int
        Row of the unit in the block.

    Returns
    -------
    CellParts
        ``worst`` and all parts add up to zero; what is less than noise is left out of ``rest``. NaN where something
        is not known.
    """
    scene, grid, cell = block.scene, block.worth.grid, int(block.cell[0, unit])
    units = scene.units
    move, factor = float(grid.move[cell]), float(cell_weights(scene, grid)[cell, unit])
    member = np.flatnonzero((units.unit == unit) & (scene.quantity != 0.0))
    profit = block.worth.member[0, cell, member] * factor
    bucket = np.flatnonzero(units.bucket_unit == unit)
    collateral = bucket_gains(scene, grid)[0, cell, bucket] * factor
    explained = float(profit.sum() + collateral.sum())
    rest = _rest(block, unit, cell, explained)
    worst = float(block.worst[0, unit])
    return CellParts(
        cell, move, grid.vol[cell], factor, member, profit, bucket, collateral, worst, tuple(rest)
    )


def _rest(block: Block, unit: int, cell: int, explained: float) -> Iterator[tuple[str, float]]:
    worst, gross, net = (
        float(x) for x in (block.worst[0, unit], block.gross[0, cell, unit], block.net[0, cell, unit])
    )
    skew = block.worth.grid.vol[cell] in (VolMove.LINEAR, VolMove.ABSOLUTE)
    discounted = gross - explained if skew or block.scene.terms.static_discount is not None else 0.0
    shared = net - gross
    last = -worst - (explained + discounted + shared)
    labels = (
        "skew charged both ways" if skew else "discounts",
        "share of gains",
        "a gain is no loss" if net > 0.0 else "rounding",
    )
    for label, amount in zip(labels, (discounted, shared, last), strict=True):
        if abs(amount) > _NOISE * max(1.0, worst):
            yield label, amount


def symbols(scene: Scene, parts: CellParts) -> list[str]:
    """Names of the positions of `parts`, in order."""
    listed = (scene.table.instruments[i] for i in scene.units.instrument[parts.member].tolist())
    return ["" if instrument is None else instrument.symbol for instrument in listed]


def moving_balances(scene: Scene, parts: CellParts) -> list[str]:
    """Names of the balances of `parts`, in order."""
    assets = scene.pools.bucket_asset[scene.units.bucket[parts.bucket]]
    return [f"balance of {scene.table.assets[a]}" for a in assets.tolist()]
