"""All of it added up: equity, margin balance, initial and maintenance margin of every pool, in every scenario.

`prepare` does what does not depend on prices, `evaluate` the rest. One account, a book, and every trial price of
the liquidation search go through `evaluate`.
"""

from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np

from margrave.core.errors import Issue
from margrave.core.rounding import Step, round_all
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.domain.book import Book, book_of
from margrave.domain.market import Market
from margrave.kernels.arrays import F64, I64
from margrave.margin.debts import debt_margin_of
from margrave.margin.directional import Factor, ScheduleTerms, bounded, factor_of, net_of, schedules_of
from margrave.margin.equity import Balances, balances_of
from margrave.margin.health.rows import opening_margin
from margrave.margin.issues import issues_of
from margrave.margin.joint import Joined, Joint, JointScene, joined_of, joint_margin, merged, unvalued
from margrave.margin.ladder import (
    LadderMargin,
    LadderTerms,
    Sized,
    crowding_of,
    ladder_margin_of,
)
from margrave.margin.netting import netted
from margrave.margin.orders import OrderMargin, order_margin_of
from margrave.margin.plan import Plan
from margrave.margin.pools import Pools, grouped_sum, pools_of
from margrave.margin.resolve import Resolved, resolve
from margrave.margin.short_options import OptionMargin, OptionTerms, option_margin_of
from margrave.margin.strategies import Recognised, recognise, recognised_margin
from margrave.rulebook.health import HealthModel
from margrave.rulebook.schema import Rulebook
from margrave.valuation.positions import Valued, value_positions
from margrave.valuation.scenarios import Priced, now
from margrave.valuation.table import Table

__all__ = ["Pooled", "Prepared", "Workings", "book_of", "evaluate", "prepare", "prepare_in"]


@final
@dataclass(frozen=True, slots=True)
class Prepared:
    """A book under a rulebook in a market: everything that a shift of prices does not change."""

    book: Book
    market: Market
    rulebook: Rulebook
    plan: Plan
    table: Table
    ladders: LadderTerms
    options: OptionTerms
    schedules: ScheduleTerms
    pools: Pools
    option_rows: I64  # (n,) rows of option positions
    vols: F64  # (A,) annual vol of each asset; NaN where the market has none
    recognised: Recognised
    joined: Joined | None  # members of portfolio margin; None where the rulebook has no such model
    issues: dict[int, tuple[Issue, ...]]  # pool row -> why it is unknown


@final
@dataclass(frozen=True, slots=True)
class Workings:
    """Every intermediate number of `evaluate`, for the explanation; (S, P) in settlement assets."""

    valued: Valued
    ladder: tuple[LadderMargin, LadderMargin]
    option: OptionMargin | None
    factors: tuple[Factor, ...]
    multiplier: tuple[F64, F64]
    charged: tuple[F64, F64]  # each position's margin after every factor and rounding
    orders: OrderMargin | None
    balances: Balances
    joint: Joint | None
    order_margin: F64  # (S, K) what open orders add to the initial level [pool currency]
    to_pool: F64  # (S, P) pool currency per settlement asset
    debt: tuple[F64, F64] | None  # (S, B) margin of debts of each level [pool currency]; None without a rule


@final
@dataclass(frozen=True, slots=True)
class Pooled:
    """Pools in every scenario, (S, K), each in its own currency; NaN where a pool cannot be valued."""

    equity: F64  # cash, profit and option value
    margin_balance: F64  # the equity that margin is compared with
    initial: F64
    maintenance: F64
    workings: Workings


def prepare(book: Book, market: Market, rulebook: Rulebook) -> Prepared:
    """Resolve a book against a market and a rulebook.

    Parameters
    ----------
    book, market, rulebook : Book, Market, Rulebook
        The three inputs of the one calculation.

    Returns
    -------
    Prepared
        A position that cannot be valued or has no rule is an issue of its pool; nothing raises for it.
    """
    return prepare_in(resolve(book.symbols, book.assets, market, rulebook), book)


