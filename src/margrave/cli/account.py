"""Commands on an account: demo, margin, explain, liquidation, whatif, compare, plot."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from margrave.cli.inputs import (
    Inputs,
    case_options,
    echo_json,
    format_option,
    inputs,
    parse_moves,
    pick_schedule,
    read_case,
    read_rules,
    show,
    warn,
)
from margrave.core.errors import Reason, invalid
from margrave.core.words import MarginMode
from margrave.engine.assess import assess_all
from margrave.engine.assessment import Assessment
from margrave.engine.compare import compare, variants
from margrave.engine.whatif import Leg, what_if
from margrave.liquidation import PoolLiquidation, liquidations
from margrave.report.number import money, percent, price, quantity
from margrave.report.tables import Column
from margrave.report.tree import as_dict, lines

_POOLS = (
    Column("pool", "pool", left=True),
    Column("equity", "equity_shown"),
    Column("balance", "balance_shown"),
    Column("initial", "initial_shown"),
    Column("maintenance", "maintenance_shown"),
    Column("used", "ratio", percent),
    Column("status", "status", left=True),
)
_POOLS_RAW = tuple(
    Column(key, key)
    for key in (
        "account",
        "pool",
        "mode",
        "currency",
        "equity",
        "margin_balance",
        "initial",
        "maintenance",
        "order_margin",
        "available",
        "ratio",
        "status",
    )
)
_POSITIONS = (
    Column("instrument", "symbol", left=True),
    Column("size", "quantity", quantity),
    Column("mark", "mark", price),
    Column("profit", "profit_shown"),
    Column("initial", "initial_shown"),
    Column("maintenance", "maintenance_shown"),
)


def _pool_rows(assessments: Iterable[Assessment]) -> list[dict[str, Any]]:
    rows = []
    for assessment in assessments:
        for pool in assessment.pools:
            rows.append(
                {
                    "account": assessment.account,
                    "pool": pool.name,
                    "mode": pool.mode,
                    "currency": pool.currency,
                    "equity": pool.equity,
                    "margin_balance": pool.margin_balance,
                    "initial": pool.initial,
                    "maintenance": pool.maintenance,
                    "order_margin": pool.order_margin,
                    "available": pool.available,
                    "ratio": pool.ratio,
                    "status": str(pool.status),
                    "equity_shown": money(pool.equity, pool.currency),
                    "balance_shown": money(pool.margin_balance, pool.currency),
                    "initial_shown": money(pool.initial, pool.currency),
                    "maintenance_shown": money(pool.maintenance, pool.currency),
                }
            )
    return rows


def _position_rows(assessment: Assessment) -> list[dict[str, Any]]:
    return [
        {
            "symbol": f"{p.symbol}",
            "quantity": p.quantity,
            "entry": p.entry,
            "mark": p.mark,
            "profit_shown": money(p.profit, p.currency),
            "initial_shown": money(p.initial, p.currency),
            "maintenance_shown": money(p.maintenance, p.currency),
        }
        for pool in assessment.pools
        for p in pool.positions
    ]


def _heading(told: Inputs, assessment: Assessment) -> str:
    book = told.rulebook
    return f"{assessment.account} under {book.id} of {book.valid_from:%Y-%m-%d} ({book.title}), {assessment.at:%Y-%m-%d %H:%M} UTC"


def _margin(told: Inputs, kind: str) -> int:
    assessments = assess_all(told.case.accounts, told.case.market, told.rulebook)
    if kind == "json":
        echo_json([a.to_dict() for a in assessments])
    elif kind == "csv":
        show(_pool_rows(assessments), _POOLS_RAW, kind)
    else:
        for assessment in assessments:
            click.echo(_heading(told, assessment))
            click.echo()
            if rows := _position_rows(assessment):
                show(rows, _POSITIONS, kind)
                click.echo()
            show(_pool_rows([assessment]), _POOLS, kind)
            for pool in assessment.pools:
                if pool.order_margin:
                    click.echo(
                        f"open orders in {pool.name}: {money(pool.order_margin, pool.currency)} {pool.currency} of initial margin"
                    )
    return warn(assessments)


@click.command()
@case_options
@format_option
def margin(file: str, rules: str | None, schedule: str | None, moves: Sequence[str], kind: str) -> int:
    """Equity, initial and maintenance margin of every pool in FILE (a case; - reads standard input)."""
    return _margin(inputs(file, rules, schedule, moves), kind)


@click.command()
@case_options
@click.option(
    "--level", type=click.Choice(["initial", "maintenance"]), default="maintenance", show_default=True
)
@click.option("--pool", type=int, help="Number of the pool, from 0; all by default.")
@click.option("--format", "kind", type=click.Choice(["table", "json"]), default="table", show_default=True)
def explain(
    file: str,
    rules: str | None,
    schedule: str | None,
    moves: Sequence[str],
    level: str,
    pool: int | None,
    kind: str,
) -> int:
    """Show each requirement in FILE as a tree: every factor, tier row, rule code and source."""
    told = inputs(file, rules, schedule, moves)
    assessments = assess_all(told.case.accounts, told.case.market, told.rulebook)
    trees: list[Any] = []
    for assessment in assessments:
        chosen = range(len(assessment.pools)) if pool is None else [pool]
        if pool is not None and not 0 <= pool < len(assessment.pools):
            raise click.UsageError(
                f"--pool {pool}: {assessment.account} has pools 0 to {len(assessment.pools) - 1}"
            )
        for k in chosen:
            tree = assessment.explain(level, k)
            if kind == "json":
                trees.append(
                    {"account": assessment.account, "pool": assessment.pools[k].name, "tree": as_dict(tree)}
                )
            else:
                click.echo(f"{assessment.account}: {assessment.pools[k].name}")
                click.echo("\n".join(lines(tree)) + "\n")
    if kind == "json":
        echo_json(trees)
    else:
        sources = "; ".join(f"{s.id} {s.url}" for s in told.rulebook.sources)
        click.echo(f"sources of {told.rulebook.id}: {sources}")
    return warn(assessments)


_BOUNDS = (
    Column("instrument", "instrument", left=True),
    Column("along", "along", left=True),
    Column("side", "side", left=True),
    Column("price", "price", price),
    Column("distance", "distance", percent),
    Column("sigma/day", "sigma", lambda s: f"{s:.2f}"),
    Column("touched", "touch_probability", lambda p: percent(p, 3)),
    Column("bankruptcy", "bankruptcy", price),
)
_BOUNDS_RAW = (
    *(
        Column(k, k)
        for k in ("account", "pool", "instrument", "along", "side", "price", "exact", "distance", "sigma")
    ),
    *(Column(k, k) for k in ("touch_probability", "bankruptcy", "binds", "method")),
)


def _show_bounds(rows: list[dict[str, Any]], kind: str) -> None:
    if kind in ("json", "csv"):
        show(rows, _BOUNDS_RAW, kind)
        return
    found = [row for row in rows if row["side"] in ("up", "down")]
    if found:
        show(found, _BOUNDS, kind)
    for row in rows:
        place = f"{row['side']} {price(row['price'])}: " if "price" in row else ""
        click.echo(f"{row['pool']} pool along {row['along']}: {place}{row['binds']}")


def _bound_rows(account: str, found: Iterable[PoolLiquidation]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for pool in found:
        base = {"account": account, "pool": pool.pool, "instrument": pool.instrument, "along": pool.along}
        if not pool.bounds:
            rows.append({**base, "side": "none", "binds": pool.reason})
        for bound in pool.bounds:
            told = {
                k: getattr(bound, k)
                for k in (
                    "side",
                    "price",
                    "exact",
                    "distance",
                    "sigma",
                    "touch_probability",
                    "bankruptcy",
                    "binds",
                    "method",
                )
            }
            rows.append({**base, **told})
        rows += _bound_rows(account, pool.each)
        if pool.joint is not None:
            moves = ", ".join(f"{name} {factor - 1:+.2%}" for name, factor in pool.joint.factors)
            rows.append(
                {
                    **base,
                    "along": "nearest joint move",
                    "side": "joint",
                    "sigma": pool.joint.sigma,
                    "binds": moves,
                }
            )
    return rows


@click.command()
@case_options
@click.option(
    "--along", metavar="ASSET|common", help="One asset, or all together; by default the pool's own."
)
@format_option
def liquidation(
    file: str, rules: str | None, schedule: str | None, moves: Sequence[str], along: str | None, kind: str
) -> int:
    """The set of prices at which each pool in FILE is liquidated, or the reason why there is none."""
    told = inputs(file, rules, schedule, moves)
    path = "common factor" if along == "common" else along
    rows = []
    for account in told.case.accounts:
        rows += _bound_rows(account.name, liquidations(account, told.case.market, told.rulebook, path))
    _show_bounds(rows, kind)
    return warn(assess_all(told.case.accounts, told.case.market, told.rulebook))


def parse_leg(text: str) -> Leg:
    """A trade from ``SYMBOL:SIZE`` or ``SYMBOL:SIZE@PRICE``."""
    symbol, _, rest = text.rpartition(":")
    size, _, at = rest.partition("@")
    try:
        return Leg(symbol, float(size), float(at) if at else None)
    except ValueError as fault:
        raise click.UsageError(
            f"--leg {text!r}: write SYMBOL:SIZE@PRICE, such as BTC-PERPETUAL:-20000@60000"
        ) from fault


@click.command()
@click.argument("file", metavar="FILE", default="-")
@click.option(
    "--leg",
    "legs",
    multiple=True,
    metavar="SYMBOL:SIZE[@PRICE]",
    help="A trade; at the mark without a price.",
)
@click.option(
    "--price",
    "moves",
    multiple=True,
    metavar="ASSET=MOVE",
    help="A price move after the trades: BTC=-5% or BTC=62000.",
)
@click.option("--rules", metavar="ID[@DATE]|FILE")
@click.option("--schedule", metavar="NAME|none")
@format_option
def whatif(
    file: str, legs: Sequence[str], moves: Sequence[str], rules: str | None, schedule: str | None, kind: str
) -> int:
    """Each pool in FILE before and after trades or price moves, with the change."""
    told = inputs(file, rules, schedule, ())
    account = told.case.accounts[0]
    result = what_if(
        account, told.case.market, told.rulebook, tuple(map(parse_leg, legs)), parse_moves(moves, told.case)
    )
    before = {pool.name: pool for pool in result.before.pools}
    now = {p.pool: p for p in liquidations(account, told.case.market, told.rulebook)}
    then = {p.pool: p for p in liquidations(result.account, result.market, told.rulebook)}
    rows = []
    for pool in result.after.pools:
        was = before.get(pool.name)
        for name in ("equity", "margin_balance", "initial", "maintenance", "available"):
            old, new = (getattr(was, name) if was else 0.0), getattr(pool, name)
            rows.append(
                {
                    "pool": pool.name,
                    "what": name.replace("_", " "),
                    "before": old,
                    "after": new,
                    "change": new - old,
                    "currency": pool.currency,
                }
            )
    shown = (
        [{**r, **{k: money(r[k], r["currency"]) for k in ("before", "after", "change")}} for r in rows]
        if kind in ("table", "md")
        else rows
    )
    show(
        shown,
        [
            Column(k, k, left=k in ("pool", "what"))
            for k in ("pool", "what", "before", "after", "change", "currency")
        ],
        kind,
    )
    if kind == "table":
        click.echo(f"\nliquidation before: {_told(now)}\nliquidation after:  {_told(then)}")
    return warn([result.after])


def _told(pools: dict[str, PoolLiquidation]) -> str:
    told = []
    for name, pool in pools.items():
        bounds = (
            ", ".join(f"{b.side} {price(b.price)} ({b.distance:+.2%})" for b in pool.bounds)
            or f"none ({pool.reason})"
        )
        told.append(f"{name} {bounds}")
    return "; ".join(told)


@click.command(name="compare")
@click.argument("file", metavar="FILE", default="-")
@click.option("--rules", metavar="ID,ID", help="Rulebooks; by default the one that the case names.")
@click.option(
    "--schedule", metavar="NAME,NAME", default="", help="Directional schedules; none is no schedule."
)
@click.option(
    "--mode", metavar="cross,isolated", default="", help="Margin modes; by default as the account has them."
)
@format_option
def compare_command(file: str, rules: str | None, schedule: str, mode: str, kind: str) -> int:
    """The account in FILE under every combination of rules, schedules and modes; the first is the reference."""
    case = read_case(file)
    books = tuple(read_rules(name, case) for name in (rules.split(",") if rules else [None]))
    try:
        modes = tuple(MarginMode(m) for m in mode.split(",")) if mode else (None,)
    except ValueError as fault:
        raise click.UsageError(f"--mode {mode!r}: write cross, isolated, or both with a comma") from fault
    plans = tuple(pick_schedule(s, books[0]) for s in schedule.split(",")) if schedule else (None,)
    chosen = variants(books, plans, modes)
    rows = []
    for row in compare(case.accounts[0], case.market, chosen):
        amount = money if kind in ("table", "md") else (lambda a, _: a)
        rows.append(
            {
                "variant": row.variant or "as it is",
                "pool": row.pool.name,
                "initial": amount(row.pool.initial, row.pool.currency),
                "maintenance": amount(row.pool.maintenance, row.pool.currency),
                "saving": row.saving,
                "below": row.below.price if row.below else None,
                "above": row.above.price if row.above else None,
                "status": str(row.pool.status),
                "why": row.why or "the reference",
            }
        )
    columns = [Column(k, k, f, k in ("variant", "pool", "status", "why")) for k, f in _COMPARED.items()]
    show(rows, columns if kind in ("json", "csv") else columns[:-1], kind)
    if kind == "table":
        for row in rows:
            click.echo(f"{row['variant']}: {row['why']}")
    return 0


_COMPARED: dict[str, Callable[[Any], str]] = {
    "variant": str,
    "pool": str,
    "initial": str,
    "maintenance": str,
    "saving": percent,
    "below": price,
    "above": price,
    "status": str,
    "why": str,
}


@click.command(name="plot")
@case_options
@click.option("--what", default="margin,payoff", show_default=True, metavar="payoff,margin,equity")
@click.option("--asset", help="Asset on the horizontal axis; by default the first position's.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("margrave.png"),
    show_default=True,
)
def plot_command(
    file: str,
    rules: str | None,
    schedule: str | None,
    moves: Sequence[str],
    what: str,
    asset: str | None,
    output: Path,
) -> int:
    """Payoff, margin and equity of FILE against price, as an image with the liquidation prices marked."""
    from margrave.report.plots import WHAT, plot

    wanted = what.split(",")
    if unknown := [w for w in wanted if w not in WHAT]:
        raise click.UsageError(f"--what {unknown[0]!r}: choose from {', '.join(WHAT)}")
    told = inputs(file, rules, schedule, moves)
    account = told.case.accounts[0]
    if not account.positions:
        raise invalid(file, Reason.NOT_FOUND, "has no position to draw; add one")
    asset = asset or told.case.market.instruments[account.positions[0].symbol].base
    plot(account, told.case.market, told.rulebook, asset, wanted, output)
    click.echo(str(output))
    return 0


@click.command()
def demo() -> int:
    """A made account that ships with Margrave: its margin, where it is liquidated, and why."""
    told = inputs("example:inverse", None, None, ())
    click.echo(f"{told.case.title}\n")
    code = _margin(told, "table")
    account = told.case.accounts[0]
    click.echo("\nwhere it is liquidated")
    _show_bounds(_bound_rows(account.name, liquidations(account, told.case.market, told.rulebook)), "table")
    click.echo("\nwhy: the maintenance margin as a tree")
    (assessment,) = assess_all((account,), told.case.market, told.rulebook)
    click.echo("\n".join(lines(assessment.explain("maintenance"))))
    click.echo("\ntry next:")
    click.echo("  margrave whatif example:inverse --leg BTC-PERPETUAL:-50000 --price BTC=-8%")
    click.echo("  margrave compare example:inverse --rules example.flat,deribit.sm,example.inverse")
    click.echo("  margrave explain example:inverse --level initial")
    return code


COMMANDS = {
    "demo": demo,
    "margin": margin,
    "explain": explain,
    "liquidation": liquidation,
    "whatif": whatif,
    "compare": compare_command,
    "plot": plot_command,
}
