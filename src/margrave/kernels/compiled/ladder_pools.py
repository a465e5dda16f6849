"""Pools margined by size: equity, and the margin of every position by its ladder and leverage, in one pass.

The steps of a position's margin are those of `margrave.margin.ladder`, in their order, so that margins have its digits. Where a
margin is rounded and lies near a step, fifteen digits decide as in `margrave.core.rounding`; what they leave open is unfinished.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from margrave.kernels.arrays import F64, I64
from margrave.kernels.compiled.coin_pools import (
    CALL,
    HEALTHY,
    LIQUIDATABLE,
    UNFINISHED,
    PoolMargins,
)
from margrave.kernels.compiled.compiler import kernel
from margrave.kernels.compiled.intrinsics import bits_of
from margrave.kernels.compiled.laid_out import PoolRows

VALUE, UNIT, LIMIT, EACH, TILT, NOTIONAL, FEE, MARK, A, C = 0, 1, 2, 3, 4, 5, 7, 9, 10, 11
"""Columns of `LadderTerms.number`; of notional and fee the second level stands behind the first."""

RULE, AT_BANKRUPTCY, FIRST, PAST = 0, 1, 2, 4
"""Columns of `LadderTerms.row`; of the last two the second level stands behind the first."""

AT_PRICE, AT_MARK, AT_WORSE = range(3)
"""On which notional an order's margin is taken."""

BY_TIER, LARGER, BY_LEVERAGE = range(3)
"""Which of a tier's and the holder's rate makes an initial margin."""

NEAREST, HALF_EVEN, UP, DOWN, AWAY, TRUNCATE = range(6)
"""Directions of rounding, in the order of `core.rounding.Direction`."""

_Tiers: TypeAlias = tuple[F64, F64, F64, F64, F64]
_Grid: TypeAlias = tuple[float, float, int, float, float]
_Held: TypeAlias = tuple[I64, NDArray[Any], NDArray[Any], F64, F64]
_Waiting: TypeAlias = tuple[I64, NDArray[Any], F64, F64, F64, I64]
_Side: TypeAlias = tuple[float, float, float]
_Ends: TypeAlias = tuple[F64, F64, F64, F64, NDArray[np.int8]]
_Rules: TypeAlias = tuple[_Grid, float, tuple[int, bool]]

PlainLadders: TypeAlias = tuple[tuple[F64, I64], tuple[_Tiers, _Tiers], _Rules]
"""Terms as `ladder_rows` takes them."""

# As in `core.rounding`; constants of the machine code, for what is handed over to a function a position is slow.
DECADES = np.array([float(f"1e{k}") for k in range(-300, 300)])
FIFTEENTH = np.array([0.0, *(float(f"1e{k - 14}") for k in range(-300, 299)), 0.0])
DIGITS_MAX, ROUNDED = 1e15, 1.2e-16
_LOG10_2 = 0.30103


@final
@dataclass(frozen=True, slots=True)
class Tiers:
    """One level of all ladders end to end, (T,), in the order of `margrave.kernels.ladder`."""

    floor: F64
    rate: F64
    slope: F64
    deduction: F64
    root: F64


@final
@dataclass(frozen=True, slots=True)
class Grid:
    """What every margin is rounded to; a step of zero rounds nothing. As in `core.rounding`."""

    step: float
    per_unit: float
    direction: int
    close: float
    lots: float  # digits of the step as a whole number


@final
@dataclass(frozen=True, slots=True)
class LadderTerms:
    """Instruments in one market, (I,), and their ladders."""

    number: F64  # (I, 12) per contract: value from zero, tier units (NaN: its notional), largest size in tier units, tier units
    # at the mark, +1 or -1 for a payoff in 1 / price or in price; of each level, notional, closing fee; the mark, and the a and c
    # of the payoff. NaN in the first makes pools NaN.
    row: I64  # (I, 6) leverage rule, whether the fee is on the notional at bankruptcy; of each level, first tier and the one after
    tiers: tuple[Tiers, Tiers]
    grid: Grid
    closing: float  # margin balance over maintenance below which a pool is closed
    order_basis: int  # on which notional an order's margin is taken
    open_loss: bool  # whether an order beyond the mark must cover what it loses at once


# --- kernels ---


@kernel
def _moved(steps: float, direction: int) -> float:
    """A number of steps moved to a whole one."""
    if direction == NEAREST:
        return float(np.copysign(np.floor(abs(steps) + 0.5), steps))
    if direction == HALF_EVEN:
        return float(np.rint(steps))
    if direction == AWAY:
        return float(np.copysign(np.ceil(abs(steps)), steps))
    up = direction == UP or (direction == TRUNCATE and steps < 0.0)
    return float(np.ceil(steps) if up else np.floor(steps))


