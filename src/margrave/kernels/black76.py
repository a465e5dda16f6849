"""Black-76 values and Greeks of options that settle in coin or in quote currency.

Three products, never one formula with a flag: the coin-settled (inverse) option, the quote-settled (linear)
option, and the quanto-inverse option, which is what a dollar-measure expectation of the coin payoff really
prices.

Symbols: F forward, K strike, σ vol, τ years, w = +1 for a call and -1 for a put, D discount factor, s = σ√τ,
d1 = ln(F/K)/s + s/2, d2 = d1 - s, n and N the normal density and distribution function.
"""

from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np

from margrave.kernels.arrays import F64, Flag, Real, finite, non_negative, positive
from margrave.kernels.normal import normal_cdf, normal_pdf

# A total deviation below this is zero. The square of its inverse is finite, and so are d1 d2, which times a
# zero density must be zero and not NaN.
_DEVIATION_MIN = np.asarray(1e-100)
# Arrays, which are quicker beside an array than plain numbers are.
_ZERO, _HALF, _ONE, _MINUS_ONE = (np.asarray(value) for value in (0.0, 0.5, 1.0, -1.0))
_QUANTO_VARIANCE_MAX = 700.0  # exp of more overflows


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Greeks:
    """Value and Greeks of coin-settled options, one coin each; every field has the broadcast shape (...)."""

    coin_price: F64  # [coin], >= 0
    usd_price: F64  # coin price times forward [USD], >= 0
    unadjusted_delta: F64  # d(usd_price)/dF [coin]
    adjusted_delta: F64  # unadjusted delta less coin price = F dc/dF [coin]
    coin_delta: F64  # dc/dF [coin per USD]
    usd_gamma: F64  # d(unadjusted_delta)/dF [coin per USD]
    coin_gamma: F64  # d2c/dF2 [coin per USD squared]
    adjusted_delta_slope: F64  # d(adjusted_delta)/dF [coin per USD]
    coin_vega: F64  # dc/dσ [coin per 1.00 of vol], >= 0
    usd_vega: F64  # forward times coin vega [USD per 1.00 of vol], >= 0
    coin_theta: F64  # dc/dt at constant forward [coin per year]
    coin_vanna: F64  # d2c/dF dσ [coin per USD per 1.00 of vol]
    coin_volga: F64  # d2c/dσ2 [coin per 1.00 of vol squared]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteGreeks:
    """Value and Greeks of quote-settled options on one coin; every field has the broadcast shape (...)."""

    price: F64  # [quote], >= 0
    delta: F64  # d(price)/dF [coin]
    gamma: F64  # d2(price)/dF2 [coin per quote]
    vega: F64  # d(price)/dσ [quote per 1.00 of vol], >= 0
    theta: F64  # d(price)/dt at constant forward [quote per year]
    vanna: F64  # d2(price)/dF dσ [coin per 1.00 of vol]
    volga: F64  # d2(price)/dσ2 [quote per 1.00 of vol squared]


class _Terms(NamedTuple):
    # Checked arguments and what every formula below is made of.
    forward: F64
    vol: F64
    root_years: F64
    sign: F64  # w
    discount: F64  # D
    rate: F64
    moneyness: F64  # K/F
    deviation: F64  # s
    d1: F64
    d2: F64


def coin_price(
    forward: Real, strike: Real, vol: Real, years: Real, is_call: Flag, lending_rate: Real = 0.0
) -> F64:
    """Value in coin of an option that pays (w(S - K))+ / S coins at expiry.

    Parameters
    ----------
    forward, strike : (...) ndarray or float
        > 0 [USD per coin].
    vol : (...) ndarray or float
        >= 0, fraction per square root of a year.
    years : (...) ndarray or float
        Time to expiry, >= 0.
    is_call : (...) ndarray of bool or bool
        True for a call.
    lending_rate : (...) ndarray or float
        Continuous rate of the coin; venues use 0. [per year]

    Returns
    -------
    (...) ndarray
        c = wD (N(w d1) - (K/F) N(w d2)), >= 0. [coin per coin of size]

    Raises
    ------
    ValueError
        An argument is NaN, infinite or out of range, or strike / forward, vol × √years or the discount factor
        is not representable.

    Notes
    -----
    Zero vol or zero time gives the discounted intrinsic value. A call is worth at most D; a put has no upper
    bound as the forward falls. Absolute error about 4e-16 × max(1, K/F); relative error of a price above
    1e-12 below 3e-14 × max(1, 1/s).

    References
    ----------
    Payoff: Deribit, "Inverse Options". The forward as numeraire: Lucic and Sepp, Quantitative Finance 24(7),
    2024.
    """
    return _forward_value(_terms(forward, strike, vol, years, is_call, ("lending_rate", lending_rate)))


