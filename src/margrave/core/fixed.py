"""Numbers of eighteen decimals whose products and quotients are cut toward zero, as a protocol on a chain has them.

In an object array they go through the formulas that are written for float64, and the sums, products and
comparisons are then the protocol's to the last unit, on every machine.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal, InvalidOperation
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

_ONE = 10**18
_EXACT = Context(prec=100, rounding=ROUND_DOWN)

Exact: TypeAlias = "Fixed | int"  # an int is that many whole units


@final
@dataclass(frozen=True, slots=True, order=False, eq=False)
class Fixed:
    """A whole number of 1e-18 units. Plain ints mix in as whole numbers; floats do not."""

    units: int

    def __add__(self, other: Exact) -> "Fixed":
        return Fixed(self.units + _units(other))

    __radd__ = __add__

    def __sub__(self, other: Exact) -> "Fixed":
        return Fixed(self.units - _units(other))

    def __rsub__(self, other: Exact) -> "Fixed":
        return Fixed(_units(other) - self.units)

    def __mul__(self, other: Exact) -> "Fixed":
        return Fixed(_quotient(self.units * _units(other), _ONE))

    __rmul__ = __mul__

    def __truediv__(self, other: Exact) -> "Fixed":
        return Fixed(_quotient(self.units * _ONE, _units(other)))

    def __rtruediv__(self, other: Exact) -> "Fixed":
        return Fixed(_quotient(_units(other) * _ONE, self.units))

    def __neg__(self) -> "Fixed":
        return Fixed(-self.units)

    def __abs__(self) -> "Fixed":
        return Fixed(abs(self.units))

    def __lt__(self, other: Exact) -> bool:
        return self.units < _units(other)

    def __le__(self, other: Exact) -> bool:
        return self.units <= _units(other)

    def __gt__(self, other: Exact) -> bool:
        return self.units > _units(other)

    def __ge__(self, other: Exact) -> bool:
        return self.units >= _units(other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fixed | int) and self.units == _units(other)

    def __hash__(self) -> int:
        return hash(self.units)

    def __float__(self) -> float:
        return self.units / _ONE

    def __int__(self) -> int:
        """Integer part, cut toward zero."""
        return _quotient(self.units, _ONE)

    def __str__(self) -> str:
        return f"{Decimal(self.units).scaleb(-18, _EXACT):f}"


def fixed(value: float | str | Decimal) -> Fixed:
    """Take a number into fixed point, cutting what lies beyond eighteen decimals.

    Parameters
    ----------
    value : float, str or Decimal
        A float stands for its shortest decimal form, so that 0.4 is four tenths.

    Raises
    ------
    ValueError
        Not a finite number.
    """
    try:
        exact = Decimal(repr(float(value))) if isinstance(value, float) else Decimal(value)
    except InvalidOperation:
        exact = Decimal("NaN")
    if not exact.is_finite():
        raise ValueError(f"a fixed-point number must be a finite number, got {value!r}")
    return Fixed(int(exact.scaleb(18, _EXACT)))


def fixed_array(values: Iterable[float | str | Decimal]) -> NDArray[Any]:
    """Numbers in fixed point as an object array (n,)."""
    numbers = [fixed(value) for value in values]
    array = np.empty(len(numbers), dtype=object)
    array[:] = numbers
    return array


def _units(value: Exact) -> int:
    return value.units if isinstance(value, Fixed) else value * _ONE


def _quotient(numerator: int, denominator: int) -> int:
    # Toward zero, where // goes toward minus infinity.
    sign = -1 if (numerator < 0) != (denominator < 0) else 1
    return sign * (abs(numerator) // abs(denominator))
