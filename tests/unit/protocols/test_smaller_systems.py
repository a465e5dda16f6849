"""Hyperliquid, Synthetix, Opyn, Paradex, Perennial, GMX. Figures: specification of on-chain systems, sections 5 and 6."""

import pytest

from margrave.core.errors import InvalidInputError, Reason
from margrave.domain.instruments import Right
from margrave.protocols import gmx, hyperliquid, option_cross, opyn, paradex, perennial, synthetix
from margrave.protocols.hyperliquid import Borrowable, Collateral, Stage
from margrave.protocols.option_cross import PARADEX_INITIAL, PARADEX_MAINTENANCE, CrossTerms

INFINITE = float("inf")

# --- Paradex ---


@pytest.mark.parametrize(
    ("mark", "initial", "maintenance"),
    [(10.0, 10.0, 5.0), (30.0, 20.0, 10.0), (0.0, 0.0, 0.0)],  # the premium, then the share of spot
)
def test_a_bought_perpetual_option(mark, initial, maintenance):
    levels = (PARADEX_INITIAL, PARADEX_MAINTENANCE)
    assert [option_cross.long_margin(terms, mark, 100.0) for terms in levels] == [initial, maintenance]


@pytest.mark.parametrize(
    ("right", "strike", "initial", "maintenance"),
    [
        (Right.CALL, 106.0, 10.0, 5.0),  # 15 - 6 is below the floor
        (Right.CALL, 102.0, 13.0, 5.5),
        (Right.PUT, 106.0, 15.0, 7.5),  # in the money: nothing is taken off
        (Right.PUT, 40.0, 10.0, 5.0),
        (Right.PUT, 8.0, 4.0, 4.0),  # half of the strike
        (Right.CALL, 8.0, 15.0, 7.5),  # a call has no such cap
    ],
)
def test_a_sold_perpetual_option(right, strike, initial, maintenance):
    levels = (PARADEX_INITIAL, PARADEX_MAINTENANCE)
    got = [option_cross.short_margin(terms, right, strike, 100.0) for terms in levels]
    assert got == pytest.approx([initial, maintenance])


@pytest.mark.parametrize(
    "build",
    [
        lambda: option_cross.long_margin(PARADEX_INITIAL, -1.0, 100.0),
        lambda: option_cross.long_margin(PARADEX_INITIAL, 1.0, 0.0),
        lambda: option_cross.short_margin(PARADEX_INITIAL, Right.PUT, float("nan"), 100.0),
        lambda: CrossTerms(premium=-1.0, long_cap=0.2, short_base=0.1, short_floor=0.1, short_put_cap=0.5),
    ],
)
def test_an_option_that_cannot_be_is_refused(build):
    with pytest.raises(ValueError, match="must be"):
        build()


# --- Synthetix v3 ---

BTC = synthetix.PerpsMarket(
    skew_scale=100.0,
    initial_fraction=2.0,
    minimum_ratio=0.01,
    maintenance_scalar=0.5,
    minimum_position_margin=1_000.0,
)
ETH = synthetix.PerpsMarket(
    skew_scale=1_000.0,
    initial_fraction=2.0,
    minimum_ratio=0.01,
    maintenance_scalar=0.5,
    minimum_position_margin=500.0,
)
HELD = (synthetix.PerpsPosition(BTC, -2.0, 30_000.0), synthetix.PerpsPosition(ETH, 20.0, 2_000.0))


def test_synthetix_account():
    assert synthetix.margins(HELD, 99_000.0) == synthetix.Margins(6_500.0, 4_000.0, 92_500.0)


def test_liquidation_rewards_stand_on_top_and_a_flat_market_asks_for_nothing():
    flat = synthetix.PerpsPosition(BTC, 0.0, 30_000.0)
    assert synthetix.margins((*HELD, flat), 6_000.0, 100.0) == synthetix.Margins(6_600.0, 4_100.0, 0.0)


@pytest.mark.parametrize(
    ("skew", "size", "price"),
    [(0.0, 2.0, 1_010.0), (2.0, -2.0, 1_010.0), (1.0, -2.0, 1_000.0), (-10.0, 0.0, 900.0)],
)
def test_a_fill_pays_the_mean_of_the_skew_before_and_after(skew, size, price):
    assert synthetix.fill_price(BTC, 1_000.0, skew, size) == pytest.approx(price)


