"""One account through the pass over pools margined by size, in one call: laid out and summed as a book of it would be."""

from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.compiled.compiler import inner, kernel
from margrave.kernels.compiled.directional_pools import (
    DirectionalTerms,
    PlainCurves,
    PlainSchedules,
    directional_rows,
    plain_schedules,
)
from margrave.kernels.compiled.ladder_pools import (
    LadderTerms,
    PlainLadders,
    ladder_rows,
    plain_ladders,
)
from margrave.kernels.compiled.ladder_steps import NUMBERS, ROWS, asked_alone
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

POSITION, BALANCE = STANDING + 1, STANDING + 2
"""Rows of the answer behind those of `one_account`: the position that is a pool by itself, -1 of a cross pool; and margin balance."""

OPENED = np.inf
"""Margin of an isolated position where it is what opening took."""

_LEVERAGE_MAX = 1e6  # as `domain.account` has it
_HEAD, _SCALARS = 14, 6  # numbers at the head of what is packed

_WHOLE, _SMALL, _STANDING, OUT, CHARGED = 29, 48, 49, 50, 58
"""First rows of what a question's room is for: money, whole numbers, indices, standings; pools, and margins of positions."""

SizedColumns: TypeAlias = tuple[F64, int, int, int]
"""An account as one row of numbers: instruments, quantities, entries, leverages and margins of positions, coins and amounts of balances,
instruments, quantities, prices and leverages of orders, one after the other; and how many of each there are. A leverage that nobody
chose is NaN, and so is the margin of a cross position."""

_Contracts: TypeAlias = tuple[I64, F64, F64, Bools]
_Held: TypeAlias = tuple[I64, F64, F64, F64, F64]
_Asked: TypeAlias = tuple[I64, F64, F64, F64]


@inner
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


@inner
def _is_leverage(leverage: float) -> bool:
    return bool(np.isnan(leverage) or 0.0 < leverage <= _LEVERAGE_MAX)


@inner
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


@inner
def _margins_alone(ladders: PlainLadders, contracts: _Contracts, held: _Held, alone: F64) -> bool:
    """Margins of isolated positions, as stated or what opening took at the entry; whether that can be said of all."""
    index, quantity, entry, leverage, stated = held
    instruments, levels = ladders[0], ladders[1]
    known = True
    for p in range(len(index)):
        alone[p] = stated[p]
        if stated[p] != OPENED:
            continue
        i = np.uint64(index[p])
        if contracts[3][i]:  # today's formula says what a short one took, and a long one took no margin
            alone[p] = 0.0
            known = known and not quantity[p] < 0.0
            continue
        value = abs(quantity[p]) * (contracts[1][i] * entry[p] + contracts[2][i] / entry[p])
        alone[p] = asked_alone(instruments, levels[0], i, quantity[p], value, leverage[p])
    return known


@inner
def _tiers_in(numbers: F64, first: int, count: int, roots: int) -> tuple[F64, F64, F64, F64, F64]:
    """One level of ladders, as `packed` has put it."""
    return (
        numbers[first : first + count],
        numbers[first + count : first + 2 * count],
        numbers[first + 2 * count : first + 3 * count],
        numbers[first + 3 * count : first + 4 * count],
        numbers[first + 4 * count : first + 4 * count + roots],
    )


@inner
def _unpacked(numbers: F64, whole: I64, is_option: Bools) -> tuple[PlainLadders, _Contracts]:
    """Terms and contracts, from what `_packed` has made of them."""
    count, head = len(is_option), whole[:_HEAD]
    at = head[4] + _SCALARS
    contracts, rows = at + NUMBERS * count, _HEAD + ROWS * count
    step, per_unit, close, lots, closing, share = numbers[head[4] : at]
    credit = share, head[8] & 2 != 0, head[8] & 1 != 0
    return (
        (numbers[at:contracts].reshape((count, NUMBERS)), whole[_HEAD:rows].reshape((count, ROWS))),
        (
            _tiers_in(numbers, 0, head[0], head[1]),
            _tiers_in(numbers, 4 * head[0] + head[1], head[2], head[3]),
        ),
        ((step, per_unit, head[5], close, lots), closing, credit, (head[6], head[7] != 0)),
    ), (
        whole[rows : rows + count],
        numbers[contracts : contracts + count],
        numbers[contracts + count : contracts + 2 * count],
        is_option,
    )


