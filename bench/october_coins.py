"""10 October 2025 coin by coin: BTC, ETH, AVAX and AAVE beside what was recorded, the funds, and what the order book says of impact.

``python -m bench.october_coins DATA [DRAWS] [--out FOLDER]``: prints Markdown; with a folder, writes validation-run.md, validation-run.json and a plot.
Every figure is an aggregate: no recorded row is written. The unknown is drawn as in `bench.october`; each coin runs on a path of its own.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path as Folder
from typing import Any

import numpy as np
from pyarrow import compute, parquet

from bench.october import (
    BEST,
    BTC,
    MINUTES,
    Coin,
    Target,
    distance,
    drawn,
    hits,
    recorded_path,
    run_of,
    targets,
)
from margrave.engine.simulation.path import Path
from margrave.kernels.arrays import F64

START = datetime(2025, 10, 10, 21, 15, tzinfo=UTC)
ALTS = "example.flat"  # 10 % initial, 5 % maintenance: the rulebook of Hyperliquid has no tiers for them
COINS = (BTC, Coin("ETH", 25.0, BTC.rules), Coin("AVAX", 10.0, ALTS), Coin("AAVE", 10.0, ALTS))
SOURCE = {
    "BTC": "mark, coin-margined, 1 min",
    "ETH": "last price, dollar-margined, 5 min",
    "AVAX": "last price, coin-margined, 1 s",
    "AAVE": "last price, coin-margined, 1 s",
}
# Published figures (clearing 5.4, cascade_validation_targets). Two readings of the same accounts below zero: 302 and 1,147 of them.
BELOW_ZERO = (23_191_104.48, 109_290_000.0)
VENUE_OPEN_INTEREST = 14e9
LOST, PAID = "loss beyond collateral, of open interest", "fund paid, of the fund"
BINANCE_FUND = (1.22e9, 188e6)  # before, used


def told_fund() -> tuple[float, float]:
    """Equity below zero over open interest before, in both readings."""
    low, high = BELOW_ZERO
    return low / VENUE_OPEN_INTEREST, high / VENUE_OPEN_INTEREST


def path_of(data: Folder, coin: str) -> Path:
    """The price of another venue from 21:15 UTC on, twelve minutes."""
    if coin == "BTC":
        return recorded_path(data)
    return _bars(data, coin) if coin == "ETH" else _seconds(data, coin)


def _within(table: Any, minutes: int) -> Any:
    after = compute.greater_equal(table["ts"], START)
    return table.filter(compute.and_(after, compute.less(table["ts"], START + timedelta(minutes=minutes))))


def _bars(data: Folder, coin: str) -> Path:
    # Open, low or high, and close of bars of five minutes; their order is assumed, and what is after the twelve minutes left out.
    table = parquet.read_table(data / "prices" / "binance_5m_2025_crashes.parquet")
    mine = compute.and_(
        compute.equal(table["symbol"], f"{coin}USDT"), compute.equal(table["market"], "usdm_perp")
    )
    rows = _within(table.filter(mine), 15).to_pydict()
    falls = np.array(rows["close"]) < np.array(rows["open"])
    prices = np.stack(
        [rows["open"], np.where(falls, rows["low"], rows["high"]), rows["close"]], axis=1
    ).ravel()
    seconds = (300.0 * np.arange(len(falls))[:, None] + np.array([0.0, 100.0, 200.0])).ravel()
    kept = seconds < 60.0 * MINUTES
    return Path(seconds[kept], {coin: prices[kept]})


def _seconds(data: Folder, coin: str) -> Path:
    # The last trade of each twenty seconds, from bars of a second; a stretch without a trade keeps the price.
    table = parquet.read_table(data / "prices" / "binance_coinm_alt_perps_2025-10-10.parquet")
    mine = compute.and_(compute.equal(table["symbol"], f"{coin}USD_PERP"), compute.equal(table["bar"], "1s"))
    rows = _within(table.filter(mine), MINUTES).to_pydict()
    at = np.array([(ts - START).total_seconds() for ts in rows["ts"]])
    order = np.argsort(at, kind="stable")
    seconds = 20.0 * np.arange(3 * MINUTES)
    place = np.clip(np.searchsorted(at[order], seconds, side="right") - 1, 0, None)
    return Path(seconds, {coin: np.array(rows["close"])[order][place]})


@dataclass(frozen=True, slots=True)
class Range:
    """A figure over draws: 5, 50 and 95 %, and the least and most of the best tenth; NaN where no draw has it."""

    low: float
    middle: float
    high: float
    best_least: float
    best_most: float


def range_of(values: F64, best: list[int]) -> Range:
    """Over those draws in which the figure is known."""
    few = values[best]
    if np.isnan(values).all():
        return Range(*(float("nan"),) * 5)
    ends = (float("nan"),) * 2 if np.isnan(few).all() else (float(np.nanmin(few)), float(np.nanmax(few)))
    return Range(*(float(v) for v in np.nanpercentile(values, [5, 50, 95])), *ends)


@dataclass(frozen=True, slots=True)
class Beside:
    """A coin: what was recorded and what the draws give."""

    coin: str
    source: str
    outside: float  # furthest fall of the path
    deleveraged_at: float  # mean price at which winners were closed there, over the path's first, less one
    in_book: float  # dollars liquidated in the book, one-sided
    recorded: dict[str, Target]
    figures: dict[str, Range]
    told_below_zero: int  # draws whose loss beyond collateral is between the two readings of the record
    told_fund: int  # draws that spend of their fund what Binance did, within five points
    within: dict[str, int]  # draws within one scale
    within_two: dict[str, int]


def beside(data: Folder, coin: Coin, draws: int) -> Beside:
    """Run the draws of one coin."""
    path = path_of(data, coin.name)
    wanted, by_minute = targets(data, coin.name)
    generator = np.random.default_rng(10_10_2025)  # the same unknowns for every coin
    found = [run_of(drawn(generator), path, by_minute, k, coin) for k in range(draws)]
    order = np.argsort([distance(one, wanted) for one in found], kind="stable")
    best = order[: max(int(BEST * draws), 1)].tolist()
    prices = path.prices[coin.name]
    row = _coin_row(data, coin.name)
    low, high = told_fund()
    lost, paid = (np.array([one[name] for one in found]) for name in (LOST, PAID))
    return Beside(
        coin.name,
        SOURCE[coin.name],
        float(prices.min() / prices[0] - 1.0),
        row["adl_avg_price"] / float(prices[0]) - 1.0,
        (row["liq_notional"] - row["adl_notional"]) / 2.0,
        wanted,
        {name: range_of(np.array([one[name] for one in found]), best) for name in found[0]},
        int(((lost >= low) & (lost <= high)).sum()),
        int((np.abs(paid - BINANCE_FUND[1] / BINANCE_FUND[0]) <= 0.05).sum()),
        hits(found, wanted, 1.0),
        hits(found, wanted, 2.0),
    )


def _coin_row(data: Folder, coin: str) -> dict[str, Any]:
    table = parquet.read_table(data / "liquidations" / "hyperliquid_2025-10-10_by_coin.parquet")
    row: dict[str, Any] = table.filter(compute.equal(table["coin"], coin)).to_pylist()[0]
    return row


def depth_bands(data: Folder) -> dict[str, dict[int, float]]:
    """Median dollars within 1 to 5 % of the price in BTCUSDT on Binance, each side before the fall, and asks during it.

    Bids during the fall are not taken: the record has a stuck level from 15:30 on.
    """
    table = parquet.read_table(data / "orderbook" / "binance_usdm_btcusdt_depth_bands_2025-10-10.parquet")
    quiet = table.filter(compute.less(table["ts"], datetime(2025, 10, 10, 15, 30, tzinfo=UTC)))
    return {
        "bids, 0:00 to 15:30": _medians(quiet, -1),
        "asks, 0:00 to 15:30": _medians(quiet, 1),
        "asks, 21:15 to 21:27": _medians(_within(table, MINUTES), 1),
    }


def _medians(table: Any, side: int) -> dict[int, float]:
    held = {k: table.filter(compute.equal(table["band_pct"], side * k))["notional_usdt"] for k in range(1, 6)}
    return {k: float(np.nanmedian(column.to_numpy())) for k, column in held.items()}


def move_for(bands: dict[int, float], volume: float) -> float:
    """Fraction of the price that a volume of dollars eats through; beyond the last band as the last two go on."""
    at, held = np.array([0, *bands]) / 100.0, np.array([0.0, *bands.values()])
    if volume <= held[-1]:
        return float(np.interp(volume, held, at))
    return float(at[-1] + (volume - held[-1]) * (at[-1] - at[-2]) / (held[-1] - held[-2]))


def markdown(coins: list[Beside], bands: dict[str, dict[int, float]], draws: int) -> str:
    """The page."""
    sold = next(one.in_book for one in coins if one.coin == "BTC")
    low, high = told_fund()
    parts = [
        "# 10 October 2025, coin by coin",
        f"Written by `python -m bench.october_coins` (`make validation`), {draws} draws a coin; [validation](validation.md) says what it means.",
        *(_of_coin(one, draws) for one in coins),
        "## What the funds paid",
        f"Recorded on Hyperliquid: {low:.2%} of open interest (302 accounts) or {high:.2%} (1,147 accounts: an earlier count of the same). "
        f"Recorded on Binance: {BINANCE_FUND[1] / BINANCE_FUND[0]:.0%} of its fund.\n\n"
        "| coin | loss beyond collateral, of open interest: 5, 50, 95 % | best tenth | draws between the two readings | paid, of the fund: best tenth | draws near Binance |\n|---|---:|---:|---:|---:|---:|\n"
        + "\n".join(_fund_row(one) for one in coins),
        "## What the recorded order book says of impact",
        f"BTCUSDT on Binance, median dollars within a share of the price, and how far the {sold / 1e6:,.0f} million that Hyperliquid sold in its own BTC book "
        "(one-sided) would go there.\n\n| side | 1 % | 2 % | 3 % | 4 % | 5 % | the move |\n|---|---:|---:|---:|---:|---:|---:|\n"
        + "\n".join(
            f"| {side} | {' | '.join(f'{v / 1e6:,.0f} M' for v in held.values())} | {move_for(held, sold):.1%} |"
            for side, held in bands.items()
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _fund_row(one: Beside) -> str:
    lost = one.figures[LOST]
    paid = one.figures[PAID]
    return (
        f"| {one.coin} | {lost.low:.2%}, {lost.middle:.2%}, {lost.high:.2%} | {lost.best_least:.2%} to {lost.best_most:.2%} "
        f"| {one.told_below_zero} | {paid.best_least:.0%} to {paid.best_most:.0%} | {one.told_fund} |"
    )


def _of_coin(one: Beside, draws: int) -> str:
    rows = [
        f"| {name} | {one.recorded[name].value if name in one.recorded else float('nan'):.3g} | {r.low:.3g}, {r.middle:.3g}, {r.high:.3g} "
        f"| {r.best_least:.3g} to {r.best_most:.3g} | {one.within.get(name, '')} | {one.within_two.get(name, '')} |"
        for name, r in one.figures.items()
        if name in one.recorded or name == "furthest price"
    ]
    both = f"| all at once | | | | {one.within['all at once']} | {one.within_two['all at once']} |"
    return (
        f"## {one.coin}\n\nPath: {one.source}; furthest {one.outside:+.1%}. Winners were closed there at {one.deleveraged_at:+.1%} on average.\n\n"
        f"| figure | recorded | draws: 5, 50, 95 % | best tenth | within one scale, of {draws} | two |\n|---|---:|---:|---:|---:|---:|\n"
        + "\n".join([*rows, both])
    ).replace("| nan |", "| not published |")


def plot(coins: list[Beside], file: Folder) -> None:
    """Deleveraging share of each coin: recorded, and the draws."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.subplots()
    for k, one in enumerate(coins):
        found = one.figures["deleveraging share"]
        axes.plot(
            [found.low, found.high], [k, k], color="0.7", lw=2, label="draws, 5 to 95 %" if not k else None
        )
        axes.plot(
            [found.best_least, found.best_most],
            [k, k],
            color="C0",
            lw=5,
            label="best tenth" if not k else None,
        )
        axes.plot(
            one.recorded["deleveraging share"].value, k, "k|", ms=16, label="recorded" if not k else None
        )
    axes.set_yticks(range(len(coins)), [one.coin for one in coins])
    axes.set_xlabel("deleveraging share of forced volume")
    axes.legend(frameon=False)
    figure.savefig(file, dpi=110, metadata={"Software": None})


