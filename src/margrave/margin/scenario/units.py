"""Risk units of a pool: what offsets in full, and inside it expiries and strikes (the runs that charges are made of)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.domain.book import Book
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.groups import first_seen
from margrave.margin.plan import Plan, product_row
from margrave.margin.pools import Pools
from margrave.rulebook.portfolio import ScenarioModel, UnitOf
from margrave.rulebook.schema import PortfolioMember, Rulebook
from margrave.valuation.table import Table


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
    position = np.flatnonzero(_margined_together(plan, table, book.instrument))
    order = np.flatnonzero(_margined_together(plan, table, book.order_instrument) & ~book.order_reduces)
    return Members(
        np.concatenate((position, np.full(len(order), -1, dtype=np.int64))),
        np.concatenate((np.full(len(position), -1, dtype=np.int64), order)),
        np.concatenate((pools.position_pool[position], pools.order_pool[order])),
        np.concatenate((book.instrument[position], book.order_instrument[order])),
    )


def _margined_together(plan: Plan, table: Table, instrument: I64) -> Bools:
    first, kind = first_seen(instrument)
    products = plan.rulebook.products
    seen = [table.instruments[row] for row in instrument[first].tolist()]
    rows = [-1 if i is None else product_row(plan, i) for i in seen]
    member = [r >= 0 and isinstance(products[r].model, PortfolioMember) for r in rows]
    return np.array(member, dtype=np.bool_)[kind]


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
    in_pool, at = members.pool, members.instrument
    assets = len(table.assets)
    by_settlement = model.unit is UnitOf.UNDERLYING_AND_SETTLEMENT
    bucket, base, settled = _collateral(model, table, pools)
    moves = base >= 0
    own = table.settlement[at] if by_settlement else np.full(len(at), -1)
    # Units of contracts first, in the order of the contracts; then those of collateral alone.
    pool_of = np.concatenate((in_pool, pools.bucket_pool[bucket[moves]]))
    base_of = np.concatenate((table.base[at], base[moves]))
    settles = np.concatenate((own, settled[moves])) if by_settlement else np.full(len(pool_of), -1)
    row, unit_of = first_seen((pool_of * assets + base_of) * (assets + 1) + settles + 1)
    unit = unit_of[: len(at)]
    dates, date = np.unique(table.years, return_inverse=True)
    expiry_row, expiry = first_seen(unit * len(dates) + date[at])
    options = np.flatnonzero(table.is_option[at])
    strikes, strike_at = np.unique(table.strike, return_inverse=True)
    strike_row, own_strike = first_seen(expiry[options] * len(strikes) + strike_at[at[options]])
    strike = np.full(len(at), -1, dtype=np.int64)
    strike[options] = own_strike
    bucket_unit = np.full(len(bucket), -1, dtype=np.int64)
    bucket_unit[moves] = unit_of[len(at) :]
    return Units(
        members.position,
        members.order,
        in_pool,
        at,
        table.is_option[at],
        expiry,
        strike,
        unit[expiry_row],
        table.years[at[expiry_row]],
        expiry[options[strike_row]],
        pool_of[row],
        base_of[row],
        np.where(row < len(at), at[np.minimum(row, len(at) - 1)], -1) if len(at) else np.full(len(row), -1),
        bucket,
        bucket_unit,
    )


def _collateral(model: ScenarioModel, table: Table, pools: Pools) -> tuple[I64, I64, I64]:
    # Buckets that the model names, and where balances move those of every asset but the pool's own currency; what
    # each moves with, -1 where nothing; and the asset that such a unit settles in.
    named = {member.asset: member.moves_with for member in model.collateral}
    places = {asset: row for row, asset in enumerate(table.assets)}
    follows = np.array(
        [
            -1 if (to := named.get(name, name)) is None else places[to]
            for row, name in enumerate(table.assets)
        ],
        dtype=np.int64,
    )
    listed = np.array([name in named for name in table.assets], dtype=np.bool_)[pools.bucket_asset]
    foreign = pools.bucket_asset != pools.currency[pools.bucket_pool]
    bucket = np.flatnonzero(listed | (foreign & model.collateral_moves))
    asset = pools.bucket_asset[bucket]
    return bucket, follows[asset], asset


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
    bucket = np.flatnonzero(units.bucket_unit >= 0)
    return _part(units, chosen, bucket[unit_at[units.bucket_unit[bucket]] >= 0])


def part_in(units: Units, pools: Pools, wanted: Bools) -> Part:
    """Everything of some pools, buckets that follow no unit too.

    Parameters
    ----------
    units, pools : Units, Pools
        The whole.
    wanted : (K,) ndarray of bool
        Which pools.
    """
    bucket = np.flatnonzero(wanted[pools.bucket_pool[units.bucket]])
    return _part(units, np.flatnonzero(wanted[units.unit_pool]), bucket)


def _part(units: Units, chosen: I64, bucket: I64) -> Part:
    unit_at = _places(chosen, len(units.unit_pool))
    expiry = np.flatnonzero(unit_at[units.expiry_unit] >= 0)
    expiry_at = _places(expiry, len(units.expiry_unit))
    member = np.flatnonzero(expiry_at[units.expiry] >= 0)
    strike = np.flatnonzero(expiry_at[units.strike_expiry] >= 0)
    strike_at = _places(strike, len(units.strike_expiry))
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
        np.append(unit_at, -1)[units.bucket_unit[bucket]],
    )
    return Part(part, member, bucket)


def _places(chosen: I64, count: int) -> I64:
    places = np.full(count, -1, dtype=np.int64)
    places[chosen] = np.arange(len(chosen))
    return places
