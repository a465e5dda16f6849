"""Which events have been applied, by their ids: sets of doubling size, so that a batch does not copy what is known."""

from collections.abc import Iterable
from typing import TypeAlias

Seen: TypeAlias = tuple[frozenset[str], ...]
"""Ids, the largest set first."""


def is_seen(seen: Seen, name: str) -> bool:
    """Whether an id is known."""
    return any(name in part for part in seen)


def with_ids(seen: Seen, names: Iterable[str]) -> Seen:
    """Add ids; what was known stays as it is."""
    fresh = frozenset(names)
    if not fresh:
        return seen
    parts = list(seen)
    while parts and len(parts[-1]) <= len(fresh):
        fresh |= parts.pop()
    return (*parts, fresh)
