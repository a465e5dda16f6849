"""Scan margin: sixteen scenarios for each combined commodity, then charges and credits in order (clearing 1.1).

``scan_margins`` gives the numbers of many pools, ``scan_margin`` every part of one, ``scan_requirement`` the tree of
one level; all are read from ``scan_columns``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.errors import Issue, Reason
from margrave.core.words import INITIAL, LEVELS
from margrave.kernels.arrays import F64, Bools
from margrave.margin.clearing.held import Held, assigned, part_of, sized, unassigned
from margrave.margin.clearing.members import Members, alone, pools_with
from margrave.margin.clearing.risk_arrays import is_scanned
from margrave.margin.clearing.scan_columns import ScanColumns, contract_scan, priced, scan_columns
from margrave.margin.clearing.spreads import Formed
from margrave.margin.requirement import Requirement, multiplied, total, worst_of
from margrave.rulebook.clearing import Commodity, ScanModel


@final
@dataclass(frozen=True, slots=True)
class Charged:
    """Spreads that were formed, with what they cost or give."""

    formed: Formed
    code: str
    rate: float  # per spread; of a credit, share of each delta's risk
    amount: float  # >= 0 [pool currency]


@final
@dataclass(frozen=True, slots=True)
class CommodityScan:
    """One combined commodity of a pool; money in the pool's currency."""

    rule: Commodity
    symbols: tuple[str, ...]
    losses: F64  # (16, n) of the positions, loss > 0
    active: int  # scenario of the largest loss, counted from one
    scan: float  # max(0, largest loss)
    vol_adjusted: float  # mean of the active scenario and its pair
    time_risk: float  # mean of scenarios 1 and 2
    net_delta: float  # [base]
    delta_risk: float  # weighted futures price risk: worth of one delta in credits between commodities, >= 0
    calendar: tuple[Charged, ...]
    delivery: float
    credits: tuple[Charged, ...]
    short_minimum: float
    option_value: float  # net option value that is credited; short < 0

    @property
    def price_risk(self) -> float:
        """What the move of the price alone costs."""
        return self.vol_adjusted - self.time_risk

    @property
    def vol_risk(self) -> float:
        """What the move of the vol adds."""
        return self.scan - self.vol_adjusted

    @property
    def credit(self) -> float:
        """Credit from spreads with other commodities, >= 0."""
        return sum(spread.amount for spread in self.credits)

    @property
    def before_minimum(self) -> float:
        """Scan and charges less credits."""
        return self.scan + sum(spread.amount for spread in self.calendar) + self.delivery - self.credit

    @property
    def risk(self) -> float:
        """Scan, charges and credits, at least the short option minimum; NaN where a part is."""
        return float(np.maximum(self.before_minimum, self.short_minimum))

    @property
    def requirement(self) -> float:
        """Maintenance: risk less net option value, never below zero."""
        return float(np.maximum(self.risk - self.option_value, 0.0))


@final
@dataclass(frozen=True, slots=True)
class ScanMargin:
    """A pool's margin by scan, with every part; NaN where a position cannot be valued or has no rule."""

    commodities: tuple[CommodityScan, ...]
    initial: float
    maintenance: float
    currency: str


def scan_issues(model: ScanModel, held: Held) -> tuple[Issue, ...]:
    """Why a pool has no margin by scan: positions without a rule, a price, a vol or a range."""
    issues = unassigned(held, model.commodities, "commodity")
    contract = contract_scan(model, alone(held))
    unknown = np.isnan(contract.losses.sum(axis=0))
    for k, commodity in enumerate(model.commodities):
        for row in np.flatnonzero(unknown & (contract.commodity == k)).tolist():
            issues.append(_why(commodity, held, row))
    return tuple(issues)


def without_scan(model: ScanModel, members: Members) -> Bools:
    """Pools in which `scan_issues` finds something in the first row of prices, (V,)."""
    held = part_of(members.contract, np.arange(members.each))
    own = assigned(held, model.commodities)
    known = priced(model, held)
    for place in np.unique(own[own >= 0]).tolist():
        rows = np.flatnonzero(own == place)
        known[rows] &= is_scanned(model, model.commodities[place], part_of(held, rows))
    return pools_with(members, ~known | (own < 0))


def _why(commodity: Commodity, held: Held, row: int) -> Issue:
    symbol = held.symbol[row]
    if not np.isfinite(held.price[row] + held.mark[row] + held.rate[row]):
        return Issue(symbol, Reason.MISSING_MARK, "has no price to scan from; add its mark and index prices")
    if np.isnan(held.vol[row]):
        return Issue(symbol, Reason.MISSING_VOL, "has no implied vol to scan; add it, or give its array")
    if commodity.price_range is None or (held.is_option[row] and commodity.vol_range is None):
        message = (
            f"{commodity.name} has no scan range for it; state price_range and vol_range, or give its array"
        )
        return Issue(symbol, Reason.NO_RULE, message)
    message = "is scanned to a price that is not above zero; lower price_range or the extreme multiple"
    return Issue(symbol, Reason.CONTRADICTION, message)


def scan_margins(model: ScanModel, members: Members) -> tuple[F64, F64]:
    """Initial and maintenance margin of pools in every row of prices, (S, V); see `scan_margin`."""
    maintenance = scan_columns(model, members).maintenance
    return maintenance * model.initial_over_maintenance, maintenance