@pytest.mark.parametrize(
    "build",
    [
        lambda: synthetix.margins(HELD, float("nan")),
        lambda: synthetix.margins(HELD, 1.0, -1.0),
        lambda: synthetix.PerpsPosition(BTC, 1.0, -5.0),
        lambda: synthetix.fill_price(BTC, 0.0, 0.0, 1.0),
        lambda: synthetix.PerpsMarket(
            skew_scale=0.0,
            initial_fraction=1.0,
            minimum_ratio=0.1,
            maintenance_scalar=0.5,
            minimum_position_margin=0.0,
        ),
    ],
)
def test_synthetix_refuses_what_cannot_be(build):
    with pytest.raises(ValueError, match="must be"):
        build()


# --- Opyn ---


@pytest.mark.parametrize(
    ("right", "strike", "spot", "days", "margin"),
    [
        (Right.PUT, 100.0, 150.0, 7, 16.78),  # published
        (Right.PUT, 100.0, 150.0, 14, 23.7),  # published
        (Right.CALL, 2_500.0, 1_800.0, 7, 0.1678),  # published, in units of the underlying
        (Right.PUT, 100.0, 80.0, 7, 0.1678 * 60.0 + 40.0),  # spot may fall to 60
        (Right.CALL, 60.0, 90.0, 7, 0.1678 * 0.5 + 0.5),  # spot may rise to 120
    ],
)
def test_a_naked_option(right, strike, spot, days, margin):
    got = opyn.naked_margin(right, strike, spot, opyn.upper_bound(days))
    assert got == pytest.approx(margin, rel=1e-12)


def test_the_bound_is_that_of_the_first_step_that_reaches_the_expiry():
    assert [opyn.upper_bound(d) for d in (0, 7, 7.01, 28, 41, 56)] == [
        0.1678,
        0.1678,
        0.2370,
        0.3326,
        0.4032,
        0.4603,
    ]
    with pytest.raises(InvalidInputError) as caught:
        opyn.upper_bound(57)
    assert caught.value.issues[0].reason is Reason.NOT_PUBLISHED


@pytest.mark.parametrize(
    ("right", "short", "long", "loss"),
    [
        (Right.PUT, (1.0, 250.0), (1.0, 200.0), 50.0),
        (Right.PUT, (1.0, 200.0), (1.0, 250.0), 0.0),
        (Right.PUT, (2.0, 250.0), (1.0, 200.0), 300.0),  # at zero one put is naked
        (Right.PUT, (1.0, 250.0), (3.0, 200.0), 50.0),  # at 200 the bought ones are worth nothing yet
        (Right.CALL, (1.0, 200.0), (1.0, 250.0), 0.2),  # 50 of 250
        (Right.CALL, (1.0, 250.0), (1.0, 200.0), 0.0),
        (Right.CALL, (2.0, 250.0), (1.0, 200.0), 1.0),  # without end one call is naked
        (Right.CALL, (1.0, 200.0), (0.0, 250.0), 1.0),
    ],
)
def test_a_spread_asks_for_its_largest_loss(right, short, long, loss):
    assert opyn.spread_margin(right, short, long) == pytest.approx(loss)


@pytest.mark.parametrize(("right", "unit"), [(Right.PUT, False), (Right.CALL, True)])
def test_the_largest_loss_is_that_of_a_dense_scan(right, unit):
    short, long = (2.0, 230.0), (1.5, 270.0) if unit else (1.5, 180.0)
    sign = 1.0 if unit else -1.0
    worst = 0.0
    for k in range(1, 40_000):
        price = k * 0.5
        payoff = [n * max(sign * (price - strike), 0.0) for n, strike in (short, long)]
        worst = max(worst, (payoff[0] - payoff[1]) / (price if unit else 1.0))
    assert opyn.spread_margin(right, short, long) == pytest.approx(worst, rel=2e-2)
    assert opyn.spread_margin(right, short, long) >= worst - 1e-12


@pytest.mark.parametrize(
    ("start", "seconds", "price"),
    [(10.0, 0, 10.0), (10.0, 900, 20.0), (-5.0, 1_800, 25.0), (10.0, 9_999, 50.0)],
)
def test_the_auction_slides_over_an_hour(start, seconds, price):
    assert opyn.auction_price(start, 50.0, seconds) == pytest.approx(price)


@pytest.mark.parametrize(
    "build",
    [
        lambda: opyn.naked_margin(Right.PUT, 0.0, 1.0, 0.1),
        lambda: opyn.naked_margin(Right.PUT, 1.0, 1.0, 1.1),
        lambda: opyn.naked_margin(Right.CALL, 1.0, 1.0, 0.1, 0.0),
        lambda: opyn.spread_margin(Right.CALL, (-1.0, 1.0), (1.0, 1.0)),
        lambda: opyn.spread_margin(Right.CALL, (1.0, 1.0), (1.0, 0.0)),
        lambda: opyn.auction_price(1.0, 2.0, -1.0),
        lambda: opyn.upper_bound(float("nan")),
    ],
)
def test_opyn_refuses_what_cannot_be(build):
    with pytest.raises(ValueError, match="must be"):
        build()


