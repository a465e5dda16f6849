"""Books and results as files: a folder of Parquet or Arrow tables with its market, and columns of an assessment.

Files are mapped into memory where their format allows it: Arrow files are then used as they lie. Needs the ``frames`` extra.
"""

from errno import ENOMEM
from os import strerror
from pathlib import Path
from typing import Any, Final

import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq

from margrave.adapters.columns import COLUMNS, SCHEMA_VERSION, TEXT
from margrave.adapters.files import Case, dump_case
from margrave.core.errors import Reason, invalid
from margrave.core.words import MarginMode
from margrave.domain.book import Book, Names
from margrave.domain.market import Market
from margrave.engine.books.bounds import BookBounds, nearest_rows
from margrave.engine.books.positions import PositionColumns, liquidation_prices
from margrave.engine.books.venue import STATUSES, BookAssessment
from margrave.kernels.arrays import F64, I64

MARKET_FILE: Final = "market.toml"
RESULTS: Final = "pools"
"""Name of a file of results, which may lie in the folder of its book."""

_ENDINGS: Final = (".parquet", ".arrow", ".feather")


def read_tables(path: str) -> dict[str, Any]:
    """Tables of a book: of a folder, each named as in `columns.COLUMNS`, or of one file, its positions.

    Parameters
    ----------
    path : str
        Folder, or a file that ends in ``.parquet``, ``.arrow`` or ``.feather``.

    Raises
    ------
    InvalidInputError
        Nothing is there, a file is cut off or of another format, or has a name that says nothing: it would be lost.
    """
    place = Path(path)
    if not place.is_dir():
        return {"positions": read_table(place)}
    files = {
        file.stem: file
        for file in sorted(place.iterdir())
        if file.suffix in _ENDINGS and file.stem != RESULTS
    }
    unknown = [file.name for name, file in files.items() if name not in COLUMNS]
    if unknown:
        message = f"{', '.join(unknown)} is not one of {', '.join(COLUMNS)}; rename it or move it elsewhere"
        raise invalid(path, Reason.UNKNOWN_FIELD, message)
    if "positions" not in files:
        raise invalid(path, Reason.NOT_FOUND, "has no positions.parquet; name the folder of a book")
    return {name: read_table(file) for name, file in files.items()}


def read_table(path: Path) -> Any:
    """One table of a file, mapped into memory."""
    if path.suffix not in _ENDINGS:
        raise invalid(
            str(path), Reason.UNSUPPORTED, f"is no table; give a folder or a file of {', '.join(_ENDINGS)}"
        )
    try:
        if path.suffix == ".parquet":
            # Words as places in a dictionary, as the file has them: nothing is made of each row.
            return pq.read_table(path, memory_map=True, read_dictionary=list(TEXT))
        return pa.feather.read_table(path, memory_map=True)
    except FileNotFoundError as fault:
        raise invalid(str(path), Reason.NOT_FOUND, "is not there; check the name") from fault
    except (OSError, pa.ArrowException) as fault:
        if strerror(ENOMEM) in str(fault):  # pyarrow tells a map that fails by its words alone
            raise MemoryError(str(path)) from fault
        told = str(fault).splitlines()[0].rstrip(".")
        message = f"cannot be read ({told}); it may be cut off or of another format: write it again"
        raise invalid(str(path), Reason.MALFORMED, message) from fault


def book_tables(book: Book) -> dict[str, Any]:
    """Tables of a book as `columns.book_from` reads them; accounts and orders only where there is something to say."""
    names = pa.array(book.names.tolist(), type=pa.string())
    symbols, assets = (pa.array(list(words), type=pa.string()) for words in (book.symbols, book.assets))
    tables = {
        "positions": {
            "account": names.take(pa.array(book.account)),
            "symbol": _coded(book.instrument, symbols),
            "quantity": book.quantity,
            "entry": book.entry,
            "mode": _coded(book.is_isolated.astype(np.int64), pa.array([str(m) for m in MarginMode])),
            "leverage": _given(book.leverage),
            "isolated_margin": _given(book.isolated_margin),
        },
        "balances": {
            "account": names.take(pa.array(book.balance_account)),
            "asset": _coded(book.balance_asset, assets),
            "amount": book.balance,
        },
        "orders": {
            "account": names.take(pa.array(book.order_account)),
            "symbol": _coded(book.order_instrument, symbols),
            "quantity": book.order_quantity,
            "price": book.order_price,
            "reduce_only": book.order_reduces,
            "leverage": _given(book.order_leverage),
        },
        "accounts": {"account": names, "parent": _absent_empty(book.parents)},
        "memory": _memory(book, names, assets),
    }
    return {name: pa.table(columns).replace_schema_metadata(_VERSION) for name, columns in tables.items()}


