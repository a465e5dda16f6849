"""A whole book beside what it is made of: how it grows, and how it is read beside reading its files alone."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.feather
import pyarrow.parquet as pq

from bench.measure import Gate, Row, Run, Section, Setting, least, missing, peer, rows
from margrave.adapters.book_files import read_table
from margrave.adapters.columns import book_from
from margrave.adapters.made_book import made_market
from margrave.cli.bench_sections import RULES, growth
from margrave.domain.market import Market

SIZES = (10_000, 100_000, 1_000_000)
HOLDERS, EACH = 200_000, 20
ROUNDS = 5


def run(setting: Setting) -> list[Section]:
    """Growth under a ladder up to the largest book, under portfolio margin up to a tenth of it; then the files."""
    counts = sorted({*(size for size in SIZES if size < setting.accounts), setting.accounts})
    few = [size for size in counts if size <= max(setting.accounts // 10, SIZES[0])]
    grown = [growth(name, counts if name == RULES[0] else few, 3) for name in RULES]
    with tempfile.TemporaryDirectory() as folder:
        return [*grown, *reading(Path(folder))]


def positions(market: Market, *, shuffled: bool) -> pa.Table:
    """Twenty positions of each holder in other instruments, grouped by account or in no order."""
    dice = np.random.default_rng(4)
    symbols = list(market.instruments)
    account = np.repeat(np.arange(HOLDERS), EACH)
    place = dice.integers(0, len(symbols), HOLDERS).repeat(EACH) + np.tile(7 * np.arange(EACH), HOLDERS)
    instrument = (place % len(symbols)).astype(np.int32)
    order = dice.permutation(len(account)) if shuffled else np.arange(len(account))
    names = pa.array([f"M{row:08d}" for row in range(HOLDERS)])
    return pa.table(
        {
            "account": names.take(pa.array(account[order])),
            "symbol": pa.DictionaryArray.from_arrays(pa.array(instrument[order]), pa.array(symbols)),
            "quantity": dice.integers(1, 1_001, len(account)).astype(np.float64),
            "entry": np.exp(dice.normal(0.0, 1.0, len(account))),
        }
    )


def reading(folder: Path) -> list[Section]:
    """To a checked book from Arrow, from Parquet, and from Parquet in no order."""
    market = made_market()
    files = {name: folder / name for name in ("sorted.arrow", "sorted.parquet", "shuffled.parquet")}
    table = positions(market, shuffled=False)
    pa.feather.write_feather(table, files["sorted.arrow"], compression="uncompressed")
    pq.write_table(table, files["sorted.parquet"], compression="zstd")
    pq.write_table(positions(market, shuffled=True), files["shuffled.parquet"], compression="zstd")

    def book(name: str) -> object:
        return book_from({"positions": read_table(files[name])}, market)

    def scan(name: str) -> object:
        account = read_table(files[name])["account"]
        return [pa.compute.run_end_encode(chunk) for chunk in account.chunks]

    return [
        _read(
            "sorted.arrow",
            {"pyarrow, runs of the account column alone": partial(scan, "sorted.arrow")},
            book,
            1.2,
        ),
        _read(
            "sorted.parquet",
            {"pyarrow read_table alone": partial(pq.read_table, files["sorted.parquet"], memory_map=True)},
            book,
            1.5,
        ),
        _read("shuffled.parquet", polars_sort(files["shuffled.parquet"]), book, 1.0),
    ]


def polars_sort(file: Path) -> dict[str, Run]:
    """Reading and sorting by account."""
    pl = peer("polars")
    return {} if pl is None else {"polars, read and sort": lambda: pl.read_parquet(file).sort("account")}


def _read(name: str, beside: dict[str, Run], book: Callable[[str], object], most: float) -> Section:
    ours = f"margrave, {name} to a checked book"
    seconds = least({ours: partial(book, name), **beside}, ROUNDS)
    found: list[Row] = rows(seconds, HOLDERS * EACH)
    gates = [
        Gate("G11", f"{name}: a checked book over {other}", seconds[ours] / seconds[other], most=most)
        for other in beside
    ]
    absent = [] if beside else missing(["polars, read and sort"])
    return Section(f"{name}: {HOLDERS:,} accounts of {EACH} positions", "position", [*found, *absent], gates)
