"""Pools margined by size: equity, and the margin of every position by its ladder, leverage and schedule, in one pass.

The steps are those of `margrave.margin`, in their order, so that numbers have its digits; under a schedule up to those of a logarithm.
What rounding leaves open, and what is not known, is unfinished.
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
from margrave.kernels.compiled.compiler import inlined, inner, kernel
from margrave.kernels.compiled.ladder_orders import Waiting, order_margin_in
from margrave.kernels.compiled.ladder_steps import (
    AT_BANKRUPTCY,
    BASIS,
    BOUNDED,
    CAP,
    EACH,
    FEE,
    FLOOR,
    KIND,
    LIMIT,
    MARK,
    OPTION,
    OVER,
    PER_PRICE,
    RULE,
    SCHEDULED,
    A,
    PlainGrid,
    PlainTiers,
    by_leverage,
    fee_of,
    notional_of,
    on_step,
    option_margin,
    tier_margin,
    tilt_of,
)
from margrave.kernels.compiled.laid_out import PoolRows

_Held: TypeAlias = tuple[I64, NDArray[Any], NDArray[Any], F64, F64, F64]
_Factors: TypeAlias = tuple[F64, F64, int]
_Ends: TypeAlias = tuple[F64, F64, F64, F64, F64, NDArray[np.int8]]
_Rules: TypeAlias = tuple[PlainGrid, float, tuple[float, bool, bool], tuple[int, bool]]

PlainLadders: TypeAlias = tuple[tuple[F64, I64], tuple[PlainTiers, PlainTiers], _Rules]
"""Terms as `ladder_rows` takes them."""


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

    number: F64  # (I, NUMBERS) the mark, NaN where pools are to be NaN; per contract: tier units (NaN: its notional), largest size in tier
    # units, tier units at the mark, +1 or -1 for a payoff in 1 / price or in price; of each level, notional, closing fee; the a and c of
    # the payoff, and c over the mark. Of an option, per coin and level, risk and premium; what a sold one on order asks, and its fee.
    # Of a schedule, least and largest rate, and initial over maintenance.
    row: I64  # (I, ROWS) leverage rule, whether the fee is on the notional at bankruptcy; of each level, first tier, the one
    # after the last, and the basis; bits of the kind
    tiers: tuple[Tiers, Tiers]
    grid: Grid
    closing: float  # margin balance over maintenance below which a pool is closed
    credit: tuple[
        float, bool, bool
    ]  # share of profit in the margin balance, whether position by position; whether options' worth is in it
    order_basis: int  # on which notional an order's margin is taken
    open_loss: bool  # whether an order beyond the mark must cover what it loses at once


# --- kernels ---


@inlined
def _margin(
    instruments: tuple[F64, I64],
    tiers: PlainTiers,
    level: int,
    held: tuple[np.uint64, float, float, float],
    factor: float,
    grid: PlainGrid,
) -> float:
    """Margin of a position at a level: of its tier, leverage, factor, fee and grid, in this order."""
    (number, row), (i, amount, chosen, entry) = instruments, held
    kind = row[i, KIND]
    if kind & OPTION:
        margin = option_margin(number, i, amount, level, factor)
    else:
        value = notional_of(number, i, abs(amount), level, row[i, BASIS + level], entry)
        margin = tier_margin(instruments, tiers, level, i, amount, value)
        if level == 0:
            margin = by_leverage(row[i, RULE], margin, value, chosen)
        if kind & SCHEDULED:
            margin *= factor
        if kind & BOUNDED:
            margin = min(max(margin, number[i, FLOOR] * value), number[i, CAP] * value)
        tilt = tilt_of(number, i, amount, chosen)
        margin += fee_of(number[i, FEE + level], value, tilt, row[i, AT_BANKRUPTCY])
    return on_step(margin, grid)


@inlined
def _margins(
    instruments: tuple[F64, I64],
    levels: tuple[PlainTiers, PlainTiers],
    held: tuple[np.uint64, float, float, float],
    factors: tuple[float, float],
    grid: PlainGrid,
) -> tuple[float, float]:
    """Both margins of a position; a schedule keeps the initial one its distance above the other."""
    first = _margin(instruments, levels[0], 0, held, factors[0], grid)
    second = _margin(instruments, levels[1], 1, held, factors[1], grid)
    (number, row), i = instruments, held[0]
    if row[i, KIND] & SCHEDULED and first < number[i, OVER] * second:
        first = number[i, OVER] * second
    return first, second


@inlined
def _gained(number: F64, kind: int, i: np.uint64, amount: float, entry: float) -> tuple[float, float]:
    """Profit of a position, and what it is worth of itself: one of the two is zero."""
    mark = number[i, MARK]
    if kind & OPTION:
        return 0.0, amount * number[i, A] * mark
    return amount * ((mark - entry) * (number[i, A] + number[i, PER_PRICE] / entry)), 0.0


@inner
def _standing(closing: float, own: float, balance: float, asked: float, least: float) -> int:
    if np.isnan(own + balance + asked + least):
        return UNFINISHED
    return LIQUIDATABLE if balance < closing * least else CALL if balance < asked else HEALTHY


@inlined
def _credited(profit: float, share: float) -> float:
    """What of a profit counts: losses in full."""
    return profit if share == 1.0 or np.isnan(profit) else min(profit, 0.0) + share * max(profit, 0.0)


@kernel
def ladder_rows(  # noqa: PLR0913 - a kernel's columns
    instruments: tuple[F64, I64],
    levels: tuple[PlainTiers, PlainTiers],
    rules: _Rules,
    held: _Held,
    waiting: Waiting,
    factors: _Factors,
    span: tuple[int, int],
    out: _Ends,
    charged: tuple[F64, F64],
) -> None:
    """Pools ``span[0]`` to ``span[1] - 1``, from the first row of the results on; of positions both margins where there is room.

    ``factors`` are of positions from a row on, and there where an instrument asks for them.
    """
    (number, row), (grid, closing, credit, of_orders), order_start = instruments, rules, waiting[0]
    start, index, quantity, leverage, base, entry = held
    initially, least_of, told = charged[0], charged[1], len(charged[0]) > 0
    for k, pool in enumerate(range(span[0], span[1])):
        profit, counted, worth, asked, least = 0.0, 0.0, 0.0, 0.0, 0.0
        for p in range(start[pool], start[pool + 1]):
            i, amount = np.uint64(index[p]), float(quantity[p])
            gained = _gained(number, row[i, KIND], i, amount, entry[p])
            profit, worth = profit + gained[0], worth + gained[1]
            counted += _credited(gained[0], credit[0])
            high, low = 1.0, 1.0
            if row[i, KIND] & SCHEDULED:
                high, low = factors[0][p - factors[2]], factors[1][p - factors[2]]
            if not abs(amount) * number[i, EACH] <= number[i, LIMIT] or np.isnan(high + low):
                profit = counted = np.nan
            mine = i, amount, leverage[p], entry[p]
            first, second = _margins(instruments, levels, mine, (high, low), grid)
            asked += first
            least += second
            if told:
                initially[p], least_of[p] = first, second
        more = 0.0
        if order_start[pool] < order_start[pool + 1]:
            positions = start, index, quantity, leverage
            more = order_margin_in(instruments, levels[0], of_orders, positions, waiting, pool)
        asked += more
        own = base[pool] + profit + worth
        have = base[pool] + (counted if credit[1] else _credited(profit, credit[0]))
        have += worth if credit[2] else 0.0
        out[0][k], out[1][k], out[2][k], out[3][k], out[4][k] = own, have, asked, least, more
        out[5][k] = _standing(closing, own, have, asked, least)


# --- what callers use ---


def ladder_pools(
    terms: LadderTerms,
    rows: PoolRows,
    chosen: tuple[F64, F64, F64, F64],
    factors: tuple[F64, F64, int],
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
        Leverage of positions, (P,), price of orders, (O,), and leverage of orders, (O,), as they are laid out, NaN where none was
        chosen; and entries of positions, (P,).
    factors : tuple
        Multipliers of both levels of the positions from a row on, and that row; empty where there is no schedule.
    span : (int, int)
        The first pool, and the one after the last.
    out : PoolMargins
        Gets them, from its first row on. Where the standing is `UNFINISHED`, numbers are not what they should be.
    """
    ladder_rows(
        *plain_ladders(terms),
        (rows.start, rows.index, rows.quantity, chosen[0], rows.base, chosen[3]),
        (rows.order_start, rows.order_index, rows.order_quantity, chosen[1], chosen[2], rows.order_came),
        factors,
        span,
        (out.equity, out.balance, out.initial, out.maintenance, out.order_margin, out.standing),
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
            terms.credit,
            (terms.order_basis, terms.open_loss),
        ),
    )


def _plain(tiers: Tiers) -> PlainTiers:
    return tiers.floor, tiers.rate, tiers.slope, tiers.deduction, tiers.root
