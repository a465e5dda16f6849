"""What a shock sets off: the map from liquidations to price and back, to its fixed point (spec 4.3; clearing 5.1).

The full venue is simulated elsewhere; here only liquidation prices and an impact law take part, so that the answer is
exact, immediate, and a check on the simulation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.engine.measures.density import reach_of
from margrave.kernels.arrays import F64, I64, Real, finite, non_negative, positive
from margrave.kernels.impact import power_law


@final
@dataclass(frozen=True, slots=True)
class Impact:
    """Permanent impact of the notional liquidated so far: ``d ln p = -kappa (q / D)^beta``."""

    coefficient: float  # kappa, log move of a flow as large as the depth, >= 0
    depth: float  # D [currency of the notional] > 0
    exponent: float = 1.0  # beta > 0: one is linear, one half the square root

    def __post_init__(self) -> None:
        power_law(0.0, self.depth, self.coefficient, self.exponent)


@final
@dataclass(frozen=True, slots=True)
class Cascade:
    """Rounds of liquidation until nothing more is reached."""

    start: float
    price: F64  # (R + 1,) after the shock, and after each round
    liquidated: F64  # (R,) notional liquidated up to and with each round, rising

    @property
    def final(self) -> float:
        """Price at which it stops."""
        return float(self.price[-1])

    @property
    def volume(self) -> float:
        """Notional liquidated in all."""
        return float(self.liquidated[-1]) if len(self.liquidated) else 0.0

    @property
    def amplification(self) -> float:
        """Whole log move over that of the shock: AF, one without any liquidation."""
        return float(np.log(self.final / self.start) / np.log(self.price[0] / self.start))

    def round_of(self, liquidation: F64, notional: F64) -> I64:
        """Round in which each row is liquidated, from zero; -1 where it stands. Rows as given to `cascade`."""
        way = -1.0 if self.price[0] < self.start else 1.0
        place = way * np.asarray(liquidation, dtype=np.float64)
        reached = np.searchsorted(way * self.price[:-1], place, side="left")
        hit = (way * np.asarray(notional) < 0.0) & (place <= way * self.price[-1])  # NaN is not
        return np.where(hit, np.minimum(reached, len(self.liquidated) - 1), -1).astype(np.int64)

    def filled_at(self, liquidation: F64, notional: F64) -> F64:
        """Price that each liquidated row is closed at: after its round's impact; NaN where it stands."""
        rounds = self.round_of(liquidation, notional)
        return np.where(rounds >= 0, self.price[rounds + 1], np.nan)


def cascade(liquidation: F64, notional: F64, start: float, shock: float, impact: Impact) -> Cascade:
    """Follow a shock through its liquidations: ``p[n + 1] = p_shock exp(-kappa (C(p[n]) / D)^beta)``.

    Parameters
    ----------
    liquidation : (K,) ndarray
        Liquidation prices; NaN where a position is never liquidated.
    notional : (K,) ndarray
        Signed: a fall sells longs, a rise buys back shorts.
    start : float
        Price before, > 0.
    shock : float
        Move from outside, a fraction: above -1, not zero.
    impact : Impact
        What liquidations do to the price.

    Returns
    -------
    Cascade
        It ends after at most one round a row, for what is liquidated only grows.
    """
    if not -1.0 < shock < np.inf or shock == 0.0:
        raise ValueError(f"shock must be above -1 and not zero, got {shock}")
    way = 1.0 if shock > 0.0 else -1.0
    shocked = float(positive("start", start)) * (1.0 + shock)
    price, liquidated = [shocked], list[float]()
    reach = reach_of(liquidation, notional, way)
    while (volume := float(reach.upto(price[-1]))) > (liquidated[-1] if liquidated else 0.0):
        liquidated.append(volume)
        move = power_law(way * volume, impact.depth, impact.coefficient, impact.exponent)
        price.append(shocked * float(np.exp(move)))
    return Cascade(start, np.array(price), np.array(liquidated))


@final
@dataclass(frozen=True, slots=True)
class CascadeIndex:
    """The worst amplification over a grid of shocks, and the shock that has it."""

    value: float
    shock: float


def cascade_index(
    liquidation: F64, notional: F64, start: float, impact: Impact, shocks: Sequence[float]
) -> CascadeIndex:
    """Largest amplification over shocks, such as those of 1 to 10 % in both directions; parameters as `cascade`."""
    if not shocks:
        raise ValueError("shocks must not be empty")
    found = [(cascade(liquidation, notional, start, s, impact).amplification, s) for s in shocks]
    value, shock = max(found, key=lambda row: row[0])
    return CascadeIndex(value, shock)


