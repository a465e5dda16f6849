"""Fixed point of eighteen decimals: exact sums, products and quotients cut toward zero."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.core.fixed import Fixed, fixed, fixed_array

UNITS = st.integers(-(10**30), 10**30).map(Fixed)


@pytest.mark.parametrize(
    ("value", "units"),
    [
        (0.4, 4 * 10**17),
        (np.float64(0.4), 4 * 10**17),
        ("0.1234567890123456789", 123456789012345678),
        ("-0.1234567890123456789", -123456789012345678),
        (Decimal("1e-19"), 0),
        (3, 3 * 10**18),
        (1e30, 10**48),
    ],
)
def test_a_number_is_taken_in_and_cut(value, units):
    assert fixed(value) == Fixed(units)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "none", "NaN"])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="finite"):
        fixed(value)


def test_products_and_quotients_are_cut_toward_zero():
    third = Fixed(10**18) / 3
    assert third == Fixed(333333333333333333)
    assert -third == Fixed(-(10**18)) / 3 == 1 / Fixed(-3 * 10**18)
    assert Fixed(5) * fixed("0.5") == Fixed(2)
    assert Fixed(-5) * fixed("0.5") == Fixed(-2)
    assert 2 * Fixed(-5) == Fixed(-10)


def test_whole_numbers_mix_in():
    half = fixed("0.5")
    assert 1 - half == half == half - 0
    assert 1 + half == half + 1 == fixed("1.5")
    assert half < 1 <= fixed(1)
    assert half > 0 >= fixed(-1)
    assert half != "0.5"
    assert len({half, fixed(0.5)}) == 1


def test_it_shows_and_converts():
    number = fixed("-12.000000000000000003")
    assert str(number) == "-12.000000000000000003"
    assert (int(number), float(number), abs(number) == -number) == (-12, -12.0, True)


def test_columns_go_through_numpy():
    column = fixed_array([1.5, -2.25, 0.0])
    assert list(np.maximum(column, 0)) == [fixed(1.5), 0, 0]
    assert (column * column).sum() == fixed("7.3125")
    assert (column < 0).dtype == np.bool_


@given(UNITS, UNITS)
def test_cut_by_less_than_one_unit_toward_zero(a, b):
    exact = a.units * b.units
    product = (a * b).units * 10**18
    assert abs(product) <= abs(exact) < abs(product) + 10**18
    assert product * exact >= 0
    assert (a + b) - b == a
    if b.units:
        assert abs(a / b * b) <= abs(a)
