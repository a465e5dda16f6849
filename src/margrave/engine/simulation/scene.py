"""A moment of a run: what the stages of a round read."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias, final

import numpy as np

from margrave.domain.amended import rows_of_owners, unnamed
from margrave.domain.book import Book
from margrave.engine.assessment import Status
from margrave.engine.books.venue import STATUSES, PoolColumns, assess_resolved
from margrave.engine.live.pools import LivePools, merged, pools_from
from margrave.engine.live.touch import touched_accounts
from margrave.engine.simulation.events import Levelled
from margrave.engine.simulation.prices import Pressure, World
from margrave.engine.simulation.screen import reaches
from margrave.engine.simulation.settings import Ladder, Settings
from margrave.engine.simulation.state import I8, UNKNOWN, Frame, State
from margrave.kernels.arrays import F64, I64, Bools
from margrave.margin.resolve import Resolved
from margrave.rulebook.bands import liquidation_ratio

_NO_ROW, _NONE = np.zeros(0, dtype=np.int64), np.zeros(0)
NO_POOLS: Final = LivePools(
    PoolColumns(_NO_ROW, _NO_ROW, _NO_ROW, _NONE, _NONE, _NONE, _NONE, _NONE, np.zeros(0, dtype=np.int8)), {}
)
"""Of a book that was not margined yet."""

Told: TypeAlias = Callable[[int, int], None]
"""Called with the step and with the accounts that were margined, whenever some are."""


@final
@dataclass(frozen=True, slots=True)
class Scene:
    """Everything known at one moment."""

    frame: Frame
    settings: Settings
    world: World
    state: State
    pressure: Pressure
    book: Book  # of the state
    resolved: Resolved  # of the market and rulebook of the moment
    pools: LivePools
    stale: Bools  # (A,) accounts that are to be margined before anything is decided
    loose: Bools  # (A,) accounts that prices touched, and that are certain to be healthy all the same
    deadline: F64  # (K,) length of the way of the pool's prices from which on it is to be margined
    rounds: I64  # (K,) rounds of the pool's present liquidation in which something of it was closed
    since: F64  # (K,) [s] when it began; NaN where there is none
    vault: tuple[
        I64, I64
    ]  # (I,), (N,) its position in each instrument, and its purse of each asset; -1 without
    way: F64  # (N + 1,) length of the way of the prices of each asset, and of whichever moved most

    @property
    def columns(self) -> PoolColumns:
        """Pools, (K,)."""
        return self.pools.columns

    @property
    def seconds(self) -> float:
        """Since the opening."""
        return float(self.world.seconds[self.pressure.step])

    @property
    def liquidated(self) -> Bools:
        """Pools in the level of liquidation, (K,)."""
        return np.asarray(self.state.level == self.settings.ladder.liquidation)

    @property
    def due(self) -> Bools:
        """Pools in liquidation whose notice is over, or of which nothing is left to wait for, (K,)."""
        notice = self.settings.notice_seconds
        if not notice:
            return self.liquidated
        with np.errstate(invalid="ignore"):  # of what is not in liquidation
            waited = self.seconds - self.since >= notice
        return self.liquidated & (waited | ~(self.columns.equity > 0.0))

    def legs(self, pools: Bools) -> I64:
        """Positions of some pools that are not flat, in the order of the book."""
        return np.flatnonzero(pools[self.frame.position_pool] & (self.state.lots != 0))


def loosened(scene: Scene) -> Scene:
    """The scene in which everyone whom prices touched is to be margined, certain to be healthy or not."""
    return replace(scene, stale=scene.stale | scene.loose)


def after_state(scene: Scene, state: State) -> Scene:
    """The scene with another state: what differs is read into the book, and who differs is stale."""
    frame, before, book = scene.frame, scene.state, scene.book
    stale, changed = scene.stale.copy(), dict[str, Any]()
    if state.lots is not before.lots:
        rows = np.flatnonzero(state.lots != before.lots)
        changed["quantity"] = book.quantity.copy()
        changed["quantity"][rows] = frame.contracts(book.instrument[rows], state.lots[rows])
        stale[book.account[rows]] = True
    if state.purse is not before.purse:
        rows = np.flatnonzero(state.purse != before.purse)
        owners = frame.purse_account[rows]
        stale[owners[owners >= 0]] = True
        changed |= _money(scene, state, rows)
    if state.cancelled is not before.cancelled:
        stale[book.order_account[state.cancelled != before.cancelled]] = True
        changed["order_reduces"] = frame.book.order_reduces | state.cancelled
    loose = scene.loose
    if state.memory is not before.memory:
        loose = np.ones_like(loose)
        changed["memory"] = state.memory
    book = replace(book, **changed) if changed else book
    return replace(scene, state=state, stale=stale, loose=loose, book=book)


def _money(scene: Scene, state: State, purses: I64) -> dict[str, F64]:
    frame, book = scene.frame, scene.book
    cash = purses[purses < frame.balances]
    held = purses[(purses >= frame.balances) & (purses < frame.balances + len(book.account))]
    changed = {}
    if cash.size:
        changed["balance"] = book.balance.copy()
        changed["balance"][cash] = frame.amount(cash, state.purse[cash])
    if held.size:
        changed["isolated_margin"] = book.isolated_margin.copy()
        changed["isolated_margin"][held - frame.balances] = frame.amount(held, state.purse[held])
    return changed


def margined(scene: Scene, threads: int, told: Told | None) -> tuple[Scene, Levelled | None]:
    """Ask margin of every stale account, by the calculation of `engine.books` and no other.

    Returns
    -------
    Scene, Levelled or None
        With those pools as they are now, and the pools among them that are on another level.
    """
    rows = np.flatnonzero(scene.stale)
    if not rows.size:
        return scene, None
    whole = len(rows) == len(scene.stale)
    part = scene.book if whole else unnamed(scene.book, rows)
    fresh = pools_from(assess_resolved(part, scene.resolved, threads=threads), rows)
    if told is not None:
        told(scene.pressure.step, len(rows))
    pools = fresh if whole else merged(scene.pools, fresh, rows)
    which = np.arange(len(pools.columns.account)) if whole else rows_of_owners(pools.columns.account, rows)[0]
    level = levels(scene, fresh.columns, scene.state.level[which])
    moved = np.flatnonzero(level != scene.state.level[which])
    deadline = scene.deadline.copy()
    deadline[which] = _deadlines(scene, fresh.columns, which, level)
    loose = scene.loose & ~scene.stale
    inside = level == scene.settings.ladder.liquidation
    over = which[~inside & (scene.rounds[which] > 0)]
    after = replace(
        scene,
        pools=pools,
        stale=np.zeros_like(scene.stale),
        loose=loose,
        deadline=deadline,
        rounds=counted(scene.rounds, over, 0),
        since=_since(scene, which, inside),
    )
    return after, Levelled(which[moved], level[moved]) if moved.size else None


def counted(rounds: I64, pools: I64, count: I64 | int) -> I64:
    """Rounds of all pools, some of them as told."""
    if not pools.size:
        return rounds
    rounds = rounds.copy()
    rounds[pools] = count
    return rounds


def _since(scene: Scene, which: I64, inside: Bools) -> F64:
    was = ~np.isnan(scene.since[which])
    moved = np.flatnonzero(inside != was)
    if not moved.size:
        return scene.since
    since = scene.since.copy()
    since[which[moved]] = np.where(inside[moved], scene.seconds, np.nan)
    return since


def _deadlines(scene: Scene, columns: PoolColumns, pools: I64, level: I8) -> F64:
    told = (pools, columns.margin_balance, level == 0)
    reach = reaches(scene.frame, scene.book, scene.resolved, scene.settings.ladder, told)
    return scene.way[scene.frame.pool_way[pools]] + reach


def moved_on(scene: Scene, resolved: Resolved) -> Scene:
    """The scene in another market: whom it touches is loose, and stale where the way of prices reached the deadline."""
    before, now = scene.resolved.table, resolved.table
    with np.errstate(divide="ignore", invalid="ignore"):
        marks_moved, index_moved = (
            np.abs(np.log(one / two)) for one, two in ((now.mark, before.mark), (now.index, before.index))
        )
    # An option may be worth nothing, and a pool that holds one is margined at every move whatever its way.
    far = np.where(now.is_option, 0.0, np.maximum(marks_moved, index_moved))
    way = scene.way.copy()
    step = np.zeros(len(way))
    np.maximum.at(step, now.base, far)
    step[-1] = far.max(initial=0.0)
    way += step
    loose = scene.loose | touched_accounts(scene.resolved, resolved, scene.book, scene.frame.holders)
    due = np.zeros_like(loose)
    due[scene.frame.pool_account[way[scene.frame.pool_way] >= scene.deadline]] = True
    return replace(scene, resolved=resolved, loose=loose, way=way, stale=scene.stale | (due & loose))


def levels(scene: Scene, columns: PoolColumns, before: I8) -> I8:
    """Level of some pools now, (n,), given the one before: entered at one ratio, left at a lower one."""
    ladder = scene.settings.ladder
    closing = liquidation_ratio(scene.resolved.rulebook.account.bands)
    ratio = np.nan_to_num(columns.ratio * closing, nan=0.0, posinf=np.inf)
    level = _level(ladder, ratio, before, columns.status == STATUSES.index(Status.LIQUIDATABLE))
    unknown = columns.status == STATUSES.index(Status.UNKNOWN)
    return np.where(unknown, UNKNOWN, level).astype(np.int8)


def _level(ladder: Ladder, ratio: F64, before: I8, liquidatable: Bools) -> I64:
    enter, leave = np.array(ladder.enter), np.array((*ladder.leave, ladder.restored))
    up = np.where(liquidatable, ladder.liquidation, np.searchsorted(enter, ratio, side="right"))
    down = np.where(
        ratio > ladder.restored, ladder.liquidation, np.searchsorted(leave[:-1], ratio, side="right")
    )
    return np.clip(before, up, np.maximum(down, up)).astype(np.int64)


def settled(scene: Scene, instrument: I64) -> F64:
    """Settlement asset per payoff asset of some instruments at the index, (n,)."""
    table = scene.resolved.table
    paid, own = table.payoff[instrument], table.settlement[instrument]
    with np.errstate(invalid="ignore"):
        return np.where(paid == own, 1.0, table.asset_price[paid] / table.asset_price[own])


def in_pool(scene: Scene, position: I64) -> F64:
    """Pool currency per settlement asset of some positions, (n,)."""
    table = scene.resolved.table
    own = table.settlement[scene.book.instrument[position]]
    currency = scene.columns.currency[scene.frame.position_pool[position]]
    with np.errstate(invalid="ignore"):
        return np.where(own == currency, 1.0, table.asset_price[own] / table.asset_price[currency])


def marks(scene: Scene) -> F64:
    """Marks on which margin is asked, (I,)."""
    return scene.resolved.table.mark


def cash(scene: Scene, position: I64, contracts: F64, price: F64) -> F64:
    """Cash that closing contracts of positions moves: a future's profit, an option's premium [settlement asset].

    Parameters
    ----------
    scene : Scene
        Terms and entries.
    position : (n,) ndarray of int
        Rows of the book.
    contracts : (n,) ndarray
        What is closed, with the sign of the position.
    price : (n,) ndarray
        Of the fill.
    """
    instrument = scene.book.instrument[position]
    table, entry = scene.resolved.table, scene.book.entry[position]
    option = table.is_option[instrument]
    profit = gain(scene, instrument, contracts, entry, price)
    premium = contracts * table.a[instrument] * price * settled(scene, instrument)
    return np.where(option, premium, profit)


def gain(scene: Scene, instrument: I64, contracts: F64, start: F64, end: F64) -> F64:
    """Profit of signed contracts between two prices, (n,) [settlement asset]; options' worth is their price."""
    table = scene.resolved.table
    a, c = table.a[instrument], table.c[instrument]
    inverse = c / np.where(c > 0.0, start * end, 1.0)
    return contracts * ((end - start) * (a + inverse)) * settled(scene, instrument)


def notional(scene: Scene, instrument: I64, contracts: F64, price: F64) -> F64:
    """Size of contracts at a price, (n,) [settlement asset], >= 0."""
    table = scene.resolved.table
    a, c = table.a[instrument], table.c[instrument]
    return np.abs(contracts) * (a * price + c / np.where(c > 0.0, price, 1.0)) * settled(scene, instrument)


def by_pool(scene: Scene, position: I64, values: F64) -> F64:
    """Sum of values of positions over their pools, (K,)."""
    pool = scene.frame.position_pool[position]
    return np.bincount(pool, weights=values, minlength=len(scene.frame.pool_account)).astype(np.float64)
