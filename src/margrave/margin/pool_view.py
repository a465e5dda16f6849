"""Pools as models see them that margin a whole pool: all pools of a book as columns, or one of them."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.domain.market import Market
from margrave.kernels.arrays import F64, I64
from margrave.valuation.scenarios import Priced
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class PoolView:
    """One pool's members and balances in rows of prices."""

    table: Table
    priced: Priced
    market: Market
    instrument: I64  # (n,) rows of the table
    quantity: F64  # (n,) signed contracts
    balance: F64  # (A,) cash [asset]
    owned: F64  # (S, A) cash, profit and option value [asset]
    currency: int  # row of the table's assets in which the pool counts
    vols: F64 | None = None  # (I,) as `held.table_vols`, solved once for many pools


@final
@dataclass(frozen=True, slots=True)
class PoolColumns:
    """Members and balances of V pools in rows of prices; members and buckets stand in the order of the pools."""

    table: Table
    priced: Priced
    market: Market
    pool: I64  # (V,) rows of the book's pools, ascending
    currency: I64  # (V,) row of the table's assets in which each counts
    owner: I64  # (n,) row of `pool` of each member, ascending
    instrument: I64  # (n,) rows of the table
    quantity: F64  # (n,) signed contracts
    bucket_owner: I64  # (b,) row of `pool` of each bucket, ascending
    asset: I64  # (b,)
    balance: F64  # (b,) cash [asset]
    owned: F64  # (S, b) cash, profit and option value [asset]
    vols: F64 | None = None  # (I,) as `held.table_vols`, of models that ask for them


def pool_at(columns: PoolColumns, row: int) -> PoolView:
    """One of the pools."""
    first, last = columns.owner.searchsorted([row, row + 1])
    opened, closed = columns.bucket_owner.searchsorted([row, row + 1])
    assets = columns.asset[opened:closed]
    count = len(columns.table.assets)
    balance, owned = np.zeros(count), np.zeros((len(columns.owned), count))
    balance[assets] = columns.balance[opened:closed]
    owned[:, assets] = columns.owned[:, opened:closed]
    return PoolView(
        columns.table,
        columns.priced,
        columns.market,
        columns.instrument[first:last],
        columns.quantity[first:last],
        balance,
        owned,
        int(columns.currency[row]),
        columns.vols,
    )
