"""The bounded queue in which events wait for the next calculation."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import final

from margrave.domain.checks import require
from margrave.engine.live.events import Event, key_of


@final
@dataclass(frozen=True, slots=True)
class Queue:
    """Events that wait, at most ``capacity`` of them.

    A tick of an input that waits already takes its place, so that ticks alone never fill more places than there are
    inputs; of two, the one of the later instant stays, and of one instant the one that came last. Anything else takes a
    place of its own and keeps its order. What finds no place is handed back: the sender has to wait, nothing is lost.
    """

    capacity: int
    waiting: Mapping[Hashable, Event] = field(default_factory=dict)
    number: int = 0  # of the next event that happens once
    coalesced: int = 0  # ticks and clocks that a newer one replaced
    late: int = 0  # ticks and clocks that came after a newer one
    refused: int = 0  # handed back

    def __post_init__(self) -> None:
        require(self.capacity >= 1, "capacity", self.capacity, "one or more")
        object.__setattr__(self, "waiting", MappingProxyType(dict(self.waiting)))

    def __len__(self) -> int:
        return len(self.waiting)


def offered(queue: Queue, events: Iterable[Event]) -> tuple[Queue, tuple[Event, ...]]:
    """Put events into the queue.

    Parameters
    ----------
    queue : Queue
        As it stands.
    events : iterable of Event
        In the order in which they came.

    Returns
    -------
    Queue, tuple of Event
        The queue after, and what it had no place for, in order: to be offered again. From the first that happens once
        and finds no place on, all of that kind are handed back, so that an account's events never overtake each other.
    """
    waiting, back = dict(queue.waiting), []
    number, coalesced, late, is_full = queue.number, queue.coalesced, queue.late, False
    for event in events:
        key = key_of(event)
        known = None if key is None else waiting.get(key)
        if known is not None and known.at > event.at:
            late += 1
        elif known is not None:
            del waiting[key]
            waiting[key] = event
            coalesced += 1
        elif len(waiting) >= queue.capacity or (is_full and key is None):
            is_full = is_full or key is None
            back.append(event)
        else:
            waiting[number if key is None else key] = event
            number += 1
    refused = queue.refused + len(back)
    return Queue(queue.capacity, waiting, number, coalesced, late, refused), tuple(back)


def drained(queue: Queue) -> tuple[Queue, tuple[Event, ...]]:
    """Take all that waits, in order; the counts stay."""
    return replace(queue, waiting={}), tuple(queue.waiting.values())
