"""Black-76, exponentials and powers in sixty decimal digits: the same digits on every machine.

Exponential, logarithm and root are those of Python's decimal arithmetic, which rounds them correctly; the normal
distribution is a series of terms of one sign. Cut to eighteen decimals the last unit is right unless a number is
nearer than 1e-40 to the next.
"""

from decimal import Context, Decimal
from functools import lru_cache
from typing import Final

EXACT: Final = Context(prec=60)
_FAR: Final = Decimal(15)  # beyond, a tail is below 1e-50
_ROOT_TWO_PI: Final = EXACT.sqrt(
    EXACT.multiply(2, Decimal("3.14159265358979323846264338327950288419716939937510582097494459"))
)
_ONE: Final = Decimal(1)


def exponential(x: Decimal) -> Decimal:
    """E to the x."""
    return EXACT.exp(x)


def power(base: Decimal, exponent: Decimal) -> Decimal:
    """A base above zero to any exponent."""
    return EXACT.exp(EXACT.multiply(exponent, EXACT.ln(base)))


@lru_cache(maxsize=4096)
def normal_cdf(x: Decimal) -> Decimal:
    """Standard normal distribution function, absolute error below 1e-50."""
    if x < 0:
        return EXACT.subtract(_ONE, normal_cdf(EXACT.minus(x)))
    if x > _FAR:
        return _ONE
    # 1/2 + phi(x) (x + x^3/3 + x^5/15 + ...)
    square, term, total, k = EXACT.multiply(x, x), x, x, 1
    while term > EXACT.multiply(total, Decimal("1e-60")):
        k += 2
        term = EXACT.divide(EXACT.multiply(term, square), Decimal(k))
        total = EXACT.add(total, term)
    density = EXACT.divide(EXACT.exp(EXACT.divide(EXACT.minus(square), Decimal(2))), _ROOT_TWO_PI)
    return EXACT.add(Decimal("0.5"), EXACT.multiply(density, total))


def option_worth(forward: Decimal, strike: Decimal, vol: Decimal, years: Decimal, is_call: bool) -> Decimal:
    """Black-76 worth of an option on one coin without discount, in quote.

    Parameters
    ----------
    forward, strike : Decimal
        Prices, a strike >= 0. [quote per base]
    vol : Decimal
        >= 0. [per year as a fraction]
    years : Decimal
        To expiry, >= 0.
    is_call : bool
        Else a put.

    Returns
    -------
    Decimal
        >= 0; the intrinsic value where there is no vol, no time, no strike or no forward.
    """
    width = EXACT.multiply(vol, EXACT.sqrt(years))
    if width == 0 or forward <= 0 or strike == 0:
        away = EXACT.subtract(forward, strike)
        return max(away if is_call else EXACT.minus(away), Decimal(0))
    moneyness = EXACT.divide(EXACT.ln(EXACT.divide(forward, strike)), width)
    half = EXACT.divide(width, Decimal(2))
    d1, d2 = EXACT.add(moneyness, half), EXACT.subtract(moneyness, half)
    if not is_call:
        d1, d2 = EXACT.minus(d1), EXACT.minus(d2)
    own, paid = EXACT.multiply(forward, normal_cdf(d1)), EXACT.multiply(strike, normal_cdf(d2))
    worth = EXACT.subtract(own, paid) if is_call else EXACT.subtract(paid, own)
    return max(worth, Decimal(0))
