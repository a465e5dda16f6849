"""Implied vol of coin-settled and quote-settled options."""

import numpy as np

from margrave.kernels.arrays import F64, Bools, Flag, Real, finite, non_negative, positive
from margrave.kernels.normal import normal_cdf, normal_pdf

_ULP = 2.0**-52
_STEPS_MAX = 100
_DISTANCE_MAX = 40.0  # where the normal tail has vanished
_SMALLEST = 5e-324  # spacing of the smallest numbers
_SETTLED = 4.0 * _ULP  # relative step of the deviation that is rounding
_VOL_NOISE_MAX = 0.01  # a price whose last digit moves vol by more than 1 % says nothing about vol


def implied_vol_coin(
    price: Real, forward: Real, strike: Real, years: Real, is_call: Flag, lending_rate: Real = 0.0
) -> tuple[F64, Bools]:
    """Vol at which `coin_price` equals a price in coin.

    Parameters
    ----------
    price : (...) ndarray or float
        >= 0 [coin per coin of size].
    forward, strike, years, is_call, lending_rate : (...) ndarray or float
        As in `margrave.kernels.black76.coin_price`.

    Returns
    -------
    vol : (...) ndarray
        >= 0, fraction per square root of a year; NaN where ``uninformative``.
    uninformative : (...) ndarray of bool
        True where the price carries no vol information: no time left, no time value beyond rounding or below
        zero, a price at or above its upper bound, or a vega so small that the last digit of the price moves
        vol by over 1 %.

    Raises
    ------
    ValueError
        An argument is NaN, infinite or out of range, or strike / forward, the discount factor or the price
        over it is not representable.

    Notes
    -----
    Newton's method on the out-of-the-money side, kept inside a bracket that only shrinks: below the
    inflection in (log price, 1/s²), where the price is nearly a straight line, above it in (price, s), where
    it is concave. Repricing gives the price back to a few units of its last digit.

    References
    ----------
    The inflection as a safe start: Manaster and Koehler, Journal of Finance 37(1), 1982.
    """
    price, forward, strike = (
        non_negative("price", price),
        positive("forward", forward),
        positive("strike", strike),
    )
    years, rate = non_negative("years", years), finite("lending_rate", lending_rate)
    price = _undiscounted(price, rate, years)
    return _implied_vol(price, _moneyness(strike, forward), years, np.asarray(is_call))


def implied_vol_quote(
    price: Real, forward: Real, strike: Real, years: Real, is_call: Flag, quote_rate: Real = 0.0
) -> tuple[F64, Bools]:
    """Vol at which `quote_price` equals a price in quote currency.

    As `implied_vol_coin`, with ``price`` in [quote per coin of size] and the rate of the quote currency.
    """
    price, forward, strike = (
        non_negative("price", price),
        positive("forward", forward),
        positive("strike", strike),
    )
    years, rate = non_negative("years", years), finite("quote_rate", quote_rate)
    with np.errstate(over="ignore"):
        price = non_negative("price / forward", _undiscounted(price, rate, years) / forward)
    return _implied_vol(price, _moneyness(strike, forward), years, np.asarray(is_call))


def _undiscounted(price: F64, rate: F64, years: F64) -> F64:
    with np.errstate(over="ignore", invalid="ignore"):
        discount = positive("discount factor exp(-rate × years)", np.exp(-rate * years))
        return non_negative("price / discount factor", price / discount)


def _moneyness(strike: F64, forward: F64) -> F64:
    with np.errstate(over="ignore"):
        return positive("strike / forward", strike / forward)


