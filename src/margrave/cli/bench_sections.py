"""What `margrave bench` measures, and `python -m bench` too: one account, growth of a book, kernels beside their twins.

Everything is in the package: made accounts and books, and plain NumPy as the side that is compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

import msgspec
import numpy as np

from margrave.adapters.made_book import made_book, made_market
from margrave.adapters.requests import answered
from margrave.domain.account import Account, Balance, Position
from margrave.domain.instruments import Future, Instrument, Inverse
from margrave.domain.market import Market, Quote
from margrave.engine.assess import assess
from margrave.engine.books.venue import assess_book
from margrave.engine.calculator import calculator
from margrave.report.speed import Gate, Section
from margrave.report.timing import Run, interleaved, least, rows
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.schema import Rulebook

COUNT: Final = 20
AT: Final = datetime(2026, 11, 1, tzinfo=UTC)
READY: Final = f"margrave, calculator: {COUNT} positions"
REQUEST: Final = f"margrave, JSON to JSON: {COUNT} positions"
OBJECT: Final = f"margrave, calculator compiled: {COUNT} positions"
AT_DESK: Final = f"margrave, at a desk, JSON to JSON: where the pools of {COUNT} positions stand"
RULES: Final = ("example.inverse", "deribit.spm", "deribit.xpm")
_MICROSECONDS: Final = 1e6


def futures_rules() -> Rulebook:
    """Rules of `futures_account`."""
    return in_force("binance.coinm", AT)


def futures_account() -> tuple[Account, Market]:
    """A made account of inverse futures of many expiries."""
    days = [datetime(2027, 1, 1 + k, 8, tzinfo=UTC) for k in range(COUNT)]
    listed = {
        f"BTC-{k}": Instrument(
            symbol=f"BTC-{k}",
            base="BTC",
            quote="USD",
            settlement="BTC",
            kind=Future(expiry=day),
            payoff=Inverse(contract_value=100.0),
        )
        for k, day in enumerate(days)
    }
    quotes = {symbol: Quote(mark=60_000.0 + 37.0 * k) for k, symbol in enumerate(listed)}
    market = Market(at=AT, instruments=listed, quotes=quotes, index={"BTC": 60_000.0})
    held = tuple(
        Position(symbol=s, quantity=(-1.0) ** k * 400.0 * (k + 1), entry=58_000.0 + 100.0 * k, leverage=10.0)
        for k, s in enumerate(listed)
    )
    return Account(balances=(Balance(asset="BTC", amount=25.0),), positions=held), market


def request_of(account: Account) -> bytes:
    """An account as a request."""
    told = {
        "balances": [{"asset": b.asset, "amount": b.amount} for b in account.balances],
        "positions": [
            {"symbol": p.symbol, "quantity": p.quantity, "entry": p.entry, "leverage": p.leverage}
            for p in account.positions
        ],
    }
    return msgspec.json.encode({"account": told})


def one_account(beside: Mapping[str, Run]) -> Section:
    """One account object, or a request in JSON, to its assessment.

    Parameters
    ----------
    beside : mapping of str to callable
        Other ways of the same account, measured in the same rounds.
    """
    account, market = futures_account()
    rulebook = futures_rules()
    alone = replace(account, positions=account.positions[:1])
    ready = calculator(market, rulebook)
    whole, single = request_of(account), request_of(alone)
    runs: dict[str, Run] = {
        READY: lambda: ready.assess(account),
        "margrave, calculator: 1 position": lambda: ready.assess(alone),
        f"margrave, assess: {COUNT} positions, market and rules resolved anew": lambda: assess(
            account, market, rulebook
        ),
        REQUEST: lambda: answered(ready, whole),
        "margrave, JSON to JSON: 1 position": lambda: answered(ready, single),
        **_compiled_ways(account, market, rulebook, whole),
        **beside,
    }
    if ready.assess(account) != assess(account, market, rulebook):
        raise AssertionError("a calculator gives what assess gives")
    seconds = interleaved(runs, repeats=31)
    quick, asked = (OBJECT, AT_DESK) if OBJECT in runs else (READY, REQUEST)
    question = f"what-if of {COUNT} futures, JSON to where its pools stand in JSON [us]"
    told = f"one account of {COUNT} futures to its assessment [us]"
    gates = [
        Gate("G8", told, seconds[quick] * _MICROSECONDS, most=50.0),
        Gate("G8", question, seconds[asked] * _MICROSECONDS, most=15.0),
        Gate("G8", f"{question}: the aim", seconds[asked] * _MICROSECONDS, most=8.0),
    ]
    title = f"One account of {COUNT} inverse futures, or of one: pools, checks, every position, explanation"
    return Section(title, "account", rows(seconds, 1), gates)


def _compiled_ways(account: Account, market: Market, rulebook: Rulebook, body: bytes) -> dict[str, Run]:
    """The same through the compiled pass; nothing without the extra ``fast``."""
    try:
        from margrave.adapters.desk_requests import stands
        from margrave.engine.desk import desk
    except ImportError:
        return {}
    slow, quick = calculator(market, rulebook), calculator(market, rulebook, compiled=True)
    ready = desk(market, rulebook)
    if quick.assess(account).to_json() != slow.assess(account).to_json():
        raise AssertionError("a compiled calculator of a rulebook of ladders gives what assess gives")
    return {OBJECT: lambda: quick.assess(account), AT_DESK: lambda: stands(ready, slow, body)}


def growth(name: str, counts: Sequence[int], rounds: int) -> Section:
    """Time an account of a book, by the number of accounts, and on two threads.

    Parameters
    ----------
    name : str
        Rulebook.
    counts : sequence of int
        Accounts of each book, ascending.
    rounds : int
        How often each is assessed; the shortest counts.
    """
    market = made_market()
    rulebook = in_force(name, market.at)
    books = {f"{count:,} accounts": made_book(count, 1, market) for count in counts}
    runs: dict[str, Run] = {
        title: partial(assess_book, book, market, rulebook) for title, book in books.items()
    }
    last = list(books)[-1]
    runs[f"{last}, 2 threads"] = partial(assess_book, books[last], market, rulebook, threads=2)
    seconds = least(runs, rounds)
    works = dict(zip(runs, (*counts, counts[-1]), strict=True))
    first, *_, most, both = (seconds[title] / works[title] for title in runs)
    gates = [
        Gate("growth", f"{name}: time an account, {last} over {counts[0]:,}", most / first, most=1.1),
        Gate("G13", f"{name}: 2 threads over 1, {last}, on the wall's clock", most / both, 1.6),
    ]
    title = f"Growth of a book under {name}, on the wall's clock"
    return Section(title, "account", rows(seconds, works), gates)


def kernels() -> list[Section]:
    """Compiled kernels beside their twins in plain NumPy; needs the extra ``fast``."""
    from margrave.adapters import made_columns as made
    from margrave.kernels.compiled import black, tiers, twins, worst
    from margrave.kernels.compiled.columns import tier_table
    from margrave.kernels.compiled.rows import empty_rows

    options, grid = made.made_options(28_000), made.made_grid(made.made_options(800))
    out = empty_rows(800, made.CELLS)
    table, held, _ = made.made_holdings(10_000)
    ladder = tier_table([made.FLOORS], [made.RATES], [made.CUTS], [0.0 * made.RATES])
    positions, collateral = made.made_positions(20_000)
    return [
        _beside(
            "Scenario grid: 800 options × 41 cells",
            ("price", 800 * made.CELLS),
            lambda: black.grid_values(*grid, out),
            lambda: twins.grid_values(*grid, empty_rows(800, made.CELLS)),
        ),
        _beside(
            "Price and four Greeks of 28,000 options",
            ("option", 28_000),
            lambda: black.option_values(*options),
            lambda: twins.option_values(*options),
        ),
        _beside(
            "Worst of 35 scenarios, 10,000 accounts of 20 positions",
            ("account", 10_000),
            lambda: worst.worst_cells(table, held)[0],
            lambda: twins.worst_cells(table, held)[0],
        ),
        _beside(
            "Tiered margin, profit and liquidation price of 20,000 positions",
            ("position", 20_000),
            lambda: tiers.linear_positions(ladder, positions, collateral),
            lambda: twins.linear_positions(ladder, positions, collateral),
        ),
    ]


def _beside(title: str, work: tuple[str, int], ours: Run, twin: Run) -> Section:
    runs = {"margrave, compiled, 1 thread": ours, "plain NumPy": twin}
    found, expected = (np.asarray(way(), dtype=np.float64) for way in runs.values())
    scale = np.nanmax(np.abs(expected))
    errors = {"plain NumPy": float(np.nanmax(np.abs(found - expected)) / scale)}
    return Section(title, work[0], rows(interleaved(runs, repeats=15), work[1], errors=errors))
