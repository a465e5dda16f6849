"""A book through the compiled sweep, and what the sweep cannot serve through NumPy: one answer in the order of accounts."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import final

import numpy as np

from margrave.core.errors import Issue
from margrave.domain.book import Book, chunk_of
from margrave.domain.market import Market
from margrave.engine.books.ladder_swept import ladder_sweep_of, ladders_swept
from margrave.engine.books.laid import LaidBook, are_same, contracts_of, lay_out, lay_out_alone, some_accounts
from margrave.engine.books.swept import sweep_of, swept
from margrave.engine.books.venue import BookAssessment, PoolColumns, assess_resolved
from margrave.kernels.arrays import Bools
from margrave.kernels.compiled.coin_pools import UNFINISHED, PoolMargins
from margrave.margin.resolve import Resolved, resolve
from margrave.rulebook.schema import Rulebook


@final
@dataclass(frozen=True, slots=True)
class KeptBook:
    """A book under a rulebook, laid out for tick after tick."""

    book: Book
    rulebook: Rulebook
    laid: LaidBook | None  # None where the rulebook has no compiled form


def keep(book: Book, market: Market, rulebook: Rulebook, *, threads: int = 1) -> KeptBook:
    """Lay a book out once, so that a tick costs its sweep alone.

    Parameters
    ----------
    book, market, rulebook : Book, Market, Rulebook
        As in `assess_book`; of the market only what its contracts are is kept.
    threads : int
        The same bytes for any number.

    Raises
    ------
    ImportError
        There is no compiler.
    """
    return keep_in(book, resolve(book.symbols, book.assets, market, rulebook), threads=threads)


def keep_in(book: Book, resolved: Resolved, *, threads: int = 1) -> KeptBook:
    """Lay out a book whose instruments and assets are resolved already."""
    with _workers(threads) as pool:
        return _kept(book, resolved, pool)


def _kept(book: Book, resolved: Resolved, pool: Executor | None) -> KeptBook:
    return KeptBook(book, resolved.rulebook, _laid(book, resolved, pool))


def _laid(book: Book, resolved: Resolved, pool: Executor | None) -> LaidBook | None:
    # None where the rulebook has no compiled form.
    if ladder_sweep_of(resolved) is not None:
        return lay_out_alone(book, resolved, pool)
    return None if sweep_of(resolved, book.symbols) is None else lay_out(book, resolved, pool)


def _swept(book: Book, resolved: Resolved, laid: LaidBook, pool: Executor | None) -> PoolMargins | None:
    by_size = ladder_sweep_of(resolved)
    if by_size is not None:
        return ladders_swept(by_size, laid, pool)
    sweep = sweep_of(resolved, book.symbols)
    return None if sweep is None else swept(sweep, laid, pool)


def assess_kept(kept: KeptBook, market: Market, *, threads: int = 1) -> BookAssessment:
    """Assess a kept book in another market: what `assess_book` answers, compiled, at the cost of a tick.

    Parameters
    ----------
    kept : KeptBook
        From `keep`. Where the market's contracts are no longer those that it was laid out by, it is laid out anew.
    market : Market
        The market as it is now.
    threads : int
        The same bytes for any number.
    """
    resolved = resolve(kept.book.symbols, kept.book.assets, market, kept.rulebook)
    return assess_kept_in(kept, resolved, threads=threads)[1]


def assess_kept_in(
    kept: KeptBook, resolved: Resolved, *, threads: int = 1
) -> tuple[KeptBook, BookAssessment]:
    """Assess a kept book whose market is resolved already; and the book as it is kept from now on."""
    with _workers(threads) as pool:
        laid = kept.laid
        if laid is not None and not are_same(laid.contracts, contracts_of(resolved.table)):
            kept = replace(kept, laid=_laid(kept.book, resolved, pool))
        return kept, _assessed(kept, resolved, pool, _Ways(None, threads, None))


def assess_compiled(
    book: Book,
    resolved: Resolved,
    *,
    chunk: int | None = None,
    threads: int = 1,
    told: Callable[[int], None] | None = None,
) -> BookAssessment:
    """Assess a book, with the compiled sweep where it can serve.

    Parameters
    ----------
    book, resolved : Book, Resolved
        Accounts, and rulebook, market and instruments.
    chunk, told
        Of the accounts that NumPy answers, as `assess_book` has them.
    threads : int
        Of both.

    Returns
    -------
    BookAssessment
        A note says how many accounts NumPy answered.
    """
    with _workers(threads) as pool:
        return _assessed(_kept(book, resolved, pool), resolved, pool, _Ways(chunk, threads, told))


@contextmanager
def _workers(threads: int) -> Iterator[Executor | None]:
    if threads < 2:
        yield None
        return
    with ThreadPoolExecutor(max_workers=threads) as pool:
        yield pool


@final
@dataclass(frozen=True, slots=True)
class _Ways:
    # How NumPy goes through what is left to it.
    chunk: int | None
    threads: int
    told: Callable[[int], None] | None


def _assessed(kept: KeptBook, resolved: Resolved, pool: Executor | None, ways: _Ways) -> BookAssessment:
    book, laid = kept.book, kept.laid
    found_pools = None if laid is None else _swept(book, resolved, laid, pool)
    if laid is None or found_pools is None:
        found = assess_resolved(book, resolved, chunk=ways.chunk, threads=ways.threads, told=ways.told)
        note = f"{resolved.rulebook.id} has no compiled form: NumPy answered"
        return replace(found, notes=(*found.notes, note))
    slow = laid.others.copy()
    slow[laid.account[found_pools.standing == UNFINISHED]] = True
    asked = np.flatnonzero(slow)
    left = (
        some_accounts(book, slow) if asked.size else chunk_of(book, 0, 0)
    )  # to choose none of millions takes milliseconds
    others = assess_resolved(left, resolved, chunk=ways.chunk, threads=ways.threads)
    if ways.told is not None:
        ways.told(len(book.names))
    quick = _columns(laid, found_pools, resolved.currency)
    if not asked.size:
        return replace(others, names=book.names, pools=quick)
    pools, issues = _together(quick, slow, others)
    note = f"{asked.size:,} of {len(book.names):,} accounts were answered by NumPy: the compiled sweep does not serve them"
    return replace(others, names=book.names, pools=pools, issues=issues, notes=(*others.notes, note))


def _columns(laid: LaidBook, found: PoolMargins, currency: int) -> PoolColumns:
    count = len(laid.account)
    return PoolColumns(
        laid.account,
        laid.rows.currency if laid.first is None else np.broadcast_to(np.int64(currency), count),
        laid.instrument,
        found.equity,
        found.balance,
        found.initial,
        found.maintenance,
        found.order_margin,
        found.standing,
    )


def _together(
    quick: PoolColumns, slow: Bools, others: BookAssessment
) -> tuple[PoolColumns, dict[int, tuple[Issue, ...]]]:
    # In the order of accounts; an account's pools are all of one side, and keep their order.
    kept = ~slow[quick.account]
    account = np.concatenate((quick.account[kept], np.flatnonzero(slow)[others.pools.account]))
    order = account.argsort(kind="stable")
    merged = [
        np.concatenate((getattr(quick, field.name)[kept], getattr(others.pools, field.name)))[order]
        for field in fields(PoolColumns)
    ]
    merged[0] = account[order]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    first = int(np.count_nonzero(kept))
    issues = {int(place[first + row]): why for row, why in others.issues.items()}
    return PoolColumns(*merged), issues
