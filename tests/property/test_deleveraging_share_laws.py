"""Laws of sharing a loss: nothing is lost, nobody loses more than is there, lots stay whole, the largest falls."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from margrave.kernels.deleveraging_shares import by_queue, haircut, pro_rata, water_filling

COUNT = st.shared(st.integers(1, 12), key="count")
LOTS = COUNT.flatmap(lambda n: hnp.arrays(np.float64, n, elements=st.integers(0, 10**6).map(float)))
ROOM = COUNT.flatmap(lambda n: hnp.arrays(np.float64, n, elements=st.floats(0.0, 1e6)))
RULES = {
    "queue": lambda size, room, wanted, lot: by_queue(room, size, wanted, lot),
    "pro rata": lambda size, room, wanted, lot: pro_rata(size, wanted, lot),
    "haircut": lambda size, room, wanted, lot: haircut(size, wanted, lot),
    "water-filling": lambda size, room, wanted, lot: water_filling(size, wanted, room, lot),
}


@pytest.mark.parametrize("name", RULES)
@given(size=LOTS, room=ROOM, wanted=st.integers(0, 10**7).map(float))
def test_whole_lots_add_up_exactly(name, size, room, wanted):
    lost = RULES[name](size, room, wanted, 1.0)
    assert lost.sum() == min(wanted, size.sum())
    assert (lost == np.round(lost)).all()
    assert ((lost >= 0.0) & (lost <= size)).all()


@pytest.mark.parametrize("name", RULES)
@given(size=LOTS, room=ROOM, share=st.floats(0.0, 1.2))
def test_any_amount_adds_up(name, size, room, share):
    lost = RULES[name](size, room, share * size.sum(), 0.0)
    assert lost.sum() == pytest.approx(min(share, 1.0) * size.sum(), rel=1e-9, abs=1e-6)
    assert ((lost >= 0.0) & (lost <= size * (1 + 1e-12))).all()


@given(size=LOTS, wanted=st.integers(0, 10**6).map(float))
def test_a_lot_is_never_further_than_one_from_the_share(size, wanted):
    assert (np.abs(pro_rata(size, wanted, 1.0) - pro_rata(size, wanted)) <= 1.0 + 1e-6).all()


@given(size=LOTS, room=ROOM.map(lambda x: x + 1.0), share=st.floats(0.0, 1.0))
def test_water_filling_leaves_the_smallest_largest_leverage(size, room, share):
    wanted = share * size.sum()
    best = ((size - water_filling(size, wanted, room)) / room).max()
    for other in (by_queue(room, size, wanted), by_queue(size / room, size, wanted), pro_rata(size, wanted)):
        assert best <= ((size - other) / room).max() * (1 + 1e-9) + 1e-6


@given(size=LOTS, room=ROOM.map(lambda x: x + 1.0), share=st.floats(0.0, 1.0), part=st.floats(0.1, 0.9))
def test_splitting_an_account_changes_nothing_under_water_filling(size, room, share, part):
    wanted = share * size.sum()
    whole = water_filling(size, wanted, room)
    split = water_filling(
        np.append(size[1:], [size[0] * part, size[0] * (1 - part)]),
        wanted,
        np.append(room[1:], [room[0] * part, room[0] * (1 - part)]),
    )
    assert split[-2:].sum() == pytest.approx(whole[0], rel=1e-7, abs=1e-5 * max(size.max(), 1.0))
