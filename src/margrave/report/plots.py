"""Payoff, margin and equity against price, as an image. Needs the ``plot`` extra."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from margrave.core.errors import Reason, invalid
from margrave.domain.account import Account
from margrave.domain.book import book_of
from margrave.domain.market import Market
from margrave.liquidation import liquidations
from margrave.margin.pooled import evaluate, prepare
from margrave.rulebook.schema import Rulebook
from margrave.valuation.scenarios import shifted

WHAT = ("payoff", "margin", "equity")


def plot(  # noqa: PLR0913 - what one formula is made of
    account: Account,
    market: Market,
    rulebook: Rulebook,
    asset: str,
    what: Sequence[str],
    path: Path,
    reach: float = 0.4,
) -> None:
    """Draw every pool of an account against the price of one asset.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The inputs of the one calculation.
    asset : str
        Asset whose index price is the horizontal axis.
    what : sequence of str
        Any of ``payoff`` (unrealised profit), ``margin`` (initial and maintenance) and ``equity``.
    path : Path
        Image to write; its ending says which kind.
    reach : float
        Largest relative move either way.
    """
    figure_of = _matplotlib()
    prepared = prepare(book_of((account,)), market, rulebook)
    assets = prepared.table.assets
    if asset not in assets:
        raise invalid(asset, Reason.NOT_FOUND, f"the account has nothing on it; it has {', '.join(assets)}")
    factor = np.ones((401, len(assets)))
    factor[:, assets.index(asset)] = np.linspace(1 - reach, 1 + reach, 401)
    pooled = evaluate(prepared, shifted(prepared.table, factor))
    price = float(prepared.table.asset_price[assets.index(asset)]) * factor[:, assets.index(asset)]
    found = liquidations(account, market, rulebook, along=asset)
    count = len(prepared.pools.account)
    figure, axes = figure_of(count)
    for k, axis in enumerate(axes):
        currency = assets[prepared.pools.currency[k]]
        curves: dict[str, tuple[str, Any]] = {}
        if "payoff" in what:
            curves["unrealised profit"] = ("-", pooled.equity[:, k] - pooled.equity[200, k])
        if "equity" in what or "margin" in what:
            curves["margin balance"] = ("-", pooled.margin_balance[:, k])
        if "margin" in what:
            curves |= {
                "initial": ("--", pooled.initial[:, k]),
                "maintenance": (":", pooled.maintenance[:, k]),
            }
        for name, (style, values) in curves.items():
            axis.plot(price, values, style, label=name)
        for bound in found[k].bounds:
            axis.axvline(price[200] * bound.factor, color="0.5", linewidth=0.8)
            axis.annotate(
                f"liquidation {bound.price:,.8g}", (price[200] * bound.factor, 0), rotation=90, fontsize=7
            )
        axis.set(
            title=f"{account.name}: {found[k].pool} under {rulebook.id}",
            ylabel=currency,
            xlim=(price[0], price[-1]),
        )
        axis.legend()
    axes[-1].set_xlabel(f"{asset} index [{market.numeraire}]")
    try:
        figure.savefig(path, dpi=144)
    except ValueError as fault:
        raise invalid(str(path), Reason.INVALID_VALUE, f"{fault}; name a .png or .svg file") from fault


def _matplotlib() -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as fault:
        raise invalid(
            "plot", Reason.UNSUPPORTED, "needs matplotlib; install it with: pip install 'margrave[plot]'"
        ) from fault

    def make(count: int) -> tuple[Any, Any]:
        figure = Figure(figsize=(9, 4.2 * count), layout="constrained")
        FigureCanvasAgg(figure)
        return figure, [figure.add_subplot(count, 1, k + 1) for k in range(count)]

    return make
