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
from margrave.kernels.compiled.laid_out import PoolRows

VALUE, UNIT, LIMIT, EACH, TILT, NOTIONAL, FEE = 0, 1, 2, 3, 4, 5, 7
"""Columns of `LadderTerms.number`; of the last two the second level stands behind the first."""

RULE, AT_BANKRUPTCY, FIRST, PAST = 0, 1, 2, 4
"""Columns of `LadderTerms.row`; of the last two the second level stands behind the first."""

BY_TIER, LARGER, BY_LEVERAGE = range(3)
"""Which of a tier's and the holder's rate makes an initial margin."""

NEAREST, HALF_EVEN, UP, DOWN, AWAY, TRUNCATE = range(6)
"""Directions of rounding, in the order of `core.rounding.Direction`."""

_Tiers: TypeAlias = tuple[F64, F64, F64, F64, F64]
_Grid: TypeAlias = tuple[float, float, int, tuple[float, float, float, float], F64, F64]
_Told: TypeAlias = tuple[F64, I64, _Tiers, _Tiers, _Grid, float]
_Held: TypeAlias = tuple[I64, NDArray[Any], NDArray[Any], F64, F64]
_Ends: TypeAlias = tuple[F64, F64, F64, F64, NDArray[np.int8]]


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
    """What every margin is rounded to; a step of zero rounds nothing. Numbers are those of `core.rounding`."""

    step: float
    per_unit: float
    direction: int
    close: float
    lots: float  # digits of the step as a whole number
    digits_max: float
    rounded: float
    decades: F64
    fifteenth: F64


@final
@dataclass(frozen=True, slots=True)
class LadderTerms:
    """Instruments in one market, (I,), and their ladders."""

    number: F64  # (I, 9) per contract: value from zero, tier units (NaN: its notional), largest size in tier units, tier units
    # at the mark, +1 or -1 for a payoff in 1 / price or in price; of each level, notional, closing fee. NaN makes pools NaN.
    row: I64  # (I, 6) leverage rule, whether the fee is on the notional at bankruptcy; of each level, first tier and the one after
    tiers: tuple[Tiers, Tiers]
    grid: Grid
    closing: float  # margin balance over maintenance below which a pool is closed


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
def on_step(amount: float, grid: _Grid) -> float:
    """An amount on its grid, as `core.rounding.round_all` has it; NaN where that takes more than its fifteen digits."""
    step, per_unit, direction, (close, lots, digits_max, rounded), decades, fifteenth = grid
    if step == 0.0:
        return amount
    scaled = amount / step
    halves = scaled + scaled
    near = np.rint(halves)
    if scaled == 0.0 or abs(halves - near) > close * max(abs(scaled), 1.0):
        return _moved(scaled, direction) / per_unit
    size, apart = abs(amount), amount - near / (2.0 * per_unit)
    half, slack = 0.5 * fifteenth[np.searchsorted(decades, size, side="right")], rounded * size
    if not abs(near) * (0.5 * lots if near % 2.0 == 0.0 else 5.0 * lots) < digits_max:
        return np.nan
    if abs(apart) + slack < half:
        return _moved(0.5 * near, direction) / per_unit
    if abs(apart) - slack > half and abs(apart) + 2.0 * half < 0.5 * step:
        return _moved(0.5 * near + np.copysign(0.25, apart), direction) / per_unit
    return np.nan


@kernel
def _by_tier(tiers: _Tiers, first: int, past: int, size: float) -> float:
    """Margin of a size on its ladder; a size on a boundary belongs to the tier below."""
    floor, rate, slope, deduction, root = tiers
    row = first
    while row + 1 < past and size > floor[row + 1]:
        row += 1
    at = np.uint64(row)
    rates = rate[at] + slope[at] * size
    if len(root) > 0:
        rates = rates + root[at] * np.sqrt(size)
    return float(size * rates - deduction[at])


@kernel
def _margin(told: _Told, i: np.uint64, level: int, quantity: float, leverage: float) -> float:
    """Margin of a position at one level, on its grid."""
    number, row, initial, maintenance, grid, _closing = told
    size = abs(quantity)
    value = size * number[i, NOTIONAL + level]
    unit = number[i, UNIT]
    units = value if np.isnan(unit) else size * unit
    tiers = initial if level == 0 else maintenance
    margin = _by_tier(tiers, row[i, FIRST + level], row[i, PAST + level], units)
    if not np.isnan(unit):
        margin = value * (margin / units) if units > 0.0 else 0.0 * value
    chosen = not np.isnan(leverage)
    if level == 0 and chosen and row[i, RULE] != BY_TIER:
        by_leverage = value / leverage
        margin = by_leverage if row[i, RULE] == BY_LEVERAGE or by_leverage > margin else margin
    fee = number[i, FEE + level]
    if fee != 0.0:
        side = 1.0 if quantity > 0.0 else -1.0 if quantity < 0.0 else 0.0
        tilt = number[i, TILT] * side / leverage if chosen else 0.0
        margin += fee * (value * max(1.0 + tilt, 0.0) if row[i, AT_BANKRUPTCY] != 0 else value)
    return on_step(margin, grid)


@kernel
def ladder_rows(told: _Told, held: _Held, span: tuple[int, int], out: _Ends) -> None:
    """Pools ``span[0]`` to ``span[1] - 1``, from the first row of the results on."""
    number, closing = told[0], told[5]
    start, index, quantity, leverage, base = held
    equity, initial, maintenance, order_margin, standing = out
    for k, pool in enumerate(range(span[0], span[1])):
        own, asked, least = base[pool], 0.0, 0.0
        for p in range(start[pool], start[pool + 1]):
            i, amount = np.uint64(index[p]), float(quantity[p])
            own += amount * number[i, VALUE]
            asked += _margin(told, i, 0, amount, leverage[p])
            least += _margin(told, i, 1, amount, leverage[p])
            if not abs(amount) * number[i, EACH] <= number[i, LIMIT]:
                own = np.nan
        equity[k], initial[k], maintenance[k], order_margin[k] = own, asked, least, 0.0
        if np.isnan(own + asked + least):
            standing[k] = UNFINISHED
        else:
            standing[k] = LIQUIDATABLE if own < closing * least else CALL if own < asked else HEALTHY


# --- what callers use ---


def ladder_pools(
    terms: LadderTerms, rows: PoolRows, leverage: F64, span: tuple[int, int], out: PoolMargins
) -> None:
    """Pools in a market.

    Parameters
    ----------
    terms : LadderTerms
        Of the instruments that the rows name; indices are not checked.
    rows : PoolRows
        Pools, laid out. Their open orders are not read.
    leverage : (P,) ndarray
        Of positions as they are laid out; NaN where none was chosen.
    span : (int, int)
        The first pool, and the one after the last.
    out : PoolMargins
        Gets them, from its first row on. Where the standing is `UNFINISHED`, numbers are not what they should be.
    """
    grid = terms.grid
    by_digits = grid.close, grid.lots, grid.digits_max, grid.rounded
    told: _Told = (
        terms.number,
        terms.row,
        _plain(terms.tiers[0]),
        _plain(terms.tiers[1]),
        (grid.step, grid.per_unit, grid.direction, by_digits, grid.decades, grid.fifteenth),
        terms.closing,
    )
    held: _Held = rows.start, rows.index, rows.quantity, leverage, rows.base
    ladder_rows(
        told,
        held,
        span,
        (out.equity, out.initial, out.maintenance, out.order_margin, out.standing),
    )


def _plain(tiers: Tiers) -> _Tiers:
    return tiers.floor, tiers.rate, tiers.slope, tiers.deduction, tiers.root