def scan_margin(model: ScanModel, held: Held) -> ScanMargin:
    """Margin of one pool by scan, with every part.

    Parameters
    ----------
    model : ScanModel
        Parameters.
    held : Held
        Positions of one pool in one row of the market.

    Returns
    -------
    ScanMargin
        A commodity that is not held is left out. NaN where `scan_issues` says why.

    References
    ----------
    Clearing 1.1: scan, calendar charge, delivery charge, credit between commodities, short option minimum, in that
    order; ``risk = max(scan + intra + spot - inter, minimum)``, maintenance ``max(0, risk - net option value)``
    summed over commodities, initial a multiple of it.
    """
    columns = scan_columns(model, alone(held))
    commodities = tuple(_commodity(model, columns, k) for k in range(columns.groups.count))
    maintenance = float(columns.maintenance[0, 0])
    return ScanMargin(commodities, maintenance * model.initial_over_maintenance, maintenance, held.currency)


def _commodity(model: ScanModel, columns: ScanColumns, k: int) -> CommodityScan:
    rule = model.commodities[int(columns.groups.part[k])]
    mine = np.flatnonzero(columns.groups.group == k)
    symbols = columns.members.contract.symbol
    return CommodityScan(
        rule=rule,
        symbols=tuple(symbols[row] for row in columns.groups.contract[mine].tolist()),
        losses=columns.losses[:, mine],
        active=int(columns.active[k]) + 1,
        scan=float(columns.scan[k]),
        vol_adjusted=float(columns.vol_adjusted[k]),
        time_risk=float(columns.time_risk[k]),
        net_delta=float(columns.net_delta[k]),
        delta_risk=float(columns.delta_risk[k]),
        calendar=tuple(_calendar(rule, columns, k)),
        delivery=float(columns.delivery[k]),
        credits=tuple(_credits(model, rule, columns, k)),
        short_minimum=float(columns.short_minimum[k]),
        option_value=float(columns.option_value[k]),
    )


def _calendar(rule: Commodity, columns: ScanColumns, k: int) -> Iterator[Charged]:
    formed = columns.formed[: len(rule.spreads), k].tolist()
    for place, (spread, count) in enumerate(zip(rule.spreads, formed, strict=True)):
        if count > 0:
            rate = float(sized(spread.rate, columns.unit_worth[k : k + 1])[0])
            near, far = spread.ratios
            made = Formed(place, spread.tiers, count, (count * near, count * far))
            yield Charged(made, spread.code, rate, count * rate)


def _credits(model: ScanModel, rule: Commodity, columns: ScanColumns, k: int) -> Iterator[Charged]:
    formed = columns.credits[:, columns.groups.pool[k]].tolist()
    for place, (spread, count) in enumerate(zip(model.spreads, formed, strict=True)):
        names = tuple(leg.commodity for leg in spread.legs)
        if count > 0 and rule.name in names:
            deltas = tuple(count * leg.ratio for leg in spread.legs)
            amount = spread.rate * deltas[names.index(rule.name)] * float(columns.delta_risk[k])
            yield Charged(Formed(place, names, count, deltas), spread.code, spread.rate, amount)


def scan_requirement(model: ScanModel, margin: ScanMargin, level: int) -> Requirement:
    """Tree of one level whose parts give back the number.

    Parameters
    ----------
    model : ScanModel
        Parameters.
    margin : ScanMargin
        A pool's parts, without unknowns.
    level : int
        0 initial, 1 maintenance.
    """
    unit = margin.currency
    parts = [_commodity_tree(scan, unit) for scan in margin.commodities]
    if level != INITIAL:
        return total(LEVELS[level], *parts, unit=unit, code=model.code)
    ratio = Requirement("initial over maintenance", model.initial_over_maintenance, unit="factor")
    return multiplied(
        LEVELS[level], ratio, total("commodities", *parts, unit=unit), unit=unit, code=model.code
    )


def _commodity_tree(scan: CommodityScan, unit: str) -> Requirement:
    code, minimum = scan.rule.code, scan.rule.short_option_minimum
    at_risk = total(
        "scan, charges and credits", _scan_tree(scan, unit), *_spread_trees(scan, unit), unit=unit
    )
    least = Requirement(
        "short option minimum", scan.short_minimum, unit=unit, code="" if minimum is None else minimum.code
    )
    risk = worst_of("risk", at_risk, least, unit=unit)
    value = Requirement("less net option value", -scan.option_value, unit=unit)
    net = total("risk less net option value", risk, value, unit=unit)
    return worst_of(scan.rule.name, net, Requirement("nothing", 0.0, unit=unit), unit=unit, code=code)


def _scan_tree(scan: CommodityScan, unit: str) -> Requirement:
    losses = scan.losses[scan.active - 1].tolist()
    rows = zip(scan.symbols, losses, strict=True)
    parts = [Requirement(symbol, loss, unit=unit) for symbol, loss in rows]
    of_all = total(f"losses in scenario {scan.active}", *parts, unit=unit)
    return worst_of("scan", of_all, Requirement("no loss", 0.0, unit=unit), unit=unit, code=scan.rule.code)


def _spread_trees(scan: CommodityScan, unit: str) -> list[Requirement]:
    trees = []
    for spread in scan.calendar:
        count = Requirement("spreads", spread.formed.count, unit="factor")
        rate = Requirement("rate", spread.rate, unit=unit)
        label = f"calendar {' / '.join(spread.formed.between)}"
        trees.append(multiplied(label, count, rate, unit=unit, code=spread.code))
    if scan.rule.delivery is not None:
        trees.append(Requirement("delivery", scan.delivery, unit=unit, code=scan.rule.delivery.code))
    for spread in scan.credits:
        deltas = spread.formed.deltas[spread.formed.between.index(scan.rule.name)]
        trees.append(
            multiplied(
                f"credit {' / '.join(spread.formed.between)}",
                Requirement("credit rate", -spread.rate, unit="rate"),
                Requirement("deltas", deltas, unit="factor"),
                Requirement("risk of one delta", scan.delta_risk, unit=unit),
                unit=unit,
                code=spread.code,
            )
        )
    return trees
