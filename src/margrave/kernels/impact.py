"""What a flow of orders does to a price: laws of impact, how it decays, what execution costs, a book that empties.

An impact is a move of the log price, ``ln(p after / p before)``: a purchase (flow > 0) lifts, a sale lowers. Flow and
depth are in one unit, contracts or money.

References
----------
Spec inverse-margining 4.3 (``d ln p = -kappa (q / D)^beta``); clearing 2.2, 5.1. Almgren and Chriss, Optimal execution
of portfolio transactions, 2000. Bouchaud and others 2004 (propagator).
"""

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from margrave.kernels.arrays import F64, Real, finite, non_negative, positive
from margrave.kernels.holding_period import square_root_impact

_SAME: Final = 1e-12  # moves that differ by less are the same

# --- how far a flow moves a price ---


def power_law(flow: Real, depth: Real, coefficient: Real = 1.0, exponent: Real = 1.0) -> F64:
    """Impact of a flow, ``kappa (|q| / D)^beta`` in its direction.

    Parameters
    ----------
    flow : float or ndarray
        Signed: purchases > 0.
    depth : float or ndarray
        > 0.
    coefficient : float or ndarray
        Log move of a flow as large as the depth, >= 0.
    exponent : float or ndarray
        > 0: one is linear, one half the square root.

    Returns
    -------
    ndarray
        Log move, broadcast.
    """
    q, k = finite("flow", flow), non_negative("coefficient", coefficient)
    return np.sign(q) * k * (np.abs(q) / positive("depth", depth)) ** positive("exponent", exponent)


def temporary_linear(flow: Real, depth: Real) -> F64:
    """Impact in proportion, ``q / D``: the depth is the flow that would move the log price by one."""
    return finite("flow", flow) / positive("depth", depth)


def square_root(flow: Real, depth: Real, volatility: Real) -> F64:
    """Square-root law, ``s sqrt(|q| / V)`` in the flow's direction: depth is the volume of the time of the vol."""
    q = finite("flow", flow)
    return np.sign(q) * square_root_impact(1.0, volatility, np.abs(q) / positive("depth", depth))


# --- how it fades ---


def decayed(state: Real, steps: Real, halflife: Real) -> F64:
    """What is left of an impact, or of any state, after some steps: half after each half-life.

    Parameters
    ----------
    state : float or ndarray
        Now.
    steps, halflife : float or ndarray
        Time gone by, >= 0, and time after which half is left, > 0, in one unit.
    """
    return finite("state", state) * 0.5 ** (non_negative("steps", steps) / positive("halflife", halflife))


def exponential_propagator(count: int, halflife: float) -> F64:
    """What is left of a unit of impact 0, 1, ... steps later, (count,): half after each half-life."""
    return decayed(1.0, np.arange(count, dtype=np.float64), halflife)


def power_propagator(count: int, scale: float, exponent: float) -> F64:
    """The same, as ``(1 + t / scale)^-exponent``: one half is the decay of forced flow (clearing 5.1)."""
    steps = np.arange(count) / positive("scale", scale)
    return (1.0 + steps) ** -non_negative("exponent", exponent)


def propagated(impact: F64, propagator: F64) -> F64:
    """Transient impact at each step: ``I_t = sum_s G(t - s) f(q_s)``.

    Parameters
    ----------
    impact : (T,) ndarray
        What the flow of each step did at once.
    propagator : (M,) ndarray
        What is left of it later; zero after M steps.

    Returns
    -------
    (T,) ndarray
        How far the price stands from where it would be without any flow.
    """
    given = finite("impact", impact)
    return np.asarray(np.convolve(given, finite("propagator", propagator))[: len(given)])


# --- a depth that empties and comes back ---


def emptied(depth: Real, flow: Real) -> F64:
    """Depth after a flow took its part, never below zero."""
    return np.maximum(non_negative("depth", depth) - np.abs(finite("flow", flow)), 0.0)


def refilled(depth: Real, full: Real, steps: Real, halflife: Real) -> F64:
    """Depth that some steps have brought back: the gap to what is usual halves with each half-life."""
    usual = non_negative("full", full)
    return usual - decayed(usual - non_negative("depth", depth), steps, halflife)


# --- execution through the levels of a book ---


@final
@dataclass(frozen=True, slots=True)
class Fill:
    """What orders of several sizes get from one side of a book, each as if it were alone."""

    filled: F64  # (K,) contracts, at most what stands there
    cost: F64  # (K,) price times contracts
    last: F64  # (K,) price of the worst level touched; NaN where nothing is filled

    @property
    def average(self) -> F64:
        """Average price, (K,); NaN where nothing is filled."""
        with np.errstate(invalid="ignore"):
            return self.cost / self.filled


def fills(price: F64, size: F64, wanted: Real) -> Fill:
    """Walk a book from its best level until the orders are filled or the book is empty.

    Parameters
    ----------
    price : (L,) ndarray
        > 0, from the best on: rising for asks, falling for bids.
    size : (L,) ndarray
        Contracts of each level, >= 0.
    wanted : float or (K,) ndarray
        Contracts, >= 0.

    Raises
    ------
    ValueError
        Levels out of order or not of one length, or a number outside its range.
    """
    prices, sizes = _levels(price, size)
    order = np.atleast_1d(non_negative("wanted", wanted))
    upto = np.append(0.0, np.cumsum(sizes))
    money = np.append(0.0, np.cumsum(prices * sizes))
    filled = np.minimum(order, upto[-1])
    level = np.maximum(np.searchsorted(upto, filled, side="left") - 1, 0)
    if not len(prices):
        return Fill(filled, np.zeros_like(filled), np.full_like(filled, np.nan))
    cost = money[level] + (filled - upto[level]) * prices[level]
    return Fill(filled, cost, np.where(filled > 0.0, prices[level], np.nan))


