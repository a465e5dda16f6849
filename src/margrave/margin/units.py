"""Risk units of a pool: what offsets in full, and inside it expiries and strikes (the runs that charges are made of)."""

from dataclasses import dataclass
from typing import TypeVar, final

import numpy as np

from margrave.domain.book import Book
from margrave.kernels.arrays import F64, I64, Bools
from margrave.margin.plan import Plan, product_row
from margrave.margin.pools import Pools
from margrave.rulebook.portfolio import ScenarioModel, UnitOf
from margrave.rulebook.schema import PortfolioMember, Rulebook
from margrave.valuation.table import Table

_Key = TypeVar("_Key", bound=tuple[float, ...])


@final
@dataclass(frozen=True, slots=True)
class Units:
    """Members of portfolio margin: M positions and open orders, E expiries, G strikes, U units, V collateral buckets."""

    position: I64  # (M,) rows of the book's positions; -1 for an open order
    order: I64  # (M,) rows of the book's orders; -1 for a position
    pool: I64  # (M,)
    instrument: I64  # (M,) rows of the table
    is_option: Bools  # (M,)
    expiry: I64  # (M,) row of the expiry; delta-one contracts of one expiry stand with its options
    strike: I64  # (M,) row of the strike; -1 where no option
    expiry_unit: I64  # (E,)
    expiry_years: F64  # (E,)
    strike_expiry: I64  # (G,)
    unit_pool: I64  # (U,)
    unit_base: I64  # (U,) row of the table's assets
    unit_instrument: I64  # (U,) an instrument whose index is the unit's price; -1 where only collateral moves
    bucket: I64  # (V,) rows of the pools' buckets that the model names or moves
    bucket_unit: I64  # (V,) unit in whose scenarios a bucket moves; -1 where it does not

    @property
    def unit(self) -> I64:
        """Unit of each member, (M,)."""
        return self.expiry_unit[self.expiry]


@final
@dataclass(frozen=True, slots=True)
class Members:
    """Positions and open orders that the rulebook's portfolio model margins together, (M,)."""

    position: I64  # rows of the book's positions; -1 for an open order
    order: I64  # rows of the book's orders; -1 for a position
    pool: I64
    instrument: I64  # rows of the table


def followed(rulebook: Rulebook) -> tuple[str, ...]:
    """Underlyings whose moves collateral follows: a table needs their rows, whether they are held or not."""
    model = rulebook.portfolio
    if not isinstance(model, ScenarioModel):
        return ()
    return tuple(member.moves_with for member in model.collateral if member.moves_with is not None)


def members_of(plan: Plan, table: Table, book: Book, pools: Pools) -> Members:
    """Positions, then orders that could open something, with their pools and instruments."""
    products = plan.rulebook.products
    rows = [-1 if i is None else product_row(plan, i) for i in table.instruments]
    member = np.array(
        [r >= 0 and isinstance(products[r].model, PortfolioMember) for r in rows], dtype=np.bool_
    )
    position = np.flatnonzero(member[book.instrument])
    order = np.flatnonzero(member[book.order_instrument] & ~book.order_reduces)
    settled = table.settlement[book.order_instrument[order]]
    shared = ~pools.is_isolated[pools.bucket_pool]
    into = [
        pools.bucket_pool[
            np.flatnonzero(
                shared & (pools.account[pools.bucket_pool] == account) & (pools.bucket_asset == asset)
            )[0]
        ]
        for account, asset in zip(book.order_account[order].tolist(), settled.tolist(), strict=True)
    ]
    return Members(
        np.concatenate((position, np.full(len(order), -1, dtype=np.int64))),
        np.concatenate((np.full(len(position), -1, dtype=np.int64), order)),
        np.concatenate((pools.position_pool[position], np.array(into, dtype=np.int64))),
        np.concatenate((book.instrument[position], book.order_instrument[order])),
    )


