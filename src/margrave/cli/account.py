"""Commands on an account as it is: demo, margin, explain, liquidation, plot."""

from collections.abc import Iterable, Sequence
from math import isnan
from pathlib import Path
from typing import Any

import click

from margrave.cli.inputs import (
    Inputs,
    case_options,
    echo_json,
    format_option,
    inputs,
    pick_account,
    show,
    warn,
)
from margrave.core.errors import Reason, invalid
from margrave.core.words import LEVELS, LIQUIDATION_END
from margrave.engine.assess import assess, assess_all
from margrave.engine.assessment import Assessment, PoolAssessment, Status
from margrave.engine.explain import levels_of
from margrave.liquidation import COMMON_FACTOR, PoolLiquidation, liquidations
from margrave.margin.plan import plan_of, product_of
from margrave.report.number import money, percent, price, quantity
from margrave.report.tables import Column
from margrave.report.tree import as_dict, lines
from margrave.rulebook.schema import PortfolioMember

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


def _position_rows(told: Inputs, assessment: Assessment) -> list[dict[str, Any]]:
    # What is margined together with its pool has no requirement of its own, and what no rule covers has an
    # unknown one: neither is zero.
    plan = plan_of(told.rulebook)
    products = {symbol: product_of(plan, i) for symbol, i in told.case.market.instruments.items()}

    def asked(symbol: str, amount: float, currency: str) -> str | None:
        product = products.get(symbol)
        if product is None:
            return "unknown"
        return None if isinstance(product.model, PortfolioMember) else money(amount, currency)

    return [
        {
            "symbol": f"{p.symbol}",
            "quantity": p.quantity,
            "entry": p.entry,
            "mark": p.mark,
            "profit_shown": money(p.profit, p.currency),
            "initial_shown": asked(p.symbol, p.initial, p.currency),
            "maintenance_shown": asked(p.symbol, p.maintenance, p.currency),
        }
        for pool in assessment.pools
        for p in pool.positions
    ]


def _heading(told: Inputs, assessment: Assessment) -> str:
    book = told.rulebook
    place = f"{assessment.account} under {book.id} of {book.valid_from:%Y-%m-%d}, {assessment.at:%Y-%m-%d %H:%M} UTC"
    return f"{place}\n{book.title}"


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
            if rows := _position_rows(told, assessment):
                show(rows, _POSITIONS, kind)
                click.echo()
            show(_pool_rows([assessment]), _POOLS, kind)
            for pool in assessment.pools:
                _more_of(pool)
    return warn(assessments)


def _more_of(pool: PoolAssessment) -> None:
    if pool.band:
        click.echo(f"band of {pool.name}: {pool.band}")
    if pool.liquidation_end is not None and not isnan(pool.liquidation_end):
        end = money(pool.liquidation_end, pool.currency)
        click.echo(f"a liquidation of {pool.name} would end at a balance of {end} {pool.currency}")
    if pool.order_margin:
        asked = money(pool.order_margin, pool.currency)
        click.echo(f"open orders in {pool.name}: {asked} {pool.currency} of initial margin")


@click.command()
@case_options
@format_option
def margin(file: str, rules: str | None, schedule: str | None, moves: Sequence[str], kind: str) -> int:
    """Equity, initial and maintenance margin of every pool in FILE."""
    return _margin(inputs(file, rules, schedule, moves), kind)


