"""Who bore the deleveraging of a run, by decile of leverage and of size."""

import numpy as np
import pytest

from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import book_of
from margrave.engine.simulation.path import Path
from margrave.engine.simulation.run import simulate
from margrave.engine.simulation.settings import Settings, Takeover
from margrave.engine.study.bearers import bearers
from tests.unit.made import linear_market, rules


def account(name, quantity, cash):
    held = Position(symbol="BTCUSDT", quantity=quantity, entry=50_000.0)
    return Account(name=name, balances=(Balance(asset="USDT", amount=cash),), positions=(held,))


def run(losers, winners, fall):
    path = Path(np.array([0.0, 60.0]), {"BTC": 50_000.0 * np.array([1.0, 1.0 + fall])})
    return simulate(
        book_of([*losers, *winners]), linear_market(50_000.0), rules(), path, Settings(rule=Takeover())
    )


def test_the_winner_by_profit_and_leverage_bears_it_first():
    """Nine shorts with much cash and one with little: a long of 0.1 is bankrupt, and the tenth, the most leveraged, gives it all."""
    calm = [account(f"w{k}", -0.1, 50_000.0 + k) for k in range(9)]
    winners = [*calm, account("hot", -0.1, 1_000.0)]
    found = bearers(
        run([account("gone", 0.1, 600.0)], winners, -0.2),
        np.array([600.0, *(50_000.0 + k for k in range(9)), 1_000.0]),
    )
    assert found.accounts == 1
    assert found.by_leverage[8] + found.by_leverage[9] == pytest.approx(1.0)
    assert sum(found.by_size) == pytest.approx(1.0)
    assert found.top_ten == pytest.approx(1.0)
    assert found.gini > 0.9


def test_where_nobody_is_deleveraged_nobody_bears_anything():
    found = bearers(
        run([account("a", 0.1, 5_000.0)], [account("b", -0.1, 5_000.0)], -0.01), np.array([5_000.0, 0.0])
    )
    assert found.accounts == 0
    assert found.by_leverage == found.by_size == (0.0,) * 10
