"""Liquidation prices by formula of pools that hold one delta-one position under a ladder: most of a futures venue.

With V the value of the position, what is left is ``cash - t V_entry + t V - c (V (r + fee) - d)`` in a tier of rate r and
deduction d: t = +1 where profit rises with V (linear long, inverse short), else -1, and c the ratio at which the venue
closes. It is a straight line in every tier and may jump at its end, so that its changes of sign are read off a table of
positions by tiers. Letters: R rows, a pool and an underlying each; T tiers.
"""

import numpy as np

from margrave.core.words import MAINTENANCE
from margrave.kernels.arrays import F64, I64, Bools
from margrave.liquidation.search import FACTOR_MAX, FACTOR_MIN
from margrave.margin.directional import schedules_of
from margrave.margin.ladder import BASES
from margrave.margin.pooled import Prepared
from margrave.rulebook.bands import liquidation_ratio
from margrave.rulebook.schema import Basis
from margrave.valuation.positions import value_positions
from margrave.valuation.scenarios import now

_MARK = BASES.index(Basis.MARK)


def closed_rows(prepared: Prepared, pool: I64, asset: I64) -> tuple[Bools, F64]:
    """Nearest changes of sign by formula.

    Parameters
    ----------
    prepared : Prepared
        Book, market and rules.
    pool, asset : (R,) ndarray of int
        The rows: which pool, and which price moves.

    Returns
    -------
    known : (R,) ndarray of bool
        Rows for which the formula holds.
    factor : (2, R) ndarray
        What the price is multiplied by at the nearest change below and above; NaN where there is none, and where the pool
        is liquidatable as it is.
    """
    position = _only_position(prepared)[pool]
    known = position >= 0
    known[known] = _is_plain(prepared, position[known], asset[known])
    factor = np.full((2, len(pool)), np.nan)
    if known.any():
        factor[:, known] = _changes(prepared, pool[known], position[known])
    return known, factor


def _only_position(prepared: Prepared) -> I64:
    # The only position of each pool that is not flat, (K,); -1 where there are none or several.
    held = np.flatnonzero(prepared.book.quantity != 0.0)
    pool = prepared.pools.position_pool[held]
    count = len(prepared.pools.account)
    only = np.full(count, -1)
    only[pool] = held
    return np.where(np.bincount(pool, minlength=count) == 1, only, -1)


def _is_plain(prepared: Prepared, position: I64, asset: I64) -> Bools:
    # One price moves one position, in money of its own, at a rate by its value or of its size.
    table, pools, terms = prepared.table, prepared.pools, prepared.ladders
    if prepared.rulebook.account.profit_credit < 1.0 or prepared.joined is not None:
        return np.zeros(len(position), dtype=np.bool_)
    row, pool = prepared.book.instrument[position], pools.position_pool[position]
    flat = prepared.plan.flat[MAINTENANCE]
    bent = np.maximum.reduceat(np.abs(flat.slope), flat.start[:-1]) > 0.0
    scheduled = np.zeros(len(prepared.book.quantity), dtype=np.bool_)
    for _, rows in schedules_of(prepared.schedules, prepared.book):
        scheduled[rows] = True
    plain = terms.is_ladder[row] & (terms.basis[MAINTENANCE][row] == _MARK) & ~bent[terms.ladder[row]]
    plain &= (table.base[row] == asset) & (table.quote[row] != asset) & ~scheduled[position]
    plain &= (table.payoff[row] == table.settlement[row]) & (table.settlement[row] == pools.currency[pool])
    single = np.bincount(pools.bucket_pool, minlength=len(pools.account)) == 1
    return np.asarray(plain & single[pool] & ~pools.spans_assets[pool] & ~table.is_option[row])


