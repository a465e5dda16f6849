"""Pools that hold contracts on the coin that they count in: equity, worst scenario and charges in one pass.

A row of the table is all that a contract is in a market: its profit in each cell, what it is worth, its delta. A pool
is one chain of rows, read once; nothing of size pools × scenarios is ever written.
"""

from dataclasses import dataclass, fields
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from margrave.kernels.arrays import F64, I64
from margrave.kernels.compiled.compiler import inner, kernel
from margrave.kernels.compiled.intrinsics import add_row, add_rows, least_of, spent
from margrave.kernels.compiled.laid_out import PoolRows
from margrave.kernels.compiled.rows import WIDTH, check_rows

FREE, INCREMENT, MOST = range(3)
"""Columns of `CoinTerms.liquidity`."""

VALUE, DELTA = range(2)
"""What stands behind the cells of a row."""

OPTION_DELTA = -1
"""Lane of a row that counts where a position is long."""

HELD, BOUGHT, SOLD = range(3)
"""Rows of `PoolParts.worst` and `charge`: without open orders, with all buys filled, with all sells filled."""

HEALTHY, CALL, LIQUIDATABLE, UNFINISHED = range(4)
"""Values of `PoolMargins.standing`."""

_Steps: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
_Terms: TypeAlias = tuple[F64, NDArray[Any], F64, F64, F64]
_Held: TypeAlias = tuple[I64, NDArray[Any], NDArray[Any], F64, I64]
_Waiting: TypeAlias = tuple[I64, I64, NDArray[Any], F64, F64, F64]
_Levels: TypeAlias = tuple[float, float, float, tuple[float, float, float]]
_Parts: TypeAlias = tuple[F64, F64, F64]
_Ends: TypeAlias = tuple[F64, F64, F64, F64, NDArray[np.int8]]


@final
@dataclass(frozen=True, slots=True)
class CoinTerms:
    """Instruments in one market, (I,), and the coins that they settle in, (N,)."""

    table: F64  # (I + N, lanes) of a contract: weighted profit in each cell, value, delta and, of an option, delta again
    # [coin], and of a coin the damper of cells at its price. NaN in what is not known makes pools NaN.
    cells: int
    dated: NDArray[np.uint8]  # (I, D / 8) a bit a date, set for the expiry of an instrument
    share: (
        F64  # (N, D) of an expiry's net delta that a roll costs; D is a multiple of 8, zeros behind the dates
    )
    liquidity: (
        F64  # (N, 3) free, increment and most of the charge on a large delta; zeros where there is none
    )
    price: F64  # (N,) of a coin
    moves: bool = (
        False  # what a pool has moves with its coin: a row a coin more, of what one of it gains in each cell
    )


@final
@dataclass(frozen=True, slots=True)
class Levels:
    """What pools are asked for their risk, and where it stands."""

    initial: float  # of the risk
    maintenance: float
    closing: float  # margin balance over maintenance below which a pool is closed
    grid: tuple[
        float, float, float
    ]  # step of the worst loss, steps a unit, and what is close to one; zeros for none


@final
@dataclass(frozen=True, slots=True)
class PoolParts:
    """What requirements are made of, (K,) at least: room that is used again and again. V is 3 with open orders, else 1."""

    worst: F64  # (V, K) largest loss, >= 0
    charge: F64  # (V, K) roll and liquidity, >= 0
    fills: F64  # (K,) premium of bought options, and loss of orders beyond the mark; empty where there are no orders


@final
@dataclass(frozen=True, slots=True)
class PoolMargins:
    """What pools have and are asked, (K,)."""

    equity: F64
    balance: F64  # what margin is compared with; equity itself where all of it counts
    initial: F64  # with open orders
    maintenance: F64
    order_margin: F64
    standing: NDArray[
        np.int8
    ]  # one of four; `UNFINISHED`: a worst loss is near a step, or something is unknown


# --- kernels ---


@inner
def _large(longs: float, both: float, price: float, terms: tuple[float, float, float]) -> float:
    """Cost of a large delta: long options may only reduce what the rest must sell, in coins."""
    rest = both - longs
    short, long = (
        max(-max(both, rest), 0.0),
        max(min(both, rest), 0.0),
    )  # both, so that nothing branches on a sign
    size = short if rest < 0.0 else long
    value = size * price
    if value <= terms[FREE]:  # almost always
        return 0.0
    amount = (value - terms[FREE]) * size * terms[INCREMENT]
    return float(min(amount, terms[MOST] * value) / price)