def main() -> None:
    """Print the page, or write it with its JSON twin and plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Folder)
    parser.add_argument("draws", type=int, nargs="?", default=150)
    parser.add_argument("--out", type=Folder)
    given = parser.parse_args()
    if not (given.data / "liquidations").is_dir():
        sys.exit(
            f"{given.data}: the recorded data is not there, nothing is validated; pass its folder (docs/validation.md)"
        )
    coins, bands = [beside(given.data, coin, given.draws) for coin in COINS], depth_bands(given.data)
    page = markdown(coins, bands, given.draws)
    if given.out is None:
        print(page)
        return
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "validation-run.md").write_text(page, encoding="utf-8")
    twin = {
        "draws": given.draws,
        "coins": [asdict(one) for one in coins],
        "depth": bands,
        "fund": told_fund(),
    }
    (given.out / "validation-run.json").write_text(
        json.dumps(_known(twin), indent=1) + "\n", encoding="utf-8"
    )
    plot(coins, given.out / "validation-run.png")


def _known(value: Any) -> Any:
    # JSON has no NaN: what is not known is null.
    if isinstance(value, dict):
        return {str(k): _known(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_known(v) for v in value]
    return None if isinstance(value, float) and np.isnan(value) else value


if __name__ == "__main__":
    main()
