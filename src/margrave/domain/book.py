"""Accounts as columns. One account is a book of one; there is no second path.

Rows of positions are grouped by account in the order in which they were given; instruments and assets are
tables that positions point into. Letters: P positions, O orders, B balances, A accounts, I instruments.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.words import MarginMode
from margrave.domain.account import Account
from margrave.domain.instruments import Instrument
from margrave.kernels.arrays import F64, I64, Bools


@final
@dataclass(frozen=True, slots=True)
class Book:
    """Any number of accounts as columns."""

    accounts: tuple[Account, ...]
    symbols: tuple[str, ...]  # (I,) instruments that positions and orders name
    assets: tuple[str, ...]  # assets of balances
    # positions
    account: I64  # (P,) row of `accounts`
    instrument: I64  # (P,) row of `symbols`
    quantity: F64  # (P,) [contracts] long > 0
    entry: F64  # (P,) [price]
    leverage: F64  # (P,) NaN where the holder chose none
    is_isolated: Bools  # (P,)
    isolated_margin: F64  # (P,) [settlement asset] NaN: initial margin at entry
    # balances
    balance_account: I64  # (B,)
    balance_asset: I64  # (B,) row of `assets`
    balance: F64  # (B,) [asset]
    # orders
    order_account: I64  # (O,)
    order_instrument: I64  # (O,)
    order_quantity: F64  # (O,) [contracts] buy > 0
    order_price: F64  # (O,)
    order_leverage: F64  # (O,) NaN where none
    order_reduces: Bools  # (O,)


def book_of(accounts: Iterable[Account]) -> Book:
    """Turn accounts into columns. Flat positions (quantity 0) stay as rows: their margin is zero."""
    accounts = tuple(accounts)
    symbols: dict[str, int] = {}
    assets: dict[str, int] = {}
    positions, balances, orders = [], [], []
    for row, account in enumerate(accounts):
        for p in account.positions:
            positions.append(
                (
                    row,
                    symbols.setdefault(p.symbol, len(symbols)),
                    p.quantity,
                    p.entry,
                    np.nan if p.leverage is None else p.leverage,
                    p.mode is MarginMode.ISOLATED,
                    np.nan if p.isolated_margin is None else p.isolated_margin,
                )
            )
        for b in account.balances:
            balances.append((row, assets.setdefault(b.asset, len(assets)), b.amount))
        for o in account.orders:
            leverage = np.nan if o.leverage is None else o.leverage
            at = symbols.setdefault(o.symbol, len(symbols))
            orders.append((row, at, o.quantity, o.price, leverage, o.reduce_only))
    held = _columns(positions, 7)
    cash = _columns(balances, 3)
    open_orders = _columns(orders, 6)
    return Book(
        accounts,
        tuple(symbols),
        tuple(assets),
        held[0].astype(np.int64),
        held[1].astype(np.int64),
        held[2],
        held[3],
        held[4],
        held[5] != 0.0,
        held[6],
        cash[0].astype(np.int64),
        cash[1].astype(np.int64),
        cash[2],
        open_orders[0].astype(np.int64),
        open_orders[1].astype(np.int64),
        open_orders[2],
        open_orders[3],
        open_orders[4],
        open_orders[5] != 0.0,
    )


def _columns(rows: Sequence[Sequence[float]], width: int) -> F64:
    # One array of (width, rows): each column is then contiguous.
    return np.array(rows, dtype=np.float64).reshape(len(rows), width).T.copy()


def instruments_of(book: Book, listed: Mapping[str, Instrument]) -> tuple[Instrument | None, ...]:
    """Contract terms of each symbol of the book; None where the market does not list it."""
    return tuple(listed.get(symbol) for symbol in book.symbols)
