"""Slow twins of tails, filters and draws in plain Python loops, written from the definitions."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from margrave.kernels.draws import correlated, correlation_root
from margrave.kernels.history import ewma_variances, half_rescaled, rescaled, vol_ratios
from margrave.kernels.normal import normal_cdf, normal_quantile
from margrave.kernels.tail import (
    expected_shortfall,
    lower_quantile,
    lower_quantiles,
    quantile_bounds,
    quantile_precision,
    shortfall_bounds,
    shortfall_precision,
    shortfalls,
    upper_quantile,
    upper_quantiles,
)
from margrave.kernels.weighted import weighted_sums

SEEDS = [1, 2, 3, 4, 5]
CONFIDENCES = [0.5, 0.9, 0.95, 0.975, 0.99, 0.997]


def sample(seed, count=400):
    return np.random.default_rng(seed).standard_t(4, count)


def twin_lower(losses, confidence):
    for loss in sorted(losses):
        at_or_below = sum(1 for other in losses if other <= loss) / len(losses)
        if at_or_below >= confidence - 1e-12:
            return loss
    raise AssertionError("all losses are at or below the largest")


def twin_upper(losses, confidence):
    for loss in sorted(losses, reverse=True):
        at_or_above = sum(1 for other in losses if other >= loss) / len(losses)
        if at_or_above >= 1.0 - confidence - 1e-12:
            return loss
    raise AssertionError("all losses are at or above the smallest")


def twin_shortfall(losses, confidence):
    left = total = len(losses) * (1.0 - confidence)
    summed = 0.0
    for loss in sorted(losses, reverse=True):
        share = min(left, 1.0)
        summed, left = summed + share * loss, left - share
        if left <= 0.0:
            break
    return summed / total


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_measures(seed, confidence):
    losses = sample(seed)
    assert lower_quantile(losses, confidence).value == twin_lower(losses, confidence)
    assert upper_quantile(losses, confidence).value == twin_upper(losses, confidence)
    assert expected_shortfall(losses, confidence).value == pytest.approx(
        twin_shortfall(losses, confidence), rel=1e-12
    )


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_the_bound_of_a_quantile(confidence):
    losses, n, p = sample(1), 400, 1.0 - confidence
    rank, below = 0, 0.0
    while True:
        below += math.comb(n, rank) * p**rank * (1.0 - p) ** (n - rank)  # P(fewer than rank + 1 beyond)
        if below > 0.05:
            break
        rank += 1
    found = quantile_precision(losses, confidence, 0.95).upper
    if rank:
        assert found == sorted(losses, reverse=True)[rank - 1]
    else:
        assert math.isnan(found)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_filter(seed):
    returns = 0.02 * sample(seed, 60).reshape(30, 2)
    variances = ewma_variances(returns, 0.94, 4e-4)
    ratio = vol_ratios(variances, 0.5, 3.0)
    for column in range(2):
        known = [4e-4]
        for r in returns[:, column].tolist():
            known.append(0.94 * known[-1] + 0.06 * r * r)
        for t, r in enumerate(returns[:, column].tolist()):
            then, now = math.sqrt(known[t]), math.sqrt(known[-1])
            bounded = min(max(now / then, 0.5), 3.0)
            assert rescaled(returns, ratio)[t, column] == pytest.approx(r * bounded, rel=1e-12)
            assert half_rescaled(returns, ratio)[t, column] == pytest.approx(r * (1 + bounded) / 2, rel=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_correlated_draws(seed):
    chance = np.random.default_rng(seed)
    mixed = chance.normal(size=(4, 6))
    covariance = mixed @ mixed.T
    size = np.sqrt(np.diag(covariance))
    root = correlation_root(covariance / np.outer(size, size))
    assert root == pytest.approx(np.linalg.cholesky(covariance / np.outer(size, size)), rel=1e-10, abs=1e-12)
    z = chance.normal(size=(50, 4))
    for row, out in zip(z.tolist(), correlated(z, root).tolist(), strict=True):
        assert out == pytest.approx([sum(root[i, j] * row[j] for j in range(4)) for i in range(4)], rel=1e-12)


def test_the_normal_quantile():
    p = np.concatenate(
        (np.logspace(-300, -1, 300), np.linspace(0.01, 0.99, 99), 1.0 - np.logspace(-12, -2, 50))
    )
    by_library = [NormalDist().inv_cdf(x) for x in p.tolist()]
    assert normal_quantile(p) == pytest.approx(by_library, rel=1e-14, abs=1e-15)
    assert normal_cdf(normal_quantile(p)) == pytest.approx(p, rel=1e-12)
    assert normal_quantile(np.array([0.0, 1.0])).tolist() == [-math.inf, math.inf]
    assert np.isnan(normal_quantile(np.array([np.nan, -0.1, 1.1]))).all()


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_measures_of_many_samples_are_those_of_each(confidence):
    losses = np.array([sample(seed) for seed in SEEDS])
    pairs = (
        (lower_quantiles(losses, confidence), lambda one: lower_quantile(one, confidence).value),
        (upper_quantiles(losses, confidence), lambda one: upper_quantile(one, confidence).value),
        (shortfalls(losses, confidence), lambda one: expected_shortfall(one, confidence).value),
        (
            quantile_bounds(losses, confidence, 0.9),
            lambda one: quantile_precision(one, confidence, 0.9).upper,
        ),
        (
            shortfall_bounds(losses, confidence, 0.9),
            lambda one: shortfall_precision(one, confidence, 0.9).upper,
        ),
    )
    for many, each in pairs:
        np.testing.assert_allclose(many, [each(one) for one in losses], rtol=1e-14)


@pytest.mark.parametrize("seed", SEEDS)
def test_weighted_sums(seed):
    dice = np.random.default_rng(seed)
    values, start = dice.normal(size=(9, 500)), np.append(0, np.cumsum(dice.integers(0, 6, 700)))
    row, weight = dice.integers(0, 9, start[-1]), dice.normal(size=start[-1])
    found = weighted_sums(values, row, weight, start)
    for k in range(700):
        total = np.zeros(500)
        for entry in range(start[k], start[k + 1]):
            total = total + weight[entry] * values[row[entry]]
        assert found[k].tolist() == total.tolist()
        alone = weighted_sums(values, row, weight, start[k : k + 2])
        assert found[k].tolist() == alone[0].tolist()
