"""Commands that analyse an account: offset, contributions, optimise, stress."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from margrave.cli.inputs import (
    Inputs,
    case_options,
    format_option,
    inputs,
    pick_account,
    show,
    warn,
)
from margrave.core.errors import Reason, invalid
from margrave.core.words import LEVELS
from margrave.domain.account import Account
from margrave.engine.analysis.candidates import Costs
from margrave.engine.analysis.contributions import contributions, sensitivities
from margrave.engine.analysis.offset import Offset, offsets
from margrave.engine.analysis.optimise import Distance, Free, Proposal, Target, optimise
from margrave.engine.analysis.stress import (
    MOVES,
    VOL_MOVES,
    Cell,
    ReverseStress,
    basis_cells,
    matrix,
    reverse_stress,
)
from margrave.engine.assess import assess
from margrave.engine.assessment import Status
from margrave.report.number import money, percent, price, quantity
from margrave.report.tables import Column

_level = click.option(
    "--level",
    type=click.Choice(LEVELS),
    default="initial",
    show_default=True,
    help="Level of the requirement.",
)
_name = click.option("--account", "name", metavar="NAME", help="Which account, where the case has several.")


def _told(
    file: str, rules: str | None, schedule: str | None, moves: Sequence[str], name: str | None
) -> tuple[Inputs, Account]:
    told = inputs(file, rules, schedule, moves)
    return told, pick_account(told.case, name)


def _is_text(kind: str) -> bool:
    return kind in ("table", "md")


def _warned(told: Inputs, account: Account) -> int:
    return warn([assess(account, told.case.market, told.rulebook)])


def _columns(rows: Sequence[dict[str, Any]]) -> list[Column]:
    keys = list(rows[0]) if rows else []
    return [Column(k.replace("_", " "), k, _SHOWN.get(k, str), k in _WORDS) for k in keys]


_DUST = 5e-9  # of any currency: shown as zero
_SHOWN: dict[str, Callable[[Any], str]] = {
    "fraction": percent,
    "quantity": quantity,
    "price": price,
    "price_move": percent,
    "vol_move": percent,
    "ratio": percent,
    "move": percent,
    "delta": price,
    "gamma": lambda g: f"{g:.6g}",
    "vega": price,
    "sigma": lambda s: f"{s:.2f}",
}
_WORDS = ("pool", "what", "status", "kind", "side", "underlying", "symbol", "currency", "binds")
_MONEY = [
    "amount",
    "profit",
    "equity",
    "initial",
    "maintenance",
    "alone",
    "marginal",
    "euler",
    "spot",
    "curvature",
    "vol",
    "before",
    "after",
    "change",
]


def _show(rows: Sequence[dict[str, Any]], kind: str, dropped: Sequence[str] = ()) -> None:
    if _is_text(kind):
        rows = [
            {k: _readable(k, v, row) for k, v in row.items() if k not in ("currency", *dropped)}
            for row in rows
        ]
    show(rows, _columns(rows), kind)


def _readable(key: str, value: Any, row: dict[str, Any]) -> Any:
    if key not in _MONEY or value is None:
        return value
    return money(0.0 if abs(value) < _DUST else value, row["currency"])


@click.command()
@case_options
@_level
@_name
@click.option(
    "--cap",
    type=float,
    default=0.8,
    show_default=True,
    help="Greatest benefit that the check allows, a fraction.",
)
@format_option
def offset(
    file: str,
    rules: str | None,
    schedule: str | None,
    moves: Sequence[str],
    level: str,
    name: str | None,
    cap: float,
    kind: str,
) -> int:
    """What each pool in FILE saves by holding its positions together: parts, pairs, benefit and its cap."""
    if not 0.0 <= cap <= 1.0:
        raise click.UsageError(f"--cap {cap}: write a fraction from 0 to 1")
    told, account = _told(file, rules, schedule, moves, name)
    found = offsets(account, told.case.market, told.rulebook, LEVELS.index(level), cap)
    _show([row for pool in found for row in _offset_rows(pool)], kind)
    return _warned(told, account)


def _offset_rows(pool: Offset) -> list[dict[str, Any]]:
    def row(what: str, amount: float, fraction: float | None = None) -> dict[str, Any]:
        told = {"pool": pool.pool, "what": what, "amount": amount, "currency": pool.currency}
        return {**told, "fraction": fraction}

    whole = pool.sum_of_parts
    return [
        *(row(f"alone: {symbol}", amount) for symbol, amount in pool.parts),
        row("sum of parts", whole),
        row("requirement", pool.requirement),
        row("benefit", pool.benefit, pool.fraction),
        *(row(f"pair: {p.first} with {p.second}", p.saving, p.fraction) for p in pool.pairs),
        row(f"benefit capped at {percent(pool.cap, 0)}: requirement", pool.capped),
    ]


@click.command(name="contributions")
@case_options
@_level
@_name
@click.option("--by", type=click.Choice(["position", "greek"]), default="position", show_default=True)
@format_option
def contributions_command(
    file: str,
    rules: str | None,
    schedule: str | None,
    moves: Sequence[str],
    level: str,
    name: str | None,
    by: str,
    kind: str,
) -> int:
    """What each position in FILE does to its pool's requirement: alone, left out, and by its size (Euler)."""
    told, account = _told(file, rules, schedule, moves, name)
    row = LEVELS.index(level)
    case = (account, told.case.market, told.rulebook, row)
    if by == "greek":
        greeks = [{k: getattr(s, k) for k in _GREEKS} for s in sensitivities(*case)]
        _show(greeks, kind)
        return _warned(told, account)
    found = contributions(*case)
    rows = []
    for pool in found:
        base = {"pool": pool.pool, "currency": pool.currency}
        rows += [{**base, **{k: getattr(p, k) for k in _PARTS}} for p in pool.positions]
        rest = {"alone": None, "marginal": None, "euler": pool.residual}
        rows.append({**base, "symbol": "not by size", "quantity": None, **rest})
        total = {"alone": None, "marginal": None, "euler": pool.requirement}
        rows.append({**base, "symbol": "requirement", "quantity": None, **total})
    _show(rows, kind)
    return _warned(told, account)


