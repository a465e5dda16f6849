"""The cheapest trades that free margin, or move the liquidation price away (spec PMM-8, CMM-6).

The calculation is linearised in the sizes of the candidate trades, the linear programme is solved by HiGHS within
a trust region, and the line is drawn anew from there. The last rounds are in whole lots. Every proposal is
assessed exactly; one that misses its target is never given as a solution.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Final, TypeAlias, final

import numpy as np

from margrave.core.errors import Reason, refused
from margrave.core.words import INITIAL, LEVELS
from margrave.domain.account import Account
from margrave.domain.book import book_of
from margrave.domain.checks import require
from margrave.domain.market import Market
from margrave.engine.analysis.candidates import Candidate, Costs, candidates_of, contracts_of
from margrave.engine.analysis.programme import Linear, solved
from margrave.engine.assess import assess
from margrave.engine.assessment import Assessment, PoolAssessment, Status
from margrave.engine.whatif import Leg, filled
from margrave.kernels.arrays import F64
from margrave.liquidation import liquidations
from margrave.liquidation.direction import pooled_at, underlyings_of
from margrave.margin.pooled import prepare
from margrave.margin.pools import pool_name
from margrave.rulebook.schema import Rulebook

_SLACK: Final = 1e-4  # of the pool's margin: a shortfall that the rounds in whole lots mend
_RADII: Final = (
    1.0,
    0.5,
    0.15,
)  # first trust regions, of the largest trades: each may end in another optimum
_RADIUS_MIN: Final = 1e-4
_RADIUS_LOTS: Final = 0.05
_LOT_NOISE: Final = 1e-9
_ROUNDS: Final = 30
_LOT_ROUNDS: Final = 10
_PROBE: Final = 1.0 / 16.0  # of the trust region: how far a slope looks
_GRID: Final = 24  # prices between now and the wanted distance that must be safe
_ENOUGH: Final = 1e-9  # of the pool's margin: a target is met to this


@final
@dataclass(frozen=True, slots=True)
class Free:
    """Margin to free: available margin at a level rises by an amount [pool currency], costs paid."""

    amount: float
    level: int = 0  # row of `margrave.core.words`


@final
@dataclass(frozen=True, slots=True)
class Distance:
    """No liquidation nearer than this relative move: -0.3 for a fall of 30 %, 0.3 for a rise."""

    move: float


Target: TypeAlias = Free | Distance


@final
@dataclass(frozen=True, slots=True)
class Proposal:
    """Trades, what they cost, and the account with them."""

    pool: str
    currency: str
    legs: tuple[Leg, ...]  # priced at the mark and half the spread
    cost: float  # half spreads and fees [numeraire]
    reached: bool
    why: str  # where not reached: how far the best trades found come
    account: Account  # as it would be
    before: Assessment
    after: Assessment


@final
@dataclass(frozen=True, slots=True)
class _Problem:
    account: Account
    market: Market  # with a fee on every instrument
    rulebook: Rulebook
    pool: PoolAssessment  # as it is
    target: Target
    candidates: tuple[Candidate, ...]
    factor: tuple[float, ...]  # of every underlying: prices at which the excess is looked at
    assets: tuple[str, ...]  # underlyings that move


@final
@dataclass(frozen=True, slots=True)
class _Tried:
    trade: F64  # (n,) lots
    shortfall: float  # of the target, over the pool's margin
    cost: float

    def is_better_than(self, other: "_Tried", slack: float) -> bool:
        mine, theirs = (max(t.shortfall - slack, 0.0) for t in (self, other))
        if mine == theirs:
            return self.cost < other.cost * (1.0 - 1e-9)
        return mine < theirs * (1.0 - 1e-9)


def optimise(
    account: Account,
    market: Market,
    rulebook: Rulebook,
    target: Target,
    pool: str | None = None,
    costs: Costs = Costs(),  # noqa: B008 - frozen
) -> Proposal:
    """The cheapest trades that reach a target.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation.
    target : Free or Distance
        What is wanted.
    pool : str, optional
        Name of a cross pool; by default the account's only one with positions.
    costs : Costs
        Half spread, fee and lots.

    Returns
    -------
    Proposal
        Candidates are the market's instruments on the pool's own underlyings that the rules know and that
        settle in the pool: existing legs are closed in part, hedges are opened. ``reached`` is the word of the
        exact assessment; where it is false ``why`` says how far the best trades found come. The linearised
        search finds a local optimum.

    Raises
    ------
    InvalidInputError
        SciPy is not installed.
    RefusedError
        There is no such pool, it is isolated, or it cannot be valued.
    """
    require(costs.half_spread > 0.0, "half_spread", costs.half_spread, "above zero")
    require(costs.fee >= 0.0, "fee", costs.fee, "zero or more")
    problem = _problem(account, market, rulebook, target, pool, costs)
    start = _tried(problem, np.zeros(len(problem.candidates)))
    if start.shortfall <= 0.0 and _misses(problem, account) is None:
        return _proposal(problem, start.trade)
    return _trimmed(problem, _pruned(problem, _searched(problem)))


def _searched(problem: _Problem) -> Proposal:
    start = _tried(problem, np.zeros(len(problem.candidates)))
    found = [_in_lots(problem, _followed(problem, start, radius)) for radius in _RADII]
    return min(found, key=_rank)


def _rank(proposal: Proposal) -> tuple[bool, float]:
    return (not proposal.reached, proposal.cost)


def _pruned(problem: _Problem, best: Proposal) -> Proposal:
    # Positions margined together make local optima: each leg is left out once, and what is cheaper stays.
    for leg in best.legs if best.reached and len(best.legs) > 1 else ():
        others = tuple(c for c in problem.candidates if c.symbol != leg.symbol)
        best = min(best, _searched(replace(problem, candidates=others)), key=_rank)
    return best


def _problem(
    account: Account, market: Market, rulebook: Rulebook, target: Target, pool: str | None, costs: Costs
) -> _Problem:
    market = with_fees(market, costs)
    chosen = chosen_pool(account, assess(account, market, rulebook), pool)
    prepared = prepare(book_of((account,)), market, rulebook)
    row = next(
        k
        for k in range(len(prepared.pools.account))
        if pool_name(prepared.pools, prepared.table, prepared.book, k) == chosen.name
    )
    assets = tuple(prepared.table.assets[a] for a in underlyings_of(prepared, row))
    factor = (1.0,)
    if isinstance(target, Distance):
        require(-1.0 < target.move < 100.0 and target.move != 0.0, "move", target.move, "above -1 and not 0")
        factor = tuple(np.geomspace(1.0, 1.0 + target.move, _GRID + 1).tolist())
    else:
        require(0.0 < target.amount < inf, "amount", target.amount, "above zero")
    candidates = candidates_of(account, market, rulebook, chosen, assets, costs)
    return _Problem(account, market, rulebook, chosen, target, candidates, factor, assets)


def with_fees(market: Market, costs: Costs) -> Market:
    """The market with a fee on every instrument: its own, or that of the costs."""
    fees = {
        s: i if i.taker_fee is not None else replace(i, taker_fee=costs.fee)
        for s, i in market.instruments.items()
    }
    return replace(market, instruments=fees)


def chosen_pool(account: Account, assessment: Assessment, name: str | None) -> PoolAssessment:
    """A cross pool by its name, or the only one that holds positions; refused where there is none to trade for."""
    held = [p for p in assessment.pools if p.positions and p.mode == "cross"]
    found = [p for p in held if name in (None, p.name)]
    if len(found) != 1:
        known = ", ".join(p.name for p in held) or "none"
        raise refused(
            name or account.name,
            Reason.NOT_FOUND,
            f"name one cross pool that holds positions; there are {known}",
        )
    if found[0].issues:
        raise refused(
            found[0].name, Reason.NOT_ALLOWED, f"cannot be valued ({found[0].issues[0]}); mend that first"
        )
    return found[0]


def _legs(problem: _Problem, trade: F64) -> tuple[Leg, ...]:
    legs = []
    for candidate, lots in zip(problem.candidates, trade.tolist(), strict=True):
        size = contracts_of(candidate, lots)
        held = _held(problem, candidate)
        if abs(held + size) < 1e-6 * candidate.lot:
            size = -held  # a position closed leaves no dust
        if size:
            legs.append(Leg(candidate.symbol, size, candidate.buy if size > 0 else candidate.sell))
    return tuple(legs)


def _held(problem: _Problem, candidate: Candidate) -> float:
    return sum(p.quantity for p in problem.account.positions if p.symbol == candidate.symbol)


def _traded(problem: _Problem, trade: F64) -> Account:
    account = problem.account
    for leg in _legs(problem, trade):
        account = filled(account, problem.market, leg, problem.rulebook)
    return account


def _excess(problem: _Problem, accounts: Sequence[Account]) -> F64:
    """Excess of the target over the pool's margin, (m, n): a row a price, a column an account."""
    prepared = prepare(book_of(accounts), problem.market, problem.rulebook)
    moving = np.isin(prepared.table.assets, problem.assets)
    shift = np.where(moving[None, :], np.array(problem.factor)[:, None], 1.0)
    pooled = pooled_at(prepared, shift)
    pools, table = prepared.pools, prepared.table
    mine = ~pools.is_isolated & (np.array(table.assets)[pools.currency] == problem.pool.currency)
    at = np.flatnonzero(mine)
    at = at[np.argsort(pools.account[at])]
    target = problem.target
    if isinstance(target, Free):
        asked = pooled.initial if target.level == INITIAL else pooled.maintenance
        free = pooled.margin_balance - asked
        now = problem.pool.margin_balance - getattr(problem.pool, LEVELS[target.level])
        excess = free - now - target.amount
    else:
        excess = pooled.margin_balance - pooled.maintenance
    return np.asarray(excess[: len(problem.factor), at] / _scale(problem))


