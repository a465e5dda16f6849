"""How long events waited for their answer, by the caller's clock: counts by powers of two of a microsecond."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final, final

from margrave.domain.checks import require

_BINS: Final = 40  # the last begins beyond three days
_MICROSECOND: Final = timedelta(microseconds=1)


@final
@dataclass(frozen=True, slots=True)
class Latencies:
    """Waiting times of events so far."""

    counts: tuple[int, ...] = (0,) * _BINS  # below 1 us, then from each power of two to the next
    most: timedelta = timedelta(0)

    @property
    def count(self) -> int:
        """Events."""
        return sum(self.counts)


def noted(latencies: Latencies, instants: Iterable[datetime], done: datetime) -> Latencies:
    """Add events.

    Parameters
    ----------
    latencies : Latencies
        So far.
    instants : iterable of datetime
        Of the events that one calculation answered.
    done : datetime
        When the answer stood, by the clock that gave the instants; an event from later than that waited nothing.
    """
    counts, most = list(latencies.counts), latencies.most
    for at in instants:
        waited = max(done - at, timedelta(0))
        counts[min((waited // _MICROSECOND).bit_length(), _BINS - 1)] += 1
        most = max(most, waited)
    return Latencies(tuple(counts), most)


def quantile(latencies: Latencies, share: float) -> timedelta:
    """A time that at least a share of the events did not wait beyond: exact up to a factor of two, never too low.

    Raises
    ------
    ValueError
        The share is not between 0 and 1, or there are no events.
    """
    require(0.0 <= share <= 1.0, "share", share, "between 0 and 1")
    require(latencies.count > 0, "latencies", latencies.count, "of at least one event")
    wanted, seen = max(ceil(share * latencies.count), 1), 0
    for place, count in enumerate(latencies.counts):
        seen += count
        if seen >= wanted:
            is_last = place == _BINS - 1
            return latencies.most if is_last else min(latencies.most, (1 << place) * _MICROSECOND)
    raise AssertionError("the counts add up to less than their sum")