_PARTS = ("symbol", "quantity", "alone", "marginal", "euler")
_GREEKS = ("pool", "currency", "underlying", "spot", "curvature", "vol", "delta", "gamma", "vega")


def _pairs(values: Sequence[str], option: str) -> dict[str, float]:
    found = {}
    for value in values:
        key, _, number = value.rpartition("=")
        try:
            found[key] = float(number)
        except ValueError as fault:
            raise click.UsageError(f"{option} {value!r}: write SYMBOL=SIZE") from fault
        if not key or not 0.0 < found[key] < float("inf"):
            raise click.UsageError(f"{option} {value!r}: write SYMBOL=SIZE with a size above zero")
    return found


def _fraction(text: str, option: str) -> float:
    try:
        return float(text.rstrip("%")) / 100.0 if text.endswith("%") else float(text)
    except ValueError as fault:
        raise click.UsageError(f"{option} {text!r}: write -30% or -0.3") from fault


@click.command(name="optimise")
@case_options
@_level
@_name
@click.option("--free", type=float, metavar="AMOUNT", help="Margin to free, in the pool's currency.")
@click.option("--distance", metavar="MOVE", help="No liquidation nearer than this move: -30% or 40%.")
@click.option("--pool", metavar="NAME", help="Cross pool, such as 'cross BTC'; by default the only one.")
@click.option("--half-spread", default=0.0005, show_default=True, help="Of notional; an option's of premium.")
@click.option("--fee", default=0.0, show_default=True, help="Of notional, where an instrument names no fee.")
@click.option("--lot", "lots", multiple=True, metavar="SYMBOL=SIZE", help="Smallest size that is traded.")
@format_option
def optimise_command(
    file: str,
    rules: str | None,
    schedule: str | None,
    moves: Sequence[str],
    level: str,
    name: str | None,
    free: float | None,
    distance: str | None,
    pool: str | None,
    half_spread: float,
    fee: float,
    lots: Sequence[str],
    kind: str,
) -> int:
    """The cheapest trades in FILE that free margin or move liquidation away, assessed exactly."""
    if (free is None) == (distance is None):
        raise click.UsageError("say what is wanted: --free AMOUNT or --distance MOVE")
    told, account = _told(file, rules, schedule, moves, name)
    target: Target = (
        Distance(_fraction(distance, "--distance"))
        if distance is not None
        else Free(free or 0.0, LEVELS.index(level))
    )
    sizes = _pairs(lots, "--lot")
    for symbol in sizes:
        if symbol not in told.case.market.instruments:
            known = ", ".join(told.case.market.instruments)
            raise invalid(
                symbol, Reason.UNKNOWN_INSTRUMENT, f"has a --lot but no place in the market; it has {known}"
            )
    costs = Costs(half_spread, fee, sizes)
    try:
        found = optimise(account, told.case.market, told.rulebook, target, pool, costs)
    except ValueError as fault:
        raise click.UsageError(str(fault)) from fault
    _show(_trades(found, kind), kind)
    return _told_outcome(found, told, account, kind)