_VERSION: Final = {b"margrave.schema_version": str(SCHEMA_VERSION).encode()}


def _memory(book: Book, names: Any, assets: Any) -> dict[str, Any]:
    kept = book.memory
    floats = ("reference", "best_mark", "multiplier", "tier", "streak", "side")
    times = {
        name: pa.array(getattr(kept, name), from_pandas=True).cast(pa.int64()).cast(pa.timestamp("us", "UTC"))
        for name in ("at", "closed_at")
    }
    columns = {name: _given(getattr(kept, name)) for name in floats}
    return {
        "account": _coded(kept.account, names),
        "underlying": _coded(kept.underlying, assets),
        **times,
        **columns,
    }


def _coded(rows: I64, words: Any) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array(rows, type=pa.int32()), words)


def _given(numbers: F64) -> Any:
    return pa.array(np.ascontiguousarray(numbers), from_pandas=True)


def _absent_empty(names: Names) -> Any:
    return pa.array([name or None for name in names.tolist()], type=pa.string())


def write_book(book: Book, market: Market, folder: Path, title: str = "") -> None:
    """Write a book's tables as Parquet and its market as a case file; every file says what it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in book_tables(book).items():
        if name == "accounts" or table.num_rows:
            told = {**table.schema.metadata, b"title": title.encode()}
            pq.write_table(table.replace_schema_metadata(told), folder / f"{name}.parquet")
    case = Case((), market, title=title)
    (folder / MARKET_FILE).write_text(dump_case(case), encoding="utf-8")


def pools_table(found: BookAssessment) -> Any:
    """Every pool of an assessed book as an Arrow table, in the order of accounts.

    Columns: ``account``, ``pool`` (``cross`` or the instrument of an isolated position), ``currency``, ``equity``,
    ``margin_balance``, ``initial``, ``maintenance``, ``order_margin``, ``ratio``, ``status``, ``why`` (what is unknown).
    Numbers of unknown pools are null. The schema's metadata tells the rulebook and the instant.
    """
    pools = found.pools
    words = pa.array([*found.symbols, "cross"], type=pa.string())
    where = np.where(pools.instrument < 0, len(found.symbols), pools.instrument)
    known = pools.status != len(STATUSES) - 1
    numbers = {
        name: pa.array(np.where(known, column, np.nan), from_pandas=True)
        for name, column in (
            ("equity", pools.equity),
            ("margin_balance", pools.margin_balance),
            ("initial", pools.initial),
            ("maintenance", pools.maintenance),
            ("order_margin", pools.order_margin),
            ("ratio", pools.ratio),
        )
    }
    why = np.full(len(known), None, dtype=object)
    for pool, issues in found.issues.items():
        why[pool] = "; ".join(map(str, issues))
    table = pa.table(
        {
            "account": _coded(pools.account, pa.array(found.names.tolist(), type=pa.string())),
            "pool": _coded(where, words),
            "currency": _coded(pools.currency, pa.array(list(found.assets), type=pa.string())),
            **numbers,
            "status": _coded(pools.status.astype(np.int64), pa.array([str(s) for s in STATUSES])),
            "why": pa.array(why, type=pa.string()),
        }
    )
    told = {
        "rulebook": found.rulebook,
        "valid_from": found.valid_from.isoformat(),
        "at": found.at.isoformat(),
    }
    return table.replace_schema_metadata(
        {**_VERSION, **{f"margrave.{name}".encode(): value.encode() for name, value in told.items()}}
    )


def with_bounds(table: Any, found: BookAssessment, bounds: BookBounds) -> Any:
    """`pools_table` with the nearest liquidation prices of each pool.

    Columns: ``liquidation_of`` (the instrument, or else asset, whose price is told: of several underlyings that with the
    nearest one), ``price`` of it now, ``liquidation_below``, ``liquidation_above``; null where there is none.
    """
    row = nearest_rows(bounds, len(found.pools.account))
    words = pa.array([*found.symbols, *found.assets], type=pa.string())
    named = np.where(bounds.instrument >= 0, bounds.instrument, len(found.symbols) + bounds.asset)
    told = pa.array(np.append(named, 0)[row], type=pa.int32(), mask=row < 0)
    table = table.append_column("liquidation_of", pa.DictionaryArray.from_arrays(told, words))
    for name, column in (
        ("price", bounds.price),
        ("liquidation_below", bounds.lower),
        ("liquidation_above", bounds.upper),
    ):
        table = table.append_column(name, _given(np.append(column, np.nan)[row]))
    return table


def positions_table(
    found: BookAssessment, positions: PositionColumns, bounds: BookBounds | None = None
) -> Any:
    """Every position of an assessed book as an Arrow table, in the order of the book.

    Columns: ``account``, ``symbol``, ``mode``, ``quantity``, ``entry``, ``mark``, ``currency``, ``profit``, ``value``,
    ``notional``, ``initial``, ``maintenance``, and with bounds ``liquidation_below`` and ``liquidation_above`` of isolated
    positions. Numbers that are not known are null.
    """
    numbers = ("quantity", "entry", "mark", "profit", "value", "notional", "initial", "maintenance")
    columns = {
        "account": _coded(positions.account, pa.array(found.names.tolist(), type=pa.string())),
        "symbol": _coded(positions.instrument, pa.array(list(found.symbols), type=pa.string())),
        "mode": _coded(positions.is_isolated.astype(np.int64), pa.array(["cross", "isolated"])),
        "currency": _coded(positions.currency, pa.array(list(found.assets), type=pa.string())),
        **{name: _given(getattr(positions, name)) for name in numbers},
    }
    if bounds is not None:
        lower, upper = liquidation_prices(positions, bounds)
        columns |= {"liquidation_below": _given(lower), "liquidation_above": _given(upper)}
    return pa.table(columns).replace_schema_metadata(_VERSION)


def pools_like(found: BookAssessment, frame: Any) -> Any:
    """The same table in the kind of the caller's frame: pandas, polars, pyarrow and what else narwhals makes."""
    table = pools_table(found)
    implementation = nw.from_native(frame, eager_only=True).implementation
    if implementation is nw.Implementation.PYARROW:
        return table
    return nw.from_arrow(table, backend=implementation).to_native()


def write_results(found: BookAssessment, path: Path, bounds: BookBounds | None = None) -> None:
    """Write `pools_table`, and liquidation prices where there are, as Parquet, Arrow or CSV, by the file's ending."""
    table = pools_table(found)
    write_table(table if bounds is None else with_bounds(table, found, bounds), path)


def write_table(table: Any, path: Path) -> None:
    """Write an Arrow table as Parquet, Arrow or CSV, by the file's ending."""
    writers = {
        ".parquet": pq.write_table,
        ".arrow": pa.feather.write_feather,
        ".feather": pa.feather.write_feather,
        ".csv": _write_csv,
    }
    if path.suffix not in writers:
        raise invalid(
            str(path), Reason.UNSUPPORTED, f"ends in none of {', '.join(writers)}; choose one of them"
        )
    writers[path.suffix](table, path)


def _write_csv(table: Any, path: Path) -> None:
    plain = [pa.types.is_dictionary(f.type) for f in table.schema]
    columns = [c.cast(pa.string()) if coded else c for c, coded in zip(table.columns, plain, strict=True)]
    pa.csv.write_csv(pa.table(columns, names=table.column_names), path)