def usd_price(
    forward: Real, strike: Real, vol: Real, years: Real, is_call: Flag, lending_rate: Real = 0.0
) -> F64:
    """Value of a coin-settled option in dollars at the forward: ``forward`` times ``coin_price``.

    Parameters, errors and edges are those of `coin_price`. [USD per coin of size]
    """
    terms = _terms(forward, strike, vol, years, is_call, ("lending_rate", lending_rate))
    return np.asarray(terms.forward * _forward_value(terms))


def quote_price(
    forward: Real, strike: Real, vol: Real, years: Real, is_call: Flag, quote_rate: Real = 0.0
) -> F64:
    """Value of a quote-settled option on one coin: Black-76, D (w F N(w d1) - w K N(w d2)).

    Parameters, errors and edges are those of `coin_price`; ``quote_rate`` is the continuous rate of the quote
    currency. [quote per coin of size]

    References
    ----------
    Black, Journal of Financial Economics 3, 1976.
    """
    terms = _terms(forward, strike, vol, years, is_call, ("quote_rate", quote_rate))
    return np.asarray(terms.forward * _forward_value(terms))


def quanto_inverse_price(
    forward: Real, strike: Real, vol: Real, years: Real, is_call: Flag, lending_rate: Real = 0.0
) -> F64:
    """Value of the *quanto*-inverse option: the coin payoff expected under the dollar measure.

    This is another product than `coin_price`, kept so that the two are not confused: an out-of-the-money put
    comes out at twice the right value. Parameters and errors are those of `coin_price`, and ValueError where
    vol² × years exceeds 700. [coin per coin of size]

    References
    ----------
    Alexander, Chen and Imeraj, Mathematical Finance 2023 (inverse and quanto inverse options).
    """
    terms = _terms(forward, strike, vol, years, is_call, ("lending_rate", lending_rate))
    with np.errstate(over="ignore"):
        variance = terms.deviation * terms.deviation
    if not np.all(variance <= _QUANTO_VARIANCE_MAX):
        raise ValueError(f"vol: vol² × years must be <= {_QUANTO_VARIANCE_MAX}, got {np.max(variance)}")
    sign = terms.sign
    upper, lower = normal_cdf(np.array((sign * terms.d2, sign * (terms.d2 - terms.deviation))))
    return np.asarray(
        np.maximum(sign * terms.discount * (upper - terms.moneyness * np.exp(variance) * lower), 0.0)
    )


def coin_greeks(
    forward: Real, strike: Real, vol: Real, years: Real, is_call: Flag, lending_rate: Real = 0.0
) -> Greeks:
    """Value and all Greeks of coin-settled options, in coin and in dollars.

    Parameters, errors and references are those of `coin_price`.

    Returns
    -------
    Greeks
        Each field with the broadcast shape of the arguments; units beside the fields.

    Notes
    -----
    Zero vol or zero time: deltas are those of the intrinsic value, 0.5 × D for the unadjusted one exactly at
    the money; what would be a spike there (the terms with 1/s: gamma, vanna, volga, decay) is zero. A Greek
    beyond float64, as dc/dF at a forward next to zero, is infinite. The venue's own theta, the smaller of one
    day's and the lifetime's, is the caller's to form.
    """
    forward, strike, vol, years, is_call, rate = np.broadcast_arrays(
        forward, strike, vol, years, is_call, lending_rate
    )
    terms = _terms(forward, strike, vol, years, is_call, ("lending_rate", rate))
    forward, sign, discount = terms.forward, terms.sign, terms.discount
    upper, lower = normal_cdf(np.array((sign * terms.d1, sign * terms.d2)))
    density1, density2 = normal_pdf(np.array((terms.d1, terms.d2)))
    inverse_deviation = _inverse_or_zero(terms.deviation)
    relative_strike = discount * terms.moneyness  # D K/F

    price = np.maximum(sign * discount * (upper - terms.moneyness * lower), 0.0)
    adjusted = relative_strike * sign * lower
    gamma = discount * density1 * inverse_deviation  # for a forward of 1
    relative_density = relative_strike * density2 * inverse_deviation
    vega = discount * density1 * terms.root_years
    with np.errstate(over="ignore"):
        return Greeks(
            coin_price=price,
            usd_price=forward * price,
            unadjusted_delta=discount * sign * upper,
            adjusted_delta=adjusted,
            coin_delta=adjusted / forward,
            usd_gamma=gamma / forward,
            coin_gamma=(relative_density - 2.0 * adjusted) / forward / forward,
            adjusted_delta_slope=(gamma - adjusted) / forward,
            coin_vega=vega,
            usd_vega=forward * vega,
            coin_theta=_decay(terms, density1, inverse_deviation) + terms.rate * price,
            coin_vanna=-relative_density * terms.d1 * terms.root_years / forward,
            coin_volga=vega * terms.root_years * terms.d1 * terms.d2 * inverse_deviation,
        )