def _trades(found: Proposal, kind: str) -> list[dict[str, Any]]:
    rows = [
        {"pool": found.pool, "symbol": leg.symbol, "quantity": leg.quantity, "price": leg.price}
        for leg in found.legs
    ]
    if _is_text(kind):
        return rows
    return [
        {**row, "total_cost": found.cost, "reached": found.reached, "why": found.why or None} for row in rows
    ]


def _told_outcome(found: Proposal, told: Inputs, account: Account, kind: str) -> int:
    market = told.case.market
    if not found.legs and found.reached:
        click.echo("the target holds without a trade", err=True)
    if _is_text(kind):
        click.echo(f"cost {money(found.cost, market.numeraire)} {market.numeraire}")
        for what, assessment in (("before", found.before), ("after", found.after)):
            pool = next(p for p in assessment.pools if p.name == found.pool)
            amounts = ", ".join(
                f"{k} {money(getattr(pool, k), pool.currency)}"
                for k in ("available", "initial", "maintenance")
            )
            click.echo(f"{what}: {amounts} {pool.currency}, {pool.status}")
    code = _warned(told, account)
    if not found.reached:
        click.echo(f"error: {found.pool}: target not reached: {found.why}", err=True)
        return 1
    return 0 if code != 1 else 1


@click.command()
@case_options
@_name
@click.option(
    "--moves", "prices", metavar="LIST", help="Price moves: -50%,-10%,0,10%; a wide set by default."
)
@click.option("--vol-moves", "vols", metavar="LIST", help="Moves of options' vols: -30%,0,30%.")
@click.option("--along", metavar="ASSET", help="Move one asset; by default all underlyings together.")
@click.option("--basis", is_flag=True, help="Move each perpetual's and future's mark alone, its index held.")
@click.option("--reverse", is_flag=True, help="The smallest shocks that make a pool liquidatable.")
@format_option
def stress(
    file: str,
    rules: str | None,
    schedule: str | None,
    moves: Sequence[str],
    name: str | None,
    prices: str | None,
    vols: str | None,
    along: str | None,
    basis: bool,
    reverse: bool,
    kind: str,
) -> int:
    """Each pool in FILE under price and vol moves, under basis shocks, or what breaks it."""
    told, account = _told(file, rules, schedule, moves, name)
    case = (account, told.case.market, told.rulebook)
    shifts = _moves(prices, "--moves")
    if reverse:
        rows = _reverse_rows(reverse_stress(*case))
    elif basis:
        found = basis_cells(*case, *((shifts,) if shifts else ()))
        rows = [{"symbol": symbol, **_cell(cell)} for symbol, cell in found]
    else:
        cells = matrix(*case, shifts or MOVES, _moves(vols, "--vol-moves") or VOL_MOVES, along)
        if kind == "table" and len({cell.vol_move for cell in cells}) > 1:
            _show_matrix(cells)
            return _warned(told, account)
        rows = [_cell(cell) for cell in cells]
    # A table tells what happens; the data have every amount.
    _show(rows, kind, () if reverse else ("initial", "maintenance"))
    return _warned(told, account)


