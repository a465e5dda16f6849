"""Curves of liquidation of pools under scenario margin through the compiled kernels: excess at any price of a pool's coin.

What `swept` serves at the prices of now is served here at any other: rows of contracts are made anew. Along one asset's price only
the pool in that coin changes, or of a pool that spans coins the part that is in it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from margrave.domain.book import Book
from margrave.engine.books.laid import LaidBook, lay_out, spans_coins
from margrave.engine.books.swept import Sweep, scenes_of, sweep_of
from margrave.kernels.arrays import F64, I64
from margrave.kernels.compiled.black_steps import BLOCK
from margrave.kernels.compiled.coin_pools import HELD, coin_pools, empty_margins, empty_parts
from margrave.kernels.compiled.laid_out import PoolRows, some_pools
from margrave.kernels.compiled.moved_rows import (
    AVERAGED,
    CALL,
    COIN,
    DISCOUNT,
    FIXED,
    FIXED_SHARE,
    FORWARD,
    MARK,
    NUMBERS,
    OPTION,
    STRIKE,
    VOL,
    VOL_AT_MARK,
    YEARS,
    A,
    C,
    MovedTerms,
    move_coin,
    moved_room,
    pools_at,
)
from margrave.liquidation.many_search import Asked, Curves, nothing_served, scanned
from margrave.liquidation.own_prices import without_orders
from margrave.liquidation.search import grid
from margrave.margin.pooled import Prepared
from margrave.margin.resolve import Resolved
from margrave.margin.scenario.cells import cell_vols, discounts, fixed_part, grid_of
from margrave.margin.scenario.scene import Scene, base_vols
from margrave.margin.scenario.unit_risk import cell_weights
from margrave.rulebook.portfolio import ScenarioModel
from margrave.valuation.scenarios import vol_at_mark
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class MovedCoins:
    """A rulebook in a market, at the prices of now and at others."""

    sweep: Sweep
    terms: MovedTerms
    coin: I64  # (I,) of a contract: its coin
    currency: int  # of pools that span coins; -1 where each coin is a pool


def moved_coins_of(resolved: Resolved, symbols: tuple[str, ...]) -> MovedCoins | None:
    """What the kernels need of a market; None where they cannot serve the rulebook.

    Arguments as for `sweep_of`.
    """
    sweep = sweep_of(resolved, symbols)
    if sweep is None or sweep.terms.cells + 3 > BLOCK:
        return None
    table, model = resolved.table, resolved.rulebook.portfolio
    assert isinstance(model, ScenarioModel)
    count, coins, cells = len(symbols), len(table.assets), sweep.terms.cells
    number, vol = _numbers(table, model), np.zeros((count, cells))
    number[np.isnan(sweep.terms.table[:count, 0]), MARK] = np.nan  # what is unknown now stays it
    move, weight = np.zeros((coins, cells)), np.zeros((coins, cells))
    spans = spans_coins(resolved.rulebook)
    for scene in scenes_of(resolved, symbols):
        _put_cells(scene, sweep.rate if spans else None, vol, move, weight)
    kind = np.where(table.is_option, OPTION | CALL * table.is_call | COIN * table.is_coin_premium, 0)
    terms = MovedTerms(sweep.terms, number, kind.astype(np.int64), vol, move, weight)
    return MovedCoins(sweep, terms, table.settlement, resolved.currency if spans else -1)


def _numbers(table: Table, model: ScenarioModel) -> F64:
    number = np.zeros((len(table.mark), NUMBERS))
    number[:, MARK], number[:, A], number[:, C] = table.mark, table.a, table.c
    at = np.flatnonzero(table.is_option)
    averaged = table.averaged[at]
    told = (averaged > 0.0) | (model.settlement_window_seconds is None)
    number[at, FORWARD], number[at, STRIKE], number[at, YEARS] = (
        table.forward[at],
        table.strike[at],
        table.years[at],
    )
    number[at, VOL_AT_MARK], number[at, VOL] = vol_at_mark(table, at), base_vols(model, table, at)
    number[at, DISCOUNT], number[at, AVERAGED] = discounts(model, table, at), averaged
    one = fixed_part(model, table, at, np.ones((1, len(at))))[0]
    number[at, FIXED], number[at, FIXED_SHARE] = np.where(told, one, 0.0), np.where(told, 0.0, one)
    return number


def _put_cells(scene: Scene, rate: F64 | None, vol: F64, move: F64, weight: F64) -> None:
    # What the cells of a unit's coin do, and what a gain in them counts for. A copy of the first cell fills up the rest.
    shape, units = grid_of(scene.terms.cells), scene.units
    weights, place = cell_weights(scene, shape), _places(len(shape.move), vol.shape[1])
    for unit, coin in enumerate(units.unit_base.tolist()):
        move[coin] = shape.move[place]
        scale = 1.0 if rate is None else rate[coin] * (1.0 + shape.move)
        weight[coin] = (weights[:, unit] * scale)[place]
    at = np.unique(units.instrument[units.is_option])
    priced, table = scene.priced, scene.table
    vols = cell_vols(scene.terms, shape, table, at, priced.forward[:, at], base_vols(scene.model, table, at))
    vol[at] = vols[0].T[:, place]


def _places(cells: int, room: int) -> I64:
    return np.concatenate((np.arange(cells), np.zeros(room - cells, dtype=np.int64)))


@final
@dataclass(frozen=True, slots=True)
class LaidCoins:
    """A book's pools laid out for curves, without their open orders, about which no liquidation asks."""

    moved: MovedCoins
    laid: LaidBook
    key: I64  # ascending: account times coins, plus the coin
    row: I64  # of the laid pools of one coin, for each key


