"""The whole margin of a book in one compiled pass, beside the bare worst scenario of the same positions."""

import time
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial

import numpy as np

from bench import in_c
from bench.measure import Gate, Run, Section, Setting, difference, interleaved, quicker, rows
from margrave.adapters.made_book import made_book, made_market
from margrave.domain.book import Book
from margrave.domain.instruments import Option
from margrave.domain.market import Market
from margrave.engine.books.compiled_path import assess_kept, keep
from margrave.engine.books.laid import lay_out
from margrave.engine.books.swept import Sweep, sweep_of, swept
from margrave.engine.books.venue import assess_book
from margrave.kernels.compiled.columns import Holdings, holdings_of
from margrave.kernels.compiled.worst import worst_cells
from margrave.margin.resolve import Resolved, resolve
from margrave.rulebook.catalogue import in_force

ACCOUNTS, EACH, FEW = 200_000, 20, 20_000
RULES, STEP = ("deribit.spm", "deribit.xpm"), 1e-9
BARE, WIDE = "bare worst scenario, 6 bytes a position", "bare worst scenario, 12 bytes a position"
FULL, TICK = "margrave, full margin of every pool", "margrave, full tick: repricing, then margin"
LAY = "margrave, laying the book out, once"
IN_C = "C, worst scenario alone, 12 bytes a position"
BOOK, NUMPY = "margrave, assess_book compiled", "margrave, assess_book in NumPy"
KEPT = "margrave, a kept book in a new market"
BY_SIZE, MILLION = ("example.flat", "example.inverse"), 1_000_000
LOGARITHM = 1e-12  # of a margin: the digits that a multiplier may differ in
SIZES = (10_000, 100_000, 1_000_000, 2_000_000)


def run(setting: Setting) -> list[Section]:
    """Segregated pools in coins, then pools in dollars that span coins: the pass, the whole answer, and ticks."""
    market = made_market()
    passes = [one_pass(name, market, setting.pool) for name in RULES]
    many = [millions(name, market) for name in RULES]
    return [
        *passes,
        *(whole(name, market) for name in RULES),
        *many,
        *(by_size(name, futures_of(market)) for name in BY_SIZE),
    ]


def held_book(market: Market, count: int) -> Book:
    """Twenty positions of each account on one coin, without orders."""
    dice = np.random.default_rng(9)
    made = made_book(1, 1, market)
    symbols = np.array(made.symbols)
    coin = (dice.random(count) < 0.35).astype(np.int64)
    of_coin = [np.flatnonzero(np.char.startswith(symbols, name)) for name in made.assets]
    picks = dice.integers(0, min(map(len, of_coin)), (count, EACH))
    instrument = np.where(coin[:, None] == 0, of_coin[0][picks], of_coin[1][picks]).ravel()
    mark = np.array([market.quotes[s].mark for s in made.symbols])[instrument]
    size, nothing = len(instrument), np.zeros(0)
    none = np.zeros(0, dtype=np.int64)
    return Book(
        names=np.arange(count).astype(np.dtypes.StringDType()),
        parents=np.full(count, "", dtype=np.dtypes.StringDType()),
        symbols=made.symbols,
        assets=made.assets,
        account=np.repeat(np.arange(count), EACH),
        instrument=instrument,
        quantity=dice.integers(-50, 51, size).astype(float),
        entry=np.maximum(mark * np.exp(dice.normal(0.0, 0.02, size)), 1e-8),
        leverage=np.full(size, np.nan),
        is_isolated=np.zeros(size, dtype=np.bool_),
        isolated_margin=np.full(size, np.nan),
        balance_account=np.arange(count),
        balance_asset=coin,
        balance=np.full(count, 100.0),
        order_account=none,
        order_instrument=none,
        order_quantity=nothing,
        order_price=nothing,
        order_leverage=nothing,
        order_reduces=np.zeros(0, dtype=np.bool_),
        memory=made.memory,
    )


def one_pass(name: str, market: Market, pool: Executor) -> Section:
    """One thread, ratios of one run: every side in turn, the least of each."""
    book = held_book(market, ACCOUNTS)
    resolved = fresh(name, book, market)
    sweep, laid = ready(resolved, book), lay_out(book, resolved)
    table = sweep.terms.table
    start = np.arange(0, len(book.account) + 1, EACH)
    small = holdings_of(start, book.instrument.astype(np.uint16), book.quantity.astype(np.int32))
    wide = holdings_of(start, book.instrument.astype(np.int32), book.quantity)
    runs: dict[str, Run] = {
        BARE: lambda: worst_cells(table, small)[0],
        WIDE: lambda: worst_cells(table, wide)[0],
        FULL: lambda: swept(sweep, laid).maintenance,
        TICK: lambda: swept(ready(fresh(name, book, market), book), laid).maintenance,
        LAY: lambda: lay_out(book, resolved).rows.base,
        **in_c_way(table, wide),
    }
    seconds = interleaved(runs, repeats=9)
    both = quicker(lambda: swept(sweep, laid), lambda: swept(sweep, laid, pool))
    gates = [
        Gate("G4", f"{name}: full margin over the bare sweep, 12 bytes", seconds[WIDE] / seconds[FULL], 0.4),
        Gate(
            "G4",
            f"{name}: full margin over the bare sweep, 6 bytes: the aim",
            seconds[BARE] / seconds[FULL],
            0.7,
        ),
        Gate("G5", f"{name}: full tick over the bare sweep, 12 bytes", seconds[WIDE] / seconds[TICK], 0.4),
        Gate("G13", f"{name}: full margin, 2 threads over 1, on the wall's clock", both, 1.6),
    ]
    if IN_C in seconds:
        gates.append(Gate("G3", "bare sweep, 6 bytes, over C, 12 bytes", seconds[IN_C] / seconds[BARE], 1.2))
    title = (
        f"{name}: {ACCOUNTS:,} accounts of {EACH} positions, 35 scenarios, {len(book.symbols)} instruments"
    )
    return Section(title, "account", rows(seconds, ACCOUNTS), gates)


