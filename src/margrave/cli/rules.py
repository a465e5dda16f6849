"""Commands on rulebooks: list, show, diff, test, fields, import-tiers."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from margrave.cli.book import is_book, test_book
from margrave.cli.inputs import echo_json, format_option, read_case, read_text, show
from margrave.core.errors import Reason, invalid
from margrave.engine.assess import notes_of
from margrave.engine.books.trial import Trial, trial
from margrave.report.number import money, percent
from margrave.report.tables import Column, plain
from margrave.rulebook.catalogue import in_force, shipped, unpublished
from margrave.rulebook.difference import differences
from margrave.rulebook.load import parse
from margrave.rulebook.schema import Rulebook


def _find(name: str) -> Rulebook:
    identity, _, day = name.partition("@")
    versions = [b for b in shipped() if b.id == identity]
    exact = [b for b in versions if f"{b.valid_from:%Y-%m-%d}" == day]
    if exact:
        return exact[0]
    if versions and not day:
        return max(versions, key=lambda b: b.valid_from)
    at = datetime(1970, 1, 1, tzinfo=UTC)
    return in_force(name, at)


@click.group()
def rules() -> None:
    """Rulebooks that ship: dated, sourced data with rule codes."""


@rules.command(name="list")
@format_option
def list_rules(kind: str) -> int:
    """Every rulebook, with the time it holds for, and models whose parameters are not published."""
    rows = [
        {
            "id": b.id,
            "from": f"{b.valid_from:%Y-%m-%d}",
            "until": f"{b.valid_until:%Y-%m-%d}" if b.valid_until else None,
            "stale after": str(b.stale_after) if b.stale_after else None,
            "gaps": len(b.gaps),
            "title": b.title,
        }
        for b in shipped()
    ]
    nothing = dict.fromkeys(("from", "until", "stale after"))
    rows += [
        {"id": u.id, **nothing, "from": "unpublished", "gaps": 1, "title": f"not published: {u.what}"}
        for u in unpublished()
    ]
    keys = ("id", "from", "until", "stale after", "gaps") + (() if kind == "table" else ("title",))
    show(rows, [Column(k, k, left=k in ("id", "title")) for k in keys], kind)
    return 0


@rules.command(name="show")
@click.argument("name", metavar="ID[@DATE]")
@click.option("--format", "kind", type=click.Choice(["table", "json"]), default="table", show_default=True)
def show_rules(name: str, kind: str) -> int:
    """One rulebook: account rules, products, ladders, sources and gaps."""
    book = _find(name)
    tree = msgspec.to_builtins(book)
    if kind == "json":
        echo_json(tree)
        return 0
    for path, value in _leaves("", tree):
        click.echo(f"{path} = {value}")
    return 0


def _leaves(path: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for k, v in value.items() for leaf in _leaves(f"{path}.{k}".lstrip("."), v)]
    if isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        return [leaf for k, v in enumerate(value) for leaf in _leaves(f"{path}[{k}]", v)]
    return [] if value in (None, "", [], ()) else [(path, value)]


@rules.command()
@click.argument("before", metavar="ID[@DATE]")
@click.argument("after", metavar="ID[@DATE]")
@format_option
def diff(before: str, after: str, kind: str) -> int:
    """What differs between two rulebooks, or two dates of one."""
    rows = [
        {"path": c.path, "before": c.before, "after": c.after}
        for c in differences(_find(before), _find(after))
    ]
    if not rows:
        click.echo("the two rulebooks are the same", err=True)
        return 0
    show(rows, [Column(k, k, left=True) for k in ("path", "before", "after")], kind)
    return 0


@rules.command()
@click.option(
    "--tests",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of tests: which of them name each code.",
)
@click.option(
    "--format", "kind", type=click.Choice(["table", "json", "csv", "md"]), default="table", show_default=True
)
def codes(tests: Path | None, kind: str) -> int:
    """Every rule code that ships: what the rule says and, with --tests, which tests hold it."""
    from margrave.report.rule_codes import covered, markdown
    from margrave.rulebook.catalogue import text_of
    from margrave.rulebook.codes import rule_codes

    files = sorted(tests.rglob("test_*.py")) if tests else []
    texts = {f.relative_to(tests).as_posix(): f.read_text(encoding="utf-8") for f in files if tests}
    rows = covered([code for book in shipped() for code in rule_codes(book, text_of(book))], texts)
    if kind == "md":
        click.echo(markdown(rows), nl=False)
        return 0
    keys = ("code", "rulebook", "told", *(("tests",) if tests else ()))
    show(
        [r._asdict() | {"tests": ", ".join(r.tests)} for r in rows],
        [Column(k, k, left=True) for k in keys],
        kind,
    )
    return 0


@rules.command()
def fields() -> int:
    """What a rulebook may say, as a JSON schema."""
    schema = msgspec.json.schema(Rulebook)
    if not schema:
        raise invalid("rules", Reason.UNSUPPORTED, "the schema could not be made")
    echo_json(schema)
    return 0


@rules.command(name="import-tiers")
@click.argument("file", metavar="FILE")
@click.option("--venue", required=True, help="Venue of the table; the base must be one of its rulebooks.")
@click.option(
    "--base", required=True, metavar="ID[@DATE]", help="Rulebook whose rules hold around the tiers."
)
@click.option("--at", "day", type=click.DateTime(["%Y-%m-%d"]), help="Day, of a table with several dates.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Rulebook to write; standard output by default.",
)
def import_table(file: str, venue: str, base: str, day: datetime | None, output: Path | None) -> int:
    """Turn a table of tiers (CSV) into a rulebook: every symbol a ladder, every contradiction named with its row."""
    from margrave.adapters.rulebook_files import dump_rulebook
    from margrave.adapters.tiers import import_tiers

    book = _find(base)
    if book.venue != venue:
        raise invalid(
            base, Reason.CONTRADICTION, f"is of {book.venue}, not of {venue}; name one of its rulebooks"
        )
    found = import_tiers(read_text(file), file, book, day.date() if day else None)
    for issue in found.findings:
        click.echo(f"finding: {issue}", err=True)
    text = dump_rulebook(found.rulebook, f"Tiers of {Path(file).name}, rules around them of {book.id}.")
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        click.echo(f"{output}: {len(found.rulebook.ladders)} ladders, {len(found.findings)} findings")
    return 0


@rules.command(name="test")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.argument("cases", metavar="CASES...", nargs=-1, required=True)
@click.option("--format", "kind", type=click.Choice(["table", "json"]), default="table", show_default=True)
def test_rules(old: str, new: str, cases: tuple[str, ...], kind: str) -> int:
    """Rulebook NEW against OLD (ID[@DATE] or FILE.toml) on case files, folders of them, example:NAME, or one book."""
    books = [parse(read_text(n), n) if n.endswith(".toml") else _find(n) for n in (old, new)]
    if any(is_book(case) for case in cases):
        if len(cases) > 1:
            raise click.UsageError("give one book, or case files")
        return test_book(books[0], books[1], cases[0], kind)
    files = [file for case in cases for file in _files(case)]
    read = [read_case(file) for file in files]
    found = trial(books[0], books[1], [(case.accounts, case.market) for case in read])
    if kind == "json":
        told = msgspec.to_builtins(found)
        lists = ("newly_called", "newly_liquidatable", "not_compared")
        echo_json(plain({**told, **{key: [a.account for a in getattr(found, key)] for key in lists}}))
    else:
        _show_trial(found)
    last = max(case.market.at for case in read)
    for note in dict.fromkeys(n for book in books for n in notes_of(book, last)):
        click.echo(f"note: {note}", err=True)
    for account in found.not_compared:
        click.echo(f"error: {account.account}: not compared: {account.why}", err=True)
    return 1 if found.not_compared else 0


def _files(name: str) -> list[str]:
    folder = Path(name)
    if not folder.is_dir():
        return [name]
    found = sorted(str(f) for f in folder.iterdir() if f.suffix in (".toml", ".json"))
    if not found:
        raise invalid(name, Reason.NOT_FOUND, "has no case file (.toml or .json); name another folder")
    return found


def _show_trial(found: Trial) -> None:
    for level in ("initial", "maintenance"):
        before, after = getattr(found, level)
        change = percent(after / before - 1.0) if before else "none"
        click.echo(f"{level} margin of all: {money(before, 'USD')} to {money(after, 'USD')}, {change}")
    if found.deciles:
        steps = ", ".join(percent(d) for d in found.deciles)
        click.echo(f"change of initial margin from the least to the most, in deciles: {steps}")
    lists = (("newly in call", found.newly_called), ("newly liquidatable", found.newly_liquidatable))
    for words, accounts in lists:
        click.echo(f"{words}: {', '.join(a.account for a in accounts) or 'none'}")
    rows = [
        {"account": a.account, "was": str(a.was), "would be": str(a.would_be)}
        | {"initial": a.initial[0], "would ask": a.initial[1], "change": a.change}
        for a in found.accounts
    ]
    shown: dict[str, Callable[[Any], str]] = {"initial": _dollars, "would ask": _dollars, "change": percent}
    click.echo()
    show(rows, [Column(k, k, shown.get(k, str), k in _TRIED_WORDS) for k in rows[0]] if rows else [], "table")


_TRIED_WORDS = ("account", "was", "would be")


def _dollars(amount: float) -> str:
    return money(amount, "USD")


COMMANDS = {"rules": rules}
