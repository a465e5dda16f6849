"""Numbers of 48 binary places, as Mango keeps them: products are rounded down, quotients cut toward zero.

They mix with floats and whole numbers, which are taken to the nearest 2^-48, so that one formula serves both.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias, final

PLACES = 48
ONE = 1 << PLACES


@final
@dataclass(frozen=True, slots=True, eq=False)
class I80F48:
    """A whole number of 2^-48 units."""

    units: int

    def __add__(self, other: "Number") -> "I80F48":
        return I80F48(self.units + i80f48(other).units)

    __radd__ = __add__

    def __sub__(self, other: "Number") -> "I80F48":
        return I80F48(self.units - i80f48(other).units)

    def __rsub__(self, other: "Number") -> "I80F48":
        return I80F48(i80f48(other).units - self.units)

    def __mul__(self, other: "Number") -> "I80F48":
        return I80F48((self.units * i80f48(other).units) >> PLACES)

    __rmul__ = __mul__

    def __truediv__(self, other: "Number") -> "I80F48":
        return _quotient(self, i80f48(other))

    def __rtruediv__(self, other: "Number") -> "I80F48":
        return _quotient(i80f48(other), self)

    def __neg__(self) -> "I80F48":
        return I80F48(-self.units)

    def __abs__(self) -> "I80F48":
        return I80F48(abs(self.units))

    def __lt__(self, other: "Number") -> bool:
        return self.units < _scaled(other)

    def __le__(self, other: "Number") -> bool:
        return self.units <= _scaled(other)

    def __gt__(self, other: "Number") -> bool:
        return self.units > _scaled(other)

    def __ge__(self, other: "Number") -> bool:
        return self.units >= _scaled(other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, I80F48 | int | float) and self.units == _scaled(other)

    def __hash__(self) -> int:
        return hash(Fraction(self.units, ONE))

    def __bool__(self) -> bool:
        return self.units != 0

    def __float__(self) -> float:
        return self.units / ONE

    def __ceil__(self) -> int:
        return -(-self.units >> PLACES)


Number: TypeAlias = float | I80F48


def i80f48(number: Number) -> I80F48:
    """Take a finite number into fixed point: to the nearest unit, the even one of two as near."""
    if isinstance(number, I80F48):
        return number
    return I80F48(number << PLACES if isinstance(number, int) else round(number * ONE))


def total(numbers: Iterable[Number]) -> Number:
    """A sum: of floats rounded once at the end, of fixed point exact."""
    plain: list[float] = []
    fixed: list[int] = []
    for number in numbers:
        if isinstance(number, I80F48):
            fixed.append(number.units)
        else:
            plain.append(number)
    return I80F48(sum(fixed)) + math.fsum(plain) if fixed else math.fsum(plain)


def _scaled(number: Number) -> float:
    """A number in units, without rounding: a power of two times a float is exact, or infinite."""
    return number.units if isinstance(number, I80F48) else number * ONE


def _quotient(numerator: I80F48, denominator: I80F48) -> I80F48:
    whole = abs(numerator.units << PLACES) // abs(denominator.units)
    return I80F48(whole if (numerator.units < 0) == (denominator.units < 0) else -whole)
