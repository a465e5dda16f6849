"""How a multiplier moves in time: tiers with hysteresis, the ratchet, rate limits and caps."""

import numpy as np
import pytest

from margrave.kernels.schedule import (
    cap_release,
    ewma,
    floor_and_cap,
    high_water_mark,
    log_excursion,
    multiplier_linear,
    ratchet,
    rate_limited_release,
    step_tier,
)

BAD = [np.nan, np.inf, -np.inf, -1.0]

# Spec "inverse margining" 1.3, step mode with hysteresis. Tier 3 of 0 to 6 is the spec's tier 0.
BOUNDARY = np.array([-0.10, -0.05, -0.02, 0.05, 0.10, 0.20])
NEUTRAL = 3
STEP_TABLE = [
    # price, x, tier after
    (50_000, 0.0, 0),
    (52_600, 0.05069, 0),
    (53_000, 0.05827, 0),  # inside the dead-band
    (53_200, 0.06204, 0),
    (53_300, 0.06391, 0),
    (53_400, 0.06579, 1),  # third qualifying observation
    (53_200, 0.06204, 1),
    (52_600, 0.05069, 1),  # sticky above 0.05
    (52_500, 0.04879, 0),  # immediate
    (53_200, 0.06204, 0),
    (53_200, 0.06204, 0),
    (53_200, 0.06204, 1),
    (48_900, -0.02225, -1),  # two tiers at once
    (49_600, -0.00803, -1),
    (49_600, -0.00803, -1),
    (49_600, -0.00803, 0),  # needs x >= -0.02 + 0.01
]


def step(tier, streak, x, dwell=3):
    return step_tier(np.array(tier), np.array(streak), np.array(x), BOUNDARY, 0.01, dwell)


def test_step_table():
    tier, streak = np.array([NEUTRAL]), np.array([0])
    for number, (price, x, after) in enumerate(STEP_TABLE, start=1):
        observed = np.array([log_excursion(1.0, price, 50_000.0)])
        assert observed == pytest.approx([x], abs=5.1e-6)
        tier, streak = step_tier(tier, streak, observed, BOUNDARY, 0.01, 3)
        assert tier.tolist() == [NEUTRAL + after], f"observation {number}"


@pytest.mark.parametrize(
    ("before", "x", "after"),
    [
        ((3, 2), -1.0, (0, 0)),  # all the way down at once
        ((3, 2), -0.10, (1, 0)),  # on a boundary: the tier above it
        ((3, 2), 0.05 + 0.01, (4, 0)),  # exactly boundary + dead-band qualifies
        ((3, 2), 0.0599, (3, 0)),  # a gap begins the count again
        ((3, 0), 9.0, (3, 1)),
        ((3, 2), 9.0, (4, 0)),  # one tier a release, however far
        ((6, 2), 9.0, (6, 0)),  # nothing above the last tier
        ((0, 2), -9.0, (0, 0)),
        ((0, 2), -0.09, (1, 0)),
        ((3, 1), np.nan, (3, 0)),
        ((6, 0), np.nan, (6, 0)),
        ((0, 0), np.inf, (0, 1)),
        ((6, 0), -np.inf, (0, 0)),
    ],
)
def test_one_observation(before, x, after):
    tier, streak = step([before[0]], [before[1]], [x])
    assert (tier.tolist(), streak.tolist()) == ([after[0]], [after[1]])


def test_a_dwell_of_one_releases_at_once():
    tier, streak = step([3, 3], [0, 0], [0.05 + 0.01, 0.05], dwell=1)
    assert tier.tolist() == [4, 3]
    assert streak.tolist() == [0, 0]


def test_the_state_before_is_not_written_to():
    tier, streak = np.array([3, 3]), np.array([2, 2])
    step_tier(tier, streak, np.array([9.0, -9.0]), BOUNDARY, 0.01, 3)
    assert tier.tolist() == [3, 3]
    assert streak.tolist() == [2, 2]


# --- ratchet ---

T1_X = np.array([-0.20, -0.10, -0.05, 0.0, 0.05, 0.10, 0.20])
T1_G = np.array([2.00, 1.50, 1.20, 1.00, 0.90, 0.80, 0.60])
# Spec 1.4: price, best mark, g from entry, g from the best mark, ratchet, maintenance margin in coin.
RATCHET_TABLE = [
    (50_000, 50_000, 1.000000, 1.000000, 1.000000, 0.100000),
    (52_000, 52_000, 0.921559, 1.000000, 0.921559, 0.088611),
    (55_000, 55_000, 0.809380, 1.000000, 0.809380, 0.073580),
    (60_000, 60_000, 0.635357, 1.000000, 0.635357, 0.052946),
    (57_000, 60_000, 0.737943, 1.207760, 0.767358, 0.067312),
    (54_000, 60_000, 0.846078, 1.526803, 0.970065, 0.089821),
    (50_000, 60_000, 1.000000, 1.911608, 1.214553, 0.121455),
    (47_000, 60_000, 1.271252, 2.000000, 1.271252, 0.135240),
]


