"""Inverse margining proper: the multiplier that falls as a position moves in its holder's favour (spec 1.3, 1.4).

The *net* position per pool and underlying decides: its direction is the sign of the net delta and its
reference the net entry; a hedged pair is not charged for its losing leg. Letters: G groups.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, final

import numpy as np

from margrave.domain.book import Book, microseconds
from margrave.kernels import schedule as kernel
from margrave.kernels.arrays import F64, I64
from margrave.kernels.black76 import coin_greeks
from margrave.kernels.groups import rows_of
from margrave.margin.plan import Known, Plan
from margrave.margin.pools import Pools, grouped_sum
from margrave.rulebook.schedules import Excursion, Interpolation, Knot, Reference, Schedule
from margrave.rulebook.schema import Rulebook
from margrave.valuation.positions import Valued
from margrave.valuation.scenarios import Priced, vol_at_mark
from margrave.valuation.table import Table

EXPOSURE_LEAST = 1e-12  # [share of gross delta] below it an exposure has no direction
EXPOSURE_LIMIT = 0.5  # option and mixed groups: largest delta-equivalent move that counts (spec 1.3 rule 5)
_Multiplier: TypeAlias = Callable[[F64, F64, F64], F64]
_MULTIPLIER: dict[Interpolation, _Multiplier] = {
    Interpolation.LINEAR: kernel.multiplier_linear,
    Interpolation.PCHIP: kernel.multiplier_pchip,
    Interpolation.STEP: kernel.multiplier_step,
}


@final
@dataclass(frozen=True, slots=True)
class Recalled:
    """What memory holds of each group, (G,); NaN where it holds nothing."""

    at: F64  # [us since 1970, UTC]
    reference: F64
    best_mark: F64
    multiplier: F64
    tier: F64


def recalled(memory: Recalled, groups: I64) -> Recalled:
    """Memory of some of the groups."""
    return Recalled(
        memory.at[groups],
        memory.reference[groups],
        memory.best_mark[groups],
        memory.multiplier[groups],
        memory.tier[groups],
    )


@final
@dataclass(frozen=True, slots=True)
class Net:
    """Net positions that one schedule applies to, (G,) and (S, G)."""

    schedule: Schedule
    position: I64  # (n,) rows of positions
    group: I64  # (n,) group of each
    pool: I64  # (G,)
    base: I64  # (G,) row of the table's assets
    side: F64  # (S, G) +1, -1, 0 where the net delta has no direction
    mark: F64  # (S, G) price of the group
    reference: F64  # (S, G) net entry; inf or 0 where profit already taken out puts it beyond every price
    profit: F64  # (S, G) [settlement asset] of the group
    exposure_x: F64  # (S, G) excursion by exposure; NaN where the group is delta-one
    memory: Recalled


@final
@dataclass(frozen=True, slots=True)
class Factor:
    """The directional multiplier of every position, and what made it, for the explanation."""

    net: Net
    x: F64  # (S, G) favourable excursion
    multiplier: tuple[F64, F64]  # (S, G) of each level


@final
@dataclass(frozen=True, slots=True)
class ScheduleTerms:
    """Which schedule a rulebook names for each instrument."""

    used: tuple[Schedule, ...]
    row: I64  # (I,) of `used`; -1 for none


def schedule_terms(plan: Plan, known: Sequence[Known | None]) -> ScheduleTerms:
    """Schedules of the products of instruments."""
    products = plan.rulebook.products
    names = [None if k is None or k.product < 0 else products[k.product].model.schedule for k in known]
    number = {name: row for row, name in enumerate(dict.fromkeys(name for name in names if name is not None))}
    rows = np.array([-1 if name is None else number[name] for name in names], dtype=np.int64)
    return ScheduleTerms(tuple(plan.rulebook.schedules[name] for name in number), rows)


def schedules_of(terms: ScheduleTerms, book: Book) -> tuple[tuple[Schedule, I64], ...]:
    """Schedules in use, with the rows of the positions that each applies to."""
    if not terms.used:
        return ()
    rows = terms.row[book.instrument]
    return tuple(
        (schedule, np.flatnonzero(rows == k)) for k, schedule in enumerate(terms.used) if (rows == k).any()
    )


def coin_delta_each(table: Table, priced: Priced, instrument: I64, vols: F64 | None = None) -> F64:
    """Coin-adjusted delta of one contract of instruments, (S, n): N / P of inverse ones, coins of linear ones.

    Of options it is the premium-adjusted delta, at annual ``vols`` of the table's rows, (I,); by default at those of their marks.
    """
    at, mark = instrument, priced.mark[:, instrument]
    with np.errstate(divide="ignore", invalid="ignore"):  # an option's mark may be zero; its delta follows
        delta = table.a[at] + table.c[at] / mark
    options = np.flatnonzero(table.is_option[at])
    if options.size:
        o = at[options]
        vol = np.nan_to_num(vol_at_mark(table, o) if vols is None else vols[o])
        greeks = coin_greeks(priced.forward[:, o], table.strike[o], vol, table.years[o], table.is_call[o])
        per_coin = np.where(table.is_coin_premium[o], greeks.adjusted_delta, greeks.unadjusted_delta)
        delta = np.broadcast_to(delta, mark.shape).copy()
        delta[:, options] = table.a[o] * per_coin
    return delta


def net_of(  # noqa: PLR0913 - what one formula is made of
    schedule: Schedule, rows: I64, table: Table, priced: Priced, book: Book, pools: Pools, valued: Valued
) -> Net:
    """Net positions per pool and underlying of the positions that a schedule applies to."""
    at = book.instrument[rows]
    keys = pools.position_pool[rows] * (len(table.assets) + 1) + table.base[at]
    unique, group = np.unique(keys, return_inverse=True)
    count = len(unique)
    mark = valued.mark[:, rows]
    delta = book.quantity[rows] * coin_delta_each(table, priced, at)
    net, gross = grouped_sum(delta, group, count), grouped_sum(np.abs(delta), group, count)
    side = np.where(np.abs(net) > schedule.net_delta_min * gross, np.sign(net), 0.0)
    profit = valued.profit[:, rows]
    inverse, option = table.is_inverse[at], table.is_option[at]
    price, reference = _net_entry(book, rows, table, mark, group, count)
    if schedule.reference is Reference.VWAP:
        reference = np.broadcast_to(_volume_weighted(book, rows, table, group, count), price.shape)
    kinds = np.bincount(group, weights=inverse, minlength=count), np.bincount(group, minlength=count)
    simple = ((kinds[0] == 0) | (kinds[0] == kinds[1])) & (
        np.bincount(group, weights=option, minlength=count) == 0
    )
    # Mixed groups and options: the move of the underlying that would have made the group's profit.
    underlying = np.where(option, priced.forward[:, at], mark) if table.has_options else mark
    worth = np.where(inverse | table.is_coin_premium[at], 1.0, underlying)
    with np.errstate(divide="ignore", invalid="ignore"):  # a trial price may be zero
        coins = grouped_sum(profit / worth, group, count)
    exposure = kernel.exposure_excursion(
        np.nan_to_num(coins),
        np.nan_to_num(np.abs(net)),
        EXPOSURE_LEAST * np.nan_to_num(gross),
        EXPOSURE_LIMIT,
    )
    pool = unique // (len(table.assets) + 1)
    base = unique % (len(table.assets) + 1)
    return Net(
        schedule,
        rows,
        group,
        pool,
        base,
        side,
        price,
        reference,
        grouped_sum(profit, group, count),
        np.where(simple, np.nan, exposure),
        _memory(book, pools, table, pool, base),
    )


def _net_entry(book: Book, rows: I64, table: Table, mark: F64, group: I64, count: int) -> tuple[F64, F64]:
    # Inverse groups net in dollars and average harmonically, linear ones in coins and arithmetically.
    at = book.instrument[rows]
    inverse = table.is_inverse[at]
    weight = book.quantity[rows] * np.where(inverse, table.c[at], table.a[at])
    entry = np.where(inverse, 1.0 / book.entry[rows], book.entry[rows])
    with np.errstate(divide="ignore"):  # an option's mark may be zero; it is not read as an inverse price
        now = np.where(inverse, 1.0 / mark, mark)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_entry = grouped_sum((weight * entry)[None, :], group, count) / grouped_sum(
            weight[None, :], group, count
        )
        mean_mark = grouped_sum(np.abs(weight) * now, group, count) / grouped_sum(
            np.abs(weight)[None, :], group, count
        )
        harmonic = np.bincount(group, weights=inverse, minlength=count) > 0
        # A mean at or below zero: profit already locked in by the other leg puts the entry beyond every price.
        reference = np.where(
            harmonic,
            np.where(mean_entry > 0, 1.0 / mean_entry, np.inf),
            np.where(mean_entry > 0, mean_entry, 0.0),
        )
        price = np.where(harmonic, 1.0 / mean_mark, mean_mark)
    return price, np.broadcast_to(reference, price.shape)


def _volume_weighted(book: Book, rows: I64, table: Table, group: I64, count: int) -> F64:
    # Arithmetic average of entries by volume, whatever the payoff; memory carries that of the fills, if told.
    at = book.instrument[rows]
    weight = np.abs(book.quantity[rows]) * np.where(table.is_inverse[at], table.c[at], table.a[at])
    with np.errstate(divide="ignore", invalid="ignore"):
        total = grouped_sum((weight * book.entry[rows])[None, :], group, count)
        return total / grouped_sum(weight[None, :], group, count)


def _memory(book: Book, pools: Pools, table: Table, pool: I64, base: I64) -> Recalled:
    kept, count = book.memory, len(table.assets) + 1  # the last is what no pool holds
    if len(kept.account) == 0:
        nothing = np.full(len(pool), np.nan)
        return Recalled(nothing, nothing, nothing, nothing, nothing)
    rows = {name: row for row, name in enumerate(table.assets)}  # an asset may have a row for each pool
    asset = np.array([rows.get(name, count - 1) for name in book.assets], dtype=np.int64)[kept.underlying]
    own = np.array([rows[name] for name in table.assets], dtype=np.int64)[base]
    at = rows_of(pools.account[pool] * count + own, kept.account * count + asset)
    columns = (kept.at, kept.reference, kept.best_mark, kept.multiplier, kept.tier)
    return Recalled(*(np.where(at >= 0, column[at], np.nan) for column in columns))


def _log_ratio(mark: F64, reference: F64) -> F64:
    # ln(mark / reference), with references beyond every price giving plus and minus infinity.
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(mark) - np.log(reference)


def reference_of(net: Net) -> F64:
    """Reference price of each group, (S, G): the entry unless memory carries another (spec 1.3 rules 1 and 8)."""
    carried = net.memory.reference
    if net.schedule.reference is Reference.HIGH_WATER:
        return best_mark_of(net)
    return np.where(np.isnan(carried), net.reference, carried)


def best_mark_of(net: Net) -> F64:
    """Best mark since entry in the holder's favour, now included, (S, G)."""
    best = net.memory.best_mark
    start = np.where(np.isnan(best), net.reference, best)
    return np.where(net.side > 0, np.maximum(start, net.mark), np.minimum(start, net.mark))


