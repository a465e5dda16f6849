"""Books from tables: what is read, what is copied, and what is said of every wrong row."""

from datetime import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from margrave.adapters.book_files import (
    book_tables,
    pools_like,
    pools_table,
    read_table,
    read_tables,
    write_book,
    write_results,
)
from margrave.adapters.columns import book_from
from margrave.adapters.made_book import made_book, made_market
from margrave.core.errors import InvalidInputError, Reason
from margrave.domain.book import Book, Memories, book_of
from margrave.engine.books.venue import assess_book
from margrave.rulebook.catalogue import in_force
from tests.unit import made_books

RULES = in_force("example.inverse", made_books.AT)


def positions(**columns):
    """Three positions of two accounts, with columns replaced or added."""
    told = {
        "account": ["ann", "ann", "bob"],
        "symbol": ["BTCUSD", "ETHUSD", "BTCUSD"],
        "quantity": [100.0, -200.0, 300.0],
        "entry": [50_000.0, 2_000.0, 51_000.0],
    }
    return told | columns


def faults(tables, market=None):
    with pytest.raises(InvalidInputError) as caught:
        book_from({name: pa.table(table) for name, table in tables.items()}, market)
    return [(issue.where, issue.reason, issue.message) for issue in caught.value.issues]


def same(one: Book, other: Book) -> None:
    """Columns agree, whatever the order of their tables of symbols and assets."""

    def worded(book: Book) -> list[object]:
        symbols, assets = np.array([*book.symbols, ""]), np.array([*book.assets, ""])
        kept = book.memory
        floats = [getattr(kept, name) for name in Memories.__slots__ if name not in ("account", "underlying")]
        named = [symbols[book.instrument], symbols[book.order_instrument], assets[book.balance_asset]]
        rest = [getattr(book, n) for n in Book.__slots__ if n not in SKIPPED]
        return [*named, assets[kept.underlying], kept.account, *floats, *rest]

    for a, b in zip(worded(one), worded(other), strict=True):
        np.testing.assert_array_equal(a, b)


SKIPPED = ("symbols", "assets", "instrument", "order_instrument", "balance_asset", "memory")


def test_the_columns_of_accounts_come_back():
    accounts = made_books.accounts(2, 150, RULES)
    book = book_of(accounts)
    tables = book_tables(book)
    # Hedge legs of one instrument are two rows that only the column `leg` tells apart.
    legs = [str(p.leg) for a in accounts for p in a.positions]
    tables["positions"] = tables["positions"].append_column("leg", pa.array(legs))
    tables["memory"] = tables["memory"].set_column(
        tables["memory"].column_names.index("streak"), "streak", pa.array([0.0] * tables["memory"].num_rows)
    )
    same(book_from(tables), book)


@pytest.mark.parametrize("kind", [pa.table, pd.DataFrame, pl.DataFrame])
def test_any_frame_gives_the_same_book(kind):
    book = book_from({"positions": kind(positions())})
    assert book.names.tolist() == ["ann", "bob"]
    assert book.symbols == ("BTCUSD", "ETHUSD")
    assert book.account.tolist() == [0, 0, 1]
    assert book.quantity.tolist() == [100.0, -200.0, 300.0]
    assert np.isnan(book.leverage).all()
    assert not book.is_isolated.any()


def test_what_is_no_table_is_refused():
    with pytest.raises(InvalidInputError, match="cannot be read as a table"):
        book_from({"positions": object()})


def test_rows_in_any_order_are_grouped_by_account():
    rows = positions(account=["bob", "ann", "bob"], symbol=["BTCUSD", "ETHUSD", "ETHUSD"])
    book = book_from({"positions": pa.table(rows)})
    assert book.names.tolist() == ["bob", "ann"]
    assert book.account.tolist() == [0, 0, 1]
    assert book.quantity.tolist() == [100.0, 300.0, -200.0]


def test_accounts_may_be_numbers_and_come_first_where_they_are_listed():
    tables = {
        "positions": pa.table(positions(account=[7, 7, 3])),
        "accounts": pa.table({"account": [3, 5, 7], "parent": [None, "main", None]}),
    }
    book = book_from(tables)
    assert book.names.tolist() == ["3", "5", "7"]
    assert book.parents.tolist() == ["", "main", ""]
    assert book.account.tolist() == [0, 2, 2]


