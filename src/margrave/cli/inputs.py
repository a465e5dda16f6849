"""What commands share: the case, the rules, prices, and how results are written."""

import inspect
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, final

import click
import msgspec

from margrave.adapters.files import Case, example_names, load_example, parse_case
from margrave.core.errors import Reason, invalid
from margrave.domain.account import Account
from margrave.engine.assessment import Assessment, Status
from margrave.engine.whatif import moved
from margrave.report.tables import FORMATS, Column, render
from margrave.rulebook.catalogue import in_force, shipped
from margrave.rulebook.load import parse
from margrave.rulebook.reform import with_schedule
from margrave.rulebook.schedules import Schedule
from margrave.rulebook.schema import Rulebook

F = TypeVar("F", bound=Callable[..., Any])
EXIT = {Status.HEALTHY: 0, Status.CALL: 3, Status.LIQUIDATABLE: 4, Status.UNKNOWN: 1}


@final
@dataclass(frozen=True, slots=True)
class Inputs:
    """A case and the rules that hold for it."""

    case: Case
    rulebook: Rulebook


def case_options(command: F) -> F:
    """The arguments of every command that works on a case."""
    for decorate in (
        click.option(
            "--price",
            "--at",
            "moves",
            multiple=True,
            metavar="ASSET=MOVE",
            help="Move an asset's price: BTC=-5%, or BTC=62000.",
        ),
        click.option(
            "--schedule", metavar="NAME|FILE|none", help="Directional schedule to put on the rules, or none."
        ),
        click.option(
            "--rules", metavar="ID[@DATE]|FILE", help="Rulebook; by default the one that the case names."
        ),
        file_argument,
    ):
        command = decorate(command)
    return command


def file_argument(command: F) -> F:
    """The case that a command reads; its help says what that may be."""
    told = "FILE is a case in TOML or JSON, - for standard input, or an example that ships: example:inverse."
    command.__doc__ = f"{inspect.cleandoc(command.__doc__ or '')}\n\n{told}"
    return click.argument("file", metavar="FILE", default="-")(command)


def format_option(command: F) -> F:
    """How a result is written."""
    return click.option(
        "--format",
        "kind",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="How the result is written.",
    )(command)


def read_text(name: str) -> str:
    """Text of a file, or of standard input for ``-``."""
    if name == "-" and sys.stdin.isatty():
        shipped_cases = ", ".join(f"example:{n}" for n in example_names())
        raise click.UsageError(f"give a file, - to read standard input, or one of {shipped_cases}")
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError as fault:
        raise invalid(name, Reason.MALFORMED, f"is not text ({fault}); give UTF-8") from fault
    except OSError as fault:
        told = fault.strerror or fault
        raise invalid(name, Reason.NOT_FOUND, f"cannot be read ({told}); check the name") from fault


def read_case(file: str) -> Case:
    """A case from a file, from standard input (``-``), or a shipped example by ``example:NAME``."""
    if file.startswith("example:"):
        return load_example(file.removeprefix("example:"))
    text = read_text(file)
    is_json = file.endswith(".json") or text.lstrip().startswith("{")
    return parse_case(text, "standard input" if file == "-" else file, is_json=is_json)


def read_rules(name: str | None, case: Case) -> Rulebook:
    """The rulebook asked for, or that the case names: a file, or an id in force at the case's instant."""
    name = name or case.rules
    if name is None:
        known = ", ".join(sorted({b.id for b in shipped()}))
        message = f"neither the case nor the command names a rulebook; there are {known}"
        raise invalid("--rules", Reason.NOT_FOUND, message)
    if name.endswith(".toml"):
        return parse(read_text(name), name)
    return in_force(name, case.market.at)


