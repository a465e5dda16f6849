"""A watch over a portfolio: stale inputs, and what it would use if correlations broke down (spec PM-2).

A fold over markets. It raises an alarm when the age of an input passes its limit, or when the utilisation forecast
under the worst breakdown of correlations passes 100 %, and lifts it when the value is back, with a distance between
the two so that it does not flicker.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, final

from margrave.core.words import MAINTENANCE
from margrave.domain.account import Account
from margrave.domain.checks import require
from margrave.domain.market import Market
from margrave.engine.analysis.breakdown import Breakdown, breakdowns
from margrave.rulebook.schema import Rulebook

STALE: Final = "stale input"
UTILISATION: Final = "utilisation under breakdown"


@final
@dataclass(frozen=True, slots=True)
class Watch:
    """What is watched for."""

    age_max_seconds: float = 60.0  # of the mark of a position, and between two observations
    utilisation_max: float = 1.0  # requirement under breakdown over margin balance
    lifted_below: float = 0.95  # the alarm of utilisation is lifted under this

    def __post_init__(self) -> None:
        require(self.age_max_seconds >= 0.0, "age_max_seconds", self.age_max_seconds, "zero or more")
        required = 0.0 < self.lifted_below <= self.utilisation_max < float("inf")
        values = (self.lifted_below, self.utilisation_max)
        require(
            required, "lifted_below, utilisation_max", values, "above zero, the first not above the second"
        )


@final
@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that passed its limit, or came back."""

    at: datetime
    kind: str
    what: str  # pool, instrument, or the market as a whole
    is_raised: bool  # False: it is lifted
    before: float | None  # as the last observation had it; None without one
    after: float  # age [s], or utilisation; NaN where it is not known


@final
@dataclass(frozen=True, slots=True)
class Watched:
    """The fold's state: what was seen last, and which alarms stand."""

    at: datetime | None = None
    values: Mapping[tuple[str, str], float] = field(default_factory=dict)  # (kind, what) -> value
    standing: frozenset[tuple[str, str]] = frozenset()


def forecast(found: Breakdown) -> float:
    """Utilisation of a pool if correlations break down: the most that it would be asked over its margin balance.

    Infinite where something is asked of a balance of zero or less; NaN where it is not known.
    """
    asked = found.calibrated + found.jump
    if asked != asked or found.margin_balance != found.margin_balance:
        return float("nan")
    if found.margin_balance <= 0.0:
        return float("inf") if asked > 0.0 or found.margin_balance < 0.0 else 0.0
    return asked / found.margin_balance


def observed(
    state: Watched,
    account: Account,
    market: Market,
    rulebook: Rulebook,
    watch: Watch,
    level: int = MAINTENANCE,
) -> tuple[Watched, tuple[Alarm, ...]]:
    """The state after one market more, and the alarms that it raises or lifts.

    Parameters
    ----------
    state : Watched
        Empty at the start.
    account, market, rulebook : Account, Market, Rulebook
        As they are now; the rulebook offsets by correlation.
    watch : Watch
        Limits.
    level : int
        Level of the requirement, a row of `margrave.core.words`.

    Returns
    -------
    Watched, tuple of Alarm
        What is not known passes every limit. An instrument or pool that is gone lifts its alarm at NaN.

    Raises
    ------
    RefusedError
        The rulebook offsets nothing by correlation.
    ValueError
        The market is of an earlier instant than the last.
    """
    if state.at is not None and market.at < state.at:
        raise ValueError(f"at is {market.at.isoformat()}; it must not be before {state.at.isoformat()}")
    values = dict(_ages(state, account, market))
    values |= {(UTILISATION, b.pool): forecast(b) for b in breakdowns(account, market, rulebook, level)}
    standing, alarms = set(state.standing), []
    for key in dict.fromkeys((*state.standing, *values)):
        kind, what = key
        value = values.get(key, float("nan"))
        stands = key in values and _stands(watch, kind, value, key in standing)
        if stands != (key in standing):
            standing ^= {key}
            alarms.append(Alarm(market.at, kind, what, stands, state.values.get(key), value))
    return Watched(market.at, values, frozenset(standing)), tuple(alarms)


def alarms(
    account: Account,
    markets: Iterable[Market],
    rulebook: Rulebook,
    watch: Watch = Watch(),
    level: int = MAINTENANCE,
) -> Iterator[Alarm]:
    """Fold markets, in order of time, into the alarms that they raise and lift."""
    state = Watched()
    for market in markets:
        state, found = observed(state, account, market, rulebook, watch, level)
        yield from found


def _ages(state: Watched, account: Account, market: Market) -> Iterator[tuple[tuple[str, str], float]]:
    if state.at is not None:
        yield (STALE, "market"), (market.at - state.at).total_seconds()
    for symbol in dict.fromkeys(p.symbol for p in account.positions):
        quote = market.quotes.get(symbol)
        made = None if quote is None else quote.at or market.at
        yield (STALE, symbol), float("nan") if made is None else (market.at - made).total_seconds()


def _stands(watch: Watch, kind: str, value: float, stood: bool) -> bool:
    if kind == STALE:
        return not value <= watch.age_max_seconds
    return not value <= watch.utilisation_max or (stood and not value < watch.lifted_below)