@kernel
def _fifteenth(size: float) -> float:
    """Unit of the fifteenth digit of an amount above zero."""
    exponent = ((bits_of(size) >> 52) & 0x7FF) - 1023
    row = min(max(int(exponent * _LOG10_2) + 300, 1), len(DECADES) - 1)
    while row < len(DECADES) and size >= DECADES[np.uint64(row)]:
        row += 1
    while row > 0 and size < DECADES[np.uint64(row - 1)]:
        row -= 1
    return float(FIFTEENTH[np.uint64(row)])


@kernel
def on_step(amount: float, grid: _Grid) -> float:
    """An amount on its grid, as `core.rounding.round_all` has it; NaN where that takes more than its fifteen digits."""
    step, per_unit, direction, close, lots = grid
    if step == 0.0:
        return amount
    scaled = amount / step
    halves = scaled + scaled
    near = np.rint(halves)
    if scaled == 0.0 or abs(halves - near) > close * max(abs(scaled), 1.0):
        return _moved(scaled, direction) / per_unit
    size, apart = abs(amount), amount - near / (2.0 * per_unit)
    half, slack = 0.5 * _fifteenth(size), ROUNDED * size
    if not abs(near) * (0.5 * lots if near % 2.0 == 0.0 else 5.0 * lots) < DIGITS_MAX:
        return np.nan
    if abs(apart) + slack < half:
        return _moved(0.5 * near, direction) / per_unit
    if abs(apart) - slack > half and abs(apart) + 2.0 * half < 0.5 * step:
        return _moved(0.5 * near + np.copysign(0.25, apart), direction) / per_unit
    return np.nan


@kernel
def _tier(floor: F64, first: int, past: int, units: float) -> np.uint64:
    """Row of a size; a size on a boundary belongs to the tier below."""
    row = first
    while row + 1 < past and units > floor[np.uint64(row + 1)]:
        row += 1
    return np.uint64(row)


@kernel
def _in_money(margin: float, value: float, units: float, by_value: bool) -> float:
    """Margin in the ladder's own unit, in the settlement asset."""
    if by_value:
        return margin
    return value * (margin / units) if units > 0.0 else 0.0 * value


@kernel
def _by_leverage(rule: int, margin: float, value: float, leverage: float) -> float:
    """Initial margin where the holder chose a leverage."""
    if np.isnan(leverage) or rule == BY_TIER:
        return margin
    chosen = value / leverage
    return chosen if rule == BY_LEVERAGE or chosen > margin else margin


@kernel
def _fee(rate: float, value: float, tilt: float, at_bankruptcy: int) -> float:
    """Closing fee, of the notional or of that at the bankruptcy price."""
    return rate * (value * max(1.0 + tilt, 0.0) if at_bankruptcy != 0 else value)


@kernel
def asked_alone(
    instruments: tuple[F64, I64], tiers: _Tiers, i: np.uint64, quantity: float, value: float, leverage: float
) -> float:
    """Initial margin of a quantity that is worth a value, without a closing fee, not rounded."""
    (number, row), (floor, rate, slope, cut, root) = instruments, tiers
    unit = number[i, UNIT]
    by_value = bool(np.isnan(unit))
    units = value if by_value else abs(quantity) * unit
    at = _tier(floor, row[i, FIRST], row[i, PAST], units)
    rates = rate[at] + slope[at] * units + (root[at] * np.sqrt(units) if len(root) > 0 else 0.0)
    margin = _in_money(units * rates - cut[at], value, units, by_value)
    return _by_leverage(row[i, RULE], margin, value, leverage)


@kernel
def _initial(
    instruments: tuple[F64, I64], tiers: _Tiers, i: np.uint64, quantity: float, value: float, leverage: float
) -> float:
    """Initial margin of a quantity that is worth a value, not rounded."""
    number, row = instruments
    margin = asked_alone(instruments, tiers, i, quantity, value, leverage)
    side = 1.0 if quantity > 0.0 else -1.0 if quantity < 0.0 else 0.0
    tilt = 0.0 if np.isnan(leverage) else number[i, TILT] * side / leverage
    return margin + _fee(number[i, FEE], value, tilt, row[i, AT_BANKRUPTCY])


@kernel
def _after_fill(position: float, each: float, side: _Side) -> tuple[float, float]:
    """What is held, and what its margin is taken on, when the orders of a side are filled.

    Orders against the position close it first; what is left of either side is priced at its own price.
    """
    filled, worth, _loss = side
    at_order = each if filled == 0.0 else worth / abs(filled)
    after = position + filled
    if position * filled >= 0.0:
        return after, abs(position) * each + abs(filled) * at_order
    return after, abs(after) * (each if after * position > 0.0 else at_order)


