"""Commands on data: validate, import, conform."""

import json
import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from margrave.adapters.files import dump_case, parse_case
from margrave.cli.inputs import read_case, read_text
from margrave.core.errors import InvalidInputError, Reason, invalid
from margrave.rulebook.load import parse

F = TypeVar("F", bound=Callable[..., Any])


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
def validate(files: Sequence[str]) -> int:
    """Check case files and rulebooks: every fault with its place on standard error, exit code 1 if there is any."""
    wrong = 0
    for name in files:
        try:
            text = "" if name.startswith("example:") else read_text(name)
            if not text:
                read_case(name)
            elif re.search(r"^\[\[products\]\]", text, re.MULTILINE):
                parse(text, name)
            else:
                parse_case(text, name, is_json=name.endswith(".json") or text.lstrip().startswith("{"))
            click.echo(f"{name}: fine")
        except InvalidInputError as fault:
            wrong += 1
            for issue in fault.issues:
                click.echo(f"error: {issue}", err=True)
    return 1 if wrong else 0


def _instant(_: click.Context, __: click.Parameter, told: str | None) -> datetime | None:
    if told is None:
        return None
    try:
        at = datetime.fromisoformat(told.replace("Z", "+00:00"))
    except ValueError as fault:
        raise click.BadParameter(f"{told!r} is no instant; write 2026-11-01T08:00:00Z") from fault
    if at.tzinfo is None:
        raise click.BadParameter(f"{told!r} has no time zone; write 2026-11-01T08:00:00Z")
    return at


def instant_option(command: F) -> F:
    """The market's instant, for payloads that tell none."""
    return click.option(
        "--at",
        "at",
        callback=_instant,
        metavar="INSTANT",
        help="Instant of the market; by default the latest that a payload tells.",
    )(command)


@click.command(name="import")
@click.argument("venue")
@click.argument("files", nargs=-1, metavar="FILE…")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Case file to write; standard output by default.",
)
@click.option("--rules", default=None, help="Rulebook that the case is to name.")
@instant_option
@click.option("--strict", is_flag=True, help="A field that is not known is an error.")
@click.option("--live", is_flag=True, help="Fetch from the venue, with a read-only key of the environment.")
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
    help="With --live: folder for the venue's answers as they come, for `margrave verify`.",
)
@click.option(
    "--i-know-this-key-is-read-only",
    "vouched",
    is_flag=True,
    help="With --live: for venues that do not say what a key may do.",
)
def import_command(
    venue: str,
    files: Sequence[str],
    output: Path | None,
    rules: str | None,
    at: datetime | None,
    strict: bool,
    live: bool,
    save: Path | None,
    vouched: bool,
) -> int:
    """Turn payloads of VENUE as they come into a case file.

    VENUE is binance, bybit, okx, gate, hyperliquid, derive, dydx, deribit, coinbase, ccxt:EXCHANGE, or auto to have
    it recognised. With --live, payloads are fetched: binance.usdm, binance.coinm, bybit.linear, ...
    """
    from margrave.adapters.live import source_of
    from margrave.adapters.payloads import import_payloads
    from margrave.adapters.rows import read_json

    if live == bool(files):
        raise click.UsageError("give payload files, or --live to fetch them")
    if live:
        payloads, now = _fetched(venue, vouched, save)
        found = import_payloads(source_of(venue).venue, payloads, rules, at or now, strict)
    else:
        payloads = [(read_json(Path(f)), f) for f in files]
        found = import_payloads(None if venue == "auto" else venue, payloads, rules, at, strict)
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    text = dump_case(found.case)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        click.echo(str(output))
    return 0


def _fetched(name: str, vouched: bool, save: Path | None) -> tuple[list[tuple[Any, str]], datetime]:
    from margrave.adapters.live import fetch, keys_of, transport_of

    keys = keys_of(name, os.environ)
    transport = transport_of(name, keys)
    payloads = fetch(name, transport, keys, vouched)
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
        for k, (tree, where) in enumerate(payloads):
            (save / f"{k:02d}-{where.split()[-1]}.json").write_text(json.dumps(tree), encoding="utf-8")
    return payloads, datetime.fromtimestamp(transport.milliseconds() / 1000.0, tz=UTC)


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--all", "every", is_flag=True, help="Show vectors that pass, too.")
@click.option(
    "--format", "kind", type=click.Choice(["table", "json", "csv", "md"]), default="table", show_default=True
)
@click.option(
    "--report",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write conformance.md and conformance.html into.",
)
def conform(paths: Sequence[str], every: bool, kind: str, folder: Path | None) -> int:
    """Run published vectors through the calculation; ends with how many passed, failed and are unsupported."""
    from margrave.adapters.conform import run
    from margrave.cli.inputs import show
    from margrave.report.tables import Column

    for name in paths:
        if not Path(name).exists():
            raise invalid(name, Reason.NOT_FOUND, "is no file; give a file of vectors, or a folder of them")
    report = run([Path(p) for p in paths])
    if not report.results:
        raise invalid(
            ", ".join(paths), Reason.NOT_FOUND, "holds no vector; give a file of vectors, or a folder of them"
        )
    if folder is not None:
        _write_pages(folder, [r.to_dict() for r in report.results])
        click.echo(report.summary)
        return 5 if report.failed else 0
    rows = [r.to_dict() for r in report.results if every or r.outcome != "passed"]
    if rows or kind in ("json", "csv"):
        show(rows, [Column(k, k, left=True) for k in ("id", "venue", "model", "outcome", "detail")], kind)
    # Data on standard output stays data; the closing line is a message then.
    click.echo(report.summary, err=kind in ("json", "csv"))
    return 5 if report.failed else 0


def _write_pages(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    from margrave.report.conformance import Book, html, markdown
    from margrave.rulebook.catalogue import shipped
    from margrave.rulebook.codes import codes_of

    books: dict[str, list[Book]] = {}
    for book in shipped():
        name, sources = f"{book.id}@{book.valid_from:%Y-%m-%d}", tuple(s.url for s in book.sources)
        books.setdefault(book.venue, []).append(Book(name, tuple(codes_of(book)), sources))
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in (("conformance.md", markdown), ("conformance.html", html)):
        (folder / name).write_text(page(rows, books), encoding="utf-8")
        click.echo(str(folder / name))


COMMANDS = {"validate": validate, "import": import_command, "conform": conform}
