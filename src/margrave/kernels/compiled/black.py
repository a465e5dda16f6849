"""Black-76 values and Greeks, option by option and on a grid of scenarios.

The out-of-the-money option is priced and the intrinsic value added, so that neither loses the other's digits. With
m = |ln(K/F)|, s = σ√τ, h = m/s, u = s/2 - h, v = -(s/2 + h) and R(a) = N(-a) exp(a²/2), it is worth

    min(F, K) (N(u) - exp(m) N(v)) = min(F, K) exp(-u²/2) (R(-u) - R(-v)):

one exponential, two rationals and one division, with the difference of the two tails taken before any of the
factors that they share. Below a deviation of 1/64 that difference is a series in s around R(h), which loses
nothing as s goes to zero.
"""

from concurrent.futures import Executor

import numpy as np

from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.compiled.columns import GridOptions
from margrave.kernels.compiled.compiler import even_bounds, in_pieces, kernel
from margrave.kernels.compiled.intrinsics import fma
from margrave.kernels.compiled.normal import (
    FURTHEST,
    ROOT_TWO_PI_INVERSE,
    exponential,
    log_ratio,
    tail_denominator,
    tail_numerator,
)
from margrave.kernels.compiled.rows import check_rows

_NEAR = 0.015625  # deviation below which the series is taken
_NEAR_SQUARE = 1.001 * _NEAR * _NEAR  # a little above, so that no rounding hides a small deviation
_LEAST = 1e-100  # deviation below which there is none
_MOST_RATIO, _LEAST_RATIO = 1e300, 1e-300  # of strike and forward: beyond, their quotient is not normal
_BLOCK = 256  # options at a time: the results stay in the first-level cache
_TILE = 32  # options of a tile of the grid: its cells stay there too
_INFINITE = float("inf")
_NAN = float("nan")


# --- kernels ---


@kernel
def _tails_apart(h: float, half: float) -> tuple[float, float, float]:
    """exp(-u²/2), R(|u|) with the sign of -u, and R(-v)."""
    u = half - h
    a, b = abs(u), half + h
    qa, qb = tail_denominator(a), tail_denominator(b)
    pa = tail_numerator(a)
    inverse = 1.0 / (qa * qb)
    signed = -pa if u > 0.0 else pa
    return exponential(-0.5 * a * a), signed * qb * inverse, tail_numerator(b) * qa * inverse


@kernel
def _otm_wide(h: float, half: float) -> float:
    """(N(u) - exp(m) N(v)) of a deviation that is not small."""
    u = half - h
    a, b = abs(u), half + h
    qa, qb = tail_denominator(a), tail_denominator(b)
    pa = tail_numerator(a)
    signed = -pa if u > 0.0 else pa
    difference = fma(signed, qb, -(tail_numerator(b) * qa)) * (1.0 / (qa * qb))
    return fma(exponential(-0.5 * a * a), difference, 1.0 if u > 0.0 else 0.0)


@kernel
def _otm_near(h: float, half: float) -> float:
    """The same of a small deviation: R(h - s/2) - R(h + s/2) by odd derivatives, R' = hR - n(0) and on."""
    a = abs(half - h)
    r0 = tail_numerator(h) / tail_denominator(h)
    r1 = fma(h, r0, -ROOT_TWO_PI_INVERSE)
    r2 = fma(h, r1, r0)
    r3 = fma(h, r2, 2.0 * r1)
    r4 = fma(h, r3, 3.0 * r2)
    r5 = fma(h, r4, 4.0 * r3)
    x2 = half * half
    series = fma(x2, fma(x2, r5 * (1.0 / 120.0), r3 * (1.0 / 6.0)), r1)
    return exponential(-0.5 * a * a) * (-2.0 * half) * series


