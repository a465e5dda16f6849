"""Portfolio margin from scenarios: units by their terms, then together, then by level.

``factor * (risks of a pool's units together) + charges after + haircuts``. What a rulebook leaves out is zero or
one (`rulebook.portfolio`).
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.words import INITIAL, MAINTENANCE
from margrave.kernels.arrays import F64, I64
from margrave.margin.pools import Pools, grouped_sum
from margrave.margin.scenario.charges import unsure_collateral
from margrave.margin.scenario.scene import Scene, collateral_worth
from margrave.margin.scenario.unit_risk import Block, block_of
from margrave.margin.scenario.units import Units, part_of
from margrave.rulebook.portfolio import (
    ConfidenceCharge,
    CorrelationOffset,
    Held,
    ScenarioModel,
    UnitTerms,
    terms_of,
)
from margrave.valuation.scenarios import Priced
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class Portfolio:
    """The members of portfolio margin of a whole book, and their prices."""

    model: ScenarioModel
    table: Table
    priced: Priced
    pools: Pools
    units: Units
    quantity: F64  # (M,) signed contracts
    collateral: F64  # (S, V) amount of each bucket that the model names or moves [asset]


@final
@dataclass(frozen=True, slots=True)
class LevelMargin:
    """One level of pools, (S, K), each in its currency."""

    risk: F64  # (S, U) of each unit
    combined: F64  # units together
    factor: F64
    after: F64  # what is not multiplied: charges after, haircuts
    required: F64


@final
@dataclass(frozen=True, slots=True)
class ScenarioMargin:
    """Everything that portfolio margin is made of, in the currency of each pool."""

    portfolio: Portfolio
    blocks: tuple[Block, ...]
    side: F64  # (S, U) sign of the move that hurts each unit most
    haircut: tuple[F64, F64]  # (S, V) cut from collateral at each level
    level: tuple[LevelMargin, LevelMargin]


def scenario_margin(portfolio: Portfolio) -> ScenarioMargin:
    """Portfolio margin of every pool.

    Parameters
    ----------
    portfolio : Portfolio
        Members, prices and rules.

    Returns
    -------
    ScenarioMargin
        ``level[k].required`` is (S, K); pools without members get zero. NaN where something is not known, a unit
        without terms among it.

    References
    ----------
    Spec rows PMS-1 to PMS-8; Deribit 3.1, Derive 1.2 and 1.3, Paradex, as their rulebooks state.
    """
    found = terms_and_units(portfolio)
    return margin_of_blocks(
        portfolio, tuple(block_of(scene_of(portfolio, terms, units), units) for terms, units in found)
    )


def margin_of_blocks(portfolio: Portfolio, blocks: tuple[Block, ...]) -> ScenarioMargin:
    """Portfolio margin of units whose risk is known, each in one block."""
    rows, count = portfolio.priced.mark.shape[0], len(portfolio.units.unit_pool)
    side = np.full((rows, count), np.nan)
    for block in blocks:
        side[:, block.unit] = np.sign(block.worth.grid.move[block.cell])
    haircut = _haircuts(portfolio)
    levels = [_level(portfolio, blocks, side, haircut[k], k) for k in (INITIAL, MAINTENANCE)]
    return ScenarioMargin(portfolio, blocks, side, haircut, (levels[0], levels[1]))


def terms_and_units(p: Portfolio) -> list[tuple[UnitTerms, I64]]:
    """Terms of the model with the units that they hold for; units without terms are left out."""
    terms = [terms_of(p.model, asset) for asset in p.table.assets]
    found = [
        (own, np.flatnonzero(np.array([t is own for t in terms], dtype=np.bool_)[p.units.unit_base]))
        for own in p.model.terms
    ]
    return [(own, units) for own, units in found if units.size]


def scene_of(p: Portfolio, terms: UnitTerms, units: I64) -> Scene:
    """Some units of a portfolio, all of the same terms."""
    part = part_of(p.units, units)
    quantity, collateral = p.quantity[part.member], p.collateral[:, part.bucket]
    return Scene(p.model, terms, p.table, p.priced, p.pools, part.units, quantity, collateral)


def _level(p: Portfolio, blocks: tuple[Block, ...], side: F64, haircut: F64, level: int) -> LevelMargin:
    risk, after = np.full(side.shape, np.nan), np.zeros(side.shape)
    for block in blocks:
        risk[:, block.unit] = block.level[level].risk
        after[:, block.unit] = block.level[level].after
    count = len(p.pools.account)
    combined = combine(p, risk, side)
    factor = _factor(p, level)
    added = grouped_sum(after, p.units.unit_pool, count)
    added = added + grouped_sum(haircut, p.pools.bucket_pool[p.units.bucket], count)
    return LevelMargin(risk, combined, factor, added, factor * combined + added)


def _haircuts(p: Portfolio) -> tuple[F64, F64]:
    members = {member.asset: member for member in p.model.collateral}
    asset, names = p.pools.bucket_asset[p.units.bucket], p.table.assets
    maintenance = np.array([members[a].maintenance_haircut if a in members else 0.0 for a in names])[asset]
    initial = np.array([members[a].initial_haircut if a in members else 0.0 for a in names])[asset]
    value = np.maximum(collateral_worth(p.priced, p.pools, p.units, p.collateral), 0.0)
    cut = [value * (maintenance + initial), value * maintenance]
    for rule in dict.fromkeys(c for t in p.model.terms for c in t.charges):
        if isinstance(rule, ConfidenceCharge) and rule.of is Held.COLLATERAL:
            unsure = unsure_collateral(p.table, p.pools, p.units, value, rule)
            cut = [cut[INITIAL] + rule.initial * unsure, cut[MAINTENANCE] + rule.maintenance * unsure]
    return cut[INITIAL], cut[MAINTENANCE]


def _factor(p: Portfolio, level: int) -> F64:
    levels = p.model.levels
    shape = (p.priced.mark.shape[0], len(p.pools.account))
    if level == MAINTENANCE:
        return np.full(shape, levels.maintenance)
    factor = np.full(shape, levels.initial)
    if levels.depeg is None:
        return factor
    price = p.priced.asset_price[:, p.pools.currency]
    return factor + np.maximum(levels.depeg.below - price, 0.0) * levels.depeg.factor


def combine(p: Portfolio, risk: F64, side: F64) -> F64:
    """Risk of a pool's units together, (S, K).

    Parameters
    ----------
    p : Portfolio
        Units, pools and the rule of offsets; without one risks add up.
    risk : (S, U) ndarray
        Of each unit, >= 0.
    side : (S, U) ndarray
        Sign of the move that hurts the unit; 0 where a move does not matter: such a unit is not offset.

    Returns
    -------
    (S, K) ndarray
        Never below ``1 - benefit_most`` of the sum, nor above the sum.
    """
    rule = p.model.correlation
    pool, count = p.units.unit_pool, len(p.pools.account)
    total = grouped_sum(risk, pool, count)
    if rule is None:
        return total
    one, other = _pairs(pool)
    names = tuple(dict.fromkeys(p.table.assets[base] for base in p.units.unit_base.tolist()))
    place = np.array(
        [names.index(p.table.assets[base]) for base in p.units.unit_base.tolist()], dtype=np.int64
    )
    rho = _correlations(names, rule)[place[one], place[other]]
    signed = np.where(side == 0.0, 1.0, side)
    # Units without a published correlation, or hurt by no move, add up: the worst that correlation can do.
    usable = ~np.isnan(rho) & (side[:, one] != 0.0) & (side[:, other] != 0.0)
    used = np.where(usable, np.nan_to_num(rho) * signed[:, one] * signed[:, other], 1.0)
    products = np.where(one == other, 1.0, used) * risk[:, one] * risk[:, other]
    joint = np.sqrt(np.maximum(grouped_sum(products, pool[one], count), 0.0))
    return np.clip(joint, (1.0 - rule.benefit_most) * total, total)


def _pairs(pool: I64) -> tuple[I64, I64]:
    # Every ordered pair of units of one pool; pairs across pools do not exist, so that no pool sees another.
    order = np.argsort(pool, kind="stable")
    sizes = np.bincount(pool)
    run = sizes[pool[order]]  # how many units stand with each
    first = (np.cumsum(sizes) - sizes)[pool[order]]
    within = np.arange(run.sum()) - np.repeat(np.cumsum(run) - run, run)
    return np.repeat(order, run), order[np.repeat(first, run) + within]


def _correlations(assets: tuple[str, ...], rule: CorrelationOffset) -> F64:
    places = {name: row for row, name in enumerate(assets)}
    rho = np.full((len(assets), len(assets)), np.nan)
    for pair in rule.pairs:
        if pair.first in places and pair.second in places:
            at = places[pair.first], places[pair.second]
            rho[at] = rho[at[::-1]] = pair.correlation
    return rho
