"""The loop: a path, step by step, and in each step rounds of margin, closing and impact until nobody is closed."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import final

import numpy as np

from margrave.core.errors import Reason, invalid
from margrave.domain.book import Book, Memories, chunk_of, no_parents
from margrave.domain.checks import require
from margrave.domain.market import Market
from margrave.engine.live.pools import LivePools
from margrave.engine.paths.memory import needs_memory, observed
from margrave.engine.simulation.closing import Plan, cancellations, closed, in_market, planned
from margrave.engine.simulation.deleveraging import deleveraged, matched
from margrave.engine.simulation.events import Cause, Entry, Event, Priced, Remembered, Ruled, applied
from margrave.engine.simulation.factor import Moving, begun, moved
from margrave.engine.simulation.flows import funding, holders
from margrave.engine.simulation.opening import opened
from margrave.engine.simulation.path import Path
from margrave.engine.simulation.prices import (
    Prices,
    at_rest,
    in_range,
    instrument_prices,
    market_at,
    prices_of,
    rested,
    world_of,
)
from margrave.engine.simulation.scene import (
    NO_POOLS,
    Scene,
    Told,
    after_state,
    counted,
    loosened,
    margined,
    moved_on,
)
from margrave.engine.simulation.screen import NEVER
from margrave.engine.simulation.settings import Settings, StatedFunding
from margrave.engine.simulation.shortfall import STAGES, flat_purses
from margrave.engine.simulation.state import Frame, State, book_of_state
from margrave.engine.simulation.steps import Row, Steps, Tally, fund, open_notional, row_of, seen, steps_of
from margrave.engine.simulation.vault import places_of, rest_taken, taken_over, unwound, with_vault
from margrave.margin.pooled import evaluate, prepare_in
from margrave.margin.resolve import resolve
from margrave.rulebook.reform import with_rates
from margrave.rulebook.schema import Rulebook

_CHUNK = 20_000


class Ending(StrEnum):
    """How a run ended."""

    DONE = "done"  # every step of the path
    RUNAWAY = "runaway"  # a price left the range of prices: the cascade has no end
    SPENT = "rounds spent"  # somebody was still to be closed when the rounds of a step were over; later steps went on


@final
@dataclass(frozen=True, slots=True)
class Run:
    """A simulated venue, from its opening to its end."""

    frame: Frame
    settings: Settings
    opening: State
    log: tuple[Entry, ...]
    end: State
    steps: Steps
    ending: Ending
    market: Market  # in which the pools of the end were margined
    rulebook: Rulebook
    pools: LivePools
    open_notional: float  # at the opening, as the column of `steps`
    fund: float  # at the opening

    @property
    def book(self) -> Book:
        """The book at the end, with the rows of the opening: flat positions and cancelled orders stay, and ask nothing."""
        return book_of_state(self.frame, self.end)


@final
@dataclass(slots=True)
class _Loop:
    """What a run folds over; a builder that only `simulate` sees."""

    scene: Scene
    prices: Prices
    base: Rulebook  # at a multiplier of one
    threads: int
    told: Told | None
    tally: Tally
    log: list[Entry] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    round: int = 0
    moving: Moving | None = None
    multiplier: float = 1.0
    is_spent: bool = False

    def apply(self, events: Iterable[Event | None]) -> int:
        """Apply events that one scene gave, together; how many there were."""
        scene, state, count = self.scene, self.scene.state, 0
        for event in events:
            if event is not None:
                self.record(event)
                state, count = applied(scene.frame, state, event), count + 1
        self.scene = after_state(scene, state) if count else scene
        return count

    def record(self, event: Event) -> None:
        """Write an event of the present scene into the log."""
        self.log.append(Entry(self.scene.pressure.step, self.round, event))
        self.tally.add(self.scene, event)

    def margin(self, *, everybody: bool = False) -> None:
        """Margin whom something brought near a level, or all whom it touched, and put pools on their levels."""
        scene = loosened(self.scene) if everybody else self.scene
        self.scene, moved = margined(scene, self.threads, self.told)
        self.apply([moved])


def simulate(  # noqa: PLR0913 - what a run is made of
    book: Book,
    market: Market,
    rulebook: Rulebook,
    path: Path,
    settings: Settings,
    seed: int = 0,
    *,
    threads: int = 1,
    told: Told | None = None,
) -> Run:
    """Run a venue over a path of prices, with everything that its own margin rule sets off.

    Parameters
    ----------
    book, market, rulebook : Book, Market, Rulebook
        The three inputs of the one calculation, as they are before the first step.
    path : Path
        Prices of assets before the venue's own impact.
    settings : Settings
        Market, rules of liquidation, fund and holders.
    seed : int
        In [0, 2^64), for what holders do; the same seed gives the same bytes on any number of threads.
    threads : int
        Chunks of accounts that are margined at the same time.
    told : callable, optional
        Called with the step and a number of accounts whenever they were margined.

    Returns
    -------
    Run
        Columns, log and end. The units of every asset and the lots of every instrument are the same after every event.

    Raises
    ------
    InvalidInputError, RefusedError, CannotAssessError
        As `opening.opened` and `prices.world_of`.
    ValueError
        A seed, a setting or a price outside its range.
    """
    require(0 <= seed < 2**64, "seed", seed, "a whole number from zero to 2^64 - 1")
    scene = _opening(book, market, rulebook, path, settings)
    opening, one = scene.state, np.ones(len(scene.frame.assets))
    started = open_notional(scene), fund(scene)
    prices = Prices(one, one, one)
    loop = _Loop(scene, prices, rulebook, threads, told, Tally.empty(len(scene.world.symbols)))
    ending = Ending.DONE
    for step in range(path.count):
        if not _step(loop, step, seed):
            ending = Ending.RUNAWAY
            break
    if loop.is_spent and ending is Ending.DONE:
        ending = Ending.SPENT
    scene = loop.scene
    return Run(
        scene.frame,
        settings,
        opening,
        tuple(loop.log),
        scene.state,
        steps_of(loop.rows),
        ending,
        scene.resolved.market,
        scene.resolved.rulebook,
        scene.pools,
        *started,
    )


def _opening(book: Book, market: Market, rulebook: Rulebook, path: Path, settings: Settings) -> Scene:
    resolved = resolve(book.symbols, book.assets, market, rulebook)
    book = with_vault(book, resolved, settings.vault)
    frame, state = opened(book, resolved, settings)
    symbols = frame.book.symbols
    resolved = resolve(symbols, frame.book.assets, market, rulebook)
    _require_rates(settings, path, symbols)
    _require_asset(settings, resolved.table.assets)
    world = world_of(market, resolved.table, symbols, path, settings)
    stale = np.ones(len(book.names), dtype=np.bool_)
    nameless = no_parents(len(book.names))  # names are for people; picking some of a million is not free
    opened_book = replace(book_of_state(frame, state), names=nameless, parents=nameless)
    pools = len(frame.pool_account)
    return Scene(
        frame,
        settings,
        world,
        state,
        at_rest(world),
        opened_book,
        resolved,
        NO_POOLS,
        stale,
        stale,
        np.full(pools, NEVER),
        np.zeros(pools, dtype=np.int64),
        np.full(pools, np.nan),
        places_of(frame, settings.vault),
        np.zeros(len(frame.assets) + 1),
    )


def _require_rates(settings: Settings, path: Path, symbols: tuple[str, ...]) -> None:
    if not isinstance(settings.funding, StatedFunding):
        return
    for symbol, rates in settings.funding.rates.items():
        if symbol not in symbols:
            raise invalid(f"funding.rates.{symbol}", Reason.NOT_FOUND, "is not in the book; correct the name")
        if len(rates) != path.count:
            message = f"has {len(rates)} rates; the path has {path.count} steps"
            raise invalid(f"funding.rates.{symbol}", Reason.INVALID_VALUE, message)


def _require_asset(settings: Settings, assets: tuple[str, ...]) -> None:
    rule = settings.dynamic
    if rule is not None and rule.asset not in assets:
        raise invalid(
            "dynamic.asset", Reason.NOT_FOUND, f"{rule.asset} is no asset of the book; correct the name"
        )


def _step(loop: _Loop, step: int, seed: int) -> bool:
    """One step; False where a price left the range of prices."""
    scene = loop.scene
    loop.round, loop.tally = 0, Tally.empty(len(scene.world.symbols))
    loop.scene = replace(scene, pressure=rested(scene.world, scene.pressure, step))
    _ruled(loop)
    goes_on = _repriced(loop)
    if goes_on:
        loop.apply([funding(loop.scene)])
        loop.margin(everybody=loop.scene.settings.behaviour.withdraw > 0.0)
        if loop.apply(holders(loop.scene, seed)):
            loop.margin()
        _unwound(loop)
        goes_on = _rounds(loop)
        if goes_on and needs_memory(loop.scene.resolved.rulebook):
            loop.apply([Remembered(_memory(loop.scene))])
    every = loop.scene.settings.totals_every
    if not goes_on or step + 1 == len(scene.world.seconds) or (every and (step + 1) % every == 0):
        loop.margin(everybody=True)
    loop.rows.append(row_of(loop.scene, loop.prices, loop.tally, loop.round, loop.multiplier))
    return goes_on


def _ruled(loop: _Loop) -> None:
    """Rates for the step: decided on what the step before left, and on the path."""
    scene = loop.scene
    rule = scene.settings.dynamic
    if rule is None or not in_range(scene.world, scene.pressure):
        return
    look = seen(scene, rule.asset)
    loop.moving = moved(rule, begun(rule, look) if loop.moving is None else loop.moving, look)
    multiplier = loop.moving.standing.rate
    if multiplier != loop.multiplier:
        rulebook = with_rates(loop.base, multiplier)
        resolved = resolve(scene.book.symbols, scene.book.assets, scene.resolved.market, rulebook)
        loop.scene = replace(scene, resolved=resolved, stale=np.ones_like(scene.stale))
        loop.multiplier = multiplier
        loop.record(Ruled(multiplier))


def _repriced(loop: _Loop) -> bool:
    scene = loop.scene
    if not in_range(scene.world, scene.pressure):
        return False
    prices = prices_of(scene.world, scene.pressure)
    market = market_at(scene.world, prices, scene.seconds)
    resolved = resolve(scene.book.symbols, scene.book.assets, market, scene.resolved.rulebook)
    loop.scene, loop.prices = moved_on(scene, resolved), prices
    last, _ = instrument_prices(scene.world, prices.last, scene.seconds)
    loop.record(Priced(last, resolved.table.mark, resolved.table.asset_price))
    return True


def _unwound(loop: _Loop) -> None:
    """The vault sells a part of what it has taken over; the price answers, and so do accounts."""
    plan = unwound(loop.scene)
    if plan is None or not in_range(loop.scene.world, plan.after):
        return
    loop.apply(closed(loop.scene, plan, Cause.UNWINDING))
    loop.scene = replace(loop.scene, pressure=plan.after)
    _repriced(loop)
    loop.margin()


def _rounds(loop: _Loop) -> bool:
    # Whatever a round does it does to whom is in liquidation: it ends when there is nothing left to do.
    for number in range(1, loop.scene.settings.rounds + 1):
        cancelled = cancellations(loop.scene)
        if cancelled is not None:
            loop.apply([cancelled])
            loop.margin()
        taken = taken_over(loop.scene)
        if loop.apply(taken):
            loop.apply([rest_taken(loop.scene)])
            loop.margin()
        plan = planned(loop.scene)
        if not in_range(loop.scene.world, plan.after):
            return False
        before, loop.round = loop.round, number
        count = _closed(loop, plan)
        if not in_range(loop.scene.world, loop.scene.pressure):
            return False
        if not count:
            loop.round = before
            return True
        _repriced(loop)
        loop.margin()
    loop.is_spent |= bool(loop.scene.legs(loop.scene.due).size)
    return True


def _closed(loop: _Loop, plan: Plan) -> int:
    """All liquidations of a round, then all deleveraging, then who pays; the number of events."""
    if plan.deleveraged.any() or loop.scene.settings.deleveraging.socialised:
        loop.margin(everybody=True)  # whoever wins has to be known as it stands now
    matches = matched(loop.scene, plan)
    count = loop.apply(closed(loop.scene, plan))
    acted = np.unique(loop.scene.frame.position_pool[plan.position[plan.lots > 0]])
    rounds = counted(loop.scene.rounds, acted, loop.scene.rounds[acted] + 1)
    loop.scene = replace(loop.scene, pressure=plan.after, rounds=rounds)
    if plan.deleveraged.any():
        count += loop.apply(deleveraged(loop.scene, matches))
        legs = plan.position[plan.deleveraged > 0]
        rest = in_market(loop.scene, legs[loop.scene.state.lots[legs] != 0])
        if in_range(loop.scene.world, rest.after):
            count += loop.apply(closed(loop.scene, rest))
        loop.scene = replace(loop.scene, pressure=rest.after)
    purses = flat_purses(loop.scene)
    for stage in STAGES if purses.size else ():
        count += loop.apply(stage(loop.scene, purses, plan))
    return count


def _memory(scene: Scene) -> Memories:
    # Chunk by chunk, as margin is asked; accounts of a chunk count from zero.
    kept = []
    for first in range(0, len(scene.stale), _CHUNK):
        last = min(first + _CHUNK, len(scene.stale))
        prepared = prepare_in(scene.resolved, chunk_of(scene.book, first, last))
        memory = observed(prepared, evaluate(prepared))
        kept.append(replace(memory, account=memory.account + first))
    return Memories(*(np.concatenate([getattr(m, f.name) for m in kept]) for f in fields(Memories)))
