"""Derive's second portfolio manager in fixed point: each part by hand under the parameters of its fixtures (PMD-1)."""

from dataclasses import replace
from math import exp, log, sqrt

import pytest

from margrave.core.fixed import Fixed, fixed
from margrave.kernels.discounted_option import discounted_price
from margrave.protocols.derive_pmrm import Expiry, OptionLeg
from margrave.protocols.derive_pmrm2 import Collateral, Scenario, Subaccount, VolMove, portfolio_margin
from tests.unit.protocols.pmrm2_made import TERMS

DAY = 86_400
MONTH = 30 * DAY
YEARS = 30 / 365
RATE = 0.05


def units(text):
    return fixed(text).units


def leg(strike, is_call, amount, vol="0.6"):
    return OptionLeg(fixed(strike), is_call, fixed(amount), fixed(vol))


def expiry(*legs, seconds=MONTH, variable="2000", confidence="1", rate="0.05"):
    return Expiry(seconds, Fixed(0), fixed(variable), fixed(rate), fixed(confidence), legs)


def asset(amount="5", price="2000", follows=True, **parts):
    return Collateral(
        amount=fixed(amount), price=fixed(price), follows=follows, **{k: fixed(v) for k, v in parts.items()}
    )


def asked(terms=TERMS, **parts):
    told = {k: fixed(v) if isinstance(v, str) else v for k, v in parts.items()}
    return portfolio_margin(Subaccount(spot=fixed("2000"), **told), terms)


def under(move, spot="1", share="1", **changes):
    """Terms with a single scenario."""
    return replace(TERMS, scenarios=(Scenario(fixed(spot), move, fixed(share)),), **changes)


def price(forward, strike, vol, is_call=True, years=YEARS, rate=RATE):
    return float(discounted_price(forward, strike, vol, years, is_call, exp(-rate * years)))


def test_a_perpetual_loses_18_per_cent_and_its_contingencies():
    # Three long at 2,001: 3 x 2,001 x 0.18 = 1,080.54, of which maintenance asks 0.8; 1.5 % and 0.5 % of 6,000.
    found = asked(perp="3", perp_price="2001", perp_profit="7", cash="1000")
    assert min(found.profits).units == units("-1080.54")
    assert (found.contingency.units, found.initial_contingency.units) == (units("90"), units("30"))
    assert found.maintenance.units == units("52.568")
    assert found.initial.units == units("-193.54")
    assert found.mark_to_market.units == units("7")


def test_a_far_scenario_counts_by_its_share():
    found = asked(under(VolMove.UP, "4", "0.012"), perp="-1", perp_price="2000")
    assert found.profits == (fixed("-72"),)  # 3 x 2,000 x 0.012


def test_collateral_is_worth_its_price_over_the_stable_coin_less_haircuts():
    # 10,000 / 0.8 = 12,500, 18 % at risk, 3 % and 1 % haircut; the stable coin is 0.18 below the peg, times 2; the
    # index at a confidence of 0.5 leaves half of it in doubt.
    held = asset(initial_haircut="0.01", maintenance_haircut="0.03")
    found = asked(collateral=(held,), stable="0.8", spot_confidence="0.5")
    assert found.collateral_worth.units == units("12500")
    assert found.maintenance.units == units("10325")  # 12,500 - 0.8 x 2,250 - 375
    assert found.initial.units == units("2690")  # 12,500 - 1.36 x 2,250 - 375 - 125 - 6,250
    stays = asked(collateral=(replace(held, follows=False),), stable="0.8")
    assert stays.maintenance.units == units("12125")


@pytest.mark.parametrize(
    ("own", "index", "unsure"),
    [
        ("1", "1", "0"),
        ("0.2", "1", "8000"),
        ("1", "0.2", "8000"),
        ("0.3", "0.2", "8000"),
        ("0.55", "0.55", "0"),
    ],
)
def test_collateral_is_as_sure_as_the_lesser_of_its_own_price_and_the_index(own, index, unsure):
    found = asked(collateral=(asset(confidence=own, follows=False),), spot_confidence=index)
    assert found.confidence.units == units(unsure)


