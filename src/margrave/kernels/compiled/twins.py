"""The compiled functions in NumPy, with the same arguments: oracle of the tests, and what runs without a compiler.

Numbers agree to rounding, NaN stands in the same places. NumPy takes exp and log from the machine's library, so these are
not the same bytes on every machine.
"""

import numpy as np

from margrave.kernels.arrays import F64, I32, I64, Bools
from margrave.kernels.black76 import quote_greeks, quote_price
from margrave.kernels.compiled.columns import GridOptions, Holdings, TierPositions, TierTable


def option_values(forward: F64, strike: F64, vol: F64, years: F64, is_call: Bools) -> F64:
    """`black.option_values` in NumPy."""
    out = np.full((5, len(forward)), np.nan)
    ok = _sound(forward, strike, vol, years)
    greeks = quote_greeks(forward[ok], strike[ok], vol[ok], years[ok], is_call[ok])
    out[:, ok] = greeks.price, greeks.delta, greeks.gamma, greeks.vega, greeks.theta
    return out


def grid_values(options: GridOptions, factor: F64, level: I64, vol: F64, out: F64) -> F64:
    """`black.grid_values` in NumPy."""
    forward, strike, vols, years, is_call = np.broadcast_arrays(
        options.forward[:, None] * factor,
        options.strike[:, None],
        vol[level].T,
        options.years[:, None],
        options.is_call[:, None],
    )
    premium = np.full(forward.shape, np.nan)
    ok = _sound(forward, strike, vols, years)
    premium[ok] = quote_price(forward[ok], strike[ok], vols[ok], years[ok], is_call[ok])
    premium /= np.where(options.in_coin[:, None], forward, 1.0)
    cells = len(factor)
    out[:, :cells] = options.size[:, None] * (premium - options.mark[:, None])
    out[:, cells:] = out[:, :1]
    return out


def worst_cells(table: F64, holdings: Holdings) -> tuple[F64, I32]:
    """`worst.worst_cells` in NumPy, by a sum of accounts × lanes."""
    return _least(_sums(table, holdings))


def worst_in_units(table: F64, holdings: Holdings, unit_start: I64) -> tuple[F64, I32, F64, F64, I32]:
    """`worst.worst_in_units` in NumPy."""
    sums = _sums(table, holdings)
    worst, cell = _least(sums)
    total = _grouped(worst[:, None], unit_start)[:, 0]
    return worst, cell, total, *_least(_grouped(sums, unit_start))


def linear_positions(table: TierTable, positions: TierPositions, collateral: F64) -> F64:
    """`tiers.linear_positions` in NumPy, with every tier tried."""
    return _positions(table, positions, collateral, False)


def inverse_positions(table: TierTable, positions: TierPositions, collateral: F64) -> F64:
    """`tiers.inverse_positions` in NumPy."""
    return _positions(table, positions, collateral, True)


def linear_pools(table: TierTable, positions: TierPositions, start: I64, balance: F64) -> tuple[F64, F64]:
    """`tiers.linear_pools` in NumPy."""
    return _pools(table, positions, start, balance, False)


def inverse_pools(table: TierTable, positions: TierPositions, start: I64, balance: F64) -> tuple[F64, F64]:
    """`tiers.inverse_pools` in NumPy."""
    return _pools(table, positions, start, balance, True)


def _sound(forward: F64, strike: F64, vol: F64, years: F64) -> Bools:
    with np.errstate(all="ignore"):
        ratio = strike / forward
        numbers = np.isfinite(forward) & np.isfinite(strike) & np.isfinite(vol) & np.isfinite(years)
        signs = (forward > 0.0) & (strike > 0.0) & (vol >= 0.0) & (years >= 0.0)
        sound = numbers & signs & (ratio < 1e300) & (ratio > 1e-300) & np.isfinite(vol * np.sqrt(years))
    return np.asarray(sound)


