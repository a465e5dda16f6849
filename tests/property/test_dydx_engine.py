"""dYdX v4 twice: in the protocol's integers, and by the engine on floats under a rulebook of the same tier.

A requirement is rounded up in both; the engine does not cut the notional to a quantum first, nor round twice, so that
the two may differ by one quantum and never by more.
"""

import math

from hypothesis import assume, given
from hypothesis import strategies as st

from margrave.core.rounding import Direction
from margrave.domain.account import Account, Balance, Position
from margrave.domain.instruments import Instrument, Linear, Perpetual
from margrave.domain.market import Market, Quote
from margrave.engine.assess import assess
from margrave.engine.assessment import Status
from margrave.liquidation import liquidations
from margrave.protocols import dydx
from margrave.protocols.dydx import MILLION, Holding, LiquidityTier, Risk
from margrave.rulebook.ladders import Tier, TierUnit, WholePosition
from margrave.rulebook.reform import stated
from margrave.rulebook.schema import (
    AccountRules,
    CrossPool,
    LadderModel,
    LevelRule,
    OpenInterestRule,
    OrderRule,
    RateRule,
    RoundingRule,
    Roundings,
)
from tests.unit.made import AT

QUANTUM = 1e-6
SIZES = st.integers(1, 10**9)  # base quantums of a thousandth
PRICES = st.integers(1, 10**8)  # cents, so that a notional is whole quantums
TIERS = st.sampled_from(sorted(dydx.GENESIS_TIERS))


def rulebook_of(tier: LiquidityTier):
    initial, share = tier.initial_ppm / MILLION, tier.maintenance_fraction_ppm / MILLION
    ladder = WholePosition(
        code="TEST-LADDER-001",
        unit=TierUnit.VALUE,
        tiers=(Tier(floor=0.0, initial=initial, maintenance=initial * share),),
    )
    crowd = OpenInterestRule(
        code="TEST-OI-001",
        lower=tier.open_interest_lower / MILLION,
        upper=tier.open_interest_upper / MILLION,
        rounding=RoundingRule(step=1e-6, direction=Direction.DOWN),
    )
    model = LadderModel(
        ladder="tier",
        initial=LevelRule(code="TEST-IM-001", rate=RateRule.LEVERAGE),
        maintenance=LevelRule(code="TEST-MM-001"),
        open_interest=crowd if tier.open_interest_upper else None,
    )
    return stated(
        "test.dydx",
        model,
        AccountRules(cross_pool=CrossPool.SETTLEMENT, code="TEST-ACCOUNT-001", orders=OrderRule.NONE),
        ladders={"tier": ladder},
        rounding=Roundings(margin=RoundingRule(step=QUANTUM, direction=Direction.UP)),
    )


def both(tier: LiquidityTier, quantums: int, cents: int, crowd: int, balance: int, user_ppm: int = 0):
    """Risk in integers, and account and market for the engine; a base quantum is a thousandth."""
    market = dydx.Perpetual(
        name="X", atomic_resolution=-3, price=cents, exponent=-2, tier=tier, open_interest=crowd
    )
    risk = dydx.account_risk(
        balance, [Holding(perpetual=market, quantums=quantums, user_initial_ppm=user_ppm)]
    )
    price, size = cents / 100, quantums / 1000
    instrument = Instrument(
        symbol="X-USD",
        base="X",
        quote="USD",
        settlement="USDC",
        kind=Perpetual(),
        payoff=Linear(contract_size=1.0),
    )
    held = Position(
        symbol="X-USD", quantity=size, entry=price, leverage=MILLION / user_ppm if user_ppm else None
    )
    cash = (
        balance / MILLION + size * price
    )  # dYdX books the notional as debt, the engine books profit from entry
    quotes = {"X-USD": Quote(mark=price)}
    open_interest = {"X-USD": crowd / 1000}
    priced = Market(
        at=AT,
        instruments={"X-USD": instrument},
        quotes=quotes,
        index={"USDC": 1.0},
        open_interest=open_interest,
    )
    return risk, Account(balances=(Balance(asset="USDC", amount=cash),), positions=(held,)), priced


