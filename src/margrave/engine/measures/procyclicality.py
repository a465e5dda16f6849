"""How much a requirement adds to a cycle, and what it covers (spec 4.1, DM-5, DM-8; clearing 3).

The portfolio is held constant, and the requirement is a series. Definitions after Murphy, Vasios and Vause 2014 (BoE FSP
29) and Gurrola-Perez and Murphy 2024 (impulse response).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from margrave.kernels.arrays import F64, finite, non_negative, positive

ENOUGH: Final = 0.99
"""Coverage below which a saving is not proven (spec 4.2)."""


def peak_to_trough(margin: F64) -> float:
    """Largest requirement over the smallest, >= 1."""
    asked = _series(margin)
    return float(asked.max() / asked.min())


@final
@dataclass(frozen=True, slots=True)
class Rise:
    """A rise of a requirement: the largest in money and the largest as a fraction, which may be at two places."""

    amount: float  # >= 0
    fraction: float  # >= 0


def step_rise(margin: F64, steps: int) -> Rise:
    """Largest rise from one step to the n-th after it: ``max(M[t + n] / M[t] - 1)``, not below zero (spec 4.1).

    Parameters
    ----------
    margin : (T,) ndarray
        > 0.
    steps : int
        n, 1 to T - 1.
    """
    asked = _series(margin)
    _check_steps(asked, steps)
    return _rise(asked[steps:], asked[:-steps])


def rise_within(margin: F64, steps: int) -> Rise:
    """Largest rise over n steps or fewer (clearing 3): never below that of fewer steps; parameters as `step_rise`."""
    asked = _series(margin)
    _check_steps(asked, steps)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(asked, (steps, 0), mode="edge"), steps + 1)
    return _rise(asked, windows.min(axis=1))


@final
@dataclass(frozen=True, slots=True)
class Response:
    """A requirement after a step of price or vol, over what it was before."""

    ratio: F64  # (T,) M[t] / M[0]
    settled: float  # the last
    overshoot: float  # furthest beyond the settled, over the whole change; zero where it never is
    half_life: float  # steps until half of the change is made; NaN where nothing changed
    release: float  # steps from the furthest until half of the overshoot is gone; NaN without one


def impulse_response(margin: F64) -> Response:
    """Read off how a requirement responds (DM-5).

    Parameters
    ----------
    margin : (T,) ndarray
        > 0: the first is before the step, the last when all has settled.
    """
    asked = _series(margin)
    ratio = asked / asked[0]
    change = ratio[-1] - 1.0
    if change == 0.0:
        return Response(ratio, float(ratio[-1]), 0.0, float("nan"), float("nan"))
    done = (ratio - 1.0) / change
    furthest = int(np.argmax(done))
    over = float(done[furthest]) - 1.0
    return Response(
        ratio,
        float(ratio[-1]),
        over,
        float(np.argmax(done >= 0.5)),
        float(np.argmax(done[furthest:] <= 1.0 + 0.5 * over)) if over > 0.0 else float("nan"),
    )


# --- efficiency beside coverage ---


@final
@dataclass(frozen=True, slots=True)
class Evidence:
    """What a rule costs, covers and does to a cycle: a point of the frontier."""

    coverage: float  # share of losses that the requirement of their time covered
    mean: float  # average requirement
    peak_to_trough: float
    rise: float  # largest of `step_rise` over the steps asked, a fraction
    worst_breach: float  # largest loss beyond the requirement, over the requirement; zero without one


def evidence(margin: F64, loss: F64, steps: int = 1) -> Evidence:
    """The triple of coverage, cost and procyclicality of a rule on one path (clearing 3, 8.5).

    Parameters
    ----------
    margin : (T,) ndarray
        Requirement, > 0.
    loss : (T,) ndarray
        What the portfolio lost over the horizon that each requirement was for; a gain < 0.
    steps : int
        Steps of the largest rise.
    """
    asked, lost = _series(margin), finite("loss", loss)
    if lost.shape != asked.shape:
        raise ValueError(f"loss must be of {len(asked)} steps, got {lost.shape}")
    beyond = float(((lost - asked) / asked).max())
    return Evidence(
        float(np.mean(lost <= asked)),
        float(asked.mean()),
        peak_to_trough(asked),
        step_rise(asked, steps).fraction,
        max(beyond, 0.0),
    )


def frontier(rules: Sequence[Evidence]) -> tuple[int, ...]:
    """Rows of the rules that no other beats: covers as much, costs as little and moves as little, and one of them better."""
    points = np.array([(-r.coverage, r.mean, r.peak_to_trough) for r in rules]).reshape(len(rules), 3)
    no_worse = (points[:, None] <= points[None]).all(axis=2)
    better = (points[:, None] < points[None]).any(axis=2)
    return tuple(np.flatnonzero(~(no_worse & better).any(axis=0)).tolist())


@final
@dataclass(frozen=True, slots=True)
class Saving:
    """Capital that a rule frees against another, and whether it still covers."""

    saving: float  # 1 - mean requirement over that of the reference
    coverage: float
    is_proven: bool  # it covers enough: efficiency without coverage proves nothing


def saving(rule: Evidence, reference: Evidence, enough: float = ENOUGH) -> Saving:
    """Capital saved against a reference rule on the same path, next to coverage (spec 4.2)."""
    return Saving(1.0 - rule.mean / reference.mean, rule.coverage, rule.coverage >= enough)


def released(flat: F64, scheduled: F64) -> float:
    """Relief that a schedule has granted: what the flat rule would ask more, account by account, in all (spec 4.4)."""
    return float(np.maximum(non_negative("flat", flat) - non_negative("scheduled", scheduled), 0.0).sum())


def _series(margin: F64) -> F64:
    asked = positive("margin", margin)
    if asked.ndim != 1 or not len(asked):
        raise ValueError(f"margin must be a series of at least one step, got {asked.shape}")
    return asked


def _check_steps(asked: F64, steps: int) -> None:
    if not 1 <= steps < len(asked):
        raise ValueError(f"steps must be from 1 to {len(asked) - 1}, got {steps}")


def _rise(after: F64, before: F64) -> Rise:
    return Rise(max(float((after - before).max()), 0.0), max(float((after / before).max()) - 1.0, 0.0))
