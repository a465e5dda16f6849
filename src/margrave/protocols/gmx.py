"""GMX v2: when a position is liquidatable, and how much of traders' profit a pool pays. Money is dollars.

Source: specification of on-chain systems, section 6.
"""

from dataclasses import dataclass
from typing import final

from margrave.domain.checks import require, require_finite


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRules:
    """What a market asks."""

    minimum_collateral: float  # [dollar] of any position
    minimum_collateral_factor: float  # [fraction of size]
    impact_cap: float  # [fraction of size] largest negative price impact that counts

    def __post_init__(self) -> None:
        for name in self.__slots__:
            number = getattr(self, name)
            require_finite(name, number)
            require(number >= 0.0, name, number, "zero or more")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PositionState:
    """A position as its liquidation check sees it [dollar]."""

    size: float  # > 0
    collateral: float
    profit: float
    impact: float  # price impact of closing, received > 0
    fees: float  # >= 0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            require_finite(name, getattr(self, name))
        require(self.size > 0.0, "size", self.size, "above zero")
        require(self.fees >= 0.0, "fees", self.fees, "zero or more")


def remaining_collateral(rules: MarketRules, position: PositionState) -> float:
    """Collateral and profit after impact and fees; a positive impact counts zero, a negative one up to its cap."""
    impact = max(min(position.impact, 0.0), -rules.impact_cap * position.size)
    return position.collateral + position.profit + impact - position.fees


def is_liquidatable(rules: MarketRules, position: PositionState) -> bool:
    """Whether what remains is below the market's minimum, or below its share of the size."""
    left = remaining_collateral(rules, position)
    return left < max(rules.minimum_collateral, rules.minimum_collateral_factor * position.size)


def capped_profit(profit: float, pool_profit: float, pool_value: float, factor: float) -> float:
    """Profit that a pool pays a trader: all traders together get at most a share of the pool.

    Parameters
    ----------
    profit : float
        Of the trader. A loss is never capped. [dollar]
    pool_profit : float
        Of all traders of the side. [dollar]
    pool_value : float
        Worth of the pool, >= 0. [dollar]
    factor : float
        Largest share of it that is paid, 0 to 1; above it traders are deleveraged.
    """
    require_finite("profit", profit)
    require_finite("pool_profit", pool_profit)
    require(0.0 <= pool_value < float("inf"), "pool_value", pool_value, "zero or more")
    require(0.0 <= factor <= 1.0, "factor", factor, "between 0 and 1")
    most = pool_value * factor
    return profit * most / pool_profit if profit > 0.0 and pool_profit > most else profit
