"""Margin ladders: tables of segments in which the rate changes with size.

A resolved ladder is four arrays (T,) in one tier unit (coin, dollar or contracts): ``floor`` where the
segment begins, ``rate``, ``slope`` and ``deduction``. The margin of a size z in segment k is ``z (rate_k +
slope_k z) - deduction_k`` tier units; the caller multiplies by the worth of one unit. Bracket tables have
zero slope, whole-position tables zero deduction, size-slope rules one segment. A fifth array, ``root``, adds
``root_k z sqrt(z)`` where a rate grows with the root of the size.

A size on a boundary belongs to the lower tier. Nothing here checks sizes on each call: they are >= 0, and NaN
gives NaN.
"""

import numpy as np

from margrave.kernels.arrays import C128, F64, I64


def segment(floor: F64, z: F64) -> I64:
    """Tier that a size falls in.

    Parameters
    ----------
    floor : (T,) ndarray
        Lower end of each tier, ascending from 0. [tier unit]
    z : (...) ndarray
        Size, >= 0. [tier unit]

    Returns
    -------
    (...) ndarray of int
        Index into ``floor``; a size that equals a floor > 0 belongs to the tier below, zero to the first
        tier.

    Notes
    -----
    NaN gives the last tier.
    """
    return np.asarray(np.searchsorted(floor[1:], z, side="left"))


def ladder_margin(floor: F64, rate: F64, slope: F64, deduction: F64, z: F64) -> F64:
    """Margin of a size on one ladder.

    Parameters
    ----------
    floor, rate, slope, deduction : (T,) ndarray
        The ladder: [tier unit], fraction, [fraction per tier unit], [tier unit].
    z : (...) ndarray
        Size, >= 0. [tier unit]

    Returns
    -------
    (...) ndarray
        ``z (rate + slope z) - deduction`` of the size's tier. [tier unit]

    Notes
    -----
    NaN gives NaN.
    """
    k = segment(floor, z)
    return z * (rate[k] + slope[k] * z) - deduction[k]


def marginal_rate(floor: F64, rate: F64, slope: F64, z: F64) -> F64:
    """Margin that one more unit of size adds inside the tier: ``rate + 2 slope z``.

    Arguments as in `ladder_margin`; on a boundary the lower tier counts.

    Returns
    -------
    (...) ndarray
        [tier unit of margin per tier unit of size]
    """
    k = segment(floor, z)
    return rate[k] + 2.0 * slope[k] * z


def progressive_deduction(floor: F64, rate: F64) -> F64:
    """Deductions that make a bracket ladder continuous.

    Each rate then holds for the part of the size that lies in its bracket.

    Parameters
    ----------
    floor, rate : (T,) ndarray
        Lower end [tier unit] and rate of each bracket.

    Returns
    -------
    (T,) ndarray
        ``d_0 = 0`` and ``d_n = d_(n-1) + floor_n (rate_n - rate_(n-1))``. [tier unit]

    References
    ----------
    Binance, "Leverage and Margin" ("maintenance amount"); the same recursion at Bybit ("mm deduction") and
    Gate.
    """
    deduction = np.zeros_like(rate)
    np.cumsum(floor[1:] * np.diff(rate), out=deduction[1:])
    return deduction


def ladder_key(floor: F64, start: I64) -> C128:
    """Search key over many ladders that stand one after another in flat arrays.

    Made once, used at every call of `ladder_margin_many`.

    Parameters
    ----------
    floor : (T,) ndarray
        Lower ends of the tiers of all ladders, each ladder ascending from 0. [its tier unit]
    start : (L + 1,) ndarray of int
        Ladder l has rows ``start[l]`` to ``start[l + 1] - 1``.

    Returns
    -------
    (T,) ndarray of complex
        Ladder number as real part, floor as imaginary part. NumPy orders complex numbers by real part, then
        imaginary part, so that one exact search finds the row of a pair (ladder, size). The first floor of a
        ladder is -inf: a size of zero must not fall below it into the ladder before.

    Raises
    ------
    ValueError
        ``start`` does not part the rows into ladders of one row or more, or a ladder does not ascend from 0.
    """
    rows = np.diff(start)
    if len(start) < 1 or start[0] != 0 or start[-1] != len(floor) or np.any(rows < 1):
        raise ValueError(
            f"start must ascend strictly from 0 to {len(floor)}, the number of rows, got {start}"
        )
    first = start[:-1]
    steps = np.diff(floor)
    steps[first[1:] - 1] = 1.0  # from one ladder to the next: any step will do
    if np.any(floor[first] != 0.0) or not np.all(steps > 0.0):
        raise ValueError("floor must begin at 0 and ascend strictly within each ladder")
    key = np.empty(len(floor), dtype=np.complex128)
    key.real = np.repeat(np.arange(len(rows)), rows)
    key.imag = floor
    key.imag[first] = -np.inf
    return key


def ladder_margin_many(  # noqa: PLR0913 - the columns of a ladder
    key: C128, rate: F64, slope: F64, deduction: F64, ladder: I64, z: F64, root: F64 | None = None
) -> tuple[F64, I64]:
    """Margin of each position on its own ladder, in every scenario.

    Parameters
    ----------
    key : (T,) ndarray of complex
        From `ladder_key`.
    rate, slope, deduction : (T,) ndarray
        Rows of all ladders, in the order of ``key``; units as in `ladder_margin`.
    ladder : (P,) ndarray of int
        Ladder of each position.
    z : (S, P) or (P,) ndarray
        Size, >= 0. [tier unit of the position's ladder]
    root : (T,) ndarray, optional
        What a rate grows by with the root of the size; by default nowhere. [1 per root of a tier unit]

    Returns
    -------
    margin : (S, P) or (P,) ndarray
        [tier unit of the position's ladder]
    row : (S, P) or (P,) ndarray of int
        Row of the flat arrays that held; less ``start[ladder]`` it is the tier.

    Notes
    -----
    NaN gives a NaN margin, with a row that means nothing.
    """
    wanted = np.empty(z.shape, dtype=np.complex128)
    wanted.real = ladder
    wanted.imag = z
    row = np.searchsorted(key, wanted, side="left") - 1
    rates = rate[row] + slope[row] * z
    if root is not None:
        rates = rates + root[row] * np.sqrt(z)
    return z * rates - deduction[row], row
