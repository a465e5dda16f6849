"""Who can be deleveraged, as columns, and functions that share out what has to go."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels import deleveraging_shares as kernel
from margrave.kernels.arrays import F64, I64
from margrave.liquidation.deleverage import price_and_leverage


@final
@dataclass(frozen=True, slots=True)
class Candidates:
    """Positions in profit opposite to what is bankrupt, in the order of the book, (K,); money in the settlement asset."""

    position: I64  # row of the book
    account: I64
    lots: I64  # > 0
    profit: F64  # > 0
    entry_notional: F64  # > 0
    notional: F64  # at the mark, > 0
    balance: F64  # margin balance of the pool, > 0
    entry: F64  # [price]
    mark: F64  # [price]
    side: F64  # +1 long, -1 short

    @property
    def leverage(self) -> F64:
        """Notional over the pool's margin balance, (K,)."""
        return self.notional / self.balance

    @property
    def score(self) -> F64:
        """Profit over entry value, times leverage: the rank of most venues (spec clearing 5.3), (K,)."""
        return self.profit / self.entry_notional * self.leverage


def _whole(lots: F64) -> I64:
    return np.rint(lots).astype(np.int64)


def by_score(candidates: Candidates, wanted: int) -> I64:
    """Whole positions by profit times leverage, the highest first."""
    size = candidates.lots.astype(np.float64)
    return _whole(kernel.by_queue(candidates.score, size, float(wanted), 1.0))


def by_price_and_leverage(candidates: Candidates, wanted: int) -> I64:
    """Whole positions by the move of the price in their favour, as a ratio, times leverage: Hyperliquid's manner."""
    score = price_and_leverage(candidates.entry, candidates.mark, candidates.side, candidates.leverage)
    return _whole(kernel.by_queue(score, candidates.lots.astype(np.float64), float(wanted), 1.0))


def pro_rata(candidates: Candidates, wanted: int) -> I64:
    """The same share of every position."""
    return _whole(kernel.pro_rata(candidates.lots.astype(np.float64), float(wanted), 1.0))


def water_filling(candidates: Candidates, wanted: int) -> I64:
    """The highest leverage is lowered first, to one level for all whom it reaches."""
    capacity = candidates.balance * candidates.lots / candidates.notional
    return _whole(kernel.water_filling(candidates.lots.astype(np.float64), float(wanted), capacity, 1.0))
