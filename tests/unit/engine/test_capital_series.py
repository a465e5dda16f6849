"""Return on equity and utilisation under isolated, cross and portfolio margin (spec CM-7)."""

from dataclasses import replace
from datetime import timedelta
from math import isnan

import pytest

from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Position
from margrave.engine.analysis.compare import Variant
from margrave.engine.paths.capital_series import capital_series
from tests.unit import made as flat
from tests.unit import scenarios_made as made

PERPETUAL, FUTURE = made.linear("PERP"), made.linear("DATED", days=30.0)
FLAT = flat.rules()
VARIANTS = (
    Variant("isolated", FLAT, MarginMode.ISOLATED),
    Variant("cross", FLAT, MarginMode.CROSS),
    Variant("portfolio", made.rulebook(currency="USD"), MarginMode.CROSS),
)


def path(*prices):
    told = [made.market([PERPETUAL, FUTURE], {"BTC": p}) for p in prices]
    return [replace(m, at=m.at + timedelta(hours=k)) for k, m in enumerate(told)]


def account(cash=20_000.0):
    held = ((PERPETUAL, 1.0), (FUTURE, -0.8))
    positions = tuple(Position(symbol=i.symbol, quantity=q, entry=50_000.0) for i, q in held)
    return Account(balances=(Balance(asset="USD", amount=cash),), positions=positions)


def by_variant(points):
    return {name: [p for p in points if p.variant == name] for name in ("isolated", "cross", "portfolio")}


def test_cm_7_series_under_three_ways_of_margin():
    found = by_variant(capital_series(account(), path(50_000.0, 51_000.0, 52_000.0), VARIANTS))
    assert all(len(series) == 3 for series in found.values())
    # 0.2 coins net: 200, then 400 on 20,000, whatever the mode.
    for series in found.values():
        assert [p.profit for p in series] == pytest.approx([0.0, 200.0, 400.0])
        assert [p.return_on_equity for p in series] == pytest.approx([0.0, 0.01, 0.02])
    # Maintenance: 5 % of 1.8 coins in both modes of the ladder, 16 % of 0.2 coins in portfolio margin.
    assert [p.utilisation for p in found["cross"]] == pytest.approx(
        [0.09 * 50_000 / 20_000, 0.09 * 51_000 / 20_200, 0.09 * 52_000 / 20_400]
    )
    assert [p.maintenance for p in found["isolated"]] == pytest.approx(
        [p.maintenance for p in found["cross"]]
    )
    assert [p.maintenance for p in found["portfolio"]] == pytest.approx(
        [0.032 * p for p in (50e3, 51e3, 52e3)]
    )
    # Initial margin of each instant counts until the next.
    assert found["cross"][2].return_on_margin == pytest.approx(400.0 / (0.18 * 50_500.0))
    assert found["portfolio"][2].return_on_margin == pytest.approx(400.0 / (0.032 * 50_500.0))
    assert found["cross"][0].return_on_margin == 0.0


def test_a_hedge_that_is_liquidated_alone_ends_with_another_return():
    # The short leg alone is gone after a rise of 12 %; together nothing is.
    found = by_variant(capital_series(account(), path(50_000.0, 56_000.0, 50_000.0), VARIANTS))
    assert [p.is_liquidated for p in found["isolated"]] == [False, True, True]
    assert not any(p.is_liquidated for p in (*found["cross"], *found["portfolio"]))
    assert found["cross"][2].return_on_equity == pytest.approx(0.0)
    # What it lost beyond its own margin, 10 % of 40,000, others bore.
    assert found["isolated"][2].profit == pytest.approx(-4_000.0)


def test_nothing_held_uses_nothing_and_the_unknown_is_not_a_number():
    bare = Account(balances=(Balance(asset="USD", amount=1.0),))
    (point,) = capital_series(bare, path(50_000.0), VARIANTS[1:2])
    assert (point.utilisation, point.return_on_equity, point.return_on_margin) == (0.0, 0.0, 0.0)
    blind = replace(path(50_000.0)[0], quotes={})
    (point,) = capital_series(account(), [blind], VARIANTS[1:2])
    assert isnan(point.utilisation)
    assert isnan(point.equity)
    assert capital_series(account(), [], VARIANTS) == ()
