"""Commands on an account as it might be: whatif, compare."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter
from typing import Any

import click

from margrave.cli.inputs import (
    file_argument,
    format_option,
    inputs,
    parse_moves,
    pick_account,
    pick_schedule,
    read_case,
    read_rules,
    show,
    warn,
)
from margrave.core.words import MarginMode
from margrave.engine.analysis.compare import Compared, Plan, compare, variants
from margrave.engine.analysis.models import ModelRow, model_table
from margrave.engine.assessment import Assessment, PoolAssessment, Status
from margrave.engine.whatif import Leg, WhatIf, what_if
from margrave.liquidation import PoolLiquidation, liquidations
from margrave.report.number import money, percent, price
from margrave.report.tables import Column
from margrave.rulebook.schema import Rulebook

_DUST = 5e-9  # what arithmetic leaves over, shown as zero: of any currency or price
_AMOUNTS = ("equity", "margin_balance", "initial", "maintenance", "available")


def parse_leg(text: str) -> Leg:
    """A trade from ``SYMBOL:SIZE`` or ``SYMBOL:SIZE@PRICE``."""
    symbol, _, rest = text.rpartition(":")
    size, _, at = rest.partition("@")
    try:
        leg = Leg(symbol, float(size), float(at) if at else None)
    except ValueError as fault:
        told = f"--leg {text!r}: write SYMBOL:SIZE@PRICE, such as BTC-PERPETUAL:-20000@60000"
        raise click.UsageError(told) from fault
    if not symbol or leg.quantity == 0:
        raise click.UsageError(f"--leg {text!r}: name an instrument and a size other than zero")
    return leg


@click.command()
@file_argument
@click.option(
    "--leg",
    "legs",
    multiple=True,
    metavar="SYMBOL:SIZE[@PRICE]",
    help="A trade; at the mark without a price.",
)
@click.option(
    "--price",
    "--at",
    "moves",
    multiple=True,
    metavar="ASSET=MOVE",
    help="A price move after the trades: BTC=-5% or BTC=62000.",
)
@click.option("--rules", metavar="ID[@DATE]|FILE", help="Rulebook; by default the one that the case names.")
@click.option("--schedule", metavar="NAME|FILE|none", help="Directional schedule to put on the rules.")
@click.option("--account", "name", metavar="NAME", help="Which account, where the case has several.")
@format_option
def whatif(
    file: str,
    legs: Sequence[str],
    moves: Sequence[str],
    rules: str | None,
    schedule: str | None,
    name: str | None,
    kind: str,
) -> int:
    """Each pool in FILE before and after trades or price moves, with the change."""
    told = inputs(file, rules, schedule, ())
    account = pick_account(told.case, name)
    trades = tuple(map(parse_leg, legs))
    result = what_if(account, told.case.market, told.rulebook, trades, parse_moves(moves, told.case))
    now = liquidations(account, told.case.market, told.rulebook)
    then = liquidations(result.account, result.market, told.rulebook)
    rows = list(_changes(result, now, then))
    is_text = kind in ("table", "md")
    shown = [_readable(row) for row in rows] if is_text else rows
    keys = ("pool", "what", "before", "after", "change", "currency")
    show(shown, [Column(k, k, left=k in ("pool", "what", "currency")) for k in keys], kind)
    for assessment, bounds, when in ((result.before, now, "before"), (result.after, then, "after")):
        for pool, found in zip(assessment.pools, bounds, strict=True):
            if is_text and not found.bounds:
                click.echo(f"{pool.name}: no liquidation price {when} ({found.reason})")
    return warn([result.after])


def _changes(
    result: WhatIf, now: Sequence[PoolLiquidation], then: Sequence[PoolLiquidation]
) -> Iterator[dict[str, Any]]:
    before, after = _by_name(result.before, now), _by_name(result.after, then)
    for name in dict.fromkeys((*before, *after)):
        was, new = before.get(name), after.get(name)
        currency = (new or was)[0].currency  # type: ignore[index]
        for field in _AMOUNTS:
            amounts = [0.0 if side is None else getattr(side[0], field) for side in (was, new)]
            told = {"pool": name, "what": field.replace("_", " "), "currency": currency}
            yield {**told, "before": amounts[0], "after": amounts[1], "change": amounts[1] - amounts[0]}
        for side in ("down", "up"):
            prices = [_price(pool[1], side) if pool else None for pool in (was, new)]
            if prices != [None, None]:
                change = None if None in prices else prices[1] - prices[0]  # type: ignore[operator]
                told = {"pool": name, "what": f"liquidation {side}", "currency": "price"}
                yield {**told, "before": prices[0], "after": prices[1], "change": change}


def _by_name(
    assessment: Assessment, found: Iterable[PoolLiquidation]
) -> dict[str, tuple[PoolAssessment, PoolLiquidation]]:
    return {pool.name: (pool, bounds) for pool, bounds in zip(assessment.pools, found, strict=True)}


def _price(found: PoolLiquidation, side: str) -> float | None:
    return next((b.price for b in found.bounds if b.side == side), None)


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    def told(amount: float | None) -> str:
        if amount is not None and abs(amount) < _DUST:
            amount = 0.0
        return price(amount) if row["currency"] == "price" else money(amount, row["currency"])

    return {**row, **{k: told(row[k]) for k in ("before", "after", "change")}}


@click.command(name="compare")
@file_argument
@click.option("--rules", metavar="ID,ID", help="Rulebooks; by default the one that the case names.")
@click.option(
    "--schedule", metavar="NAME,NAME", help="Directional schedules; none takes the rules' own away."
)
@click.option("--mode", metavar="cross,isolated", help="Margin modes; by default as the account has them.")
@click.option("--account", "name", metavar="NAME", help="Which account, where the case has several.")
@click.option(
    "--models", is_flag=True, help="Instead of prices and savings, what binds and the time it took."
)
@format_option
def compare_command(
    file: str,
    rules: str | None,
    schedule: str | None,
    mode: str | None,
    name: str | None,
    models: bool,
    kind: str,
) -> int:
    """The account in FILE under each combination of rules, schedules and modes; the first is the reference."""
    case = read_case(file)
    account = pick_account(case, name)
    books = tuple(read_rules(book, case) for book in _listed(rules))
    try:
        modes = tuple(MarginMode(m) if m else None for m in _listed(mode))
    except ValueError as fault:
        raise click.UsageError(f"--mode {mode!r}: write cross, isolated, or both with a comma") from fault
    chosen = variants(books, tuple(_plan(s, books[0]) for s in _listed(schedule)), modes)
    if models:
        return _models(model_table(account, case.market, chosen, perf_counter), kind)
    found = compare(account, case.market, chosen)
    rows = [_compared(row, kind in ("table", "md")) for row in found]
    columns = [
        Column(k, k, f, k in ("variant", "pool", "status", "currency", "why")) for k, f in _COMPARED.items()
    ]
    # What explains a difference is a sentence: under the table, not in it.
    is_table = kind == "table"
    show(rows, columns[:-1] if is_table else columns, kind)
    for row in rows if is_table else ():
        if row["why"]:
            part = "is unknown" if row["status"] == Status.UNKNOWN else "in maintenance margin"
            click.echo(f"\n{row['variant']}, {row['pool']}, {part}:")
            click.echo("\n".join(f"  {part}" for part in row["told"]))
    for note in dict.fromkeys(note for row in found for note in row.notes):
        click.echo(f"note: {note}", err=True)
    return 1 if found and all(row.pool.issues for row in found) else 0


def _models(found: Sequence[ModelRow], kind: str) -> int:
    is_text = kind in ("table", "md")
    rows = [
        {
            "model": row.model,
            "pool": row.pool,
            "initial": money(row.initial, row.currency) if is_text else row.initial,
            "maintenance": money(row.maintenance, row.currency) if is_text else row.maintenance,
            "currency": row.currency,
            "ms": f"{row.seconds * 1e3:.1f}" if is_text else row.seconds * 1e3,
            "binds": row.binds,
        }
        for row in found
    ]
    words = ("model", "pool", "currency", "binds")
    keys = ("model", "pool", "initial", "maintenance", "currency", "ms", "binds")
    show(rows, [Column(k, k, left=k in words) for k in keys], kind)
    return 1 if found and all(row.maintenance != row.maintenance for row in found) else 0


def _listed(text: str | None) -> tuple[str | None, ...]:
    return tuple(part.strip() for part in text.split(",")) if text else (None,)


def _plan(name: str | None, rulebook: Rulebook) -> Plan | None:
    if name is None:
        return None
    schedule = pick_schedule(name, rulebook)
    return Plan("no schedule" if schedule is None else schedule.name, schedule)


def _compared(row: Compared, is_text: bool) -> dict[str, Any]:
    pool = row.pool
    return {
        "variant": row.variant,
        "pool": pool.name,
        "initial": money(pool.initial, pool.currency) if is_text else pool.initial,
        "maintenance": money(pool.maintenance, pool.currency) if is_text else pool.maintenance,
        "currency": pool.currency,
        "saving": row.saving,
        "below": row.below.price if row.below else None,
        "above": row.above.price if row.above else None,
        "status": str(pool.status),
        "why": row.why,
        "told": list(map(str, pool.issues)) or row.why.split("; "),
    }


_COMPARED: dict[str, Callable[[Any], str]] = {
    "variant": str,
    "pool": str,
    "initial": str,
    "maintenance": str,
    "currency": str,
    "saving": percent,
    "below": price,
    "above": price,
    "status": str,
    "why": str,
}


COMMANDS = {"whatif": whatif, "compare": compare_command}