def mirrored(price, side):
    return price if side > 0.0 else 50_000.0**2 / price


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_ratchet_table_and_its_mirror(side):
    best = np.array([50_000.0])
    for price, high, from_entry, from_best, ratcheted, margin in RATCHET_TABLE:
        mark = np.array([mirrored(price, side)])
        best = high_water_mark(side, best, mark)
        assert best == pytest.approx([mirrored(high, side)], rel=1e-15)
        at_entry = multiplier_linear(T1_X, T1_G, log_excursion(side, mark, 50_000.0))
        at_peak = multiplier_linear(T1_X, T1_G, log_excursion(side, best, 50_000.0))
        at_drawdown = multiplier_linear(T1_X, T1_G, log_excursion(side, mark, best))
        g = ratchet(at_entry, at_peak, at_drawdown)
        assert at_entry == pytest.approx([from_entry], abs=5.1e-7)
        assert at_drawdown == pytest.approx([from_best], abs=5.1e-7)
        assert g == pytest.approx([ratcheted], abs=5.1e-7)
        assert 0.05 * g * 100_000 / price == pytest.approx([margin], abs=5.1e-7)


def test_best_marks_of_both_sides_at_once():
    side, previous, mark = np.array([1.0, 1.0, -1.0, -1.0]), np.full(4, 100.0), np.array([90.0, 110.0] * 2)
    assert high_water_mark(side, previous, mark).tolist() == [100.0, 110.0, 90.0, 100.0]


# --- rate limits, references, caps ---


@pytest.mark.parametrize(
    ("now", "before", "charged"),
    [
        (1.5, 1.0, 1.5),  # a surcharge is immediate
        (0.5, 1.0, 0.9),  # relief is not
        (0.95, 1.0, 0.95),
        (1.0, 1.0, 1.0),
    ],
)
def test_release_is_rate_limited(now, before, charged):
    result = rate_limited_release(np.array([now]), np.array([before]), 0.01, 10.0)
    assert result == pytest.approx([charged], rel=1e-15)


def test_no_time_releases_nothing_and_no_rate_never():
    now, before = np.array([0.5]), np.array([1.0])
    assert rate_limited_release(now, before, 0.01, 0.0).tolist() == [1.0]
    assert rate_limited_release(now, before, 0.0, 1e9).tolist() == [1.0]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_release_is_named(bad):
    g = np.array([1.0])
    with pytest.raises(ValueError, match=r"^release_per_second must"):
        rate_limited_release(g, g, bad, 1.0)
    with pytest.raises(ValueError, match=r"^seconds must"):
        rate_limited_release(g, g, 1.0, np.array([1.0, bad]))


@pytest.mark.parametrize(("dt", "reference"), [(0.0, 100.0), (60.0, 110.0), (120.0, 115.0), (1e9, 120.0)])
def test_a_reference_follows_with_a_half_life(dt, reference):
    assert ewma(np.array([100.0]), np.array([120.0]), 60.0, dt).tolist() == [reference]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_half_life_or_interval_is_named(bad):
    price = np.array([1.0])
    with pytest.raises(ValueError, match=r"^half_life must"):
        ewma(price, price, bad, 1.0)
    with pytest.raises(ValueError, match=r"^dt must"):
        ewma(price, price, 1.0, bad)


def test_a_half_life_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"^half_life must"):
        ewma(np.array([1.0]), np.array([1.0]), 0.0, 1.0)


@pytest.mark.parametrize(
    ("multiplier", "flat", "unrealised", "capped"),
    [
        (0.6, 10.0, 4.0, 0.8),  # releases 4, may release 2
        (0.9, 10.0, 4.0, 0.9),  # releases 1, may release 2
        (0.6, 10.0, -4.0, 1.0),  # no profit, no release
        (0.6, 10.0, 0.0, 1.0),
        (1.5, 10.0, -4.0, 1.5),  # a surcharge stands
        (0.6, 10.0, 100.0, 0.6),
        (0.6, 0.0, 1.0, 0.6),  # nothing to release
        (0.6, 1e-310, 1.0, 0.6),
    ],
)
def test_release_is_capped_by_profit(multiplier, flat, unrealised, capped):
    result = cap_release(np.array([multiplier]), np.array([flat]), np.array([unrealised]), 0.5)
    assert result == pytest.approx([capped], rel=1e-15)


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_share_is_named(bad):
    one = np.array([1.0])
    with pytest.raises(ValueError, match=r"^share must"):
        cap_release(one, one, one, bad)


@pytest.mark.parametrize(
    ("rate", "held"), [(0.001, 0.01), (0.05, 0.05), (2.0, 1.0), (0.01, 0.01), (1.0, 1.0)]
)
def test_a_rate_stays_within_its_bounds(rate, held):
    assert floor_and_cap(np.array([rate]), 0.01, 1.0).tolist() == [held]


def test_the_cap_wins():
    assert floor_and_cap(np.array([0.5]), 0.9, np.array([0.2])).tolist() == [0.2]


def test_a_rate_that_is_nan_stays_nan():
    assert np.isnan(floor_and_cap(np.array([np.nan]), 0.1, 1.0)).tolist() == [True]
