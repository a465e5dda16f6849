"""Funding rates and fair prices. Figures of the venues' pages stand with their source."""

import numpy as np
import pytest

from margrave.kernels.funding import (
    clamped_funding,
    damped_funding,
    decayed_delta,
    fair_future,
    fair_perpetual,
    impact_notional,
    interest_rate,
    inverse_perpetual_premium,
    legacy_mark,
    perpetual_premium,
)


def test_deribit_funding_001_is_the_premium_beyond_the_damper():
    assert damped_funding(101.0, 100.0, 0.0005) == pytest.approx(0.0095)
    assert damped_funding(99.0, 100.0, 0.0005) == pytest.approx(-0.0095)


def test_deribit_funding_001_is_zero_inside_the_damper_and_held_by_the_cap():
    inside = damped_funding(np.array([100.02, 99.98, 100.0]), 100.0, 0.00025)
    assert inside == pytest.approx(0.0, abs=1e-16)
    assert damped_funding(np.array([110.0, 90.0]), 100.0, 0.00025, 0.005) == pytest.approx([0.005, -0.005])


def test_a_price_that_is_unknown_gives_a_rate_that_is_unknown():
    assert np.isnan(damped_funding(np.nan, 100.0, 0.0005))
    assert np.isnan(clamped_funding(np.nan, 0.0001))


@pytest.mark.parametrize(
    ("premium", "rate"), [(-0.0004, 0.0001), (0.0006, 0.0001), (0.0016, 0.0011), (-0.0014, -0.0009)]
)
def test_binance_funding_001_is_the_interest_between_the_clamps(premium: float, rate: float):
    assert clamped_funding(premium, 0.0001) == pytest.approx(rate)


def test_bitmex_funding_001_shares_the_interest_among_the_periods_of_a_day():
    assert interest_rate(0.0006, 0.0003) == pytest.approx(0.0001)
    assert interest_rate(0.0006, 0.0003, 1.0) == pytest.approx(0.0003)


def test_bitmex_fair_001_falls_onto_the_index_when_funding_is_due():
    price = fair_perpetual(10_000.0, 0.0003, np.array([8.0, 4.0, 0.0]))
    assert price == pytest.approx([10_003.0, 10_001.5, 10_000.0])


def test_bitmex_fair_002_gives_back_the_impact_mid_and_falls_onto_the_index_at_expiry():
    basis, price = fair_future(100.0, 105.0, 30.0)
    assert (float(basis), float(price)) == pytest.approx((0.6083333333, 105.0))
    assert float(fair_future(100.0, 105.0, 30.0, 0.0)[1]) == 100.0


def test_bitmex_fair_003_is_the_notional_that_a_margin_carries():
    assert impact_notional(0.1, np.array([0.01, 0.04, 0.1])) == pytest.approx([10.0, 2.5, 1.0])


@pytest.mark.parametrize(("last", "mark"), [(871.7, 871.5), (870.0, 871.0), (871.2, 871.2)])
def test_deribit_mark_001_holds_the_last_price_in_the_book(last: float, mark: float):
    assert legacy_mark(871.0, 871.5, last) == mark


def test_deribit_settlement_001_ends_at_zero_and_never_changes_sign():
    assert decayed_delta(-0.8, np.array([-1.0, 0.0, 15.0, 30.0, 31.0])) == pytest.approx(
        [-0.8, -0.8, -0.4, 0.0, 0.0]
    )


# reference.json, perpetual_pricing: an interest of money of 5 % a year, none of coins, periods of eight hours
@pytest.mark.parametrize(
    ("pull", "interest", "linear", "inverse"),
    [
        (1.0, 0.0, 1.000045664, 1.00004566),
        (1.0, 0.0001, 0.9999456596, 0.9999456654),
        (1.0, 4.566210046e-05, 1.0, 0.9999999979),
        (0.3333333333, 0.0001, 0.999836964, 0.9998370289),
        (1.0, -0.0001, 1.000145669, 1.000145675),
    ],
)
def test_a_perpetual_without_arbitrage(pull, interest, linear, inverse):
    rates = (4.566210046e-05, 0.0)
    assert perpetual_premium(pull, interest, *rates) == pytest.approx(linear, rel=1e-9)
    assert inverse_perpetual_premium(pull, interest, *rates) == pytest.approx(inverse, rel=1e-9)


def test_where_a_perpetual_is_at_spot():
    quote, base = 3e-4, 1e-4
    assert perpetual_premium(0.5, (quote - base) / (1 + base), quote, base) == pytest.approx(1.0)
    assert inverse_perpetual_premium(0.5, (quote - base) / (1 + quote), quote, base) == pytest.approx(1.0)
