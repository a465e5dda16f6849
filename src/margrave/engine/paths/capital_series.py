"""Return on equity and utilisation over a path, under several ways to margin the same account (spec CM-7, 4.2).

Isolated, cross and portfolio margin are variants of rules and modes; each carries the account through the same markets,
liquidates what it must, and gives a series of plain numbers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import final

from margrave.domain.account import Account
from margrave.domain.market import Market
from margrave.engine.analysis.compare import Variant, in_mode
from margrave.engine.assessment import Assessment
from margrave.engine.default.closing import LiquidationRule
from margrave.engine.paths.statistics import Observation, replay


@final
@dataclass(frozen=True, slots=True)
class CapitalPoint:
    """One variant at one instant, all pools together; money in the numeraire, NaN where it is not known."""

    variant: str
    at: datetime
    equity: float
    initial: float
    maintenance: float
    profit: float  # of equity since the first instant
    return_on_equity: float  # profit over the equity of the first instant
    return_on_margin: float  # profit over initial margin, averaged over time so far
    utilisation: float  # maintenance over margin balance
    is_liquidated: bool  # something was closed by force until now


@final
@dataclass(frozen=True, slots=True)
class Carried:
    """The fold's state of one variant."""

    first: float  # equity at the start [numeraire]
    started: datetime
    last: CapitalPoint | None = None
    margin_seconds: float = 0.0  # initial margin times time [numeraire s]


def capital_series(
    account: Account,
    markets: Sequence[Market],
    variants: Iterable[Variant],
    rule: LiquidationRule = LiquidationRule(),  # noqa: B008 - frozen
) -> tuple[CapitalPoint, ...]:
    """Equity, margin, returns and utilisation of an account under each variant.

    Parameters
    ----------
    account : Account
        As it is at the first market.
    markets : sequence of Market
        In order of time.
    variants : iterable of Variant
        Rules and modes; positions change their mode at the first market, and what the account owns stays the same.
    rule : LiquidationRule
        How pools below maintenance are closed.

    Returns
    -------
    tuple of CapitalPoint
        Variant by variant, one a market. Initial margin counts from its instant to the next; until some time has
        passed the margin of the first instant stands for the average.
    """
    points = []
    for variant in variants if markets else ():
        mine = in_mode(account, markets[0], variant.rulebook, variant.mode)
        state: Carried | None = None
        seen = replay(mine, markets, variant.rulebook, rule)
        for market, observation in zip(markets, seen, strict=True):
            state = observed(state, variant.name, market, observation)
            assert state.last is not None
            points.append(state.last)
    return tuple(points)


def observed(state: Carried | None, variant: str, market: Market, seen: Observation) -> Carried:
    """The state after one observation more; `last` is the new point."""
    after = seen.after
    equity, balance, initial, maintenance = (
        _worth(after, market, name) for name in ("equity", "margin_balance", "initial", "maintenance")
    )
    if state is None:
        state = Carried(_worth(seen.before, market, "equity"), market.at)
    last, spent = state.last, state.margin_seconds
    if last is not None:
        spent += last.initial * (market.at - last.at).total_seconds()
    elapsed = (market.at - state.started).total_seconds()
    profit = equity - state.first
    forced = any(pool.steps for pool in seen.unwinding.pools)
    point = CapitalPoint(
        variant,
        market.at,
        equity,
        initial,
        maintenance,
        profit,
        _over(profit, state.first),
        _over(profit, spent / elapsed if elapsed > 0.0 else initial),
        _over(maintenance, balance),
        forced or (last is not None and last.is_liquidated),
    )
    return Carried(state.first, state.started, point, spent)


def _worth(assessment: Assessment, market: Market, name: str) -> float:
    pools = [pool for pool in assessment.pools if getattr(pool, name) != 0.0]
    prices = [market.index_of(pool.currency) for pool in pools]
    amounts = zip(pools, prices, strict=True)
    return sum(
        (float(getattr(pool, name)) * (float("nan") if price is None else price) for pool, price in amounts),
        0.0,
    )


def _over(amount: float, by: float) -> float:
    if amount == 0.0:
        return 0.0
    return amount / by if by > 0.0 else float("nan")
