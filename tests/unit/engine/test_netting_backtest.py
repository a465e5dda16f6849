"""Offsets that rules assume against those that windows of stress realised (spec CM-4)."""

from math import sqrt
from statistics import NormalDist

import pytest

from margrave.engine.analysis.netting_backtest import Window, netting_backtest
from margrave.rulebook.portfolio import CorrelationOffset, CorrelationPair
from tests.unit import made as flat
from tests.unit import scenarios_made as made

BTC, ETH = (made.linear(f"{base}-LINEAR", base) for base in ("BTC", "ETH"))
PRICES = {"BTC": 50_000.0, "ETH": 2_500.0}
RULE = CorrelationOffset(code="R", pairs=(CorrelationPair("BTC", "ETH", 0.8),), benefit_most=0.8)
RULES = made.rulebook(correlation=RULE, currency="USD")


def backtest(held, windows, rules=RULES, balances=(("USD", 5e4), ("BTC", 1.0))):
    told = made.market([i for i, _ in held], PRICES)
    return netting_backtest(made.account(held, told, balances), told, rules, windows)


def test_cm_4_realised_offset_against_assumed_offset_by_window():
    # One coin long at 50,000 against twenty short at 2,500: 8,000 asked of each, 8,000 sqrt(0.4) together.
    together = Window("together", {"BTC": [-0.1, -0.1], "ETH": [-0.1, -0.1]})
    apart = Window("apart", {"BTC": [-0.1, 0.05], "ETH": [0.1, 0.0]})
    calm, crash = backtest([(BTC, 1), (ETH, -20)], [together, apart])
    for found in (calm, crash):
        assert found.assumed == pytest.approx(1.0 - sqrt(0.4) / 2.0, rel=1e-12)
        assert found.requirement == pytest.approx(8_000.0 * sqrt(0.4), rel=1e-12)
        assert found.broken_down == pytest.approx(8_000.0 * sqrt(3.6), rel=1e-12)
    # Both fall by 19 %: the short gains what the long loses, and the long alone loses 9,500.
    assert (calm.window, calm.loss, calm.excess, calm.is_covered) == (
        "together",
        pytest.approx(0.0, abs=1e-9),
        0.0,
        True,
    )
    assert dict(calm.losses) == {"BTC-LINEAR": pytest.approx(9_500.0), "ETH-LINEAR": 0.0}
    assert calm.realised == pytest.approx(1.0)
    # Apart: 5,000 on each leg at the first step, and nothing offsets; no collateral is in it.
    assert crash.loss == pytest.approx(10_000.0)
    assert [loss for _, loss in crash.losses] == pytest.approx([5_000.0, 5_000.0])
    assert crash.realised == pytest.approx(0.0)
    assert crash.excess == pytest.approx(crash.assumed)
    assert not crash.is_covered
    assert crash.loss < crash.broken_down


def test_vols_have_returns_of_their_own():
    call = made.option(50_000.0, "call")
    window = Window("vol", {"SOL": [0.0]}, {"BTC": [0.5], "SOL": [0.1]})
    (found,) = backtest([(call, -1)], [window], made.rulebook(), (("BTC", 1.0),))
    # At the money a coin option is worth 2 Phi(vol sqrt(t) / 2) - 1; 0.0912984078185 at 80 % (specification 5, Ex1).
    at_120 = 2.0 * NormalDist().cdf(0.6 * sqrt(30.0 / 365.0)) - 1.0
    assert found.loss == pytest.approx(at_120 - 0.0912984078185, abs=1e-12)
    assert found.broken_down is None
    assert found.realised == pytest.approx(0.0)


def test_a_window_in_which_nothing_loses_realises_nothing():
    (found,) = backtest([(BTC, 1)], [Window("rise", {"BTC": [0.1]})])
    assert found.realised is None
    assert (found.loss, found.excess, found.is_covered) == (0.0, 0.0, True)


def test_rules_that_do_not_offset_assume_none():
    told = flat.linear_market(50_000.0)
    (found,) = netting_backtest(flat.linear_account(), told, flat.rules(), [Window("w", {"BTC": [-0.1]})])
    assert (found.assumed, found.loss) == (pytest.approx(0.0), pytest.approx(10_000.0))


@pytest.mark.parametrize("returns", [{}, {"BTC": []}, {"BTC": [0.1], "ETH": [0.1, 0.2]}, {"BTC": [-1.0]}])
def test_returns_are_checked(returns):
    with pytest.raises(ValueError, match="returns"):
        Window("w", returns)
