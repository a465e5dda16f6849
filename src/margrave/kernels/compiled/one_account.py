"""One account through the pass over coin pools, in one call: laid out, summed and joined as a book of it would be."""

from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.compiled.coin_pools import (
    SOLD,
    CoinTerms,
    Levels,
    join_rows,
    plain_terms,
    pool_rows_ordered,
    steps_of,
)
from margrave.kernels.compiled.compiler import kernel
from margrave.kernels.compiled.laid_out import SMALL, Contracts, count_pools, lay

CURRENCY, EQUITY, INITIAL, MAINTENANCE, ORDER_MARGIN, STANDING = range(6)
"""Rows of the answer of `one_account`."""

Columns: TypeAlias = tuple[F64, int, int, int]
"""An account as one row of numbers, for arrays are what a call costs: instruments, quantities and entries of positions, coins and
amounts of balances, instruments, quantities and prices of orders, one after the other; and how many of each there are."""

_Parts: TypeAlias = tuple[I64, F64, F64, I64, F64, I64, F64, F64]

_LEAST, _MOST, _AMOUNT_MAX = 1e-12, 1e15, 1e18  # prices and amounts, as `domain.checks` has them


@kernel
def _apart(columns: Columns) -> _Parts:
    """The columns of an account."""
    row, held, owned, asked = columns
    cash, orders = 3 * held, 3 * held + 2 * owned
    return (
        row[:held].astype(np.int64),
        row[held : 2 * held],
        row[2 * held : cash],
        row[cash : cash + owned].astype(np.int64),
        row[cash + owned : orders],
        row[orders : orders + asked].astype(np.int64),
        row[orders + asked : orders + 2 * asked],
        row[orders + 2 * asked :],
    )


@kernel
def _is_sound(columns: _Parts) -> bool:
    """Whether every amount and every price is one that an account can have."""
    _index, quantity, entry, _coin, cash, _asked, order_quantity, order_price = columns
    sound = True
    for amounts in (quantity, cash, order_quantity):
        for amount in amounts:
            sound = sound and abs(amount) <= _AMOUNT_MAX
    for price in entry:
        sound = sound and _LEAST <= price <= _MOST
    for price in order_price:
        sound = sound and _LEAST <= price <= _MOST
    return bool(sound)


@kernel
def account_rows(
    steps: tuple[Any, ...],
    cells: int,
    market: tuple[tuple[Any, ...], tuple[I64, F64, F64, Bools], F64, int],
    columns: Columns,
    out: F64,
) -> int:
    """Pools of one account into ``out``; how many there are, -1 where a number is none that an account can have."""
    apart = _apart(columns)
    if not _is_sound(apart):
        return -1
    index, quantity, entry, coin, cash, order_index, order_quantity, order_price = apart
    terms, contracts, rate, currency = market
    rows = (
        (np.array([0, len(index)]), index, quantity, entry),
        (np.array([0, len(coin)]), coin, cash),
        (np.array([0, len(order_index)]), order_index, order_quantity, order_price),
    )
    pools = np.zeros(2, dtype=np.int64)
    alone = np.empty(0)
    count_pools(contracts[0], len(rate), rows, alone, (0, 1), pools[1:])
    count = pools[1]
    owner, whose, base, premium = (
        np.empty(count, np.int64),
        np.empty(count, np.int64),
        np.empty(count),
        np.empty(count),
    )
    position, came = np.empty(count, np.int64), np.empty(0, np.int64)
    start, order_start, sells = (
        np.empty(count + 1, np.int64),
        np.empty(count + 1, np.int64),
        np.empty(count, np.int64),
    )
    start[count], order_start[count] = len(index), len(order_index)
    held, size = np.empty(len(index), np.uint16), np.empty(len(index))
    asked, amount, paid = (
        np.empty(len(order_index), np.uint16),
        np.empty(len(order_index)),
        np.empty(len(order_index)),
    )
    lay(
        contracts,
        rows,
        alone,
        len(rate),
        pools,
        (0, 1),
        (
            (owner, whose, base, premium, position),
            (start, order_start, sells),
            (held, size, came),
            (asked, amount, paid, came),
        ),
    )
    plain = (start, held, size, base, whose), (order_start, sells, asked, amount, paid, premium)
    parts = np.empty((SOLD + 1, count)), np.empty((SOLD + 1, count)), np.empty(count)
    ends = np.empty(count), np.empty(count), np.empty(count), np.empty(count), np.empty(count, np.int8)
    pool_rows_ordered(steps, cells, terms, plain, (0, count), (parts, ends))
    if currency >= 0 and count > 0:
        first, joined = np.array([0, count]), np.array([0])
        total = np.empty(1), np.empty(1), np.empty(1), np.empty(1), np.empty(1, np.int8)
        join_rows(terms[1], (first, whose, rate), (parts, ends), (0, 1), total)
        joined[0] = currency
        _told(joined, total, out)
        return 1
    _told(whose, ends, out)
    return int(count)


@kernel
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
    out = np.empty((STANDING + 1, len(market.market[2])))
    count = account_rows(market.steps, market.cells, market.market, columns, out)
    return None if count < 0 else out[:, :count]
