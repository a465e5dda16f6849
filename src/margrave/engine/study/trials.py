"""Runs of a study and their figures: what each rule asks in quiet times, and what it sets off in a crash."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.domain.book import Book
from margrave.domain.market import Market
from margrave.engine.measures.clawback import clawback_curve
from margrave.engine.measures.run import outcome
from margrave.engine.simulation.measured import measured
from margrave.engine.simulation.path import Path
from margrave.engine.simulation.run import Run, simulate
from margrave.engine.simulation.settings import Settings
from margrave.engine.study.bearers import Bearers, bearers
from margrave.kernels.arrays import F64
from margrave.margin.pooled import evaluate, prepare
from margrave.rulebook.schema import Rulebook
from margrave.valuation.scenarios import shifted

HORIZON = 10
"""Steps over which a loss is held against the initial margin (`Trial.covered`)."""


@final
@dataclass(frozen=True, slots=True)
class Variant:
    """One rule on one book."""

    rule: str  # such as "flat", "directional", "ratchet", "scenarios"
    payoff: str  # such as "linear", "inverse"
    mode: str  # such as "isolated", "cross", "mixed"
    deleveraging: str
    book: Book
    market: Market
    rulebook: Rulebook
    settings: Settings
    seed: int = 0  # of the book and of the run
    closing: str = ""  # how pools are closed, where it is another way than the study's own

    @property
    def name(self) -> str:
        """The words of the variant."""
        words = f"{self.rule}, {self.payoff}, {self.mode}, {self.deleveraging}"
        return f"{words}, {self.closing}" if self.closing else words


@final
@dataclass(frozen=True, slots=True)
class Trial:
    """One variant on one path; money in the market's numeraire, shares of the open notional at the start where said so."""

    rule: str
    payoff: str
    mode: str
    deleveraging: str
    path: str
    seed: int
    ending: str
    amplification: float  # whole log move at the end over that from outside; NaN where nothing moved outside
    deepest: float  # furthest move of the price from its start [signed fraction]
    outside: float  # furthest move of the path itself
    liquidated: float  # share of the open notional at the start that was closed in the market
    deleveraged: float  # share that winners took
    bankrupt: float  # share of the loss beyond collateral
    fund_draw: float  # share that the fund paid at the worst
    socialised: float  # share that was cut from profits or paid by nobody
    accounts_hit: int  # accounts flat at the end that were not at the start
    first_seconds: float  # of the first forced trade; NaN where there was none
    longest_acceleration: float  # steps in a row in which forced volume grew faster and faster
    initial: float  # initial margin asked, averaged over time, over the open notional averaged over time
    before: float  # the same before the first forced trade
    ahead: float  # initial margin at the start of pools in profit, as a share
    behind: float  # of those in loss
    clawback: float  # maintenance more that the path's furthest move asks of the opening's pools, at the prices of both
    bearers: Bearers  # who was deleveraged
    price: F64  # (T + 1,) multiple of the opening price, with the venue's own impact
    forced: F64  # (T + 1,) running total of forced volume, as a share
    closing: str = ""  # as of the variant
    covered: float = float(
        "nan"
    )  # share of the opening's pools whose loss over a horizon is within their initial margin
    discount: float = 0.0  # share that bidders of auctions got beside what they took
    taken_over: float = 0.0  # share that a vault took

    @property
    def key(self) -> tuple[str, str, str, str, int, str]:
        """What a rule is compared at: everything but the rule."""
        return self.payoff, self.mode, self.deleveraging, self.path, self.seed, self.closing


def tried(
    variants: Iterable[Variant],
    paths: Mapping[str, Path],
    asset: str,
    *,
    threads: int = 1,
    told: Callable[[str], None] | None = None,
) -> tuple[Trial, ...]:
    """Run every variant over every path.

    Parameters
    ----------
    variants : iterable of Variant
        Rules to compare, on books that hold the same risk.
    paths : mapping of str to Path
        By name.
    asset : str
        Whose price the figures are about.
    threads : int
        As of `simulate`.
    told : callable, optional
        Called with the name of each run when it is done.
    """
    found = []
    for variant in variants:
        for name, path in paths.items():
            found.append(_tried(variant, name, path, asset, threads))
            if told is not None:
                told(f"{variant.name}, {name}")
    return tuple(found)


