"""What moves a margin rate over time, and what holds it back (spec DM, RBF-6; clearing 3).

Factors multiply a rate: `vol_multiplier`, `liquidity_multiplier`; `crowding` takes it toward one. Tools against
procyclicality change a requirement: `buffered`, `blended`, `floored`, `speed_limited`. A `Cadence` says when a new
rate may take effect, and by how much it may differ from the last.
"""

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, Bools, Real, non_negative, positive

# --- factors ---


def vol_multiplier(short: Real, long: Real, usual: Real, low: float, high: float) -> F64:
    """Vol over what is usual: the larger of a short and a long window, within bounds (DM-1).

    Parameters
    ----------
    short, long : float or ndarray
        Vols, >= 0. The long window keeps a calm month from forgetting a wild year.
    usual : float or ndarray
        Vol that the base rate was made for, > 0.
    low, high : float
        Bounds, ``0 < low <= high``.
    """
    vol = np.maximum(non_negative("short", short), non_negative("long", long))
    return _bounded(vol / positive("usual", usual), low, high)


def liquidity_multiplier(spread: Real, depth: Real, days: Real, low: float, high: float) -> F64:
    """The worst of three signs of a thin market, each over what is usual, within bounds (DM-2).

    Parameters
    ----------
    spread : float or ndarray
        Bid-ask spread over its usual width, >= 0: a wider one asks for more.
    depth : float or ndarray
        Depth of the book over its usual depth, >= 0: none asks for the most.
    days : float or ndarray
        Time to close the position at a share of the volume (`holding_period.days_to_liquidate`) over the time that
        the base rate was made for, >= 0.
    low, high : float
        Bounds, ``0 < low <= high``.
    """
    with np.errstate(divide="ignore"):
        thin = 1.0 / non_negative("depth", depth)
    worst = np.maximum(np.maximum(non_negative("spread", spread), non_negative("days", days)), thin)
    return _bounded(worst, low, high)


def crowding(outstanding: Real, lower: float, upper: float) -> F64:
    """How far open interest takes a rate toward one: 0 up to the lower bound, 1 from the upper (dYdX v4).

    Parameters
    ----------
    outstanding : float or ndarray
        Open interest [as the bounds], NaN stays NaN.
    lower, upper : float
        ``0 <= lower <= upper``; bounds that meet are a step, and an upper bound of zero is no rule.
    """
    if not 0.0 <= lower <= upper < np.inf:
        raise ValueError(f"lower must be between 0 and upper, got {lower} and {upper}")
    amount = np.asarray(outstanding, dtype=np.float64)
    width = max(upper - lower, 1e-9 * upper)
    return np.clip((amount - lower) / width, 0.0, 1.0) if upper else 0.0 * amount


def crowded(rate: Real, share: Real) -> F64:
    """A rate after it went a share of the way to one, ``r + s (1 - r)``."""
    base = non_negative("rate", rate)
    return base + np.asarray(share) * (1.0 - base)


def _bounded(factor: F64, low: float, high: float) -> F64:
    if not 0.0 < low <= high:
        raise ValueError(f"low must be above zero and at most high, got {low} and {high}")
    return np.clip(factor, low, high)


# --- tools against procyclicality ---


def buffered(model: Real, reference: Real, buffer: float = 0.25) -> F64:
    """A buffer that is there in calm times and used up in wild ones: ``max(M, min((1 + b) M, (1 + b) M_ref))``.

    Parameters
    ----------
    model : float or ndarray
        Requirement of the model, >= 0.
    reference : float or ndarray
        Usual requirement, such as its long-run average, >= 0: the buffer is all used at ``(1 + b)`` times it.
    buffer : float
        Share on top, >= 0; EMIR's is at least 25 % (RTS 153/2013, article 28a).
    """
    m, top = non_negative("model", model), 1.0 + float(non_negative("buffer", buffer))
    return np.maximum(m, top * np.minimum(m, non_negative("reference", reference)))


def blended(model: Real, stressed: Real, weight: float = 0.25) -> F64:
    """A weight on what stressed times would ask, ``(1 - w) M + w M_stress`` (article 28b: at least 25 %)."""
    if not 0.0 <= weight <= 1.0:
        raise ValueError(f"weight must be between 0 and 1, got {weight}")
    return (1.0 - weight) * non_negative("model", model) + weight * non_negative("stressed", stressed)


def floored(model: Real, long_run: Real) -> F64:
    """Never below what a long window asks, ``max(M, M_10y)`` (article 28c: ten years)."""
    return np.maximum(non_negative("model", model), non_negative("long_run", long_run))


@final
@dataclass(frozen=True, slots=True)
class Limited:
    """Requirement that may rise only so fast, and what it leaves to a pooled buffer."""

    charged: F64  # (T,)
    uncovered: F64  # (T,) model less charged, >= 0