def excursion_of(net: Net, mark: F64, reference: F64, vol: F64, initial_at_reference: F64) -> F64:
    """Favourable excursion of each group in the schedule's unit, (S, G); zero where it has no direction."""
    schedule = net.schedule
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        log = net.side * _log_ratio(mark, reference)
        match schedule.excursion:
            case Excursion.LOG:
                x = log
            case Excursion.PERCENT:
                x = net.side * (mark / reference - 1.0)
            case Excursion.COIN:
                x = net.side * (1.0 - reference / mark)
            case Excursion.SIGMA:
                x = log / (vol * np.sqrt(schedule.horizon_days / 365.0))
            case Excursion.RETURN_ON_MARGIN:
                x = net.profit / initial_at_reference
    x = np.where(np.isnan(net.exposure_x), x, net.exposure_x)
    return np.where(net.side == 0.0, 0.0, x)


def _read(schedule: Schedule, knots: tuple[Knot, ...], x: F64) -> F64:
    knots_x, knots_g = np.array(knots, dtype=np.float64).T
    return _MULTIPLIER[schedule.interpolation](
        knots_x, knots_g, np.nan_to_num(x, nan=0.0, posinf=1e9, neginf=-1e9)
    ) + 0.0 * np.where(np.isnan(x), x, 0.0)


