"""Numbering of groups against the dictionary that it stands for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.kernels.groups import first_seen, rows_of, run_ends

KEYS = st.lists(st.integers(-3, 5), max_size=40)


@given(KEYS)
def test_groups_are_numbered_as_a_dictionary_numbers_them(keys):
    first, group = first_seen(np.array(keys, dtype=np.int64))
    numbers: dict[int, int] = {}
    assert group.tolist() == [numbers.setdefault(key, len(numbers)) for key in keys]
    assert first.tolist() == [keys.index(key) for key in numbers]


@given(KEYS, KEYS)
def test_rows_are_the_first_that_hold_a_value(wanted, keys):
    found = rows_of(np.array(wanted, dtype=np.int64), np.array(keys, dtype=np.int64))
    assert found.tolist() == [keys.index(value) if value in keys else -1 for value in wanted]


@given(st.lists(st.integers(0, 5), max_size=40))
def test_runs_keep_the_order_within_a_group(groups):
    order, start = run_ends(np.array(groups, dtype=np.int64), 6)
    for group in range(6):
        mine = order[start[group] : start[group + 1]].tolist()
        assert mine == [row for row, of in enumerate(groups) if of == group]


@pytest.mark.parametrize("shift", [0, 10**12])
def test_numbers_do_not_depend_on_the_size_of_keys(shift):
    keys = np.array([7, 3, 7, 1], dtype=np.int64) + shift
    assert first_seen(keys)[1].tolist() == [0, 1, 0, 2]
