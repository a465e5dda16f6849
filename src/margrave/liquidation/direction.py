"""Along which prices a pool is searched, and what prices move there."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.words import MAINTENANCE
from margrave.kernels.arrays import F64, I64
from margrave.liquidation.bounds import COMMON_FACTOR
from margrave.margin.pooled import Pooled, Prepared, evaluate
from margrave.rulebook.bands import liquidation_ratio
from margrave.valuation.scenarios import shifted

_ROUNDING = 2e-15  # of what a pool has over its maintenance now
_STABLE_WITHIN = 0.05  # a coin this near to one numeraire, without a vol or a contract on it, is stable


@final
@dataclass(frozen=True, slots=True)
class Direction:
    """Assets that move together in one pool, and the instrument whose price tells how far."""

    name: str
    pool: int  # row of the pools
    assets: tuple[int, ...]  # rows of the table's assets that move
    instrument: str  # whose price is told; an asset's own name where no instrument serves
    price: float  # of it now
    tick: float | None
    vol: float | None  # annual, of what the price is of


def positions_of(prepared: Prepared, pool: int) -> I64:
    """Rows of the positions of a pool that are not flat."""
    return np.flatnonzero((prepared.pools.position_pool == pool) & (prepared.book.quantity != 0.0))


def underlyings_of(prepared: Prepared, pool: int) -> tuple[int, ...]:
    """Assets whose price moves a pool: bases of its positions, and collateral that is not stable."""
    table = prepared.table
    held = positions_of(prepared, pool)
    bases = dict.fromkeys(table.base[prepared.book.instrument[held]].tolist())
    buckets = np.flatnonzero(prepared.pools.bucket_pool == pool)
    currency = int(prepared.pools.currency[pool])
    paid = prepared.pools.bucket_asset[buckets].tolist()
    others = [a for a in paid if a != currency and a not in bases and not is_stable(prepared, a)]
    return (*bases, *others)


def is_stable(prepared: Prepared, asset: int) -> bool:
    """Whether an asset counts as money: near one numeraire, without a vol and without a contract on it."""
    market, name = prepared.market, prepared.table.assets[asset]
    if name == market.numeraire:
        return True
    priced = any(i.base == name for i in market.instruments.values()) or name in market.vols
    return not priced and abs(float(prepared.table.asset_price[asset]) - 1.0) <= _STABLE_WITHIN


def direction_of(prepared: Prepared, pool: int, assets: tuple[int, ...], name: str) -> Direction:
    """Direction of some assets in a pool, told by the price of its largest delta-one position there."""
    table, book = prepared.table, prepared.book
    rows = [p for p in positions_of(prepared, pool).tolist() if int(table.base[book.instrument[p]]) in assets]
    future = [p for p in rows if not table.is_option[book.instrument[p]]]
    if not rows:
        asset = assets[0]
        return Direction(
            name,
            pool,
            assets,
            table.assets[asset],
            float(table.asset_price[asset]),
            None,
            _vol(prepared, asset),
        )
    main = max(future or rows, key=lambda p: _size(prepared, p))
    row = int(book.instrument[main])
    instrument = table.instruments[row]
    vol = _vol(prepared, int(table.base[row]))
    if not future:  # the price of an option tells nothing: its underlying's does
        return Direction(
            name, pool, assets, table.assets[table.base[row]], float(table.index[row]), None, vol
        )
    tick = None if instrument is None else instrument.tick
    return Direction(name, pool, assets, book.symbols[row], float(table.mark[row]), tick, vol)


def _vol(prepared: Prepared, asset: int) -> float | None:
    vol = float(prepared.vols[asset])
    return vol if np.isfinite(vol) else None


def _size(prepared: Prepared, position: int) -> float:
    # Notional in the numeraire, so that positions of several underlyings compare.
    table, row = prepared.table, int(prepared.book.instrument[position])
    price = float(table.index[row]) if table.is_option[row] else float(table.mark[row])
    worth = float(table.a[row]) * price + float(table.c[row]) / price
    each = float(table.asset_price[table.payoff[row]])
    return abs(float(prepared.book.quantity[position])) * worth * (each if np.isfinite(each) else 1.0)


def factors(prepared: Prepared, direction: Direction, factor: F64) -> F64:
    """Shift of every asset, (S, A), for one factor a scenario."""
    shift = np.ones((factor.size, len(prepared.table.assets)))
    shift[:, list(direction.assets)] = factor[:, None]
    return shift


def pooled_at(prepared: Prepared, shift: F64) -> Pooled:
    """Evaluate shifts of assets, (S, A), without the venue's rounding of margins.

    The rounding is for the statement of one instant; a search needs a function without steps, and `evaluate`
    leaves it out where it is asked for more than one scenario.
    """
    if shift.shape[0] == 1:
        shift = np.repeat(shift, 2, axis=0)
    return evaluate(prepared, shifted(prepared.table, shift))


def excess_of(prepared: Prepared, pooled: Pooled) -> F64:
    """Margin balance less what it must not fall under, (S, K): maintenance, times the ratio at which bands close."""
    return pooled.margin_balance - liquidation_ratio(prepared.rulebook.account.bands) * pooled.maintenance


@final
@dataclass(frozen=True, slots=True)
class Excess:
    """The function whose sign is searched: `excess_of` the pool, or equity alone."""

    prepared: Prepared
    direction: Direction
    level: int | None  # MAINTENANCE, or None for bankruptcy
    slack: float = 0.0  # what of it is rounding, so that it does not decide

    def __call__(self, factor: F64) -> F64:
        """Excess at every factor, (S,), and the slack."""
        pooled = pooled_at(self.prepared, factors(self.prepared, self.direction, factor))
        pool = self.direction.pool
        if self.level == MAINTENANCE:
            return np.asarray(excess_of(self.prepared, pooled)[: factor.size, pool] + self.slack)
        return np.asarray(pooled.equity[: factor.size, pool] + self.slack)


def slack_of(here: F64) -> F64:
    """What excess may fall under zero by rounding alone, where it is ``here`` at the prices of now.

    A pool of long options is worth less and less on one side and never nothing: only digits would say where it is closed.
    """
    return np.asarray(_ROUNDING * np.maximum(here, 0.0))


def directions_of(prepared: Prepared, pool: int) -> tuple[Direction, ...]:
    """Directions of a pool: its only underlying, or the common factor followed by every underlying."""
    assets = underlyings_of(prepared, pool)
    names = prepared.table.assets
    single = tuple(direction_of(prepared, pool, (a,), names[a]) for a in assets)
    if len(single) <= 1:
        return single
    return (direction_of(prepared, pool, assets, COMMON_FACTOR), *single)


@final
@dataclass(frozen=True, slots=True)
class Powers:
    """To which power of the factor each position's prices move along a direction, (P,)."""

    mark: I64  # its mark
    convert: I64  # settlement asset per payoff asset
    to_pool: I64  # pool currency per settlement asset


def powers_of(prepared: Prepared, direction: Direction) -> Powers:
    """Powers of every position of a book; the bases that move have one, their quotes minus one."""
    table, pools = prepared.table, prepared.pools
    moves = np.zeros(len(table.assets), dtype=np.int64)
    moves[list(direction.assets)] = 1
    at = prepared.book.instrument
    to_pool = moves[pools.bucket_asset[pools.position_bucket]] - moves[pools.currency[pools.position_pool]]
    return Powers(
        moves[table.base[at]] - moves[table.quote[at]],
        moves[table.payoff[at]] - moves[table.settlement[at]],
        to_pool,
    )
