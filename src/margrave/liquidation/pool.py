"""The liquidation and bankruptcy prices of one pool along one direction."""

from dataclasses import replace

import numpy as np

from margrave.core.rounding import Direction as Rounding
from margrave.core.rounding import Step, round_to
from margrave.core.words import MAINTENANCE
from margrave.kernels.arrays import F64
from margrave.liquidation.binding import binding
from margrave.liquidation.bounds import Bound, Method, NoBound, PoolLiquidation, Side, daily_sigma
from margrave.liquidation.breakpoints import Break, breaks_of, nearest_break, places
from margrave.liquidation.closed_form import proposals
from margrave.liquidation.direction import Direction, Excess, factors, pooled_at, positions_of, slack_of
from margrave.liquidation.search import FACTOR_MAX, FACTOR_MIN, known_stretch, sign_changes
from margrave.margin.pooled import Prepared
from margrave.margin.pools import pool_name
from margrave.rulebook.schema import Roundings

_AGREES = 1e-9  # relative: a formula this near to the evaluator's root is the better number


def liquidation_along(prepared: Prepared, direction: Direction) -> PoolLiquidation:
    """Where a pool is liquidatable, and where its equity is zero, along a direction.

    Parameters
    ----------
    prepared : Prepared
        Book, market and rules.
    direction : Direction
        Pool and assets that move.

    Returns
    -------
    PoolLiquidation
        Bounds are empty where the reason says why; the set itself stands in ``liquidatable`` even then.
    """
    reason = _no_search(prepared, direction)
    if reason is not None:
        return _none(prepared, direction, reason)
    excess, equity = (_judged(Excess(prepared, direction, level)) for level in (MAINTENANCE, None))
    if not np.isfinite(excess(np.array([1.0, 0.5, 2.0]))).all():
        return _none(prepared, direction, NoBound.UNKNOWN)
    breaks = breaks_of(prepared, direction)
    broken = _bounds(prepared, direction, equity, breaks)
    found = _bounds(prepared, direction, excess, breaks)
    at = np.array(sorted(b.factor for b in found))
    inside = tuple((low * direction.price, high * direction.price) for low, high in _intervals(excess, at))
    bounds = tuple(_with_bankruptcy(b, broken) for b in found)
    if float(excess(np.ones(1))[0]) < 0.0:
        return _answer(prepared, direction, (), broken, inside, NoBound.ALREADY)
    return _answer(
        prepared, direction, bounds, broken, inside, None if bounds else _never(prepared, direction)
    )


def _judged(excess: Excess) -> Excess:
    return replace(excess, slack=float(slack_of(excess(np.ones(1)))[0]))


def _no_search(prepared: Prepared, direction: Direction) -> NoBound | None:
    if direction.pool in prepared.issues:
        return NoBound.UNKNOWN
    if positions_of(prepared, direction.pool).size == 0:
        return NoBound.NO_POSITION
    return None


def _none(prepared: Prepared, direction: Direction, reason: NoBound) -> PoolLiquidation:
    return _answer(prepared, direction, (), (), (), reason)


def _answer(
    prepared: Prepared,
    direction: Direction,
    bounds: tuple[Bound, ...],
    bankruptcy: tuple[Bound, ...],
    inside: tuple[tuple[float, float], ...],
    reason: NoBound | None,
) -> PoolLiquidation:
    name = pool_name(prepared.pools, prepared.table, prepared.book, direction.pool)
    return PoolLiquidation(name, direction.name, bounds, reason, bankruptcy, direction.instrument, inside)


def _bounds(
    prepared: Prepared, direction: Direction, excess: Excess, breaks: tuple[Break, ...]
) -> tuple[Bound, ...]:
    formula = proposals(prepared, direction, breaks, excess.level)
    proposed = np.array([f for f, _ in formula])
    found = sign_changes(excess, places(breaks), proposed)
    if found.size == 0:
        return ()
    told = _what_binds(prepared, direction, found, excess, breaks)
    bounds = []
    for factor, what in zip(found.tolist(), told, strict=True):
        near = [(f, how) for f, how in formula if abs(f / factor - 1.0) <= _AGREES]
        best, how = min(near, key=lambda pair: abs(pair[0] / factor - 1.0)) if near else (factor, "root")
        bounds.append(_bound(prepared, direction, best, what, how))
    return _nearest_first(bounds)


def _bound(prepared: Prepared, direction: Direction, factor: float, what: str, how: str) -> Bound:
    method: Method = "closed form" if how == "closed form" else "Lambert W" if how == "Lambert W" else "root"
    side: Side = "down" if factor < 1.0 else "up"
    exact = direction.price * factor
    price = rounded(exact, side, direction.tick, prepared.rulebook.rounding)
    sigma, touch = daily_sigma(factor, direction.vol)
    return Bound(side, price, exact, factor, price / direction.price - 1.0, sigma, touch, what, method)


