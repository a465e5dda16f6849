"""Events of a live venue in a file: a JSON object a line, with its kind under ``event`` and its instant under ``at``."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec

from margrave.adapters.files import instrument_from
from margrave.adapters.forms import InstrumentForm
from margrave.adapters.instrument_forms import instrument_form
from margrave.core.errors import Reason, invalid
from margrave.engine.live.events import (
    Clock,
    Deposited,
    Event,
    Filled,
    Funded,
    Listed,
    Opened,
    OrderCancelled,
    OrderPlaced,
    Tick,
)

KINDS: Final[Mapping[str, type[Event]]] = MappingProxyType(
    {
        "tick": Tick,
        "clock": Clock,
        "filled": Filled,
        "deposited": Deposited,
        "placed": OrderPlaced,
        "cancelled": OrderCancelled,
        "funded": Funded,
        "opened": Opened,
        "listed": Listed,
    }
)
"""Word of an event in a file; its other fields are those of the type."""


class _ListedForm(msgspec.Struct):
    at: datetime
    instrument: InstrumentForm
    id: str = ""


_WORDS: Final = {kind: word for word, kind in KINDS.items()}


def read_events(lines: Iterable[str], where: str) -> Iterator[Event]:
    """Events of a file, line by line; blank lines are passed over.

    Raises
    ------
    InvalidInputError
        A line is no event; it is named by its number.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _event(line, f"{where}:{number}")


def _event(line: str, place: str) -> Event:
    try:
        told = json.loads(line)
    except ValueError as fault:
        raise invalid(place, Reason.MALFORMED, f"is no JSON: {fault}; write one object a line") from fault
    if not isinstance(told, dict) or told.get("event") not in KINDS:
        message = f"has no event that is known; state event as one of {', '.join(KINDS)}"
        raise invalid(place, Reason.INVALID_VALUE, message)
    return _converted({k: v for k, v in told.items() if k != "event"}, KINDS[told["event"]], place)


def _converted(told: dict[str, Any], kind: type[Event], place: str) -> Event:
    known = [f.name for f in fields(kind)]
    for name in told:
        if name not in known:
            message = f"{name!r} is no field of it; it has {', '.join(known)}"
            raise invalid(place, Reason.UNKNOWN_FIELD, message)
    try:
        if kind is not Listed:
            return msgspec.convert(told, kind)
        form = msgspec.convert(told, _ListedForm)
        return Listed(at=form.at, instrument=instrument_from(form.instrument, place), id=form.id)
    except (msgspec.ValidationError, ValueError) as fault:
        raise invalid(place, Reason.INVALID_VALUE, str(fault)) from fault


def written(event: Event) -> str:
    """An event as a line, without what it leaves at its default; reading it gives the same event again."""
    told = {f.name: getattr(event, f.name) for f in fields(event) if getattr(event, f.name) != _default(f)}
    if isinstance(event, Listed):
        told["instrument"] = instrument_form(event.instrument)
    return msgspec.json.encode({"event": _WORDS[type(event)], **told}).decode()


def _default(field: Any) -> object:
    return None if field.default is MISSING else field.default
