"""Scores, lights and losses of deleveraging against the venues' examples, and the queue's laws."""

import numpy as np
import pytest

from margrave.kernels.deleveraging_shares import by_queue, queue
from margrave.liquidation.deleverage import (
    at_random,
    bitmex_leverage,
    bitmex_score,
    bybit_price,
    effective_leverage,
    leveraged_profit,
    leveraged_return,
    margin_ratio,
    price_and_leverage,
    queue_share,
    rank_share,
)

# BitMEX's six longs (cex.md 2; inverse-margining.md, table of examples): size and score by account.
SIZE = np.array([10.0, 10, 20, 30, 20, 10])
SCORE = np.array([3.0, 6, 1, 4, 5, 2])


def test_binance_example_of_a_user():
    # cex.md 1.1, dev.binance.vision 17801: 40.2 over 4.27 at a margin ratio of 0.1342
    found = leveraged_profit(40.2, 4.27, 0.1342)
    assert round(float(found.profit_share), 2) == 9.41
    assert round(float(found.score), 2) == 1.26


@pytest.mark.parametrize(
    ("profit", "wallet", "ratio", "score"),
    [
        (-5.0, 10.0, 0.5, 0.0),  # a loss scores nothing
        (5.0, 0.2, 0.5, 2.5),  # a wallet under one counts as one
        (5.0, -3.0, 0.5, 2.5),
        (5.0, 10.0, 0.0, 0.0),
    ],
)
def test_binance_score_at_its_edges(profit, wallet, ratio, score):
    assert float(leveraged_profit(profit, wallet, ratio).score) == pytest.approx(score)


def test_margin_ratio_is_zero_where_nothing_is_left():
    np.testing.assert_allclose(
        margin_ratio(np.array([5.0, 5.0, 5.0]), np.array([10.0, 0.0, -1.0])), [0.5, 0, 0]
    )


def test_bitmex_score_of_an_inverse_long():
    # inverse-margining.md, ADL rank: 100,000 at 50,000 with 0.2 XBT, price 60,000
    mark, entry, bust = -100_000 / 60_000, -2.0, -2.2
    assert float(bitmex_leverage(mark, bust)) == pytest.approx(3.125)
    assert float(bitmex_score(mark, entry, bust)) == pytest.approx(0.5208333333)


def test_bitmex_score_of_a_loser_falls_with_leverage_and_is_zero_at_bankruptcy():
    low, high = bitmex_score(np.array([90.0, 90.0]), 100.0, np.array([10.0, 80.0]))
    assert low < high < 0
    assert float(bitmex_leverage(80.0, 80.0)) == np.inf
    assert float(bitmex_score(80.0, 100.0, 80.0)) == 0


def test_bitmex_lights_of_its_example():
    assert [round(100 * s) for s in queue_share(SCORE, SIZE)] == [80, 20, 100, 60, 40, 80]


def test_bitmex_closes_whole_positions_from_the_front():
    assert by_queue(SCORE, SIZE, 20.0).tolist() == [0, 10, 0, 0, 10, 0]
    assert by_queue(SCORE, SIZE, 1e9).tolist() == SIZE.tolist()
    assert by_queue(SCORE, SIZE, 0.0).sum() == 0


def test_price_and_leverage_of_three_shorts():
    # reference.json, adl: entries 1,050, 1,500 and 1,200 at 1,000, leverage 2, 0.5, 0.5
    score = price_and_leverage(np.array([1050.0, 1500, 1200]), 1000.0, -1.0, np.array([2.0, 0.5, 0.5]))
    np.testing.assert_allclose(score, [2.1, 0.75, 0.6])
    np.testing.assert_allclose(by_queue(score, np.array([10.0, 10, 20]), 12.0), [10, 2, 0])
    assert float(price_and_leverage(1000.0, 1100.0, 1.0, 2.0)) == pytest.approx(2.2)


def test_effective_leverage_at_its_edges():
    assert effective_leverage(np.array([10.0, 10.0, 0.0]), np.array([4.0, -1.0, 0.0])).tolist() == [
        2.5,
        np.inf,
        0.0,
    ]


def test_the_rank_in_words_divides_a_loss_by_leverage():
    np.testing.assert_allclose(
        leveraged_return(np.array([0.5, -0.5, -0.5]), np.array([4.0, 4.0, np.inf])), [2.0, -0.125, 0.0]
    )


def test_a_queue_at_random_is_the_same_from_the_same_seed():
    first, again = (at_random(6, np.random.default_rng(7)) for _ in range(2))
    assert first.tolist() == again.tolist()
    assert sorted(first) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_equal_scores_keep_their_order_and_ranks_are_shares():
    assert queue(np.array([1.0, 2.0, 2.0])).tolist() == [1, 2, 0]
    np.testing.assert_allclose(rank_share(np.array([1.0, 3.0, 2.0, 0.0])), [0.5, 1.0, 0.75, 0.25])


@pytest.mark.parametrize(("bust", "price"), [(95.0, 95.0), (94.9, 100.0), (105.0, 105.0), (105.1, 100.0)])
def test_bybit_closes_at_mark_beyond_five_per_cent(bust, price):
    assert float(bybit_price(bust, 100.0)) == price


@pytest.mark.parametrize(
    "call",
    [
        lambda: queue(np.array([1.0, np.nan])),
        lambda: leveraged_profit(np.nan, 1.0, 0.1),
        lambda: leveraged_profit(1.0, 1.0, -0.1),
        lambda: bitmex_score(1.0, 0.0, 0.5),
        lambda: queue_share(np.array([1.0]), np.array([0.0])),
        lambda: by_queue(np.array([1.0]), np.array([1.0]), -1.0),
        lambda: margin_ratio(-1.0, 1.0),
        lambda: leveraged_return(0.1, -1.0),
        lambda: leveraged_return(0.1, np.nan),
    ],
)
def test_a_bad_number_is_refused_by_name(call):
    with pytest.raises(ValueError, match="must"):
        call()