@kernel
def _beside(number: F64, held: _Held, pool: int, i: np.uint64) -> tuple[float, float, float]:
    """Contracts that a pool holds of an instrument, what one is worth, and the leverage that was chosen."""
    start, index, quantity, leverage, _base = held
    position, each, legs, chosen = 0.0, 0.0, 0, np.nan
    for p in range(start[pool], start[pool + 1]):
        if index[p] == i:
            amount = float(quantity[p])
            size = abs(amount)
            position += amount
            each += (
                size
                * (
                    number[i, A] * number[i, MARK]
                    + number[i, C] / (number[i, MARK] if number[i, C] > 0.0 else 1.0)
                )
                / (1.0 if size == 0.0 else size)
            )
            legs += 1
            chosen = leverage[p] if np.isnan(chosen) else chosen
    return position, each / max(legs, 1), chosen


@kernel
def _order(number: F64, rules: tuple[int, bool], i: np.uint64, amount: float, price: float) -> _Side:
    """Contracts of an order, what its margin is taken on, and what it loses at once."""
    mark, a, c, size = number[i, MARK], number[i, A], number[i, C], abs(amount)
    now = c / (mark if c > 0.0 else 1.0)
    at_price, at_mark = size * (a * price + c / price) / size, size * (a * mark + now) / size
    each = at_mark if rules[0] == AT_MARK or (rules[0] == AT_WORSE and at_mark > at_price) else at_price
    loss = max(-(amount * ((mark - price) * (a + now / price))), 0.0) if rules[1] else 0.0
    return amount, each * size, loss


@kernel
def _sides(
    number: F64, rules: tuple[int, bool], waiting: _Waiting, span: tuple[int, int], i: np.uint64
) -> tuple[_Side, _Side, float]:
    """Buys and sells of an instrument, and the leverage of the first of its orders that has one."""
    _start, index, quantity, price, leverage, came = waiting
    bought, sold = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    chosen, first = np.nan, -1
    for o in range(span[0], span[1]):
        if index[o] != i or quantity[o] == 0.0:
            continue
        amount, worth, loss = _order(number, rules, i, quantity[o], price[o])
        if amount > 0.0:
            bought = bought[0] + amount, bought[1] + worth, bought[2] + loss
        else:
            sold = sold[0] + amount, sold[1] + worth, sold[2] + loss
        if not np.isnan(leverage[o]) and (first < 0 or came[o] < first):
            chosen, first = leverage[o], came[o]
    return bought, sold, chosen


@kernel
def _next(came: I64, span: tuple[int, int], last: int) -> int:
    """The order that came after another, by its row before."""
    found = -1
    for o in range(span[0], span[1]):
        if came[o] > last and (found < 0 or came[o] < came[found]):
            found = o
    return found


@kernel
def _is_told(waiting: _Waiting, span: tuple[int, int], order: int) -> bool:
    """Whether an order counts for nothing, or one that came before it is for the same instrument."""
    index, quantity, came = waiting[1], waiting[2], waiting[5]
    told = quantity[order] == 0.0
    for o in range(span[0], span[1]):
        told = told or (index[o] == index[order] and quantity[o] != 0.0 and came[o] < came[order])
    return bool(told)


@kernel
def _order_margin(
    instruments: tuple[F64, I64],
    tiers: _Tiers,
    rules: tuple[int, bool],
    held: _Held,
    waiting: _Waiting,
    pool: int,
) -> float:
    """What the worst fill of a pool's open orders adds to its initial margin, instrument by instrument."""
    number, span = instruments[0], (waiting[0][pool], waiting[0][pool + 1])
    total, last = 0.0, -1
    for _ in range(span[0], span[1]):  # in the order in which they came, as sums have it
        o = _next(waiting[5], span, last)
        last = waiting[5][o]
        i = np.uint64(waiting[1][o])
        total += 0.0 * number[i, VALUE]  # what is not known is NaN, however little is asked for it
        if _is_told(waiting, span, o):
            continue
        position, each, chosen = _beside(number, held, pool, i)
        bought, sold, leverage = _sides(number, rules, waiting, span, i)
        chosen = leverage if np.isnan(chosen) else chosen
        alone = _initial(instruments, tiers, i, position, abs(position) * each, chosen)
        after, value = _after_fill(position, each, bought)
        buys = max(_initial(instruments, tiers, i, after, value, chosen) - alone, 0.0) + bought[2]
        after, value = _after_fill(position, each, sold)
        sells = max(_initial(instruments, tiers, i, after, value, chosen) - alone, 0.0) + sold[2]
        total += max(buys, sells)
    return total