def prepare_in(resolved: Resolved, book: Book) -> Prepared:
    """Prepare a book, or a chunk of one, whose instruments and assets are resolved already."""
    market, rulebook, plan, table = resolved.market, resolved.rulebook, resolved.plan, resolved.table
    ladders, options = resolved.ladders, resolved.options
    isolated = isolated_margin_of(resolved, book)
    pools = pools_of(book, table, rulebook, isolated, resolved.currency)
    option_rows = _NO_ROWS
    if table.has_options:
        option_rows = np.flatnonzero(options.is_option[book.instrument])
    recognised = recognise(plan, table, book, pools, option_rows)
    issues = issues_of(resolved, book, pools)
    joined = joined_of(plan, table, book, pools, market)
    if joined is not None:
        scene = JointScene(plan, table, now(table), market, book, pools, joined)
        issues = merged(issues, unvalued(scene, rulebook))
    return Prepared(
        book,
        market,
        rulebook,
        plan,
        table,
        ladders,
        options,
        resolved.schedules,
        pools,
        option_rows,
        resolved.vols,
        recognised,
        joined,
        issues,
    )


_NO_ROWS = np.zeros(0, dtype=np.int64)


def isolated_margin_of(resolved: Resolved, book: Book) -> F64:
    """Margin allotted to isolated positions, (P,) [settlement asset]: stated, or what opening the position took.

    That is the initial margin at its entry. What was open in the market then is not known; without it the margin, and so the
    equity, is the smaller. Of cross positions the number means nothing.
    """
    plan, ladders, options, table = resolved.plan, resolved.ladders, resolved.options, resolved.table
    unstated = book.is_isolated & np.isnan(book.isolated_margin)
    if not unstated.any():
        return book.isolated_margin
    at, size = book.instrument, np.abs(book.quantity)
    entry = (size * (table.a[at] * book.entry + table.c[at] / book.entry))[None, :]
    sized = Sized(at, book.quantity, book.leverage, entry, entry, entry)
    asked = ladder_margin_of(plan, ladders, table, sized, INITIAL).margin[0]
    short = np.flatnonzero(table.is_option[at] & unstated & (book.quantity < 0))
    if short.size:
        # An option's index at entry is not known, and its profit is no margin: today's formula, on the worse premium.
        per_coin = option_margin_of(options, table, now(table), at[short], book.entry[short])
        asked[short] = (
            size[short]
            * table.a[at[short]]
            * (per_coin.risk[INITIAL][0] + np.maximum(book.entry[short], per_coin.mark[INITIAL][0]))
        )
    if isinstance(model := plan.rulebook.portfolio, HealthModel):
        asked = asked + opening_margin(model, table, book)
    return np.where(np.isnan(book.isolated_margin), asked, book.isolated_margin)


