"""What a scenario model says against itself, each fault with its place."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from math import isfinite

import numpy as np
from msgspec import to_builtins

from margrave.core.errors import Issue, Reason
from margrave.rulebook.portfolio import (
    Cells,
    Charge,
    CorrelationOffset,
    ForwardCharge,
    ScenarioModel,
    UnitTerms,
    VolMove,
)

_ROUNDING = 1e-9  # by which a matrix of printed correlations may miss being one


def scenario_contradictions(model: ScenarioModel, where: str) -> Iterator[Issue]:
    """Contradictions of a scenario model.

    Parameters
    ----------
    model : ScenarioModel
        The rules.
    where : str
        Place of the model, for messages.

    Yields
    ------
    Issue
        What is wrong, where, and what to do.
    """
    yield from _numbers(where, to_builtins(model))
    yield from _bases(model, where)
    for k, terms in enumerate(model.terms):
        place = f"{where}.terms[{k}]"
        yield from _cells(terms.cells, f"{place}.cells")
        yield from _vols(terms, place)
        for n, charge in enumerate(terms.charges):
            yield from _charge(charge, f"{place}.charges[{n}]")
    yield from _collateral(model, where)
    if model.correlation is not None:
        yield from _correlation(model, model.correlation, f"{where}.correlation")


def _numbers(path: str, node: object) -> Iterator[Issue]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _numbers(f"{path}.{key}", value)
    elif isinstance(node, list | tuple):
        for k, value in enumerate(node):
            yield from _numbers(f"{path}[{k}]", value)
    elif isinstance(node, float) and not isfinite(node):
        yield Issue(path, Reason.INVALID_VALUE, f"is {node}; write a finite number, or leave it out")


def _repeated(names: Sequence[str], place: str, what: str) -> Iterator[Issue]:
    for name, count in Counter(names).items():
        if count > 1:
            yield Issue(place, Reason.DUPLICATE, f"{name} {what} {count} times; state it once")


def _bases(model: ScenarioModel, where: str) -> Iterator[Issue]:
    # The first terms that name an underlying would win in silence.
    named = [base for terms in model.terms for base in terms.bases]
    yield from _repeated(named, f"{where}.terms", "is named")
    general = [k for k, terms in enumerate(model.terms) if not terms.bases]
    for k in general[1:]:
        message = f"is for all that no terms name, and so is terms[{general[0]}]; name its underlyings"
        yield Issue(f"{where}.terms[{k}].bases", Reason.CONTRADICTION, message)


def _cells(cells: Cells, place: str) -> Iterator[Issue]:
    if cells.even is None and not cells.listed:
        yield Issue(place, Reason.CONTRADICTION, "has no scenario; state an even grid or listed cells")
    if cells.even is not None:
        yield from _repeated(cells.even.vols, f"{place}.even.vols", "is named")
    if cells.tail is None:
        return
    if cells.even is None:
        yield Issue(f"{place}.tail", Reason.CONTRADICTION, "is scaled by the even grid; state one")
        return
    if 0.0 in cells.tail.moves:
        message = "has a move of zero, which no range can be scaled to; drop it"
        yield Issue(f"{place}.tail.moves", Reason.CONTRADICTION, message)


def _vols(terms: UnitTerms, place: str) -> Iterator[Issue]:
    cells = terms.cells
    vols = {c.vol for c in cells.listed}
    vols |= set(cells.even.vols) if cells.even is not None else set()
    vols |= {cells.tail.vol} if cells.tail is not None else set()
    if terms.skew is None and vols & {VolMove.LINEAR, VolMove.ABSOLUTE}:
        yield Issue(f"{place}.cells", Reason.CONTRADICTION, "move the skew; state [portfolio.terms.skew]")
    if terms.gains is not None and terms.gains.tail_dampener and cells.tail is None:
        message = "shrinks a tail that the cells do not have; state the tail or drop it"
        yield Issue(f"{place}.gains.tail_dampener", Reason.CONTRADICTION, message)


def _charge(charge: Charge, place: str) -> Iterator[Issue]:
    if not charge.initial:
        message = (
            "is asked for maintenance alone, so that liquidation may come before a call; add initial"
            if charge.maintenance
            else "is part of no level; drop it or name its level"
        )
        yield Issue(f"{place}.initial", Reason.CONTRADICTION, message)
    if isinstance(charge, ForwardCharge) and charge.down > charge.up:
        message = f"{charge.down:g} is above up {charge.up:g}; swap them"
        yield Issue(f"{place}.down", Reason.CONTRADICTION, message)


def _collateral(model: ScenarioModel, where: str) -> Iterator[Issue]:
    yield from _repeated([c.asset for c in model.collateral], f"{where}.collateral", "is named")
    for k, member in enumerate(model.collateral):
        place = f"{where}.collateral[{k}] ({member.asset})"
        cut = member.maintenance_haircut + member.initial_haircut
        if cut > 1.0:
            message = f"and the maintenance haircut cut {cut:g} of it together; no more than all can be cut"
            yield Issue(f"{place}.initial_haircut", Reason.CONTRADICTION, message)
        if member.moves_with is not None and not _is_covered(model, member.moves_with):
            message = f"no terms are for {member.moves_with!r}, whose moves it follows; state them"
            yield Issue(f"{place}.moves_with", Reason.NOT_FOUND, message)


def _is_covered(model: ScenarioModel, base: str) -> bool:
    return any(not terms.bases or base in terms.bases for terms in model.terms)


def _correlation(model: ScenarioModel, rule: CorrelationOffset, where: str) -> Iterator[Issue]:
    place = f"{where}.pairs"
    yield from _repeated([" and ".join(sorted((p.first, p.second))) for p in rule.pairs], place, "is stated")
    for k, pair in enumerate(rule.pairs):
        if pair.first == pair.second:
            yield Issue(f"{place}[{k}]", Reason.CONTRADICTION, f"pairs {pair.first} with itself; drop it")
        for name in (pair.first, pair.second):
            if not _is_covered(model, name):
                yield Issue(f"{place}[{k}]", Reason.NOT_FOUND, f"no terms are for {name!r}; state them")
    for names in _impossible(rule):
        message = f"of {', '.join(names)} cannot hold together (no positive semidefinite matrix); lower one"
        yield Issue(place, Reason.CONTRADICTION, message)


def _impossible(rule: CorrelationOffset) -> Iterator[tuple[str, ...]]:
    # All underlyings where every pair is stated, else every three of which all pairs are.
    known = {frozenset((p.first, p.second)): p.correlation for p in rule.pairs if p.first != p.second}
    names = sorted({name for pair in known for name in pair})
    whole = len(known) == len(names) * (len(names) - 1) // 2
    for group in combinations(names, len(names) if whole else 3):
        pairs = [frozenset(pair) for pair in combinations(group, 2)]
        if pairs and all(pair in known for pair in pairs):
            matrix = [[known.get(frozenset((a, b)), 1.0) for b in group] for a in group]
            if float(np.linalg.eigvalsh(np.array(matrix))[0]) < -_ROUNDING:
                yield group
