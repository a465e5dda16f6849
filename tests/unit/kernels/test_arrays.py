"""Checks of arguments: what passes comes back as float64, what does not is named."""

import numpy as np
import pytest

from margrave.kernels.arrays import finite, non_negative, positive

NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (finite, [-1.0, 0.0, 1e308]),
        (non_negative, [0.0, 5e-324, 1e308]),
        (positive, [5e-324, 1.0, 1e308]),
    ],
)
def test_good_values_come_back_as_float64(check, good):
    for value in (good, np.array(good), np.array(good, dtype=object)):
        checked = check("size", value)
        assert checked.dtype == np.float64
        assert checked.tolist() == good


@pytest.mark.parametrize(
    ("check", "bad"),
    [
        (finite, NAN),
        (finite, INF),
        (finite, -INF),
        (non_negative, NAN),
        (non_negative, INF),
        (non_negative, -5e-324),
        (positive, NAN),
        (positive, INF),
        (positive, 0.0),
        (positive, -1.0),
    ],
)
def test_a_bad_value_is_named_and_shown(check, bad):
    with pytest.raises(ValueError, match=rf"^size must be finite.*, got {bad}$"):
        check("size", bad)
    with pytest.raises(ValueError, match=rf"^size must be finite.*, got {bad}$"):
        check("size", np.array([[1.0, 2.0], [3.0, bad]]))


def test_a_float64_array_is_not_copied():
    values = np.array([1.0, 2.0])
    assert positive("size", values) is values


def test_nothing_to_check_passes():
    assert finite("size", np.empty((0, 3))).shape == (0, 3)