def evaluate(prepared: Prepared, priced: Priced | None = None, before: Pooled | None = None) -> Pooled:
    """Equity and requirement of every pool in every scenario.

    Parameters
    ----------
    prepared : Prepared
        Book, market and rules.
    priced : Priced, optional
        Prices of S scenarios; the market as it is by default, S = 1.
    before : Pooled, optional
        Of an earlier market, or of other sizes of the same positions: risk units of portfolio margin that nothing
        has touched are not computed again. The numbers are the same to the last bit.

    Returns
    -------
    Pooled
        (S, K). A pool with an issue is NaN throughout: never a healthy guess.
    """
    book, table, pools, plan = prepared.book, prepared.table, prepared.pools, prepared.plan
    priced = now(table) if priced is None else priced
    valued = value_positions(table, priced, book.instrument, book.quantity, book.entry)
    parts = _position_parts(prepared, priced, valued)
    charged = parts[-1]
    orders = None
    if book.order_quantity.size:
        orders = order_margin_of(plan, prepared.ladders, prepared.options, table, priced, book, valued)
    balances = balances_of(prepared.rulebook, table, priced, pools, valued)
    to_pool = _to_pool(priced, pools)
    held = [netted(prepared.rulebook.account, table, book, pools, c * to_pool) for c in charged]
    debt = debt_margin_of(prepared.rulebook, table, priced, pools, balances)
    if debt is not None:
        held = [
            h + grouped_sum(d, pools.bucket_pool, len(pools.account)) for h, d in zip(held, debt, strict=True)
        ]
    order_margin = _orders_in_pools(table, priced, pools, orders)
    joint = None
    if prepared.joined is not None:
        scene = JointScene(plan, table, priced, prepared.market, book, pools, prepared.joined)
        joint = joint_margin(scene, balances, valued, None if before is None else before.workings.joint)
        held = [held[INITIAL] + joint.initial, held[MAINTENANCE] + joint.maintenance]
        order_margin = order_margin + joint.orders
    unknown = np.zeros(len(pools.account))
    unknown[list(prepared.issues)] = np.nan
    return Pooled(
        balances.equity + unknown,
        balances.margin_balance + unknown,
        held[INITIAL] + order_margin + unknown,
        held[MAINTENANCE] + unknown,
        Workings(valued, *parts, orders, balances, joint, order_margin, to_pool, debt),
    )


_Parts: TypeAlias = tuple[
    tuple[LadderMargin, LadderMargin],
    OptionMargin | None,
    tuple[Factor, ...],
    tuple[F64, F64],
    tuple[F64, F64],
]


def _position_parts(prepared: Prepared, priced: Priced, valued: Valued) -> _Parts:
    # What positions are charged one by one; members of a portfolio model are charged nothing here.
    book = prepared.book
    crowd = crowding_of(prepared.plan, prepared.ladders, prepared.table, priced.mark)
    sized = Sized(
        book.instrument,
        book.quantity,
        book.leverage,
        valued.notional,
        valued.notional_entry,
        _at_index(prepared, priced, valued),
        None if crowd is None else crowd[:, book.instrument],
    )
    ladder = (
        ladder_margin_of(prepared.plan, prepared.ladders, prepared.table, sized, INITIAL),
        ladder_margin_of(prepared.plan, prepared.ladders, prepared.table, sized, MAINTENANCE),
    )
    option = _options(prepared, priced)
    factors, multiplier = _factors(prepared, priced, valued, ladder)
    charged = _rounded(
        prepared.rulebook,
        _charge(prepared, priced, ladder, option, factors, multiplier, INITIAL),
        _charge(prepared, priced, ladder, option, factors, multiplier, MAINTENANCE),
    )
    return ladder, option, factors, multiplier, _ordered(charged, factors)


def _at_index(prepared: Prepared, priced: Priced, valued: Valued) -> F64:
    book, table, convert = prepared.book, prepared.table, valued.convert
    if all(prepared.ladders.alike.on_mark):
        return valued.notional  # nothing asks for it
    at = book.instrument
    index = priced.index[:, at]
    value = np.abs(book.quantity) * (table.a[at] * index + table.c[at] / index)
    return value if convert is None else value * convert


def _options(prepared: Prepared, priced: Priced) -> OptionMargin | None:
    rows = prepared.option_rows
    if rows.size == 0:
        return None
    book = prepared.book
    return option_margin_of(prepared.options, prepared.table, priced, book.instrument[rows], book.entry[rows])


