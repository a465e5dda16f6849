"""A whole venue that lives: a fold of events over a book, in which only what an event touches is computed again.

::

    state = started(book, market, rulebook)
    state, changes = advance(state, events)     # again and again
    audited(state)                              # None: bit for bit the full recompute

Time is the market's instant. Only a `Clock` moves it: options lose time value, expiries pass and prices grow stale
then, and a tick between two clocks touches nobody but the holders. What schedules remember is as the book has it.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, final

import numpy as np

from margrave.core.errors import Issue, MargraveError, Reason
from margrave.domain.account import Account
from margrave.domain.amended import amended, picked, with_tables
from margrave.domain.book import Book, account_of
from margrave.domain.checks import require_price
from margrave.domain.instruments import payoff_asset
from margrave.domain.market import Market, Quote
from margrave.engine.books.venue import assess_book, assess_resolved
from margrave.engine.live.accounts import after
from margrave.engine.live.events import (
    AccountEvent,
    Clock,
    Deposited,
    Event,
    Input,
    Queue,
    Tick,
    drained,
    offered,
)
from margrave.engine.live.pools import (
    Difference,
    LivePools,
    StatusChange,
    Words,
    changed_statuses,
    first_difference,
    merged,
    pools_from,
)
from margrave.engine.live.touch import touched_accounts
from margrave.kernels.arrays import I64
from margrave.margin.resolve import Resolved, resolve
from margrave.rulebook.schema import Rulebook

_ALL: Final = 1 << 62


@final
@dataclass(frozen=True, slots=True)
class LiveBook:
    """A venue as its events have left it."""

    book: Book
    prices: Market  # every price that is known, with the instant up to which time has passed
    resolved: Resolved  # under which the pools were computed; its market lacks index prices that are stale
    pools: LivePools
    instants: Mapping[Hashable, datetime]  # (input, name) -> when the price that is known was made
    rows: Mapping[str, int]  # name of an account -> its row

    @property
    def market(self) -> Market:
        """The market that the pools were computed in."""
        return self.resolved.market

    @property
    def rulebook(self) -> Rulebook:
        """The rules."""
        return self.resolved.rulebook


@final
@dataclass(frozen=True, slots=True)
class Refused:
    """An event that was not applied, and why."""

    event: Event
    issue: Issue


@final
@dataclass(frozen=True, slots=True)
class Changes:
    """What a batch of events did. Every event is applied, coalesced, late or refused; the four add up to ``received``."""

    at: datetime  # latest instant of the batch
    statuses: tuple[StatusChange, ...]  # in the order of accounts
    received: int
    applied: int
    coalesced: int  # ticks that a later tick of the same input replaced
    late: int  # ticks older than what is known
    refused: tuple[Refused, ...]
    touched: int  # accounts computed again


def started(book: Book, market: Market, rulebook: Rulebook, *, threads: int = 1) -> LiveBook:
    """Compute a whole book, ready for events.

    Parameters
    ----------
    book : Book
        Its accounts are those of the venue, by name.
    market : Market
        Lists every instrument that may be traded; a quote or index without an instant of its own is of ``market.at``.
    rulebook : Rulebook
        The rules; its ``mark_age_max_seconds`` is the age beyond which a price values nothing.
    threads : int
        Chunks that are computed at the same time; no number of them changes a digit.
    """
    listed = market.instruments.values()
    named = {asset for i in listed for asset in (i.base, i.quote, i.settlement, payoff_asset(i))}
    book = with_tables(book, market.instruments, (*market.index, *sorted(named)))
    instants: dict[Hashable, datetime] = {(Input.INDEX, asset): market.at for asset in market.index}
    quotes = {symbol: replace(q, at=q.at or market.at) for symbol, q in market.quotes.items()}
    for symbol, quote in quotes.items():
        instants |= {(what, symbol): quote.at or market.at for what in _inputs(quote)}
    prices = replace(market, quotes=quotes)
    resolved = _resolved(book, prices, rulebook, instants)
    found = assess_resolved(book, resolved, threads=threads)
    rows = {name: row for row, name in enumerate(book.names.tolist())}
    return LiveBook(book, prices, resolved, pools_from(found), instants, rows)


def advance(state: LiveBook, events: Iterable[Event], *, threads: int = 1) -> tuple[LiveBook, Changes]:
    """Move the venue by a batch of events.

    Parameters
    ----------
    state : LiveBook
        As it stands; it stays as it is.
    events : iterable of Event
        In the order in which they came. The last tick of an input counts; fills, deposits and orders all do, in order.
    threads : int
        Chunks that are computed at the same time.

    Returns
    -------
    LiveBook, Changes
        What the full recompute of the book in the market gives, bit for bit, and what happened. An event that cannot be
        applied is told with its reason, and raises nothing. Any cut of the same events into batches ends in the same state.
    """
    events = tuple(events)
    queue, _ = offered(Queue(_ALL), events)
    _, kept = drained(queue)
    prices, instants, late, wrong = _ticked(state, [e for e in kept if isinstance(e, Tick | Clock)])
    accounts, refused = _amended(state, [e for e in kept if not isinstance(e, Tick | Clock)])
    refused = (*wrong, *refused)
    book = amended(state.book, accounts) if accounts else state.book
    resolved = state.resolved
    if prices is not state.prices:
        resolved = _resolved(book, prices, state.rulebook, instants)
    touched = touched_accounts(state.resolved, resolved, book)
    touched[list(accounts)] = True
    rows = np.flatnonzero(touched)
    pools: LivePools = state.pools
    statuses: tuple[StatusChange, ...] = ()
    at = max((e.at for e in events), default=prices.at)
    if rows.size:
        pools, statuses = _computed(state.pools, book, resolved, rows, at, threads)
    after_all = LiveBook(book, prices, resolved, pools, instants, state.rows)
    dropped = queue.late + late
    applied = len(events) - queue.coalesced - dropped - len(refused)
    return after_all, Changes(
        at, statuses, len(events), applied, queue.coalesced, dropped, refused, len(rows)
    )


def _computed(
    pools: LivePools, book: Book, resolved: Resolved, rows: I64, at: datetime, threads: int
) -> tuple[LivePools, tuple[StatusChange, ...]]:
    part = book if len(rows) == len(book.names) else picked(book, rows)
    fresh = pools_from(assess_resolved(part, resolved, threads=threads), rows)
    words = Words(book.names, book.symbols, resolved.table.assets)
    return merged(pools, fresh, rows), changed_statuses(pools, fresh, rows, words, at)


def _resolved(
    book: Book, prices: Market, rulebook: Rulebook, instants: Mapping[Hashable, datetime]
) -> Resolved:
    # A quote tells its own age to the table. An index price has none there: what is stale is left out.
    most = rulebook.mark_age_max_seconds
    if most is not None:
        fresh = {
            asset: price
            for asset, price in prices.index.items()
            if (prices.at - instants[Input.INDEX, asset]).total_seconds() <= most
        }
        prices = replace(prices, index=fresh)
    return resolve(book.symbols, book.assets, prices, rulebook)


def _inputs(quote: Quote) -> list[Input]:
    told = ((Input.MARK, quote.mark), (Input.FORWARD, quote.forward), (Input.VOL, quote.vol))
    return [what for what, value in told if value is not None]


def _ticked(
    state: LiveBook, events: list[Tick | Clock]
) -> tuple[Market, Mapping[Hashable, datetime], int, tuple[Refused, ...]]:
    prices, instants = state.prices, dict(state.instants)
    at, late, wrong = prices.at, 0, []
    index, quotes = dict(prices.index), dict(prices.quotes)
    for event in events:
        known = at if isinstance(event, Clock) else instants.get((event.what, event.name), event.at)
        if event.at < known:
            late += 1
        elif isinstance(event, Clock):
            at = event.at
        else:
            try:
                _price(event, prices, state.book.assets, index, quotes, instants)
            except ValueError as error:
                wrong.append(Refused(event, Issue(event.name, Reason.INVALID_VALUE, str(error))))
            except MargraveError as error:
                wrong.append(Refused(event, error.issues[0]))
    moved = replace(prices, at=at, index=index, quotes=quotes) if events else prices
    return moved, instants, late, tuple(wrong)


def _price(
    tick: Tick,
    market: Market,
    assets: tuple[str, ...],
    index: dict[str, float],
    quotes: dict[str, Quote],
    instants: dict[Hashable, datetime],
) -> None:
    # Write one price where it belongs, or raise and leave all as it was.
    if tick.what is Input.INDEX:
        if tick.name not in assets:
            message = "is no asset of the book or its instruments; correct the name"
            raise MargraveError([Issue(tick.name, Reason.NOT_FOUND, message)])
        require_price("index", tick.value)
        index[tick.name] = tick.value
        instants[tick.what, tick.name] = tick.at
        return
    quote = _quote(tick, market, quotes.get(tick.name))
    instants[tick.what, tick.name] = tick.at
    # As old as the oldest of what it is made of.
    oldest = min(instants[what, tick.name] for what in _inputs(quote))
    quotes[tick.name] = replace(quote, at=oldest)


def _quote(tick: Tick, market: Market, quote: Quote | None) -> Quote:
    if tick.name not in market.instruments:
        message = "is not among the market's instruments; start the live book with its terms"
        raise MargraveError([Issue(tick.name, Reason.UNKNOWN_INSTRUMENT, message)])
    if tick.what is Input.MARK:
        return Quote(mark=tick.value) if quote is None else replace(quote, mark=tick.value)
    if quote is None:
        message = f"has no mark yet, and so no place for a {tick.what}; send its mark first"
        raise MargraveError([Issue(tick.name, Reason.MISSING_MARK, message)])
    if tick.what is Input.VOL:
        return replace(quote, vol=tick.value)
    return replace(quote, forward=tick.value)


def _amended(
    state: LiveBook, events: Iterable[AccountEvent]
) -> tuple[dict[int, Account], tuple[Refused, ...]]:
    accounts: dict[int, Account] = {}
    refused = []
    for event in events:
        row = state.rows.get(event.account)
        try:
            if row is None:
                message = "is no account of the book; start the live book with it"
                raise MargraveError([Issue(event.account, Reason.NOT_FOUND, message)])
            if isinstance(event, Deposited) and event.asset not in state.book.assets:
                message = f"{event.asset} is no asset of the book or its instruments; correct the name"
                raise MargraveError([Issue(event.account, Reason.NOT_FOUND, message)])
            account = accounts[row] if row in accounts else account_of(state.book, row)
            accounts[row] = after(account, state.prices, event)
        except ValueError as error:
            refused.append(Refused(event, Issue(event.account, Reason.INVALID_VALUE, str(error))))
        except MargraveError as error:
            refused.append(Refused(event, error.issues[0]))
    return accounts, tuple(refused)


def audited(state: LiveBook, *, threads: int = 1) -> Difference | None:
    """Compare with the full recompute of the book in the market, made from nothing.

    Returns
    -------
    Difference or None
        The first account that differs in a bit of a number, in a pool or in why it is unknown; None where none does.
    """
    full = assess_book(state.book, state.market, state.rulebook, threads=threads)
    return first_difference(state.pools, pools_from(full), state.book.names)