def within_a_quantum(number: float, quantums: int) -> bool:
    # A float of more than a hundred million dollars no longer tells quantums apart: fifteen digits then.
    return abs(number - quantums / MILLION) <= max(1.05 * QUANTUM, 1e-14 * abs(number))


@given(
    TIERS,
    SIZES,
    PRICES,
    st.integers(0, 10**10),
    st.sampled_from([0, 0, 25_000, 333_333, 1_000_000]),
    st.booleans(),
)
def test_integers_and_floats_agree_to_a_quantum(name, size, cents, crowd, user_ppm, short):
    tier = dydx.GENESIS_TIERS[name]
    risk, account, market = both(tier, -size if short else size, cents, crowd, 5 * MILLION, user_ppm)
    pool = assess(account, market, rulebook_of(tier)).pools[0]
    assert pool.issues == ()
    assert within_a_quantum(pool.initial, risk.initial)
    assert within_a_quantum(pool.maintenance, risk.maintenance)
    assert math.isclose(
        pool.margin_balance,
        risk.net_collateral / MILLION,
        rel_tol=1e-12,
        abs_tol=1e-3 * QUANTUM + 1e-15 * size * cents,
    )


@given(TIERS, SIZES, PRICES, st.integers(-(10**17), 10**17), st.booleans())
def test_both_call_the_same_accounts_liquidatable(name, size, cents, balance, short):
    tier = dydx.GENESIS_TIERS[name]
    risk, account, market = both(tier, -size if short else size, cents, 0, balance)
    apart = abs(risk.net_collateral - risk.maintenance) / MILLION
    assume(apart > 2 * QUANTUM + 1e-14 * (abs(balance) / MILLION + size * cents))  # the quantum between them
    pool = assess(account, market, rulebook_of(tier)).pools[0]
    assert (pool.status is Status.LIQUIDATABLE) is dydx.is_liquidatable(risk)


@given(TIERS, st.integers(1_000, 10**7), st.integers(100, 10**6), st.floats(0.05, 0.9), st.booleans())
def test_the_engines_liquidation_price_is_where_the_integers_turn(name, size, cents, share, short):
    tier = dydx.GENESIS_TIERS[name]
    notional = size * cents * 10
    equity = int(notional * (tier.initial_ppm * tier.maintenance_fraction_ppm / 1e12 + share))
    quantums = -size if short else size
    _, account, market = both(tier, quantums, cents, 0, equity - quantums * cents * 10)
    bounds = liquidations(account, market, rulebook_of(tier), "X")[0].bounds
    assume(bounds)
    for factor, liquidatable in ((1 + 1e-6, short), (1 - 1e-6, not short)):
        price = round(bounds[0].exact * factor * 10**8)
        there = dydx.Perpetual(name="X", atomic_resolution=-3, price=price, exponent=-8, tier=tier)
        risk = dydx.account_risk(
            equity - quantums * cents * 10, [Holding(perpetual=there, quantums=quantums)]
        )
        assume(abs(risk.net_collateral - risk.maintenance) > 4)
        assert dydx.is_liquidatable(risk) is liquidatable


RISKS = st.builds(Risk, st.integers(-100, 100), st.just(0), st.integers(0, 100))


@given(RISKS, RISKS, RISKS)
def test_the_order_of_risk_is_an_order_among_accounts_that_ask_for_maintenance(a, b, c):
    assert dydx.compare(a, b) == -dydx.compare(b, a)
    if all(r.maintenance for r in (a, b, c)) and dydx.compare(a, b) <= 0 and dydx.compare(b, c) <= 0:
        assert dydx.compare(a, c) <= 0


@given(RISKS, RISKS)
def test_a_state_that_may_follow_is_never_riskier(old, new):
    if dydx.improves(old, new):
        assert new.maintenance <= old.maintenance
        assert dydx.compare(new, old) <= 0


@given(TIERS, st.integers(0, 10**18), st.integers(0, 10**15))
def test_more_open_interest_never_asks_less_and_maintenance_never_moves(name, crowd, more):
    tier = dydx.GENESIS_TIERS[name]
    low, high = (dydx.initial_ppm(tier, crowd + extra) for extra in (0, more))
    assert tier.initial_ppm <= low <= high <= MILLION