def rounded(price: float, side: Side, tick: float | None, rule: Roundings) -> float:
    """Move a liquidation price onto the venue's grid.

    Parameters
    ----------
    price : float
        Exact price.
    side : {"down", "up"}
        Whether it lies below or above the price now.
    tick : float, optional
        Grid of the instrument; the rulebook's own step where it has none.
    rule : Roundings
        Toward earlier liquidation is up for a bound below and down for one above; a direction that the
        rulebook states goes before.

    Returns
    -------
    float
        The exact price where the venue does not round or has no grid.
    """
    step = tick if tick is not None else rule.price_step
    if step is None or not (rule.price_to_earlier or rule.price_direction is not None):
        return price
    earlier = Rounding.UP if side == "down" else Rounding.DOWN
    return round_to(price, Step(step, rule.price_direction or earlier))


def _nearest_first(bounds: list[Bound]) -> tuple[Bound, ...]:
    # Nearest below, nearest above, then the rest by distance.
    by_distance = sorted(bounds, key=lambda b: abs(np.log(b.factor)))
    first = [next((b for b in by_distance if b.side == side), None) for side in ("down", "up")]
    nearest = [b for b in first if b is not None]
    return (*nearest, *(b for b in by_distance if b not in nearest))


def _with_bankruptcy(bound: Bound, broken: tuple[Bound, ...]) -> Bound:
    beyond = [
        b for b in broken if (b.factor <= bound.factor if bound.side == "down" else b.factor >= bound.factor)
    ]
    beyond = [b for b in beyond if b.side == bound.side]
    price = min(beyond, key=lambda b: abs(np.log(b.factor / bound.factor))).exact if beyond else None
    return Bound(
        bound.side,
        bound.price,
        bound.exact,
        bound.factor,
        bound.distance,
        bound.sigma,
        bound.touch_probability,
        bound.binds,
        bound.method,
        price,
    )


def _intervals(excess: Excess, at: F64) -> list[tuple[float, float]]:
    # Stretches between crossings are probed once each: the set of factors at which the pool is liquidatable.
    if at.size == 0:
        return [known_stretch(excess)] if float(excess(np.ones(1))[0]) < 0.0 else []
    least, most = 0.0, float("inf")
    if not np.isfinite(excess(np.array([FACTOR_MIN, FACTOR_MAX]))).all():
        least, most = known_stretch(excess)
    first, last = max(at[0] * 0.5, np.sqrt(at[0] * least)), min(at[-1] * 2.0, np.sqrt(at[-1] * most))
    below = (excess(np.concatenate([[first], np.sqrt(at[1:] * at[:-1]), [last]])) < 0.0).tolist()
    ends = [least, *at.tolist(), most]
    return [(low, high) for low, high, is_below in zip(ends, ends[1:], below, strict=False) if is_below]


def _what_binds(
    prepared: Prepared, direction: Direction, found: F64, excess: Excess, breaks: tuple[Break, ...]
) -> list[str]:
    pooled = pooled_at(prepared, factors(prepared, direction, found))
    left = excess(found)
    scale = np.abs(pooled.margin_balance[: found.size, direction.pool]) + np.abs(
        pooled.maintenance[: found.size, direction.pool]
    )
    told = []
    for s, factor in enumerate(found.tolist()):
        jump = nearest_break(breaks, factor)
        if jump and abs(left[s]) > _AGREES * float(scale[s]):
            told.append(f"jump at the {jump}")
        else:
            told.append("equity" if excess.level is None else binding(prepared, direction, pooled, s, factor))
    return told


def _never(prepared: Prepared, direction: Direction) -> NoBound:
    table, book = prepared.table, prepared.book
    rows = positions_of(prepared, direction.pool)
    moved = np.isin(table.base[book.instrument[rows]], direction.assets)
    if not moved.any() and not _collateral_moves(prepared, direction):
        return NoBound.NOT_MOVED
    if (book.quantity[rows] > 0.0).all():
        return NoBound.LONGS_ONLY
    if (book.quantity[rows] < 0.0).all():
        return NoBound.COVERED_SHORT
    return NoBound.NEVER


def _collateral_moves(prepared: Prepared, direction: Direction) -> bool:
    pools = prepared.pools
    held = pools.bucket_asset[(pools.bucket_pool == direction.pool) & (pools.bucket_balance != 0.0)]
    return (
        bool(np.isin(held, direction.assets).any())
        and int(pools.currency[direction.pool]) not in direction.assets
    )
