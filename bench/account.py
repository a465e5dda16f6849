"""One account of 20 positions through the whole calculation, beside plain NumPy code of the same rules."""

from collections.abc import Callable

import numpy as np

from bench.measure import Section, Setting
from margrave.cli.bench_sections import futures_account, futures_rules, one_account
from margrave.domain.account import Account
from margrave.domain.market import Market
from margrave.engine.assess import assess


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
    """The section of `margrave bench` with plain code beside it."""
    account, market = futures_account()
    rulebook = futures_rules()
    tiers = rulebook.ladders["BTCUSD"].tiers  # type: ignore[union-attr]
    floors, rates = np.array([t.floor for t in tiers]), np.array([t.maintenance for t in tiers])
    baseline = plain(floors, rates, np.concatenate(([0.0], np.cumsum(floors[1:] * np.diff(rates)))))
    pool = assess(account, market, rulebook).pools[0]
    np.testing.assert_allclose(
        (pool.equity, pool.initial, pool.maintenance), baseline(account, market), atol=2e-7
    )
    return [one_account({"plain NumPy, three sums of 20 positions": lambda: baseline(account, market)})]