# --- Hyperliquid ---

HYPE = Collateral(balance=10_000.0, oracle=40.0, loan_to_value=0.5)


def test_borrowing_power_of_the_published_example():
    assert hyperliquid.borrowing_power([HYPE]) == 200_000.0
    capped = Collateral(balance=10_000.0, oracle=40.0, loan_to_value=0.5, supply_cap=1_000.0)
    assert hyperliquid.borrowing_power([capped]) == 20_000.0


@pytest.mark.parametrize(
    ("tokens", "collateral", "maintenance", "ratio"),
    [
        ([Borrowable(balance=1_000.0)], (), 980.0, 1.0),
        ([Borrowable(balance=0.0, borrowed=149_980.0)], [HYPE], 0.0, 0.5),  # 300,000 count
        ([Borrowable(balance=0.0, borrowed=49_980.0, borrow_cap=100_000.0)], [HYPE], 0.0, 0.5),
        ([Borrowable(balance=1e6), Borrowable(balance=80.0)], (), 20.0, 0.5),  # the worst token
        ([Borrowable(balance=0.0)], (), 0.0, INFINITE),
    ],
)
def test_the_portfolio_ratio(tokens, collateral, maintenance, ratio):
    assert hyperliquid.portfolio_ratio(maintenance, tokens, collateral) == pytest.approx(ratio)


@pytest.mark.parametrize(("utilisation", "rate"), [(0.0, 0.05), (0.8, 0.05), (0.9, 0.525), (1.0, 1.0)])
def test_the_borrow_rate_has_a_kink(utilisation, rate):
    assert hyperliquid.borrow_rate(utilisation) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("equity", "stage"),
    [
        (100.0, Stage.NONE),
        (90.0, Stage.NONE),
        (89.0, Stage.BOOK),
        (60.0, Stage.BOOK),  # two thirds
        (59.0, Stage.BACKSTOP),
        (0.0, Stage.DELEVERAGE),
    ],
)
def test_who_closes_an_account(equity, stage):
    assert hyperliquid.stage(equity, 90.0) is stage


def test_without_positions_nobody_does():
    assert hyperliquid.stage(-1.0, 0.0) is Stage.NONE


def test_sizes_of_withdrawals_and_first_orders():
    assert hyperliquid.withdrawable(1_000.0, 50.0, 2_000.0) == 800.0  # a tenth of notional binds
    assert hyperliquid.withdrawable(1_000.0, 400.0, 2_000.0) == 600.0
    assert hyperliquid.withdrawable(100.0, 400.0, 2_000.0) == 0.0
    assert [hyperliquid.first_order(n) for n in (100_000.0, 200_000.0)] == [100_000.0, 40_000.0]
    assert hyperliquid.maintenance_rate(50.0) == 0.01


@pytest.mark.parametrize(
    "build",
    [
        lambda: hyperliquid.portfolio_ratio(0.0, []),
        lambda: hyperliquid.portfolio_ratio(-1.0, [Borrowable(balance=1.0)]),
        lambda: Borrowable(balance=-1.0),
        lambda: Collateral(balance=1.0, oracle=1.0, loan_to_value=1.5),
        lambda: Collateral(balance=float("nan"), oracle=1.0, loan_to_value=0.5),
        lambda: hyperliquid.borrow_rate(1.1),
        lambda: hyperliquid.maintenance_rate(0.0),
        lambda: hyperliquid.stage(float("nan"), 1.0),
    ],
)
def test_hyperliquid_refuses_what_cannot_be(build):
    with pytest.raises(ValueError, match="must be"):
        build()


# --- Perennial v2 ---

PERENNIAL = perennial.RiskParameters(
    maintenance=0.02,
    minimum_maintenance=5.0,
    liquidation_fee=0.5,
    minimum_liquidation_fee=3.0,
    maximum_liquidation_fee=20.0,
)


