"""Bounds on the change of what positions and open orders are charged one by one: ladders, schedules, short options.

The derivative of every formula by the logarithm of a price, at its largest in the reach (`steepness` says what for).
"""

from typing import Final

import numpy as np

from margrave.core.words import INITIAL, MAINTENANCE
from margrave.kernels.arrays import F64, I64, Bools
from margrave.liquidation.steep_parts import Centres, Slots
from margrave.margin.directional import Factor, reference_of
from margrave.margin.ladder import RATE_RULES
from margrave.margin.pooled import Pooled, Prepared
from margrave.margin.pools import grouped_sum
from margrave.rulebook.schedules import Excursion, Interpolation, Reference
from margrave.rulebook.schema import OrderRule, RateRule

_TIER = RATE_RULES.index(RateRule.TIER)
_TINY = 1e-300
STEADY: Final = 0.05
"""Share of the gross delta of a group by which its net delta has to be clear of turning."""


def add_ladders(at: Centres, slots: Slots) -> F64:
    """Add ladder margin, with schedules; gives the least distance, (S, K), to where a tier begins or ends."""
    prepared, table, pools = at.prepared, at.prepared.table, at.prepared.pools
    row = prepared.book.instrument
    slopes, wholes = zip(*(_ladder(at, level) for level in (INITIAL, MAINTENANCE)), strict=True)
    for factor in at.pooled.workings.factors:
        _ordered(factor, slopes)
        _ordered(factor, wholes)
    pool = pools.position_pool
    asset, currency = pools.bucket_asset[pools.position_bucket], pools.currency[pool]
    for one, other, (initial, maintenance) in (
        (table.base[row], table.quote[row], slopes),
        (table.payoff[row], table.settlement[row], wholes),
        (asset, currency, wholes),
    ):
        slots.add(pool, one, other, initial, at.closing * maintenance)
    until = np.full((len(at.priced.mark), len(pools.account)), np.inf)
    for level in (INITIAL, MAINTENANCE):
        near = _to_an_edge(at, level)
        for scenario in range(len(until)):
            np.minimum.at(until[scenario], pool, near[scenario])
    return until


def _ordered(factor: Factor, parts: tuple[F64, F64]) -> None:
    rows = factor.net.position
    least = factor.net.schedule.initial_over_maintenance * parts[MAINTENANCE][:, rows]
    parts[INITIAL][:, rows] = np.maximum(parts[INITIAL][:, rows], least)


def _ladder(at: Centres, level: int) -> tuple[F64, F64]:
    # Within a tier the margin of a value V is V (r + s V) - d, or V (r + s z - d / z) where the size z does not move. By the
    # logarithm of V it changes by the first of the two; by that of a rate of exchange by all of it, the second.
    prepared, terms, book = at.prepared, at.prepared.ladders, at.prepared.book
    part, flat, row = at.pooled.workings.ladder[level], prepared.plan.flat[level], book.instrument
    grown = at.sizes.grown
    by_value = terms.by_value[row]
    value = part.value * at.sizes.to_pool
    size = np.where(by_value, part.size * grown, part.size)
    cut = np.abs(flat.deduction[part.row])
    rate = flat.rate[part.row] + flat.slope[part.row] * size * np.where(by_value, 2.0, 1.0)
    rate = rate + np.where(by_value, 0.0, cut / np.maximum(part.size, _TINY))
    slope = value * rate
    whole = slope + np.where(by_value, cut * at.sizes.to_pool, 0.0)
    lever = np.where(np.isnan(book.leverage), np.inf, book.leverage)
    if level == INITIAL:
        chosen = np.where(terms.rate_rule[row] != _TIER, value / lever, 0.0)
        slope, whole = np.maximum(slope, chosen), np.maximum(whole, chosen)
    for factor in at.pooled.workings.factors:
        rows = factor.net.position
        times, more = _multiplied(at, factor, level)
        bound = _bound(factor) * value[:, rows]
        with np.errstate(
            invalid="ignore"
        ):  # what has no slope that is known is infinite, or NaN where nothing is held
            slope[:, rows] = np.maximum(slope[:, rows] * times + whole[:, rows] * more, bound)
        whole[:, rows] = np.maximum(whole[:, rows] * times, bound)
    fee = value * terms.fee[level][row] * (1.0 + 1.0 / lever)
    mine = terms.is_ladder[row]
    return np.where(mine, slope + fee, 0.0), np.where(mine, whole + fee, 0.0)


