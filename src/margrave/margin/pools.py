"""The partition of a book into pools: a margin mode is a partition, and the models never know which.

Isolated: one pool a position. Cross: one pool an account and settlement asset, or one an account, as the
rulebook says. A pool holds one bucket for each asset that its balances or profits are in.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.domain.book import Book
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.groups import first_seen, rows_of
from margrave.rulebook.schema import CrossPool, Rulebook
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class Pools:
    """Pools of a book: K pools, B buckets, and the order of positions by bucket."""

    account: I64  # (K,) row of the account
    is_isolated: Bools  # (K,)
    currency: I64  # (K,) row of the table's assets in which the pool counts
    position: I64  # (K,) row of the only position of an isolated pool; -1
    spans_assets: Bools  # (K,) counts several assets after haircuts
    bucket_pool: I64  # (B,)
    bucket_asset: I64  # (B,) row of the table's assets
    bucket_balance: F64  # (B,) [asset] cash, or margin moved to an isolated position
    position_pool: I64  # (P,)
    position_bucket: I64  # (P,)
    order_pool: I64  # (O,) cross pool of the order's settlement asset
    order_bucket: I64  # (O,)
    converts: bool  # some bucket is in another asset than its pool's currency


def pools_of(book: Book, table: Table, rulebook: Rulebook, isolated_margin: F64, currency: int) -> Pools:
    """Partition a book.

    Parameters
    ----------
    book, table, rulebook : Book, Table, Rulebook
        Positions, instruments and the rule for cross pools. A balance outside every position forms a pool too.
    isolated_margin : (P,) ndarray
        Margin allotted to isolated positions [settlement asset]; ignored for the others.
    currency : int
        Row of the table's assets in which pools that span assets count.

    Returns
    -------
    Pools
        In the order of accounts, and within an account in the order in which its balances, positions and orders
        first need them: whatever else is in the book, an account's pools are those that it has alone.
    """
    spans_account = rulebook.account.cross_pool is CrossPool.ACCOUNT
    counts = (len(book.balance), len(book.account), len(book.order_account))
    owner, isolated, asset = _wanted(book, table, counts, currency)
    assets = len(table.assets)
    counted = np.where(isolated == 0, currency, asset) if spans_account else asset
    by_account = owner.argsort(kind="stable")
    pool_key = (owner * (counts[1] + 1) + isolated) * assets + counted
    first, pool = first_seen(pool_key[by_account])
    opened, bucket_of = first_seen(pool * assets + asset[by_account])
    row, bucket_row = by_account[first], by_account[opened]
    bucket, pool_of = np.empty(len(owner), dtype=np.int64), np.empty(len(owner), dtype=np.int64)
    bucket[by_account], pool_of[by_account] = bucket_of, pool
    end = counts[0] + counts[1]
    cash, held, asked = bucket[: counts[0]], bucket[counts[0] : end], bucket[end:]
    balance = grouped_sum(book.balance[None, :], cash, len(bucket_row))[0]
    alone = isolated[row] - 1
    is_isolated = alone >= 0
    balance[held[alone[is_isolated]]] = isolated_margin[alone[is_isolated]]
    currencies, bucket_pool, bucket_asset = counted[row], pool_of[bucket_row], asset[bucket_row]
    return Pools(
        owner[row],
        is_isolated,
        currencies,
        alone,
        spans_account & ~is_isolated,
        bucket_pool,
        bucket_asset,
        balance,
        pool_of[counts[0] : end],
        held,
        pool_of[end:],
        asked,
        spans_account and bool((bucket_asset != currencies[bucket_pool]).any()),
    )


def _wanted(book: Book, table: Table, counts: tuple[int, int, int], currency: int) -> tuple[I64, I64, I64]:
    # What needs a bucket: balances, positions, orders. Its account, its place if isolated (from 1), and its asset.
    owner = np.concatenate((book.balance_account, book.account, book.order_account))
    isolated = np.zeros(len(owner), dtype=np.int64)
    alone = np.flatnonzero(book.is_isolated)
    isolated[counts[0] + alone] = alone + 1
    own = np.array([table.assets.index(name) for name in book.assets], dtype=np.int64)
    instrument = np.concatenate((book.instrument, book.order_instrument))
    asset = np.concatenate((own[book.balance_asset], table.settlement[instrument]))
    if table.unlisted is not None:
        unknown = table.unlisted[instrument]
        # What nobody knows settles nowhere: it stands with the account's first balance or contract that is known.
        rows = np.arange(len(owner))
        known = rows[isolated == 0]
        known = known[~np.concatenate((np.zeros(counts[0], dtype=np.bool_), unknown))[known]]
        lost = counts[0] + np.flatnonzero(unknown)
        at = rows_of(owner[lost], owner[known])
        asset[lost] = np.where(at >= 0, asset[known][at], currency) if known.size else currency
    return owner, isolated, asset


def pool_name(pools: Pools, table: Table, book: Book, pool: int) -> str:
    """Name of a pool: its mode, and its only position or its currency."""
    if pools.is_isolated[pool]:
        return f"isolated {book.symbols[int(book.instrument[int(pools.position[pool])])]}"
    return f"cross {table.assets[int(pools.currency[pool])]}"


_WIDE = 2_000


def grouped_sum(values: F64, group: I64, count: int) -> F64:
    """Sum columns into groups, in every scenario, in the order of the columns.

    Parameters
    ----------
    values : (S, n) ndarray
        What is added. NaN makes its group NaN.
    group : (n,) ndarray of int
        Group of each column, 0 to ``count - 1``.
    count : int
        Number of groups.

    Returns
    -------
    (S, count) ndarray
        The sum of a group depends on its own columns only, so that an account in a book has the digits that
        it has alone.
    """
    scenarios = values.shape[0]
    if scenarios == 1:
        return np.asarray(np.bincount(group, weights=values[0], minlength=count), dtype=np.float64)[None, :]
    if len(group) > _WIDE:  # row by row: no index over all of them
        rows = [np.bincount(group, weights=row, minlength=count) for row in values]
        return np.array(rows, dtype=np.float64)
    flat = (np.arange(scenarios)[:, None] * count + group[None, :]).ravel()
    added = np.bincount(flat, weights=values.ravel(), minlength=scenarios * count)
    return np.asarray(added, dtype=np.float64).reshape(scenarios, count)
