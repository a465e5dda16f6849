"""The directional multiplier of every position of a pool, in one pass: what `margrave.margin.directional` says of a book, pool by pool.

Letters: I instruments, N assets, U schedules, V curves, G nets of a schedule and an asset that a pool can have.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from margrave.kernels.arrays import F64, I64
from margrave.kernels.compiled.compiler import inlined, inner, kernel
from margrave.kernels.compiled.laid_out import PoolRows
from margrave.kernels.compiled.normal import log_ratio

DELTA, WEIGHT, NOW, PRICE, A, PER_PRICE, WORTH = range(7)
"""Columns of `DirectionalTerms.number`."""

NET, INVERSE, IS_OPTION = range(3)
"""Columns of `DirectionalTerms.kind`."""

LEAST_NET, SIGMA, RELEASE = range(3)
"""Columns of `DirectionalTerms.rule`."""

REFERENCE, EXCURSION, STEPPED, INITIAL_CURVE, MAINTENANCE_CURVE = range(5)
"""Columns of `DirectionalTerms.code`."""

FROM_ENTRY, FROM_VOLUME, FROM_BEST, RATCHET = range(4)
"""References: the net entry or what is carried, the average by volume or what is carried, the best mark, the ratchet."""

LOG, PERCENT, COIN, IN_SIGMA = range(4)
"""Units of the excursion."""

EXPOSURE_LIMIT, EXPOSURE_LEAST = 0.5, 1e-12
"""Largest move of mixed nets, and least exposure of their gross that has a direction; as `margin.directional` has them."""

BESIDE = 1e-12
"""How near a boundary the digits of a logarithm may decide."""

SUMS = 11
"""Rows of sums that a net is made of."""

_DELTA, _GROSS, _BOUGHT, _WEIGHT, _MARKED, _SIZE, _VOLUME, _COINS, _INVERSE, _OPTIONS, _COUNT = range(SUMS)
_LEAST_RATIO, _LARGEST_RATIO = 1e-290, 1e290

PlainSchedules: TypeAlias = tuple[F64, I64, I64, F64, I64, F64]
PlainCurves: TypeAlias = tuple[I64, I64, F64, F64]
"""Terms as `directional_rows` takes them."""

_Memory: TypeAlias = tuple[I64, I64, F64]
_Held: TypeAlias = tuple[I64, NDArray[Any], NDArray[Any], F64]

AT, CARRIED, BEST, MULTIPLIER, TIER = range(5)
"""Columns of `Remembered.number`."""


@final
@dataclass(frozen=True, slots=True)
class Curves:
    """Multipliers as cubics between knots, all curves end to end."""

    start: I64  # (V + 1,)
    home: I64  # (V,) boundaries below zero, of a stepped one
    knot: F64  # (T,) excursions, ascending; of a stepped curve the boundaries, and infinity
    cubic: F64  # (T, 4) from the knot on, by powers of the distance to it; of a stepped curve the multiplier below the boundary


@final
@dataclass(frozen=True, slots=True)
class DirectionalTerms:
    """Instruments in one market, under the schedules of a rulebook."""

    number: F64  # (I, 7) per contract: coin delta, weight in the mean entry; price as it is averaged, mark; the a of the payoff and its
    # c over the mark; what a coin of profit is worth in the asset that profit is in
    kind: I64  # (I, 3) net that it belongs to (-1: none), whether the payoff is in 1 / price, whether it is an option
    net: I64  # (G, 2) schedule and asset
    rule: F64  # (U, 3) least net delta of gross, square root of the years of the sigma excursion, release a second (NaN: any)
    code: I64  # (U, 5) reference, excursion, whether stepped, curve of each level
    vol: F64  # (N,) annual
    curves: Curves
    at: float  # [us since 1970, UTC]


@final
@dataclass(frozen=True, slots=True)
class Remembered:
    """What accounts remember, (M,), as compressed rows."""

    start: I64  # (A + 1,)
    asset: I64  # row of the assets; beyond all of them what no pool holds
    number: (
        F64  # (M, 5) when, carried reference, best mark, multiplier, tier; NaN where nothing is remembered
    )


# --- kernels ---


@inner
def _log(numerator: float, denominator: float) -> float:
    """ln(numerator / denominator), infinite where the quotient is beyond every price."""
    inverse = 1.0 / denominator
    ratio = numerator * inverse
    if not ratio < _LARGEST_RATIO:
        return np.inf if ratio >= _LARGEST_RATIO else np.nan
    return float(log_ratio(numerator, denominator, inverse)) if ratio > _LEAST_RATIO else -np.inf


@inlined
def _read(curves: PlainCurves, curve: int, x: float) -> float:
    """Multiplier of a curve, constant outside its knots; NaN gives NaN."""
    start, _home, knot, cubic = curves
    first, last = start[curve], start[curve + 1] - 1
    if np.isnan(x):
        return x
    if x <= knot[first]:
        return float(cubic[first, 0])
    if x >= knot[last]:
        return float(cubic[last, 0])
    row = first
    while x >= knot[row + 1]:
        row += 1
    t = x - knot[row]
    return float(cubic[row, 0] + t * (cubic[row, 1] + t * (cubic[row, 2] + t * cubic[row, 3])))


@inner
def _step(curves: PlainCurves, curve: int, x: float, held: float) -> float:
    """Multiplier of the tier of an excursion, or of the one that is held still; NaN beside a boundary."""
    start, home, knot, cubic = curves
    first, past = start[curve], start[curve + 1]
    row = first
    while row + 1 < past and x >= knot[row]:
        row += 1
    near = row + 1 < past and knot[row] - x < BESIDE
    if near or (row > first and x - knot[row - 1] < BESIDE):
        return np.nan
    if not np.isnan(held):
        row = min(row, first + int(held) + home[curve])
    return float(cubic[max(row, first), 0])


@inner
def _excursion(code: I64, rule: F64, side: float, mark: float, reference: float, vol: float) -> float:
    """Favourable excursion in a schedule's unit, of what has a direction."""
    unit = code[EXCURSION]
    if unit == PERCENT:
        return side * (mark / reference - 1.0)
    if unit == COIN:
        return side * (1.0 - reference / mark)
    x = side * _log(mark, reference)
    return x / (vol * rule[SIGMA]) if unit == IN_SIGMA else x