def pick_account(case: Case, name: str | None) -> Account:
    """The account of that name; without a name the only one."""
    named = {account.name: account for account in case.accounts}
    if not named:
        raise invalid("accounts", Reason.NOT_FOUND, "the case has none; add [[accounts]]")
    if name is None and len(named) > 1:
        raise click.UsageError(
            f"the case has several accounts; choose one with --account: {', '.join(named)}"
        )
    if name is not None and name not in named:
        raise invalid(name, Reason.NOT_FOUND, f"no account has this name; there are {', '.join(named)}")
    return case.accounts[0] if name is None else named[name]


def schedules() -> dict[str, Schedule]:
    """Every directional schedule of the shipped rulebooks, by name."""
    return {name: schedule for book in shipped() for name, schedule in book.schedules.items()}


def pick_schedule(name: str, rulebook: Rulebook) -> Schedule | None:
    """A schedule by name; ``none`` is none."""
    if name == "none":
        return None
    if name.endswith(".toml"):
        return _schedule_file(name)
    known = {**schedules(), **rulebook.schedules}
    if name not in known:
        raise invalid(
            name, Reason.NOT_FOUND, f"no schedule has this name; there are none, {', '.join(sorted(known))}"
        )
    return known[name]


def _schedule_file(name: str) -> Schedule:
    try:
        return msgspec.toml.decode(read_text(name), type=Schedule)
    except msgspec.DecodeError as fault:
        raise invalid(name, Reason.INVALID_VALUE, f"{fault}; write the fields of one schedule") from fault


def parse_moves(moves: Sequence[str], case: Case) -> dict[str, float]:
    """Factors of asset prices from ``BTC=-5%`` and ``BTC=62000``."""
    factors = {}
    for move in moves:
        asset, _, told = move.partition("=")
        try:
            number = float(told.rstrip("%").replace(",", ""))
        except ValueError as fault:
            raise click.UsageError(f"--price {move!r}: write BTC=-5% or BTC=62000") from fault
        if not asset:
            raise click.UsageError(f"--price {move!r}: name an asset, such as BTC=-5%")
        now = case.market.index_of(asset)
        if now is None:
            raise invalid(
                asset,
                Reason.MISSING_INDEX,
                f"has no index price to move; the case has {', '.join(case.market.index)}",
            )
        factor = 1 + number / 100 if told.endswith("%") else number / now
        if not 1e-6 <= factor <= 1e6:
            raise invalid(
                asset,
                Reason.INVALID_VALUE,
                f"a move from {now:g} to {factor * now:g} is not between a millionth of the price and a million times it",
            )
        factors[asset] = factor
    return factors


def inputs(file: str, rules: str | None, schedule: str | None, moves: Sequence[str]) -> Inputs:
    """Case and rules of a command."""
    case = read_case(file)
    rulebook = read_rules(rules, case)
    wanted = schedule or case.schedule
    if wanted is not None:
        rulebook = with_schedule(rulebook, pick_schedule(wanted, rulebook))
    if moves:
        case = replace(case, market=moved(case.market, parse_moves(moves, case)))
    if not case.accounts:
        raise invalid(file, Reason.NOT_FOUND, "has no account; add [[accounts]]")
    return Inputs(case, rulebook)


def width() -> int:
    """Columns of the terminal, 110 where there is none."""
    return shutil.get_terminal_size((110, 24)).columns


def show(rows: Sequence[dict[str, Any]], columns: Sequence[Column], kind: str) -> None:
    """Write rows to standard output."""
    click.echo(render(rows, columns, kind, width()))


def warn(assessments: Sequence[Assessment]) -> int:
    """Write issues and notes to standard error; the exit code is that of the worst status."""
    for note in dict.fromkeys(note for a in assessments for note in a.notes):
        click.echo(f"note: {note}", err=True)
    for assessment in assessments:
        if not assessment.pools:
            click.echo(f"note: {assessment.account} holds neither balances nor positions", err=True)
        for issue in dict.fromkeys(assessment.issues):
            click.echo(f"error: {assessment.account}: {issue}", err=True)
    order = list(Status)
    worst = max((a.status for a in assessments), key=order.index, default=Status.HEALTHY)
    return EXIT[worst]


def echo_json(value: Any) -> None:
    """Write plain data as JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
