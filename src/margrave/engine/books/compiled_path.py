"""A book through the compiled sweep, and what the sweep cannot serve through NumPy: one answer in the order of accounts."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import numpy as np

from margrave.core.errors import Issue
from margrave.domain.book import Book
from margrave.engine.books.swept import Sweep, SweptPools, served, some_accounts, sweep_of, swept
from margrave.engine.books.venue import BookAssessment, PoolColumns, assess_resolved, status_of
from margrave.margin.resolve import Resolved
from margrave.rulebook.bands import liquidation_ratio


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
    sweep = sweep_of(resolved, book)
    if sweep is None:
        found = assess_resolved(book, resolved, chunk=chunk, threads=threads, told=told)
        return replace(
            found, notes=(*found.notes, f"{resolved.rulebook.id} has no compiled form: NumPy answered")
        )
    fast = served(sweep, book)
    slow = np.flatnonzero(~fast)
    others = assess_resolved(some_accounts(book, ~fast), resolved, chunk=chunk, threads=threads)
    quick = _swept(sweep, some_accounts(book, fast), resolved, threads)
    if told is not None:
        told(len(book.names))
    if not slow.size:
        return replace(others, names=book.names, pools=quick)
    pools, issues = _together(quick, np.flatnonzero(fast), others, slow)
    note = f"{slow.size:,} of {len(book.names):,} accounts were answered by NumPy: the compiled sweep does not serve them"
    return replace(others, names=book.names, pools=pools, issues=issues, notes=(*others.notes, note))


def _swept(sweep: Sweep, book: Book, resolved: Resolved, threads: int) -> PoolColumns:
    if threads > 1:
        with ThreadPoolExecutor(max_workers=threads) as pool:
            return _columns(swept(sweep, book, pool), resolved)
    return _columns(swept(sweep, book), resolved)


def _columns(found: SweptPools, resolved: Resolved) -> PoolColumns:
    count = len(found.account)
    closing = liquidation_ratio(resolved.rulebook.account.bands)
    unknown = np.zeros(count, dtype=np.bool_)
    return PoolColumns(
        found.account,
        found.currency,
        np.full(count, -1, dtype=np.int64),
        found.equity,
        found.equity,
        found.initial,
        found.maintenance,
        np.zeros(count),
        status_of(found.equity, found.initial, found.maintenance, closing, unknown),
    )


def _together(
    quick: PoolColumns, fast: np.ndarray, others: BookAssessment, slow: np.ndarray
) -> tuple[PoolColumns, dict[int, tuple[Issue, ...]]]:
    # In the order of accounts; an account's pools are all of one side, and keep their order.
    account = np.concatenate((fast[quick.account], slow[others.pools.account]))
    order = account.argsort(kind="stable")
    merged = [
        np.concatenate((getattr(quick, field.name), getattr(others.pools, field.name)))[order]
        for field in fields(PoolColumns)
    ]
    merged[0] = account[order]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    issues = {int(place[len(quick.account) + row]): why for row, why in others.issues.items()}
    return PoolColumns(*merged), issues
