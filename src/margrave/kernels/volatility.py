"""Volatility as a margin rule may read it: filtered, forecast, or implied by an index (spec DM-1; clearing 2.1).

Variances are of one step of the returns; `annual` and `per_step` carry a vol to a year and back. The exponentially
weighted filter is `history.ewma_variances`.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, Real, finite, non_negative, positive

YEAR_HOURS = 24.0 * 365.0


def annual(vol: Real, steps_a_year: Real) -> F64:
    """Vol of a year from the vol of a step, by the square root of time."""
    return non_negative("vol", vol) * np.sqrt(positive("steps_a_year", steps_a_year))


def per_step(vol: Real, steps_a_year: Real) -> F64:
    """Vol of a step from the vol of a year, such as that of a volatility index, a fraction."""
    return non_negative("vol", vol) / np.sqrt(positive("steps_a_year", steps_a_year))


@final
@dataclass(frozen=True, slots=True)
class Garch:
    """GARCH(1, 1): ``s2[t + 1] = omega + alpha r[t]^2 + beta s2[t]`` (Bollerslev 1986)."""

    omega: float  # > 0
    alpha: float  # >= 0
    beta: float  # >= 0, with alpha less than one

    def __post_init__(self) -> None:
        positive("omega", self.omega)
        for name in ("alpha", "beta"):
            non_negative(name, getattr(self, name))
        if self.persistence >= 1.0:
            raise ValueError(f"alpha + beta must be less than one, got {self.persistence}")

    @property
    def persistence(self) -> float:
        """Share of a deviation from the long run that the next step keeps."""
        return self.alpha + self.beta

    @property
    def long_run(self) -> float:
        """Variance to which every forecast goes."""
        return self.omega / (1.0 - self.persistence)


def targeted(alpha: float, beta: float, long_run: float) -> Garch:
    """The law with a given long-run variance."""
    return Garch(long_run * (1.0 - alpha - beta), alpha, beta)


def garch_variances(returns: F64, law: Garch, seed: Real | None = None) -> F64:
    """Variances that the law foresaw.

    Parameters
    ----------
    returns : (T, N) ndarray
        Of N assets, oldest first.
    law : Garch
        Its parameters.
    seed : float or (N,) ndarray, optional
        Variance foreseen for the first row, > 0; the long run where none is given.

    Returns
    -------
    (T + 1, N) ndarray
        Row t is what was known before return t; the last row is what is known now.
    """
    squares = finite("returns", returns) ** 2
    variances = np.empty((len(squares) + 1, squares.shape[1]))
    variances[0] = positive("seed", law.long_run if seed is None else seed)
    for t, square in enumerate(squares):
        variances[t + 1] = law.omega + law.alpha * square + law.beta * variances[t]
    return variances


def garch_forecast(variance: Real, law: Garch, steps: Real) -> F64:
    """Variance of one step, that many steps after the next: ``V + (alpha + beta)^h (s2 - V)``.

    Parameters
    ----------
    variance : float or ndarray
        Foreseen for the next step, > 0.
    law : Garch
        Its parameters.
    steps : float or ndarray
        h: zero is the next step itself.
    """
    gap = positive("variance", variance) - law.long_run
    return law.long_run + law.persistence ** non_negative("steps", steps) * gap


def garch_horizon(variance: Real, law: Garch, steps: Real) -> F64:
    """Variance of the next ``steps`` steps together, > 0 steps; parameters as `garch_forecast`."""
    count, gap = positive("steps", steps), positive("variance", variance) - law.long_run
    return law.long_run * count + gap * (1.0 - law.persistence**count) / (1.0 - law.persistence)