def _scale(problem: _Problem) -> float:
    wanted = problem.target.amount if isinstance(problem.target, Free) else 0.0
    return max(problem.pool.initial, wanted)


def _tried(problem: _Problem, trade: F64) -> _Tried:
    excess = _excess(problem, (_traded(problem, trade),))
    low = float(excess.min())
    unit = np.array([c.unit_cost for c in problem.candidates])
    return _Tried(trade, max(-low, 0.0) if low == low else inf, float(np.abs(trade) @ unit))


def _line(problem: _Problem, trade: F64, radius: float, is_whole: bool) -> Linear:
    count = len(problem.candidates)
    steps = np.zeros((2, count))  # most lots up, and down
    for k, candidate in enumerate(problem.candidates):
        open_lots = _held(problem, candidate) / candidate.lot + trade[k]
        for side, sign in ((0, 1.0), (1, -1.0)):
            # At least two lots; up to flat where the step closes, since the line bends there; within the limit.
            most = min(max(radius * candidate.lots_max, 2.0), candidate.lots_max - sign * trade[k])
            to_flat = -sign * open_lots
            most = min(most, to_flat) if to_flat > _LOT_NOISE else most
            steps[side, k] = max(np.floor(most + _LOT_NOISE) if is_whole else most, 0.0)
    probe = np.minimum(np.maximum(_PROBE * steps, 1.0), steps)
    trades = [trade]
    for side, sign in ((0, 1.0), (1, -1.0)):
        trades += [trade + sign * probe[side, k] * np.eye(count)[k] for k in range(count)]
    excess = _excess(problem, [_traded(problem, t) for t in trades])
    here, slopes = excess[:, :1], (excess[:, 1:] - excess[:, :1])
    slopes = np.nan_to_num(slopes / np.maximum(probe.ravel(), _LOT_NOISE), nan=-1e3)
    unit = np.array([c.unit_cost for c in problem.candidates])
    buying, selling = _without_wash(slopes[:, :count], slopes[:, count:])
    return Linear(trade, here[:, 0], buying, selling, steps[0], steps[1], unit)


