"""Pools of one coin at another price of it, each at a price of its own: rows of contracts made anew, then summed.

What a contract's row is at a price, `coin_pools` takes as it is; here it is worked out, by the same steps as the
calculation in NumPy: marks moved or revalued at their own vol, every cell from there, value and delta.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from margrave.kernels.arrays import F64, I64
from margrave.kernels.compiled.black_steps import BLOCK, block_prices
from margrave.kernels.compiled.coin_pools import (
    DELTA,
    INCREMENT,
    MOST,
    OPTION_DELTA,
    VALUE,
    CoinTerms,
    asked_of,
    steps_of,
)
from margrave.kernels.compiled.compiler import inlined, inner, kernel
from margrave.kernels.compiled.intrinsics import add_row, add_rows
from margrave.kernels.compiled.laid_out import PoolRows
from margrave.kernels.compiled.rows import empty_rows

MARK, A, C, FORWARD, STRIKE, YEARS, VOL_AT_MARK, VOL, DISCOUNT, AVERAGED, FIXED, FIXED_SHARE = range(12)
"""Columns of `MovedTerms.number`."""

NUMBERS: Final = 12

OPTION, CALL, COIN = 1, 2, 4
"""Bits of `MovedTerms.kind`."""

_NOTHING = 1e-15  # of a strike, a forward that has fallen to zero

_Steps: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
_Contracts: TypeAlias = tuple[F64, I64, F64]
_Cells: TypeAlias = tuple[F64, F64]
_Market: TypeAlias = tuple[F64, F64, F64, F64]  # table, share, liquidity and price of a market
_Held: TypeAlias = tuple[I64, NDArray[Any], NDArray[Any], F64, I64]


@final
@dataclass(frozen=True, slots=True)
class MovedTerms:
    """What rows of contracts are made of, (I,), in cells, (C,), of their coins, (N,)."""

    terms: CoinTerms  # at the prices of now
    number: F64  # (I, NUMBERS) mark [quote; coin of a coin premium], payoff a P - c / P; of an option forward and strike [quote per
    # coin], years, annual vol in its mark and before shocks, discount, and of its forward what is averaged and what is fixed [quote per
    # coin], and the share of the forward that is fixed
    kind: I64  # (I,) bits
    vol: F64  # (I, C) of options in each cell
    move: F64  # (N, C) of a coin's cells
    weight: F64  # (N, C) what a gain [payoff asset] counts for in the cell [pool currency]


# --- kernels ---


@inlined
def _future_row(numbers: F64, factor: float, scale: float, cells: _Cells, row: F64) -> None:
    """Row of a future whose mark is ``factor`` times what it is."""
    (move, weight), a, c = cells, numbers[A], numbers[C]
    mark = numbers[MARK] * factor
    count = len(move)
    for k in range(count):
        moved = mark * (1.0 + move[k])
        each = a + (c / (mark * moved) if c > 0.0 else 0.0)
        row[k] = (moved - mark) * each * (weight[k] * scale)
    size = c / mark if c > 0.0 else 0.0
    row[count + VALUE], row[count + DELTA], row[OPTION_DELTA] = a * mark - size, a + size, 0.0


@inlined
def _put_option(numbers: F64, vols: F64, factor: float, move: F64, room: F64) -> int:
    """Forwards and vols of what has to be priced: the cells, the option before them, its mark's model now and before."""
    forward = numbers[FORWARD] * factor
    fixed = numbers[FIXED] + numbers[FIXED_SHARE] * forward
    count = len(move)
    for k in range(count):
        moved = (forward - fixed) * (1.0 + move[k]) + fixed
        room[0, k] = moved if moved > 0.0 else numbers[STRIKE] * _NOTHING
        room[1, k] = vols[k]
    room[0, count], room[1, count] = forward, numbers[VOL]
    room[0, count + 1] = (numbers[FORWARD] - numbers[AVERAGED]) * factor + numbers[AVERAGED]
    room[0, count + 2] = numbers[FORWARD]
    room[1, count + 1] = room[1, count + 2] = numbers[VOL_AT_MARK]
    return count + 3


