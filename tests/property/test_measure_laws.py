"""Laws of cascades, of rates that move over time, of concentration and of the clawback curve."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from margrave.engine.measures.burden import concentration, gini
from margrave.engine.measures.cascade import Impact, cascade, contagion
from margrave.engine.measures.clawback import clawback_curve
from margrave.engine.measures.density import heatmap, reach_of
from margrave.engine.measures.procyclicality import impulse_response, peak_to_trough, rise_within, step_rise
from margrave.kernels.dynamic_rate import Cadence, rates

COUNT = st.shared(st.integers(1, 15), key="rows")


def column(low, high):
    return COUNT.flatmap(lambda n: hnp.arrays(np.float64, n, elements=st.floats(low, high)))


PLACE, HELD = column(50.0, 150.0), column(-10.0, 10.0)
SHOCK = st.sampled_from([-0.3, -0.05, -0.01, 0.01, 0.05, 0.3])
IMPACTS = st.builds(Impact, st.floats(0.0, 0.5), st.floats(1.0, 100.0), st.sampled_from([0.5, 1.0]))


@given(PLACE, HELD, SHOCK, IMPACTS)
def test_a_cascade_only_goes_on_in_its_direction_and_ends(place, held, shock, impact):
    found = cascade(place, held, 100.0, shock, impact)
    assert len(found.liquidated) <= len(place)
    assert (np.diff(np.sign(shock) * found.price) >= 0.0).all()
    assert (np.diff(found.liquidated, prepend=0.0) > 0.0).all()
    assert found.amplification >= 1.0 - 1e-12
    hit = found.round_of(place, held) >= 0
    assert np.abs(held[hit]).sum() == pytest.approx(found.volume)
    # At the end nothing more is reached: it is a fixed point.
    assert float(reach_of(place, held, np.sign(shock)).upto(found.final)) == pytest.approx(found.volume)


@given(PLACE, HELD, SHOCK, IMPACTS)
def test_more_impact_never_ends_nearer(place, held, shock, impact):
    harder = Impact(2.0 * impact.coefficient, impact.depth, impact.exponent)
    one, two = (cascade(place, held, 100.0, shock, law) for law in (impact, harder))
    assert two.volume >= one.volume - 1e-9
    assert np.sign(shock) * (two.final - one.final) >= -1e-9


@given(PLACE, HELD)
def test_a_heatmap_loses_no_notional(place, held):
    found = heatmap(place, held, np.array([49.0, 80.0, 100.0, 151.0]))
    assert found.longs.sum() == pytest.approx(np.maximum(held, 0.0).sum())
    assert found.shorts.sum() == pytest.approx(np.maximum(-held, 0.0).sum())


@given(hnp.arrays(np.float64, (3, 3), elements=st.floats(0.0, 0.3)))
def test_contagion_adds_up_round_by_round(gain):
    found = contagion(gain, 1.0)
    shock = np.array([-0.01, 0.0, -0.02])
    moved, total = shock, shock
    for _ in range(2_000):
        moved = gain @ moved
        total = total + moved
    if found.reproduction < 0.98:
        assert found.total(shock) == pytest.approx(total, rel=1e-6, abs=1e-12)


# --- rates over time ---

TARGETS = hnp.arrays(np.float64, 12, elements=st.floats(0.01, 1.0))
CADENCES = st.builds(
    Cadence,
    every=st.sampled_from([0.0, 10.0, 25.0]),
    notice=st.sampled_from([0.0, 15.0, 40.0]),
    step_up=st.sampled_from([0.1, 1.0, float("inf")]),
    step_down=st.sampled_from([0.05, 0.5, float("inf")]),
)
AT = 10.0 * np.arange(12)


@given(TARGETS, CADENCES)
def test_a_rate_stays_between_what_was_asked(target, cadence):
    held = rates(AT, target, cadence)
    for t in range(12):
        assert target[: t + 1].min() - 1e-12 <= held[t] <= target[: t + 1].max() + 1e-12


@given(TARGETS, CADENCES)
def test_a_rise_is_announced_in_time_and_a_fall_is_limited(target, cadence):
    held = rates(AT, target, cadence)
    for t in np.flatnonzero(np.diff(held) > 0.0):
        # Somebody asked for as much at least a notice before it holds.
        asked = target[AT[t + 1] - cadence.notice >= AT]
        assert asked.max() >= held[t + 1] - 1e-12
    least = max(1.0 - cadence.step_down, 0.0)
    assert (held[1:] >= held[:-1] * least - 1e-12).all()


@given(TARGETS, CADENCES)
def test_nothing_is_released_on_stale_inputs(target, cadence):
    held = rates(AT, target, cadence, stale=np.ones(12, dtype=bool))
    assert (np.diff(held) >= 0.0).all()


@given(TARGETS)
def test_without_discipline_a_rate_is_its_target(target):
    assert rates(AT, target, Cadence()).tobytes() == target.tobytes()


# --- series and shares ---


@given(hnp.arrays(np.float64, st.integers(3, 20), elements=st.floats(0.1, 100.0)))
def test_more_days_never_have_a_smaller_rise(margin):
    within = [rise_within(margin, n).fraction for n in range(1, len(margin))]
    assert (np.diff(within) >= 0.0).all()
    assert all(rise_within(margin, n).amount >= step_rise(margin, n).amount for n in range(1, len(margin)))
    assert within[-1] <= peak_to_trough(margin) - 1.0 + 1e-12
    assert impulse_response(margin).overshoot >= 0.0


@given(column(0.0, 1e6))
def test_concentration_is_between_equal_and_one(amount):
    found = concentration(amount)
    count = max(np.count_nonzero(amount), 1)
    if amount.sum() > 0.0:
        assert 1.0 / count - 1e-9 <= found.herfindahl <= 1.0 + 1e-9
        assert found.largest <= found.top_ten + 1e-12
    assert -1e-12 <= gini(amount) < 1.0


@given(
    hnp.arrays(np.float64, (2, 4), elements=st.floats(0.0, 10.0)),
    hnp.arrays(np.float64, (2, 4), elements=st.floats(-10.0, 10.0)),
)
def test_the_curve_of_two_halves_is_the_curve_of_the_whole(margin, equity):
    def part(rows):
        of = (margin[:, rows], equity[:, rows], margin[0, rows], equity[0, rows])
        return clawback_curve(*of)

    whole, one, two = part(slice(None)), part(slice(2)), part(slice(2, None))
    for name in ("asked", "equity", "calls", "net"):
        assert getattr(one, name) + getattr(two, name) == pytest.approx(getattr(whole, name))
    assert (whole.asked[0], whole.calls[0]) == (0.0, 0.0)
