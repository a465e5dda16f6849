"""Prices that nobody quoted: laws with a generator of the caller's, and real bars in another order.

The same seed gives the same bytes: every number is made of `numpy.random.Generator.random`, whose doubles are the top
bits of the generator's stream, by formulas of this project. A path is (paths, steps + 1) and starts with its price.
"""

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from margrave.kernels.arrays import F64, I64, finite, non_negative, positive
from margrave.kernels.normal import normal_quantile

Shape = tuple[int, int]
"""Paths and steps."""

_TAIL: Final = 1e-15  # probability of a number of jumps beyond which none is drawn


@final
@dataclass(frozen=True, slots=True)
class Brownian:
    """Log returns that are normal and independent."""

    drift: float  # of the price, a year, continuous
    volatility: float  # a year, a fraction >= 0

    def __post_init__(self) -> None:
        finite("drift", self.drift)
        non_negative("volatility", self.volatility)


@final
@dataclass(frozen=True, slots=True)
class Jumps:
    """Log jumps of a Poisson number; the drift of the price stays what it was (Merton 1976)."""

    rate: float  # a year, >= 0
    mean: float  # of a log jump
    deviation: float  # of a log jump, >= 0

    def __post_init__(self) -> None:
        finite("mean", self.mean)
        for name in ("rate", "deviation"):
            non_negative(name, getattr(self, name))


@final
@dataclass(frozen=True, slots=True)
class Regimes:
    """Laws that take turns: a Markov chain whose row r holds the chances of the next step's regime."""

    laws: tuple[Brownian, ...]  # (R,)
    transition: tuple[tuple[float, ...], ...]  # (R, R), rows add to one

    def __post_init__(self) -> None:
        count, table = len(self.laws), np.array(self.transition, dtype=np.float64)
        if not count or table.shape != (count, count):
            raise ValueError(f"transition must be {count} by {count}, got {table.shape}")
        if not np.allclose(non_negative("transition", table).sum(axis=1), 1.0, rtol=0.0, atol=1e-9):
            raise ValueError("transition must have rows that add to one")


@final
@dataclass(frozen=True, slots=True)
class Switched:
    """Prices, and the regime that each step was drawn in."""

    price: F64  # (paths, steps + 1)
    regime: I64  # (paths, steps)


def geometric(generator: np.random.Generator, law: Brownian, start: float, years: float, shape: Shape) -> F64:
    """Geometric Brownian motion.

    Parameters
    ----------
    generator : numpy.random.Generator
        Moved on by paths x steps draws.
    law : Brownian
        Drift and vol.
    start : float
        Price, > 0.
    years : float
        Of one step, > 0.
    shape : (int, int)
        Paths and steps.

    Returns
    -------
    (paths, steps + 1) ndarray
        Prices.
    """
    return _path(start, _normal_returns(generator, law, years, shape))


def jump_diffusion(
    generator: np.random.Generator, law: Brownian, jumps: Jumps, start: float, years: float, shape: Shape
) -> F64:
    """Geometric Brownian motion with normal log jumps; as `geometric`, three draws a step.

    ``d ln S = (mu - s^2 / 2 - rate k) dt + s dW + sum of the jumps``, ``k = exp(m + d^2 / 2) - 1``.
    """
    returns = _normal_returns(generator, law, years, shape)
    count = _poisson(_uniform(generator, shape), jumps.rate * years)
    size = count * jumps.mean + np.sqrt(count) * jumps.deviation * _normal(generator, shape)
    excess = np.expm1(jumps.mean + 0.5 * jumps.deviation**2)
    return _path(start, returns + size - jumps.rate * years * excess)


def regime_switching(
    generator: np.random.Generator, regimes: Regimes, start: float, years: float, shape: Shape, first: int = 0
) -> Switched:
    """Laws that take turns; as `geometric`, two draws a step.

    Parameters
    ----------
    first : int
        Regime of the first step, from zero.
    """
    if not 0 <= first < len(regimes.laws):
        raise ValueError(f"first must be a regime from 0 to {len(regimes.laws) - 1}, got {first}")
    upto = np.cumsum(np.array(regimes.transition, dtype=np.float64), axis=1)[:, :-1]
    chance, normal = _uniform(generator, shape), _normal(generator, shape)
    regime = np.full(shape, first, dtype=np.int64)
    for step in range(1, shape[1]):
        regime[:, step] = (chance[:, step, None] >= upto[regime[:, step - 1]]).sum(axis=1)
    drift = np.array([law.drift for law in regimes.laws])[regime]
    vol = np.array([law.volatility for law in regimes.laws])[regime]
    step_years = float(positive("years", years))
    returns = (drift - 0.5 * vol**2) * step_years + vol * np.sqrt(step_years) * normal
    return Switched(_path(start, returns), regime)


