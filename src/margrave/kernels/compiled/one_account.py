"""One account through the pass over coin pools, in one call: laid out, summed and joined as a book of it would be."""

from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.compiled.coin_pools import (
    CoinTerms,
    Levels,
    join_rows,
    plain_terms,
    pool_rows_ordered,
    steps_of,
)
from margrave.kernels.compiled.compiler import inner, kernel
from margrave.kernels.compiled.laid_out import SMALL, Contracts, count_pools, lay

CURRENCY, EQUITY, INITIAL, MAINTENANCE, ORDER_MARGIN, STANDING = range(6)
"""Rows of the answer of `one_account`."""

Columns: TypeAlias = tuple[F64, int, int, int]
"""An account as one row of numbers, for arrays are what a call costs: instruments, quantities and entries of positions, coins and
amounts of balances, instruments, quantities and prices of orders, one after the other; and how many of each there are."""

_Trades: TypeAlias = tuple[I64, I64, F64, F64]
_Rows: TypeAlias = tuple[_Trades, tuple[I64, I64, F64], _Trades]
_Parts: TypeAlias = tuple[I64, F64, F64, I64, F64, I64, F64, F64]

INDEX, COIN, ORDER_INDEX, SEEN, OWNER, WHOSE, ALONE, START, ORDER_START, SELLS, PLACES, BEGIN = *range(11), 13
"""Rows of whole numbers: instruments, coins and instruments of orders as they are asked about; pools as `lay` makes them; where it looks
up coins, three rows of them; and where what is asked about begins."""

_BASE, _PREMIUM, _SIZE, _AMOUNT, _PAID, _WORST, _CHARGE, _FILLS = 0, 1, 2, 3, 4, 5, 8, 11
_EQUITY, _INITIAL, _MAINTENANCE, _ORDERS = 12, 13, 14, 15
"""Rows of money; worst loss and charge have three each, of what is held, with buys filled and with sells."""

_WHOLE, _SMALL, _STANDING, OUT, _SUMS = 16, 30, 31, 32, 38
"""First rows of what a question's room is for: money, whole numbers, indices, standings; pools, and sums over scenarios."""

_LEAST, _MOST, _AMOUNT_MAX = 1e-12, 1e15, 1e18  # prices and amounts, as `domain.checks` has them


@inner
def put_whole(row: F64, first: int, count: int, room: I64) -> None:
    """Put some numbers of a row, which are rows of another table, into ``room``."""
    for k in range(count):
        room[k] = np.int64(row[first + k])


@inner
def _apart(columns: Columns, whole: I64) -> _Parts:
    """The columns of an account."""
    row, held, owned, asked = columns
    cash, orders = 3 * held, 3 * held + 2 * owned
    put_whole(row, 0, held, whole[INDEX])
    put_whole(row, cash, owned, whole[COIN])
    put_whole(row, orders, asked, whole[ORDER_INDEX])
    return (
        whole[INDEX, :held],
        row[held : 2 * held],
        row[2 * held : cash],
        whole[COIN, :owned],
        row[cash + owned : orders],
        whole[ORDER_INDEX, :asked],
        row[orders + asked : orders + 2 * asked],
        row[orders + 2 * asked :],
    )


@inner
def is_amount(amount: float) -> bool:
    """Whether an account can have an amount."""
    return bool(abs(amount) <= _AMOUNT_MAX)


@inner
def is_price(price: float) -> bool:
    """Whether something can have a price."""
    return bool(_LEAST <= price <= _MOST)


@inner
def _is_sound(columns: _Parts) -> bool:
    """Whether every amount and every price is one that an account can have."""
    _index, quantity, entry, _coin, cash, _asked, order_quantity, order_price = columns
    sound = True
    for amounts in (quantity, cash, order_quantity):
        for amount in amounts:
            sound = sound and is_amount(amount)
    for price in entry:
        sound = sound and is_price(price)
    for price in order_price:
        sound = sound and is_price(price)
    return bool(sound)


@inner
def rows_of_one(
    begin: I64, held: tuple[I64, F64, F64], cash: tuple[I64, F64], waiting: tuple[I64, F64, F64]
) -> _Rows:
    """The rows of one account, with where they begin and end; behind these is room for how many pools they are."""
    begin[:8] = 0
    begin[1], begin[3], begin[5] = len(held[0]), len(cash[0]), len(waiting[0])
    return (
        (begin[:2], held[0], held[1], held[2]),
        (begin[2:4], cash[0], cash[1]),
        (begin[4:6], waiting[0], waiting[1], waiting[2]),
    )


