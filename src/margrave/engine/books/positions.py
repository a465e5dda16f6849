"""Every position of a book as columns: what it is worth, what it is charged, and where an isolated one is liquidated."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import final

import numpy as np

from margrave.core.words import INITIAL, MAINTENANCE
from margrave.domain.book import Book, chunk_of
from margrave.domain.market import Market
from margrave.engine.books.bounds import BookBounds
from margrave.engine.books.venue import chunk_bounds, in_turn
from margrave.kernels.arrays import F64, I64, Bools
from margrave.margin.pooled import evaluate, prepare_in
from margrave.margin.resolve import Resolved, resolve
from margrave.rulebook.schema import Rulebook


@final
@dataclass(frozen=True, slots=True)
class PositionColumns:
    """Positions of a book, (P,), in its order; money in each one's settlement asset, NaN where it is not known."""

    account: I64  # row of the book's accounts
    pool: I64  # row of the pools of `assess_book`
    instrument: I64  # row of the book's symbols
    currency: I64  # row of the assets of `assess_book`
    is_isolated: Bools
    quantity: F64  # [contracts] long > 0
    entry: F64
    mark: F64
    profit: F64  # unrealised
    value: F64  # option value; zero for futures
    notional: F64  # at the mark
    initial: F64  # zero for members of portfolio margin, which are charged together
    maintenance: F64


def positions_book(
    book: Book,
    market: Market,
    rulebook: Rulebook,
    *,
    chunk: int | None = None,
    threads: int = 1,
    told: Callable[[int], None] | None = None,
) -> PositionColumns:
    """Value and charge every position of a book of any size.

    Parameters
    ----------
    book, market, rulebook, chunk, threads, told
        As of `assess_book`.

    Returns
    -------
    PositionColumns
        The digits of `assess`'s positions.
    """
    resolved = resolve(book.symbols, book.assets, market, rulebook)
    spans = list(chunk_bounds(book, rulebook, chunk, threads)) or [(0, 0)]

    def run(span: tuple[int, int]) -> tuple[PositionColumns, int]:
        return _part(resolved, chunk_of(book, *span), span[0])

    parts: list[PositionColumns] = []
    pools = 0
    for part, count in in_turn(run, spans, threads, told):
        part.pool[:] += pools
        pools += count
        parts.append(part)
    return PositionColumns(
        *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(PositionColumns))
    )


def _part(resolved: Resolved, book: Book, first: int) -> tuple[PositionColumns, int]:
    prepared = prepare_in(resolved, book)
    workings = evaluate(prepared).workings
    valued, pools = workings.valued, prepared.pools
    return PositionColumns(
        book.account + first,
        pools.position_pool.copy(),
        book.instrument,
        prepared.table.settlement[book.instrument],
        book.is_isolated,
        book.quantity,
        book.entry,
        valued.mark[0],
        valued.profit[0],
        valued.value[0],
        valued.notional[0],
        workings.charged[INITIAL][0],
        workings.charged[MAINTENANCE][0],
    ), len(pools.account)


def liquidation_prices(positions: PositionColumns, bounds: BookBounds) -> tuple[F64, F64]:
    """Liquidation price below and above of every isolated position, (P,); NaN where there is none, and in cross mode."""
    lower, upper = np.full(len(positions.pool), np.nan), np.full(len(positions.pool), np.nan)
    alone = np.flatnonzero(positions.is_isolated)
    # An isolated pool holds one position; its own instrument tells the price, not its collateral's.
    row = np.full(int(max(positions.pool.max(initial=0), bounds.pool.max(initial=0))) + 1, -1)
    own = np.flatnonzero(bounds.instrument >= 0)
    row[bounds.pool[own]] = own
    at = row[positions.pool[alone]]
    alone, at = alone[at >= 0], at[at >= 0]
    lower[alone], upper[alone] = bounds.lower[at], bounds.upper[at]
    return lower, upper
