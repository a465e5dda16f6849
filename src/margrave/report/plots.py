"""Payoff, margin and equity against price, as an image. Needs the ``plot`` extra."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from margrave.core.errors import Reason, invalid
from margrave.domain.account import Account
from margrave.domain.book import book_of
from margrave.domain.market import Market
from margrave.liquidation import Bound, liquidations
from margrave.margin.pooled import Pooled, evaluate, prepare
from margrave.rulebook.schema import Rulebook
from margrave.valuation.scenarios import shifted

WHAT = ("payoff", "margin", "equity")
_STEPS = 200  # prices drawn on either side of the price now
_REACH_MAX = 0.95  # farthest relative move drawn for the sake of a liquidation price


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
        Any of ``payoff`` (profit from the price now on), ``margin`` (initial and maintenance) and ``equity``.
    path : Path
        Image to write; its ending says which kind.
    reach : float
        Relative move either way that is drawn at least; liquidation prices farther out widen it.
    """
    figure_of = _matplotlib()
    prepared = prepare(book_of((account,)), market, rulebook)
    assets = prepared.table.assets
    if asset not in assets:
        raise invalid(asset, Reason.NOT_FOUND, f"the account has nothing on it; it has {', '.join(assets)}")
    found = liquidations(account, market, rulebook, along=asset)
    moves = [abs(bound.factor - 1.0) for pool in found for bound in pool.bounds]
    reach = max(reach, min(1.1 * max(moves, default=0.0), _REACH_MAX))
    column = assets.index(asset)
    factor = np.ones((2 * _STEPS + 1, len(assets)))
    factor[:, column] = np.linspace(1 - reach, 1 + reach, 2 * _STEPS + 1)
    pooled = evaluate(prepared, shifted(prepared.table, factor))
    now = float(prepared.table.asset_price[column])
    price = now * factor[:, column]
    figure, axes = figure_of(len(found))
    for k, axis in enumerate(axes):
        for name, (style, values) in _curves(pooled, k, what).items():
            axis.plot(price, values, style, label=name)
        _mark(axis, found[k].bounds, now)
        kind = "isolated" if prepared.pools.is_isolated[k] else "cross"
        axis.set(
            title=f"{account.name}: {kind} {found[k].pool} under {rulebook.id}",
            ylabel=assets[prepared.pools.currency[k]],
            xlim=(price[0], price[-1]),
        )
        axis.legend()
    axes[-1].set_xlabel(f"{asset} index [{market.numeraire}]")
    _save(figure, path)


def _curves(pooled: Pooled, k: int, what: Sequence[str]) -> dict[str, tuple[str, Any]]:
    curves: dict[str, tuple[str, Any]] = {}
    if "payoff" in what:
        curves["profit from the price now"] = ("-", pooled.equity[:, k] - pooled.equity[_STEPS, k])
    if "equity" in what:
        curves["equity"] = ("-", pooled.equity[:, k])
    if "margin" in what:
        curves["margin balance"] = ("-", pooled.margin_balance[:, k])
        curves["initial margin"] = ("--", pooled.initial[:, k])
        curves["maintenance margin"] = (":", pooled.maintenance[:, k])
    return curves


def _mark(axis: Any, bounds: Sequence[Bound], now: float) -> None:
    # A line where the index would be, named with the price of the pool's own instrument.
    axis.axvline(now, color="0.8", linewidth=0.8)
    for bound in bounds:
        at = now * bound.factor
        axis.axvline(at, color="0.4", linewidth=0.8)
        told = f"liquidation {bound.price:,.8g}"
        place = {"xycoords": ("data", "axes fraction"), "xytext": (3, 4), "textcoords": "offset points"}
        axis.annotate(told, (at, 0.0), rotation=90, fontsize=7, clip_on=True, **place)


def _save(figure: Any, path: Path) -> None:
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