def speed_limited(model: F64, step: float) -> Limited:
    """A requirement that rises by at most a share a step: ``M*[t] <= (1 + c) M*[t - 1]`` (BoE SWP 597).

    Parameters
    ----------
    model : (T,) ndarray
        Requirement of the model, >= 0; the first is charged in full.
    step : float
        c, >= 0.
    """
    asked, most = non_negative("model", model), 1.0 + float(non_negative("step", step))
    charged = asked.copy()
    for t in range(1, len(asked)):
        charged[t] = min(asked[t], most * charged[t - 1])
    return Limited(charged, asked - charged)


# --- when a new rate takes effect ---


@final
@dataclass(frozen=True, slots=True)
class Cadence:
    """How a venue may move a rate (DM-4, DM-6)."""

    every: float = 0.0  # [s] between two decisions
    notice: float = 0.0  # [s] from a decision to raise until it holds; to lower holds at once
    step_up: float = float("inf")  # largest rise of a decision, share of the last rate decided
    step_down: float = float("inf")  # largest fall

    def __post_init__(self) -> None:
        for name in ("every", "notice"):
            non_negative(name, getattr(self, name))
        for name in ("step_up", "step_down"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} must be above zero, got {getattr(self, name)}")


@final
@dataclass(frozen=True, slots=True)
class Standing:
    """A rate in force and those announced, in order of time; each is above what is in force."""

    rate: float  # > 0
    decided_at: float  # [s]
    announced: tuple[tuple[float, float], ...] = ()  # (from when on, rate), rates rising
    is_override: bool = False  # raised without notice in an emergency

    @property
    def decided(self) -> float:
        """The last rate decided, in force or not."""
        return self.announced[-1][1] if self.announced else self.rate


@final
@dataclass(frozen=True, slots=True)
class Reading:
    """What the rate should be, as the inputs say at one instant."""

    at: float  # [s], not before the last
    target: float  # > 0; NaN: not known
    is_stale: bool = False  # an input is old: a rate may rise and not fall (DM-9)
    is_emergency: bool = False  # a rise holds at once, whatever cadence, step and notice say


def decided(state: Standing, reading: Reading, cadence: Cadence) -> Standing:
    """The rate after one reading more.

    Parameters
    ----------
    state : Standing
        As the last reading left it.
    reading : Reading
        Time and target.
    cadence : Cadence
        Rules of the venue.

    Returns
    -------
    Standing
        A fall holds at once and takes back every announcement above it; a rise is announced. A target that is not
        known decides nothing.
    """
    now = reading.at
    held = [rate for start, rate in state.announced if start <= now]
    state = replace(
        state,
        rate=held[-1] if held else state.rate,
        announced=tuple(a for a in state.announced if a[0] > now),
        is_override=state.is_override and not held,
    )
    target = max(reading.target, state.decided) if reading.is_stale else reading.target
    if reading.is_emergency and target > state.rate:
        return Standing(target, now, (), is_override=True)
    if not target > 0.0 or now - state.decided_at < cadence.every:
        return state
    lowest = state.decided * max(1.0 - cadence.step_down, 0.0)
    wanted = min(max(target, lowest), state.decided * (1.0 + cadence.step_up))
    return _announced(replace(state, decided_at=now), wanted, now + cadence.notice, now)


def _announced(state: Standing, wanted: float, start: float, now: float) -> Standing:
    if wanted <= state.rate or start <= now:
        is_same = wanted == state.rate
        return replace(state, rate=wanted, announced=(), is_override=state.is_override and is_same)
    kept = tuple(a for a in state.announced if a[1] < wanted)
    # A lower announcement than before keeps the date of the one that it lowers.
    first = next((a[0] for a in state.announced if a[1] >= wanted), start)
    return replace(state, announced=(*kept, (first, wanted)))


def rates(
    at: F64, target: F64, cadence: Cadence, stale: Bools | None = None, emergency: Bools | None = None
) -> F64:
    """Rate in force at each instant of a series of targets, (T,); the first target is in force at the start.

    Parameters
    ----------
    at : (T,) ndarray
        Seconds, rising.
    target : (T,) ndarray
        Rates that the inputs ask for, > 0; NaN where it is not known, not at the start.
    cadence : Cadence
        Rules of the venue.
    stale, emergency : (T,) ndarray of bool, optional
        As in `Reading`; false where they are not given.
    """
    count = len(at)
    if np.any(np.diff(at) < 0.0):
        raise ValueError("at must not fall")
    old = np.zeros(count, dtype=bool) if stale is None else stale
    urgent = np.zeros(count, dtype=bool) if emergency is None else emergency
    out = np.empty(count)
    state = Standing(float(positive("first target", target[0])), float(at[0])) if count else None
    for t in range(count):
        assert state is not None
        reading = Reading(float(at[t]), float(target[t]), bool(old[t]), bool(urgent[t]))
        state = decided(state, reading, cadence) if t else state
        out[t] = state.rate
    return out
