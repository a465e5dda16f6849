"""Many roots at once: known roots, brackets of every kind, and what is refused."""

import numpy as np
import pytest

from margrave.kernels.roots import bracketed_root

TIGHT = {"xtol": 0.0, "rtol": 1e-15, "max_steps": 200}


@pytest.mark.parametrize(
    ("f", "low", "high", "root"),
    [
        (lambda x: x - 0.25, -1.0, 1.0, 0.25),
        (lambda x: 0.25 - x, -1.0, 1.0, 0.25),
        (lambda x: x**3 - 2.0, 0.0, 2.0, 2.0 ** (1 / 3)),
        (np.cos, 0.0, 3.0, np.pi / 2.0),
        (lambda x: np.exp(x) - 1e6, -50.0, 50.0, np.log(1e6)),
        (lambda x: np.expm1(50.0 * (x - 0.9)), 0.0, 1.0, 0.9),
        (lambda x: np.arctan(1e6 * (x - 0.1)), -1e3, 1e3, 0.1),
        (lambda x: 1.0 / x - 1e-8, 1e-3, 1e12, 1e8),
    ],
)
def test_known_roots(f, low, high, root):
    found = bracketed_root(f, np.array([low]), np.array([high]), **TIGHT)
    assert found == pytest.approx([root], rel=5e-15)


@pytest.mark.parametrize(
    ("f", "low", "high", "root"),
    [
        (lambda x: (x - 1.0) ** 9, 0.0, 4.0, 1.0),
        (lambda x: np.where(x < 0.3, -1.0, 1.0), 0.0, 1.0, 0.3),  # a jump is closed in on too
        (lambda x: np.where(x < 0.3, -np.inf, np.inf), 0.0, 1.0, 0.3),
    ],
)
def test_hard_functions_end_within_the_tolerance(f, low, high, root):
    found = bracketed_root(f, np.array([low]), np.array([high]), 1e-9, 0.0, 200)
    assert found == pytest.approx([root], abs=1e-9 if f(np.array(root)) != 0.0 else 2e-1)


def test_each_bracket_has_its_own_function():
    target = np.array([1.0, 4.0, 9.0, 1e-8, 0.0, 100.0])
    low, high = np.zeros(6), np.array([5.0, 5.0, 5.0, 5.0, 5.0, 10.0])
    found = bracketed_root(lambda x: x * x - target, low, high, **TIGHT)
    assert found == pytest.approx([1.0, 2.0, 3.0, 1e-4, 0.0, 10.0], rel=1e-14)


def test_a_root_on_an_end_is_exact():
    ends = np.array([0.0, 1.0, 2.0])
    found = bracketed_root(lambda x: x - ends, np.zeros(3), np.full(3, 2.0), 1e-3, 0.0, 60)
    assert found[0] == 0.0
    assert found[1] == pytest.approx(1.0, abs=1e-3)
    assert found[2] == 2.0


def test_a_bracket_of_no_width_needs_no_step():
    assert bracketed_root(lambda x: 0.0 * x, np.ones(2), np.ones(2), 1e-9, 0.0, 0).tolist() == [1.0, 1.0]


def test_no_brackets():
    assert bracketed_root(lambda x: x, np.empty(0), np.empty(0), 1e-9, 0.0, 5).shape == (0,)


def test_the_ends_are_not_written_to():
    low, high = np.array([0.0]), np.array([2.0])
    bracketed_root(lambda x: x - 0.7, low, high, 1e-12, 0.0, 100)
    assert (low[0], high[0]) == (0.0, 2.0)


def test_smooth_functions_need_few_steps():
    calls = 0

    def f(x):
        nonlocal calls
        calls += 1
        return np.exp(x) - np.array([0.5, 2.0, 3.0])

    bracketed_root(f, np.full(3, -2.0), np.full(3, 2.0), 0.0, 1e-14, 100)
    assert calls <= 14  # two ends and the steps


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_end_that_is_not_finite_is_named(bad):
    with pytest.raises(ValueError, match=r"^high must be finite"):
        bracketed_root(lambda x: x, np.array([-1.0]), np.array([bad]), 1e-9, 0.0, 9)
    with pytest.raises(ValueError, match=r"^low must be finite"):
        bracketed_root(lambda x: x, np.array([bad]), np.array([1.0]), 1e-9, 0.0, 9)


def test_a_bracket_in_the_wrong_order_is_refused():
    with pytest.raises(ValueError, match=r"^low must be <= high"):
        bracketed_root(lambda x: x, np.array([-1.0, 2.0]), np.array([1.0, 1.0]), 1e-9, 0.0, 9)


def test_ends_of_one_sign_are_refused_by_number():
    with pytest.raises(ValueError, match=r"same sign at low = 1\.0 and high = 2\.0 of bracket 1$"):
        bracketed_root(lambda x: x, np.array([-1.0, 1.0]), np.array([1.0, 2.0]), 1e-9, 0.0, 9)


@pytest.mark.parametrize("where", [-1.0, 1.0, 0.0])
def test_nan_is_refused_by_number(where):
    def f(x):
        value = x - 0.3
        value[1] = np.nan if where in (0.0, x[1]) else value[1]
        return value

    with pytest.raises(ValueError, match=r"^f gives NaN in bracket 1$"):
        bracketed_root(f, np.full(2, -1.0), np.full(2, 1.0), 1e-9, 0.0, 60)


def test_too_few_steps_are_said():
    with pytest.raises(RuntimeError, match=r"^1 of 2 brackets not closed after 3 steps$"):
        bracketed_root(lambda x: x**3 - np.array([1.0, 2.0]), np.zeros(2), np.ones(2) * 2.0, 1e-12, 0.0, 3)
