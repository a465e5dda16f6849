"""Portfolio margin of the pools of a book, by whichever model the rulebook states, with open orders at their worst fill."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np

from margrave.core.errors import Issue, Reason
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.domain.book import Book
from margrave.domain.market import Market
from margrave.kernels.arrays import F64, I64, Bools
from margrave.margin.clearing.held import table_vols
from margrave.margin.equity import Balances
from margrave.margin.health.health import HealthMargin, health_margin
from margrave.margin.health.health_issues import health_issues
from margrave.margin.health.rows import HealthRows, health_rows
from margrave.margin.plan import Plan
from margrave.margin.pool_models import PoolModel, PoolTrees, pools_margin, pools_with_issues
from margrave.margin.pool_view import PoolColumns
from margrave.margin.pools import Pools
from margrave.margin.scenario.incremental import updated
from margrave.margin.scenario.scenarios import Portfolio, ScenarioMargin, scenario_margin
from margrave.margin.scenario.scene import base_vols
from margrave.margin.scenario.units import Members, Units, members_of, part_in, units_of
from margrave.rulebook.clearing import RangesModel, ScanModel
from margrave.rulebook.health import HealthModel
from margrave.rulebook.portfolio import ScenarioModel, moves_vol, terms_of
from margrave.rulebook.schema import OrderRule, Rulebook
from margrave.rulebook.standard_manager import StandardManager
from margrave.rulebook.tail import TailModel
from margrave.valuation.positions import Valued
from margrave.valuation.scenarios import Priced
from margrave.valuation.table import Table

Issues: TypeAlias = dict[int, tuple[Issue, ...]]
Workings: TypeAlias = ScenarioMargin | HealthMargin | PoolTrees
"""How portfolio margin came to be; of models of a whole pool in the first row of prices."""


@final
@dataclass(frozen=True, slots=True)
class Joined:
    """Who is margined together; what a shift of prices does not change."""

    members: Members
    units: Units | None  # risk units, of a scenario model
    health: HealthRows | None = None  # of a health model


@final
@dataclass(frozen=True, slots=True)
class JointScene:
    """A book's members in rows of prices."""

    plan: Plan
    table: Table
    priced: Priced
    market: Market
    book: Book
    pools: Pools
    joined: Joined


@final
@dataclass(frozen=True, slots=True)
class Joint:
    """What pools are asked together, (S, K), each in its currency; zero where a pool has no member."""

    initial: F64  # of what is held
    maintenance: F64
    orders: F64  # what open orders add to the initial level at their worst fill
    workings: Workings
    end: F64 | None = (
        None  # at which a liquidation that has begun ends; None where the rulebook does not know
    )


def joined_of(plan: Plan, table: Table, book: Book, pools: Pools, market: Market) -> Joined | None:
    """Members of a book under the rulebook's portfolio model; None where it has none."""
    model = plan.rulebook.portfolio
    if model is None:
        return None
    members = members_of(plan, table, book, pools)
    units = units_of(model, members, table, pools) if isinstance(model, ScenarioModel) else None
    if isinstance(model, HealthModel):
        return Joined(members, None, health_rows(model, plan, table, book, pools, market))
    return Joined(members, units)


