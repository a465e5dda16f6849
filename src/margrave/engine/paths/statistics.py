"""How often pools are liquidated, what it costs them, how long they were warned: a fold over markets (spec IM-5)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import final

from margrave.domain.account import Account
from margrave.domain.market import Market
from margrave.engine.assess import assess
from margrave.engine.assessment import Assessment, Status
from margrave.engine.default.closing import LiquidationRule
from margrave.engine.default.unwind import PoolUnwinding, Unwinding, unwind
from margrave.engine.paths.memory import advance
from margrave.rulebook.schema import Rulebook

WARNING = frozenset({Status.CALL, Status.LIQUIDATABLE})


@final
@dataclass(frozen=True, slots=True)
class Observation:
    """An account at one instant: as it came, what was liquidated, and as it left."""

    before: Assessment
    unwinding: Unwinding
    after: Assessment


@final
@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """What happened to one pool; money in its currency."""

    pool: str
    currency: str
    liquidations: int = 0  # instants at which orders were cancelled or legs closed
    loss: float = 0.0  # of what was closed from its entry, with fee and penalty, less what others bore
    deficit: float = 0.0  # what others bore, >= 0
    warned: timedelta = timedelta()  # below initial margin, a status holds until the next observation
    observed: timedelta = timedelta()

    @property
    def loss_given_liquidation(self) -> float:
        """Average loss of a liquidation; zero where there was none."""
        return self.loss / self.liquidations if self.liquidations else 0.0


@final
@dataclass(frozen=True, slots=True)
class Statistics:
    """The fold's state: figures by pool, and what the next observation needs."""

    pools: Mapping[str, PoolStatistics] = field(default_factory=dict)
    at: datetime | None = None
    status: Mapping[str, Status] = field(default_factory=dict)  # of each pool as the last instant left it


def replay(
    account: Account, markets: Iterable[Market], rulebook: Rulebook, rule: LiquidationRule
) -> Iterator[Observation]:
    """Carry an account through markets, liquidating where it must be.

    Parameters
    ----------
    account, markets, rulebook, rule : Account, iterable of Market, Rulebook, LiquidationRule
        Markets in order of time.

    Yields
    ------
    Observation
        One a market; memory is advanced before, so that path-dependent rules see each mark once.
    """
    for market in markets:
        account = advance(account, market, rulebook)
        before = assess(account, market, rulebook)
        done = unwind(account, market, rulebook, rule)
        account = done.account
        yield Observation(before, done, assess(account, market, rulebook))


def observed(statistics: Statistics, seen: Observation) -> Statistics:
    """Statistics after one more observation.

    Raises
    ------
    ValueError
        The observation is of an earlier instant than the last.
    """
    at = seen.before.at
    if statistics.at is not None and at < statistics.at:
        raise ValueError(f"at is {at.isoformat()}; it must not be before {statistics.at.isoformat()}")
    elapsed = timedelta() if statistics.at is None else at - statistics.at
    pools = {
        name: _waited(told, statistics.status.get(name), elapsed) for name, told in statistics.pools.items()
    }
    for pool in seen.unwinding.pools:
        told = pools.get(pool.pool, PoolStatistics(pool.pool, pool.currency))
        pools[pool.pool] = _liquidated(told, pool) if pool.steps else told
    return Statistics(pools, at, {p.name: p.status for p in seen.after.pools})


def statistics(path: Iterable[Observation]) -> tuple[PoolStatistics, ...]:
    """Fold a path of observations into the statistics of every pool that was ever there, in order."""
    state = Statistics()
    for seen in path:
        state = observed(state, seen)
    return tuple(state.pools.values())


def _waited(told: PoolStatistics, status: Status | None, elapsed: timedelta) -> PoolStatistics:
    # A pool that is closed is neither observed nor warned.
    if status is None:
        return told
    warned = told.warned + (elapsed if status in WARNING else timedelta())
    return replace(told, warned=warned, observed=told.observed + elapsed)


def _liquidated(told: PoolStatistics, pool: PoolUnwinding) -> PoolStatistics:
    lost = sum(step.loss for step in pool.steps) - pool.deficit
    return replace(
        told,
        liquidations=told.liquidations + 1,
        loss=told.loss + lost,
        deficit=told.deficit + pool.deficit,
    )
