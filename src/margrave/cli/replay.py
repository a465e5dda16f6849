"""The command replay: a file of events folded over a book, batch by batch."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import TypeAlias, final

import click
import numpy as np

from margrave.adapters.event_files import read_events
from margrave.cli.book import Venue, read_venue
from margrave.cli.inputs import read_rules
from margrave.core.errors import Reason, invalid
from margrave.engine.live.events import Event
from margrave.engine.live.pools import Difference, StatusChange
from margrave.engine.live.venue import Changes, advance, audited, started
from margrave.report.number import percent
from margrave.rulebook.catalogue import shipped
from margrave.rulebook.schema import Rulebook

_TOLD_MAX = 10


@click.command()
@click.argument("book", metavar="DIR|FILE")
@click.argument("ticks", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="EVENTS")
@click.option("--rules", metavar="ID[@DATE]|FILE", help="Rulebook; by default the one that the market names.")
@click.option(
    "--market", metavar="CASE", help="Case file of the market; by default market.toml beside the book."
)
@click.option(
    "--every", default=1.0, show_default=True, type=click.FloatRange(0.001), help="Seconds of a batch."
)
@click.option(
    "--threads", default=1, show_default=True, type=click.IntRange(1, 256), help="Chunks at the same time."
)
@click.option(
    "--later",
    multiple=True,
    metavar="ID@DATE|FILE",
    help="Rulebook that takes effect when the clock reaches its first day; by default those of the same id that ship.",
)
@click.option(
    "--compiled",
    is_flag=True,
    help="Through the compiled sweep where it serves (extra fast); see margrave warm.",
)
@click.option("--audit", is_flag=True, help="Compare with the full recompute after every batch.")
@click.option(
    "--workers",
    default=0,
    type=click.IntRange(0, 10_000),
    help="Shards in as many workers of a Ray cluster; none unless told.",
)
def replay(
    book: str,
    ticks: Path,
    rules: str | None,
    market: str | None,
    every: float,
    threads: int,
    later: tuple[str, ...],
    compiled: bool,
    audit: bool,
    workers: int,
) -> int:
    """Replay EVENTS, a JSON object a line, over a book: every change of status, and what became of the events.

    Time passes with the events of kind clock. Exit code 1 where an event is refused or an audit finds a difference.
    """
    venue = read_venue(book, market)
    rulebook = read_rules(rules, venue.case)
    coming = _coming(rulebook, rules or venue.case.rules or "", [read_rules(n, venue.case) for n in later])
    told, took = [], []
    ways = _Ways(threads, compiled)
    place = (
        _spread(venue, rulebook, coming, ways, workers) if workers else _alone(venue, rulebook, coming, ways)
    )
    with place as (step, check), ticks.open(encoding="utf-8") as lines:
        for batch in _batches(read_events(lines, str(ticks)), every):
            start = time.perf_counter()
            changes = step(batch)
            took.append(time.perf_counter() - start)
            told.append(changes)
            if changes.rulebook is not None:
                click.echo(
                    f"rules: {changes.rulebook.id} of {changes.rulebook.valid_from:%Y-%m-%d} take effect"
                )
            for change in changes.statuses:
                click.echo(_line(change))
            difference = check() if audit else None
            if difference is not None:
                click.echo(f"error: the full recompute differs: {difference}", err=True)
                return 1
    return _summed(told, took)


_Place: TypeAlias = Iterator[tuple[Callable[[list[Event]], Changes], Callable[[], Difference | None]]]


@final
@dataclass(frozen=True, slots=True)
class _Ways:
    # How pools are computed.
    threads: int
    compiled: bool


@contextmanager
def _alone(venue: Venue, rulebook: Rulebook, coming: Sequence[Rulebook], ways: _Ways) -> _Place:
    threads = ways.threads
    state = started(venue.book, venue.market, rulebook, later=coming, threads=threads, compiled=ways.compiled)

    def step(batch: list[Event]) -> Changes:
        nonlocal state
        state, changes = advance(state, batch, threads=threads)
        return changes

    yield step, lambda: audited(state, threads=threads)


@contextmanager
def _spread(
    venue: Venue, rulebook: Rulebook, coming: Sequence[Rulebook], ways: _Ways, workers: int
) -> _Place:
    try:
        cluster, shards = (import_module(f"margrave.cluster.{name}") for name in ("venue", "shards"))
    except ImportError as fault:
        message = "workers need Ray; install it with: pip install 'margrave[cluster]'"
        raise invalid("ray", Reason.NOT_FOUND, message) from fault
    parts = shards.split(venue.book, workers)
    settings = cluster.Settings(threads=ways.threads, compiled=ways.compiled)
    with cluster.started(parts, venue.market, rulebook, settings, later=coming) as spread:
        yield spread.advance, spread.audited


def _coming(rulebook: Rulebook, name: str, later: Sequence[Rulebook]) -> Sequence[Rulebook]:
    # An id without a day is the venue's rules as they come to be; a day or a file is those rules alone.
    if later or "@" in name or name.endswith(".toml"):
        return later
    return [b for b in shipped() if b.id == rulebook.id and b.valid_from > rulebook.valid_from]


def _batches(events: Iterable[Event], seconds: float) -> Iterator[list[Event]]:
    # By the event's own instant: a batch is what happened in one stretch of the clock.
    for _, batch in groupby(events, key=lambda event: event.at.timestamp() // seconds):
        yield list(batch)


def _line(change: StatusChange) -> str:
    ratios = f"{percent(change.ratio_before)} to {percent(change.ratio_after)}"
    return f"{change.at:%Y-%m-%d %H:%M:%S}Z  {change.account}  {change.pool}: {change.before} to {change.after}, {ratios}"


def _summed(told: list[Changes], took: list[float]) -> int:
    def count(name: str) -> int:
        return sum(getattr(changes, name) for changes in told)

    refused = [r for changes in told for r in changes.refused]
    click.echo(
        f"{count('received'):,} events in {len(told):,} batches: {count('applied'):,} applied, "
        f"{count('coalesced'):,} coalesced, {count('late'):,} late, "
        f"{count('repeated'):,} repeated, {len(refused):,} refused"
    )
    if took:
        click.echo(f"a batch: median {np.median(took) * 1e3:.1f} ms, most {max(took) * 1e3:.1f} ms")
    for each in refused[:_TOLD_MAX]:
        click.echo(f"error: {each.issue}", err=True)
    if len(refused) > _TOLD_MAX:
        click.echo(f"error: {len(refused) - _TOLD_MAX:,} more events are refused", err=True)
    return 1 if refused else 0


COMMANDS = {"replay": replay}
