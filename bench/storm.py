"""A storm of ticks: ten minutes of a crash at ten times their speed over a live book, with nothing lost.

``python -m bench.storm [ACCOUNTS] [--prices DIR] [--rules ID] [--compiled]``. Events arrive by the clock of the machine whether the book is ready or not;
what waits is taken together, ticks of one input coalesced, and the lag of every event that was answered is the time from its arrival
to the answer. At the end all events are accounted for, and the state is compared bit for bit with the full recompute and with the same
events folded at once, without a clock or a queue. ``--growth``: bytes an account and time a tick, by the size of the book.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from bench.storm_events import Script, script
from margrave.adapters.made_book import made_book, made_market
from margrave.engine.live.events import Clock, Deposited, Event, Input, Tick
from margrave.engine.live.pools import first_difference
from margrave.engine.live.queue import Queue, drained, offered
from margrave.engine.live.screen import Watch, looked, screen_of
from margrave.engine.live.venue import Changes, LiveBook, advance, audited, settled, started
from margrave.rulebook.catalogue import in_force

CAPACITY = 20_000
SIZES = (10_000, 100_000, 1_000_000)


@dataclass(slots=True)
class Figures:
    """What a storm did."""

    sent: int = 0
    handed_back: int = 0  # for want of a place, and offered again
    queue: Queue = field(default_factory=lambda: Queue(CAPACITY))
    waiting: int = 0  # most events that waited at once
    lags: list[float] = field(default_factory=list)  # [s] of each event that was answered
    took: list[float] = field(default_factory=list)  # [s] of each batch
    worked: float = 0.0  # [s] of the processor: other work on the machine does not count
    told: list[Changes] = field(default_factory=list)

    def count(self, name: str) -> int:
        """Sum of a count over all batches."""
        return sum(getattr(changes, name) for changes in self.told)

    @property
    def unaccounted(self) -> int:
        """Events of which nobody knows what became: zero."""
        refused = sum(len(changes.refused) for changes in self.told)
        known = self.queue.coalesced + self.queue.late + refused
        known += sum(self.count(name) for name in ("applied", "coalesced", "late", "repeated"))
        return self.sent - known


def stormed(  # noqa: PLR0913 - what a run is made of
    state: LiveBook,
    storm: Script,
    speed: float,
    *,
    clock: Callable[[], float] = time.perf_counter,
    wait: Callable[[float], object] = time.sleep,
    capacity: int = CAPACITY,
    watch: Watch | None = None,
    threads: int = 1,
) -> tuple[LiveBook, Figures]:
    """Run a storm: events arrive ``speed`` times as quick as they happened, by the clock."""
    due = storm.due / speed
    arrived = {id(event): float(at) for event, at in zip(storm.events, due, strict=True)}
    figures, back, worked, start = Figures(queue=Queue(capacity)), (), time.process_time(), clock()
    while figures.sent < len(due) or back:
        now = clock() - start
        last = int(due.searchsorted(now, side="right"))
        if last == figures.sent and not back:
            wait(float(due[last]) - now)
            continue
        queue, back = offered(figures.queue, (*back, *storm.events[figures.sent : last]))
        figures.sent, figures.handed_back = last, figures.handed_back + len(back)
        figures.waiting = max(figures.waiting, len(queue))
        figures.queue, batch = drained(queue)
        begun = clock()
        screen = None if watch is None else screen_of(watch)
        state, changes = advance(state, batch, screen=screen, threads=threads)
        watch = watch and looked(watch, state, changes)
        done = clock()
        figures.took.append(done - begun)
        figures.told.append(changes)
        figures.lags += [done - start - arrived[id(event)] for event in batch]
    figures.worked = time.process_time() - worked
    return state, figures


def checked(before: LiveBook, after: LiveBook, storm: Script, figures: Figures) -> str:
    """What is wrong with a storm's end; empty where nothing is."""
    if figures.unaccounted:
        return f"{figures.unaccounted} events are unaccounted for"
    if difference := audited(after):
        return f"the full recompute differs: {difference}"
    after, wrong = settled(after)
    if wrong:
        return f"a screen left out {len(wrong)} changes of status"
    if difference := audited(after):
        return f"the full recompute differs: {difference}"
    calm, _ = advance(before, storm.events)
    if difference := first_difference(after.pools, calm.pools, calm.book.names):
        return f"the same events at once differ: {difference}"
    return ""


