"""Accuracy of the compiled kernels against mpmath with 50 digits, edges included."""

import itertools
import math

import mpmath
import numpy as np
import pytest

from margrave.kernels.compiled import twins
from margrave.kernels.compiled.black import grid_values, option_values
from margrave.kernels.compiled.columns import GridOptions
from margrave.kernels.compiled.normal import exponential, log_ratio, normal_below
from margrave.kernels.compiled.rows import empty_rows

mpf = mpmath.mpf


@pytest.fixture(autouse=True)
def _fifty_digits():
    with mpmath.workdps(50):
        yield


def relative(got, expected):
    return float(abs(mpf(float(got)) / expected - 1))


# --- elementary functions ---


def test_exponential():
    x = -np.concatenate((np.linspace(0.0, 700.0, 2_001), np.geomspace(1e-300, 1.0, 500)))
    assert max(relative(exponential(v), mpmath.exp(mpf(v))) for v in x) < 2.3e-16
    assert exponential(0.0) == 1.0
    assert [exponential(v) for v in (-708.1, -1e5, -1e300, -math.inf, math.nan)] == [0.0] * 5


def test_log_ratio():
    dice = np.random.default_rng(3)
    below = np.concatenate((np.geomspace(1e-280, 1e280, 800), 1.0 + dice.uniform(-0.3, 0.4, 800), [1.0]))
    scale = dice.uniform(0.5, 1e5, len(below))
    above = below * scale
    for a, b in zip(above, scale, strict=True):
        expected = mpmath.log(mpf(a) / mpf(b))
        got = log_ratio(a, b, 1.0 / b)
        assert abs(got - expected) <= 1.2e-15 * abs(expected), (a, b)


def test_log_ratio_next_to_one():
    # The quotient rounds away all but the leading digits of what is left.
    b = 61_234.5
    for step in (1, 2, 5, 1000, 10**8):
        a = b + step * math.ulp(b)
        assert relative(log_ratio(a, b, 1.0 / b), mpmath.log(mpf(a) / mpf(b))) < 1e-15


def test_normal_below():
    x = np.concatenate((np.linspace(-37.0, 9.0, 1_501), [0.0, -0.0]))
    expected = [mpmath.ncdf(mpf(v)) for v in x]
    got = [normal_below(v) for v in x]
    assert max(abs(g - e) for g, e in zip(got, expected, strict=True)) < 3e-16
    assert max(relative(g, e) for g, e in zip(got, expected, strict=True)) < 2e-13
    assert [normal_below(v) for v in (-math.inf, -1e300, 1e300, math.inf)] == [0.0, 0.0, 1.0, 1.0]
    assert math.isnan(normal_below(math.nan))


# --- options ---


def exact(forward, strike, vol, years, is_call):
    """Price and Greeks in 50 digits: of the out-of-the-money side, with what parity adds."""
    f, k, v, t = (mpf(float(value)) for value in (forward, strike, vol, years))
    sign, s = (1 if is_call else -1), v * mpmath.sqrt(t)
    d1 = mpmath.log(f / k) / s + s / 2
    n = mpmath.npdf(d1)
    price = sign * (f * mpmath.ncdf(sign * d1) - k * mpmath.ncdf(sign * (d1 - s)))
    return (
        price,
        sign * mpmath.ncdf(sign * d1),
        n / (f * s),
        f * n * mpmath.sqrt(t),
        -f * n * v / (2 * mpmath.sqrt(t)),
    )


MONEYNESS = [-8.0, -7.0, -4.0, -1.5, -0.3, -1e-3, -1e-9, 0.0, 1e-7, 0.02, 0.5, 1.0, 3.0, 6.0, 7.0, 8.0]
VOLS = [0.02, 0.5, 1.2, 5.0]
SECOND = 1.0 / (365 * 86_400)
YEARS = [SECOND, 60 * SECOND, 3600 * SECOND, 1 / 365, 7 / 365, 0.25, 1.5]


def book():
    rows = itertools.product(MONEYNESS, VOLS, YEARS, [True, False])
    distance, vol, years, is_call = (np.array(column) for column in zip(*rows, strict=True))
    forward = np.full(len(vol), 61_234.5)
    return forward, forward * np.exp(distance * vol * np.sqrt(years)), vol, years, is_call