@inner
def asked_of(
    steps: _Steps, cells: int, terms: _Terms, sums: tuple[F64, F64, int], coin: int
) -> tuple[float, float]:
    """Worst loss and charges of row ``sums[2]`` of lanes and net deltas, which are spent."""
    (lane, net, row), (_table, _dated, share, liquidity, price) = sums, terms
    least = least_of(steps[0], lane, row, cells)
    large = liquidity[coin, FREE], liquidity[coin, INCREMENT], liquidity[coin, MOST]
    charge = _large(lane[row, OPTION_DELTA], lane[row, cells + DELTA], price[coin], large)
    return 0.0 if least >= 0.0 else -least, charge + spent(steps[1], net, row, share, coin)


@inner
def _fills(waiting: _Waiting, table: F64, value: int, pool: int) -> float:
    """What orders cost beside the margin of their fill; NaN where both sides lose, which is charged by instrument."""
    start, sells, index, quantity, paid, premium = waiting
    bought, sold = 0.0, 0.0
    for order in range(start[pool], start[pool + 1]):
        loss = max(paid[order] - quantity[order] * table[np.uint64(index[order]), value], 0.0)
        bought += loss if order < sells[pool] else 0.0
        sold += 0.0 if order < sells[pool] else loss
    return float(premium[pool] + (np.nan if bought * sold != 0.0 else bought + sold))


@inner
def _on_grid(amount: float, grid: tuple[float, float, float]) -> tuple[float, bool]:
    """An amount on its grid, and whether it lies clearly between two steps: `core.rounding` decides on the others."""
    step, per_unit, close = grid
    if step == 0.0:
        return amount, True
    scaled = amount / step
    halves = scaled + scaled
    clear = scaled == 0.0 or abs(halves - np.rint(halves)) > close * max(abs(scaled), 1.0)
    return np.rint(scaled) / per_unit, clear


@inner
def _required(levels: _Levels, worst: float, charge: float) -> tuple[float, float, bool]:
    """Initial and maintenance margin of a worst loss and charges, and whether the loss lies clearly on its grid."""
    lost, clear = _on_grid(worst, levels[3])
    return levels[0] * (lost + charge), levels[1] * (lost + charge), clear


@inner
def _standing(levels: _Levels, equity: float, initial: float, maintenance: float, clear: bool) -> int:
    """Where a pool stands; what is NaN is unfinished."""
    if not clear or np.isnan(equity + initial + maintenance):
        return UNFINISHED
    return LIQUIDATABLE if equity < levels[2] * maintenance else CALL if equity < initial else HEALTHY


@kernel
def pool_rows(  # noqa: PLR0913 - a kernel's columns
    steps: _Steps,
    cells: int,
    terms: tuple[_Terms, _Levels],
    rows: tuple[_Held, _Waiting],
    span: tuple[int, int],
    out: tuple[_Parts, _Ends],
    room: tuple[F64, F64],
) -> None:
    """Pools ``span[0]`` to ``span[1] - 1`` without open orders, from the first row of the results on; ``room`` is of zeros."""
    (table, dated, share, _liquidity, _price), levels = terms
    start, index, quantity, base, currency = rows[0]
    (worst, charge, _), (equity, initial, maintenance, order_margin, standing) = out
    sums, net = room
    columns = table, index, quantity, dated
    for k, pool in enumerate(range(span[0], span[1])):
        coin, first, past = currency[pool], start[pool], start[pool + 1]
        equity[k], worst[HELD, k], charge[HELD, k] = base[pool], 0.0, 0.0
        if first < past or len(steps[2]) > 0:
            places = (table, len(dated) + coin, sums, 0, net)
            add_rows(steps, columns, first, past, places, cells + DELTA)
            equity[k] += sums[0, cells + VALUE]
            if len(steps[2]) > 0:  # what is had moves with its coin
                add_row(steps[0], table, len(dated) + len(share) + coin, equity[k], sums, 0)
            asked = asked_of(steps, cells, terms[0], (sums, net, 0), coin)
            worst[HELD, k], charge[HELD, k] = asked
        held, least, clear = _required(levels, worst[HELD, k], charge[HELD, k])
        initial[k], maintenance[k], order_margin[k] = held, least, 0.0
        standing[k] = _standing(levels, equity[k], held, least, clear)