@pytest.mark.parametrize(
    ("size", "price", "maintenance", "fee"),
    [
        (10.0, 100.0, 20.0, 10.0),
        (-10.0, 100.0, 20.0, 10.0),
        (10.0, -100.0, 20.0, 10.0),  # a payoff's price may be below zero
        (1.0, 100.0, 5.0, 3.0),  # both minima
        (100.0, 100.0, 200.0, 20.0),  # the fee's maximum
        (0.0, 100.0, 0.0, 3.0),
    ],
)
def test_perennial(size, price, maintenance, fee):
    assert perennial.maintenance(PERENNIAL, size, price) == pytest.approx(maintenance)
    assert perennial.liquidation_fee(PERENNIAL, size, price) == pytest.approx(fee)
    assert perennial.is_liquidatable(PERENNIAL, size, price, maintenance - 1e-6)
    assert not perennial.is_liquidatable(PERENNIAL, size, price, maintenance)


def test_perennial_refuses_bounds_that_cross():
    with pytest.raises(ValueError, match="at most the maximum"):
        perennial.RiskParameters(
            maintenance=0.02,
            minimum_maintenance=5.0,
            liquidation_fee=0.5,
            minimum_liquidation_fee=30.0,
            maximum_liquidation_fee=20.0,
        )
    with pytest.raises(ValueError, match="price"):
        perennial.maintenance(PERENNIAL, 1.0, float("nan"))


# --- GMX v2 ---

GMX = gmx.MarketRules(minimum_collateral=1.0, minimum_collateral_factor=0.01, impact_cap=0.005)


def gmx_position(**more: float) -> gmx.PositionState:
    return gmx.PositionState(
        **{"size": 1_000.0, "collateral": 100.0, "profit": -50.0, "impact": 0.0, "fees": 2.0, **more}
    )


@pytest.mark.parametrize(
    ("more", "left", "liquidatable"),
    [
        ({}, 48.0, False),
        ({"impact": 30.0}, 48.0, False),  # a positive impact counts nothing
        ({"impact": -3.0}, 45.0, False),
        ({"impact": -30.0}, 43.0, False),  # up to its cap
        ({"profit": -88.0}, 10.0, False),
        ({"profit": -88.1}, 9.9, True),  # below a hundredth of the size
        ({"size": 10.0, "collateral": 2.9, "profit": 0.0}, 0.9, True),  # below a dollar
    ],
)
def test_gmx(more, left, liquidatable):
    position = gmx_position(**more)
    assert gmx.remaining_collateral(GMX, position) == pytest.approx(left)
    assert gmx.is_liquidatable(GMX, position) is liquidatable


@pytest.mark.parametrize(
    ("profit", "pool_profit", "paid"),
    [(10.0, 40.0, 10.0), (10.0, 100.0, 5.0), (-10.0, 100.0, -10.0), (10.0, -5.0, 10.0)],
)
def test_traders_together_get_at_most_a_share_of_the_pool(profit, pool_profit, paid):
    assert gmx.capped_profit(profit, pool_profit, 100.0, 0.5) == pytest.approx(paid)


@pytest.mark.parametrize(
    "build",
    [
        lambda: gmx_position(size=0.0),
        lambda: gmx_position(fees=-1.0),
        lambda: gmx_position(profit=float("nan")),
        lambda: gmx.MarketRules(minimum_collateral=-1.0, minimum_collateral_factor=0.0, impact_cap=0.0),
        lambda: gmx.capped_profit(1.0, 1.0, -1.0, 0.5),
        lambda: gmx.capped_profit(1.0, 1.0, 1.0, 1.5),
    ],
)
def test_gmx_refuses_what_cannot_be(build):
    with pytest.raises(ValueError, match="must be"):
        build()


# --- Paradex portfolio margin ---


def test_pmd_9_net_gross_and_hedged_delta():
    # Long a perpetual, short five calls of delta 0.3 (inverse margining, PMD-9).
    held = paradex.deltas([1.0, -5 * 0.3])
    assert (held.net, held.gross, held.hedged) == pytest.approx((-0.5, 2.5, 1.0))
    assert paradex.minimum_delta(held, 100.0) == pytest.approx(2.0)  # 2 % of 0.5 and 1 % of 1


@pytest.mark.parametrize(
    ("scan", "minimum", "initial", "maintenance"), [(10.0, 2.0, 14.0, 9.0), (1.0, 2.0, 6.0, 5.0)]
)
def test_provisions_stand_on_top_of_the_larger(scan, minimum, initial, maintenance):
    assert paradex.portfolio_margin(scan, minimum, 3.0, 1.0) == paradex.PortfolioMargin(initial, maintenance)


@pytest.mark.parametrize(
    "build",
    [
        lambda: paradex.deltas([float("nan")]),
        lambda: paradex.minimum_delta(paradex.deltas([1.0]), 0.0),
        lambda: paradex.portfolio_margin(-1.0, 0.0),
    ],
)
def test_paradex_refuses_what_cannot_be(build):
    with pytest.raises(ValueError, match="must be"):
        build()
