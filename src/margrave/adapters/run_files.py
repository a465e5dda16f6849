"""A simulated run as files: its columns and its log of events, a JSON object a line, which replays to the same state."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any, Final

import numpy as np

from margrave.core.errors import Reason, invalid
from margrave.domain.book import Memories
from margrave.engine.simulation.events import (
    Cancelled,
    Cause,
    Entry,
    Levelled,
    Paid,
    Priced,
    Remembered,
    Ruled,
    Traded,
)
from margrave.engine.simulation.steps import Steps

_KINDS: Final = {
    kind.__name__: kind for kind in (Priced, Ruled, Traded, Paid, Cancelled, Levelled, Remembered)
}
_WHOLE: Final = frozenset(
    {"position", "lots", "payer", "receiver", "units", "order", "pool", "account", "underlying"}
)


def steps_rows(steps: Steps) -> dict[str, Any]:
    """Columns of a run as plain lists."""
    return {field.name: getattr(steps, field.name).tolist() for field in fields(steps)}


def log_lines(log: Iterable[Entry]) -> Iterator[str]:
    """The log, a line an event; numbers with all their digits."""
    for entry in log:
        told = {"step": entry.step, "round": entry.round, "event": type(entry.event).__name__}
        yield json.dumps(told | _plain(entry.event))


def _plain(value: Any) -> dict[str, Any]:
    return {field.name: _number(getattr(value, field.name)) for field in fields(value)}


def _number(value: Any) -> Any:
    if isinstance(value, Memories):
        return _plain(value)
    return value.tolist() if isinstance(value, np.ndarray) else value


def read_log(lines: Iterable[str], where: str) -> Iterator[Entry]:
    """Entries of a log that `log_lines` wrote.

    Raises
    ------
    InvalidInputError
        A line that is none, with its number.
    """
    for number, line in enumerate(lines, 1):
        try:
            told = json.loads(line)
            step, turn, kind = told.pop("step"), told.pop("round"), _KINDS[told.pop("event")]
            yield Entry(step, turn, kind(**{name: _read(name, value) for name, value in told.items()}))
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            message = f"is no event of a run ({fault}); the log has to be as it was written"
            raise invalid(f"{where}: line {number}", Reason.INVALID_VALUE, message) from fault


def _read(name: str, value: Any) -> Any:
    if name == "cause":
        return Cause(value)
    if name == "memory":
        return Memories(**{column: _read(column, numbers) for column, numbers in value.items()})
    if not isinstance(value, list):
        return value
    kind = np.int64 if name in _WHOLE else np.int8 if name == "level" else np.float64
    return np.array(value, dtype=kind)
