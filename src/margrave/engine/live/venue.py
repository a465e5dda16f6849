"""A whole venue that lives: a fold of events over a book, in which only what an event touches is computed again.

::

    state = started(book, market, rulebook)
    state, changes = advance(state, events)     # again and again
    audited(state)                              # None: bit for bit the full recompute

Time is the market's instant. Only a `Clock` moves it: options lose time value, expiries pass, prices grow stale and dated
rulebooks take effect then, and a tick between two clocks touches nobody but the holders. What schedules remember is as
the book has it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias, final

import numpy as np

from margrave.domain.amended import unnamed, with_tables
from margrave.domain.book import Book
from margrave.domain.market import Market
from margrave.engine.books.venue import assess_book, assess_resolved
from margrave.engine.live.events import Event, Input, InputName
from margrave.engine.live.fold import Fold, Refused, amended_rows, happened, in_force_at, traded_rows
from margrave.engine.live.holders import Holders, holders_of, retold
from margrave.engine.live.pools import (
    Difference,
    LivePools,
    StatusChange,
    Words,
    changed_statuses,
    first_difference,
    in_assets,
    merged,
    pools_from,
    with_numbers_of,
)
from margrave.engine.live.prices import assets_of, first_instants, market_of, prices_of, resolved_in
from margrave.engine.live.seen import Seen, with_ids
from margrave.engine.live.touch import asset_rows, touched_accounts
from margrave.engine.live.whole import Layout, laid, serves, whole
from margrave.engine.live.whole import amended as retold_layout
from margrave.kernels.arrays import I64, Bools
from margrave.margin.resolve import Resolved
from margrave.rulebook.schema import Rulebook

# Share of the accounts beyond which computing all is quicker than picking them out: in NumPy, compiled, and of a book that is
# laid out already.
_MOST: Final = 0.75
_MOST_COMPILED: Final = 0.5
_MOST_LAID: Final = 0.3


def nobody() -> I64:
    """No accounts."""
    return np.zeros(0, dtype=np.int64)


@final
@dataclass(frozen=True, slots=True)
class LiveBook:
    """A venue as its events have left it."""

    book: Book
    prices: Market  # every price that is known, with the instant up to which time has passed
    resolved: Resolved  # under which the pools were computed; its market lacks index prices that are stale
    pools: LivePools
    instants: Mapping[InputName, datetime]  # (input, name) -> when the value that is known was made
    rows: Mapping[str, int]  # name of an account -> its row
    rulebooks: tuple[Rulebook, ...]  # the rules and those to come, by the instant from which they hold
    seen: Seen  # ids of the events that were applied
    holders: Holders
    owed: I64  # accounts, ascending, that a screen left out: their status holds, their numbers are of an earlier market
    compiled: bool  # computed through the compiled sweep where it serves
    layout: Layout | None  # for the compiled sweep of all accounts; None where it is not compiled

    @property
    def market(self) -> Market:
        """The market that the pools were computed in."""
        return self.resolved.market

    @property
    def rulebook(self) -> Rulebook:
        """The rules in force."""
        return self.resolved.rulebook


Screen: TypeAlias = Callable[[LiveBook, Resolved, I64], Bools]
"""Which of some accounts, (n,) rows ascending, must be computed: given the venue as it was and the market as it is now,
(n,) bool. It may leave out an account only where its status provably stays; `Changes.amended` says whose rows are others
than when the screen was made. Accounts amended in a batch are always computed, and all are when rules change."""


@final
@dataclass(frozen=True, slots=True)
class Changes:
    """What a batch of events did.

    Every event is applied, coalesced, late, repeated or refused; the five add up to ``received``.
    """

    at: datetime  # latest instant of the batch
    statuses: tuple[StatusChange, ...]  # in the order of accounts
    received: int
    applied: int
    coalesced: int  # ticks that a later tick of the same input replaced
    late: int  # ticks older than what is known
    refused: tuple[Refused, ...]
    touched: int  # accounts of which an input is another
    again: tuple[str, ...] = ()  # ids of events that were applied before
    screened: int = 0  # of the accounts touched, left out by the screen
    amended: I64 = field(
        default_factory=nobody, compare=False
    )  # accounts of which a row is another, ascending
    rulebook: Rulebook | None = None  # that took effect

    @property
    def repeated(self) -> int:
        """Events whose id was applied before."""
        return len(self.again)


def started(
    book: Book,
    market: Market,
    rulebook: Rulebook,
    *,
    later: Iterable[Rulebook] = (),
    threads: int = 1,
    compiled: bool = False,
) -> LiveBook:
    """Compute a whole book, ready for events.

    Parameters
    ----------
    book : Book
        Its accounts are those of the venue, by name.
    market : Market
        A quote or index without an instant of its own is of ``market.at``.
    rulebook : Rulebook
        The rules; its ``mark_age_max_seconds`` is the age beyond which a price values nothing.
    later : iterable of Rulebook
        Rules that take effect when a clock reaches their ``valid_from``.
    threads : int
        Chunks that are computed at the same time; no number of them changes a digit.
    compiled : bool
        Whether accounts go through the compiled sweep where it serves, now and after every event, as `assess_book` has it.
        Every answer, and the audit, then has the bits of that sweep.
    """
    named = {asset for instrument in market.instruments.values() for asset in assets_of(instrument)}
    book = with_tables(book, market.instruments, (*market.index, *sorted(named)))
    quotes = {symbol: replace(q, at=q.at or market.at) for symbol, q in market.quotes.items()}
    prices, instants = replace(market, quotes=quotes), first_instants(market)
    rulebooks = (rulebook, *sorted(later, key=lambda r: r.valid_from))
    rules = in_force_at(rulebooks, market.at)
    resolved = resolved_in(None, book, prices_of(prices, instants), prices, rules)
    layout = None
    if compiled:
        layout, pools = whole(laid(book, resolved, threads), book, resolved, threads)
    else:
        pools = pools_from(assess_resolved(book, resolved, threads=threads))
    rows = {name: row for row, name in enumerate(book.names.tolist())}
    return LiveBook(
        book,
        prices,
        resolved,
        pools,
        instants,
        rows,
        rulebooks,
        (),
        holders_of(book),
        nobody(),
        compiled,
        layout,
    )


def advance(
    state: LiveBook, events: Iterable[Event], *, threads: int = 1, screen: Screen | None = None
) -> tuple[LiveBook, Changes]:
    """Move the venue by a batch of events.

    Parameters
    ----------
    state : LiveBook
        As it stands; it stays as it is.
    events : iterable of Event
        In the order in which they came. The last tick of an input counts; fills, deposits and orders all do, in order.
    threads : int
        Chunks that are computed at the same time.
    screen : callable, optional
        Says which accounts that a price touched must be computed (`Screen`); all by default. What it leaves out is
        ``owed`` until `settled`.

    Returns
    -------
    LiveBook, Changes
        What the full recompute of the book in the market gives, bit for bit, and what happened. An event that cannot be
        applied is told with its reason, and raises nothing. Any cut of the same events into batches ends in the same state.
    """
    events = tuple(events)
    prices = prices_of(state.prices, state.instants)
    fold = Fold(state.book, prices, state.rows, state.rulebooks, state.seen)
    happened(fold, events)
    moved = _moved(state, fold)
    amended = amended_rows(fold)
    moved = replace(moved, layout=retold_layout(moved.layout, amended))
    touched = touched_accounts(state.resolved, moved.resolved, moved.book, moved.holders)
    left = _left_out(state, moved, touched, amended, screen)
    touched[amended] = True
    count = int(np.count_nonzero(touched))
    touched[left] = False
    at = max((e.at for e in events), default=prices.at)
    done, statuses = _computed(moved, np.flatnonzero(touched), at, threads)
    changed = done.rulebook is not state.rulebook
    return replace(done, owed=np.union1d(done.owed, left)), Changes(
        at,
        statuses,
        fold.received,
        fold.applied,
        fold.coalesced,
        fold.late,
        tuple(fold.refused),
        count,
        tuple(fold.again),
        len(left),
        amended,
        done.rulebook if changed else None,
    )


def _moved(state: LiveBook, fold: Fold) -> LiveBook:
    # The venue after the events, its pools as they were.
    book, prices = fold.book, market_of(fold.prices)
    rules = in_force_at(state.rulebooks, prices.at)
    resolved, pools = state.resolved, state.pools
    if prices is not state.prices or rules is not state.rulebook:
        resolved = resolved_in(resolved, book, fold.prices, prices, rules)
        if resolved.table.assets != state.resolved.table.assets:
            pools = in_assets(pools, asset_rows(state.resolved.table, resolved.table))
    traded = traded_rows(fold)
    joined = {name: row for name, (row, _) in fold.joined.items()}
    return LiveBook(
        book,
        prices,
        resolved,
        pools,
        fold.prices.instants,
        {**state.rows, **joined} if joined else state.rows,
        state.rulebooks,
        with_ids(state.seen, fold.ids),
        retold(state.holders, book, traded) if traded.size else state.holders,
        state.owed,
        state.compiled,
        state.layout,
    )


def _left_out(state: LiveBook, moved: LiveBook, touched: Bools, amended: I64, screen: Screen | None) -> I64:
    if screen is None or moved.rulebook is not state.rulebook:
        return nobody()
    asked = touched.copy()
    asked[amended] = False
    rows = np.flatnonzero(asked)
    return rows[~screen(state, moved.resolved, rows)]


def _computed(
    state: LiveBook, rows: I64, at: datetime, threads: int
) -> tuple[LiveBook, tuple[StatusChange, ...]]:
    # The pools of some accounts computed again.
    if not rows.size:
        return state, ()
    book, resolved, layout = state.book, state.resolved, state.layout
    is_laid = serves(layout, book, resolved)
    most = _MOST_LAID if is_laid else _MOST_COMPILED if state.compiled else _MOST
    is_most = len(rows) > most * len(book.names)
    if is_most:
        rows = np.arange(len(book.names))
    if is_most and state.compiled:
        found = layout if layout is not None and is_laid else laid(book, resolved, threads)
        layout, fresh = whole(found, book, resolved, threads)
    else:
        part = book if is_most else unnamed(book, rows)
        fresh = pools_from(assess_resolved(part, resolved, threads=threads, compiled=state.compiled), rows)
    words = Words(book.names, book.symbols, resolved.table.assets)
    statuses = changed_statuses(state.pools, fresh, rows, words, at)
    owed = np.setdiff1d(state.owed, rows, assume_unique=True) if state.owed.size else state.owed
    pools = fresh if is_most else merged(state.pools, fresh, rows)
    return replace(state, pools=pools, owed=owed, layout=layout), statuses


def settled(state: LiveBook, *, threads: int = 1) -> tuple[LiveBook, tuple[StatusChange, ...]]:
    """Compute the accounts that a screen left out.

    Returns
    -------
    LiveBook, tuple of StatusChange
        Bit for bit the full recompute; and every status that is another than it was: none where the screen was right.
    """
    return _computed(state, state.owed, state.prices.at, threads)


def audited(state: LiveBook, *, threads: int = 1) -> Difference | None:
    """Compare with the full recompute of the book in the market, made from nothing.

    Returns
    -------
    Difference or None
        The first account that differs in a bit of a number, in a pool or in why it is unknown; None where none does. Of
        accounts that are ``owed`` the statuses are compared.
    """
    full = pools_from(
        assess_book(state.book, state.market, state.rulebook, threads=threads, compiled=state.compiled)
    )
    return first_difference(with_numbers_of(state.pools, full, state.owed), full, state.book.names)


def stale_inputs(
    state: LiveBook, most: Mapping[Input, timedelta]
) -> tuple[tuple[Input, str, timedelta], ...]:
    """Inputs older than a feed should be: each with its name and its age at the market's instant.

    Parameters
    ----------
    state : LiveBook
        The venue.
    most : mapping of Input to timedelta
        Age of each input beyond which it is told; an input that is not named is not.
    """
    aged = ((what, name, state.prices.at - at) for (what, name), at in state.instants.items())
    return tuple((what, name, age) for what, name, age in aged if what in most and age > most[what])
