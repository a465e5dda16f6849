"""Accounts as columns. One account is a book of one; there is no second path.

Rows are grouped by account, within an account in the order in which they were given; instruments and assets are
tables that rows point into. Letters: P positions, O orders, B balances, A accounts, I instruments, N memories.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Leg, Memory, Order, Position
from margrave.domain.instruments import Instrument
from margrave.kernels.arrays import F64, I64, Bools

Names: TypeAlias = NDArray[Any]  # of numpy.dtypes.StringDType: short names stand in the array itself

_TEXT = np.dtypes.StringDType()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@final
@dataclass(frozen=True, slots=True)
class Memories:
    """What schedules remember of accounts, (N,); NaN where a memory has no such thing."""

    account: I64  # row of the account
    underlying: I64  # row of the book's `assets`
    at: F64  # [us since 1970, UTC]
    reference: F64  # [quote per base]
    best_mark: F64  # [quote per base]
    multiplier: F64
    tier: F64  # a whole number
    streak: F64  # a whole number
    side: F64  # +1, -1, 0
    closed_at: F64  # [us since 1970, UTC]


@final
@dataclass(frozen=True, slots=True)
class Book:
    """Any number of accounts as columns.

    Rows that point somewhere may be of any signed integer type, so that a book of millions is small; what
    calculates widens the chunk that it works on (`chunk_of`).
    """

    names: Names  # (A,)
    parents: Names  # (A,) main account of a sub-account; empty where it is none
    symbols: tuple[str, ...]  # (I,) instruments that positions and orders name
    assets: tuple[str, ...]  # assets of balances, and underlyings of memories
    # positions
    account: I64  # (P,) row of `names`, ascending
    instrument: I64  # (P,) row of `symbols`
    quantity: F64  # (P,) [contracts] long > 0
    entry: F64  # (P,) [price]
    leverage: F64  # (P,) NaN where the holder chose none
    is_isolated: Bools  # (P,)
    isolated_margin: F64  # (P,) [settlement asset] NaN: initial margin at entry
    # balances
    balance_account: I64  # (B,) ascending
    balance_asset: I64  # (B,) row of `assets`
    balance: F64  # (B,) [asset]
    # orders
    order_account: I64  # (O,) ascending
    order_instrument: I64  # (O,)
    order_quantity: F64  # (O,) [contracts] buy > 0
    order_price: F64  # (O,)
    order_leverage: F64  # (O,) NaN where none
    order_reduces: Bools  # (O,)
    memory: Memories


def book_of(accounts: Iterable[Account]) -> Book:
    """Turn accounts into columns. Flat positions (quantity 0) stay as rows: their margin is zero."""
    accounts = tuple(accounts)
    symbols: dict[str, int] = {}
    assets: dict[str, int] = {}
    positions, balances, orders, memories = [], [], [], []
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
        for m in account.memory:
            memories.append((row, assets.setdefault(m.underlying, len(assets)), *_remembered(m)))
    held = _columns(positions, 7)
    cash = _columns(balances, 3)
    open_orders = _columns(orders, 6)
    account_rows, instruments = held[:2].astype(np.int64)
    owners, cash_assets = cash[:2].astype(np.int64)
    order_owners, order_instruments = open_orders[:2].astype(np.int64)
    return Book(
        names_of([account.name for account in accounts]),
        names_of([account.parent or "" for account in accounts]),
        tuple(symbols),
        tuple(assets),
        account_rows,
        instruments,
        held[2],
        held[3],
        held[4],
        held[5] != 0.0,
        held[6],
        owners,
        cash_assets,
        cash[2],
        order_owners,
        order_instruments,
        open_orders[2],
        open_orders[3],
        open_orders[4],
        open_orders[5] != 0.0,
        _memories(memories),
    )


def names_of(names: Sequence[str]) -> Names:
    """Names as an array without a Python object a name."""
    return np.array(names, dtype=_TEXT)


def no_parents(count: int) -> Names:
    """The column of main accounts where no account has one: a single empty name, seen everywhere."""
    return np.broadcast_to(_NOBODY, count)


_NOBODY = np.array("", dtype=_TEXT)


def _columns(rows: Sequence[Sequence[float]], width: int) -> F64:
    # One array of (width, rows): each column is then contiguous.
    if not rows:
        return np.zeros((width, 0))
    return np.array(rows, dtype=np.float64).reshape(len(rows), width).T.copy()


_NO_MEMORIES = Memories(*np.zeros((2, 0), dtype=np.int64), *np.zeros((8, 0)))


def _memories(rows: Sequence[Sequence[float]]) -> Memories:
    if not rows:
        return _NO_MEMORIES
    columns = _columns(rows, 10)
    account, underlying = columns[:2].astype(np.int64)
    return Memories(account, underlying, *columns[2:])


def _remembered(memory: Memory) -> tuple[float, ...]:
    optional = (memory.reference, memory.best_mark, memory.multiplier, memory.tier)
    closed = np.nan if memory.closed_at is None else microseconds(memory.closed_at)
    told = (np.nan if value is None else float(value) for value in optional)
    return (microseconds(memory.at), *told, float(memory.streak), float(memory.side), closed)


def microseconds(at: datetime) -> float:
    """An instant as a number, exact until the year 2255 [us since 1970, UTC]."""
    return float((at - _EPOCH) // _MICROSECOND)


def chunk_of(book: Book, first: int, last: int) -> Book:
    """Accounts ``first`` to ``last - 1`` as a book of their own, with the tables of the whole.

    Parameters
    ----------
    book : Book
        The whole.
    first, last : int
        Rows of accounts.

    Returns
    -------
    Book
        Floats are views of the book's; rows that point somewhere are int64, accounts counted from ``first``.
    """
    held, cash, asked, kept = (
        slice(*rows.searchsorted((first, last)).tolist())
        for rows in (book.account, book.balance_account, book.order_account, book.memory.account)
    )
    memory = Memories(
        _wide(book.memory.account[kept]) - first,
        _wide(book.memory.underlying[kept]),
        *(getattr(book.memory, name)[kept] for name in _MEMORY_FLOATS),
    )
    return Book(
        book.names[first:last],
        book.parents[first:last],
        book.symbols,
        book.assets,
        _wide(book.account[held]) - first,
        _wide(book.instrument[held]),
        book.quantity[held],
        book.entry[held],
        book.leverage[held],
        book.is_isolated[held],
        book.isolated_margin[held],
        _wide(book.balance_account[cash]) - first,
        _wide(book.balance_asset[cash]),
        book.balance[cash],
        _wide(book.order_account[asked]) - first,
        _wide(book.order_instrument[asked]),
        book.order_quantity[asked],
        book.order_price[asked],
        book.order_leverage[asked],
        book.order_reduces[asked],
        memory,
    )


def account_of(book: Book, row: int) -> Account:
    """One account of a book as a person writes it; `book_of` gives its columns again.

    A book does not keep hedge legs apart from netted positions: where an account holds an instrument twice in one mode,
    its positions become a long and a short leg.
    """
    one = chunk_of(book, row, row + 1)
    modes = [MarginMode.ISOLATED if alone else MarginMode.CROSS for alone in one.is_isolated.tolist()]
    symbols = [book.symbols[i] for i in one.instrument.tolist()]
    legs = legs_of(list(zip(symbols, modes, strict=True)), one.quantity.tolist())
    columns = (one.quantity, one.entry, one.leverage, one.isolated_margin)
    positions = tuple(
        Position(
            symbol=symbol,
            quantity=quantity,
            entry=entry,
            mode=mode,
            leverage=_told(leverage),
            isolated_margin=_told(margin),
            leg=leg,
        )
        for symbol, mode, leg, quantity, entry, leverage, margin in zip(
            symbols, modes, legs, *(column.tolist() for column in columns), strict=True
        )
    )
    asked = (one.order_instrument, one.order_quantity, one.order_price, one.order_leverage, one.order_reduces)
    orders = tuple(
        Order(symbol=book.symbols[i], quantity=q, price=price, leverage=_told(leverage), reduce_only=reduces)
        for i, q, price, leverage, reduces in zip(*(column.tolist() for column in asked), strict=True)
    )
    balances = tuple(
        Balance(asset=book.assets[a], amount=amount)
        for a, amount in zip(one.balance_asset.tolist(), one.balance.tolist(), strict=True)
    )
    memory = tuple(_memory_of(one, n) for n in range(len(one.memory.account)))
    name, parent = str(book.names[row]), str(book.parents[row]) or None
    return Account(
        name=name, balances=balances, positions=positions, orders=orders, memory=memory, parent=parent
    )


def legs_of(held: list[tuple[str, MarginMode]], quantity: list[float]) -> list[Leg]:
    """Legs by which positions, (n,), are told apart: net where an account holds an instrument once in a mode."""
    taken: set[tuple[tuple[str, MarginMode], Leg]] = set()
    legs = []
    for what, size in zip(held, quantity, strict=True):
        side = [Leg.LONG, Leg.SHORT] if size == 0 else [Leg.LONG if size > 0 else Leg.SHORT]
        order = [Leg.NET, *side] if held.count(what) == 1 else [*side, Leg.NET]
        leg = next(leg for leg in order if (what, leg) not in taken)
        taken.add((what, leg))
        legs.append(leg)
    return legs


def _told(number: float) -> float | None:
    return None if number != number else number


def _memory_of(book: Book, row: int) -> Memory:
    kept = book.memory
    tier, closed = _told(float(kept.tier[row])), _told(float(kept.closed_at[row]))
    return Memory(
        underlying=book.assets[int(kept.underlying[row])],
        at=_instant(float(kept.at[row])),
        reference=_told(float(kept.reference[row])),
        best_mark=_told(float(kept.best_mark[row])),
        multiplier=_told(float(kept.multiplier[row])),
        tier=None if tier is None else int(tier),
        streak=int(np.nan_to_num(kept.streak[row])),
        side=int(np.nan_to_num(kept.side[row])),
        closed_at=None if closed is None else _instant(closed),
    )


def _instant(microseconds_since: float) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds_since)


_MEMORY_FLOATS = ("at", "reference", "best_mark", "multiplier", "tier", "streak", "side", "closed_at")


def _wide(rows: I64) -> I64:
    return rows.astype(np.int64, copy=False)


def instruments_of(book: Book, listed: Mapping[str, Instrument]) -> tuple[Instrument | None, ...]:
    """Contract terms of each symbol of the book; None where the market does not list it."""
    return tuple(listed.get(symbol) for symbol in book.symbols)
