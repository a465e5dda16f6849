"""Vectors that stand in groups by subject instead of a list.

A group is a table of inputs and outputs in a shape of its own. Modules `reference_*` say which pieces of a group are
vectors, and translate them; here they come together.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from margrave.adapters.conform import (
    reference_backtests,
    reference_clearing,
    reference_futures,
    reference_liquidation,
    reference_risk,
)
from margrave.adapters.conform.reference_pieces import Group, Piece, Translator
from margrave.adapters.conform.vector import UnsupportedError, Vector

VENUE: Final = "reference"
NO_INPUTS: Final = frozenset({"meta", "performance_published", "regulatory_parameters"})
"""Groups that state figures and nothing to calculate them from."""

_TOLD: Final = re.compile(r"relative ([0-9.]+(?:e-?[0-9]+)?)")
_NOTHING: Final = 1e-15  # what a zero may be off


def vectors_of_groups(tree: Mapping[str, Any], folder: Path) -> Iterator[Vector]:
    """Vectors of a file of groups, in its order; a group that nobody translates is one vector, which says so.

    A table that neither says what it is (``meta``) nor has a group that is known holds no vectors.
    """
    if "meta" not in tree and tree.keys().isdisjoint(GROUPS):
        return
    stated = _TOLD.search(str(tree.get("meta", {}).get("tolerance", "")))
    tolerance = {"rel": float(stated.group(1)) if stated else 1e-6, "abs": _NOTHING}
    for name, group in tree.items():
        if name in NO_INPUTS or not isinstance(group, dict):
            continue
        for piece in _pieces(name, group):
            yield Vector(
                id=f"{name}{piece.place}",
                venue=VENUE,
                model=f"reference {name}{piece.kind}",
                inputs=dict(piece.inputs),
                expected=dict(piece.expected),
                digits={},
                status="reproduced",
                note="",
                input_rounding={},
                tolerance=None if piece.is_rounded else tolerance,
                kind="",
                folder=folder,
                source=str(group.get("source", group.get("status", ""))),
            )


def _pieces(name: str, group: Any) -> tuple[Piece, ...]:
    # A group in another shape than its translator knows is one vector without inputs: unsupported, and it says why.
    try:
        return tuple(GROUPS[name](group))
    except (LookupError, TypeError, AttributeError):
        return (Piece("", "", {}, {"group": None}),)


def _later(what: str) -> Translator:
    def refuse(v: Vector) -> dict[str, Any]:
        raise UnsupportedError(f"{what} is not part of this release")

    return refuse


GROUPS: Final[dict[str, Group]] = {
    **reference_liquidation.GROUPS,
    **reference_risk.GROUPS,
    **reference_futures.GROUPS,
    **reference_clearing.GROUPS,
    **reference_backtests.GROUPS,
}
TRANSLATORS: Final[dict[str, Translator]] = {
    **reference_liquidation.TRANSLATORS,
    **reference_risk.TRANSLATORS,
    **reference_futures.TRANSLATORS,
    **reference_clearing.TRANSLATORS,
    **reference_backtests.TRANSLATORS,
    "reference credit": _later("credit-based margin"),
}