@kernel
def _block_values(options: tuple[F64, F64, F64, F64, Bools], near: bool, out: F64) -> None:
    """Price, delta, gamma, vega and theta of some options into five runs of `_BLOCK` numbers."""
    forwards, strikes, vols, times, calls = options
    for j in range(len(forwards)):
        f, k, vol, years, is_call = forwards[j], strikes[j], vols[j], times[j], calls[j]
        sign = 1.0 if is_call else -1.0
        root = np.sqrt(years)
        deviation = vol * root
        inverse = 1.0 / deviation if deviation >= _LEAST else 1.0 / _LEAST
        inverse_forward = 1.0 / f
        ratio = k * inverse_forward
        m = log_ratio(k, f, inverse_forward)
        far = abs(m) * inverse
        h = FURTHEST if far > FURTHEST else far
        half = FURTHEST if deviation > FURTHEST else 0.5 * deviation
        tail, upper, lower = _tails_apart(h, half)
        inside = 1.0 if half > h else 0.0
        otm = fma(tail, upper - lower, inside)
        if near:
            series = _otm_near(h, half)
            otm = series if deviation < _NEAR else otm
        above = k >= f
        least = f if above else k
        intrinsic = sign * (f - k)
        # NaN where an argument is out of range, by a factor of one or NaN.
        ok = (f > 0.0) & (k > 0.0) & (vol >= 0.0) & (years >= 0.0) & (deviation < _INFINITE)
        ok = ok & (ratio < _MOST_RATIO) & (ratio > _LEAST_RATIO) & (vol < _INFINITE) & (years < _INFINITE)
        one = 1.0 if ok else _NAN
        out[j] = one * fma(least, otm, intrinsic if intrinsic > 0.0 else 0.0)
        # N(d1) of the out-of-the-money side, then of the option itself.
        side = fma(tail, upper, inside) if above else -tail * lower * ratio
        whole = (0.0 if above else 1.0) if is_call else (-1.0 if above else 0.0)
        out[_BLOCK + j] = one * (side + whole)
        density = least * ROOT_TWO_PI_INVERSE * tail  # F n(d1) = K n(d2)
        spike = density * inverse if deviation >= _LEAST else 0.0
        out[2 * _BLOCK + j] = one * (spike * inverse_forward * inverse_forward)
        out[3 * _BLOCK + j] = one * (density * root)
        out[4 * _BLOCK + j] = one * (-0.5 * spike * vol * vol)


@kernel
def _copy(source: F64, target: F64) -> None:
    for j in range(len(target)):
        target[j] = source[j]


@kernel
def option_rows(options: tuple[F64, F64, F64, F64, Bools], first: int, past: int, out: F64) -> None:
    """Columns ``first`` to ``past - 1`` of `option_values`; one option's numbers do not depend on its neighbours."""
    forwards, strikes, vols, times, calls = options
    room = np.empty(5 * _BLOCK)
    for start in range(first, past, _BLOCK):
        end = min(start + _BLOCK, past)
        # Slices: the compiler sees that no index of theirs is negative, and loads whole vectors.
        block = (
            forwards[start:end],
            strikes[start:end],
            vols[start:end],
            times[start:end],
            calls[start:end],
        )
        near = 0
        for vol, years in zip(block[2], block[3]):  # noqa: B905 - Numba knows no strict
            near += 1 if vol * vol * years < _NEAR_SQUARE else 0
        if near > 0:
            _block_values(block, True, room)
        else:
            _block_values(block, False, room)
        for row in range(5):
            _copy(room[row * _BLOCK : (row + 1) * _BLOCK], out[row, start:end])


