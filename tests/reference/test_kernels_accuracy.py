"""Accuracy of the kernels: mpmath with 40 digits, and the functions of SciPy that they stand in for."""

import dataclasses
import itertools

import mpmath
import numpy as np
import pytest
import scipy.special
from scipy.interpolate import PchipInterpolator

from margrave.kernels.black76 import (
    coin_greeks,
    coin_price,
    quanto_inverse_price,
    quote_greeks,
    quote_price,
    usd_price,
)
from margrave.kernels.implied_vol import implied_vol_coin
from margrave.kernels.lambert import lambert_w0, lambert_w0_exp
from margrave.kernels.normal import normal_cdf, normal_pdf
from margrave.kernels.roots import bracketed_root
from margrave.kernels.schedule import multiplier_pchip, slope_pchip

mpf = mpmath.mpf


@pytest.fixture(autouse=True)
def _forty_digits():
    with mpmath.workdps(40):
        yield


def exact(function, *columns):
    """Evaluate in 40 digits, row by row."""
    return [function(*(mpf(float(value)) for value in row)) for row in zip(*columns, strict=True)]


def worst(got, expected, relative=True):
    """Largest error, relative or absolute, taken in 40 digits."""
    errors = [abs(mpf(float(one)) - other) for one, other in zip(got, expected, strict=True)]
    if relative:
        errors = [e / abs(x) if x else e for e, x in zip(errors, expected, strict=True)]
    return float(max(errors))


# --- normal ---


def test_normal_cdf():
    x = np.concatenate((np.linspace(-37.0, 9.0, 1_501), np.random.default_rng(1).normal(0.0, 2.0, 500)))
    got, expected = normal_cdf(x), exact(mpmath.ncdf, x)
    assert worst(got, expected, relative=False) < 2.3e-16
    assert worst(got, expected) < 1e-13
    near = x > -6.0
    assert worst(got[near], [e for e, n in zip(expected, near, strict=True) if n]) < 5e-15


def test_normal_pdf():
    x = np.linspace(-37.0, 37.0, 1_001)
    assert worst(normal_pdf(x), exact(mpmath.npdf, x)) < 1.6e-13
    near = np.linspace(-6.0, 6.0, 501)
    assert worst(normal_pdf(near), exact(mpmath.npdf, near)) < 5e-15


# --- options ---

MONEYNESS = [-5.0, -2.0, -0.7, -0.01, 0.0, 1e-9, 0.3, 1.0, 2.5, 5.0]  # in total deviations
VOLS, YEARS, RATES = [0.05, 0.5, 1.2, 4.0], [1e-4, 7 / 365, 1.0, 3.0], [0.0, 0.03]


def grid():
    rows = itertools.product(MONEYNESS, VOLS, YEARS, [True, False], RATES)
    distance, vol, years, is_call, rate = (np.array(column) for column in zip(*rows, strict=True))
    forward = np.full(len(vol), 61_234.5)
    return forward, forward * np.exp(distance * vol * np.sqrt(years)), vol, years, is_call, rate


def coin_value(forward, strike, vol, years, is_call, rate):
    sign = 1 if is_call else -1
    s = vol * mpmath.sqrt(years)
    d1 = mpmath.log(forward / strike) / s + s / 2
    upper, lower = mpmath.ncdf(sign * d1), mpmath.ncdf(sign * (d1 - s))
    return sign * mpmath.exp(-rate * years) * (upper - strike / forward * lower)


def quanto_value(forward, strike, vol, years, is_call, rate):
    # Expected coin payoff with the dollar measure's paths: 1/S is lognormal too, with a drift of σ².
    sign = 1 if is_call else -1
    s = vol * mpmath.sqrt(years)
    d2 = mpmath.log(forward / strike) / s - s / 2
    upper, lower = mpmath.ncdf(sign * d2), mpmath.ncdf(sign * (d2 - s))
    return sign * mpmath.exp(-rate * years) * (upper - strike / forward * mpmath.exp(s * s) * lower)


