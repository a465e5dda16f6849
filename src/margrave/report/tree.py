"""The requirement tree as text."""

from collections.abc import Iterator
from math import isnan

from margrave.margin.requirement import Requirement

_SIGN = {"sum": "sum of", "product": "product of", "max": "largest of", "min": "smallest of", "leaf": ""}


def lines(node: Requirement, prefix: str = "", child: str = "") -> Iterator[str]:
    """Lines of a tree: amount, unit, rule, code and source of every node; numbers in full."""
    amount = "unknown" if isnan(node.amount) else f"{node.amount:.12g}"
    told = [f"{amount} {node.unit}".rstrip(), node.label]
    if node.parts:
        told.append(
            f"= {_SIGN[node.rule]} {len(node.parts)}" + (f", {node.binds} binds" if node.binds else "")
        )
    elif node.binds:
        told.append(f"({node.binds})")
    if node.code:
        told.append(f"[{node.code}{', ' + node.source if node.source else ''}]")
    yield prefix + "  ".join(told)
    for k, part in enumerate(node.parts):
        last = k == len(node.parts) - 1
        yield from lines(part, child + ("└─ " if last else "├─ "), child + ("   " if last else "│  "))


def as_dict(node: Requirement) -> dict[str, object]:
    """A tree as plain data, parts nested."""
    told: dict[str, object] = {
        "label": node.label,
        "amount": node.amount,
        "rule": node.rule,
        "unit": node.unit,
    }
    told |= {k: v for k, v in (("code", node.code), ("source", node.source), ("binds", node.binds)) if v}
    if node.parts:
        told["parts"] = [as_dict(part) for part in node.parts]
    return told
