"""Who bore a deleveraging, and how much was taken for nothing."""

import numpy as np
import pytest

from margrave.engine.measures.burden import burden, concentration, gini, overshoot
from margrave.kernels.deleveraging_shares import by_queue, pro_rata, water_filling

SIZE, ROOM = np.array([10.0, 10.0, 20.0]), np.array([5.0, 20.0, 40.0])


def test_who_bore_it():
    found = burden(
        np.array([6.0, 0.0, 3.0, 1.0]), np.array([2.0, 9.0, 0.5, np.nan]), np.array([0.4, 9, 0.2, -0.3])
    )
    assert (found.accounts, found.volume) == (3, 10.0)
    assert found.in_profit == pytest.approx(2 / 3)
    assert found.median_leverage == 1.25
    assert (found.median_profit, found.mean_profit) == pytest.approx((0.2, 0.1))
    assert (found.largest_share, found.top_ten_share) == pytest.approx((0.6, 1.0))
    assert found.herfindahl == pytest.approx(0.36 + 0.09 + 0.01)


def test_concentration_of_open_positions():
    found = concentration(np.concatenate([[50.0], np.full(10, 5.0), [0.0]]))
    assert (found.largest, found.top_ten) == pytest.approx((0.5, 0.95))
    assert found.herfindahl == pytest.approx(0.25 + 10 * 0.05**2)
    assert concentration(np.full(4, 3.0)).herfindahl == pytest.approx(0.25)


def test_nobody_bore_anything():
    found = burden(np.zeros(3), np.ones(3), np.ones(3))
    assert (found.accounts, found.volume, found.largest_share, found.inequality) == (0, 0.0, 0.0, 0.0)
    assert np.isnan([found.in_profit, found.median_leverage, found.median_profit, found.mean_profit]).all()


@pytest.mark.parametrize(
    ("amount", "coefficient"),
    [([1.0, 1.0, 1.0], 0.0), ([0.0, 0.0, 3.0], 2 / 3), ([1.0, 3.0], 0.25), ([], 0.0)],
)
def test_inequality(amount, coefficient):
    assert gini(np.array(amount)) == pytest.approx(coefficient)


def test_a_queue_concentrates_what_water_filling_spreads():
    rules = (
        by_queue(np.array([2.1, 0.75, 0.6]), SIZE, 12.0),
        water_filling(SIZE, 12.0, ROOM),
        pro_rata(SIZE, 12.0),
    )
    told = [burden(lost, SIZE / ROOM, np.ones(3)).herfindahl for lost in rules]
    assert told == sorted(told, reverse=True)


def test_what_is_taken_beyond_the_deficit():
    # Two contracts short bought back at 1,050 and one long sold at 990, while the mark is 1,000.
    found = overshoot(np.array([-2.0, 1.0]), np.array([1_000.0, 1_000.0]), np.array([1_050.0, 990.0]), 80.0)
    assert (found.taken, found.needed, found.excess, found.ratio) == pytest.approx((110.0, 80.0, 30.0, 1.375))
    none = overshoot(np.array([-2.0]), np.array([1_000.0]), np.array([1_000.0]), 0.0)
    assert (none.taken, none.excess) == (0.0, 0.0)
    assert np.isnan(none.ratio)


def test_a_bad_number_is_refused_by_name():
    with pytest.raises(ValueError, match="removed"):
        burden(np.array([-1.0]), np.ones(1), np.ones(1))
    with pytest.raises(ValueError, match="deficit"):
        overshoot(np.ones(1), np.ones(1), np.ones(1), -1.0)