def test_other_tables_are_read():
    book = book_from(
        {
            "positions": pa.table(
                positions(mode=["isolated", None, "cross"], isolated_margin=[0.5, None, None])
            ),
            "balances": pa.table({"account": ["bob"], "asset": ["BTC"], "amount": [2], "locked": [1.0]}),
            "orders": pa.table(
                {
                    "account": ["ann"],
                    "symbol": ["SOLUSD"],
                    "quantity": [-5],
                    "price": [150.0],
                    "reduce_only": [True],
                }
            ),
        }
    )
    assert book.is_isolated.tolist() == [True, False, False]
    assert book.isolated_margin[0] == 0.5
    assert (book.balance.tolist(), book.assets, book.balance_account.tolist()) == ([2.0], ("BTC",), [1])
    assert (book.order_quantity.tolist(), book.order_reduces.tolist()) == ([-5.0], [True])
    assert book.symbols == ("BTCUSD", "ETHUSD", "SOLUSD")


@pytest.mark.parametrize(
    ("columns", "row", "reason", "told"),
    [
        ({"quantity": [1.0, float("nan"), 1.0]}, 1, Reason.INVALID_VALUE, "quantity is nan"),
        ({"quantity": [1.0, None, 1.0]}, 1, Reason.INVALID_VALUE, "quantity is missing"),
        ({"quantity": [1.0, 1.0, float("inf")]}, 2, Reason.INVALID_VALUE, "quantity is inf"),
        ({"entry": [0.0, 1.0, 1.0]}, 0, Reason.INVALID_VALUE, "entry is 0"),
        ({"entry": [1.0, 1.0, -5.0]}, 2, Reason.INVALID_VALUE, "entry is -5"),
        ({"account": ["ann", None, "bob"]}, 1, Reason.INVALID_VALUE, "account is missing"),
        ({"symbol": ["BTCUSD", "BTCUSD", "ETHUSD"]}, 1, Reason.DUPLICATE, "BTCUSD is there twice"),
        ({"leverage": [1.0, 0.0, None]}, 1, Reason.INVALID_VALUE, "leverage is 0"),
        ({"mode": ["cross", "half", None]}, 1, Reason.INVALID_VALUE, "mode is 'half'"),
        ({"leg": ["net", "long", "short"]}, 1, Reason.INVALID_VALUE, "quantity is -200"),
        ({"isolated_margin": [None, 1.0, None]}, 1, Reason.INVALID_VALUE, "isolated_margin is 1"),
    ],
)
def test_every_wrong_row_is_told(columns, row, reason, told):
    found = faults({"positions": positions(**columns)})
    assert any(w == f"positions: row {row}" and r is reason and told in m for w, r, m in found), found


@pytest.mark.parametrize(
    ("table", "columns", "told"),
    [
        ("balances", {"asset": ["BTC", "BTC"], "amount": [1.0, 2.0]}, "BTC is there twice"),
        ("balances", {"asset": ["BTC", "ETH"], "amount": [1.0, 2e18]}, "amount is 2e+18"),
        ("balances", {"asset": ["BTC", "ETH"], "amount": [1.0, 2.0], "locked": [-1.0, 0.0]}, "locked is -1"),
        ("orders", {"symbol": ["A", "B"], "quantity": [0.0, 1.0], "price": [1.0, 1.0]}, "other than zero"),
        ("orders", {"symbol": ["A", "B"], "quantity": [1.0, 1.0], "price": [1.0, 1e16]}, "price is 1e+16"),
        ("accounts", {}, "a is there twice"),
    ],
)
def test_the_other_tables_are_checked(table, columns, told):
    found = faults({table: {"account": ["a", "a"], **columns}})
    assert any(told in message for _, _, message in found), found


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"reference": [-1.0]}, "reference is -1"),
        ({"tier": [0.5]}, "tier is 0.5"),
    ],
)
def test_memory_is_checked(columns, told):
    at = pa.array([datetime(2026, 11, 1, tzinfo=made_books.UTC)])
    found = faults({"memory": {"account": ["a"], "underlying": ["BTC"], "at": at, **columns}})
    assert told in found[0][2]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"quantity": ["1", "2", "3"]}, "column quantity is of type string; make it numbers"),
        ({"quantity": [True, False, True]}, "column quantity is of type bool; make it numbers"),
        ({"symbol": [1, 2, 3]}, "column symbol is of type int64; make it text"),
        ({"account": [1.5, 2.5, 3.5]}, "column account is of type double; make it text or whole numbers"),
        ({"quantity": [2**53 + 1, 1, 1]}, "does not fit a float of 64 bits"),
        ({"sise": [1.0, 2.0, 3.0]}, "column sise is not one of"),
    ],
)
def test_a_column_of_the_wrong_type_is_one_line(columns, told):
    found = faults({"positions": positions(**columns)})
    assert any(told in message for _, _, message in found), found
    assert all("\n" not in message for _, _, message in found)


