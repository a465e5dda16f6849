"""Slow twins of the kernels in plain Python loops, without NumPy, written from the definitions."""

import itertools
import math

import numpy as np
import pytest

from margrave.kernels.black76 import coin_greeks, coin_price, quote_greeks, quote_price
from margrave.kernels.ladder import ladder_key, ladder_margin_many
from margrave.kernels.option_margin import ShortOptionTerms, otm_amount, short_option_margin
from margrave.kernels.schedule import (
    multiplier_linear,
    multiplier_pchip,
    multiplier_step,
    slope_linear,
    slope_pchip,
    step_tier,
)

SEEDS = [1, 2, 3, 4, 5]
EXACT = {"rel": 1e-12, "abs": 1e-300}


# --- ladders ---


def twin_ladder(tiers, size):
    """Margin and tier of one size on one ladder of (floor, rate, slope, deduction), by walking up."""
    at = 0
    while at + 1 < len(tiers) and size > tiers[at + 1][0]:
        at += 1
    _, rate, slope, deduction = tiers[at]
    return size * (rate + slope * size) - deduction, at


@pytest.mark.parametrize("seed", SEEDS)
def test_many_ladders(seed):
    dice = np.random.default_rng(seed)
    ladders = []
    for _ in range(12):
        floors = [0.0, *np.cumsum(dice.uniform(0.1, 50.0, dice.integers(0, 7)))]
        ladders.append([(floor, *dice.uniform(0.0, [0.2, 1e-3, 5.0])) for floor in floors])
    start = np.cumsum([0] + [len(tiers) for tiers in ladders])
    floor, rate, slope, deduction = np.array([row for tiers in ladders for row in tiers]).T.copy()
    ladder = dice.integers(0, len(ladders), 40)
    size = dice.uniform(0.0, 300.0, (25, 40))
    size[0] = 0.0
    for position in range(40):  # exactly on each ladder's last boundary
        size[1, position] = ladders[ladder[position]][-1][0]

    margin, row = ladder_margin_many(ladder_key(floor, start), rate, slope, deduction, ladder, size)
    for scenario in range(25):
        for position in range(40):
            number = ladder[position]
            expected, tier = twin_ladder(ladders[number], float(size[scenario, position]))
            assert row[scenario, position] - start[number] == tier
            assert margin[scenario, position] == pytest.approx(expected, rel=1e-12, abs=1e-12)


# --- multipliers ---


def twin_linear(knots, x):
    if x < knots[0][0]:
        return knots[0][1], 0.0
    for (x0, g0), (x1, g1) in itertools.pairwise(knots):
        if x < x1:
            slope = (g1 - g0) / (x1 - x0)
            return g0 + slope * (x - x0), slope
    return knots[-1][1], 0.0


def twin_step(knots, x):
    g = knots[0][1]
    for knot, multiplier in knots:
        if x >= knot:
            g = multiplier
    return g


