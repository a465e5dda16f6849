"""Derive's first portfolio manager in fixed point: each part by hand, and units that no order changes (PMD-1)."""

from dataclasses import replace
from decimal import Decimal
from statistics import NormalDist

import pytest

from margrave.core.fixed import Fixed, fixed
from margrave.kernels.black76 import quote_price
from margrave.protocols.derive_pmrm import (
    Expiry,
    OptionLeg,
    Scenario,
    Subaccount,
    Terms,
    VolMove,
    portfolio_margin,
)
from margrave.protocols.exact_option import exponential, normal_cdf, option_worth, power

MONTH = 30 * 86_400
# Test configuration of the specification, defi 1.2.
TERMS = Terms(
    scenarios=tuple(
        Scenario(fixed(f"{s / 100}"), v)
        for s in range(115, 84, -5)
        for v in (VolMove.UP, VolMove.SAME, VolMove.DOWN)
    ),
    **{
        name: fixed(number)
        for name, number in {
            "spot_up": "1.05",
            "spot_down": "0.95",
            "basis_add": "0.25",
            "basis_multiple": "0.01",
            "peg_threshold": "0.98",
            "peg_factor": "2",
            "confidence_threshold": "0.6",
            "confidence_margin": "0.5",
            "base_share": "0.02",
            "perp_share": "0.02",
            "option_share": "0.01",
            "initial_factor": "1.3",
            "base_discount": "0.95",
            "rate_multiple": "4",
            "rate_add": "0.05",
            "vol_up": "0.45",
            "vol_down": "0.3",
            "power_short": "0.3",
            "power_long": "0.13",
        }.items()
    },
)


def units(text):
    return fixed(text).units


def leg(strike, is_call, amount, vol="0.6"):
    return OptionLeg(fixed(strike), is_call, fixed(amount), fixed(vol))


def expiry(*legs, seconds=MONTH, variable="2000", confidence="1", rate="0.02"):
    return Expiry(seconds, Fixed(0), fixed(variable), fixed(rate), fixed(confidence), legs)


def asked(terms=TERMS, **parts):
    told = {k: fixed(v) if isinstance(v, str) else v for k, v in parts.items()}
    return portfolio_margin(Subaccount(spot=fixed("2000"), **told), terms)


def test_a_perpetual_loses_15_per_cent_and_two_more():
    # Three long at 2,001: 3 x 2,001 x 0.15 = 900.45 and 2 % of 3 x 2,000; initial times 1.3.
    found = asked(perp="3", perp_price="2001", perp_profit="7", cash="1000")
    assert min(found.profits).units == units("-900.45")
    assert (found.static.units, found.basis.units, found.confidence.units) == (units("120"), 0, 0)
    assert found.mark_to_market.units == units("7")
    assert found.maintenance.units == units("-13.45")
    assert found.initial.units == units("-319.585")


def test_the_peg_and_the_confidence_ask_more_of_initial_margin_alone():
    # Base 5: 15 % and 2 % of 10,000; the stable coin at 0.97 adds 0.01 x 2 to the factor; a confidence of 0.5 under
    # 0.6 costs half of 50 % of 10,000.
    found = asked(base="5", stable="0.97", spot_confidence="0.5")
    assert found.maintenance.units == units("8300")
    assert found.initial.units == units("5256")  # 10,000 - 1,700 x 1.32 - 2,500
    assert found.confidence.units == units("2500")


def test_the_confidence_of_a_perpetual_counts_only_where_there_is_one():
    doubted = {"perp_confidence": "0.5", "perp_price": "2000", "base": "1"}
    assert asked(**doubted).confidence.units == 0
    assert asked(**doubted, perp="-1").confidence.units == units("1000")
    sold = expiry(leg("2000", True, "-1"), leg("2000", False, "2"), confidence="0.2")
    assert asked(expiries=(sold,)).confidence.units == units("2400")  # 0.8 of 0.5 of 3 x 2,000


@pytest.mark.parametrize(
    ("calls", "puts", "naked"),
    [
        ("-2", "0", "2"),
        ("-2", "1", "1"),
        ("-2", "3", "0"),
        ("-2", "-3", "5"),
        ("2", "-3", "1"),
        ("2", "3", "0"),
    ],
)
def test_shorts_of_a_strike(calls, puts, naked):
    found = asked(expiries=(expiry(leg("2000", True, calls), leg("2000", False, puts)),))
    assert found.static.units == units(naked) * 20


def test_an_option_in_the_scenarios_agrees_with_the_kernel():
    # One short call at the money for thirty days: vol up is 0.6 x 1.45 at g = 1.
    found = asked(expiries=(expiry(leg("2000", True, "-1")),))
    years = MONTH / 86_400 / 365
    now, then = (
        float(quote_price(2000.0 * s, 2000.0, v, years, True)) for s, v in ((1.0, 0.6), (1.15, 0.87))
    )
    assert float(min(found.profits)) == pytest.approx(now - then, abs=1e-9)
    assert float(found.mark_to_market) == pytest.approx(-now, abs=1e-9)
    moved = now - float(quote_price(2100.0, 2000.0, 0.6, years, True))
    assert float(found.basis) == pytest.approx(moved * (0.25 + 0.01 * years), abs=1e-9)