def remaining(size: F64, amount: float) -> F64:
    """What is left of the levels of a book after an amount was filled from the best on, (L,)."""
    sizes = non_negative("size", size)
    before = np.cumsum(sizes) - sizes
    return sizes - np.clip(float(non_negative("amount", amount)) - before, 0.0, sizes)


def depth_within(price: F64, size: F64, reference: float, move: Real) -> F64:
    """Contracts that stand within a fraction of a reference price, one a move."""
    prices, sizes = _levels(price, size)
    apart = np.abs(prices / positive("reference", reference) - 1.0)
    reach = np.atleast_1d(non_negative("move", move))
    return np.asarray((sizes * (apart <= reach[:, None] + _SAME)).sum(axis=1))


def _levels(price: F64, size: F64) -> tuple[F64, F64]:
    prices, sizes = positive("price", price), non_negative("size", size)
    steps = np.diff(prices)
    if prices.shape != sizes.shape or prices.ndim != 1:
        raise ValueError(f"price and size must be of one length, got {prices.shape} and {sizes.shape}")
    if not (np.all(steps >= 0.0) or np.all(steps <= 0.0)):
        raise ValueError("price must be in order from the best level on")
    return prices, sizes


# --- Almgren and Chriss ---


@final
@dataclass(frozen=True, slots=True)
class Programme:
    """A position to be closed in equal steps, and what trading does; prices and vol in money, not in fractions."""

    size: float  # [contracts] > 0
    horizon: float  # time until it is closed, in the unit of the vol, > 0
    steps: int
    volatility: float  # [price / sqrt(time)] >= 0
    half_spread: float  # epsilon [price] >= 0
    permanent: float  # gamma [price / contract] >= 0
    temporary: float  # eta [price time / contract] > 0

    def __post_init__(self) -> None:
        for name in ("size", "horizon", "temporary"):
            positive(name, getattr(self, name))
        for name in ("volatility", "half_spread", "permanent"):
            non_negative(name, getattr(self, name))
        if self.steps < 1:
            raise ValueError(f"steps must be at least one, got {self.steps}")
        if self.cost_rate <= 0.0:
            raise ValueError("temporary must exceed half the permanent impact of a step")

    @property
    def step(self) -> float:
        """Time of a step."""
        return self.horizon / self.steps

    @property
    def cost_rate(self) -> float:
        """Temporary impact less what the permanent impact of the same step counts twice: ``eta - gamma tau / 2``."""
        return self.temporary - 0.5 * self.permanent * self.step


def urgency(programme: Programme, risk_aversion: float) -> float:
    """Kappa: ``2 (cosh(kappa tau) - 1) / tau^2 = lambda s^2 / (eta - gamma tau / 2)``; its inverse is a half-life.

    Parameters
    ----------
    programme : Programme
        What is traded.
    risk_aversion : float
        Lambda, >= 0: cost that one unit of variance is worth.
    """
    squared = (
        float(non_negative("risk_aversion", risk_aversion)) * programme.volatility**2 / programme.cost_rate
    )
    # arccosh(1 + u) by its half angle: no digits are lost where u is small.
    return 2.0 * float(np.arcsinh(0.5 * programme.step * np.sqrt(squared))) / programme.step


def holdings(programme: Programme, risk_aversion: float) -> F64:
    """What is held at the start and after each step, (N + 1,): ``X sinh(kappa (T - t)) / sinh(kappa T)``."""
    kappa = urgency(programme, risk_aversion)
    left = programme.step * np.arange(programme.steps, -1, -1)
    if kappa == 0.0:
        return np.asarray(programme.size * left / programme.horizon, dtype=np.float64)
    # sinh(a) / sinh(b) without overflow of either.
    ratio = np.exp(kappa * (left - programme.horizon)) * np.expm1(-2.0 * kappa * left)
    return np.asarray(programme.size * ratio / np.expm1(-2.0 * kappa * programme.horizon))


@final
@dataclass(frozen=True, slots=True)
class Cost:
    """What closing along a path is expected to cost, and how uncertain that is [price times contracts]."""

    expected: float
    variance: float

    @property
    def deviation(self) -> float:
        """Standard deviation."""
        return float(np.sqrt(self.variance))


def execution_cost(programme: Programme, held: F64) -> Cost:
    """Cost of any path: ``gamma X^2 / 2 + eps sum |n| + (eta - gamma tau / 2) / tau sum n^2``; ``s^2 tau sum x^2``.

    Parameters
    ----------
    programme : Programme
        What is traded.
    held : (N + 1,) ndarray
        Holdings at the start and after each step; the last is what stays.
    """
    x = finite("held", held)
    if x.shape != (programme.steps + 1,):
        raise ValueError(f"held must be of {programme.steps + 1} numbers, got {x.shape}")
    trades = -np.diff(x)
    expected = 0.5 * programme.permanent * (x[0] ** 2 - x[-1] ** 2)
    expected += programme.half_spread * np.abs(trades).sum()
    expected += programme.cost_rate / programme.step * (trades**2).sum()
    return Cost(float(expected), float(programme.volatility**2 * programme.step * (x[1:] ** 2).sum()))
