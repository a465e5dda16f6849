"""Whether a margin covered what it said: tests on exceptions and on losses beyond (spec RBF-3; clearing 2.3).

An *exception* is a loss above value at risk, or above a margin. Likelihood ratios are compared with chi-square; their
p-values are the chance of as much or more if the model were right.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

import numpy as np

from margrave.kernels.arrays import F64, Bools, Real, finite, positive
from margrave.kernels.normal import normal_cdf, normal_quantile

YELLOW: Final = 0.95
"""Cumulative probability of the exceptions from which on a model is doubted (Basel 1996)."""

RED: Final = 0.9999
PLUS: Final = (0.40, 0.50, 0.65, 0.75, 0.85, 1.00)
"""What Basel adds to its multiplier at 5, 6, ... exceptions of 250 at 1 %; at ten and more the last."""

FIRST_PLUS: Final = 5


@final
@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """A likelihood ratio and its p-value."""

    ratio: float  # >= 0
    p_value: float


def critical(confidence: float, degrees: int = 1) -> float:
    """Likelihood ratio that is passed with a probability of ``1 - confidence``: chi-square of one or two degrees."""
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
    if degrees == 1:
        return float(normal_quantile(0.5 + 0.5 * confidence)) ** 2
    if degrees == 2:
        return float(-2.0 * np.log1p(-confidence))
    raise ValueError(f"degrees must be 1 or 2, got {degrees}")


def coverage_test(count: int, exceptions: int, probability: float) -> LikelihoodRatio:
    """Kupiec's test of the share of exceptions: ``-2 ln`` of the likelihood at p over that at x / n.

    Parameters
    ----------
    count, exceptions : int
        n losses and how many of them were exceptions.
    probability : float
        p that the model claims, in (0, 1): 0.01 for a margin of 99 %.
    """
    _check(count, exceptions, probability)
    claimed = _log_likelihood(count - exceptions, exceptions, probability)
    found = _log_likelihood(count - exceptions, exceptions, exceptions / count)
    ratio = max(2.0 * (found - claimed), 0.0)
    return LikelihoodRatio(ratio, _beyond_one(ratio))


def accepted(count: int, probability: float, confidence: float = 0.95) -> tuple[int, int]:
    """Fewest and most exceptions that `coverage_test` does not reject at a confidence."""
    limit = critical(confidence)
    kept = [x for x in range(count + 1) if coverage_test(count, x, probability).ratio < limit]
    if not kept:
        raise ValueError(f"confidence must leave some number of exceptions, got {confidence}")
    return kept[0], kept[-1]


@final
@dataclass(frozen=True, slots=True)
class Independence:
    """Christoffersen's test: whether exceptions follow one another, and with coverage together."""

    quiet_quiet: int  # pairs of days by what each was
    quiet_exception: int
    exception_quiet: int
    exception_exception: int
    independence: LikelihoodRatio  # one degree
    coverage: LikelihoodRatio  # one degree, over all days
    together: LikelihoodRatio  # two degrees

    @property
    def after_quiet(self) -> float:
        """Share of exceptions among days after a quiet one."""
        return _share(self.quiet_exception, self.quiet_quiet)

    @property
    def after_exception(self) -> float:
        """Share of exceptions among days after an exception."""
        return _share(self.exception_exception, self.exception_quiet)

    @property
    def after_any(self) -> float:
        """Share of exceptions among all days but the first."""
        of = self.quiet_exception + self.exception_exception
        return _share(of, self.quiet_quiet + self.exception_quiet)


def independence_test(is_exception: Bools, probability: float) -> Independence:
    """Christoffersen's tests of exceptions in their order.

    Parameters
    ----------
    is_exception : (n,) ndarray of bool
        Days in order of time, at least two.
    probability : float
        As `coverage_test`.
    """
    hit = np.asarray(is_exception, dtype=bool)
    if hit.ndim != 1 or len(hit) < 2:
        raise ValueError(f"is_exception must be of two days or more, got {hit.shape}")
    before, after = hit[:-1], hit[1:]
    n00, n01, n10, n11 = (
        int((of_before & of_after).sum()) for of_before in (~before, before) for of_after in (~after, after)
    )
    apart = _log_likelihood(n00, n01, _share(n01, n00)) + _log_likelihood(n10, n11, _share(n11, n10))
    ratio = max(2.0 * (apart - _log_likelihood(n00 + n10, n01 + n11, _share(n01 + n11, n00 + n10))), 0.0)
    coverage = coverage_test(len(hit), int(hit.sum()), probability)
    both = coverage.ratio + ratio
    together = LikelihoodRatio(both, float(np.exp(-0.5 * both)))
    return Independence(n00, n01, n10, n11, LikelihoodRatio(ratio, _beyond_one(ratio)), coverage, together)


