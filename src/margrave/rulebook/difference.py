"""What differs between two rulebooks, as rows of path, before and after."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import msgspec

from margrave.rulebook.schema import Rulebook


@final
@dataclass(frozen=True, slots=True)
class Change:
    """One leaf that differs. None stands for absent."""

    path: str
    before: object
    after: object


def differences(before: Rulebook, after: Rulebook) -> tuple[Change, ...]:
    """Every leaf in which two rulebooks differ, in the order of the first.

    Products, sources, gaps and tiers are matched by what names them, not by their place, so that one more at the front
    does not make all of them differ.
    """
    return tuple(_walk("", msgspec.to_builtins(before), msgspec.to_builtins(after)))


_NAMES = ("name", "id", "code", "floor")
"""What tells the tables of a list apart, first the best; where none does, their place."""


def _walk(path: str, before: object, after: object) -> Iterator[Change]:
    if isinstance(before, list | tuple) or isinstance(after, list | tuple):
        yield from _lists(path, _listed(before), _listed(after))
    elif isinstance(before, dict) or isinstance(after, dict):
        old, new = (side if isinstance(side, dict) else {} for side in (before, after))
        for key in [*old, *(k for k in new if k not in old)]:
            yield from _walk(f"{path}.{key}".lstrip("."), old.get(key), new.get(key))
    elif before != after:
        yield Change(path, before, after)


def _listed(side: object) -> list[Any]:
    return list(side) if isinstance(side, list | tuple) else []


def _lists(path: str, before: list[Any], after: list[Any]) -> Iterator[Change]:
    entries = [*before, *after]
    if not any(isinstance(entry, dict) for entry in entries):
        if before != after:
            yield Change(path, _words(before), _words(after))
        return
    named = next((n for n in _NAMES if _tells_apart(n, before) and _tells_apart(n, after)), None)
    old, new = (
        {k if named is None else entry[named]: entry for k, entry in enumerate(side)}
        for side in (before, after)
    )
    for key in [*old, *(k for k in new if k not in old)]:
        yield from _walk(f"{path}[{key}]", old.get(key), new.get(key))


def _tells_apart(name: str, entries: list[Any]) -> bool:
    told = [entry.get(name) for entry in entries if isinstance(entry, dict)]
    return len(told) == len(entries) == len(set(told)) and None not in told


def _words(entries: list[Any]) -> str | None:
    return ", ".join(map(str, entries)) or None
