"""The risk matrix of an account: what every instrument and every unit gains in each cell, and which cell binds.

Read from the workings of the one calculation; nothing is calculated a second time.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.errors import Issue, Reason, refused
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.domain.account import Account
from margrave.domain.book import book_of
from margrave.domain.market import Market
from margrave.margin.pooled import Prepared, evaluate, prepare
from margrave.margin.pools import pool_name
from margrave.margin.scenario.cells import Grid
from margrave.margin.scenario.charges import expiry_deltas
from margrave.margin.scenario.scenarios import ScenarioMargin
from margrave.margin.scenario.unit_risk import Block, bucket_gains, cell_weights
from margrave.rulebook.portfolio import EvenGrid, Role
from margrave.rulebook.schema import Rulebook


@final
@dataclass(frozen=True, slots=True)
class MatrixCell:
    """One scenario of a unit."""

    number: int  # 1-based among all cells of the unit
    bucket: int  # 1-based price move among those of its source
    source: str  # standard or extended
    move: float  # [fraction] of every price of the unit
    vol: str  # up, same, down, linear or absolute
    weight: float  # what the cell multiplies a profit or loss by, coin conversion included


@final
@dataclass(frozen=True, slots=True)
class Vector:
    """Gains of an instrument, or of a balance that moves, in every cell of its unit, weighted."""

    name: str
    is_option: bool
    gains: tuple[float, ...]


@final
@dataclass(frozen=True, slots=True)
class WorstCase:
    """The cell that binds: the first that gives the largest loss."""

    loss: float  # >= 0
    cell: MatrixCell
    side: str  # left (prices fall), right (they rise) or centre


@final
@dataclass(frozen=True, slots=True)
class ExpiryDelta:
    """Net delta of one expiry."""

    years: float  # to expiry; 0 for perpetuals
    settlement: str
    coins: float


@final
@dataclass(frozen=True, slots=True)
class ChargePart:
    """One charge beside the worst case."""

    kind: str  # as rulebooks call it: roll, delta-liquidity, ...
    role: Role
    code: str
    amount: float
    is_initial: bool
    is_maintenance: bool


@final
@dataclass(frozen=True, slots=True)
class UnitMatrix:
    """One risk unit; amounts in the currency of its pool."""

    name: str  # <underlying>_<currency of the pool>, lower case
    underlying: str
    currency: str
    cells: tuple[MatrixCell, ...]
    vectors: tuple[Vector, ...]
    before: tuple[float, ...]  # gains of the unit before offset ("pre-aggregated")
    after: tuple[float, ...]  # after the share of gains that may offset, and the dampener ("aggregated")
    worst: WorstCase
    deltas: tuple[ExpiryDelta, ...]
    charges: tuple[ChargePart, ...]
    risk: tuple[float, float]  # initial, maintenance: worst case and charges, before the level's factor


@final
@dataclass(frozen=True, slots=True)
class PoolMatrix:
    """One pool; NaN where it cannot be valued, with the issues that say why."""

    name: str
    currency: str
    initial: float
    maintenance: float
    orders: float  # what open orders add to the initial level
    units: tuple[UnitMatrix, ...]
    issues: tuple[Issue, ...]


@final
@dataclass(frozen=True, slots=True)
class RiskMatrix:
    """An account's pools that portfolio margin speaks of."""

    account: str
    rulebook: str
    pools: tuple[PoolMatrix, ...]


def risk_matrix(account: Account, market: Market, rulebook: Rulebook) -> RiskMatrix:
    """Risk matrix of an account.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation.

    Returns
    -------
    RiskMatrix
        Pools with at least one risk unit, in the order of the assessment. A unit's vectors add up to ``before``,
        except where its rules charge an expiry whole (static discounts, skew moves).

    Raises
    ------
    RefusedError
        The rulebook has no portfolio margin by scenarios.
    """
    prepared = prepare(book_of((account,)), market, rulebook)
    pooled = evaluate(prepared)
    joint = pooled.workings.joint
    if joint is None or not isinstance(joint.workings, ScenarioMargin):
        raise refused(
            rulebook.id,
            Reason.UNSUPPORTED,
            "has no risk matrix; give a rulebook of portfolio margin by scenarios, such as deribit.spm",
        )
    pools: list[PoolMatrix] = []
    for pool in range(len(prepared.pools.account)):
        units = tuple(
            _unit(prepared, block, u)
            for block in joint.workings.blocks
            for u in np.flatnonzero(block.scene.units.unit_pool == pool).tolist()
        )
        if units:
            levels = float(pooled.initial[0, pool]), float(pooled.maintenance[0, pool])
            orders = float(pooled.workings.order_margin[0, pool])
            name = pool_name(prepared.pools, prepared.table, prepared.book, pool)
            issues = prepared.issues.get(pool, ())
            pools.append(PoolMatrix(name, units[0].currency, *levels, orders, units, issues))
    return RiskMatrix(account.name, rulebook.id, tuple(pools))


