"""What path-dependent rules remember, moved by one observation: ``advance(account, market) -> account``.

`assess` reads memory and changes nothing; replay is a fold of `advance` over markets (spec 1.3 rules 1, 7, 8). `observed`
moves the memory of a whole book at once.
"""

from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np

from margrave.domain.account import Account, Memory
from margrave.domain.amended import with_tables
from margrave.domain.book import Memories, account_of, book_of, microseconds
from margrave.domain.market import Market
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.groups import rows_of
from margrave.kernels.schedule import ewma, step_tier
from margrave.margin.directional import Factor, best_mark_of, boundaries
from margrave.margin.pooled import Pooled, Prepared, evaluate, prepare
from margrave.rulebook.schedules import Interpolation, Reference, Schedule
from margrave.rulebook.schema import Rulebook

_FLOATS: Final = ("at", "reference", "best_mark", "multiplier", "tier", "streak", "side", "closed_at")
_NOTHING: Final = (np.nan, np.nan, np.nan, np.nan, np.nan, 0.0, 0.0, np.nan)
_HOUR: Final = 3.6e9  # [us]


def advance(account: Account, market: Market, rulebook: Rulebook) -> Account:
    """Move an account's memory to a market.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The account as it stood, and the observation.

    Returns
    -------
    Account
        The same account with memory at ``market.at``. Tightening is immediate, release waits: a stale or
        missing mark leaves the memory of its underlying as it was, so that nothing is released on it (LM-7).
    """
    bases = [i.base for p in account.positions if (i := market.instruments.get(p.symbol)) is not None]
    book = with_tables(book_of((account,)), (), bases)
    prepared = prepare(book, market, rulebook)
    memory = observed(prepared, evaluate(prepared))
    return replace(account, memory=account_of(replace(book, memory=memory), 0).memory)


def observed(prepared: Prepared, pooled: Pooled) -> Memories:
    """Memory of every account of a book after the market that it was prepared in.

    Parameters
    ----------
    prepared, pooled : Prepared, Pooled
        A book whose assets name every underlying that it holds, and its pools as they are, S = 1.

    Returns
    -------
    Memories
        In the order of accounts. A net position that is not valued leaves its memory as it was; what is held no longer is
        remembered for the reopen window, and then forgotten.
    """
    rows = _Rows.of(prepared.book.memory, len(prepared.book.assets))
    held: list[I64] = []
    for factor in pooled.workings.factors:
        keys = _keys(prepared, factor)
        held.append(keys)
        known = np.isfinite(factor.net.mark[0]) & ~np.isin(factor.net.pool, list(prepared.issues))
        groups = np.flatnonzero(known)
        while groups.size:  # an account's pools on one underlying share its memory, one after the other
            _, first = np.unique(keys[groups], return_index=True)
            now = groups[np.sort(first)]
            rows = rows.written(keys[now], _observed(prepared, factor, now, rows.columns(keys[now])))
            groups = np.setdiff1d(groups, now)
    return _forgotten(prepared, rows, np.concatenate(held) if held else np.zeros(0, dtype=np.int64))


@final
@dataclass(frozen=True, slots=True)
class _Rows:
    # Memories by key: account times the number of assets, plus underlying.
    assets: int
    key: I64  # (N,)
    told: F64  # (8, N) columns of `_FLOATS`

    @staticmethod
    def of(memory: Memories, assets: int) -> "_Rows":
        key = memory.account.astype(np.int64) * assets + memory.underlying
        return _Rows(assets, key, np.array([getattr(memory, name) for name in _FLOATS], dtype=np.float64))

    def columns(self, key: I64) -> tuple[Bools, F64]:
        row = rows_of(key, self.key)
        told = np.repeat(np.array(_NOTHING)[:, None], len(key), axis=1)
        there = row >= 0
        told[:, there] = self.told[:, row[there]]
        return there, told

    def written(self, key: I64, told: F64) -> "_Rows":
        row = rows_of(key, self.key)
        there, columns = row >= 0, self.told.copy()
        columns[:, row[there]] = told[:, there]
        fresh = np.concatenate((columns, told[:, ~there]), axis=1)
        return _Rows(self.assets, np.concatenate((self.key, key[~there])), fresh)

    def kept(self, rows: Bools) -> Memories:
        account, underlying = np.divmod(self.key[rows], self.assets)
        order = account.argsort(kind="stable")
        return Memories(account[order], underlying[order], *self.told[:, rows][:, order])