def _sums(table: F64, holdings: Holdings) -> F64:
    with np.errstate(all="ignore"):
        return _grouped(table[holdings.index] * holdings.quantity[:, None], holdings.start)


def _grouped(rows: F64, start: I64) -> F64:
    """Sums of runs of rows; an empty run is zero, which reduceat by itself would not say."""
    sums = np.zeros((len(start) - 1, rows.shape[1]))
    held = np.flatnonzero(np.diff(start))
    if len(held):
        with np.errstate(all="ignore"):
            sums[held] = np.add.reduceat(rows, start[held], axis=0)
    return sums


def _least(sums: F64) -> tuple[F64, I32]:
    with np.errstate(all="ignore"):
        sick = np.isnan(sums.sum(axis=1))
    cell = np.where(sick, -1, np.argmin(sums, axis=1)).astype(np.int32)
    return np.where(sick, np.nan, np.min(sums, axis=1)), cell


def _worths(positions: TierPositions, inverse: bool) -> tuple[F64, F64, F64, F64]:
    """Size, direction in notional, notional and what was paid for it; NaN where a price is not > 0."""
    size = np.abs(positions.quantity)
    toward = np.where((positions.quantity > 0.0) != inverse, 1.0, -1.0)
    mark = np.where(positions.mark > 0.0, positions.mark, np.nan)
    entry = np.where(positions.entry > 0.0, positions.entry, np.nan)
    if inverse:
        return size, toward, size / mark, size / entry
    return size, toward, size * mark, size * entry


def _positions(table: TierTable, positions: TierPositions, collateral: F64, inverse: bool) -> F64:
    size, toward, notional, paid = _worths(positions, inverse)
    terms = table.terms[positions.ladder]  # (P, J, 5)
    tier = np.sum(table.limits[0][positions.ladder] < notional[:, None], axis=1)
    rate, cut, least = terms[np.arange(len(size)), tier, :3].T
    initial = notional * np.maximum(least, positions.initial_rate)
    price = _liquidation(table, positions, (size, toward, collateral - toward * paid), inverse)
    return np.stack((initial, notional * rate - cut, toward * (notional - paid), price))


def _liquidation(
    table: TierTable, positions: TierPositions, line: tuple[F64, F64, F64], inverse: bool
) -> F64:
    """Root of the gap in every tier; the one that lies in its own tier, or least outside it, is meant."""
    size, toward, constant = line
    floors = table.limits[0][positions.ladder]
    lower = np.concatenate((np.zeros((len(size), 1)), floors), axis=1)
    upper = np.concatenate((floors, np.full((len(size), 1), np.inf)), axis=1)
    rate, cut = np.moveaxis(table.terms[positions.ladder], 2, 0)[:2]
    roots = (constant[:, None] + cut) / (rate - toward[:, None])
    with np.errstate(invalid="ignore"):
        outside = np.maximum(np.maximum(lower - roots, roots - upper), 0.0)
        outside[np.isinf(lower)] = np.inf
    outside[:, 0] = np.where(roots[:, 0] < 0.0, 0.0, outside[:, 0])  # breached nowhere or everywhere
    root = np.maximum(roots[np.arange(len(size)), np.argmin(outside, axis=1)], 0.0)
    with np.errstate(all="ignore"):
        return np.where(size == 0.0, np.nan, size / root if inverse else root / size)


def _pools(
    table: TierTable, positions: TierPositions, start: I64, balance: F64, inverse: bool
) -> tuple[F64, F64]:
    of_position = _positions(table, positions, np.zeros(len(positions.mark)), inverse)
    initial, maintenance, profit = _grouped(of_position[:3].T, start).T
    equity = balance + profit
    size, toward, _, paid = _worths(positions, inverse)
    rest = np.repeat(equity - maintenance, np.diff(start)) - (of_position[2] - of_position[1])
    of_position[3] = _liquidation(table, positions, (size, toward, rest - toward * paid), inverse)
    return of_position, np.stack((equity, initial, maintenance))
