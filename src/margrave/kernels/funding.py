"""Funding rates and fair prices by the venues' published rules, each with its rule code.

Numbers or arrays, NaN gives NaN. What a period's funding moves is `domain.fills.funding`; here is its rate.
"""

import numpy as np

from margrave.kernels.arrays import F64, Real


def damped_funding(mark: Real, index: Real, damper: float, cap: float | None = None) -> F64:
    """Eight-hour funding with a dead zone: ``max(d, p) + min(-d, p)`` of the premium p = (mark - index) / index.

    Parameters
    ----------
    mark, index : (...) ndarray or float
        Prices, > 0.
    damper : float
        Half-width d of the dead zone [fraction]; 0.00025 at Deribit, 0.0005 in 2019.
    cap : float, optional
        Largest absolute rate [fraction].

    Returns
    -------
    (...) ndarray
        Rate for eight hours; longs pay when it is above zero (rule DERIBIT-FUNDING-001).

    References
    ----------
    Deribit, "Inverse Perpetual" and "Funding Specifications".
    """
    premium = (np.asarray(mark, dtype=np.float64) - index) / index
    rate = np.maximum(damper, premium) + np.minimum(-damper, premium)
    return rate if cap is None else np.clip(rate, -cap, cap)


def clamped_funding(premium: Real, interest: float, clamp: float = 0.0005) -> F64:
    """Eight-hour funding by premium and interest: ``P + clamp(I - P, -0.05 %, +0.05 %)`` (BINANCE-FUNDING-001).

    References
    ----------
    Binance FAQ 360033525031; BitMEX perpetual contracts guide.
    """
    premium = np.asarray(premium, dtype=np.float64)
    return premium + np.clip(interest - premium, -clamp, clamp)


def interest_rate(quote_rate: float, base_rate: float, periods_a_day: float = 3.0) -> float:
    """Interest part of funding per period: the difference of the daily rates over the periods of a day (BITMEX-FUNDING-001)."""
    return (quote_rate - base_rate) / periods_a_day


def fair_perpetual(
    index: Real, funding_rate: Real, hours_to_funding: Real, interval_hours: float = 8.0
) -> F64:
    """Fair price of a perpetual: index plus the funding that is still to come, ``index (1 + f t / T)`` (BITMEX-FAIR-001).

    References
    ----------
    BitMEX, "Fair price marking"; Binance mark price of 2020.
    """
    return np.asarray(index, dtype=np.float64) * (
        1.0 + funding_rate * np.asarray(hours_to_funding) / interval_hours
    )


def fair_future(
    index: Real, impact_mid: Real, days_to_expiry: Real, days_now: Real | None = None
) -> tuple[F64, F64]:
    """Annual basis of a dated future from its impact mid price, and its fair price (BITMEX-FAIR-002).

    Returns
    -------
    basis, price : (...) ndarray
        Fraction per year, and ``index (1 + basis days / 365)`` at ``days_now``, ``days_to_expiry`` by default.
    """
    index = np.asarray(index, dtype=np.float64)
    basis = (impact_mid / index - 1.0) * 365.0 / np.asarray(days_to_expiry)
    days = days_to_expiry if days_now is None else days_now
    return basis, index * (1.0 + basis * np.asarray(days) / 365.0)


def perpetual_premium(pull: Real, interest: Real, quote_rate: float, base_rate: float) -> F64:
    """Price over spot of a linear perpetual that leaves no arbitrage over one funding period (clearing 6).

    Parameters
    ----------
    pull : float or ndarray
        Share of the premium that the long pays a period, k.
    interest : float or ndarray
        What it pays on top, a fraction of spot, i.
    quote_rate, base_rate : float
        Interest of a period on money and on coins.

    Returns
    -------
    ndarray
        ``(k - i)(1 + r_b) / (r_b - r_a + k (1 + r_b))``; one where ``i = (r_a - r_b) / (1 + r_b)``.

    References
    ----------
    Derived there; structure of Ackerer, Hugonnier and Jermann 2023.
    """
    k, base = np.asarray(pull, dtype=np.float64), 1.0 + base_rate
    return (k - interest) * base / (base_rate - quote_rate + k * base)


def inverse_perpetual_premium(pull: Real, interest: Real, quote_rate: float, base_rate: float) -> F64:
    """The same of an inverse perpetual, ``(r_a - r_b + k (1 + r_a)) / ((k + i)(1 + r_a))``; as `perpetual_premium`."""
    k, quote = np.asarray(pull, dtype=np.float64), 1.0 + quote_rate
    return (quote_rate - base_rate + k * quote) / ((k + interest) * quote)


def impact_notional(amount: Real, initial_rate: Real) -> F64:
    """Notional at which an order book is read: an amount of margin over the initial rate (BITMEX-FAIR-003: 0.1 XBT, Binance 200 USDT)."""
    return np.asarray(amount, dtype=np.float64) / initial_rate


def legacy_mark(bid: Real, ask: Real, last: Real) -> F64:
    """Last price held inside the best bid and ask (DERIBIT-MARK-001, in force in 2016)."""
    return np.clip(np.asarray(last, dtype=np.float64), bid, ask)


def decayed_delta(delta: Real, minutes_into_settlement: Real, window_minutes: float = 30.0) -> F64:
    """Delta (or mark) of an option inside its settlement window: decays in a straight line to zero (DERIBIT-SETTLEMENT-001)."""
    share = np.clip(1.0 - np.asarray(minutes_into_settlement) / window_minutes, 0.0, 1.0)
    return np.asarray(delta, dtype=np.float64) * share
