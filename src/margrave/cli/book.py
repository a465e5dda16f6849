"""Commands on a whole venue: sample makes a book, book assesses one."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, final

import click
import numpy as np

from margrave.adapters.files import Case, dump_case
from margrave.cli.inputs import echo_json, read_case, read_rules, show
from margrave.core.errors import Reason, invalid
from margrave.domain.amended import picked
from margrave.domain.book import Book, account_of
from margrave.domain.market import Market
from margrave.engine.assessment import Status
from margrave.engine.books.bounds import BookBounds, bounds_book, nearest_rows
from margrave.engine.books.positions import positions_book
from margrave.engine.books.trial import BookTrial, trial_book
from margrave.engine.books.venue import BookAssessment, assess_book
from margrave.engine.books.venue_summary import (
    RATIO_EDGES,
    BookSummary,
    nearest_to_liquidation,
    summary_of,
)
from margrave.kernels.arrays import I64
from margrave.report.number import money, percent
from margrave.report.tables import Column, plain
from margrave.rulebook.schema import Rulebook

_TOLD_MAX = 10
_BAR = 40


@final
@dataclass(frozen=True, slots=True)
class Venue:
    """A book with the market that it stands in."""

    book: Book
    market: Market
    case: Case


def _adapter(name: str) -> Any:
    try:
        return import_module(f"margrave.adapters.{name}")
    except ImportError as fault:
        message = "books need pyarrow; install it with: pip install 'margrave[frames]'"
        raise invalid("pyarrow", Reason.NOT_FOUND, message) from fault


def is_book(name: str) -> bool:
    """Whether a name is that of a book: a folder with positions, or a table."""
    place = Path(name)
    endings = (".parquet", ".arrow", ".feather")
    return place.suffix in endings or any((place / f"positions{ending}").exists() for ending in endings)


def read_venue(path: str, market: str | None, *, partial: bool = False) -> Venue:
    """A book from a folder or a file, with its market: a case file, or ``market.toml`` beside it.

    Instruments and assets that the market does not know are an error, or with ``partial`` unknown pools.
    """
    files, columns = _adapter("book_files"), _adapter("columns")
    place = Path(path)
    beside = (place if place.is_dir() else place.parent) / files.MARKET_FILE
    tables = files.read_tables(path)
    if market is None and not beside.exists():
        raise invalid(
            path, Reason.NOT_FOUND, f"has no {files.MARKET_FILE} beside it; name a case file by --market"
        )
    case = read_case(market or str(beside))
    book = columns.book_from(tables, None if partial else case.market, f"{path}: ")
    return Venue(book, case.market, case)


@click.command()
@click.argument("count", type=click.IntRange(1, 100_000_000), metavar="N")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write."
)
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same book.")
def sample(count: int, out: Path, seed: int) -> int:
    """Make a book of N accounts in a made market: nobody's positions, with the leverage and mix of a venue's."""
    made, files = _adapter("made_book"), _adapter("book_files")
    market = made.made_market()
    book = made.made_book(count, seed, market)
    files.write_book(book, market, out, f"{made.TITLE}; seed {seed}")
    click.echo(
        f"{out}: {count:,} made accounts, {len(book.account):,} positions in {len(market.instruments)} instruments; "
        f"assess them: margrave book {out} --rules deribit.spm"
    )
    return 0


@click.command(name="book")
@click.argument("path", metavar="DIR|FILE")
@click.option("--rules", metavar="ID[@DATE]|FILE", help="Rulebook; by default the one that the market names.")
@click.option(
    "--market", metavar="CASE", help="Case file of the market; by default market.toml beside the book."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Every pool: .parquet, .arrow, .csv.",
)
@click.option(
    "--partial", is_flag=True, help="Assess what can be, where the market lacks instruments or assets."
)
@click.option(
    "--nearest", default=10, show_default=True, type=click.IntRange(0), help="Pools nearest to liquidation."
)
@click.option(
    "--threads", default=1, show_default=True, type=click.IntRange(1, 256), help="Chunks at the same time."
)
@click.option(
    "--compiled",
    is_flag=True,
    help="Through the compiled sweep where it serves (extra fast); see margrave warm.",
)
@click.option(
    "--chunk", type=click.IntRange(1), help="Accounts a chunk; by default what fits in a few megabytes."
)
@click.option(
    "--bounds",
    "with_bounds",
    is_flag=True,
    help="Liquidation prices: of every pool with -o, else of the nearest.",
)
@click.option(
    "--positions",
    "positions",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Every position: .parquet, .arrow, .csv.",
)
@click.option(
    "--account", "name", metavar="NAME", help="Write this account alone as a case, for explain and others."
)
@click.option("--format", "kind", type=click.Choice(["table", "json"]), default="table", show_default=True)
def book_command(
    path: str,
    rules: str | None,
    market: str | None,
    output: Path | None,
    partial: bool,
    nearest: int,
    threads: int,
    compiled: bool,
    chunk: int | None,
    with_bounds: bool,
    positions: Path | None,
    name: str | None,
    kind: str,
) -> int:
    """Assess a book of any size: who stands where, who is nearest to liquidation, and how ratios are spread.

    DIR holds positions.parquet and beside it balances, orders, accounts and memory, as docs/file-schema.md says. Exit
    code 1 where a pool is unknown; calls and liquidations of a book are results, not faults.
    """
    venue = read_venue(path, market, partial=partial)
    if name is not None:
        click.echo(dump_case(_alone(venue, name, rules)), nl=False)
        return 0
    rulebook = read_rules(rules, venue.case)
    with progress(len(venue.book.names), rulebook.id) as told:
        found = assess_book(
            venue.book, venue.market, rulebook, chunk=chunk, threads=threads, told=told, compiled=compiled
        )
    summary = summary_of(found, venue.market)
    near = nearest_to_liquidation(found, nearest) if nearest else np.zeros(0, dtype=np.int64)
    every = output is not None or positions is not None
    bounds = None
    if with_bounds:
        whole = _Whole(threads, compiled) if every else None
        bounds = _bounds(venue, rulebook, found, near, whole)
    if output is not None:
        _adapter("book_files").write_results(found, output, bounds)
        click.echo(f"{output}: {len(found.pools.account):,} pools", err=True)
    if positions is not None:
        _write_positions(venue, rulebook, found, bounds, positions)
    rows = _nearest(found, near, bounds)
    if kind == "json":
        echo_json(plain(_told(found, venue, summary, rows)))
    else:
        _show(found, venue, summary, rows)
    return _warned(found)


def _alone(venue: Venue, name: str, rules: str | None) -> Case:
    rows = np.flatnonzero(venue.book.names == name)
    if not rows.size:
        raise invalid(name, Reason.NOT_FOUND, "no account of the book has this name; correct it")
    account, market = account_of(venue.book, int(rows[0])), venue.market
    held = {p.symbol for p in account.positions} | {o.symbol for o in account.orders}
    market = replace(
        market,
        instruments={s: i for s, i in market.instruments.items() if s in held},
        quotes={s: q for s, q in market.quotes.items() if s in held},
        open_interest={s: n for s, n in market.open_interest.items() if s in held},
    )
    return Case((account,), market, rules or venue.case.rules, venue.case.schedule, venue.case.title)


@contextmanager
def progress(count: int, label: str) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where that is a terminal; yields what is to be told the accounts done."""
    with click.progressbar(length=count, label=label, file=sys.stderr) as bar:

        def told(done: int) -> None:
            bar.update(done - bar.pos)

        yield told