def units_of(model: ScenarioModel, members: Members, table: Table, pools: Pools) -> Units:
    """Group the members of a book.

    Parameters
    ----------
    model : ScenarioModel
        Says what a unit is and which collateral moves.
    members, table, pools : Members, Table, Pools
        Who is margined, and where everything stands.

    Returns
    -------
    Units
        Units in the order in which their first member stands.
    """
    in_pool, instrument = members.pool, members.instrument
    by_settlement = model.unit is UnitOf.UNDERLYING_AND_SETTLEMENT
    units: dict[tuple[int, int, int], int] = {}  # (pool, base, settlement)
    expiries: dict[tuple[int, float], int] = {}  # (unit, years)
    strikes: dict[tuple[int, float], int] = {}  # (expiry, strike)
    told: dict[int, int] = {}  # unit -> the instrument that tells its index
    at_expiry, at_strike = [], []
    for pool, i in zip(in_pool.tolist(), instrument.tolist(), strict=True):
        settled = int(table.settlement[i]) if by_settlement else -1
        unit = _row(units, (pool, int(table.base[i]), settled))
        told.setdefault(unit, i)
        expiry = _row(expiries, (unit, float(table.years[i])))
        at_expiry.append(expiry)
        at_strike.append(_row(strikes, (expiry, float(table.strike[i]))) if table.is_option[i] else -1)
    buckets, moved = _collateral(model, table, pools, units)
    return Units(
        members.position,
        members.order,
        in_pool,
        instrument,
        table.is_option[instrument],
        np.array(at_expiry, dtype=np.int64),
        np.array(at_strike, dtype=np.int64),
        np.array([unit for unit, _ in expiries], dtype=np.int64),
        np.array([years for _, years in expiries], dtype=np.float64),
        np.array([expiry for expiry, _ in strikes], dtype=np.int64),
        np.array([pool for pool, _, _ in units], dtype=np.int64),
        np.array([base for _, base, _ in units], dtype=np.int64),
        np.array([told.get(unit, -1) for unit in range(len(units))], dtype=np.int64),
        np.array(buckets, dtype=np.int64),
        np.array(moved, dtype=np.int64),
    )


def _row(rows: dict[_Key, int], key: _Key) -> int:
    return rows.setdefault(key, len(rows))


def _collateral(
    model: ScenarioModel,
    table: Table,
    pools: Pools,
    units: dict[tuple[int, int, int], int],
) -> tuple[list[int], list[int]]:
    # Collateral that the model names, and where balances move every asset but the pool's own currency.
    named = {member.asset: member.moves_with for member in model.collateral}
    places = {asset: row for row, asset in enumerate(table.assets)}
    buckets, moved = [], []
    for bucket, (pool, asset) in enumerate(
        zip(pools.bucket_pool.tolist(), pools.bucket_asset.tolist(), strict=True)
    ):
        name = table.assets[asset]
        moves_all = model.collateral_moves and asset != pools.currency[pool] and name not in named
        if not (moves_all or name in named):
            continue
        follows = name if moves_all else named[name]
        buckets.append(bucket)
        if follows is None:
            moved.append(-1)
            continue
        settled = asset if model.unit is UnitOf.UNDERLYING_AND_SETTLEMENT else -1
        moved.append(_row(units, (pool, places[follows], settled)))
    return buckets, moved


@final
@dataclass(frozen=True, slots=True)
class Part:
    """Some units, counted anew, and the rows of the whole that are theirs."""

    units: Units
    member: I64
    bucket: I64


def part_of(units: Units, chosen: I64) -> Part:
    """Some units with everything that is theirs; buckets that follow no unit stay out.

    Parameters
    ----------
    units : Units
        The whole.
    chosen : (U',) ndarray of int
        Rows of units, ascending.
    """
    unit_at = _places(chosen, len(units.unit_pool))
    expiry = np.flatnonzero(unit_at[units.expiry_unit] >= 0)
    expiry_at = _places(expiry, len(units.expiry_unit))
    member = np.flatnonzero(expiry_at[units.expiry] >= 0)
    strike = np.flatnonzero(expiry_at[units.strike_expiry] >= 0)
    strike_at = _places(strike, len(units.strike_expiry))
    bucket = np.flatnonzero(units.bucket_unit >= 0)
    bucket = bucket[unit_at[units.bucket_unit[bucket]] >= 0]
    own_strike = units.strike[member]
    own_strike[own_strike >= 0] = strike_at[own_strike[own_strike >= 0]]
    part = Units(
        units.position[member],
        units.order[member],
        units.pool[member],
        units.instrument[member],
        units.is_option[member],
        expiry_at[units.expiry[member]],
        own_strike,
        unit_at[units.expiry_unit[expiry]],
        units.expiry_years[expiry],
        expiry_at[units.strike_expiry[strike]],
        units.unit_pool[chosen],
        units.unit_base[chosen],
        units.unit_instrument[chosen],
        units.bucket[bucket],
        unit_at[units.bucket_unit[bucket]],
    )
    return Part(part, member, bucket)


def _places(chosen: I64, count: int) -> I64:
    places = np.full(count, -1, dtype=np.int64)
    places[chosen] = np.arange(len(chosen))
    return places
