"""Where the excess of many pools may bend or jump, as `breakpoints` finds it for one: factors without words.

Letters: R rows, a pool and an underlying each; N pairs of a row and a position of its pool.
"""

from dataclasses import dataclass, fields
from typing import final

import numpy as np

from margrave.core.words import MAINTENANCE
from margrave.kernels.arrays import F64, I64
from margrave.kernels.groups import run_ends
from margrave.liquidation.breakpoints import knot_prices
from margrave.margin.directional import reference_of
from margrave.margin.ladder import BASES
from margrave.margin.pooled import Prepared, Workings, evaluate
from margrave.rulebook.schema import Basis
from margrave.valuation.scenarios import now, vol_at_mark

_SMOOTH = 0.05  # deviation from which on a curve bends over more than some steps of the grid
_ENTRY, _WORST = (BASES.index(b) for b in (Basis.ENTRY, Basis.WORST))


@final
@dataclass(frozen=True, slots=True)
class _Pairs:
    row: I64  # (N,)
    position: I64
    at: I64  # row of the table
    mark: I64  # power of the factor by which the mark moves
    convert: I64  # by which settlement asset per payoff asset does


def break_factors(prepared: Prepared, pool: I64, asset: I64) -> tuple[I64, F64]:
    """Factors above zero at which the excess of a row may bend or jump.

    Parameters
    ----------
    prepared : Prepared
        Book, market and rules.
    pool, asset : (R,) ndarray of int
        The rows: whose excess, and which price moves.

    Returns
    -------
    row : (n,) ndarray of int
    factor : (n,) ndarray
        In no order: tier edges, entries, strikes, knots of schedules.
    """
    pairs = _pairs(prepared, pool, asset)
    bent = _bent(prepared, pairs)
    found = [_entries(prepared, bent), *_strikes(prepared, bent)]
    terms = prepared.ladders
    if prepared.schedules.used or (terms.is_ladder[pairs.at] & terms.by_value[pairs.at]).any():
        workings = evaluate(prepared, now(prepared.table)).workings
        found += [*_tier_edges(prepared, pairs, workings), *_knots(prepared, pool, asset, workings)]
    row, factor = (np.concatenate([f[k] for f in found]) for k in (0, 1))
    kept = np.isfinite(factor) & (factor > 0.0)
    return row[kept].astype(np.int64), factor[kept]


def _pairs(prepared: Prepared, pool: I64, asset: I64) -> _Pairs:
    book, table, pools = prepared.book, prepared.table, prepared.pools
    held = np.flatnonzero(book.quantity != 0.0)
    row, place = joined_rows(pool, pools.position_pool[held], len(pools.account))
    position = held[place]
    at, moved = book.instrument[position], asset[row]

    def moves(column: I64) -> I64:
        return np.asarray(column[at] == moved, dtype=np.int64)

    mark, convert = moves(table.base) - moves(table.quote), moves(table.payoff) - moves(table.settlement)
    return _Pairs(row, position, at, mark, convert)


def _bent(prepared: Prepared, pairs: _Pairs) -> _Pairs:
    # What scenarios margin is smooth at entries, and at strikes of all options that have some time left; where all of a profit counts.
    joined, table = prepared.joined, prepared.table
    if joined is None or joined.units is None or prepared.rulebook.account.profit_credit < 1.0:
        return pairs
    margined = np.zeros(len(prepared.book.quantity), dtype=np.bool_)
    margined[joined.members.position[joined.members.position >= 0]] = True
    options = np.flatnonzero(table.is_option)
    sharp = np.zeros(len(table.is_option), dtype=np.bool_)
    deviation = vol_at_mark(table, options) * np.sqrt(table.years[options])
    sharp[options] = ~(deviation >= _SMOOTH)
    kept = ~margined[pairs.position] | sharp[pairs.at]
    return _Pairs(*(getattr(pairs, f.name)[kept] for f in fields(_Pairs)))