@final
@dataclass(frozen=True, slots=True)
class _Whole:
    # How a whole book is gone through.
    threads: int
    compiled: bool


def _bounds(
    venue: Venue, rulebook: Rulebook, found: BookAssessment, near: I64, whole: _Whole | None
) -> BookBounds:
    # Of the whole book where a file is to be written, else of the accounts of which something is told.
    if whole is not None:
        with progress(len(venue.book.names), "liquidation prices") as told:
            return bounds_book(
                venue.book, venue.market, rulebook,
                threads=whole.threads, told=told, compiled=whole.compiled,
            )  # fmt: skip
    accounts = np.unique(found.pools.account[near])
    bounds = bounds_book(picked(venue.book, accounts), venue.market, rulebook)
    pools = np.flatnonzero(np.isin(found.pools.account, accounts))
    return replace(bounds, account=accounts[bounds.account], pool=pools[bounds.pool])


def _write_positions(
    venue: Venue, rulebook: Rulebook, found: BookAssessment, bounds: BookBounds | None, path: Path
) -> None:
    files = _adapter("book_files")
    columns = positions_book(venue.book, venue.market, rulebook)
    files.write_table(files.positions_table(found, columns, bounds), path)
    click.echo(f"{path}: {len(columns.account):,} positions", err=True)


