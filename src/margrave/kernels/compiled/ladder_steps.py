"""One position's margin by its ladder and leverage, step by step as `margrave.margin.ladder` has them, and rounded.

Where a margin lies near a step, fifteen digits decide as in `margrave.core.rounding`; what they leave open is NaN.
"""

from typing import TypeAlias

import numpy as np

from margrave.kernels.arrays import F64, I64
from margrave.kernels.compiled.compiler import inlined, inner, kernel
from margrave.kernels.compiled.intrinsics import bits_of

MARK, UNIT, LIMIT, EACH, TILT, NOTIONAL, FEE, A, C, PER_PRICE = 0, 1, 2, 3, 4, 5, 7, 9, 10, 11
RISK, PREMIUM, SOLD_RISK, ORDER_FEE, FLOOR, CAP, OVER, NUMBERS = 12, 14, 16, 17, 18, 19, 20, 21
"""Columns of `LadderTerms.number`; of notional, fee, risk and premium the second level stands behind the first."""

RULE, AT_BANKRUPTCY, FIRST, PAST, BASIS, KIND, ROWS = 0, 1, 2, 4, 6, 8, 9
"""Columns of `LadderTerms.row`; of first, past and basis the second level stands behind the first."""

OPTION, SCHEDULED, BOUNDED = 1, 2, 4
"""Bits of a kind: an option on a formula, what a directional schedule moves, and whose rate it holds within a floor and a cap."""

NOW, AT_ENTRY, WORST = range(3)
"""Basis of a margin: a price of the instant, the entry, or the larger of both notionals."""

AT_PRICE, AT_MARK, AT_WORSE = range(3)
"""On which notional an order's margin is taken."""

BY_TIER, LARGER, BY_LEVERAGE = range(3)
"""Which of a tier's and the holder's rate makes an initial margin."""

NEAREST, HALF_EVEN, UP, DOWN, AWAY, TRUNCATE = range(6)
"""Directions of rounding, in the order of `core.rounding.Direction`."""

PlainTiers: TypeAlias = tuple[F64, F64, F64, F64, F64]
PlainGrid: TypeAlias = tuple[float, float, int, float, float]

# As in `core.rounding`; constants of the machine code, for what is handed over to a function a position is slow.
DECADES = np.array([float(f"1e{k}") for k in range(-300, 300)])
FIFTEENTH = np.array([0.0, *(float(f"1e{k - 14}") for k in range(-300, 299)), 0.0])
DIGITS_MAX, ROUNDED = 1e15, 1.2e-16
_LOG10_2 = 0.30103


@inner
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


@inner
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
def on_step(amount: float, grid: PlainGrid) -> float:
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


@inlined
def tier_of(floor: F64, first: int, past: int, units: float) -> np.uint64:
    """Row of a size; a size on a boundary belongs to the tier below."""
    row = first
    while row + 1 < past and units > floor[np.uint64(row + 1)]:
        row += 1
    return np.uint64(row)


@inner
def in_money(margin: float, value: float, units: float, by_value: bool) -> float:
    """Margin in the ladder's own unit, in the settlement asset."""
    if by_value:
        return margin
    return value * (margin / units) if units > 0.0 else 0.0 * value


@inner
def by_leverage(rule: int, margin: float, value: float, leverage: float) -> float:
    """Initial margin where the holder chose a leverage."""
    if np.isnan(leverage) or rule == BY_TIER:
        return margin
    chosen = value / leverage
    return chosen if rule == BY_LEVERAGE or chosen > margin else margin


@inner
def fee_of(rate: float, value: float, tilt: float, at_bankruptcy: int) -> float:
    """Closing fee, of the notional or of that at the bankruptcy price."""
    return rate * (value * max(1.0 + tilt, 0.0) if at_bankruptcy != 0 else value)


@inlined
def tier_margin(
    instruments: tuple[F64, I64], tiers: PlainTiers, level: int, i: np.uint64, quantity: float, value: float
) -> float:
    """Margin by the ladder alone of a quantity that is worth a value, at a level."""
    (number, row), (floor, rate, slope, cut, root) = instruments, tiers
    unit = number[i, UNIT]
    by_value = bool(np.isnan(unit))
    units = value if by_value else abs(quantity) * unit
    at = tier_of(floor, row[i, FIRST + level], row[i, PAST + level], units)
    rates = rate[at] + slope[at] * units + (root[at] * np.sqrt(units) if len(root) > 0 else 0.0)
    return in_money(units * rates - cut[at], value, units, by_value)


@inner
def asked_alone(
    instruments: tuple[F64, I64],
    tiers: PlainTiers,
    i: np.uint64,
    quantity: float,
    value: float,
    leverage: float,
) -> float:
    """Initial margin of a quantity that is worth a value, without a closing fee, not rounded."""
    margin = tier_margin(instruments, tiers, 0, i, quantity, value)
    return by_leverage(instruments[1][i, RULE], margin, value, leverage)


@inner
def tilt_of(number: F64, i: np.uint64, quantity: float, leverage: float) -> float:
    """How far the bankruptcy price lies from the entry, as part of the notional that is closed there."""
    side = 1.0 if quantity > 0.0 else -1.0 if quantity < 0.0 else 0.0
    return 0.0 if np.isnan(leverage) else number[i, TILT] * side / leverage


@inner
def initial_of(
    instruments: tuple[F64, I64],
    tiers: PlainTiers,
    i: np.uint64,
    quantity: float,
    value: float,
    leverage: float,
) -> float:
    """Initial margin of a quantity that is worth a value, not rounded."""
    number, row = instruments
    margin = asked_alone(instruments, tiers, i, quantity, value, leverage)
    tilt = tilt_of(number, i, quantity, leverage)
    return margin + fee_of(number[i, FEE], value, tilt, row[i, AT_BANKRUPTCY])


@inlined
def notional_of(number: F64, i: np.uint64, size: float, level: int, basis: int, entry: float) -> float:
    """What a margin at a level is taken on."""
    if basis == NOW:
        return float(size * number[i, NOTIONAL + level])
    bought = float(size * (number[i, A] * entry + number[i, C] / entry))
    if basis == AT_ENTRY:
        return bought
    now = float(size * number[i, NOTIONAL + level])
    return bought if bought > now or np.isnan(bought) else now


@inlined
def option_margin(number: F64, i: np.uint64, quantity: float, level: int, factor: float) -> float:
    """Margin of an option on its formula: of what is short, the risk by a factor, and the premium."""
    short = max(-quantity, 0.0) * number[i, A]
    premium = number[i, PREMIUM + level]
    return float(short * (number[i, RISK + level] * factor + premium) if short > 0.0 else 0.0 * premium)
