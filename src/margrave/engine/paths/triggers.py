"""When margin is asked anew: vols, correlations or deltas that moved beyond a limit (spec PMM-4).

A fold. What was true when margin was asked last is the reference; a value that leaves it by its limit asks anew, and
everything then becomes the reference. A value that swings about a limit therefore triggers once: to trigger again it
has to move by the whole limit from where it is.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, final

from margrave.domain.account import Account
from margrave.domain.checks import require
from margrave.domain.market import Market
from margrave.engine.analysis.exposure import exposures
from margrave.engine.assess import assess
from margrave.rulebook.schema import Rulebook

VOL: Final = "vol"
CORRELATION: Final = "correlation"
DELTA: Final = "delta"


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """Moves that ask for margin anew; None leaves a kind unwatched."""

    vol: float | None = 0.05  # [per year] of an asset, or of an option that is held
    correlation: float | None = 0.1  # of a pair of assets
    delta: Mapping[str, float] = field(default_factory=dict)  # [coins] of the dollar delta, by underlying

    def __post_init__(self) -> None:
        limits = {"vol": self.vol, "correlation": self.correlation}
        limits |= {f"delta.{asset}": limit for asset, limit in self.delta.items()}
        for name, limit in limits.items():
            require(limit is None or 0.0 < limit < float("inf"), name, limit, "above zero")


@final
@dataclass(frozen=True, slots=True)
class Trigger:
    """One value that moved; None where it appeared or vanished."""

    kind: str  # vol, correlation or delta
    what: str  # asset, instrument or pair
    was: float | None
    now: float | None


@final
@dataclass(frozen=True, slots=True)
class PoolMargin:
    """What one pool is asked [pool currency]; NaN where it is not known."""

    currency: str
    initial: float
    maintenance: float


@final
@dataclass(frozen=True, slots=True)
class Remargin:
    """Margin that is asked anew."""

    at: datetime
    triggers: tuple[Trigger, ...]
    before: Mapping[str, PoolMargin]  # by pool, as it was asked last
    after: Mapping[str, PoolMargin]


@final
@dataclass(frozen=True, slots=True)
class Reference:
    """The fold's state: what margin was asked on."""

    values: Mapping[tuple[str, str], float]  # (kind, what) -> value
    asked: Mapping[str, PoolMargin]


def reference(account: Account, market: Market, rulebook: Rulebook) -> Reference:
    """Ask margin now, whatever was before."""
    asked = {
        pool.name: PoolMargin(pool.currency, pool.initial, pool.maintenance)
        for pool in assess(account, market, rulebook).pools
    }
    return Reference(dict(_values(account, market)), asked)


def observed(
    state: Reference, account: Account, market: Market, rulebook: Rulebook, limits: Limits
) -> tuple[Reference, Remargin | None]:
    """The state after one observation more, and the event if margin is asked anew.

    Parameters
    ----------
    state : Reference
        From `reference` or the last observation.
    account, market, rulebook : Account, Market, Rulebook
        As they are now.
    limits : Limits
        A value that moved by its limit or more triggers. A vol or correlation that appears or vanishes triggers
        too; an underlying that is not held has a delta of zero.
    """
    now = dict(_values(account, market))
    triggers = tuple(_triggers(state.values, now, limits))
    if not triggers:
        return state, None
    fresh = reference(account, market, rulebook)
    return fresh, Remargin(market.at, triggers, state.asked, fresh.asked)


def remargins(
    path: Iterable[tuple[Account, Market]], rulebook: Rulebook, limits: Limits
) -> Iterator[Remargin]:
    """Fold a path of accounts and markets into the events at which margin is asked anew.

    Parameters
    ----------
    path : iterable of (Account, Market)
        In order of time; the first is the reference.
    """
    state: Reference | None = None
    for account, market in path:
        if state is None:
            state = reference(account, market, rulebook)
            continue
        state, event = observed(state, account, market, rulebook, limits)
        if event is not None:
            yield event


def _values(account: Account, market: Market) -> Iterator[tuple[tuple[str, str], float]]:
    for asset, vol in market.vols.items():
        yield (VOL, asset), vol
    for symbol in dict.fromkeys(p.symbol for p in account.positions):
        quote = market.quotes.get(symbol)
        if quote is not None and quote.vol is not None:
            yield (VOL, symbol), quote.vol
    for pair, rho in market.correlations.items():
        yield (CORRELATION, " / ".join(sorted(pair))), rho
    for exposure in exposures(account, market):
        yield (DELTA, exposure.underlying), exposure.dollar_delta


def _triggers(
    was: Mapping[tuple[str, str], float], now: Mapping[tuple[str, str], float], limits: Limits
) -> Iterator[Trigger]:
    for kind, what in dict.fromkeys((*was, *now)):
        limit = limits.delta.get(what) if kind == DELTA else getattr(limits, kind)
        missing = 0.0 if kind == DELTA else None
        before, after = (told.get((kind, what), missing) for told in (was, now))
        if limit is not None and _moved(before, after, limit):
            yield Trigger(kind, what, before, after)


def _moved(before: float | None, after: float | None, limit: float) -> bool:
    # What is not known on both sides has not moved.
    known = [x is not None and x == x for x in (before, after)]
    if all(known):
        assert before is not None
        assert after is not None
        return abs(after - before) >= limit * (1.0 - 1e-12)
    return any(known)
