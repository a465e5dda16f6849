"""Option positions that are recognised together (spec OM-3): what covers a short leg lowers its margin.

Pairs depend on sizes, strikes and expiries only, never on prices: they are found once, greedily, from the
nearest strike. A recognised leg is never charged more than it would be alone.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.domain.book import Book
from margrave.kernels.arrays import F64, I64
from margrave.margin.plan import Plan
from margrave.margin.pools import Pools
from margrave.margin.short_options import OptionMargin, model_of
from margrave.rulebook.schema import Strategy
from margrave.valuation.scenarios import Priced
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class Pair:
    """A short leg and what covers part of it; rows are places among the option positions."""

    strategy: Strategy
    short: int  # row of the short leg
    cover: int  # row of the covering option; -1 where cash or coin covers
    size: float  # [base] covered size
    fall: float  # deepest settlement fall that the rulebook has a coin put spread survive
    code: str


@final
@dataclass(frozen=True, slots=True)
class Recognised:
    """Pairs of a book."""

    pairs: tuple[Pair, ...]
    position: I64  # (n,) rows of the option positions


def recognise(plan: Plan, table: Table, book: Book, pools: Pools) -> Recognised:
    """Find the recognised strategies of a book, for products whose rulebook names them."""
    rows = np.flatnonzero(table.is_option[book.instrument])
    wanted = [model_of(plan, table, int(i)) for i in book.instrument[rows]]
    if not any(model is not None and model.strategies for model in wanted):
        return Recognised((), rows)
    left = {
        k: float(abs(book.quantity[p]) * table.a[book.instrument[p]]) for k, p in enumerate(rows.tolist())
    }
    cash = {b: float(amount) for b, amount in enumerate(pools.bucket_balance)}
    pairs: list[Pair] = []
    for strategy in (Strategy.VERTICAL, Strategy.COVERED_CALL, Strategy.CASH_SECURED_PUT, Strategy.STRANGLE):
        for short, p in enumerate(rows.tolist()):
            model = wanted[short]
            if book.quantity[p] >= 0 or model is None or strategy not in model.strategies:
                continue
            cover = _by_cash if strategy in (Strategy.COVERED_CALL, Strategy.CASH_SECURED_PUT) else _by_option
            pairs += [
                Pair(strategy, short, k, size, model.strategy_fall, model.strategy_code)
                for k, size in cover(strategy, table, book, pools, rows, short, left, cash)
            ]
    return Recognised(tuple(pairs), rows)


def _by_cash(  # noqa: PLR0913 - one signature for both kinds of cover
    strategy: Strategy,
    table: Table,
    book: Book,
    pools: Pools,
    rows: I64,
    short: int,
    left: dict[int, float],
    cash: dict[int, float],
) -> list[tuple[int, float]]:
    position = int(rows[short])
    instrument = int(book.instrument[position])
    call = bool(table.is_call[instrument])
    # A coin call is covered by its coin, a quote put by its strike in cash; the other two have no bound to cover.
    if call != (strategy is Strategy.COVERED_CALL) or call != bool(table.is_coin_premium[instrument]):
        return []
    bucket = int(pools.position_bucket[position])
    each = 1.0 if call else float(table.strike[instrument])
    size = min(left[short], max(cash[bucket], 0.0) / each)
    left[short] -= size
    cash[bucket] -= size * each
    return [(-1, size)] if size > 0 else []


def _by_option(  # noqa: PLR0913
    strategy: Strategy,
    table: Table,
    book: Book,
    pools: Pools,
    rows: I64,
    short: int,
    left: dict[int, float],
    cash: dict[int, float],
) -> list[tuple[int, float]]:
    del cash
    found = []
    strike = table.strike[book.instrument[rows]]
    for k in sorted(left, key=lambda k: abs(strike[k] - strike[short])):
        if left[short] <= 0:
            break
        if left[k] > 0 and k != short and _covers(strategy, table, book, pools, rows, short, k):
            size = min(left[short], left[k])
            left[short] -= size
            left[k] -= size
            found.append((k, size))
    return found


def _covers(  # noqa: PLR0913 - what one formula is made of
    strategy: Strategy, table: Table, book: Book, pools: Pools, rows: I64, short: int, k: int
) -> bool:
    here, there = int(rows[short]), int(rows[k])
    a, b = int(book.instrument[here]), int(book.instrument[there])
    if pools.position_bucket[here] != pools.position_bucket[there] or table.base[a] != table.base[b]:
        return False
    if table.is_coin_premium[a] != table.is_coin_premium[b]:
        return False
    if strategy is Strategy.VERTICAL:
        lives = table.years[b] >= table.years[a]
        return bool(book.quantity[there] > 0 and table.is_call[a] == table.is_call[b] and lives)
    apart = table.strike[a] >= table.strike[b] if table.is_call[a] else table.strike[a] <= table.strike[b]
    return bool(
        book.quantity[there] < 0
        and table.is_call[a] != table.is_call[b]
        and table.years[a] == table.years[b]
        and apart
    )


def recognised_margin(  # noqa: PLR0913 - every part of one formula
    recognised: Recognised,
    table: Table,
    priced: Priced,
    book: Book,
    option: OptionMargin,
    alone: F64,
    level: int,
) -> F64:
    """Margin of option positions with recognised strategies, (S, n) [payoff asset].

    Parameters
    ----------
    recognised : Recognised
        Pairs.
    table, priced, book, option : Table, Priced, Book, OptionMargin
        Prices and the formula's parts per coin.
    alone : (S, n) ndarray
        Margin of each option position by itself.
    level : int
        0 initial, 1 maintenance.

    Returns
    -------
    (S, n) ndarray
        Vertical: at most the width at the worst settlement. Strangle: the greater side and the other's mark.
        Covered by cash or coin: the mark alone.
    """
    if not recognised.pairs:
        return alone
    margin = alone.copy()
    size = np.abs(book.quantity[recognised.position]) * table.a[book.instrument[recognised.position]]
    for pair in recognised.pairs:
        each = alone[:, pair.short] / size[pair.short]
        mark = option.mark[level][:, pair.short]
        if pair.strategy is Strategy.VERTICAL:
            charged = np.minimum(each, _width(pair, recognised, table, priced, book))
        elif pair.strategy is Strategy.STRANGLE:
            other = alone[:, pair.cover] / size[pair.cover]
            other_mark = option.mark[level][:, pair.cover]
            # The pair is charged its greater side; what the other side asks beyond its mark is released here.
            both = np.maximum(each - mark, other - other_mark)
            charged = both + mark - (other - other_mark)
        else:
            charged = np.minimum(each, mark)
        margin[:, pair.short] += pair.size * (charged - each)
    return margin


def _width(pair: Pair, recognised: Recognised, table: Table, priced: Priced, book: Book) -> F64:
    # Loss of the pair at the worst settlement, per coin of size, in the premium's asset.
    short, cover = (int(book.instrument[recognised.position[k]]) for k in (pair.short, pair.cover))
    ks, kl = float(table.strike[short]), float(table.strike[cover])
    width = max(kl - ks, 0.0) if table.is_call[short] else max(ks - kl, 0.0)
    if not table.is_coin_premium[short]:
        return np.full(priced.mark.shape[0], width)
    if table.is_call[short]:  # worst at the long strike: beyond it the fixed dollar width buys fewer coins
        return np.full(priced.mark.shape[0], width / kl)
    deepest = np.minimum(priced.index[:, short] * (1.0 - pair.fall), kl)
    return width / deepest