def test_coin_and_quote_prices():
    book = grid()
    expected = exact(coin_value, *book)
    dollars = [value * mpf(float(forward)) for value, forward in zip(expected, book[0], strict=True)]
    for got in (coin_price(*book), usd_price(*book) / book[0], quote_price(*book) / book[0]):
        size = np.maximum(1.0, book[1] / book[0])
        error = np.array([abs(mpf(float(g)) - e) for g, e in zip(got, expected, strict=True)], dtype=float)
        assert np.max(error / size) < 1e-15
    # Rounding strike / forward alone moves a small price by |d| / s units of its last digit: the bound grows
    # with 1/s, and is 1e-12 from a total deviation of 0.03 on.
    deviation = book[2] * np.sqrt(book[3])
    worthy = np.array([value > 1e-12 for value in expected])
    assert worthy.sum() > 500
    for wide, bound in ((deviation >= 0.03, 1e-12), (deviation < 0.03, 5e-11)):
        pick = worthy & wide
        assert worst(coin_price(*book)[pick], list(itertools.compress(expected, pick))) < bound
        assert worst(quote_price(*book)[pick], list(itertools.compress(dollars, pick))) < bound


def test_quanto_prices():
    forward, strike, vol, years, is_call, rate = grid()
    mild = vol * np.sqrt(years) < 2.5
    book = tuple(column[mild] for column in (forward, strike, vol, years, is_call, rate))
    expected = exact(quanto_value, *book)
    size = np.maximum(1.0, book[1] / book[0] * np.exp(book[2] ** 2 * book[3]))
    got = quanto_inverse_price(*book)
    error = np.array([abs(mpf(float(g)) - e) for g, e in zip(got, expected, strict=True)], dtype=float)
    assert np.max(error / size) < 2e-15


def derivatives(forward, strike, vol, years, is_call, rate):
    """All Greeks by numerical differentiation in 40 digits, in units of the forward."""

    def value(x, sigma=vol, tau=years):  # x: forward in units of today's
        return coin_value(x * forward, strike, sigma, tau, is_call, rate)

    def dollars(x):
        return x * value(x)

    def diff(f, at, order=1):
        return mpmath.diff(f, at, order, h=mpf(10) ** -9)

    one = mpf(1)
    gamma = diff(dollars, one, 2)
    vega, volga = diff(lambda v: value(one, v), vol), diff(lambda v: value(one, v), vol, 2)
    cross = diff(lambda x: diff(lambda v: value(x, v), vol), one)
    first = diff(value, one)
    return {
        "coin_price": value(one),
        "usd_price": value(one),
        "unadjusted_delta": diff(dollars, one),
        "adjusted_delta": first,
        "coin_delta": first,
        "usd_gamma": gamma,
        "coin_gamma": diff(value, one, 2),
        "adjusted_delta_slope": diff(lambda x: x * diff(value, x), one),
        "coin_vega": vega,
        "usd_vega": vega,
        "coin_theta": -diff(lambda t: value(one, tau=t), years),
        "coin_vanna": cross,
        "coin_volga": volga,
    }