def test_the_confidence_of_a_perpetual_counts_only_where_there_is_one():
    sold = expiry(leg("2000", True, "-1"), leg("2000", False, "2"), confidence="0.5")
    assert asked(expiries=(sold,), perp_confidence="0.2").confidence.units == units("3000")
    both = asked(expiries=(sold,), perp_confidence="0.2", perp="-1", perp_price="2000")
    assert both.confidence.units == units("6400")  # 0.8 of 3 coins and of one


def test_naked_shorts_of_a_strike():
    found = asked(
        expiries=(expiry(leg("2000", True, "-3"), leg("2000", False, "1"), leg("2100", True, "5")),)
    )
    assert (found.contingency.units, found.initial_contingency.units) == (units("12"), units("8"))


def test_a_vol_rises_by_half_and_at_least_to_its_floor():
    for vol, risen in (("0.6", 0.9), ("0.2", 0.45)):
        found = asked(under(VolMove.UP), expiries=(expiry(leg("2000", True, "-1", vol)),))
        now, then = price(2000.0, 2000.0, float(vol)), price(2000.0, 2000.0, risen)
        counted = min(exp(RATE * YEARS), 1.04 * exp(YEARS * (RATE * 0.5 + 0.08)))
        assert float(found.profits[0]) == pytest.approx(now - then * counted, abs=1e-9)
        assert float(found.option_worth) == pytest.approx(-now, abs=1e-9)


def test_a_long_option_is_discounted_once_more_and_a_vol_does_not_fall_below_zero():
    held = (expiry(leg("2100", False, "1")),)
    counted = 0.95 * exp(-YEARS * (RATE + 0.08))
    now, then = price(2000.0, 2100.0, 0.6, False), price(2000.0, 2100.0, 0.6 * 0.725, False)
    found = asked(under(VolMove.DOWN), expiries=held)
    assert float(found.profits[0]) == pytest.approx(then * counted - now, abs=1e-9)
    steep = under(VolMove.DOWN, vol=replace(TERMS.vol, down=fixed("2")))
    bare = 100.0 * exp(-RATE * YEARS)
    assert float(asked(steep, expiries=held).profits[0]) == pytest.approx(bare * counted - now, abs=1e-9)


def test_a_negative_rate_is_no_rate():
    held = asked(under(VolMove.SAME), expiries=(expiry(leg("2000", True, "-1"), rate="-0.3"),))
    assert float(held.option_worth) == pytest.approx(-price(2000.0, 2000.0, 0.6, rate=0.0), abs=1e-9)
    assert held.profits[0].units == 0  # a short option counts at most 1 / discount


@pytest.mark.parametrize(("days", "power"), [(10, 0.3), (60, 0.13)])
def test_the_power_of_a_vol_shock_goes_by_the_days_before_their_floor(days, power):
    floored = under(VolMove.UP, vol=replace(TERMS.vol, days_least=fixed("120")))
    found = asked(floored, expiries=(expiry(leg("2000", True, "-1"), seconds=days * DAY, rate="0"),))
    vol, years = 0.6 * (1.0 + 0.5 * 0.25**power), days / 365
    gain = price(2000.0, 2000.0, 0.6, years=years, rate=0.0) - price(
        2000.0, 2000.0, vol, years=years, rate=0.0
    )
    assert float(found.profits[0]) == pytest.approx(gain, abs=1e-9)