@kernel
def pool_rows_ordered(  # noqa: PLR0913 - a kernel's columns
    steps: _Steps,
    cells: int,
    terms: tuple[_Terms, _Levels],
    rows: tuple[_Held, _Waiting],
    span: tuple[int, int],
    out: tuple[_Parts, _Ends],
    room: tuple[F64, F64],
) -> None:
    """`pool_rows` with open orders: what all buys, and all sells, would add to what is held."""
    (table, dated, share, _liquidity, _price), levels = terms
    start, index, quantity, base, currency = rows[0]
    order_start, sells, order_index, order_quantity, _paid, _premium = rows[1]
    (worst, charge, fills), (equity, initial, maintenance, order_margin, standing) = out
    sums, net = room
    columns, orders = (table, index, quantity, dated), (table, order_index, order_quantity, dated)
    on_top, delta = (sums, 0, sums, 1, net), cells + DELTA
    for k, pool in enumerate(range(span[0], span[1])):
        coin, begin, middle, end = currency[pool], order_start[pool], sells[pool], order_start[pool + 1]
        places = (table, len(dated) + coin, sums, 0, net)
        add_rows(steps, columns, start[pool], start[pool + 1], places, delta)
        equity[k], fills[k] = base[pool] + sums[0, cells + VALUE], 0.0
        if len(steps[2]) > 0:  # what is had moves with its coin
            add_row(steps[0], table, len(dated) + len(share) + coin, equity[k], sums, 0)
        if begin < end:
            fills[k] = _fills(rows[1], table, cells + VALUE, pool)
            for side, first, past in ((BOUGHT, begin, middle), (SOLD, middle, end)):
                for lane in range(net.shape[1]):
                    net[1, lane] = net[0, lane]
                add_rows(steps, orders, first, past, on_top, delta)
                asked = asked_of(steps, cells, terms[0], (sums, net, 1), coin)
                worst[side, k], charge[side, k] = asked
        asked = asked_of(steps, cells, terms[0], (sums, net, 0), coin)
        for side in range(SOLD + 1 if begin == end else HELD + 1):
            worst[side, k], charge[side, k] = asked
        held, least, clear = _required(levels, worst[HELD, k], charge[HELD, k])
        bought, _, sure = _required(levels, worst[BOUGHT, k], charge[BOUGHT, k])
        sold, _, certain = _required(levels, worst[SOLD, k], charge[SOLD, k])
        more = fills[k] + max(max(bought, sold) - held, 0.0)
        initial[k], maintenance[k], order_margin[k] = held + more, least, more
        known = clear and sure and certain and not np.isnan(bought + sold)
        standing[k] = _standing(levels, equity[k], held + more, least, known)


@kernel
def join_rows(
    levels: _Levels,
    parts: tuple[I64, I64, F64],
    found: tuple[_Parts, _Ends],
    span: tuple[int, int],
    out: _Ends,
) -> None:
    """Pools ``span[0]`` to ``span[1] - 1`` of several coins, from their parts: what each has and risks, added up."""
    first, currency, rate = parts
    (worst, charge, fills), owned = found[0], found[1][0]
    equity, initial, maintenance, order_margin, standing = out
    begin = first[span[0]]
    for k, pool in enumerate(range(span[0], span[1])):
        have, held, bought, sold, more = 0.0, 0.0, 0.0, 0.0, 0.0
        for part in range(first[pool] - begin, first[pool + 1] - begin):
            per_coin = rate[currency[begin + part]]
            have += owned[part] * per_coin
            held += worst[HELD, part] + charge[HELD, part]
            if len(worst) > 1:
                bought += worst[BOUGHT, part] + charge[BOUGHT, part]
                sold += worst[SOLD, part] + charge[SOLD, part]
                more += fills[part] * per_coin
        asked, least = levels[0] * held, levels[1] * held
        if len(worst) > 1:
            more += max(max(levels[0] * bought, levels[0] * sold) - asked, 0.0)
        equity[k], initial[k], maintenance[k], order_margin[k] = have, asked + more, least, more
        standing[k] = _standing(levels, have, asked + more, least, not np.isnan(bought + sold))


# --- what callers use ---


