"""At which prices an account is liquidated: the set of them, in every pool, along every underlying.

Here: what is answered (`bounds`), along which prices (`direction`), where the excess may bend
(`breakpoints`), formulas (`closed_form`), the search that judges them (`search`), what asks most there (`binding`),
one pool put together (`pool`) and the nearest joint move (`joint`). What is closed then, and how much: `portions`, `step_down`,
`dutch_auction`; who is deleveraged: `deleverage`. May import: `margin` and below. Start reading at `pool`.
Letters: S scenarios, A assets, K pools, P positions.

All pools at once: prices as columns (`many`, with `many_search`, `many_breaks`, `many_closed`, `own_prices`), and how fast what decides a
status can change (`steepness`, with `steep_parts`, `steep_charges`, `steep_scenarios`).
"""

from dataclasses import replace

from margrave.domain.account import Account
from margrave.domain.book import book_of
from margrave.domain.market import Market
from margrave.liquidation.bounds import COMMON_FACTOR, Bound, JointMove, NoBound, PoolLiquidation
from margrave.liquidation.direction import Direction, direction_of, directions_of, underlyings_of
from margrave.liquidation.joint import joint_move
from margrave.liquidation.pool import liquidation_along
from margrave.margin.pooled import Prepared, prepare
from margrave.margin.pools import pool_name
from margrave.rulebook.schema import Rulebook

__all__ = [
    "COMMON_FACTOR",
    "Bound",
    "JointMove",
    "NoBound",
    "PoolLiquidation",
    "liquidations",
    "liquidations_of",
]


def liquidations(
    account: Account, market: Market, rulebook: Rulebook, along: str | None = None
) -> tuple[PoolLiquidation, ...]:
    """Liquidation and bankruptcy prices of every pool of an account.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation.
    along : str, optional
        An asset whose price moves by itself, or `COMMON_FACTOR`. By default a pool's only underlying, or the
        common factor of several with every underlying in ``each`` and the nearest joint move in ``joint``.

    Returns
    -------
    tuple of PoolLiquidation
        One a pool, in the order of the pools of an assessment.
    """
    return liquidations_of(prepare(book_of((account,)), market, rulebook), along)


def liquidations_of(prepared: Prepared, along: str | None = None) -> tuple[PoolLiquidation, ...]:
    """`liquidations` of a book that is prepared already."""
    return tuple(_pool(prepared, pool, along) for pool in range(len(prepared.pools.account)))


def _pool(prepared: Prepared, pool: int, along: str | None) -> PoolLiquidation:
    if along is not None:
        return _stated(prepared, pool, along)
    directions = directions_of(prepared, pool)
    if not directions:
        reason = NoBound.UNKNOWN if pool in prepared.issues else NoBound.NO_POSITION
        return PoolLiquidation(
            pool_name(prepared.pools, prepared.table, prepared.book, pool), COMMON_FACTOR, (), reason, ()
        )
    found = [liquidation_along(prepared, direction) for direction in directions]
    if len(found) == 1:
        return found[0]
    return replace(found[0], each=tuple(found[1:]), joint=_joint(prepared, directions[0], found))


def _stated(prepared: Prepared, pool: int, along: str) -> PoolLiquidation:
    if along == COMMON_FACTOR:
        assets = underlyings_of(prepared, pool)
    else:
        assets = tuple(a for a, name in enumerate(prepared.table.assets) if name == along)
    if not assets:
        reason = NoBound.NO_POSITION if along == COMMON_FACTOR else NoBound.NOT_MOVED
        return PoolLiquidation(
            pool_name(prepared.pools, prepared.table, prepared.book, pool), along, (), reason, ()
        )
    return liquidation_along(prepared, direction_of(prepared, pool, assets, along))


def _joint(prepared: Prepared, common: Direction, found: list[PoolLiquidation]) -> JointMove | None:
    if found[0].reason in (NoBound.UNKNOWN, NoBound.ALREADY, NoBound.NO_POSITION):
        return None
    starts = tuple(
        (place, single.bounds[0].factor) for place, single in enumerate(found[1:]) if single.bounds
    )
    return joint_move(prepared, common.pool, common.assets, starts)
