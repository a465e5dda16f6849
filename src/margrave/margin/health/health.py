"""What pools are asked by weighted cross collateral, at every level (spec defi 3.2, 4.2)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.words import INITIAL, LEVELS, LIQUIDATION_END, MAINTENANCE
from margrave.kernels.arrays import F64
from margrave.margin.health.perpetuals import PerpetualMargin, perpetual_margin
from margrave.margin.health.rows import HealthRows
from margrave.margin.health.spot_orders import TokenMargin, token_margin
from margrave.margin.health.tokens import Level, Prices, prices_of
from margrave.margin.pools import Pools, grouped_sum
from margrave.rulebook.health import HealthModel
from margrave.valuation.positions import Valued
from margrave.valuation.scenarios import Priced


@final
@dataclass(frozen=True, slots=True)
class LevelMargin:
    """One level of every pool, with what made it."""

    level: Level
    prices: Prices
    tokens: TokenMargin
    perpetuals: PerpetualMargin
    fees: F64  # (K,) of open orders [pool currency]
    buffer: F64  # (S, K) [pool currency]
    required: F64  # (S, K) equity less health, >= 0 [pool currency]


@final
@dataclass(frozen=True, slots=True)
class HealthMargin:
    """All levels of every pool: initial, maintenance, and the end of a liquidation where the rulebook knows it."""

    rows: HealthRows
    levels: tuple[LevelMargin, ...]


def levels_of(model: HealthModel) -> tuple[Level, ...]:
    """Levels of a model, in the order of `LevelMargin`."""
    known = (Level(LEVELS[INITIAL], INITIAL, True), Level(LEVELS[MAINTENANCE], MAINTENANCE, False))
    end = model.liquidation_end
    if end is None:
        return known
    return (*known, Level(LIQUIDATION_END, LEVELS.index(end.weights), False, end.buffer))


def health_margin(rows: HealthRows, priced: Priced, valued: Valued, pools: Pools) -> HealthMargin:
    """Requirement of every pool in every row of prices.

    Parameters
    ----------
    rows : HealthRows
        Who is weighed, and the model.
    priced, valued : Priced, Valued
        Prices (S, I), (S, A) and positions (S, P).
    pools : Pools
        The partition.

    Returns
    -------
    HealthMargin
        NaN where a price that is needed is not known.
    """
    return HealthMargin(
        rows, tuple(_level(rows, priced, valued, pools, level) for level in levels_of(rows.model))
    )


def _level(rows: HealthRows, priced: Priced, valued: Valued, pools: Pools, level: Level) -> LevelMargin:
    prices = prices_of(rows, priced, pools, level)
    perpetuals = perpetual_margin(rows, priced, valued, prices, level)
    count, held = len(pools.account), rows.tokens
    settled = grouped_sum(perpetuals.settled, rows.perpetuals.token, len(held.pool))
    tokens = token_margin(rows, prices, level, held.balance + settled)

    def in_pools(of_tokens: F64, of_perpetuals: F64) -> F64:
        return grouped_sum(of_tokens, held.pool, count) + grouped_sum(
            of_perpetuals, rows.perpetuals.pool, count
        )

    fees = rows.orders * rows.model.orders.fee
    required = in_pools(tokens.charge, perpetuals.charge) + fees
    required = required + grouped_sum(tokens.orders, rows.spot.pool, count)
    buffer = np.zeros(required.shape)
    if level.buffer:
        buffer = level.buffer * in_pools(tokens.exposed, perpetuals.exposed)
    return LevelMargin(level, prices, tokens, perpetuals, fees, buffer, required + buffer)
