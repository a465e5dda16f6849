"""The simulator beside what was recorded on Hyperliquid on 10 October 2025, with what is unknown drawn and not guessed.

``python -m bench.october DATA [DRAWS]``: DATA is a folder with the recorded bars and liquidations (docs/validation.md says which).

Positions, leverage and depth of that day are not published. They are drawn from wide ranges; every draw is one run. What the best
tenth of the runs can and cannot reproduce at once is the result. Each order-book liquidation stands twice in the recorded feed, once for each side:
volumes are taken one-sided (`engine.measures.run.one_sided`).
"""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path as Folder

import numpy as np
from pyarrow import compute, parquet

from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import Book, book_of
from margrave.domain.instruments import Instrument, Linear, Perpetual
from margrave.domain.market import Market, Quote
from margrave.engine.measures.run import one_sided, outcome, profile, profile_distance
from margrave.engine.simulation.events import Cause, Traded
from margrave.engine.simulation.measured import measured
from margrave.engine.simulation.path import Path
from margrave.engine.simulation.run import Run, simulate
from margrave.engine.simulation.settings import Costs, Depth, FirstShare, Impact, Liquidity, Settings
from margrave.kernels.arrays import F64, Bools
from margrave.rulebook.catalogue import in_force

AT = datetime(2026, 1, 2, tzinfo=UTC)  # of the rules as they are published; no earlier ones are
RULES = "hyperliquid.perps"
ACCOUNTS = 1_200
MINUTES = 12
FELL = -0.131  # price of BTC there, 112,000 to 97,000 (cascade_validation_targets)
OPEN_INTEREST = -0.57  # of the whole venue, 14 to 6 billion
FIRST_ADL = 61.7  # seconds after the first liquidation
BEST = 0.1
AGAIN = 20  # seeds over which the nearest draw is run again
AS_TAKEN = "deleveraging share"


@dataclass(frozen=True, slots=True)
class Target:
    """What was recorded, and how far from it counts as one."""

    name: str
    value: float
    scale: float


@dataclass(frozen=True, slots=True)
class Coin:
    """What is run: a coin, the highest leverage there, and whose rules."""

    name: str
    highest_leverage: float
    rules: str


BTC = Coin("BTC", 40.0, RULES)


@dataclass(frozen=True, slots=True)
class Unknown:
    """One draw of what nobody published."""

    leverage: float  # median
    spread: float  # deviation of its logarithm
    longs: float  # leverage of longs over that of shorts
    impact: float  # log move when all open interest is sold
    half_life: float  # [s]
    fund: float  # of open interest


def drawn(generator: np.random.Generator) -> Unknown:
    """Wide ranges: a factor of ten or so for each."""

    def between(low: float, high: float) -> float:
        return float(np.exp(generator.uniform(np.log(low), np.log(high))))

    return Unknown(
        between(2, 20),
        between(0.4, 1.2),
        between(0.8, 3),
        between(0.03, 1),
        between(15, 900),
        between(1e-4, 0.03),
    )


def market_at(price: float, coin: Coin) -> Market:
    """One perpetual in dollars."""
    terms = Instrument(
        symbol=coin.name,
        base=coin.name,
        quote="USDC",
        settlement="USDC",
        kind=Perpetual(),
        payoff=Linear(contract_size=1.0),
    )
    quotes = {coin.name: Quote(mark=price)}
    return Market(at=AT, instruments={coin.name: terms}, quotes=quotes, index={coin.name: price, "USDC": 1.0})


def book_for(unknown: Unknown, price: float, generator: np.random.Generator, coin: Coin) -> Book:
    """Accounts of one position each, longs and shorts of the same size in all, with leverages of the draw."""
    side = np.where(np.arange(ACCOUNTS) % 2 == 0, 1.0, -1.0)
    size = np.exp(generator.normal(0.0, 1.8, ACCOUNTS))
    for one in (1.0, -1.0):
        size[side == one] *= 0.5 * ACCOUNTS / size[side == one].sum()
    middle = unknown.leverage * np.where(side > 0, np.sqrt(unknown.longs), 1.0 / np.sqrt(unknown.longs))
    leverage = np.clip(
        middle * np.exp(generator.normal(0.0, unknown.spread, ACCOUNTS)), 0.1, 0.9 * coin.highest_leverage
    )
    held = zip(side * size, size * price / leverage, strict=True)
    return book_of(
        Account(
            name=str(k),
            balances=(Balance(asset="USDC", amount=float(cash)),),
            positions=(Position(symbol=coin.name, quantity=float(quantity), entry=price),),
        )
        for k, (quantity, cash) in enumerate(held)
    )


