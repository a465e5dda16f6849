"""What an assessed book says as a whole: how many accounts stand where, totals, who is nearest to liquidation."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.domain.market import Market
from margrave.engine.assessment import Status
from margrave.engine.books.venue import STATUSES, BookAssessment
from margrave.kernels.arrays import F64, I64

RATIO_EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Edges of the histogram of ratios; the last bin is open above."""


@final
@dataclass(frozen=True, slots=True)
class BookSummary:
    """A book in a few numbers; money in the market's numeraire, of known pools in priced currencies only."""

    accounts: dict[Status, int]  # by worst pool
    pools: int
    equity: float
    initial: float
    maintenance: float
    left_out: int  # pools that are not in the sums: unknown, or in a currency without an index price
    histogram: tuple[int, ...]  # accounts by ratio, bins of `RATIO_EDGES`; unknown ones in none


def prices_of(found: BookAssessment, market: Market) -> F64:
    """Price of each asset of an assessment, NaN where the market has none [numeraire per asset]."""
    told = [market.index_of(asset) for asset in found.assets]
    return np.array([np.nan if price is None else price for price in told], dtype=np.float64)


def summary_of(found: BookAssessment, market: Market) -> BookSummary:
    """Sum up an assessed book."""
    pools = found.pools
    price = prices_of(found, market)[pools.currency]
    known = (pools.status != STATUSES.index(Status.UNKNOWN)) & ~np.isnan(price)
    counts = np.bincount(found.status, minlength=len(STATUSES)).tolist()
    ratio = found.ratio
    bins = np.searchsorted(RATIO_EDGES, ratio[~np.isnan(ratio)], side="right") - 1
    equity, initial, maintenance = (
        float((column[known] * price[known]).sum())
        for column in (pools.equity, pools.initial, pools.maintenance)
    )
    return BookSummary(
        dict(zip(STATUSES, counts, strict=True)),
        len(known),
        equity,
        initial,
        maintenance,
        int((~known).sum()),
        tuple(np.bincount(np.maximum(bins, 0), minlength=len(RATIO_EDGES)).tolist()),
    )


def nearest_to_liquidation(found: BookAssessment, count: int) -> I64:
    """Pools with the largest ratios that are not liquidatable, the nearest first; rows of the pools."""
    held = found.pools.maintenance > 0.0
    safe = (found.pools.status < STATUSES.index(Status.LIQUIDATABLE)) & held
    rows = np.flatnonzero(safe)
    ratio = found.pools.ratio[rows]
    few = np.argpartition(-ratio, min(count, len(rows) - 1))[:count] if len(rows) else rows
    return rows[few[np.lexsort((few, -ratio[few]))]]
