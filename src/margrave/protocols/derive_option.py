"""Derive's option formulas in eighteen decimals: Black-76 with a discount factor, and vols of an SVI smile.

Every product, quotient and function is cut toward zero where the protocol cuts it (spec defi 1.1). Exponential,
logarithm and normal distribution are the exact ones cut, where a chain has approximations that are right to about
fifteen digits.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from math import isqrt
from typing import Final, final

from margrave.core.fixed import Fixed, fixed
from margrave.domain.checks import require
from margrave.protocols import exact_option

_UNIT: Final = Fixed(1)
_ZERO: Final = Fixed(0)
_ONE: Final = fixed("1")
_FAR: Final = fixed("9.3")  # beyond, a tail is below the last unit
_WIDTH_MOST: Final = fixed("24")  # vol times √years from which an option is worth its bound
_BAND: Final = 4  # log-moneyness is clipped to this many deviations √(a + b sigma)
_VARIANCE_MOST: Final = fixed("144")
_WINDOW: Final = 1800  # seconds in which the settlement price is averaged
_YEAR: Final = 365 * 86_400


def as_decimal(number: Fixed) -> Decimal:
    """The number itself, all of its digits."""
    return Decimal(number.units).scaleb(-18, exact_option.EXACT)


def years_of(seconds: int) -> Fixed:
    """Years of 365 days, cut."""
    return Fixed(seconds * 10**18 // _YEAR)


@lru_cache(maxsize=65_536)
def logarithm(x: Fixed) -> Fixed:
    """Natural logarithm of a number above zero, cut."""
    return fixed(exact_option.EXACT.ln(as_decimal(x)))


def exponential(x: Fixed) -> Fixed:
    """E to the x, cut."""
    return fixed(exact_option.exponential(as_decimal(x)))


def power(base: Fixed, exponent: Fixed) -> Fixed:
    """A base above zero to any exponent, cut."""
    return fixed(exact_option.power(as_decimal(base), as_decimal(exponent)))


def square_root(x: Fixed) -> Fixed:
    """Root of a number not below zero, cut."""
    return Fixed(isqrt(x.units * 10**18))


@lru_cache(maxsize=65_536)
def normal(x: Fixed) -> Fixed:
    """Standard normal distribution: the tail is cut, and the other side is one less the tail."""
    if x > 0:
        return _ONE - normal(-x)
    return _ZERO if x < -_FAR else fixed(exact_option.normal_cdf(as_decimal(x)))


@final
@dataclass(frozen=True, slots=True)
class Option:
    """Terms of an option on one coin."""

    strike: Fixed
    is_call: bool
    years: Fixed


def option_price(option: Option, forward: Fixed, vol: Fixed, discount: Fixed) -> Fixed:
    """Black-76 price of an option on one coin under a discount factor, as the protocol cuts it.

    Parameters
    ----------
    option : Option
        A strike of zero makes the call the discounted forward and the put nothing.
    forward, vol, discount : Fixed
        >= 0; a forward of zero makes the put the discounted strike and the call nothing.

    Returns
    -------
    Fixed
        >= 0, a call at most the discounted forward, a put at most the discounted strike; from a total vol of 24 on
        the call is at its bound. [quote per coin]

    References
    ----------
    Specification of the protocols 1.1, conventions (Derive). The price of a forward of one is cut to a unit before it
    is multiplied by the forward, and the put is the call by parity, so that both stand within some units of the
    discounted forward times 1e-18 of the exact price. Order of cuts: Black76.sol of derivexyz/lyra-utils (ISC).
    """
    own, paid = forward * discount, option.strike * discount
    if option.strike == 0 or forward == 0:
        return own if option.is_call else paid
    moneyness = max(option.strike / forward, _UNIT)
    share = _call_share(moneyness, vol * square_root(option.years))
    if option.is_call:
        return min(share * own, own)
    return min(max(share + moneyness - _ONE, _ZERO) * own, paid)


def _call_share(moneyness: Fixed, width: Fixed) -> Fixed:
    # A call on a forward of one.
    if width >= _WIDTH_MOST:
        return _ONE
    width = max(width, _UNIT)
    d1 = (Fixed(width.units // 2) * width - logarithm(moneyness)) / width
    return max(normal(d1) - moneyness * normal(d1 - width), _ZERO)


@final
@dataclass(frozen=True, slots=True)
class Smile:
    """Raw SVI parameters, the forward that they were fitted on and the years that their variance belongs to."""

    a: Fixed
    b: Fixed
    rho: Fixed
    m: Fixed
    sigma: Fixed
    forward: Fixed
    years: Fixed

    def __post_init__(self) -> None:
        require(self.forward > 0, "forward", str(self.forward), "above zero")
        require(self.years > 0, "years", str(self.years), "above zero")
        least = self.a + self.b * self.sigma
        require(least >= 0, "a + b sigma", str(least), "zero or more")


def smile_vol(smile: Smile, strike: Fixed) -> Fixed:
    """Annual vol of a strike: ``√((a + b (rho (k - m) + √((k - m)² + sigma²))) / years)``, cut at every step.

    Parameters
    ----------
    smile : Smile
        k = ln(strike / forward) counts within ±4 √(a + b sigma), the variance up to 144.
    strike : Fixed
        >= 0; a strike of zero has no vol.

    Raises
    ------
    ValueError
        The smile has a negative variance at the strike.

    References
    ----------
    Specification of the protocols 1.1, conventions (Derive).
    """
    if strike == 0:
        return _ZERO
    bound = square_root(smile.a + smile.b * smile.sigma) * _BAND
    away = min(max(logarithm(max(strike / smile.forward, _UNIT)), -bound), bound) - smile.m
    bend = square_root(away * away + smile.sigma * smile.sigma)
    variance = smile.a + smile.b * (bend + smile.rho * away)
    require(variance >= 0, "variance of the smile", str(variance), "zero or more")
    return square_root(min(variance, _VARIANCE_MOST) / smile.years)


def split_forward(forward: Fixed, seconds: int) -> tuple[Fixed, Fixed]:
    """Parts of a forward that the settlement window has fixed, and that still move with spot.

    Parameters
    ----------
    forward : Fixed
        >= 0. [quote per coin]
    seconds : int
        To expiry, >= 0; in the last thirty minutes a share of ``1 - seconds / 1800`` is fixed.
    """
    share = Fixed(max(_WINDOW - seconds, 0) * 10**18 // _WINDOW)
    held = forward * share
    return held, forward - held
