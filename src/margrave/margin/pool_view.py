"""Pools as models see them that margin a whole pool: members and balances as columns."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.domain.market import Market
from margrave.kernels.arrays import F64, I64
from margrave.valuation.scenarios import Priced
from margrave.valuation.table import Table


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


def pools_at(columns: PoolColumns, rows: I64) -> PoolColumns:
    """Some of the pools; ``rows`` ascend."""
    view = np.full(len(columns.pool), -1)
    view[rows] = np.arange(len(rows))
    mine = np.flatnonzero(view[columns.owner] >= 0)
    buckets = np.flatnonzero(view[columns.bucket_owner] >= 0)
    return PoolColumns(
        columns.table,
        columns.priced,
        columns.market,
        columns.pool[rows],
        columns.currency[rows],
        view[columns.owner[mine]],
        columns.instrument[mine],
        columns.quantity[mine],
        view[columns.bucket_owner[buckets]],
        columns.asset[buckets],
        columns.balance[buckets],
        columns.owned[:, buckets],
        columns.vols,
    )
