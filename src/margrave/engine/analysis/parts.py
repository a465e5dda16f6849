"""What parts of an account ask by themselves: the same collateral, rules and market, other positions.

Offset, contributions and optimisation ask the one calculation the same question about many sets of positions.
Here it is asked in blocks, so that any number of sets needs a bounded size of memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from margrave.domain.account import Account, Position
from margrave.domain.book import book_of
from margrave.domain.market import Market
from margrave.engine.assess import assess
from margrave.engine.assessment import PoolAssessment
from margrave.kernels.arrays import F64, I64
from margrave.liquidation.direction import pooled_at
from margrave.margin.pooled import Pooled, Prepared, evaluate, prepare
from margrave.rulebook.schema import Rulebook

_BLOCK = 1_000  # sets of positions that are assessed at a time


@final
@dataclass(frozen=True, slots=True)
class PoolPart:
    """A pool that can be valued and holds something, with its own positions."""

    name: str
    currency: str
    positions: tuple[Position, ...]


def pools_with_positions(account: Account, market: Market, rulebook: Rulebook) -> tuple[PoolPart, ...]:
    """Pools of an account that hold positions and can be valued, in the order of its assessment."""
    prepared = prepare(book_of((account,)), market, rulebook)
    held: dict[int, list[Position]] = {}
    for position, pool in zip(account.positions, prepared.pools.position_pool.tolist(), strict=True):
        if position.quantity:
            held.setdefault(pool, []).append(position)
    pools: tuple[PoolAssessment, ...] = assess(account, market, rulebook).pools
    return tuple(
        PoolPart(pool.name, pool.currency, tuple(held[k]))
        for k, pool in enumerate(pools)
        if k in held and not pool.issues
    )


def required(
    account: Account,
    market: Market,
    rulebook: Rulebook,
    parts: Sequence[tuple[Position, ...]],
    is_rounded: bool = True,
) -> tuple[F64, F64]:
    """Requirement of each set of positions, with the balances and memory of the account and without its orders.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation.
    parts : sequence of tuple of Position
        Sets of positions, each of one pool.
    is_rounded : bool
        Whether the venue's rounding of margins is applied; slopes need it left out.

    Returns
    -------
    initial, maintenance : (n,) ndarray
        In the currency of the pool that a set is in; zero for an empty set.
    """
    initial, maintenance = np.zeros(len(parts)), np.zeros(len(parts))
    filled = [n for n, part in enumerate(parts) if part]
    for start in range(0, len(filled), _BLOCK):
        rows = filled[start : start + _BLOCK]
        accounts = [replace(account, positions=parts[n], orders=()) for n in rows]
        prepared = prepare(book_of(accounts), market, rulebook)
        pooled = evaluate(prepared) if is_rounded else _unrounded(prepared)
        pool = pool_of_each(prepared)
        initial[rows], maintenance[rows] = pooled.initial[0, pool], pooled.maintenance[0, pool]
    return initial, maintenance


def pool_of_each(prepared: Prepared) -> I64:
    """Pool of the first position of every account; every account holds one."""
    first = np.searchsorted(prepared.book.account, np.arange(len(prepared.book.names)))
    return prepared.pools.position_pool[first]


def _unrounded(prepared: Prepared) -> Pooled:
    return pooled_at(prepared, np.ones((1, len(prepared.table.assets))))
