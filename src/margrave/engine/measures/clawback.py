"""The clawback curve: what a rule asks back of all accounts as prices move, before they do (spec 4.4)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.domain.book import Book
from margrave.domain.market import Market
from margrave.kernels.arrays import F64, finite, positive
from margrave.margin.pooled import evaluate, prepare
from margrave.rulebook.schema import Rulebook
from margrave.valuation.scenarios import shifted


@final
@dataclass(frozen=True, slots=True)
class Clawback:
    """Sums over accounts, one a price; money of one currency."""

    asked: F64  # (S,) requirement beyond that of now, of accounts whose own has grown, >= 0
    equity: F64  # (S,) what the price itself gave those accounts; a loss < 0
    calls: F64  # (S,) how much below their requirement accounts stand beyond now, >= 0

    @property
    def net(self) -> F64:
        """Asked less what equity gave: how much excess margin those accounts lose."""
        return self.asked - self.equity


def clawback_curve(margin: F64, equity: F64, margin_now: F64, equity_now: F64) -> Clawback:
    """Sum what is clawed back.

    Parameters
    ----------
    margin, equity : (S, K) ndarray
        Maintenance and margin balance of each account at each price, in one currency.
    margin_now, equity_now : (K,) ndarray
        The same at the price of now.
    """
    more = finite("margin", margin) - finite("margin_now", margin_now)
    gain = finite("equity", equity) - finite("equity_now", equity_now)
    short = np.maximum(margin - equity, 0.0) - np.maximum(margin_now - equity_now, 0.0)
    return Clawback(
        np.maximum(more, 0.0).sum(axis=1),
        np.where(more > 0.0, gain, 0.0).sum(axis=1),
        np.maximum(short, 0.0).sum(axis=1),
    )


def clawback(book: Book, market: Market, rulebook: Rulebook, asset: str, factors: F64) -> dict[str, Clawback]:
    """The curve of a book along the price of one asset, by the currency of its pools.

    Parameters
    ----------
    book, market, rulebook : Book, Market, Rulebook
        The three inputs of the one calculation.
    asset : str
        Asset whose price moves; the others stay.
    factors : (S,) ndarray
        Price over that of now, > 0.

    Returns
    -------
    dict
        Currency to curve [that currency]; pools that are unknown at any of the prices are left out.
    """
    prepared = prepare(book, market, rulebook)
    assets = prepared.table.assets
    if asset not in assets:
        raise ValueError(f"asset must be one that the book holds or trades, got {asset!r}")
    moved = np.ones((len(factors) + 1, len(assets)))
    moved[1:, assets.index(asset)] = positive("factors", factors)
    pooled = evaluate(prepared, shifted(prepared.table, moved))
    margin, balance = pooled.maintenance, pooled.margin_balance
    known = np.asarray(~np.isnan(margin + balance).any(axis=0))
    known[list(prepared.issues)] = False
    found = {}
    for row in np.unique(prepared.pools.currency[known]).tolist():
        of = known & (prepared.pools.currency == row)
        found[assets[row]] = clawback_curve(margin[1:, of], balance[1:, of], margin[0, of], balance[0, of])
    return found