@click.command()
@case_options
@click.option(
    "--level",
    type=click.Choice([*LEVELS, LIQUIDATION_END]),
    default="maintenance",
    show_default=True,
    help="liquidation-end where the rulebook knows that level.",
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
    if level not in levels_of(told.rulebook):
        raise click.UsageError(
            f"--level {level}: {told.rulebook.id} knows {' and '.join(levels_of(told.rulebook))}"
        )
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
        click.echo(f"sources of {told.rulebook.id}:")
        for source in told.rulebook.sources:
            click.echo(f"  {source.id} {source.url}")
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
        click.echo(f"{row['pool']} along {row['along']}: {place}{row['binds']}")


def _bounds_of(told: Inputs, assessments: Iterable[Assessment], along: str | None) -> list[dict[str, Any]]:
    rows = []
    for account, assessment in zip(told.case.accounts, assessments, strict=True):
        found = liquidations(account, told.case.market, told.rulebook, along)
        for pool, bounds in zip(assessment.pools, found, strict=True):
            rows += _bound_rows(account.name, pool.name, (bounds,))
    return rows


def _bound_rows(account: str, name: str, found: Iterable[PoolLiquidation]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for pool in found:
        base = {"account": account, "pool": name, "instrument": pool.instrument, "along": pool.along}
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
        rows += _bound_rows(account, name, pool.each)
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
    "--along",
    metavar="ASSET|common|joint",
    help="One asset, all by one factor, or the likeliest joint move; by default the pool's own.",
)
@format_option
def liquidation(
    file: str, rules: str | None, schedule: str | None, moves: Sequence[str], along: str | None, kind: str
) -> int:
    """The set of prices at which each pool in FILE is liquidated, or the reason why there is none."""
    told = inputs(file, rules, schedule, moves)
    assessments = assess_all(told.case.accounts, told.case.market, told.rulebook)
    if along not in (None, "common", "joint") and told.case.market.index_of(along) is None:
        known = ", ".join(("common", "joint", *told.case.market.index))
        raise invalid(along, Reason.MISSING_INDEX, f"has no index price to move along; choose from {known}")
    path = {"common": COMMON_FACTOR, "joint": None}.get(along or "", along)
    rows = _bounds_of(told, assessments, path)
    if along == "joint":
        rows = [row for row in rows if row["side"] == "joint"]
        if not rows:
            click.echo("no pool has several underlyings: there is no joint move", err=True)
    _show_bounds(rows, kind)
    return warn(assessments)


@click.command(name="plot")
@case_options
@click.option("--what", default="margin,payoff", show_default=True, metavar="payoff,margin,equity")
@click.option("--account", "name", metavar="NAME", help="Which account, where the case has several.")
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
    name: str | None,
    output: Path,
) -> int:
    """Payoff, margin and equity of FILE against price, as an image with the liquidation prices marked."""
    from margrave.report.plots import WHAT, plot

    wanted = what.split(",")
    if unknown := [w for w in wanted if w not in WHAT]:
        raise click.UsageError(f"--what {unknown[0]!r}: choose from {', '.join(WHAT)}")
    told = inputs(file, rules, schedule, moves)
    account = pick_account(told.case, name)
    if not account.positions:
        raise invalid(file, Reason.NOT_FOUND, "has no position to draw; add one")
    asset = asset or told.case.market.instruments[account.positions[0].symbol].base
    plot(account, told.case.market, told.rulebook, asset, wanted, output)
    click.echo(str(output))
    assessment = assess(account, told.case.market, told.rulebook)
    return warn([assessment]) if assessment.status is Status.UNKNOWN else 0


@click.command()
def demo() -> int:
    """A made account that ships with Margrave: its margin, where it is liquidated, and why."""
    told = inputs("example:inverse", None, None, ())
    click.echo(f"{told.case.title}\n")
    code = _margin(told, "table")
    account = told.case.accounts[0]
    click.echo("\nwhere it is liquidated")
    (assessment,) = assess_all((account,), told.case.market, told.rulebook)
    _show_bounds(_bounds_of(told, (assessment,), None), "table")
    click.echo("\nwhy: the maintenance margin as a tree")
    click.echo("\n".join(lines(assessment.explain("maintenance"))))
    sources = "; ".join(source.url for source in told.rulebook.sources)
    click.echo(f"\nrules: {told.rulebook.id}, in force from {told.rulebook.valid_from:%Y-%m-%d}; {sources}")
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
    "plot": plot_command,
}
