"""Risk units that nothing has touched keep their workings: the others alone are computed again (spec PMS-8).

A unit's risk is a function of its own members, their prices and its collateral. Where all of those are bit for bit what
they were, so is the risk; what comes after units (offsets, factors, haircuts) is always computed anew.
"""

from collections.abc import Iterator
from dataclasses import fields
from typing import Final

import numpy as np

from margrave.kernels.arrays import F64, I64, Bools
from margrave.margin.scenario.cells import CellWorth
from margrave.margin.scenario.scenarios import (
    Portfolio,
    ScenarioMargin,
    margin_of_blocks,
    scene_of,
    terms_and_units,
)
from margrave.margin.scenario.scene import Scene
from margrave.margin.scenario.unit_risk import Block, Charged, LevelRisk, block_of
from margrave.margin.scenario.units import Units, part_of
from margrave.valuation.table import PER_ASSET, PER_INSTRUMENT

_READ: Final = tuple(name for name in PER_INSTRUMENT if name != "open_interest")


def updated(before: ScenarioMargin, portfolio: Portfolio) -> tuple[ScenarioMargin, I64]:
    """Portfolio margin after a change, from what it was.

    Parameters
    ----------
    before : ScenarioMargin
        Workings of an earlier market or earlier sizes.
    portfolio : Portfolio
        As it is now.

    Returns
    -------
    ScenarioMargin, (n,) ndarray of int
        Bit for bit what `scenario_margin` gives, though its blocks are cut otherwise; and the units that were computed.
        All of them, where the rules, the instruments or who belongs where are others than before.
    """
    count = len(portfolio.units.unit_pool)
    changed = _changed(before.portfolio, portfolio) if _is_same(before.portfolio, portfolio) else None
    again = np.ones(count, dtype=np.bool_) if changed is None else changed
    blocks = tuple(_blocks(before, portfolio, again))
    return margin_of_blocks(portfolio, blocks), np.flatnonzero(again)


def _blocks(before: ScenarioMargin, portfolio: Portfolio, again: Bools) -> Iterator[Block]:
    for block in before.blocks:
        kept = np.flatnonzero(~again[block.unit]) if not again.all() else np.zeros(0, dtype=np.int64)
        if kept.size:
            yield _kept(block, kept, scene_of(portfolio, block.scene.terms, block.unit[kept]))
    for terms, units in terms_and_units(portfolio):
        fresh = units[again[units]]
        if fresh.size:
            yield block_of(scene_of(portfolio, terms, fresh), fresh)


def _kept(block: Block, rows: I64, scene: Scene) -> Block:
    # Some units of a block, with what they were worth and what they are charged.
    units = block.scene.units
    part = part_of(units, rows)
    expiry = np.flatnonzero(np.isin(units.expiry_unit, rows))
    worth = block.worth
    return Block(
        scene,
        block.unit[rows],
        CellWorth(
            worth.grid,
            worth.member[:, :, part.member],
            worth.option_now[:, expiry],
            worth.option[:, :, expiry],
            worth.expiry[:, :, expiry],
        ),
        block.gross[:, :, rows],
        block.net[:, :, rows],
        block.worst[:, rows],
        block.cell[:, rows],
        (_level(block.level[0], rows), _level(block.level[1], rows)),
    )


def _level(level: LevelRisk, rows: I64) -> LevelRisk:
    charges = tuple(Charged(c.rule, c.amount[:, rows]) for c in level.charges)
    return LevelRisk(charges, level.risk[:, rows], level.after[:, rows])


def _is_same(before: Portfolio, now: Portfolio) -> bool:
    # Who belongs where, under which rules; prices and sizes apart.
    return (
        before.model == now.model
        and before.table.assets == now.table.assets
        and before.table.instruments == now.table.instruments
        and before.priced.mark.shape == now.priced.mark.shape
        and all(_equal(getattr(before.units, f.name), getattr(now.units, f.name)) for f in fields(Units))
        and _equal(before.pools.currency, now.pools.currency)
        and _equal(before.pools.bucket_asset, now.pools.bucket_asset)
        and _equal(before.pools.bucket_pool, now.pools.bucket_pool)
    )


def _equal(one: F64 | I64 | Bools, other: F64 | I64 | Bools) -> bool:
    return bool(one.shape == other.shape and (one == other).all())


def _changed(before: Portfolio, now: Portfolio) -> Bools:
    """Units of which an input is another, or not known, (U,)."""
    units = now.units
    changed = np.zeros(len(units.unit_pool), dtype=np.bool_)
    instruments = _instruments_changed(before, now)
    assets = _assets_changed(before, now)
    by_member = (before.quantity != now.quantity) | instruments[units.instrument]
    table, currency = now.table, now.pools.currency
    for column in (table.payoff, table.base, table.quote, table.settlement):
        by_member |= assets[column[units.instrument]]
    np.logical_or.at(changed, units.unit, by_member)
    told = units.unit_instrument >= 0
    changed[told] |= instruments[units.unit_instrument[told]]
    changed |= assets[units.unit_base] | assets[currency[units.unit_pool]]
    moving = units.bucket_unit >= 0
    bucket = (before.collateral != now.collateral).any(axis=0) | assets[now.pools.bucket_asset[units.bucket]]
    np.logical_or.at(changed, units.bucket_unit[moving], bucket[moving])
    return changed


def _instruments_changed(before: Portfolio, now: Portfolio) -> Bools:
    # NaN is another from itself: what is not known is computed again.
    changed = np.zeros(len(now.table.instruments), dtype=np.bool_)
    for name in _READ:
        changed |= getattr(before.table, name) != getattr(now.table, name)
    for name in ("mark", "index", "forward"):
        changed |= (getattr(before.priced, name) != getattr(now.priced, name)).any(axis=0)
    return changed


def _assets_changed(before: Portfolio, now: Portfolio) -> Bools:
    changed = (before.priced.asset_price != now.priced.asset_price).any(axis=0)
    for name in PER_ASSET:
        changed |= getattr(before.table, name) != getattr(now.table, name)
    return np.asarray(changed)
