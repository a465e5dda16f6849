"""dYdX v4 in integers. Figures of the specification of on-chain systems, section 2, unless a line says otherwise."""

import pytest

from margrave.core.errors import Reason, RefusedError
from margrave.protocols.dydx import (
    GENESIS_TIERS,
    MILLION,
    Holding,
    LiquidityTier,
    Perpetual,
    Risk,
    Transition,
    account_risk,
    clamped_funding_ppm,
    compare,
    funding_clamp_ppm,
    funding_settlement_ppm,
    improves,
    initial_margin,
    initial_ppm,
    is_liquidatable,
    maintenance_margin,
    maintenance_ppm,
    meets_initial,
    meets_maintenance,
    net_notional,
    position_risk,
    require_isolation,
    require_transition,
    settled,
    transition,
)

FIFTH = LiquidityTier(initial_ppm=200_000, maintenance_fraction_ppm=500_000)
CROWDED = LiquidityTier(
    initial_ppm=200_000,
    maintenance_fraction_ppm=500_000,
    open_interest_lower=1_000_000,
    open_interest_upper=2_000_000,
)


def perpetual(tier: LiquidityTier = FIFTH, price: int = 500, **more: object) -> Perpetual:
    """A market at 500 quote quantums per base quantum, the Bitcoin of the protocol's tests."""
    return Perpetual(
        **{"name": "BTC", "atomic_resolution": -6, "price": price, "exponent": 0, "tier": tier, **more}  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("resolution", "price", "exponent", "quantums", "notional"),
    [
        (-16, 123_456_789_123, -5, 10**12, 123_456_789),  # published: cut toward zero
        (-16, 123_456_789_123, -5, -(10**12), -123_456_789),  # published: toward zero on this side too
        (4, 123_456_789_123, -5, 1, 12_345_678_912_300_000),
        (-6, 500, 0, 10_000_000, 5_000_000_000),
        (-10, 8_991_920_000, -5, 10**10, 89_919_200_000),  # one coin at 89,919.2 USDC
        (-6, 1, 0, 2**64 + 1, 2**64 + 1),  # beyond what float64 can tell apart
        (-6, 500, 0, 0, 0),
        (-6, 0, 0, 7_000, 0),
    ],
)
def test_a_notional_is_exact_and_cut_toward_zero(resolution, price, exponent, quantums, notional):
    market = perpetual(price=price, atomic_resolution=resolution, exponent=exponent)
    assert net_notional(market, quantums) == notional


@pytest.mark.parametrize(
    ("open_interest", "ppm"),
    [
        (0, 200_000),
        (1_000_000, 200_000),  # at the lower bound nothing is added
        (1_234_567, 387_653),  # published: 187,653.6 is rounded down
        (1_999_999, 999_999),
        (2_000_000, MILLION),
        (2_500_000, MILLION),
    ],
)
def test_the_initial_rate_grows_with_open_interest(open_interest, ppm):
    assert initial_ppm(CROWDED, open_interest) == ppm


def test_a_tier_without_an_upper_bound_never_leaves_its_rate():
    assert initial_ppm(FIFTH, 10**30) == 200_000


def test_bounds_that_meet_are_a_step():
    tier = LiquidityTier(
        initial_ppm=1, maintenance_fraction_ppm=1, open_interest_lower=5, open_interest_upper=5
    )
    assert [initial_ppm(tier, crowd) for crowd in (4, 5, 6)] == [1, 1, MILLION]


@pytest.mark.parametrize(("user", "rate"), [(0, 387_653), (300_000, 387_653), (500_000, 500_000)])
def test_the_rate_that_the_holder_set_counts_where_it_is_larger(user, rate):
    assert initial_ppm(CROWDED, 1_234_567, user) == rate


@pytest.mark.parametrize(
    ("ppm", "notional", "margin"),
    [(200_000, 500_000, 100_000), (100_000, 1, 1), (567_243, 123_456, 70_030), (0, 123, 0)],
)
def test_initial_margin_is_rounded_up(ppm, notional, margin):
    tier = LiquidityTier(initial_ppm=ppm, maintenance_fraction_ppm=500_000)
    assert initial_margin(tier, notional) == margin


