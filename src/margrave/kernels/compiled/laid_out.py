"""Accounts laid out as pools: everything of one coin side by side, with what no price changes summed already.

An account's positions stand in the order of its pools, so that a tick reads a pool's positions once, in their order,
and nothing else of them than an index and a quantity. An isolated position is a pool by itself.
"""

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.compiled.compiler import in_pieces, inner, kernel, row_bounds

_PIECE = 20_000  # rows that are worth a thread
SMALL = np.iinfo(np.uint16).max + 1
"""Instruments that two bytes can tell apart."""

_WHOLE = 2.0**31  # contracts that four bytes can count

_Contracts: TypeAlias = tuple[I64, F64, F64, Bools]
_Trades: TypeAlias = tuple[I64, NDArray[Any], F64, F64]
_Rows: TypeAlias = tuple[_Trades, tuple[I64, NDArray[Any], F64], _Trades]
_Out: TypeAlias = tuple[
    tuple[I64, I64, F64, F64, I64],
    tuple[I64, I64, I64],
    tuple[NDArray[Any], NDArray[Any], I64],
    tuple[NDArray[Any], F64, F64, I64],
]


@final
@dataclass(frozen=True, slots=True)
class Contracts:
    """What no price changes of instruments, (I,)."""

    settlement: I64  # coin, of N
    a: F64  # a contract is worth a × price - c / price coins; an option a × price
    c: F64
    is_option: Bools
    coins: int  # N


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Accounts as compressed rows: positions, (P,), balances, (B,), and open orders, (O,). Not checked."""

    start: I64  # (A + 1,)
    instrument: NDArray[Any]
    quantity: F64
    entry: F64
    alone: F64  # margin of an isolated position [coin], NaN of a cross one; empty where all are cross
    balance_start: I64  # (A + 1,)
    balance_coin: NDArray[Any]
    balance: F64
    order_start: I64  # (A + 1,)
    order_instrument: NDArray[Any]
    order_quantity: F64  # zero where an order can open nothing
    order_price: F64
    traced: bool = False  # whether it is told which row each position and order was


@final
@dataclass(frozen=True, slots=True)
class PoolRows:
    """Pools, (K,), in the order of accounts; in an account as its balances, positions and orders first need them."""

    account: I64
    currency: I64  # coin
    base: (
        F64  # cash or margin of its own; of rows that are not traced, less what futures were bought at [coin]
    )
    start: I64  # (K + 1,) of positions
    index: NDArray[Any]  # instrument: uint16 where two bytes can tell them apart, else int32
    quantity: NDArray[Any]  # contracts: int32 where all are whole and rows are not traced, else float64
    position: I64  # (K,) row of the position that is a pool by itself; -1 of a cross pool
    came: I64  # (P,) row of each position before; empty where that is not asked
    order_start: I64  # (K + 1,)
    sells: I64  # (K,) where the buys end and the sells begin
    order_index: NDArray[Any]
    order_quantity: F64
    paid: F64  # (O,) what a future would be bought at; minus infinity where no loss at once counts [coin]
    order_came: I64  # (O,) row of each order before; empty as `came` is
    premium: F64  # (K,) that bought options would cost [coin]


# --- kernels ---


@kernel
def row_starts(account: NDArray[Any], out: I64) -> None:
    """Where the rows of each account, (A + 1,), begin in an ascending column."""
    following = 0
    for row in range(len(account)):
        while following <= account[row]:
            out[following] = row
            following += 1
    out[following:] = len(account)


@kernel
def whole_numbers(quantity: F64, most: float) -> bool:
    """Whether every quantity is whole and smaller than ``most``."""
    fitting = 0
    for row in range(len(quantity)):
        size = abs(quantity[row])
        fitting += 1 if size < most and np.floor(size) == size else 0
    return fitting == len(quantity)


@inner
def _is_alone(alone: F64, position: int) -> bool:
    return len(alone) > 0 and not np.isnan(alone[position])


@kernel
def count_pools(settlement: I64, rows: _Rows, alone: F64, span: tuple[int, int], seen: I64, out: I64) -> None:
    """Pools of accounts ``span[0]`` to ``span[1] - 1``; ``seen``, (N,), is -1 everywhere."""
    held, cash, waiting = rows
    for account in range(span[0], span[1]):
        count = 0
        for b in range(cash[0][account], cash[0][account + 1]):
            coin = cash[1][b]
            count += 1 if seen[coin] != account else 0
            seen[coin] = account
        for p in range(held[0][account], held[0][account + 1]):
            coin = settlement[held[1][p]]
            if _is_alone(alone, p):
                count += 1
                continue
            count += 1 if seen[coin] != account else 0
            seen[coin] = account
        for o in range(waiting[0][account], waiting[0][account + 1]):
            coin = settlement[waiting[1][o]]
            count += 1 if seen[coin] != account else 0
            seen[coin] = account
        out[account] = count


@inner
def _opened(account: int, coin: int, following: int, slot: I64, out: _Out) -> int:
    """Open an account's pool of a coin unless it is open; the number of its next pool."""
    owner, currency, base, premium, position = out[0]
    start, order_start, sells = out[1]
    pool = slot[coin]
    if pool >= 0 and pool < following and owner[pool] == account and currency[pool] == coin:
        return following
    slot[coin] = following
    owner[following], currency[following], base[following], premium[following] = account, coin, 0.0, 0.0
    position[following] = -1
    start[following] = order_start[following] = sells[following] = 0
    return following + 1


