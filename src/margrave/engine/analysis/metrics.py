"""Metrics of consequence: what a rule does to a position as prices move (spec 4.1 and 4.2).

Everything is read off the one calculation: requirement and equity on shifted prices, by central differences on
the log price where a slope is asked. Money is in the pool's currency, and in dollars through its index price.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import erfc, inf, log, sqrt
from typing import final

import numpy as np

from margrave.domain.account import Account
from margrave.domain.book import book_of
from margrave.domain.fills import fill
from margrave.domain.market import Market
from margrave.kernels.arrays import F64
from margrave.liquidation import liquidations
from margrave.margin.pooled import Pooled, Prepared, evaluate, prepare
from margrave.margin.pools import pool_name
from margrave.rulebook.reform import with_schedule
from margrave.rulebook.schema import Rulebook
from margrave.valuation.scenarios import shifted

_STEP = 1e-6  # log price step of central differences: error of order 1e-10 on smooth parts


@final
@dataclass(frozen=True, slots=True)
class Consequence:
    """Metrics of one pool at the market as it is, along one asset."""

    pool: str
    currency: str
    elasticity: float  # d ln maintenance / d ln price
    excess_slope: float  # d (margin balance - maintenance) / d ln price [pool currency]
    steepness: float  # excess slope over that of the flat schedule
    leverage_available: float  # gross notional over initial margin
    leverage_used: float  # gross notional over margin balance
    utilisation: float  # maintenance over margin balance
    idle: float  # margin balance - initial [pool currency]
    released_initial: float  # flat - scheduled initial margin at this price [pool currency]
    released_maintenance: float
    dollars: float  # numeraire per pool currency, to read any of the amounts in dollars


def _pooled(
    account: Account, market: Market, rulebook: Rulebook, factor: F64, asset: str
) -> tuple[Prepared, Pooled]:
    prepared = prepare(book_of((account,)), market, rulebook)
    table = prepared.table
    factors = np.ones((len(factor), len(table.assets)))
    factors[:, table.assets.index(asset)] = factor
    return prepared, evaluate(prepared, shifted(table, factors))


def consequences(account: Account, market: Market, rulebook: Rulebook, asset: str) -> tuple[Consequence, ...]:
    """Metrics of every pool along the price of one asset.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation.
    asset : str
        Asset whose price moves; the others stay.

    Returns
    -------
    tuple of Consequence
        One a pool. At a knot of the schedule the slopes are the means of both sides. NaN for an unknown pool.
    """
    steps = np.exp(np.array([0.0, _STEP, -_STEP]))
    prepared, scheduled = _pooled(account, market, rulebook, steps, asset)
    _, flat = _pooled(account, market, with_schedule(rulebook, None), steps, asset)
    notional = np.zeros(len(prepared.pools.account))
    np.add.at(
        notional,
        prepared.pools.position_pool,
        scheduled.workings.valued.notional[0] * scheduled.workings.to_pool[0],
    )
    assets = prepared.table.assets
    rows = []
    for k, currency in enumerate(prepared.pools.currency.tolist()):
        mm, im, balance = scheduled.maintenance[:, k], scheduled.initial[:, k], scheduled.margin_balance[:, k]
        slope, flat_slope = (_slope(p.margin_balance[:, k] - p.maintenance[:, k]) for p in (scheduled, flat))
        rows.append(
            Consequence(
                pool_name(prepared.pools, prepared.table, prepared.book, k),
                assets[currency],
                _slope(mm) / mm[0] if mm[0] else 0.0,
                slope,
                slope / flat_slope if flat_slope else inf,
                notional[k] / im[0] if im[0] else inf,
                notional[k] / balance[0] if balance[0] > 0 else inf,
                mm[0] / balance[0] if balance[0] > 0 else inf,
                balance[0] - im[0],
                flat.initial[0, k] - im[0],
                flat.maintenance[0, k] - mm[0],
                float(prepared.table.asset_price[currency]),
            )
        )
    return tuple(rows)


def _slope(values: F64) -> float:
    return float((values[1] - values[2]) / (2.0 * _STEP))


def call_after(account: Account, market: Market, rulebook: Rulebook, asset: str, shocks: F64) -> F64:
    """Call after a shock: ``max(0, maintenance - margin balance)`` of each pool, (S, K) [pool currency].

    ``shocks`` (S,) are relative moves of the asset's price: -0.05 for a fall of 5 %.
    """
    _, pooled = _pooled(account, market, rulebook, 1.0 + np.asarray(shocks, dtype=np.float64), asset)
    return np.maximum(pooled.maintenance - pooled.margin_balance, 0.0)


def excess_after(account: Account, market: Market, rulebook: Rulebook, asset: str, shocks: F64) -> F64:
    """Margin balance less maintenance after a shock, (S, K) [pool currency]."""
    _, pooled = _pooled(account, market, rulebook, 1.0 + np.asarray(shocks, dtype=np.float64), asset)
    return pooled.margin_balance - pooled.maintenance


def call_convexity(
    account: Account, market: Market, rulebook: Rulebook, asset: str, shock: float, step: float = 0.01
) -> F64:
    """Second difference of the call around a shock, (K,) [pool currency]: how a call accelerates."""
    calls = call_after(account, market, rulebook, asset, np.array([shock - step, shock, shock + step]))
    return np.asarray(calls[0] - 2.0 * calls[1] + calls[2])


def distance_in_sigma(price: float, liquidation: float, vol: float, days: float = 1.0) -> float:
    """Log distance to liquidation over vol times the square root of the horizon (ACT/365), >= 0."""
    return abs(log(price / liquidation)) / (vol * sqrt(days / 365.0))


def touch_probability(distance_sigma: float) -> float:
    """Chance that a driftless diffusion touches a level so many sigma away within the horizon: 2 Phi(-d)."""
    return erfc(distance_sigma / sqrt(2.0))


def jump_through_probability(maintenance_rate: float, vol: float, hours: float, side: int = 1) -> float:
    """Chance that price crosses the band from liquidation to bankruptcy of an inverse position in a latency.

    The band of an inverse long is ``ln(1 + rate)``, that of a short ``-ln(1 - rate)`` (spec 1.2, 4.1).
    """
    band = log(1.0 + maintenance_rate) if side > 0 else -log(1.0 - maintenance_rate)
    return touch_probability(band / (vol * sqrt(hours / (24.0 * 365.0))))


def velocity(before: float, after: float, hours: float) -> float:
    """Log return per hour."""
    return log(after / before) / hours


def time_to_liquidation(price: float, liquidation: float, log_return_per_hour: float) -> float:
    """Hours until a steady move reaches the liquidation price; infinite when it moves away."""
    distance = log(liquidation / price)
    return distance / log_return_per_hour if distance * log_return_per_hour > 0 else inf


@final
@dataclass(frozen=True, slots=True)
class Pyramid:
    """What reinvesting all free margin on the way in one's favour leads to (spec 4.2)."""

    quantity: float  # [contracts]
    price: float
    equity: float  # [pool currency]
    entry: float  # average
    liquidation_distance: float  # fraction of price, < 0 below


