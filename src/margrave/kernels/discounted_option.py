"""Black-76 as a protocol in fixed-point arithmetic has it: a discount factor instead of a rate, and no argument refused.

The formula is that of `black76`; what is added is what happens at its edges.
"""

import numpy as np

from margrave.kernels.arrays import F64, Bools, Flag, Real, non_negative
from margrave.kernels.black76 import quote_greeks, quote_price

_DEVIATION_MAX = 24.0  # vol times √years from which an option is worth its bound


def discounted_price(
    forward: Real, strike: Real, vol: Real, years: Real, is_call: Flag, discount: Real = 1.0
) -> F64:
    """Value of a quote-settled option on one coin under a discount factor.

    Parameters
    ----------
    forward, strike : (...) ndarray or float
        >= 0. [quote per coin]
    vol, years : (...) ndarray or float
        >= 0.
    is_call : (...) ndarray of bool or bool
        True for a call.
    discount : (...) ndarray or float
        Discount factor D, >= 0.

    Returns
    -------
    (...) ndarray
        >= 0; a call at most F D, a put at most K D. A strike of zero makes the call F D and the put 0, a forward of
        zero the call 0 and the put K D; from a total vol of 24 both are at their bound. [quote per coin of size]

    Raises
    ------
    ValueError
        An argument is NaN, infinite or negative.

    References
    ----------
    Black, Journal of Financial Economics 3, 1976; edges: specification of the protocols 1.1 (Derive).
    """
    forward, strike, vol, years, discount, call = _checked(forward, strike, vol, years, discount, is_call)
    bound = np.where(call, forward, strike)
    inside = _inside(forward, strike, vol, years)
    value = np.where((strike == 0.0) & ~call | (forward == 0.0) & call, 0.0, bound)
    value[inside] = quote_price(forward[inside], strike[inside], vol[inside], years[inside], call[inside])
    return np.asarray(np.minimum(value, bound) * discount)


def discounted_delta(
    forward: Real, strike: Real, vol: Real, years: Real, is_call: Flag, discount: Real = 1.0
) -> F64:
    """Derivative of `discounted_price` by the forward.

    In coins per coin of size. Parameters, errors and edges are those of `discounted_price`; at an edge the call's delta is D, or 0 at a
    forward of zero, and the put's is that less D.
    """
    forward, strike, vol, years, discount, call = _checked(forward, strike, vol, years, discount, is_call)
    inside = _inside(forward, strike, vol, years)
    delta = np.asarray(np.where((forward == 0.0) & (strike > 0.0), 0.0, 1.0) - np.where(call, 0.0, 1.0))
    if inside.any():
        greeks = quote_greeks(forward[inside], strike[inside], vol[inside], years[inside], call[inside])
        delta[inside] = greeks.delta
    return np.asarray(delta * discount)


def _checked(
    forward: Real, strike: Real, vol: Real, years: Real, discount: Real, is_call: Flag
) -> tuple[F64, F64, F64, F64, F64, Bools]:
    named = {"forward": forward, "strike": strike, "vol": vol, "years": years, "discount": discount}
    arrays = [non_negative(name, value) for name, value in named.items()]
    f, k, v, t, d, call = np.broadcast_arrays(*arrays, np.asarray(is_call, dtype=np.bool_))
    return f, k, v, t, d, call


def _inside(forward: F64, strike: F64, vol: F64, years: F64) -> Bools:
    # Where the formula itself is asked; at the edges the value is its limit.
    return np.asarray((forward > 0.0) & (strike > 0.0) & (vol * np.sqrt(years) < _DEVIATION_MAX))