def joint_margin(scene: JointScene, balances: Balances, valued: Valued, before: Joint | None = None) -> Joint:
    """Portfolio margin of every pool in every row of prices.

    Parameters
    ----------
    scene : JointScene
        Rules, prices and who belongs where.
    balances : Balances
        What pools have: a balance that moves with its coin is revalued whole, profit included.
    valued : Valued
        Positions of the book.
    before : Joint, optional
        Of an earlier evaluation: risk units that nothing has touched keep their workings (`incremental`).

    Returns
    -------
    Joint
        NaN where something is not known.
    """
    if scene.joined.health is not None:
        return _by_health(scene, scene.joined.health, valued)
    book, members = scene.book, scene.joined.members
    held = _quantity(book.quantity, members.position)
    known = before.workings if before is not None and isinstance(before.workings, ScenarioMargin) else None
    every = np.ones(len(scene.pools.account), dtype=np.bool_)
    initial, maintenance, workings = _asked(scene, balances, held, every, known)
    orders = np.zeros(initial.shape)
    if (members.order >= 0).any() and scene.plan.rulebook.account.orders is not OrderRule.NONE:
        waiting = _quantity(book.order_quantity, members.order)
        asks = np.zeros(initial.shape[1], dtype=np.bool_)
        asks[members.pool[members.order >= 0]] = True
        for side in (np.maximum(waiting, 0.0), np.minimum(waiting, 0.0)):
            more = _asked(scene, balances, held + side, asks)[INITIAL] - initial
            orders = np.where(asks, np.maximum(orders, more), 0.0)
    return Joint(initial, maintenance, orders, workings)


def _by_health(scene: JointScene, rows: HealthRows, valued: Valued) -> Joint:
    # Open orders are inside both levels.
    margin = health_margin(rows, scene.priced, valued, scene.pools)
    initial, maintenance, *end = (level.required for level in margin.levels)
    return Joint(initial, maintenance, np.zeros(initial.shape), margin, *end)


def _quantity(quantity: F64, rows: np.ndarray) -> F64:
    out = np.zeros(len(rows))
    out[rows >= 0] = quantity[rows[rows >= 0]]
    return out


def _asked(
    scene: JointScene, balances: Balances, quantity: F64, wanted: Bools, known: ScenarioMargin | None = None
) -> tuple[F64, F64, Workings]:
    # Of some pools; what the others are asked means nothing. What is known already is of all of them.
    model, units = scene.plan.rulebook.portfolio, scene.joined.units
    if isinstance(model, ScenarioModel):
        assert units is not None
        if not wanted.all():
            part = part_in(units, scene.pools, wanted)
            units, quantity = part.units, quantity[part.member]
        collateral = balances.owned[:, units.bucket]
        portfolio = Portfolio(model, scene.table, scene.priced, scene.pools, units, quantity, collateral)
        margin = scenario_margin(portfolio) if known is None else updated(known, portfolio)[0]
        return margin.level[INITIAL].required, margin.level[MAINTENANCE].required, margin
    assert model is not None
    assert not isinstance(model, HealthModel), "which sees all pools at once"
    shape = (scene.priced.mark.shape[0], len(scene.pools.account))
    initial, maintenance = np.zeros(shape), np.zeros(shape)
    columns = pool_columns(scene, quantity, balances.owned, wanted)
    if len(columns.pool):
        initial[:, columns.pool], maintenance[:, columns.pool] = pools_margin(model, columns)
    return initial, maintenance, PoolTrees(model, columns)


def pool_columns(scene: JointScene, quantity: F64, owned: F64, wanted: Bools | None = None) -> PoolColumns:
    """Pools that a model of a whole pool is asked about.

    Parameters
    ----------
    scene : JointScene
        Members, prices and pools.
    quantity : (M,) ndarray
        Signed contracts of each member.
    owned : (S, B) ndarray
        What each bucket has, profit included. [asset]
    wanted : (K,) ndarray of bool, optional
        Which pools; by default all.
    """
    members, pools, model = scene.joined.members, scene.pools, scene.plan.rulebook.portfolio
    count = len(pools.account)
    # The standard manager asks of collateral too: a pool without a position has its second factor to bear. So does
    # a tail in which collateral moves.
    everyone = isinstance(model, StandardManager) or (isinstance(model, TailModel) and model.collateral_moves)
    asked = np.full(count, everyone)
    asked[members.pool] = True
    pool = np.flatnonzero(asked if wanted is None else asked & wanted)
    view = np.full(count, -1)
    view[pool] = np.arange(len(pool))
    counts = ((quantity != 0.0) | (members.position >= 0)) & (view[members.pool] >= 0)
    mine = _by_pool(view[members.pool], counts)
    buckets = _by_pool(view[pools.bucket_pool], view[pools.bucket_pool] >= 0)
    return PoolColumns(
        scene.table,
        scene.priced,
        scene.market,
        pool,
        pools.currency[pool],
        view[members.pool[mine]],
        members.instrument[mine],
        quantity[mine],
        view[pools.bucket_pool[buckets]],
        pools.bucket_asset[buckets],
        pools.bucket_balance[buckets],
        owned[:, buckets],
        table_vols(scene.table) if isinstance(model, ScanModel | RangesModel) else None,
    )


