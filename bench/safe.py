"""Who has to be looked at after a move, beside the sweep of everybody; and liquidation prices beside SciPy's search."""

import time
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from bench.measure import Gate, Row, Section, Setting, least, rows
from margrave.adapters.made_book import made_book, made_market
from margrave.core.words import MAINTENANCE
from margrave.domain.book import Book, chunk_of
from margrave.domain.market import Market
from margrave.engine.books.bounds import bounds_book
from margrave.engine.books.laid import lay_out
from margrave.engine.books.safe import breaches, breaches_resolved, build
from margrave.engine.books.safe import swept as swept_safe
from margrave.engine.books.swept import sweep_of, swept
from margrave.engine.books.venue import assess_book
from margrave.liquidation.direction import Excess, direction_of
from margrave.liquidation.many import PoolBounds, bounds_of_pools
from margrave.margin.pooled import Prepared, prepare_in
from margrave.margin.resolve import resolve
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.schema import Rulebook
from margrave.valuation.scenarios import shifted
from margrave.valuation.table import table_of

RULES = ("example.flat", "example.inverse", "deribit.spm", "deribit.xpm")
MOVES = {"a ten-thousandth": 1.0001, "half a per cent": 0.995, "three per cent": 0.97}
FEW = 40
SEARCHED = 8_000  # accounts whose liquidation prices are found at once
ACCOUNTS = 1_000_000
SWEEP = "margrave, full sweep"


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


def run(setting: Setting) -> list[Section]:
    """Breaches under four rulebooks at a million accounts or as many as the setting has, and their liquidation prices."""
    market = made_market()
    book = made_book(min(setting.accounts, ACCOUNTS), 1, market)
    found = [intervals(book, market, in_force(name, market.at)) for name in RULES]
    return found + [prices(book, market, in_force(name, market.at)) for name in RULES]


def intervals(book: Book, market: Market, rulebook: Rulebook) -> Section:
    """Who is beyond a safe interval after each move, beside the sweep of everybody, which has the same statuses."""
    start = time.perf_counter()
    safe = build(book, market, rulebook)
    built = time.perf_counter() - start
    sweep = least({SWEEP: lambda: assess_book(book, market, rulebook)}, 2)[SWEEP]
    took: dict[str, float] = {}
    notes: dict[str, str] = {}
    facts = {"build, in sweeps": built / sweep, "accounts always computed": float(len(safe.always))}
    for words, factor in MOVES.items():
        later = moved(market, factor)
        full, found = assess_book(book, later, rulebook), swept_safe(safe, later)
        if not np.array_equal(found.status, full.status):
            raise AssertionError(f"{rulebook.id}, {words}: the statuses are not those of the full sweep")
        now = resolve(book.symbols, book.assets, later, rulebook)
        ways = {
            f"{words}, in a market that is resolved": lambda now=now: breaches_resolved(safe, now),
            f"{words}, resolving it too": lambda later=later: breaches(safe, later),
        }
        took |= least(ways, 5)
        notes |= dict.fromkeys(ways, f"{len(found.computed) / len(book.names):.2%} to be computed")
    gates = [
        Gate("G7", f"{rulebook.id}: full sweep over detection, {way}", sweep / took[way], least=25.0)
        for way in took
    ]
    ways = rows(took | {SWEEP: sweep}, len(book.names), notes=notes)
    return Section(
        f"Breaches after a move, {rulebook.id}, {len(book.names):,} accounts", "account", ways, gates, facts
    )


def prices(book: Book, market: Market, rulebook: Rulebook) -> Section:
    """Liquidation prices of many accounts at once, beside brentq one account at a time, brackets given."""
    resolved = resolve(book.symbols, book.assets, market, rulebook)
    many = chunk_of(book, 0, min(len(book.names), SEARCHED))
    some = chunk_of(many, 0, min(len(many.names), FEW * 10))
    found = bounds_of_pools(resolved, some)
    took = least({"arrays": lambda: bounds_of_pools(resolved, some)}, 3)
    ours, count = _compiled(many, market, rulebook, found)
    each = ours / count
    ways = [
        Row("margrave, all pools at once, compiled", ours, count),
        Row("margrave, all pools at once, in NumPy", took["arrays"], len(found.pool)),
    ]
    few = prepare_in(resolved, chunk_of(some, 0, FEW))
    at = np.flatnonzero(found.pool < len(few.pools.account)).tolist()
    start = time.perf_counter()
    apart = max((_searched(few, found, row) for row in at), default=0.0)
    theirs = (time.perf_counter() - start) / max(len(at), 1)
    ways.append(
        Row(
            "brentq over the evaluator of one account, brackets given", theirs * len(at), len(at), error=apart
        )
    )
    gates = [
        Gate("G10", f"{rulebook.id}: brentq over ours, both prices of a pool", theirs / each, least=150.0),
    ]
    sweep = sweep_of(resolved, book.symbols)
    if sweep is not None:
        laid = lay_out(many, resolved)
        once = least({"once": lambda: swept(sweep, laid)}, 9)["once"] / len(laid.account)
        text = f"{rulebook.id}: bare margins of a pool that both its prices take"
        gates.append(Gate("G10", text, each / once, most=20.0))
    return Section(f"Liquidation prices, {rulebook.id}", "pool", ways, gates)


def _compiled(many: Book, market: Market, rulebook: Rulebook, found: PoolBounds) -> tuple[float, int]:
    # Seconds and rows; the prices are those of the search in arrays.
    quick = bounds_book(many, market, rulebook, compiled=True)
    for name in ("lower_exact", "upper_exact"):
        np.testing.assert_allclose(
            getattr(quick, name)[: len(found.pool)], getattr(found, name), rtol=1e-11, err_msg=rulebook.id
        )
    took = least({"ours": lambda: bounds_book(many, market, rulebook, compiled=True)}, 3)
    return took["ours"], len(quick.pool)


def _searched(few: Prepared, found: PoolBounds, row: int) -> float:
    # Largest difference of the roots that SciPy finds, as a share of the price.
    asset = int(found.asset[row])
    direction = direction_of(few, int(found.pool[row]), (asset,), few.table.assets[asset])
    excess, apart = Excess(few, direction, MAINTENANCE), 0.0
    for price in (found.lower_exact[row], found.upper_exact[row]):
        if price == price and found.price[row] == direction.price:
            factor = price / found.price[row]
            root = brentq(lambda f: float(excess(np.array([f]))[0]), 0.9 * factor, 1.1 * factor, rtol=1e-14)
            apart = max(apart, abs(root / factor - 1.0))
    return apart
