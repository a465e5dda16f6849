"""Procyclicality: the path of sections 1.4 and 4.1, the recomputed series of the research, and impulse responses."""

import numpy as np
import pytest

from margrave.engine.assess import assess
from margrave.engine.measures.procyclicality import (
    Evidence,
    evidence,
    frontier,
    impulse_response,
    peak_to_trough,
    released,
    rise_within,
    saving,
    step_rise,
)
from margrave.engine.paths.memory import advance
from margrave.kernels.dynamic_rate import blended, buffered, floored, vol_multiplier
from margrave.kernels.history import ewma_variances, rescaled, vol_ratios
from margrave.kernels.tail import upper_quantile
from margrave.rulebook.reform import with_schedule
from margrave.rulebook.schedules import Reference, Schedule
from tests.unit.made import T1, inverse_account, inverse_market, rules

PRICES = (50_000, 52_000, 55_000, 60_000, 57_000, 54_000, 50_000, 47_000)
SERIES = np.array([100, 100, 110, 150, 220, 200, 180, 150, 130, 110, 100.0])  # reference.json, procyclicality


def maintenance(reference: Reference | None):
    """Coin maintenance of 100k long from 50,000 along the path of 1.4."""
    rulebook, account, asked = rules(), inverse_account(), []
    if reference is not None:
        schedule = Schedule(name="path", code="TEST-PATH-001", knots=T1.knots, reference=reference)
        rulebook = with_schedule(rulebook, schedule)
    for price in PRICES:
        account = advance(account, inverse_market(price), rulebook)
        asked.append(assess(account, inverse_market(price), rulebook).pools[0].maintenance)
    return np.array(asked)


# 4.1: peak over trough, largest rise over one step and over two, mean.
FIGURES = [
    (None, 1.276596, 0.080000, 0.148936, 0.094636),
    (Reference.ENTRY, 2.554274, 0.352396, 0.726304, 0.086681),
    (Reference.RATCHET, 2.554274, 0.352196, 0.804360, 0.091121),
    (Reference.HIGH_WATER, 2.553191, 0.352196, 0.804360, 0.127705),
]


@pytest.mark.parametrize(("reference", "peak", "one", "two", "mean"), FIGURES)
def test_figures_of_the_path(reference, peak, one, two, mean):
    asked = maintenance(reference)
    told = (peak_to_trough(asked), step_rise(asked, 1).fraction, step_rise(asked, 2).fraction, asked.mean())
    assert told == pytest.approx((peak, one, two, mean), abs=6e-7)


def test_the_recomputed_series():
    assert peak_to_trough(SERIES) == pytest.approx(2.2)
    for steps, amount, fraction in ((1, 70, 0.4666666667), (2, 110, 1.0), (5, 120, 1.2)):
        rise = rise_within(SERIES, steps)
        assert (rise.amount, rise.fraction) == pytest.approx((amount, fraction))
    # Exactly five steps apart the largest rise is smaller: the peak comes after four.
    assert step_rise(SERIES, 5).fraction == pytest.approx(1.0)


def test_a_requirement_that_only_falls_has_no_rise():
    assert step_rise(SERIES[::-1][6:], 1).fraction == 0.0
    assert rise_within(np.array([3.0, 2.0, 1.0]), 2) == step_rise(np.array([3.0, 2.0, 1.0]), 2)


# --- impulse ---


def test_a_filter_of_vol_goes_half_way_in_its_half_life():
    # DM-5: vol doubles. The variance goes half way in ln 2 / -ln 0.94 = 11.2 steps, the requirement somewhat sooner.
    returns = np.concatenate([[[0.01]], np.full((400, 1), 0.02)])
    asked = np.sqrt(ewma_variances(returns, 0.94, 1e-4))[1:, 0]
    found = impulse_response(asked)
    assert found.settled == pytest.approx(2.0, rel=1e-6)
    assert found.half_life == np.argmax(np.sqrt(4 - 3 * 0.94 ** np.arange(40)) >= 1.5) == 9
    assert found.overshoot == 0.0
    assert np.isnan(found.release)


def filtered(days: int = 900, window: int = 250):
    """Upper quantile at 99 % of filtered history while vol doubles after 300 days, from the day before that."""
    size = np.where(np.arange(days) < 300, 0.01, 0.02) * np.where(np.arange(days) % 2, 1.0, -1.0)
    variances = ewma_variances(size[:, None], 0.94, 1e-4)
    asked = []
    for day in range(299, days + 1):
        seen = slice(max(day - window, 0), day)
        ratio = vol_ratios(np.vstack([variances[seen], variances[day : day + 1]]), 0.0, np.inf)
        asked.append(upper_quantile(-rescaled(size[seen, None], ratio)[:, 0], 0.99).value)
    return np.array(asked)


