"""Scan margin: sixteen scenarios for each combined commodity, then charges and credits in order (clearing 1.1).

``scan_margin`` gives every part, ``scan_requirement`` the tree of one level.
"""

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from margrave.core.errors import Issue, Reason
from margrave.core.words import INITIAL, LEVELS
from margrave.kernels.arrays import F64, Bools
from margrave.margin.clearing.held import (
    Held,
    assigned,
    known_prices,
    option_value,
    part_of,
    sized,
    unassigned,
    underlying_worth,
)
from margrave.margin.clearing.risk_arrays import Arrays, paired, risk_arrays
from margrave.margin.clearing.spreads import Formed, calendar_spreads, commodity_spreads
from margrave.margin.requirement import Requirement, multiplied, total, worst_of
from margrave.rulebook.clearing import (
    CalendarSpread,
    Commodity,
    DeltaRun,
    ExpiryTier,
    PriceRisk,
    ScanModel,
    ShortCount,
)


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
    at = assigned(held, model.commodities)
    for k in np.unique(at[at >= 0]).tolist():
        commodity = model.commodities[k]
        part = part_of(held, np.flatnonzero(at == k))
        unknown = ~np.isfinite(risk_arrays(model, commodity, part).losses).all(axis=0)
        for row in np.flatnonzero(unknown | ~_priced(model, part)).tolist():
            issues.append(_why(commodity, part, row))
    return tuple(issues)


def _priced(model: ScanModel, held: Held) -> Bools:
    given = np.array([symbol in model.arrays for symbol in held.symbol], dtype=bool)
    return known_prices(held) | (given & np.isfinite(held.price + held.mark + held.rate))


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
    at = assigned(held, model.commodities)
    alone = [
        _commodity(model, commodity, part_of(held, np.flatnonzero(at == k)))
        for k, commodity in enumerate(model.commodities)
        if (at == k).any()
    ]
    known = {scan.rule.name: scan for scan in alone}
    formed = commodity_spreads(model.spreads, {name: scan.net_delta for name, scan in known.items()})
    commodities = tuple(_credited(model, scan, formed) for scan in alone)
    unknown = 0.0 if (at >= 0).all() else np.nan
    maintenance = sum(scan.requirement for scan in commodities) + unknown
    return ScanMargin(commodities, maintenance * model.initial_over_maintenance, maintenance, held.currency)


def _commodity(model: ScanModel, rule: Commodity, held: Held) -> CommodityScan:
    arrays = risk_arrays(model, rule, held)
    losses = held.quantity * arrays.losses + np.where(_priced(model, held), 0.0, np.nan)
    of_all = losses.sum(axis=1)
    active = int(of_all.argmax())  # the first of several
    scan = float(np.maximum(of_all[active], 0.0))
    adjusted = float(of_all[active] + of_all[paired(active)]) / 2.0
    time_risk = float(of_all[0] + of_all[1]) / 2.0
    delta = held.quantity * arrays.delta
    net = float(delta.sum())
    calendar, delivery = _intra(rule, held, delta)
    return CommodityScan(
        rule=rule,
        symbols=held.symbol,
        losses=losses,
        active=active + 1,
        scan=scan,
        vol_adjusted=adjusted,
        time_risk=time_risk,
        net_delta=net,
        delta_risk=_delta_risk(rule, held, arrays, adjusted - time_risk, net),
        calendar=calendar,
        delivery=delivery,
        credits=(),
        short_minimum=_short_minimum(rule, held),
        option_value=float(option_value(held).sum()) if model.premium_style else 0.0,
    )


def _mean_by_delta(of: F64, delta: F64) -> float:
    # One number for a commodity whose contracts differ a little: weighted by the delta that they hold.
    weight = np.abs(delta)
    return float(of @ weight / weight.sum()) if weight.sum() > 0 else float(of.mean())


def _delta_risk(rule: Commodity, held: Held, arrays: Arrays, price_risk: float, net: float) -> float:
    # A negative price risk earns no credit, and without net delta no spread forms.
    normal = max(price_risk, 0.0) / abs(net) if net else 0.0
    if rule.price_risk is PriceRisk.NORMAL or rule.price_range is None:
        return normal
    share = sized(rule.price_range, held.price) / held.price
    scan_range = _mean_by_delta(share * underlying_worth(held), held.quantity * arrays.delta)
    return scan_range if rule.price_risk is PriceRisk.SCANRANGE else min(normal, scan_range)


def tier_of(tiers: tuple[ExpiryTier, ...], days: float) -> str:
    """Tier of an expiry; empty where none reaches it. Infinite days are a contract without expiry."""
    for tier in tiers:
        if np.isinf(days) and tier.perpetuals:
            return tier.name
        if np.isfinite(days) and (tier.days_max is None or days <= tier.days_max):
            return tier.name
    return ""


def _intra(rule: Commodity, held: Held, delta: F64) -> tuple[tuple[Charged, ...], float]:
    by_run: dict[tuple[str, float], float] = {}
    for days, position in sorted(zip(held.days.tolist(), delta.tolist(), strict=True)):
        tier = tier_of(rule.tiers, days)
        run = (tier, 0.0 if rule.spread_between is DeltaRun.TIER else days)
        by_run[run] = by_run.get(run, 0.0) + position
    tiers, deltas = [tier for tier, _ in by_run], list(by_run.values())
    formed, left = calendar_spreads(rule.spreads, tiers, deltas)
    each = _mean_by_delta(underlying_worth(held), delta)
    charged = tuple(_calendar_charge(rule.spreads[spread.rule], spread, each) for spread in formed)
    if rule.delivery is None:
        return charged, 0.0
    outright = sum(abs(d) for tier, d in zip(tiers, left, strict=True) if tier == rule.delivery.tier)
    held_there = sum(abs(d) for tier, d in zip(tiers, deltas, strict=True) if tier == rule.delivery.tier)
    unit = np.array(each)
    spread_rate, outright_rate = sized(rule.delivery.spread, unit), sized(rule.delivery.outright, unit)
    return charged, float((held_there - outright) * spread_rate + outright * outright_rate)


def _calendar_charge(rule: CalendarSpread, formed: Formed, each: float) -> Charged:
    rate = float(sized(rule.rate, np.array(each)))
    return Charged(formed, rule.code, rate, formed.count * rate)


def _short_minimum(rule: Commodity, held: Held) -> float:
    minimum = rule.short_option_minimum
    if minimum is None:
        return 0.0
    each = sized(minimum.rate, held.a * underlying_worth(held))
    short = np.where(held.is_option, np.maximum(-held.quantity, 0.0) * each, 0.0)
    calls, puts = float(short[held.is_call].sum()), float(short[~held.is_call].sum())
    return calls + puts if minimum.count is ShortCount.GROSS else max(calls, puts)


def _credited(model: ScanModel, scan: CommodityScan, formed: tuple[Formed, ...]) -> CommodityScan:
    credited = []
    for spread in formed:
        rule = model.spreads[spread.rule]
        for name, deltas in zip(spread.between, spread.deltas, strict=True):
            if name == scan.rule.name:
                credited.append(Charged(spread, rule.code, rule.rate, rule.rate * deltas * scan.delta_risk))
    return replace(scan, credits=tuple(credited))


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