def _without_wash(buying: F64, selling: F64) -> tuple[F64, F64]:
    # Where buying gains more than selling loses, a line would trade both ways at once for nothing: there the mean
    # slope of both sides holds.
    gain = 0.5 * np.maximum(buying + selling, 0.0)
    return buying - gain, selling - gain


def _followed(problem: _Problem, start: _Tried, radius: float) -> _Tried:
    # Successive linear programmes in parts of lots, in a region that shrinks where the line lied.
    best = start
    for _ in range(_ROUNDS):
        trade = solved(_line(problem, best.trade, radius, is_whole=False), is_whole=False)
        tried = None if trade is None else _tried(problem, trade)
        if tried is not None and tried.is_better_than(best, _SLACK):
            best, radius = tried, min(1.0, 1.5 * radius)
        else:
            radius /= 3.0
        if radius < _RADIUS_MIN:
            break
    return best


def _in_lots(problem: _Problem, best: _Tried) -> Proposal:
    # Whole lots about the best trades found; what the exact assessment misses is asked on top.
    trade, more = np.round(best.trade), 0.0
    nearest = _tried(problem, trade)
    for turn in range(_LOT_ROUNDS):
        line = _line(problem, trade, _RADIUS_LOTS, is_whole=True)
        found = solved(replace(line, excess=line.excess - more), is_whole=True)
        if found is None:
            break
        tried = _tried(problem, found)
        nearest = tried if tried.is_better_than(nearest, 0.0) or turn == 0 else nearest
        missed = _misses(problem, _traded(problem, found))
        if missed is None:
            return _proposal(problem, found)
        trade, more = found, more + max(1.1 * tried.shortfall, 10.0 * _ENOUGH)
        if missed.factor is not None:
            problem = replace(problem, factor=(*problem.factor, missed.factor))
    return _proposal(problem, nearest.trade)


