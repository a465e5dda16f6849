"""Incremental liquidation of an account, pool by pool, with every step on record (spec FM-5, CMM-6, PM-5).

Open orders are cancelled first. Then slices of legs are closed, each time the leg that relieves the most
maintenance margin per cost of closing and never one whose closing raises the requirement, and the pool is
assessed again, until its margin balance covers maintenance with a buffer or nothing is left.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import final

import numpy as np

from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Leg, Order, Position
from margrave.domain.market import Market
from margrave.engine.assess import assess, assess_all
from margrave.engine.assessment import PoolAssessment, Status
from margrave.engine.changes import with_cash
from margrave.engine.default.closing import Closing, LiquidationRule, closing, conversion, slice_of
from margrave.engine.isolated import isolated_margins
from margrave.liquidation.portions import best_leg
from margrave.rulebook.schema import CrossPool, Rulebook

Key = tuple[str, Leg, MarginMode]


class Outcome(StrEnum):
    """How the liquidation of a pool ended."""

    SAFE = "safe"  # was not liquidatable
    RESTORED = "restored"  # covers maintenance with the buffer again
    CLOSED = "closed"  # nothing is left
    BANKRUPT = "bankrupt"  # the next slice would lead below the floor: what is left is taken over
    UNKNOWN = "unknown"  # cannot be valued, so nothing was touched


@final
@dataclass(frozen=True, slots=True)
class State:
    """A pool's figures at one moment [pool currency]."""

    equity: float
    margin_balance: float
    maintenance: float


@final
@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the venue did to a pool, and why."""

    pool: str
    action: str  # cancel or close
    why: str
    orders: tuple[Order, ...]  # cancelled
    fills: tuple[Closing, ...]
    before: State
    after: State
    cost: float  # slippage, fee and penalty [pool currency]
    loss: float  # of what was closed, from its entry, with fee and penalty [pool currency]; profit < 0


@final
@dataclass(frozen=True, slots=True)
class PoolUnwinding:
    """What became of one pool."""

    pool: str
    mode: MarginMode
    currency: str
    outcome: Outcome
    steps: tuple[Step, ...]
    start: State
    end: State
    positions: tuple[Position, ...]  # what is left of it
    cash: float  # [pool currency] margin of an isolated position, as it ended; zero for cross pools

    @property
    def deficit(self) -> float:
        """Negative equity of a pool of which nothing is left: others have to bear it, >= 0."""
        return max(-self.end.equity, 0.0) if self.outcome is Outcome.CLOSED else 0.0


@final
@dataclass(frozen=True, slots=True)
class Unwinding:
    """An account after liquidation, and how it came there."""

    account: Account
    pools: tuple[PoolUnwinding, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step, in order."""
        return tuple(step for pool in self.pools for step in pool.steps)


@final
@dataclass(frozen=True, slots=True)
class _Venue:
    market: Market
    rulebook: Rulebook
    rule: LiquidationRule


@final
@dataclass(frozen=True, slots=True)
class _Bucket:
    """A pool as an account of its own; ``debt`` is what an isolated margin, >= 0, cannot say."""

    name: str
    mode: MarginMode
    currency: str
    account: Account
    debt: float = 0.0


def unwind(account: Account, market: Market, rulebook: Rulebook, rule: LiquidationRule) -> Unwinding:
    """Liquidate what is liquidatable.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation.
    rule : LiquidationRule
        Buffer, slices, costs, and the equity at which the venue takes over.

    Returns
    -------
    Unwinding
        Pools that are not liquidatable are untouched, to the last bit (spec IMM-8). A closed isolated position
        gives what remains of its margin to the wallet; its deficit stays out of the wallet (IMM-1). A closed
        cross pool may leave a debt in the balance. It ends: a step closes a slice or is the last.
    """
    venue = _Venue(market, rulebook, rule)
    done = tuple(_liquidated(venue, *pair) for pair in _buckets(account, market, rulebook))
    return Unwinding(_merged(account, done), tuple(told for told, _ in done))