@inlined
def _multiplier(
    terms: PlainSchedules,
    curves: PlainCurves,
    u: int,
    level: int,
    net: tuple[float, float, float, float, float],
    recalled: F64,
) -> float:
    """Multiplier of a net at a level; ``net`` is side, mark, entry, excursion by exposure and vol."""
    code, rule = terms[4][u], terms[3][u]
    side, mark, entry, exposed, vol = net
    carried, best, curve = recalled[CARRIED], recalled[BEST], code[INITIAL_CURVE + level]
    start = entry if np.isnan(best) else best
    best = max(start, mark) if side > 0.0 else min(start, mark)
    reference = best if code[REFERENCE] == FROM_BEST else entry if np.isnan(carried) else carried
    simple = np.isnan(exposed)
    x = _excursion(code, rule, side, mark, reference, vol) if simple else exposed
    if side == 0.0:
        x = 0.0
    if code[STEPPED]:
        return x if np.isnan(x) else _step(curves, curve, x, recalled[TIER])
    g = _read(curves, curve, x)
    if code[REFERENCE] == RATCHET:
        peak = _excursion(code, rule, side, best, reference, vol) if simple else exposed
        fall = _excursion(code, rule, side, mark, best, vol) if simple else exposed
        if side == 0.0:
            peak = fall = 0.0
        back = _read(curves, curve, peak) * _read(curves, curve, fall)
        g = back if back > g or np.isnan(back) else g
    return g


@inlined
def _net_of(
    code: I64, sums: F64, g: int, least: float, vol: float
) -> tuple[float, float, float, float, float]:
    """Side, mark, entry, excursion by exposure and vol of a net, from its sums."""
    delta, gross, size = sums[_DELTA, g], sums[_GROSS, g], sums[_SIZE, g]
    side = (1.0 if delta > 0.0 else -1.0) if abs(delta) > least * gross else 0.0
    bought, marked = sums[_BOUGHT, g] / sums[_WEIGHT, g], sums[_MARKED, g] / size
    if sums[_INVERSE, g] > 0.0:
        entry, mark = 1.0 / bought if bought > 0.0 else np.inf, 1.0 / marked
    else:
        entry, mark = bought if bought > 0.0 else 0.0, marked
    if code[REFERENCE] == FROM_VOLUME:
        entry = sums[_VOLUME, g] / size
    exposed = np.nan
    if sums[_OPTIONS, g] > 0.0 or (sums[_INVERSE, g] > 0.0 and sums[_INVERSE, g] < sums[_COUNT, g]):
        exposure, coins = abs(delta), sums[_COINS, g]
        exposure, coins = 0.0 if np.isnan(exposure) else exposure, 0.0 if np.isnan(coins) else coins
        gross = 0.0 if np.isnan(gross) else gross
        raw = coins / exposure if exposure > EXPOSURE_LEAST * gross else 0.0
        exposed = min(max(raw, -EXPOSURE_LIMIT), EXPOSURE_LIMIT)
    return side, mark, entry, exposed, vol


@inlined
def _add(  # noqa: PLR0913 - a position and where it goes
    number: F64, kind: I64, i: np.uint64, amount: float, entry: float, sums: F64, g: int
) -> None:
    """A position on top of its net."""
    delta, weight = amount * number[i, DELTA], amount * number[i, WEIGHT]
    inverse = kind[i, INVERSE] != 0
    sums[_DELTA, g] += delta
    sums[_GROSS, g] += abs(delta)
    sums[_BOUGHT, g] += weight * (1.0 / entry if inverse else entry)
    sums[_WEIGHT, g] += weight
    sums[_MARKED, g] += abs(weight) * number[i, NOW]
    sums[_SIZE, g] += abs(weight)
    sums[_VOLUME, g] += abs(weight) * entry
    profit = amount * ((number[i, PRICE] - entry) * (number[i, A] + number[i, PER_PRICE] / entry))
    sums[_COINS, g] += profit / number[i, WORTH]
    sums[_INVERSE, g] += kind[i, INVERSE]
    sums[_OPTIONS, g] += kind[i, IS_OPTION]
    sums[_COUNT, g] += 1.0


