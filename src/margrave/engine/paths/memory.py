"""What path-dependent rules remember, moved by one observation: ``advance(account, market) -> account``.

`assess` reads memory and changes nothing; replay is a fold of `advance` over markets (spec 1.3 rules 1, 7, 8).
"""

from dataclasses import replace
from datetime import timedelta

import numpy as np

from margrave.domain.account import Account, Memory
from margrave.domain.book import book_of
from margrave.domain.market import Market
from margrave.kernels.schedule import ewma, step_tier
from margrave.margin.directional import Factor, best_mark_of, boundaries
from margrave.margin.pooled import Prepared, evaluate, prepare
from margrave.rulebook.schedules import Interpolation, Reference, Schedule
from margrave.rulebook.schema import Rulebook


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
    prepared = prepare(book_of((account,)), market, rulebook)
    workings = evaluate(prepared).workings
    kept = {m.underlying: m for m in account.memory}
    held: set[str] = set()
    for factor in workings.factors:
        for group in range(len(factor.net.pool)):
            underlying = prepared.table.assets[int(factor.net.base[group])]
            held.add(underlying)
            if np.isfinite(factor.net.mark[0, group]) and int(factor.net.pool[group]) not in prepared.issues:
                kept[underlying] = _observed(prepared, factor, group, kept.get(underlying))
    for underlying, memory in list(kept.items()):
        if underlying not in held:
            forgotten = _flat(memory, market, _only_schedule(rulebook))
            kept.pop(underlying)
            if forgotten is not None:
                kept[underlying] = forgotten
    return replace(account, memory=tuple(kept.values()))


def _only_schedule(rulebook: Rulebook) -> Schedule | None:
    used = [p.model.schedule for p in rulebook.products if p.model.schedule is not None]
    return rulebook.schedules[used[0]] if used else None


def _flat(memory: Memory, market: Market, schedule: Schedule | None) -> Memory | None:
    # A closed position is remembered for the reopen window, and then forgotten.
    closed_at = memory.closed_at or market.at
    window = timedelta(hours=0.0 if schedule is None else schedule.discipline.reopen_window_hours)
    if market.at - closed_at > window or not window:
        return None
    return replace(memory, closed_at=closed_at)


def _observed(prepared: Prepared, factor: Factor, group: int, before: Memory | None) -> Memory:
    net, schedule = factor.net, factor.net.schedule
    side = int(net.side[0, group])
    mark = float(net.mark[0, group])
    at = prepared.market.at
    entry = float(net.reference[0, group])
    fresh = before is None or (before.side not in (0, side))
    memory = (
        Memory(underlying=prepared.table.assets[int(net.base[group])], at=at)
        if fresh or before is None
        else before
    )
    reference = memory.reference
    if not fresh and memory.closed_at is not None and side != 0:
        # Reopened inside the window: the reference of the closed position is carried (rule 8).
        reference = memory.reference
    elif schedule.reference is Reference.EWMA:
        reference = _ewma(memory, mark, at.timestamp() - memory.at.timestamp(), schedule)
    elif schedule.reference is Reference.SETTLEMENT:
        reference = memory.reference
    elif schedule.discipline.reopen_window_hours > 0 and np.isfinite(entry) and entry > 0:
        reference = entry
    best = float(best_mark_of(net)[0, group])
    tier, streak = _tier(memory, schedule, float(factor.x[0, group]))
    return replace(
        memory,
        at=at,
        side=side,
        reference=reference,
        best_mark=best if np.isfinite(best) and best > 0 else None,
        multiplier=float(factor.multiplier[1][0, group]),
        tier=tier,
        streak=streak,
        closed_at=None,
    )


def _ewma(memory: Memory, mark: float, seconds: float, schedule: Schedule) -> float:
    if memory.reference is None:
        return mark
    return float(ewma(np.array(memory.reference), np.array(mark), schedule.half_life_hours, seconds / 3600.0))


def _tier(memory: Memory, schedule: Schedule, x: float) -> tuple[int | None, int]:
    if schedule.interpolation is not Interpolation.STEP:
        return None, 0
    edges, _, home = boundaries(schedule.knots)
    held = home + (memory.tier or 0)
    tier, streak = step_tier(
        np.array([held]),
        np.array([memory.streak]),
        np.array([x]),
        edges,
        schedule.discipline.dead_band,
        schedule.discipline.dwell,
    )
    return int(tier[0]) - home, int(streak[0])


def settle(account: Account, underlying: str, price: float, market: Market) -> Account:
    """Write a session settlement price as the reference of an underlying (reference ``settlement``)."""
    memory = next(
        (m for m in account.memory if m.underlying == underlying), Memory(underlying=underlying, at=market.at)
    )
    others = tuple(m for m in account.memory if m.underlying != underlying)
    return replace(account, memory=(*others, replace(memory, reference=price, at=market.at)))
