"""Prices and weights of tokens at a level (spec defi 3.2, 4.2)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64
from margrave.kernels.size_factor import size_discount, size_premium
from margrave.margin.health.rows import HealthRows
from margrave.margin.pools import Pools
from margrave.valuation.scenarios import Priced


@final
@dataclass(frozen=True, slots=True)
class Level:
    """What one level asks."""

    name: str
    row: int  # which weights: 0 initial, 1 maintenance
    new_risk: bool  # slow prices, venue-wide totals, the cap of gains and chosen leverage count
    buffer: float = 0.0  # share of debts, position values and losses on top


@final
@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of the tokens at a level, (S, T)."""

    now: F64  # [pool currency]
    low: F64  # of what is owned, as a multiple of it, <= 1
    high: F64  # of what is owed, >= 1
    scaling: F64  # [pool currency] at which venue-wide totals are valued


def prices_of(rows: HealthRows, priced: Priced, pools: Pools, level: Level) -> Prices:
    """Prices at a level: for new risk the worse of oracle and slow price, which stays where it is in a shift."""
    tokens = rows.tokens
    currency = pools.currency[tokens.pool]
    oracle = priced.asset_price[:, tokens.asset]
    with np.errstate(invalid="ignore"):
        now = np.where(tokens.asset == currency, 1.0, oracle / priced.asset_price[:, currency])
        slow = np.where(np.isnan(tokens.slow), 1.0, tokens.slow / oracle)
    if not level.new_risk:
        slow = np.ones(now.shape)
    low, high = np.minimum(slow, 1.0), np.maximum(slow, 1.0)
    scales_slow = rows.model.slow is not None and rows.model.slow.scaling
    return Prices(now, low, high, now * high if scales_slow else now)


def asset_weight(rows: HealthRows, prices: Prices, level: Level, size: F64) -> F64:
    """Weight of ``size`` tokens owned, (S, T): shrunk by venue-wide deposits for new risk, then by the size."""
    tokens, weight = rows.tokens, rows.tokens.weight[level.row]
    if level.new_risk:
        weight = weight / _beyond(tokens.deposits_from, tokens.deposits * prices.scaling)
    return size_discount(weight, tokens.factor, size)


def liability_weight(rows: HealthRows, prices: Prices, level: Level, size: F64) -> F64:
    """Weight of ``size`` tokens owed, (S, T): grown by venue-wide borrows for new risk, then by the size."""
    tokens, weight = rows.tokens, rows.tokens.liability[level.row]
    if level.new_risk:
        weight = weight * _beyond(tokens.borrows_from, tokens.borrows * prices.scaling)
    return size_premium(weight, tokens.factor, size)


def _beyond(start: F64, value: F64) -> F64:
    # How many times its start a total is, at least once. One that is needed and not given stays NaN.
    return np.maximum(np.where(np.isinf(start), 0.0, value) / start, 1.0)
