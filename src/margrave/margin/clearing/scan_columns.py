"""The scan of all pools in all rows of prices: every part of every combined commodity as a column (clearing 1.1)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.groups import first_seen
from margrave.margin.clearing.held import (
    Held,
    assigned,
    known_prices,
    option_value,
    part_of,
    sized,
    underlying_worth,
)
from margrave.margin.clearing.members import Groups, Members, grouped_by, in_pools
from margrave.margin.clearing.risk_arrays import COUNT, PRICE_MULTIPLES, risk_arrays
from margrave.margin.clearing.spreads import Runs, calendar_spreads, commodity_spreads
from margrave.rulebook.clearing import Commodity, DeltaRun, ExpiryTier, PriceRisk, ScanModel, ShortCount


@final
@dataclass(frozen=True, slots=True)
class ContractScan:
    """One long contract of everything that is held, (S u,); NaN where it cannot be scanned."""

    commodity: I64  # (u,) place among the rulebook's; -1
    losses: F64  # (16, S u) [pool currency]
    delta: F64  # [base]
    unit_worth: F64  # worth of one unit of delta [pool currency]
    scan_range: F64  # price scan range times the worth of one unit, as a share of the price [pool currency]
    least: F64  # short option minimum [pool currency]
    value: F64  # option value that is credited [pool currency]


@final
@dataclass(frozen=True, slots=True)
class ScanColumns:
    """Parts of each commodity of each pool, (S G,) [pool currency]; what they mean stands in `scan.CommodityScan`."""

    members: Members
    contract: ContractScan
    groups: Groups
    losses: F64  # (16, S m) of the members
    active: I64  # from zero
    scan: F64
    vol_adjusted: F64
    time_risk: F64
    net_delta: F64
    delta_risk: F64
    unit_worth: F64  # of one delta in calendar spreads
    formed: F64  # (R, S G) calendar spreads by rule; zero beyond a commodity's own rules
    calendar: F64  # charge for them
    delivery: F64
    credits: F64  # (Q, S V) spreads between commodities of each pool
    credit: F64
    short_minimum: F64
    option_value: F64
    maintenance: F64  # (S, V)


def priced(model: ScanModel, held: Held) -> Bools:
    """Whether each position has what its array needs besides ranges, (n,)."""
    if not model.arrays:
        return known_prices(held)
    given = np.array([symbol in model.arrays for symbol in held.symbol], dtype=np.bool_)
    return known_prices(held) | (given & np.isfinite(held.price + held.mark + held.rate))


def contract_scan(model: ScanModel, members: Members) -> ContractScan:
    """Arrays of one long contract of everything that is held; arguments as `scan_columns`."""
    held, count = members.contract, members.each * members.rows
    own = assigned(part_of(held, np.arange(members.each)), model.commodities)
    commodity = np.tile(own, members.rows)
    losses, delta = np.full((COUNT, count), np.nan), np.full(count, np.nan)
    scan_range, least = np.zeros(count), np.zeros(count)
    worth = underlying_worth(held)
    for place in np.unique(commodity[commodity >= 0]).tolist():
        rule, rows = model.commodities[place], np.flatnonzero(commodity == place)
        arrays = risk_arrays(model, rule, part_of(held, rows))
        losses[:, rows], delta[rows] = arrays.losses, arrays.delta
        if rule.price_range is not None:
            scan_range[rows] = sized(rule.price_range, held.price[rows]) / held.price[rows] * worth[rows]
        if rule.short_option_minimum is not None:
            least[rows] = sized(rule.short_option_minimum.rate, (held.a * worth)[rows])
    losses = losses + np.where(priced(model, held), 0.0, np.nan)
    least = np.where(held.is_option, least, 0.0)
    value = option_value(held) if model.premium_style else np.zeros(count)
    return ContractScan(own, losses, delta, worth, scan_range, least, value)


def scan_columns(model: ScanModel, members: Members) -> ScanColumns:
    """Scan pools in every row of prices.

    Parameters
    ----------
    model : ScanModel
        Parameters.
    members : Members
        What the pools hold.

    Returns
    -------
    ScanColumns
        NaN where a position cannot be valued or has no rule.
    """
    contract = contract_scan(model, members)
    groups = grouped_by(members, contract.commodity, len(model.commodities))
    quantity, at = groups.quantity, groups.contract
    losses = quantity * contract.losses[:, at]
    of_all = groups.total(losses)
    every = np.arange(groups.count)
    active = of_all.argmax(axis=0)  # the first of several
    worst = of_all[active, every]
    adjusted = (worst + of_all[_paired(active), every]) / 2.0
    time_risk = (of_all[0] + of_all[1]) / 2.0
    delta = quantity * contract.delta[at]
    net = groups.total(delta)
    unit_worth = _mean_by_delta(groups, contract.unit_worth[at], delta)
    formed, calendar, delivery = _intra(model, members, groups, delta, unit_worth)
    delta_risk = _delta_risk(
        model, groups, adjusted - time_risk, net, _mean_by_delta(groups, contract.scan_range[at], delta)
    )
    credits, credit = _inter(model, members, groups, net, delta_risk)
    short_minimum = _short_minimum(model, members, groups, contract)
    value = groups.total(quantity * contract.value[at])
    scan = np.maximum(worst, 0.0)
    risk = np.maximum(scan + calendar + delivery - credit, short_minimum)
    asked = np.maximum(risk - value, 0.0)
    return ScanColumns(
        members,
        contract,
        groups,
        losses,
        active,
        scan,
        adjusted,
        time_risk,
        net,
        delta_risk,
        unit_worth,
        formed,
        calendar,
        delivery,
        credits,
        credit,
        short_minimum,
        value,
        in_pools(members, groups, asked, contract.commodity),
    )


def _paired(scenario: I64) -> I64:
    return np.where(scenario < 2 * len(PRICE_MULTIPLES), scenario ^ 1, scenario)


def _mean_by_delta(groups: Groups, of: F64, delta: F64) -> F64:
    # One number for a commodity whose contracts differ a little: weighted by the delta that they hold.
    weight = np.abs(delta)
    by_delta, weights = groups.total(of * weight), groups.total(weight)
    held = weights > 0.0
    plain = groups.total(of) / np.bincount(groups.group, minlength=groups.count)
    return np.where(held, by_delta / np.where(held, weights, 1.0), plain)


def _delta_risk(model: ScanModel, groups: Groups, price_risk: F64, net: F64, scan_range: F64) -> F64:
    # A negative price risk earns no credit, and without net delta no spread forms.
    moving = net != 0.0
    normal = np.where(moving, np.maximum(price_risk, 0.0) / np.where(moving, np.abs(net), 1.0), 0.0)
    ways = [PriceRisk.NORMAL if c.price_range is None else c.price_risk for c in model.commodities]
    way = np.array([list(PriceRisk).index(w) for w in ways], dtype=np.int64)[groups.part]
    each = {
        PriceRisk.NORMAL: normal,
        PriceRisk.SCANRANGE: scan_range,
        PriceRisk.SCANRANGE_CAP: np.minimum(normal, scan_range),
    }
    return np.select([way == place for place in range(len(PriceRisk))], [each[w] for w in PriceRisk])


def tier_of(tiers: tuple[ExpiryTier, ...], days: float) -> str:
    """Tier of an expiry; empty where none reaches it. Infinite days are a contract without expiry."""
    for tier in tiers:
        if np.isinf(days) and tier.perpetuals:
            return tier.name
        if np.isfinite(days) and (tier.days_max is None or days <= tier.days_max):
            return tier.name
    return ""


def _intra(
    model: ScanModel, members: Members, groups: Groups, delta: F64, unit_worth: F64
) -> tuple[F64, F64, F64]:
    # Calendar spreads formed by each rule, what they cost, and the charge for delivery.
    most = max(len(c.spreads) for c in model.commodities)
    formed = np.zeros((most, groups.count))
    calendar, delivery = np.zeros(groups.count), np.zeros(groups.count)
    days = members.contract.days[groups.contract]
    for place, rule in enumerate(model.commodities):
        mine = np.flatnonzero(groups.part == place)
        if not mine.size or not (rule.spreads or rule.delivery):
            continue
        local = np.full(groups.count, -1)
        local[mine] = np.arange(len(mine))
        group = local[groups.group]
        held = np.flatnonzero(group >= 0)
        runs = _runs(rule, group[held], days[held], delta[held])
        names = [tier.name for tier in rule.tiers]
        made, left = calendar_spreads(rule.spreads, names, runs, len(mine))
        formed[: len(made), mine] = made
        for spread, count in zip(rule.spreads, made, strict=True):
            calendar[mine] += count * sized(spread.rate, unit_worth[mine])
        if rule.delivery is not None:
            due = np.flatnonzero(runs.tier == names.index(rule.delivery.tier))
            there, outright = (
                np.bincount(runs.group[due], weights=np.abs(d[due]), minlength=len(mine))
                for d in (runs.delta, left)
            )
            spread_rate = sized(rule.delivery.spread, unit_worth[mine])
            outright_rate = sized(rule.delivery.outright, unit_worth[mine])
            delivery[mine] = (there - outright) * spread_rate + outright * outright_rate
    return formed, calendar, delivery


def _runs(rule: Commodity, group: I64, days: F64, delta: F64) -> Runs:
    # Net delta of each run of expiries, nearest first; what stands at one instant is added smallest first.
    order = np.lexsort((delta, days, group))
    group, delta = group[order], delta[order]
    reach, dated = np.unique(days[order], return_inverse=True)
    names = ["", *(tier.name for tier in rule.tiers)]
    tier = np.array([names.index(tier_of(rule.tiers, d)) for d in reach.tolist()], dtype=np.int64)[dated]
    within = np.zeros(len(order), dtype=np.int64) if rule.spread_between is DeltaRun.TIER else dated
    key = (group * len(names) + tier) * (len(reach) + 1) + within
    first, run = first_seen(key)
    total = np.bincount(run, weights=delta, minlength=len(first))
    return Runs(group[first], tier[first] - 1, np.asarray(total, dtype=np.float64))


def _inter(model: ScanModel, members: Members, groups: Groups, net: F64, delta_risk: F64) -> tuple[F64, F64]:
    # Spreads between commodities of each pool, (Q, S V), and the credit of each commodity.
    legs = (leg.commodity for rule in model.spreads for leg in rule.legs)
    names = list(dict.fromkeys((*(commodity.name for commodity in model.commodities), *legs)))
    deltas = np.zeros((len(names), members.rows * members.pools))
    deltas[groups.part, groups.pool] = net
    formed = commodity_spreads(model.spreads, names, deltas)
    credit = np.zeros(groups.count)
    for rule, count in zip(model.spreads, formed, strict=True):
        for leg in rule.legs:
            mine = np.flatnonzero(groups.part == names.index(leg.commodity))
            consumed = count[groups.pool[mine]] * leg.ratio
            credit[mine] += rule.rate * consumed * delta_risk[mine]
    return formed, credit


def _short_minimum(model: ScanModel, members: Members, groups: Groups, contract: ContractScan) -> F64:
    minima = [commodity.short_option_minimum for commodity in model.commodities]
    short = np.maximum(-groups.quantity, 0.0) * contract.least[groups.contract]
    call = members.contract.is_call[groups.contract]
    calls, puts = (groups.total(np.where(side, short, 0.0)) for side in (call, ~call))
    larger = np.array([m is not None and m.count is ShortCount.LARGER for m in minima], dtype=np.bool_)
    return np.where(larger[groups.part], np.maximum(calls, puts), calls + puts)
