"""The closed loop beside a plain NumPy and a plain Python simulator of the same rules, in one run: accounts stepped a second.

``python -m bench.simulation [ACCOUNTS]``: 1,000,000 accounts unless told. The rules are the simplest there are, one linear
perpetual, one flat rate, takeover and linear impact, because that is what a plain simulator has; all three end at the same
price with the same contracts closed, or the run fails. The loop is then run on a book of futures and options as well, which
the plain ones cannot. An account is stepped when its margin is computed: once a step, and once more for every round in
which its price moved. Ratios are what can be compared between machines.
"""

import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from margrave.adapters.made_book import made_book, made_market
from margrave.domain.book import Book, Memories, names_of, no_parents
from margrave.domain.instruments import Instrument, Linear, Perpetual
from margrave.domain.market import Market, Quote
from margrave.engine.simulation.events import Priced
from margrave.engine.simulation.path import Path
from margrave.engine.simulation.run import simulate
from margrave.engine.simulation.settings import Deleveraging, Depth, Impact, Liquidity, Settings
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.ladders import Tier, TierUnit, WholePosition
from margrave.rulebook.reform import stated
from margrave.rulebook.schema import AccountRules, CrossPool, LadderModel, LevelRule, Rulebook

START = 50_000.0
RATE = 0.005
KAPPA = 0.2
STEPS = 20
SYMBOL = "BTCUSDT"
AT = datetime(2026, 11, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulator ends with."""

    price: float
    closed: float  # contracts
    stepped: int  # accounts margined


def book_and_market(count: int) -> tuple[Book, Market]:
    """Accounts of one position each, long or short, at leverages from 2 to 60."""
    rng = np.random.default_rng(1)
    quantity = np.round(rng.lognormal(0.0, 1.0, count), 2) * rng.choice((-1.0, 1.0), count)
    balance = np.round(np.abs(quantity) * START / rng.uniform(2.0, 60.0, count), 2)
    rows, nothing, none = np.arange(count), np.zeros(0), np.zeros(0, dtype=np.int64)
    book = Book(
        names=names_of([f"{row}" for row in range(count)]),
        parents=no_parents(count),
        symbols=(SYMBOL,),
        assets=("USDT",),
        account=rows,
        instrument=np.zeros(count, dtype=np.int64),
        quantity=quantity,
        entry=np.full(count, START),
        leverage=np.full(count, np.nan),
        is_isolated=np.zeros(count, dtype=np.bool_),
        isolated_margin=np.full(count, np.nan),
        balance_account=rows,
        balance_asset=np.zeros(count, dtype=np.int64),
        balance=balance,
        order_account=none,
        order_instrument=none,
        order_quantity=nothing,
        order_price=nothing,
        order_leverage=nothing,
        order_reduces=np.zeros(0, dtype=np.bool_),
        memory=Memories(none, none, *np.zeros((8, 0))),
    )
    instrument = Instrument(
        symbol=SYMBOL,
        base="BTC",
        quote="USDT",
        settlement="USDT",
        kind=Perpetual(),
        payoff=Linear(contract_size=1.0),
    )
    index = {"BTC": START, "USDT": 1.0}
    return book, Market(
        at=AT, instruments={SYMBOL: instrument}, quotes={SYMBOL: Quote(mark=START)}, index=index
    )


def rulebook() -> Rulebook:
    """One flat rate for every size."""
    ladder = WholePosition(
        code="BENCH-1", unit=TierUnit.VALUE, tiers=(Tier(floor=0.0, initial=2.0 * RATE, maintenance=RATE),)
    )
    model = LadderModel(
        ladder="all", initial=LevelRule(code="BENCH-2"), maintenance=LevelRule(code="BENCH-3")
    )
    account = AccountRules(cross_pool=CrossPool.SETTLEMENT, code="BENCH-4")
    return stated("bench.flat", model, account, ladders={"all": ladder})


def outside() -> NDArray[np.float64]:
    """The path before impact: down 8 % in steps, with a bounce in the middle."""
    fall = np.linspace(0.0, -0.08, STEPS)
    fall[STEPS // 2] += 0.01
    return START * np.exp(fall)


def by_margrave(book: Book, market: Market, depth: float, threads: int) -> Outcome:
    """The closed loop; everybody is stepped at every price, and asked where the price may have brought it near a level."""
    liquidity = {SYMBOL: Liquidity(depth=Depth(contracts=depth), impact=Impact(coefficient=KAPPA))}
    settings = Settings(liquidity=liquidity, deleveraging=Deleveraging(shares=None), totals_every=0)
    path = Path(60.0 * np.arange(STEPS), {"BTC": outside()})
    done = simulate(book, market, rulebook(), path, settings, threads=threads)
    price = START * float(done.steps.last[-1, done.frame.assets.index("BTC")])
    prices = sum(isinstance(entry.event, Priced) for entry in done.log)
    return Outcome(price, float(done.steps.liquidated_contracts.sum()), prices * len(book.names))


def by_numpy(book: Book, depth: float) -> Outcome:
    """The same rules written for this one book: no pools, no ledger, no log, one flat rate."""
    quantity, cash = book.quantity.copy(), book.balance.copy()
    pressure, closed, stepped = 0.0, 0.0, 0
    price = START
    for path in outside():
        while True:
            price = path * np.exp(KAPPA * pressure / depth)
            equity = cash + quantity * (price - START)
            due = np.flatnonzero((equity < RATE * np.abs(quantity) * price) & (quantity != 0.0))
            stepped += len(quantity)
            if not due.size:
                break
            flow = -float(quantity[due].sum())
            fill = path * np.exp(KAPPA * (pressure + flow / 2.0) / depth)
            cash[due] = np.maximum(cash[due] + quantity[due] * (fill - START), 0.0)
            closed += float(np.abs(quantity[due]).sum())
            quantity[due] = 0.0
            pressure += flow
    return Outcome(float(price), closed, stepped)


def by_python(book: Book, depth: float) -> Outcome:
    """The same once more, an account at a time."""
    quantity, cash = book.quantity.tolist(), book.balance.tolist()
    pressure, closed, stepped = 0.0, 0.0, 0
    price = START
    for path in outside().tolist():
        while True:
            price = path * float(np.exp(KAPPA * pressure / depth))
            due = []
            for row, held in enumerate(quantity):
                if held and cash[row] + held * (price - START) < RATE * abs(held) * price:
                    due.append(row)
            stepped += len(quantity)
            if not due:
                break
            flow = -sum(quantity[row] for row in due)
            fill = path * float(np.exp(KAPPA * (pressure + flow / 2.0) / depth))
            for row in due:
                cash[row] = max(cash[row] + quantity[row] * (fill - START), 0.0)
                closed += abs(quantity[row])
                quantity[row] = 0.0
            pressure += flow
    return Outcome(price, closed, stepped)


def plain(count: int) -> None:
    """A line a simulator."""
    print(
        f"one perpetual, one rate: {count:,} accounts, {STEPS} steps; plain Python on {min(count, 50_000):,}"
    )
    rates: dict[str, float] = {}
    for size in sorted({min(count, 50_000), count}):
        book, market = book_and_market(size)
        depth = 2.0 * float(np.abs(book.quantity).sum())
        ways = {
            "margrave": lambda: by_margrave(book, market, depth, 1),  # noqa: B023 - called at once
            "margrave, 2 threads": lambda: by_margrave(book, market, depth, 2),  # noqa: B023
            "NumPy": lambda: by_numpy(book, depth),  # noqa: B023
            "Python": lambda: by_python(book, depth),  # noqa: B023
        }
        found: list[Outcome] = []
        for name, way in ways.items():
            if name == "Python" and size > 50_000:
                continue
            start = time.perf_counter()
            outcome = way()
            seconds = time.perf_counter() - start
            found.append(outcome)
            rates[name] = outcome.stepped / seconds
            print(
                f"  {name:<20}{size:>10,} accounts {seconds:8.2f} s {rates[name]:>14,.0f} stepped/s"
                f"   ends at {outcome.price:,.2f}, {outcome.closed:,.2f} contracts closed"
            )
        first = found[0]
        for other in found[1:]:
            assert abs(other.price / first.price - 1.0) < 1e-9, (first, other)
            assert abs(other.closed - first.closed) < 1e-6 * first.closed, (first, other)
    print(
        f"  margrave to plain NumPy: 1/{rates['NumPy'] / rates['margrave']:.1f}; "
        f"to plain Python: {rates['margrave'] / rates['Python']:.1f}x"
    )


def venue(count: int) -> None:
    """A book of futures and options under rules of venues: what only the loop can do."""
    market = made_market()
    for name in ("example.inverse", "deribit.xpm"):
        size = count if name == "example.inverse" else max(count // 10, 1)
        book = made_book(size, 1, market)
        stepped = 0

        def told(_step: int, more: int) -> None:
            nonlocal stepped
            stepped += more

        perpetuals = ("BTC-PERPETUAL", "ETH-PERPETUAL")
        law = Liquidity(depth=Depth(contracts=1e9), impact=Impact(coefficient=0.05))
        path = Path(60.0 * np.arange(5), {"BTC": 62_000.0 * np.exp(-0.02 * np.arange(5))})
        start = time.perf_counter()
        settings = Settings(liquidity=dict.fromkeys(perpetuals, law))
        done = simulate(book, market, in_force(name, market.at), path, settings, threads=2, told=told)
        seconds = time.perf_counter() - start
        print(
            f"  {name:<18}{size:>10,} accounts, {len(book.account):,} positions, 5 steps, {done.steps.rounds.sum()} rounds: "
            f"{seconds:.2f} s, {stepped / seconds:,.0f} stepped/s; {done.ending}"
        )


def main() -> None:
    """Print all of it."""
    count = int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else 1_000_000
    plain(count)
    print("futures and options of a whole venue, two threads")
    venue(count)


if __name__ == "__main__":
    main()
