"""The command on a single option: price and Greeks."""

import dataclasses
from datetime import UTC, datetime

import click
import numpy as np

from margrave.adapters.symbols import deribit, unified
from margrave.cli.inputs import echo_json, format_option, show
from margrave.core.errors import Reason, invalid
from margrave.domain.instruments import Instrument, Option, QuotePremium, Right
from margrave.kernels.black76 import coin_greeks, quote_greeks
from margrave.report.tables import Column

_COIN = {
    "coin_price": "price [coin]",
    "usd_price": "price [USD]",
    "unadjusted_delta": "delta, unadjusted (dollar delta in coins)",
    "adjusted_delta": "delta, premium-adjusted (net transaction)",
    "coin_delta": "delta of the coin price [coin per USD]",
    "usd_gamma": "gamma, dollar",
    "coin_gamma": "gamma, coin",
    "adjusted_delta_slope": "slope of the adjusted delta",
    "coin_vega": "vega [coin per 1.00 vol]",
    "usd_vega": "vega [USD per 1.00 vol]",
    "coin_theta": "theta [coin per year]",
    "coin_vanna": "vanna, coin",
    "coin_volga": "volga, coin",
}


@click.command()
@click.argument("symbol", metavar="[SYMBOL]", required=False)
@click.option("--forward", type=float, required=True, help="Forward of the expiry [quote per base].")
@click.option("--strike", type=float, help="Strike; by default the one in SYMBOL.")
@click.option("--vol", type=float, required=True, help="Implied vol as a fraction: 0.65 for 65 %.")
@click.option("--days", type=float, help="Days to expiry (ACT/365).")
@click.option(
    "--on",
    type=click.DateTime(),
    metavar="DATE",
    help="Instead of --days: the day or time (UTC) of the price.",
)
@click.option("--put/--call", "is_put", default=None, help="By default as SYMBOL says, else a call.")
@click.option(
    "--rate",
    type=float,
    default=0.0,
    show_default=True,
    help="Lending rate of the settlement asset, per year.",
)
@click.option("--quote-settled", is_flag=True, help="Premium and payoff in the quote asset (linear option).")
@format_option
def price(
    symbol: str | None,
    forward: float,
    strike: float | None,
    vol: float,
    days: float | None,
    on: datetime | None,
    is_put: bool | None,
    rate: float,
    quote_settled: bool,
    kind: str,
) -> int:
    """An option's price and Greeks: coin-settled (Black-76 over forward) unless --quote-settled.

    SYMBOL is a Deribit or ccxt name such as BTC-25DEC26-70000-C; it gives strike, right, settlement and expiry.
    """
    if vol > 10:
        raise click.UsageError(f"--vol {vol:g} is {vol:.0%} a year; write 65 % as 0.65")
    named = None if symbol is None else _named(symbol)
    quote_settled = quote_settled or (named is not None and isinstance(named.payoff, QuotePremium))
    strike, days, is_put = _terms(named, on, strike, days, is_put)
    compute = quote_greeks if quote_settled else coin_greeks
    try:
        greeks = compute(forward, strike, vol, days / 365.0, not is_put, rate)
    except ValueError as fault:
        raise click.UsageError(str(fault)) from fault
    fields = [field.name for field in dataclasses.fields(greeks)]
    values = {name: float(np.asarray(getattr(greeks, name))) for name in fields}
    if kind == "json":
        echo_json(values)
        return 0
    labels = {} if quote_settled else _COIN
    rows = [{"what": labels.get(name, name), "value": value} for name, value in values.items()]
    show(rows, [Column("what", "what", left=True), Column("value", "value", lambda v: f"{v:.12g}")], kind)
    return 0


def _terms(
    named: Instrument | None,
    on: datetime | None,
    strike: float | None,
    days: float | None,
    is_put: bool | None,
) -> tuple[float, float, bool]:
    # What is given outright goes before what the name says.
    if named is not None and isinstance(named.kind, Option):
        option = named.kind
        strike = option.strike if strike is None else strike
        is_put = option.right is Right.PUT if is_put is None else is_put
        if days is None and on is not None:
            days = (option.expiry - on.replace(tzinfo=UTC)).total_seconds() / 86_400.0
    if strike is None or days is None:
        raise click.UsageError("give --strike and --days, or a SYMBOL with --days or --on")
    if days < 0:
        raise click.UsageError(
            f"the option expired {-days:g} days before; give --days of zero or more, or an earlier --on"
        )
    return strike, days, bool(is_put)


def _named(symbol: str) -> Instrument:
    named = unified(symbol, 1.0) if "/" in symbol else deribit(symbol)
    if not isinstance(named.kind, Option):
        raise invalid(symbol, Reason.UNSUPPORTED, "is no option; a future's price is its mark")
    return named


COMMANDS = {"price": price}