def report(figures: Figures, storm: Script, speed: float) -> str:
    """The figures as text."""
    lag, took = np.array(figures.lags), np.array(figures.took)
    count = figures.count
    refused = sum(len(changes.refused) for changes in figures.told)
    lines = [
        f"events {figures.sent:,} ({storm.recorded:,} ticks recorded, the others made) in {storm.due[-1] / speed:.0f} s; "
        f"{len(took):,} batches",
        f"applied {count('applied'):,}, coalesced {figures.queue.coalesced + count('coalesced'):,}, "
        f"late {figures.queue.late + count('late'):,}, repeated {count('repeated'):,}, refused {refused:,}, "
        f"unaccounted {figures.unaccounted}",
        f"most waiting {figures.waiting:,} of {figures.queue.capacity:,} places, handed back {figures.handed_back:,}",
        f"lag p50 {np.quantile(lag, 0.5):.3f} s, p99 {np.quantile(lag, 0.99):.3f} s, most {lag.max():.3f} s",
        f"a batch: median {np.median(took):.3f} s, most {took.max():.3f} s; {figures.worked:.0f} s of the processor",
        f"accounts touched {count('touched'):,}, left out by a screen {count('screened'):,}, changes of status {sum(len(c.statuses) for c in figures.told):,}",
    ]
    return "\n".join(lines)


def size_of(value: object, seen: set[int]) -> int:
    """Bytes of the arrays of a value, each counted once; one that is repeated without end takes none."""
    if isinstance(value, np.ndarray):
        known, real = id(value) in seen, value if value.base is None else value.base
        seen.add(id(value))
        return 0 if known or 0 in value.strides else int(real.nbytes)
    if is_dataclass(value):
        return sum(size_of(getattr(value, f.name), seen) for f in fields(value))
    return 0


def growth_batches(state: LiveBook, turn: int) -> Iterator[tuple[str, list[Event]]]:
    """A batch of each kind; every turn has other prices."""
    at = state.prices.at + timedelta(milliseconds=turn + 1)
    moved = 1.0 - 0.001 * (turn + 1)
    yield "mark of BTC-PERPETUAL", [Tick(at, Input.MARK, "BTC-PERPETUAL", 62_000.0 * moved)]
    yield "index of BTC", [Tick(at, Input.INDEX, "BTC", 62_000.0 * moved)]
    yield "clock", [Clock(at)]
    yield "one deposit", [Deposited(at=at, account="M00000012", asset="BTC", amount=0.01)]


def growth(name: str, sizes: Iterable[int], times: int = 5) -> None:
    """Bytes an account, and time of the processor a batch and an account, of books of several sizes."""
    market = made_market()
    for count in sizes:
        state = started(made_book(count, 1, market), market, in_force(name, market.at))
        took: dict[str, list[float]] = {}
        for turn in range(times + 1):
            for kind, events in growth_batches(state, turn):
                begun = time.process_time()
                state, _ = advance(state, events)
                if turn:
                    took.setdefault(kind, []).append(time.process_time() - begun)
        print(f"{count:>10,} accounts, {bytes_of(state) / count:.0f} bytes an account")
        for kind, seconds in took.items():
            print(
                f"{kind:>24}{min(seconds) * 1e3:>10.1f} ms{min(seconds) / count * 1e9:>10.0f} ns an account"
            )


def bytes_of(state: LiveBook) -> int:
    """Bytes of a state that grow with its accounts: columns, index of holders, names and where each stands."""
    seen: set[int] = set()
    arrays = sum(size_of(part, seen) for part in (state.book, state.pools, state.holders, state.owed))
    name = next(iter(state.rows), "")
    return (
        arrays + sys.getsizeof(dict(state.rows)) + len(state.rows) * (sys.getsizeof(name) + sys.getsizeof(1))
    )


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.storm", description=__doc__)
    parser.add_argument("accounts", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--prices", type=Path, help="folder of recorded bars; a made crash without it")
    parser.add_argument("--rules", default="example.inverse")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--speed", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--growth", action="store_true")
    options = parser.parse_args()
    if options.growth:
        growth(options.rules, [size for size in SIZES if size <= options.accounts])
        return
    market = made_market()
    book = made_book(options.accounts, 1, market)
    storm = script(book, market, options.prices, options.minutes * 60.0)
    before = started(book, market, in_force(options.rules, market.at), compiled=options.compiled)
    advance(before, [Clock(market.at + timedelta(milliseconds=1))])  # warm
    after, figures = stormed(before, storm, options.speed, threads=options.threads)
    print(f"{options.rules}, {options.accounts:,} made accounts\n{report(figures, storm, options.speed)}")
    print(checked(before, after, storm, figures) or "the state is the full recompute, bit for bit")


if __name__ == "__main__":
    main()