def _nearest(found: BookAssessment, near: I64, bounds: BookBounds | None) -> list[dict[str, Any]]:
    rows = _rows(found, near)
    if bounds is None:
        return rows
    at = nearest_rows(bounds, len(found.pools.account))[near].tolist()
    for told, row in zip(rows, at, strict=True):
        told |= _prices(found, bounds, row)
    return rows


def _prices(found: BookAssessment, bounds: BookBounds, row: int) -> dict[str, Any]:
    if row < 0:
        return {"of": "", "price": None, "below": None, "above": None}
    instrument, asset = int(bounds.instrument[row]), int(bounds.asset[row])
    prices = (float(column[row]) for column in (bounds.price, bounds.lower, bounds.upper))
    price, below, above = (None if p != p else p for p in prices)
    of = found.symbols[instrument] if instrument >= 0 else found.assets[asset]
    return {"of": of, "price": price, "below": below, "above": above}


def _rows(found: BookAssessment, near: I64) -> list[dict[str, Any]]:
    pools = found.pools
    ratio = pools.ratio
    return [
        {
            "account": str(found.names[pools.account[row]]),
            "pool": "cross" if pools.instrument[row] < 0 else found.symbols[pools.instrument[row]],
            "currency": found.assets[pools.currency[row]],
            "margin balance": float(pools.margin_balance[row]),
            "maintenance": float(pools.maintenance[row]),
            "ratio": float(ratio[row]),
        }
        for row in near.tolist()
    ]


