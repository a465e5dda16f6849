"""Curves of liquidation of pools margined by size through the compiled kernels: excess at any price of one asset.

What the kernels read of an instrument at another price is worked out in arrays, as at every tick; they then go through pools as ever. A
row, a pool and an asset, is a pool by itself here, whose positions on that asset have numbers of their own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias, final

import numpy as np

from margrave.domain.book import Book
from margrave.engine.books.directional_swept import schedule_numbers
from margrave.engine.books.ladder_numbers import held_numbers, others_of
from margrave.engine.books.ladder_swept import LadderSweep, ladder_sweep_of
from margrave.engine.books.laid import LaidBook, lay_out_alone
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.compiled.black import option_values
from margrave.kernels.compiled.coin_pools import empty_margins
from margrave.kernels.compiled.directional_pools import STEPPED, DirectionalTerms, directional_pools
from margrave.kernels.compiled.ladder_pools import Grid, LadderTerms, ladder_pools
from margrave.kernels.compiled.ladder_steps import LIMIT
from margrave.kernels.compiled.laid_out import SMALL, PoolRows, some_pools
from margrave.liquidation.many_search import Asked, Curves, nothing_served, scanned
from margrave.liquidation.own_prices import taken_ladders, taken_options
from margrave.liquidation.search import grid
from margrave.margin.pooled import Prepared
from margrave.margin.resolve import Resolved
from margrave.valuation.scenarios import bounded_marks, moved_forward, vol_at_mark
from margrave.valuation.table import PER_INSTRUMENT, Table

_AT_ONCE: Final = 16_384  # instruments that are priced together for the grid
_PAIRS: Final = SMALL - 1  # positions that are priced at once: two bytes tell them apart
_NO_ORDERS: Final = np.zeros(0)
_NO_FACTORS: Final = np.zeros((2, 0))
# Of the kernel of ladders, and of the one of schedules; rows of the second are empty without any.
_Numbers: TypeAlias = tuple[F64, F64]


@final
@dataclass(frozen=True, slots=True)
class MovedLadders:
    """A rulebook in a market, at the prices of now and at others."""

    resolved: Resolved
    sweep: LadderSweep
    others: Bools
    now: _Numbers
    nodes: tuple[_Numbers, ...]  # of each place of the grid, as if every instrument's base alone were there


def moved_ladders_of(resolved: Resolved) -> MovedLadders | None:
    """What the kernels need of a market; None where they cannot serve the rulebook."""
    sweep = ladder_sweep_of(resolved)
    if sweep is None or (sweep.directional is not None and sweep.directional.code[:, STEPPED].any()):
        return None  # beside a step the kernel leaves it open which side is meant
    sweep = replace(sweep, terms=replace(sweep.terms, grid=Grid(0.0, 0.0, 0, 0.0, 0.0)))
    others, every = others_of(resolved), np.arange(len(resolved.table.mark))
    as_is = _at(_alone(resolved, others, every), np.ones(len(every)))
    return MovedLadders(resolved, sweep, others, as_is, tuple(_nodes(resolved, others)))


def _nodes(resolved: Resolved, others: Bools) -> Iterator[_Numbers]:
    # Several places of the grid at once: calls of NumPy are many, and short.
    count, factors = len(others), grid()
    each = max(1, _AT_ONCE // max(count, 1))
    alone = _alone(resolved, others, np.tile(np.arange(count), each))
    for first in range(0, len(factors), each):
        some = np.resize(factors[first : first + each], each)  # the last ones again and again
        numbers = _at(alone, np.repeat(some, count))
        for place in range(min(each, len(factors) - first)):
            mine = slice(place * count, (place + 1) * count)
            yield numbers[0][mine], numbers[1][mine]


@final
@dataclass(frozen=True, slots=True)
class _Alone:
    """Some instruments, (n,), each on an asset of its own."""

    resolved: Resolved
    others: Bools
    at: I64  # options among them
    vol: F64  # (n,) in the marks of options
    worth: F64  # of each option, by the model now


def _alone(resolved: Resolved, others: Bools, at: I64) -> _Alone:
    table, count = resolved.table, len(at)
    rows: dict[str, Any] = {name: getattr(table, name)[at] for name in PER_INSTRUMENT}
    still = np.full(count, count)
    rows |= {"base": np.arange(count), "quote": still, "settlement": still, "payoff": still}
    own = replace(
        table, **rows, instruments=(), assets=(), asset_price=np.ones(count + 1), unlisted=None, issues={}
    )
    vol = vol_at_mark(table, np.arange(len(table.mark)))[at] if table.has_options else np.zeros(count)
    alone = replace(
        resolved,
        table=own,
        ladders=taken_ladders(resolved.ladders, at),
        options=taken_options(resolved.options, at),
        schedules=replace(resolved.schedules, row=resolved.schedules.row[at]),
    )
    options = np.flatnonzero(own.is_option)
    worth = _worth(own, options, own.forward[options], vol[options])
    return _Alone(alone, others[at], options, vol, worth)


def _at(alone: _Alone, factor: F64) -> _Numbers:
    # Numbers of instruments, each at its own factor. Vols stay, whatever marks would say of them.
    resolved, table = alone.resolved, alone.resolved.table
    mark, forward, at = table.mark * factor, np.where(table.is_option, table.forward * factor, 1.0), alone.at
    if at.size:
        mark[at] = _option_marks(alone, factor[at])
    moved = replace(table, mark=mark, index=table.index * factor, forward=forward)
    number = held_numbers(replace(resolved, table=moved), alone.others)
    number[:, LIMIT] = np.inf  # whether rates are published for a size is asked at the prices of now alone
    if not resolved.schedules.used:
        return number, np.zeros((len(number), 0))
    return number, schedule_numbers(moved, alone.vol)


def _option_marks(alone: _Alone, factor: F64) -> F64:
    # As `valuation.scenarios.shifted` moves them, priced by the compiled kernel: most of the time would be this.
    table, at = alone.resolved.table, alone.at
    forward = moved_forward(table.forward[at], table.averaged[at], factor)
    marks = bounded_marks(table, at, table.mark[at], _worth(table, at, forward, alone.vol[at]) - alone.worth)
    return np.asarray(np.where(factor == 1.0, table.mark[at], marks))


def _worth(table: Table, at: I64, forward: F64, vol: F64) -> F64:
    # Model worth of options in the unit of their marks.
    value = option_values(forward, table.strike[at], vol, table.years[at], table.is_call[at])[0]
    return np.asarray(np.where(table.is_coin_premium[at], value / forward, value))


@final
@dataclass(frozen=True, slots=True)
class LaidLadders:
    """A book's pools laid out for curves."""

    moved: MovedLadders
    laid: LaidBook
    before: I64  # (A,) laid pools of the accounts before each


