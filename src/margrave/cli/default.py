"""Command on accounts that cannot pay: liquidate."""

from collections.abc import Iterator, Sequence
from typing import Any

import click

from margrave.cli.inputs import Inputs, case_options, format_option, inputs, pick_account, show
from margrave.domain.account import Account
from margrave.engine.default.closing import LiquidationRule
from margrave.engine.default.unwind import Step, Unwinding, unwind
from margrave.engine.default.waterfall import Terms, Waterfall, waterfall
from margrave.report.tables import Column

_STEPS = ("account", "pool", "action", "what", "cost", "equity", "maintenance", "why")
_LEDGER = ("stage", "asset", "from", "to", "units", "why")
_FIGURES = ("cost", "equity", "maintenance")
_LEFT = {"account", "pool", "action", "what", "why", "stage", "asset", "from", "to"}


@click.command()
@case_options
@click.option("--account", "name", metavar="NAME", help="Which account, where the case has several.")
@click.option("--buffer", default=0.0, show_default=True, help="Fraction of maintenance to reach beyond it.")
@click.option(
    "--slice", "share", default=0.25, show_default=True, help="Share of a position closed at a time."
)
@click.option("--lot", default=0.0, help="Contracts that a slice is a whole number of.")
@click.option("--slippage", default=0.0, show_default=True, help="Fraction of the mark that fills are worse.")
@click.option("--fee", default=0.0, show_default=True, help="Fraction of notional to the venue.")
@click.option("--penalty", default=0.0, show_default=True, help="Fraction of notional to the insurance fund.")
@click.option(
    "--fund", "funds", multiple=True, metavar="ASSET=AMOUNT", help="Insurance fund: show who pays what."
)
@format_option
def liquidate(
    file: str,
    rules: str | None,
    schedule: str | None,
    moves: Sequence[str],
    name: str | None,
    buffer: float,
    share: float,
    lot: float,
    slippage: float,
    fee: float,
    penalty: float,
    funds: Sequence[str],
    kind: str,
) -> int:
    """Every step of the liquidation of the account in FILE; with --fund, of all accounts and who pays."""
    told = inputs(file, rules, schedule, moves)
    try:
        rule = LiquidationRule(
            buffer=buffer,
            slice_share=share,
            lot=lot,
            slippage=slippage,
            fee_rate=fee,
            penalty_rate=penalty,
        )
        terms = Terms(rule, dict(map(_amount, funds)))
    except ValueError as fault:
        raise click.UsageError(str(fault)) from fault
    if funds:
        return _waterfall(told, terms, kind)
    account = pick_account(told.case, name)
    done = unwind(account, told.case.market, told.rulebook, rule)
    rows = list(_rows(account, done))
    if kind in ("table", "md"):
        rows = [{**row, **{k: f"{row[k]:.8g}" for k in _FIGURES}} for row in rows]
    _show(rows, _STEPS, kind)
    for pool in done.pools:
        owed = f", {pool.deficit:.10g} {pool.currency} are missing" if pool.deficit else ""
        click.echo(f"{pool.pool}: {pool.outcome}{owed}", err=True)
    return 0


def _amount(text: str) -> tuple[str, float]:
    asset, _, amount = text.partition("=")
    try:
        return asset, float(amount)
    except ValueError as fault:
        raise click.UsageError(f"--fund {text!r}: write ASSET=AMOUNT, such as BTC=2.5") from fault


def _show(rows: list[dict[str, Any]], keys: Sequence[str], kind: str) -> None:
    show(rows, [Column(k, k, left=k in _LEFT) for k in keys], kind)


def _rows(account: Account, done: Unwinding) -> Iterator[dict[str, Any]]:
    for step in done.steps:
        yield {
            "account": account.name,
            "pool": step.pool,
            "action": step.action,
            "what": _what(step),
            "cost": step.cost,
            "equity": step.after.equity,
            "maintenance": step.after.maintenance,
            "why": step.why,
        }


def _what(step: Step) -> str:
    if step.orders:
        return f"{len(step.orders)} open orders"
    return ", ".join(f"{f.quantity:.10g} {f.symbol} at {f.price:.10g}" for f in step.fills)


def _waterfall(told: Inputs, terms: Terms, kind: str) -> int:
    result: Waterfall = waterfall(told.case.accounts, told.case.market, told.rulebook, terms)
    rows = [
        {
            "stage": str(t.stage),
            "asset": t.asset,
            "from": t.payer,
            "to": t.receiver,
            "units": t.units,
            "why": t.why,
        }
        for t in result.ledger.transfers
    ]
    _show(rows, _LEDGER, kind)
    for left in result.uncovered:
        click.echo(f"{left.account}, {left.pool}: nobody pays {left.amount:.10g} {left.asset}", err=True)
    return 0


COMMANDS = {"liquidate": liquidate}