@kernel
def ladder_rows(  # noqa: PLR0913 - a kernel's columns
    instruments: tuple[F64, I64],
    levels: tuple[_Tiers, _Tiers],
    rules: _Rules,
    held: _Held,
    waiting: _Waiting,
    span: tuple[int, int],
    out: _Ends,
    charged: tuple[F64, F64],
) -> None:
    """Pools ``span[0]`` to ``span[1] - 1``, from the first row of the results on; of positions both margins where there is room."""
    (number, row), (grid, closing, of_orders), order_start = instruments, rules, waiting[0]
    (floor_i, rate_i, slope_i, cut_i, root_i), (floor_m, rate_m, slope_m, cut_m, root_m) = levels
    rooted = len(root_i) > 0  # columns by themselves: a tuple of them handed over at every position is slow
    start, index, quantity, leverage, base = held
    equity, initial, maintenance, order_margin, standing = out
    initially, least_of, told = charged[0], charged[1], len(charged[0]) > 0
    for k, pool in enumerate(range(span[0], span[1])):
        own, asked, least = base[pool], 0.0, 0.0
        for p in range(start[pool], start[pool + 1]):
            i, amount, chosen = np.uint64(index[p]), float(quantity[p]), leverage[p]
            size, unit = abs(amount), number[i, UNIT]
            by_value = np.isnan(unit)
            own += amount * number[i, VALUE]
            if not size * number[i, EACH] <= number[i, LIMIT]:
                own = np.nan
            side = 1.0 if amount > 0.0 else -1.0 if amount < 0.0 else 0.0
            tilt = 0.0 if np.isnan(chosen) else number[i, TILT] * side / chosen

            value = size * number[i, NOTIONAL]
            units = value if by_value else size * unit
            at = _tier(floor_i, row[i, FIRST], row[i, PAST], units)
            rates = rate_i[at] + slope_i[at] * units + (root_i[at] * np.sqrt(units) if rooted else 0.0)
            margin = _in_money(units * rates - cut_i[at], value, units, by_value)
            margin = _by_leverage(row[i, RULE], margin, value, chosen)
            first = on_step(margin + _fee(number[i, FEE], value, tilt, row[i, AT_BANKRUPTCY]), grid)
            asked += first

            value = size * number[i, NOTIONAL + 1]
            units = value if by_value else size * unit
            at = _tier(floor_m, row[i, FIRST + 1], row[i, PAST + 1], units)
            rates = rate_m[at] + slope_m[at] * units + (root_m[at] * np.sqrt(units) if rooted else 0.0)
            margin = _in_money(units * rates - cut_m[at], value, units, by_value)
            second = on_step(margin + _fee(number[i, FEE + 1], value, tilt, row[i, AT_BANKRUPTCY]), grid)
            least += second
            if told:
                initially[p], least_of[p] = first, second
        more = 0.0
        if order_start[pool] < order_start[pool + 1]:
            more = _order_margin(instruments, levels[0], of_orders, held, waiting, pool)
        asked += more
        equity[k], initial[k], maintenance[k], order_margin[k] = own, asked, least, more
        if np.isnan(own + asked + least):
            standing[k] = UNFINISHED
        else:
            standing[k] = LIQUIDATABLE if own < closing * least else CALL if own < asked else HEALTHY


# --- what callers use ---


def ladder_pools(
    terms: LadderTerms,
    rows: PoolRows,
    chosen: tuple[F64, F64, F64],
    span: tuple[int, int],
    out: PoolMargins,
) -> None:
    """Pools in a market.

    Parameters
    ----------
    terms : LadderTerms
        Of the instruments that the rows name; indices are not checked.
    rows : PoolRows
        Pools, laid out and traced.
    chosen : tuple of ndarray
        Leverage of positions, (P,), price of orders, (O,), and leverage of orders, (O,), as they are laid out; NaN where none was
        chosen.
    span : (int, int)
        The first pool, and the one after the last.
    out : PoolMargins
        Gets them, from its first row on. Where the standing is `UNFINISHED`, numbers are not what they should be.
    """
    ladder_rows(
        *plain_ladders(terms),
        (rows.start, rows.index, rows.quantity, chosen[0], rows.base),
        (rows.order_start, rows.order_index, rows.order_quantity, chosen[1], chosen[2], rows.order_came),
        span,
        (out.equity, out.initial, out.maintenance, out.order_margin, out.standing),
        (_UNTOLD, _UNTOLD),
    )


_UNTOLD = np.zeros(0)


def plain_ladders(terms: LadderTerms) -> PlainLadders:
    """Terms as the kernel takes them: instruments, both levels' tiers, and the rules of all."""
    grid = terms.grid
    return (
        (terms.number, terms.row),
        (_plain(terms.tiers[0]), _plain(terms.tiers[1])),
        (
            (grid.step, grid.per_unit, grid.direction, grid.close, grid.lots),
            terms.closing,
            (terms.order_basis, terms.open_loss),
        ),
    )


def _plain(tiers: Tiers) -> _Tiers:
    return tiers.floor, tiers.rate, tiers.slope, tiers.deduction, tiers.root
