"""Laws of partial liquidation, and of the order of loss: what one party loses another gets, to the last unit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from margrave.kernels.deleveraging_shares import by_queue, haircut, pro_rata
from margrave.liquidation.portions import best_leg, first_part, hedge, in_rounds, toward_neutral

COUNT = st.shared(st.integers(1, 8), key="legs")
SIZES = COUNT.flatmap(lambda n: hnp.arrays(np.float64, n, elements=st.floats(-1e4, 1e4)))
DELTAS = COUNT.flatmap(lambda n: hnp.arrays(np.float64, n, elements=st.floats(-1.0, 1.0)))
TURNS = COUNT.flatmap(lambda n: hnp.arrays(np.float64, n, elements=st.integers(0, 3).map(float)))
ROUNDS = COUNT.flatmap(lambda n: hnp.arrays(np.int64, n, elements=st.integers(0, 20)))
UNITS = st.integers(0, 10**12).map(float)


@given(SIZES, DELTAS, TURNS, st.sampled_from([0.0, 0.1, 1.0]))
def test_delta_comes_nearer_to_zero_and_never_turns_around(quantity, delta, turn, lot):
    closed = toward_neutral(quantity, delta, turn, lot)
    assert ((closed >= 0.0) & (closed <= np.abs(quantity))).all()
    before = float((quantity * delta).sum())
    after = float(((quantity - np.sign(quantity) * closed) * delta).sum())
    slack = 1e-9 * (np.abs(quantity * delta).sum() + 1.0)
    assert abs(after) <= abs(before) + slack
    assert after * np.sign(before) >= -slack
    assert (closed[np.sign(quantity * delta) * np.sign(before) <= 0.0] == 0.0).all()
    if lot == 0.0:
        assert abs(after) <= slack  # there always is enough of the leading side


@given(st.floats(-1e6, 1e6), st.floats(1e-4, 10.0), st.sampled_from([0.0, 1.0, 10.0]))
def test_a_hedge_never_turns_delta_around(net, delta, lot):
    after = net + hedge(net, delta, lot) * delta
    slack = 1e-9 * (abs(net) + lot * delta)
    assert abs(after) <= max(lot * delta, 0.0) + slack
    assert after * net >= -slack * abs(net)


@given(SIZES, ROUNDS, st.floats(0.01, 1.0), st.sampled_from([0.0, 1.0]))
def test_portions_are_some_and_never_more_than_is_held(quantity, done, share, lot):
    held = np.abs(quantity)
    for part in (in_rounds(held, done), first_part(held, held * 1e3, 1e6, share, lot)):
        assert ((part > 0.0) == (held > 0.0)).all()
        assert (part <= held).all()


@given(DELTAS, COUNT.flatmap(lambda n: hnp.arrays(np.float64, n, elements=st.floats(0.0, 10.0))))
def test_no_hedge_is_broken_that_raises_the_requirement(relief, cost):
    row = best_leg(relief, cost)
    if row is None:
        assert (relief <= 0.0).all()
    else:
        assert relief[row] > 0.0


@given(
    st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=10),
    st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=10),
    UNITS,
    st.sampled_from(["in order", "pro rata"]),
)
def test_the_order_of_loss_conserves_every_unit(left, profits, fund, rule):
    """Surplus to the fund; the fund pays deficits; profits are cut for the rest; what nobody pays is named."""
    left, profits = np.array(left, dtype=np.float64), np.array(profits, dtype=np.float64)
    fund += np.maximum(left, 0.0).sum()
    deficit = np.maximum(-left, 0.0)
    place = -np.arange(len(deficit), dtype=np.float64)
    paid = by_queue(place, deficit, fund, 1.0) if rule == "in order" else pro_rata(deficit, fund, 1.0)
    missing = deficit.sum() - paid.sum()
    cut = haircut(profits, missing, 1.0)
    unpaid = missing - cut.sum()
    assert (paid <= deficit).all()
    assert paid.sum() == min(fund, deficit.sum())
    assert (cut <= np.maximum(profits, 0.0)).all()
    assert unpaid == max(missing - np.maximum(profits, 0.0).sum(), 0.0)
    assert deficit.sum() == paid.sum() + cut.sum() + unpaid
