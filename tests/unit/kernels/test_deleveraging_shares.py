"""Who loses how much: the example of all four rules, whole lots, and refusals."""

import numpy as np
import pytest

from margrave.kernels.deleveraging_shares import by_queue, haircut, level_left, pro_rata, water_filling

# reference.json, adl: three shorts at 1,000, 12 contracts to remove, a deficit of 1,900 dollars
SIZE, EQUITY, PRICE = np.array([10.0, 10.0, 20.0]), np.array([5_000.0, 20_000.0, 40_000.0]), 1_000.0


def test_the_queue_takes_whole_positions():
    assert by_queue(np.array([2.1, 0.75, 0.6]), SIZE, 12.0).tolist() == [10.0, 2.0, 0.0]


def test_pro_rata_takes_the_same_share():
    assert pro_rata(SIZE, 12.0) == pytest.approx([3.0, 3.0, 6.0])


def test_water_filling_levels_leverage():
    lost = water_filling(SIZE, 12.0, EQUITY / PRICE)
    assert lost == pytest.approx([7.846153846, 1.384615385, 2.769230769], rel=1e-9)
    assert (SIZE - lost) * PRICE / EQUITY == pytest.approx([0.4307692308] * 3, rel=1e-9)
    assert level_left(SIZE, 12.0, EQUITY / PRICE) == pytest.approx(0.4307692308, rel=1e-9)


def test_a_haircut_touches_gains_only():
    assert haircut(np.array([500.0, 5_000.0, -900.0, 4_000.0]), 1_900.0) == pytest.approx(
        [100, 1_000, 0, 800]
    )
    assert haircut(np.array([-1.0, -2.0]), 5.0).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("size", "wanted", "lot", "lost"),
    [
        ([1.0, 1.0, 1.0], 2.0, 1.0, [1.0, 1.0, 0.0]),  # equal remainders: the earlier rows
        ([3.0, 2.0, 2.0], 5.0, 1.0, [2.0, 2.0, 1.0]),  # 2.14, 1.43, 1.43
        ([0.3, 0.2], 0.4, 0.1, [0.2, 0.2]),  # 2.4 and 1.6 lots
        ([5.0, 0.0], 9.0, 1.0, [5.0, 0.0]),  # everything, where there is less
        ([], 3.0, 1.0, []),
        ([0.0, 0.0], 3.0, 0.0, [0.0, 0.0]),
    ],
)
def test_pro_rata_in_whole_lots(size, wanted, lot, lost):
    assert pro_rata(np.array(size), wanted, lot) == pytest.approx(lost)


@pytest.mark.parametrize(
    ("size", "capacity", "wanted", "lost"),
    [
        ([10.0, 4.0, 1.0], 1.0, 3.0, [3.0, 0.0, 0.0]),  # the highest alone
        ([10.0, 4.0, 1.0], 1.0, 8.0, [7.0, 1.0, 0.0]),  # down to three each
        ([10.0, 4.0, 1.0], 1.0, 99.0, [10.0, 4.0, 1.0]),
        ([10.0, 4.0, 1.0], [1.0, 1.0, 0.0], 0.5, [0.0, 0.0, 0.5]),  # no capacity goes first
        ([10.0, 4.0, 1.0], [1.0, 1.0, 0.0], 4.0, [3.0, 0.0, 1.0]),
        ([2.0, 2.0], [0.0, 0.0], 2.0, [1.0, 1.0]),
        ([2.0, 2.0], [0.0, 0.0], 0.0, [0.0, 0.0]),
        ([0.0, 2.0], [0.0, 1.0], 0.0, [0.0, 0.0]),
        ([], 1.0, 1.0, []),
    ],
)
def test_water_filling_at_its_edges(size, capacity, wanted, lost):
    assert water_filling(np.array(size), wanted, np.array(capacity)) == pytest.approx(lost)


def test_a_level_without_anything_to_lower():
    assert level_left(np.array([3.0]), 1.0, 0.0) == 0.0
    assert level_left(np.array([3.0, 1.0]), 4.0) == 0.0
    assert level_left(np.array([3.0, 1.0]), 0.0) == 3.0


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: by_queue(np.array([np.nan]), np.array([1.0]), 1.0), "score"),
        (lambda: pro_rata(np.array([-1.0]), 1.0), "size"),
        (lambda: pro_rata(np.array([1.0]), np.inf), "wanted"),
        (lambda: pro_rata(np.array([1.0]), 0.5, 1.0), "wanted must be whole lots"),
        (lambda: pro_rata(np.array([1.5]), 1.0, 1.0), "size must be whole lots"),
        (lambda: pro_rata(np.array([1.0]), 1.0, -1.0), "lot"),
        (lambda: haircut(np.array([np.nan]), 1.0), "size"),
        (lambda: water_filling(np.array([1.0]), 1.0, -1.0), "capacity"),
    ],
)
def test_a_bad_number_is_refused_by_name(call, match):
    with pytest.raises(ValueError, match=match):
        call()
