"""`assess` of one account of 20 positions, beside plain NumPy code of the same rules."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from bench.measure import Section, Setting, interleaved, rows
from margrave.domain.account import Account, Balance, Position
from margrave.domain.instruments import Future, Instrument, Inverse
from margrave.domain.market import Market, Quote
from margrave.engine.assess import assess
from margrave.rulebook.catalogue import in_force

COUNT = 20
AT = datetime(2026, 11, 1, tzinfo=UTC)


def inputs() -> tuple[Account, Market]:
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


def plain(
    floors: np.ndarray, rates: np.ndarray, cuts: np.ndarray
) -> Callable[[Account, Market], tuple[float, float, float]]:
    """Plain NumPy code of the same rules: objects in, three numbers out."""

    def run(account: Account, market: Market) -> tuple[float, float, float]:
        quantity = np.array([p.quantity for p in account.positions]) * 100.0
        entry = np.array([p.entry for p in account.positions])
        leverage = np.array([p.leverage for p in account.positions])
        mark = np.array([market.quotes[p.symbol].mark for p in account.positions])
        value = np.abs(quantity) / mark
        profit = quantity * (1.0 / entry - 1.0 / mark)
        tier = np.searchsorted(floors[1:], value)
        maintenance = value * rates[tier] - cuts[tier]
        step = 1e-8
        initial = np.floor(value / leverage / step) * step
        maintenance = np.floor(maintenance / step) * step
        return account.balances[0].amount + profit.sum(), float(initial.sum()), float(maintenance.sum())

    return run


def run(_setting: Setting) -> list[Section]:
    """One account through the whole calculation, beside three sums in NumPy."""
    account, market = inputs()
    rulebook = in_force("binance.coinm", AT)
    tiers = rulebook.ladders["BTCUSD"].tiers  # type: ignore[union-attr]
    floors, rates = np.array([t.floor for t in tiers]), np.array([t.maintenance for t in tiers])
    cuts = np.concatenate(([0.0], np.cumsum(floors[1:] * np.diff(rates))))
    baseline = plain(floors, rates, cuts)
    pool = assess(account, market, rulebook).pools[0]
    np.testing.assert_allclose(
        (pool.equity, pool.initial, pool.maintenance), baseline(account, market), atol=2e-7
    )
    seconds = interleaved(
        {
            "margrave, assess: pools, checks, every position, its explanation": lambda: assess(
                account, market, rulebook
            ),
            "plain NumPy, three sums": lambda: baseline(account, market),
        },
        repeats=31,
    )
    return [Section(f"One account of {COUNT} inverse futures", "account", rows(seconds, 1))]
