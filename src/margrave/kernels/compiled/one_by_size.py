"""One account through the pass over pools margined by size, in one call: laid out and summed as a book of it would be."""

from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.compiled.compiler import kernel, kernel_with_room
from margrave.kernels.compiled.ladder_pools import (
    LadderTerms,
    PlainLadders,
    asked_alone,
    ladder_rows,
    plain_ladders,
)
from margrave.kernels.compiled.laid_out import SMALL, Contracts, count_pools, lay
from margrave.kernels.compiled.one_account import (
    CURRENCY,
    EQUITY,
    INITIAL,
    MAINTENANCE,
    ORDER_MARGIN,
    STANDING,
    is_amount,
    is_price,
    put_whole,
)

POSITION = STANDING + 1
"""Row of the answer behind those of `one_account`: the position that is a pool by itself; -1 of a cross pool."""

OPENED = np.inf
"""Margin of an isolated position where it is what opening took."""

_LEVERAGE_MAX = 1e6  # as `domain.account` has it
_HEAD, _SCALARS = 8, 5  # numbers at the head of what is packed

SizedColumns: TypeAlias = tuple[F64, int, int, int]
"""An account as one row of numbers: instruments, quantities, entries, leverages and margins of positions, coins and amounts of balances,
instruments, quantities, prices and leverages of orders, one after the other; and how many of each there are. A leverage that nobody
chose is NaN, and so is the margin of a cross position."""

_Contracts: TypeAlias = tuple[I64, F64, F64, Bools]
_Held: TypeAlias = tuple[I64, F64, F64, F64, F64]
_Asked: TypeAlias = tuple[I64, F64, F64, F64]


@kernel
def _apart(columns: SizedColumns, whole: I64) -> tuple[_Held, tuple[I64, F64], _Asked]:
    """The columns of an account."""
    row, held, owned, asked = columns
    cash, orders = 5 * held, 5 * held + 2 * owned
    put_whole(row, 0, held, whole[0])
    put_whole(row, cash, owned, whole[1])
    put_whole(row, orders, asked, whole[2])
    return (
        (
            whole[0, :held],
            row[held : 2 * held],
            row[2 * held : 3 * held],
            row[3 * held : 4 * held],
            row[4 * held : cash],
        ),
        (whole[1, :owned], row[cash + owned : orders]),
        (
            whole[2, :asked],
            row[orders + asked : orders + 2 * asked],
            row[orders + 2 * asked : orders + 3 * asked],
            row[orders + 3 * asked :],
        ),
    )


@kernel
def _is_leverage(leverage: float) -> bool:
    return bool(np.isnan(leverage) or 0.0 < leverage <= _LEVERAGE_MAX)


@kernel
def _is_sound(held: _Held, cash: F64, asked: _Asked) -> bool:
    """Whether every number is one that an account can have."""
    sound = True
    for p in range(len(held[0])):
        sound = sound and is_amount(held[1][p]) and is_price(held[2][p]) and _is_leverage(held[3][p])
        sound = sound and not held[4][p] < 0.0
    for b in range(len(cash)):
        sound = sound and is_amount(cash[b])
    for o in range(len(asked[0])):
        sound = sound and is_amount(asked[1][o]) and is_price(asked[2][o])
    return sound


@kernel
def _margins_alone(ladders: PlainLadders, contracts: _Contracts, held: _Held, alone: F64) -> None:
    """Margins of isolated positions: as stated, or what opening took at the entry."""
    index, quantity, entry, leverage, stated = held
    instruments, levels = ladders[0], ladders[1]
    for p in range(len(index)):
        alone[p] = stated[p]
        if stated[p] == OPENED:
            i = np.uint64(index[p])
            a, c = contracts[1][i], contracts[2][i]
            value = abs(quantity[p]) * (a * entry[p] + c / entry[p])
            alone[p] = asked_alone(instruments, levels[0], i, quantity[p], value, leverage[p])


@kernel
def _tiers_in(numbers: F64, first: int, count: int, roots: int) -> tuple[F64, F64, F64, F64, F64]:
    """One level of ladders, as `packed` has put it."""
    return (
        numbers[first : first + count],
        numbers[first + count : first + 2 * count],
        numbers[first + 2 * count : first + 3 * count],
        numbers[first + 3 * count : first + 4 * count],
        numbers[first + 4 * count : first + 4 * count + roots],
    )


@kernel
def _unpacked(numbers: F64, whole: I64, is_option: Bools) -> tuple[PlainLadders, _Contracts]:
    """Terms and contracts, from what `packed` has made of them."""
    count, head = len(is_option), whole[:_HEAD]
    at = head[4] + _SCALARS
    contracts = at + 12 * count
    step, per_unit, close, lots, closing = numbers[head[4] : at]
    return (
        (numbers[at:contracts].reshape((count, 12)), whole[_HEAD : _HEAD + 6 * count].reshape((count, 6))),
        (
            _tiers_in(numbers, 0, head[0], head[1]),
            _tiers_in(numbers, 4 * head[0] + head[1], head[2], head[3]),
        ),
        ((step, per_unit, head[5], close, lots), closing, (head[6], head[7] != 0)),
    ), (
        whole[_HEAD + 6 * count :],
        numbers[contracts : contracts + count],
        numbers[contracts + count :],
        is_option,
    )