@inner
def _open(settlement: I64, rows: _Rows, alone: F64, account: int, first: int, slot: I64, out: _Out) -> int:  # noqa: PLR0913
    """Open an account's pools with their cash, and count what each holds; the number after its last."""
    held, cash, waiting = rows
    (owner, currency, base, premium, position), (start, order_start, sells) = out[0], out[1]
    following = first
    for b in range(cash[0][account], cash[0][account + 1]):
        following = _opened(account, cash[1][b], following, slot, out)
        base[slot[cash[1][b]]] += cash[2][b]
    for p in range(held[0][account], held[0][account + 1]):
        coin = settlement[held[1][p]]
        if _is_alone(alone, p):
            owner[following], currency[following], premium[following] = account, coin, 0.0
            base[following], position[following] = alone[p], p
            start[following], order_start[following], sells[following] = 1, 0, 0
            following += 1
            continue
        following = _opened(account, coin, following, slot, out)
        start[slot[coin]] += 1
    for o in range(waiting[0][account], waiting[0][account + 1]):
        coin = settlement[waiting[1][o]]
        following = _opened(account, coin, following, slot, out)
        pool = slot[coin]
        order_start[pool] += 1
        sells[pool] += 0 if waiting[2][o] < 0.0 else 1
    return following


@inner
def _beginnings(row: int, first: int, past: int, begin: I64) -> None:
    """Turn the sizes of pools into their beginnings, from ``row`` on."""
    for pool in range(first, past):
        size = begin[pool]
        begin[pool] = row
        row += size


@inner
def _bought(amount: float, a: float, c: float, price: float) -> float:
    """What an amount of a future is worth at the price that it was bought at, in coins."""
    return amount * (a * price - (c / price if c > 0.0 else 0.0))


@inner
def _lay_positions(  # noqa: PLR0913 - what a cross position and one by itself need
    contracts: _Contracts, held: _Trades, alone: F64, pools: tuple[int, int], slot: I64, room: I64, out: _Out
) -> None:
    """Positions of an account, ``pools[0]``, into its pools from ``pools[1]`` on; ``room`` says where the next of a coin stands."""
    settlement, a, c, is_option = contracts
    (index, quantity, came), base, start, position = out[2], out[0][2], out[1][0], out[0][4]
    account, mine = pools
    for p in range(held[0][account], held[0][account + 1]):
        i, amount = held[1][p], held[2][p]
        if _is_alone(alone, p):  # its pool is the next of one position
            while position[mine] != p:
                mine += 1
            pool, place = mine, start[mine]
        else:
            coin = settlement[i]
            pool, place = slot[coin], room[coin]
            room[coin] += 1
        index[place], quantity[place] = i, amount
        if len(came) > 0:
            came[place] = p
        if not is_option[i] and len(came) == 0:
            base[pool] -= _bought(amount, a[i], c[i], held[3][p])


@inner
def _lay_orders(
    contracts: _Contracts, waiting: _Trades, account: int, slot: I64, room: tuple[I64, I64], out: _Out
) -> None:
    """Orders of an account into its pools, buys before sells."""
    settlement, a, c, is_option = contracts
    (index, quantity, paid, came), premium = out[3], out[0][3]
    for o in range(waiting[0][account], waiting[0][account + 1]):
        i, amount, price = waiting[1][o], waiting[2][o], waiting[3][o]
        coin = settlement[i]
        side = room[1] if amount < 0.0 else room[0]
        place = side[coin]
        side[coin] += 1
        index[place], quantity[place] = i, amount
        if len(came) > 0:
            came[place] = o
        counts = amount != 0.0 and not is_option[i]
        paid[place] = _bought(amount, a[i], c[i], price) if counts else -np.inf
        premium[slot[coin]] += max(amount, 0.0) * a[i] * price if is_option[i] else 0.0


@kernel
def lay(  # noqa: PLR0913 - a kernel's columns
    contracts: _Contracts,
    rows: _Rows,
    alone: F64,
    pools: I64,
    span: tuple[int, int],
    places: tuple[I64, I64],
    out: _Out,
) -> None:
    """Pools of accounts ``span[0]`` to ``span[1] - 1``, account a's from ``pools[a]`` on; ``places``, (N,) and (3, N), begin as -1."""
    settlement, (held, _cash, waiting) = contracts[0], rows
    currency, position, (start, order_start, sells) = out[0][1], out[0][4], out[1]
    slot, room = places
    for account in range(span[0], span[1]):
        first = pools[account]
        past = _open(settlement, rows, alone, account, first, slot, out)
        _beginnings(held[0][account], first, past, start)
        _beginnings(waiting[0][account], first, past, order_start)
        for pool in range(first, past):
            if position[pool] >= 0:
                continue
            coin = currency[pool]
            sells[pool] += order_start[pool]
            room[0, coin], room[1, coin], room[2, coin] = start[pool], order_start[pool], sells[pool]
        _lay_positions(contracts, held, alone, (account, first), slot, room[0], out)
        _lay_orders(contracts, waiting, account, slot, (room[1], room[2]), out)


