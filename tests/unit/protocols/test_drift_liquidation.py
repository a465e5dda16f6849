"""Drift's liquidation amounts: figures of the protocol's own tests (spec defi 3.3), and every edge."""

import pytest

from margrave.core.errors import InvalidInputError
from margrave.protocols import drift_liquidation as liquidation
from margrave.protocols.drift import BASE, MAX_U64, MAX_U128, PRICE
from margrave.protocols.drift_liquidation import Leg, PerpTerms

USD = 10**6
SOL = Leg(100 * PRICE, 9)
USDC = Leg(PRICE, 6)


def terms(ratio=1000, fee=0, price=100 * PRICE, quote_price=PRICE) -> PerpTerms:
    return PerpTerms(ratio, fee, price, quote_price)


@pytest.mark.parametrize(
    ("shortage", "at", "insurance", "base"),
    [
        (10 * USD, terms(), 0, BASE),  # zero_percent_liquidation_fee
        (10 * USD, terms(quote_price=990_000), 0, 1_010_101_010),  # usdc_not_one
        (10 * USD, terms(fee=10_000), 10_000, 1_250_000_000),
        (0, terms(), 0, 0),
        (1, terms(price=0), 0, MAX_U64),
        (1, terms(fee=100_000), 0, MAX_U64),  # the fee takes the whole ratio
        (1, terms(fee=50_000), 50_000, MAX_U64),  # fee and insurance do
        (MAX_U128, terms(price=1), 0, MAX_U64),
    ],
)
def test_base_to_cover_a_shortage(shortage, at, insurance, base):
    assert liquidation.base_to_cover_shortage(shortage, at, insurance) == base


def pair(aw=8000, am=10**6, lw=12000, lm=10**6, decimals=9, price=100 * PRICE) -> tuple[Leg, Leg]:
    return Leg(PRICE, 6, am, aw), Leg(price, decimals, lm, lw)


@pytest.mark.parametrize(
    ("legs", "fee", "amount"),
    [
        (pair(am=1_100_000, lm=900_000), 0, 449_984_250),
        (pair(), 10_000, 257_731_958),
        (pair(am=1_100_000, lm=900_000), 10_000, 475_669_504),
        (pair(), 0, 250_000_000),
        (pair(decimals=6), 0, 250_000),
        (pair(decimals=3), 0, 250),
        (pair(decimals=0), 0, 1),  # a quarter of a token: at least one
        (pair(aw=12000), 0, MAX_U128),  # swapping frees nothing
        (pair(aw=13000), 0, MAX_U128),
        (pair(aw=11000, am=1_200_000), 0, MAX_U128),  # nor after the multipliers
        (pair(lm=0), 0, MAX_U128),
        (pair(), 400_000, MAX_U128),  # nor after the insurance fee
        (pair(price=0), 0, MAX_U128),
    ],
)
def test_liability_to_cover_a_shortage(legs, fee, amount):
    assert liquidation.liability_to_cover_shortage(10 * USD, *legs, fee) == amount


@pytest.mark.parametrize(
    ("asset", "liability", "amount"),
    [
        (USDC, SOL, 100_000_000),
        (Leg(PRICE, 6, 1_010_000), Leg(100 * PRICE, 9, 990_000), 98_019_802),  # rounded up from .98
        (Leg(PRICE, 9), Leg(PRICE, 6), 10_000),
        (Leg(PRICE, 9), Leg(3 * PRICE, 6), 3_334),  # rounded up twice
    ],
)
def test_liability_that_an_asset_pays_for(asset, liability, amount):
    assert liquidation.liability_for_asset(10 * USD, asset, liability) == amount


@pytest.mark.parametrize(
    ("balance", "asset", "owed", "liability", "amount"),
    [
        (100 * USD, USDC, BASE, SOL, 100 * USD),
        (200 * USD, Leg(PRICE, 6, 1_010_000), BASE, Leg(100 * PRICE, 9, 990_000), 102_020_202),
        (200 * USD, USDC, USD, USDC, USD),
        (100 * USD + 999_999, USDC, BASE, SOL, 100 * USD + 999_999),  # less than a dollar is not left
        (101 * USD, USDC, BASE, SOL, 100 * USD),  # a dollar is
        (99 * USD + 1, USDC, BASE, SOL, 99 * USD + 1),  # what is missing below a dollar is forgiven as well
        (5 * USD, USDC, 0, SOL, 1),
        (0, USDC, 0, SOL, 0),
        (10 * BASE, SOL, 100 * USD, USDC, BASE),  # nine decimals: only dust is swept
        (BASE + 9, SOL, 100 * USD, USDC, BASE + 9),
        (BASE + 10_000, SOL, 100 * USD, USDC, BASE),
        (10_000, Leg(PRICE, 2), 100 * USD, USDC, 10_000),
        (10_099, Leg(PRICE, 2), 100 * USD, USDC, 10_099),  # few decimals: below a dollar again
        (10_100, Leg(PRICE, 2), 100 * USD, USDC, 10_000),
    ],
)
def test_asset_that_pays_for_a_liability(balance, asset, owed, liability, amount):
    assert liquidation.asset_for_liability(balance, asset, owed, liability) == amount


def test_a_swap_needs_prices():
    with pytest.raises(InvalidInputError, match="asset price"):
        liquidation.asset_for_liability(1, Leg(0, 6), 1, SOL)
    with pytest.raises(InvalidInputError, match="liability price"):
        liquidation.liability_for_asset(1, USDC, Leg(0, 9))


