"""Who has to be looked at after a move, beside the sweep of everybody; and liquidation prices beside SciPy's search.

``python -m bench.safe [ACCOUNTS]``: 1,000,000 accounts unless told. Ratios are what can be compared between machines; the
statuses of every move are compared with those of the full sweep before anything is printed.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from bench.measure import Gate
from margrave.adapters.made_book import made_book, made_market
from margrave.core.words import MAINTENANCE
from margrave.domain.book import Book, chunk_of
from margrave.domain.market import Market
from margrave.engine.books.safe import SafeIntervals, breaches, breaches_resolved, build, swept
from margrave.engine.books.venue import assess_book
from margrave.liquidation.direction import Excess, direction_of
from margrave.liquidation.many import bounds_of_pools
from margrave.margin.pooled import evaluate, prepare_in
from margrave.margin.resolve import resolve
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.schema import Rulebook
from margrave.valuation.scenarios import shifted
from margrave.valuation.table import table_of

RULES = ("example.flat", "example.inverse", "deribit.spm", "deribit.xpm")
MOVES = {"a ten-thousandth": 1.0001, "half a per cent": 0.995, "three per cent": 0.97}
FEW = 40


def best(run: Callable[[], object], times: int) -> float:
    """Shortest of several runs [s]."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def moved(market: Market, factor: float) -> Market:
    """The market after both indices moved, every mark and forward with them."""
    table = table_of(tuple(market.instruments), tuple(market.index), market)
    shift = np.array([[factor if name in market.index else 1.0 for name in table.assets]])
    priced = shifted(table, shift)
    quotes = {
        symbol: replace(
            market.quotes[symbol],
            mark=float(priced.mark[0, row]),
            forward=float(priced.forward[0, row]) if table.is_option[row] else None,
        )
        for row, symbol in enumerate(market.instruments)
    }
    return replace(market, quotes=quotes, index={name: p * factor for name, p in market.index.items()})


def intervals(book: Book, market: Market, rulebook: Rulebook) -> list[Gate]:
    """One rulebook: build, full sweep, and a line a move."""
    start = time.perf_counter()
    safe = build(book, market, rulebook)
    built = time.perf_counter() - start
    count, gates = len(book.names), []
    sweep = best(lambda: assess_book(book, market, rulebook), 2)
    print(
        f"\n{rulebook.id}: {count:,} accounts; build {built:.1f} s ({built / sweep:.1f} sweeps), full sweep {sweep:.2f} s; "
        f"{len(safe.always) / count:.2%} always computed"
    )
    for words, factor in MOVES.items():
        gates.append(_move(safe, moved(market, factor), sweep, words))
    return gates


def _move(safe: SafeIntervals, market: Market, sweep: float, words: str) -> Gate:
    book, rulebook = safe.book, safe.resolved.rulebook
    full = assess_book(book, market, rulebook).status
    found = swept(safe, market)
    assert np.array_equal(found.status, full)
    now = resolve(book.symbols, book.assets, market, rulebook)
    known = best(lambda: breaches_resolved(safe, now), 7)
    detected = best(lambda: breaches(safe, market), 5)
    whole = best(lambda: swept(safe, market), 3)
    print(
        f"  {words:<18}{known * 1e3:8.3f} ms in a resolved market, {detected * 1e3:8.3f} ms with it; "
        f"{len(found.computed) / len(book.names):7.2%} computed, {len(found.changed):,} changed; statuses of all in "
        f"{whole * 1e3:,.0f} ms; sweep over detection {sweep / detected:,.0f}, over all of it {sweep / whole:,.1f}"
    )
    return Gate("G7", f"{rulebook.id}, {words}: full sweep over detection", sweep / detected, 25.0)


def prices(book: Book, market: Market, rulebook: Rulebook) -> list[Gate]:
    """Liquidation prices of a chunk at once, beside brentq over the same evaluator one account at a time."""
    resolved = resolve(book.symbols, book.assets, market, rulebook)
    some = chunk_of(book, 0, min(len(book.names), 2_000))
    found = bounds_of_pools(resolved, some)
    took = best(lambda: bounds_of_pools(resolved, some), 2) / len(found.pool)
    prepared = prepare_in(resolved, some)
    once = best(lambda: evaluate(prepared), 3) / len(found.pool)
    few = prepare_in(resolved, chunk_of(some, 0, FEW))
    rows = np.flatnonzero(found.pool < len(few.pools.account))
    start = time.perf_counter()
    for row in rows.tolist():
        asset = int(found.asset[row])
        direction = direction_of(few, int(found.pool[row]), (asset,), few.table.assets[asset])
        excess = Excess(few, direction, MAINTENANCE)
        for price in (found.lower_exact[row], found.upper_exact[row]):
            if price == price:  # a bracket for free
                factor = price / found.price[row]
                root = brentq(
                    lambda f, e=excess: float(e(np.array([f]))[0]), 0.9 * factor, 1.1 * factor, rtol=1e-14
                )
                assert abs(root / factor - 1.0) < 1e-9 or found.price[row] != direction.price
    scipy = (time.perf_counter() - start) / max(len(rows), 1)
    print(
        f"{rulebook.id}: liquidation prices, both sides, {took * 1e6:,.0f} us a pool, {took / once:,.0f} evaluations of it; "
        f"brentq over the evaluator, brackets given, {scipy * 1e6:,.0f} us"
    )
    return [
        Gate(
            "G10",
            f"{rulebook.id}: brentq, one pool at a time, over both prices of a pool",
            scipy / took,
            150.0,
        )
    ]


def main() -> None:
    """Print all of it."""
    count = int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else 1_000_000
    market = made_market()
    book, gates = made_book(count, 1, market), []
    for name in RULES:
        gates += intervals(book, market, in_force(name, market.at))
    print()
    for name in RULES[:3]:
        gates += prices(book, market, in_force(name, market.at))
    print()
    for gate in gates:
        told = "yes" if gate.reached else "no"
        print(f"{gate.code:<5}{gate.text:<66}{gate.ratio:>12,.1f}  least {gate.least:g}: {told}")


if __name__ == "__main__":
    main()
