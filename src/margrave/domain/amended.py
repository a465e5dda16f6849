"""Some accounts of a book: picked out as a book of their own, and put back after they changed."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from margrave.domain.account import Account
from margrave.domain.book import Book, Memories, book_of
from margrave.kernels.arrays import I64

_HELD: Final = ("instrument", "quantity", "entry", "leverage", "is_isolated", "isolated_margin")
_CASH: Final = ("balance_asset", "balance")
_ASKED: Final = ("order_instrument", "order_quantity", "order_price", "order_leverage", "order_reduces")
_KEPT: Final = tuple(f.name for f in fields(Memories) if f.name != "account")
_TABLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"account": _HELD, "balance_account": _CASH, "order_account": _ASKED}
)
_POINTS: Final = frozenset({"instrument", "order_instrument", "balance_asset", "underlying"})


def rows_of_owners(owner: I64, wanted: I64) -> tuple[I64, I64]:
    """Rows that belong to some owners.

    Parameters
    ----------
    owner : (n,) ndarray of int
        Owner of each row, ascending.
    wanted : (W,) ndarray of int
        Owners, ascending.

    Returns
    -------
    rows, which : (m,) ndarray of int
        Their rows, ascending, and which of the wanted owners each belongs to.
    """
    if len(wanted) > len(owner) // _SEARCHED:
        return _rows_among(owner, wanted)
    wanted = wanted.astype(owner.dtype)  # of one type: a search would copy all owners otherwise
    first, last = owner.searchsorted(wanted), owner.searchsorted(wanted, side="right")
    count = last - first
    before = np.cumsum(count) - count
    which = np.repeat(np.arange(len(wanted)), count)
    return np.arange(count.sum()) + (first - before)[which], which


_SEARCHED: Final = 64  # rows to one owner wanted, from which on a search is quicker than a look at all rows


def _rows_among(owner: I64, wanted: I64) -> tuple[I64, I64]:
    if not len(owner) or not len(wanted):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    place = np.full(max(int(owner[-1]), int(wanted[-1])) + 1, -1, dtype=np.int64)
    place[wanted] = np.arange(len(wanted))
    which = place[owner]
    rows = np.flatnonzero(which >= 0)
    return rows, which[rows]


def picked(book: Book, accounts: I64) -> Book:
    """Accounts, (n,) ascending, as a book of their own with the tables of the whole; accounts count from zero."""
    changed: dict[str, Any] = {"names": book.names[accounts], "parents": book.parents[accounts]}
    for owner, columns in _TABLES.items():
        rows, changed[owner] = rows_of_owners(getattr(book, owner), accounts)
        changed |= {name: _wide(name, getattr(book, name)[rows]) for name in columns}
    rows, which = rows_of_owners(book.memory.account, accounts)
    kept = {name: _wide(name, getattr(book.memory, name)[rows]) for name in _KEPT}
    return replace(book, **changed, memory=Memories(account=which, **kept))


def _wide(name: str, column: NDArray[Any]) -> NDArray[Any]:
    return column.astype(np.int64) if name in _POINTS else column


def amended(book: Book, accounts: Mapping[int, Account]) -> Book:
    """The book with some accounts as they are now.

    Parameters
    ----------
    book : Book
        The whole; its tables name all that the accounts name.
    accounts : mapping of int to Account
        Row of the book, and the account that stands there from now on. Names and parents stay.

    Returns
    -------
    Book
        Every other account bit for bit as it was. Columns that change are copied once, however many accounts do.
    """
    where = np.array(sorted(accounts), dtype=np.int64)
    part = _in_tables(book_of(accounts[row] for row in where.tolist()), book)
    gone = np.zeros(len(book.names), dtype=np.bool_)
    gone[where] = True
    changed: dict[str, Any] = {}
    for owner, columns in _TABLES.items():
        changed |= _spliced(book, part, owner, columns, gone, where)
    memory = replace(book.memory, **_spliced(book.memory, part.memory, "account", _KEPT, gone, where))
    return replace(book, **changed, memory=memory)


def _spliced(
    whole: object, part: object, owner: str, columns: Iterable[str], gone: NDArray[np.bool_], where: I64
) -> dict[str, Any]:
    owners, fresh = getattr(whole, owner), where[getattr(part, owner)]
    rows, which = rows_of_owners(owners, where)
    if np.array_equal(where[which], fresh):
        return {name: _written(getattr(whole, name), rows, getattr(part, name)) for name in columns}
    stay = ~gone[owners]
    both = np.concatenate((owners[stay], fresh.astype(owners.dtype)))
    order = both.argsort(kind="stable")  # two ascending runs: one merge
    spliced = {owner: both[order]}
    for name in columns:
        old, new = getattr(whole, name), getattr(part, name)
        spliced[name] = np.concatenate((old[stay], new.astype(old.dtype)))[order]
    return spliced


def _written(column: NDArray[Any], rows: I64, values: NDArray[Any]) -> NDArray[Any]:
    # Most events change one column of a few rows: the others are shared with the book as it was.
    were = column[rows]
    if ((were == values) | ((were != were) & (values != values))).all():
        return column
    written = column.copy()
    written[rows] = values
    return written


def _in_tables(part: Book, book: Book) -> Book:
    # The rows of the part's tables are those of the book's.
    def rows(names: tuple[str, ...], table: tuple[str, ...]) -> I64:
        at = {name: row for row, name in enumerate(table)}
        return np.array([at[name] for name in names], dtype=np.int64)

    symbol, asset = rows(part.symbols, book.symbols), rows(part.assets, book.assets)
    return replace(
        part,
        symbols=book.symbols,
        assets=book.assets,
        instrument=symbol[part.instrument],
        order_instrument=symbol[part.order_instrument],
        balance_asset=asset[part.balance_asset],
        memory=replace(part.memory, underlying=asset[part.memory.underlying]),
    )


def with_tables(book: Book, symbols: Iterable[str], assets: Iterable[str]) -> Book:
    """The book with more instruments and assets in its tables; rows that point there may get a wider type."""
    symbols = tuple(dict.fromkeys((*book.symbols, *symbols)))
    assets = tuple(dict.fromkeys((*book.assets, *assets)))

    def wide(column: I64, table: tuple[str, ...]) -> I64:
        return column.astype(np.result_type(column.dtype, np.min_scalar_type(-len(table) - 1)), copy=False)

    return replace(
        book,
        symbols=symbols,
        assets=assets,
        instrument=wide(book.instrument, symbols),
        order_instrument=wide(book.order_instrument, symbols),
        balance_asset=wide(book.balance_asset, assets),
        memory=replace(book.memory, underlying=wide(book.memory.underlying, assets)),
    )
