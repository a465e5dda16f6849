"""Commands on rulebooks: list, show, diff, fields, import-tiers."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from margrave.cli.inputs import echo_json, format_option, read_text, show
from margrave.core.errors import Reason, invalid
from margrave.report.tables import Column
from margrave.rulebook.catalogue import in_force, shipped
from margrave.rulebook.difference import differences
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
    """Every rulebook, with the time it holds for."""
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


COMMANDS = {"rules": rules}