# --- real bars ---


def stationary_rows(generator: np.random.Generator, count: int, mean_block: float, shape: Shape) -> I64:
    """Rows of a stationary bootstrap: runs of consecutive rows of geometric length, round the end to the start.

    Parameters
    ----------
    generator : numpy.random.Generator
        Moved on by 2 x paths x steps draws.
    count : int
        Rows that there are, at least one.
    mean_block : float
        Average length of a run, >= 1.
    shape : (int, int)
        Paths and steps.

    Returns
    -------
    (paths, steps) ndarray of int
        Take all columns by the same rows, so that what happened together stays together.

    References
    ----------
    Politis and Romano 1994.
    """
    _check_rows(count, mean_block)
    breaks = _uniform(generator, shape) < 1.0 / mean_block
    fresh = _row(_uniform(generator, shape), count)
    breaks[:, :1] = True
    # Since its last break each row has moved on by one a step.
    step = np.arange(shape[1])
    since = np.maximum.accumulate(np.where(breaks, step, 0), axis=1)
    return np.asarray((np.take_along_axis(fresh, since, axis=1) + step - since) % count)


def block_rows(generator: np.random.Generator, count: int, block: int, shape: Shape) -> I64:
    """Rows of a moving-block bootstrap: runs of one length from anywhere, inside the data; as `stationary_rows`.

    Parameters
    ----------
    block : int
        Length of a run, 1 to ``count``; the last is cut where the path ends.

    References
    ----------
    Künsch 1989.
    """
    _check_rows(count, block)
    if block > count:
        raise ValueError(f"block must be at most {count} rows, got {block}")
    blocks = -(-shape[1] // block)
    start = _row(_uniform(generator, (shape[0], blocks)), count - block + 1)
    rows = (start[:, :, None] + np.arange(block)).reshape(shape[0], -1)
    return np.asarray(rows[:, : shape[1]])


def bar_ratios(bars: F64) -> F64:
    """Open, high, low and close of each bar over the close before, (T - 1, 4): bars that can be put in any order.

    Parameters
    ----------
    bars : (T, 4) ndarray
        Open, high, low, close, > 0.
    """
    prices = positive("bars", bars)
    if prices.ndim != 2 or prices.shape[1] != 4 or len(prices) < 2:
        raise ValueError(f"bars must be two or more rows of open, high, low and close, got {prices.shape}")
    return np.asarray(prices[1:] / prices[:-1, 3:])


def chained_bars(start: float, ratios: F64) -> F64:
    """Bars one after the other from a price, (..., n, 4): each opens where the last closed, times its ratio."""
    given = positive("ratios", ratios)
    close = np.cumprod(given[..., 3], axis=-1)
    before = np.concatenate([np.ones_like(close[..., :1]), close[..., :-1]], axis=-1)
    return np.asarray(positive("start", start) * before[..., None] * given)


# --- draws ---


def _uniform(generator: np.random.Generator, shape: Shape) -> F64:
    if shape[0] < 0 or shape[1] < 0:
        raise ValueError(f"shape must not be negative, got {shape}")
    return generator.random(shape)


def _normal(generator: np.random.Generator, shape: Shape) -> F64:
    # The middle of one of 2^53 cells: never zero or one.
    return normal_quantile(_uniform(generator, shape) + 2.0**-54)


def _row(uniform: F64, count: int) -> I64:
    return np.minimum((uniform * count).astype(np.int64), count - 1)


def _poisson(uniform: F64, mean: float) -> F64:
    # By inversion of the distribution function, term by term.
    term = total = float(np.exp(-mean))
    upto = [total]
    while 1.0 - total > _TAIL and len(upto) < 10 * mean + 100:
        term *= mean / len(upto)
        total += term
        upto.append(total)
    return np.searchsorted(upto, uniform, side="right").astype(np.float64)


def _normal_returns(generator: np.random.Generator, law: Brownian, years: float, shape: Shape) -> F64:
    step = float(positive("years", years))
    trend = (law.drift - 0.5 * law.volatility**2) * step
    return np.asarray(trend + law.volatility * np.sqrt(step) * _normal(generator, shape))


def _path(start: float, returns: F64) -> F64:
    moved = np.zeros((returns.shape[0], returns.shape[1] + 1))
    np.cumsum(returns, axis=1, out=moved[:, 1:])
    return np.asarray(positive("start", start) * np.exp(moved))


def _check_rows(count: int, block: float) -> None:
    if count < 1:
        raise ValueError(f"count must be at least one row, got {count}")
    if not 1.0 <= block < np.inf:
        raise ValueError(f"block must be at least one row, got {block}")
