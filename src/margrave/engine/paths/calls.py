"""Margin calls of a whole book over time: issued, due, met or partly met, lifted, defaulted, each timed (spec DM-7).

A fold on columns, one row a pool, so that a simulated venue and a replay of recorded equity can use it. A call asks for what
is missing when it is issued. It is *met* when as much was paid in, *lifted* when the pool is no longer short although less
was paid (prices did it), and *defaulted* when it is due and neither: then liquidation is next, and nothing is called again
until the pool has recovered. A pool that has paid its call and is short again is called again.
"""

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from margrave.domain.checks import require
from margrave.kernels.arrays import F64, Bools, finite, non_negative


@final
@dataclass(frozen=True, slots=True)
class CallRule:
    """When a venue calls, and how long it waits."""

    grace_seconds: float  # from issue to due
    buffer: float = 0.0  # [fraction of the requirement] to reach beyond it
    least: float = 0.0  # smallest amount that is called [pool currency]

    def __post_init__(self) -> None:
        require(0.0 <= self.grace_seconds < float("inf"), "grace_seconds", self.grace_seconds, "zero or more")
        require(0.0 <= self.buffer < float("inf"), "buffer", self.buffer, "zero or more")
        require(0.0 <= self.least < float("inf"), "least", self.least, "zero or more")


@final
@dataclass(frozen=True, slots=True)
class Calls:
    """The fold's state, (K,) each."""

    asked: F64  # of the open call [pool currency]; zero without one
    paid: F64  # since it was issued
    issued: F64  # [s]; NaN without one
    due: F64
    is_defaulted: Bools  # and has not recovered since

    @property
    def is_open(self) -> Bools:
        """Whether a call is open, (K,)."""
        return np.asarray(self.asked > 0.0)


@final
@dataclass(frozen=True, slots=True)
class CallEvents:
    """What happened to the calls at one instant, (K,) each."""

    issued: Bools
    partly_met: Bools  # something was paid into a call that stays open
    met: Bools
    lifted: Bools
    defaulted: Bools
    waited: F64  # [s] from issue to the end of a call; NaN where none ended


@final
@dataclass(frozen=True, slots=True)
class CallCounts:
    """Calls of a run so far."""

    issued: int = 0
    met: int = 0
    lifted: int = 0
    defaulted: int = 0
    seconds_to_met: float = 0.0  # over all that were met
    longest_open: float = 0.0  # [s] of all that ended

    @property
    def open(self) -> int:
        """Calls that have not ended."""
        return self.issued - self.met - self.lifted - self.defaulted

    @property
    def mean_seconds_to_met(self) -> float:
        """NaN where none was met."""
        return self.seconds_to_met / self.met if self.met else float("nan")


def no_calls(count: int) -> Calls:
    """Columns of pools of which none is called."""
    zero, never = np.zeros(count), np.full(count, np.nan)
    return Calls(zero, zero, never, never, np.zeros(count, dtype=bool))


def advance(
    calls: Calls, at: float, required: F64, balance: F64, paid_in: F64, rule: CallRule
) -> tuple[Calls, CallEvents]:
    """The calls after one instant more.

    Parameters
    ----------
    calls : Calls
        From `no_calls` or the last instant.
    at : float
        Seconds, not before the last.
    required, balance : (K,) ndarray
        Requirement below which the venue calls, and margin balance after what was paid in; a pool of which one is
        NaN is left as it is.
    paid_in : (K,) ndarray
        Collateral that came since the last instant, >= 0.
    rule : CallRule
        Grace, buffer and least amount.

    Returns
    -------
    Calls, CallEvents
        The state and what happened.
    """
    time = float(finite("at", at))
    if np.any(calls.issued > time):
        raise ValueError(f"at is {at}; it must not be before a call that is open")
    with np.errstate(invalid="ignore"):
        short = required * (1.0 + rule.buffer) - balance
    known, was_open = ~np.isnan(short), calls.is_open
    paid = calls.paid + np.where(was_open, non_negative("paid_in", paid_in), 0.0)
    met = was_open & known & (paid >= calls.asked)
    lifted = was_open & known & ~met & (short <= 0.0)
    defaulted = was_open & known & ~met & ~lifted & (time >= calls.due)
    ended = met | lifted | defaulted
    marked = (calls.is_defaulted | defaulted) & ~(known & (short <= 0.0))
    fresh = known & (short > 0.0) & (short >= rule.least) & ~(was_open & ~ended) & ~marked
    kept = was_open & ~ended
    after = Calls(
        np.where(fresh, short, np.where(kept, calls.asked, 0.0)),
        np.where(kept, paid, 0.0),
        np.where(fresh, time, np.where(kept, calls.issued, np.nan)),
        np.where(fresh, time + rule.grace_seconds, np.where(kept, calls.due, np.nan)),
        marked,
    )
    partly = kept & (paid > calls.paid)
    waited = np.where(ended, time - calls.issued, np.nan)
    return after, CallEvents(fresh, partly, met, lifted, defaulted, waited)


def counted(counts: CallCounts, events: CallEvents) -> CallCounts:
    """The counts after the events of one instant more."""
    return replace(
        counts,
        issued=counts.issued + int(events.issued.sum()),
        met=counts.met + int(events.met.sum()),
        lifted=counts.lifted + int(events.lifted.sum()),
        defaulted=counts.defaulted + int(events.defaulted.sum()),
        seconds_to_met=counts.seconds_to_met + float(events.waited[events.met].sum()),
        longest_open=float(np.nanmax(np.append(events.waited, counts.longest_open))),
    )
