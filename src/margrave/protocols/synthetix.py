"""Synthetix v3 perpetuals: rates that grow with a position's share of the market's skew scale.

Money is in the market's dollar, sizes in base. Source: specification of on-chain systems, section 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from margrave.domain.checks import require, require_finite, require_price


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PerpsMarket:
    """Parameters of a market."""

    skew_scale: float  # > 0 [base]
    initial_fraction: float  # of size / skew scale, in the initial rate
    minimum_ratio: float  # least initial rate
    maintenance_scalar: float  # maintenance rate over initial rate
    minimum_position_margin: float  # of every open position, at both levels [dollar]

    def __post_init__(self) -> None:
        require_price("skew_scale", self.skew_scale)
        for name in ("initial_fraction", "minimum_ratio", "maintenance_scalar", "minimum_position_margin"):
            number = getattr(self, name)
            require_finite(name, number)
            require(number >= 0.0, name, number, "zero or more")


@final
@dataclass(frozen=True, slots=True)
class PerpsPosition:
    """What is held, at the oracle price."""

    market: PerpsMarket
    size: float  # signed [base]
    price: float

    def __post_init__(self) -> None:
        require_finite("size", self.size)
        require_price("price", self.price)


@final
@dataclass(frozen=True, slots=True)
class Margins:
    """Both levels of an account, and what may leave it [dollar]."""

    initial: float
    maintenance: float
    withdrawable: float  # >= 0


def initial_rate(market: PerpsMarket, size: float) -> float:
    """``|size| / skew scale × fraction + minimum ratio``."""
    return abs(size) / market.skew_scale * market.initial_fraction + market.minimum_ratio


def margins(positions: Sequence[PerpsPosition], available: float, rewards: float = 0.0) -> Margins:
    """Margins of an account.

    Parameters
    ----------
    positions : sequence of PerpsPosition
        Those of size zero ask for nothing.
    available : float
        Collateral and profit. [dollar]
    rewards : float
        Liquidation rewards, which stand on top of both levels, >= 0. [dollar]

    Returns
    -------
    Margins
        Initial is ``notional × rate`` and the least margin of every position, maintenance the same with the rate
        times the scalar; withdrawable is what is available beyond initial.
    """
    require_finite("available", available)
    require(0.0 <= rewards < float("inf"), "rewards", rewards, "zero or more")
    initial = maintenance = rewards
    for held in positions:
        if held.size:
            by_rate = abs(held.size) * held.price * initial_rate(held.market, held.size)
            initial += by_rate + held.market.minimum_position_margin
            maintenance += by_rate * held.market.maintenance_scalar + held.market.minimum_position_margin
    return Margins(initial, maintenance, max(available - initial, 0.0))


def fill_price(market: PerpsMarket, oracle: float, skew: float, size: float) -> float:
    """Price of a trade: the oracle's, times one plus the mean of the skew before and after over the skew scale.

    Parameters
    ----------
    market : PerpsMarket
        With its skew scale.
    oracle : float
        > 0.
    skew : float
        Longs less shorts before the trade. [base]
    size : float
        Signed size of the trade. [base]
    """
    require_price("oracle", oracle)
    require_finite("skew", skew)
    require_finite("size", size)
    return oracle * (1.0 + (skew + size / 2.0) / market.skew_scale)