@inlined
def _recalled(memory: _Memory, account: int, asset: int) -> int:
    """Row of what an account remembers of an asset; -1."""
    start, assets, _number = memory
    for row in range(start[account], start[account + 1]):
        if assets[row] == asset:
            return row
    return -1


@inlined
def _levels(terms: PlainSchedules, curves: PlainCurves, at: float, g: int, sums: F64, recalled: F64) -> None:
    """Both multipliers of a net, in the place of its first two sums."""
    net, vols = terms[2], terms[5]
    u = net[g, 0]
    code, rule = terms[4][u], terms[3][u]
    found = _net_of(code, sums, g, rule[LEAST_NET], vols[net[g, 1]])
    for level in range(2):
        if level == 1 and code[MAINTENANCE_CURVE] == code[INITIAL_CURVE]:
            sums[1, g] = sums[0, g]
            continue
        factor = _multiplier(terms, curves, u, level, found, recalled)
        before = recalled[MULTIPLIER]
        if not np.isnan(rule[RELEASE]) and not np.isnan(before):
            since = 0.0 if np.isnan(recalled[AT]) else max(at - recalled[AT], 0.0) / 1e6
            held = before - rule[RELEASE] * since
            factor = held if held > factor else factor
        sums[level, g] = 1.0 if found[0] == 0.0 else factor


@kernel
def directional_rows(  # noqa: PLR0913 - a kernel's columns
    terms: PlainSchedules,
    curves: PlainCurves,
    at: float,
    held: _Held,
    account: I64,
    memory: _Memory,
    span: tuple[int, int],
    room: tuple[I64, I64, F64, F64],
    out: tuple[F64, F64],
) -> None:
    """Multipliers of the positions of pools ``span[0]`` to ``span[1] - 1``, from the first row of the results on.

    ``room`` is -1 for every net, (G,), places for those of a pool, (G,), sums of each, (11, G), and NaN, (5,), for what is not remembered.
    """
    number, kind = terms[0], terms[1]
    start, index, quantity, entry = held
    seen, touched, sums, nothing = room
    begin = start[span[0]]
    for pool in range(span[0], span[1]):
        count = 0
        for p in range(start[pool], start[pool + 1]):
            i = np.uint64(index[p])
            g = kind[i, NET]
            if g < 0:
                continue
            if seen[g] != pool:
                seen[g], touched[count] = pool, g
                count += 1
                for column in range(SUMS):
                    sums[column, g] = 0.0
            _add(number, kind, i, float(quantity[p]), entry[p], sums, g)
        for k in range(count):
            g = touched[k]
            row = _recalled(memory, account[pool], terms[2][g, 1])
            recalled = memory[2][row] if row >= 0 else nothing
            _levels(terms, curves, at, g, sums, recalled)
        for p in range(start[pool], start[pool + 1]):
            g = kind[np.uint64(index[p]), NET]
            out[0][p - begin] = sums[0, g] if g >= 0 else 1.0
            out[1][p - begin] = sums[1, g] if g >= 0 else 1.0


# --- what callers use ---


def directional_pools(
    terms: DirectionalTerms,
    rows: PoolRows,
    entry: F64,
    memory: Remembered,
    span: tuple[int, int],
    out: tuple[F64, F64],
) -> None:
    """Multipliers of both levels of the positions of some pools.

    Parameters
    ----------
    terms : DirectionalTerms
        Of the instruments that the rows name; indices are not checked.
    rows, entry : PoolRows, (P,) ndarray
        Pools, and the entries of their positions.
    memory : Remembered
        Of the accounts that the pools name.
    span : (int, int)
        The first pool, and the one after the last.
    out : pair of (n,) ndarray
        Get them, from their first rows on; one where no schedule applies, or a net has no direction. NaN where a price or vol is not
        known.
    """
    held = rows.start, rows.index, rows.quantity, entry
    told = plain_schedules(terms)
    directional_rows(*told, held, rows.account, plain_memory(memory), span, room_for(terms), out)


def plain_schedules(terms: DirectionalTerms) -> tuple[PlainSchedules, PlainCurves, float]:
    """Terms as the kernel takes them."""
    curves = terms.curves
    return (
        (terms.number, terms.kind, terms.net, terms.rule, terms.code, terms.vol),
        (curves.start, curves.home, curves.knot, curves.cubic),
        terms.at,
    )


def plain_memory(memory: Remembered) -> _Memory:
    """Memory as the kernel takes it."""
    return memory.start, memory.asset, memory.number


def room_for(terms: DirectionalTerms) -> tuple[I64, I64, F64, F64]:
    """Room that `directional_rows` writes in."""
    nets = len(terms.net)
    return np.full(nets, -1), np.empty(nets, np.int64), np.empty((SUMS, nets)), np.full(5, np.nan)
