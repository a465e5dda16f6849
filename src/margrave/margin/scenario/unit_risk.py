"""Risk of units that share their terms: gains in every cell, the worst of them, and charges.

``risk = max(max(worst, competing charges) + added charges, least charges)``.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.rounding import Direction, Step, round_all
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.kernels.arrays import F64, I64
from margrave.margin.pools import grouped_sum
from margrave.margin.scenario.cells import CellWorth, Grid, cell_worth, grid_of
from margrave.margin.scenario.charges import charge_of
from margrave.margin.scenario.scene import Scene, collateral_value, numeraire_price
from margrave.rulebook.portfolio import Charge, Gains, Role


@final
@dataclass(frozen=True, slots=True)
class Charged:
    """One charge and its amounts, (S, U)."""

    rule: Charge
    amount: F64


@final
@dataclass(frozen=True, slots=True)
class LevelRisk:
    """One level of the risk of units, (S, U)."""

    charges: tuple[Charged, ...]  # those of this level
    risk: F64  # before the level's factor
    after: F64  # charges that the factor does not multiply


@final
@dataclass(frozen=True, slots=True)
class Block:
    """Units of the same terms, in the currency of each one's pool."""

    scene: Scene
    unit: I64  # (U,) rows of the portfolio's units
    worth: CellWorth
    gross: F64  # (S, C, U) profit or loss in each cell, weighted
    net: F64  # (S, C, U) after the share of gains and the dampener
    worst: F64  # (S, U) largest loss, >= 0
    cell: I64  # (S, U) the first cell that gives it
    level: tuple[LevelRisk, LevelRisk]


def block_of(scene: Scene, unit: I64) -> Block:
    """Risk of units.

    Parameters
    ----------
    scene : Scene
        Members, prices and terms.
    unit : (U,) ndarray of int
        Rows that the units have in the whole portfolio.

    Returns
    -------
    Block
        NaN where something is not known.
    """
    terms, digits = scene.terms, scene.model.worst_digits
    grid = grid_of(terms.cells)
    worth = cell_worth(scene, grid)
    gross = _unit_gains(scene, grid, worth)
    net = gross if terms.gains is None else _net(scene, grid, terms.gains, gross)
    worst = np.maximum(-np.min(net, axis=1), 0.0)
    charges = tuple(Charged(rule, charge_of(scene, worth, rule)) for rule in terms.charges)
    if digits is not None and worst.shape[0] == 1:
        grid_of_amounts = Step(10.0**-digits, Direction.NEAREST)
        worst = round_all(worst, grid_of_amounts)
        charges = tuple(
            Charged(c.rule, round_all(c.amount, grid_of_amounts)) if c.rule.role is Role.COMPETES else c
            for c in charges
        )
    levels = (_level(worst, charges, INITIAL), _level(worst, charges, MAINTENANCE))
    return Block(scene, unit, worth, gross, net, worst, np.argmin(net, axis=1), levels)


def _level(worst: F64, charges: tuple[Charged, ...], level: int) -> LevelRisk:
    mine = tuple(c for c in charges if (c.rule.initial if level == INITIAL else c.rule.maintenance))
    zero = np.zeros(worst.shape)
    by_role = {role: [c.amount for c in mine if c.rule.role is role] for role in Role}
    added = np.maximum.reduce([worst, *by_role[Role.COMPETES]]) + sum(by_role[Role.ADDS], zero)
    risk = np.maximum(added, sum(by_role[Role.LEAST], zero))
    return LevelRisk(mine, risk, sum(by_role[Role.AFTER], zero))


def _unit_gains(scene: Scene, grid: Grid, worth: CellWorth) -> F64:
    units = scene.units
    s, c, e = worth.expiry.shape
    gains = grouped_sum(worth.expiry.reshape(s * c, e), units.expiry_unit, scene.unit_count)
    gains = gains.reshape(s, c, scene.unit_count)
    moving = np.flatnonzero(units.bucket_unit >= 0)
    if moving.size:
        flat = bucket_gains(scene, grid)[:, :, moving].reshape(s * c, -1)
        flat = grouped_sum(flat, units.bucket_unit[moving], scene.unit_count)
        gains = gains + flat.reshape(s, c, scene.unit_count)
    return gains * cell_weights(scene, grid)


def bucket_gains(scene: Scene, grid: Grid) -> F64:
    """What collateral buckets gain in every cell, (S, C, V), in their pools' currencies, before weights."""
    return np.asarray(collateral_value(scene)[:, None, :] * grid.move[None, :, None])


def cell_weights(scene: Scene, grid: Grid) -> F64:
    """What each cell of each unit is multiplied by, (C, U).

    A loss of the tail is scaled in quote; a unit that counts in its own coin gets it at the grid's edge
    (Deribit 3.1 step 5).
    """
    units, pools = scene.units, scene.pools
    in_coin = units.unit_base == pools.currency[units.unit_pool]
    at_edge = (1.0 + grid.move) / (1.0 + grid.edge)
    return np.asarray(grid.weight[:, None] * np.where(in_coin, at_edge[:, None], 1.0))


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
