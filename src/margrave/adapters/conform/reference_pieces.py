"""How a group of numbers becomes vectors: pieces of it, each with inputs, outputs and a kind."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np

from margrave.adapters.conform.vector import Vector
from margrave.kernels.arrays import F64


@final
@dataclass(frozen=True, slots=True)
class Piece:
    """One vector of a group."""

    place: str  # where in the group, ends the vector's id
    kind: str  # which calculation, ends its model
    inputs: Mapping[str, Any]
    expected: Mapping[str, Any]
    is_rounded: bool = False  # its numbers are published rounded: their digits judge, no tolerance does


Group: TypeAlias = Callable[[Any], Iterator[Piece]]
Translator: TypeAlias = Callable[[Vector], dict[str, Any]]


def numbers(values: Any) -> F64:
    """A list of numbers as an array."""
    return np.array(values, dtype=np.float64)


def without(table: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A table without some entries, nor its status and notes."""
    return {name: value for name, value in table.items() if name not in (*names, "status", "note", "source")}


def cases(group: Any, *inputs: str) -> Iterator[Piece]:
    """One piece a case: what it names as inputs beside those of the group; the rest is expected."""
    shared = group.get("inputs", {name: group[name] for name in ("r_quote", "r_base") if name in group})
    for row, case in enumerate(group.get("cases", ())):
        given = {name: case[name] for name in inputs if name in case}
        yield Piece(f"/{row}", "", {**shared, **given}, without(case, *inputs))
