"""Perpetuals at a level: margin of the worse fill, and what of a gain counts (spec defi 3.2, 4.2)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64
from margrave.kernels.size_factor import size_discount, size_premium
from margrave.margin.health.rows import HealthRows, Perpetuals
from margrave.margin.health.tokens import Level, Prices
from margrave.margin.pools import grouped_sum
from margrave.rulebook.health import Settling
from margrave.valuation.positions import Valued
from margrave.valuation.scenarios import Priced


@final
@dataclass(frozen=True, slots=True)
class PerpetualMargin:
    """What perpetuals ask, (S, G), [settlement token] where nothing else is said."""

    size: F64  # [base] signed, after the worse fill
    price: F64  # [settlement token per base]
    rate: F64
    margin: F64  # size x price x rate
    slow: F64  # what new risk loses at the slow price, >= 0
    profit: F64
    uncounted: F64  # part of a gain, or of what margin leaves of one, that does not count, >= 0
    settled: F64  # what joins the settlement token's balance: all of it, or nothing
    charge: F64  # of the above [pool currency]
    exposed: F64  # position value and loss, of which the buffer is a share [pool currency]


@final
@dataclass(frozen=True, slots=True)
class _Side:
    size: F64
    rate: F64
    margin: F64
    slow: F64


def perpetual_margin(
    rows: HealthRows, priced: Priced, valued: Valued, prices: Prices, level: Level
) -> PerpetualMargin:
    """Margin of every perpetual at a level.

    Parameters
    ----------
    rows : HealthRows
        Who is weighed.
    priced, valued : Priced, Valued
        Marks (the protocols' oracle prices) and the profit of positions.
    prices : Prices
        Of the tokens, as `tokens.prices_of`.
    level : Level
        What is asked.

    Returns
    -------
    PerpetualMargin
        NaN where a mark is, or a perpetual has no rule.
    """
    perps = rows.perpetuals
    price = priced.mark[:, perps.instrument]
    profit = grouped_sum(valued.profit[:, perps.position], perps.group, len(perps.pool))
    bid, ask = (_filled(perps, price, level, fill) for fill in (perps.bids, perps.asks))
    asks = ask.margin + ask.slow >= bid.margin + bid.slow
    size, rate, margin, slow = (
        np.where(asks, getattr(ask, name), getattr(bid, name)) for name in ("size", "rate", "margin", "slow")
    )
    worth, low, high = (of[:, perps.token] for of in (prices.now, prices.low, prices.high))
    if rows.model.settling is Settling.INTO_BALANCE:
        left = profit - margin - slow
        settled = _counted(perps, level, left, worth)
        uncounted = left - settled
        charge = (margin + slow + uncounted) * worth
    else:
        counted = _counted(perps, level, profit, worth * low)
        settled = np.zeros(profit.shape)
        uncounted = profit - counted
        at = np.where(profit > 0.0, low, high)
        charge = ((margin + slow) * high + profit - counted * at) * worth
    exposed = (np.abs(size) * price + np.maximum(-profit, 0.0)) * high * worth
    return PerpetualMargin(size, price, rate, margin, slow, profit, uncounted, settled, charge, exposed)


def _filled(perps: Perpetuals, price: F64, level: Level, fill: F64) -> _Side:
    # For new risk a long is worth the lower, a short the higher of the two prices; bids pay the higher, asks get
    # the lower.
    size = perps.size + fill
    slow = np.where(np.isnan(perps.slow) | (not level.new_risk), price, perps.slow)
    low, high = np.minimum(price, slow), np.maximum(price, slow)
    at = np.where(size < 0.0, high, low)
    rate = np.where(size < 0.0, perps.short[level.row], perps.long[level.row])
    rate = size_premium(rate, perps.factor, np.abs(size))
    if level.new_risk:
        rate = np.fmax(rate, 1.0 / perps.leverage) + 0.0 * rate
    lost = size * (price - at) + fill * (np.where(fill > 0.0, high, low) - price)
    return _Side(np.broadcast_to(size, price.shape), rate, np.abs(size) * at * rate, lost)


def _counted(perps: Perpetuals, level: Level, profit: F64, worth: F64) -> F64:
    share = np.broadcast_to(perps.gain[level.row], profit.shape)
    gain = np.maximum(profit, 0.0)
    if not level.new_risk:
        return np.where(profit > 0.0, share * gain, profit)
    counted = size_discount(share, perps.gain_factor, gain) * gain
    return np.where(profit > 0.0, np.minimum(counted, perps.gain_cap / worth), profit)
