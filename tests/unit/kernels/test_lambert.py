"""Lambert's W: known values, the branch point, overflow, and the liquidation price in closed form."""

import math

import numpy as np
import pytest

from margrave.kernels.lambert import lambert_w0, lambert_w0_exp

BRANCH = -1.0 / math.e


@pytest.mark.parametrize(
    ("z", "w"),
    [
        (0.0, 0.0),
        (1.0, 0.5671432904097838),  # the omega constant
        (math.e, 1.0),
        (2.0 * math.exp(2.0), 2.0),
        (-0.5 * math.exp(-0.5), -0.5),
        (-0.9 * math.exp(-0.9), -0.9),
        (5e-324, 5e-324),
        (-1e-300, -1e-300),
        (1e308, 702.641362034106812),
        (np.finfo(float).max, 703.2270331047701),
    ],
)
def test_known_values(z, w):
    assert lambert_w0(z) == pytest.approx(w, rel=3e-15, abs=0.0)
    assert lambert_w0(np.array([[z]])) == pytest.approx(np.array([[w]]), rel=3e-15)


def test_branch_point():
    assert lambert_w0(BRANCH) == pytest.approx(-1.0, abs=3e-8)
    assert lambert_w0(np.nextafter(BRANCH, -1.0)) == pytest.approx(-1.0, abs=3e-8)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -0.368, -1e300])
def test_a_bad_argument_is_named(bad):
    with pytest.raises(ValueError, match=r"^z must"):
        lambert_w0(bad)
    with pytest.raises(ValueError, match=r"^z must"):
        lambert_w0(np.array([0.0, bad]))


def test_liquidation_price_in_closed_form():
    # Spec "inverse margining" 1.3: inverse long from 50,000, ρ = 0.05 - 0.2 x, A R / N = 1.1. The spec prints
    # x = -0.0390999942544, which is 5e-13 off the mark; its price is right to every digit.
    alpha, steepness, account = 0.05, 0.2, 1.1
    b = (1.0 + alpha) / steepness
    x = b - lambert_w0_exp(account / steepness, b)
    assert x == pytest.approx(-0.0390999942544, abs=5.5e-13)
    assert x == pytest.approx(-0.039099994253907439, abs=3e-15)
    assert 50_000.0 * np.exp(x) == pytest.approx(48_082.7272204901, abs=5e-10)


@pytest.mark.parametrize(
    ("a", "b", "w"),
    [
        (0.0, 5.0, 0.0),
        (0.0, 1e308, 0.0),
        (1.0, 0.0, 0.5671432904097838),
        (1.0, 1.0, 1.0),
        (2.0, 2.0, 2.0),
        (700.0, 700.0, 700.0),
        (1e6, 1e6, 1e6),  # exp(b) overflows
        (1e308, 1e308, 1e308),
        (-0.5, -0.5, -0.5),
        (-1.0, -1.0, -1.0),
        (-math.exp(400.0), -800.0, -math.exp(-400.0)),  # exp(b) vanishes, the product does not
        (math.exp(300.0), -800.0, math.exp(-500.0)),
        (math.exp(-700.0), 700.0, 0.5671432904097838),
        (1e-320, 736.0, 0.31811172631632907),  # exp(b) overflows, the product does not
        (1.0, -1e308, 0.0),
        (-1.0, -1e308, 0.0),
    ],
)
def test_product_form(a, b, w):
    near_branch = 3e-8 if w == -1.0 else 0.0
    assert lambert_w0_exp(a, b) == pytest.approx(w, rel=1e-13, abs=near_branch)


def test_product_form_broadcasts():
    w = lambert_w0_exp(np.array([[1.0], [5.0]]), np.array([0.0, 1.0, 900.0]))
    assert w.shape == (2, 3)
    assert w[0, 0] == pytest.approx(0.5671432904097838, rel=1e-15)


def test_both_forms_meet():
    # The logarithmic form begins at log z = 2.
    b = np.array([np.nextafter(2.0, 1.0), 2.0, 2.5])
    assert lambert_w0_exp(1.0, b) == pytest.approx(lambert_w0(np.exp(b)), rel=1e-15)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_factor_is_named(bad):
    with pytest.raises(ValueError, match=r"^a must"):
        lambert_w0_exp(bad, 1.0)
    with pytest.raises(ValueError, match=r"^b must"):
        lambert_w0_exp(1.0, np.array([0.0, bad]))


@pytest.mark.parametrize(("a", "b"), [(-1.0, 0.0), (-1.0, 1e4), (-1e-300, 700.0), (-1e300, 1e308)])
def test_a_product_below_the_branch_point_is_refused(a, b):
    with pytest.raises(ValueError, match=r"^a exp\(b\) must be >= -1/e"):
        lambert_w0_exp(np.array([1.0, a]), b)
