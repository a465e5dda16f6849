"""The command on a single option: price and Greeks."""

import dataclasses

import click
import numpy as np

from margrave.cli.inputs import echo_json, format_option, show
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
@click.option("--forward", type=float, required=True, help="Forward of the expiry [quote per base].")
@click.option("--strike", type=float, required=True)
@click.option("--vol", type=float, required=True, help="Implied vol as a fraction: 0.65 for 65 %.")
@click.option("--days", type=float, required=True, help="Days to expiry (ACT/365).")
@click.option("--put/--call", "is_put", default=False, show_default="call")
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
    forward: float,
    strike: float,
    vol: float,
    days: float,
    is_put: bool,
    rate: float,
    quote_settled: bool,
    kind: str,
) -> int:
    """An option's price and Greeks: coin-settled (Black-76 over forward) unless --quote-settled."""
    if vol > 10:
        raise click.UsageError(f"--vol {vol:g} is {vol:.0%} a year; write 65 % as 0.65")
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


COMMANDS = {"price": price}
