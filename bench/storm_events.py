"""What happens in ten minutes of a crash, as events with the instant at which each arrives.

Recorded: bars of one minute of 10 October 2025, 21:12 to 21:22 UTC, as returns on the levels of the made market: marks of a coin-margined
perpetual on bitcoin, and spot trades of ether and bitcoin. A bar gives four ticks, its open, two extremes and close; when in the minute the
extremes were is not recorded. *Made*, all of it by a seed: the path between recorded ticks (a bridge), futures and options that follow
it, accounts that trade, and everything where no folder of prices is given.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from margrave.domain.account import Order
from margrave.domain.book import Book
from margrave.domain.instruments import Future, Instrument, Inverse, Option, Right, expiry_of
from margrave.domain.market import Market
from margrave.engine.live.events import (
    Clock,
    Deposited,
    Event,
    Filled,
    Funded,
    Input,
    Listed,
    Opened,
    OrderCancelled,
    OrderPlaced,
    Tick,
)
from margrave.kernels.arrays import F64
from margrave.kernels.black76 import coin_price

FIRST = datetime(2025, 10, 10, 21, 12, tzinfo=UTC)
FILES = {  # input, asset -> file of recorded bars, symbol
    (Input.MARK, "BTC"): ("binance_coinm_btcusd_perp_mark_1m_2025-10-09_10.parquet", "BTCUSD_PERP"),
    (Input.INDEX, "BTC"): ("gemini_spot_1m_2025-10-10.parquet", "BTCUSD"),
    (Input.INDEX, "ETH"): ("gemini_spot_1m_2025-10-10.parquet", "ETHUSD"),
}
SPREAD = 0.000_1  # per square root of a second: how far a made path strays between recorded ticks
LATE = 0.005  # share of the ticks that arrive behind newer ones
TWICE = 0.01  # share of account events that are sent twice


@dataclass(frozen=True, slots=True)
class Script:
    """Events in the order in which they arrive."""

    due: F64  # [s] of the market's time, ascending
    events: list[Event]
    recorded: int  # ticks of recorded prices among them


@dataclass(frozen=True, slots=True)
class Knots:
    """Prices of one input at some instants, as shares of the first."""

    seconds: F64
    price: F64


def recorded(folder: Path, seconds: float) -> dict[tuple[Input, str], Knots]:
    """Bars of the crash as ticks; a minute without a trade has none."""
    import polars as pl

    found = {}
    for key, (name, symbol) in FILES.items():
        bars = pl.read_parquet(folder / name).filter(pl.col("symbol") == symbol).sort("ts")
        bars = bars.filter(pl.col("ts").is_between(FIRST, FIRST + timedelta(seconds=seconds), closed="left"))
        at = np.array([(t - FIRST).total_seconds() for t in bars["ts"]])
        ohlc = bars.select("open", "high", "low", "close").to_numpy()
        fell = (ohlc[:, 3] < ohlc[:, 0])[:, None]
        path = np.where(fell, ohlc[:, [0, 1, 2, 3]], ohlc[:, [0, 2, 1, 3]])  # the way to the close last
        times = (at[:, None] + np.array([0.0, 20.0, 40.0, 59.9])).ravel()
        found[key] = Knots(times, path.ravel() / path[0, 0])
    return found


def made(seed: int, seconds: float) -> dict[tuple[Input, str], Knots]:
    """A crash that nobody recorded: twelve per cent down in two thirds of the time, a third of it back."""
    rng, found = np.random.default_rng(seed), {}
    for key in FILES:
        at = np.linspace(0.0, seconds, max(int(seconds / 20.0), 3), endpoint=False)
        shape = np.interp(at / seconds, [0.0, 0.67, 1.0], [0.0, -0.12, -0.08])
        found[key] = Knots(at, np.exp(shape + np.r_[0.0, rng.normal(0.0, 0.004, len(at) - 1)]))
    return found


def between(knots: Knots, at: F64, rng: np.random.Generator) -> F64:
    """A made path through all knots: straight in logarithms, with a Brownian bridge on top."""
    times = np.union1d(at, knots.seconds)
    walk = np.cumsum(rng.normal(0.0, 1.0, len(times)) * np.sqrt(np.diff(times, prepend=times[0]))) * SPREAD
    strayed = np.interp(at, times, walk) - np.interp(at, knots.seconds, np.interp(knots.seconds, times, walk))
    return np.exp(np.interp(at, knots.seconds, np.log(knots.price)) + strayed)


def script(book: Book, market: Market, folder: Path | None, seconds: float, seed: int = 7) -> Script:
    """All events of a storm."""
    rng = np.random.default_rng(seed)
    known = made(seed, seconds) if folder is None else recorded(folder, seconds)
    levels = {asset: market.index[asset] for asset in ("BTC", "ETH")}
    timed: list[tuple[float, Event]] = []
    for (what, asset), knots in known.items():
        timed += _ticks(market, what, asset, knots.seconds, levels[asset] * knots.price)
    count = len(timed) if folder is not None else 0
    for asset in levels:
        knots = known.get((Input.MARK, asset), known[Input.INDEX, asset])
        fast = np.arange(0.05, seconds, 0.1)
        price = levels[asset] * between(knots, fast, rng)
        timed += _ticks(market, Input.MARK, asset, fast, price * 1.0002)
        timed += _ticks(market, Input.INDEX, asset, fast + 0.01, price)
        timed += _followers(market, asset, fast, price / levels[asset])
    # some arrive late, behind newer ones of their input
    delay = np.where(rng.random(len(timed)) < LATE, 0.3, 0.0)
    arriving = [(at + float(d), event) for (at, event), d in zip(timed, delay, strict=True)]
    arriving += _accounts(book, market, seconds, rng)
    arriving += [(float(s), Clock(market.at + timedelta(seconds=float(s)))) for s in np.arange(1.0, seconds)]
    arriving.sort(key=lambda pair: pair[0])
    return Script(np.array([at for at, _ in arriving]), [event for _, event in arriving], count)


def _ticks(market: Market, what: Input, asset: str, at: F64, price: F64) -> list[tuple[float, Event]]:
    name = asset if what is Input.INDEX else f"{asset}-PERPETUAL"
    return [
        (s, Tick(market.at + timedelta(seconds=s), what, name, p))
        for s, p in zip(at.tolist(), price.tolist(), strict=True)
    ]


def _followers(market: Market, asset: str, at: F64, share: F64) -> Iterator[tuple[float, Event]]:
    # Futures every second, options every five; a fall makes vol dearer.
    for symbol, instrument in market.instruments.items():
        expiry = expiry_of(instrument)
        if instrument.base != asset or expiry is None:
            continue
        quote, option = market.quotes[symbol], instrument.kind
        step = 50 if isinstance(option, Option) else 10
        start = hash_of(symbol) % step
        seconds, moved = at[start::step], share[start::step]
        columns = {Input.MARK: quote.mark * moved}
        if isinstance(option, Option):
            forward, vol = quote.forward * moved, quote.vol * (1.0 + 2.0 * np.maximum(1.0 - moved, 0.0))
            years = (expiry - market.at).total_seconds() / (365.0 * 86_400.0)
            mark = coin_price(forward, option.strike, vol, years, option.right is Right.CALL)
            columns = {Input.MARK: np.maximum(mark, 0.0), Input.FORWARD: forward, Input.VOL: vol}
        for what, values in columns.items():
            for s, value in zip(seconds.tolist(), values.tolist(), strict=True):
                yield s, Tick(market.at + timedelta(seconds=s), what, symbol, value)


def hash_of(name: str) -> int:
    """A number of a name that every process gives it."""
    return sum(ord(letter) * (place + 1) for place, letter in enumerate(name))


def _accounts(
    book: Book, market: Market, seconds: float, rng: np.random.Generator
) -> Iterator[tuple[float, Event]]:
    # Fifty fills, ten deposits and ten orders a second; accounts that join; one new future; funding once.
    coin = np.full(len(book.names), -1)
    coin[book.balance_account] = book.balance_asset
    for number, at in enumerate(np.sort(rng.random(int(70 * seconds)) * seconds).tolist()):
        row = int(rng.integers(0, len(book.names)))
        asset = book.assets[coin[row]]
        name = "nobody" if rng.random() < 0.001 else str(book.names[row])
        when = market.at + timedelta(seconds=at)
        event = _of_account(rng, when, name, asset, f"e{number}", market)
        yield at, event
        if rng.random() < TWICE:
            yield at + 0.2, replace(event)  # another object: it arrives by itself
        if isinstance(event, OrderPlaced):
            yield at + 5.0, OrderCancelled(at=when, account=name, order=event.order, id=f"c{number}")
    for second in range(1, int(seconds)):
        when = market.at + timedelta(seconds=second)
        yield second, Opened(at=when, account=f"new {second}")
        yield second + 0.1, Deposited(at=when, account=f"new {second}", asset="BTC", amount=1.0)
    when = market.at + timedelta(seconds=seconds / 2)
    for asset in ("BTC", "ETH"):
        mark = market.index[asset] * 0.95
        yield seconds / 2, Funded(at=when, symbol=f"{asset}-PERPETUAL", rate=-1e-4, mark=mark, id=f"f{asset}")
    new = Instrument(
        symbol="BTC-NEW",
        base="BTC",
        quote="USD",
        settlement="BTC",
        kind=Future(expiry=market.at + timedelta(days=400)),
        payoff=Inverse(contract_value=10.0),
    )
    yield seconds / 3, Listed(at=when, instrument=new)
    yield seconds / 3 + 1.0, Tick(when, Input.MARK, "BTC-NEW", market.index["BTC"])
    yield (
        seconds / 3 + 2.0,
        Filled(at=when, account=str(book.names[0]), symbol="BTC-NEW", quantity=1.0, price=6e4),
    )


def _of_account(
    rng: np.random.Generator, at: datetime, name: str, asset: str, number: str, market: Market
) -> Event:
    symbol, price = f"{asset}-PERPETUAL", market.index[asset]
    kind = rng.random()
    if kind < 1 / 7:
        return Deposited(at=at, account=name, asset=asset, amount=float(rng.lognormal(-3.0)), id=number)
    size = float(np.ceil(rng.lognormal(4.0))) * float(rng.choice((-1.0, 1.0)))
    if kind < 2 / 7:
        order = Order(symbol=symbol, quantity=size, price=float(price * (1.0 - 0.05 * np.sign(size))))
        return OrderPlaced(at=at, account=name, order=order, id=number)
    fee = 5e-4 * abs(size) / price
    return Filled(
        at=at, account=name, symbol=symbol, quantity=size, price=price, fee=fee, leverage=10.0, id=number
    )
