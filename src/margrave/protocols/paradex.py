"""Paradex portfolio margin: the part that needs no scenarios. Source: specification of on-chain systems, section 6.

The scan itself is a grid of scenarios; what it finds is compared with the minimum that net and hedged delta ask.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from margrave.domain.checks import require, require_finite, require_price

NET_RATE = 0.02
HEDGED_RATE = 0.01
MAINTENANCE_SHARE = 0.5
"""Of initial, before provisions."""


@final
@dataclass(frozen=True, slots=True)
class Deltas:
    """Deltas of one underlying. [base]."""

    net: float  # signed
    gross: float  # >= 0
    hedged: float  # >= 0, what longs and shorts cover of each other


@final
@dataclass(frozen=True, slots=True)
class PortfolioMargin:
    """Both levels. [quote]."""

    initial: float
    maintenance: float


def deltas(parts: Sequence[float]) -> Deltas:
    """Net, gross and hedged delta of positions' signed deltas: hedged is ``(gross - |net|) / 2``."""
    for part in parts:
        require_finite("delta", part)
    net, gross = sum(parts), sum(map(abs, parts))
    return Deltas(net, gross, (gross - abs(net)) / 2.0)


def minimum_delta(held: Deltas, spot: float) -> float:
    """Least requirement: 2 % of net and 1 % of hedged delta, at spot [quote]."""
    require_price("spot", spot)
    return (NET_RATE * abs(held.net) + HEDGED_RATE * held.hedged) * spot


def portfolio_margin(scan: float, minimum: float, funding: float = 0.0, fee: float = 0.0) -> PortfolioMargin:
    """Margin of a portfolio.

    Parameters
    ----------
    scan : float
        Largest weighted loss of the scenarios, >= 0. [quote]
    minimum : float
        As of `minimum_delta`. [quote]
    funding, fee : float
        Provisions, which stand on top of both levels, >= 0. [quote]
    """
    for name, amount in (("scan", scan), ("minimum", minimum), ("funding", funding), ("fee", fee)):
        require_finite(name, amount)
        require(amount >= 0.0, name, amount, "zero or more")
    net = max(scan, minimum)
    return PortfolioMargin(net + funding + fee, MAINTENANCE_SHARE * net + funding + fee)
