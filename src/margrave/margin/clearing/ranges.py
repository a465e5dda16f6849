"""Ranges margin: the greatest loss over equidistant price points, with offsets between classes (clearing 1.3).

``ranges_margin`` gives every part, ``ranges_requirement`` the tree of one level.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.errors import Issue, Reason
from margrave.core.words import INITIAL, LEVELS
from margrave.kernels.arrays import F64
from margrave.margin.clearing.held import (
    Held,
    assigned,
    known_prices,
    option_value,
    part_of,
    sized,
    unassigned,
    underlying_worth,
    worth,
)
from margrave.margin.requirement import Requirement, multiplied, total, worst_of
from margrave.rulebook.clearing import ProductGroup, RangesModel, UnderlyingClass


def points_of(rule: UnderlyingClass, each_side: int) -> F64:
    """Moves at which a class is valued, (2 x each side,) [fraction of price]: equidistant, lowest first, without zero."""
    steps = np.arange(1, each_side + 1) / each_side
    return np.concatenate([-rule.down * steps[::-1], rule.up * steps])


@final
@dataclass(frozen=True, slots=True)
class ClassRange:
    """One class of a pool; money in the pool's currency."""

    rule: UnderlyingClass
    symbols: tuple[str, ...]
    points: F64  # (T,) [fraction of price]
    profit: F64  # (T, n) of the positions, loss < 0
    minimum: float  # sum over the options held

    @property
    def net(self) -> F64:
        """Profit of the class at each point, (T,)."""
        return np.asarray(self.profit.sum(axis=1))

    @property
    def worst(self) -> float:
        """Greatest loss over the points, >= 0; NaN where a position is not known."""
        return float(np.maximum(-self.net.min(), 0.0))


@final
@dataclass(frozen=True, slots=True)
class GroupRange:
    """Classes that are margined together: those of a product group, or one by itself."""

    name: str
    group: ProductGroup | None
    classes: tuple[ClassRange, ...]
    loss: F64  # (T,) losses less the share of gains that counts
    point: int  # place of the greatest loss, counted from one

    @property
    def worst(self) -> float:
        """Greatest loss after offsets, >= 0."""
        return float(np.maximum(self.loss.max(), 0.0))

    @property
    def minimum(self) -> float:
        """Sum of the minima of the options held."""
        return sum(part.minimum for part in self.classes)

    @property
    def requirement(self) -> float:
        """Maintenance: the greatest loss, at least the minimum."""
        return float(np.maximum(self.worst, self.minimum))


@final
@dataclass(frozen=True, slots=True)
class RangesMargin:
    """A pool's margin by ranges, with every part; NaN where a position cannot be valued or has no rule."""

    groups: tuple[GroupRange, ...]
    initial: float
    maintenance: float
    currency: str


def ranges_issues(model: RangesModel, held: Held) -> tuple[Issue, ...]:
    """Why a pool has no margin by ranges: positions without a rule, a price or a vol."""
    issues = unassigned(held, model.classes, "class")
    for row in np.flatnonzero(~known_prices(held)).tolist():
        if np.isfinite(held.price[row] + held.mark[row] + held.rate[row]):
            message = "has no implied vol to be revalued with; add it"
            issues.append(Issue(held.symbol[row], Reason.MISSING_VOL, message))
        else:
            message = "has no price to be moved; add its mark and index prices"
            issues.append(Issue(held.symbol[row], Reason.MISSING_MARK, message))
    return tuple(issues)


def ranges_margin(model: RangesModel, held: Held) -> RangesMargin:
    """Margin of one pool by ranges, with every part.

    Parameters
    ----------
    model : RangesModel
        Parameters.
    held : Held
        Positions of one pool in one row of the market.

    Returns
    -------
    RangesMargin
        A class that is not held is left out. NaN where `ranges_issues` says why.

    References
    ----------
    Clearing 1.3: options are revalued at today's vol and time. At each point, in the order of the points, the
    gains of a class offset the losses of the others of its group by the group's share.
    """
    at = assigned(held, model.classes)
    classes = [
        _class(model, rule, part_of(held, np.flatnonzero(at == k)))
        for k, rule in enumerate(model.classes)
        if (at == k).any()
    ]
    together: dict[tuple[str, str], list[ClassRange]] = {}
    for part in classes:
        key = (part.rule.group, "" if part.rule.group else part.rule.name)
        together.setdefault(key, []).append(part)
    rules = {group.name: group for group in model.groups}
    groups = tuple(
        _group(group or name, rules.get(group), tuple(parts)) for (group, name), parts in together.items()
    )
    unknown = 0.0 if (at >= 0).all() else np.nan
    maintenance = sum(group.requirement for group in groups) + unknown
    return RangesMargin(groups, maintenance * model.initial_over_maintenance, maintenance, held.currency)


