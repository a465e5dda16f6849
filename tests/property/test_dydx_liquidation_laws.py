"""Laws of dYdX's liquidation: what a fill at the bankruptcy price leaves, and where the fillable price lies."""

from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from margrave.protocols.dydx import Holding, LiquidityTier, Perpetual, account_risk
from margrave.protocols.dydx_liquidation import (
    Subaccount,
    bankruptcy_quote,
    deleverage,
    fillable_price,
    insurance_delta,
)

TIER = LiquidityTier(initial_ppm=200_000, maintenance_fraction_ppm=500_000)
QUANTUMS = st.integers(-(10**9), 10**9).filter(bool)


@st.composite
def accounts(draw):
    held = tuple(
        Holding(
            perpetual=Perpetual(
                name=name, atomic_resolution=-6, price=draw(st.integers(1, 1000)), exponent=0, tier=TIER
            ),
            quantums=draw(QUANTUMS),
        )
        for name in ("A", "B")[: draw(st.integers(1, 2))]
    )
    return Subaccount(draw(st.integers(-(10**12), 10**12)), held)


@given(accounts(), st.floats(0, 1))
def test_a_fill_at_the_bankruptcy_price_releases_its_share_of_equity(account, share):
    held = account.holdings[0]
    delta = -int(held.quantums * share)
    assume(delta)
    quote = bankruptcy_quote(account, "A", delta)
    rest = Holding(perpetual=held.perpetual, quantums=held.quantums + delta)
    before = account_risk(account.quote_balance, account.holdings)
    after = account_risk(account.quote_balance + quote, (rest, *account.holdings[1:]))
    exact = Fraction(before.net_collateral * after.maintenance, before.maintenance)
    assert 0 <= after.net_collateral - exact < 1  # rounded in the account's favour, by less than a quantum


@given(accounts())
def test_closing_everything_at_bankruptcy_prices_leaves_nothing(account):
    left = account
    for held in account.holdings:
        taken = deleverage(left, held.perpetual.name, [("other", -held.quantums)])
        assert sum(t.quantums for t in taken) == -held.quantums
        kept = tuple(h for h in left.holdings if h.perpetual.name != held.perpetual.name)
        left = Subaccount(left.quote_balance + sum(t.quote for t in taken), kept)
    assert left.holdings == ()
    assert abs(left.quote_balance) <= len(account.holdings)


@given(accounts())
def test_the_fillable_price_lies_between_the_oracles_and_the_spread(account):
    held, risk = account.holdings[0], account_risk(account.quote_balance, account.holdings)
    price, oracle = fillable_price(account, "A"), held.perpetual.price
    worse = (oracle - price) * (1 if held.quantums > 0 else -1)
    assert 0 <= worse * abs(held.quantums) <= Fraction(3, 2) * account_risk(0, [held]).maintenance
    if risk.net_collateral >= risk.maintenance:
        assert price == oracle


@given(accounts(), st.integers(0, 10**12), st.integers(0, 10**6))
def test_the_fund_takes_at_most_its_fee_and_pays_every_loss(account, quote, fee):
    delta = -account.holdings[0].quantums
    paid = insurance_delta(account, "A", delta, quote, fee)
    left = (quote if delta < 0 else -quote) - bankruptcy_quote(account, "A", delta)
    assert paid == min(left, quote * fee // 10**6)
    assert paid <= quote
    if left < 0:
        assert paid == left


@given(accounts(), st.integers(0, 10**12), st.floats(0, 1))
def test_pmd_7_a_liquidation_step_never_worsens_the_ratio(account, quote, share):
    """Whatever the fill, once the insurance fund has taken or paid its part (inverse margining, PMD-7)."""
    held = account.holdings[0]
    delta = -int(held.quantums * share)
    assume(delta)
    received = -quote if delta > 0 else quote
    paid = insurance_delta(account, "A", delta, quote)
    rest = Holding(perpetual=held.perpetual, quantums=held.quantums + delta)
    before = account_risk(account.quote_balance, account.holdings)
    after = account_risk(account.quote_balance + received - paid, (rest, *account.holdings[1:]))
    assert after.net_collateral * before.maintenance >= before.net_collateral * after.maintenance
