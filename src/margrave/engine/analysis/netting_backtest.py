"""The offset that the rules assume against the offset that windows of stress realised (spec CM-4).

For each window positions are revalued along its returns. What the book lost at its worst instant, over what its
positions lost each at its own worst, is the offset that was realised; the rules assume one in what they ask.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np

from margrave.core.words import INITIAL
from margrave.domain.account import Account
from margrave.domain.book import book_of
from margrave.domain.checks import require
from margrave.domain.market import Market
from margrave.engine.analysis.breakdown import breakdowns
from margrave.engine.analysis.offset import offsets
from margrave.engine.analysis.parts import PoolPart, pool_of_each, pools_with_positions
from margrave.kernels.arrays import F64
from margrave.margin.equity import balances_of
from margrave.margin.pooled import Prepared, prepare
from margrave.rulebook.portfolio import ScenarioModel
from margrave.rulebook.schema import Rulebook
from margrave.valuation.positions import value_positions
from margrave.valuation.scenarios import shifted
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class Window:
    """Returns of a span of stress, step by step."""

    name: str
    returns: Mapping[str, Sequence[float]]  # relative, by asset; the others stay
    vol_returns: Mapping[str, Sequence[float]] = field(
        default_factory=dict
    )  # of options' vols, by underlying

    def __post_init__(self) -> None:
        steps = {len(r) for r in (*self.returns.values(), *self.vol_returns.values())}
        require(len(steps) == 1 and 0 not in steps, "returns", sorted(steps), "as many steps for every asset")
        for asset, returns in (*self.returns.items(), *self.vol_returns.items()):
            require(all(-1.0 < r < 100.0 for r in returns), asset, tuple(returns), "returns above -1")


@final
@dataclass(frozen=True, slots=True)
class NettingTest:
    """One pool in one window; money in the pool's currency."""

    window: str
    pool: str
    currency: str
    assumed: float  # offset of the rules: a fraction of what the positions ask alone
    requirement: float
    broken_down: float | None  # requirement if correlations break down; None where the rules use none
    loss: float  # of the book at its worst instant, >= 0
    losses: tuple[tuple[str, float], ...]  # of each position at its own worst instant, >= 0

    @property
    def realised(self) -> float | None:
        """Offset of the window, a fraction of what the positions lost alone; None where nothing lost."""
        alone = sum(loss for _, loss in self.losses)
        return 1.0 - self.loss / alone if alone > 0.0 else None

    @property
    def excess(self) -> float:
        """Offset that was assumed and not realised, >= 0."""
        return 0.0 if self.realised is None else max(0.0, self.assumed - self.realised)

    @property
    def is_covered(self) -> bool:
        """Whether the requirement bore the loss; a loss that is not known is not covered."""
        return self.loss <= self.requirement


def netting_backtest(
    account: Account,
    market: Market,
    rulebook: Rulebook,
    windows: Sequence[Window],
    level: int = INITIAL,
) -> tuple[NettingTest, ...]:
    """Test the offsets of every pool against windows of returns.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation; every window starts at this market. Open orders are left out.
    windows : sequence of Window
        Assets without returns, and vols without, stay. Nothing is traded and no time passes.
    level : int
        Level of the requirement, a row of `margrave.core.words`.

    Returns
    -------
    tuple of NettingTest
        Window by window, pools in the order of an assessment. Collateral is left out of losses.
    """
    pools = pools_with_positions(account, market, rulebook)
    told = offsets(account, market, rulebook, level, most=0)
    broken = _broken_down(account, market, rulebook, level)
    found = []
    for window in windows:
        for pool, offset in zip(pools, told, strict=True):
            loss, *alone = _losses(account, market, rulebook, pool, window)
            names = (p.symbol for p in pool.positions)
            found.append(
                NettingTest(
                    window.name,
                    pool.name,
                    pool.currency,
                    offset.fraction,
                    offset.requirement,
                    broken.get(pool.name),
                    loss,
                    tuple(zip(names, alone, strict=True)),
                )
            )
    return tuple(found)


def _broken_down(account: Account, market: Market, rulebook: Rulebook, level: int) -> dict[str, float]:
    model = rulebook.portfolio
    if not isinstance(model, ScenarioModel) or model.correlation is None:
        return {}
    bare = replace(account, orders=())
    return {b.pool: b.calibrated + b.jump for b in breakdowns(bare, market, rulebook, level)}


def _losses(
    account: Account, market: Market, rulebook: Rulebook, pool: PoolPart, window: Window
) -> list[float]:
    # The pool, then each position alone, all without balances: what is left of equity is what positions gain.
    sets = [pool.positions, *((p,) for p in pool.positions)]
    accounts = [replace(account, balances=(), positions=held, orders=()) for held in sets]
    prepared = prepare(book_of(accounts), market, rulebook)
    equity = _equity(prepared, window)[:, pool_of_each(prepared)]
    gain = (equity - equity[0]).min(axis=0)
    return [float(x) for x in np.maximum(-gain, 0.0)]


def _equity(prepared: Prepared, window: Window) -> F64:
    table, book = prepared.table, prepared.book
    priced = shifted(table, *_factors(table, window))
    valued = value_positions(table, priced, book.instrument, book.quantity, book.entry)
    return balances_of(prepared.rulebook, table, priced, prepared.pools, valued).equity


def _factors(table: Table, window: Window) -> tuple[F64, F64]:
    # Row 0 is the start of the window.
    steps = max(len(r) for r in (*window.returns.values(), *window.vol_returns.values()))
    price, vol = np.ones((steps + 1, len(table.assets))), np.ones((steps + 1, len(table.instruments)))
    for asset, returns in window.returns.items():
        if asset in table.assets:
            price[1:, table.assets.index(asset)] = np.cumprod(1.0 + np.array(returns))
    for asset, returns in window.vol_returns.items():
        if asset in table.assets:
            of = table.is_option & (table.base == table.assets.index(asset))
            vol[1:, of] = np.cumprod(1.0 + np.array(returns))[:, None]
    return price, vol