def test_instants_need_a_zone():
    at = datetime(2026, 1, 1)  # noqa: DTZ001 - that it has none is what is tested
    found = faults({"memory": {"account": ["a"], "underlying": ["BTC"], "at": pa.array([at])}})
    assert "instants with a time zone" in found[0][2]


def test_a_missing_column_and_an_unknown_table_are_told():
    assert (
        "has no column entry"
        in faults({"positions": {k: v for k, v in positions().items() if k != "entry"}})[0][2]
    )
    assert "is not one of positions" in faults({"position": positions()})[0][2]
    twice = pa.Table.from_arrays([pa.array(["a"])] * 2, names=["account", "account"])
    with pytest.raises(InvalidInputError, match="two columns of one name"):
        book_from({"accounts": twice})


def test_what_the_market_does_not_know_is_told_with_its_row():
    tables = {
        "positions": positions(symbol=["BTCUSD", "GONE", "BTCUSD"]),
        "balances": {"account": ["ann", "bob"], "asset": ["BTC", "DOGE"], "amount": [1.0, 1.0]},
    }
    found = faults(tables, made_books.MARKET)
    assert [(where, reason) for where, reason, _ in found] == [
        ("positions: row 1", Reason.UNKNOWN_INSTRUMENT),
        ("balances: row 1", Reason.MISSING_INDEX),
    ]
    assert "GONE" in found[0][2]
    assert "DOGE" in found[1][2]


def test_a_fault_far_down_has_its_row_and_many_are_counted():
    rows = 1_000_000
    quantity = np.ones(rows)
    quantity[-1] = np.nan
    account = pa.array(np.arange(rows))
    symbol = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), pa.array(["BTCUSD"]))
    table = {"account": account, "symbol": symbol, "quantity": quantity, "entry": np.full(rows, 5e4)}
    assert faults({"positions": table})[0][0] == "positions: row 999,999"
    many = faults({"positions": table | {"entry": np.zeros(rows)}})
    assert any("999,995 more rows have the same fault" in message for _, _, message in many)


def test_categories_that_belong_to_no_row_make_no_account():
    account = pd.Categorical(["ann", "ann", "bob"], categories=["zoe", "bob", "ann"])
    book = book_from({"positions": pd.DataFrame(positions(account=account))})
    assert book.names.tolist() == ["ann", "bob"]


def test_a_book_is_small_beside_the_columns_of_the_caller():
    # 24 bytes a position and 100 an account; numbers that lie in one piece are not copied.
    count, each = 20_000, 5
    rows = count * each
    table = pa.table(
        {
            "account": pa.array(np.repeat(np.arange(count), each)),
            "symbol": pa.array([f"S{k}" for k in range(each)] * count),
            "quantity": np.ones(rows),
            "entry": np.ones(rows),
            "leverage": np.full(rows, 5.0),
        }
    )
    book = book_from({"positions": table})
    own = {
        n: getattr(book, n) for n in ("account", "instrument", "is_isolated", "isolated_margin", "leverage")
    }
    callers = [table.column(n).chunk(0).to_numpy() for n in ("quantity", "entry", "leverage")]
    for mine, its in zip((book.quantity, book.entry, book.leverage), callers, strict=True):
        assert np.shares_memory(mine, its)
    per_position = sum(_bytes(column) for name, column in own.items() if name != "leverage") / rows
    per_account = (_bytes(book.names) + _bytes(book.parents)) / count
    assert per_position <= 24
    assert per_account <= 100
    scattered = book_from({"positions": table.take(np.random.default_rng(1).permutation(rows))})
    own_too = sum(_bytes(getattr(scattered, n)) for n in ("account", "instrument", "is_isolated", "quantity"))
    assert own_too / rows <= 24


def _bytes(column: np.ndarray) -> int:
    return 0 if column.size and not any(column.strides) else column.nbytes


@pytest.fixture
def folder(tmp_path):
    market = made_market()
    write_book(made_book(300, 4, market), market, tmp_path / "book", "made for a test")
    return tmp_path / "book"


def test_a_folder_gives_the_book_again(folder):
    market = made_market()
    same(book_from(read_tables(str(folder)), market), made_book(300, 4, market))
    same(made_book(300, 4, market), made_book(300, 4, market))
    assert (made_book(300, 4, market).quantity != made_book(300, 5, market).quantity[:1]).any()


def test_one_file_is_its_positions(folder):
    assert list(read_tables(str(folder / "positions.parquet"))) == ["positions"]


