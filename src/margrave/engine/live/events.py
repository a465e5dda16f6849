"""What happens on a live venue, and the bounded queue in which it waits for the next calculation.

Every event has its own instant, told by whoever saw it: nothing here reads a clock.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias, final

from margrave.core.words import MarginMode
from margrave.domain.account import Leg, Order
from margrave.domain.checks import require, require_finite, require_price, require_zone


class Input(StrEnum):
    """Prices that tick, each with an age of its own."""

    INDEX = "index"  # of an asset [numeraire per asset]
    MARK = "mark"  # of an instrument [as its quote]
    FORWARD = "forward"  # of an option's expiry [quote per base]
    VOL = "vol"  # of an option at its mark [per year]


@final
@dataclass(frozen=True, slots=True)
class Tick:
    """A price, as it was at an instant."""

    at: datetime
    what: Input
    name: str  # asset of an index, instrument of the others
    value: float

    def __post_init__(self) -> None:
        require_zone("at", self.at)
        require_finite("value", self.value)
        require(self.value >= 0.0, "value", self.value, "zero or more")


@final
@dataclass(frozen=True, slots=True)
class Clock:
    """Time passes: the market's instant becomes this one, options lose it, and prices of long ago are stale."""

    at: datetime

    def __post_init__(self) -> None:
        require_zone("at", self.at)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A trade of an account."""

    at: datetime
    account: str
    symbol: str
    quantity: float  # [contracts] bought > 0
    price: float  # [as the mark]
    cash: float | None = None  # [settlement asset] received > 0; None: profit or premium by the payoff
    mode: MarginMode = MarginMode.CROSS
    leg: Leg = Leg.NET
    leverage: float | None = None  # of a position that this opens

    def __post_init__(self) -> None:
        require_zone("at", self.at)
        require_finite("quantity", self.quantity)
        require(self.quantity != 0, "quantity", self.quantity, "other than zero")
        require_price("price", self.price)
        require_finite("cash", self.cash or 0.0)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Deposited:
    """Cash that came in, or went out."""

    at: datetime
    account: str
    asset: str
    amount: float  # [asset] withdrawn < 0

    def __post_init__(self) -> None:
        require_zone("at", self.at)
        require_finite("amount", self.amount)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced:
    """An order that is open from now on."""

    at: datetime
    account: str
    order: Order

    def __post_init__(self) -> None:
        require_zone("at", self.at)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled:
    """An order that is open no more, whether it was filled or taken back: the first that equals this one."""

    at: datetime
    account: str
    order: Order

    def __post_init__(self) -> None:
        require_zone("at", self.at)


AccountEvent: TypeAlias = Filled | Deposited | OrderPlaced | OrderCancelled
Event: TypeAlias = Tick | Clock | AccountEvent


def key_of(event: Event) -> Hashable | None:
    """What a later event of the same key makes obsolete: a tick's input, the clock; None for what happened once."""
    match event:
        case Tick():
            return event.what, event.name
        case Clock():
            return Clock
        case _:
            return None


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
