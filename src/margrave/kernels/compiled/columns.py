"""What the kernels eat: checked columns of options, holdings and ladders. NumPy only."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.compiled.rows import WIDTH, empty_rows

_INDICES = (np.uint16, np.int32, np.int64)
_QUANTITIES = (np.int32, np.float64)
_SEAM = 1e-9  # jump of margin between tiers, relative to the floor, that is still rounding


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GridOptions:
    """Options of a grid; every field (I,)."""

    forward: F64  # F > 0 [quote per coin]
    strike: F64  # K > 0 [quote per coin]
    years: F64  # >= 0
    is_call: Bools
    in_coin: Bools  # premium in coin (an inverse option) or in quote currency
    size: F64  # what the premium is multiplied by: coins per contract
    mark: F64  # subtracted before: the premium now; zeros give values instead of profits


@final
@dataclass(frozen=True, slots=True)
class Holdings:
    """Positions of accounts as compressed rows, checked; from `holdings_of`. Account a has start[a] to start[a+1]."""

    start: I64  # (A + 1,)
    index: NDArray[Any]  # (P,) row of the table: uint16, int32 or int64
    quantity: NDArray[Any]  # (P,) contracts, signed: int32 or float64
    instruments: int  # rows that a table must have


def holdings_of(start: I64, index: NDArray[Any], quantity: NDArray[Any]) -> Holdings:
    """Check positions once, so that the kernels need not at every tick.

    Parameters
    ----------
    start : (A + 1,) ndarray of int64
        Where each account's positions begin; ascending from 0 to P.
    index : (P,) ndarray of uint16, int32 or int64
        Instrument of each position; two bytes are quickest.
    quantity : (P,) ndarray of int32 or float64
        Contracts, long > 0.

    Raises
    ------
    ValueError
        Another type, shape or order, or a negative index.

    Notes
    -----
    A NaN or infinite quantity is allowed and makes its account NaN or infinite.
    """
    start = np.ascontiguousarray(start, dtype=np.int64)
    if index.dtype.type not in _INDICES or quantity.dtype.type not in _QUANTITIES:
        raise ValueError(
            "index must be uint16, int32 or int64 and quantity int32 or float64, "
            f"got {index.dtype} and {quantity.dtype}"
        )
    if index.ndim != 1 or index.shape != quantity.shape:
        raise ValueError(f"index and quantity must be of one length, got {index.shape}, {quantity.shape}")
    if len(start) < 1 or start[0] != 0 or start[-1] != len(index) or np.any(np.diff(start) < 0):
        raise ValueError(f"start must ascend from 0 to the number of positions, {len(index)}")
    if len(index) and index.min() < 0:
        raise ValueError(f"index must be >= 0, got {index.min()}")
    most = int(index.max()) + 1 if len(index) else 0
    return Holdings(start, np.ascontiguousarray(index), np.ascontiguousarray(quantity), most)


@final
@dataclass(frozen=True, slots=True)
class TierTable:
    """Progressive ladders as columns that kernels read; from `tier_table`. W is a multiple of 8, J = W + 1."""

    limits: (
        F64  # (3, L, W): floors, floors less margin there, floors plus margin there; +inf past the last tier
    )
    terms: F64  # (L, J, 5): maintenance rate, deduction, initial rate, 1 / (1 - rate), 1 / (1 + rate)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TierPositions:
    """Positions of one payoff; every field (P,)."""

    ladder: I64  # row of the table
    quantity: F64  # signed: coins of a linear contract, quote currency of an inverse one
    entry: F64  # > 0
    mark: F64  # > 0
    initial_rate: F64  # what the chosen leverage asks, 1 / leverage; the tier's own rate is the least


def tier_table(
    floor: list[F64], maintenance: list[F64], deduction: list[F64], initial: list[F64]
) -> TierTable:
    """Prepare ladders for the kernels.

    Parameters
    ----------
    floor, maintenance, deduction, initial : list of (T,) ndarrays
        Of each ladder: lower ends ascending from 0, maintenance rates, deductions (`ladder.progressive_deduction`)
        and initial rates (zero where only leverage counts). Floors are in the settlement asset. A closing fee that
        counts as maintenance is part of the rate.

    Raises
    ------
    ValueError
        A ladder does not ascend from 0, has a rate outside [0, 1), or jumps between tiers: whole-position ladders
        can be breached on several stretches of price and need `margrave.liquidation`.
    """
    most = max(len(one) for one in floor)
    steps = max(1, -(-(most - 1) // WIDTH))
    width = steps * WIDTH
    limits = empty_rows(3 * len(floor), width).reshape(3, len(floor), width)
    limits[:] = np.inf
    terms = np.zeros((len(floor), width + 1, 5))
    for ladder, (floors, rate, cut, first) in enumerate(
        zip(floor, maintenance, deduction, initial, strict=True)
    ):
        _check_ladder(ladder, floors, rate, cut)
        tiers = len(floors)
        margin = floors * rate - cut
        limits[:, ladder, : tiers - 1] = np.stack((floors, floors - margin, floors + margin))[:, 1:]
        terms[ladder, :tiers] = np.column_stack((rate, cut, first, 1.0 / (1.0 - rate), 1.0 / (1.0 + rate)))
    return TierTable(limits, terms)


def _check_ladder(ladder: int, floor: F64, rate: F64, deduction: F64) -> None:
    if len(floor) == 0 or floor[0] != 0.0 or not np.all(np.diff(floor) > 0.0) or not np.isfinite(floor[-1]):
        raise ValueError(f"floor of ladder {ladder} must ascend strictly from 0")
    if not np.all((rate >= 0.0) & (rate < 1.0)):
        raise ValueError(f"maintenance of ladder {ladder} must be >= 0 and < 1, got {rate}")
    jump = floor[1:] * np.diff(rate) - np.diff(deduction)
    if deduction[0] != 0.0 or not np.all(np.abs(jump) <= _SEAM * floor[1:]):
        raise ValueError(f"ladder {ladder} must begin at zero margin and be continuous, it jumps by {jump}")
