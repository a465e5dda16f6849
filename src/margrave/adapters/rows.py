"""A row of a payload that remembers which of its fields were read, and reading of payload files.

What was not read and is not known to be without meaning for margin is told: nothing of a payload is lost silently.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar, final

from margrave.core.errors import Reason, invalid

T = TypeVar("T")
EMPTY: Final = (None, "")


@final
@dataclass(frozen=True, slots=True)
class Row:
    """Fields of one JSON object."""

    fields: Mapping[str, Any]
    where: str
    read: set[str] = field(default_factory=set)

    def raw(self, name: str) -> Any:
        """The field as it stands; None where it is absent."""
        self.read.add(name)
        return self.fields.get(name)

    def optional(self, name: str) -> float | None:
        """A number, which may stand as text; None where it is absent, null or empty."""
        return None if self.raw(name) in EMPTY else number(self.fields, name, self.where)

    def number(self, name: str) -> float:
        """A number that must be there."""
        self.read.add(name)
        return number(self.fields, name, self.where)

    def price(self, name: str) -> float:
        """A number above zero that must be there."""
        found = self.number(name)
        if found <= 0.0:
            raise invalid(
                f"{self.where}.{name}", Reason.INVALID_VALUE, f"is {found:g}; it must be above zero"
            )
        return found

    def chosen(self, name: str) -> float | None:
        """A number above zero that its venue writes as zero where there is none."""
        return self.optional(name) or None

    def text(self, name: str) -> str:
        """A word that must be there."""
        value = self.raw(name)
        if not isinstance(value, str) or not value or not value.isprintable():
            raise invalid(
                f"{self.where}.{name}",
                Reason.INVALID_VALUE,
                f"is {value!r}; it must be a word of the venue's",
            )
        return value

    def one_of(self, name: str, words: Mapping[str, T], absent: str | None = None) -> T:
        """What a word stands for; a word that is not known is an error, never a guess."""
        value = self.raw(name)
        key = str(absent if value in EMPTY and absent is not None else value)
        if key not in words:
            told = ", ".join(repr(w) for w in words)
            raise invalid(
                f"{self.where}.{name}", Reason.INVALID_VALUE, f"is {value!r}; it must be one of {told}"
            )
        return words[key]

    def flag(self, name: str) -> bool:
        """Yes or no, which may stand as text; absent is no."""
        return self.one_of(name, {"True": True, "true": True, "False": False, "false": False}, absent="false")

    def part(self, name: str) -> "Row":
        """An object inside; empty where it is absent."""
        inner = self.raw(name)
        return Row(inner if isinstance(inner, dict) else {}, f"{self.where}.{name}")

    def skip(self) -> None:
        """Leave out the rest of it on purpose."""
        self.read.update(self.fields)

    def unread(self, aside: Iterable[str]) -> set[str]:
        """Fields that nobody read, and that are not known to say nothing of margin."""
        return set(self.fields) - self.read - set(aside)


def number(tree: Mapping[str, Any], name: str, where: str) -> float:
    """A finite number of a payload, which may stand as text."""
    value = tree.get(name)
    if value in EMPTY:
        raise invalid(
            f"{where}.{name}",
            Reason.INVALID_VALUE,
            "is missing; the payload is not of the form that was expected",
        )
    try:
        # Python reads 1_000 and True as numbers; no venue writes them.
        found = float("nan") if isinstance(value, bool) or "_" in str(value) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = float("nan")
    if not isfinite(found):
        raise invalid(
            f"{where}.{name}", Reason.INVALID_VALUE, f"is {_short(value)}; it must be a finite number"
        )
    return found


def _short(value: Any) -> str:
    told = repr(value)
    return told if len(told) <= 60 else f"{told[:57]}..."


def parse_payload(text: str, where: str) -> Any:
    """A payload from JSON text; NaN, infinities and doubled names are refused."""
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as fault:
        raise invalid(
            where, Reason.MALFORMED, f"is not JSON ({fault}); save the venue's answer as it came"
        ) from fault


def read_json(path: Path) -> Any:
    """A payload from a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as fault:
        raise invalid(str(path), Reason.MALFORMED, f"is not text ({fault}); save it as UTF-8") from fault
    except OSError as fault:
        raise invalid(str(path), Reason.NOT_FOUND, f"cannot be read ({fault}); check the name") from fault
    return parse_payload(text, str(path))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)!r} is there twice in one object")
    return tree