def _class(model: RangesModel, rule: UnderlyingClass, held: Held) -> ClassRange:
    points = points_of(rule, model.points_each_side)
    vol = np.broadcast_to(held.vol, (len(points), len(held.vol)))
    now = worth(held, held.price[None, :], held.vol[None, :], held.years)
    moved = worth(held, held.price * (1.0 + points[:, None]), vol, held.years)
    return ClassRange(rule, held.symbol, points, held.quantity * (moved - now), _minimum(model, held))


def _minimum(model: RangesModel, held: Held) -> float:
    if model.minimum is None:
        return 0.0
    each = held.a * _per_unit(model, held)
    least = np.abs(held.quantity) * each
    # What is paid for can lose no more than it is worth.
    least = np.where(held.quantity > 0, np.minimum(least, option_value(held)), least)
    return float(np.where(held.is_option, least, 0.0).sum())


def _per_unit(model: RangesModel, held: Held) -> F64:
    assert model.minimum is not None
    rate = model.minimum.rate
    return np.asarray(sized(rate, underlying_worth(held) / held.rate) * held.rate)


def _group(name: str, group: ProductGroup | None, classes: tuple[ClassRange, ...]) -> GroupRange:
    offset = 0.0 if group is None else group.offset
    net = np.array([part.net for part in classes])
    counted = net if len(classes) == 1 else np.where(net > 0.0, offset * net, net)
    loss = -counted.sum(axis=0)
    return GroupRange(name, group, classes, loss, int(loss.argmax()) + 1)


def ranges_requirement(model: RangesModel, margin: RangesMargin, level: int) -> Requirement:
    """Tree of one level whose parts give back the number.

    Parameters
    ----------
    model : RangesModel
        Parameters.
    margin : RangesMargin
        A pool's parts, without unknowns.
    level : int
        0 initial, 1 maintenance.
    """
    unit = margin.currency
    parts = [_group_tree(model, group, unit) for group in margin.groups]
    if level != INITIAL:
        return total(LEVELS[level], *parts, unit=unit, code=model.code)
    ratio = Requirement("initial over maintenance", model.initial_over_maintenance, unit="factor")
    return multiplied(LEVELS[level], ratio, total("classes", *parts, unit=unit), unit=unit, code=model.code)


def _group_tree(model: RangesModel, group: GroupRange, unit: str) -> Requirement:
    least = Requirement(
        "option minimum", group.minimum, unit=unit, code="" if model.minimum is None else model.minimum.code
    )
    parts = [_class_tree(part, group, unit) for part in group.classes]
    label = f"losses at point {group.point}"
    code = group.group.code if group.group is not None else group.classes[0].rule.code
    none = Requirement("no loss", 0.0, unit=unit)
    return worst_of(group.name, total(label, *parts, unit=unit), least, none, unit=unit, code=code)


def _class_tree(part: ClassRange, group: GroupRange, unit: str) -> Requirement:
    at = group.point - 1
    rows = zip(part.symbols, part.profit[at].tolist(), strict=True)
    losses = [Requirement(symbol, -profit, unit=unit) for symbol, profit in rows]
    label = f"{part.rule.name} at {part.points[at]:+.4g}"
    alone = total(label, *losses, unit=unit, code=part.rule.code)
    if group.group is None or len(group.classes) == 1 or alone.amount >= 0:
        return alone
    share = Requirement("offset", group.group.offset, unit="rate", code=group.group.code)
    return multiplied(f"gain of {part.rule.name} that counts", share, alone, unit=unit)