def lay_ladders(moved: MovedLadders, book: Book, resolved: Resolved) -> LaidLadders:
    """Lay a book out."""
    laid = lay_out_alone(book, resolved)
    return LaidLadders(moved, laid, laid.account.searchsorted(np.arange(len(book.names))))


def curves_of_ladders(curves: LaidLadders, prepared: Prepared, pool: I64, asset: I64) -> tuple[I64, Curves]:
    """Rows, a pool and an asset each, that the kernels serve, ascending, and their curves.

    Parameters
    ----------
    curves : LaidLadders
        The book that `prepared` is.
    prepared : Prepared
        Whose pools these are.
    pool, asset : (R,) ndarray of int
        The rows.
    """
    pools, laid = prepared.pools, curves.laid
    if not len(laid.account):
        return nothing_served()
    first = pools.account.searchsorted(pools.account)  # of the pools of an account, which keep their order
    place = curves.before[pools.account] + np.arange(len(pools.account)) - first
    place = np.minimum(place, len(laid.account) - 1)
    # Where something is not known, pools are others: an account is served with all of them, or not at all.
    count = len(laid.others)
    odd = np.bincount(pools.account, minlength=count) != np.bincount(laid.account, minlength=count)
    odd[pools.account[list(prepared.issues)]] = True
    same = ~(laid.others | odd)[pools.account] & (laid.rows.currency[place] == pools.currency)
    found = np.flatnonzero(same[pool])
    rows = _rows_of(curves.moved, laid, place[pool[found]], asset[found])
    served = _are_plain(curves.moved, rows, asset[found])
    found, rows = found[served], _some(rows, np.flatnonzero(served))
    scan = _scan(curves.moved, rows)
    known = np.flatnonzero(np.isfinite(scan).all(axis=1))
    rows = _some(rows, known)

    def asking(row: I64) -> Asked:
        return _asked(curves.moved, rows, row)

    return found[known], Curves(scan[known], asking)