def test_filtered_history_over_reacts_to_a_step_of_vol():
    # clearing 2.1 and 3: returns of the new regime are first divided by the vol of the old one.
    found = impulse_response(filtered())
    assert found.settled == pytest.approx(2.0, rel=1e-3)
    assert found.overshoot > 0.8
    assert 0 < found.half_life < np.log(2) / -np.log(0.94) < 250  # sooner than the filter itself
    assert found.release < 250  # gone before the window has forgotten the calm


def test_a_stressed_period_mitigates_better_than_a_buffer():
    asked = filtered()
    plain, buffer, stress = (
        peak_to_trough(m) for m in (asked, buffered(asked, asked[0]), blended(asked, asked.max()))
    )
    assert stress < buffer < plain


def test_overshoot_and_its_release():
    found = impulse_response(np.array([10.0, 18.0, 30.0, 26.0, 24.0, 20.0, 20.0]))
    assert found.ratio.tolist() == [1.0, 1.8, 3.0, 2.6, 2.4, 2.0, 2.0]
    assert (found.overshoot, found.half_life, found.release) == pytest.approx((1.0, 1.0, 2.0))
    down = impulse_response(np.array([20.0, 12.0, 8.0, 10.0]))
    assert (down.settled, down.overshoot, down.half_life) == pytest.approx((0.5, 0.2, 1.0))


def test_nothing_changed():
    found = impulse_response(np.array([5.0, 9.0, 5.0]))
    assert (found.settled, found.overshoot) == (1.0, 0.0)
    assert np.isnan([found.half_life, found.release]).all()


# --- efficiency beside coverage ---


def test_efficiency_without_coverage_is_not_proven():
    loss = np.array([0.0, -5.0, 80.0, 111.0])
    flat = evidence(np.full(4, 150.0), loss)
    lean = evidence(np.array([100.0, 90.0, 100.0, 110.0]), loss)
    assert (flat.coverage, flat.mean, flat.peak_to_trough, flat.rise, flat.worst_breach) == (1, 150, 1, 0, 0)
    assert lean.coverage == 0.75
    assert lean.worst_breach == pytest.approx(1 / 110)
    found = saving(lean, flat)
    assert found.saving == pytest.approx(1 - 100 / 150)
    assert not found.is_proven
    assert saving(flat, flat).is_proven


def test_a_buffer_costs_more_and_is_calmer():
    # RBF-6: cost and benefit both reported. A calm year, a wild month, and back.
    vol = np.concatenate(
        [np.full(100, 0.4), np.linspace(0.4, 0.6, 10), np.full(20, 0.6), np.linspace(0.6, 0.4, 30)]
    )
    model = 100.0 * vol_multiplier(vol, vol, 0.4, 0.5, 4.0)
    kept = {"plain": model, "buffer": buffered(model, 120.0), "floor": floored(model, 125.0)}
    told = {name: evidence(asked, np.zeros(len(asked)), 10) for name, asked in kept.items()}
    assert told["buffer"].mean > told["plain"].mean
    assert told["buffer"].peak_to_trough < told["plain"].peak_to_trough
    assert told["floor"].peak_to_trough == pytest.approx(1.2)


def test_the_frontier_leaves_out_what_is_beaten():
    rows = [
        Evidence(*row, 0.0, 0.0)
        for row in ((0.99, 10, 2), (0.995, 12, 2), (0.99, 11, 3), (0.99, 10, 2), (0.98, 20, 1))
    ]
    assert frontier(rows) == (0, 1, 3, 4)
    assert frontier([]) == ()


def test_relief_that_is_out():
    # 4.2: 100k long, initial margin at +5, +10 and +20 %: what the schedule has released.
    flat, tiered = rules(), with_schedule(rules(), T1)
    for price, relief in ((52_500, 0.01858673), (55_000, 0.03465825), (60_000, 0.06077385)):
        asked = [
            np.array([assess(inverse_account(), inverse_market(price), r).pools[0].initial])
            for r in (flat, tiered)
        ]
        assert released(*asked) == pytest.approx(relief, abs=6e-9)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: peak_to_trough(np.array([])), "margin"),
        (lambda: peak_to_trough(np.array([1.0, 0.0])), "margin"),
        (lambda: step_rise(SERIES, 0), "steps"),
        (lambda: rise_within(SERIES, 11), "steps"),
        (lambda: evidence(SERIES, np.zeros(3)), "loss"),
        (lambda: released(np.array([-1.0]), np.array([1.0])), "flat"),
    ],
)
def test_a_bad_number_is_refused_by_name(call, match):
    with pytest.raises(ValueError, match=match):
        call()
