"""What moves the state, and the one function that does. Replay is the same function over the log."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import TypeAlias, assert_never, final

import numpy as np

from margrave.domain.book import Memories
from margrave.engine.simulation.state import I8, Frame, State
from margrave.kernels.arrays import F64, I64


class Cause(StrEnum):
    """Why lots or money moved."""

    LIQUIDATION = "liquidation"
    DELEVERAGING = "deleveraging"
    PROFIT = "realised profit"
    AUCTION = "auction discount"
    TAKEOVER = "taken over"
    REST = "rest of a pool taken over"
    UNWINDING = "vault unwinds"
    FEE = "fee"
    PENALTY = "penalty"
    MARGIN = "isolated margin freed"
    CONVERSION = "collateral converted"
    SURPLUS = "surplus"
    FUND = "insurance fund"
    BACKSTOP = "backstop"
    SOCIALISED = "socialised loss"
    UNPAID = "nobody paid"
    FUNDING = "funding"
    TOP_UP = "top-up"
    WITHDRAWAL = "withdrawal"


@final
@dataclass(frozen=True, slots=True)
class Priced:
    """Prices of a round. Moves nothing by itself."""

    last: F64  # (I,) where orders fill
    mark: F64  # (I,) on which margin is asked
    index: F64  # (N,) NaN where the market has none


@final
@dataclass(frozen=True, slots=True)
class Ruled:
    """The rulebook's rates times a multiplier hold from now on. Moves nothing by itself."""

    multiplier: float


@final
@dataclass(frozen=True, slots=True)
class Traded:
    """Positions that a trade changed, (n,); what they do not trade with each other the rest of the market takes."""

    cause: Cause
    position: I64
    lots: I64  # signed: bought > 0
    price: F64


@final
@dataclass(frozen=True, slots=True)
class Paid:
    """Money that moves between purses of one asset, (n,)."""

    cause: Cause
    payer: I64
    receiver: I64
    units: I64  # > 0


@final
@dataclass(frozen=True, slots=True)
class Cancelled:
    """Orders that are no more, (n,)."""

    order: I64


@final
@dataclass(frozen=True, slots=True)
class Levelled:
    """Pools that are on another level, (n,)."""

    pool: I64
    level: I8


@final
@dataclass(frozen=True, slots=True)
class Remembered:
    """What schedules remember from now on."""

    memory: Memories


Event: TypeAlias = Priced | Ruled | Traded | Paid | Cancelled | Levelled | Remembered


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """An event in the log."""

    step: int
    round: int
    event: Event


def applied(frame: Frame, state: State, event: Event) -> State:
    """The state after an event; the only way in which lots, money, orders, levels and memory change."""
    match event:
        case Priced() | Ruled():
            return state
        case Traded(position=position, lots=lots):
            held, rest = state.lots.copy(), state.rest.copy()
            np.add.at(held, position, lots)
            np.subtract.at(rest, frame.book.instrument[position], lots)
            return replace(state, lots=held, rest=rest)
        case Paid(payer=payer, receiver=receiver, units=units):
            purse = state.purse.copy()
            np.subtract.at(purse, payer, units)
            np.add.at(purse, receiver, units)
            return replace(state, purse=purse)
        case Cancelled(order=order):
            cancelled = state.cancelled.copy()
            cancelled[order] = True
            return replace(state, cancelled=cancelled)
        case Levelled(pool=pool, level=levels):
            level = state.level.copy()
            level[pool] = levels
            return replace(state, level=level)
        case Remembered(memory=memory):
            return replace(state, memory=memory)
        case unknown:
            assert_never(unknown)


def replayed(frame: Frame, opening: State, log: Iterable[Entry]) -> State:
    """The state after every event of a log."""
    state = opening
    for entry in log:
        state = applied(frame, state, entry.event)
    return state


def payments(cause: Cause, payer: I64, receiver: I64, units: I64) -> Paid | None:
    """Payments of signed units: below zero the other way round, zero none; None where nothing moves."""
    moved = np.flatnonzero(units)
    if not moved.size:
        return None
    payer, receiver, units = (np.broadcast_to(c, units.shape)[moved] for c in (payer, receiver, units))
    back = units < 0
    return Paid(cause, np.where(back, receiver, payer), np.where(back, payer, receiver), np.abs(units))


def log_bytes(log: Iterable[Entry]) -> bytes:
    """Every number of a log, to compare two of them bit for bit."""
    parts: list[bytes] = []
    for entry in log:
        parts.append(f"{entry.step} {entry.round} {type(entry.event).__name__}".encode())
        for field in fields(entry.event):
            parts.append(_bytes(getattr(entry.event, field.name)))
    return b"\n".join(parts)


def _bytes(value: object) -> bytes:
    if isinstance(value, Memories):
        return b"".join(getattr(value, field.name).tobytes() for field in fields(value))
    return value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