@kernel
def account_rows(
    steps: tuple[Any, ...],
    cells: int,
    market: tuple[tuple[Any, ...], tuple[I64, F64, F64, Bools], F64, int],
    columns: Columns,
    block: F64,
) -> int:
    """Pools of one account into ``block``, which is all the room there is; how many, -1 where a number is none."""
    money, whole = block[:_WHOLE], block[_WHOLE:_SMALL].view(np.int64)
    narrow, standing = block[_SMALL].view(np.uint16), block[_STANDING].view(np.int8)
    small, out = (narrow[: block.shape[1]], narrow[block.shape[1] :]), block[OUT:_SUMS]
    lanes, dates = market[0][0][0].shape[1], market[0][0][2].shape[1]
    flat = block[_SUMS:].reshape(block.shape[1] * (block.shape[0] - _SUMS))
    flat[:] = 0.0
    sums, net = (
        flat[: 2 * lanes].reshape((2, lanes)),
        flat[2 * lanes : 2 * lanes + 2 * dates].reshape((2, dates)),
    )
    apart = _apart(columns, whole)
    if not _is_sound(apart):
        return -1
    index, quantity, entry, coin, cash, order_index, order_quantity, order_price = apart
    terms, contracts, _rate, currency = market
    begin, alone = whole[BEGIN], money[_BASE, :0]
    rows = rows_of_one(
        begin, (index, quantity, entry), (coin, cash), (order_index, order_quantity, order_price)
    )
    whole[SEEN], whole[PLACES:BEGIN] = -1, -1
    count_pools(contracts[0], rows, alone, (0, 1), whole[SEEN], begin[7:])
    count = begin[7]
    owner, whose, position = whole[OWNER], whole[WHOSE, :count], whole[ALONE]
    start, order_start, sells = whole[START], whole[ORDER_START], whole[SELLS]
    start[count], order_start[count] = len(index), len(order_index)
    base, premium, size, amount, paid = (
        money[_BASE],
        money[_PREMIUM],
        money[_SIZE],
        money[_AMOUNT],
        money[_PAID],
    )
    untraced = whole[INDEX, :0]
    whole[SEEN] = -1
    lay(
        contracts,
        rows,
        alone,
        begin[6:],
        (0, 1),
        (whole[SEEN], whole[PLACES:BEGIN]),
        (
            (owner, whose, base, premium, position),
            (start, order_start, sells),
            (small[0], size, untraced),
            (small[1], amount, paid, untraced),
        ),
    )
    plain = (start, small[0], size, base, whose), (order_start, sells, small[1], amount, paid, premium)
    parts = money[_WORST:_CHARGE], money[_CHARGE:_FILLS], money[_FILLS]
    ends = money[_EQUITY], money[_INITIAL], money[_MAINTENANCE], money[_ORDERS], standing
    pool_rows_ordered(steps, cells, terms, plain, (0, count), (parts, ends), (sums, net))
    if currency < 0 or count == 0:
        _told(whose, ends, out)
        return int(count)
    begin[0], begin[1] = 0, count
    _joined(market, (begin[:2], whose), (parts, ends), money[:4], out)
    return 1


@inner
def _joined(
    market: tuple[tuple[Any, ...], tuple[I64, F64, F64, Bools], F64, int],
    pools: tuple[I64, I64],
    found: tuple[Any, Any],
    room: F64,
    out: F64,
) -> None:
    """Pools of single coins as the one pool that they are parts of."""
    terms, _contracts, rate, currency = market
    total = room[0], room[1], room[2], room[3], found[1][4]
    join_rows(terms[1], (pools[0], pools[1], rate), found, (0, 1), total)
    pools[0][0] = currency
    _told(pools[0][:1], total, out)


@inner
def _told(currency: I64, ends: tuple[F64, F64, F64, F64, NDArray[np.int8]], out: F64) -> None:
    for pool in range(len(currency)):
        out[CURRENCY, pool] = currency[pool]
        out[EQUITY, pool], out[INITIAL, pool], out[MAINTENANCE, pool] = (
            ends[0][pool],
            ends[1][pool],
            ends[2][pool],
        )
        out[ORDER_MARGIN, pool], out[STANDING, pool] = ends[3][pool], ends[4][pool]


# --- what callers use ---


@final
@dataclass(frozen=True, slots=True)
class OneAccount:
    """A market, ready for accounts one by one; from `one_account`."""

    steps: tuple[Any, ...]
    cells: int
    market: tuple[tuple[Any, ...], tuple[I64, F64, F64, Bools], F64, int]


def one_account(
    terms: CoinTerms, levels: Levels, contracts: Contracts, rate: F64, currency: int | None
) -> OneAccount:
    """Make a market ready.

    Parameters
    ----------
    terms, levels, contracts : CoinTerms, Levels, Contracts
        As for a book, checked.
    rate : (N,) ndarray
        Pool currency per coin.
    currency : int or None
        In which pools that span coins count; None where each coin is a pool.

    Raises
    ------
    ValueError
        More instruments than two bytes can tell apart.
    """
    if len(contracts.settlement) > SMALL:
        raise ValueError(f"{len(contracts.settlement)} instruments are more than {SMALL}")
    return OneAccount(
        steps_of(terms),
        terms.cells,
        (
            plain_terms(terms, levels),
            (contracts.settlement, contracts.a, contracts.c, contracts.is_option),
            rate,
            -1 if currency is None else currency,
        ),
    )


def pools_of_one(market: OneAccount, columns: Columns) -> F64 | None:
    """Pools of one account, (6, K): `CURRENCY` to `STANDING`; the bytes that it has in any book.

    Parameters
    ----------
    market : OneAccount
        From `one_account`.
    columns : Columns
        The account; indices are not checked.

    Returns
    -------
    (6, K) ndarray or None
        None where an amount or a price is none that an account can have.
    """
    (_row, held, owned, asked), coins = columns, len(market.market[2])
    table, share = market.market[0][0][0], market.market[0][0][2]
    most = held + owned + asked + coins + 8  # as long as any column is
    sums = -(-2 * (table.shape[1] + share.shape[1]) // most)
    block = np.empty((_SUMS + sums, most))
    count = account_rows(market.steps, market.cells, market.market, columns, block)
    return None if count < 0 else block[OUT:_SUMS, :count]
