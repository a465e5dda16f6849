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
from margrave.kernels.compiled.black_steps import (
    BLOCK,
    INFINITE,
    LEAST,
    LEAST_RATIO,
    MOST_RATIO,
    NAN,
    NEAR,
    distance,
    otm_near,
    tails_apart,
)
from margrave.kernels.compiled.columns import GridOptions
from margrave.kernels.compiled.compiler import even_bounds, in_pieces, inner, kernel_with_room
from margrave.kernels.compiled.intrinsics import WIDTH, fma, turn_square
from margrave.kernels.compiled.normal import (
    FURTHEST,
    ROOT_TWO_PI_INVERSE,
    exponential,
    log_ratio,
    tail_denominator,
    tail_numerator,
)
from margrave.kernels.compiled.rows import check_rows

_NEAR_SQUARE = 1.001 * NEAR * NEAR  # a little above, so that no rounding hides a small deviation
_TILE = 64  # options of a tile of the grid: its cells stay there too
_PIECE = 8192  # options, or prices of a grid, that are worth a thread


# --- kernels ---


@inner
def _block_values(options: tuple[F64, F64, F64, F64, Bools], out: F64) -> None:
    """Price, delta, gamma, vega and theta of some options into five runs of `BLOCK` numbers."""
    forwards, strikes, vols, times, calls = options
    for j in range(len(forwards)):
        f, k, vol, years, is_call = forwards[j], strikes[j], vols[j], times[j], calls[j]
        sign = 1.0 if is_call else -1.0
        root = np.sqrt(years)
        deviation = vol * root
        inverse = 1.0 / deviation if deviation >= LEAST else 1.0 / LEAST
        inverse_forward = 1.0 / f
        ratio = k * inverse_forward
        m = log_ratio(k, f, inverse_forward)
        h = distance(m, inverse)
        half = FURTHEST if deviation > FURTHEST else 0.5 * deviation
        tail, upper, lower = tails_apart(h, half)
        inside = 1.0 if half > h else 0.0
        otm = fma(tail, upper - lower, inside)
        above = k >= f
        least = f if above else k
        intrinsic = sign * (f - k)
        # NaN where an argument is out of range, by a factor of one or NaN.
        ok = (f > 0.0) & (k > 0.0) & (vol >= 0.0) & (years >= 0.0) & (deviation < INFINITE)
        ok = ok & (ratio < MOST_RATIO) & (ratio > LEAST_RATIO) & (vol < INFINITE) & (years < INFINITE)
        one = 1.0 if ok else NAN
        out[j] = one * fma(least, otm, intrinsic if intrinsic > 0.0 else 0.0)
        # N(d1) of the out-of-the-money side, then of the option itself.
        side = fma(tail, upper, inside) if above else -tail * lower * ratio
        whole = (0.0 if above else 1.0) if is_call else (-1.0 if above else 0.0)
        out[BLOCK + j] = one * (side + whole)
        density = least * ROOT_TWO_PI_INVERSE * tail  # F n(d1) = K n(d2)
        spike = density * inverse if deviation >= LEAST else 0.0
        out[2 * BLOCK + j] = one * (spike * inverse_forward * inverse_forward)
        out[3 * BLOCK + j] = one * (density * root)
        out[4 * BLOCK + j] = one * (-0.5 * spike * vol * vol)


@inner
def _near_prices(options: tuple[F64, F64, F64, F64, Bools], out: F64) -> None:
    """Prices again where the deviation is small. A loop by itself: the one above stays free of its cost."""
    forwards, strikes, vols, times, calls = options
    for j in range(len(forwards)):
        f, k = forwards[j], strikes[j]
        deviation = vols[j] * np.sqrt(times[j])
        inverse = 1.0 / deviation if deviation >= LEAST else 1.0 / LEAST
        otm = otm_near(distance(log_ratio(k, f, 1.0 / f), inverse), 0.5 * deviation)
        intrinsic = f - k if calls[j] else k - f
        value = fma(f if k >= f else k, otm, intrinsic if intrinsic > 0.0 else 0.0)
        sound = out[j] == out[j]
        out[j] = value if (deviation < NEAR) & sound else out[j]


@inner
def _copy(source: F64, target: F64) -> None:
    for j in range(len(target)):
        target[j] = source[j]


@kernel_with_room
def option_rows(options: tuple[F64, F64, F64, F64, Bools], first: int, past: int, out: F64) -> None:
    """Columns ``first`` to ``past - 1`` of `option_values`; one option's numbers do not depend on its neighbours."""
    forwards, strikes, vols, times, calls = options
    room = np.empty(5 * BLOCK)
    for start in range(first, past, BLOCK):
        end = min(start + BLOCK, past)
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
        _block_values(block, room)
        if near > 0:
            _near_prices(block, room)
        for row in range(5):
            _copy(room[row * BLOCK : (row + 1) * BLOCK], out[row, start:end])


