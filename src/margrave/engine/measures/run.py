"""What happened over a run of steps: volumes, speed, fund, deleveraging (spec 4.3, 4.4; clearing 5.2, 5.4).

`Steps` are columns over time. A simulation fills all of them and recorded data those that are published; what is not
known is NaN, and so is every measure that needs it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, finite, non_negative, positive
from margrave.kernels.tail import expected_shortfall


@final
@dataclass(frozen=True, slots=True)
class Steps:
    """Columns of a run, (T,) each; money in one currency."""

    at: F64  # [s] rising
    price: F64
    outside: F64  # price without what liquidations did to it
    open_interest: F64  # after the step
    margin: F64  # maintenance of all pools after the step, >= 0
    balance: F64  # margin balance of all pools after the step
    liquidated: F64  # notional closed by force in the market during the step, >= 0
    deleveraged: F64  # notional closed against winners during the step, >= 0
    shortfall: F64  # loss beyond collateral during the step, >= 0
    fund: F64  # insurance fund after the step


def steps_of(at: F64, **columns: F64) -> Steps:
    """Steps from the columns that are known; the others are NaN.

    Raises
    ------
    ValueError
        Time falls, a column is of another length, below zero where it must not be, or unknown.
    """
    times = finite("at", at)
    if np.any(np.diff(times) < 0.0):
        raise ValueError("at must not fall")
    unknown = columns.keys() - {name for name in Steps.__slots__ if name != "at"}
    if unknown:
        raise ValueError(f"{min(unknown)} must be a column of Steps")
    full = {name: np.full(len(times), np.nan) for name in Steps.__slots__ if name != "at"} | columns
    for name, column in full.items():
        if np.shape(column) != times.shape:
            raise ValueError(f"{name} must be of {len(times)} steps, got {np.shape(column)}")
        if name in ("liquidated", "deleveraged", "shortfall", "margin") and np.any(column < 0.0):
            raise ValueError(f"{name} must be zero or more")
    return Steps(times, **full)


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """A run in a few numbers; NaN where a column is not known."""

    amplification: float  # whole log move at the end over that from outside
    deepest: float  # largest fall, or rise, of the price from the start, a signed fraction
    liquidated: float  # notional in the market
    deleveraged: float  # notional against winners
    deleveraged_share: float  # of both together
    shortfall: float
    fund_draw: float  # from the start to the lowest
    open_interest_change: float  # fraction
    seconds_to_deleveraging: float  # from the first liquidation to the first deleveraging
    peak_utilisation: float  # largest maintenance over margin balance; infinite where nothing was left
    peak_rate: float  # largest notional by force in a window [per second]
    longest_acceleration: float  # steps in a row in which the volume by force grew faster and faster


def outcome(steps: Steps, window: float) -> Outcome:
    """Measures of a run.

    Parameters
    ----------
    steps : Steps
        At least one.
    window : float
        Seconds over which the peak rate is taken, > 0.
    """
    if not len(steps.at):
        raise ValueError("steps must be at least one")
    liquidated, deleveraged = float(steps.liquidated.sum()), float(steps.deleveraged.sum())
    forced = steps.liquidated + steps.deleveraged
    return Outcome(
        amplification(steps),
        _deepest(steps.price),
        liquidated,
        deleveraged,
        _over(deleveraged, liquidated + deleveraged),
        float(steps.shortfall.sum()),
        float(steps.fund[0] - steps.fund.min()),
        _over(float(steps.open_interest[-1]), float(steps.open_interest[0])) - 1.0,
        _seconds_between(steps.at, steps.liquidated, steps.deleveraged),
        _peak_utilisation(steps),
        peak_rate(steps.at, forced, window),
        longest_acceleration(np.cumsum(forced)),
    )


def amplification(steps: Steps) -> float:
    """Whole log move over that from outside; NaN where nothing moved outside."""
    whole, own = np.log(steps.price[-1] / steps.price[0]), np.log(steps.outside[-1] / steps.outside[0])
    return float(whole / own) if own else float("nan")


def peak_rate(at: F64, volume: F64, window: float) -> float:
    """Largest volume of any window of time that ends with a step, over its length [per second]."""
    upto = np.append(0.0, np.cumsum(volume))
    first = np.searchsorted(at, at - float(positive("window", window)), side="right")
    return float((upto[1:] - upto[first]).max(initial=0.0) / window)


def longest_acceleration(total: F64) -> float:
    """Longest run of steps at which the second difference of a running total is above zero (spec 4.3)."""
    if np.isnan(total).any():
        return float("nan")
    longest = now = 0
    for grew in np.diff(np.concatenate([[0.0, 0.0], total]), 2) > 0.0:
        now = now + 1 if grew else 0
        longest = max(longest, now)
    return float(longest)


def profile(at: F64, volume: F64, edges: F64) -> F64:
    """Share of the volume in each stretch of time, (B,); NaN where there is none.

    Parameters
    ----------
    at, volume : (T,) ndarray
        Seconds, and what happened then, >= 0.
    edges : (B + 1,) ndarray
        Seconds, rising.
    """
    inside = np.histogram(at, edges, weights=non_negative("volume", volume))[0]
    with np.errstate(invalid="ignore"):
        return np.asarray(inside / inside.sum())


def profile_distance(one: F64, other: F64) -> float:
    """How differently two profiles are spread over time: 0 for the same, 1 where they never meet."""
    return float(0.5 * np.abs(finite("one", one) - finite("other", other)).sum())


def one_sided(feed: F64, deleveraged: F64) -> F64:
    """Liquidations in the market, from a feed that has both sides of each fill and the deleveragings besides.

    Hyperliquid's records of October 2025 are such a feed (clearing 5.4): ``(feed - deleveraged) / 2``.
    """
    return np.asarray((finite("feed", feed) - finite("deleveraged", deleveraged)) / 2.0)


def fund_coverage(fund: float, shortfalls: F64, confidence: float = 0.99) -> float:
    """Fund over the expected shortfall of what runs would ask of it; infinite where they ask nothing (spec 4.4).

    Parameters
    ----------
    fund : float
        What it holds, >= 0.
    shortfalls : (N,) ndarray
        Total shortfall of each run, >= 0.
    confidence : float
        In (0, 1).
    """
    asked = expected_shortfall(non_negative("shortfalls", shortfalls), confidence).value
    held = float(non_negative("fund", fund))
    return held / asked if asked > 0.0 else float("inf")


def covered_share(fund: float, shortfalls: Sequence[float] | F64) -> float:
    """Share of runs whose shortfall the fund pays in full."""
    return float(np.mean(non_negative("shortfalls", np.asarray(shortfalls)) <= fund))


def _peak_utilisation(steps: Steps) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        used = np.where(steps.balance <= 0.0, np.inf, steps.margin / steps.balance)
    return float(used.max())


def _deepest(price: F64) -> float:
    moves = price / price[0] - 1.0
    return float(moves[int(np.argmax(np.abs(moves)))])


def _over(amount: float, by: float) -> float:
    return amount / by if by else float("nan")


def _seconds_between(at: F64, one: F64, other: F64) -> float:
    first, then = at[one > 0.0], at[other > 0.0]
    return float(then[0] - first[0]) if len(first) and len(then) else float("nan")