def _show_matrix(cells: Sequence[Cell]) -> None:
    # A pool is a page of two grids: what is gained, and how much of the margin balance maintenance takes.
    for pool in dict.fromkeys(cell.pool for cell in cells):
        mine = [cell for cell in cells if cell.pool == pool]
        currency = mine[0].currency
        grids: tuple[tuple[str, Callable[[Cell], str]], ...] = (
            (f"profit [{currency}]", lambda cell: money(cell.profit, cell.currency)),
            ("maintenance over margin balance", _told_ratio),
        )
        for title, text in grids:
            click.echo(f"{pool}: {title}; rows are price moves, columns vol moves")
            rows: dict[float, dict[str, str]] = {}
            for cell in mine:
                row = rows.setdefault(cell.price_move, {"price": f"{cell.price_move:+.0%}"})
                row[f"vol {cell.vol_move:+.0%}"] = text(cell)
            table = list(rows.values())
            show(table, [Column(k, k, str, k == "price") for k in table[0]], "table")
            click.echo()


def _told_ratio(cell: Cell) -> str:
    return (
        f"{percent(cell.ratio)} {cell.status}" if cell.status is not Status.HEALTHY else percent(cell.ratio)
    )


def _moves(text: str | None, option: str) -> tuple[float, ...]:
    found = tuple(_fraction(part.strip(), option) for part in text.split(",")) if text else ()
    if not all(-1.0 < move < 100.0 for move in found):
        raise click.UsageError(f"{option} {text!r}: a move is above -100%")
    return found


def _cell(cell: Cell) -> dict[str, Any]:
    keys = (
        "pool",
        "price_move",
        "vol_move",
        "profit",
        "equity",
        "initial",
        "maintenance",
        "ratio",
        "currency",
    )
    return {**{k: getattr(cell, k) for k in keys}, "status": str(cell.status)}


def _reverse_rows(found: ReverseStress) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for pool in found.prices:
        for single in (pool, *pool.each):
            base = {"pool": single.pool, "kind": "price", "what": single.along}
            bounds = [b for side in ("down", "up") for b in single.bounds if b.side == side]
            nearest = {b.side: b for b in reversed(bounds)}
            rows += [
                {**base, "side": b.side, "move": b.factor - 1.0, "sigma": b.sigma, "binds": b.binds}
                for b in nearest.values()
            ]
            if not bounds:
                rows.append({**base, "side": "none", "move": None, "sigma": None, "binds": single.reason})
        if pool.joint is not None:
            told = ", ".join(f"{name} {percent(factor - 1.0)}" for name, factor in pool.joint.factors)
            joint = {"pool": pool.pool, "kind": "price", "what": "nearest joint move", "side": "joint"}
            rows.append({**joint, "move": None, "sigma": pool.joint.sigma, "binds": told})
    for shock in found.shocks:
        why = "" if shock.move is not None else "none within reach"
        place = {"pool": shock.pool, "kind": shock.kind, "what": shock.what, "side": shock.side}
        rows.append({**place, "move": shock.move, "sigma": None, "binds": why})
    return rows


COMMANDS = {
    "offset": offset,
    "contributions": contributions_command,
    "optimise": optimise_command,
    "stress": stress,
}
