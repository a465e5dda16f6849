"""A vector as it is read: exact decimals, expressions of its own inputs, and its displayed digits."""

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

_OPERATIONS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class UnsupportedError(Exception):
    """A vector that Margrave does not calculate, with the reason."""


@final
@dataclass(frozen=True, slots=True)
class Vector:
    """One published example."""

    id: str
    venue: str
    model: str
    inputs: dict[str, Any]
    expected: dict[str, Any]
    digits: dict[str, int]
    status: str
    note: str
    input_rounding: dict[str, float]
    tolerance: Any
    kind: str  # worked example, recorded exchange data, test-suite vector
    folder: Path  # where its file lies
    source: str = ""  # address, or words

    @property
    def expressions(self) -> tuple[str, ...]:
        """Inputs that stand as expressions of others."""
        return tuple(
            k
            for k, v in self.inputs.items()
            if isinstance(v, str) and any(op in v for op in "*/") and not v.startswith("data/")
        )

    def number(self, name: str, default: float | None = None) -> float:
        """An input as a number; an expression of other inputs is resolved."""
        if name not in self.inputs:
            if default is None:
                raise UnsupportedError(f"input {name!r} is not given")
            return default
        return self.resolved(self.inputs[name])

    def resolved(self, value: Any) -> float:
        """A number from a number, a decimal in quotation marks, or an expression of inputs."""
        if isinstance(value, bool | int | float):
            return float(value)
        try:
            return float(value)
        except ValueError:
            return self._expression(ast.parse(str(value), mode="eval").body)

    def _expression(self, node: ast.expr) -> float:
        match node:
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
                return _OPERATIONS[type(op)](self._expression(left), self._expression(right))
            case ast.Name(id=name):
                return self.number(name)
            case ast.Constant(value=value):
                return float(value)  # type: ignore[arg-type]
            case _:
                raise UnsupportedError(f"input expression {ast.unparse(node)!r} is not arithmetic")

    @property
    def sign(self) -> float:
        """+1 for a long, -1 for a short."""
        side = self.inputs.get("side", "long")
        return (
            float(side)
            if isinstance(side, int | float)
            else (-1.0 if str(side).lower() in ("short", "sell") else 1.0)
        )


def vector_of(tree: dict[str, Any], folder: Path) -> Vector:
    """A vector from its JSON."""
    return Vector(
        str(tree.get("id", "?")),
        str(tree.get("venue", tree.get("protocol", "Deribit"))),
        str(tree["model"]),
        dict(tree.get("inputs", {})),
        dict(tree.get("expected", {}))
        if isinstance(tree.get("expected"), dict)
        else {"value": tree.get("expected")},
        dict(tree.get("displayed_digits", {})),
        str(tree.get("status", "reproduced")),
        str(tree.get("note", "")),
        dict(tree.get("input_rounding", {})),
        tree.get("tolerance"),
        str(tree.get("kind", "")),
        folder,
        _source(tree.get("source", "")),
    )


def _source(told: Any) -> str:
    if isinstance(told, dict):
        return " ".join(str(v) for v in told.values())
    return str(told)