def _keys(prepared: Prepared, factor: Factor) -> I64:
    table, book = prepared.table, prepared.book
    own = {name: row for row, name in enumerate(book.assets)}
    row: I64 = np.array([own.get(name, -1) for name in table.assets], dtype=np.int64)
    account: I64 = prepared.pools.account[factor.net.pool]
    key: I64 = account * len(book.assets) + row[factor.net.base]
    return key


def _observed(prepared: Prepared, factor: Factor, groups: I64, before: tuple[Bools, F64]) -> F64:
    net, (there, told) = factor.net, before
    side, now = net.side[0, groups], microseconds(prepared.market.at)
    fresh = ~there | ((told[6] != 0.0) & (told[6] != side))
    told = np.where(fresh, np.array(_NOTHING)[:, None], told)
    reference = _reference(factor, groups, told, np.where(fresh, 0.0, now - told[0]))
    best = best_mark_of(net)[0, groups]
    tier, streak = _tier(net.schedule, told, factor.x[0, groups])
    return np.array(
        [
            np.full(len(groups), now),
            reference,
            np.where(np.isfinite(best) & (best > 0.0), best, np.nan),
            factor.multiplier[1][0, groups],
            tier,
            streak,
            side,
            np.full(len(groups), np.nan),
        ]
    )


def _reference(factor: Factor, groups: I64, told: F64, elapsed: F64) -> F64:
    net, schedule = factor.net, factor.net.schedule
    mark, entry = net.mark[0, groups], net.reference[0, groups]
    carried: F64 = told[1]
    # Reopened inside the window: the reference of the closed position is carried (rule 8).
    reopened = ~np.isnan(told[7]) & (net.side[0, groups] != 0.0)
    reference = carried
    if schedule.reference is Reference.EWMA:
        start = np.isnan(carried)
        moved = ewma(
            np.where(start, mark, carried), mark, schedule.half_life_hours, np.nan_to_num(elapsed) / _HOUR
        )
        reference = np.where(start, mark, moved)
    elif schedule.reference is not Reference.SETTLEMENT and schedule.discipline.reopen_window_hours > 0:
        reference = np.where(np.isfinite(entry) & (entry > 0.0), entry, carried)
    return np.where(reopened, carried, reference)


def _tier(schedule: Schedule, told: F64, x: F64) -> tuple[F64, F64]:
    if schedule.interpolation is not Interpolation.STEP:
        return np.full(len(x), np.nan), np.zeros(len(x))
    edges, _, home = boundaries(schedule.knots)
    held = home + np.nan_to_num(told[4]).astype(np.int64)
    rule = schedule.discipline
    streak = np.nan_to_num(told[5]).astype(np.int64)
    tier, streak = step_tier(held, streak, x, edges, rule.dead_band, rule.dwell)
    return (tier - home).astype(np.float64), streak.astype(np.float64)


def _forgotten(prepared: Prepared, rows: _Rows, held: I64) -> Memories:
    # A closed position is remembered for the reopen window, and then forgotten.
    now, schedule = microseconds(prepared.market.at), _only_schedule(prepared.rulebook)
    window = 0.0 if schedule is None else schedule.discipline.reopen_window_hours * _HOUR
    gone = ~np.isin(rows.key, held)
    rows.told[7] = np.where(gone & np.isnan(rows.told[7]), now, rows.told[7])
    return rows.kept(~gone | ((window > 0.0) & (now - rows.told[7] <= window)))


def _only_schedule(rulebook: Rulebook) -> Schedule | None:
    used = [p.model.schedule for p in rulebook.products if p.model.schedule is not None]
    return rulebook.schedules[used[0]] if used else None


def needs_memory(rulebook: Rulebook) -> bool:
    """Whether some rule reads what is remembered: all else is a function of the market alone."""
    used = {product.model.schedule for product in rulebook.products}
    return any(_remembers(schedule) for name, schedule in rulebook.schedules.items() if name in used)


def _remembers(schedule: Schedule) -> bool:
    rule = schedule.discipline
    slow = rule.release_per_hour is not None or rule.reopen_window_hours > 0.0
    timeless = schedule.reference in (Reference.ENTRY, Reference.VWAP)
    return slow or not timeless or schedule.interpolation is Interpolation.STEP


def settle(account: Account, underlying: str, price: float, market: Market) -> Account:
    """Write a session settlement price as the reference of an underlying (reference ``settlement``)."""
    memory = next(
        (m for m in account.memory if m.underlying == underlying), Memory(underlying=underlying, at=market.at)
    )
    others = tuple(m for m in account.memory if m.underlying != underlying)
    return replace(account, memory=(*others, replace(memory, reference=price, at=market.at)))
