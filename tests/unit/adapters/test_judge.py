"""Judging by a stated tolerance: what it lets pass, what it does not, and where it says a difference lies."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from margrave.adapters.conform.judge import difference, differences, number_of, states_tolerance
from margrave.adapters.conform.runner import judge
from margrave.adapters.conform.vector import vector_of

EXACT: dict[str, Any] = {"exact": True, "upstream": "a word about the source's own test"}


@pytest.mark.parametrize(
    ("want", "have", "tolerance", "agreed"),
    [
        (100, 100.9, {"rel": 0.01, "abs": 0.1}, True),  # the larger bound: 1
        (100, 101.1, {"rel": 0.01, "abs": 0.1}, False),
        (0.5, 0.59, {"rel": 0.01, "abs": 0.1}, True),  # the larger bound: 0.1
        (0.5, 0.61, {"rel": 0.01, "abs": 0.1}, False),
        (-100, -100.9, {"rel": 0.01}, True),
        ("0.5", 0.5000001, {"abs": 1e-6}, True),
        (2**64 + 1, 2**64 + 1, EXACT, True),
        (2**64 + 1, 2**64, EXACT, False),  # float64 cannot tell these two apart
        ("1.1", 1.1, EXACT, True),
        ("1.1", np.float64(1.1), EXACT, True),
        ("1.1", 1.1000000000000003, EXACT, False),
        (3, Fraction(9, 3), EXACT, True),
        (0, 1e-30, {"abs": 0.0, "exact": True}, False),
        (825, 824.9999999, {"truncated_toward_zero": True}, True),
        (824, 824.9999, {"truncated_toward_zero": True}, True),
        (825, 824.9999, {"truncated_toward_zero": True}, False),
        (-824, -824.9999, {"truncated_toward_zero": True}, True),
        (-825, -824.9999999, {"truncated_toward_zero": True}, True),
        (0, -0.5, {"truncated_toward_zero": True}, True),
        (0.341, 0.34199, {"floor_scale": 1000}, True),
        (0.341, 0.34099999999999997, {"floor_scale": 1000}, True),
        (0.341, 0.3409, {"floor_scale": 1000}, False),
        (270, 269.9, {"floor_scale": 1000}, False),
        (True, True, EXACT, True),
        (True, 1, EXACT, False),
        (1, True, EXACT, False),
        (False, True, EXACT, False),
        (None, None, EXACT, True),
        (None, 0, EXACT, False),
        (0, None, EXACT, False),
        ("still under initial", "still under initial", EXACT, True),
        ("still under initial", "newly under initial", EXACT, False),
        (1, float("nan"), {"abs": 1e9}, False),
        (1, float("inf"), {"rel": 1e9}, False),
        (1, "one", {"abs": 1e9}, False),
        ([1, [2, "3"]], [1, (2, 3)], EXACT, True),
        ([1, 2], [1, 2, 3], EXACT, False),
        ([1, 2], 1, EXACT, False),
        ({"a": [1], "b": None}, {"a": [1], "b": None, "c": 9}, EXACT, True),
        ({"a": 1}, 1, EXACT, False),
    ],
)
def test_what_a_tolerance_lets_pass(want: Any, have: Any, tolerance: dict[str, Any], agreed: bool):
    assert (list(differences(want, have, tolerance, "out")) == []) is agreed


def test_each_difference_has_its_place():
    want = {"steps": [{"MM": "1", "IM": 2}, {"MM": "3"}], "fee": 1}
    have = {"steps": [{"MM": 1, "IM": 5}, {}], "fee": 1}
    assert list(differences(want, have, EXACT, "sim")) == [
        "sim.steps[0].IM: published 2, calculated 5",
        "sim.steps[1].MM: published 3, not calculated",
    ]


@pytest.mark.parametrize(
    ("tolerance", "stated"),
    [(EXACT, True), ({"floor_scale": 10}, True), (None, False), ({"upstream": "1 %"}, False), ("1 %", False)],
)
def test_a_table_of_known_rules_is_a_tolerance(tolerance: Any, stated: bool):
    vector = vector_of({"model": "m", "tolerance": tolerance}, Path())
    assert states_tolerance(vector) is stated


def test_a_difference_is_between_numbers_only():
    assert difference("2.5", 3) == pytest.approx(0.5)
    assert difference(2**64, 2**64 + 1) == 1.0
    assert difference(True, True) is None
    assert difference([1], [2]) is None
    assert number_of("1/0") is None


def test_a_vector_with_a_tolerance_is_judged_by_it_and_not_by_digits():
    row: dict[str, Any] = {
        "id": "made",
        "model": "linear isolated liquidation price (MM at entry value)",
        "inputs": {"side": "long", "qty": "1", "entry": "100", "leverage": "10", "mmr": "0.01"},
        "expected": {"liquidation_price": "91.0000"},
        "tolerance": {"abs": 1e-9},
    }
    assert judge(vector_of(row, Path())).outcome == "passed"
    off = {**row, "expected": {"liquidation_price": "91.00000001"}}
    result = judge(vector_of(off, Path()))
    assert (result.outcome, result.detail.split(":")[0]) == ("failed", "liquidation_price")
