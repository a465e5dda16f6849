"""Laws that the kernels keep for every argument, not only for the examples."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from margrave.kernels.black76 import coin_greeks, coin_price, quanto_inverse_price, quote_price, usd_price
from margrave.kernels.implied_vol import implied_vol_coin
from margrave.kernels.ladder import (
    ladder_key,
    ladder_margin,
    ladder_margin_many,
    marginal_rate,
    progressive_deduction,
)
from margrave.kernels.lambert import lambert_w0, lambert_w0_exp
from margrave.kernels.normal import normal_cdf, normal_pdf
from margrave.kernels.option_margin import ShortOptionTerms, short_option_margin
from margrave.kernels.roots import bracketed_root
from margrave.kernels.schedule import (
    cap_release,
    ewma,
    high_water_mark,
    log_excursion,
    multiplier_linear,
    multiplier_pchip,
    multiplier_step,
    ratchet,
    rate_limited_release,
    slope_linear,
    slope_pchip,
    step_tier,
    validate_table,
)

ULP = 2.0**-52
PRICE = st.floats(1e-3, 1e7)
RATE = st.floats(-0.2, 0.3)
MULTIPLIERS = [multiplier_linear, multiplier_pchip, multiplier_step]


# --- normal ---


@given(st.floats(-50.0, 50.0))
def test_the_tails_mirror(x):
    assert normal_cdf(x) + normal_cdf(-x) == pytest.approx(1.0, abs=2 * ULP)
    assert normal_pdf(x) == normal_pdf(-x)


@given(st.floats(-38.0, 8.0), st.floats(1e-9, 1.0))
def test_the_distribution_rises(x, step):
    low, high = normal_cdf(np.array([x, x + step]))
    assert 0.0 <= low <= high * (1.0 + 1e-13) <= 1.0 + 2e-13


# --- options ---


@st.composite
def options(draw, deviations=8.0):
    """Forward, strike, vol, years: strikes within some total deviations of the forward."""
    forward, vol = draw(PRICE), draw(st.floats(0.01, 3.0))
    years = draw(st.floats(1e-4, 3.0))
    distance = draw(st.floats(-deviations, deviations)) * vol * math.sqrt(years)
    return forward, forward * math.exp(distance), vol, years


@given(options(), RATE)
def test_put_call_parity(option, rate):
    # Spec "inverse margining" 5: c_call - c_put = D (1 - K/F).
    forward, strike, _, years = option
    call, put = coin_price(*option, np.array([True, False]), rate)
    discount = math.exp(-rate * years)
    size = discount * max(1.0, strike / forward)
    assert call - put == pytest.approx(discount * (1.0 - strike / forward), rel=0.0, abs=8 * ULP * size)


@given(options(), RATE, st.booleans())
def test_duality(option, rate, is_call):
    # Spec 5: c = K × Black-76 value, with D, of the opposite type on 1/F with strike 1/K.
    forward, strike, vol, years = option
    dual = strike * quote_price(1.0 / forward, 1.0 / strike, vol, years, not is_call, rate)
    # Rounding 1/F and 1/K moves the price by its delta.
    size = math.exp(-rate * years) * max(1.0, strike / forward)
    assert coin_price(*option, is_call, rate) == pytest.approx(dual, rel=1e-12, abs=8 * ULP * size)


@given(options(), RATE)
def test_bounds(option, rate):
    forward, strike, _, years = option
    discount = math.exp(-rate * years)
    call, put = coin_price(*option, np.array([True, False]), rate)
    slack = 4 * ULP * discount * max(1.0, strike / forward)
    assert max(0.0, discount * (1.0 - strike / forward) - slack) <= call <= discount + slack
    assert max(0.0, discount * (strike / forward - 1.0) - slack) <= put <= discount * strike / forward + slack
    assert quanto_inverse_price(*option, True, rate) >= 0.0


@given(options(), st.floats(0.0, 1.0), st.booleans())
def test_value_rises_with_vol_and_with_time(option, more, is_call):
    forward, strike, vol, years = option
    slack = 8 * ULP * max(1.0, strike / forward)
    now = coin_price(*option, is_call)
    assert coin_price(forward, strike, vol + more, years, is_call) >= now * (1.0 - 1e-11) - slack
    assert coin_price(forward, strike, vol, years + more, is_call) >= now * (1.0 - 1e-11) - slack


@given(options(), RATE, st.booleans())
def test_one_product_two_views(option, rate, is_call):
    forward = option[0]
    coin = coin_price(*option, is_call, rate)
    dollars = usd_price(*option, is_call, rate)
    assert dollars == forward * coin
    assert dollars == quote_price(*option, is_call, rate)
    greeks = coin_greeks(*option, is_call, rate)
    assert greeks.coin_price == coin
    size = max(1.0, option[1] / forward)
    adjusted = greeks.unadjusted_delta - coin  # finding 8: the identity of futures and options
    assert greeks.adjusted_delta == pytest.approx(adjusted, rel=1e-12, abs=16 * ULP * size)
    assert forward * greeks.coin_delta == pytest.approx(greeks.adjusted_delta, rel=4 * ULP)


@given(options(), RATE)
def test_call_and_put_share_their_curvature(option, rate):
    forward, strike, _, years = option
    greeks = coin_greeks(*option, np.array([True, False]), rate)
    for name in ("usd_gamma", "coin_vega", "usd_vega", "coin_vanna", "coin_volga"):
        call, put = getattr(greeks, name)
        assert call == put
    discount = math.exp(-rate * years)
    assert np.subtract(*greeks.unadjusted_delta) == pytest.approx(discount, rel=1e-14)
    relative_strike = discount * strike / forward
    assert np.subtract(*greeks.adjusted_delta) == pytest.approx(relative_strike, rel=1e-14)


@given(options(), st.floats(1e-3, 1e3), st.booleans())
def test_only_the_ratio_of_prices_counts(option, unit, is_call):
    forward, strike, vol, years = option
    size = max(1.0, strike / forward)
    scaled = coin_price(unit * forward, unit * strike, vol, years, is_call)
    assert scaled == pytest.approx(float(coin_price(*option, is_call)), rel=1e-9, abs=8 * ULP * size)


@given(options(deviations=5.0), st.booleans(), RATE)
def test_implied_vol_reprices(option, is_call, rate):
    forward, strike, vol, years = option
    price = coin_price(*option, is_call, rate)
    found, uninformative = implied_vol_coin(price, forward, strike, years, is_call, rate)
    deep = (strike < forward) == is_call and strike != forward
    assume(not (deep and uninformative))  # deep in the money the time value may be all rounding
    assert not uninformative
    again = coin_price(forward, strike, found, years, is_call, rate)
    slack = 16 * ULP * math.exp(-rate * years) * max(1.0, strike / forward)
    assert again == pytest.approx(float(price), rel=1e-10, abs=slack)
    if not deep:
        assert found == pytest.approx(vol, rel=1e-9, abs=16 * ULP / math.sqrt(years))


# --- ladders ---


@st.composite
def bracket_ladders(draw):
    """Floors and rates of a ladder whose rate rises with size."""
    steps = draw(st.lists(st.floats(0.01, 1e4), max_size=6))
    floor = np.concatenate(([0.0], np.cumsum(steps)))
    rises = draw(st.lists(st.floats(0.0, 0.2), min_size=len(floor), max_size=len(floor)))
    return floor, 0.001 + np.cumsum(rises)


@given(bracket_ladders(), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_progressive_ladder_is_continuous_and_rises(ladder, near, far):
    floor, rate = ladder
    deduction, slope = progressive_deduction(floor, rate), np.zeros_like(rate)
    boundary = floor[1:]
    above = np.nextafter(boundary, np.inf)
    jump = ladder_margin(floor, rate, slope, deduction, above) - ladder_margin(
        floor, rate, slope, deduction, boundary
    )
    assert np.all(np.abs(jump) <= 1e-13 * rate[-1] * (boundary + 1.0) * len(floor))
    low, high = sorted((near * 2.0 * floor[-1] + near, far * 2.0 * floor[-1] + far))
    margin = ladder_margin(floor, rate, slope, deduction, np.array([low, high]))
    slack = 1e-13 * (1.0 + rate[-1] * high) * len(floor)
    # Between its least and its greatest rate a coin, and never falling.
    assert rate[0] * (high - low) - slack <= margin[1] - margin[0] <= rate[-1] * (high - low) + slack
    assert rate[0] * high - slack <= margin[1] <= rate[-1] * high + slack


@given(bracket_ladders(), st.floats(0.0, 1e4))
def test_the_margin_is_the_sum_over_the_brackets(ladder, size):
    floor, rate = ladder
    margin = ladder_margin(
        floor, rate, np.zeros_like(rate), progressive_deduction(floor, rate), np.array(size)
    )
    ends = np.append(floor[1:], np.inf)
    parts = np.clip(np.minimum(size, ends) - floor, 0.0, None)
    assert margin == pytest.approx(float(parts @ rate), rel=1e-11, abs=1e-11)


@given(st.lists(bracket_ladders(), min_size=1, max_size=5), st.data())
def test_a_stack_of_ladders_is_each_ladder(ladders, data):
    start = np.cumsum([0] + [len(floor) for floor, _ in ladders])
    floor = np.concatenate([floor for floor, _ in ladders])
    rate = np.concatenate([rate for _, rate in ladders])
    slope = np.linspace(0.0, 1e-3, len(rate))
    ladder = np.array(data.draw(st.lists(st.integers(0, len(ladders) - 1), min_size=1, max_size=8)))
    sizes = st.one_of(st.floats(0.0, 1e5), st.sampled_from(floor.tolist()))
    size = np.array([data.draw(sizes) for _ in ladder])
    margin, row = ladder_margin_many(ladder_key(floor, start), rate, slope, rate, ladder, size)
    for number, which in enumerate(ladder):
        own = slice(start[which], start[which + 1])
        z = size[number : number + 1]
        assert margin[number] == ladder_margin(floor[own], rate[own], slope[own], rate[own], z)[0]
        assert start[which] <= row[number] < start[which + 1]
        assert marginal_rate(floor[own], rate[own], slope[own], z)[0] == (
            rate[row[number]] + 2.0 * slope[row[number]] * z[0]
        )


@given(st.floats(0.0, 1.0), st.floats(0.0, 5.0), st.floats(0.0, 1.0), st.floats(1e-3, 1e6))
def test_short_option_margin_is_monotone_and_scales(otm, mark, more, worth):
    terms = ShortOptionTerms(base=0.15, floor=0.10, mark_fraction=0.075, fee=0.0003)
    margin = short_option_margin(terms, otm, mark)
    assert margin >= mark + 0.10
    assert short_option_margin(terms, otm + more, mark) <= margin
    assert short_option_margin(terms, otm, mark + more) >= margin + more - 8 * ULP * (1.0 + mark + more)
    assert short_option_margin(terms, otm, worth * mark, worth) == pytest.approx(float(worth * margin))


# --- schedule ---


@st.composite
def tables(draw):
    """Knots of a good table: falling multipliers, 1 at excursion 0."""
    below = draw(st.lists(st.floats(0.01, 0.3), min_size=0, max_size=4))
    above = draw(st.lists(st.floats(0.01, 0.3), min_size=0 if below else 1, max_size=4))
    rises = draw(st.lists(st.floats(0.0, 0.5), min_size=len(below), max_size=len(below)))
    keeps = draw(st.lists(st.floats(0.5, 1.0), min_size=len(above), max_size=len(above)))
    knots_x = np.concatenate((-np.cumsum(below)[::-1], [0.0], np.cumsum(above)))
    knots_g = np.concatenate((1.0 + np.cumsum(rises)[::-1], [1.0], np.cumprod(keeps)))
    return knots_x, knots_g


MOVE = st.floats(-1.5, 1.5)


@given(tables(), MOVE, MOVE)
def test_the_multiplier_never_rises(table, one, other):
    low, high = sorted((one, other))
    for multiplier in MULTIPLIERS:
        assert validate_table(*table, multiplier) == []
        adverse, favourable = multiplier(*table, np.array([low, high]))
        assert adverse >= favourable - 8 * ULP * adverse
        assert table[1][-1] - 8 * ULP <= favourable
        assert adverse <= table[1][0] * (1.0 + 8 * ULP)


@given(tables(), MOVE, MOVE)
def test_the_multiplier_is_continuous(table, one, other):
    # INV-2. A monotone cubic is at most three chords steep.
    steepest = np.max(np.abs(np.diff(table[1]) / np.diff(table[0])))
    for multiplier, slope, chords in (
        (multiplier_linear, slope_linear, 1.0),
        (multiplier_pchip, slope_pchip, 3.0),
    ):
        g = multiplier(*table, np.array([one, other]))
        assert abs(g[0] - g[1]) <= chords * steepest * abs(one - other) * (1.0 + 1e-9) + 1e-14
        assert np.all(np.abs(slope(*table, np.array([one, other]))) <= chords * steepest * (1.0 + 1e-9))


@given(tables(), MOVE)
def test_the_slope_is_the_derivative(table, x):
    h = 1e-6
    assume(np.min(np.abs(table[0] - x)) > 2 * h)
    for multiplier, slope in ((multiplier_linear, slope_linear), (multiplier_pchip, slope_pchip)):
        up, down = multiplier(*table, np.array([x + h, x - h]))
        assert slope(*table, np.array(x)) == pytest.approx((up - down) / (2.0 * h), rel=1e-4, abs=1e-6)


@given(tables(), st.floats(10.0, 1e6), MOVE)
def test_long_and_short_mirror(table, reference, move):
    # INV-4: g_long(P; R) = g_short(R² / P; R).
    mark = reference * math.exp(move)
    long = log_excursion(1.0, mark, reference)
    short = log_excursion(-1.0, reference * reference / mark, reference)
    assert short == pytest.approx(long, rel=0.0, abs=4 * ULP)
    steepest = 3.0 * np.max(np.abs(np.diff(table[1]) / np.diff(table[0])))
    for multiplier in (multiplier_linear, multiplier_pchip):
        slack = 1e-14 + steepest * 1e-15
        assert multiplier(*table, long) == pytest.approx(multiplier(*table, short), rel=0.0, abs=slack)


PATH = st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=20)


@given(tables(), PATH, st.sampled_from([1.0, -1.0]))
def test_the_ratchet_is_at_least_the_multiplier_from_entry(table, steps, side):
    entry = np.array([100.0])
    best = entry
    for mark in 100.0 * np.exp(np.cumsum(steps)):
        before, now = best, np.array([mark])
        best = high_water_mark(side, best, now)
        from_entry = multiplier_linear(*table, log_excursion(side, now, entry))
        at_peak = multiplier_linear(*table, log_excursion(side, best, entry))
        g = ratchet(from_entry, at_peak, multiplier_linear(*table, log_excursion(side, now, best)))
        assert g >= from_entry
        assert side * (best - entry) >= 0.0
        assert side * (best - now) >= 0.0
        if side * (mark - before[0]) >= 0.0:  # a new high
            assert best == mark
            assert g == from_entry


@given(st.floats(0.1, 3.0), st.floats(0.1, 3.0), st.floats(0.0, 1.0), st.floats(0.0, 10.0))
def test_tightening_is_immediate_and_release_is_slow(now, before, speed, seconds):
    charged = rate_limited_release(np.array([now]), np.array([before]), speed, seconds)[0]
    assert charged >= now
    assert charged >= before - speed * seconds
    assert charged in (now, before - speed * seconds)


@given(st.floats(0.1, 3.0), st.floats(0.0, 1e6), st.floats(-1e6, 1e6), st.floats(0.0, 1.0))
def test_the_released_margin_is_capped(multiplier, flat, unrealised, share):
    factor = cap_release(np.array([multiplier]), np.array([flat]), np.array([unrealised]), share)[0]
    assert factor >= multiplier
    assert flat * (1.0 - factor) <= share * max(unrealised, 0.0) + 4 * ULP * flat
    assert factor <= max(multiplier, 1.0)


@given(PRICE, PRICE, st.floats(1.0, 1e6), st.floats(0.0, 1e6), st.floats(0.0, 1e6))
def test_a_following_reference_forgets_in_one_step_or_two(previous, mark, half_life, first, second):
    start, now = np.array([previous]), np.array([mark])
    at_once = ewma(start, now, half_life, first + second)
    in_two = ewma(ewma(start, now, half_life, first), now, half_life, second)
    assert in_two == pytest.approx(at_once, rel=1e-12, abs=1e-12 * max(previous, mark))
    assert min(previous, mark) * (1 - ULP) <= at_once[0] <= max(previous, mark) * (1 + ULP)


@given(PATH, st.integers(0, 3), st.integers(1, 4))
def test_a_tier_is_never_more_lenient_than_the_move(moves, first, dwell):
    boundary = np.array([-0.1, 0.05, 0.15])
    tier, streak = np.array([first]), np.array([0])
    for x in np.cumsum(moves):
        before = tier
        tier, streak = step_tier(tier, streak, np.array([x]), boundary, 0.01, dwell)
        assert tier <= np.searchsorted(boundary, x, side="right")
        assert tier <= before + 1
        assert 0 <= streak[0] < dwell
        assert 0 <= tier[0] <= len(boundary)


# --- solvers ---


@given(st.lists(st.tuples(st.floats(-5.0, 5.0), st.floats(0.0, 1.0)), min_size=1, max_size=6))
def test_a_root_lies_inside_its_bracket(rows):
    root, place = (np.array(column) for column in zip(*rows, strict=True))
    low, high = root - 3.0 * place, root + 3.0 * (1.0 - place)

    def f(x):
        return np.sinh(x) - np.sinh(root)

    found = bracketed_root(f, low, high, 1e-12, 1e-14, 200)
    assert np.all((found >= low) & (found <= high))
    assert found == pytest.approx(root, rel=2e-14, abs=2e-12)


@given(st.floats(-0.367, 1e300))
@example(0.0)
def test_lambert_undoes_w_exp_w(z):
    w = float(lambert_w0(z))
    assert w > -1.0
    # The relative error of w exp(w) is (1 + w) times that of w.
    assert w * math.exp(w) == pytest.approx(z, rel=1e-14 * max(1.0, 1.0 + w), abs=1e-16)


@given(st.floats(1e-6, 1e6), st.floats(-20.0, 1e4))
def test_lambert_of_a_product_solves_the_logarithm(a, b):
    w = float(lambert_w0_exp(a, b))
    assert math.log(w) + w == pytest.approx(math.log(a) + b, rel=1e-13, abs=1e-13)
