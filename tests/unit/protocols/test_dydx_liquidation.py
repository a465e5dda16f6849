"""dYdX v4, liquidation. Figures of the protocol's own tests: 500 and 3 quote quantums per base quantum, 20 % and 10 %."""

from fractions import Fraction

import pytest

from margrave.core.errors import InvalidInputError, Reason
from margrave.protocols.dydx import Holding, LiquidityTier, Perpetual, Risk, account_risk
from margrave.protocols.dydx_liquidation import (
    GENESIS,
    Deleveraged,
    LiquidationRules,
    Subaccount,
    bankruptcy_quote,
    deleverage,
    fill_quote,
    fillable_price,
    insurance_delta,
    liquidatable_notional,
    must_deleverage,
    settle_finally,
)

USDC = 1_000_000
TIER = LiquidityTier(initial_ppm=200_000, maintenance_fraction_ppm=500_000)
PRICES = {"BTC": 500, "ETH": 3}


def account(quote: int, **sizes: int) -> Subaccount:
    """A subaccount of the tests' two markets."""
    held = (
        Holding(
            perpetual=Perpetual(name=n, atomic_resolution=-6, price=PRICES[n], exponent=0, tier=TIER),
            quantums=q,
        )
        for n, q in sizes.items()
    )
    return Subaccount(quote, tuple(held))


@pytest.mark.parametrize(
    ("subaccount", "name", "delta", "quote"),
    [
        (account(5_499 * USDC, BTC=-10_000_000), "BTC", 10_000_000, -5_499 * USDC),
        (account(5_000 * USDC, BTC=-10_000_000), "BTC", 5_000_000, -2_500 * USDC),
        (account(-490 * USDC, BTC=400_000, ETH=100_000_000), "ETH", -100_000_000, 294 * USDC),
        (account(110 * USDC, BTC=400_000, ETH=-100_000_000), "ETH", 100_000_000, -306 * USDC),
        (account(-13 * USDC, BTC=100_000_000), "BTC", -21_347, 2_776),  # rounded against the account
        (account(13 * USDC, BTC=-100_000_000), "BTC", 21_347, -2_775),
        (account(1 * USDC, BTC=100_000_000), "BTC", -100_000_000, -1 * USDC),  # cannot be sold at a loss
    ],
)
def test_bankruptcy_price(subaccount, name, delta, quote):
    assert bankruptcy_quote(subaccount, name, delta) == quote


@pytest.mark.parametrize(
    ("subaccount", "adjustment", "spread", "price"),
    [
        (account(-4_501 * USDC, BTC=10_000_000), 2_000_000, 100_000, Fraction(24_999, 50)),
        (account(5_499 * USDC, BTC=-10_000_000), 1_000_000, 100_000, Fraction(50_001, 100)),
        (account(-5_000 * USDC, BTC=10_000_000), 1_000_000, 100_000, Fraction(495)),
        (
            account(4_500 * USDC, BTC=-10_000_000),
            1_000_000,
            100_000,
            Fraction(505),
        ),  # no farther than the spread
        (account(-4_501 * USDC, BTC=10_000_000), 1_000_000, 1, Fraction(4_999_999_999, 10_000_000)),
        (
            account(0, BTC=10_000_000),
            1_000_000,
            100_000,
            Fraction(500),
        ),  # far above maintenance: the oracle's
    ],
)
def test_fillable_price(subaccount, adjustment, spread, price):
    rules = LiquidationRules(bankruptcy_adjustment_ppm=adjustment, spread_to_maintenance_ppm=spread)
    assert fillable_price(subaccount, "BTC", rules) == price


def test_the_fillable_price_of_one_position_among_two():
    rules = LiquidationRules(spread_to_maintenance_ppm=100_000)
    assert fillable_price(account(-490 * USDC, BTC=400_000, ETH=100_000_000), "ETH", rules) == Fraction(
        372, 125
    )


LONG, SHORT = account(-5_100 * USDC, BTC=10_000_000), account(4_900 * USDC, BTC=-10_000_000)


@pytest.mark.parametrize(
    ("subaccount", "delta", "subticks", "fee", "paid"),
    [
        (LONG, -10_000_000, 56_100_000_000, 5_000, 28_050_000),  # at most the fee
        (LONG, -10_000_000, 56_100_000_000, 25_000, 140_250_000),
        (LONG, -10_000_000, 56_100_000_000, 1_000_000, 510_000_000),  # all that is left
        (LONG, -10_000_000, 51_000_000_000, 5_000, 0),
        (LONG, -10_000_000, 50_490_000_000, 5_000, -51_000_000),  # the fund covers the loss
        (SHORT, 10_000_000, 48_951_000_000, 5_000, 4_900_000),
        (SHORT, 10_000_000, 49_490_000_000, 5_000, -49_000_000),
    ],
)
def test_what_a_fill_pays_to_the_insurance_fund(subaccount, delta, subticks, fee, paid):
    quote = fill_quote(abs(delta), subticks, -8)
    assert insurance_delta(subaccount, "BTC", delta, quote, fee) == paid


