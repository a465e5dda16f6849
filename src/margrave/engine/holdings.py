"""One account as lists, and the row of numbers that the compiled pass takes: what a desk is asked about."""

from collections.abc import Mapping, Sequence
from struct import pack_into
from typing import Any, Protocol, TypeAlias, final

import msgspec
import numpy as np

from margrave.core.words import MarginMode
from margrave.domain.account import Account
from margrave.kernels.arrays import F64
from margrave.kernels.compiled.one_by_size import OPENED

Row: TypeAlias = tuple[F64, int, int, int]
"""Numbers of an account, and how many positions, balances and orders they are of."""

NOT_CHOSEN = float("nan")
"""Leverage that nobody chose; margin of a cross position."""


@final
class Holdings(msgspec.Struct, frozen=True, gc=False):  # made in a third of the time of a dataclass
    """One account as lists: positions, balances, and open orders, whose quantity is zero where they can open nothing."""

    symbols: list[str]
    quantities: list[float]
    entries: list[float]
    assets: list[str]
    amounts: list[float]
    order_symbols: list[str]
    order_quantities: list[float]
    order_prices: list[float]
    leverages: Sequence[float] = ()  # `NOT_CHOSEN` of some; empty where leverage plays no part
    margins: Sequence[
        float
    ] = ()  # of isolated positions; `NOT_CHOSEN` of cross ones, empty where all are cross
    order_leverages: Sequence[float] = ()


class HasRows(Protocol):
    """An account, or what was read as one: rows with the fields of `domain.account`."""

    @property
    def positions(self) -> Sequence[Any]:
        """Rows of `Position`."""

    @property
    def balances(self) -> Sequence[Any]:
        """Rows of `Balance`."""

    @property
    def orders(self) -> Sequence[Any]:
        """Rows of `Order`."""


Lists: TypeAlias = tuple[
    list[str], list[float], list[float], list[str], list[float], list[str], list[float], list[float]
]
"""First eight fields of `Holdings`."""


def lists_of(account: HasRows) -> Lists:
    """An account as lists, without leverage; its isolated positions are not told apart."""
    positions, balances, orders = account.positions, account.balances, account.orders
    asked: tuple[list[str], list[float], list[float]] = [], [], []
    if orders:
        asked = (
            [o.symbol for o in orders],
            [0.0 if o.reduce_only else o.quantity for o in orders],
            [o.price for o in orders],
        )
    return (
        [p.symbol for p in positions],
        [p.quantity for p in positions],
        [p.entry for p in positions],
        [b.asset for b in balances],
        [b.amount for b in balances],
        *asked,
    )


def holdings_of(account: Account) -> Holdings:
    """What an account holds, without leverage; its isolated positions are not told apart."""
    return Holdings(*lists_of(account))


def sized_holdings_of(account: Account) -> Holdings:
    """What an account holds, with leverage and margins of isolated positions."""
    positions = account.positions
    return Holdings(
        *lists_of(account),
        [chosen(p.leverage) for p in positions],
        [margin_of(p.mode, p.isolated_margin) for p in positions],
        [chosen(o.leverage) for o in account.orders],
    )


def chosen(leverage: float | None) -> float:
    """Leverage as `Holdings.leverages` has it."""
    return NOT_CHOSEN if leverage is None else leverage


def margin_of(mode: str, margin: float | None) -> float:
    """Margin that stands on a position, as `Holdings.margins` has it."""
    if mode != MarginMode.ISOLATED:
        return NOT_CHOSEN
    return OPENED if margin is None else margin


def row_of(held: Holdings, rows: Mapping[str, int], coins: Mapping[str, int], *, counts_orders: bool) -> Row:
    """Numbers of an account under scenarios, as `kernels.compiled.one_account.Columns` has them.

    Parameters
    ----------
    held : Holdings
        The account, all cross.
    rows, coins : mapping of str to int
        Of instruments and assets.
    counts_orders : bool
        Whether orders are margined.

    Raises
    ------
    KeyError
        A contract or an asset is not among them.
    """
    asked = held.order_quantities if counts_orders else [0.0] * len(held.order_quantities)
    row = [
        *[rows[symbol] for symbol in held.symbols],
        *held.quantities,
        *held.entries,
        *[coins[asset] for asset in held.assets],
        *held.amounts,
        *[rows[symbol] for symbol in held.order_symbols],
        *asked,
        *held.order_prices,
    ]
    return _numbers(row), len(held.symbols), len(held.assets), len(asked)


def sized_row_of(
    held: Holdings, rows: Mapping[str, int], coins: Mapping[str, int], *, counts_orders: bool
) -> Row:
    """Numbers of an account margined by size, as `kernels.compiled.one_by_size.SizedColumns` has them; as `row_of`."""
    count, orders = len(held.symbols), len(held.order_symbols)
    row = [
        *[rows[symbol] for symbol in held.symbols],
        *held.quantities,
        *held.entries,
        *(held.leverages or [NOT_CHOSEN] * count),
        *(held.margins or [NOT_CHOSEN] * count),
        *[coins[asset] for asset in held.assets],
        *held.amounts,
        *[rows[symbol] for symbol in held.order_symbols],
        *(held.order_quantities if counts_orders else [0.0] * orders),
        *held.order_prices,
        *(held.order_leverages or [NOT_CHOSEN] * orders),
    ]
    return _numbers(row), count, len(held.assets), orders


def _numbers(row: list[float]) -> F64:
    # As `np.array` makes it, in half of the time.
    numbers = np.empty(len(row))
    pack_into(f"{len(row)}d", numbers.data, 0, *row)
    return numbers