def boundaries(knots: tuple[Knot, ...]) -> tuple[F64, F64, int]:
    """Step mode: boundaries between tiers, multiplier of each tier, and the tier at the reference."""
    edges = np.array([x for x, _ in knots if x != 0.0], dtype=np.float64)
    return edges, np.array([g for _, g in knots], dtype=np.float64), int((edges < 0).sum())


def _stepped(net: Net, knots: tuple[Knot, ...], x: F64) -> F64:
    # Tightening is immediate; a release waits for `advance`, which writes the tier into memory.
    edges, g, home = boundaries(knots)
    tier = np.searchsorted(edges, np.nan_to_num(x), side="right")
    held = np.where(np.isnan(net.memory.tier), len(g), net.memory.tier + home).astype(np.int64)
    return g[np.minimum(tier, held)]


def _raw(net: Net, knots: tuple[Knot, ...], vol: F64, initial_at_reference: F64) -> tuple[F64, F64]:
    reference = reference_of(net)
    x = excursion_of(net, net.mark, reference, vol, initial_at_reference)
    schedule = net.schedule
    if schedule.interpolation is Interpolation.STEP:
        return x, _stepped(net, knots, x)
    g = _read(schedule, knots, x)
    if schedule.reference is Reference.RATCHET:
        best = best_mark_of(net)
        peak = excursion_of(net, best, reference, vol, initial_at_reference)
        drawdown = excursion_of(net, net.mark, best, vol, initial_at_reference)
        g = kernel.ratchet(g, _read(schedule, knots, peak), _read(schedule, knots, drawdown))
    return x, g


