"""Every pool with prices of its own: the same calculation, of all pools at once, each at a trial price that is its own.

A prepared book shares its instruments and assets between pools, and so one row of prices is the same for all of them.
Here each pool gets rows of the tables for itself. `evaluate` is as before: a pool at a price has the digits that it has
in the shared tables. Letters: R rows of a search, S scenarios, K pools.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, final

import numpy as np

from margrave.domain.amended import picked
from margrave.domain.book import Book
from margrave.kernels.arrays import F64, I64
from margrave.kernels.option_margin import ShortOptionTerms
from margrave.liquidation.direction import excess_of, pooled_at
from margrave.liquidation.many_search import Asked, Curves
from margrave.liquidation.search import grid
from margrave.margin.joint import Joined
from margrave.margin.ladder import LadderTerms
from margrave.margin.pooled import Prepared, prepare_in
from margrave.margin.resolve import Resolved
from margrave.margin.short_options import OptionTerms
from margrave.rulebook.portfolio import ScenarioModel
from margrave.valuation.scenarios import keep_vols, vol_at_mark
from margrave.valuation.table import PER_INSTRUMENT, Table

_AT_ONCE = 400_000  # positions and assets times scenarios of one evaluation: what a few megabytes hold


@final
@dataclass(frozen=True, slots=True)
class OwnPrices:
    """A prepared book whose pools share no instrument and no asset; without orders, which no liquidation asks about."""

    resolved: Resolved
    book: Book  # as it is in the shared tables
    prepared: Prepared
    key: I64  # (A',) ascending: pool times assets of the shared table, plus the asset
    assets: int  # of the shared table
    width: int  # scenarios that are evaluated together


def shares_nothing(prepared: Prepared) -> bool:
    """Whether a rulebook's models can be asked about all pools at once: not those that margin one pool at a time."""
    portfolio = prepared.rulebook.portfolio
    return portfolio is None or isinstance(portfolio, ScenarioModel)


