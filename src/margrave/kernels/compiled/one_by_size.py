"""One account through the pass over pools margined by size, in one call: laid out and summed as a book of it would be."""

from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.compiled.compiler import inner, kernel
from margrave.kernels.compiled.directional_pools import (
    SUMS,
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
    ALONE,
    BEGIN,
    COIN,
    CURRENCY,
    EQUITY,
    INDEX,
    INITIAL,
    MAINTENANCE,
    ORDER_INDEX,
    ORDER_MARGIN,
    ORDER_START,
    OWNER,
    PLACES,
    SEEN,
    SELLS,
    STANDING,
    START,
    WHOSE,
    is_amount,
    is_price,
    put_whole,
    rows_of_one,
)

POSITION, BALANCE = STANDING + 1, STANDING + 2
"""Rows of the answer behind those of `one_account`: the position that is a pool by itself, -1 of a cross pool; and margin balance."""

OPENED = np.inf
"""Margin of an isolated position where it is what opening took."""

_LEVERAGE_MAX = 1e6  # as `domain.account` has it
_HEAD, _SCALARS = 14, 6  # numbers at the head of what is packed
_USED = _HEAD - 5  # where the head says how many schedules there are, and how much of what they are made of

_CAME, _ORDER_CAME, _NET_SEEN, _NETS, _NO_MEMORY = range(14, 19)
"""Rows of whole numbers behind those of `one_account`: rows before laying out, nets of schedules, and where nothing is remembered."""

_MARGIN, _BASE, _SIZE, _AMOUNT, _PREMIUM, _BALANCE, _LEVERAGE, _PRICE, _CHOSEN = range(9)
_EQUITY, _INITIAL, _MAINTENANCE, _ORDERS, _CHARGED, _ENTRY, _HIGH, _LOW, _SUMS = range(9, 18)
_NOTHING = _SUMS + SUMS
"""Rows of money. Margins of isolated positions give way to maintenance margins, what orders would pay to balances."""

