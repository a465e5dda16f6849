"""Accounts one after another in one market: what does not depend on the account is made once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TypeAlias, final

from margrave.core.errors import RefusedError
from margrave.domain.account import Account
from margrave.domain.book import book_of
from margrave.domain.market import Market
from margrave.engine.assess import assessed
from margrave.engine.assessment import Assessment
from margrave.margin.pooled import prepare_in
from margrave.margin.resolve import Resolved, resolve
from margrave.rulebook.schema import Rulebook

_Resolve: TypeAlias = Callable[[tuple[str, ...], tuple[str, ...]], Resolved]
_Quick: TypeAlias = Callable[[Account], Assessment | None]

KEPT = 4_096
"""Combinations of instruments that a calculator keeps ready."""


@final
@dataclass(frozen=True, slots=True)
class Calculator:
    """One market and one rulebook, ready for accounts. Threads may share it; another market is another calculator."""

    market: Market
    rulebook: Rulebook
    _resolve: _Resolve
    _quick: _Quick | None = None

    def assess(self, account: Account) -> Assessment:
        """Assess one account: `engine.assess.assess` to the last digit, or compiled, without its preparations."""
        found = None if self._quick is None else self._quick(account)
        return self.assess_all((account,))[0] if found is None else found

    def assess_all(self, accounts: Sequence[Account]) -> tuple[Assessment, ...]:
        """Assess accounts together; each gets the digits that it gets alone."""
        book = book_of(accounts)
        return assessed(accounts, prepare_in(self._resolve(book.symbols, book.assets), book))


def calculator(market: Market, rulebook: Rulebook, *, compiled: bool = False) -> Calculator:
    """Make a market and a rulebook ready.

    Parameters
    ----------
    market, rulebook : Market, Rulebook
        Immutable: what is made of them holds for as long as the calculator lives.
    compiled : bool
        One account at a time through the compiled pass (extra ``fast``) where it serves: the last digits are those of
        `engine.books.venue.assess_book` compiled. Where it does not, and where the rulebook has no compiled form, all is
        as without.

    Returns
    -------
    Calculator
        Instruments are resolved when an account first holds them, and kept for the next that holds the same; compiled,
        all of the market's at once.

    Raises
    ------
    ImportError
        Compiled, and there is no compiler.
    """

    @lru_cache(maxsize=KEPT)
    def resolved(symbols: tuple[str, ...], assets: tuple[str, ...]) -> Resolved:
        return resolve(symbols, assets, market, rulebook)

    return Calculator(market, rulebook, resolved, _quick(market, rulebook) if compiled else None)


def _quick(market: Market, rulebook: Rulebook) -> _Quick | None:
    # The only import of the compiler, for those who ask for it.
    from margrave.engine.desk import assessed_at, desk

    try:
        return partial(assessed_at, desk(market, rulebook))
    except RefusedError:
        return None
