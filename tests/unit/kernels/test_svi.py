"""The SVI smile: the formula, its clips, and what is refused."""

import math

import numpy as np
import pytest

from margrave.kernels.svi import svi_log_moneyness, svi_vol

SMILE = {"a": 0.01, "b": 0.01, "rho": -0.04, "m": 0.03, "sigma": 0.05}
YEARS = 12 / 365
FORWARD = 2000.0


def vol(strike, **more):
    terms = {**SMILE, "years": YEARS, "forward": FORWARD} | more
    return svi_vol(strike, **terms)


def twin(strike):
    k = math.log(strike / FORWARD) - 0.03
    return math.sqrt((0.01 + 0.01 * (-0.04 * k + math.sqrt(k * k + 0.05**2))) / YEARS)


def test_the_formula_between_the_bounds():
    strikes = [1500.0, 1900.0, 2000.0, 2061.0, 2500.0]
    assert vol(np.array(strikes)) == pytest.approx([twin(k) for k in strikes], rel=1e-14)


@pytest.mark.parametrize("strike", [2e6, 2e9])
def test_far_strikes_are_read_at_four_deviations(strike):
    bound = 4 * math.sqrt(0.01 + 0.01 * 0.05)
    assert float(svi_log_moneyness(strike, FORWARD, 0.01, 0.01, 0.05)) == bound
    assert float(svi_log_moneyness(4e6 / strike, FORWARD, 0.01, 0.01, 0.05)) == -bound
    assert float(vol(strike)) == pytest.approx(twin(FORWARD * math.exp(bound)), rel=1e-14)


def test_a_strike_of_zero_has_no_vol_and_lies_on_the_lower_bound():
    assert vol(0.0) == 0.0
    assert svi_log_moneyness(0.0, FORWARD, 0.01, 0.01, 0.05) == -4 * math.sqrt(0.0105)


def test_the_total_vol_is_at_most_twelve():
    assert vol(2000.0, a=500.0, years=4.0) == 6.0


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"a": float("nan")}, "a must"),
        ({"b": float("inf")}, "b must"),
        ({"rho": float("nan")}, "rho"),
        ({"m": float("nan")}, "m must"),
        ({"sigma": float("nan")}, "sigma"),
        ({"a": -1.0}, "a \\+ b sigma"),
        ({"years": 0.0}, "years"),
        ({"forward": 0.0}, "forward"),
        ({"a": 0.0, "b": 0.01, "rho": -9.0, "m": -1.0}, "variance"),
    ],
)
def test_what_is_refused(wrong, name):
    with pytest.raises(ValueError, match=name):
        vol(3000.0, **wrong)


def test_a_negative_strike_is_refused():
    with pytest.raises(ValueError, match="strike"):
        vol(-1.0)