def _unit(prepared: Prepared, block: Block, unit: int) -> UnitMatrix:
    scene, assets = block.scene, prepared.table.assets
    underlying = assets[int(scene.units.unit_base[unit])]
    currency = assets[int(scene.pools.currency[scene.units.unit_pool[unit]])]
    cells = _cells(block.worth.grid, scene.terms.cells.even, cell_weights(scene, block.worth.grid)[:, unit])
    bound = cells[int(block.cell[0, unit])]
    side = "left" if bound.move < 0.0 else "right" if bound.move > 0.0 else "centre"
    initial, maintenance = (block.level[k] for k in (INITIAL, MAINTENANCE))
    charged = {id(c): c for level in (initial, maintenance) for c in level.charges}
    return UnitMatrix(
        f"{underlying}_{currency}".lower(),
        underlying,
        currency,
        cells,
        _vectors(block, unit),
        tuple(block.gross[0, :, unit].tolist()),
        tuple(block.net[0, :, unit].tolist()),
        WorstCase(float(block.worst[0, unit]), bound, side),
        _deltas(block, unit),
        tuple(
            ChargePart(
                str(type(c.rule).__struct_config__.tag),
                c.rule.role,
                c.rule.code,
                float(c.amount[0, unit]),
                c.rule.initial,
                c.rule.maintenance,
            )
            for c in charged.values()
        ),
        (float(initial.risk[0, unit]), float(maintenance.risk[0, unit])),
    )


def _cells(grid: Grid, even: EvenGrid | None, weight: np.ndarray) -> tuple[MatrixCell, ...]:
    per_bucket = 1 if even is None else len(even.vols)
    standard = int(np.count_nonzero(~grid.is_tail))
    even_cells = 0 if even is None else per_bucket * (2 * even.each_side + 1)
    cells = []
    for k, (move, vol) in enumerate(zip(grid.move.tolist(), grid.vol, strict=True)):
        # Listed cells and those of the tail are a bucket each.
        first = even_cells // per_bucket + k - even_cells if k < standard else k - standard
        bucket = 1 + (k // per_bucket if k < even_cells else first)
        source = "extended" if grid.is_tail[k] else "standard"
        cells.append(MatrixCell(k + 1, bucket, source, move, str(vol), float(weight[k])))
    return tuple(cells)


def _vectors(block: Block, unit: int) -> tuple[Vector, ...]:
    scene, grid = block.scene, block.worth.grid
    units, table = scene.units, scene.table
    weight = cell_weights(scene, grid)[:, unit]
    found: dict[str, tuple[bool, np.ndarray]] = {}
    for m in np.flatnonzero((units.unit == unit) & (units.position >= 0)).tolist():
        instrument = table.instruments[int(units.instrument[m])]
        assert instrument is not None
        before = found.get(instrument.symbol, (False, np.zeros(len(weight))))[1]
        found[instrument.symbol] = (
            bool(units.is_option[m]),
            before + block.worth.member[0, :, m] * weight,
        )
    moved = bucket_gains(scene, grid)
    for v in np.flatnonzero(units.bucket_unit == unit).tolist():
        asset = table.assets[int(scene.pools.bucket_asset[units.bucket[v]])]
        found[asset] = (False, moved[0, :, v] * weight)
    return tuple(Vector(name, is_option, tuple(g.tolist())) for name, (is_option, g) in found.items())


def _deltas(block: Block, unit: int) -> tuple[ExpiryDelta, ...]:
    units, assets = block.scene.units, block.scene.table.assets
    expiry, settled, net = expiry_deltas(block.scene)
    return tuple(
        ExpiryDelta(float(units.expiry_years[e]), assets[int(settled[r])], float(net[0, r]))
        for r, e in enumerate(expiry.tolist())
        if int(units.expiry_unit[e]) == unit
    )
