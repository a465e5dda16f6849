"""The command that compares a venue's own answer with ours."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from margrave.adapters import deribit_pme, okx_builder
from margrave.adapters.claims import Claim
from margrave.adapters.payloads import import_payloads
from margrave.adapters.rows import parse_payload
from margrave.adapters.verify import Comparison, Verdict, first_difference
from margrave.adapters.verify import verify as compare_case
from margrave.cli.data import instant_option
from margrave.cli.inputs import format_option, read_rules, read_text, show
from margrave.core.errors import Reason, invalid
from margrave.report.tables import Column

_COLUMNS = tuple(
    Column(head, key, left=left)
    for head, key, left in (
        ("of", "where", True),
        ("figure", "what", True),
        ("venue", "venue_shown", False),
        ("ours", "ours_shown", False),
        ("unit", "unit", True),
        ("verdict", "verdict", True),
    )
)
_RAW = tuple(
    Column(k, k)
    for k in ("where", "what", "venue", "ours", "difference", "unit", "digits", "verdict", "reason")
)

_PLACES = (
    Column("of", "where", left=True),
    Column("agree", Verdict.AGREES),
    Column("differ", Verdict.DIFFERS),
    Column("not computed", Verdict.NOT_COMPUTED),
    Column("apart by", "greatest", lambda x: f"{x:.3g}"),
)


@click.command()
@click.argument("payloads", nargs=-1, required=True, metavar="PAYLOAD…")
@click.option(
    "--rulebook", "--rules", "rules", metavar="ID[@DATE]|FILE", help="Rulebook; by default the venue's."
)
@click.option("--venue", help="Whose payloads they are; by default they are recognised.")
@instant_option
@click.option("--strict", is_flag=True, help="A field that is not known is an error.")
@format_option
def verify(
    payloads: Sequence[str],
    rules: str | None,
    venue: str | None,
    at: datetime | None,
    strict: bool,
    kind: str,
) -> int:
    """Compare a venue's own numbers in PAYLOADs (positions, account, ...) with ours, figure by figure.

    Exit code 0 if all that is computed agrees to the digits that the venue shows, 5 if one differs.
    """
    short = {name: Path(name).name for name in payloads}
    unique = len(set(short.values())) == len(short)
    trees = [(parse_payload(read_text(name), name), short[name] if unique else name) for name in payloads]
    if any(answer.recognises(tree) for tree, _ in trees for answer in (deribit_pme, okx_builder)):
        return _simulation(trees, (rules, at, venue), kind)
    found = import_payloads(venue, trees, rules, at, strict)
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    if not found.claims:
        raise invalid(
            "payloads", Reason.NOT_FOUND, "claim no number of the venue's; add its positions or account"
        )
    if not found.case.accounts[0].positions:
        click.echo(
            "note: no position is in the payloads; figures of an account that has some will differ", err=True
        )
    rulebook = read_rules(rules, found.case)
    comparisons = compare_case(found.case, found.claims, rulebook)
    show([_row(c) for c in comparisons], _RAW if kind in ("json", "csv") else _COLUMNS, kind)
    return _close(comparisons, f"{rulebook.id} of {rulebook.valid_from:%Y-%m-%d}", kind in ("json", "csv"))


def _simulation(trees: Sequence[tuple[Any, str]], asked: Sequence[Any], kind: str) -> int:
    if len(trees) > 1 or any(asked):
        raise click.UsageError("a simulation brings its own account, instant and rules; give it alone")
    tree, where = trees[0]
    as_data = kind in ("json", "csv")
    if okx_builder.recognises(tree):
        compared = okx_builder.compared(tree, where)
        show([_row(c) for c in compared], _RAW if as_data else _COLUMNS, kind)
        return _close(compared, "OKX's published charges", as_data)
    found = deribit_pme.read(tree, where)
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    compared = found.compared()
    # Hundreds of cells: for people they are counted, vector by vector.
    rows = [_row(c) for c in compared] if as_data else _by_place(compared)
    show(rows, _RAW if as_data else _PLACES, kind)
    return _close(compared, "the payload's own model_params", as_data)


def _by_place(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for c in comparisons:
        cell = c.claim.what.startswith(("standard ", "extended "))
        where = c.claim.where.replace("_risk_vectors:", "")
        name = f"{where} {c.claim.what.split()[0 if cell else -1]}"
        row = rows.setdefault(name, {"where": name, **dict.fromkeys(Verdict, 0), "greatest": 0.0})
        row[c.verdict] += 1
        if c.ours is not None and c.claim.amount is not None:
            row["greatest"] = max(row["greatest"], abs(c.ours - c.claim.amount))
    return list(rows.values())


def _row(comparison: Comparison) -> dict[str, Any]:
    claim = comparison.claim
    computed = comparison.verdict is not Verdict.NOT_COMPUTED
    return {
        **comparison.to_dict(),
        "venue_shown": _shown(claim, claim.amount),
        "ours_shown": _shown(claim, comparison.ours) if computed else "",
    }


def _shown(claim: Claim, amount: float | None) -> str:
    return "none" if amount is None else f"{amount:,.{min(claim.digits, 12)}f}"


def _close(comparisons: Sequence[Comparison], rules: str, as_message: bool) -> int:
    counts = {verdict: sum(c.verdict is verdict for c in comparisons) for verdict in Verdict}
    for reason, names in _not_computed(comparisons).items():
        click.echo(f"not computed: {', '.join(names)}: {reason}", err=True)
    told = f"{counts[Verdict.AGREES]} agree, {counts[Verdict.DIFFERS]} differ, {counts[Verdict.NOT_COMPUTED]} not computed"
    click.echo(f"{told}; under {rules}", err=as_message)
    first = first_difference(comparisons)
    if first is not None:
        ours, theirs = _shown(first.claim, first.ours), _shown(first.claim, first.claim.amount)
        click.echo(
            f"first that differs: {first.claim.where} {first.claim.what}: the venue says {theirs}, we say {ours} {first.claim.unit}",
            err=as_message,
        )
        return 5
    if not counts[Verdict.AGREES]:
        raise invalid(
            "payloads", Reason.UNSUPPORTED, "hold no number that could be compared; nothing is verified"
        )
    return 0


def _not_computed(comparisons: Sequence[Comparison]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for c in comparisons:
        if c.verdict is Verdict.NOT_COMPUTED:
            names = reasons.setdefault(c.reason, [])
            if c.claim.what not in names:
                names.append(c.claim.what)
    return reasons


COMMANDS = {"verify": verify}