@pytest.mark.parametrize(
    ("shortage", "base", "at", "fee"),
    [
        (20 * USD, 10 * BASE, terms(500, 10_000), 19_000),  # .95 (.05 - .01 - 20/1,000)
        (1_000 * USD, 10 * BASE, terms(500, 10_000), 0),
        (20 * USD, 10 * BASE, terms(500, 10_000, price=0), 0),
        (20 * USD, 10 * BASE, terms(500, 10_000, quote_price=0), 0),
        (20 * USD, 0, terms(500, 10_000), 0),
        (20 * USD, 10 * BASE, terms(500, 50_000), 0),
        (20 * USD, 10 * BASE, terms(500, 10_000, price=1, quote_price=1), 0),  # worth nothing after the cut
        (0, 10 * BASE, terms(2000, 10_000), 50_000),  # the most that the market allows
    ],
)
def test_insurance_fee_of_a_perpetual(shortage, base, at, fee):
    assert liquidation.perp_insurance_fee(shortage, base, at, 50_000) == fee


@pytest.mark.parametrize(
    ("shortage", "amount", "legs", "fee"),
    [
        (5 * USD, BASE, pair(10000, 1_010_000, 11000), 36_363),  # (1.1 - 1.01 - .05) / 1.1
        (10 * USD, BASE, pair(10000, 1_010_000, 11000), 0),
        (9 * USD, BASE, pair(10000, 1_010_000, 11000), 0),  # 1.1 - 1.01 - .09: exactly used up
        (1 * USD, BASE, pair(20000, 1_010_000, 11000), 0),
        (5 * USD, BASE, pair(10000, 1_010_000, 0), 0),
        (5 * USD, 0, pair(10000, 1_010_000, 11000), 0),
        (5 * USD, BASE, pair(10000, 1_010_000, 11000, lm=0), 0),
        (5 * USD, BASE, pair(10000, 1_010_000, 11000, price=0), 0),
        (0, BASE, pair(5000, 10**6, 11000), 50_000),
        (5 * USD, BASE, pair(10000, 1_200_000, 11000), 0),
    ],
)
def test_insurance_fee_of_a_token(shortage, amount, legs, fee):
    assert liquidation.spot_insurance_fee(shortage, amount, *legs, 50_000) == fee


@pytest.mark.parametrize(
    ("slots", "fee"), [(0, 20_000), (1_499, 20_000), (1_500, 21_500), (30_000, 50_000), (100_000, 50_000)]
)
def test_the_liquidator_fee_grows_after_1500_slots(slots, fee):
    assert liquidation.liquidator_fee(20_000, 50_000, slots) == fee


@pytest.mark.parametrize(
    ("shortage", "slots", "initial", "duration", "freed", "share"),
    [
        (49 * USD, 1, 1000, 10, 0, 10_000),  # under 50 dollars: all at once
        (50 * USD, 1, 1000, 10, 0, 2_000),
        (50 * USD, 100, 1000, 10, 0, 10_000),
        (50 * USD, 0, 0, 0, 0, 10_000),  # no time to wait
        (100 * USD, 0, 1000, 10, 0, 1_000),
        (90 * USD, 0, 1000, 10, 10 * USD, 0),  # the tenth of 100 is taken already
        (90 * USD, 1, 1000, 10, 10 * USD, 1_111),
    ],
)
def test_the_share_that_may_be_taken_grows_with_slots(shortage, slots, initial, duration, freed, share):
    assert liquidation.share_to_liquidate(shortage, slots, initial, duration, freed) == share


def test_a_loss_of_a_perpetual_falls_on_all_open_base_rounded_up():
    step = liquidation.funding_step_for_loss(-100 * USD, 7 * BASE, -4 * BASE)
    assert step == 9_090_910_000
    with pytest.raises(InvalidInputError, match="no open base"):
        liquidation.funding_step_for_loss(-1, 0, 0)


def test_a_loss_of_a_token_cuts_the_deposit_index_rounded_up():
    assert liquidation.deposit_index_cut(11 * USD, 120 * USD, 10**10) == 916_666_667
    assert liquidation.deposit_index_cut(100 * USD, 0, 11_110_000_000) == 0
    assert liquidation.deposit_index_cut(0, 5, 10**10) == 0


@pytest.mark.parametrize(
    ("taken", "paid", "asset", "ok"),
    [
        (BASE, 200 * USD, Leg(200 * PRICE, 9, 1_010_000), True),
        (BASE, 198 * USD, Leg(200 * PRICE, 9, 1_010_000), False),  # 200 / 1.01 = 198.0198
        (BASE, 198_019_801, Leg(200 * PRICE, 9, 1_010_000), True),
        (0, 200 * USD, Leg(200 * PRICE, 9), False),
        (BASE, 200 * USD, Leg(200 * PRICE, 9, 0), False),
    ],
)
def test_a_swap_must_pay_the_oracle_price_after_multipliers(taken, paid, asset, ok):
    assert liquidation.swap_is_within_bounds(taken, asset, paid, USDC) is ok


def test_no_amount_is_negative():
    with pytest.raises(InvalidInputError, match="liquidation"):
        liquidation.base_to_cover_shortage(-1, terms(), 0)
    with pytest.raises(InvalidInputError, match="leg: decimals"):
        Leg(1, 20)