POWERS = {  # by which power of the forward a Greek is scaled to the units above
    "usd_price": -1,
    "usd_vega": -1,
    "coin_delta": 1,
    "usd_gamma": 1,
    "adjusted_delta_slope": 1,
    "coin_vanna": 1,
    "coin_gamma": 2,
}
CASES = [
    (61_234.5, strike, vol, years, is_call, 0.03)
    for strike in (30_000.0, 60_000.0, 61_234.5, 90_000.0)
    for vol, years in ((0.5, 0.02), (0.8, 0.25), (1.5, 1.0))
    for is_call in (True, False)
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_greeks(case):
    numbers = [mpf(value) for value in case[:4]] + [case[4], mpf(case[5])]
    expected = derivatives(*numbers)
    greeks = coin_greeks(*case)
    names = [field.name for field in dataclasses.fields(greeks)]
    assert set(names) == set(expected)
    for name in names:
        scaled = mpf(float(getattr(greeks, name))) * numbers[0] ** POWERS.get(name, 0)
        assert abs(scaled - expected[name]) < 1e-11 * max(1, abs(expected[name])), name
        if abs(expected[name]) > 1e-6:
            assert abs(scaled / expected[name] - 1) < 1e-9, name

    quote = quote_greeks(*case)
    forward = float(case[0])
    assert quote.price / forward == pytest.approx(float(expected["coin_price"]), rel=1e-11, abs=1e-15)
    assert quote.delta == pytest.approx(float(expected["unadjusted_delta"]), rel=1e-11, abs=1e-15)
    assert quote.gamma * forward == pytest.approx(float(expected["usd_gamma"]), rel=1e-11, abs=1e-15)
    assert quote.vega / forward == pytest.approx(float(expected["coin_vega"]), rel=1e-11, abs=1e-15)
    assert quote.theta / forward == pytest.approx(float(expected["coin_theta"]), rel=1e-11, abs=1e-13)
    vanna = float(expected["coin_vanna"] + expected["coin_vega"])  # d(F c)/dF dσ
    assert quote.vanna == pytest.approx(vanna, rel=1e-11, abs=1e-13)
    assert quote.volga / forward == pytest.approx(float(expected["coin_volga"]), rel=1e-11, abs=1e-13)


@pytest.mark.parametrize(
    ("vol", "distance"), [(0.8, 0.0), (0.8, 1.0), (0.8, 7.0), (0.8, 20.0), (0.02, 3.0), (5.0, 2.0)]
)
def test_implied_vol_of_an_exact_price(vol, distance):
    # The price in 40 digits, rounded once; seven deviations out it is 1e-13 of a coin, twenty 1e-90.
    strike = float(np.exp(distance * vol * 0.5))
    price = float(coin_value(mpf(1), mpf(strike), mpf(vol), mpf(0.25), True, mpf(0)))
    found, uninformative = implied_vol_coin(price, 1.0, strike, 0.25, True)
    assert not uninformative
    assert found == pytest.approx(vol, rel=2e-12)


# --- Lambert's W, the monotone cubic, roots ---


def test_lambert():
    branch = -float(mpmath.exp(-1))
    z = np.concatenate(
        (
            branch + np.geomspace(1e-9, 0.367, 400),
            -np.geomspace(1e-300, 0.3, 200),
            np.geomspace(1e-300, 1e308, 800),
        )
    )
    got = lambert_w0(z)
    ours = scipy.special.lambertw(z).real
    far = z > -0.36
    assert got[far] == pytest.approx(ours[far], rel=2e-14, abs=0.0)
    # SciPy and the function itself lose digits next to the branch point; there W to half the digits.
    assert got == pytest.approx(ours, rel=1e-7)
    assert worst(got[far], exact(mpmath.lambertw, z[far])) < 5e-15


@pytest.mark.parametrize("distance", [1e-16, 1e-14, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2])
def test_lambert_next_to_the_branch_point(distance):
    z = -float(mpmath.exp(-1)) + distance
    expected = mpmath.lambertw(mpf(z)).real
    assert abs(mpf(float(lambert_w0(z))) - expected) < 1e-16 / np.sqrt(distance) + 3e-16


def test_lambert_of_a_product():
    a, b = (
        column.ravel() for column in np.meshgrid([1e-200, 1e-3, 1.0, 5.5, 1e200], [-200.0, 0.5, 5.25, 4e4])
    )
    expected = exact(lambda x, y: mpmath.lambertw(x * mpmath.exp(y)).real, a, b)
    assert worst(lambert_w0_exp(a, b), expected) < 2e-13


@pytest.mark.parametrize("count", [2, 3, 4, 7, 15])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_monotone_cubic(count, seed):
    dice = np.random.default_rng([seed, count])
    knots_x = np.cumsum(dice.uniform(0.001, 0.3, count)) - 0.4
    knots_g = 4.0 - np.cumsum(dice.uniform(0.0, 0.25, count) * (dice.random(count) < 0.8))
    reference = PchipInterpolator(knots_x, knots_g)
    x = np.linspace(knots_x[0], knots_x[-1], 701)[:-1]
    assert multiplier_pchip(knots_x, knots_g, x) == pytest.approx(reference(x), rel=1e-13)
    assert slope_pchip(knots_x, knots_g, x) == pytest.approx(reference(x, 1), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("shape", ["turn", "wave"])
def test_monotone_cubic_of_any_data(shape):
    # The interpolation itself does not ask for falling data; the ends are cut back as in SciPy.
    knots_x = np.array([0.0, 0.1, 0.5, 0.6, 1.0])
    knots_g = np.array([1.0, 3.0, 0.5, 0.5, 2.0] if shape == "turn" else [0.0, 1.0, -9.0, 9.0, 8.9])
    x = np.linspace(0.0, 1.0, 501)[:-1]
    expected = PchipInterpolator(knots_x, knots_g)(x)
    assert multiplier_pchip(knots_x, knots_g, x) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_roots_as_brentq_finds_them():
    target = np.linspace(0.2, 5.0, 97)
    got = bracketed_root(lambda x: x * np.exp(x) - target, np.zeros(97), np.full(97, 3.0), 0.0, 1e-15, 99)
    assert got == pytest.approx(scipy.special.lambertw(target).real, rel=4e-15)
