"""A ladder whose rate grows with the root of the size: max(r, .8 r + f sqrt(z)) (specification of the protocols 3.2)."""

import numpy as np
import pytest

from margrave.core.errors import InvalidInputError, MargraveError, Reason
from margrave.engine.assess import assess
from margrave.kernels.size_factor import size_premium
from margrave.liquidation import liquidations
from margrave.liquidation.step_down import step_down
from margrave.protocols.drift import BASE, Levels, MarginType, PerpMarket, perp_margin_ratio
from margrave.rulebook.ladders import SizePremium, TierUnit, resolve
from tests.unit.made import linear_account, linear_market, rules


def ladder(unit=TierUnit.COIN, initial=0.1, maintenance=0.05, factor=0.002):
    return SizePremium(
        code="TEST-PREMIUM-001", unit=unit, initial=initial, maintenance=maintenance, factor=factor
    )


@pytest.mark.parametrize("coins", [0.5, 10.0, 24.9, 25.1, 100.0, 400.0, 1e4])
def test_it_is_drifts_ratio_at_both_levels(coins):
    found = assess(linear_account(coins, 100.0), linear_market(100.0), rules(ladder()))
    (pool,) = found.pools
    assert pool.initial == pytest.approx(coins * 100 * max(0.1, 0.08 + 0.002 * coins**0.5), rel=1e-12)
    assert pool.maintenance == pytest.approx(coins * 100 * max(0.05, 0.04 + 0.002 * coins**0.5), rel=1e-12)
    market = PerpMarket("P", 100_000_000, Levels(1_000, 500), imf=2_000)
    exact = perp_margin_ratio(market, round(coins * BASE), MarginType.MAINTENANCE)
    assert pool.maintenance / (coins * 100) * 1e4 == pytest.approx(exact, abs=1.01)
    assert ("sqrt(size)" in str(found.explain())) == (coins > 25)


@pytest.mark.parametrize("base", [0.0, 0.05])
def test_its_segments_are_the_formula(base):
    (floor, rate, slope, cut, root) = (
        getattr(resolve(ladder(maintenance=base), 1), name)
        for name in ("floor", "rate", "slope", "deduction", "root")
    )
    assert not slope.any()
    assert not cut.any()
    for size in (0.0, 1.0, 24.9, 25.0, 25.1, 1e6):
        row = max(int(np.searchsorted(floor, size, side="left")) - 1, 0)
        assert rate[row] + root[row] * size**0.5 == pytest.approx(size_premium(base, 0.002, size))


@pytest.mark.parametrize(
    ("unit", "factor", "method"), [(TierUnit.COIN, 0.002, "closed form"), (TierUnit.VALUE, 2e-4, "root")]
)
def test_a_liquidation_price_is_a_formula_in_coins_and_a_search_in_value(unit, factor, method):
    held, prices, book = (
        linear_account(100.0, 100.0, 2_000.0),
        linear_market(100.0),
        rules(ladder(unit, factor=factor)),
    )
    bound = liquidations(held, prices, book)[0].bounds[0]
    assert bound.method == method
    size = 100.0 if unit is TierUnit.COIN else 100.0 * bound.exact
    left = 2_000.0 + 100.0 * (bound.exact - 100.0)
    assert left == pytest.approx(100.0 * bound.exact * max(0.05, 0.04 + factor * size**0.5), rel=1e-9)


def test_it_has_no_tiers_and_calls_before_it_liquidates():
    with pytest.raises(MargraveError) as caught:
        step_down(ladder(), 5.0)
    assert caught.value.issues[0].reason is Reason.UNSUPPORTED
    with pytest.raises(InvalidInputError, match="a call must come before liquidation"):
        rules(ladder(initial=0.01))
