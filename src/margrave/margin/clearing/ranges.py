"""Ranges margin: the greatest loss over equidistant price points, with offsets between classes (clearing 1.3).

``ranges_margins`` gives the numbers of many pools, ``ranges_margin`` every part of one, ``ranges_requirement`` the
tree of one level; all are read from ``ranges_columns``.
"""

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from margrave.core.errors import Issue, Reason
from margrave.core.words import INITIAL, LEVELS
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.groups import first_seen
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
from margrave.margin.clearing.members import Groups, Members, alone, grouped_by, in_pools, pools_with
from margrave.margin.pools import grouped_sum
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


def without_range(model: RangesModel, members: Members) -> Bools:
    """Pools in which `ranges_issues` finds something in the first row of prices, (V,)."""
    first = part_of(members.contract, np.arange(members.each))
    return pools_with(members, ~known_prices(first) | (assigned(first, model.classes) < 0))


@final
@dataclass(frozen=True, slots=True)
class RangesColumns:
    """Classes and product groups of pools in rows of prices, (S G,) and (S H,) [pool currency]."""

    members: Members
    classes: Groups
    profit: F64  # (T, S m) of the members
    minimum: F64  # (S G,)
    product: I64  # (S G,) product group that each class stands in
    loss: F64  # (T, S H)
    maintenance: F64  # (S, V)


def ranges_margins(model: RangesModel, members: Members) -> tuple[F64, F64]:
    """Initial and maintenance margin of pools in every row of prices, (S, V); see `ranges_margin`."""
    maintenance = ranges_columns(model, members).maintenance
    return maintenance * model.initial_over_maintenance, maintenance


def ranges_columns(model: RangesModel, members: Members) -> RangesColumns:
    """Ranges of pools in every row of prices; NaN where a position cannot be valued or has no rule."""
    own = assigned(part_of(members.contract, np.arange(members.each)), model.classes)
    classes = grouped_by(members, own, len(model.classes))
    profit, least = _contracts(model, members, np.tile(own, members.rows))
    quantity, at = classes.quantity, classes.contract
    of_members = quantity * profit[:, at]
    value = quantity * option_value(members.contract)[at]
    minimum = np.abs(quantity) * least[at]
    # What is paid for can lose no more than it is worth.
    minimum = classes.total(np.where(quantity > 0, np.minimum(minimum, value), minimum))
    first, product = first_seen(classes.pool * len(model.classes) + _product(model)[classes.part])
    loss = _loss(model, classes, classes.total(of_members), product, len(first))
    asked = np.maximum(loss.max(axis=0), 0.0)
    asked = np.maximum(asked, np.bincount(product, weights=minimum, minlength=len(first)))
    together = replace(classes, pool=classes.pool[first])
    maintenance = in_pools(members, together, asked, own)
    return RangesColumns(members, classes, of_members, minimum, product, loss, maintenance)


def _contracts(model: RangesModel, members: Members, of_class: I64) -> tuple[F64, F64]:
    # Profit of one long contract at each point, (T, S u), and its least requirement.
    held, count = members.contract, 2 * model.points_each_side
    profit = np.full((count, len(of_class)), np.nan)
    for place in np.unique(of_class[of_class >= 0]).tolist():
        rows = np.flatnonzero(of_class == place)
        mine, points = part_of(held, rows), points_of(model.classes[place], model.points_each_side)
        vol = np.broadcast_to(mine.vol, (count, len(rows)))
        now = worth(mine, mine.price[None, :], mine.vol[None, :], mine.years)
        profit[:, rows] = worth(mine, mine.price * (1.0 + points[:, None]), vol, mine.years) - now
    if model.minimum is None:
        return profit, np.zeros(len(of_class))
    return profit, np.where(held.is_option, held.a * _per_unit(model, held), 0.0)


def _product(model: RangesModel) -> I64:
    # Which classes are margined together: those of a product group, or one by itself.
    keys = [(rule.group, "" if rule.group else rule.name) for rule in model.classes]
    return np.array([keys.index(key) for key in keys], dtype=np.int64)


def _loss(model: RangesModel, classes: Groups, net: F64, product: I64, count: int) -> F64:
    offsets = {group.name: group.offset for group in model.groups}
    offset = np.array([offsets.get(rule.group, 0.0) for rule in model.classes])[classes.part]
    several = np.bincount(product, minlength=count)[product] > 1
    counted = np.where(several & (net > 0.0), offset * net, net)
    return -grouped_sum(counted, product, count)


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
    columns = ranges_columns(model, alone(held))
    classes = [_class(model, columns, k) for k in range(columns.classes.count)]
    rules = {group.name: group for group in model.groups}
    groups = []
    for k, loss in enumerate(columns.loss.T):
        parts = tuple(classes[row] for row in np.flatnonzero(columns.product == k).tolist())
        rule = parts[0].rule
        name, point = rule.group or rule.name, int(loss.argmax()) + 1
        groups.append(GroupRange(name, rules.get(rule.group), parts, loss, point))
    maintenance = float(columns.maintenance[0, 0])
    initial = maintenance * model.initial_over_maintenance
    return RangesMargin(tuple(groups), initial, maintenance, held.currency)


def _class(model: RangesModel, columns: RangesColumns, k: int) -> ClassRange:
    rule = model.classes[int(columns.classes.part[k])]
    mine = np.flatnonzero(columns.classes.group == k)
    symbol = columns.members.contract.symbol
    symbols = tuple(symbol[row] for row in columns.classes.contract[mine].tolist())
    points = points_of(rule, model.points_each_side)
    return ClassRange(rule, symbols, points, columns.profit[:, mine], float(columns.minimum[k]))


def _per_unit(model: RangesModel, held: Held) -> F64:
    assert model.minimum is not None
    rate = model.minimum.rate
    return np.asarray(sized(rate, underlying_worth(held) / held.rate) * held.rate)


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
