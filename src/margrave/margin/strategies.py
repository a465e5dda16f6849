"""Option positions that are recognised together (spec OM-3): what covers a short leg lowers its margin.

Pairs depend on sizes, strikes and expiries only, never on prices: they are found once, greedily, from the
nearest strike. A recognised leg is never charged more than it would be alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.domain.book import Book
from margrave.kernels.arrays import F64, I64, Bools
from margrave.margin.plan import Plan
from margrave.margin.pools import Pools
from margrave.margin.short_options import OptionMargin, model_of
from margrave.rulebook.schema import OptionModel, Strategy
from margrave.valuation.scenarios import Priced
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class Recognised:
    """Pairs of a book, (N,): a short leg and what covers part of it; legs are places among the option positions."""

    position: I64  # (n,) rows of the option positions
    strategy: I64  # row of `STRATEGIES`
    short: I64
    cover: I64  # -1 where cash or coin covers
    size: F64  # [base] covered size
    fall: F64  # deepest settlement fall that the rulebook has a coin put spread survive


STRATEGIES = (Strategy.VERTICAL, Strategy.COVERED_CALL, Strategy.CASH_SECURED_PUT, Strategy.STRANGLE)
"""In the order in which they are recognised."""
_VERTICAL, _COVERED_CALL, _SECURED_PUT, _STRANGLE = range(4)


@final
@dataclass(slots=True)
class _Search:
    """Option positions, (n,), while pairs are found: what is left of each, and of the cash of each bucket."""

    instrument: I64
    quantity: F64
    bucket: I64
    allowed: Bools  # (4, n) strategies that the position's product names
    left: F64  # (n,) [base]
    cash: F64  # (B,) [asset]
    found: list[tuple[int, I64, I64, F64]]  # strategy, short, cover, size


def recognise(plan: Plan, table: Table, book: Book, pools: Pools, rows: I64) -> Recognised:
    """Find the recognised strategies of a book, for products whose rulebook names them.

    Pools do not share cover, so that all are searched at once: every round takes one short leg of each bucket.

    Parameters
    ----------
    plan, table, book, pools : Plan, Table, Book, Pools
        Rules, instruments, positions, and the cash of each bucket.
    rows : (n,) ndarray of int
        Positions that the standard option margin is asked of.
    """
    named = any(isinstance(p.model, OptionModel) and p.model.strategies for p in plan.rulebook.products)
    if rows.size == 0 or not named:
        return _none(rows)
    at = book.instrument[rows]
    allowed, fall = np.zeros((len(STRATEGIES), len(table.a)), dtype=np.bool_), np.zeros(len(table.a))
    for row in np.unique(at).tolist():
        if (model := model_of(plan, table, row)) is not None:
            allowed[:, row] = [strategy in model.strategies for strategy in STRATEGIES]
            fall[row] = model.strategy_fall
    if not allowed.any():
        return _none(rows)
    search = _Search(
        at,
        book.quantity[rows],
        pools.position_bucket[rows],
        allowed[:, at],
        np.abs(book.quantity[rows]) * table.a[at],
        pools.bucket_balance.copy(),
        [],
    )
    for strategy in range(len(STRATEGIES)):
        for shorts in _rounds(search, strategy):
            (_by_cash if strategy in (_COVERED_CALL, _SECURED_PUT) else _by_option)(
                search, table, strategy, shorts
            )
    counts = [len(short) for _, short, _, _ in search.found]
    strategies = np.repeat(np.array([s for s, _, _, _ in search.found], dtype=np.int64), counts)
    short = np.concatenate([_NOTHING, *(short for _, short, _, _ in search.found)])
    cover = np.concatenate([_NOTHING, *(cover for _, _, cover, _ in search.found)])
    size = np.concatenate([np.zeros(0), *(size for _, _, _, size in search.found)])
    return Recognised(rows, strategies, short, cover, size, fall[at[short]])


def _none(rows: I64) -> Recognised:
    return Recognised(rows, _NOTHING, _NOTHING, _NOTHING, np.zeros(0), np.zeros(0))


_NOTHING = np.zeros(0, dtype=np.int64)


def _rounds(search: _Search, strategy: int) -> Iterator[I64]:
    # Short legs, one of each bucket at a time, in the order in which they stand.
    shorts = np.flatnonzero((search.quantity < 0.0) & search.allowed[strategy])
    order = search.bucket[shorts].argsort(kind="stable")
    shorts = shorts[order]
    bucket = search.bucket[shorts]
    place = np.arange(len(shorts)) - bucket.searchsorted(bucket)
    for turn in range(int(place.max(initial=-1)) + 1):
        yield shorts[place == turn]


def _by_cash(search: _Search, table: Table, strategy: int, shorts: I64) -> None:
    # A coin call is covered by its coin, a quote put by its strike in cash; the other two have no bound to cover.
    at = search.instrument[shorts]
    call = table.is_call[at]
    covered = (call == (strategy == _COVERED_CALL)) & (call == table.is_coin_premium[at])
    shorts, at, call = shorts[covered], at[covered], call[covered]
    bucket = search.bucket[shorts]
    each = np.where(call, 1.0, table.strike[at])
    size = np.minimum(search.left[shorts], np.maximum(search.cash[bucket], 0.0) / each)
    search.left[shorts] -= size
    search.cash[bucket] -= size * each
    some = size > 0.0
    search.found.append((strategy, shorts[some], np.full(int(some.sum()), -1), size[some]))


def _by_option(search: _Search, table: Table, strategy: int, shorts: I64) -> None:
    short, cover = _candidates(search, shorts)
    fits = _covers(search, table, strategy, short, cover)
    short, cover = short[fits], cover[fits]
    strike = table.strike[search.instrument]
    order = np.lexsort((cover, np.abs(strike[cover] - strike[short]), short))
    short, cover = short[order], cover[order]
    place = np.arange(len(short)) - short.searchsorted(short)
    for turn in range(int(place.max(initial=-1)) + 1):
        here, there = short[place == turn], cover[place == turn]
        size = np.minimum(search.left[here], search.left[there])
        some = size > 0.0
        here, there, size = here[some], there[some], size[some]
        search.left[here] -= size
        search.left[there] -= size
        search.found.append((strategy, here, there, size))


def _candidates(search: _Search, shorts: I64) -> tuple[I64, I64]:
    # Every short beside every other option of its bucket.
    order = search.bucket.argsort(kind="stable")
    ordered = search.bucket[order]
    start, end = (ordered.searchsorted(search.bucket[shorts], side=side) for side in ("left", "right"))
    count = end - start
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(shorts, count), order[np.repeat(start, count) + offset]


def _covers(search: _Search, table: Table, strategy: int, short: I64, cover: I64) -> Bools:
    a, b = search.instrument[short], search.instrument[cover]
    alike = (
        (short != cover)
        & (table.base[a] == table.base[b])
        & (table.is_coin_premium[a] == table.is_coin_premium[b])
    )
    same_right = table.is_call[a] == table.is_call[b]
    if strategy == _VERTICAL:
        lives = table.years[b] >= table.years[a]
        return np.asarray(alike & (search.quantity[cover] > 0.0) & same_right & lives)
    apart = np.where(table.is_call[a], table.strike[a] >= table.strike[b], table.strike[a] <= table.strike[b])
    together = ~same_right & (table.years[a] == table.years[b]) & apart
    return np.asarray(alike & (search.quantity[cover] < 0.0) & together)


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
    if recognised.short.size == 0:
        return alone
    short = recognised.short
    cover = np.where(recognised.cover >= 0, recognised.cover, short)
    size = np.abs(book.quantity[recognised.position]) * table.a[book.instrument[recognised.position]]
    each, mark = alone[:, short] / size[short], option.mark[level][:, short]
    other, other_mark = alone[:, cover] / size[cover], option.mark[level][:, cover]
    # A strangle is charged its greater side; what the other side asks beyond its mark is released here.
    both = np.maximum(each - mark, other - other_mark) + mark - (other - other_mark)
    vertical = np.minimum(each, _width(recognised, table, priced, book))
    charged = np.where(
        recognised.strategy == _VERTICAL,
        vertical,
        np.where(recognised.strategy == _STRANGLE, both, np.minimum(each, mark)),
    )
    margin = alone.copy()
    scenario = np.arange(len(margin))[:, None]
    np.add.at(margin, (scenario, short[None, :]), recognised.size * (charged - each))
    return margin


def _width(recognised: Recognised, table: Table, priced: Priced, book: Book) -> F64:
    # Loss of each pair at the worst settlement, per coin of size, in the premium's asset.
    short, cover = (
        book.instrument[recognised.position[np.where(legs >= 0, legs, recognised.short)]]
        for legs in (recognised.short, recognised.cover)
    )
    ks, kl = table.strike[short], table.strike[cover]
    width = np.maximum(np.where(table.is_call[short], kl - ks, ks - kl), 0.0)
    # A coin call is worst at the long strike: beyond it the fixed dollar width buys fewer coins.
    deepest = np.minimum(priced.index[:, short] * (1.0 - recognised.fall), kl)
    worst = np.where(table.is_call[short], kl, deepest)
    return np.where(table.is_coin_premium[short], width / worst, width)