@inlined
def _option_row(  # noqa: PLR0913 - an option, what moves it, and where it is worked out
    numbers: F64, kind: int, vols: F64, factor: float, scale: float, cells: _Cells, room: F64, row: F64
) -> None:
    """Row of an option whose forward is ``factor`` times what it is."""
    move, weight = cells
    count, a, c, now = len(move), numbers[A], numbers[C], numbers[MARK]
    priced = _put_option(numbers, vols, factor, move, room)
    worth, delta = room[2], room[3]
    block_prices(room, priced, numbers[STRIKE], numbers[YEARS], kind & CALL > 0)
    if kind & COIN:
        for k in range(priced):
            worth[k] = worth[k] / room[0, k]
    most = 1.0 if kind & CALL and kind & COIN else np.inf
    least_most = most if most > now else now
    shifted = now + (worth[count + 1] - worth[count + 2])
    mark = now if factor == 1.0 else min(max(shifted, 0.0), least_most)
    if np.isnan(shifted):
        mark = now if factor == 1.0 else np.nan
    ceiling, before = most if most > mark else mark, worth[count]
    for k in range(count):
        moved = mark + (worth[k] - before) * numbers[DISCOUNT]
        bounded = 0.0 if moved < 0.0 else ceiling if moved > ceiling else moved
        row[k] = (a * (bounded - mark)) * (weight[k] * scale)
    size = a + (c / mark if c > 0.0 else 0.0)
    row[count + VALUE], row[count + DELTA] = a * mark, size * delta[count]
    row[OPTION_DELTA] = row[count + DELTA]


@inner
def _contract_row(  # noqa: PLR0913 - a contract, what moves it, and where it is worked out
    contracts: _Contracts, i: np.uint64, factor: float, scale: float, cells: _Cells, room: F64, table: F64
) -> None:
    number, kind, vol = contracts
    if kind[i] & OPTION:
        _option_row(number[i], kind[i], vol[i], factor, scale, cells, room, table[i])
    else:
        _future_row(number[i], factor, scale, cells, table[i])


@inner
def _coin_at(coin: int, factor: float, moves: bool, contracts: int, now: _Market, out: _Market) -> None:
    """What a market says of a coin, at another price of it: of pools in dollars where what they have moves with their coins."""
    (table, share, liquidity, price), coins = now, len(now[1])
    damper, gains = contracts + coin, contracts + coins + coin
    scale = factor if moves else 1.0
    for lane in range(table.shape[1]):
        out[0][damper, lane] = table[damper, lane] if moves else table[damper, lane] / factor
        if moves:
            out[0][gains, lane] = table[gains, lane] * factor
    for date in range(share.shape[1]):
        out[1][coin, date] = share[coin, date] * scale
    for term in range(liquidity.shape[1]):
        out[2][coin, term] = liquidity[coin, term]
    out[2][coin, INCREMENT], out[2][coin, MOST] = (
        liquidity[coin, INCREMENT] * scale,
        liquidity[coin, MOST] * scale,
    )
    out[3][coin] = price[coin] * factor


@kernel
def coin_rows(  # noqa: PLR0913 - a kernel's columns
    contracts: _Contracts,
    cells: tuple[F64, F64],
    listed: I64,
    at: tuple[int, float, bool],
    room: F64,
    now: _Market,
    out: _Market,
) -> None:
    """Rows of the contracts that are ``listed``, and of their coin ``at[0]``, at ``at[1]`` times its price."""
    coin, factor, moves = at
    scale, mine = factor if moves else 1.0, (cells[0][coin], cells[1][coin])
    for i in listed:
        _contract_row(contracts, np.uint64(i), factor, scale, mine, room, out[0])
    _coin_at(coin, factor, moves, len(contracts[0]), now, out)