def pyramid(account: Account, market: Market, rulebook: Rulebook, steps: int, move: float) -> Pyramid:
    """Exposure reachable by reinvesting all free initial margin at each favourable step.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        One pool with one position.
    steps : int
        Number of price steps.
    move : float
        Relative move of the mark and its base's index at each step: 0.01.

    Returns
    -------
    Pyramid
        After the last step. Free margin buys at the rate that a fresh fill changes the requirement: the size
        is searched on the calculation itself, since a fill also moves the entry and so the multiplier.
    """
    (position,) = account.positions
    instrument = market.instruments[position.symbol]
    sign = 1.0 if position.quantity > 0 else -1.0
    for step in range(steps + 1):
        if step:
            market = _moved(market, position.symbol, instrument.base, 1.0 + move)
        mark = market.quotes[position.symbol].mark

        def free(
            more: float, mark: float = mark, market: Market = market, account: Account = account
        ) -> float:
            bigger = (
                fill(instrument, account.positions[0], sign * more, mark)[0]
                if more > 0
                else account.positions[0]
            )
            pooled = evaluate(prepare(book_of((replace(account, positions=(bigger,)),)), market, rulebook))
            return float(pooled.margin_balance[0, 0] - pooled.initial[0, 0])

        more = _largest(free, abs(account.positions[0].quantity))
        if more > 0:
            account = replace(
                account, positions=(fill(instrument, account.positions[0], sign * more, mark)[0],)
            )
    pooled = evaluate(prepare(book_of((account,)), market, rulebook))
    mark = market.quotes[position.symbol].mark
    bounds = [b for b in liquidations(account, market, rulebook)[0].bounds if (b.exact < mark) == (sign > 0)]
    distance = bounds[0].exact / mark - 1.0 if bounds else sign * -inf
    held = account.positions[0]
    return Pyramid(held.quantity, mark, float(pooled.margin_balance[0, 0]), held.entry, distance)


def _largest(free: Callable[[float], float], start: float) -> float:
    # Largest extra size with free margin left: free margin falls with size, so bisection is safe.
    if free(0.0) <= 0:
        return 0.0
    high = start
    while free(high) > 0:
        high *= 2.0
    low = 0.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if free(middle) > 0 else (low, middle)
        if high - low <= 1e-13 * high:
            break
    return low


def _moved(market: Market, symbol: str, base: str, factor: float) -> Market:
    quotes = {
        **market.quotes,
        symbol: replace(market.quotes[symbol], mark=market.quotes[symbol].mark * factor),
    }
    index = {**market.index, base: market.index[base] * factor} if base in market.index else market.index
    return replace(market, quotes=quotes, index=index)
