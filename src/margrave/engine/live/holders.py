"""Who holds what: from an instrument to the accounts that hold it or have an order in it, and from an asset to its balances.

Made once from a whole book. Accounts that trade afterwards are told apart and looked at by themselves, so that an event
costs what it touches; when they are many the index is made anew.
"""

from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np

from margrave.domain.amended import rows_of_owners
from margrave.domain.book import Book
from margrave.kernels.arrays import I64, Bools

_AMENDED_MAX: Final = 0.02  # share of the accounts


@final
@dataclass(frozen=True, slots=True)
class Runs:
    """Accounts of each row of a table, in one array: run ``k`` is ``account[start[k]:start[k + 1]]``."""

    start: I64  # (n + 1,)
    account: I64  # of 32 bits

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return int(self.start.nbytes + self.account.nbytes)


@final
@dataclass(frozen=True, slots=True)
class Holders:
    """The index of a book, and the accounts for which it does not speak any more."""

    by_instrument: Runs
    by_asset: Runs
    amended: I64  # accounts that have traded since, ascending

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.by_instrument.nbytes + self.by_asset.nbytes + int(self.amended.nbytes)


def holders_of(book: Book) -> Holders:
    """Make the index of a book."""
    instrument = np.concatenate((book.instrument, book.order_instrument))
    owner = np.concatenate((book.account, book.order_account))
    return Holders(
        _runs(instrument, owner, len(book.symbols)),
        _runs(book.balance_asset, book.balance_account, len(book.assets)),
        np.zeros(0, dtype=np.int64),
    )


def _runs(row: I64, owner: I64, count: int) -> Runs:
    order = row.argsort(kind="stable")
    start = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=count))))
    return Runs(start, owner[order].astype(np.int32))


def retold(holders: Holders, book: Book, accounts: I64) -> Holders:
    """The index after some accounts, ascending, have changed what they hold."""
    amended = np.union1d(holders.amended, accounts)
    if len(amended) > _AMENDED_MAX * len(book.names):
        return holders_of(book)
    return replace(holders, amended=amended)


def accounts_with(holders: Holders, book: Book, instruments: Bools, assets: Bools) -> Bools:
    """Accounts that hold, or have an order in, one of some instruments, or a balance in one of some assets.

    Parameters
    ----------
    holders, book : Holders, Book
        The index, and the book as it is now.
    instruments, assets : (I,), (B,) ndarray of bool
        By the rows of the book's tables.

    Returns
    -------
    (A,) ndarray of bool
        Exactly those, whatever happened since the index was made.
    """
    found = np.zeros(len(book.names), dtype=np.bool_)
    for runs, wanted in ((holders.by_instrument, instruments), (holders.by_asset, assets)):
        for row in np.flatnonzero(wanted[: len(runs.start) - 1]).tolist():
            found[runs.account[runs.start[row] : runs.start[row + 1]]] = True
    if holders.amended.size:
        found[holders.amended] = False
        tables = (
            (book.account, book.instrument, instruments),
            (book.order_account, book.order_instrument, instruments),
            (book.balance_account, book.balance_asset, assets),
        )
        for owner, column, wanted in tables:
            rows, which = rows_of_owners(owner, holders.amended)
            found[holders.amended[which[wanted[column[rows]]]]] = True
    return found
