"""The partition of a book into pools: a margin mode is a partition, and the models never know which.

Isolated: one pool a position. Cross: one pool an account and settlement asset, or one an account, as the
rulebook says. A pool holds one bucket for each asset that its balances or profits are in.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.domain.book import Book
from margrave.kernels.arrays import F64, I64, Bools
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
        In the order of accounts; cross pools of an account before its isolated ones.
    """
    spans_account = rulebook.account.cross_pool is CrossPool.ACCOUNT
    asset_of = {name: k for k, name in enumerate(table.assets)}
    pools: dict[tuple[int, int, int], int] = {}  # (account, isolated position + 1, currency) -> pool
    buckets: dict[tuple[int, int], int] = {}  # (pool, asset) -> bucket
    balance: list[float] = []

    def bucket(account: int, isolated: int, asset: int) -> int:
        counted = currency if spans_account and not isolated else asset
        pool = pools.setdefault((account, isolated, counted), len(pools))
        at = buckets.setdefault((pool, asset), len(buckets))
        if at == len(balance):
            balance.append(0.0)
        return at

    for row in range(len(book.balance)):
        at = bucket(int(book.balance_account[row]), 0, asset_of[book.assets[book.balance_asset[row]]])
        balance[at] += float(book.balance[row])
    settled = table.settlement[book.instrument].tolist()
    held = [
        bucket(a, (p + 1) * i, s)
        for p, (a, i, s) in enumerate(
            zip(book.account.tolist(), book.is_isolated.tolist(), settled, strict=True)
        )
    ]
    for row, is_isolated in enumerate(book.is_isolated.tolist()):
        if is_isolated:
            balance[held[row]] = float(isolated_margin[row])
    for account, instrument in zip(book.order_account.tolist(), book.order_instrument.tolist(), strict=True):
        bucket(account, 0, int(table.settlement[instrument]))
    keys = np.array(list(pools), dtype=np.int64).reshape(len(pools), 3)
    places = np.array(list(buckets), dtype=np.int64).reshape(len(buckets), 2)
    position_bucket = np.array(held, dtype=np.int64)
    return Pools(
        keys[:, 0],
        keys[:, 1] > 0,
        keys[:, 2],
        keys[:, 1] - 1,
        spans_account & (keys[:, 1] == 0),
        places[:, 0],
        places[:, 1],
        np.array(balance, dtype=np.float64),
        places[position_bucket, 0],
        position_bucket,
    )


def pool_name(pools: Pools, table: Table, book: Book, pool: int) -> str:
    """Name of a pool: its mode, and its only position or its currency."""
    if pools.is_isolated[pool]:
        return f"isolated {book.symbols[int(book.instrument[int(pools.position[pool])])]}"
    return f"cross {table.assets[int(pools.currency[pool])]}"


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
    flat = (np.arange(scenarios)[:, None] * count + group[None, :]).ravel()
    added = np.bincount(flat, weights=values.ravel(), minlength=scenarios * count)
    return np.asarray(added, dtype=np.float64).reshape(scenarios, count)