def _buckets(account: Account, market: Market, rulebook: Rulebook) -> Iterable[tuple[_Bucket, Status]]:
    pools = assess(account, market, rulebook).pools
    alone = [p for p in account.positions if p.mode is MarginMode.ISOLATED]
    for pool in (p for p in pools if p.mode == "cross"):
        yield _cross(account, market, rulebook, pool), pool.status
    for pool, position in zip((p for p in pools if p.mode == "isolated"), alone, strict=True):
        only = replace(account, balances=(), orders=(), positions=(position,))
        margin = isolated_margins(only, market, rulebook)[0][1]
        only = replace(only, positions=(replace(position, isolated_margin=margin),))
        yield _Bucket(pool.name, MarginMode.ISOLATED, pool.currency, only), pool.status


def _cross(account: Account, market: Market, rulebook: Rulebook, pool: PoolAssessment) -> _Bucket:
    spans = rulebook.account.cross_pool is CrossPool.ACCOUNT

    def belongs(symbol: str) -> bool:
        instrument = market.instruments.get(symbol)
        return instrument is not None and (spans or instrument.settlement == pool.currency)

    balances = tuple(b for b in account.balances if spans or b.asset == pool.currency)
    only = replace(
        account,
        balances=balances or (Balance(asset=pool.currency, amount=0.0),),
        positions=tuple(p for p in account.positions if p.mode is MarginMode.CROSS and belongs(p.symbol)),
        orders=tuple(o for o in account.orders if belongs(o.symbol)),
    )
    return _Bucket(pool.name, MarginMode.CROSS, pool.currency, only)


def _liquidated(venue: _Venue, bucket: _Bucket, status: Status) -> tuple[PoolUnwinding, _Bucket]:
    now = _states(venue, (bucket,))[0]
    steps: list[Step] = []
    if status is not Status.LIQUIDATABLE:
        outcome = Outcome.UNKNOWN if status is Status.UNKNOWN else Outcome.SAFE
        return _told(bucket, outcome, steps, now, now), bucket
    start, sizes = now, {_key(p): p.quantity for p in bucket.account.positions}
    if bucket.account.orders:
        orders, why = bucket.account.orders, "orders before positions"
        bucket = replace(bucket, account=replace(bucket.account, orders=()))
        steps.append(
            Step(bucket.name, "cancel", why, orders, (), now, _states(venue, (bucket,))[0], 0.0, 0.0)
        )
        now = steps[-1].after
    while not _safe(venue.rule, bucket, now) and _held(bucket):
        after, step = _next(venue, bucket, now, sizes)
        slack = 1e-9 * (now.maintenance + abs(now.equity))
        if step.after.equity < venue.rule.floor - slack:
            return _told(bucket, Outcome.BANKRUPT, steps, start, now), bucket
        bucket, now = after, step.after
        steps.append(step)
    is_over = not _held(bucket) and (any(s.fills for s in steps) or not _safe(venue.rule, bucket, now))
    outcome = Outcome.CLOSED if is_over else Outcome.RESTORED
    return _told(bucket, outcome, steps, start, now), bucket


def _told(bucket: _Bucket, outcome: Outcome, steps: list[Step], start: State, end: State) -> PoolUnwinding:
    cash = sum(p.isolated_margin or 0.0 for p in bucket.account.positions) + bucket.debt
    held = tuple(_held(bucket))
    return PoolUnwinding(
        bucket.name, bucket.mode, bucket.currency, outcome, tuple(steps), start, end, held, cash
    )


def _safe(rule: LiquidationRule, bucket: _Bucket, now: State) -> bool:
    # A deficit that was realised has to be earned back by the rest of the position, not left behind.
    return now.margin_balance >= now.maintenance * (1.0 + rule.buffer) and bucket.debt >= 0.0


def _held(bucket: _Bucket) -> list[Position]:
    return [p for p in bucket.account.positions if p.quantity != 0.0]


def _key(position: Position) -> Key:
    return position.symbol, position.leg, position.mode


def _states(venue: _Venue, buckets: Sequence[_Bucket]) -> list[State]:
    found = []
    assessed = assess_all([b.account for b in buckets], venue.market, venue.rulebook)
    for bucket, assessment in zip(buckets, assessed, strict=True):
        pool = next(p for p in assessment.pools if p.name == bucket.name)
        found.append(State(pool.equity + bucket.debt, pool.margin_balance + bucket.debt, pool.maintenance))
    return found