@kernel_with_room
def _aligned(rows: int, count: int) -> F64:
    """Room for rows of a multiple of eight numbers that begin at cache lines, of ones."""
    room = np.ones(rows * count + WIDTH)
    skipped = (-room.ctypes.data & 63) // 8
    return room[skipped : skipped + rows * count].reshape((rows, count))


@inner
def _hoist_options(options: tuple[F64, F64, F64, Bools, Bools, F64, F64], room: F64) -> None:
    """What the cells need of the options, a row each.

    m = ln(K/F), K/F, sign, what a unit of value is worth at rest and per unit of factor, and the mark.
    """
    forwards, strikes, _years, calls, coins, sizes, marks = options
    for j in range(len(forwards)):
        f, k, size = forwards[j], strikes[j], sizes[j]
        inverse = 1.0 / f
        ratio = k * inverse
        m = log_ratio(k, f, inverse)
        ok = (f > 0.0) & (k > 0.0) & (ratio < MOST_RATIO) & (ratio > LEAST_RATIO)
        room[0, j] = m if ok else NAN
        room[1, j] = ratio
        room[2, j] = 1.0 if calls[j] else -1.0
        room[3, j] = size if coins[j] else 0.0
        room[4, j] = 0.0 if coins[j] else size * f
        room[5, j] = size * marks[j]


@inner
def _hoist_level(vols: F64, years: F64, halves: F64, inverses: F64) -> None:
    """Half the deviation and its inverse at one level of vol; NaN out of range."""
    for j in range(len(vols)):
        deviation = vols[j] * np.sqrt(years[j])
        ok = (deviation >= 0.0) & (deviation < INFINITE)
        half = FURTHEST if deviation > FURTHEST else 0.5 * deviation
        halves[j] = half if ok else NAN
        inverses[j] = 1.0 / deviation if deviation >= LEAST else 1.0 / LEAST


@inner
def _premium(options: F64, j: np.uint64, otm: float, factor: float, inverse_factor: float) -> float:
    """Premium less mark of an option, from the value of its out-of-the-money side."""
    moneyness = options[1, j] * inverse_factor
    least = 1.0 if moneyness > 1.0 else moneyness
    intrinsic = options[2, j] * (1.0 - moneyness)
    value = fma(least, otm, intrinsic if intrinsic > 0.0 else 0.0)
    weight = fma(options[4, j], factor, options[3, j])
    return fma(value, weight, -options[5, j])


@inner
def _tile_cells(
    options: F64, levels: F64, cells: tuple[F64, F64, I64], start: int, room: F64, premiums: F64
) -> None:
    """All cells of a tile, a row each: the premium of `_TILE` options from ``start`` on.

    Four short loops a cell: what a loop needs stays in registers, and none of its turns waits for the one before.
    """
    log_factors, factors, level = cells
    first = np.uint64(start)  # an index without a sign: the compiler sees that it is not from the end
    for c in range(len(level)):
        at, move, factor = 2 * level[c], log_factors[c], factors[c]
        inverse_factor = 1.0 / factor
        for i in range(_TILE):
            j = first + np.uint64(i)
            h = distance(options[0, j] - move, levels[at + 1, j])
            room[0, i], room[0, _TILE + i] = levels[at, j] - h, levels[at, j] + h  # u and -v
        for i in range(2 * _TILE):
            a = abs(room[0, i])
            room[1, i], room[2, i] = tail_numerator(a), tail_denominator(a)
        for i in range(_TILE):
            u = room[0, i]
            room[3, i] = exponential(-0.5 * u * u)
        for i in range(_TILE):
            inside = room[0, i] > 0.0
            pa, pb, qa, qb = room[1, i], room[1, _TILE + i], room[2, i], room[2, _TILE + i]
            difference = fma(-pa if inside else pa, qb, -(pb * qa)) / (qa * qb)
            otm = fma(room[3, i], difference, 1.0 if inside else 0.0)
            premiums[c, i] = _premium(options, first + np.uint64(i), otm, factor, inverse_factor)


@inner
def _tile_cells_near(
    options: F64, levels: F64, cells: tuple[F64, F64, I64], start: int, premiums: F64
) -> None:
    """The same again where the deviation is small. A loop by itself: the one above stays free of its cost."""
    log_factors, factors, level = cells
    first = np.uint64(start)
    for c in range(len(level)):
        move, factor, at = log_factors[c], factors[c], 2 * level[c]
        inverse_factor = 1.0 / factor
        for i in range(_TILE):
            j = first + np.uint64(i)
            otm = otm_near(distance(options[0, j] - move, levels[at + 1, j]), levels[at, j])
            value = _premium(options, j, otm, factor, inverse_factor)
            premiums[c, i] = value if levels[at, j] < 0.5 * NEAR else premiums[c, i]


