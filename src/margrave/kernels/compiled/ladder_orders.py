"""What the worst fill of open orders adds to the initial margin of a pool, as `margrave.margin.orders` has it."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from margrave.kernels.arrays import F64, I64
from margrave.kernels.compiled.compiler import inner
from margrave.kernels.compiled.ladder_steps import (
    AT_MARK,
    AT_WORSE,
    KIND,
    MARK,
    OPTION,
    ORDER_FEE,
    SOLD_RISK,
    A,
    C,
    PlainTiers,
    initial_of,
)

Waiting: TypeAlias = tuple[I64, NDArray[Any], F64, F64, F64, I64]
_Held: TypeAlias = tuple[I64, NDArray[Any], NDArray[Any], F64]
_Side: TypeAlias = tuple[float, float, float]


@inner
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


@inner
def _beside(number: F64, held: _Held, pool: int, i: np.uint64) -> tuple[float, float, float]:
    """Contracts that a pool holds of an instrument, what one is worth, and the leverage that was chosen."""
    start, index, quantity, leverage = held
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


@inner
def _order(number: F64, rules: tuple[int, bool], i: np.uint64, amount: float, price: float) -> _Side:
    """Contracts of an order, what its margin is taken on, and what it loses at once."""
    mark, a, c, size = number[i, MARK], number[i, A], number[i, C], abs(amount)
    now = c / (mark if c > 0.0 else 1.0)
    at_price, at_mark = size * (a * price + c / price) / size, size * (a * mark + now) / size
    each = at_mark if rules[0] == AT_MARK or (rules[0] == AT_WORSE and at_mark > at_price) else at_price
    loss = max(-(amount * ((mark - price) * (a + now / price))), 0.0) if rules[1] else 0.0
    return amount, each * size, loss


@inner
def _sides(
    number: F64, rules: tuple[int, bool], waiting: Waiting, span: tuple[int, int], i: np.uint64
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


@inner
def _next(came: I64, span: tuple[int, int], last: int) -> int:
    """The order that came after another, by its row before."""
    found = -1
    for o in range(span[0], span[1]):
        if came[o] > last and (found < 0 or came[o] < came[found]):
            found = o
    return found


@inner
def _is_told(waiting: Waiting, span: tuple[int, int], order: int) -> bool:
    """Whether an order counts for nothing, or one that came before it is for the same instrument."""
    index, quantity, came = waiting[1], waiting[2], waiting[5]
    told = quantity[order] == 0.0
    for o in range(span[0], span[1]):
        told = told or (index[o] == index[order] and quantity[o] != 0.0 and came[o] < came[order])
    return bool(told)


@inner
def _option_side(number: F64, i: np.uint64, bought: _Side, sold: _Side) -> float:
    """Options that would be bought ask their premium, those that would be sold their risk; both a fee."""
    fee, short = number[i, ORDER_FEE], -sold[0]
    sell = short * number[i, A] * number[i, SOLD_RISK] if short > 0.0 else 0.0
    return sell + (bought[1] + number[i, A] * bought[0] * fee if bought[0] > 0.0 else 0.0)


@inner
def order_margin_in(
    instruments: tuple[F64, I64],
    tiers: PlainTiers,
    rules: tuple[int, bool],
    held: _Held,
    waiting: Waiting,
    pool: int,
) -> float:
    """What the worst fill of a pool's open orders adds to its initial margin, instrument by instrument."""
    number, span = instruments[0], (waiting[0][pool], waiting[0][pool + 1])
    total, last = 0.0, -1
    for _ in range(span[0], span[1]):  # in the order in which they came, as sums have it
        o = _next(waiting[5], span, last)
        last = waiting[5][o]
        i = np.uint64(waiting[1][o])
        total += 0.0 * number[i, MARK]  # what is not known is NaN, however little is asked for it
        if _is_told(waiting, span, o):
            continue
        bought, sold, leverage = _sides(number, rules, waiting, span, i)
        if instruments[1][i, KIND] & OPTION:
            total += _option_side(number, i, bought, sold)
            continue
        position, each, chosen = _beside(number, held, pool, i)
        chosen = leverage if np.isnan(chosen) else chosen
        alone = initial_of(instruments, tiers, i, position, abs(position) * each, chosen)
        after, value = _after_fill(position, each, bought)
        buys = max(initial_of(instruments, tiers, i, after, value, chosen) - alone, 0.0) + bought[2]
        after, value = _after_fill(position, each, sold)
        sells = max(initial_of(instruments, tiers, i, after, value, chosen) - alone, 0.0) + sold[2]
        total += max(buys, sells)
    return total
