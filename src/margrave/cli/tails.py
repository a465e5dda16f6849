"""The command that shows what joint scenarios say of an account: tails."""

from collections.abc import Iterator, Sequence
from typing import Any

import click

from margrave.cli.inputs import case_options, format_option, inputs, pick_account, show, warn
from margrave.engine.analysis.tails import PoolTail
from margrave.engine.analysis.tails import tails as tails_of
from margrave.engine.assess import assess
from margrave.report.number import money, percent
from margrave.report.tables import Column

_COLUMNS = (
    Column("pool", "pool", left=True),
    Column("what", "what", left=True),
    Column("amount", "amount"),
    Column("fraction", "fraction"),
)


@click.command()
@case_options
@click.option("--account", "name", metavar="NAME", help="Which account, where the case has several.")
@click.option(
    "--target",
    type=float,
    default=0.995,
    show_default=True,
    help="Share of scenarios in which a pool shall stay solvent.",
)
@format_option
def tails(
    file: str,
    rules: str | None,
    schedule: str | None,
    moves: Sequence[str],
    name: str | None,
    target: float,
    kind: str,
) -> int:
    """Tail of the joint scenarios of each pool in FILE: precision, solvency, and the error of delta, gamma and vega."""
    if not 0.0 < target < 1.0:
        raise click.UsageError(f"--target {target}: write a fraction between 0 and 1")
    told = inputs(file, rules, schedule, moves)
    account = pick_account(told.case, name)
    found = tails_of(account, told.case.market, told.rulebook, target)
    rows = [row for pool in found for row in _rows(pool, target)]
    if kind in ("table", "md"):
        rows = [_readable(row) for row in rows]
    show(rows, _COLUMNS, kind)
    return warn([assess(account, told.case.market, told.rulebook)])


def _rows(pool: PoolTail, target: float) -> Iterator[dict[str, Any]]:
    places = {"pool": pool.name, "currency": pool.currency}
    yield {**places, "what": f"tail of {len(pool.losses)} scenarios", "amount": pool.tail}
    if pool.standard_error is not None:
        yield {**places, "what": "standard error", "amount": pool.standard_error}
        yield {**places, "what": "upper bound", "amount": pool.upper}
    share = pool.check.error / pool.tail if pool.tail else None
    yield {**places, "what": "tail by delta, gamma and vega", "amount": pool.check.approximate}
    yield {**places, "what": "error of that", "amount": pool.check.error, "fraction": share}
    yield {**places, "what": "equity", "amount": pool.equity}
    yield {**places, "what": "scenarios that leave it solvent", "fraction": pool.solvency}
    yield {**places, "what": f"least equity for {percent(target)}", "amount": pool.collateral}


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    amount, fraction = row.get("amount"), row.get("fraction")
    return {
        **row,
        "amount": "-" if amount is None else money(amount, row["currency"]),
        "fraction": "-" if fraction is None else percent(fraction),
    }


COMMANDS = {"tails": tails}