def own_prices(resolved: Resolved, prepared: Prepared) -> OwnPrices:
    """Give every pool its own rows of the tables.

    Parameters
    ----------
    resolved : Resolved
        What the book was prepared in, with a portfolio model for which `shares_nothing` holds, or none.
    prepared : Prepared
        The book.
    """
    table, pools, book = prepared.table, prepared.pools, prepared.book
    count, listed = len(table.assets), len(table.a)
    joined = prepared.joined
    member_pool, member_at = (
        (_NOTHING, _NOTHING) if joined is None else (joined.members.pool, joined.members.instrument)
    )
    held = np.concatenate((pools.position_pool * listed + book.instrument, member_pool * listed + member_at))
    instruments = np.unique(held)
    pool, at = instruments // max(listed, 1), instruments % max(listed, 1)
    needed = [
        pool * count + column[at] for column in (table.base, table.quote, table.settlement, table.payoff)
    ]
    every = np.arange(len(pools.account)) * count
    needed += [every + pools.currency, pools.bucket_pool * count + pools.bucket_asset]
    units = None if joined is None else joined.units
    if units is not None:
        needed.append(units.unit_pool * count + units.unit_base)
    key = np.unique(np.concatenate(needed))

    def place(pool_of: I64, asset: I64) -> I64:
        return key.searchsorted(pool_of * count + asset)

    def instrument(pool_of: I64, row: I64) -> I64:
        return instruments.searchsorted(pool_of * listed + row)

    own_table = _table(table, at, key % count, tuple(place(pool, c[at]) for c in _references(table)))
    own_book = replace(without_orders(book), instrument=instrument(pools.position_pool, book.instrument))
    own_pools = replace(
        pools,
        currency=place(np.arange(len(pools.account)), pools.currency),
        bucket_asset=place(pools.bucket_pool, pools.bucket_asset),
        order_pool=_NOTHING,
        order_bucket=_NOTHING,
    )
    if joined is not None:
        joined = _joined(joined, place, instrument)
    lifted = replace(
        prepared,
        book=own_book,
        table=own_table,
        ladders=taken_ladders(prepared.ladders, at),
        options=taken_options(prepared.options, at),
        schedules=replace(prepared.schedules, row=prepared.schedules.row[at]),
        pools=own_pools,
        vols=prepared.vols[key % count],
        joined=joined,
    )
    rows = len(book.account) + len(key) + len(pools.bucket_pool)
    if units is not None:
        rows += len(member_at) * _CELLS
    return OwnPrices(resolved, book, lifted, key, count, max(2, _AT_ONCE // max(rows, 1)))


_Place: TypeAlias = Callable[[I64, I64], I64]  # pools and rows of the shared table -> own rows
_NOTHING = np.zeros(0, dtype=np.int64)
_CELLS = 20  # what a member of portfolio margin weighs beside a position


def _references(table: Table) -> tuple[I64, I64, I64, I64]:
    return table.base, table.quote, table.settlement, table.payoff


def _table(table: Table, at: I64, asset: I64, references: tuple[I64, ...]) -> Table:
    base, quote, settlement, payoff = references
    own_rows: dict[str, Any] = {name: getattr(table, name)[at] for name in PER_INSTRUMENT}
    own_rows |= {"base": base, "quote": quote, "settlement": settlement, "payoff": payoff}
    own = replace(
        table,
        **own_rows,
        instruments=tuple([table.instruments[row] for row in at.tolist()]),
        assets=tuple([table.assets[row] for row in asset.tolist()]),
        asset_price=table.asset_price[asset],
        asset_confidence=table.asset_confidence[asset],
        unlisted=None if table.unlisted is None else table.unlisted[at],
        issues={},
    )
    if table.is_option.any():
        keep_vols(own, vol_at_mark(table, np.arange(len(table.a)))[at])
    return own


def without_orders(book: Book) -> Book:
    """The book without its open orders: no liquidation asks about them."""
    return replace(
        book,
        order_account=_NOTHING,
        order_instrument=_NOTHING,
        order_quantity=np.zeros(0),
        order_price=np.zeros(0),
        order_leverage=np.zeros(0),
        order_reduces=np.zeros(0, dtype=np.bool_),
    )


def taken_ladders(terms: LadderTerms, at: I64) -> LadderTerms:
    """Terms of some instruments, in their order."""
    return LadderTerms(
        terms.is_ladder[at],
        terms.ladder[at],
        terms.by_value[at],
        terms.unit_per_contract[at],
        (terms.basis[0][at], terms.basis[1][at]),
        terms.rate_rule[at],
        (terms.fee[0][at], terms.fee[1][at]),
        terms.fee_at_bankruptcy[at],
        terms.crowd[at],
        terms.alike,  # what holds for all holds for some
    )


def taken_options(terms: OptionTerms, at: I64) -> OptionTerms:
    """Terms of some instruments, in their order."""

    def level(one: ShortOptionTerms) -> ShortOptionTerms:
        names = ("base", "floor", "mark_fraction", "factor", "fee")
        return ShortOptionTerms(**{name: np.asarray(getattr(one, name))[at] for name in names})

    return OptionTerms(
        terms.is_option[at],
        (level(terms.level[0]), level(terms.level[1])),
        terms.covers_maintenance[at],
        terms.mark_at_least_entry[at],
        terms.on_forward[at],
    )


def _joined(joined: Joined, place: _Place, instrument: _Place) -> Joined:
    members, units = joined.members, joined.units
    at = instrument(members.pool, members.instrument)
    held = replace(members, instrument=at, order=np.full(len(at), -1))
    if units is not None:
        told = np.where(
            units.unit_instrument >= 0, instrument(units.unit_pool, np.maximum(units.unit_instrument, 0)), -1
        )
        units = replace(
            units,
            instrument=at,
            order=held.order,
            unit_base=place(units.unit_pool, units.unit_base),
            unit_instrument=told,
        )
    return Joined(held, units)


def part_with(own: OwnPrices, pool: I64) -> tuple[OwnPrices, I64]:
    """Only the accounts of some pools, and the row that each of these pools, (R,), has among theirs."""
    accounts = own.prepared.pools.account
    wanted = np.unique(accounts[pool])
    if 2 * len(wanted) > len(own.book.names):
        return own, pool
    prepared = prepare_in(own.resolved, picked(own.book, wanted))
    return own_prices(own.resolved, prepared), np.flatnonzero(np.isin(accounts, wanted)).searchsorted(pool)


def excess_at(own: OwnPrices, pool: I64, asset: I64, log_factor: F64) -> F64:
    """Excess of pools, each with one asset's price moved.

    Parameters
    ----------
    own : OwnPrices
        The pools.
    pool, asset : (R,) ndarray of int
        Which pool, and the asset (row of the shared table) whose price moves there. A pool may be asked many times.
    log_factor : (R,) ndarray
        Logarithm of what the price is multiplied by.

    Returns
    -------
    (R,) ndarray
        Margin balance less what it must not fall under [pool currency]; NaN where it is not known.
    """
    out = np.empty(len(pool))
    if len(pool) == 0:
        return out
    order = pool.argsort(kind="stable")
    ordered = pool[order]
    turn = np.empty(len(pool), dtype=np.int64)
    turn[order] = np.arange(len(pool)) - ordered.searchsorted(ordered)
    column = own.key.searchsorted(pool * own.assets + asset)
    for first in range(0, int(turn.max()) + 1, own.width):
        left = np.flatnonzero(turn >= first)
        part, place = part_with(own, pool[left])
        if part is not own:  # few pools are asked so often
            out[left] = excess_at(part, place, asset[left], log_factor[left])
            return out
        rows = left[turn[left] < first + own.width]
        scenario = turn[rows] - first
        shift = np.ones((int(scenario.max()) + 1, len(own.key)))
        shift[scenario, column[rows]] = np.exp(log_factor[rows])
        pooled = pooled_at(own.prepared, shift)
        out[rows] = excess_of(own.prepared, pooled)[scenario, pool[rows]]
    return out


def curves_of(resolved: Resolved, prepared: Prepared, pool: I64, asset: I64) -> Curves:
    """Excess of pools along one asset's price each, as curves of rows (R,)."""
    own = own_prices(resolved, prepared)

    def asking(row: I64) -> Asked:
        part, place = part_with(own, pool[row])
        return lambda where: excess_at(part, place, asset[row], where)

    return Curves(_scan(prepared, own, pool, asset), asking)


def _scan(prepared: Prepared, own: OwnPrices, pool: I64, asset: I64) -> F64:
    # Excess on the grid, (R, G). Shared tables price an option once for all pools, but move one asset at a time.
    at = np.log(grid())
    out = np.empty((len(pool), len(at)))
    moved = np.unique(asset)
    most = int(np.bincount(pool).max(initial=0))
    if not prepared.table.is_option.any() and len(moved) > most:
        rows = np.repeat(np.arange(len(pool)), len(at))
        return excess_at(own, pool[rows], asset[rows], np.tile(at, len(pool))).reshape(out.shape)
    width = own.width
    for row in moved.tolist():
        mine = np.flatnonzero(asset == row)
        for first in range(0, len(at), width):
            some = slice(first, min(first + width, len(at)))
            shift = np.ones((some.stop - some.start, len(prepared.table.assets)))
            shift[:, row] = np.exp(at[some])
            excess = excess_of(prepared, pooled_at(prepared, shift))
            out[mine, some] = excess[: some.stop - some.start, pool[mine]].T
    return out
