"""Portfolio margin from scenarios: the worst cell of every unit, charges, and the level's factor.

For a unit: ``risk = max(max(worst, competing charges) + added charges, least charges)``; for a level:
``factor * (risks of the units together) + charges after``. What a rulebook leaves out is zero or one
(`rulebook.portfolio`).
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.rounding import Direction, Step, round_all
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.kernels.arrays import F64, I64
from margrave.margin.cells import CellWorth, Grid, cell_worth, grid_of
from margrave.margin.charges import charge_of, unsure_collateral
from margrave.margin.pools import grouped_sum
from margrave.margin.scene import Scene, collateral_value, numeraire_price
from margrave.rulebook.portfolio import Charge, ConfidenceCharge, CorrelationOffset, Gains, Held, Role


@final
@dataclass(frozen=True, slots=True)
class Charged:
    """One charge and its amounts, (S, U)."""

    rule: Charge
    amount: F64


@final
@dataclass(frozen=True, slots=True)
class UnitRisk:
    """One level of the risk of units."""

    charges: tuple[Charged, ...]  # those of this level
    risk: F64  # (S, U) after charges, before the level's factor
    combined: F64  # (S, K) of a pool's units together
    factor: F64  # (S, K)
    after: F64  # (S, K) what is not multiplied: charges after, haircuts
    required: F64  # (S, K)


@final
@dataclass(frozen=True, slots=True)
class ScenarioMargin:
    """Everything that portfolio margin is made of, in the currency of each pool."""

    scene: Scene
    worth: CellWorth
    gross: F64  # (S, C, U) profit or loss of each unit in each cell, weighted
    net: F64  # (S, C, U) after the share of gains and the dampener
    worst: F64  # (S, U) largest loss, >= 0
    cell: I64  # (S, U) the first cell that gives it
    haircut: tuple[F64, F64]  # (S, V) cut from collateral at each level
    level: tuple[UnitRisk, UnitRisk]


def scenario_margin(scene: Scene) -> ScenarioMargin:
    """Portfolio margin of every pool.

    Parameters
    ----------
    scene : Scene
        Members, prices and rules.

    Returns
    -------
    ScenarioMargin
        ``level[k].required`` is (S, K); pools without members get zero. NaN where something is not known.

    References
    ----------
    Spec rows PMS-1 to PMS-8; Deribit 3.1, Derive 1.2 and 1.3, Paradex, as their rulebooks state.
    """
    model = scene.model
    grid = grid_of(model.cells)
    worth = cell_worth(scene, grid)
    gross = _unit_gains(scene, grid, worth)
    net = gross if model.gains is None else _net(scene, grid, model.gains, gross)
    cell = np.argmin(net, axis=1)
    worst = np.maximum(-np.min(net, axis=1), 0.0)
    if model.worst_digits is not None and worst.shape[0] == 1:
        worst = round_all(worst, Step(10.0**-model.worst_digits, Direction.NEAREST))
    charges = tuple(Charged(rule, charge_of(scene, worth, rule)) for rule in model.charges)
    haircut = _haircuts(scene)
    side = np.sign(grid.move[cell])
    levels = tuple(_level(scene, worst, side, charges, haircut[k], k) for k in (INITIAL, MAINTENANCE))
    return ScenarioMargin(scene, worth, gross, net, worst, cell, haircut, (levels[0], levels[1]))


def _unit_gains(scene: Scene, grid: Grid, worth: CellWorth) -> F64:
    units, pools = scene.units, scene.pools
    s, c, e = worth.expiry.shape
    gains = grouped_sum(worth.expiry.reshape(s * c, e), units.expiry_unit, scene.unit_count)
    gains = gains.reshape(s, c, scene.unit_count)
    moving = units.bucket_unit >= 0
    if moving.any():
        value = collateral_value(scene)[:, None, moving] * grid.move[None, :, None]
        flat = grouped_sum(value.reshape(s * c, -1), units.bucket_unit[moving], scene.unit_count)
        gains = gains + flat.reshape(s, c, scene.unit_count)
    # A loss of the tail is scaled in quote; a unit that counts in its own coin gets it at the grid's edge.
    in_coin = units.unit_base == pools.currency[units.unit_pool]
    at_edge = (1.0 + grid.move) / (1.0 + grid.edge)
    return gains * grid.weight[:, None] * np.where(in_coin, at_edge[:, None], 1.0)


def _net(scene: Scene, grid: Grid, rule: Gains, gross: F64) -> F64:
    units, pools = scene.units, scene.pools
    currency = pools.currency[units.unit_pool]
    in_coin = units.unit_base == currency
    with np.errstate(invalid="ignore"):
        unit_of_account = np.where(in_coin, numeraire_price(scene), 1.0)[:, None, :]
    edge = np.where(grid.is_tail, 1.0 + grid.edge, 1.0 + grid.move)[None, :, None]
    per_numeraire = np.where(in_coin, 1.0 / (unit_of_account * edge), 1.0)
    kept = np.maximum(gross, 0.0) * rule.share
    if rule.most is not None:
        kept = np.minimum(kept, rule.most * per_numeraire)
    net = np.minimum(gross, 0.0) + kept
    if rule.tail_dampener:
        beyond = np.maximum(np.abs(grid.move) / grid.range, 1.0) - 1.0
        least = np.where(grid.is_tail, beyond, 0.0)[None, :, None] * rule.tail_dampener * per_numeraire
        net = np.sign(net) * np.maximum(np.abs(net) - least, 0.0)
    return np.asarray(net)


def _haircuts(scene: Scene) -> tuple[F64, F64]:
    members = {member.asset: member for member in scene.model.collateral}
    assets = [scene.table.assets[a] for a in scene.pools.bucket_asset[scene.units.bucket].tolist()]
    maintenance = np.array([members[a].maintenance_haircut if a in members else 0.0 for a in assets])
    initial = np.array([members[a].initial_haircut if a in members else 0.0 for a in assets])
    value = np.maximum(collateral_value(scene), 0.0)
    cut = [value * (maintenance + initial), value * maintenance]
    for rule in scene.model.charges:
        if isinstance(rule, ConfidenceCharge) and rule.of is Held.COLLATERAL:
            unsure = unsure_collateral(scene, rule)
            cut = [cut[INITIAL] + rule.initial * unsure, cut[MAINTENANCE] + rule.maintenance * unsure]
    return cut[INITIAL], cut[MAINTENANCE]


def _level(
    scene: Scene, worst: F64, side: F64, charges: tuple[Charged, ...], haircut: F64, level: int
) -> UnitRisk:
    mine = tuple(c for c in charges if (c.rule.initial if level == INITIAL else c.rule.maintenance))
    by_role = {role: [c.amount for c in mine if c.rule.role is role] for role in Role}
    competing = np.maximum.reduce([worst, *by_role[Role.COMPETES]])
    added = competing + sum(by_role[Role.ADDS])
    risk = np.maximum.reduce([added, *([sum(by_role[Role.LEAST])] if by_role[Role.LEAST] else [])])
    count = len(scene.pools.account)
    combined = combine(scene, scene.model.correlation, risk, side)
    factor = _factor(scene, level)
    after = grouped_sum(sum(by_role[Role.AFTER], np.zeros(risk.shape)), scene.units.unit_pool, count)
    after = after + grouped_sum(haircut, scene.pools.bucket_pool[scene.units.bucket], count)
    return UnitRisk(mine, risk, combined, factor, after, factor * combined + after)


def _factor(scene: Scene, level: int) -> F64:
    levels = scene.model.levels
    shape = (scene.priced.mark.shape[0], len(scene.pools.account))
    if level == MAINTENANCE:
        return np.full(shape, levels.maintenance)
    factor = np.full(shape, levels.initial)
    if levels.depeg is None:
        return factor
    price = scene.priced.asset_price[:, scene.pools.currency]
    return factor + np.maximum(levels.depeg.below - price, 0.0) * levels.depeg.factor


def combine(
    scene: Scene, rule: CorrelationOffset | None, risk: F64, side: F64, breakdown: float = 1.0
) -> F64:
    """Risk of a pool's units together, (S, K).

    Parameters
    ----------
    scene : Scene
        Units and pools.
    rule : CorrelationOffset, optional
        Without it risks add up.
    risk : (S, U) ndarray
        Of each unit, >= 0.
    side : (S, U) ndarray
        Sign of the move that hurts the unit; 0 where a move does not matter: such a unit is not offset.
    breakdown : float
        What correlations are multiplied by: 0 when they vanish, -1 when they turn (spec CMS-3, PM-1).

    Returns
    -------
    (S, K) ndarray
        Never below ``1 - benefit_most`` of the sum, nor above the sum.
    """
    pool, count = scene.units.unit_pool, len(scene.pools.account)
    total = grouped_sum(risk, pool, count)
    if rule is None:
        return total
    names = [scene.table.assets[b] for b in scene.units.unit_base.tolist()]
    known = {frozenset((p.first, p.second)): p.correlation for p in rule.pairs}
    rho = np.array(
        [
            [1.0 if i == j else known.get(frozenset((a, b)), np.nan) for j, b in enumerate(names)]
            for i, a in enumerate(names)
        ]
    )
    signed = np.where(side == 0.0, 1.0, side)
    # Units without a published correlation, or hurt by no move, add up: the worst that correlation can do.
    worst_case = signed[:, :, None] * signed[:, None, :]
    usable = ~np.isnan(rho) & (side[:, :, None] != 0.0) & (side[:, None, :] != 0.0) | np.eye(
        len(names), dtype=np.bool_
    )
    used = np.where(
        usable, np.where(np.eye(len(names), dtype=np.bool_), 1.0, breakdown * np.nan_to_num(rho)), worst_case
    )
    together = (pool[:, None] == pool[None, :])[None]
    exposed = signed * risk
    rows = np.einsum("sij,sj->si", used * together, exposed) * exposed
    joint = np.sqrt(np.maximum(grouped_sum(rows, pool, count), 0.0))
    return np.clip(joint, (1.0 - rule.benefit_most) * total, total)