def _to_an_edge(at: Centres, level: int) -> F64:
    # How far every price of a position may move before its value leaves its tier, (S, P).
    prepared, terms = at.prepared, at.prepared.ladders
    part, flat = at.pooled.workings.ladder[level], prepared.plan.flat[level]
    row = prepared.book.instrument
    last = np.append(flat.floor, np.inf)
    ends = flat.start[terms.ladder[row] + 1]
    above = np.where(part.row + 1 < ends, last[part.row + 1], np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        near = np.minimum(np.log(above / part.value), np.log(part.value / flat.floor[part.row]))
    table = prepared.table
    moving = 1 + (table.payoff[row] != table.settlement[row])
    held = terms.is_ladder[row] & terms.by_value[row] & (part.value > 0.0)
    return np.where(held, near / moving, np.inf)


# --- schedules ---


def is_proven(prepared: Prepared, pooled: Pooled, factor: Factor) -> Bools:
    """Groups of a schedule, (G,), of which the multiplier's change is bounded here.

    Delta-one positions of one payoff and one pair, whose net delta is clear of where it turns by `STEADY` of the gross: a
    common move keeps their ratio, and prices that part by less than half of that from each other cannot turn it. The group's
    price lies between those of its positions. No steps, no excursion by return, no cap by profit.
    """
    net, schedule, table = factor.net, factor.net.schedule, prepared.table
    plain = (
        schedule.interpolation is not Interpolation.STEP
        and schedule.excursion is not Excursion.RETURN_ON_MARGIN
        and schedule.discipline.profit_share_max is None
    )
    count, row = len(net.pool), prepared.book.instrument[net.position]
    least, most = np.full(count, len(table.assets)), np.full(count, -1)
    np.minimum.at(least, net.group, table.quote[row])
    np.maximum.at(most, net.group, table.quote[row])
    mark = pooled.workings.valued.mark[:, net.position]
    with np.errstate(divide="ignore", invalid="ignore"):
        delta = prepared.book.quantity[net.position] * (table.a[row] + table.c[row] / mark)
    gross = grouped_sum(np.abs(delta), net.group, count)
    clear = np.abs(grouped_sum(delta, net.group, count)) - schedule.net_delta_min * gross
    steady = (np.abs(clear) > STEADY * gross).all(axis=0)
    return np.asarray((least == most) & steady & np.isnan(net.exposure_x).all(axis=0) & plain)


def _bound(factor: Factor) -> float:
    schedule = factor.net.schedule
    return 0.0 if schedule.floor == 0.0 and schedule.cap >= 1.0 else max(schedule.floor, schedule.cap)


def _multiplied(at: Centres, factor: Factor, level: int) -> tuple[F64, F64]:
    # Largest multiplier of each position, and its largest change by the logarithm of the mark; (S, n). A monotone cubic is
    # nowhere steeper than three times its steepest chord; a peak or a best mark moves no faster than the mark.
    net, schedule = factor.net, factor.net.schedule
    knots = schedule.initial_knots if level == INITIAL and schedule.initial_knots else schedule.knots
    x, g = np.array(knots, dtype=np.float64).T
    most = float(max(g.max(), 1.0))
    chord = float(np.max(np.abs(np.diff(g) / np.diff(x)), initial=0.0))
    steep = chord * (3.0 if schedule.interpolation is Interpolation.PCHIP else 1.0)
    if schedule.reference is Reference.RATCHET:
        most, steep = most * most, 3.0 * most * steep
    if schedule.reference is Reference.HIGH_WATER:
        steep *= 2.0
    grown = np.exp(2.0 * at.reach)
    with np.errstate(all="ignore"):
        match schedule.excursion:
            case Excursion.PERCENT:
                per_log = net.mark / reference_of(net) * grown
            case Excursion.COIN:
                per_log = reference_of(net) / net.mark * grown
            case Excursion.SIGMA:
                vol = at.prepared.vols[net.base]
                per_log = np.broadcast_to(
                    1.0 / (vol * np.sqrt(schedule.horizon_days / 365.0)), net.mark.shape
                )
            case _:
                per_log = np.ones(net.mark.shape)
    if schedule.reference in (
        Reference.RATCHET,
        Reference.HIGH_WATER,
    ):  # from the best mark, which is another reference
        per_log = np.maximum(per_log, grown * 1.0) * _away(factor)
    previous = (
        np.fmax(net.memory.multiplier, most) if schedule.discipline.release_per_hour is not None else most
    )
    times = np.broadcast_to(previous, net.mark.shape)[:, net.group]
    return np.maximum(times, 1.0), (steep * per_log)[:, net.group]


def _away(factor: Factor) -> F64:
    # How far the best mark can lie from the mark: excursions in per cent of it, or in coin, are steeper by that much.
    net = factor.net
    with np.errstate(all="ignore"):
        best = np.where(np.isnan(net.memory.best_mark), net.reference, net.memory.best_mark)
        return np.maximum(np.maximum(best / net.mark, net.mark / best), 1.0)


# --- options ---


def short_slopes(at: Centres, row: I64, level: int) -> tuple[F64, F64]:
    """Largest change of the margin of one short coin of options, (S, n), per logarithm of its price; and its worth."""
    terms, table = at.prepared.options.level[level], at.prepared.table

    def of(name: str) -> F64:
        return np.asarray(getattr(terms, name))[row]

    on_forward = at.prepared.options.on_forward[row]
    price = np.where(on_forward, at.priced.forward[:, row], at.priced.index[:, row]) * np.exp(at.reach)
    worth = np.where(table.is_coin_premium[row], 1.0, price)
    factor, mark = np.where(of("factor") > 0.0, of("factor"), 1.0), at.slopes[:, row]
    risk = np.maximum(worth * (1.0 + of("base")), of("mark_fraction") * mark)
    return factor * risk + mark + of("fee") * worth, worth


def add_short_options(at: Centres, slots: Slots) -> None:
    """Add the standard margin of short options."""
    prepared, table, pools = at.prepared, at.prepared.table, at.prepared.pools
    rows = prepared.option_rows
    if rows.size == 0:
        return
    row, pool = prepared.book.instrument[rows], pools.position_pool[rows]
    short = np.maximum(-prepared.book.quantity[rows], 0.0) * table.a[row] * at.sizes.worth[:, rows]
    slopes = [short * short_slopes(at, row, level)[0] for level in (INITIAL, MAINTENANCE)]
    slopes[INITIAL] = np.maximum(*slopes)
    charged = at.pooled.workings.charged
    whole = [
        charged[k][:, rows] * at.sizes.to_pool[:, rows] + slopes[k] * at.reach for k in (INITIAL, MAINTENANCE)
    ]
    asset = pools.bucket_asset[pools.position_bucket[rows]]
    for one, other, part in (
        (table.base[row], table.quote[row], slopes),
        (table.payoff[row], table.settlement[row], whole),
        (asset, pools.currency[pool], whole),
    ):
        slots.add(pool, one, other, part[INITIAL], at.closing * part[MAINTENANCE])


# --- orders ---


def add_orders(at: Centres, slots: Slots, unproven: Bools) -> None:
    """Add what open orders ask of the initial level; marks pools, (2, K), whose orders have no proof here.

    However orders fill, the margin of what is then held is a rate on the values of the orders and of the position beside
    them, and at most the loss against the mark is asked at once.
    """
    prepared, table, pools, book = at.prepared, at.prepared.table, at.prepared.pools, at.prepared.book
    live = np.flatnonzero(~book.order_reduces)
    if prepared.rulebook.account.orders is OrderRule.NONE or live.size == 0:
        return
    row, pool = book.order_instrument[live], pools.order_pool[live]
    settled, currency = table.settlement[row], pools.currency[pool]
    far = (table.payoff[row] != settled) | (prepared.ladders.crowd[row] >= 0)
    per_value, stepped = _order_rates(at, live)
    unproven[INITIAL, pool[far | stepped]] = True
    size, price, is_option = np.abs(book.order_quantity[live]), book.order_price[live], table.is_option[row]
    each = size * table.a[row]
    value = np.maximum(*(_future_value(at, row, size, p) for p in (at.priced.mark[:, row], price)))
    risk, worth = short_slopes(at, row, INITIAL)
    ruled = prepared.options.is_option[row]
    asked = np.where(ruled, each * (2.0 * risk + at.slopes[:, row] + worth), 0.0)
    premium = np.where(ruled, each * np.maximum(price, at.priced.mark[:, row]) * np.exp(at.reach), 0.0)
    with np.errstate(invalid="ignore"):
        rate = at.priced.asset_price[:, settled] / at.priced.asset_price[:, currency] * np.exp(at.reach)
    rate = np.where(settled == currency, 1.0, rate)
    moved = np.where(is_option, asked, value * (2.0 * per_value + 1.0)) * rate
    whole = np.where(is_option, 2.0 * asked + premium, value * (2.0 * per_value + 1.0)) * rate
    slots.add(pool, table.base[row], table.quote[row], moved, 0.0 * moved)
    slots.add(pool, settled, currency, whole, 0.0 * whole)
    # The position beside it is margined with the orders and without.
    largest = np.zeros(len(pools.account))
    np.maximum.at(largest, pool, per_value)
    at_row, held = book.instrument, pools.position_pool
    beside = at.sizes.value * np.where(table.is_option[at_row], 0.0, 2.0 * largest[held])
    asset = pools.bucket_asset[pools.position_bucket]
    slots.add(held, table.base[at_row], table.quote[at_row], beside, 0.0 * beside)
    slots.add(held, asset, pools.currency[held], beside, 0.0 * beside)


def _future_value(at: Centres, row: I64, size: F64, price: F64) -> F64:
    table = at.prepared.table
    price = np.where(table.is_option[row], 1.0, price)
    worth = size * (table.a[row] * price + table.c[row] / price) * np.exp(at.reach)
    return np.where(table.is_option[row], 0.0, worth)


def _order_rates(at: Centres, live: I64) -> tuple[F64, Bools]:
    # Largest initial rate of each order's ladder with its fee, and whether it has steps that a value can cross.
    prepared, terms, book = at.prepared, at.prepared.ladders, at.prepared.book
    row, flat = book.order_instrument[live], prepared.plan.flat[INITIAL]
    first, last = flat.start[terms.ladder[row]], flat.start[terms.ladder[row] + 1]
    stepped = (last - first > 1) & terms.by_value[row] | (
        np.add.reduceat(flat.slope, flat.start[:-1])[terms.ladder[row]] > 0
    )
    rate = np.maximum.reduceat(flat.rate, flat.start[:-1])[terms.ladder[row]]
    least = np.full(len(prepared.pools.account), np.inf)
    np.fmin.at(least, prepared.pools.position_pool, book.leverage)
    np.fmin.at(least, prepared.pools.order_pool[live], book.order_leverage[live])
    lever = 1.0 / least[prepared.pools.order_pool[live]]
    mine = terms.is_ladder[row]
    fee = terms.fee[INITIAL][row] * (1.0 + lever)
    return np.where(mine, rate + lever + fee, 0.0), mine & stepped