@inner
def _schedules_in(numbers: F64, whole: I64, count: int) -> tuple[PlainSchedules, PlainCurves, float]:
    """Schedules, from what `_packed_schedules` has put behind everything else."""
    used, nets, curves, knots, coins = whole[9], whole[10], whole[11], whole[12], whole[13]
    at, of = whole[4] + _SCALARS + (NUMBERS + 2) * count, _HEAD + (ROWS + 1) * count
    number, at = numbers[at : at + 7 * count].reshape((count, 7)), at + 7 * count
    rule, at = numbers[at : at + 3 * used].reshape((used, 3)), at + 3 * used
    vol, at = numbers[at : at + coins], at + coins
    knot, at = numbers[at : at + knots], at + knots
    cubic, at = numbers[at : at + 4 * knots].reshape((knots, 4)), at + 4 * knots
    kind, of = whole[of : of + 3 * count].reshape((count, 3)), of + 3 * count
    net, of = whole[of : of + 2 * nets].reshape((nets, 2)), of + 2 * nets
    code, of = whole[of : of + 5 * used].reshape((used, 5)), of + 5 * used
    start, home = whole[of : of + curves + 1], whole[of + curves + 1 : of + 2 * curves + 1]
    return (number, kind, net, rule, code, vol), (start, home, knot, cubic), numbers[at]


@inner
def _factors(
    market: tuple[F64, I64, Bools],
    pools: tuple[I64, NDArray[np.uint16], F64, F64],
    owner: tuple[I64, int],
    room: tuple[I64, F64],
    out: tuple[F64, F64],
) -> None:
    """Multipliers of an account that remembers nothing; nothing where there are no schedules."""
    if market[1][9] == 0:
        return
    terms, curves, at = _schedules_in(market[0], market[1], len(market[2]))
    whole, money = room
    whole[16], whole[18], money[28] = -1, 0, np.nan
    memory = whole[18], whole[18, :0], money[:0]
    places = whole[16], whole[17], money[17:28], money[28]
    directional_rows(terms, curves, at, pools, owner[0], memory, (0, owner[1]), places, out)


@inner
def _put_laid(column: F64, came: I64, room: F64) -> None:
    """A column of the account in the order in which it is laid out."""
    for row in range(len(came)):
        room[row] = column[came[row]]


@inner
def _tell(
    came: I64, pools: tuple[I64, I64, NDArray[np.int8]], money: F64, into: tuple[F64, F64], count: int
) -> None:
    """The answer, in the order of the account."""
    (whose, position, standing), (out, charged) = pools, into
    for p in range(len(came)):
        charged[0, came[p]], charged[1, came[p]] = money[13, p], money[0, p]
    for k in range(count):
        out[CURRENCY, k], out[POSITION, k], out[STANDING, k] = whose[k], position[k], standing[k]
        out[EQUITY, k], out[BALANCE, k], out[INITIAL, k] = money[9, k], money[5, k], money[10, k]
        out[MAINTENANCE, k], out[ORDER_MARGIN, k] = money[11, k], money[12, k]


@kernel
def sized_account_rows(  # noqa: PLR0913 - a tuple of them takes longer to hand over
    numbers: F64,
    flags: I64,
    is_option: Bools,
    coins: int,
    row: F64,
    held_rows: int,
    owned: int,
    asked_rows: int,
    block: F64,
) -> int:
    """Pools of one account into ``block``, which is all the room there is; how many pools, -1 where it cannot say."""
    most, out, charged = block.shape[1], block[OUT:CHARGED], block[CHARGED:]
    money, whole = block[:_WHOLE], block[_WHOLE:_SMALL].view(np.int64)
    narrow, standing = block[_SMALL].view(np.uint16), block[_STANDING].view(np.int8)
    small = narrow[:most], narrow[most:]
    market, columns = (numbers, flags, is_option), (row, held_rows, owned, asked_rows)
    held, cash, waiting = _apart(columns, whole)
    ladders, contracts = _unpacked(market[0], market[1], market[2])
    begin, alone = whole[13], money[0, : len(held[0])]
    if not (_is_sound(held, cash[1], waiting) and _margins_alone(ladders, contracts, held, alone)):
        return -1
    begin[:8] = 0
    begin[1], begin[3], begin[5] = len(held[0]), len(cash[0]), len(waiting[0])
    owned_rows = begin[2:4], cash[0], cash[1]
    asked = begin[4:6], waiting[0], waiting[1], waiting[2]
    rows = (begin[:2], held[0], held[1], held[2]), owned_rows, asked
    whole[3], whole[10:13] = -1, -1
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
    leverage, price, chosen, entry = money[6], money[7], money[8], money[14, : len(came)]
    _put_laid(held[3], came, leverage)
    _put_laid(held[2], came, entry)
    _put_laid(waiting[2], order_came, price)
    _put_laid(waiting[3], order_came, chosen)
    high, low = money[15], money[16]
    _factors(market, (start, small[0], quantity, entry), (owner, count), (whole, money), (high, low))
    ladder_rows(
        ladders[0],
        ladders[1],
        ladders[2],
        (start, small[0], quantity, leverage, base, entry),
        (order_start, small[1], amount, price, chosen, order_came),
        (high, low, 0),
        (0, count),
        (money[9], money[5], money[10], money[11], money[12], standing),
        (money[13], money[0]),
    )
    _tell(came, (whose, position, standing), money, (out, charged), count)
    return int(count)


