"""Weights that worsen with size: the documentation's example, Drift's integers, and what no size and no factor do."""

import numpy as np
import pytest

from margrave.kernels.size_factor import size_discount, size_premium
from margrave.protocols import drift


def test_the_example_of_drifts_documentation():
    # 2,000 SOL: min(0.80, 1.1 / (1 + 0.003 sqrt(2000))) = min(0.80, 0.96987) = 0.80
    assert size_discount(1.0, 0.003, 2000.0) == pytest.approx(0.96987, abs=1e-5)
    assert size_discount(0.8, 0.003, 2000.0) == 0.8


@pytest.mark.parametrize("size", [0, 1, 10, 1_000, 10**6, 10**9])
@pytest.mark.parametrize("factor", [0, 1, 50, 3_000])
def test_they_are_drifts_integers_before_these_are_cut(size, factor):
    discount = drift.size_discount(size * drift.BASE, factor, 8_000)
    assert size_discount(0.8, factor / 1e6, size) * 1e4 == pytest.approx(discount, abs=1.01)
    premium = max(1_000, drift.size_premium(size * drift.BASE, factor, 1_000))
    assert size_premium(0.1, factor / 1e6, size) * 1e4 == pytest.approx(premium, abs=2.01)


def test_without_a_factor_or_a_size_nothing_changes_and_nan_stays():
    assert size_discount(1.0, 0.0, 1e12) == size_discount(1.0, 0.5, 0.0) == 1.0
    assert size_premium(0.1, 0.0, 1e12) == size_premium(0.1, 0.5, 0.0) == 0.1
    assert np.isnan(size_discount(np.nan, 0.1, 1.0))
    assert np.isnan(size_premium(0.1, 0.1, np.nan))