def _changes(prepared: Prepared, pool: I64, position: I64) -> F64:
    table, book = prepared.table, prepared.book
    row, quantity = book.instrument[position], book.quantity[position]
    valued = value_positions(table, now(table), row, quantity, book.entry[position])
    value, entry = valued.notional[0], valued.notional_entry[0]
    closing = liquidation_ratio(prepared.rulebook.account.bands)
    inverse = table.c[row] > 0.0
    toward = np.where(inverse, -np.sign(quantity), np.sign(quantity))
    cash = np.bincount(prepared.pools.bucket_pool, weights=prepared.pools.bucket_balance)[pool]
    floor, rate, cut = _tiers(prepared, row, np.abs(quantity))
    # In tier j what is left is level + slope V between its ends.
    slope = toward[:, None] - closing * (rate + _fees(prepared, position, row)[:, None])
    level = (cash - toward * entry)[:, None] + closing * cut
    low = np.clip(floor, (value * FACTOR_MIN)[:, None], (value * FACTOR_MAX)[:, None])
    high = np.concatenate((low[:, 1:], (value * FACTOR_MAX)[:, None]), axis=1)
    first, last = level + slope * low, level + slope * high
    wide = high > low
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.where(wide & ((first < 0.0) != (last < 0.0)), -level / slope, np.nan)
    jumps = wide[:, 1:] & wide[:, :-1] & ((last[:, :-1] < 0.0) != (first[:, 1:] < 0.0))
    found = np.concatenate((inside, np.where(jumps, low[:, 1:], np.nan)), axis=1)
    factor = np.where(inverse[:, None], value[:, None] / found, found / value[:, None])
    tier = np.sum(value[:, None] > low, axis=1) - 1
    at = np.arange(len(row))
    here = level[at, tier] + slope[at, tier] * value
    factor[(here < 0.0) | np.isnan(here)] = np.nan
    below = np.max(np.where(factor < 1.0, factor, -np.inf), axis=1)
    above = np.min(np.where(factor >= 1.0, factor, np.inf), axis=1)
    return np.where(np.isfinite([below, above]), [below, above], np.nan)


def _tiers(prepared: Prepared, row: I64, size: F64) -> tuple[F64, F64, F64]:
    # Floors, rates and deductions of each row's ladder in value, (R, T), padded with tiers that begin nowhere. A size that
    # does not move with the price has the rate of its tier alone.
    flat, terms = prepared.plan.flat[MAINTENANCE], prepared.ladders
    first, end = flat.start[terms.ladder[row]], flat.start[terms.ladder[row] + 1]
    place = first[:, None] + np.arange(int((end - first).max()))
    there = place < end[:, None]
    place = np.minimum(place, (end - 1)[:, None])
    floor, rate, cut = (column[place] for column in (flat.floor, flat.rate, flat.deduction))
    by_value = terms.by_value[row]
    z = size * terms.unit_per_contract[row]
    mine = np.maximum(np.sum(there & (floor < z[:, None]), axis=1) - 1, 0)
    at = np.arange(len(row))
    with np.errstate(divide="ignore", invalid="ignore"):
        own = rate[at, mine] - cut[at, mine] / z
    floor = np.where(there & by_value[:, None], floor, np.inf)
    floor[:, 0] = 0.0
    rate = np.where(by_value[:, None], rate, own[:, None])
    return floor, rate, np.where(by_value[:, None], cut, 0.0)


def _fees(prepared: Prepared, position: I64, row: I64) -> F64:
    # Closing fee per value; at the bankruptcy price of the chosen leverage where the venue takes it there.
    terms, book = prepared.ladders, prepared.book
    leverage = book.leverage[position]
    side = np.sign(book.quantity[position]) * np.where(prepared.table.is_inverse[row], 1.0, -1.0)
    tilt = np.where(np.isnan(leverage), 0.0, side / leverage)
    return terms.fee[MAINTENANCE][row] * np.where(
        terms.fee_at_bankruptcy[row], np.maximum(1.0 + tilt, 0.0), 1.0
    )