# --- what callers use ---


def starts_of(account: NDArray[Any], count: int) -> I64:
    """Where the rows of each of ``count`` accounts begin, (A + 1,), in an ascending column of their owners."""
    starts = np.empty(count + 1, dtype=np.int64)
    row_starts(account, starts)
    return starts


def laid_out(contracts: Contracts, columns: Columns, pool: Executor | None = None) -> PoolRows:
    """Lay accounts out as pools.

    Parameters
    ----------
    contracts : Contracts
        Of the instruments that positions and orders name; indices are not checked.
    columns : Columns
        Accounts.
    pool : Executor, optional
        Threads; the answer is the same bytes.

    Returns
    -------
    PoolRows
        Positions and orders of a pool in the order of the account.
    """
    plain: _Rows = (
        (columns.start, columns.instrument, columns.quantity, columns.entry),
        (columns.balance_start, columns.balance_coin, columns.balance),
        (columns.order_start, columns.order_instrument, columns.order_quantity, columns.order_price),
    )
    alone, coins = columns.alone, contracts.coins
    accounts, positions, orders = len(columns.start) - 1, len(columns.quantity), len(columns.order_quantity)
    pools = np.zeros(accounts + 1, dtype=np.int64)

    def pieces() -> I64:
        return row_bounds(columns.start + columns.balance_start + columns.order_start, _PIECE)

    in_pieces(
        lambda a, b: count_pools(contracts.settlement, plain, alone, (a, b), np.full(coins, -1), pools[1:]),
        accounts,
        pieces,
        pool,
    )
    np.cumsum(pools, out=pools)
    made = _room(contracts, columns, int(pools[-1]), positions, orders)
    told: _Contracts = contracts.settlement, contracts.a, contracts.c, contracts.is_option
    out: _Out = (
        (made.account, made.currency, made.base, made.premium, made.position),
        (made.start, made.order_start, made.sells),
        (made.index, made.quantity, made.came),
        (made.order_index, made.order_quantity, made.paid, made.order_came),
    )
    in_pieces(
        lambda a, b: lay(
            told, plain, alone, pools, (a, b), (np.full(coins, -1), np.full((3, coins), -1)), out
        ),
        accounts,
        pieces,
        pool,
    )
    return made


def _room(contracts: Contracts, columns: Columns, pools: int, positions: int, orders: int) -> PoolRows:
    small = len(contracts.settlement) <= SMALL
    whole = not columns.traced and whole_numbers(columns.quantity, _WHOLE)
    index: type = np.uint16 if small else np.int32
    start, order_start = np.empty(pools + 1, dtype=np.int64), np.empty(pools + 1, dtype=np.int64)
    start[-1], order_start[-1] = positions, orders
    return PoolRows(
        np.empty(pools, dtype=np.int64),
        np.empty(pools, dtype=np.int64),
        np.empty(pools),
        start,
        np.empty(positions, dtype=index),
        np.empty(positions, dtype=np.int32 if whole else np.float64),
        np.empty(pools, dtype=np.int64),
        np.empty(positions if columns.traced else 0, dtype=np.int64),
        order_start,
        np.empty(pools, dtype=np.int64),
        np.empty(orders, dtype=index),
        np.empty(orders),
        np.empty(orders),
        np.empty(orders if columns.traced else 0, dtype=np.int64),
        np.empty(pools),
    )


def some_pools(rows: PoolRows, pool: I64) -> tuple[PoolRows, I64]:
    """Some pools, each maybe many times, with their positions side by side; without open orders, and without what rows were before.

    Parameters
    ----------
    rows : PoolRows
        Pools, laid out.
    pool : (R,) ndarray of int
        Which.

    Returns
    -------
    some : PoolRows
        R pools.
    place : (n,) ndarray of int
        Where each of their positions is in ``rows``.
    """
    first, size = rows.start[pool], np.diff(rows.start)[pool]
    start = np.concatenate(([0], np.cumsum(size)))
    place = np.repeat(first - start[:-1], size) + np.arange(start[-1])
    none = np.zeros(len(pool) + 1, dtype=np.int64)
    each = {
        name: getattr(rows, name)[pool] for name in ("account", "currency", "base", "position", "premium")
    }
    columns = ("came", "order_index", "order_quantity", "paid", "order_came")
    nothing: dict[str, Any] = {name: getattr(rows, name)[:0] for name in columns}
    some = PoolRows(
        **each,
        **nothing,
        start=start,
        index=rows.index[place],
        quantity=rows.quantity[place],
        order_start=none,
        sells=none[1:],
    )
    return some, place
