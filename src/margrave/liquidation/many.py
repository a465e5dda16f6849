"""Liquidation prices of many pools at once, along every underlying by itself: columns instead of answers in words.

The same prices as `liquidation_along` gives a pool alone, by the same steps (`many_search`). Letters: R rows, a pool and
an underlying each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np

from margrave.core.rounding import Direction as Rounding
from margrave.core.rounding import Step, round_all
from margrave.domain.amended import picked
from margrave.domain.book import Book
from margrave.kernels.arrays import F64, I64
from margrave.kernels.groups import first_seen
from margrave.liquidation.direction import direction_of, is_stable
from margrave.liquidation.many_breaks import break_factors
from margrave.liquidation.many_closed import closed_rows
from margrave.liquidation.many_search import Curves, nearest_changes
from margrave.liquidation.own_prices import curves_of, shares_nothing
from margrave.liquidation.pool import liquidation_along
from margrave.margin.pooled import Prepared, prepare_in
from margrave.margin.resolve import Resolved
from margrave.rulebook.schema import Roundings

CurvesOf: TypeAlias = Callable[[Prepared, I64, I64], tuple[I64, Curves]]
"""Of rows, a pool and an asset each: which of them are served, ascending, and their curves."""


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


def bounds_of_pools(resolved: Resolved, book: Book, served: CurvesOf | None = None) -> PoolBounds:
    """Nearest liquidation price below and above, of every pool along every single underlying.

    Parameters
    ----------
    resolved : Resolved
        Market and rules.
    book : Book
        A few thousand accounts: several hundred numbers a pool stand in memory together.
    served : callable, optional
        Curves of some rows, quicker than the calculation has them.

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
            factor[:, left] = searched(resolved, prepared, pool[left], asset[left], served)
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


def _part_with(resolved: Resolved, prepared: Prepared, pool: I64) -> tuple[Prepared, I64]:
    # The accounts of some pools alone, and the rows of those pools there.
    accounts = prepared.pools.account
    wanted = np.unique(accounts[pool])
    if len(wanted) == len(prepared.book.names):
        return prepared, pool
    part = prepare_in(resolved, picked(prepared.book, wanted))
    return part, np.flatnonzero(np.isin(accounts, wanted)).searchsorted(pool)


def searched(
    resolved: Resolved, prepared: Prepared, pool: I64, asset: I64, served: CurvesOf | None = None
) -> F64:
    """Factors of the nearest changes of sign below and above, (2, R), by search; NaN where there is none."""
    out = np.full((2, len(pool)), np.nan)
    left = np.ones(len(pool), dtype=np.bool_)
    if served is not None:
        rows, curves = served(prepared, pool, asset)
        out[:, rows] = nearest_changes(curves, break_factors(prepared, pool[rows], asset[rows]))
        left[rows] = False
    if left.any():
        out[:, left] = _in_arrays(resolved, prepared, pool[left], asset[left])
    return out


def _in_arrays(resolved: Resolved, prepared: Prepared, pool: I64, asset: I64) -> F64:
    part, place = _part_with(resolved, prepared, pool)
    curves = curves_of(resolved, part, place, asset)
    # Where rules say nothing of some price, the pool is searched alone.
    alone = ~np.isfinite(curves.scan).all(axis=1)
    out = nearest_changes(curves, break_factors(part, place, asset))
    if alone.any():
        out[:, alone] = _one_by_one(part, place[alone], asset[alone])
    return out
