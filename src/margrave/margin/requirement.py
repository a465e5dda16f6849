"""A requirement is a tree that says what it is made of and what binds."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal, TypeAlias, final

Rule: TypeAlias = Literal["leaf", "sum", "product", "max", "min"]


@final
@dataclass(frozen=True, slots=True)
class Requirement:
    """One node: a number, and the parts that its rule makes it from."""

    label: str
    amount: float
    rule: Rule = "leaf"
    parts: tuple["Requirement", ...] = ()
    unit: str = ""  # asset, "rate" or "factor"
    code: str = ""  # rule code
    source: str = ""  # where the rule was read
    binds: str = ""  # which part or bound decided

    def walk(self, depth: int = 0) -> Iterator[tuple[int, "Requirement"]]:
        """Every node with its depth, parents first."""
        yield depth, self
        for part in self.parts:
            yield from part.walk(depth + 1)


_APPLY: dict[str, Callable[[Iterable[float]], float]] = {"sum": sum, "product": prod, "max": max, "min": min}


def applied(node: Requirement) -> float:
    """What the rule of a node makes of its parts; its own amount for a leaf."""
    if node.rule == "leaf" or not node.parts:
        return node.amount
    return float(_APPLY[node.rule](part.amount for part in node.parts))


def discrepancy(node: Requirement) -> float:
    """Largest relative difference in a tree between a node and its rule applied to its parts."""
    return max(abs(applied(n) - n.amount) / max(1.0, abs(n.amount)) for _, n in node.walk())


def total(label: str, *parts: Requirement, unit: str = "", code: str = "") -> Requirement:
    """Parts that add up."""
    return Requirement(label, float(sum(p.amount for p in parts)), "sum", parts, unit, code)


def multiplied(
    label: str, *parts: Requirement, unit: str = "", code: str = "", source: str = ""
) -> Requirement:
    """Factors that multiply."""
    return Requirement(label, float(prod(p.amount for p in parts)), "product", parts, unit, code, source)


def worst_of(label: str, *parts: Requirement, unit: str = "", code: str = "") -> Requirement:
    """Let the largest part bind; the others stay on record."""
    largest = max(parts, key=lambda p: p.amount)
    return Requirement(label, largest.amount, "max", parts, unit, code, binds=largest.label)
