"""What differs between two rulebooks, as rows of path, before and after."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

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
    """Every leaf in which two rulebooks differ, in the order of the first."""
    return tuple(_walk("", msgspec.to_builtins(before), msgspec.to_builtins(after)))


def _walk(path: str, before: object, after: object) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(k for k in after if k not in before)]:
            yield from _walk(f"{path}.{key}".lstrip("."), before.get(key), after.get(key))
    elif isinstance(before, list | tuple) and isinstance(after, list | tuple):
        for k in range(max(len(before), len(after))):
            yield from _walk(
                f"{path}[{k}]", before[k] if k < len(before) else None, after[k] if k < len(after) else None
            )
    elif before != after:
        yield Change(path, before, after)
