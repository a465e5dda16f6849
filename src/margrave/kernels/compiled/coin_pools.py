"""Pools that hold contracts on the coin that they count in: equity, worst scenario and charges in one pass.

A row of the table is all that a contract is in a market: its profit in each cell, what it is worth, its delta. A pool
is one chain of rows, read once; nothing of size pools × scenarios is ever written.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from margrave.kernels.arrays import F64, I64
from margrave.kernels.compiled.compiler import kernel
from margrave.kernels.compiled.intrinsics import add_rows, least_of, spent
from margrave.kernels.compiled.laid_out import PoolRows
from margrave.kernels.compiled.rows import WIDTH, check_rows

FREE, INCREMENT, MOST = range(3)
"""Columns of `CoinTerms.liquidity`."""

VALUE, DELTA, OPTION_DELTA = range(3)
"""What stands behind the cells of a row."""

HELD, BOUGHT, SOLD = range(3)
"""Rows of `PoolMargins.worst` and `charge`: without open orders, with all buys filled, with all sells filled."""

_Steps: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]
_Terms: TypeAlias = tuple[F64, NDArray[Any], F64, F64, F64]
_Held: TypeAlias = tuple[I64, NDArray[Any], NDArray[Any], F64, I64]
_Waiting: TypeAlias = tuple[I64, I64, NDArray[Any], F64, F64, F64]
_Out: TypeAlias = tuple[F64, F64, F64, F64]


@final
@dataclass(frozen=True, slots=True)
class CoinTerms:
    """Instruments in one market, (I,), and the coins that they settle in, (N,)."""

    table: F64  # (I + N, lanes) of a contract: weighted profit in each cell, value, delta and, of an option, delta again
    # [coin], and of a coin the damper of cells at its price. NaN in what is not known makes pools NaN.
    cells: int
    dated: NDArray[np.uint8]  # (I, D / 8) a bit a date, set for the expiry of an instrument
    share: F64  # (N, D) of an expiry's net delta that a roll costs; D is a multiple of 8, zeros behind the dates
    liquidity: F64  # (N, 3) free, increment and most of the charge on a large delta; zeros where there is none
    price: F64  # (N,) of a coin


@final
@dataclass(frozen=True, slots=True)
class PoolMargins:
    """Pools, (K,), in coins; V is 3 where open orders are, else 1."""

    equity: F64
    worst: F64  # (V, K) largest loss, >= 0
    charge: F64  # (V, K) roll and liquidity, >= 0
    fills: F64  # (K,) premium of bought options, and loss of orders beyond the mark


# --- kernels ---


@kernel
def _liquidity(longs: float, both: float, price: float, terms: F64, coin: int) -> float:
    """Cost of a large delta: long options may only reduce what the rest must sell, in coins."""
    rest = both - longs
    low, high = min(both, rest), max(both, rest)
    size = abs(min(high, 0.0)) if rest < 0.0 else max(low, 0.0)
    value = size * price
    if value <= terms[coin, FREE]:  # almost always
        return 0.0
    amount = (value - terms[coin, FREE]) * size * terms[coin, INCREMENT]
    return float(min(amount, terms[coin, MOST] * value) / price)


@kernel
def _asked(
    steps: _Steps, cells: int, terms: _Terms, sums: tuple[F64, F64, int], pool: tuple[int, float]
) -> tuple[float, float]:
    """Worst loss and charges of row ``sums[2]`` of lanes and net deltas, for a pool's coin and long options' delta."""
    lane, net, row = sums
    coin, longs = pool
    least = least_of(steps[0], lane, row, cells)
    large = _liquidity(longs, lane[row, cells + DELTA], terms[4][coin], terms[3], coin)
    return 0.0 if least >= 0.0 else -least, spent(steps[1], net, row, terms[2], coin) + large


@kernel
def _fills(waiting: _Waiting, table: F64, value: int, pool: int) -> float:
    """What orders cost beside the margin of their fill; NaN where both sides lose, which is charged by instrument."""
    start, sells, index, quantity, paid, premium = waiting
    bought, sold = 0.0, 0.0
    for order in range(start[pool], start[pool + 1]):
        loss = max(paid[order] - quantity[order] * table[np.uint64(index[order]), value], 0.0)
        bought += loss if order < sells[pool] else 0.0
        sold += 0.0 if order < sells[pool] else loss
    return float(premium[pool] + (np.nan if bought * sold != 0.0 else bought + sold))


@kernel
def pool_rows(
    steps: _Steps, cells: int, terms: _Terms, rows: tuple[_Held, _Waiting], span: tuple[int, int], out: _Out
) -> None:
    """Pools ``span[0]`` to ``span[1] - 1`` without open orders."""
    table, dated = terms[0], terms[1]
    start, index, quantity, base, currency = rows[0]
    equity, worst, charge, _ = out
    sums, net = np.zeros((1, table.shape[1])), np.zeros((1, terms[2].shape[1]))
    columns = table, index, quantity, dated
    for pool in range(span[0], span[1]):
        coin, first, past = currency[pool], start[pool], start[pool + 1]
        equity[pool], worst[HELD, pool], charge[HELD, pool] = base[pool], 0.0, 0.0
        if first == past:
            continue
        long = add_rows(steps, columns, first, past, (table, len(dated) + coin, sums, 0, net), cells + DELTA)
        equity[pool] += sums[0, cells + VALUE]
        worst[HELD, pool], charge[HELD, pool] = _asked(steps, cells, terms, (sums, net, 0), (coin, long))


@kernel
def pool_rows_ordered(
    steps: _Steps, cells: int, terms: _Terms, rows: tuple[_Held, _Waiting], span: tuple[int, int], out: _Out
) -> None:
    """`pool_rows` with open orders: what all buys, and all sells, would add to what is held."""
    table, dated = terms[0], terms[1]
    start, index, quantity, base, currency = rows[0]
    order_start, sells, order_index, order_quantity, _paid, _premium = rows[1]
    equity, worst, charge, fills = out
    sums, net = np.zeros((2, table.shape[1])), np.zeros((2, terms[2].shape[1]))
    columns, orders = (table, index, quantity, dated), (table, order_index, order_quantity, dated)
    on_top, delta = (sums, 0, sums, 1, net), cells + DELTA
    for pool in range(span[0], span[1]):
        coin, begin, end = currency[pool], order_start[pool], order_start[pool + 1]
        equity[pool], fills[pool], worst[:, pool], charge[:, pool] = base[pool], 0.0, 0.0, 0.0
        if start[pool] == start[pool + 1] and begin == end:
            continue
        places = (table, len(dated) + coin, sums, 0, net)
        long = add_rows(steps, columns, start[pool], start[pool + 1], places, delta)
        equity[pool] += sums[0, cells + VALUE]
        if begin < end:
            fills[pool] = _fills(rows[1], table, cells + VALUE, pool)
            net[1] = net[0]
            more = long + add_rows(steps, orders, begin, sells[pool], on_top, delta)
            asked = _asked(steps, cells, terms, (sums, net, 1), (coin, more))
            worst[BOUGHT, pool], charge[BOUGHT, pool] = asked
            net[1] = net[0]
            add_rows(steps, orders, sells[pool], end, on_top, delta)
            asked = _asked(steps, cells, terms, (sums, net, 1), (coin, long))
            worst[SOLD, pool], charge[SOLD, pool] = asked
        if start[pool] < start[pool + 1]:
            asked = _asked(steps, cells, terms, (sums, net, 0), (coin, long))
            worst[HELD, pool], charge[HELD, pool] = asked
        if begin == end:
            worst[BOUGHT:, pool], charge[BOUGHT:, pool] = worst[HELD, pool], charge[HELD, pool]


# --- what callers use ---


def bits_of_dates(date: I64, dates: int) -> NDArray[np.uint8]:
    """A bit a date, (I, ⌈D / 8⌉), set for the date of each instrument."""
    steps = -(-dates // WIDTH)
    bits = np.zeros((len(date), steps), dtype=np.uint8)
    bits[np.arange(len(date)), date // WIDTH] = 1 << (date % WIDTH)
    return bits


def empty_margins(rows: PoolRows) -> PoolMargins:
    """Room for the pools of some rows."""
    count, variants = len(rows.account), 3 if len(rows.order_index) else 1
    fills = np.empty(count) if variants == SOLD + 1 else np.zeros(0)
    return PoolMargins(np.empty(count), np.empty((variants, count)), np.empty((variants, count)), fills)


def check_terms(terms: CoinTerms) -> None:
    """ValueError unless the terms have rows for every instrument and coin, of lanes that kernels can read."""
    check_rows(terms.table)
    coins, count = len(terms.share), len(terms.dated)
    if len(terms.table) != count + coins:
        raise ValueError(f"the table has {len(terms.table)} rows for {count} instruments and {coins} coins")
    if terms.share.shape[1] != WIDTH * terms.dated.shape[1] or not terms.share.flags.c_contiguous:
        raise ValueError(f"shares of {terms.share.shape[1]} dates do not match {terms.dated.shape[1]} bytes of dates")
    if terms.cells + OPTION_DELTA >= terms.table.shape[1]:
        raise ValueError(f"rows of {terms.table.shape[1]} lanes have no room behind {terms.cells} cells")


def coin_pools(terms: CoinTerms, rows: PoolRows, span: tuple[int, int], out: PoolMargins) -> None:
    """Equity, worst scenario and charges of some pools.

    Parameters
    ----------
    terms : CoinTerms
        Of the instruments that the rows name, checked by `check_terms`; indices are not checked.
    rows : PoolRows
        Pools, laid out.
    span : (int, int)
        The first pool, and the one after the last.
    out : PoolMargins
        Gets them. [coin] NaN where something in a pool is not known, and in `fills` where orders of both sides of
        one pool would lose at their price, which is charged instrument by instrument.
    """
    told: _Terms = terms.table, terms.dated, terms.share, terms.liquidity, terms.price
    plain = (
        (rows.start, rows.index, rows.quantity, rows.base, rows.currency),
        (
            rows.order_start,
            rows.sells,
            rows.order_index,
            rows.order_quantity,
            rows.paid,
            rows.premium,
        ),
    )
    steps = (0,) * (terms.table.shape[1] // WIDTH), (0,) * terms.dated.shape[1]
    room: _Out = out.equity, out.worst, out.charge, out.fills
    run = pool_rows_ordered if len(out.worst) > 1 else pool_rows
    run(steps, terms.cells, told, plain, span, room)