@pytest.fixture(scope="module")
def cases():
    with mpmath.workdps(50):
        options = book()
        return options, [exact(*row) for row in zip(*options, strict=True)]


def test_prices(cases):
    """1e-15 of the larger of forward and strike, and 1e-12 of a price above 1e-12 of the forward: down to a second."""
    options, expected = cases
    got = option_values(*options)
    worthy = 0
    for number, (price, *_rest) in enumerate(expected):
        forward, strike = options[0][number], options[1][number]
        assert abs(got[0, number] - price) < 1e-15 * max(forward, strike), number
        if price > 1e-12 * forward:
            worthy += 1
            assert relative(got[0, number], price) < 1e-12, (options[2][number], options[3][number])
    assert worthy > 500


@pytest.mark.parametrize(
    ("row", "power"), [(1, 0), (2, 1), (3, -1), (4, -1)], ids=["delta", "gamma", "vega", "theta"]
)
def test_greeks(cases, row, power):
    """1e-11, with the forward as unit, absolutely below one and relatively above."""
    options, expected = cases
    got = option_values(*options)[row]
    for number, greeks in enumerate(expected):
        scale = mpf(options[0][number]) ** power
        wanted = greeks[row] * scale
        assert abs(got[number] * scale - wanted) < 1e-11 * max(1, abs(wanted)), number
        if abs(wanted) > 1e-9:
            assert relative(got[number] * scale, wanted) < 1e-11, number


def test_grid(cases):
    """From a deviation of 2e-4 on as exact as one by one, in coin and in quote."""
    options, _ = cases
    forward, strike, vol, years, is_call = options
    count, factor, level = len(forward), np.array([1.0, 0.84, 1.16, 0.97, 1.001]), np.array([0, 1, 2, 1, 0])
    vols = np.array([vol, vol * 1.5, vol * 0.75])
    for in_coin in (True, False):
        made = GridOptions(
            forward=forward, strike=strike, years=years, is_call=is_call,
            in_coin=np.full(count, in_coin), size=np.ones(count), mark=np.zeros(count),
        )  # fmt: skip
        table = grid_values(made, factor, level, vols, empty_rows(count, 5))
        assert np.array_equal(table[:, 5:], np.repeat(table[:, :1], 3, axis=1))
        pick = np.flatnonzero(vols[2] * np.sqrt(years) > 2e-4)[::7]
        assert len(pick) > 50
        for i, c in itertools.product(pick, range(5)):
            moved = mpf(forward[i]) * mpf(factor[c])
            price = exact_of(moved, strike[i], vols[level[c], i], years[i], is_call[i])
            unit = moved if in_coin else 1
            size = max(moved, mpf(strike[i]))
            assert abs(table[i, c] * unit - price) < 1.5e-15 * size, (i, c)
            if price > 1e-12 * moved:
                assert relative(table[i, c] * unit, price) < 1e-12, (i, c)


def exact_of(forward, strike, vol, years, is_call):
    """`exact` of a forward in 50 digits, price alone."""
    k, sign, s = mpf(strike), (1 if is_call else -1), mpf(vol) * mpmath.sqrt(mpf(years))
    d1 = mpmath.log(forward / k) / s + s / 2
    return sign * (forward * mpmath.ncdf(sign * d1) - k * mpmath.ncdf(sign * (d1 - s)))


# --- edges ---

