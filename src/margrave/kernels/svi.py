"""Vol of an SVI smile, with the bounds that a protocol in fixed-point arithmetic puts on it.

Raw SVI gives the total variance w of a log-moneyness k: w = a + b (rho (k - m) + √((k - m)² + sigma²)).
"""

import numpy as np

from margrave.kernels.arrays import F64, Real, finite, non_negative, positive

_BAND = 4.0  # log-moneyness is clipped to this many deviations √(a + b sigma)
_VARIANCE_MAX = 144.0  # of the whole life: a total vol of 12


def svi_log_moneyness(strike: Real, forward: Real, a: Real, b: Real, sigma: Real) -> F64:
    """Log-moneyness at which the smile is read: ln(K / F) within ±4 √(a + b sigma).

    Parameters
    ----------
    strike : (...) ndarray or float
        >= 0; a strike of zero lies on the lower bound. [quote per coin]
    forward : (...) ndarray or float
        > 0. [quote per coin]
    a, b, sigma : (...) ndarray or float
        Level, slope and curvature of the smile; a + b sigma >= 0.

    Returns
    -------
    (...) ndarray
        Of the broadcast shape.

    Raises
    ------
    ValueError
        An argument is NaN, infinite or out of range.

    References
    ----------
    Specification of the protocols 1.1, conventions (Derive).
    """
    strike, forward = non_negative("strike", strike), positive("forward", forward)
    bound = _BAND * np.sqrt(
        non_negative("a + b sigma", finite("a", a) + finite("b", b) * finite("sigma", sigma))
    )
    with np.errstate(divide="ignore"):
        return np.asarray(np.clip(np.log(strike / forward), -bound, bound))


def svi_vol(  # noqa: PLR0913 - the five parameters of a smile and where it is read
    strike: Real, years: Real, a: Real, b: Real, rho: Real, m: Real, sigma: Real, forward: Real
) -> F64:
    """Annual vol of strikes on an SVI smile.

    Parameters
    ----------
    strike : (...) ndarray or float
        >= 0. [quote per coin]
    years : (...) ndarray or float
        Life that the smile's variance belongs to, > 0.
    a, b, rho, m, sigma : (...) ndarray or float
        The raw parameters; a + b sigma >= 0.
    forward : (...) ndarray or float
        Forward that the smile was fitted on, > 0. [quote per coin]

    Returns
    -------
    (...) ndarray
        √(w / years), w at most 144; 0 at a strike of zero. [per square root of a year]

    Raises
    ------
    ValueError
        An argument is NaN, infinite or out of range, or the smile has a negative variance at a strike.

    References
    ----------
    Gatheral, "A parsimonious arbitrage-free implied volatility parameterization", 2004. Bounds: specification of
    the protocols 1.1 (Derive).
    """
    strike, years = non_negative("strike", strike), positive("years", years)
    away = svi_log_moneyness(strike, forward, a, b, sigma) - finite("m", m)
    variance = a + b * (finite("rho", rho) * away + np.hypot(away, sigma))
    variance = np.where(strike > 0.0, variance, 0.0)
    non_negative("variance of the smile", variance)
    return np.asarray(np.sqrt(np.minimum(variance, _VARIANCE_MAX) / years))
