"""Where liquidations stand: bins, reach and the condition for a cascade."""

import numpy as np
import pytest

from margrave.engine.measures.density import (
    acceleration_index,
    amplification_of,
    branching_ratio,
    heatmap,
    log_edges,
    reach_of,
)

PLACE = np.array([90.0, 95.0, 95.0, 105.0, np.nan, 110.0])
HELD = np.array([10.0, 20.0, 5.0, -7.0, 99.0, -1.0])


def test_bins_hold_their_lower_edge():
    found = heatmap(PLACE, HELD, np.array([90.0, 95.0, 100.0, 110.0]))
    assert found.longs.tolist() == [10.0, 25.0, 0.0]
    assert found.shorts.tolist() == [0.0, 0.0, 8.0]
    assert (found.density * found.width).sum() == pytest.approx(43.0)


def test_a_row_may_stand_for_many_accounts():
    found = heatmap(PLACE, HELD, np.array([80.0, 120.0]), np.array([3.0, 1.0, 1.0, 2.0, 1.0, 0.0]))
    assert (found.longs.tolist(), found.shorts.tolist()) == ([55.0], [14.0])


def test_edges_around_a_price():
    edges = log_edges(100.0, 0.1, 2)
    assert edges == pytest.approx(100.0 * np.exp([-0.1, -0.05, 0.0, 0.05, 0.1]))


def test_a_fall_reaches_longs_and_a_rise_shorts():
    fall, rise = reach_of(PLACE, HELD, -1.0), reach_of(PLACE, HELD, 1.0)
    assert fall.upto(np.array([100.0, 95.0, 94.0, 90.0])).tolist() == [0.0, 25.0, 25.0, 35.0]
    assert rise.upto(np.array([100.0, 105.0, 120.0])).tolist() == [0.0, 7.0, 8.0]
    assert float(fall.upto(95.0)) == 25.0


# 4.3: R of 0.25, 0.5, 0.75, 0.95 and 1
@pytest.mark.parametrize(
    ("ratio", "amplified"), [(0.25, 4 / 3), (0.5, 2), (0.75, 4), (0.95, 20), (1.0, np.inf)]
)
def test_amplification_of_a_flat_density(ratio, amplified):
    assert amplification_of(ratio) == pytest.approx(amplified)


def test_acceleration_index():
    assert acceleration_index(np.array([0.6, 0.5]), np.array([0.4, 0.0])) == pytest.approx([1.5, np.inf])
    assert np.isnan(acceleration_index(0.0, 0.0))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: heatmap(PLACE, HELD, np.array([1.0])), "edges"),
        (lambda: heatmap(PLACE, HELD, np.array([2.0, 1.0])), "edges"),
        (lambda: heatmap(PLACE, HELD, np.array([1.0, 2.0]), -1.0), "weight"),
        (lambda: heatmap(PLACE, np.full(6, np.nan), np.array([1.0, 2.0])), "notional"),
        (lambda: log_edges(0.0, 0.1, 2), "price"),
        (lambda: reach_of(PLACE, HELD, 1.0).upto(-1.0), "price"),
        (lambda: branching_ratio(-1.0, 1.0), "density"),
        (lambda: amplification_of(-0.1), "ratio"),
    ],
)
def test_a_bad_number_is_refused_by_name(call, match):
    with pytest.raises(ValueError, match=match):
        call()
