"""Command on accounts that cannot pay: liquidate."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from margrave.cli.inputs import Inputs, case_options, format_option, inputs, pick_account, show, warn
from margrave.domain.account import Account
from margrave.domain.instruments import payoff_asset
from margrave.engine.assess import assess
from margrave.engine.default.closing import LiquidationRule
from margrave.engine.default.unwind import Outcome, PoolUnwinding, Step, Unwinding, unwind
from margrave.engine.default.waterfall import Terms, Waterfall, waterfall
from margrave.report.number import money, price, quantity
from margrave.report.tables import Column

_STEPS = ("account", "pool", "action", "what", "cost", "equity", "maintenance", "why")
_SHORT = ("step", "cost", "equity", "maintenance", "why")
_LEDGER = ("stage", "asset", "from", "to", "units", "why")
_LEFT = {"account", "pool", "action", "what", "step", "why", "stage", "asset", "from", "to"}


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
        _require_assets(told, terms.fund)
        return _waterfall(told, terms, kind)
    account = pick_account(told.case, name)
    done = unwind(account, told.case.market, told.rulebook, rule)
    if kind == "table":
        _tables(account, done)
    else:
        _show(list(_rows(account, done, kind == "md")), _STEPS, kind)
    for pool in done.pools:
        click.echo(f"{pool.pool}: {_end(pool)}", err=True)
    if any(pool.outcome is Outcome.UNKNOWN for pool in done.pools):
        return warn([assess(account, told.case.market, told.rulebook)])
    return 0


def _require_assets(told: Inputs, funds: Iterable[str]) -> None:
    # A fund in an asset that nobody here can owe is a slip of the pen.
    listed = told.case.market.instruments.values()
    known = {asset for i in listed for asset in (i.settlement, payoff_asset(i))} | set(told.case.market.index)
    known |= {balance.asset for account in told.case.accounts for balance in account.balances}
    for asset in funds:
        if asset not in known:
            raise click.UsageError(
                f"--fund {asset}: no account, instrument or index price of the case is in it; choose from {', '.join(sorted(known))}"
            )


def _tables(account: Account, done: Unwinding) -> None:
    # A table a pool: what is the same in every row is told above it.
    broken = [pool for pool in done.pools if pool.steps]
    for pool in broken:
        click.echo(f"{account.name}, {pool.pool} [{pool.currency}]")
        rows = [row for row in _rows(account, done, True) if row["pool"] == pool.pool]
        steps = [_trade(step) for step in pool.steps]
        _show([{**row, "step": step} for row, step in zip(rows, steps, strict=True)], _SHORT, "table")
        click.echo()
    if not broken:
        click.echo(f"{account.name}: no step, for no pool is known to be liquidatable")


def _end(pool: PoolUnwinding) -> str:
    owed = f", {money(pool.deficit, pool.currency)} {pool.currency} are missing" if pool.deficit else ""
    return f"{pool.outcome}{owed}"


def _amount(text: str) -> tuple[str, float]:
    asset, _, amount = text.partition("=")
    try:
        return asset, float(amount)
    except ValueError as fault:
        raise click.UsageError(f"--fund {text!r}: write ASSET=AMOUNT, such as BTC=2.5") from fault


def _show(rows: list[dict[str, Any]], keys: Sequence[str], kind: str) -> None:
    show(rows, [Column(k, k, left=k in _LEFT) for k in keys], kind)


def _rows(account: Account, done: Unwinding, is_text: bool) -> Iterator[dict[str, Any]]:
    for pool in done.pools:
        for step in pool.steps:
            told = {
                "cost": step.cost,
                "equity": step.after.equity,
                "maintenance": step.after.maintenance,
            }
            yield {
                "account": account.name,
                "pool": step.pool,
                "action": step.action,
                "what": _what(step),
                **({k: money(v, pool.currency) for k, v in told.items()} if is_text else told),
                "why": step.why,
            }


def _what(step: Step) -> str:
    if step.orders:
        return f"{len(step.orders)} open order{'s' if len(step.orders) > 1 else ''}"
    return ", ".join(f"{quantity(f.quantity)} {f.symbol} at {price(f.price)}" for f in step.fills)


def _trade(step: Step) -> str:
    if step.orders:
        return f"cancel {_what(step)}"
    return ", ".join(
        f"{'buy' if f.quantity > 0 else 'sell'} {quantity(abs(f.quantity))} {f.symbol} @ {price(f.price)}"
        for f in step.fills
    )


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
        click.echo(
            f"{left.account}, {left.pool}: nobody pays {money(left.amount, left.asset)} {left.asset}",
            err=True,
        )
    return 0


COMMANDS = {"liquidate": liquidate}
