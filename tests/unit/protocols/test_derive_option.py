"""Derive's option formulas in eighteen decimals: bounds, parity and smiles as the specification has them (defi 1.1)."""

from math import exp, log

import pytest

from margrave.core.fixed import Fixed, fixed
from margrave.kernels.discounted_option import discounted_price
from margrave.kernels.svi import svi_vol
from margrave.protocols.derive_option import (
    Option,
    Smile,
    exponential,
    logarithm,
    normal,
    option_price,
    power,
    smile_vol,
    split_forward,
    square_root,
    years_of,
)

ONE = fixed("1")
SMILE = ("0.05", "0.25", "-0.08", "-0.08", "0.79", "1950", "0.6")


def priced(strike, is_call, forward="2000", vol="0.5", years="0.25", discount="0.9"):
    option = Option(fixed(strike), is_call, fixed(years))
    return option_price(option, fixed(forward), fixed(vol), fixed(discount))


@pytest.mark.parametrize(
    ("call", "put", "told"),
    [
        ("1800", "0", {"strike": "0"}),  # K = 0: the call is F D, the put nothing
        ("0", "1440", {"strike": "1600", "forward": "0"}),  # F = 0: the put is K D
        ("1800", "1440", {"strike": "1600", "vol": "50"}),  # a total vol of 25: both at their bound
        ("360", "0", {"strike": "1600", "years": "0"}),
        ("0", "360", {"strike": "2400", "vol": "0"}),
    ],
)
def test_options_at_their_bounds(call, put, told):
    assert (priced(is_call=True, **told), priced(is_call=False, **told)) == (fixed(call), fixed(put))


@pytest.mark.parametrize("strike", ["1", "700", "1999.99", "2000", "3456.789", "90000"])
def test_the_price_is_that_of_the_kernel_and_the_put_the_call_by_parity(strike):
    call, put = priced(strike, True), priced(strike, False)
    for found, is_call in ((call, True), (put, False)):
        double = float(discounted_price(2000.0, float(strike), 0.5, 0.25, is_call, 0.9))
        assert float(found) == pytest.approx(double, rel=1e-12, abs=1e-11)
    # Cut at each step of a forward of one, times 1,800 dollars and its cuts.
    assert abs((call - put - (fixed("2000") - fixed(strike)) * fixed("0.9")).units) <= 3 * 1800


def test_a_strike_that_no_unit_of_the_forward_shows_has_no_price_below_zero():
    assert priced("1e-18", True, forward="1e6").units >= 0
    assert priced("1e-18", False, forward="1e6") == Fixed(0)


def test_functions_are_the_exact_ones_cut_toward_zero():
    # e, log 2 and the root of 2 to thirty places are 2.71828182845904523536..., 0.69314718055994530941... and
    # 1.41421356237309504880...; the distribution at -1 is 0.15865525393145705141...
    assert str(exponential(ONE)) == "2.718281828459045235"
    assert str(logarithm(fixed("2"))) == "0.693147180559945309"
    assert str(logarithm(fixed("0.5"))) == "-0.693147180559945309"
    assert str(square_root(fixed("2"))) == "1.414213562373095048"
    assert str(power(fixed("2"), fixed("0.5"))) == "1.414213562373095048"
    assert str(normal(-ONE)) == "0.158655253931457051"
    assert normal(ONE) + normal(-ONE) == ONE
    assert (normal(fixed("-10")), normal(fixed("10")), normal(Fixed(0))) == (Fixed(0), ONE, fixed("0.5"))
    assert str(years_of(86_400)) == "0.002739726027397260"


@pytest.mark.parametrize("strike", ["1", "1000", "1950", "2500", "800000"])
def test_the_vol_of_a_smile_is_that_of_the_kernel(strike):
    a, b, rho, m, sigma, forward, years = (float(x) for x in SMILE)
    found = smile_vol(Smile(*(fixed(x) for x in SMILE)), fixed(strike))
    double = float(svi_vol(float(strike), years, a, b, rho, m, sigma, forward))
    assert float(found) == pytest.approx(double, rel=1e-15)


def test_a_smile_has_bounds():
    flat = Smile(*(fixed(x) for x in ("200", "0", "0", "0", "0", "1950", "1")))
    assert smile_vol(flat, fixed("1950")) == fixed("12")  # a variance of 144 at most
    assert smile_vol(flat, Fixed(0)) == Fixed(0)
    # ln(K / F) counts up to 4 deviations: 4 √(0.01) = 0.4, and a slope of one turns it into variance.
    steep = Smile(*(fixed(x) for x in ("0.01", "1", "0", "0", "0", "1", "1")))
    assert smile_vol(steep, fixed("9")) == square_root(fixed("0.41"))
    assert log(9.0) > 0.4 > exp(-1.0)


@pytest.mark.parametrize(
    ("smile", "where"),
    [
        (("0", "0", "0", "0", "0", "0", "1"), "forward"),
        (("0", "0", "0", "0", "0", "1", "0"), "years"),
        (("-1", "0.1", "0", "0", "0", "1", "1"), r"a \+ b sigma"),
    ],
)
def test_what_is_no_smile_is_refused(smile, where):
    with pytest.raises(ValueError, match=where):
        Smile(*(fixed(x) for x in smile))


def test_a_smile_below_zero_at_a_strike_is_refused():
    turned = Smile(*(fixed(x) for x in ("0.01", "1", "-2", "0", "0", "1", "1")))
    with pytest.raises(ValueError, match="variance of the smile"):
        smile_vol(turned, fixed("1.4"))


@pytest.mark.parametrize(
    ("seconds", "held"), [(1801, "0"), (1800, "0"), (900, "1000"), (450, "1500"), (0, "2000")]
)
def test_a_forward_in_the_settlement_window_is_held_in_part(seconds, held):
    # Defi 1.1: the fixed share is 1 - seconds / 1800.
    fixed_part, variable = split_forward(fixed("2000"), seconds)
    assert (fixed_part, variable) == (fixed(held), fixed("2000") - fixed(held))