# --- zones ---


class Zone(StrEnum):
    """Basel's traffic light."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


def cumulative(count: int, probability: float) -> F64:
    """Chance of at most 0, 1, ..., n exceptions of a model that is right, (n + 1,)."""
    _check(count, 0, probability)
    x = np.arange(1, count + 1)
    steps = np.log((count - x + 1) / x) + np.log(probability) - np.log1p(-probability)
    log_mass = count * np.log1p(-probability) + np.append(0.0, np.cumsum(steps))
    return np.asarray(np.minimum(np.cumsum(np.exp(log_mass)), 1.0))


def zone(count: int, exceptions: int, probability: float) -> Zone:
    """Zone of a number of exceptions: yellow from a cumulative probability of 95 % on, red from 99.99 %."""
    _check(count, exceptions, probability)
    chance = cumulative(count, probability)[exceptions]
    return Zone.RED if chance >= RED else Zone.YELLOW if chance >= YELLOW else Zone.GREEN


def boundaries(count: int, probability: float) -> tuple[int, int]:
    """First exceptions of the yellow and of the red zone."""
    chance = cumulative(count, probability)
    return int(np.argmax(chance >= YELLOW)), int(np.argmax(chance >= RED))


def plus_factor(exceptions: int) -> float:
    """What Basel adds for exceptions of 250 days at 1 %."""
    return 0.0 if exceptions < FIRST_PLUS else PLUS[min(exceptions - FIRST_PLUS, len(PLUS) - 1)]


def normal_increase(count: int, exceptions: Real, probability: float = 0.01, multiplier: float = 3.0) -> F64:
    """What a normal model would have to be multiplied by more: ``3 (z_p / z_(x / n) - 1)``, exceptions above zero."""
    share = positive("exceptions", exceptions) / float(positive("count", count))
    return multiplier * (normal_quantile(1.0 - probability) / normal_quantile(1.0 - share) - 1.0)


# --- expected shortfall ---


@final
@dataclass(frozen=True, slots=True)
class ShortfallTest:
    """Statistics of Acerbi and Szekely: zero for a model that is right, below zero where losses are worse."""

    conditional: float  # Z1: given the exceptions; NaN without any
    unconditional: float  # Z2: of their number too


def shortfall_test(profit: F64, value_at_risk: Real, shortfall: Real, tail: float) -> ShortfallTest:
    """Test expected shortfall by the losses beyond value at risk (Acerbi and Szekely 2014).

    Parameters
    ----------
    profit : (n,) ndarray
        Profit and loss, a loss < 0.
    value_at_risk, shortfall : float or (n,) ndarray
        What the model foresaw, as losses > 0.
    tail : float
        Probability of an exception, such as 0.025.

    Returns
    -------
    ShortfallTest
        ``Z1 = mean of X / ES over exceptions + 1``, ``Z2 = sum of X / ES over exceptions / (n tail) + 1``. At 5 % a
        normal model is rejected below about -0.70, one of Student's t with three degrees below -0.81 (clearing 2.3).
    """
    if not 0.0 < tail < 1.0:
        raise ValueError(f"tail must be between 0 and 1, got {tail}")
    x = finite("profit", profit)
    if not len(x):
        raise ValueError("profit must be of at least one day")
    beyond = x < -positive("value_at_risk", value_at_risk)
    scaled = np.where(beyond, x / positive("shortfall", shortfall), 0.0).sum()
    hits = int(beyond.sum())
    return ShortfallTest(
        float(scaled / hits + 1.0) if hits else float("nan"), float(scaled / (len(x) * tail) + 1.0)
    )


# --- parts ---


def _log_likelihood(quiet: int, exceptions: int, probability: float) -> float:
    # 0 ln 0 = 0
    told = exceptions * np.log(probability) if exceptions else 0.0
    return float(told + (quiet * np.log1p(-probability) if quiet else 0.0))


def _beyond_one(ratio: float) -> float:
    return float(2.0 * normal_cdf(-np.sqrt(ratio)))


def _share(hits: int, others: int) -> float:
    return hits / (hits + others) if hits + others else 0.0


def _check(count: int, exceptions: int, probability: float) -> None:
    if not 0 <= exceptions <= count or count < 1:
        raise ValueError(f"exceptions must be from 0 to count, got {exceptions} of {count}")
    if not 0.0 < probability < 1.0:
        raise ValueError(f"probability must be between 0 and 1, got {probability}")