def _factors(
    prepared: Prepared, priced: Priced, valued: Valued, ladder: tuple[LadderMargin, LadderMargin]
) -> tuple[tuple[Factor, ...], tuple[F64, F64]]:
    book, table = prepared.book, prepared.table
    one = np.ones(valued.mark.shape)
    used = schedules_of(prepared.schedules, book)
    if not used:
        return (), (one, one)
    levels = (one.copy(), one.copy())
    factors = []
    for schedule, rows in used:
        net = net_of(schedule, rows, table, priced, book, prepared.pools, valued)
        count = len(net.pool)
        flat = tuple(grouped_sum(part.margin[:, rows], net.group, count) for part in ladder)
        entry = valued.notional_entry[:, rows]
        with np.errstate(invalid="ignore", divide="ignore"):
            rate = ladder[INITIAL].margin[:, rows] / ladder[INITIAL].value[:, rows]
        at_entry = grouped_sum(np.nan_to_num(rate * entry), net.group, count)
        factor = factor_of(net, prepared.market.at, prepared.vols[net.base], at_entry, (flat[0], flat[1]))
        for level in (INITIAL, MAINTENANCE):
            levels[level][:, rows] = factor.multiplier[level][:, net.group]
        factors.append(factor)
    return tuple(factors), levels


def _charge(  # noqa: PLR0913 - the parts of one sum
    prepared: Prepared,
    priced: Priced,
    ladder: tuple[LadderMargin, LadderMargin],
    option: OptionMargin | None,
    factors: tuple[Factor, ...],
    multiplier: tuple[F64, F64],
    level: int,
) -> F64:
    part = ladder[level]
    margin = part.margin * multiplier[level] if factors else part.margin
    for factor in factors:
        rows = factor.net.position
        margin[:, rows] = bounded(margin[:, rows], part.value[:, rows], factor.net.schedule)
    margin = margin + part.fee
    if option is not None:
        rows = prepared.option_rows
        book, table = prepared.book, prepared.table
        short = np.maximum(-book.quantity[rows], 0.0) * table.a[book.instrument[rows]]
        per_coin = option.risk[level] * multiplier[level][:, rows] + option.mark[level]
        short_margin = np.where(short > 0, short * per_coin, 0.0 * option.mark[level])
        margin[:, rows] = recognised_margin(
            prepared.recognised, prepared.table, priced, book, option, short_margin, level
        )
    return margin


def _rounded(rulebook: Rulebook, initial: F64, maintenance: F64) -> tuple[F64, F64]:
    # Both levels at once; trial prices are not rounded.
    rule = rulebook.rounding.margin
    if rule is None or initial.shape[0] > 1:
        return initial, maintenance
    both = round_all(np.concatenate((initial, maintenance)), Step(rule.step, rule.direction))
    return both[:1], both[1:]


def _ordered(charged: tuple[F64, F64], factors: tuple[Factor, ...]) -> tuple[F64, F64]:
    # Initial margin keeps its distance above maintenance whatever the two tables say (spec 1.3 rule 4, INV-5).
    initial, maintenance = charged
    for factor in factors:
        rows = factor.net.position
        initial[:, rows] = np.maximum(
            initial[:, rows], factor.net.schedule.initial_over_maintenance * maintenance[:, rows]
        )
    return initial, maintenance


def _to_pool(priced: Priced, pools: Pools) -> F64:
    if not pools.converts:
        return np.ones((priced.mark.shape[0], len(pools.position_pool)))
    asset = pools.bucket_asset[pools.position_bucket]
    currency = pools.currency[pools.position_pool]
    rate = priced.asset_price[:, asset] / priced.asset_price[:, currency]
    return np.where(asset == currency, 1.0, rate)


def _orders_in_pools(table: Table, priced: Priced, pools: Pools, orders: OrderMargin | None) -> F64:
    if orders is None:
        return np.zeros((priced.mark.shape[0], len(pools.account)))
    pool = pools.order_pool[orders.order]
    settled, currency = table.settlement[orders.instrument], pools.currency[pool]
    with np.errstate(invalid="ignore"):
        rate = priced.asset_price[:, settled] / priced.asset_price[:, currency]
    own = np.where(settled == currency, 1.0, rate)
    return grouped_sum((orders.margin + orders.open_loss) * own, pool, len(pools.account))