def recorded_path(data: Folder) -> Path:
    """Another venue's mark around the event: of each minute open, low or high, and close; their order in the minute is assumed."""
    bars = parquet.read_table(data / "prices" / "binance_coinm_btcusd_perp_mark_1m_2025-10-09_10.parquet")
    from_minute = 24 * 60 + 21 * 60 + 15  # of the two days that the file has
    rows = bars.slice(from_minute, MINUTES).to_pydict()
    falls = np.array(rows["close"]) < np.array(rows["open"])
    middle = np.where(falls, rows["low"], rows["high"])
    prices = np.stack([rows["open"], middle, rows["close"]], axis=1).ravel()
    seconds = (60.0 * np.arange(MINUTES)[:, None] + np.array([0.0, 20.0, 40.0])).ravel()
    return Path(seconds, {BTC.name: prices})


def targets(data: Folder, coin: str = BTC.name) -> tuple[dict[str, Target], F64]:
    """What was recorded, and the shares of forced volume by minute (rows of all coins, one-sided); the price of BTC only."""
    coins = parquet.read_table(data / "liquidations" / "hyperliquid_2025-10-10_by_coin.parquet")
    row = coins.filter(compute.equal(coins["coin"], coin)).to_pylist()[0]
    in_book = float(one_sided(np.array([row["liq_notional"]]), np.array([row["adl_notional"]]))[0])
    share = row["adl_notional"] / (in_book + row["adl_notional"])
    timeline = parquet.read_table(
        data / "liquidations" / "hyperliquid_2025-10-10_timeline.parquet"
    ).to_pydict()
    rows, adl = (np.array(timeline[name], dtype=np.float64) for name in ("liquidations", "adls"))
    forced = one_sided(rows, adl) + adl
    by_minute = profile(np.array(timeline["second"], dtype=np.float64), forced, 60.0 * np.arange(MINUTES + 1))
    told = (
        *((Target("furthest price", FELL, 0.01),) if coin == BTC.name else ()),
        Target("deleveraging share", share, 0.05),
        Target("open interest", OPEN_INTEREST, 0.1),
        Target("seconds to the first deleveraging", FIRST_ADL, 30.0),
        Target("distance of the profile by minute", 0.0, 0.15),
    )
    return {target.name: target for target in told}, by_minute


def checks(data: Folder) -> dict[str, float]:
    """Figures of the recorded BTC accounts that no draw is chosen by: who was closed, in accounts."""
    rows = parquet.read_table(data / "liquidations" / "hyperliquid_2025-10-10_positions_btc.parquet")
    is_long = np.array(rows["side"].to_pylist()) == "LONG"
    liquidated, taken = (np.array(rows[name].to_pylist()) for name in ("was_liquidated", "was_adl"))
    return _who(is_long, liquidated, taken)


def _who(is_long: Bools, liquidated: Bools, taken: Bools) -> dict[str, float]:
    # Shares of accounts; NaN where nobody was.
    def over(part: Bools, whole: Bools) -> float:
        return float(part.sum() / whole.sum()) if whole.any() else float("nan")

    return {
        "longs among the liquidated accounts": over(liquidated & is_long, liquidated),
        "shorts among the deleveraged accounts": over(taken & ~is_long, taken),
        "deleveraged accounts for each liquidated one": over(taken, liquidated),
    }


def closed(run: Run) -> dict[str, float]:
    """The same figures of a run; whom winners took over counts as liquidated, as in the record."""
    book = run.frame.book
    liquidated, taken = np.zeros((2, len(book.names)), dtype=np.bool_)
    for entry in run.log:
        if isinstance(entry.event, Traded):
            accounts = book.account[entry.event.position]
            if entry.event.cause is Cause.LIQUIDATION:
                liquidated[accounts] = True
            elif entry.event.cause is Cause.DELEVERAGING:  # losers first, then as many winners
                half = len(accounts) // 2
                liquidated[accounts[:half]] = True
                taken[accounts[half:]] = True
    is_long = np.zeros(len(book.names), dtype=np.bool_)
    is_long[book.account] = book.quantity > 0.0
    return _who(is_long, liquidated, taken)


def run_of(unknown: Unknown, path: Path, by_minute: F64, seed: int, coin: Coin = BTC) -> dict[str, float]:
    """Figures of one draw, under the names of the targets, and what losses beyond collateral asked of the fund."""
    price = float(path.prices[coin.name][0])
    generator = np.random.default_rng([7, seed])
    book = book_for(unknown, price, generator, coin)
    depth = Depth(contracts=0.5 * ACCOUNTS)
    law = Impact(coefficient=unknown.impact, half_life_seconds=unknown.half_life)
    settings = Settings(
        liquidity={coin.name: Liquidity(depth=depth, impact=law)},
        rule=FirstShare(large=0.05 * ACCOUNTS * price / 100.0),
        costs=Costs(fee_rate=0.0005),
        fund={"USDC": unknown.fund * 0.5 * ACCOUNTS * price},
    )
    run = simulate(book, market_at(price, coin), in_force(coin.rules, AT), path, settings, seed)
    steps = measured(run, coin.name)
    found = outcome(steps, 60.0)
    forced = steps.liquidated + steps.deleveraged
    held = run.steps.open_interest[:, 0]
    return {
        "furthest price": found.deepest,
        "deleveraging share": found.deleveraged_share,
        "open interest": float(held[-1] / (0.5 * ACCOUNTS) - 1.0),
        "seconds to the first deleveraging": found.seconds_to_deleveraging,
        "distance of the profile by minute": profile_distance(
            profile(steps.at, forced, 60.0 * np.arange(MINUTES + 1)), by_minute
        )
        if forced.any()
        else 1.0,
        "fund paid, of open interest": found.fund_draw / run.open_notional,
        "fund paid, of the fund": found.fund_draw / settings.fund["USDC"],
        "loss beyond collateral, of open interest": found.shortfall / run.open_notional,
        **closed(run),
    }