@kernel_with_room
def sized_account_rows(  # noqa: PLR0913 - a tuple of them takes longer to hand over
    numbers: F64,
    flags: I64,
    is_option: Bools,
    coins: int,
    row: F64,
    owned: int,
    asked: int,
    out: F64,
    charged: F64,
) -> int:
    """Pools of one account into ``out``, margins of its positions into ``charged``; how many pools, -1 where a number is none."""
    held = charged.shape[1]
    most = held + owned + asked + coins + 2  # as long as any column is
    room = (
        np.full((16, most), -1),
        np.empty((14, most)),
        np.empty((2, most), np.uint16),
        np.empty(most, np.int8),
    )
    return _pools_in((numbers, flags, is_option), (row, held, owned, asked), room, out, charged)


@kernel
def _pools_in(
    market: tuple[F64, I64, Bools],
    columns: SizedColumns,
    room: tuple[I64, F64, NDArray[np.uint16], NDArray[np.int8]],
    out: F64,
    charged: F64,
) -> int:
    whole, money, small, standing = room
    held, cash, waiting = _apart(columns, whole)
    ladders, contracts = _unpacked(market[0], market[1], market[2])
    if not _is_sound(held, cash[1], waiting):
        return -1
    begin, alone = whole[13], money[0, : len(held[0])]
    _margins_alone(ladders, contracts, held, alone)
    begin[:8] = 0
    begin[1], begin[3], begin[5] = len(held[0]), len(cash[0]), len(waiting[0])
    rows = (
        (begin[:2], held[0], held[1], held[2]),
        (begin[2:4], cash[0], cash[1]),
        (begin[4:6], waiting[0], waiting[1], waiting[2]),
    )
    count_pools(contracts[0], rows, alone, (0, 1), whole[3], begin[7:])
    count = begin[7]
    owner, whose, position, start, order_start = whole[4], whole[5], whole[6], whole[7], whole[8]
    came, order_came = whole[14, : len(held[0])], whole[15, : len(waiting[0])]
    start[count], order_start[count] = len(held[0]), len(waiting[0])
    base, quantity, amount = money[1], money[2], money[3]
    whole[3] = -1
    lay(
        contracts,
        rows,
        alone,
        begin[6:],
        (0, 1),
        (whole[3], whole[10:13]),
        (
            (owner, whose, base, money[4], position),
            (start, order_start, whole[9]),
            (small[0], quantity, came),
            (small[1], amount, money[5], order_came),
        ),
    )
    leverage, price, chosen = money[6], money[7], money[8]
    for p in range(len(came)):
        leverage[p] = held[3][came[p]]
    for o in range(len(order_came)):
        price[o], chosen[o] = waiting[2][order_came[o]], waiting[3][order_came[o]]
    ladder_rows(
        ladders[0],
        ladders[1],
        ladders[2],
        (start, small[0], quantity, leverage, base),
        (order_start, small[1], amount, price, chosen, order_came),
        (0, count),
        (money[9], money[10], money[11], money[12], standing),
        (money[13], money[0]),
    )
    for p in range(len(came)):
        charged[0, came[p]], charged[1, came[p]] = money[13, p], money[0, p]
    for k in range(count):
        out[CURRENCY, k], out[POSITION, k], out[STANDING, k] = whose[k], position[k], standing[k]
        out[EQUITY, k], out[INITIAL, k] = money[9, k], money[10, k]
        out[MAINTENANCE, k], out[ORDER_MARGIN, k] = money[11, k], money[12, k]
    return int(count)


# --- what callers use ---


@final
@dataclass(frozen=True, slots=True)
class OneBySize:
    """A market, ready for accounts one by one; from `one_by_size`."""

    market: tuple[F64, I64, Bools]  # packed, for every array costs a call a tenth of a microsecond
    coins: int


def one_by_size(terms: LadderTerms, contracts: Contracts) -> OneBySize:
    """Make a market ready.

    Parameters
    ----------
    terms, contracts : LadderTerms, Contracts
        As for a book.

    Raises
    ------
    ValueError
        More instruments than two bytes can tell apart.
    """
    if len(contracts.settlement) > SMALL:
        raise ValueError(f"{len(contracts.settlement)} instruments are more than {SMALL}")
    return OneBySize((*_packed(terms, contracts), contracts.is_option), contracts.coins)


def _packed(terms: LadderTerms, contracts: Contracts) -> tuple[F64, I64]:
    # Tiers of both levels, scalars, columns of instruments; and before the whole numbers, where what begins.
    (number, row), levels, (grid, closing, (basis, open_loss)) = plain_ladders(terms)
    sizes = [size for level in levels for size in (len(level[0]), len(level[4]))]
    tiers = [column for level in levels for column in level]
    step, per_unit, direction, close, lots = grid
    scalars = np.array([step, per_unit, close, lots, closing])
    numbers = np.concatenate((*tiers, scalars, number.ravel(), contracts.a, contracts.c))
    head = [*sizes, sum(map(len, tiers)), direction, basis, int(open_loss)]
    return numbers, np.concatenate((head, row.ravel(), contracts.settlement))


def pools_by_size(market: OneBySize, columns: SizedColumns) -> tuple[F64, F64] | None:
    """Pools of one account, (7, K): `CURRENCY` to `POSITION`, and both margins of its positions, (2, P).

    Parameters
    ----------
    market : OneBySize
        From `one_by_size`.
    columns : SizedColumns
        The account; indices are not checked.

    Returns
    -------
    pair of ndarray, or None
        The bytes that the account has in any book; None where a number is none that an account can have.
    """
    row, held, owned, asked = columns
    out, charged = np.empty((POSITION + 1, held + market.coins)), np.empty((2, held))
    numbers, whole, is_option = market.market
    count = sized_account_rows(numbers, whole, is_option, market.coins, row, owned, asked, out, charged)
    return None if count < 0 else (out[:, :count], charged)