@pytest.mark.parametrize("move", [VolMove.LINEAR, VolMove.ABSOLUTE])
@pytest.mark.parametrize("strike", [1000.0, 1950.0, 2100.0, 6000.0])
@pytest.mark.parametrize("amount", [-1.0, 1.0])
def test_a_skewed_vol_costs_whichever_way_it_pays(move, strike, amount):
    held = (expiry(leg(f"{strike}", True, f"{amount}"), rate="0"),)
    root = sqrt(YEARS)
    cap = 0.15 - 0.05 * root
    k = log(strike / 2000.0) if move is VolMove.LINEAR else abs(log(strike / 2000.0))
    width = max(0.01, root * 4.0 * (0.6 - 0.1 * root))
    vol = 0.6 * (1.0 + min(max(k * cap / width, -cap), cap))
    counted = 0.95 * exp(-YEARS * 0.08) if amount > 0 else 1.0
    gain = price(2000.0, strike, vol, rate=0.0) * counted - price(2000.0, strike, 0.6, rate=0.0)
    assert float(asked(under(move), expiries=held).profits[0]) == pytest.approx(-abs(gain), abs=1e-9)


@pytest.mark.parametrize(("strike", "multiplier"), [(1900.0, 1.35), (2100.0, 0.65), (2000.0, 1.35)])
def test_each_wing_is_bounded_on_its_own_side_where_time_has_made_the_cap_negative(strike, multiplier):
    # A cap of 0.15 - 0.5 = -0.35 at one year: below the forward the turn is at least 0.35, above at most -0.35.
    # The width is so large that the turn in between is next to nothing.
    skew = replace(TERMS.skew, linear_base=fixed("-0.5"), width_scale=fixed("1000000"))
    held = (expiry(leg(f"{strike}", True, "-1"), seconds=365 * DAY, rate="0"),)
    found = asked(under(VolMove.LINEAR, skew=skew), expiries=held)
    then = price(2000.0, strike, 0.6 * multiplier, years=1.0, rate=0.0)
    gain = price(2000.0, strike, 0.6, years=1.0, rate=0.0) - then
    assert float(found.profits[0]) == pytest.approx(-abs(gain), abs=1e-9)


def test_options_at_a_bound_know_no_skew():
    held = expiry(leg("0", True, "-1"), leg("100", False, "-1"), variable="0", rate="0")
    found = asked(under(VolMove.LINEAR), expiries=(held,))
    assert (found.option_worth.units, found.profits[0].units) == (units("-100"), 0)
    only = asked(under(VolMove.LINEAR), expiries=(expiry(leg("0", True, "-1"), rate="0"),))
    assert (only.option_worth.units, only.profits[0].units) == (units("-2000"), 0)


def test_the_basis_competes_with_the_scenarios():
    held = (expiry(leg("2000", True, "-1"), rate="0"),)
    found = asked(under(VolMove.SAME), expiries=held)
    lost = price(2000.0, 2000.0, 0.6, rate=0.0) - price(2090.0, 2000.0, 0.6, rate=0.0)
    assert float(found.basis) == pytest.approx(lost * (0.5 + 2.0 * YEARS), abs=1e-9)
    at_risk = found.maintenance - found.mark_to_market + found.contingency
    assert at_risk == found.basis * TERMS.maintenance.factor


def test_an_expiry_at_its_end_is_worth_what_it_pays():
    found = asked(under(VolMove.UP, "0.9"), expiries=(expiry(leg("1000", True, "-1"), seconds=0),))
    assert found.option_worth.units == units("-1000")
    assert abs(found.profits[0].units - units("200")) <= 1800  # a unit of a forward of 1,800


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: Scenario(fixed("-0.1"), VolMove.UP), "spot is '-0.1"),
        (lambda: Scenario(fixed("1"), VolMove.UP, fixed("-1")), "share"),
        (lambda: replace(TERMS, scenarios=()), "scenarios"),
        (lambda: replace(TERMS, skew=None), "stated for Linear, Abs"),
        (lambda: replace(TERMS, skew=replace(TERMS.skew, width_least=fixed("-1"))), "width_least"),
        (lambda: replace(TERMS, vol=replace(TERMS.vol, days_least=fixed("-1"))), "days_least"),
        (lambda: asset("-1"), "amount"),
        (lambda: asset(price="-1"), "price"),
        (lambda: asked(stable="0"), "stable"),
    ],
)
def test_what_is_no_account_is_refused(make, where):
    with pytest.raises(ValueError, match=where):
        make()