@final
@dataclass(frozen=True, slots=True)
class _Rows:
    """Pools, once for each asset that moves in them; positions as pairs, (n,), of a row and what it holds."""

    pools: PoolRows  # (R,), whose index is of the market's instruments
    leverage: F64
    entry: F64
    moves: Bools  # (n,) is on the asset that moves
    laid: LaidBook


def _rows_of(moved: MovedLadders, laid: LaidBook, pool: I64, asset: I64) -> _Rows:
    rows, chosen = laid.rows, laid.chosen
    assert chosen is not None
    some, place = some_pools(rows, pool)
    base = moved.resolved.table.base[some.index]
    moves = base == np.repeat(asset, np.diff(some.start))
    return _Rows(some, chosen.leverage[place], chosen.entry[place], moves, laid)


def _some(rows: _Rows, which: I64) -> _Rows:
    pools, place = some_pools(rows.pools, which)
    return _Rows(pools, rows.leverage[place], rows.entry[place], rows.moves[place], rows.laid)


def _are_plain(moved: MovedLadders, rows: _Rows, asset: I64) -> Bools:
    # No position is priced in what moves, and none is left to the calculation in arrays.
    at, pair = rows.pools.index, np.repeat(np.arange(len(asset)), np.diff(rows.pools.start))
    other = moved.others[at] | (moved.resolved.table.quote[at] == asset[pair])
    return np.asarray(np.bincount(pair, weights=other, minlength=len(asset)) == 0.0)


def _scan(moved: MovedLadders, rows: _Rows) -> F64:
    # Instruments twice, as they are and moved.
    count = len(moved.others)
    kind = np.uint16 if 2 * count <= SMALL else np.int32
    twice = np.concatenate((np.arange(count), np.arange(count)))

    def pick(row: I64) -> Callable[[int], F64]:
        some = _some(rows, row)
        index = (some.pools.index + np.where(some.moves, count, 0)).astype(kind)
        pools = replace(some.pools, index=index)

        def at(place: int) -> F64:
            pairs = zip(moved.now, moved.nodes[place], strict=True)
            both = tuple(np.concatenate(pair) for pair in pairs)
            return _excess(moved, some, pools, twice, (both[0], both[1]))

        return at

    return scanned(len(rows.pools.account), pick)


def _excess(moved: MovedLadders, rows: _Rows, pools: PoolRows, at: I64, numbers: _Numbers) -> F64:
    # Of pools whose index is of rows of numbers, those of instruments ``at``.
    sweep, count = moved.sweep, len(pools.account)
    terms: LadderTerms = replace(sweep.terms, number=numbers[0], row=sweep.terms.row[at])
    factors = _NO_FACTORS
    if sweep.directional is not None:
        told: DirectionalTerms = sweep.directional
        told = replace(told, number=numbers[1], kind=told.kind[at])
        factors = np.empty((2, len(pools.index)))
        chosen = rows.laid.chosen
        assert chosen is not None
        spans = (factors[0], factors[1])
        directional_pools(told, pools, rows.entry, chosen.remembered, (0, count), spans)
    out = empty_margins(count, counted_apart=True)
    told_of = rows.leverage, _NO_ORDERS, _NO_ORDERS, rows.entry
    ladder_pools(terms, pools, told_of, (factors[0], factors[1], 0), (0, count), out)
    return out.balance - terms.closing * out.maintenance


def _asked(moved: MovedLadders, rows: _Rows, row: I64) -> Asked:
    some = _some(rows, row)
    # Several times, so that two bytes tell the positions apart.
    if len(some.pools.index) > _PAIRS and len(row) > 1:
        half = len(row) // 2
        one, other = _asked(moved, rows, row[:half]), _asked(moved, rows, row[half:])
        return lambda where: np.concatenate((one(where[:half]), other(where[half:])))
    at = some.pools.index.astype(np.int64)
    moving, each = np.flatnonzero(some.moves), np.repeat(np.arange(len(row)), np.diff(some.pools.start))
    alone = _alone(moved.resolved, moved.others, at[moving])
    still = tuple(numbers[at] for numbers in moved.now)
    pools = replace(some.pools, index=np.arange(len(at), dtype=np.uint16))

    def asked(where: F64) -> F64:
        numbers = tuple(one.copy() for one in still)
        for mine, new in zip(numbers, _at(alone, np.exp(where)[each[moving]]), strict=True):
            mine[moving] = new
        return _excess(moved, some, pools, at, (numbers[0], numbers[1]))

    return asked
