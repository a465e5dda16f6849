"""What bounds on the change of pools are made of: pairs of assets, sizes at their largest, slopes of options, sums by pair.

Letters: S centres, K pools, P positions, I instruments, E pairs of pools.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.words import INITIAL, MAINTENANCE
from margrave.kernels.arrays import F64, I64
from margrave.kernels.normal import normal_cdf
from margrave.margin.pooled import Pooled, Prepared
from margrave.margin.pools import grouped_sum
from margrave.rulebook.bands import liquidation_ratio
from margrave.valuation.scenarios import Priced, vol_at_mark
from margrave.valuation.table import Table

_SD_LEAST = 1e-12


@final
@dataclass(frozen=True, slots=True)
class Sizes:
    """Positions, (S, P), in their pools' currencies at their largest in the reach."""

    value: F64  # notional at the mark
    entry: F64  # notional at the entry
    worth: F64  # pool currency per payoff asset
    to_pool: F64  # pool currency per settlement asset
    grown: F64  # (P,) by how much prices can have grown them


@final
@dataclass(frozen=True, slots=True)
class Centres:
    """Pools at S centres, and how far every pair of prices may move from there."""

    prepared: Prepared
    priced: Priced
    pooled: Pooled
    reach: float  # [logarithm] either way
    sizes: Sizes
    slopes: F64  # (S, I) of options' marks, as `option_slopes`
    closing: float  # balance over maintenance at which the venue closes


def pair_of(one: I64, other: I64, assets: int) -> tuple[I64, I64]:
    """Number of a pair of assets in whichever order they are told, and +1 where that is the pair's own order, else -1.

    The asset ``assets`` is the numeraire.
    """
    first, second = np.minimum(one, other), np.maximum(one, other)
    return first * (assets + 1) + second, np.where(one == first, 1, -1)


@final
@dataclass(slots=True)
class Slots:
    """Bounds that are being added up, by pool and pair."""

    assets: int
    pool: list[I64]
    pair: list[I64]
    amount: list[F64]  # (2, S, n) of each level

    def add(self, pool: I64, one: I64, other: I64, initial: F64, maintenance: F64) -> None:
        """Add columns, (S, n), of pools and the pairs they change with; an asset in itself does not move."""
        moves = np.flatnonzero(one != other)
        self.pool.append(pool[moves])
        self.pair.append(pair_of(one[moves], other[moves], self.assets)[0])
        self.amount.append(np.stack([initial[:, moves], maintenance[:, moves]]))

    def summed(self, scenarios: int) -> tuple[I64, I64, F64]:
        """Pool and pair of each that was added, and their sums, (2, S, E); infinite where one is not known."""
        nothing = np.zeros(0, dtype=np.int64)
        pool, pair = np.concatenate([nothing, *self.pool]), np.concatenate([nothing, *self.pair])
        width = (self.assets + 1) ** 2
        key, group = np.unique(pool * width + pair, return_inverse=True)
        amount = np.concatenate([np.zeros((2, scenarios, 0)), *self.amount], axis=2)
        level = np.stack([grouped_sum(amount[k], group, len(key)) for k in (INITIAL, MAINTENANCE)])
        return key // width, key % width, np.where(np.isnan(level), np.inf, level)


def centres(prepared: Prepared, priced: Priced, pooled: Pooled, reach: float) -> Centres:
    """Pools at some prices with what every bound needs."""
    table, pools, valued = prepared.table, prepared.pools, pooled.workings.valued
    at, to_pool = prepared.book.instrument, pooled.workings.to_pool
    asset, currency = pools.bucket_asset[pools.position_bucket], pools.currency[pools.position_pool]
    # Each of a mark, a conversion and a pool's rate moves by itself, and with it the amount by their product.
    moving = 1 + (table.payoff[at] != table.settlement[at]).astype(np.int64) + (asset != currency)
    grown = np.exp(reach * moving)
    worth = to_pool if valued.convert is None else to_pool * valued.convert
    sizes = Sizes(
        valued.notional * to_pool * grown,
        valued.notional_entry * to_pool * grown,
        worth * grown,
        to_pool * grown,
        grown,
    )
    slopes = option_slopes(table, priced, reach)
    closing = liquidation_ratio(prepared.rulebook.account.bands)
    return Centres(prepared, priced, pooled, reach, sizes, slopes, closing)


def option_slopes(table: Table, priced: Priced, reach: float) -> F64:
    """Largest change of each option's mark per logarithm of its forward, (S, I) [as the mark]; zero for futures.

    In coin a call changes by ``(K / F) N(d2)``, never by more than a coin, and a put by ``(K / F) N(-d2)``; in quote they
    change by ``F N(d1)`` and ``F N(-d1)``. Each factor is taken where it is largest in the reach. NaN without a vol.
    """
    out = np.zeros(priced.mark.shape)
    options = np.flatnonzero(table.is_option)
    if options.size:
        vol = vol_at_mark(table, options)
        out[:, options] = slopes_at(table, options, priced.forward[:, options], vol, reach)
    return out


def slopes_at(table: Table, options: I64, forward: F64, vol: F64, reach: float) -> F64:
    """`option_slopes` of some options at forwards and vols, (..., n)."""
    strike, call = table.strike[options], table.is_call[options]
    coin = table.is_coin_premium[options]
    sd = np.maximum(vol * np.sqrt(table.years[options]), _SD_LEAST)
    low, high = forward * np.exp(-reach), forward * np.exp(reach)
    deep = np.where(call, high, low)  # where an option is deepest in the money
    d = np.log(deep / strike) / sd + np.where(coin, -0.5, 0.5) * sd
    known = np.isfinite(d)
    share = np.where(known, normal_cdf(np.where(known, np.where(call, d, -d), 0.0)), np.nan)
    in_coin = strike / low * share
    in_coin = np.where(call, np.minimum(in_coin, 1.0), in_coin)
    return np.asarray(np.where(coin, in_coin, high * share))
