"""Members of many pools and the contracts that they hold: a contract is valued once, whoever holds it.

Columns stand row of prices by row of prices. A group is what one pool holds of one commodity or class; sums go over a
group's members in their order, so that a pool in a book has the digits that it has alone.
"""

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.groups import first_seen
from margrave.margin.clearing.held import Held, contracts_of, table_vols
from margrave.margin.pool_view import PoolColumns
from margrave.margin.pools import grouped_sum


@final
@dataclass(frozen=True, slots=True)
class Members:
    """Members of V pools in S rows of prices, and one long contract of each thing that they hold."""

    rows: int  # S
    pools: int  # V
    contract: Held  # (S u,)
    each: int  # u
    owner: I64  # (n,) pool of each member, ascending
    unit: I64  # (n,) contract of each member, 0 to u - 1
    quantity: F64  # (n,)


@final
@dataclass(frozen=True, slots=True)
class Groups:
    """What pools hold of each part of a rulebook, in S rows of prices, (S G,): pools in order, parts in the rules'."""

    count: int  # S G
    pool: I64  # (S G,) 0 to S V - 1
    part: I64  # (S G,) place among the rulebook's commodities or classes
    member: I64  # (m,) row of a member that has a part; these times S are the columns that are summed
    contract: I64  # (S m,) contract of each in its row of prices
    quantity: F64  # (S m,)
    group: I64  # (S m,)

    def total(self, values: F64) -> F64:
        """Sum members into groups, (..., S m) to (..., S G)."""
        flat = grouped_sum(np.atleast_2d(values), self.group, self.count)
        return flat if values.ndim == 2 else flat[0]


def members_of(columns: PoolColumns) -> Members:
    """Members of the pools of a book."""
    table = columns.table
    currency = columns.currency[columns.owner]
    first, unit = first_seen(columns.instrument * len(table.assets) + currency)
    contract = contracts_of(
        table,
        columns.priced,
        columns.instrument[first],
        currency[first],
        columns.market.at,
        table_vols(table) if columns.vols is None else columns.vols,
    )
    rows = len(columns.priced.mark)
    return Members(rows, len(columns.pool), contract, len(first), columns.owner, unit, columns.quantity)


def alone(held: Held) -> Members:
    """Positions of one pool in one row of prices, each a contract of its own."""
    count = len(held.quantity)
    contract = replace(held, quantity=np.ones(count))
    return Members(1, 1, contract, count, np.zeros(count, dtype=np.int64), np.arange(count), held.quantity)


def grouped_by(members: Members, part: I64, parts: int) -> Groups:
    """Group members by the part of the rulebook that each contract belongs to, (u,); -1 is left out."""
    mine = part[members.unit]
    member = np.flatnonzero(mine >= 0)
    key, group = np.unique(members.owner[member] * parts + mine[member], return_inverse=True)
    row = np.arange(members.rows)[:, None]
    return Groups(
        members.rows * len(key),
        (row * members.pools + key // parts).ravel(),
        np.tile(key % parts, members.rows),
        member,
        (row * members.each + members.unit[member]).ravel(),
        np.tile(members.quantity[member], members.rows),
        (row * len(key) + group).ravel(),
    )


def pools_with(members: Members, fault: Bools) -> Bools:
    """Pools that hold a contract with a fault in the first row of prices, (V,)."""
    out = np.zeros(members.pools, dtype=np.bool_)
    out[members.owner[fault[members.unit]]] = True
    return out


def in_pools(members: Members, groups: Groups, asked: F64, part: I64) -> F64:
    """Sum of groups in their pools, (S, V); NaN where a pool holds what belongs to no part, (u,)."""
    total = np.bincount(groups.pool, weights=asked, minlength=members.rows * members.pools)
    unknown = np.where(pools_with(members, part < 0), np.nan, 0.0)
    return np.asarray(total.reshape(members.rows, members.pools) + unknown)