def test_maintenance_is_rounded_up_twice_and_never_grows_with_open_interest():
    # 74,523 quantums at 123,456 USDC: 5 % of 9,200,311,488 and 60 % of that (published).
    tier = LiquidityTier(initial_ppm=50_000, maintenance_fraction_ppm=600_000)
    assert maintenance_margin(tier, 9_200_311_488) == 276_009_345
    assert maintenance_margin(LiquidityTier(initial_ppm=1, maintenance_fraction_ppm=1), 1) == 1
    crowded = Holding(perpetual=perpetual(CROWDED, open_interest=10_000), quantums=100)
    assert position_risk(crowded) == Risk(50_000, 50_000, 5_000)


def test_a_realistic_open_interest():
    # Published: 36,750 USDC, 1,123.456789 coins open between 25 and 50 million USDC, a position of 0.012 coins.
    tier = LiquidityTier(
        initial_ppm=200_000,
        maintenance_fraction_ppm=500_000,
        open_interest_lower=25_000_000 * MILLION,
        open_interest_upper=50_000_000 * MILLION,
    )
    market = perpetual(tier, price=367_500, exponent=-1, open_interest=1_123_456_789)
    assert position_risk(Holding(perpetual=market, quantums=12_000)) == Risk(
        441_000_000, 318_042_585, 44_100_000
    )


def test_a_long_and_a_short_ask_for_the_same():
    long, short = (position_risk(Holding(perpetual=perpetual(), quantums=q)) for q in (7, -7))
    assert (long.initial, long.maintenance) == (short.initial, short.maintenance)
    assert long.net_collateral == -short.net_collateral


def test_risks_add_up_to_the_account():
    held = [
        Holding(perpetual=perpetual(FIFTH, price=100, name="A"), quantums=100),
        Holding(perpetual=perpetual(FIFTH, price=200, name="B"), quantums=-25),
    ]
    assert account_risk(110, held) == Risk(5_110, 3_000, 1_500)
    assert account_risk(7) == Risk(7, 0, 0)
    with pytest.raises(ValueError, match="one a market"):
        account_risk(0, [held[0], held[0]])


@pytest.mark.parametrize(
    ("risk", "initial", "maintenance", "liquidatable"),
    [
        (Risk(100, 100, 50), True, True, False),
        (Risk(99, 100, 50), False, True, False),
        (Risk(50, 100, 50), False, True, False),
        (Risk(49, 100, 50), False, False, True),
        (Risk(0, 0, 0), True, True, False),
        (Risk(-100, 0, 0), False, False, False),  # debt without positions: nothing to close
    ],
)
def test_what_a_risk_allows(risk, initial, maintenance, liquidatable):
    assert (meets_initial(risk), meets_maintenance(risk), is_liquidatable(risk)) == (
        initial,
        maintenance,
        liquidatable,
    )


@pytest.mark.parametrize(
    ("first", "second", "order"),
    [
        ((100, 50), (100, 100), -1),
        ((-100, 150), (-100, 100), -1),  # the same debt over more maintenance is the smaller ratio
        ((100, 150), (100, 100), 1),
        ((100, 100), (100, 0), 1),
        ((100, 100), (100, 100), 0),
        ((0, 50), (0, 100), -1),  # tie: the smaller maintenance
        ((100, 50), (0, 0), 1),
        ((200, 0), (100, 0), -1),  # tie: the larger collateral
    ],
)
def test_the_order_of_risk(first, second, order):
    a, b = (Risk(collateral, 0, asked) for collateral, asked in (first, second))
    assert (compare(a, b), compare(b, a)) == (order, -order)


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        (Risk(-1, 9, 0), Risk(-1, 9, 1), False),  # published: maintenance grows
        (Risk(-1, 0, 0), Risk(-1, 0, 0), False),  # published: debt stays
        (Risk(-2, 0, 0), Risk(-1, 0, 0), True),  # published: debt is paid down
        (Risk(-2, 9, 1), Risk(-1, 0, 0), False),  # published: the last position closed with debt left
        (Risk(50, 200, 100), Risk(25, 100, 50), True),  # half of everything
        (Risk(50, 200, 100), Risk(24, 100, 50), False),  # half of the position, more than half of the equity
        (Risk(50, 200, 100), Risk(26, 100, 50), True),
    ],
)
def test_which_states_below_initial_margin_may_follow(old, new, allowed):
    assert improves(old, new) is allowed


