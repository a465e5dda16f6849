"""A changed rulebook against the current one, on a frozen book of accounts (spec RBF-2, RBF-5).

Who would newly be called or liquidatable, how requirements change across the book, and what they add up to.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.domain.account import Account
from margrave.domain.book import Book, Names
from margrave.domain.market import Market
from margrave.engine.assess import assess_all
from margrave.engine.assessment import Assessment, Status
from margrave.engine.books.venue import STATUSES, BookAssessment, assess_book
from margrave.engine.books.venue_summary import prices_of
from margrave.kernels.arrays import F64, I64
from margrave.rulebook.schema import Rulebook


@final
@dataclass(frozen=True, slots=True)
class Tried:
    """One account under both rulebooks; money in its market's numeraire, all pools together."""

    account: str
    was: Status
    would_be: Status
    initial: tuple[float, float]  # under the old rules and under the new
    maintenance: tuple[float, float]
    why: str  # what keeps it from being compared; empty where nothing does

    @property
    def is_newly_called(self) -> bool:
        """Healthy under the old rules, below initial margin under the new, and not liquidatable."""
        return self.was is Status.HEALTHY and self.would_be is Status.CALL

    @property
    def is_newly_liquidatable(self) -> bool:
        """Not liquidatable under the old rules, liquidatable under the new."""
        return self.was in (Status.HEALTHY, Status.CALL) and self.would_be is Status.LIQUIDATABLE

    @property
    def change(self) -> float | None:
        """Relative change of initial margin; None where the old rules ask nothing or it is not compared."""
        before, after = self.initial
        return after / before - 1.0 if not self.why and before > 0.0 else None


@final
@dataclass(frozen=True, slots=True)
class Trial:
    """What changed rules would do to a book."""

    old: str
    new: str
    accounts: tuple[Tried, ...]
    deciles: tuple[
        float, ...
    ]  # 0 %, 10 %, ... 100 % of the relative change of initial margin; empty without any
    initial: tuple[float, float]  # totals of the accounts that are compared, old and new [numeraire]
    maintenance: tuple[float, float]

    @property
    def newly_called(self) -> tuple[Tried, ...]:
        """Accounts that the new rules would call."""
        return tuple(a for a in self.accounts if a.is_newly_called)

    @property
    def newly_liquidatable(self) -> tuple[Tried, ...]:
        """Accounts that the new rules would make liquidatable."""
        return tuple(a for a in self.accounts if a.is_newly_liquidatable)

    @property
    def not_compared(self) -> tuple[Tried, ...]:
        """Accounts of which a pool cannot be valued, or has a currency without an index price."""
        return tuple(a for a in self.accounts if a.why)


def trial(old: Rulebook, new: Rulebook, cases: Iterable[tuple[Sequence[Account], Market]]) -> Trial:
    """Assess a frozen book under two rulebooks.

    Parameters
    ----------
    old, new : Rulebook
        Rules as they are and as they would be.
    cases : iterable of (sequence of Account, Market)
        Accounts with the market that they are frozen in.

    Returns
    -------
    Trial
        Accounts in the order given. One that cannot be assessed under both is told and left out of totals and
        deciles.
    """
    tried: list[Tried] = []
    for accounts, market in cases:
        pairs = zip(assess_all(accounts, market, old), assess_all(accounts, market, new), strict=True)
        tried += [_tried(before, after, market) for before, after in pairs]
    changes = [a.change for a in tried if a.change is not None]
    deciles = np.quantile(changes, np.linspace(0.0, 1.0, 11)).tolist() if changes else []
    initial, maintenance = (
        _total([getattr(a, level) for a in tried if not a.why]) for level in ("initial", "maintenance")
    )
    return Trial(_named(old), _named(new), tuple(tried), tuple(deciles), initial, maintenance)


def _named(rulebook: Rulebook) -> str:
    return f"{rulebook.id}@{rulebook.valid_from:%Y-%m-%d}"


