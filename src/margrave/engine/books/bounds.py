"""Liquidation prices of a whole book: every cross pool along every underlying, and every isolated position.

Chunk by chunk in bounded memory, as `venue` does it; `liquidation.many` is the calculation.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias, final

import numpy as np

from margrave.domain.book import Book, chunk_of
from margrave.domain.market import Market
from margrave.engine.books.venue import chunk_bounds, in_turn
from margrave.kernels.arrays import F64, I64
from margrave.liquidation.many import CurvesOf, bounds_of_pools
from margrave.margin.resolve import Resolved, resolve
from margrave.rulebook.schema import Rulebook

_ACCOUNTS: Final = 2_000  # of a chunk: several hundred numbers a pool stand in memory together
_COMPILED: Final = 12_000  # of a chunk whose tables are made at every price of the grid: some 0.1 s a coin

_Served: TypeAlias = Callable[[Book], CurvesOf]


@final
@dataclass(frozen=True, slots=True)
class BookBounds:
    """Liquidation prices of a book's known pools that hold something, (R,), in the order of accounts and pools.

    Prices are NaN where none on that side reaches it, and where the pool is liquidatable already.
    """

    account: I64  # row of the book's accounts
    pool: I64  # row of the pools of `assess_book`
    asset: I64  # row of its assets: what moves by itself
    instrument: I64  # row of the book's symbols whose mark the prices are of; -1: of the asset's index price
    price: F64  # of it now
    lower: F64  # nearest below, rounded as the venue does
    upper: F64  # nearest above
    lower_exact: F64
    upper_exact: F64

    @property
    def distance(self) -> F64:
        """Logarithm of the smaller of the two moves, (R,); infinite where no price reaches liquidation."""
        with np.errstate(divide="ignore", invalid="ignore"):
            down, up = np.log(self.price / self.lower_exact), np.log(self.upper_exact / self.price)
        return np.minimum(*(np.where(np.isnan(side), np.inf, side) for side in (down, up)))


def nearest_rows(found: BookBounds, pools: int) -> I64:
    """Row of the nearest liquidation price of each of so many pools, (K,); -1 for a pool that has no row."""
    order = np.lexsort((found.distance, found.pool))
    first = np.searchsorted(found.pool[order], np.arange(pools))
    here = np.append(found.pool[order], -1)[first] == np.arange(pools)
    return np.where(here, np.append(order, -1)[first], -1)


def bounds_book(  # noqa: PLR0913 - a book, and choices of how
    book: Book,
    market: Market,
    rulebook: Rulebook,
    *,
    chunk: int | None = None,
    threads: int = 1,
    told: Callable[[int], None] | None = None,
    compiled: bool = False,
) -> BookBounds:
    """Liquidation prices of a book of any size.

    Parameters
    ----------
    book, market, rulebook : Book, Market, Rulebook
        Three immutable inputs; time is ``market.at``.
    chunk : int, optional
        Accounts that are calculated together; by default as many as fit a fixed amount of memory.
    threads : int
        Chunks that are calculated at the same time.
    told : callable, optional
        Called with the number of accounts done whenever a chunk is.
    compiled : bool
        Pools that the compiled kernels can serve, under portfolio margin or margined by size, are searched through them (extra
        ``fast``), the others in NumPy.

    Returns
    -------
    BookBounds
        What `liquidations` gives each account along a single underlying, to within 1e-12 (`bounds_of_pools`).

    Raises
    ------
    ImportError
        ``compiled`` without a compiler; the message says what to install.
    """
    resolved = resolve(book.symbols, book.assets, market, rulebook)
    served = _served(resolved, book.symbols) if compiled else None
    spans = list(_spans(book, rulebook, chunk, _ACCOUNTS if served is None else _COMPILED))

    def run(span: tuple[int, int]) -> tuple[BookBounds, int]:
        return _part(resolved, chunk_of(book, *span), span[0], served)

    parts: list[BookBounds] = []
    pools = 0
    for part, count in in_turn(run, spans, threads, told):
        part.pool[:] += pools
        pools += count
        parts.append(part)
    return _joined(parts)


def _served(resolved: Resolved, symbols: tuple[str, ...]) -> _Served | None:
    # The only import of the compiler, for those who ask for it.
    from margrave.engine.books.moved_coins import curves_of_coins, lay_coins, moved_coins_of
    from margrave.engine.books.moved_ladders import curves_of_ladders, lay_ladders, moved_ladders_of

    of_coins = moved_coins_of(resolved, symbols)
    if of_coins is not None:
        return lambda book: partial(curves_of_coins, lay_coins(of_coins, book, resolved))
    by_size = moved_ladders_of(resolved)
    if by_size is None:
        return None
    return lambda book: partial(curves_of_ladders, lay_ladders(by_size, book, resolved))


def _spans(book: Book, rulebook: Rulebook, chunk: int | None, each: int) -> Iterator[tuple[int, int]]:
    most = chunk or each
    for first, last in chunk_bounds(book, rulebook, chunk):
        yield from ((start, min(start + most, last)) for start in range(first, last, most))


def _part(resolved: Resolved, book: Book, first: int, served: _Served | None) -> tuple[BookBounds, int]:
    found = bounds_of_pools(resolved, book, None if served is None else served(book))
    return BookBounds(
        found.account + first,
        found.pool.copy(),
        found.asset,
        found.instrument,
        found.price,
        found.lower,
        found.upper,
        found.lower_exact,
        found.upper_exact,
    ), found.pools


def _joined(parts: list[BookBounds]) -> BookBounds:
    whole, number = np.zeros(0, dtype=np.int64), np.zeros(0)
    rows = ("account", "pool", "asset", "instrument")
    numbers = ("price", "lower", "upper", "lower_exact", "upper_exact")
    return BookBounds(
        *(np.concatenate([whole, *(getattr(part, name) for part in parts)]) for name in rows),
        *(np.concatenate([number, *(getattr(part, name) for part in parts)]) for name in numbers),
    )