def shortfall(quantity: F64, a: F64, c: F64, bankruptcy: F64, fill: F64) -> F64:
    """Loss beyond what a position carried: worth at its bankruptcy price less worth at the fill, >= 0.

    Parameters
    ----------
    quantity : (K,) ndarray
        Signed contracts.
    a, c : (K,) ndarray
        Payoff: a contract is worth ``a P - c / P`` in its settlement asset.
    bankruptcy, fill : (K,) ndarray
        Prices; NaN where there is none, or nothing was filled: no shortfall.
    """
    with np.errstate(invalid="ignore"):
        lost = quantity * (a * (bankruptcy - fill) - c * (1.0 / bankruptcy - 1.0 / fill))
    return np.where(lost > 0.0, lost, 0.0)


# --- closed forms ---


@final
@dataclass(frozen=True, slots=True)
class Linear:
    """A cascade under uniform density and linear impact."""

    gain: float  # kappa rho: the branching ratio
    rounds: F64  # (R,) whole move after each round, the shock first
    limit: float  # shock / (1 - gain); infinite from a gain of one on


def linear_cascade(shock: float, impact: float, density: float, rounds: int) -> Linear:
    """Closed form of a uniform book: ``shock (1 + g + g^2 + ...)`` with ``g = kappa rho`` (clearing 5.1).

    Parameters
    ----------
    shock : float
        Move from outside, in the unit of the answer, such as per cent.
    impact : float
        Move per notional, >= 0.
    density : float
        Notional per unit of move, >= 0.
    rounds : int
        How many to list, at least one.
    """
    gain = float(non_negative("impact", impact) * non_negative("density", density))
    listed = float(finite("shock", shock)) * np.cumsum(gain ** np.arange(max(rounds, 1)))
    limit = shock / (1.0 - gain) if gain < 1.0 else float(np.copysign(np.inf, shock)) if shock else 0.0
    return Linear(gain, listed, limit)


@final
@dataclass(frozen=True, slots=True)
class FireSale:
    """One round of forced sales of leveraged holders of one asset."""

    sales: F64  # (K,) notional sold to come back to the leverage of before
    price_fall: float  # fraction
    second_loss: F64  # (K,) of what each held, by that fall


def fire_sale(assets: F64, leverage: F64, shock: float, impact: float) -> FireSale:
    """Sales by holders who keep their leverage (Greenwood, Landier and Thesmar 2015).

    Parameters
    ----------
    assets : (K,) ndarray
        What each holds, >= 0.
    leverage : (K,) ndarray
        Debt over equity, >= 0.
    shock : float
        Fall of the asset, a fraction >= 0.
    impact : float
        Fall per notional sold, >= 0.
    """
    held = non_negative("assets", assets)
    sales = non_negative("leverage", leverage) * held * float(non_negative("shock", shock))
    fall = float(non_negative("impact", impact) * sales.sum())
    return FireSale(sales, fall, held * fall)


# --- several assets ---


@final
@dataclass(frozen=True, slots=True)
class Contagion:
    """How moves of assets set off moves of others through the accounts that hold both."""

    gain: F64  # (N, N) log move of the row's asset per unit log move of the column's

    @property
    def reproduction(self) -> float:
        """Largest absolute eigenvalue: from one on a cascade through all assets sustains itself."""
        return float(np.abs(np.linalg.eigvals(self.gain)).max(initial=0.0))

    def total(self, shock: F64) -> F64:
        """Whole move of each asset after a shock to some, ``(I - G)^-1 s``; infinite where it sustains itself.

        Parameters
        ----------
        shock : (N,) ndarray
            Log moves from outside.
        """
        given = finite("shock", shock)
        if self.reproduction >= 1.0:
            reached = np.linalg.matrix_power(np.eye(len(given)) + self.gain, len(given)) @ given
            return np.where(reached != 0.0, np.copysign(np.inf, reached), 0.0)
        return np.asarray(np.linalg.solve(np.eye(len(self.gain)) - self.gain, given), dtype=np.float64)


def contagion(density: F64, sensitivity: Real) -> Contagion:
    """Contagion between pairs of assets.

    Parameters
    ----------
    density : (N, N) ndarray
        Notional of the row's asset that is sold per unit of log fall of the column's, >= 0.
    sensitivity : float or (N,) ndarray
        Log move of the row's asset per notional sold, >= 0.
    """
    sold = non_negative("density", density)
    if sold.ndim != 2 or sold.shape[0] != sold.shape[1]:
        raise ValueError(f"density must be square, got {sold.shape}")
    moved = np.broadcast_to(non_negative("sensitivity", sensitivity), (len(sold),))
    return Contagion(sold * moved[:, None])
