"""Opyn Gamma: naked options by a bound on their price, spreads by their largest loss, and the liquidation auction.

Puts are margined in quote, calls in units of the underlying: each in the asset in which its loss is bounded. Source:
specification of on-chain systems, section 6.
"""

from bisect import bisect_left

from margrave.core.errors import Reason, invalid
from margrave.domain.checks import require, require_finite, require_price
from margrave.domain.instruments import Right

SPOT_SHOCK = 0.75
"""Share of spot to which a put's underlying is taken to fall; a call's rises to spot over it."""

UPPER_BOUNDS = ((7.0, 0.1678), (14.0, 0.2370), (28.0, 0.3326), (42.0, 0.4032), (56.0, 0.4603))
"""Days to expiry, and the most that an option at the money may be worth until then, as a share."""

AUCTION_SECONDS = 3600.0


def upper_bound(days: float) -> float:
    """Bound of the first step of the table that reaches the expiry.

    Raises
    ------
    ValueError
        Days below zero or not finite.
    InvalidInputError
        The expiry lies beyond the table: nothing is published for it.
    """
    require(0.0 <= days < float("inf"), "days", days, "zero or more")
    step = bisect_left([limit for limit, _ in UPPER_BOUNDS], days)
    if step == len(UPPER_BOUNDS):
        message = f"{days:g} days are beyond the {UPPER_BOUNDS[-1][0]:g} that bounds are published for; take an earlier expiry"
        raise invalid("days", Reason.NOT_PUBLISHED, message)
    return UPPER_BOUNDS[step][1]


def naked_margin(right: Right, strike: float, spot: float, bound: float, shock: float = SPOT_SHOCK) -> float:
    """Margin of one naked short option.

    Parameters
    ----------
    right : Right
        Call or put.
    strike, spot : float
        > 0. [quote per coin]
    bound : float
        As of `upper_bound`, 0 to 1.
    shock : float
        As `SPOT_SHOCK`, above 0 and at most 1.

    Returns
    -------
    float
        With the shocked spot F: a put's ``bound min(K, F) + max(K - F, 0)`` [quote]; a call's
        ``bound min(1, K / F) + max(1 - K / F, 0)`` [underlying].

    Raises
    ------
    ValueError
        An argument is out of range.
    """
    require_price("strike", strike)
    require_price("spot", spot)
    require(0.0 <= bound <= 1.0, "bound", bound, "between 0 and 1")
    require(0.0 < shock <= 1.0, "shock", shock, "above 0, at most 1")
    if right is Right.PUT:
        shocked = spot * shock
        return bound * min(strike, shocked) + max(strike - shocked, 0.0)
    share = strike * shock / spot
    return bound * min(1.0, share) + max(1.0 - share, 0.0)


def spread_margin(right: Right, short: tuple[float, float], long: tuple[float, float]) -> float:
    """Largest loss of options sold against options bought, of one underlying, expiry and right.

    Parameters
    ----------
    right : Right
        Calls or puts.
    short, long : (float, float)
        Amount and strike of each leg; amounts >= 0.

    Returns
    -------
    float
        Puts: the loss at a price of zero or of the lower strike [quote]. Calls: the loss over the price, where the
        bought strike is reached or the price has no end [underlying]. Never below zero.
    """
    (sold, sold_strike), (bought, bought_strike) = short, long
    for name, amount, strike in (("short", *short), ("long", *long)):
        require_finite(name, amount)
        require(amount >= 0.0, name, amount, "an amount of zero or more")
        require_price(f"{name} strike", strike)
    if right is Right.PUT:
        at_long = sold * max(sold_strike - bought_strike, 0.0)
        return max(sold * sold_strike - bought * bought_strike, at_long, 0.0)
    at_long = sold * max(bought_strike - sold_strike, 0.0) / bought_strike
    return max(sold - bought, at_long, 0.0)


def auction_price(start: float, end: float, seconds: float) -> float:
    """What a liquidator is paid for one option: it slides in a straight line over an hour.

    Parameters
    ----------
    start : float
        Cash value of the option less the oracle's deviation; what is below zero counts as zero.
    end : float
        All collateral per option.
    seconds : float
        Since the account could be liquidated, >= 0.
    """
    require_finite("start", start)
    require_finite("end", end)
    require(seconds >= 0.0, "seconds", seconds, "zero or more")
    first = max(start, 0.0)
    return first + (end - first) * min(seconds / AUCTION_SECONDS, 1.0)
