"""Normal density and distribution function: known values, edges, independence of the surroundings."""

import numpy as np
import pytest

from margrave.kernels.normal import normal_cdf, normal_pdf

# Abramowitz and Stegun, table 26.1, to the digits of float64.
KNOWN = [
    (0.0, 0.5, 0.3989422804014327),
    (1.0, 0.8413447460685429, 0.24197072451914337),
    (-1.0, 0.15865525393145705, 0.24197072451914337),
    (2.0, 0.9772498680518208, 0.05399096651318806),
    (-3.0, 0.0013498980316300946, 0.0044318484119380075),
    (-10.0, 7.619853024160526e-24, 7.694598626706419e-23),
]


@pytest.mark.parametrize(("x", "cdf", "pdf"), KNOWN)
def test_known_values(x, cdf, pdf):
    assert normal_cdf(x) == pytest.approx(cdf, rel=1e-14)
    assert normal_pdf(x) == pytest.approx(pdf, rel=1e-14)


@pytest.mark.parametrize(
    ("x", "cdf", "pdf"),
    [
        (np.inf, 1.0, 0.0),
        (-np.inf, 0.0, 0.0),
        (1e308, 1.0, 0.0),
        (-1e308, 0.0, 0.0),
    ],
)
def test_edges(x, cdf, pdf):
    assert normal_cdf(x) == cdf
    assert normal_pdf(x) == pdf


def test_nan_gives_nan_and_only_there():
    x = np.array([0.0, np.nan, 1.0])
    assert np.isnan(normal_cdf(x)).tolist() == [False, True, False]
    assert np.isnan(normal_pdf(x)).tolist() == [False, True, False]


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (2, 3, 4), (5000,), (3, 3000)])
def test_shape_and_type_are_kept(shape):
    for function in (normal_cdf, normal_pdf):
        result = function(np.zeros(shape))
        assert isinstance(result, np.ndarray)
        assert result.shape == shape
        assert result.dtype == np.float64


def test_a_number_does_not_depend_on_its_surroundings():
    # 10,001 elements are cut into blocks; each must come out bit for bit as it does alone or in a slice.
    x = np.random.default_rng(7).normal(0.0, 5.0, 10_001)
    whole = normal_cdf(x)
    assert np.array_equal(whole[::97], [normal_cdf(value) for value in x[::97]])
    assert np.array_equal(whole[3:50], normal_cdf(x[3:50]))
    assert np.array_equal(whole[::-1], normal_cdf(x[::-1]))


def test_the_argument_is_not_written_to():
    x = np.array([-1.0, 0.5, 2.0])
    kept = x.copy()
    normal_cdf(x)
    normal_pdf(x)
    assert np.array_equal(x, kept)
