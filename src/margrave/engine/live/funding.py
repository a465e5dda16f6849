"""Funding of a perpetual, paid by all who hold it at once."""

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from margrave.domain.book import Book
from margrave.domain.checks import require_finite
from margrave.domain.instruments import Instrument, coefficients
from margrave.engine.live.events import Funded
from margrave.kernels.arrays import F64, I64


@final
@dataclass(frozen=True, slots=True)
class Payment:
    """What a payment of funding did to a book."""

    book: Book
    accounts: I64  # who paid or received, ascending
    unbooked: I64  # of these, who has no balance in the settlement asset yet
    cash: F64  # what they receive > 0 [settlement asset]


def funded(book: Book, instrument: Instrument, event: Funded) -> Payment:
    """Pay funding on every position in an instrument.

    Parameters
    ----------
    book : Book
        Its tables name the instrument and its settlement asset.
    instrument : Instrument
        A perpetual whose payoff is in its settlement asset.
    event : Funded
        Rate and mark.

    Returns
    -------
    Payment
        A position receives ``-sign(quantity) rate notional`` (spec 1.2, FM-3). Cross positions move the balance. An
        isolated position pays from its own margin where that is stated, down to nothing, and the balance pays the rest.

    Raises
    ------
    ValueError
        A balance would be larger than any account's: a fault of the rate, the mark or a position.
    """
    rows = np.flatnonzero(book.instrument == book.symbols.index(instrument.symbol))
    a, c = coefficients(instrument.payoff)
    quantity = book.quantity[rows]
    paid = -event.rate * np.sign(quantity) * (np.abs(quantity) * (a * event.mark + c / event.mark))
    margin = book.isolated_margin
    own = np.flatnonzero(book.is_isolated[rows] & ~np.isnan(margin[rows]))
    if own.size:
        margin = margin.copy()
        left = np.maximum(margin[rows[own]] + paid[own], 0.0)
        paid[own] -= left - margin[rows[own]]
        margin[rows[own]] = left
    accounts, which = np.unique(book.account[rows], return_inverse=True)
    cash = np.bincount(which, weights=paid, minlength=len(accounts)).astype(np.float64)
    held = np.flatnonzero(book.balance_asset == book.assets.index(instrument.settlement))
    at = book.balance_account[held].searchsorted(accounts.astype(book.balance_account.dtype))
    known = at < len(held)
    known[known] = book.balance_account[held[at[known]]] == accounts[known]
    balance = book.balance.copy()
    balance[held[at[known]]] += cash[known]
    require_finite("balance after funding", float(np.abs(balance[held]).max(initial=0.0)))
    after = replace(book, balance=balance, isolated_margin=margin)
    return Payment(after, accounts.astype(np.int64), accounts[~known].astype(np.int64), cash[~known])
