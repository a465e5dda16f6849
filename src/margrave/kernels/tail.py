"""Tails of losses: value at risk by stated quantiles, expected shortfall, and how sure a sample is of them.

With n losses and confidence a, ``k = n (1 - a)`` losses lie in the tail. Three readings of one sample are in use
and differ, so that each is a function of its own and none is a default.
"""

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from margrave.kernels.arrays import F64, I64, finite
from margrave.kernels.normal import normal_pdf, normal_quantile

_ROUNDING: Final = 1e-9  # by which k may miss a whole number that it is meant to be: 20 (1 - 0.9)


@final
@dataclass(frozen=True, slots=True)
class Tail:
    """A measure of a sample's tail, and the losses that it is made of."""

    value: float  # [as the losses]
    row: I64  # (m,) rows of the losses that decide, from the worst on; ties in the order of the rows
    weight: F64  # (m,) of each; they add to one


def tail_count(count: int, confidence: float) -> float:
    """Losses in the tail, ``n (1 - a)``, > 0; a whole number where rounding alone keeps it from one.

    Raises
    ------
    ValueError
        No loss, or a confidence that is not between zero and one.
    """
    if count < 1:
        raise ValueError("losses must be at least one")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
    k = count * (1.0 - confidence)
    whole = float(round(k))
    return whole if whole > 0.0 and abs(k - whole) <= _ROUNDING * max(1.0, whole) else k


def lower_quantile(losses: F64, confidence: float) -> Tail:
    """Textbook value at risk: the least loss with a share of at least ``a`` at or below it.

    Parameters
    ----------
    losses : (n,) ndarray
        Loss > 0, in any order, finite.
    confidence : float
        In (0, 1).

    Returns
    -------
    Tail
        The ``(floor(k) + 1)``-th largest loss.

    References
    ----------
    Clearing 2.1: inf-quantile; 34,000 for the sample of `fhs`.
    """
    rank = int(np.floor(tail_count(len(losses), confidence))) + 1
    return _at_rank(losses, min(rank, len(losses)))


def upper_quantile(losses: F64, confidence: float) -> Tail:
    """Conservative value at risk: the ``ceil(k)``-th largest loss, the smallest of those in the tail.

    Parameters
    ----------
    losses : (n,) ndarray
        Loss > 0, in any order, finite.
    confidence : float
        In (0, 1).

    Returns
    -------
    Tail
        One loss further out than `lower_quantile` where k is whole, and the same loss elsewhere, so that
        expected shortfall is never below it.

    References
    ----------
    Clearing 2.1: k-th largest; 52,000 for the sample of `fhs`.
    """
    return _at_rank(losses, int(np.ceil(tail_count(len(losses), confidence))))


def linear_quantile(losses: F64, confidence: float) -> Tail:
    """Value at risk by the straight line between neighbours, at rank ``1 + (n - 1)(1 - a)`` from the worst.

    Parameters
    ----------
    losses : (n,) ndarray
        Loss > 0, in any order, finite.
    confidence : float
        In (0, 1).

    References
    ----------
    Clearing 2.1: numpy's default; 35,800 for the sample of `fhs`.
    """
    tail_count(len(losses), confidence)
    place = (len(losses) - 1) * (1.0 - confidence)
    first = int(np.floor(place + _ROUNDING))
    share = max(place - first, 0.0)
    row = _worst(losses, min(first + 2, len(losses)))[first:]
    weight = np.array([1.0]) if len(row) == 1 else np.array([1.0 - share, share])
    return _weighted(losses, row, weight)


