"""A whole book beside what it is made of, in one run: accounts a second and how they grow, reading, one account.

``python -m bench.book [ACCOUNTS]``: the largest book, 1,000,000 accounts unless told. Ratios are what can be compared between
machines; every figure is the best of a few runs, warmed up.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from margrave.adapters.book_files import read_tables, write_book
from margrave.adapters.columns import book_from
from margrave.adapters.made_book import made_book, made_market
from margrave.domain.book import account_of
from margrave.engine.assess import assess
from margrave.engine.books.venue import assess_book
from margrave.rulebook.catalogue import in_force

RULES = ("example.inverse", "deribit.spm", "deribit.xpm")
SIZES = (10_000, 100_000, 1_000_000)


def best(run: Callable[[], object], times: int) -> float:
    """Shortest of several runs [s]."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def growth(most: int) -> None:
    """Accounts a second of prepare and evaluate over the whole book, on one thread and on two."""
    market = made_market()
    print(
        f"{'rulebook':<18}{'accounts':>10}{'positions':>11}{'s':>8}{'accounts/s':>12}{'to the first':>14}{'2 threads':>11}"
    )
    for name in RULES:
        rulebook, first = in_force(name, market.at), 0.0
        for count in sorted({min(size, most) for size in SIZES}):
            book = made_book(count, 1, market)
            times = max(1, min(5, 200_000 // count))
            one, two = (
                best(lambda b=book, t=n, r=rulebook: assess_book(b, market, r, threads=t), times)  # type: ignore[misc]
                for n in (1, 2)
            )
            first = first or one / count
            print(
                f"{name:<18}{count:>10,}{len(book.account):>11,}{one:>8.2f}{count / one:>12,.0f}"
                f"{one / count / first:>14.2f}{one / two:>10.2f}x"
            )
    print(f"most memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


def reading(count: int) -> None:
    """Parquet to a checked book, beside reading the same files alone."""
    market = made_market()
    with tempfile.TemporaryDirectory() as folder:
        write_book(made_book(count, 1, market), market, Path(folder))
        files = sorted(Path(folder).glob("*.parquet"))
        alone = best(lambda: [pq.read_table(file, memory_map=True) for file in files], 3)
        book = best(lambda: book_from(read_tables(folder), market), 3)
    print(
        f"Parquet of {count:,} accounts to a checked book: {book:.2f} s; pyarrow read_table alone: {alone:.2f} s; "
        f"ratio {book / alone:.1f}"
    )


def one_account() -> None:
    """One account object to its assessment."""
    market = made_market()
    book = made_book(2_000, 1, market)
    sizes = [int((book.account == row).sum()) for row in range(200)]
    for name in RULES:
        rulebook = in_force(name, market.at)
        for wanted in (1, 10):
            account = account_of(book, min(range(200), key=lambda row, n=wanted: abs(sizes[row] - n)))  # type: ignore[misc]
            for _ in range(20):
                assess(account, market, rulebook)
            took = best(lambda a=account, r=rulebook: assess(a, market, r), 200)  # type: ignore[misc]
            print(
                f"{name}: one account of {len(account.positions)} positions to its assessment: {took * 1e6:.0f} us"
            )


def main() -> None:
    """Print all of it."""
    most = int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else SIZES[-1]
    growth(most)
    reading(most)
    one_account()


if __name__ == "__main__":
    main()
