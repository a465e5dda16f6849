"""A simulated venue in whole numbers: lots, units of money in purses, and the float book that is read off them.

Letters: P positions, I instruments, N assets, B balances, W purses, K pools, A accounts, O orders.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from margrave.core.errors import Reason, refused
from margrave.domain.book import Book, Memories
from margrave.domain.market import Market
from margrave.engine.live.holders import Holders
from margrave.kernels.arrays import F64, I64, Bools

I8: TypeAlias = NDArray[np.int8]

UNITS_MAX: Final = 2.0**62

UNKNOWN: Final = -1
"""Level of a pool that cannot be valued."""


class Party(IntEnum):
    """Purses of nobody in the book; one of each an asset."""

    FUND = 0  # insurance fund
    VENUE = 1  # fees
    CLEARING = 2  # counterparty of every realised profit: the rest of the market
    BACKSTOP = 3  # a provider that takes over what the fund cannot pay for
    UNPAID = 4  # its balance below zero is the loss that nobody paid


@final
@dataclass(frozen=True, slots=True)
class Frame:
    """What no event changes: who holds which row, in which grid, and which purse is whose."""

    book: Book  # as the run opened it
    market: Market
    assets: tuple[str, ...]  # (N,) of the resolved table
    settlement: I64  # (I,) row of `assets`
    lot: tuple[F64, F64]  # (I,) contracts of a lot, as numerator and denominator
    unit: tuple[F64, F64]  # (N,) amount of a unit
    purse_asset: I64  # (W,) asset of each purse
    purse_account: I64  # (W,) holder; -1 where it is nobody's
    position_purse: I64  # (P,) balance, or margin of its own
    wallet: I64  # (P,) balance of the position's holder in its settlement asset
    position_pool: I64  # (P,)
    order_pool: I64  # (O,)
    pool_account: I64  # (K,)
    holders: Holders  # of the opening: rows stay, and so does who can be touched by what
    pool_way: I64  # (K,) row of `assets` of the only underlying that the pool's positions have; their number: several

    @property
    def balances(self) -> int:
        """Number of balances; their purses come first, then isolated margins, pockets of balances, and parties."""
        return len(self.book.balance)

    def pocket(self, balance: I64) -> I64:
        """Purses of what the holders of some balances have outside the venue."""
        return self.balances + len(self.book.account) + balance

    def purse_of(self, party: Party, asset: I64) -> I64:
        """Purses of a party in some assets."""
        first = 2 * self.balances + len(self.book.account)
        return first + int(party) * len(self.assets) + asset

    def amount(self, purse: I64, units: I64) -> F64:
        """Units in some purses as an amount of their assets."""
        numerator, denominator = (part[self.purse_asset[purse]] for part in self.unit)
        return units * numerator / denominator

    def units(self, asset: I64, amount: F64) -> I64:
        """Amounts as the nearest whole number of units.

        Raises
        ------
        RefusedError
            One that 62 bits do not hold.
        """
        numerator, denominator = (part[asset] for part in self.unit)
        count = np.rint(amount * denominator / numerator)
        full = np.flatnonzero(~(np.abs(count) < UNITS_MAX))
        if full.size:
            name = self.assets[int(np.broadcast_to(asset, count.shape)[full[0]])]
            message = (
                f"moves {float(count[full[0]]):.3g} units at once, more than 62 bits hold; state a larger one"
            )
            raise refused(f"units.{name}", Reason.INVALID_VALUE, message)
        return count.astype(np.int64)

    def contracts(self, instrument: I64, lots: I64) -> F64:
        """Lots of some instruments as contracts."""
        numerator, denominator = (part[instrument] for part in self.lot)
        return lots * numerator / denominator


@final
@dataclass(frozen=True, slots=True)
class State:
    """What events change."""

    lots: I64  # (P,) signed
    rest: I64  # (I,) lots that the rest of the market holds
    purse: I64  # (W,) units
    cancelled: Bools  # (O,)
    level: I8  # (K,) of the ladder; `UNKNOWN` where the pool is
    memory: Memories


def same(one: State, two: State) -> bool:
    """Whether two states are the same bit for bit."""
    columns = all(
        np.array_equal(getattr(one, name), getattr(two, name))
        for name in ("lots", "rest", "purse", "cancelled", "level")
    )
    memory = all(
        getattr(one.memory, name).tobytes() == getattr(two.memory, name).tobytes()
        for name in Memories.__dataclass_fields__
    )
    return columns and memory


def book_of_state(frame: Frame, state: State) -> Book:
    """The book that is margined: the rows of the opening with what they hold now."""
    book, count = frame.book, frame.balances
    held = np.arange(count, count + len(book.account))
    margin = frame.amount(held, state.purse[held])
    return replace(
        book,
        quantity=frame.contracts(book.instrument, state.lots),
        balance=frame.amount(np.arange(count), state.purse[:count]),
        isolated_margin=np.where(book.is_isolated, margin, np.nan),
        order_reduces=book.order_reduces | state.cancelled,  # what only reduces asks no margin
        memory=state.memory,
    )


def totals(frame: Frame, state: State) -> tuple[I64, I64]:
    """Units of each asset over all purses, (N,), and lots of each instrument over all holders, (I,).

    Returns
    -------
    (N,) ndarray, (I,) ndarray
        Two sums that no event changes; the second is zero.
    """
    money = np.zeros(len(frame.assets), dtype=np.int64)
    np.add.at(money, frame.purse_asset, state.purse)
    held = state.rest.copy()
    np.add.at(held, frame.book.instrument, state.lots)
    return money, held


def party_units(frame: Frame, state: State, party: Party) -> I64:
    """Units of a party in each asset, (N,)."""
    return state.purse[frame.purse_of(party, np.arange(len(frame.assets)))]