def _implied_vol(price: F64, moneyness: F64, years: F64, is_call: Bools) -> tuple[F64, Bools]:
    # `price` is undiscounted, with the forward as unit; parity leaves the time value of the out-of-the-money
    # side.
    price, moneyness, years, is_call = np.broadcast_arrays(price, moneyness, years, is_call)
    shape = price.shape
    root = np.sqrt(moneyness)
    intrinsic = np.maximum(np.where(is_call, 1.0 - moneyness, moneyness - 1.0), 0.0)
    rounding = _ULP * (price + np.where(intrinsic > 0.0, moneyness, 0.0)) + _SMALLEST
    target = (price - intrinsic) / root
    log_moneyness = -np.abs(np.log(moneyness))
    bound = np.exp(0.5 * log_moneyness)
    solvable = (price - intrinsic > 4.0 * rounding) & (target < bound * (1.0 - 4.0 * _ULP)) & (years > 0.0)

    deviation = np.full(shape, np.nan)
    noise = np.full(shape, np.inf)
    if np.any(solvable):
        found, vega = _deviation(log_moneyness[solvable], target[solvable])
        deviation[solvable] = found
        with np.errstate(divide="ignore"):
            noise[solvable] = rounding[solvable] / (root[solvable] * vega * found)
    uninformative = ~(noise <= _VOL_NOISE_MAX)
    years_safe = np.where(uninformative, 1.0, years)
    return np.where(uninformative, np.nan, deviation / np.sqrt(years_safe)), uninformative


def _deviation(x: F64, target: F64) -> tuple[F64, F64]:
    # Total deviation s with value(x, s) = target, (M,) each, and the slope of the value there.
    found, slope = np.empty_like(x), np.empty_like(x)
    row = np.arange(len(x))  # what is still open; settled rows leave, since most do after a few steps
    inflection = np.sqrt(-2.0 * x)
    low, high = np.zeros_like(x), 9.0 + np.sqrt(81.0 - 2.0 * x)  # beyond `high` the value is its bound
    # At the money the inflection is zero; the slope there is known, and the value is concave from it on.
    s = np.where(inflection > 0.0, inflection, np.minimum(target * np.sqrt(2.0 * np.pi), 0.5 * high))
    is_low = (target < _value(x, s)[0]) & (inflection > 0.0)
    for _ in range(_STEPS_MAX):
        value, vega, rounding = _value(x, s)
        found[row], slope[row] = s, vega
        proposal = _newton(s, value, vega, target, is_low)
        open_ = (np.abs(proposal - s) > _SETTLED * s) & (np.abs(value - target) > rounding)
        open_ |= np.isnan(proposal)
        if not open_.any():
            break
        low, high = np.where(value <= target, s, low), np.where(value > target, s, high)
        inside = (proposal >= low) & (proposal <= high)  # false for NaN
        s = np.where(inside, proposal, 0.5 * (low + high))
        row, x, target, is_low = row[open_], x[open_], target[open_], is_low[open_]
        s, low, high = s[open_], low[open_], high[open_]
    return found, slope


def _newton(deviation: F64, value: F64, vega: F64, target: F64, is_low: Bools) -> F64:
    # An overflow or 0/0 far from the root gives NaN or infinity, which the bracket turns down.
    with np.errstate(all="ignore"):
        straight = deviation - (value - target) / vega
        inverse_square = deviation**-2.0 + 2.0 * np.log(value / target) * value / (vega * deviation**3.0)
        return np.where(is_low, 1.0 / np.sqrt(inverse_square), straight)


def _value(x: F64, deviation: F64) -> tuple[F64, F64, F64]:
    # Out-of-the-money value with √(FK) as unit, exp(x/2) N(x/s + s/2) - exp(-x/2) N(x/s - s/2); its slope
    # in s; and what rounding may add to it, mostly that of the squares in the exponents.
    with np.errstate(over="ignore", divide="ignore"):
        centre = x / deviation
    near, far = centre + 0.5 * deviation, centre - 0.5 * deviation
    upper, lower = normal_cdf(np.array((near, far)))
    weight = np.exp(0.5 * x)
    gain = weight * upper
    rounding = _ULP * gain * (4.0 + 3.0 * np.square(np.maximum(far, -_DISTANCE_MAX)))
    return np.maximum(gain - lower / weight, 0.0), weight * normal_pdf(near), rounding