def _told(
    found: BookAssessment, venue: Venue, summary: BookSummary, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    told = asdict(summary)
    told["accounts"] = {str(status): n for status, n in summary.accounts.items()}
    told["histogram"] = [
        {"from": low, "accounts": n} for low, n in zip(RATIO_EDGES, summary.histogram, strict=True)
    ]
    head = {"rulebook": found.rulebook, "at": found.at.isoformat(), "title": venue.case.title}
    return {**head, "positions": len(venue.book.account), **told, "nearest": rows, "notes": list(found.notes)}


def _show(found: BookAssessment, venue: Venue, summary: BookSummary, rows: list[dict[str, Any]]) -> None:
    if venue.case.title:
        click.echo(venue.case.title)
    count, held = len(found.names), len(venue.book.account)
    click.echo(
        f"{count:,} accounts, {held:,} positions, {summary.pools:,} pools under {found.rulebook} at {found.at:%Y-%m-%d %H:%M}Z"
    )
    unit = venue.market.numeraire
    for name in ("equity", "initial", "maintenance"):
        click.echo(f"{name:<12}{money(getattr(summary, name), unit):>24}")
    if summary.left_out:
        click.echo(f"{summary.left_out:,} pools are not in the sums: unknown, or without an index price")
    click.echo()
    for status, n in summary.accounts.items():
        click.echo(f"{status:<14}{n:>12,}  {percent(n / count if count else 0.0)}")
    click.echo("\naccounts by maintenance over margin balance")
    most = max(summary.histogram) or 1
    for k, n in enumerate(summary.histogram):
        last = k + 1 == len(RATIO_EDGES)
        name = (
            f"{RATIO_EDGES[k]:.0%} and more" if last else f"{RATIO_EDGES[k]:.0%} to {RATIO_EDGES[k + 1]:.0%}"
        )
        click.echo(f"{name:<14}{n:>12,}  {'#' * -(-n * _BAR // most)}")
    if rows:
        click.echo("\nnearest to liquidation")
        words = ("account", "pool", "currency", "of")
        shown: dict[str, Callable[[Any], str]] = {
            "ratio": percent,
            "margin balance": money,
            "maintenance": money,
            **dict.fromkeys(("price", "below", "above"), _price),
        }
        show(rows, [Column(k, k, shown.get(k, str), k in words) for k in rows[0]], "table")


def _price(price: float | None) -> str:
    return "none" if price is None else f"{price:,.8g}"


def _warned(found: BookAssessment) -> int:
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    for pool, issues in list(found.issues.items())[:_TOLD_MAX]:
        click.echo(
            f"error: {found.names[found.pools.account[pool]]}: {'; '.join(map(str, issues))}", err=True
        )
    if len(found.issues) > _TOLD_MAX:
        more = len(found.issues) - _TOLD_MAX
        click.echo(f"error: {more:,} more pools are unknown; the results file says why (-o)", err=True)
    return 1 if (found.status == list(Status).index(Status.UNKNOWN)).any() else 0


def test_book(old: Rulebook, new: Rulebook, path: str, kind: str) -> int:
    """Rulebook ``new`` against ``old`` on a whole book; the exit code is 1 where an account is not compared."""
    venue = read_venue(path, None)
    with progress(2 * len(venue.book.names), "both rulebooks") as told:
        found = trial_book(old, new, venue.book, venue.market, told=told)
    left = len(found.names) - len(found.compared)
    if kind == "json":
        echo_json(plain(_trial_told(found)))
    else:
        _show_trial(found, venue.market.numeraire)
    if left:
        click.echo(f"error: {left:,} accounts are not compared: margrave book {path} says why", err=True)
    return 1 if left else 0


def _trial_told(found: BookTrial) -> dict[str, Any]:
    lists = {
        name: found.names[getattr(found, name)].tolist() for name in ("newly_called", "newly_liquidatable")
    }
    totals = {level: found.total(level) for level in ("initial", "maintenance")}
    counts = {"accounts": len(found.names), "compared": len(found.compared)}
    return {"old": found.old, "new": found.new, **counts, **totals, "deciles": found.deciles, **lists}


def _show_trial(found: BookTrial, unit: str) -> None:
    click.echo(f"{len(found.names):,} accounts, {found.old} to {found.new}, {len(found.compared):,} compared")
    for level in ("initial", "maintenance"):
        before, after = found.total(level)
        change = percent(after / before - 1.0) if before else "none"
        click.echo(f"{level} margin of all: {money(before, unit)} to {money(after, unit)}, {change}")
    if found.deciles:
        steps = ", ".join(percent(d) for d in found.deciles)
        click.echo(f"change of initial margin from the least to the most, in deciles: {steps}")
    for words, rows in (
        ("newly in call", found.newly_called),
        ("newly liquidatable", found.newly_liquidatable),
    ):
        few = ", ".join(found.names[rows[:_TOLD_MAX]].tolist())
        more = ", ..." if len(rows) > _TOLD_MAX else ""
        click.echo(f"{words}: {len(rows):,}" + (f" ({few}{more})" if few else ""))


COMMANDS = {"sample": sample, "book": book_command}
