"""A published number whose source rounds an input must lie in what both ends of the rounding give."""

import json
from pathlib import Path

import pytest

from margrave.adapters.conform.judge import Interval, agrees
from margrave.adapters.conform.vector import vector_of

VECTOR = vector_of({"model": "m", "expected": {}}, Path())


@pytest.mark.parametrize(
    ("published", "inside"), [("1.0", True), ("1.5", True), ("2", True), ("0.99", False), ("2.01", False)]
)
def test_a_number_is_inside_its_interval_or_does_not_agree(published, inside):
    assert agrees(VECTOR, published, Interval(1.0, 2.0), 13) is inside


def test_an_interval_is_written_as_its_ends():
    assert json.dumps(Interval(1.0, 2.0)) == "[1.0, 2.0]"