def _total(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return sum(old for old, _ in pairs), sum(new for _, new in pairs)


def _tried(before: Assessment, after: Assessment, market: Market) -> Tried:
    why = "; ".join(dict.fromkeys(w for a in (before, after) for w in _unknown(a, market)))
    initial, maintenance = (
        (_amount(before, market, level), _amount(after, market, level))
        for level in ("initial", "maintenance")
    )
    return Tried(before.account, before.status, after.status, initial, maintenance, why)


def _unknown(assessment: Assessment, market: Market) -> list[str]:
    told = [f"{assessment.rulebook}: {issue}" for issue in assessment.issues]
    bare = {p.currency for p in assessment.pools if market.index_of(p.currency) is None and p.initial}
    return told + [f"{asset} has no index price; add it under [market.index]" for asset in sorted(bare)]


def _amount(assessment: Assessment, market: Market, level: str) -> float:
    pools = [p for p in assessment.pools if getattr(p, level)]
    return sum((market.index_of(p.currency) or float("nan")) * float(getattr(p, level)) for p in pools)


@final
@dataclass(frozen=True, slots=True)
class BookTrial:
    """What changed rules would do to a book of any size; columns by account, money in the market's numeraire."""

    old: str
    new: str
    names: Names  # (A,)
    was: I64  # (A,) rows of `venue.STATUSES`
    would_be: I64
    initial: F64  # (2, A) under the old rules and under the new; NaN where it is not compared
    maintenance: F64  # (2, A)

    @property
    def compared(self) -> I64:
        """Rows of accounts that are known under both rulebooks."""
        return np.flatnonzero(~np.isnan(self.initial + self.maintenance).any(axis=0))

    @property
    def newly_called(self) -> I64:
        """Rows of accounts that the new rules would call."""
        healthy, call = STATUSES.index(Status.HEALTHY), STATUSES.index(Status.CALL)
        return np.flatnonzero((self.was == healthy) & (self.would_be == call))

    @property
    def newly_liquidatable(self) -> I64:
        """Rows of accounts that the new rules would make liquidatable."""
        liquidatable = STATUSES.index(Status.LIQUIDATABLE)
        return np.flatnonzero((self.was < liquidatable) & (self.would_be == liquidatable))

    @property
    def deciles(self) -> tuple[float, ...]:
        """Relative change of initial margin at 0 %, 10 %, ... 100 % of the accounts; empty without any."""
        before, after = self.initial[:, self.compared]
        asked = before > 0.0
        if not asked.any():
            return ()
        changes = after[asked] / before[asked] - 1.0
        return tuple(np.quantile(changes, np.linspace(0.0, 1.0, 11)).tolist())

    def total(self, level: str) -> tuple[float, float]:
        """Sum of a level over the accounts that are compared, old and new."""
        before, after = getattr(self, level)[:, self.compared].sum(axis=1).tolist()
        return before, after


def trial_book(
    old: Rulebook,
    new: Rulebook,
    book: Book,
    market: Market,
    *,
    threads: int = 1,
    told: Callable[[int], None] | None = None,
) -> BookTrial:
    """Assess a whole book under two rulebooks.

    Parameters
    ----------
    old, new, book, market : Rulebook, Rulebook, Book, Market
        Rules as they are and as they would be, on a frozen book.
    threads : int
        As in `assess_book`.
    told : callable, optional
        Called with the number of accounts done, which counts each once a rulebook.
    """
    before, after = (
        assess_book(book, market, rules, threads=threads, told=told and _later(told, done * len(book.names)))
        for done, rules in enumerate((old, new))
    )
    initial, maintenance = (
        np.array([_by_account(found, market, level) for found in (before, after)])
        for level in ("initial", "maintenance")
    )
    return BookTrial(
        _named(old),
        _named(new),
        book.names,
        before.status.astype(np.int64),
        after.status.astype(np.int64),
        initial,
        maintenance,
    )


def _later(told: Callable[[int], None], done: int) -> Callable[[int], None]:
    return lambda now: told(done + now)


def _by_account(found: BookAssessment, market: Market, level: str) -> F64:
    # A currency without an index price is no matter where nothing is asked in it.
    asked = getattr(found.pools, level)
    worth = np.where(asked == 0.0, 0.0, asked * prices_of(found, market)[found.pools.currency])
    return np.bincount(found.pools.account, weights=worth, minlength=len(found.names)).astype(np.float64)