def quote_greeks(
    forward: Real, strike: Real, vol: Real, years: Real, is_call: Flag, quote_rate: Real = 0.0
) -> QuoteGreeks:
    """Value and Greeks of quote-settled options.

    Parameters, errors and references are those of `quote_price`.

    Returns
    -------
    QuoteGreeks
        Each field with the broadcast shape of the arguments; units beside the fields.

    Notes
    -----
    Zero vol or zero time as in `coin_greeks`.
    """
    forward, strike, vol, years, is_call, rate = np.broadcast_arrays(
        forward, strike, vol, years, is_call, quote_rate
    )
    terms = _terms(forward, strike, vol, years, is_call, ("quote_rate", rate))
    forward, sign, discount = terms.forward, terms.sign, terms.discount
    upper, lower = normal_cdf(np.array((sign * terms.d1, sign * terms.d2)))
    density = normal_pdf(terms.d1)
    inverse_deviation = _inverse_or_zero(terms.deviation)

    price = forward * np.maximum(sign * discount * (upper - terms.moneyness * lower), 0.0)
    vega = forward * discount * density * terms.root_years
    with np.errstate(over="ignore"):
        return QuoteGreeks(
            price=price,
            delta=discount * sign * upper,
            gamma=discount * density * inverse_deviation / forward,
            vega=vega,
            theta=forward * _decay(terms, density, inverse_deviation) + terms.rate * price,
            vanna=-discount * density * terms.d2 * terms.root_years * inverse_deviation,
            volga=vega * terms.root_years * terms.d1 * terms.d2 * inverse_deviation,
        )


def _terms(
    forward: Real, strike: Real, vol: Real, years: Real, is_call: Flag, named_rate: tuple[str, Real]
) -> _Terms:
    rate = np.asarray(named_rate[1], dtype=np.float64)
    forward, strike = np.asarray(forward, dtype=np.float64), np.asarray(strike, dtype=np.float64)
    vol, years = np.asarray(vol, dtype=np.float64), np.asarray(years, dtype=np.float64)
    with np.errstate(all="ignore"):
        moneyness = strike / forward
        log_moneyness = np.log(moneyness)
        root_years = np.sqrt(years)
        deviation = vol * root_years
        discount = np.exp(-rate * years) if rate.ndim or rate else _ONE  # venues' zero rate: no exp
        # One sum is NaN or infinite where any argument is, or where strike and forward differ in sign; eight
        # checks one after another would take as long as all the rest.
        holds = np.isfinite(log_moneyness + deviation + discount)
        holds = holds & (np.minimum(forward, discount) > _ZERO) & (vol >= _ZERO)
    if np.count_nonzero(holds) != holds.size:
        _refuse(forward, strike, vol, years, named_rate)
    # Zero over the least deviation is zero: at the money without time or vol d1 = d2 = 0, the limit.
    distance = log_moneyness / np.maximum(deviation, _DEVIATION_MIN)
    half = _HALF * deviation
    sign = np.where(is_call, _ONE, _MINUS_ONE)
    d1, d2 = half - distance, -half - distance
    return _Terms(forward, vol, root_years, sign, discount, rate, moneyness, deviation, d1, d2)


def _refuse(forward: F64, strike: F64, vol: F64, years: F64, named_rate: tuple[str, Real]) -> None:
    # Say by name which of the checked arguments, or what is made of them, is bad.
    positive("forward", forward)
    positive("strike", strike)
    non_negative("vol", vol)
    non_negative("years", years)
    rate = finite(*named_rate)
    with np.errstate(all="ignore"):
        positive("strike / forward", strike / forward)
        non_negative("vol × √years", vol * np.sqrt(years))
        positive("discount factor exp(-rate × years)", np.exp(-rate * years))


def _forward_value(terms: _Terms) -> F64:
    # Value with the forward as unit; the one formula of the coin price and, times F, of the quote price.
    upper, lower = normal_cdf(np.array((terms.sign * terms.d1, terms.sign * terms.d2)))
    value = terms.sign * terms.discount * (upper - terms.moneyness * lower)
    # Rounding may leave a worthless option at -1e-17.
    return np.asarray(np.maximum(value, _ZERO))


def _inverse_or_zero(deviation: F64) -> F64:
    return np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation >= _DEVIATION_MIN)


def _decay(terms: _Terms, density: F64, inverse_deviation: F64) -> F64:
    # -D n(d1) σ / (2√τ), written with 1/s so that zero time is as safe as zero vol.
    return -0.5 * terms.discount * density * terms.vol * terms.vol * inverse_deviation
