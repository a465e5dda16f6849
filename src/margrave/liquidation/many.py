"""Liquidation prices of many pools at once, along every underlying by itself: columns instead of answers in words.

The same prices as `liquidation_along` gives a pool alone, by the same steps: the excess on the grid of `search`, on both
sides of every break, and down its dips; every change of its sign is then closed in on, in all pools together
(`own_prices`). Letters: R rows, a pool and an underlying each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np

from margrave.core.rounding import Direction as Rounding
from margrave.core.rounding import Step, round_all
from margrave.domain.amended import picked
from margrave.domain.book import Book
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.groups import first_seen
from margrave.kernels.roots import bracketed_root
from margrave.liquidation.direction import direction_of, excess_of, is_stable, pooled_at
from margrave.liquidation.many_breaks import break_factors
from margrave.liquidation.many_closed import closed_rows
from margrave.liquidation.own_prices import OwnPrices, excess_at, own_prices, part_with, shares_nothing
from margrave.liquidation.pool import liquidation_along
from margrave.liquidation.search import (
    DIP_POINTS,
    DIP_ROUNDS,
    FACTOR_MAX,
    FACTOR_MIN,
    ROOT_STEPS,
    ROOT_TOLERANCE,
    SIDE_STEP,
    TOGETHER,
    grid,
)
from margrave.margin.pooled import Prepared, prepare_in
from margrave.margin.resolve import Resolved
from margrave.rulebook.schema import Roundings

Asked: TypeAlias = Callable[[F64], F64]  # logarithms of factors, (R,) -> excess of rows, (R,)


@final
@dataclass(frozen=True, slots=True)
class PoolBounds:
    """Nearest liquidation prices of pools, (R,), in the order of pools; NaN where no price on that side reaches it.

    A pool that is unknown, or liquidatable already, has none.
    """

    pools: int  # of the book
    account: I64  # row of the book's accounts
    pool: I64  # row of the pools
    asset: I64  # row of the table's assets: what moves
    instrument: I64  # row of the table whose mark the bounds are; -1: the asset's index price
    price: F64  # of it now
    lower_exact: F64
    upper_exact: F64
    lower: F64  # rounded as the venue does
    upper: F64


def bounds_of_pools(resolved: Resolved, book: Book) -> PoolBounds:
    """Nearest liquidation price below and above, of every pool along every single underlying.

    Parameters
    ----------
    resolved : Resolved
        Market and rules.
    book : Book
        A few thousand accounts: several hundred numbers a pool stand in memory together.

    Returns
    -------
    PoolBounds
        To within 1e-12 of what `liquidation_along` gives the pool alone, where rounding leaves the excess its sign: a root
        of the same function to the same tolerance.
    """
    prepared = prepare_in(resolved, book)
    pool, asset = _rows(prepared)
    instrument, price, tick = _told_by(prepared, pool, asset)
    if shares_nothing(prepared):
        known, factor = closed_rows(prepared, pool, asset)
        left = np.flatnonzero(~known)
        if left.size:
            part, place = _part_with(resolved, prepared, pool[left])
            factor[:, left] = searched(resolved, part, place, asset[left])
        lower, upper = factor
    else:
        lower, upper = _one_by_one(prepared, pool, asset)
    lower, upper = price * lower, price * upper
    rule = prepared.rulebook.rounding
    return PoolBounds(
        len(prepared.pools.account),
        prepared.pools.account[pool],
        pool,
        asset,
        instrument,
        price,
        lower,
        upper,
        _rounded(lower, tick, rule, Rounding.UP),
        _rounded(upper, tick, rule, Rounding.DOWN),
    )


def _rows(prepared: Prepared) -> tuple[I64, I64]:
    # Underlyings of pools that are known and hold something: bases of positions, then collateral that is not stable.
    book, pools, table = prepared.book, prepared.pools, prepared.table
    count = len(table.assets)
    known = np.ones(len(pools.account), dtype=np.bool_)
    known[list(prepared.issues)] = False
    held = np.flatnonzero((book.quantity != 0.0) & known[pools.position_pool])
    holds = np.zeros(len(pools.account), dtype=np.bool_)
    holds[pools.position_pool[held]] = True
    moves = ~np.array([is_stable(prepared, a) for a in range(count)], dtype=np.bool_)
    paid = moves[pools.bucket_asset] & (pools.bucket_asset != pools.currency[pools.bucket_pool])
    paid &= holds[pools.bucket_pool]
    keys = np.concatenate(
        (
            pools.position_pool[held] * count + table.base[book.instrument[held]],
            (pools.bucket_pool * count + pools.bucket_asset)[paid],
        )
    )
    first, _ = first_seen(keys)
    key = keys[first]
    key = key[(key // count).argsort(kind="stable")]
    return key // count, key % count


def _told_by(prepared: Prepared, pool: I64, asset: I64) -> tuple[I64, F64, F64]:
    # The largest delta-one position tells the price; without one the underlying of the largest option; else the asset.
    book, table, count = prepared.book, prepared.table, len(prepared.table.assets)
    held = np.flatnonzero(book.quantity != 0.0)
    at = book.instrument[held]
    option = table.is_option[at]
    price = np.where(option, table.index[at], table.mark[at])
    each = table.asset_price[table.payoff[at]]
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.abs(book.quantity[held]) * (table.a[at] * price + table.c[at] / price)
        size = np.nan_to_num(size * np.where(np.isfinite(each), each, 1.0), nan=-1.0)
    key = prepared.pools.position_pool[held] * count + table.base[at]
    order = np.lexsort((held, -size, option, key))
    first = order[first_seen(key[order])[0]] if len(order) else order
    mine = key[first].searchsorted(pool * count + asset)
    found = np.append(key[first], -1)[mine] == pool * count + asset
    main = np.append(first, 0)[mine] if len(first) else np.zeros(len(pool), dtype=np.int64)
    row = at[main] if len(at) else np.full(len(pool), -1)
    future = found & ~table.is_option[row]
    ticks = np.array([np.nan if i is None or i.tick is None else i.tick for i in table.instruments])
    now = np.where(found, np.where(future, table.mark[row], table.index[row]), table.asset_price[asset])
    return np.where(future, row, -1), now, np.where(future, ticks[row], np.nan)


def _rounded(price: F64, tick: F64, rule: Roundings, earlier: Rounding) -> F64:
    if not (rule.price_to_earlier or rule.price_direction is not None):
        return price
    step = np.where(np.isnan(tick), np.nan if rule.price_step is None else rule.price_step, tick)
    out = price.copy()
    for grid_step in np.unique(step[~np.isnan(step)]).tolist():
        rows = step == grid_step
        out[rows] = round_all(price[rows], Step(grid_step, rule.price_direction or earlier))
    return out


def _one_by_one(prepared: Prepared, pool: I64, asset: I64) -> tuple[F64, F64]:
    # Models that margin one pool at a time are asked one pool at a time.
    found = np.full((2, len(pool)), np.nan)
    for row, (k, a) in enumerate(zip(pool.tolist(), asset.tolist(), strict=True)):
        answer = liquidation_along(prepared, direction_of(prepared, k, (a,), prepared.table.assets[a]))
        for side, name in enumerate(("down", "up")):
            found[side, row] = next((b.factor for b in answer.bounds if b.side == name), np.nan)
    return found[0], found[1]


@final
@dataclass(frozen=True, slots=True)
class _Points:
    """Where the excess of rows is known: logarithms of factors and values, (n,), by row and ascending."""

    row: I64
    at: F64
    value: F64


def _merged(points: _Points, row: I64, at: F64, value: F64) -> _Points:
    row = np.concatenate((points.row, row))
    at, value = np.concatenate((points.at, at)), np.concatenate((points.value, value))
    order = np.lexsort((at, row))
    row, at, value = row[order], at[order], value[order]
    again = np.zeros(len(row), dtype=np.bool_)
    again[1:] = (row[1:] == row[:-1]) & (at[1:] == at[:-1])
    return _Points(row[~again], at[~again], value[~again])


def _part_with(resolved: Resolved, prepared: Prepared, pool: I64) -> tuple[Prepared, I64]:
    # The accounts of some pools alone, and the rows of those pools there.
    accounts = prepared.pools.account
    wanted = np.unique(accounts[pool])
    if len(wanted) == len(prepared.book.names):
        return prepared, pool
    part = prepare_in(resolved, picked(prepared.book, wanted))
    return part, np.flatnonzero(np.isin(accounts, wanted)).searchsorted(pool)


def searched(resolved: Resolved, prepared: Prepared, pool: I64, asset: I64) -> tuple[F64, F64]:
    """Factors of the nearest changes of sign below and above, (R,) each, by search; NaN where there is none."""
    own = own_prices(resolved, prepared)
    scan = _scan(prepared, own, pool, asset)
    here = scan[:, scan.shape[1] // 2]
    # Where rules say nothing of some price, the pool is searched alone.
    alone = ~np.isfinite(scan).all(axis=1)
    wanted = np.flatnonzero((here >= 0.0) & ~alone)
    out = np.full((2, len(pool)), np.nan)
    if wanted.size:
        out[:, wanted] = _nearest(prepared, own, pool[wanted], asset[wanted], scan[wanted])
    if alone.any():
        out[:, alone] = _one_by_one(prepared, pool[alone], asset[alone])
    return out[0], out[1]


def _scan(prepared: Prepared, own: OwnPrices, pool: I64, asset: I64) -> F64:
    # Excess on the grid, (R, G). Shared tables price an option once for all pools, but move one asset at a time.
    at = np.log(grid())
    out = np.empty((len(pool), len(at)))
    moved = np.unique(asset)
    most = int(np.bincount(pool).max(initial=0))
    if not prepared.table.is_option.any() and len(moved) > most:
        rows = np.repeat(np.arange(len(pool)), len(at))
        return excess_at(own, pool[rows], asset[rows], np.tile(at, len(pool))).reshape(out.shape)
    width = own.width
    for row in moved.tolist():
        mine = np.flatnonzero(asset == row)
        for first in range(0, len(at), width):
            some = slice(first, min(first + width, len(at)))
            shift = np.ones((some.stop - some.start, len(prepared.table.assets)))
            shift[:, row] = np.exp(at[some])
            excess = excess_of(prepared, pooled_at(prepared, shift))
            out[mine, some] = excess[: some.stop - some.start, pool[mine]].T
    return out


def _nearest(prepared: Prepared, own: OwnPrices, pool: I64, asset: I64, scan: F64) -> F64:
    # Factors (2, R) of the nearest changes of sign below and above.
    at, rows = np.log(grid()), np.arange(len(pool))

    def asking(row: I64) -> Asked:
        part, place = part_with(own, pool[row])
        return lambda where: excess_at(part, place, asset[row], where)

    points = _Points(np.repeat(rows, len(at)), np.tile(at, len(pool)), scan.ravel())
    row, factor = break_factors(prepared, pool, asset)
    sides = np.array([1.0 - SIDE_STEP, 1.0, 1.0 + SIDE_STEP])
    row, factor = np.repeat(row, len(sides)), np.outer(factor, sides).ravel()
    reach = (factor > FACTOR_MIN) & (factor < FACTOR_MAX)
    row, where = row[reach], np.log(factor[reach])
    near = _is_near(points, len(pool), row, where)
    row, where = row[near], where[near]
    points = _merged(points, row, where, asking(row)(where))
    points = _dipped(points, len(pool), asking)
    changes = _changes(points)
    row, low, high = points.row[changes], points.at[changes], points.at[changes + 1]
    root = bracketed_root(asking(row), low, high, ROOT_TOLERANCE, 0.0, ROOT_STEPS)
    return _sides(row, root, len(pool))


def _changes(points: _Points) -> I64:
    below = points.value < 0.0
    return np.flatnonzero((points.row[1:] == points.row[:-1]) & (below[1:] != below[:-1]))


def _is_near(points: _Points, count: int, row: I64, where: F64) -> Bools:
    # Nothing beyond the bracket of the nearest change on a side can be nearer.
    low, high = np.full(count, -np.inf), np.full(count, np.inf)
    changes = _changes(points)
    left, right, of = points.at[changes], points.at[changes + 1], points.row[changes]
    np.maximum.at(low, of[right <= 0.0], left[right <= 0.0])
    np.minimum.at(high, of[left >= 0.0], right[left >= 0.0])
    return np.asarray((where >= low[row]) & (where <= high[row]))


def _dipped(points: _Points, count: int, asking: Callable[[I64], Asked]) -> _Points:
    # Into every interior minimum of the depth between points of one sign, as `search` does.
    depth, below = np.abs(points.value), points.value < 0.0
    row = points.row
    left, here, right = depth[:-2], depth[1:-1], depth[2:]
    inside = (row[2:] == row[:-2]) & (below[1:-1] == below[:-2]) & (below[1:-1] == below[2:])
    at = np.flatnonzero(inside & (here <= left) & (here <= right) & (here < np.maximum(left, right))) + 1
    at = at[_is_near(points, count, row[at], points.at[at])]
    if at.size == 0:
        return points
    low, high, sign = points.at[at - 1], points.at[at + 1], np.where(below[at], -1.0, 1.0)
    of, turn = row[at], np.arange(len(at))
    fraction, excess = np.linspace(0.0, 1.0, DIP_POINTS), asking(np.repeat(of, DIP_POINTS))
    for _ in range(DIP_ROUNDS):
        u = low[:, None] + (high - low)[:, None] * fraction
        seen = excess(u.ravel()).reshape(u.shape)
        best = np.clip(np.argmin(seen * sign[:, None], axis=1), 1, DIP_POINTS - 2)
        points = _merged(points, of, u[turn, best], seen[turn, best])
        low, high = u[turn, best - 1], u[turn, best + 1]
    return points


def _sides(row: I64, root: F64, count: int) -> F64:
    # An odd number of changes together is one change, an even number rounding; of those left, the nearest on each side.
    first = np.ones(len(row), dtype=np.bool_)
    first[1:] = (row[1:] != row[:-1]) | (np.diff(root) > TOGETHER)
    size = np.bincount(np.cumsum(first) - 1, minlength=int(first.sum())) if len(row) else np.zeros(0)
    kept = np.flatnonzero(first)[size % 2 == 1]
    factor, of = np.exp(root[kept]), row[kept]
    lower, upper = np.full(count, -np.inf), np.full(count, np.inf)
    down = factor < 1.0
    np.maximum.at(lower, of[down], factor[down])
    np.minimum.at(upper, of[~down], factor[~down])
    return np.array([np.where(np.isfinite(side), side, np.nan) for side in (lower, upper)])
