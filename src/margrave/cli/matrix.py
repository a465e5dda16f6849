"""The command that shows the cells of portfolio margin."""

from collections.abc import Sequence
from math import isnan
from typing import Any

import click

from margrave.adapters.pme_shape import rendered
from margrave.cli.inputs import case_options, echo_json, inputs, pick_account, show, warn
from margrave.engine.analysis.matrix import RiskMatrix, UnitMatrix, risk_matrix
from margrave.engine.assess import assess
from margrave.report.number import percent
from margrave.report.tables import FORMATS, Column, plain


def _cell(amount: float) -> str:
    return "unknown" if isnan(amount) else f"{amount + 0.0:.9g}"


_CELL = (
    Column("unit", "unit", left=True),
    Column("cell", "cell"),
    Column("table", "table", left=True),
    Column("price", "move", percent),
    Column("vol", "vol", left=True),
    Column("weight", "weight", lambda w: f"{w:.4g}"),
)
_BY_UNIT = (
    *_CELL,
    Column("before offset", "before", _cell),
    Column("after", "after", _cell),
    Column("", "worst", lambda is_worst: "worst" if is_worst else ""),
)
_BY_INSTRUMENT = (
    *_CELL,
    Column("instrument", "instrument", left=True),
    Column("gain", "gain", _cell),
    Column("", "worst", lambda is_worst: "worst" if is_worst else ""),
)
_PART = (
    Column("unit", "unit", left=True),
    Column("part", "part", left=True),
    Column("amount", "amount", _cell),
    Column("in", "currency", left=True),
)


@click.command()
@case_options
@click.option("--account", "name", metavar="NAME", help="Which account, where the case has several.")
@click.option(
    "--by",
    type=click.Choice(("unit", "instrument")),
    default="unit",
    show_default=True,
    help="Whose gains the cells hold.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice((*FORMATS, "deribit")),
    default="table",
    show_default=True,
    help="How the result is written; deribit is the shape of its private/pme/simulate.",
)
def matrix(
    file: str,
    rules: str | None,
    schedule: str | None,
    moves: Sequence[str],
    name: str | None,
    by: str,
    kind: str,
) -> int:
    """Every cell of the risk matrix of the account in FILE, before and after offset, and the one that binds.

    Amounts are gains in the currency of the pool. For price and vol moves of your own choice see `stress`.
    """
    told = inputs(file, rules, schedule, moves)
    account, market, rulebook = pick_account(told.case, name), told.case.market, told.rulebook
    found = risk_matrix(account, market, rulebook)
    if kind == "deribit":
        echo_json(plain(rendered(found, account, market, rulebook)))
        return warn([assess(account, market, rulebook)])
    units = [unit for pool in found.pools for unit in pool.units]
    if by == "instrument":
        show([row for unit in units for row in _instrument_rows(unit)], _BY_INSTRUMENT, kind)
    else:
        show([row for unit in units for row in _unit_rows(unit)], _BY_UNIT, kind)
    if kind in ("table", "md"):
        click.echo()
        show(_parts(found), _PART, kind)
    return warn([assess(account, market, rulebook)])


def _unit_rows(unit: UnitMatrix) -> list[dict[str, Any]]:
    gains = zip(_cells(unit), unit.before, unit.after, strict=True)
    return [{**cell, "before": before, "after": after} for cell, before, after in gains]


def _instrument_rows(unit: UnitMatrix) -> list[dict[str, Any]]:
    return [
        {**cell, "instrument": vector.name, "gain": gain}
        for vector in unit.vectors
        for cell, gain in zip(_cells(unit), vector.gains, strict=True)
    ]


def _cells(unit: UnitMatrix) -> list[dict[str, Any]]:
    return [
        {
            "unit": unit.name,
            "cell": c.number,
            "table": c.source,
            "move": c.move,
            "vol": c.vol,
            "weight": c.weight,
            "worst": c == unit.worst.cell and not isnan(unit.worst.loss),
        }
        for c in unit.cells
    ]


def _parts(found: RiskMatrix) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []

    def add(unit: str, part: str, amount: float, currency: str) -> None:
        rows.append({"unit": unit, "part": part, "amount": amount, "currency": currency})

    for pool in found.pools:
        for unit in pool.units:
            cell = unit.worst.cell
            told = (
                "worst case"
                if isnan(unit.worst.loss)
                else f"worst case, cell {cell.number}: price {percent(cell.move)}, vol {cell.vol}, {cell.source}"
            )
            add(unit.name, told, unit.worst.loss, pool.currency)
            for charge in unit.charges:
                add(unit.name, f"charge: {charge.kind}", charge.amount, pool.currency)
            for delta in unit.deltas:
                when = f"{delta.years * 365.0:.4g} days" if delta.years else "perpetual"
                add(unit.name, f"net delta, {when}, {delta.settlement}", delta.coins, unit.underlying)
        if pool.orders:
            add(pool.name, "open orders at their worst fill", pool.orders, pool.currency)
        add(pool.name, "initial margin", pool.initial, pool.currency)
        add(pool.name, "maintenance margin", pool.maintenance, pool.currency)
    return rows


COMMANDS = {"matrix": matrix}