@final
@dataclass(frozen=True, slots=True)
class _Missed:
    why: str
    factor: float | None = None  # where it is liquidated after all


def _misses(problem: _Problem, account: Account) -> _Missed | None:
    """What the exact assessment has against an account; None where it reaches the target."""
    target = problem.target
    found = assess(account, problem.market, problem.rulebook).pools
    place, pool = next((k, p) for k, p in enumerate(found) if p.name == problem.pool.name)
    if pool.issues:
        return _Missed(f"the pool could not be valued: {pool.issues[0]}")
    if isinstance(target, Free):
        level = LEVELS[target.level]
        freed = _available(pool, level) - _available(problem.pool, level)
        if freed >= target.amount - _ENOUGH * _scale(problem):
            return None
        return _Missed(f"the best trades found free {freed:.8g} of {target.amount:.8g} {pool.currency}")
    if pool.status is Status.LIQUIDATABLE:
        return _Missed("the pool stays liquidatable at once with the best trades found")
    bounds = liquidations(account, problem.market, problem.rulebook)[place].bounds
    end = 1.0 + target.move
    inside = [b.factor for b in bounds if (b.factor > end if target.move < 0.0 else b.factor < end)]
    inside = [f for f in inside if (f < 1.0) == (target.move < 0.0)]
    if not inside:
        return None
    nearest = min(inside, key=lambda f: abs(f - 1.0))
    return _Missed(
        f"liquidation stays at {nearest - 1.0:+.2%} with the best trades found, {target.move:+.2%} was asked",
        nearest,
    )


def _available(pool: PoolAssessment, level: str) -> float:
    return pool.margin_balance - float(getattr(pool, level))


def _trimmed(problem: _Problem, best: Proposal) -> Proposal:
    # Every leg, dearest first, as small as it may be with the others as they are: halved on the prices that are
    # looked at, then assessed exactly.
    if not best.reached:
        return best
    size = {leg.symbol: leg.quantity for leg in best.legs}
    trade = np.array([size.get(c.symbol, 0.0) / c.lot for c in problem.candidates])
    unit = np.array([c.unit_cost for c in problem.candidates])
    for k in np.argsort(-np.abs(trade) * unit, kind="stable").tolist():
        low, high = 0, int(np.ceil(abs(trade[k]) - _LOT_NOISE))
        smaller = trade.copy()
        while low < high:
            smaller[k] = np.sign(trade[k]) * ((low + high) // 2)
            low, high = (
                (low, (low + high) // 2)
                if _tried(problem, smaller).shortfall <= 0.0
                else ((low + high) // 2 + 1, high)
            )
        smaller[k] = np.sign(trade[k]) * high
        if high < abs(trade[k]) - _LOT_NOISE and _misses(problem, _traded(problem, smaller)) is None:
            trade = smaller
    return min(best, _proposal(problem, trade), key=_rank)


def _proposal(problem: _Problem, trade: F64) -> Proposal:
    account = _traded(problem, trade)
    missed = _misses(problem, account)
    unit = np.array([c.unit_cost for c in problem.candidates])
    return Proposal(
        problem.pool.name,
        problem.pool.currency,
        _legs(problem, trade),
        float(np.abs(trade) @ unit),
        missed is None,
        "" if missed is None else missed.why,
        account,
        assess(problem.account, problem.market, problem.rulebook),
        assess(account, problem.market, problem.rulebook),
    )