_WHOLE = _NOTHING + 1
_SMALL = _WHOLE + _NO_MEMORY + 1
_STANDING, OUT = _SMALL + 1, _SMALL + 2
CHARGED = OUT + BALANCE + 1
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
    put_whole(row, 0, held, whole[INDEX])
    put_whole(row, cash, owned, whole[COIN])
    put_whole(row, orders, asked, whole[ORDER_INDEX])
    return (
        (
            whole[INDEX, :held],
            row[held : 2 * held],
            row[2 * held : 3 * held],
            row[3 * held : 4 * held],
            row[4 * held : cash],
        ),
        (whole[COIN, :owned], row[cash + owned : orders]),
        (
            whole[ORDER_INDEX, :asked],
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
    """One level of ladders, as `_packed` has put it."""
    return (
        numbers[first : first + count],
        numbers[first + count : first + 2 * count],
        numbers[first + 2 * count : first + 3 * count],
        numbers[first + 3 * count : first + 4 * count],
        numbers[first + 4 * count : first + 4 * count + roots],
    )


@inner
def _unpacked(numbers: F64, flags: I64, is_option: Bools) -> tuple[PlainLadders, _Contracts]:
    """Terms and contracts, from what `_packed` has made of them."""
    count, head = len(is_option), flags[:_HEAD]
    at = head[4] + _SCALARS
    contracts, rows = at + NUMBERS * count, _HEAD + ROWS * count
    step, per_unit, close, lots, closing, share = numbers[head[4] : at]
    credit = share, head[8] & 2 != 0, head[8] & 1 != 0
    return (
        (numbers[at:contracts].reshape((count, NUMBERS)), flags[_HEAD:rows].reshape((count, ROWS))),
        (
            _tiers_in(numbers, 0, head[0], head[1]),
            _tiers_in(numbers, 4 * head[0] + head[1], head[2], head[3]),
        ),
        ((step, per_unit, head[5], close, lots), closing, credit, (head[6], head[7] != 0)),
    ), (
        flags[rows : rows + count],
        numbers[contracts : contracts + count],
        numbers[contracts + count : contracts + 2 * count],
        is_option,
    )


@inner
def _schedules_in(numbers: F64, flags: I64, count: int) -> tuple[PlainSchedules, PlainCurves, float]:
    """Schedules, from what `_packed_schedules` has put behind everything else."""
    used, nets, curves, knots, coins = flags[_USED:_HEAD]
    at, of = flags[4] + _SCALARS + (NUMBERS + 2) * count, _HEAD + (ROWS + 1) * count
    number, at = numbers[at : at + 7 * count].reshape((count, 7)), at + 7 * count
    rule, at = numbers[at : at + 3 * used].reshape((used, 3)), at + 3 * used
    vol, at = numbers[at : at + coins], at + coins
    knot, at = numbers[at : at + knots], at + knots
    cubic, at = numbers[at : at + 4 * knots].reshape((knots, 4)), at + 4 * knots
    kind, of = flags[of : of + 3 * count].reshape((count, 3)), of + 3 * count
    net, of = flags[of : of + 2 * nets].reshape((nets, 2)), of + 2 * nets
    code, of = flags[of : of + 5 * used].reshape((used, 5)), of + 5 * used
    start, home = flags[of : of + curves + 1], flags[of + curves + 1 : of + 2 * curves + 1]
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
    if market[1][_USED] == 0:
        return
    terms, curves, at = _schedules_in(market[0], market[1], len(market[2]))
    whole, money = room
    whole[_NET_SEEN], whole[_NO_MEMORY], money[_NOTHING] = -1, 0, np.nan
    memory = whole[_NO_MEMORY], whole[_NO_MEMORY, :0], money[:0]
    places = whole[_NET_SEEN], whole[_NETS], money[_SUMS:_NOTHING], money[_NOTHING]
    directional_rows(terms, curves, at, pools, owner[0], memory, (0, owner[1]), places, out)


@inner
def _put_laid(column: F64, came: I64, room: F64) -> None:
    """A column of the account in the order in which it is laid out."""
    for row in range(len(came)):
        room[row] = column[came[row]]


@inner
def _chosen(held: _Held, waiting: _Asked, came: tuple[I64, I64], money: F64) -> tuple[F64, F64, F64, F64]:
    """Leverages, prices and leverages of orders, and entries, as they are laid out."""
    leverage, price, chosen = money[_LEVERAGE], money[_PRICE], money[_CHOSEN]
    entry = money[_ENTRY, : len(came[0])]
    _put_laid(held[3], came[0], leverage)
    _put_laid(held[2], came[0], entry)
    _put_laid(waiting[2], came[1], price)
    _put_laid(waiting[3], came[1], chosen)
    return leverage, price, chosen, entry


@inner
def _tell(
    came: I64, pools: tuple[I64, I64, NDArray[np.int8]], money: F64, into: tuple[F64, F64], count: int
) -> None:
    """The answer, in the order of the account."""
    (whose, position, standing), (out, charged) = pools, into
    for p in range(len(came)):
        charged[0, came[p]], charged[1, came[p]] = money[_CHARGED, p], money[_MARGIN, p]
    for k in range(count):
        out[CURRENCY, k], out[POSITION, k], out[STANDING, k] = whose[k], position[k], standing[k]
        out[EQUITY, k], out[BALANCE, k], out[INITIAL, k] = (
            money[_EQUITY, k],
            money[_BALANCE, k],
            money[_INITIAL, k],
        )
        out[MAINTENANCE, k], out[ORDER_MARGIN, k] = money[_MAINTENANCE, k], money[_ORDERS, k]


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
    begin, alone = whole[BEGIN], money[_MARGIN, : len(held[0])]
    if not (_is_sound(held, cash[1], waiting) and _margins_alone(ladders, contracts, held, alone)):
        return -1
    rows = rows_of_one(begin, (held[0], held[1], held[2]), cash, (waiting[0], waiting[1], waiting[2]))
    whole[SEEN], whole[PLACES:BEGIN] = -1, -1
    count_pools(contracts[0], rows, alone, (0, 1), whole[SEEN], begin[7:])
    count = begin[7]
    owner, whose, position, start, order_start = (
        whole[OWNER],
        whole[WHOSE],
        whole[ALONE],
        whole[START],
        whole[ORDER_START],
    )
    came, order_came = whole[_CAME, : len(held[0])], whole[_ORDER_CAME, : len(waiting[0])]
    start[count], order_start[count] = len(held[0]), len(waiting[0])
    base, quantity, amount = money[_BASE], money[_SIZE], money[_AMOUNT]
    whole[SEEN] = -1
    lay(
        contracts,
        rows,
        alone,
        begin[6:],
        (0, 1),
        (whole[SEEN], whole[PLACES:BEGIN]),
        (
            (owner, whose, base, money[_PREMIUM], position),
            (start, order_start, whole[SELLS]),
            (small[0], quantity, came),
            (small[1], amount, money[_BALANCE], order_came),
        ),
    )
    leverage, price, chosen, entry = _chosen(held, waiting, (came, order_came), money)
    high, low = money[_HIGH], money[_LOW]
    _factors(market, (start, small[0], quantity, entry), (owner, count), (whole, money), (high, low))
    ladder_rows(
        ladders[0],
        ladders[1],
        ladders[2],
        (start, small[0], quantity, leverage, base, entry),
        (order_start, small[1], amount, price, chosen, order_came),
        (high, low, 0),
        (0, count),
        (money[_EQUITY], money[_BALANCE], money[_INITIAL], money[_MAINTENANCE], money[_ORDERS], standing),
        (money[_CHARGED], money[_MARGIN]),
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
    nets: int  # of schedules; none where there are none


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
    nets = 0 if directional is None else len(directional.net)
    return OneBySize((*_packed(terms, contracts, directional), contracts.is_option), contracts.coins, nets)


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
    most = held + owned + asked + market.coins + market.nets + 8  # as long as any column is
    block = np.empty((CHARGED + 2, most))
    count = sized_account_rows(numbers, flags, is_option, market.coins, row, held, owned, asked, block)
    return None if count < 0 else (block[OUT:CHARGED, :count], block[CHARGED:, :held])
