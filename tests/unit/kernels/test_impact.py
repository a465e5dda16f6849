"""Laws of impact, their decay, books of levels and the published execution programme."""

import numpy as np
import pytest

from margrave.kernels.impact import (
    Programme,
    decayed,
    depth_within,
    emptied,
    execution_cost,
    exponential_propagator,
    fills,
    holdings,
    power_law,
    power_propagator,
    propagated,
    refilled,
    remaining,
    square_root,
    temporary_linear,
    urgency,
)

# Almgren and Chriss 2000, as reference.json prints it: a million shares at 50 in five days.
PUBLISHED = Programme(1e6, 5.0, 5, 0.95, 0.0625, 2.5e-7, 2.5e-6)


@pytest.mark.parametrize(
    ("law", "move"),
    [
        (lambda: temporary_linear(np.array([-50.0, 20.0]), 1_000.0), [-0.05, 0.02]),
        (lambda: power_law(-20e6, 100e6, 0.05), -0.01),  # inverse-margining 4.3: kappa 0.05 per USD 100m
        (lambda: power_law(np.array([-4.0, 4.0]), 16.0, 0.1, 0.5), [-0.05, 0.05]),
        (lambda: square_root(-0.01, 1.0, 0.04), -0.004),  # clearing 2.2: Y = 1, vol 4 %, Q / V = 1 %
        (lambda: square_root(0.0, 1.0, 0.04), 0.0),
    ],
)
def test_laws(law, move):
    assert law() == pytest.approx(move, rel=1e-12)


def test_half_is_left_after_a_halflife():
    assert decayed(np.array([8.0, -8.0]), 3.0, 1.0) == pytest.approx([1.0, -1.0])
    assert exponential_propagator(3, 1.0) == pytest.approx([1.0, 0.5, 0.25])
    assert power_propagator(3, 1.0, 0.5) == pytest.approx([1.0, 0.5**0.5, 3**-0.5])


def test_impact_of_the_past_adds_up():
    assert propagated(np.array([1.0, 0.0, 1.0]), exponential_propagator(3, 1.0)) == pytest.approx(
        [1, 0.5, 1.25]
    )
    stepwise, state = [], 0.0
    for move in (0.3, -0.1, 0.0, 0.2):
        state = float(decayed(state, 1.0, 2.0)) + move
        stepwise.append(state)
    assert propagated(np.array([0.3, -0.1, 0.0, 0.2]), exponential_propagator(9, 2.0)) == pytest.approx(
        stepwise
    )


def test_a_depth_empties_and_comes_back():
    assert emptied(np.array([10.0, 10.0]), np.array([-4.0, 14.0])) == pytest.approx([6.0, 0.0])
    assert refilled(0.0, 16.0, np.array([0.0, 1.0, 2.0]), 1.0) == pytest.approx([0.0, 8.0, 12.0])
    assert refilled(20.0, 16.0, 1.0, 1.0) == pytest.approx(18.0)  # more than usual: it leaves


# --- levels ---

BIDS, SIZES = np.array([100.0, 99.0, 97.0]), np.array([2.0, 3.0, 5.0])


def test_orders_walk_the_book():
    found = fills(BIDS, SIZES, np.array([0.0, 1.0, 2.0, 4.0, 10.0, 12.0]))
    assert found.filled.tolist() == [0.0, 1.0, 2.0, 4.0, 10.0, 10.0]
    assert found.cost.tolist() == [0.0, 100.0, 200.0, 398.0, 982.0, 982.0]
    assert found.last[1:].tolist() == [100.0, 100.0, 99.0, 97.0, 97.0]
    assert np.isnan([found.last[0], found.average[0]]).all()
    assert found.average[4] == pytest.approx(98.2)


def test_an_empty_book_fills_nothing():
    found = fills(np.array([]), np.array([]), 3.0)
    assert [found.filled.tolist(), found.cost.tolist()] == [[0.0], [0.0]]
    assert np.isnan(found.last).all()


def test_what_stays_in_the_book():
    assert remaining(SIZES, 4.0).tolist() == [0.0, 1.0, 5.0]
    assert remaining(SIZES, 99.0).tolist() == [0.0, 0.0, 0.0]
    assert depth_within(BIDS, SIZES, 100.0, np.array([0.0, 0.01, 0.05])).tolist() == [2.0, 5.0, 10.0]


# --- Almgren and Chriss ---


@pytest.mark.parametrize(
    ("risk_aversion", "kappa", "held", "expected", "deviation"),
    [
        (0.0, 0.0, [1e6, 8e5, 6e5, 4e5, 2e5, 0.0], 662_500.0, 1_040_672.859),
        (
            1e-6,
            0.6070761632,
            [1e6, 541955.5544, 289854.2194, 147897.4878, 62141.80161, 0],
            911226.9863,
            603430.6688,
        ),
        (
            2e-6,
            0.8462971345,
            [1e6, 428598.8457, 182932.8143, 76295.72162, 27643.3774, 0],
            1140715.167,
            449367.6525,
        ),
    ],
)
def test_the_published_programme(risk_aversion, kappa, held, expected, deviation):
    assert urgency(PUBLISHED, risk_aversion) == pytest.approx(kappa, rel=1e-9)
    path = holdings(PUBLISHED, risk_aversion)
    assert path == pytest.approx(held, rel=1e-9)
    cost = execution_cost(PUBLISHED, path)
    assert [cost.expected, cost.deviation] == pytest.approx([expected, deviation], rel=1e-9)


def test_the_path_is_the_cheapest_of_its_neighbours():
    risk_aversion, path = 1e-6, holdings(PUBLISHED, 1e-6)

    def utility(held):
        cost = execution_cost(PUBLISHED, held)
        return cost.expected + risk_aversion * cost.variance

    for step in range(1, 5):
        for move in (-1e3, 1e3):
            other = path.copy()
            other[step] += move
            assert utility(other) > utility(path)


def test_great_urgency_closes_at_once_and_does_not_overflow():
    path = holdings(PUBLISHED, 1e12)
    assert path[0] == pytest.approx(1e6)
    assert abs(path[1:]).max() < 1e-6


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: temporary_linear(1.0, 0.0), "depth"),
        (lambda: temporary_linear(np.nan, 1.0), "flow"),
        (lambda: power_law(1.0, 1.0, -1.0), "coefficient"),
        (lambda: power_law(1.0, 1.0, 1.0, 0.0), "exponent"),
        (lambda: decayed(1.0, 1.0, 0.0), "halflife"),
        (lambda: refilled(-1.0, 1.0, 1.0, 1.0), "depth"),
        (lambda: fills(BIDS, SIZES[:2], 1.0), "one length"),
        (lambda: fills(np.array([1.0, 3.0, 2.0]), SIZES, 1.0), "in order"),
        (lambda: fills(BIDS, SIZES, -1.0), "wanted"),
        (lambda: Programme(1.0, 1.0, 0, 0.1, 0.0, 0.0, 1.0), "steps"),
        (lambda: Programme(-1.0, 1.0, 1, 0.1, 0.0, 0.0, 1.0), "size"),
        (lambda: Programme(1.0, 1.0, 1, 0.1, 0.0, 3.0, 1.0), "temporary"),
        (lambda: execution_cost(PUBLISHED, np.array([1.0, 0.0])), "held"),
        (lambda: urgency(PUBLISHED, -1.0), "risk_aversion"),
    ],
)
def test_a_bad_number_is_refused_by_name(call, match):
    with pytest.raises(ValueError, match=match):
        call()