def expected_shortfall(losses: F64, confidence: float) -> Tail:
    """Mean of the tail: ``(sum of the floor(k) largest + (k - floor(k)) next) / k``.

    Parameters
    ----------
    losses : (n,) ndarray
        Loss > 0, in any order, finite.
    confidence : float
        In (0, 1).

    Returns
    -------
    Tail
        Where less than one loss lies in the tail, the largest.

    References
    ----------
    Clearing 2.1; Acerbi and Tasche 2002 (coherent at any k).
    """
    k = tail_count(len(losses), confidence)
    row = _worst(losses, min(int(np.ceil(k)), len(losses)))
    weight = np.minimum(k - np.arange(len(row)), 1.0) / k
    return _weighted(losses, row, weight if len(row) > 1 else np.ones(1))


def lower_quantiles(losses: F64, confidence: float) -> F64:
    """`lower_quantile` of many samples, (K, n) to (K,)."""
    rank = int(np.floor(tail_count(losses.shape[1], confidence))) + 1
    return _largest(losses, min(rank, losses.shape[1]))[:, -1]


def upper_quantiles(losses: F64, confidence: float) -> F64:
    """`upper_quantile` of many samples, (K, n) to (K,)."""
    return _largest(losses, int(np.ceil(tail_count(losses.shape[1], confidence))))[:, -1]


def shortfalls(losses: F64, confidence: float) -> F64:
    """`expected_shortfall` of many samples, (K, n) to (K,)."""
    k = tail_count(losses.shape[1], confidence)
    beyond = _largest(losses, min(int(np.ceil(k)), losses.shape[1]))
    return _mean(beyond, k)


def quantile_bounds(losses: F64, confidence: float, sureness: float) -> F64:
    """Upper bounds of `quantile_precision` of many samples, (K, n) to (K,)."""
    rank = _rank_below(losses.shape[1], 1.0 - confidence, 1.0 - sureness)
    return _largest(losses, rank)[:, -1] if rank else np.full(len(losses), np.nan)


def shortfall_bounds(losses: F64, confidence: float, sureness: float) -> F64:
    """Upper bounds of `shortfall_precision` of many samples, (K, n) to (K,)."""
    k = tail_count(losses.shape[1], confidence)
    if k < 2.0:
        return np.full(len(losses), np.nan)
    beyond = _largest(losses, min(int(np.ceil(k)), losses.shape[1]))
    value = _mean(beyond, k)
    spread = _mean((beyond - value[:, None]) ** 2, k)
    error = np.sqrt((spread + confidence * (value - beyond[:, -1]) ** 2) / k)
    return np.asarray(value + float(normal_quantile(sureness)) * error)


def _mean(beyond: F64, k: float) -> F64:
    # Of the k largest, the last of them in part.
    weight = np.minimum(k - np.arange(beyond.shape[1]), 1.0) / k
    return np.asarray((beyond * (weight if len(weight) > 1 else 1.0)).sum(axis=1))


def _largest(losses: F64, count: int) -> F64:
    # The largest of each sample, (K, count), worst first.
    return -np.sort(np.partition(-losses, count - 1, axis=1)[:, :count], axis=1)


def _at_rank(losses: F64, rank: int) -> Tail:
    return _weighted(losses, _worst(losses, rank)[-1:], np.ones(1))


def _worst(losses: F64, count: int) -> I64:
    # Rows of the largest losses, worst first; a sort of the few instead of the whole.
    array = finite("losses", losses)
    bound = -np.partition(-array, count - 1)[count - 1]
    among = np.flatnonzero(array >= bound)
    return np.asarray(among[np.argsort(-array[among], kind="stable")][:count])


def _weighted(losses: F64, row: I64, weight: F64) -> Tail:
    return Tail(float((losses[row] * weight).sum()), row, weight)


@final
@dataclass(frozen=True, slots=True)
class Precision:
    """How sure a sample of independent losses is of a measure."""

    standard_error: float  # [as the losses], >= 0; NaN where the sample does not tell
    upper: float  # the measure of all losses is below with the confidence asked; NaN where the sample is too small


