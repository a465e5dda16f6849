"""What a batch of events does to a book and its market before anything is computed: a working copy, event by event.

Events are taken in the order in which they came. No account depends on the ticks between its events, and no tick on an
account, so that the same events in other batches end in the same state.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias, assert_never, final

import numpy as np

from margrave.core.errors import Issue, MargraveError, Reason
from margrave.domain.account import Account
from margrave.domain.amended import amended, with_accounts, with_tables
from margrave.domain.book import Book, account_of
from margrave.domain.instruments import Perpetual, payoff_asset
from margrave.engine.changes import with_cash
from margrave.engine.live.accounts import after
from margrave.engine.live.events import (
    AccountEvent,
    Clock,
    Deposited,
    Event,
    Filled,
    Funded,
    Listed,
    Opened,
    OrderCancelled,
    OrderPlaced,
    Tick,
    key_of,
)
from margrave.engine.live.funding import funded
from margrave.engine.live.prices import Prices, assets_of, written
from margrave.engine.live.seen import Seen, is_seen
from margrave.kernels.arrays import I64
from margrave.rulebook.schema import Rulebook

_NAMED: Final = ("account", "symbol", "name")
_Once: TypeAlias = AccountEvent | Funded | Opened | Listed


@final
@dataclass(frozen=True, slots=True)
class Refused:
    """An event that was not applied, and why."""

    event: Event
    issue: Issue


@final
@dataclass(slots=True)
class Fold:
    """A working copy of a live venue, and what became of the events so far."""

    book: Book
    prices: Prices
    rows: Mapping[str, int]  # name of an account -> its row
    rulebooks: tuple[Rulebook, ...]  # by the instant from which they hold
    seen: Seen
    joined: dict[str, tuple[int, str]] = field(default_factory=dict)  # name -> row, main account
    waiting: dict[int, Account] = field(
        default_factory=dict
    )  # accounts that are not in the book yet as they are now
    traded: set[int] = field(default_factory=set)  # rows of accounts that hold other things than before
    paid: list[I64] = field(default_factory=list)  # rows of accounts of which a balance moved
    ids: set[str] = field(default_factory=set)
    written: set[Hashable] = field(default_factory=set)  # inputs that a tick of this batch wrote
    received: int = 0
    coalesced: int = 0
    late: int = 0
    again: list[str] = field(default_factory=list)  # ids that were applied before
    refused: list[Refused] = field(default_factory=list)

    @property
    def applied(self) -> int:
        """Events that count."""
        return self.received - self.coalesced - self.late - len(self.again) - len(self.refused)


def happened(fold: Fold, events: Iterable[Event]) -> None:
    """Take events into the working copy; what cannot be applied is noted with its reason, and changes nothing."""
    for event in events:
        fold.received += 1
        try:
            if isinstance(event, Tick | Clock):
                _ticked(fold, event)
            else:
                _once(fold, event)
        except ValueError as error:
            fold.refused.append(Refused(event, Issue(_where(event), Reason.INVALID_VALUE, str(error))))
        except MargraveError as error:
            fold.refused.append(Refused(event, error.issues[0]))
    _booked(fold)


def _where(event: Event) -> str:
    return next((str(getattr(event, name)) for name in _NAMED if hasattr(event, name)), "market")


def _ticked(fold: Fold, event: Tick | Clock) -> None:
    prices, key = fold.prices, key_of(event)
    known = prices.at if isinstance(event, Clock) else prices.instants.get((event.what, event.name), event.at)
    if event.at < known:
        fold.late += 1
        return
    if isinstance(event, Clock):
        prices.at, prices.moved = event.at, True
    else:
        written(event, prices, fold.book.assets)
    fold.coalesced += key in fold.written
    fold.written.add(key)


def _once(fold: Fold, event: _Once) -> None:
    if event.id and (event.id in fold.ids or is_seen(fold.seen, event.id)):
        fold.again.append(event.id)
        return
    match event:
        case Filled() | Deposited() | OrderPlaced() | OrderCancelled():
            _of_account(fold, event)
        case Funded():
            _funded(fold, event)
        case Opened():
            _opened(fold, event)
        case Listed():
            _listed(fold, event)
        case unknown:
            assert_never(unknown)
    if event.id:
        fold.ids.add(event.id)


def _of_account(fold: Fold, event: AccountEvent) -> None:
    row = fold.rows.get(event.account)
    if row is None and event.account in fold.joined:
        row = fold.joined[event.account][0]
    if row is None:
        message = "is no account of the book; open it first"
        raise MargraveError([Issue(event.account, Reason.NOT_FOUND, message)])
    if isinstance(event, Deposited) and event.asset not in fold.book.assets:
        message = f"{event.asset} is no asset of the book or its instruments; correct the name"
        raise MargraveError([Issue(event.account, Reason.NOT_FOUND, message)])
    account = fold.waiting[row] if row in fold.waiting else account_of(fold.book, row)
    rulebook = in_force_at(fold.rulebooks, event.at)
    fold.waiting[row] = after(account, fold.prices.instruments, rulebook, event)


def in_force_at(rulebooks: tuple[Rulebook, ...], at: datetime) -> Rulebook:
    """The last of some rulebooks, ascending, that holds at an instant; the first of them before all."""
    held = [rulebook for rulebook in rulebooks if rulebook.valid_from <= at]
    return held[-1] if held else rulebooks[0]


def _funded(fold: Fold, event: Funded) -> None:
    instrument = fold.prices.instruments.get(event.symbol)
    if instrument is None or not isinstance(instrument.kind, Perpetual):
        message = "is no perpetual among the market's instruments; correct the name"
        raise MargraveError([Issue(event.symbol, Reason.UNKNOWN_INSTRUMENT, message)])
    if payoff_asset(instrument) != instrument.settlement:
        message = f"pays in {payoff_asset(instrument)} and settles in {instrument.settlement}; send the payments as deposits"
        raise MargraveError([Issue(event.symbol, Reason.UNSUPPORTED, message)])
    _booked(fold)
    payment = funded(fold.book, instrument, event)
    first = {
        row: with_cash(account_of(payment.book, row), instrument.settlement, cash)
        for row, cash in zip(payment.unbooked.tolist(), payment.cash.tolist(), strict=True)
    }
    fold.book = payment.book
    fold.paid.append(payment.accounts)
    fold.waiting |= first


def _opened(fold: Fold, event: Opened) -> None:
    if event.account in fold.rows or event.account in fold.joined:
        message = "is an account of the book already; choose another name"
        raise MargraveError([Issue(event.account, Reason.DUPLICATE, message)])
    row = len(fold.rows) + len(fold.joined)
    fold.joined[event.account] = row, event.parent or ""
    fold.waiting[row] = Account(name=event.account, parent=event.parent)


def _listed(fold: Fold, event: Listed) -> None:
    instrument = event.instrument
    known = fold.prices.instruments.get(instrument.symbol)
    if known is not None and known != instrument:
        message = "is listed with other terms, and positions stand on them; list the new contract under a name of its own"
        raise MargraveError([Issue(instrument.symbol, Reason.CONTRADICTION, message)])
    fold.prices.instruments[instrument.symbol] = instrument
    fold.prices.moved = True
    fold.book = with_tables(fold.book, (instrument.symbol,), assets_of(instrument))


def _booked(fold: Fold) -> None:
    # Accounts as they are now go into the book.
    count = len(fold.book.names)
    fresh = {name: told for name, told in fold.joined.items() if told[0] >= count}
    if fresh:
        fold.book = with_accounts(fold.book, list(fresh), [parent for _, parent in fresh.values()])
    if fold.waiting:
        fold.book = amended(fold.book, fold.waiting)
        fold.traded |= fold.waiting.keys()
        fold.waiting = {}


def traded_rows(fold: Fold) -> I64:
    """Rows of accounts that traded, ascending."""
    return np.array(sorted(fold.traded), dtype=np.int64)


def amended_rows(fold: Fold) -> I64:
    """Rows of accounts that traded, or of which a balance moved, ascending."""
    return np.unique(np.concatenate((traded_rows(fold), *fold.paid)))
