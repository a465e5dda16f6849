"""A saved answer of OKX's position builder: the published charges of each risk unit, recomputed (spec cex.md 4.3).

The answer holds its own scenarios: MR1 is the worst of them, MR6 half the loss of the extreme move, the unit's
maintenance and initial margin follow from its charges. The cells of MR1 with vol unchanged are compared where the
unit has no options: they are one delta times the move. What OKX does not publish is listed with its gap.
"""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from margrave.adapters.claims import AnswerOutput, Claim, Output, digits_of
from margrave.adapters.rows import Row
from margrave.adapters.verify import Comparison, Missing, compare
from margrave.core.errors import Reason, invalid
from margrave.margin.okx_portfolio import (
    UnitCharges,
    extreme_move,
    linear_profit,
    unit_maintenance,
    worst_loss,
)
from margrave.rulebook.okx_charges import EXTREME_SHARE, INITIAL_FACTOR

_DIGITS = 6
_GAPS: Final = {
    "mr2": "OKX does not publish the theta decay charge",
    "mr3": "OKX does not publish the vega term structure charge",
    "mr4": "the rate of perpetuals is not published, and expiries are not in the answer",
    "mr5": "OKX does not publish the interest rate charge of options",
    "mr7": "OKX does not publish the rate of the minimum charge",
    "mr8": "what is borrowed is not in the unit's data",
    "mr9": "the sizes of stablecoin hedges are not in the answer",
}
_Found = tuple[str, float | Missing]


def recognises(tree: Any) -> bool:
    """Whether a payload is of this answer."""
    return any("riskUnitData" in row for row in _rows(tree))


def compared(tree: Any, where: str) -> tuple[Comparison, ...]:
    """Every charge of every risk unit beside ours.

    Raises
    ------
    InvalidInputError
        A unit is of another form than documented.
    """
    claims: dict[Claim, Output | None] = {}
    ours: dict[str, float | Missing] = {}
    for row in _rows(tree):
        units = row.get("riskUnitData")
        for fields in units if isinstance(units, list) else ():
            if not isinstance(fields, dict):
                raise invalid(where, Reason.MALFORMED, "has a risk unit that is no object; save it again")
            unit = Row(fields, f"{where}: {fields.get('riskUnit', 'unit')}")
            for what, found in _unit(unit):
                source = (
                    unit.part("mr1Scenarios").part("volSame") if what.startswith("-") or "+" in what else unit
                )
                name = what.removeprefix("+") if source is not unit else what
                amount = source.optional(name)
                if amount is not None:
                    told = what if source is unit else f"mr1 {what} vol same"
                    claim = Claim(unit.where, told, amount, "USD", digits_of(source.raw(name), _DIGITS))
                    claims[claim] = AnswerOutput(f"{unit.where} {what}")
                    ours[f"{unit.where} {what}"] = found

    def lookup(claim: Claim, output: Output) -> float | Missing | None:
        del claim
        assert isinstance(output, AnswerOutput)
        return ours[output.place]

    return compare(MappingProxyType(claims), lookup)


def _rows(tree: Any) -> list[dict[str, Any]]:
    data = tree.get("data", tree) if isinstance(tree, dict) else tree
    return [row for row in (data if isinstance(data, list) else [data]) if isinstance(row, dict)]


def _unit(unit: Row) -> Iterator[_Found]:
    scenarios = unit.part("mr1Scenarios")
    has_options = _has_options(unit)
    same = scenarios.part("volSame")
    moves = {name: Row({"move": name}, same.where).number("move") for name in same.fields}
    if not has_options and (first := next((n for n, m in moves.items() if m), None)):
        # The delta that the cells are made of is told by the first of them.
        delta = same.number(first) / moves[first]
        profit = linear_profit(delta, np.array(list(moves.values())))
        for name, cell in zip(moves, profit.tolist(), strict=True):
            if name != first:
                yield (name if name.startswith("-") else f"+{name}"), cell
    cells = [part.number(n) for p in scenarios.fields for part in (scenarios.part(p),) for n in part.fields]
    if cells:
        yield "mr1", worst_loss(np.array(cells))
    extreme = unit.part("mr6FinalResult").optional("pnl")
    if extreme is not None:
        # The answer tells the loss of the extreme move whole; half of it is charged.
        yield "mr6", extreme_move(np.array([extreme]), EXTREME_SHARE)
    yield from ((name, Missing(reason)) for name, reason in _GAPS.items())
    charges = {f"mr{k}": unit.optional(f"mr{k}") or 0.0 for k in range(1, 8)}
    maintenance = unit_maintenance(UnitCharges(**charges), has_options=has_options)
    yield "mmr", maintenance
    yield "imr", INITIAL_FACTOR * maintenance


def _has_options(unit: Row) -> bool:
    held = unit.raw("portfolios")
    return any(isinstance(p, dict) and p.get("instType") == "OPTION" for p in held or ())