def test_a_fill_is_rounded_down():
    assert [fill_quote(7, 15, power) for power in (-1, 0, 2)] == [10, 105, 10_500]
    with pytest.raises(ValueError, match="subticks"):
        fill_quote(7, 1.5, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("notional", "already", "most"),
    [
        (500 * USDC, 0, 500 * USDC),  # small: at once
        (5_000 * USDC, 0, 1_000 * USDC),  # never less than the least notional
        (50_000 * USDC, 0, 5_000 * USDC),  # a tenth
        (5_000_000 * USDC, 0, 100_000 * USDC),  # the account's limit
        (5_000_000 * USDC, 70_000 * USDC, 30_000 * USDC),
        (5_000_000 * USDC, 100_001 * USDC, 0),
    ],
)
def test_how_much_of_a_position_a_block_may_liquidate(notional, already, most):
    assert liquidatable_notional(notional, already) == most


def test_genesis_parameters():
    assert (GENESIS.fee_max_ppm, GENESIS.bankruptcy_adjustment_ppm, GENESIS.spread_to_maintenance_ppm) == (
        15_000,
        1_000_000,
        1_500_000,
    )
    with pytest.raises(ValueError, match="fee_max_ppm"):
        LiquidationRules(fee_max_ppm=-1)


@pytest.mark.parametrize(
    ("collateral", "delta", "fund", "deleveraged"),
    [(10, 0, 0, False), (-1, 5, 100, True), (10, -50, 49, True), (10, -50, 50, False), (10, 50, 0, False)],
)
def test_when_other_holders_take_over(collateral, delta, fund, deleveraged):
    assert must_deleverage(Risk(collateral, 20, 10), delta, fund) is deleveraged


def test_deleveraging_closes_at_the_bankruptcy_price_against_the_opposite_side():
    under = account(-5_100 * USDC, BTC=10_000_000)
    taken = deleverage(under, "BTC", [("a", -4_000_000), ("b", 9), ("c", -7_000_000), ("d", -1)])
    assert taken == (
        Deleveraged("a", -4_000_000, 2_040 * USDC),
        Deleveraged("c", -6_000_000, 3_060 * USDC),
    )
    # Nothing is left, and nothing is owed.
    assert under.quote_balance + sum(t.quote for t in taken) == 0


def test_a_short_that_nobody_can_take_over_whole_is_closed_in_part():
    (part,) = deleverage(account(4_900 * USDC, BTC=-10_000_000), "BTC", [("a", 5_000_000)])
    assert part == Deleveraged("a", 5_000_000, -2_450 * USDC)


def test_final_settlement_is_at_the_oracle_price():
    assert settle_finally(account(0, BTC=10), "BTC", [("a", -20)]) == (Deleveraged("a", -10, 5_000),)


def test_a_fill_at_the_bankruptcy_price_keeps_the_ratio_of_collateral_to_maintenance():
    before = account(-490 * USDC, BTC=400_000, ETH=100_000_000)
    (taken,) = deleverage(before, "ETH", [("a", -50_000_000)])
    held = account(before.quote_balance + taken.quote, BTC=400_000, ETH=50_000_000)
    old = account_risk(before.quote_balance, before.holdings)
    new = account_risk(held.quote_balance, held.holdings)
    assert Fraction(new.net_collateral, new.maintenance) == Fraction(old.net_collateral, old.maintenance)


@pytest.mark.parametrize(
    ("name", "delta", "reason"),
    [
        ("ETH", 1, Reason.NOT_FOUND),
        ("BTC", 1, Reason.INVALID_VALUE),  # opens
        ("BTC", 0, Reason.INVALID_VALUE),
        ("BTC", -11, Reason.INVALID_VALUE),  # flips
    ],
)
def test_what_closes_nothing_is_refused(name, delta, reason):
    with pytest.raises(InvalidInputError) as caught:
        bankruptcy_quote(account(0, BTC=10), name, delta)
    assert caught.value.issues[0].reason is reason


def test_without_maintenance_there_is_nothing_to_liquidate():
    free = LiquidityTier(initial_ppm=0, maintenance_fraction_ppm=0)
    held = Holding(
        perpetual=Perpetual(name="X", atomic_resolution=-6, price=1, exponent=0, tier=free), quantums=5
    )
    with pytest.raises(InvalidInputError, match="needs no maintenance"):
        fillable_price(Subaccount(0, (held,)), "X")
