"""A screen from a proof: who has to be computed, where somebody can prove whose status stays what it was at one moment.

::

    watch = watched(state, breaches)                      # breaches(market) -> accounts that the proof does not cover there
    state, changes = advance(state, events, screen=screen_of(watch))
    watch = looked(watch, state, changes)

A proof speaks of the statuses that pools had when it was made and of the rows that accounts had. Whoever has changed either
since then is restless and always computed, until a new proof is made.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias, final

import numpy as np

from margrave.engine.live.venue import Changes, LiveBook, Screen, nobody
from margrave.kernels.arrays import I64, Bools
from margrave.margin.resolve import Resolved

Breaches: TypeAlias = Callable[[Resolved], I64]
"""Accounts whose status may be another in a market than where the proof was made; of the same instruments and rules."""


@final
@dataclass(frozen=True, slots=True)
class Watch:
    """A proof, and for whom it does not speak any more."""

    breaches: Breaches
    made_in: Resolved
    restless: I64  # accounts whose rows or statuses have changed since, ascending


def watched(state: LiveBook, breaches: Breaches) -> Watch:
    """A watch over a venue whose proof was made of it as it stands.

    Parameters
    ----------
    state : LiveBook
        The venue.
    breaches : callable
        The proof: what it covers in ``state.resolved`` is everybody.
    """
    return Watch(breaches, state.resolved, nobody())


def screen_of(watch: Watch) -> Screen:
    """The screen for one step of the venue."""

    def screen(before: LiveBook, now: Resolved, rows: I64) -> Bools:
        if len(now.table.instruments) != len(watch.made_in.table.instruments):
            return np.ones(len(rows), dtype=np.bool_)  # listed since: the proof knows nothing of it
        must = np.union1d(watch.breaches(now), watch.restless)
        return np.isin(rows, must, assume_unique=True)

    return screen


def looked(watch: Watch, state: LiveBook, changes: Changes) -> Watch:
    """The watch after a step.

    Parameters
    ----------
    watch : Watch
        Before it.
    state, changes : LiveBook, Changes
        What `advance` gave.
    """
    moved = np.array([state.rows[change.account] for change in changes.statuses], dtype=np.int64)
    return replace(watch, restless=np.unique(np.concatenate((watch.restless, moved, changes.amended))))