def factor_of(net: Net, at: datetime, vol: F64, initial_at_reference: F64, flat: tuple[F64, F64]) -> Factor:
    """Directional multipliers of both levels.

    Parameters
    ----------
    net : Net
        Groups.
    at : datetime
        The market's instant, for rate-limited release.
    vol : (G,) ndarray
        Annual vol of each group's underlying; used by the sigma excursion only.
    initial_at_reference : (S, G) ndarray
        Initial margin of the group at its entry, flat [settlement asset]; return-on-margin excursion only.
    flat : pair of (S, G) ndarray
        Requirement of each level without the schedule [settlement asset], for the cap on double counting.

    Returns
    -------
    Factor
        The multiplier is one where the group has no direction, and where x is zero.
    """
    schedule = net.schedule
    x, maintenance = _raw(net, schedule.knots, vol, initial_at_reference)
    initial = (
        _raw(net, schedule.initial_knots, vol, initial_at_reference)[1]
        if schedule.initial_knots
        else maintenance
    )
    levels = tuple(
        _disciplined(net, g, at, level) for g, level in ((initial, flat[0]), (maintenance, flat[1]))
    )
    return Factor(net, x, (levels[0], levels[1]))


def _disciplined(net: Net, g: F64, at: datetime, flat: F64) -> F64:
    rule = net.schedule.discipline
    if rule.release_per_hour is not None:
        previous = net.memory.multiplier
        seconds = np.maximum(np.nan_to_num(microseconds(at) - net.memory.at), 0.0) / 1e6
        held = kernel.rate_limited_release(g, previous, rule.release_per_hour / 3600.0, seconds)
        g = np.where(np.isnan(previous), g, held)
    if rule.profit_share_max is not None:
        g = kernel.cap_release(g, flat, net.profit, rule.profit_share_max)
    return np.where(net.side == 0.0, 1.0, g)


def bounded(margin: F64, value: F64, schedule: Schedule) -> F64:
    """Hold the rate of a ladder position within the schedule's floor and cap, after every multiplier (INV-5)."""
    if schedule.floor == 0.0 and schedule.cap >= 1.0:
        return margin
    return kernel.floor_and_cap(margin, schedule.floor * value, schedule.cap * value)


def releases(rules: Rulebook) -> bool:
    """Whether a multiplier falls with time from the one that is remembered: what else remembers does not read the instant."""
    used = (product.model.schedule for product in rules.products)
    return any(rules.schedules[name].discipline.release_per_hour is not None for name in used if name)