@inner
def _is_near(levels: F64, start: int) -> bool:
    """Whether a deviation of the tile is small."""
    near = 0
    first = np.uint64(start)
    for row in range(0, len(levels), 2):
        for i in range(_TILE):
            near += 1 if levels[row, first + np.uint64(i)] < 0.5 * NEAR else 0
    return near > 0


@kernel_with_room
def grid_rows(
    options: tuple[F64, F64, F64, Bools, Bools, F64, F64],
    cells: tuple[F64, I64, F64],
    first: int,
    past: int,
    out: F64,
) -> None:
    """Rows ``first`` to ``past - 1`` of `grid_values`."""
    factor, level, vol = cells
    cell_count, lanes, count = len(factor), out.shape[1], past - first
    log_factor = np.empty(cell_count)
    for c in range(cell_count):
        log_factor[c] = log_ratio(factor[c], 1.0, 1.0) if 0.0 < factor[c] < INFINITE else NAN
    padded = -(-count // _TILE) * _TILE
    # Past the last option there are ones, whose premiums nobody reads.
    hoisted, levels = _aligned(6, padded), _aligned(2 * len(vol), padded)
    room, premiums = _aligned(4, 2 * _TILE), _aligned(lanes, _TILE)
    _hoist_options(_sliced(options, first, past), hoisted)
    for row in range(len(vol)):
        _hoist_level(vol[row, first:past], options[2][first:past], levels[2 * row], levels[2 * row + 1])
    by_cell = log_factor, factor, level
    for start in range(0, count, _TILE):
        _tile_cells(hoisted, levels, by_cell, start, room, premiums)
        if _is_near(levels, start):
            _tile_cells_near(hoisted, levels, by_cell, start, premiums)
        for c in range(cell_count, lanes):
            for j in range(_TILE):
                premiums[c, j] = premiums[0, j]
        _turn(premiums, out, first + start, min(first + start + _TILE, past))


@kernel_with_room
def _sliced(
    options: tuple[F64, F64, F64, Bools, Bools, F64, F64], start: int, end: int
) -> tuple[F64, F64, F64, Bools, Bools, F64, F64]:
    forward, strike, years, is_call, in_coin, size, mark = options
    return (
        forward[start:end],
        strike[start:end],
        years[start:end],
        is_call[start:end],
        in_coin[start:end],
        size[start:end],
        mark[start:end],
    )


@inner
def _turn(premiums: F64, out: F64, start: int, end: int) -> None:
    """A tile's cells into rows of options, square by square."""
    lanes = out.shape[1]
    whole = (end - start) // WIDTH * WIDTH
    source, target = premiums.reshape(-1), out.reshape(-1)
    for j in range(0, whole, WIDTH):
        for c in range(0, lanes, WIDTH):
            turn_square(source, c * _TILE + j, _TILE, target, (start + j) * lanes + c, lanes)
    for j in range(whole, end - start):
        for c in range(lanes):
            out[start + j, c] = premiums[c, j]


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
    in_pieces(
        lambda a, b: option_rows(options, a, b, out), count, lambda: even_bounds(count, BLOCK, _PIECE), pool
    )
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
    rows, least = len(out), _PIECE // len(cells[0]) + 1
    in_pieces(
        lambda a, b: grid_rows(columns, cells, a, b, out), rows, lambda: even_bounds(rows, _TILE, least), pool
    )
    return out


def _float(array: F64) -> F64:
    return np.ascontiguousarray(array, dtype=np.float64)


def _bool(array: Bools) -> Bools:
    return np.ascontiguousarray(array, dtype=np.bool_)


def _check_grid(columns: tuple[F64 | Bools, ...], cells: tuple[F64, I64, F64], out: F64) -> None:
    # A kernel checks no index.
    factor, level, vol = cells
    if {column.shape for column in columns} != {(len(out),)} or vol.shape != (len(vol), len(out)):
        raise ValueError(f"options and vols must be of one length, {len(out)} as the table")
    if factor.shape != level.shape or not 0 < len(factor) <= out.shape[1]:
        raise ValueError(f"factor and level must be of one length from 1 to {out.shape[1]}, the lanes")
    if level.view(np.uint64).max() >= len(vol):  # a negative one is huge without its sign
        raise ValueError(f"level must be a row of vol, 0 to {len(vol) - 1}")