# --- what callers use ---


@final
@dataclass(frozen=True, slots=True)
class OneBySize:
    """A market, ready for accounts one by one; from `one_by_size`."""

    market: tuple[F64, I64, Bools]  # packed, for every array costs a call a tenth of a microsecond
    coins: int


def one_by_size(
    terms: LadderTerms, contracts: Contracts, directional: DirectionalTerms | None = None
) -> OneBySize:
    """Make a market ready.

    Parameters
    ----------
    terms, contracts, directional : LadderTerms, Contracts, DirectionalTerms
        As for a book.

    Raises
    ------
    ValueError
        More instruments than two bytes can tell apart.
    """
    if len(contracts.settlement) > SMALL:
        raise ValueError(f"{len(contracts.settlement)} instruments are more than {SMALL}")
    return OneBySize((*_packed(terms, contracts, directional), contracts.is_option), contracts.coins)


def _packed(
    terms: LadderTerms, contracts: Contracts, directional: DirectionalTerms | None
) -> tuple[F64, I64]:
    # Tiers of both levels, scalars, columns of instruments, schedules; and before the whole numbers, how much there is of what.
    (number, row), levels, (grid, closing, credit, (basis, open_loss)) = plain_ladders(terms)
    sizes = [size for level in levels for size in (len(level[0]), len(level[4]))]
    tiers = [column for level in levels for column in level]
    step, per_unit, direction, close, lots = grid
    scalars = np.array([step, per_unit, close, lots, closing, credit[0]])
    counts, behind, flags = _packed_schedules(directional)
    numbers = np.concatenate((*tiers, scalars, number.ravel(), contracts.a, contracts.c, *behind))
    head = [
        *sizes,
        sum(map(len, tiers)),
        direction,
        basis,
        int(open_loss),
        2 * credit[1] + credit[2],
        *counts,
    ]
    return numbers, np.concatenate((head, row.ravel(), contracts.settlement, *flags))


def _packed_schedules(directional: DirectionalTerms | None) -> tuple[list[int], list[F64], list[I64]]:
    # How much there is, numbers and whole numbers, as `_schedules_in` reads them.
    if directional is None:
        return [0] * 5, [], []
    terms, (start, home, knot, cubic), at = plain_schedules(directional)
    number, kind, net, rule, code, vol = terms
    counts = [len(code), len(net), len(home), len(knot), len(vol)]
    numbers = [number.ravel(), rule.ravel(), vol, knot, cubic.ravel(), np.array([at])]
    return counts, numbers, [kind.ravel(), net.ravel(), code.ravel(), start, home]


def pools_by_size(market: OneBySize, columns: SizedColumns) -> tuple[F64, F64] | None:
    """Pools of one account, (8, K): `CURRENCY` to `BALANCE`, and both margins of its positions, (2, P).

    Parameters
    ----------
    market : OneBySize
        From `one_by_size`.
    columns : SizedColumns
        The account; indices are not checked.

    Returns
    -------
    pair of ndarray, or None
        The bytes that the account has in any book; None where a number is none that an account can have, or the margin of a short isolated
        option is not stated.
    """
    row, held, owned, asked = columns
    numbers, flags, is_option = market.market
    most = held + owned + asked + market.coins + int(flags[10]) + 8  # as long as any column is
    block = np.empty((CHARGED + 2, most))
    count = sized_account_rows(numbers, flags, is_option, market.coins, row, held, owned, asked, block)
    return None if count < 0 else (block[OUT:CHARGED, :count], block[CHARGED:, :held])
