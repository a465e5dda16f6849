"""What an event costs beside the full recompute of the same book, in one run: by the share of the book that it touches."""

import time
from collections.abc import Iterator
from datetime import timedelta

import numpy as np

from bench.measure import Gate, Section, Setting, least, rows
from margrave.adapters.made_book import made_book, made_market
from margrave.cli.bench_sections import RULES
from margrave.domain.market import Market
from margrave.engine.books.venue import assess_book
from margrave.engine.live.events import Clock, Deposited, Event, Input, Tick
from margrave.engine.live.touch import touched_accounts
from margrave.engine.live.venue import LiveBook, advance, audited, started
from margrave.rulebook.catalogue import in_force

SWEEP = "margrave, all of the book"
_TIMES = 3


def batches(state: LiveBook, turn: int) -> Iterator[tuple[str, list[Event]]]:
    """Batches of one kind each; every turn has other prices."""
    at = state.prices.at + timedelta(milliseconds=1 + turn)
    moved = 1.0 - 0.001 * (turn + 1)
    market = state.prices
    held = np.bincount(state.book.instrument, minlength=len(state.book.symbols))
    options = [k for k in np.argsort(held).tolist() if market.quotes[state.book.symbols[k]].vol is not None]
    for name, place in (("rare", len(options) // 4), ("common", -1)):
        symbol = state.book.symbols[options[place]]
        yield f"mark of a {name} option", [Tick(at, Input.MARK, symbol, market.quotes[symbol].mark * moved)]
    for symbol in ("ETH-PERPETUAL", "BTC-PERPETUAL"):
        yield f"mark of {symbol}", [Tick(at, Input.MARK, symbol, market.quotes[symbol].mark * moved)]
    for asset in ("ETH", "BTC"):
        yield f"index of {asset}", [Tick(at, Input.INDEX, asset, market.index[asset] * moved)]
    names = state.book.names[:: max(len(state.book.names) // 1_000, 1)][:1_000].tolist()
    yield f"{len(names):,} deposits", [Deposited(at=at, account=n, asset="BTC", amount=0.01) for n in names]
    yield "one deposit", [Deposited(at=at, account=names[-1], asset="BTC", amount=0.01)]
    yield "clock", [Clock(at)]


def live(count: int, name: str, market: Market, compiled: bool = False) -> Section:
    """A row a kind of batch, beside the sweep; every batch leaves the bits of a full recompute.

    The share of a batch is that of the positions, which are what a sweep costs: who holds a common option holds four times as
    many as others.

    Compiled, the sweep is so quick that a batch is mostly what no share of the accounts changes: no goal is set for it.
    """
    rulebook = in_force(name, market.at)
    book = made_book(count, 1, market)
    state = started(book, market, rulebook, compiled=compiled)
    sweep = least({SWEEP: lambda: assess_book(book, market, rulebook, compiled=compiled)}, 2)[SWEEP]
    took: dict[str, list[float]] = {}
    accounts: dict[str, float] = {}
    share: dict[str, float] = {}
    positions = np.bincount(book.account, minlength=count)
    for turn in range(_TIMES):
        for kind, events in batches(state, turn):
            before, start = state, time.perf_counter()
            state, changes = advance(state, events)
            took.setdefault(kind, []).append(time.perf_counter() - start)
            accounts[kind] = changes.touched / count
            touched = touched_accounts(before.resolved, state.resolved, state.book, state.holders)
            share[kind] = positions[touched].sum() / len(book.account)
    seconds = {kind: float(np.median(one)) for kind, one in took.items()}
    notes = {
        kind: f"{accounts[kind]:.2%} of the accounts, {held:.2%} of the positions"
        for kind, held in share.items()
    }
    gates = [
        Gate(
            "G6",
            f"{name}, {kind}: over its positions' share of the sweep",
            seconds[kind] / sweep / share[kind],
            most=2.5,
        )
        for kind in took
        if not compiled and kind.startswith(("mark", "index")) and 0.01 <= share[kind] <= 0.5
    ]
    dearest = max(seconds.values()) / sweep
    name += ", compiled" if compiled else ""
    gates.append(Gate("G6", f"{name}: the dearest batch over the sweep", dearest, most=1.1))
    gates.append(Gate("G6", f"{name}: the bits of a full recompute", float(not audited(state)), 1.0))
    title = f"Events over a live book of {count:,} accounts under {name}, beside assessing all of it"
    return Section(title, "batch", rows({SWEEP: sweep, **seconds}, 1, notes), gates)


def run(setting: Setting) -> list[Section]:
    """A book of up to a million accounts under a ladder, of a tenth under portfolio margin, and compiled again of all."""
    market, most = made_market(), min(setting.accounts, 1_000_000)
    plain = [live(most if name == RULES[0] else most // 10, name, market) for name in RULES]
    return [*plain, live(most, "deribit.spm", market, compiled=True)]