def _next(venue: _Venue, bucket: _Bucket, now: State, sizes: dict[Key, float]) -> tuple[_Bucket, Step]:
    """The step to take: the best leg that relieves; a slice of all of them where none does; else everything."""
    legs = _held(bucket)
    sliced = [(p, slice_of(venue.rule, sizes[_key(p)], p.quantity)) for p in legs]
    plans = [[one] for one in sliced] + [sliced, [(p, -p.quantity) for p in legs]]
    tried = [_closed(venue, bucket, plan, now.equity) for plan in plans]
    states = _states(venue, [after for after, _ in tried])
    costs = [_cost(venue, bucket, fills) for _, fills in tried]
    relief = [now.maintenance - s.maintenance for s in states]
    least = 1e-12 * now.maintenance
    count = len(legs)
    best = best_leg(np.array(relief[:count]), np.array(costs[:count]), least)
    raising = sum(relief[k] < -least for k in range(count))
    if best is not None:
        chosen = best
        why = "the only leg left" if len(legs) == 1 else f"most per cost of {len(legs)} legs"
    else:
        chosen = len(legs) if relief[len(legs)] > least else len(legs) + 1
        why = "no leg alone relieves margin: a slice of all" if chosen == len(legs) else "all that is left"
    if raising:
        why += f"; {raising} would raise the requirement"
    after, fills = tried[chosen]
    rates = [conversion(venue.market, f.currency, bucket.currency) for f in fills]
    loss = sum((f.fee + f.penalty - f.profit) * r for f, r in zip(fills, rates, strict=True))
    return after, Step(bucket.name, "close", why, (), fills, now, states[chosen], costs[chosen], loss)


def _cost(venue: _Venue, bucket: _Bucket, fills: Iterable[Closing]) -> float:
    return sum(
        (f.slippage + f.fee + f.penalty) * conversion(venue.market, f.currency, bucket.currency)
        for f in fills
    )


def _closed(
    venue: _Venue, bucket: _Bucket, plan: Sequence[tuple[Position, float]], equity: float
) -> tuple[_Bucket, tuple[Closing, ...]]:
    fills = []
    for position, quantity in plan:
        settlement = venue.market.instruments[position.symbol].settlement
        means = equity * conversion(venue.market, bucket.currency, settlement)
        made = closing(venue.rule, venue.market, position, quantity, means)
        equity -= _cost(venue, bucket, (made,))
        bucket = _booked(bucket, position, made)
        fills.append(made)
    return bucket, tuple(fills)


def _booked(bucket: _Bucket, position: Position, made: Closing) -> _Bucket:
    account = bucket.account
    after = replace(position, quantity=position.quantity + made.quantity)
    debt = bucket.debt
    if bucket.mode is MarginMode.ISOLATED:
        cash = (position.isolated_margin or 0.0) + bucket.debt + made.cash
        after, debt = replace(after, isolated_margin=max(cash, 0.0)), min(cash, 0.0)
    else:
        account = with_cash(account, made.currency, made.cash)
    positions = tuple(after if p is position else p for p in account.positions)
    return replace(bucket, account=replace(account, positions=positions), debt=debt)


def _merged(account: Account, done: Sequence[tuple[PoolUnwinding, _Bucket]]) -> Account:
    positions = {_key(p): p for p in account.positions}
    balances = {b.asset: b for b in account.balances}
    touched = [(told, bucket) for told, bucket in done if told.steps]
    for told, bucket in touched:
        positions.update({_key(p): p for p in bucket.account.positions})
        if told.mode is MarginMode.CROSS:
            balances.update({b.asset: b for b in bucket.account.balances})
    cancelled = [o for told, _ in touched for step in told.steps for o in step.orders]
    after = replace(
        account,
        positions=tuple(p for p in positions.values() if p.quantity != 0.0),
        balances=tuple(balances.values()),
        orders=tuple(o for o in account.orders if not any(o is gone for gone in cancelled)),
    )
    for told, _ in touched:
        if told.mode is MarginMode.ISOLATED and not told.positions and told.cash > 0.0:
            after = with_cash(after, told.currency, told.cash)
    return after
