"""Portions of a liquidation by the venues' rules, and the choice of a leg."""

import numpy as np
import pytest

from margrave.liquidation.portions import (
    best_leg,
    first_part,
    hedge,
    in_rounds,
    is_for_backstop,
    toward_neutral,
)


def test_deribit_closes_10_then_200_then_400_contracts():
    held = np.full(5, 1_000.0)
    assert in_rounds(held, np.array([0, 1, 2, 3, 9])).tolist() == [10.0, 200.0, 400.0, 400.0, 400.0]
    assert in_rounds(np.array([7.0, 0.0]), np.array([1, 0])).tolist() == [7.0, 0.0]
    assert in_rounds(np.array([7.0]), np.array([5]), (1.0,)).tolist() == [1.0]  # one option at a time


def test_hyperliquid_closes_a_fifth_of_a_large_position_first():
    held, value = np.array([10.0, 10.0, 3.0]), np.array([100_000.0, 100_001.0, 5e6])
    assert first_part(held, value).tolist() == pytest.approx([10.0, 2.0, 0.6])
    assert first_part(held, value, lot=1.0).tolist() == [10.0, 2.0, 1.0]


def test_the_vault_takes_over_below_two_thirds_of_maintenance():
    assert is_for_backstop(np.array([6.7, 6.6, -1.0]), 10.0).tolist() == [False, True, True]


# A long future and long calls lead by 6 + 4 coins, long puts hedge 3 of them: 7 are too much.
LEGS = (np.array([6.0, 8.0, 10.0]), np.array([1.0, 0.5, -0.3]))


@pytest.mark.parametrize(
    ("turn", "lot", "closed"),
    [
        ([0.0, 1.0, 1.0], 0.0, [6.0, 2.0, 0.0]),  # futures, then options; the puts stay
        ([1.0, 0.0, 0.0], 0.0, [3.0, 8.0, 0.0]),
        ([0.0, 1.0, 1.0], 1.5, [6.0, 1.5, 0.0]),  # rounded down: delta does not turn around
        ([0.0, 0.0, 0.0], 0.0, [6.0, 2.0, 0.0]),
    ],
)
def test_legs_of_the_leading_side_are_closed_in_turn(turn, lot, closed):
    assert toward_neutral(*LEGS, np.array(turn), lot).tolist() == pytest.approx(closed)


def test_a_neutral_pool_and_an_empty_one_are_left_alone():
    assert toward_neutral(np.array([1.0, -2.0]), np.array([1.0, 0.5]), np.zeros(2)).tolist() == [0.0, 0.0]
    assert toward_neutral(np.array([]), np.array([]), np.array([])).tolist() == []
    assert toward_neutral(np.array([-3.0, 1.0]), np.ones(2), np.zeros(2)).tolist() == [2.0, 0.0]


@pytest.mark.parametrize(
    ("net", "delta", "lot", "contracts"),
    [(7.0, 1.0, 0.0, -7.0), (-0.35, 0.001, 100.0, 300.0), (0.3, 0.1, 1.0, -3.0), (0.0, 1.0, 1.0, 0.0)],
)
def test_a_perpetual_hedges_what_is_left(net, delta, lot, contracts):
    assert hedge(net, delta, lot) == pytest.approx(contracts)


@pytest.mark.parametrize(
    ("relief", "cost", "row"),
    [
        ([5.0, 9.0, -4.0], [1.0, 3.0, 0.1], 0),  # 5 a unit of cost against 3; the hedge never
        ([5.0, 9.0], [0.0, 0.0], 1),  # nothing costs anything: the larger relief
        ([2.0, 2.0], [1.0, 1.0], 0),
        ([1e-15, -1.0], [1.0, 1.0], None),
        ([], [], None),
    ],
)
def test_the_leg_that_relieves_most_per_cost(relief, cost, row):
    assert best_leg(np.array(relief), np.array(cost), 1e-12) == row


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: in_rounds(np.array([1.0]), np.array([-1])), "done"),
        (lambda: in_rounds(np.array([1.0]), np.array([0]), (0.0,)), "contracts"),
        (lambda: in_rounds(np.array([-1.0]), np.array([0])), "held"),
        (lambda: first_part(np.array([1.0]), np.array([1.0]), share=0.0), "share"),
        (lambda: first_part(np.array([1.0]), np.array([-1.0])), "value"),
        (lambda: is_for_backstop(np.nan, 1.0), "balance"),
        (lambda: toward_neutral(np.array([np.nan]), np.ones(1), np.ones(1)), "quantity"),
        (lambda: hedge(1.0, 0.0), "delta"),
        (lambda: best_leg(np.array([1.0]), np.array([-1.0])), "cost"),
    ],
)
def test_a_bad_number_is_refused_by_name(call, match):
    with pytest.raises(ValueError, match=match):
        call()