def quantile_precision(losses: F64, confidence: float, sureness: float) -> Precision:
    """Precision of value at risk from order statistics: no density is assumed.

    Parameters
    ----------
    losses : (n,) ndarray
        Independent losses.
    confidence : float
        Of the value at risk.
    sureness : float
        Probability with which the true quantile is at most ``upper``, above one half.

    Returns
    -------
    Precision
        ``upper`` is the r-th largest loss with r the largest for which ``P(Binomial(n, 1 - a) < r) <= 1 - s``;
        the standard error is half the distance between the losses one deviation of that count to either side of
        the lower quantile, ranks rounded outwards.
    """
    k, n = tail_count(len(losses), confidence), len(losses)
    rank = _rank_below(n, 1.0 - confidence, 1.0 - sureness)
    spread = float(np.sqrt(k * confidence))
    near, far = max(int(np.floor(k - spread)), 0) + 1, min(int(np.ceil(k + spread)), n - 1) + 1
    row = _worst(losses, max(far, rank, 1))
    error = (losses[row[near - 1]] - losses[row[far - 1]]) / 2.0 if k - spread >= 0.0 else np.nan
    return Precision(float(error), float(losses[row[rank - 1]]) if rank else float("nan"))


def _rank_below(count: int, probability: float, level: float) -> int:
    """Return the largest r with ``P(Binomial(count, probability) < r) <= level``."""
    most = min(int(np.ceil(count * probability)) + 1, count)
    j = np.arange(1, most + 1)
    steps = np.log((count - j + 1) / j) + np.log(probability) - np.log1p(-probability)
    log_mass = count * np.log1p(-probability) + np.concatenate(([0.0], np.cumsum(steps)))
    below = np.cumsum(np.exp(log_mass))
    return int(np.searchsorted(below, level, side="right"))


def shortfall_precision(losses: F64, confidence: float, sureness: float) -> Precision:
    """Precision of expected shortfall, by its asymptotic normal law.

    Parameters
    ----------
    losses : (n,) ndarray
        Independent losses.
    confidence : float
        Of the expected shortfall.
    sureness : float
        Probability with which the true shortfall is at most ``upper``.

    Returns
    -------
    Precision
        Variance ``(var of the tail + a (ES - VaR)^2) / k``. NaN where fewer than two losses lie in the tail.

    References
    ----------
    Manistre and Hancock 2005, Variance of the CTE estimator.
    """
    k = tail_count(len(losses), confidence)
    if k < 2.0:
        return Precision(float("nan"), float("nan"))
    tail = expected_shortfall(losses, confidence)
    beyond = losses[tail.row]
    spread = float((tail.weight * (beyond - tail.value) ** 2).sum())
    error = float(np.sqrt((spread + confidence * (tail.value - float(beyond[-1])) ** 2) / k))
    return Precision(error, tail.value + float(normal_quantile(sureness)) * error)


def normal_value_at_risk(deviation: float, confidence: float) -> float:
    """Value at risk of a normal loss without drift: ``z_a s`` (spec CBM-2, RBM-3).

    Parameters
    ----------
    deviation : float
        Standard deviation over the horizon, >= 0: position times vol times ``sqrt(days / 365)``.
    confidence : float
        In (0, 1).
    """
    return deviation * float(normal_quantile(confidence))


def normal_expected_shortfall(deviation: float, confidence: float) -> float:
    """Expected shortfall of a normal loss without drift: ``s phi(z_a) / (1 - a)``."""
    return deviation * float(normal_pdf(normal_quantile(confidence))) / (1.0 - confidence)


def solvency_share(losses: F64, collateral: float) -> float:
    """Share of scenarios after which equity is not below zero: P(collateral >= loss) (spec CBM-1)."""
    return float(np.mean(finite("losses", losses) <= collateral))


def least_collateral(losses: F64, confidence: float) -> float:
    """Smallest collateral, >= 0, with a `solvency_share` of at least the confidence: the lower quantile (spec CBM-1)."""
    return max(lower_quantile(losses, confidence).value, 0.0)
