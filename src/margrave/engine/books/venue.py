"""The one calculation over a book of any size: chunk by chunk in bounded memory, with columns as the answer.

The instruments are resolved once. A chunk is a book of whole accounts, so that chunks can be calculated in any order and
on several threads: each account has the digits that it has alone.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from margrave.core.errors import Issue
from margrave.domain.book import Book, Names, chunk_of
from margrave.domain.market import Market
from margrave.engine.assess import notes_of
from margrave.engine.assessment import Status
from margrave.kernels.arrays import F64, I64, Bools
from margrave.margin.pooled import Pooled, Prepared, evaluate, prepare_in
from margrave.margin.resolve import Resolved, resolve
from margrave.margin.scenario.cells import grid_of
from margrave.rulebook.bands import liquidation_ratio
from margrave.rulebook.portfolio import ScenarioModel
from margrave.rulebook.schema import Rulebook

STATUSES = tuple(Status)
"""Status of a row, best first: `PoolColumns.status` points into it."""

# Chunks are larger than a processor's cache: each call of NumPy is then long enough that threads do not wait for the interpreter.
_CELLS = 4_000_000  # rows times scenario cells of a chunk: 32 MB an intermediate array, the most that an allocator keeps
_ROWS = 200_000  # rows of a chunk of positions that are margined by size
_POOLS = 10_000  # rows of a chunk of pools that are margined one by one
_WORTH = 20_000  # rows that are worth a thread


@final
@dataclass(frozen=True, slots=True)
class PoolColumns:
    """Pools of a book, (K,), in the order of accounts; money in each one's currency, NaN where it is unknown."""

    account: I64  # row of the book's accounts
    currency: I64  # row of `assets` of the assessment
    instrument: I64  # row of the book's symbols for an isolated position; -1 for a cross pool
    equity: F64
    margin_balance: F64
    initial: F64  # with open orders
    maintenance: F64
    order_margin: F64
    status: NDArray[np.int8]  # row of `STATUSES`

    @property
    def ratio(self) -> F64:
        """Maintenance over margin balance, (K,): 1 is liquidation, infinite for a requirement without balance."""
        owes = (self.maintenance > 0.0) & ~(self.margin_balance > 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.maintenance / self.margin_balance
        known = ~np.isnan(self.maintenance + self.margin_balance)
        return np.where(owes, np.inf, np.where(self.maintenance == 0.0, 0.0, ratio)) + np.where(
            known, 0.0, np.nan
        )


@final
@dataclass(frozen=True, slots=True)
class BookAssessment:
    """A book under a rulebook in a market."""

    names: Names  # (A,)
    symbols: tuple[str, ...]
    assets: tuple[str, ...]
    rulebook: str
    valid_from: datetime
    at: datetime
    pools: PoolColumns
    issues: dict[int, tuple[Issue, ...]]  # pool row -> why it is unknown
    notes: tuple[str, ...]

    @property
    def status(self) -> NDArray[np.int8]:
        """Worst status of each account's pools, (A,): rows of `STATUSES`; an account without pools is healthy."""
        worst = np.zeros(len(self.names), dtype=np.int8)
        np.maximum.at(worst, self.pools.account, self.pools.status)
        return worst

    @property
    def ratio(self) -> F64:
        """Largest ratio of each account's known pools, (A,); NaN where a pool is unknown."""
        largest = np.zeros(len(self.names))
        with np.errstate(invalid="ignore"):  # NaN is meant to stay
            np.maximum.at(largest, self.pools.account, self.pools.ratio)
        return largest


def assess_book(  # noqa: PLR0913 - three inputs, and how they are gone through
    book: Book,
    market: Market,
    rulebook: Rulebook,
    *,
    chunk: int | None = None,
    threads: int = 1,
    told: Callable[[int], None] | None = None,
    compiled: bool = False,
) -> BookAssessment:
    """Assess a book of any size.

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
        Accounts that the compiled sweep can serve go through it (extra ``fast``), the others through NumPy; a note says
        how many. Their digits may differ in the last bits: see `engine.books.swept`.

    Returns
    -------
    BookAssessment
        The same digits for every chunk and number of threads, and, not compiled, those that `assess` gives each
        account alone.

    Raises
    ------
    ImportError
        ``compiled`` without a compiler; the message says what to install.
    """
    resolved = resolve(book.symbols, book.assets, market, rulebook)
    return assess_resolved(book, resolved, chunk=chunk, threads=threads, told=told, compiled=compiled)


def assess_resolved(
    book: Book,
    resolved: Resolved,
    *,
    chunk: int | None = None,
    threads: int = 1,
    told: Callable[[int], None] | None = None,
    compiled: bool = False,
) -> BookAssessment:
    """Assess a book, or some accounts of one, whose instruments and assets are resolved already."""
    if compiled:
        # The only import of the compiler, for those who ask for it.
        from margrave.engine.books.compiled_path import assess_compiled

        return assess_compiled(book, resolved, chunk=chunk, threads=threads, told=told)
    bounds = list(chunk_bounds(book, resolved.rulebook, chunk, threads)) or [(0, 0)]

    def run(bound: tuple[int, int]) -> _Part:
        return _part(resolved, chunk_of(book, *bound), bound[0])

    # A pool holds a row of the book at least. What is never written takes no memory.
    room = len(book.account) + len(book.balance_account) + len(book.order_account)
    columns: list[NDArray[Any]] = [np.empty(room, dtype=kind) for kind in _KINDS]
    issues: dict[int, tuple[Issue, ...]] = {}
    filled = 0
    for part in in_turn(run, bounds, threads, told):
        issues.update({filled + row: why for row, why in part.issues.items()})
        filled = _filled(columns, filled, part.pools)
    pools = PoolColumns(*(column[:filled] for column in columns))
    return _assessment(book, resolved, pools, issues)


T = TypeVar("T")


def in_turn(
    run: Callable[[tuple[int, int]], T],
    spans: Sequence[tuple[int, int]],
    threads: int,
    told: Callable[[int], None] | None,
) -> Iterator[T]:
    """What each span of accounts gives, in their order, however many are calculated at the same time.

    Parameters
    ----------
    run : callable
        From the first account of a span and the one after its last.
    spans : sequence of (int, int)
        Ascending.
    threads : int
        Spans at the same time.
    told : callable, optional
        Called with the accounts done, after each span that was taken.
    """
    with ThreadPoolExecutor(max_workers=max(threads, 1)) as pool:
        # Who asks for one span, or one thread, waits for no other: the small calls of a loop are many.
        parts = pool.map(run, spans) if threads > 1 and len(spans) > 1 else map(run, spans)
        for part, span in zip(parts, spans, strict=True):
            yield part
            if told is not None:
                told(span[1])


_KINDS = (np.int64, np.int64, np.int64, *(np.float64,) * 5, np.int8)
"""Types of the columns of `PoolColumns`."""


def _filled(columns: list[NDArray[Any]], start: int, pools: PoolColumns) -> int:
    # Chunk by chunk into their place, so that a chunk's memory serves the next.
    end = start + len(pools.account)
    for column, field in zip(columns, fields(PoolColumns), strict=True):
        column[start:end] = getattr(pools, field.name)
    return end


@final
@dataclass(frozen=True, slots=True)
class _Part:
    pools: PoolColumns
    issues: dict[int, tuple[Issue, ...]]


def chunk_bounds(
    book: Book, rulebook: Rulebook, chunk: int | None, threads: int = 1
) -> Iterator[tuple[int, int]]:
    """First and last + 1 accounts of chunks: whole accounts, up to a number of rows or ``chunk`` accounts, alike for each thread."""
    count = len(book.names)
    if chunk is not None:
        yield from ((first, min(first + chunk, count)) for first in range(0, count, chunk))
        return
    columns = (book.account, book.balance_account, book.order_account)
    rows, first = _shared_out(max(len(c) for c in columns), _rows_at_once(rulebook), threads), 0
    while first < count:
        done = [int(column.searchsorted(first)) for column in columns]
        full = [int(c[d + rows]) for c, d in zip(columns, done, strict=True) if d + rows < len(c)]
        last = min([*full, first + rows, count])
        last = max(last, first + 1)
        yield first, last
        first = last


def _shared_out(total: int, rows: int, threads: int) -> int:
    # Rows of a chunk, no more than these, so that no thread has a chunk more than another; a little more, for accounts stay whole.
    busy = min(threads, total // _WORTH)
    if busy < 2:
        return rows
    pieces = -(-total // rows)
    pieces += -pieces % busy
    return min(total // pieces + total // (50 * pieces) + 1, rows)


def _rows_at_once(rulebook: Rulebook) -> int:
    model = rulebook.portfolio
    if model is None:
        return _ROWS
    if not isinstance(model, ScenarioModel):
        return _POOLS
    cells = max(len(grid_of(terms.cells).move) for terms in model.terms)
    return max(_CELLS // cells, 1)


def _part(resolved: Resolved, book: Book, first: int) -> _Part:
    prepared = prepare_in(resolved, book)
    pooled = evaluate(prepared)
    return _Part(_columns(prepared, pooled, first), prepared.issues)


def _columns(prepared: Prepared, pooled: Pooled, first: int) -> PoolColumns:
    pools = prepared.pools
    instrument = np.full(len(pools.account), -1, dtype=np.int64)
    alone = np.flatnonzero(pools.is_isolated)
    instrument[alone] = prepared.book.instrument[pools.position[alone]]
    return PoolColumns(
        pools.account + first,
        pools.currency,
        instrument,
        pooled.equity[0],
        pooled.margin_balance[0],
        pooled.initial[0],
        pooled.maintenance[0],
        pooled.workings.order_margin[0],
        statuses_of(prepared, pooled),
    )


def statuses_of(prepared: Prepared, pooled: Pooled) -> NDArray[np.int8]:
    """Status of each pool in the first scenario, (K,): rows of `STATUSES`."""
    unknown = np.zeros(len(prepared.pools.account), dtype=np.bool_)
    unknown[list(prepared.issues)] = True
    closing = liquidation_ratio(prepared.rulebook.account.bands)
    return status_of(pooled.margin_balance[0], pooled.initial[0], pooled.maintenance[0], closing, unknown)


def status_of(
    balance: F64, initial: F64, maintenance: F64, closing: float, unknown: Bools
) -> NDArray[np.int8]:
    """Status of pools by their balance and requirements, (K,): rows of `STATUSES`; what is NaN is unknown."""
    status = np.where(balance < initial, STATUSES.index(Status.CALL), STATUSES.index(Status.HEALTHY))
    status = np.where(balance < closing * maintenance, STATUSES.index(Status.LIQUIDATABLE), status)
    unknown = unknown | np.isnan(balance + initial + maintenance)
    return np.where(unknown, STATUSES.index(Status.UNKNOWN), status).astype(np.int8)


def _assessment(
    book: Book, resolved: Resolved, pools: PoolColumns, issues: dict[int, tuple[Issue, ...]]
) -> BookAssessment:
    rulebook, at = resolved.rulebook, resolved.market.at
    return BookAssessment(
        book.names,
        book.symbols,
        resolved.table.assets,
        rulebook.id,
        rulebook.valid_from,
        at,
        pools,
        issues,
        notes_of(rulebook, at),
    )
