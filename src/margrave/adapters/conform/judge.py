"""Judging a number against a published one: by displayed digits, or by the tolerance that the vector states.

A tolerance is a table: ``rel`` and ``abs`` (the larger bound holds), ``exact``, ``truncated_toward_zero`` (the source
prints the integer part) or ``floor_scale`` n (the source floors at the n-th part). It holds for every number of an
output, however deep it lies in lists and tables; what is no number (truth, absence, a word) must be the same.
"""

import math
from collections.abc import Iterator, Mapping
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from margrave.adapters.conform.vector import Vector

DIGITS_OF_DECIMALS = 12
FLOAT_NOISE = Decimal("5e-13")
"""Relative error that float64 leaves where 13 digits or more are shown and a difference of near prices was taken."""

NUDGE = Fraction(1, 10**6)
"""What is added, away from zero, before digits are cut: 824.9999999 is 825 and a float's last bit."""

RULES = frozenset({"rel", "abs", "exact", "truncated_toward_zero", "floor_scale"})


class Interval(NamedTuple):
    """What a calculation gives at both ends of an input that the source shows rounded."""

    low: float
    high: float


def states_tolerance(vector: Vector) -> bool:
    """Whether the vector says how close is close; otherwise its displayed digits do."""
    return isinstance(vector.tolerance, dict) and not RULES.isdisjoint(vector.tolerance)


def differences(want: Any, have: Any, tolerance: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is not within tolerance, each with its place.

    Parameters
    ----------
    want, have : Any
        Published and calculated output: a number, a decimal in quotation marks, a truth, a word, None, or lists and
        tables of them. NaN and infinities agree with no number; what is calculated beyond what is published is not
        looked at.
    tolerance : mapping
        The table of the module's docstring.
    where : str
        Name of the output.

    Yields
    ------
    str
        One sentence a difference.
    """
    if isinstance(want, dict) and isinstance(have, Mapping):
        for name, inner in want.items():
            if name in have:
                yield from differences(inner, have[name], tolerance, f"{where}.{name}")
            else:
                yield f"{where}.{name}: published {inner}, not calculated"
    elif isinstance(want, list) and isinstance(have, list | tuple) and len(want) == len(have):
        for place, (inner, found) in enumerate(zip(want, have, strict=True)):
            yield from differences(inner, found, tolerance, f"{where}[{place}]")
    elif not _same(want, have, tolerance):
        yield f"{where}: published {want}, calculated {have!r}"


def difference(want: Any, have: Any) -> float | None:
    """Calculated minus published, or None where they are no numbers."""
    published, found = number_of(want), number_of(have)
    return None if published is None or found is None else float(found - published)


def number_of(value: Any) -> Fraction | None:
    """A number exactly as its decimal form shows it, or None for what is no finite number (a truth is none)."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | Fraction):
        return Fraction(value)
    try:
        return Fraction(value if isinstance(value, str) else repr(float(value)))
    except (TypeError, ValueError, ZeroDivisionError):
        return None


def _same(want: Any, have: Any, tolerance: Mapping[str, Any]) -> bool:
    published, found = number_of(want), number_of(have)
    if published is None or found is None:
        alike = isinstance(have, type(want)) and isinstance(have, bool) is isinstance(want, bool)
        return alike and bool(want == have)
    if tolerance.get("truncated_toward_zero"):
        return math.trunc(_nudged(found)) == published
    if scale := Fraction(tolerance.get("floor_scale", 0)):
        return math.floor(found * scale + NUDGE) == math.floor(published * scale)
    bounds = [Fraction(str(tolerance.get("abs", 0))), Fraction(str(tolerance.get("rel", 0))) * abs(published)]
    bound = Fraction(0) if tolerance.get("exact") else max(bounds)
    return abs(found - published) <= bound


def _nudged(number: Fraction) -> Fraction:
    return number + NUDGE if number >= 0 else number - NUDGE


def agrees(vector: Vector, want: Any, have: Any, digits: int | None) -> bool:
    """Whether a number shows the published digits; cut or rounded up where the source says so."""
    if have is None or want is None:
        return have is want
    if isinstance(have, Interval):
        return Fraction(have.low) <= Fraction(str(want)) <= Fraction(have.high)
    exact, published = Decimal(repr(float(have))), Decimal(str(want))
    if digits is None:
        digits = max(-int(published.as_tuple().exponent), 0)
    unit = Decimal(1).scaleb(-digits)
    if digits > DIGITS_OF_DECIMALS:
        return abs(exact - published) <= max(unit / 2, FLOAT_NOISE * abs(published))
    told = published.quantize(unit, ROUND_HALF_UP)
    shown = {exact.quantize(unit, ROUND_HALF_UP)}
    if truncates(vector, digits):
        shown.add(exact.quantize(unit, ROUND_DOWN))
    if "rounds" in vector.note and " up" in vector.note:
        shown.add(exact.quantize(unit, ROUND_UP))
    return told in shown or abs(exact - published) <= unit / 2


def truncates(vector: Vector, digits: int) -> bool:
    """Whether the source cuts digits instead of rounding.

    Its note says so, the venue does (Binance: amounts of eight decimals), or the number was typed into a test suite
    that compares to six digits.
    """
    told = any(word in vector.note for word in ("truncat", "floor"))
    venue = vector.venue == "Binance" and digits == 8
    return told or venue or vector.kind.startswith("test-suite")
