"""OKX portfolio margin, the charges that are published: MR1, MR4, MR6, MR7, MR8, MR9 (spec cex.md 4.3).

Functions of deltas, moves and tables; the tables of a day are in `rulebook.charges`. Everything is in USD and
at least zero. Charges that OKX does not publish (MR2 theta, MR3 vega, MR5 rates, the sizes of MR1's vol shocks)
have to be given, or `unpublished` refuses them by name: none is taken as zero.
"""

from dataclasses import dataclass
from typing import NoReturn, final

import numpy as np

from margrave.core.errors import Reason, refused
from margrave.kernels.arrays import F64, finite, non_negative

_GAPS = {
    "MR1 vol shock": "how far MR1 moves implied vol, and how that scales with the tenor",
    "MR2": "the theta decay charge",
    "MR3": "the vega term structure charge",
    "MR5": "the interest rate charge of options",
    "MR9 table": "rates of the stablecoin charge at other depegs than 0.995, 0.99 and 0.8",
}


def unpublished(charge: str) -> NoReturn:
    """Refuse a charge that the venue does not publish.

    Raises
    ------
    RefusedError
        Always, naming the gap.
    """
    raise refused(
        f"OKX portfolio margin: {charge}",
        Reason.NOT_PUBLISHED,
        f"{_GAPS.get(charge, 'this charge')} is not published; give the charge yourself",
    )


def worst_loss(profit: F64) -> float:
    """MR1: the largest loss over a unit's scenarios, >= 0 [USD].

    Parameters
    ----------
    profit : ndarray
        Profit of the unit in each scenario, any shape [USD].
    """
    return float(np.maximum(-finite("profit", profit), 0.0).max(initial=0.0))


def linear_profit(delta: float, moves: F64) -> F64:
    """Profit of a unit without options under relative moves of its index; basis is held.

    Parameters
    ----------
    delta : float
        Value of the unit's delta at the index price, signed [USD].
    moves : ndarray
        Relative moves of the index, for example -0.12 to 0.12.
    """
    return np.asarray(delta * finite("moves", moves))


def basis_charge(delta_by_expiry: F64, rate: F64) -> float:
    """MR4: what the deltas of each expiry lose when their basis moves apart, >= 0 [USD].

    Parameters
    ----------
    delta_by_expiry : (n,) ndarray
        Net delta of each expiry, perpetuals as one of them [USD].
    rate : (n,) ndarray
        Rate of each expiry: the annual rate times years to expiry; a perpetual's own rate.
    """
    return float((np.abs(finite("delta_by_expiry", delta_by_expiry)) * non_negative("rate", rate)).sum())


def extreme_move(profit: F64, share: float) -> float:
    """MR6: a share of the worse loss of the two extreme moves, >= 0 [USD]."""
    return float(non_negative("share", share)) * worst_loss(profit)


def scaled_minimum(charge: float, bounds: F64, factors: F64) -> float:
    """MR7 after scaling: each factor multiplies the part of the charge inside its slice.

    Parameters
    ----------
    charge : float
        Minimum charge before scaling, >= 0 [USD].
    bounds : (n,) ndarray
        Upper ends of the slices, rising; the last may be infinite [USD].
    factors : (n,) ndarray
        Factor of each slice.

    Raises
    ------
    RefusedError
        The charge is beyond the last published bound.
    """
    raw = float(non_negative("charge", charge))
    ends = np.asarray(bounds, dtype=np.float64)
    if not (np.diff(ends) > 0.0).all():
        raise ValueError(f"bounds must rise, got {ends.tolist()}")
    if raw > ends[-1]:
        raise refused(
            "OKX portfolio margin: MR7",
            Reason.NOT_PUBLISHED,
            f"a charge of {raw:g} USD is beyond the last published bound, {ends[-1]:g}",
        )
    inside = np.clip(raw - np.append(0.0, ends[:-1]), 0.0, np.diff(ends, prepend=0.0))
    return float((inside * non_negative("factors", factors)).sum())


def depeg_charge(hedge: float, widths: F64, rates: F64) -> float:
    """MR9: a hedge between two stablecoins, each rate on its slice of the size [USD].

    Parameters
    ----------
    hedge : float
        Size that is long in one coin and short in the other, >= 0 [USD].
    widths, rates : (n,) ndarray
        Width of each slice [USD], and its rate for the depeg that is observed.

    Raises
    ------
    RefusedError
        The hedge is larger than the slices that are given.
    """
    size, wide = float(non_negative("hedge", hedge)), non_negative("widths", widths)
    if size > wide.sum() * (1 + 1e-12):
        unpublished("MR9 table")
    start = np.cumsum(wide) - wide
    return float((np.clip(size - start, 0.0, wide) * non_negative("rates", rates)).sum())


def borrow_charge(borrowed: F64, rate: F64) -> float:
    """MR8: margin of what is owed, a rate on each debt [USD]."""
    return float((non_negative("borrowed", borrowed) * non_negative("rate", rate)).sum())


@final
@dataclass(frozen=True, slots=True)
class UnitCharges:
    """Charges of one risk unit [USD]. None: not published and not given; options need them."""

    mr1: float
    mr4: float
    mr6: float
    mr7: float
    mr2: float | None = None
    mr3: float | None = None
    mr5: float | None = None


def unit_maintenance(charges: UnitCharges, *, has_options: bool) -> float:
    """Maintenance of one unit: ``max(max(MR1, MR2, MR6) + MR3 + MR4 + MR5, MR7)`` [USD].

    Parameters
    ----------
    charges : UnitCharges
        Charges of the unit.
    has_options : bool
        A unit without options has no theta, vega or rate charge.

    Raises
    ------
    RefusedError
        The unit has options and a charge that OKX does not publish was not given.
    """
    theta, vega, rates = (
        _needed(name, charge, has_options)
        for name, charge in (("MR2", charges.mr2), ("MR3", charges.mr3), ("MR5", charges.mr5))
    )
    risk = max(charges.mr1, theta, charges.mr6) + vega + charges.mr4 + rates
    return max(risk, charges.mr7)


def _needed(name: str, charge: float | None, has_options: bool) -> float:
    if charge is None and has_options:
        unpublished(name)
    return charge or 0.0
