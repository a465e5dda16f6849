"""Perennial v2: maintenance with a minimum, and a liquidation fee between two bounds. Money is the market's dollar.

Source: specification of on-chain systems, section 6.
"""

from dataclasses import dataclass
from typing import final

from margrave.domain.checks import require, require_finite


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RiskParameters:
    """What a market asks."""

    maintenance: float  # [fraction of notional]
    minimum_maintenance: float  # [dollar]
    liquidation_fee: float  # [fraction of maintenance]
    minimum_liquidation_fee: float  # [dollar]
    maximum_liquidation_fee: float  # [dollar]

    def __post_init__(self) -> None:
        for name in self.__slots__:
            number = getattr(self, name)
            require_finite(name, number)
            require(number >= 0.0, name, number, "zero or more")
        least, most = self.minimum_liquidation_fee, self.maximum_liquidation_fee
        require(least <= most, "minimum_liquidation_fee", least, f"at most the maximum, {most:g}")


def maintenance(parameters: RiskParameters, size: float, price: float) -> float:
    """``max(|size × price| × ratio, minimum)``; nothing for no position. A price may be below zero [dollar]."""
    require_finite("size", size)
    require_finite("price", price)
    if size == 0.0:
        return 0.0
    return max(abs(size * price) * parameters.maintenance, parameters.minimum_maintenance)


def is_liquidatable(parameters: RiskParameters, size: float, price: float, collateral: float) -> bool:
    """Whether collateral is below maintenance."""
    require_finite("collateral", collateral)
    return collateral < maintenance(parameters, size, price)


def liquidation_fee(parameters: RiskParameters, size: float, price: float) -> float:
    """Fee to the liquidator: a share of maintenance, clamped between its two bounds [dollar]."""
    share = maintenance(parameters, size, price) * parameters.liquidation_fee
    return max(parameters.minimum_liquidation_fee, min(share, parameters.maximum_liquidation_fee))