def distance(found: dict[str, float], wanted: dict[str, Target]) -> float:
    """Root mean square of what is missed, in scales; what did not happen counts as three."""
    missed = [(found[name] - target.value) / target.scale for name, target in wanted.items()]
    return float(np.sqrt(np.mean([9.0 if np.isnan(m) else min(m * m, 100.0) for m in missed])))


def hits(found: list[dict[str, float]], wanted: dict[str, Target], scales: float) -> dict[str, int]:
    """Draws within some scales of each target, and of all of them at once."""
    near = {
        name: np.array([abs(one[name] - target.value) <= scales * target.scale for one in found])
        for name, target in wanted.items()
    }
    together = np.logical_and.reduce(list(near.values()))
    return {name: int(row.sum()) for name, row in near.items()} | {"all at once": int(together.sum())}


def _print_hits(found: list[dict[str, float]], wanted: dict[str, Target]) -> None:
    one, two = hits(found, wanted, 1.0), hits(found, wanted, 2.0)
    print("\n| draws near the record | scale | within one | within two |\n|---|---:|---:|---:|")
    for name in one:
        scale = f"{wanted[name].scale:g}" if name in wanted else ""
        print(f"| {name} | {scale} | {one[name]} | {two[name]} |")


def _print_other_reading(
    found: list[dict[str, float]], wanted: dict[str, Target], tried: list[Unknown], best: list[int]
) -> None:
    # What the choice would be if each row of the feed were a liquidation of its own.
    share = wanted[AS_TAKEN].value
    feed = share / (2.0 - share)  # A / (L + A) with L = feed - A over 2, to A / feed
    other = wanted | {AS_TAKEN: Target(AS_TAKEN, feed, wanted[AS_TAKEN].scale)}
    order = np.argsort([distance(one, other) for one in found], kind="stable")[: len(best)].tolist()
    both = len(set(order) & set(best))
    print(
        f"\nTaken with each fill twice, the share is {feed:.1%}: {both} of the best {len(best)} stay; "
        f"their share is {min(found[k][AS_TAKEN] for k in order):.3g} to {max(found[k][AS_TAKEN] for k in order):.3g}, "
        f"their fund {min(tried[k].fund for k in order):.2g} to {max(tried[k].fund for k in order):.2g}"
    )


def main() -> None:
    """Print what the draws reach, and what the best of them reach at once."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    data, draws = Folder(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 300
    path, (wanted, by_minute), unseen = recorded_path(data), targets(data), checks(data)
    generator = np.random.default_rng(10_10_2025)
    tried = [drawn(generator) for _ in range(draws)]
    found = [run_of(unknown, path, by_minute, k) for k, unknown in enumerate(tried)]
    order = np.argsort([distance(one, wanted) for one in found], kind="stable")
    best = order[: max(int(BEST * draws), 1)].tolist()
    nearest = best[0]
    again = [run_of(tried[nearest], path, by_minute, draws + k) for k in range(AGAIN)]
    print(
        f"{draws} draws, the best {len(best)}; misses {distance(found[best[0]], wanted):.2f} to {distance(found[best[-1]], wanted):.2f} scales\n"
    )
    print(
        "| figure | recorded | all draws, 5 to 95 % | best tenth, least to most | the nearest draw, other seeds |"
    )
    print("|---|---:|---:|---:|---:|")
    for name in found[0]:
        every = np.array([one[name] for one in found])
        few = every[best]
        low, high = np.nanpercentile(every, [5, 95])
        told = (
            f"{wanted[name].value:.3g}"
            if name in wanted
            else f"{unseen[name]:.3g}"
            if name in unseen
            else "not published"
        )
        same = np.array([one[name] for one in again])
        spread = f"{np.nanmin(same):.3g} to {np.nanmax(same):.3g}"
        print(
            f"| {name} | {told} | {low:.3g} to {high:.3g} | {np.nanmin(few):.3g} to {np.nanmax(few):.3g} | {spread} |"
        )
    _print_hits(found, wanted)
    _print_other_reading(found, wanted, tried, best)
    print("\n| unknown | drawn | best tenth |\n|---|---:|---:|")
    for name in Unknown.__slots__:
        values = np.array([getattr(one, name) for one in tried])
        print(
            f"| {name} | {values.min():.3g} to {values.max():.3g} | {values[best].min():.3g} to {values[best].max():.3g} |"
        )


if __name__ == "__main__":
    main()