@kernel
def moved_pools(  # noqa: PLR0913 - a kernel's columns
    steps: _Steps,
    contracts: _Contracts,
    cells: tuple[F64, F64],
    moves: bool,
    held: _Held,
    dated: NDArray[np.uint8],
    wanted: tuple[I64, F64],
    room: tuple[F64, F64, F64],
    markets: tuple[_Market, _Market],
    out: tuple[F64, F64],
) -> None:
    """Equity [coin] and risk of pools ``wanted[0]``, each at ``wanted[1]`` times the price of its coin."""
    start, index, quantity, base, currency = held
    now, (table, share, liquidity, price) = markets
    own, count = (table, dated, share, liquidity, price), cells[0].shape[1]
    sums, net = room[1], room[2]
    columns = table, index, quantity, dated
    for r in range(len(wanted[0])):
        pool, factor = wanted[0][r], wanted[1][r]
        coin, first, past = currency[pool], start[pool], start[pool + 1]
        mine, scale = (cells[0][coin], cells[1][coin]), factor if moves else 1.0
        for p in range(first, past):
            _contract_row(contracts, np.uint64(index[p]), factor, scale, mine, room[0], table)
        _coin_at(coin, factor, moves, len(dated), now, markets[1])
        out[0][r], out[1][r] = base[pool], 0.0
        if first < past or moves:
            add_rows(steps, columns, first, past, (table, len(dated) + coin, sums, 0, net), count + DELTA)
            out[0][r] += sums[0, count + VALUE]
            if moves:
                add_row(steps[0], table, len(dated) + len(share) + coin, out[0][r], sums, 0)
            worst, charge = asked_of(steps, count, own, (sums, net, 0), coin)
            out[1][r] = worst + charge


# --- what callers use ---


@final
@dataclass(frozen=True, slots=True)
class MovedRoom:
    """Room for one thread: a market whose rows are written over, and what an option is worked out in."""

    terms: CoinTerms
    prices: F64
    sums: F64
    net: F64


def moved_room(moved: MovedTerms) -> MovedRoom:
    """Room that begins as the market is now."""
    terms = moved.terms
    table = empty_rows(*terms.table.shape)
    table[:] = terms.table
    copies = terms.share.copy(), terms.liquidity.copy(), terms.price.copy()
    own = replace(terms, table=table, share=copies[0], liquidity=copies[1], price=copies[2])
    return MovedRoom(
        own, np.zeros((4, BLOCK)), np.zeros((1, table.shape[1])), np.zeros((1, terms.share.shape[1]))
    )


def _market(terms: CoinTerms) -> _Market:
    return terms.table, terms.share, terms.liquidity, terms.price


def move_coin(moved: MovedTerms, room: MovedRoom, coin: int, listed: I64, factor: float) -> CoinTerms:
    """The market with one coin at ``factor`` times its price, of contracts as far as they are ``listed``; good until the next.

    Parameters
    ----------
    moved : MovedTerms
        Of the market now.
    room : MovedRoom
        From `moved_room`; its terms are what is given.
    coin : int
        Row of the coins.
    listed : (n,) ndarray of int
        Contracts on the coin whose rows are made; not checked.
    factor : float
        > 0.
    """
    contracts, cells = (moved.number, moved.kind, moved.vol), (moved.move, moved.weight)
    at = coin, factor, moved.terms.moves
    coin_rows(contracts, cells, listed, at, room.prices, _market(moved.terms), _market(room.terms))
    return room.terms


def pools_at(moved: MovedTerms, room: MovedRoom, rows: PoolRows, pool: I64, factor: F64) -> tuple[F64, F64]:
    """Equity and risk of pools of one coin, each at its own price of that coin.

    Parameters
    ----------
    moved, room : MovedTerms, MovedRoom
        The market now, and room; whose terms are of no use afterwards.
    rows : PoolRows
        Pools, laid out; their open orders do not count.
    pool : (R,) ndarray of int
        Rows of the pools; each may be asked often.
    factor : (R,) ndarray
        What the price of its coin is multiplied by there, > 0.

    Returns
    -------
    equity : (R,) ndarray
        [coin]
    risk : (R,) ndarray
        Worst loss and charges, not rounded [coin, or the currency of pools that span coins]. NaN where something is not known.
    """
    out = np.empty(len(pool)), np.empty(len(pool))
    contracts, cells = (moved.number, moved.kind, moved.vol), (moved.move, moved.weight)
    held = rows.start, rows.index, rows.quantity, rows.base, rows.currency
    places = room.prices, room.sums, room.net
    markets = _market(moved.terms), _market(room.terms)
    wanted = np.ascontiguousarray(pool), np.ascontiguousarray(factor)
    lanes, dates, _ = steps_of(moved.terms)
    moved_pools(
        (lanes, dates, ()), contracts, cells, moved.terms.moves,
        held, moved.terms.dated, wanted, places, markets, out,
    )  # fmt: skip
    return out