def joined_rows(wanted: I64, group: I64, count: int) -> tuple[I64, I64]:
    """Every pair of a wanted group (by its place) and a member of it (by its place)."""
    order, start = run_ends(group, count)
    first, size = start[wanted], start[wanted + 1] - start[wanted]
    row = np.repeat(np.arange(len(wanted)), size)
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    return row, order[np.repeat(first, size) + within]


def _reaches(now_: F64, wanted: F64, power: I64) -> F64:
    with np.errstate(all="ignore"):
        factor = np.exp(np.log(wanted / now_) / power)
        return np.where((power == 0) | ~(now_ > 0.0) | ~(wanted > 0.0), np.nan, factor)


def _tier_edges(prepared: Prepared, pairs: _Pairs, workings: Workings) -> list[tuple[I64, F64]]:
    table, terms, flat = prepared.table, prepared.ladders, prepared.plan.flat[MAINTENANCE]
    mine = np.flatnonzero(terms.is_ladder[pairs.at] & terms.by_value[pairs.at])
    at, position = pairs.at[mine], pairs.position[mine]
    convert = pairs.convert[mine]
    moving = pairs.mark[mine] * np.where(table.a[at] != 0.0, 1, -1) + convert
    basis = terms.basis[MAINTENANCE][at]
    ladder = terms.ladder[at]
    size = flat.start[ladder + 1] - flat.start[ladder] - 1
    each = np.repeat(np.arange(len(mine)), size)
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    floor = flat.floor[flat.start[ladder[each]] + 1 + within]
    out = []
    valued = workings.valued
    for notional, power, wanted in (
        (valued.notional[0, position], moving, basis != _ENTRY),
        (valued.notional_entry[0, position], convert, (basis == _ENTRY) | (basis == _WORST)),
    ):
        some = each[wanted[each]]
        out.append((pairs.row[mine][some], _reaches(notional[some], floor[wanted[each]], power[some])))
    return out


def _entries(prepared: Prepared, pairs: _Pairs) -> tuple[I64, F64]:
    table, book = prepared.table, prepared.book
    mine = ~table.is_option[pairs.at]
    at, entry = pairs.at[mine], book.entry[pairs.position[mine]]
    return pairs.row[mine], _reaches(table.mark[at], entry, pairs.mark[mine])


def _strikes(prepared: Prepared, pairs: _Pairs) -> list[tuple[I64, F64]]:
    table, terms = prepared.table, prepared.options
    mine = np.flatnonzero(table.is_option[pairs.at])
    at, row, power = pairs.at[mine], pairs.row[mine], pairs.mark[mine]
    price = np.where(terms.on_forward[at], table.forward[at], table.index[at])
    level = terms.level[MAINTENANCE]
    credit = np.asarray(level.base)[at] - np.asarray(level.floor)[at]
    tilt = np.where(table.is_call[at], 1.0 + credit, 1.0 - credit)
    some = (credit > 0.0) & (tilt > 0.0)
    strike = table.strike[at]
    return [
        (row, _reaches(price, strike, power)),
        (row[some], _reaches(price[some], strike[some] / tilt[some], power[some])),
    ]


def _knots(prepared: Prepared, pool: I64, asset: I64, workings: Workings) -> list[tuple[I64, F64]]:
    table, out = prepared.table, []
    for factor in workings.factors:
        net = factor.net
        row, group = joined_rows(pool, net.pool, len(prepared.pools.account))
        simple = np.isnan(net.exposure_x[0, group])  # mixed groups and options have no exact place
        row, group = row[simple], group[simple]
        first = np.zeros(len(net.pool), dtype=np.int64)
        first[net.group[::-1]] = net.position[::-1]
        at = prepared.book.instrument[first[group]]
        power = (table.base[at] == asset[row]).astype(np.int64) - (table.quote[at] == asset[row])
        mark, side = net.mark[0, group], net.side[0, group]
        reference = np.broadcast_to(reference_of(net), net.mark.shape)[0, group]
        vol = prepared.vols[net.base[group]]
        out += [
            (row, _reaches(mark, np.asarray(price), power))
            for _, price in knot_prices(net.schedule, reference, side, vol)
        ]
    return out