def _by_pool(pool: I64, which: Bools) -> I64:
    rows = np.flatnonzero(which)
    return rows[pool[rows].argsort(kind="stable")]


def unvalued(scene: JointScene, rulebook: Rulebook) -> Issues:
    """Pools that the portfolio model cannot margin, and why: unknown, never a guess."""
    model, units = rulebook.portfolio, scene.joined.units
    assert model is not None
    if isinstance(model, HealthModel):
        assert scene.joined.health is not None
        return _weighed(health_issues(scene.joined.health, scene.table, scene.pools, rulebook.id))
    if isinstance(model, ScenarioModel):
        assert units is not None
        return _without_scenarios(rulebook, model, scene.table, units)
    return _without_rule(scene, model)


def _weighed(told: Iterator[tuple[int, Issue]]) -> Issues:
    found: dict[int, list[Issue]] = {}
    for pool, issue in told:
        found.setdefault(pool, []).append(issue)
    return {pool: tuple(dict.fromkeys(issues)) for pool, issues in found.items()}


def _without_rule(scene: JointScene, model: PoolModel) -> Issues:
    held = _quantity(scene.book.quantity, scene.joined.members.position)
    columns = pool_columns(scene, held, scene.pools.bucket_balance[None, :])
    return dict(pools_with_issues(model, columns))


def _without_scenarios(rulebook: Rulebook, model: ScenarioModel, table: Table, units: Units) -> Issues:
    found: dict[int, list[Issue]] = {}
    terms = [terms_of(model, name) for name in table.assets]
    unruled = np.array([t is None for t in terms], dtype=np.bool_)
    text = (
        f"has no scenarios in {rulebook.id}; its parameters are not published, or belong to another rulebook"
    )
    for unit in np.flatnonzero(unruled[units.unit_base]).tolist():
        issue = Issue(table.assets[int(units.unit_base[unit])], Reason.NO_RULE, text)
        found.setdefault(int(units.unit_pool[unit]), []).append(issue)
    # Vol moves that are not published are told of the underlying, a vol that is missing of the option.
    silent = [t is not None and t.vol is None and moves_vol(t.cells) for t in terms]
    gaps = ", ".join(gap.code for gap in rulebook.gaps) or "none named"
    text = f"options cannot be margined: {rulebook.venue} does not publish its vol moves (gaps of {rulebook.id}: {gaps})"
    options = np.flatnonzero(units.is_option)
    base = units.unit_base[units.unit[options]]
    unpublished = np.array(silent, dtype=np.bool_)[base]
    missing = np.isnan(base_vols(model, table, units.instrument[options]))
    for k in np.flatnonzero(unpublished | missing).tolist():
        row = int(options[k])
        instrument = table.instruments[int(units.instrument[row])]
        issue = Issue(table.assets[int(base[k])], Reason.NOT_PUBLISHED, text)
        if not unpublished[k] and instrument is not None:
            message = "has no vol, so that it cannot be revalued in scenarios; give its quote a vol"
            issue = Issue(instrument.symbol, Reason.MISSING_VOL, message)
        found.setdefault(int(units.pool[row]), []).append(issue)
    return {pool: tuple(dict.fromkeys(issues)) for pool, issues in found.items()}


def merged(some: Issues, more: Issues) -> Issues:
    """Issues of pools together, each once, in their order."""
    pools = {**some, **more}
    return {pool: tuple(dict.fromkeys((*some.get(pool, ()), *more.get(pool, ())))) for pool in pools}