@kernel
def _hoist(options: tuple[F64, F64, F64, Bools, Bools, F64, F64], vol: F64, first: int, room: F64) -> bool:
    """What a tile needs of its options, once for all cells; whether one of its deviations is small.

    Rows of `_TILE`: m = ln(K/F), K/F, sign, premium per unit value at rest and per unit factor, mark, and for each
    level half the deviation and its inverse. What is out of range becomes NaN. Past the end the last option
    stands again.
    """
    forward, strike, years, is_call, in_coin, size, mark = options
    near = False
    for j in range(_TILE):
        i = min(first + j, len(forward) - 1)
        f, k = forward[i], strike[i]
        ok = (f > 0.0) and (k > 0.0) and (k < f * _MOST_RATIO) and (k > f * _LEAST_RATIO)
        room[j] = log_ratio(k, f, 1.0 / f) if ok else _NAN
        room[_TILE + j] = k / f
        room[2 * _TILE + j] = 1.0 if is_call[i] else -1.0
        room[3 * _TILE + j] = size[i] if in_coin[i] else 0.0
        room[4 * _TILE + j] = 0.0 if in_coin[i] else size[i] * f
        room[5 * _TILE + j] = size[i] * mark[i]
        for level in range(len(vol)):
            deviation = vol[level, i] * np.sqrt(years[i])
            ok = (deviation >= 0.0) and (deviation < _INFINITE)
            near |= not deviation >= _NEAR
            at = (6 + 2 * level) * _TILE + j
            room[at] = min(0.5 * deviation, FURTHEST) if ok else _NAN
            room[at + _TILE] = 1.0 / deviation if deviation >= _LEAST else 1.0 / _LEAST
    return near


@kernel
def _tile_cell(fixed: F64, level: F64, log_factor: float, factor: float, near: bool, premium: F64) -> None:
    """One cell of a tile: the premium of `_TILE` options."""
    inverse_factor = 1.0 / factor
    for j in range(_TILE):
        half, inverse = level[j], level[_TILE + j]
        far = abs(fixed[j] - log_factor) * inverse
        h = FURTHEST if far > FURTHEST else far
        otm = _otm_wide(h, half)
        if near:
            series = _otm_near(h, half)
            otm = series if half < 0.5 * _NEAR else otm
        moneyness = fixed[_TILE + j] * inverse_factor
        least = 1.0 if moneyness > 1.0 else moneyness
        intrinsic = fixed[2 * _TILE + j] * (1.0 - moneyness)
        value = fma(least, otm, intrinsic if intrinsic > 0.0 else 0.0)
        weight = fma(fixed[4 * _TILE + j], factor, fixed[3 * _TILE + j])
        premium[j] = fma(value, weight, -fixed[5 * _TILE + j])


@kernel
def grid_rows(
    options: tuple[F64, F64, F64, Bools, Bools, F64, F64],
    cells: tuple[F64, I64, F64],
    first: int,
    past: int,
    out: F64,
) -> None:
    """Rows ``first`` to ``past - 1`` of `grid_values`."""
    factor, level, vol = cells
    count, lanes = len(factor), out.shape[1]
    log_factor = np.empty(count)
    for c in range(count):
        log_factor[c] = log_ratio(factor[c], 1.0, 1.0) if 0.0 < factor[c] < _INFINITE else _NAN
    room = np.empty((6 + 2 * len(vol)) * _TILE)
    premium = np.empty(count * _TILE)
    for start in range(first, past, _TILE):
        near = _hoist(options, vol, start, room)
        for c in range(count):
            at = (6 + 2 * level[c]) * _TILE
            of_level = room[at : at + 2 * _TILE]
            cell = premium[c * _TILE : (c + 1) * _TILE]
            if near:
                _tile_cell(room, of_level, log_factor[c], factor[c], True, cell)
            else:
                _tile_cell(room, of_level, log_factor[c], factor[c], False, cell)
        for j in range(min(_TILE, past - start)):
            for c in range(count):
                out[start + j, c] = premium[c * _TILE + j]
            for c in range(count, lanes):
                out[start + j, c] = premium[j]


# --- what callers use ---


