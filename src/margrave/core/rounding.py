"""The one place that rounds.

Amounts are float64 from valuation to requirement; what a venue rounds, and which way, is a field of its
rulebook and is applied here. The decimal form of the float (its shortest repr) is what is rounded, so that
0.285 rounded to cents is 0.29 and not 0.28.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Decimal
from enum import StrEnum
from functools import cache
from typing import final

import numpy as np
from numpy.typing import NDArray


class Direction(StrEnum):
    """Which of the two neighbouring steps is taken."""

    NEAREST = "nearest"  # half away from zero
    HALF_EVEN = "half-even"
    UP = "up"  # toward plus infinity
    DOWN = "down"  # toward minus infinity
    AWAY = "away"  # away from zero
    TRUNCATE = "truncate"  # toward zero


_DECIMAL = {
    Direction.NEAREST: ROUND_HALF_UP,
    Direction.HALF_EVEN: ROUND_HALF_EVEN,
    Direction.UP: ROUND_CEILING,
    Direction.DOWN: ROUND_FLOOR,
    Direction.AWAY: ROUND_UP,
    Direction.TRUNCATE: ROUND_DOWN,
}


@final
@dataclass(frozen=True, slots=True)
class Step:
    """A grid of amounts and the direction in which a number moves onto it."""

    step: float  # [the amount's unit], > 0
    direction: Direction

    def __post_init__(self) -> None:
        if not (self.step > 0 and np.isfinite(self.step)):
            raise ValueError(f"step is {self.step!r}; it must be a finite number above zero")


def round_to(amount: float, rule: Step) -> float:
    """Move one amount onto the grid.

    Parameters
    ----------
    amount : float
        Finite amount, any sign.
    rule : Step
        Grid and direction. The amount is first taken to 15 significant digits, so that 5739.500000000001,
        which is 5739.5 and a rounding error of the calculation, does not jump a step.

    Returns
    -------
    float
        A whole multiple of ``rule.step``.
    """
    exact = Decimal(f"{amount:.15g}") / Decimal(repr(rule.step))
    return float(exact.to_integral_value(rounding=_DECIMAL[rule.direction]) * Decimal(repr(rule.step)))


def round_all(amounts: NDArray[np.float64], rule: Step | None) -> NDArray[np.float64]:
    """Move every amount of an array onto the grid; without a rule, return the array itself.

    NaN and infinities stay what they are. Amounts that lie clearly between the numbers at which the direction decides
    are moved together, and so are those whose fifteen digits are such a number: a price in ticks of a quantity in lots
    often is one. What is left goes the exact way of `round_to`, one by one.
    """
    if rule is None:
        return amounts
    if not makes_whole(rule):
        return _one_by_one(np.array(amounts), np.flatnonzero(np.isfinite(amounts)), rule)
    per_unit = round(1.0 / rule.step)
    scaled = amounts / rule.step
    halves = scaled + scaled  # whole ones are steps and the middles between them
    near = np.rint(halves)
    with np.errstate(invalid="ignore"):  # infinities stay what they are
        clear = np.abs(halves - near) > CLOSE * np.maximum(np.abs(scaled), 1.0)
    clear |= scaled == 0.0
    move = _WHOLE[rule.direction]
    moved = move(scaled) / per_unit
    if clear.all():
        return moved
    moved = np.where(clear, moved, amounts)
    unclear = np.flatnonzero(~clear & np.isfinite(amounts))
    steps, known = _by_digits(amounts.flat[unclear], near.flat[unclear], per_unit, rule.step)
    moved.flat[unclear[known]] = move(steps[known]) / per_unit
    return _one_by_one(moved, unclear[~known], rule)


def _one_by_one(amounts: NDArray[np.float64], rows: NDArray[np.int64], rule: Step) -> NDArray[np.float64]:
    for at in rows:
        amounts.flat[at] = round_to(float(amounts.flat[at]), rule)
    return amounts


def _by_digits(
    amounts: NDArray[np.float64], halves: NDArray[np.float64], per_unit: int, step: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    # Steps that an amount near a whole number of half steps is, and whether that is known. Where that number has no more
    # than fifteen digits, an amount taken to fifteen is this number, if it lies within half a unit of the last of them, and
    # else stays on its side of it, short of the next.
    size = np.abs(amounts)
    apart = amounts - halves / (2.0 * per_unit)
    half = 0.5 * FIFTEENTH[np.searchsorted(DECADES, size, side="right")]
    lots = last_digits(step)
    digits = np.abs(halves) * np.where(halves % 2.0 == 0.0, 0.5 * lots, 5.0 * lots)
    is_step = np.abs(apart) + ROUNDED * size < half
    is_beside = (np.abs(apart) - ROUNDED * size > half) & (np.abs(apart) + 2.0 * half < 0.5 * step)
    steps = 0.5 * halves + np.where(is_step, 0.0, np.copysign(0.25, apart))
    return steps, (is_step | is_beside) & (digits < DIGITS_MAX)


@cache
def last_digits(step: float) -> float:
    """Digits of a step as a whole number: 25 of 0.0025; infinite where its decimal form is no part of one."""
    exact = Decimal(repr(step))
    if exact * round(1.0 / step) != 1:
        return float("inf")
    return float(int("".join(map(str, exact.as_tuple().digits))))


DECADES = np.array([float(f"1e{k}") for k in range(-300, 300)])
"""Where the decades of amounts begin."""

FIFTEENTH = np.array([0.0, *(float(f"1e{k - 14}") for k in range(-300, 299)), 0.0])
"""Unit of the fifteenth digit of an amount before, in, and beyond each decade; zero where it decides nothing."""

DIGITS_MAX = 1e15
ROUNDED = 1.2e-16
"""How far, as a share of a number, its nearest float may be."""


def makes_whole(rule: Step) -> bool:
    """Whether a whole number of steps makes one unit: not so a step of 0.3."""
    return abs(round(1.0 / rule.step) * rule.step - 1.0) <= 1e-12


CLOSE = 4e-14
"""How near a whole number of half steps a number of half steps, over the larger of one and the steps, may lie to be one.

Fifteen digits are an amount to within 5e-15 of itself, and scaling it adds less than a float's own last digit.
"""

_WHOLE: dict[Direction, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    Direction.NEAREST: lambda x: np.copysign(np.floor(np.abs(x) + 0.5), x),
    Direction.HALF_EVEN: np.rint,
    Direction.UP: np.ceil,
    Direction.DOWN: np.floor,
    Direction.AWAY: lambda x: np.copysign(np.ceil(np.abs(x)), x),
    Direction.TRUNCATE: np.trunc,
}


def in_units(amount: float, unit: float) -> int:
    """Whole number of units nearest to an amount: what a ledger books."""
    nearest = Step(unit, Direction.NEAREST)
    return int(Decimal(repr(round_to(amount, nearest))) / Decimal(repr(unit)))
