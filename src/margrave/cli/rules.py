"""Commands on rulebooks: list, show, diff, fields."""

from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from margrave.cli.inputs import echo_json, format_option, show
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
def fields() -> int:
    """What a rulebook may say, as a JSON schema."""
    schema = msgspec.json.schema(Rulebook)
    if not schema:
        raise invalid("rules", Reason.UNSUPPORTED, "the schema could not be made")
    echo_json(schema)
    return 0


COMMANDS = {"rules": rules}
