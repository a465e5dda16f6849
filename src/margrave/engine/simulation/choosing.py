"""What a round closes of liquidated pools: how much of a leg is the rule's, which legs is the choice of legs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias, assert_never

import numpy as np

from margrave.core.words import MAINTENANCE
from margrave.domain.amended import copies
from margrave.engine.books.venue import assess_resolved
from margrave.engine.simulation.scene import Scene, marks, notional
from margrave.engine.simulation.settings import (
    BestLeg,
    CloseFactor,
    DutchAuction,
    EveryLeg,
    FirstShare,
    Rounds,
    StepDown,
    Takeover,
    TowardNeutral,
)
from margrave.kernels.arrays import F64, I64
from margrave.kernels.black76 import quote_greeks
from margrave.liquidation.portions import best_leg, first_part, in_rounds, toward_neutral
from margrave.margin.ladder import Sized, ladder_margin_of
from margrave.valuation.positions import value_positions
from margrave.valuation.scenarios import now

_ALMOST: Final = 1.0 - 1e-12
"""Shares are floats: a whole number of lots and its rounding error are not a lot more."""

_SLIGHT: Final = 1e-12
"""Share of a requirement that is rounding error and no relief."""

Cost: TypeAlias = Callable[[Scene, I64, I64], F64]
"""What closing lots of some legs costs, each (n,) [pool currency]."""


def closed_first(scene: Scene, position: I64, held: I64, cost: Cost) -> I64:
    """Lots of each leg that a round closes.

    Parameters
    ----------
    scene : Scene
        The moment.
    position : (n,) ndarray of int
        Legs of liquidated pools, in the order of the book.
    held : (n,) ndarray of int
        Their lots, > 0.
    cost : callable
        Of closing lots of legs.

    Returns
    -------
    (n,) ndarray of int
        From zero to ``held``, above zero for at least one leg of every pool.
    """
    part = np.minimum(_part(scene, position, held), held)
    if not position.size:
        return part
    match scene.settings.legs:
        case EveryLeg():
            return part
        case BestLeg():
            return _best(scene, position, part, cost)
        case TowardNeutral():
            return _neutral(scene, position, held, part)
        case unknown:
            assert_never(unknown)


def _runs(scene: Scene, position: I64) -> list[I64]:
    # Places of the legs of each pool; isolated pools of an account stand between those of its cross pool.
    pool = scene.frame.position_pool[position]
    order = pool.argsort(kind="stable")
    return np.split(order, np.flatnonzero(np.diff(pool[order])) + 1)


def _best(scene: Scene, position: I64, part: I64, cost: Cost) -> I64:
    relief, paid, chosen = _relief(scene, position, part), cost(scene, position, part), part.copy()
    asked = scene.columns.maintenance[scene.frame.position_pool[position]]
    for legs in _runs(scene, position):
        best = best_leg(relief[legs], paid[legs], least=float(_SLIGHT * np.abs(asked[legs[0]])))
        if best is not None:
            chosen[legs] = 0
            chosen[legs[best]] = part[legs[best]]
    return chosen


def _relief(scene: Scene, position: I64, part: I64) -> F64:
    # Maintenance margin of each leg's pool before less after, by the engine itself: an account a leg, that leg smaller.
    frame, book = scene.frame, scene.book
    owner, pool = book.account[position], frame.position_pool[position]
    order = owner.argsort(kind="stable")
    tried = copies(book, owner[order])
    first = tried.account.searchsorted(np.arange(len(order)))
    row = first + position[order] - book.account.searchsorted(owner[order])
    quantity = tried.quantity.copy()
    closed = frame.contracts(book.instrument[position], part)[order]
    quantity[row] -= np.sign(quantity[row]) * np.minimum(closed, np.abs(quantity[row]))
    found = assess_resolved(replace(tried, quantity=quantity), scene.resolved).pools
    # An account keeps its pools, flat positions and all: they stand in the order in which they stand in the book.
    own = found.account.searchsorted(np.arange(len(order))) + (
        pool[order] - frame.pool_account.searchsorted(owner[order])
    )
    relief = np.empty(len(order))
    relief[order] = scene.columns.maintenance[pool[order]] - found.maintenance[own]
    return relief


def _neutral(scene: Scene, position: I64, held: I64, part: I64) -> I64:
    table, frame = scene.resolved.table, scene.frame
    at, chosen = scene.book.instrument[position], np.zeros_like(part)
    delta, turn = _deltas(scene, at), np.where(table.is_option[at], 1.0, 0.0)
    lot = frame.contracts(at, np.ones_like(held))
    quantity = np.sign(scene.state.lots[position]) * held * lot
    for legs in _runs(scene, position):
        if np.isfinite(delta[legs]).all():
            for base in np.unique(table.base[at[legs]]):
                some = legs[table.base[at[legs]] == base]
                amount = toward_neutral(quantity[some], delta[some], turn[some], lot[some])
                chosen[some] = np.minimum(np.rint(amount / lot[some]).astype(np.int64), part[some])
        if not chosen[legs].any():
            chosen[legs] = part[legs]
    return chosen


def _deltas(scene: Scene, at: I64) -> F64:
    # Coins that a contract held long moves as, (n,); NaN where a vol is not known.
    table = scene.resolved.table
    priced, a, c, mark = now(table), table.a[at], table.c[at], table.mark[at]
    coins = a + np.divide(c, mark, out=np.zeros(len(at)), where=c > 0.0)
    options = np.flatnonzero(table.is_option[at])
    rows = at[options]
    vol = np.where(table.years[rows] > 0.0, table.vol[rows], 0.0)
    known = np.where(np.isnan(vol), 0.0, vol)
    greeks = quote_greeks(
        priced.forward[0, rows], table.strike[rows], known, table.years[rows], table.is_call[rows]
    )
    coins[options] *= np.where(np.isnan(vol), np.nan, greeks.delta)
    return coins


def _part(scene: Scene, position: I64, held: I64) -> I64:
    # Lots of each leg that the rule takes in one round.
    match scene.settings.rule:
        case Takeover():
            return held
        case CloseFactor(share=share):
            return np.asarray(np.ceil(held * share * _ALMOST), dtype=np.int64)
        case StepDown(tiers=tiers):
            return _stepped_down(scene, position, held, tiers)
        case FirstShare(share=share, large=large):
            at = scene.book.instrument[position]
            price = scene.resolved.table.asset_price[scene.frame.settlement[at]]
            value = notional(scene, at, scene.book.quantity[position], marks(scene)[at]) * price
            return np.rint(first_part(held.astype(np.float64), value, large, share, 1.0)).astype(np.int64)
        case Rounds(contracts=contracts):
            return _in_rounds(scene, position, held, contracts)
        case DutchAuction():
            raise TypeError("bidders take a share of every leg: see `auction`")
        case unknown:
            assert_never(unknown)


def _in_rounds(scene: Scene, position: I64, held: I64, contracts: tuple[float, ...]) -> I64:
    one = scene.frame.contracts(scene.book.instrument[position], np.ones_like(held))
    done = scene.rounds[scene.frame.position_pool[position]]
    amount = in_rounds(held * one, done, contracts)
    return np.maximum(np.ceil(amount / one * _ALMOST), 1.0).astype(np.int64)


def _stepped_down(scene: Scene, position: I64, held: I64, tiers: int | None) -> I64:
    resolved, book = scene.resolved, scene.book
    at, quantity = book.instrument[position], book.quantity[position]
    valued = value_positions(resolved.table, now(resolved.table), at, quantity, book.entry[position])
    sized = Sized(
        at, quantity, book.leverage[position], valued.notional, valued.notional_entry, valued.notional
    )
    ladder = ladder_margin_of(resolved.plan, resolved.ladders, resolved.table, sized, MAINTENANCE)
    flat = resolved.plan.flat[MAINTENANCE]
    first = flat.start[resolved.ladders.ladder[at]]
    row, size = ladder.row[0], ladder.size[0]
    target = first if tiers is None else np.maximum(row - tiers, first)
    ceiling = flat.floor[np.minimum(target + 1, len(flat.floor) - 1)]
    tiered = (row > first) & resolved.ladders.is_ladder[at]  # what has no tier below is closed
    stays = np.where(tiered, ceiling / np.where(tiered, size, 1.0), 0.0)
    return np.maximum(np.ceil(held * (1.0 - stays) * _ALMOST), 1.0).astype(np.int64)
