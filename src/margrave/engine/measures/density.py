"""Where liquidations stand: notional by liquidation price, its density, and how self-sustaining it is (spec 4.3, 4.4)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, Real, finite, non_negative, positive


@final
@dataclass(frozen=True, slots=True)
class Heatmap:
    """Notional that is liquidated between prices: longs as prices fall to it, shorts as they rise to it."""

    edges: F64  # (B + 1,) prices, rising
    longs: F64  # (B,) [currency of the notional] >= 0
    shorts: F64  # (B,)

    @property
    def width(self) -> F64:
        """Log width of each bin, (B,)."""
        return np.diff(np.log(self.edges))

    @property
    def density(self) -> F64:
        """Notional per unit of log price, (B,): L of the specification; a hundredth of it is per per cent."""
        return (self.longs + self.shorts) / self.width


def heatmap(liquidation: F64, notional: F64, edges: F64, weight: Real = 1.0) -> Heatmap:
    """Notional between prices, from the liquidation prices of accounts.

    Parameters
    ----------
    liquidation : (K,) ndarray
        Prices; NaN where a position is never liquidated.
    notional : (K,) ndarray
        Contracts times the value of one, signed: longs > 0. It is sold, or bought, when the price is reached.
    edges : (B + 1,) ndarray
        Prices, > 0 and rising; a bin holds its lower edge, and the last its upper too.
    weight : float or (K,) ndarray
        How many accounts a row stands for, >= 0.
    """
    bounds = positive("edges", edges)
    if len(bounds) < 2 or np.any(np.diff(bounds) <= 0.0):
        raise ValueError("edges must be two or more rising prices")
    amount = finite("notional", notional) * non_negative("weight", weight)
    known = ~np.isnan(np.asarray(liquidation, dtype=np.float64))
    longs, shorts = (
        np.histogram(liquidation[known], bounds, weights=np.maximum(side, 0.0)[known])[0]
        for side in (amount, -amount)
    )
    return Heatmap(bounds, longs, shorts)


def log_edges(price: float, reach: float, bins: int) -> F64:
    """Edges of equal log width around a price, (2 bins + 1,), as far as a log reach to either side."""
    steps = np.arange(-bins, bins + 1) / max(bins, 1)
    return np.asarray(positive("price", price) * np.exp(float(positive("reach", reach)) * steps))


@final
@dataclass(frozen=True, slots=True)
class Reach:
    """Notional in the order in which a move in one direction liquidates it: sorted once, asked for many prices."""

    way: float  # -1 for a fall, +1 for a rise
    place: F64  # prices times the way, rising
    upto_row: F64  # notional before each, and all of it

    def upto(self, price: Real) -> F64:
        """Notional that is liquidated when the price gets there: C of the specification, >= 0."""
        rows = np.searchsorted(self.place, self.way * positive("price", price), side="right")
        return np.asarray(self.upto_row[rows])


def reach_of(liquidation: F64, notional: F64, way: float) -> Reach:
    """Longs that a fall liquidates (``way`` -1), or shorts that a rise does (+1); rows as `heatmap` has them."""
    place, amount = way * np.asarray(liquidation, dtype=np.float64), -way * finite("notional", notional)
    held = ~np.isnan(place) & (amount > 0.0)
    order = np.argsort(place[held], kind="stable")
    return Reach(way, place[held][order], np.append(0.0, np.cumsum(amount[held][order])))


def branching_ratio(density: Real, sensitivity: Real) -> F64:
    """Liquidations that one liquidation sets off, ``(kappa / D) L``: from one on a cascade sustains itself.

    Parameters
    ----------
    density : float or ndarray
        Notional per unit of log price, >= 0.
    sensitivity : float or ndarray
        Log move per notional, ``kappa / D``, >= 0.
    """
    return non_negative("density", density) * non_negative("sensitivity", sensitivity)


def amplification_of(ratio: Real) -> F64:
    """Whole move over the shock where density is flat, ``1 / (1 - R)``; infinite from one on."""
    r = non_negative("ratio", ratio)
    with np.errstate(divide="ignore"):
        return np.where(r < 1.0, 1.0 / np.maximum(1.0 - r, 0.0), np.inf)


def acceleration_index(ratio: Real, flat_ratio: Real) -> F64:
    """Branching ratio under a schedule over that under the flat rule; NaN where neither has any."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return non_negative("ratio", ratio) / non_negative("flat_ratio", flat_ratio)