def bits_of_dates(date: I64, dates: int) -> NDArray[np.uint8]:
    """A bit a date, (I, ⌈D / 8⌉), set for the date of each instrument."""
    steps = -(-dates // WIDTH)
    bits = np.zeros((len(date), steps), dtype=np.uint8)
    bits[np.arange(len(date)), date // WIDTH] = 1 << (date % WIDTH)
    return bits


def empty_margins(count: int, *, counted_apart: bool = False) -> PoolMargins:
    """Room for pools, with a balance that is not their equity where it is ``counted_apart``."""
    equity, initial, maintenance, order_margin = (np.empty(count) for _ in range(4))
    balance = np.empty(count) if counted_apart else equity
    return PoolMargins(equity, balance, initial, maintenance, order_margin, np.empty(count, dtype=np.int8))


def empty_parts(rows: PoolRows, count: int) -> PoolParts:
    """Room for the parts of up to ``count`` pools of some rows at once."""
    variants = SOLD + 1 if len(rows.order_index) else HELD + 1
    room = np.empty((variants, count)), np.empty((variants, count))
    return PoolParts(*room, np.empty(count if variants > 1 else 0))


def margins_in(out: PoolMargins, first: int, past: int) -> PoolMargins:
    """Some pools of a whole, in place."""
    return PoolMargins(*(getattr(out, field.name)[first:past] for field in fields(PoolMargins)))


def check_terms(terms: CoinTerms) -> None:
    """ValueError unless the terms have rows for every instrument and coin, of lanes that kernels can read."""
    check_rows(terms.table)
    coins, count = len(terms.share), len(terms.dated)
    if len(terms.table) != count + coins * (2 if terms.moves else 1):
        raise ValueError(f"the table has {len(terms.table)} rows for {count} instruments and {coins} coins")
    if terms.share.shape[1] != WIDTH * terms.dated.shape[1] or not terms.share.flags.c_contiguous:
        raise ValueError(
            f"shares of {terms.share.shape[1]} dates do not match {terms.dated.shape[1]} bytes of dates"
        )
    if terms.cells + len((VALUE, DELTA, OPTION_DELTA)) > terms.table.shape[1]:
        raise ValueError(f"rows of {terms.table.shape[1]} lanes have no room behind {terms.cells} cells")


def coin_pools(
    terms: CoinTerms,
    levels: Levels,
    rows: PoolRows,
    span: tuple[int, int],
    parts: PoolParts,
    out: PoolMargins,
) -> None:
    """Equity, requirements and standing of some pools.

    Parameters
    ----------
    terms : CoinTerms
        Of the instruments that the rows name, checked by `check_terms`; indices are not checked.
    levels : Levels
        What is asked for the risk.
    rows : PoolRows
        Pools, laid out.
    span : (int, int)
        The first pool, and the one after the last.
    parts, out : PoolParts, PoolMargins
        Get them, from their first rows on. [coin] NaN where something in a pool is not known, and in ``fills`` where
        orders of both sides of one pool would lose at their price, which is charged instrument by instrument. Where the
        standing is `UNFINISHED`, requirements are not what they should be; equity and parts are.
    """
    held: _Held = rows.start, rows.index, rows.quantity, rows.base, rows.currency
    waiting: _Waiting = (
        rows.order_start, rows.sells, rows.order_index, rows.order_quantity, rows.paid, rows.premium,
    )  # fmt: skip
    ordered = len(parts.worst) > 1
    run, told = pool_rows_ordered if ordered else pool_rows, plain_terms(terms, levels)
    sums = np.zeros((1 + ordered, terms.table.shape[1])), np.zeros((1 + ordered, terms.share.shape[1]))
    run(steps_of(terms), terms.cells, told, (held, waiting), span, _room(parts, out), sums)


def join_pools(  # noqa: PLR0913 - pools, those of their coins, and where both stand
    levels: Levels,
    rate: F64,
    rows: PoolRows,
    first: I64,
    found: tuple[PoolParts, PoolMargins],
    span: tuple[int, int],
    out: PoolMargins,
) -> None:
    """Add pools of one coin up to pools that span coins.

    Parameters
    ----------
    levels : Levels
        What is asked for the risk, which is not rounded.
    rate : (N,) ndarray
        Pool currency per coin.
    rows, first : PoolRows, (K' + 1,) ndarray
        Pools of one coin, and where those of each pool begin.
    found : (PoolParts, PoolMargins)
        What `coin_pools` says of pools ``first[span[0]]`` to ``first[span[1]] - 1``, with risks in the pool's currency.
    span : (int, int)
        The first pool, and the one after the last.
    out : PoolMargins
        Gets them, from its first row on.
    """
    join_rows(_asked_at(levels), (first, rows.currency, rate), _room(*found), span, _room(found[0], out)[1])


def steps_of(terms: CoinTerms) -> _Steps:
    """Tuples whose lengths the kernels are compiled for."""
    return (0,) * (terms.table.shape[1] // WIDTH), (0,) * terms.dated.shape[1], (0,) * terms.moves


def plain_terms(terms: CoinTerms, levels: Levels) -> tuple[_Terms, _Levels]:
    """Terms and levels as the kernels take them."""
    told = terms.table, terms.dated, terms.share, terms.liquidity, terms.price
    return told, _asked_at(levels)


def _asked_at(levels: Levels) -> _Levels:
    return levels.initial, levels.maintenance, levels.closing, levels.grid


def _room(parts: PoolParts, out: PoolMargins) -> tuple[_Parts, _Ends]:
    ends = out.equity, out.initial, out.maintenance, out.order_margin, out.standing
    return (parts.worst, parts.charge, parts.fills), ends