def twin_end_slope(h0, h1, m0, m1):
    slope = ((2.0 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
    if m0 == 0.0 or slope * m0 < 0.0:
        return 0.0
    if m0 * m1 <= 0.0 and abs(slope) > abs(3.0 * m0):
        return 3.0 * m0
    return slope


def twin_pchip_slopes(knots):
    widths = [right[0] - left[0] for left, right in itertools.pairwise(knots)]
    chords = [
        (right[1] - left[1]) / width for left, right, width in zip(knots, knots[1:], widths, strict=False)
    ]
    if len(chords) == 1:
        return [chords[0], chords[0]]
    slopes = [twin_end_slope(widths[0], widths[1], chords[0], chords[1])]
    for k in range(1, len(chords)):
        before, after = chords[k - 1], chords[k]
        if before * after <= 0.0:
            slopes.append(0.0)
            continue
        w1, w2 = 2.0 * widths[k] + widths[k - 1], widths[k] + 2.0 * widths[k - 1]
        slopes.append((w1 + w2) / (w1 / before + w2 / after))
    return [*slopes, twin_end_slope(widths[-1], widths[-2], chords[-1], chords[-2])]


def twin_pchip(knots, x):
    """Value and slope by the four Hermite polynomials."""
    if x < knots[0][0]:
        return knots[0][1], 0.0
    slopes = twin_pchip_slopes(knots)
    for k in range(len(knots) - 1):
        (x0, g0), (x1, g1) = knots[k], knots[k + 1]
        if x < x1:
            h = x1 - x0
            t = (x - x0) / h
            value = (
                (2 * t**3 - 3 * t**2 + 1) * g0
                + (t**3 - 2 * t**2 + t) * h * slopes[k]
                + (-2 * t**3 + 3 * t**2) * g1
                + (t**3 - t**2) * h * slopes[k + 1]
            )
            slope = (
                (6 * t**2 - 6 * t) * (g0 - g1) / h
                + (3 * t**2 - 4 * t + 1) * slopes[k]
                + (3 * t**2 - 2 * t) * slopes[k + 1]
            )
            return value, slope
    return knots[-1][1], 0.0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [2, 3, 7, 12])
def test_multipliers(seed, count):
    dice = np.random.default_rng([seed, count])
    knots_x = np.cumsum(dice.uniform(0.01, 0.2, count)) - 0.5
    # Some steps are flat, so that the monotone cubic meets turns and plateaus.
    falls = dice.uniform(0.0, 0.4, count) * (dice.random(count) < 0.7)
    knots_g = 6.0 - np.cumsum(falls)
    knots = list(zip(knots_x.tolist(), knots_g.tolist(), strict=True))
    x = np.concatenate((knots_x, dice.uniform(-1.0, 3.0, 200)))

    linear = [twin_linear(knots, float(each)) for each in x]
    cubic = [twin_pchip(knots, float(each)) for each in x]
    step = [twin_step(knots, float(each)) for each in x]
    assert multiplier_linear(knots_x, knots_g, x) == pytest.approx([g for g, _ in linear], **EXACT)
    assert slope_linear(knots_x, knots_g, x) == pytest.approx([s for _, s in linear], **EXACT)
    assert multiplier_pchip(knots_x, knots_g, x) == pytest.approx([g for g, _ in cubic], **EXACT)
    assert slope_pchip(knots_x, knots_g, x) == pytest.approx([s for _, s in cubic], rel=1e-11, abs=1e-11)
    assert multiplier_step(knots_x, knots_g, x).tolist() == step


# --- tiers ---


class TwinTier:
    """One position's tier, as spec "inverse margining" 1.3 item 7 words it."""

    def __init__(self, tier, boundary, dead_band, dwell):
        self.tier, self.streak = tier, 0
        self.boundary, self.dead_band, self.dwell = boundary, dead_band, dwell

    def observe(self, x):
        if self.tier > 0 and x < self.boundary[self.tier - 1]:
            while self.tier > 0 and x < self.boundary[self.tier - 1]:
                self.tier -= 1
            self.streak = 0
        elif self.tier < len(self.boundary) and x >= self.boundary[self.tier] + self.dead_band:
            self.streak += 1
            if self.streak == self.dwell:
                self.tier += 1
                self.streak = 0
        else:
            self.streak = 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dwell", [1, 2, 3, 10])
def test_tiers_over_a_path(seed, dwell):
    dice = np.random.default_rng([seed, dwell])
    boundary = np.array([-0.10, -0.05, -0.02, 0.05, 0.10, 0.20])
    first = dice.integers(0, 7, 30)
    twins = [TwinTier(int(tier), boundary.tolist(), 0.01, dwell) for tier in first]
    tier, streak = first, np.zeros(30, dtype=np.int64)
    path = np.cumsum(dice.normal(0.0, 0.02, (400, 30)), axis=0)
    path[::50] = boundary[dice.integers(0, 6, (8, 30))]  # exactly on a boundary now and then
    moves = 0
    for x in path:
        before = tier
        tier, streak = step_tier(tier, streak, x, boundary, 0.01, dwell)
        for twin, observed in zip(twins, x, strict=True):
            twin.observe(float(observed))
        assert tier.tolist() == [twin.tier for twin in twins]
        assert streak.tolist() == [twin.streak for twin in twins]
        moves += int(np.sum(tier != before))
    assert moves > 30


# --- options ---


def phi(x):
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def twin_quote_price(forward, strike, vol, years, is_call, rate):
    """Black-76 as its paper has it: the call's two terms or the put's."""
    deviation = vol * math.sqrt(years)
    d1 = (math.log(forward / strike) + 0.5 * deviation**2) / deviation
    d2 = d1 - deviation
    discount = math.exp(-rate * years)
    if is_call:
        return discount * (forward * phi(d1) - strike * phi(d2))
    return discount * (strike * phi(-d2) - forward * phi(-d1))


def options(seed, count=400):
    dice = np.random.default_rng(seed)
    forward = np.exp(dice.uniform(0.0, 12.0, count))
    vol, years = dice.uniform(0.2, 2.0, count), dice.uniform(0.02, 1.5, count)
    strike = forward * np.exp(dice.uniform(-3.0, 3.0, count) * vol * np.sqrt(years))
    return forward, strike, vol, years, dice.random(count) < 0.5, dice.uniform(-0.1, 0.2, count)


@pytest.mark.parametrize("seed", SEEDS)
def test_option_prices(seed):
    book = options(seed)
    twins = [twin_quote_price(*map(float, row)) for row in zip(*book, strict=True)]
    forward = book[0]
    assert quote_price(*book) == pytest.approx(twins, **EXACT)
    assert coin_price(*book) == pytest.approx(np.array(twins) / forward, **EXACT)


@pytest.mark.parametrize("seed", SEEDS)
def test_first_greeks_by_differences(seed):
    # Central differences of the twin; their own error is about 1e-8.
    book = options(seed, 50)
    coin, quote = coin_greeks(*book), quote_greeks(*book)
    for number, row in enumerate(zip(*book, strict=True)):
        forward, strike, vol, years, is_call, rate = map(float, row)

        def value(f=forward, v=vol, t=years, row=(strike, is_call, rate)):
            return twin_quote_price(f, row[0], v, t, row[1], row[2])

        h = 1e-5
        up, down = value(f=forward * (1 + h)), value(f=forward * (1 - h))
        delta = (up - down) / (2 * h * forward)
        coin_delta = (up / (1 + h) - down / (1 - h)) / (2 * h * forward**2)
        vega = (value(v=vol + h) - value(v=vol - h)) / (2 * h)
        theta = (value(t=years - h * years) - value(t=years + h * years)) / (2 * h * years)
        assert quote.delta[number] == pytest.approx(delta, rel=1e-6, abs=1e-8)
        assert coin.coin_delta[number] * forward == pytest.approx(coin_delta * forward, rel=1e-6, abs=1e-8)
        assert quote.vega[number] / forward == pytest.approx(vega / forward, rel=1e-6, abs=1e-8)
        assert quote.theta[number] / forward == pytest.approx(theta / forward, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("seed", SEEDS)
def test_short_option_margin(seed):
    dice = np.random.default_rng(seed)
    terms = ShortOptionTerms(base=0.15, floor=0.10, mark_fraction=0.075, factor=1.5, fee=0.002)
    index, strike = dice.uniform(50.0, 150.0, (2, 300))
    is_call, mark = dice.random(300) < 0.5, dice.uniform(0.0, 300.0, 300)
    otm = otm_amount(index, strike, is_call) / index
    margin = short_option_margin(terms, otm, mark, worth=index, minimum=40.0)
    for number in range(300):
        s, k, m = float(index[number]), float(strike[number]), float(mark[number])
        out = max(k - s, 0.0) if is_call[number] else max(s - k, 0.0)
        risk = 1.5 * max(0.15 * s - out, 0.10 * s, 0.075 * m)
        assert margin[number] == pytest.approx(max(risk + m + 0.002 * s, 40.0), rel=1e-12)