def test_a_long_option_is_discounted_and_a_long_tenor_moves_less():
    one = Scenario(fixed("1"), VolMove.SAME)
    held = expiry(leg("2000", True, "1"), seconds=4 * MONTH)
    found = asked(replace(TERMS, scenarios=(one,)), expiries=(held,))
    years = 120 / 365
    worth = float(quote_price(2000.0, 2000.0, 0.6, years, True))
    less = 0.95 * 2.718281828459045 ** (-years * (0.02 * 4 + 0.05))
    assert float(found.profits[0]) == pytest.approx(worth * (less - 1.0), abs=1e-9)
    up = replace(TERMS, scenarios=(Scenario(fixed("1"), VolMove.UP),))
    short = expiry(leg("2000", True, "-1"), seconds=4 * MONTH, rate="-1")
    vol = 0.6 * (1.0 + 0.45 * (30 / 120) ** 0.13)
    moved = worth - float(quote_price(2000.0, 2000.0, vol, years, True))
    assert float(asked(up, expiries=(short,)).profits[0]) == pytest.approx(moved, abs=1e-9)


def test_a_vol_that_falls_below_zero_is_zero_and_an_expired_option_intrinsic():
    steep = replace(TERMS, scenarios=(Scenario(fixed("0.9"), VolMove.DOWN),), vol_down=fixed("2"))
    held = (expiry(leg("2000", False, "-1")), expiry(leg("1000", True, "-1"), seconds=0))
    found = asked(steep, expiries=held)
    now = float(quote_price(2000.0, 2000.0, 0.6, 30 / 365, False))
    assert float(found.profits[0]) == pytest.approx(-200.0 + now + 200.0, abs=1e-9)


def test_a_call_at_a_strike_of_zero_is_the_forward_and_a_put_nothing():
    # Defi 1.1, conventions: a call of K = 0 is F, a put 0.
    found = asked(expiries=(expiry(leg("0", True, "-1"), leg("0", False, "5")),))
    assert found.mark_to_market.units == units("-2000")


def test_no_order_changes_a_unit():
    dates = tuple(
        expiry(
            *(leg(f"{1500 + 137 * k}", k % 2 == 0, f"{(-1) ** k * (k + 1) / 7:.9f}") for k in range(5)),
            seconds=s,
        )
        for s in (86_400, MONTH, 7 * MONTH)
    )
    turned = tuple(replace(e, legs=e.legs[::-1]) for e in dates[::-1])
    told = {"perp": "-1.234567890123456789", "perp_price": "2003.3", "base": "0.1", "cash": "12.3"}
    one, other = asked(expiries=dates, **told), asked(expiries=turned, **told)
    assert one == other
    assert type(one.initial.units) is int


def test_sixty_digits():
    # Normal distribution at 1 and 0.5 (Abramowitz and Stegun 26.1 gives fifteen places), e and the root of two.
    assert float(normal_cdf(Decimal(1))) == pytest.approx(0.841344746068543, abs=1e-15)
    assert float(normal_cdf(Decimal("-0.5"))) == pytest.approx(0.308537538725987, abs=1e-15)
    assert str(exponential(Decimal(1)))[:42] == "2.7182818284590452353602874713526624977572"
    assert str(power(Decimal(2), Decimal("0.5")))[:42] == "1.4142135623730950488016887242096980785696"
    for x in ("0.1", "2.7", "6.3", "14.9"):
        there, here = normal_cdf(Decimal(x)), normal_cdf(Decimal(f"-{x}"))
        assert abs(there + here - 1) < Decimal("1e-50")
        assert float(here) == pytest.approx(NormalDist().cdf(-float(x)), rel=1e-6, abs=1e-16)
    assert (normal_cdf(Decimal(16)), normal_cdf(Decimal(-16)), normal_cdf(Decimal(0))) == (
        1,
        0,
        Decimal("0.5"),
    )
    call = option_worth(Decimal(100), Decimal(90), Decimal("0.5"), Decimal("0.25"), True)
    put = option_worth(Decimal(100), Decimal(90), Decimal("0.5"), Decimal("0.25"), False)
    assert abs(call - put - 10) < Decimal("1e-50")
    assert option_worth(Decimal(0), Decimal(90), Decimal("0.5"), Decimal("0.25"), False) == 90


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: leg("-1", True, "1"), "strike"),
        (lambda: leg("1", True, "1", "-0.1"), "vol"),
        (lambda: expiry(seconds=-1), "seconds"),
        (lambda: replace(TERMS, scenarios=()), "scenarios"),
        (lambda: replace(TERMS, floor_seconds=0), "floor_seconds"),
    ],
)
def test_what_is_no_position_is_refused(make, where):
    with pytest.raises(ValueError, match=where):
        make()
