"""Laws of the deleveraging queue, of stepping down, of progressive charges and of spot as a hedge."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from margrave.kernels.deleveraging_shares import by_queue, queue
from margrave.liquidation.deleverage import queue_share, rank_share
from margrave.liquidation.step_down import step_down, tier_at
from margrave.margin.okx_portfolio import depeg_charge, scaled_minimum
from margrave.margin.spot_hedge import spot_in_use
from margrave.margin.unified import asset_equity
from margrave.rulebook.ladders import Progressive, Tier, TierUnit

finite = st.floats(-1e6, 1e6)
sizes = st.floats(0.5, 1e4)


@st.composite
def queues(draw):
    count = draw(st.integers(1, 12))
    score = draw(hnp.arrays(np.float64, count, elements=finite))
    return score, draw(hnp.arrays(np.float64, count, elements=sizes))


@given(queues(), st.floats(0, 1.5))
def test_the_amount_is_closed_and_nobody_before_the_front_is_whole(book, share):
    score, size = book
    amount = share * size.sum()
    closed = by_queue(score, size, amount)
    assert np.isclose(closed.sum(), min(amount, size.sum()))
    assert (closed >= 0).all()
    assert (closed <= size * (1 + 1e-12)).all()
    turned = closed[queue(score)] / size[queue(score)]
    assert (np.diff(turned) <= 1e-9).all()  # whole, then one in part, then untouched


@given(queues())
def test_a_higher_score_never_has_a_later_light(book):
    score, size = book
    lights, order = queue_share(score, size), queue(score)
    assert (np.diff(lights[order]) >= 0).all()
    assert lights[order][-1] == 1.0
    assert np.isin(np.round(5 * lights), np.arange(1, 6)).all()
    assert (np.diff(rank_share(score)[order]) < 0).all()


@given(st.lists(st.floats(1, 1e5), min_size=1, max_size=8, unique=True), st.floats(0, 2e5), st.integers(1, 9))
def test_what_stays_is_in_the_tier_that_was_asked_for_and_no_smaller_than_needed(edges, size, tiers):
    rows = [Tier(f, 0.01 * (k + 1)) for k, f in enumerate([0.0, *sorted(edges)])]
    ladder = Progressive(code="L-001", unit=TierUnit.VALUE, tiers=tuple(rows))
    closed, at = step_down(ladder, size, tiers), tier_at(ladder, size)
    left = size - closed
    assert 0 <= closed <= size
    if at:
        target = max(at - tiers, 0)
        assert np.isclose(left, rows[target + 1].floor)
    else:
        assert closed == 0


@given(st.floats(0, 5e6), st.floats(0, 5e6))
def test_a_scaled_charge_is_convex_and_never_below_itself(one, two):
    bounds, factors = np.array([1e4, 7e4, 1.7e5, np.inf]), np.array([1.0, 2.0, 4.0, 6.0])

    def scaled(x: float) -> float:
        return scaled_minimum(x, bounds, factors)

    assert scaled(one) >= one * (1 - 1e-12)
    assert scaled((one + two) / 2) <= (scaled(one) + scaled(two)) / 2 + 1e-6


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_a_depeg_charge_grows_with_the_hedge(one, two):
    widths, rates = np.array([1e6, 4e6, 5e6]), np.array([0.0075, 0.0175, 0.025])
    low, high = sorted((one, two))
    assert depeg_charge(low, widths, rates) <= depeg_charge(high, widths, rates) + 1e-9


@given(finite, finite, st.floats(0, 1e6))
def test_spot_in_use_never_turns_the_delta_around(spot, delta, limit):
    used, free = spot_in_use(spot, delta, limit)
    assert used + free == spot
    assert abs(delta + used) <= abs(delta)
    assert abs(used) <= min(abs(spot), limit)


@given(finite, st.floats(1e-3, 1e6), st.floats(0, 1))
def test_an_asset_never_counts_more_than_it_is_worth(amount, index, rate):
    counted = float(asset_equity(amount, index, rate))
    assert counted <= amount * index + 1e-9
    assert amount > 0 or counted == amount * index
