"""Some accounts of a book: picked out as a book of their own, and put back after they changed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from margrave.domain.account import Account
from margrave.domain.book import Book, Memories, book_of, names_of, no_parents
from margrave.kernels.arrays import I64

_HELD: Final = ("instrument", "quantity", "entry", "leverage", "is_isolated", "isolated_margin")
_CASH: Final = ("balance_asset", "balance")
_ASKED: Final = ("order_instrument", "order_quantity", "order_price", "order_leverage", "order_reduces")
_KEPT: Final = tuple(f.name for f in fields(Memories) if f.name != "account")
_TABLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"account": _HELD, "balance_account": _CASH, "order_account": _ASKED}
)
_MANY: Final = (
    0.005  # wanted owners a row, beyond which a pass over all rows is quicker than a search for each
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
    if len(wanted) > _MANY * len(owner):
        return _rows_of_many(owner, wanted)
    return _rows_of_each(owner, wanted)


def _rows_of_each(owner: I64, wanted: I64) -> tuple[I64, I64]:
    # A search for each owner, who may be wanted more than once.
    wanted = _as(wanted, owner)
    first, last = owner.searchsorted(wanted), owner.searchsorted(wanted, side="right")
    count = last - first
    before = np.cumsum(count) - count
    which = np.repeat(np.arange(len(wanted)), count)
    return np.arange(count.sum()) + (first - before)[which], which


def _rows_of_many(owner: I64, wanted: I64) -> tuple[I64, I64]:
    # One pass over all rows, instead of a search for each owner.
    last = int(max(owner[-1], wanted[-1])) if len(owner) else int(wanted[-1])
    place = np.full(last + 1, -1, dtype=np.int64)
    place[wanted] = np.arange(len(wanted))
    at = place[owner]
    rows = np.flatnonzero(at >= 0)
    return rows, at[rows]


def picked(book: Book, accounts: I64) -> Book:
    """Accounts, (n,) ascending, as a book of their own with the tables of the whole; accounts count from zero."""
    return replace(unnamed(book, accounts), names=book.names[accounts], parents=book.parents[accounts])


def unnamed(book: Book, accounts: I64) -> Book:
    """As `picked`, without names: they are most of the work, and no number reads them."""
    return _chosen(book, accounts, rows_of_owners)


def copies(book: Book, accounts: I64) -> Book:
    """As `unnamed`, an account as often as it is named: each copy is an account of its own."""
    return _chosen(book, accounts, _rows_of_each)


def _chosen(book: Book, accounts: I64, rows_of: Callable[[I64, I64], tuple[I64, I64]]) -> Book:
    nobody = no_parents(len(accounts))
    changed: dict[str, Any] = {"names": nobody, "parents": nobody}
    for owner, columns in _TABLES.items():
        rows, changed[owner] = rows_of(getattr(book, owner), accounts)
        changed |= {name: _wide(name, getattr(book, name)[rows]) for name in columns}
    rows, which = rows_of(book.memory.account, accounts)
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
    changed: dict[str, Any] = {}
    for owner, columns in _TABLES.items():
        changed |= _spliced(book, part, owner, columns, where)
    memory = replace(book.memory, **_spliced(book.memory, part.memory, "account", _KEPT, where))
    return replace(book, **changed, memory=memory)


def with_accounts(book: Book, names: Sequence[str], parents: Sequence[str]) -> Book:
    """The book with empty accounts behind its own, each with the name of its main account or an empty one."""
    count = len(book.names) + len(names)

    def wide(owner: I64) -> I64:
        return owner.astype(np.result_type(owner.dtype, np.min_scalar_type(-count - 1)), copy=False)

    same = book.parents.strides == (0,) and not any(parents)  # nobody has one: a single empty name
    return replace(
        book,
        names=np.concatenate((book.names, names_of(names))),
        parents=no_parents(count) if same else np.concatenate((book.parents, names_of(parents))),
        account=wide(book.account),
        balance_account=wide(book.balance_account),
        order_account=wide(book.order_account),
        memory=replace(book.memory, account=wide(book.memory.account)),
    )


def _spliced(whole: object, part: object, owner: str, columns: Iterable[str], where: I64) -> dict[str, Any]:
    owners, fresh = getattr(whole, owner), where[getattr(part, owner)]
    rows, which = rows_of_owners(owners, where)
    if np.array_equal(where[which], fresh):
        return {name: _written(getattr(whole, name), rows, getattr(part, name)) for name in columns}
    # Whole blocks between the accounts that change, and their rows in place of those that they had.
    gone = owners.searchsorted(_as(where, owners)), owners.searchsorted(_as(where, owners), side="right")
    came = fresh.searchsorted(where), fresh.searchsorted(where, side="right")
    spliced = {owner: _joined(owners, fresh, gone, came)}
    for name in columns:
        spliced[name] = _joined(getattr(whole, name), getattr(part, name), gone, came)
    return spliced


def _as(rows: I64, owner: I64) -> I64:
    return rows.astype(owner.dtype)  # of one type: a search would copy all owners otherwise


def _joined(
    old: NDArray[Any], new: NDArray[Any], gone: tuple[I64, I64], came: tuple[I64, I64]
) -> NDArray[Any]:
    new = new.astype(old.dtype)
    pieces, start = [], 0
    for first, last, head, tail in zip(*(rows.tolist() for rows in (*gone, *came)), strict=True):
        pieces += [old[start:first], new[head:tail]]
        start = last
    return np.concatenate((*pieces, old[start:]))


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
