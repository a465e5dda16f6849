"""One pool as models see it that margin one pool at a time."""

from dataclasses import dataclass
from typing import final

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
