"""What an event costs beside the full recompute of the same book, in one run: by the share of the book that it touches.

``python -m bench.live [ACCOUNTS]``: 1,000,000 accounts unless told. Ratios are what can be compared between machines.
"""

import sys
import time
from collections.abc import Iterator
from datetime import timedelta

import numpy as np

from margrave.adapters.made_book import made_book, made_market
from margrave.domain.market import Market
from margrave.engine.books.venue import assess_book
from margrave.engine.live.events import Clock, Deposited, Event, Input, Tick
from margrave.engine.live.venue import LiveBook, advance, audited, started
from margrave.rulebook.catalogue import in_force

RULES = ("example.inverse", "deribit.spm", "deribit.xpm")
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


def live(count: int, name: str, market: Market) -> None:
    """A line a kind of batch: median of a few turns, audited at the end."""
    rulebook = in_force(name, market.at)
    book = made_book(count, 1, market)
    state = started(book, market, rulebook)
    start = time.perf_counter()
    assess_book(book, market, rulebook)
    sweep = time.perf_counter() - start
    took: dict[str, list[float]] = {}
    share: dict[str, float] = {}
    for turn in range(_TIMES):
        for kind, events in batches(state, turn):
            start = time.perf_counter()
            state, changes = advance(state, events)
            took.setdefault(kind, []).append(time.perf_counter() - start)
            share[kind] = changes.touched / count
    for kind, seconds in took.items():
        middle = float(np.median(seconds))
        print(
            f"{name:<18}{kind:<26}{share[kind]:>9.3%}{middle * 1e3:>10.1f} ms{middle / sweep:>9.3f} x sweep"
        )
    print(
        f"{name:<18}{'sweep':<26}{1.0:>9.3%}{sweep * 1e3:>10.1f} ms; audit: {audited(state) or 'the same bits'}"
    )


def main() -> None:
    """Print all of it."""
    count = int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else 1_000_000
    market = made_market()
    for name in RULES:
        live(count, name, market)


if __name__ == "__main__":
    main()