def fresh(name: str, book: Book, market: Market) -> Resolved:
    """A market as it comes in."""
    return resolve(book.symbols, book.assets, market, in_force(name, market.at))


def ready(resolved: Resolved, book: Book) -> Sweep:
    """The sweep, which this rulebook has."""
    sweep = sweep_of(resolved, book.symbols)
    assert sweep is not None
    return sweep


def in_c_way(table: np.ndarray, held: Holdings) -> dict[str, Run]:
    """The C reference of the bare sweep; nothing without a compiler."""
    worst, cell = np.empty(ACCOUNTS), np.empty(ACCOUNTS, dtype=np.int64)
    compiled = in_c.bound("worst", ACCOUNTS, held.start, held.index, held.quantity, table, worst, cell)
    return {} if compiled is None else {IN_C: compiled}


def whole(name: str, market: Market) -> Section:
    """From market to columns with statuses, of a kept book or a new one, with the difference."""
    book, rulebook = held_book(market, FEW), in_force(name, market.at)
    kept = keep(book, market, rulebook)
    runs: dict[str, Run] = {
        KEPT: partial(assess_kept, kept, market),
        BOOK: partial(assess_book, book, market, rulebook, compiled=True),
        NUMPY: partial(assess_book, book, market, rulebook),
    }
    quick, plain = assess_kept(kept, market).pools, assess_book(book, market, rulebook).pools
    scale = np.abs(plain.maintenance).max()
    error = difference(quick.maintenance, plain.maintenance, scale)
    assert error < 1e-12 + STEP / scale, error  # a worst loss between two steps may round either way
    seconds = interleaved(runs, repeats=3, clock=time.perf_counter)
    return Section(
        f"{name}: {FEW:,} accounts of {EACH} positions, market to columns",
        "account",
        rows(seconds, FEW, errors={KEPT: error}),
        facts={
            "NumPy over compiled": seconds[NUMPY] / seconds[BOOK],
            "over kept": seconds[NUMPY] / seconds[KEPT],
        },
    )


def millions(name: str, market: Market) -> Section:
    """A made venue, a seventh of it with open orders, tick after tick: how time grows, and what threads give."""
    rulebook = in_force(name, market.at)
    kept = {count: keep(made_book(count, 7, market), market, rulebook) for count in SIZES}
    runs: dict[str, Run] = {
        f"{count:,} accounts": partial(assess_kept, book, market) for count, book in kept.items()
    }
    seconds = interleaved(runs, repeats=5, clock=time.perf_counter)
    each = [seconds[f"{count:,} accounts"] / count for count in SIZES]
    most = kept[SIZES[-1]]
    both = quicker(partial(assess_kept, most, market), partial(assess_kept, most, market, threads=2))
    gates = [
        Gate(
            "growth",
            f"{name}: time an account, {SIZES[-1]:,} over {SIZES[0]:,}",
            each[-1] / each[0],
            most=1.1,
        ),
        Gate("G13", f"{name}: a tick of {SIZES[-1]:,} made accounts, 2 threads over 1", both, 1.6),
    ]
    return Section(f"{name}: ticks of a made book, open orders among it", "tick", rows(seconds, 1), gates)


def futures_of(market: Market) -> Market:
    """The same market without its options."""
    listed = {s: i for s, i in market.instruments.items() if not isinstance(i.kind, Option)}
    return replace(market, instruments=listed, quotes={symbol: market.quotes[symbol] for symbol in listed})


def by_size(name: str, market: Market) -> Section:
    """A made book of futures under a ladder, a seventh of it with open orders: the digits of NumPy, and the time."""
    rulebook, book = in_force(name, market.at), made_book(MILLION, 7, market)
    kept = keep(book, market, rulebook)
    quick, plain = assess_kept(kept, market).pools, assess_book(book, market, rulebook).pools
    assert quick.equity.tobytes() == plain.equity.tobytes()
    scheduled = any(product.model.schedule for product in rulebook.products)
    error = np.nanmax(np.abs(quick.maintenance - plain.maintenance) / np.maximum(plain.maintenance, 1e-300))
    assert error <= (LOGARITHM if scheduled else 0.0), error
    runs: dict[str, Run] = {
        KEPT: partial(assess_kept, kept, market),
        BOOK: partial(assess_book, book, market, rulebook, compiled=True),
        NUMPY: partial(assess_book, book, market, rulebook),
    }
    seconds = interleaved(runs, repeats=5, clock=time.perf_counter)
    both = quicker(runs[KEPT], partial(assess_kept, kept, market, threads=2))
    return Section(
        f"{name}: {MILLION:,} made accounts of futures, open orders among them, market to columns",
        "account",
        rows(seconds, MILLION, errors={KEPT: float(error)}),
        [Gate("G13", f"{name}: a kept book of {MILLION:,} accounts, 2 threads over 1", both, 1.6)],
        facts={
            "NumPy over compiled": seconds[NUMPY] / seconds[BOOK],
            "over kept": seconds[NUMPY] / seconds[KEPT],
        },
    )
