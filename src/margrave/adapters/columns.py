"""Books from tables: Parquet, Arrow, and any data frame; checked column by column, faults told by row.

A book is up to five tables, ``positions``, ``balances``, ``orders``, ``accounts`` and ``memory`` (`COLUMNS` says what each
holds). A table is anything that speaks the Arrow interface (``__arrow_c_stream__``: pyarrow, polars, pandas, DuckDB) or that
narwhals reads. Numbers are not copied where the rows are grouped by account and stand in one piece. Rows count from 0.
Needs the ``frames`` extra.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from margrave.adapters.words import Words, are_once, grouped, piece, text_of, words_of
from margrave.core.errors import InvalidInputError, Issue, Reason, invalid
from margrave.core.words import MarginMode
from margrave.domain.account import Leg
from margrave.domain.book import Book, Memories, Names, names_of, no_parents
from margrave.domain.checks import AMOUNT_MAX, PRICE_MAX, PRICE_MIN
from margrave.domain.market import Market
from margrave.kernels.arrays import F64, I32, I64, Bools

SCHEMA_VERSION: Final = 1
LEVERAGE_MAX: Final = 1e6
_TOLD_MAX: Final = 5  # rows that are told of each fault of a column
_MODES: Final = tuple(MarginMode)
_LEGS: Final = tuple(Leg)

_REQUIRED: Final = {
    "positions": ("account", "symbol", "quantity", "entry"),
    "balances": ("account", "asset", "amount"),
    "orders": ("account", "symbol", "quantity", "price"),
    "accounts": ("account",),
    "memory": ("account", "underlying", "at"),
}
_OPTIONAL: Final = {
    "positions": ("mode", "leverage", "isolated_margin", "leg"),
    "balances": ("locked",),
    "orders": ("reduce_only", "leverage"),
    "accounts": ("parent",),
    "memory": ("reference", "best_mark", "multiplier", "tier", "streak", "side", "closed_at"),
}
COLUMNS: Final = {table: (*names, *_OPTIONAL[table]) for table, names in _REQUIRED.items()}
"""Columns of each table, those that it needs first; others are refused, a null is a field that was not given."""

TEXT: Final = ("account", "symbol", "asset", "underlying", "mode", "leg", "parent")
"""Columns of words."""

_TIMES: Final = ("at", "closed_at")
_FLAGS: Final = ("reduce_only",)


@final
@dataclass(slots=True)
class _Table:
    """A table that is being read, and what is wrong with it."""

    where: str
    rows: int
    words: dict[str, Words] = field(default_factory=dict)
    numbers: dict[str, F64] = field(default_factory=dict)
    owner: I32 = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    order: NDArray[np.int64] | None = None  # rows grouped by account; None where they are already
    issues: list[Issue] = field(default_factory=list)

    def fault(self, wrong: Bools, reason: Reason, told: Callable[[int], str]) -> None:
        """One issue a row, up to a few rows; the rest as a number."""
        rows = np.flatnonzero(wrong)
        for row in rows[:_TOLD_MAX].tolist():
            self.issues.append(Issue(f"{self.where}: row {row:,}", reason, told(row)))
        if len(rows) > _TOLD_MAX:
            message = f"{len(rows) - _TOLD_MAX:,} more rows have the same fault; correct them alike"
            self.issues.append(Issue(self.where, reason, message))

    def number(self, name: str) -> F64:
        """A column of numbers; NaN throughout, without a byte, where the table has none."""
        found = self.numbers.get(name)
        return np.broadcast_to(np.float64(np.nan), self.rows) if found is None else found

    def check(self, name: str, holds: Bools, allowed: str) -> None:
        """Fault rows whose number is not allowed."""
        values = self.number(name)
        self.fault(
            ~holds, Reason.INVALID_VALUE, lambda row: f"{name} is {values[row]:g}; it must be {allowed}"
        )

    def taken(self, column: Any) -> Any:
        """A column in the order of accounts."""
        return column if self.order is None else column[self.order]


def book_from(tables: Mapping[str, Any], market: Market | None = None, where: str = "") -> Book:
    """A book from tables.

    Parameters
    ----------
    tables : mapping of str to table
        ``positions`` and whichever else of `COLUMNS` there are. Accounts stand in the order of ``accounts``, then in that in
        which the other tables name them.
    market : Market, optional
        Where instruments and assets have to be known. Without it what is unknown is found when the book is assessed.
    where : str
        Put before the names of the tables in messages.

    Returns
    -------
    Book
        Its numbers are views of the caller's where the rows of a table are grouped by account, else sorted copies.

    Raises
    ------
    InvalidInputError
        With the rows of every fault: nothing is dropped, and nothing of a book with a fault is used.
    """
    for name in tables:
        if name not in COLUMNS:
            message = f"is not one of {', '.join(COLUMNS)}; rename or drop it"
            raise invalid(f"{where}{name}", Reason.UNKNOWN_FIELD, message)
    read = {
        name: _read(name, tables[name], f"{where}{name}") for name in COLUMNS if tables.get(name) is not None
    }
    _raise(read.values())
    names = _unified(read, dict.fromkeys(("accounts", *COLUMNS), "account"))
    symbols = _unified(read, {"positions": "symbol", "orders": "symbol"})
    assets = _unified(read, {"balances": "asset", "memory": "underlying"})
    if market is not None:
        _check_listed(read, market)
    for name, table in read.items():
        _group(table)
        _CHECKS[name](table)
    _raise(read.values())
    return _book(read, names, symbols, assets)


def _raise(tables: Iterable[_Table]) -> None:
    issues = [issue for table in tables for issue in table.issues]
    if issues:
        raise InvalidInputError(issues)


def arrow_of(table: Any, where: str) -> Any:
    """Any table as one of pyarrow; a fault in one line where it is none."""
    if isinstance(table, pa.Table):
        return table
    try:
        if hasattr(table, "__arrow_c_stream__"):
            return pa.table(table)
        return nw.from_native(table, eager_only=True).to_arrow()
    except (TypeError, ValueError, pa.ArrowException) as fault:
        message = f"cannot be read as a table ({_line(fault)}); give Arrow, Parquet or a data frame"
        raise invalid(where, Reason.MALFORMED, message) from fault


def _line(fault: BaseException) -> str:
    return str(fault).splitlines()[0] if str(fault) else type(fault).__name__


def _read(name: str, native: Any, where: str) -> _Table:
    data = arrow_of(native, where)
    _check_columns(name, data.column_names, where)
    table = _Table(where, data.num_rows)
    for column in data.column_names:
        _column(table, column, data.column(column), needed=column in _REQUIRED[name])
    return table


def _check_columns(name: str, columns: list[str], where: str) -> None:
    missing = [column for column in _REQUIRED[name] if column not in columns]
    unknown = [column for column in columns if column not in COLUMNS[name]]
    if missing:
        raise invalid(where, Reason.MALFORMED, f"has no column {', '.join(missing)}; add it")
    if unknown:
        message = f"column {', '.join(unknown)} is not one of {', '.join(COLUMNS[name])}; rename or drop it"
        raise invalid(where, Reason.UNKNOWN_FIELD, message)
    if len(set(columns)) < len(columns):
        raise invalid(where, Reason.DUPLICATE, "has two columns of one name; drop one")


def _column(table: _Table, name: str, data: Any, *, needed: bool) -> None:
    kind = data.type.value_type if pa.types.is_dictionary(data.type) else data.type
    wanted, holds = _kind(name, kind)
    if pa.types.is_null(kind) and not needed:
        return
    if not holds:
        message = f"column {name} is of type {data.type}; make it {wanted}"
        table.issues.append(Issue(table.where, Reason.MALFORMED, message))
        return
    if needed and data.null_count:
        absent = data.is_null().combine_chunks().to_numpy(zero_copy_only=False)
        table.fault(absent, Reason.INVALID_VALUE, lambda row: f"{name} is missing; add it")
    if name in TEXT:
        table.words[name] = words_of(data)
        return
    try:
        table.numbers[name] = _numbers(data, name)
    except pa.ArrowException as fault:
        message = f"column {name} does not fit a float of 64 bits ({_line(fault)}); correct it"
        table.issues.append(Issue(table.where, Reason.INVALID_VALUE, message))


def _kind(name: str, kind: Any) -> tuple[str, bool]:
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if name in ("account", "parent"):
        return "text or whole numbers", text or pa.types.is_integer(kind)
    if name in TEXT:
        return "text", text
    if name in _FLAGS:
        return "true or false", pa.types.is_boolean(kind)
    if name in _TIMES:
        return "instants with a time zone", pa.types.is_timestamp(kind) and kind.tz is not None
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return "numbers", number


def _numbers(data: Any, name: str) -> F64:
    if name in _TIMES:
        data = data.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
    if name in _FLAGS:
        data = data.fill_null(False).cast(pa.int8())
    numbers = piece(data if pa.types.is_float64(data.type) else data.cast(pa.float64()))
    return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)


def _unified(read: dict[str, _Table], columns: Mapping[str, str]) -> Any:
    # Words of several tables numbered together, in the order in which they are first named.
    found = [
        (read[name], column)
        for name, column in columns.items()
        if name in read and column in read[name].words
    ]
    if not found:
        return pa.array([], type=pa.string())
    known = found[0][0].words[found[0][1]].words
    for table, column in found[1:]:
        words = table.words[column]
        if words.words.equals(known.slice(0, len(words.words))):
            continue
        place = pc.index_in(words.words, value_set=known)
        fresh = place.is_null()
        known = pa.concat_arrays([known, words.words.filter(fresh)])
        place = pc.index_in(words.words, value_set=known) if place.null_count else place
        place = place.to_numpy(zero_copy_only=False).astype(np.int32)
        table.words[column] = Words(np.append(place, np.int32(-1))[words.code], known)
    for table, column in found:
        table.words[column] = Words(table.words[column].code, known)
    return known


def _group(table: _Table) -> None:
    table.owner = table.words["account"].code
    if (table.owner[1:] < table.owner[:-1]).any():
        table.order = grouped(table.owner)


def _check_listed(read: dict[str, _Table], market: Market) -> None:
    for name in ("positions", "orders"):
        told = "is not among the market's instruments; add its contract terms or correct the name"
        _check_words(read.get(name), "symbol", set(market.instruments), Reason.UNKNOWN_INSTRUMENT, told)
    listed = market.instruments.values()
    assets = {asset for i in listed for asset in (i.base, i.quote, i.settlement)}
    told = "is no asset of the market, with an index price or an instrument; add it under [market.index]"
    _check_words(
        read.get("balances"), "asset", assets | {*market.index, market.numeraire}, Reason.MISSING_INDEX, told
    )


def _check_words(table: _Table | None, name: str, known: set[str], reason: Reason, told: str) -> None:
    if table is None:
        return
    words = table.words[name]
    listed = words.words.to_pylist()
    wrong = np.array([*(word not in known for word in listed), False], dtype=np.bool_)
    if not wrong.any():
        return
    table.fault(wrong[words.code], reason, lambda row: f"{listed[words.code[row]]} {told}")


def _is_between(values: F64, least: float, most: float) -> bool:
    # Without an array of answers; NaN is not.
    return len(values) == 0 or bool(values.min() >= least and values.max() <= most)


def _check_price(table: _Table, name: str) -> None:
    price = table.number(name)
    if _is_between(price, PRICE_MIN, PRICE_MAX):
        return
    holds = (price >= PRICE_MIN) & (price <= PRICE_MAX)
    table.check(name, holds, f"a price between {PRICE_MIN:g} and {PRICE_MAX:g}")


def _check_amount(table: _Table, name: str) -> None:
    if _is_between(table.number(name), -AMOUNT_MAX, AMOUNT_MAX):
        return
    holds = np.abs(table.number(name)) <= AMOUNT_MAX
    table.check(name, holds, f"a finite number of at most {AMOUNT_MAX:g}")


def _check_leverage(table: _Table) -> None:
    if "leverage" not in table.numbers:
        return
    leverage = table.number("leverage")
    holds = np.isnan(leverage) | ((leverage > 0.0) & (leverage <= LEVERAGE_MAX))
    table.check("leverage", holds, f"above zero and at most {LEVERAGE_MAX:g}, or absent")


def _choices(table: _Table, name: str, allowed: tuple[str, ...]) -> NDArray[np.int8]:
    # Row of `allowed` for each row of the table; what is not given is the first.
    if name not in table.words:
        return np.broadcast_to(np.int8(0), table.rows)
    words = table.words[name]
    listed = words.words.to_pylist()
    place = np.array([allowed.index(w) if w in allowed else -1 for w in listed] + [0], dtype=np.int8)
    chosen = place[words.code]
    table.fault(
        chosen < 0,
        Reason.INVALID_VALUE,
        lambda row: f"{name} is {listed[words.code[row]]!r}; it must be one of {', '.join(allowed)}",
    )
    return chosen


def _check_positions(table: _Table) -> None:
    _check_amount(table, "quantity")
    _check_price(table, "entry")
    _check_leverage(table)
    isolated = _choices(table, "mode", _MODES) == _MODES.index(MarginMode.ISOLATED)
    leg = _choices(table, "leg", _LEGS)
    if "isolated_margin" in table.numbers:
        margin = table.number("isolated_margin")
        holds = np.isnan(margin) | (isolated & (margin >= 0.0) & (margin < np.inf))
        table.check("isolated_margin", holds, "zero or more, and absent in cross mode")
    if "leg" in table.words:
        quantity = table.number("quantity")
        short, long = leg == _LEGS.index(Leg.SHORT), leg == _LEGS.index(Leg.LONG)
        table.check(
            "quantity", ~((short & (quantity > 0)) | (long & (quantity < 0))), "of the sign of its leg"
        )
    table.numbers["isolated"] = isolated
    key: I32 | I64 = table.words["symbol"].code
    if "leg" in table.words or "mode" in table.words:
        key = (key.astype(np.int64) * len(_LEGS) + leg) * 2 + isolated
    _check_once(table, "symbol", key, "net the rows, or use hedge legs")


def _check_balances(table: _Table) -> None:
    _check_amount(table, "amount")
    if "locked" in table.numbers:
        locked = table.number("locked")
        table.check("locked", np.isnan(locked) | ((locked >= 0.0) & (locked < np.inf)), "zero or more")
    _check_once(table, "asset", table.words["asset"].code, "add the rows up")


def _check_orders(table: _Table) -> None:
    quantity = table.number("quantity")
    _check_amount(table, "quantity")
    table.check("quantity", quantity != 0.0, "other than zero")
    _check_price(table, "price")
    _check_leverage(table)


def _check_accounts(table: _Table) -> None:
    _check_once(table, "account", np.zeros(table.rows, dtype=np.int32), "drop one of the rows")


def _check_memory(table: _Table) -> None:
    for name in ("reference", "best_mark", "multiplier"):
        price = table.number(name)
        table.check(
            name, np.isnan(price) | ((price >= PRICE_MIN) & (price <= PRICE_MAX)), "above zero, or absent"
        )
    for name in ("tier", "streak", "side"):
        number = table.number(name)
        table.check(name, np.isnan(number) | (number == np.round(number)), "a whole number, or absent")
    _check_once(table, "underlying", table.words["underlying"].code, "keep the last one")


def _check_once(table: _Table, name: str, key: I32 | I64, mend: str) -> None:
    # One row of each key in an account; the first of equal rows is right, the others are told.
    width = int(key.max(initial=0)) + 1
    narrow = (int(table.owner.max(initial=0)) + 1) * width < 2**31  # half of the bytes to sort
    key = table.owner * (np.int32(width) if narrow else np.int64(width)) + key
    if are_once(key, table.owner):
        return
    order = key.argsort(kind="stable")
    again = np.zeros(table.rows, dtype=np.bool_)
    again[order[1:]] = key[order[1:]] == key[order[:-1]]
    words = table.words[name]
    table.fault(
        again & (table.owner >= 0) & (words.code >= 0),
        Reason.DUPLICATE,
        lambda row: f"{words.words[int(words.code[row])]} is there twice in one account; {mend}",
    )


_CHECKS: Final[dict[str, Callable[[_Table], None]]] = {
    "positions": _check_positions,
    "balances": _check_balances,
    "orders": _check_orders,
    "accounts": _check_accounts,
    "memory": _check_memory,
}


def _book(read: dict[str, _Table], names: Any, symbols: Any, assets: Any) -> Book:
    held, cash, asked, kept = (
        read.get(n, _Table(n, 0)) for n in ("positions", "balances", "orders", "memory")
    )
    isolated = np.asarray(held.numbers.get("isolated", np.zeros(0)), dtype=np.bool_)
    reduces = asked.numbers.get("reduce_only", np.broadcast_to(0.0, asked.rows)) != 0.0
    position = _owned(held, "symbol", ("quantity", "entry", "leverage", "isolated_margin"))
    balance = _owned(cash, "asset", ("amount",))
    order = _owned(asked, "symbol", ("quantity", "price", "leverage"))
    return Book(
        names=text_of(names),
        parents=_parents(read.get("accounts"), len(names)),
        symbols=tuple(symbols.to_pylist()),
        assets=tuple(assets.to_pylist()),
        account=position[0],
        instrument=position[1],
        quantity=position[2],
        entry=position[3],
        leverage=position[4],
        is_isolated=held.taken(isolated),
        isolated_margin=position[5],
        balance_account=balance[0],
        balance_asset=balance[1],
        balance=balance[2],
        order_account=order[0],
        order_instrument=order[1],
        order_quantity=order[2],
        order_price=order[3],
        order_leverage=order[4],
        order_reduces=asked.taken(reduces),
        memory=_memories(kept),
    )


def _owned(table: _Table, word: str, numbers: tuple[str, ...]) -> list[Any]:
    code = table.words[word].code if word in table.words else np.zeros(0, dtype=np.int32)
    return [table.taken(column) for column in (table.owner, code, *(table.number(name) for name in numbers))]


def _memories(table: _Table) -> Memories:
    account, underlying, *numbers = _owned(
        table,
        "underlying",
        ("at", "reference", "best_mark", "multiplier", "tier", "streak", "side", "closed_at"),
    )
    return Memories(account, underlying, *numbers)


def _parents(table: _Table | None, count: int) -> Names:
    if table is None or "parent" not in table.words:
        return no_parents(count)
    words = table.words["parent"]
    if not len(words.words):
        return no_parents(count)
    parents = np.zeros(count, dtype=np.dtypes.StringDType())
    parents[table.owner] = names_of([*words.words.to_pylist(), ""])[words.code]
    return parents