EDGES = {  # forward, strike, vol, years, call: price, delta, gamma, vega, theta
    "no time, call in": ((100.0, 60.0, 0.5, 0.0, True), (40.0, 1.0, 0.0, 0.0, 0.0)),
    "no time, call out": ((60.0, 100.0, 0.5, 0.0, True), (0.0, 0.0, 0.0, 0.0, 0.0)),
    "no time, put in": ((60.0, 100.0, 0.5, 0.0, False), (40.0, -1.0, 0.0, 0.0, 0.0)),
    "no vol, put out": ((100.0, 60.0, 0.0, 1.0, False), (0.0, 0.0, 0.0, 0.0, 0.0)),
    "no vol, call in": ((100.0, 60.0, 0.0, 1.0, True), (40.0, 1.0, 0.0, 0.0, 0.0)),
    "nothing, at the money": ((100.0, 100.0, 0.0, 0.0, True), (0.0, 0.5, 0.0, 0.0, 0.0)),
    "nothing, put at the money": ((100.0, 100.0, 0.0, 0.0, False), (0.0, -0.5, 0.0, 0.0, 0.0)),
    "far out": ((100.0, 1e6, 0.5, 0.01, True), (0.0, 0.0, 0.0, 0.0, 0.0)),
    "far in": ((1e6, 100.0, 0.5, 0.01, True), (999_900.0, 1.0, 0.0, 0.0, 0.0)),
    "tiny strike": ((6e4, 1e-200, 1.0, 1.0, True), (6e4, 1.0, 0.0, 0.0, 0.0)),
    "huge strike": ((6e4, 1e200, 1.0, 1.0, False), (1e200, -1.0, 0.0, 0.0, 0.0)),
    "huge vol, call": ((100.0, 60.0, 1e6, 1.0, True), (100.0, 1.0, 0.0, 0.0, 0.0)),
    "huge vol, put": ((100.0, 60.0, 1e6, 1.0, False), (60.0, 0.0, 0.0, 0.0, 0.0)),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges(name):
    arguments, expected = EDGES[name]
    columns = [np.array([value]) for value in arguments]
    assert tuple(option_values(*columns)[:, 0]) == pytest.approx(expected, rel=1e-15, abs=1e-300)


def test_a_price_just_above_nothing():
    """A vol of 1e-90 has a price of 4e-91 at the money: the series has no least deviation but the inverse's."""
    got = option_values(*(np.array([v]) for v in (100.0, 100.0, 1e-90, 1.0, True)))
    assert got[0, 0] == pytest.approx(100.0 * 1e-90 / math.sqrt(2.0 * math.pi), rel=1e-15)


SICK = {
    "forward": (0.0, -1.0, math.nan, math.inf),
    "strike": (0.0, -1.0, math.nan, math.inf, 1e-299, 1e303),
    "vol": (-0.1, math.nan, math.inf),
    "years": (-0.1, math.nan, math.inf),
}
SICK_CASES = [(name, value) for name, values in SICK.items() for value in values]


@pytest.mark.parametrize(("name", "value"), SICK_CASES)
def test_a_sick_option_is_nan_and_its_neighbours_are_well(name, value):
    columns = {
        "forward": np.full(600, 100.0),
        "strike": np.full(600, 90.0),
        "vol": np.full(600, 0.5),
        "years": np.full(600, 0.25),
    }
    call = np.ones(600, dtype=bool)
    well = option_values(*columns.values(), call)
    columns[name][300] = value
    for function in (option_values, twins.option_values):
        got = function(*columns.values(), call)
        assert np.isnan(got[:, 300]).all()
        rest = np.arange(600) != 300
        np.testing.assert_allclose(got[:, rest], well[:, rest], rtol=1e-12)

    made = GridOptions(
        forward=columns["forward"], strike=columns["strike"], years=columns["years"], is_call=call,
        in_coin=call, size=np.ones(600), mark=np.zeros(600),
    )  # fmt: skip
    for function in (grid_values, twins.grid_values):
        table = function(
            made, np.array([1.0, 1.1]), np.array([0, 0]), columns["vol"][None], empty_rows(600, 2)
        )
        assert np.isnan(table[300]).all()
        assert np.isfinite(table[rest]).all()


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_sick_cell_is_nan(value):
    one, yes = np.full(40, 100.0), np.ones(40, dtype=bool)
    made = GridOptions(
        forward=one, strike=one, years=0.01 * one, is_call=yes, in_coin=yes, size=one, mark=0.0 * one
    )
    for function in (grid_values, twins.grid_values):
        table = function(made, np.array([1.0, value]), np.array([0, 0]), 0.01 * one[None], empty_rows(40, 2))
        assert np.isnan(table[:, 1]).all()
        assert np.isfinite(table[:, 0]).all()