def lay_coins(moved: MovedCoins, book: Book, resolved: Resolved) -> LaidCoins:
    """Lay a book out; of accounts with isolated positions nothing is served."""
    laid = lay_out(without_orders(book), resolved)
    # One type of columns, so that the kernel is compiled once.
    rows = replace(laid.rows, quantity=laid.rows.quantity.astype(np.float64))
    laid = replace(laid, rows=rows)
    key = laid.rows.account * len(resolved.table.assets) + laid.rows.currency
    order = key.argsort(kind="stable")
    return LaidCoins(moved, laid, key[order], order)


def curves_of_coins(curves: LaidCoins, prepared: Prepared, pool: I64, asset: I64) -> tuple[I64, Curves]:
    """Rows, a pool and an asset each, that the kernels serve, ascending, and their curves.

    Parameters
    ----------
    curves : LaidCoins
        The book that `prepared` is, or one with its accounts in the same rows.
    prepared : Prepared
        Whose pools these are.
    pool, asset : (R,) ndarray of int
        The rows.
    """
    pools, moved = prepared.pools, curves.moved
    count = len(moved.sweep.rate)
    own = moved.currency >= 0
    alike = asset != moved.currency if own else asset == pools.currency[pool]
    if not curves.key.size:
        return nothing_served()
    wanted = pools.account[pool] * count + asset
    place = np.minimum(curves.key.searchsorted(wanted), len(curves.key) - 1)
    found = np.flatnonzero(alike & (curves.key[place] == wanted))
    part = curves.row[place[found]]
    rest = _rest(curves, pools.account[pool[found]], part) if own else np.zeros(len(found))
    scan = _scan(moved, curves.laid.rows, part, rest)
    known = np.isfinite(scan).all(axis=1)
    part, rest = part[known], rest[known]

    def asking(row: I64) -> Asked:
        return lambda where: _excess_at(moved, curves.laid.rows, part[row], rest[row], np.exp(where))

    return found[known], Curves(scan[known], asking)


def _per_risk(moved: MovedCoins) -> float:
    return moved.sweep.levels.closing * moved.sweep.levels.maintenance


def _excess_at(moved: MovedCoins, rows: PoolRows, part: I64, rest: F64, factor: F64) -> F64:
    equity, risk = pools_at(moved.terms, moved_room(moved.terms), rows, part, factor)
    return _excess(moved, rows.currency[part], equity, risk, factor) + rest


def _excess(moved: MovedCoins, coin: I64, equity: F64, risk: F64, factor: F64 | float) -> F64:
    rate = moved.sweep.rate[coin] * factor if moved.currency >= 0 else 1.0
    return np.asarray(rate * equity - _per_risk(moved) * risk)


def _rest(curves: LaidCoins, account: I64, part: I64) -> F64:
    # Excess of the other parts of the pools, which do not move.
    rows, sweep = curves.laid.rows, curves.moved.sweep
    count = len(rows.account)
    room, out = empty_parts(rows, count), empty_margins(count)
    coin_pools(sweep.terms, sweep.levels, rows, (0, count), room, out)
    each = _excess(curves.moved, rows.currency, out.equity, room.worst[HELD] + room.charge[HELD], 1.0)
    first = rows.account.searchsorted(account)
    past = rows.account.searchsorted(account, side="right")
    total = np.zeros(len(part))
    for step in range(int((past - first).max(initial=0))):  # a few coins an account
        place = first + step
        mine = (place < past) & (place != part)
        total[mine] += each[place[mine]]
    return total


def _scan(moved: MovedCoins, rows: PoolRows, part: I64, rest: F64) -> F64:
    room = moved_room(moved.terms)

    def pick(row: I64) -> Callable[[int], F64]:
        some, _ = some_pools(rows, part[row])
        coins = np.unique(some.currency)
        held = np.unique(some.index).astype(np.int64)
        listed = [held[moved.coin[held] == coin] for coin in coins.tolist()]
        parts, ends = empty_parts(some, len(row)), empty_margins(len(row))

        def at(place: int) -> F64:
            factor = float(grid()[place])
            for coin, contracts in zip(coins.tolist(), listed, strict=True):
                terms = move_coin(moved.terms, room, coin, contracts, factor)
            coin_pools(terms, moved.sweep.levels, some, (0, len(row)), parts, ends)
            risk = parts.worst[HELD] + parts.charge[HELD]
            return _excess(moved, some.currency, ends.equity, risk, factor) + rest[row]

        return at

    return scanned(len(part), pick)
