"""Tokens with their open spot orders at a level: the worse side filled, or what orders hold back (spec defi 3.2, 4.2)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64
from margrave.margin.health.rows import HealthRows
from margrave.margin.health.tokens import Level, Prices, asset_weight, liability_weight
from margrave.margin.pools import grouped_sum
from margrave.rulebook.health import SpotOrders


@final
@dataclass(frozen=True, slots=True)
class TokenMargin:
    """What tokens and their orders ask."""

    amount: F64  # (S, T) what is weighed [token]
    worth: F64  # (S, T) of it at the oracle [pool currency]
    charge: F64  # (S, T) >= 0 [pool currency]
    orders: F64  # (S, Q) of what orders hold back, beyond what it is worth [pool currency]
    exposed: F64  # (S, T) debts and what fills pay, of which the buffer is a share [pool currency]


def token_margin(rows: HealthRows, prices: Prices, level: Level, amount: F64) -> TokenMargin:
    """What tokens ask at a level.

    Parameters
    ----------
    rows : HealthRows
        Who is weighed.
    prices : Prices
        Of the tokens.
    level : Level
        What is asked.
    amount : (S, T) ndarray
        Balance with what perpetuals have settled into it. [token]
    """
    spot, model = rows.spot, rows.model
    none = np.zeros((len(amount), len(spot.pool)))
    if spot.pool.size == 0:
        return _side(rows, prices, level, amount, np.zeros(amount.shape[1]), none)
    count = amount.shape[1]
    if model.orders.spot is SpotOrders.WORSE_SIDE:
        fills = grouped_sum(np.array([spot.bids, spot.asks]), spot.base, count)
        bid, ask = (_side(rows, prices, level, amount, fill, none) for fill in fills)
        asks = ask.charge >= bid.charge
        return TokenMargin(
            amount,
            bid.worth,
            np.where(asks, ask.charge, bid.charge),
            none,
            np.where(asks, ask.exposed, bid.exposed),
        )
    held = grouped_sum(-spot.asks[None, :], spot.base, count)
    held = held + grouped_sum(spot.reserved_quote[None, :], spot.quote, count)
    free = amount - held
    return _side(rows, prices, level, free, np.zeros(count), _held_back(rows, prices, level, free))


def _side(rows: HealthRows, prices: Prices, level: Level, amount: F64, fill: F64, orders: F64) -> TokenMargin:
    # A fill pays or brings the higher price; what it makes of the balance is weighed by its size.
    at = np.where(amount > 0.0, prices.low, prices.high) * prices.now
    cash = -fill * prices.high * prices.now
    value, size = amount * at - cash, np.abs(amount + fill)
    weight = np.where(
        value > 0.0, asset_weight(rows, prices, level, size), liability_weight(rows, prices, level, size)
    )
    worth = np.where(amount == 0.0, 0.0, amount * prices.now)
    nothing = (amount == 0.0) & (fill == 0.0)
    charge = np.where(nothing, 0.0, worth - (value * weight + cash))
    exposed = np.where(nothing, 0.0, np.maximum(-value, 0.0) + np.maximum(-cash, 0.0))
    return TokenMargin(amount, worth, charge, orders, exposed)


def _held_back(rows: HealthRows, prices: Prices, level: Level, free: F64) -> F64:
    spot = rows.spot
    low, high = prices.low * prices.now, prices.high * prices.now
    base, quote = spot.base, spot.quote
    with np.errstate(divide="ignore", invalid="ignore"):
        bought = np.minimum(
            spot.reserved_quote * low[:, quote] / high[:, base],
            np.where(spot.highest_bid > 0.0, spot.reserved_quote / spot.highest_bid, 0.0),
        )
        sold = np.minimum(
            -spot.asks * low[:, base] / high[:, quote],
            np.where(spot.asks < 0.0, -spot.asks * spot.lowest_ask, 0.0),
        )
    as_base, as_quote = bought - spot.asks, sold + spot.reserved_quote
    # Every other market goes the way of this one: a bound from below at the cost of one pass.
    count = free.shape[1]
    most = free + grouped_sum(as_base, base, count) + grouped_sum(as_quote, quote, count)
    worse = np.minimum(
        _effect(rows, prices, level, most, base, as_base),
        _effect(rows, prices, level, most, quote, as_quote),
    )
    kept = -spot.asks * prices.now[:, base] + spot.reserved_quote * prices.now[:, quote]
    return kept - worse


def _effect(rows: HealthRows, prices: Prices, level: Level, most: F64, token: np.ndarray, amount: F64) -> F64:
    # The amount is taken to come last, on top of all else that may come: there it does the least good.
    size = np.abs(most)
    owned = (asset_weight(rows, prices, level, size) * prices.low * prices.now)[:, token]
    owed = (liability_weight(rows, prices, level, size) * prices.high * prices.now)[:, token]
    as_asset = np.minimum(np.maximum(most[:, token], 0.0), amount)
    return as_asset * owned + (amount - as_asset) * owed