def _tried(variant: Variant, name: str, path: Path, asset: str, threads: int) -> Trial:
    run = simulate(
        variant.book, variant.market, variant.rulebook, path, variant.settings, variant.seed, threads=threads
    )
    steps = measured(run, asset)
    found = outcome(steps, max(float(np.diff(steps.at).max(initial=0.0)), 1.0))
    forced = steps.liquidated + steps.deleveraged
    when = np.flatnonzero(forced > 0.0)
    moves = steps.outside / steps.outside[0] - 1.0
    furthest = float(moves[int(np.argmax(np.abs(moves)))])
    scale = run.open_notional
    return Trial(
        variant.rule,
        variant.payoff,
        variant.mode,
        variant.deleveraging,
        name,
        variant.seed,
        str(run.ending),
        found.amplification,
        found.deepest,
        furthest,
        found.liquidated / scale,
        found.deleveraged / scale,
        found.shortfall / scale,
        found.fund_draw / scale,
        float((run.steps.socialised + run.steps.unpaid).sum()) / scale,
        int(run.steps.flat[-1]) - _flat_at_start(run),
        float(steps.at[when[0]]) if when.size else float("nan"),
        found.longest_acceleration,
        _asked(run, len(run.steps.initial)),
        _asked(run, max(int(when[0]) - 1, 1) if when.size else len(run.steps.initial)),
        *_by_profit(variant, scale),
        _clawed(variant, asset, 1.0 + furthest) / scale,
        bearers(run, _equity(variant)),
        np.asarray(steps.price / steps.price[0]),
        np.asarray(np.cumsum(forced) / scale),
        variant.closing,
        _covered(variant, path, asset),
        float(run.steps.auction_discount.sum()) / scale,
        float(run.steps.taken_over.sum()) / scale,
    )


def _asked(run: Run, upto: int) -> float:
    # Initial margin over open notional, both averaged over the first steps.
    open_notional = float(run.steps.open_notional[:upto].mean())
    return float(run.steps.initial[:upto].mean()) / open_notional if open_notional else float("nan")


def _by_profit(variant: Variant, scale: float) -> tuple[float, float]:
    # What is asked at the start of those who are ahead, and of those who are behind.
    prepared = prepare(variant.book, variant.market, variant.rulebook)
    found = evaluate(prepared)
    pools = prepared.pools
    profit = np.bincount(
        pools.position_pool, np.nan_to_num(found.workings.valued.profit[0]), len(pools.account)
    )
    asked = np.nan_to_num(found.initial[0] * prepared.table.asset_price[pools.currency])
    return float(asked[profit > 0.0].sum()) / scale, float(asked[profit < 0.0].sum()) / scale


def _equity(variant: Variant) -> F64:
    # Of each account at the start [numeraire]: the margin balances of its pools.
    prepared = prepare(variant.book, variant.market, variant.rulebook)
    pools = prepared.pools
    balance = np.nan_to_num(evaluate(prepared).margin_balance[0] * prepared.table.asset_price[pools.currency])
    return np.bincount(pools.account, balance, len(variant.book.names)).astype(np.float64)


def _clawed(variant: Variant, asset: str, factor: float) -> float:
    # Maintenance that the move asks back of who held at the start, before anybody is closed. Pools of one rule count in coins
    # and of another in dollars: both are compared in the numeraire, at the prices of their moment.
    prepared = prepare(variant.book, variant.market, variant.rulebook)
    table = prepared.table
    moved = np.ones((2, len(table.assets)))
    moved[1, table.assets.index(asset)] = factor
    found = evaluate(prepared, shifted(table, moved))
    price = (np.nan_to_num(table.asset_price) * moved)[:, prepared.pools.currency]
    margin, balance = np.nan_to_num(found.maintenance * price), np.nan_to_num(found.margin_balance * price)
    return float(clawback_curve(margin[1:], balance[1:], margin[0], balance[0]).asked[0])


def _covered(variant: Variant, path: Path, asset: str) -> float:
    # Of the opening's pools, by every horizon of the path that follows another: a loss within the initial margin asked.
    prices = path.prices[asset][::HORIZON]
    if len(prices) < 2:
        return float("nan")
    prepared = prepare(variant.book, variant.market, variant.rulebook)
    table = prepared.table
    moved = np.ones((len(prices), len(table.assets)))
    moved[1:, table.assets.index(asset)] = prices[1:] / prices[:-1]
    found = evaluate(prepared, shifted(table, moved))
    loss = found.margin_balance[0] - found.margin_balance[1:]
    known = ~np.isnan(loss + found.initial[0])
    return float((loss <= found.initial[0])[known].mean()) if known.any() else float("nan")


def _flat_at_start(run: Run) -> int:
    holds = np.zeros(len(run.frame.book.names), dtype=np.bool_)
    holds[run.frame.book.account[run.opening.lots != 0]] = True
    return int((~holds).sum())