def test_a_refusal_says_whether_the_account_was_under_before():
    healthy, under, worse = Risk(300, 200, 100), Risk(150, 200, 100), Risk(140, 200, 100)
    assert transition(under, healthy) is Transition.ALLOWED
    assert transition(healthy, under) is Transition.NEWLY_UNDER
    assert transition(under, worse) is Transition.STILL_UNDER
    require_transition("subaccount 0", under, healthy)
    with pytest.raises(RefusedError, match="still below initial margin") as caught:
        require_transition("subaccount 0", under, worse)
    (issue,) = caught.value.issues
    assert (issue.where, issue.reason) == ("subaccount 0", Reason.INSUFFICIENT)


def test_an_isolated_market_stands_alone():
    alone = Holding(perpetual=perpetual(name="ISO", isolated=True), quantums=5)
    other = Holding(perpetual=perpetual(), quantums=1)
    closed = Holding(perpetual=perpetual(), quantums=0)
    require_isolation("subaccount 128", [alone])
    require_isolation("subaccount 128", [alone, closed])
    with pytest.raises(RefusedError, match="ISO, BTC"):
        require_isolation("subaccount 128", [alone, other])


def test_funding_is_exact_until_it_is_booked_and_then_rounded_against_the_holder():
    assert funding_settlement_ppm(123_456_789_123, 100_000_000_000, MILLION) == -23_456_789_123_000_000
    assert funding_settlement_ppm(100, -100, 30_000) == -6_000_000
    assert [settled(ppm) for ppm in (1_999_999, -1, 0)] == [1, -1, 0]


def test_the_funding_rate_is_clamped_by_the_distance_of_the_two_rates():
    tier = LiquidityTier(initial_ppm=150_000, maintenance_fraction_ppm=800_000)
    assert maintenance_ppm(tier) == 120_000
    assert funding_clamp_ppm(tier) == 180_000  # published: 600 % of 3 %
    assert [clamped_funding_ppm(rate, tier) for rate in (-999_999, 5, 999_999)] == [-180_000, 5, 180_000]


def test_genesis_tiers():
    assert {
        name: (t.initial_ppm, maintenance_ppm(t), t.open_interest_lower, t.open_interest_upper)
        for name, t in GENESIS_TIERS.items()
    } == {
        "large": (20_000, 12_000, 0, 0),
        "mid": (50_000, 30_000, 40_000_000_000_000, 100_000_000_000_000),
        "small": (100_000, 50_000, 20_000_000_000_000, 50_000_000_000_000),
        "long-tail": (200_000, 100_000, 5_000_000_000_000, 10_000_000_000_000),
        "isolated": (50_000, 30_000, 500_000_000_000, 1_000_000_000_000),
        "safety": (1_000_000, 200_000, 2_000_000_000_000, 5_000_000_000_000),
        "FX": (10_000, 5_000, 500_000_000_000, 1_000_000_000_000),
    }


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: LiquidityTier(initial_ppm=MILLION + 1, maintenance_fraction_ppm=0), "initial_ppm"),
        (lambda: LiquidityTier(initial_ppm=0, maintenance_fraction_ppm=-1), "maintenance_fraction_ppm"),
        (
            lambda: LiquidityTier(
                initial_ppm=0, maintenance_fraction_ppm=0, open_interest_lower=2, open_interest_upper=1
            ),
            "open_interest_lower",
        ),
        (lambda: perpetual(price=-1), "price"),
        (lambda: perpetual(price=500.0), "price"),
        (lambda: perpetual(open_interest=-1), "open_interest"),
        (lambda: perpetual(exponent=65), "exponent"),
        (lambda: Holding(perpetual=perpetual(), quantums=1.5), "quantums"),
        (lambda: Holding(perpetual=perpetual(), quantums=True), "quantums"),
        (lambda: Holding(perpetual=perpetual(), quantums=1, user_initial_ppm=MILLION + 1), "user_initial"),
        (lambda: account_risk(1.0), "quote_balance"),
    ],
)
def test_what_cannot_be_is_named(build, name):
    with pytest.raises(ValueError, match=name):
        build()
