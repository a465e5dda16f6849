"""Seeded draws, their correlations, and filtered history."""

import hashlib

import numpy as np
import pytest

from margrave.kernels.draws import correlated, correlation_root, standard_normals, student_scale
from margrave.kernels.history import ewma_variances, vol_ratios


def test_draws_are_those_of_the_seed():
    first = standard_normals(7, "BTC", 1_000)
    standard_normals.cache_clear()
    assert (standard_normals(7, "BTC", 1_000) == first).all()
    assert (standard_normals(7, "BTC", 2_000)[:1_000] == first).all()
    for other in (standard_normals(8, "BTC", 1_000), standard_normals(7, "ETH", 1_000)):
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.1
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0.0


def test_the_bits_of_a_seed_stay_the_same_in_every_version():
    # Philox is a counter-based stream that NumPy promises; the digest was made with NumPy 2.
    bits = np.random.Philox(key=np.array([7, 1], dtype=np.uint64)).random_raw(4)
    digest = hashlib.sha256(bits.astype("<u8").tobytes()).hexdigest()
    assert digest == "32984e8a6fd621aaa37a62a3e9bf6409a46e3ace774f5585419f2c418e6bcd4a"


def test_draws_are_standard_normal():
    z = standard_normals(1, "BTC", 200_000)
    assert z.mean() == pytest.approx(0.0, abs=5.0 / np.sqrt(200_000))
    assert z.std() == pytest.approx(1.0, abs=5.0 / np.sqrt(400_000))
    assert (z**4).mean() == pytest.approx(3.0, abs=5.0 * np.sqrt(96.0 / 200_000))


@pytest.mark.parametrize("rho", [-1.0, -0.5, 0.0, 0.7, 1.0])
def test_a_root_gives_the_correlation_back(rho):
    matrix = np.array([[1.0, rho], [rho, 1.0]])
    root = correlation_root(matrix)
    assert root @ root.T == pytest.approx(matrix, abs=1e-12)
    z = np.array([standard_normals(3, name, 100_000) for name in ("BTC", "ETH")]).T
    assert np.corrcoef(correlated(z, root).T)[0, 1] == pytest.approx(rho, abs=0.02)


@pytest.mark.parametrize(
    "matrix",
    [
        [[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]],
        [[1.0, 1.0, 0.0], [1.0, 1.0, 0.5], [0.0, 0.5, 1.0]],  # two that are one, and correlate otherwise
    ],
)
def test_correlations_that_cannot_hold_together_are_refused(matrix):
    with pytest.raises(ValueError, match="semidefinite"):
        correlation_root(np.array(matrix))


def test_a_student_t_has_the_variance_of_the_vol_and_fatter_tails():
    scale = student_scale(1, 5, 400_000)
    t = standard_normals(1, "BTC", 400_000) * scale
    assert t.var() == pytest.approx(1.0, abs=0.03)
    assert np.mean(np.abs(t) > 4.0) > 10 * np.mean(np.abs(standard_normals(1, "BTC", 400_000)) > 4.0)
    with pytest.raises(ValueError, match="degrees"):
        student_scale(1, 2, 10)


def test_the_ratio_of_vols_stays_within_its_bounds():
    returns = np.array([[0.01], [0.01], [0.5], [0.01]])
    variances = ewma_variances(returns, 0.5, 1e-4)
    assert vol_ratios(variances, 0.5, 3.0).max() == 3.0
    assert vol_ratios(variances, 0.5, 3.0).min() >= 0.5
    assert vol_ratios(np.zeros((3, 1)), 0.5, 3.0).tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize(
    ("what", "name"),
    [
        (lambda: ewma_variances(np.zeros((2, 1)), 1.1, 1.0), "decay"),
        (lambda: ewma_variances(np.zeros((2, 1)), 0.9, 0.0), "seed"),
        (lambda: ewma_variances(np.full((2, 1), np.nan), 0.9, 1.0), "returns"),
        (lambda: vol_ratios(np.ones((2, 1)), 2.0, 1.0), "least"),
    ],
)
def test_bad_arguments_are_refused_by_name(what, name):
    with pytest.raises(ValueError, match=name):
        what()
