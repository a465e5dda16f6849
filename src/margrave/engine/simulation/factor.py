"""Rates that move with the venue's own market: a multiplier on the rulebook's, decided now and then (spec DM, RBF-6).

The loop is closed here too: the vol is that of marks that liquidations moved, the depth is what they left, and the rate that
follows is asked of everybody.
"""

from dataclasses import dataclass, field, replace
from typing import Final, final

import numpy as np

from margrave.domain.checks import require
from margrave.kernels.dynamic_rate import (
    Cadence,
    Reading,
    Standing,
    buffered,
    crowding,
    decided,
    floored,
    liquidity_multiplier,
    vol_multiplier,
)
from margrave.kernels.impact import decayed

_YEAR: Final = 365.0 * 86_400.0
_INF: Final = float("inf")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicRate:
    """What moves the multiplier, what holds it back, and when it may change; parts that are not stated do nothing."""

    asset: str  # whose vol, depth and open interest are read
    usual_vol: float | None = None  # [per year] that the base rates were made for
    short_seconds: float = 3_600.0  # half-life of the short window of vol
    long_seconds: float = 30.0 * 86_400.0  # of the long one
    reads_depth: bool = False  # depth over its usual, the thinnest market of the asset
    crowd: tuple[float, float] | None = (
        None  # [contracts] open interest at which the multiplier begins and ends to rise
    )
    low: float = 1.0
    high: float = 4.0
    buffer: float = 0.0  # share on top in calm times, used up in wild ones; EMIR's is a quarter
    floor: float = 0.0  # never below: what stressed times ask
    cadence: Cadence = field(default_factory=Cadence)

    def __post_init__(self) -> None:
        require(
            self.usual_vol is None or 0.0 < self.usual_vol < 100.0, "usual_vol", self.usual_vol, "above zero"
        )
        for name in ("short_seconds", "long_seconds"):
            require(0.0 < getattr(self, name) < _INF, name, getattr(self, name), "above zero")
        require(
            0.0 < self.low <= self.high < _INF, "low, high", (self.low, self.high), "ascending, above zero"
        )
        good = self.crowd is None or 0.0 <= self.crowd[0] <= self.crowd[1] < _INF
        require(good, "crowd", self.crowd, "two ascending numbers of contracts")
        require(0.0 <= self.buffer <= 10.0, "buffer", self.buffer, "a share")
        require(0.0 <= self.floor <= self.high, "floor", self.floor, "zero or more, and at most `high`")


@final
@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the market of the asset."""

    at: float  # [s] since the opening
    price: float  # mark
    depth: float  # over its usual, of the thinnest market; one where none is known
    open_interest: float  # [contracts]


@final
@dataclass(frozen=True, slots=True)
class Moving:
    """The fold's state."""

    standing: Standing
    seen: Seen
    short: float  # variance [per year]
    long: float


def begun(rule: DynamicRate, seen: Seen) -> Moving:
    """Before the first step: the base rates are in force, vol is what they were made for."""
    variance = (rule.usual_vol or 0.0) ** 2
    start = max(rule.floor, float(buffered(1.0, 1.0, rule.buffer)))
    return Moving(Standing(start, -_INF), seen, variance, variance)


def moved(rule: DynamicRate, state: Moving, seen: Seen) -> Moving:
    """The state after one look more; `standing.rate` is the multiplier in force."""
    elapsed = seen.at - state.seen.at
    short, long = state.short, state.long
    if elapsed > 0.0:
        squared = float(np.log(seen.price / state.seen.price)) ** 2 / (elapsed / _YEAR)
        short = squared + float(decayed(short - squared, elapsed, rule.short_seconds))
        long = squared + float(decayed(long - squared, elapsed, rule.long_seconds))
    state = replace(state, seen=seen, short=short, long=long)
    reading = Reading(seen.at, target(rule, state))
    return replace(state, standing=decided(state.standing, reading, rule.cadence))


def target(rule: DynamicRate, state: Moving) -> float:
    """Multiplier that the inputs ask for: the factors multiplied and bounded, then the buffer, then the floor."""
    product = 1.0
    if rule.usual_vol is not None:
        vols = (state.short**0.5, state.long**0.5)
        product *= float(vol_multiplier(*vols, rule.usual_vol, rule.low, rule.high))
    if rule.reads_depth:
        product *= float(liquidity_multiplier(0.0, state.seen.depth, 0.0, rule.low, rule.high))
    if rule.crowd is not None:
        product *= 1.0 + (rule.high - 1.0) * float(crowding(state.seen.open_interest, *rule.crowd))
    asked = min(max(product, rule.low), rule.high)
    return float(floored(buffered(asked, 1.0, rule.buffer), rule.floor))
