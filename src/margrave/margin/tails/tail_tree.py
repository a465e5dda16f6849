"""Margin from joint scenarios as a tree: the rows that bind, what they weigh, bound, multiplier and floor."""

from typing import Final

from margrave.core.words import INITIAL
from margrave.margin.requirement import Requirement, multiplied, total, worst_of
from margrave.margin.tails.tail import TailMargin
from margrave.rulebook.tail import (
    ExpectedShortfall,
    LowerValueAtRisk,
    MonteCarlo,
    TailModel,
    UpperValueAtRisk,
)

_SHOWN: Final = 5  # rows of a tail that stand by themselves
_NAMES: Final = {
    LowerValueAtRisk: "value at risk",
    UpperValueAtRisk: "value at risk, conservative",
    ExpectedShortfall: "expected shortfall",
}


def tail_requirement(model: TailModel, margin: TailMargin, level: int) -> Requirement:
    """Tree of one level of a pool's margin from joint scenarios, in its currency."""
    currency, floor = margin.currency, model.floor
    no_gain = Requirement("no gain is credited", 0.0, unit=currency, code=model.code)
    loss = worst_of("loss", _tail(model, margin), no_gain, unit=currency)
    factor = Requirement("multiplier", model.multiplier, unit="factor", code=model.code)
    tree = multiplied("risk", loss, factor, unit=currency, code=model.code)
    if floor is not None:
        gross, net = (
            multiplied(
                f"least share of {name} notional",
                Requirement(f"{name} notional", notional, unit=currency),
                Requirement("share", share, unit="rate", code=floor.code),
                unit=currency,
                code=floor.code,
            )
            for name, notional, share in (
                ("gross", margin.gross, floor.gross),
                ("net", margin.net, floor.net),
            )
        )
        tree = worst_of("at least", tree, gross, net, unit=currency, code=floor.code)
    if level != INITIAL:
        return tree
    ratio = Requirement(
        "initial over maintenance", model.initial_over_maintenance, unit="factor", code=model.code
    )
    return multiplied("portfolio margin", tree, ratio, unit=currency, code=model.code)


def _tail(model: TailModel, margin: TailMargin) -> Requirement:
    measure, source, tail = model.measure, model.scenarios, margin.tail
    drawn = isinstance(source, MonteCarlo)
    what = f"{_NAMES[type(measure)]} at {measure.confidence:.6g} of {len(margin.losses)} {'draws' if drawn else 'dates'}"
    parts = [
        Requirement(
            f"row {row + 1}: {_moves(margin, row)}, loss {margin.losses[row]:,.8g} weighs {weight:.4g}",
            float(weight * margin.losses[row]),
            unit=margin.currency,
            code=source.code,
        )
        for row, weight in zip(tail.row[:_SHOWN].tolist(), tail.weight[:_SHOWN].tolist(), strict=True)
    ]
    more = len(tail.row) - _SHOWN
    if more > 0:
        rest = float((tail.weight[_SHOWN:] * margin.losses[tail.row[_SHOWN:]]).sum())
        parts.append(Requirement(f"{more} further rows", rest, unit=margin.currency, code=source.code))
    binds = f"row {tail.row[0] + 1}"
    if margin.precision is not None:
        binds += f", standard error {margin.precision.standard_error:,.6g}"
    tree = total(what, *parts, unit=margin.currency, code=measure.code)
    tree = Requirement(tree.label, tree.amount, tree.rule, tree.parts, tree.unit, tree.code, binds=binds)
    if not isinstance(source, MonteCarlo) or source.upper_bound is None:
        return tree
    rule = source.upper_bound
    distance = Requirement(
        f"distance to the upper bound at {rule.sureness:.6g}",
        margin.measured - tree.amount,
        unit=margin.currency,
        code=rule.code,
    )
    return total("upper bound of the measure", tree, distance, unit=margin.currency, code=rule.code)


def _moves(margin: TailMargin, row: int) -> str:
    moves = zip(margin.rows.assets, margin.rows.price[row].tolist(), strict=True)
    return ", ".join(f"{asset} {factor - 1.0:+.2%}" for asset, factor in moves) or "nothing moves"