def option_values(
    forward: F64, strike: F64, vol: F64, years: F64, is_call: Bools, pool: Executor | None = None
) -> F64:
    """Price and four Greeks of quote-settled options, undiscounted.

    Parameters
    ----------
    forward, strike : (I,) ndarray
        > 0 [quote per coin]; strike / forward within 1e±300.
    vol : (I,) ndarray
        >= 0, fraction per square root of a year.
    years : (I,) ndarray
        Time to expiry, >= 0.
    is_call : (I,) ndarray of bool
    pool : Executor, optional
        Threads; the answer is the same bytes.

    Returns
    -------
    (5, I) ndarray
        Rows: price [quote], delta d(price)/dF [coin], gamma [coin per quote], vega [quote per 1.00 of vol], theta
        d(price)/dt at constant forward [quote per year]. A coin-settled option is worth price / forward.

    Raises
    ------
    ValueError
        The arguments are not of one length.

    Notes
    -----
    An option with an argument that is NaN, infinite or out of range has five NaN; its neighbours are untouched.
    Zero vol or zero time is as in `margrave.kernels.black76.quote_greeks`: intrinsic value, delta of the intrinsic
    value and one half at the money, gamma and theta zero. Price: absolute error below 1e-15 of the larger of
    forward and strike, relative error below 1e-12 where it is above 1e-12 of the forward, at any deviation.

    References
    ----------
    Black, Journal of Financial Economics 3, 1976.
    """
    options = _float(forward), _float(strike), _float(vol), _float(years), _bool(is_call)
    count = len(options[0])
    if any(column.shape != (count,) for column in options):
        raise ValueError(f"arguments must be of one length, got {[column.shape for column in options]}")
    out = np.empty((5, count))
    in_pieces(lambda a, b: option_rows(options, a, b, out), even_bounds(count, _BLOCK), pool)
    return out


def grid_values(
    options: GridOptions, factor: F64, level: I64, vol: F64, out: F64, pool: Executor | None = None
) -> F64:
    """Premium of every option in every scenario, less its mark: a table for `worst.worst_cells`.

    Parameters
    ----------
    options : GridOptions
    factor : (C,) ndarray
        What the cell multiplies forwards by, > 0.
    level : (C,) ndarray of int
        Row of `vol` that the cell takes.
    vol : (L, I) ndarray
        Vols of each option: now, shocked up, shocked down, or one row a cell. >= 0.
    out : (I, lanes) ndarray
        From `rows.empty_rows`; overwritten.
    pool : Executor, optional
        Threads; the answer is the same bytes.

    Returns
    -------
    (I, lanes) ndarray
        ``out``: size × (premium - mark), in coin or quote currency as the option settles; lanes past C repeat the
        first cell.

    Raises
    ------
    ValueError
        Shapes do not fit, or a level is not a row of ``vol``.

    Notes
    -----
    NaN, infinite or out-of-range arguments of an option make its row NaN, those of a cell its column. Zero vol or
    zero time gives the intrinsic value. Accuracy as `option_values` from a deviation of 2e-4 on (a few seconds of
    life): the logarithms of moneyness and move are added.
    """
    columns = (
        _float(options.forward),
        _float(options.strike),
        _float(options.years),
        _bool(options.is_call),
        _bool(options.in_coin),
        _float(options.size),
        _float(options.mark),
    )
    check_rows(out)
    cells = _float(factor), np.ascontiguousarray(level, dtype=np.int64), _float(vol)
    _check_grid(columns, cells, out)
    in_pieces(lambda a, b: grid_rows(columns, cells, a, b, out), even_bounds(len(out), _TILE), pool)
    return out


def _float(array: F64) -> F64:
    return np.ascontiguousarray(array, dtype=np.float64)


def _bool(array: Bools) -> Bools:
    return np.ascontiguousarray(array, dtype=np.bool_)


def _check_grid(columns: tuple[F64 | Bools, ...], cells: tuple[F64, I64, F64], out: F64) -> None:
    # A kernel checks no index.
    factor, level, vol = cells
    if any(column.shape != (len(out),) for column in columns) or vol.shape != (len(vol), len(out)):
        raise ValueError(f"options and vols must be of one length, {len(out)} as the table")
    if factor.shape != level.shape or not 0 < len(factor) <= out.shape[1]:
        raise ValueError(f"factor and level must be of one length from 1 to {out.shape[1]}, the lanes")
    if np.any(level < 0) or np.any(level >= len(vol)):
        raise ValueError(f"level must be a row of vol, 0 to {len(vol) - 1}")