def test_arrow_files_are_used_as_they_lie(tmp_path):
    table = pa.table(positions())
    pa.feather.write_feather(table, tmp_path / "positions.arrow", compression="uncompressed")
    before = pa.total_allocated_bytes()
    read = read_tables(str(tmp_path))["positions"]
    assert read.equals(table)
    assert pa.total_allocated_bytes() - before < table.nbytes


@pytest.mark.parametrize("cut", [0, 10, 400])
def test_a_file_that_is_cut_off_is_one_line(folder, cut):
    file = folder / "positions.parquet"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(InvalidInputError, match="may be cut off") as caught:
        read_tables(str(folder))
    assert len(str(caught.value).splitlines()) == 1


def test_files_that_say_nothing_are_refused(folder):
    (folder / "order.parquet").write_bytes((folder / "orders.parquet").read_bytes())
    with pytest.raises(InvalidInputError, match=r"order\.parquet is not one of"):
        read_tables(str(folder))
    (folder / "order.parquet").unlink()
    (folder / "positions.parquet").unlink()
    with pytest.raises(InvalidInputError, match=r"has no positions\.parquet"):
        read_tables(str(folder))


def test_a_file_that_memory_does_not_hold_is_no_fault_of_the_file(folder, monkeypatch):
    def full(*args, **more):
        raise OSError("Memory mapping file failed: Cannot allocate memory")

    monkeypatch.setattr(pa.parquet, "read_table", full)
    with pytest.raises(MemoryError):
        read_tables(str(folder))


@pytest.mark.parametrize(("name", "told"), [("no.parquet", "is not there"), ("book.xlsx", "is no table")])
def test_a_file_that_is_no_table(tmp_path, name, told):
    with pytest.raises(InvalidInputError, match=told):
        read_table(tmp_path / name)


def test_results_are_columns_again(tmp_path):
    accounts = made_books.accounts(2, 60, RULES)
    found = assess_book(book_of(accounts), made_books.MARKET, RULES)
    table = pools_table(found)
    assert table.schema.metadata[b"margrave.rulebook"] == b"example.inverse"
    rows = table.to_pylist()
    assert [r["account"] for r in rows] == found.names[found.pools.account].tolist()
    for k, row in enumerate(rows):
        assert (row["why"] is None) == (k not in found.issues)
        assert (row["equity"] is None) == (row["status"] == "unknown")
        assert row["equity"] is None or row["maintenance"] == found.pools.maintenance[k]
    assert isinstance(pools_like(found, pd.DataFrame(positions())), pd.DataFrame)
    assert isinstance(pools_like(found, pl.DataFrame(positions())), pl.DataFrame)
    assert isinstance(pools_like(found, table), pa.Table)
    for ending in ("parquet", "arrow", "csv"):
        write_results(found, tmp_path / f"pools.{ending}")
    assert read_table(tmp_path / "pools.parquet").num_rows == len(rows)
    assert (tmp_path / "pools.csv").read_text().count("\n") == len(rows) + 1
    with pytest.raises(InvalidInputError, match="ends in none of"):
        write_results(found, tmp_path / "pools.xls")


def test_empty_tables_and_tables_in_pieces():
    table = pa.table(positions())
    pieces = pa.concat_tables([table.slice(0, 1), table.slice(1, 0), table.slice(1)])
    empty = {
        "balances": table.select(["account"]).slice(0, 0).append_column("asset", pa.array([], pa.string()))
    }
    empty["balances"] = empty["balances"].append_column("amount", pa.array([], pa.float64()))
    same(book_from({"positions": pieces, **empty}), book_from({"positions": table}))
    nothing = book_from({"positions": table.slice(0, 0)})
    assert len(nothing.names) == len(nothing.account) == 0
    assert book_from({"positions": table.cast(table.schema), "orders": None}).names.tolist() == ["ann", "bob"]


@pytest.mark.slow
def test_an_unknown_instrument_among_millions_is_named_with_its_row():
    rows, wrong = 7_200_000, 7_123_456
    which = np.zeros(rows, dtype=np.int32)
    which[wrong] = 1
    table = pa.table(
        {
            "account": pa.array(np.arange(rows)).cast(pa.string()),
            "symbol": pa.DictionaryArray.from_arrays(pa.array(which), pa.array(["BTC-PERPETUAL", "NOBODY"])),
            "quantity": np.ones(rows),
            "entry": np.full(rows, 60_000.0),
        }
    )
    with pytest.raises(InvalidInputError) as fault:
        book_from({"positions": table}, made_market())
    assert [str(issue) for issue in fault.value.issues] == [
        "positions: row 7,123,456: unknown instrument: NOBODY is not among the market's instruments; "
        "add its contract terms or correct the name"
    ]
