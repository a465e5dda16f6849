"""Where orders fill and on what margin is asked: the path, the venue's own impact, and the mark that is made of both.

Each instrument has a pressure: flow that its market has not forgotten. A law turns it into a log move of the underlying, and
the moves of all instruments on one underlying add up.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, assert_never, final

import numpy as np

from margrave.core.errors import Reason, invalid, refused
from margrave.domain.checks import PRICE_MAX, PRICE_MIN
from margrave.domain.instruments import Perpetual, expiry_of
from margrave.domain.market import Market, Quote
from margrave.engine.simulation.path import Path
from margrave.engine.simulation.settings import (
    AverageMark,
    IndexMark,
    LastMark,
    Liquidity,
    MarkRule,
    MedianMark,
    Recorded,
    Settings,
)
from margrave.kernels.arrays import F64, Bools
from margrave.kernels.impact import decayed, emptied, refilled
from margrave.valuation.scenarios import bounded_marks, model_worth, moved_forward, vol_at_mark
from margrave.valuation.table import Table

MOVE_MAX: Final = 6.9
"""Log move by the venue's own flow beyond which a price has run away: a thousandth, or a thousand times, of the path's."""


@final
@dataclass(frozen=True, slots=True)
class World:
    """What the path and the settings say of prices, once for the run."""

    market: Market  # at the start; instruments and quotes of the book alone
    table: Table  # of the start
    symbols: tuple[str, ...]
    seconds: F64  # (T,)
    factor: F64  # (T, N) what the path multiplies each index price by
    markets: tuple[Liquidity | Recorded | None, ...]  # (I,)
    rule: MarkRule
    index_share: float
    slippage: float


@final
@dataclass(frozen=True, slots=True)
class Pressure:
    """What earlier flow has left, (I,), and the average premium, (N,)."""

    step: int
    lasting: F64  # [depths; contracts where the book is recorded] signed, bought > 0
    fading: F64
    depth: F64  # [contracts] that stands now
    premium: F64  # [fraction of the index], averaged


@final
@dataclass(frozen=True, slots=True)
class Prices:
    """Multiples of the opening prices, (N,); and how far orders of the flow that led here were off on average."""

    last: F64
    mark: F64
    index: F64


def world_of(market: Market, table: Table, symbols: tuple[str, ...], path: Path, settings: Settings) -> World:
    """Put path, settings and opening market into rows of the table.

    Raises
    ------
    InvalidInputError
        The path moves an asset that the market has no index price for, or recorded rows are not as many as steps.
    RefusedError
        An instrument expires on the path: settle it first.
    """
    factor = np.ones((path.count, len(table.assets)))
    for asset, prices in path.prices.items():
        start = market.index_of(asset)
        if start is None or asset not in table.assets:
            raise invalid(
                f"path.{asset}", Reason.MISSING_INDEX, "is no asset of the book with an index price; add it"
            )
        factor[:, table.assets.index(asset)] = np.asarray(prices) / start
    end = market.at + timedelta(seconds=float(path.seconds[-1]))
    for symbol in symbols:
        expiry = expiry_of(market.instruments[symbol])
        if expiry is not None and expiry < end:
            raise refused(
                symbol, Reason.UNSUPPORTED, "expires on the path; settle it, or end the path before"
            )
    for symbol, told in settings.liquidity.items():
        rows = (
            [len(np.asarray(rows)) for rows in (told.bids, told.asks)] if isinstance(told, Recorded) else []
        )
        if any(count != path.count for count in rows):
            raise invalid(
                f"liquidity.{symbol}",
                Reason.INVALID_VALUE,
                f"has {rows} rows; the path has {path.count} steps",
            )
    used = {symbol: market.instruments[symbol] for symbol in symbols}
    own = replace(market, instruments=used, quotes={symbol: market.quotes[symbol] for symbol in symbols})
    markets = tuple(settings.liquidity.get(symbol) for symbol in symbols)
    return World(
        own, table, symbols, np.asarray(path.seconds, dtype=np.float64), factor, markets,
        settings.mark, settings.index_share, settings.costs.slippage,
    )  # fmt: skip


def at_rest(world: World) -> Pressure:
    """Before any flow."""
    count = len(world.symbols)
    depth = np.array([m.depth.contracts if isinstance(m, Liquidity) else np.inf for m in world.markets])
    return Pressure(0, np.zeros(count), np.zeros(count), depth, np.zeros(len(world.table.assets)))


def rested(world: World, pressure: Pressure, step: int) -> Pressure:
    """Pressure at the beginning of a step: what fades has faded, books have filled up, the average premium has moved."""
    elapsed = float(world.seconds[step] - (world.seconds[step - 1] if step else 0.0))
    fading, depth = pressure.fading.copy(), pressure.depth.copy()
    for row, told in enumerate(world.markets):
        if told is None:
            continue
        if isinstance(told, Recorded):
            life = told.half_life_seconds
            fading[row] = 0.0 if life is None else decayed(fading[row], elapsed, life)
            continue
        if told.impact.half_life_seconds is not None:
            fading[row] = decayed(fading[row], elapsed, told.impact.half_life_seconds)
        if told.depth.refill_seconds is not None:
            depth[row] = refilled(depth[row], told.depth.contracts, elapsed, told.depth.refill_seconds)
    after = replace(pressure, step=step, fading=fading, depth=depth)
    if isinstance(world.rule, AverageMark | MedianMark):
        last, index = _last_and_index(world, after)
        gap = pressure.premium - (last / index - 1.0)
        after = replace(
            after, premium=last / index - 1.0 + decayed(gap, elapsed, world.rule.half_life_seconds)
        )
    return after


def pressed(world: World, pressure: Pressure, flow: F64) -> Pressure:
    """Pressure after signed contracts, (I,), were traded."""
    lasting, fading, depth = pressure.lasting.copy(), pressure.fading.copy(), pressure.depth.copy()
    for row in np.flatnonzero(flow).tolist():
        told = world.markets[row]
        if told is None:
            continue
        if isinstance(told, Recorded):
            fading[row] += flow[row]
            continue
        added = flow[row] / depth[row]
        stays = 1.0 if told.impact.half_life_seconds is None else told.impact.permanent
        lasting[row] += stays * added
        fading[row] += (1.0 - stays) * added
        least = told.depth.least * told.depth.contracts
        depth[row] = max(float(emptied(depth[row], told.depth.emptied * flow[row])), least)
    return replace(pressure, lasting=lasting, fading=fading, depth=depth)


def _law(told: Liquidity | Recorded, step: int, pressure: float) -> tuple[float, float]:
    # Log move at a pressure, and its integral from zero: both odd or even in the sign.
    size, sign = abs(pressure), 1.0 if pressure >= 0 else -1.0
    if isinstance(told, Liquidity):
        k, power = told.impact.coefficient, told.impact.exponent
        return sign * k * size**power, k * size ** (power + 1.0) / (power + 1.0)
    rows = np.asarray(told.asks if pressure >= 0 else told.bids)[step]
    upto = np.concatenate(([0.0], np.cumsum(rows)))
    far = np.concatenate(([0.0], np.asarray(told.offset)))
    held = np.concatenate(([True], rows > 0.0))
    upto, far = upto[held], far[held]
    if size > upto[-1]:
        upto, far = np.append(upto, size), np.append(far, far[-1] * size / upto[-1])
    knots = np.log1p(sign * np.minimum(far, 1.0 - 1e-9) if sign < 0 else far)
    at = float(np.interp(size, upto, knots))
    inside = upto < size
    x, y = np.append(upto[inside], size), np.append(knots[inside], at)
    return at, sign * float(np.trapezoid(y, x))


def moves(world: World, pressure: Pressure) -> F64:
    """Log move of each asset that the pressure makes, (N,); beyond every range of prices it is held."""
    total = np.zeros(len(world.table.assets))
    for row, told in enumerate(world.markets):
        if told is not None:
            at, _ = _law(told, pressure.step, float(pressure.lasting[row] + pressure.fading[row]))
            total[world.table.base[row]] += at
    return np.clip(total, -MOVE_MAX, MOVE_MAX)


def mean_moves(world: World, before: Pressure, after: Pressure) -> F64:
    """Log move at which the flow between two pressures filled on average, (N,)."""
    total = np.zeros(len(world.table.assets))
    for row, told in enumerate(world.markets):
        if told is None:
            continue
        one = float(before.lasting[row] + before.fading[row])
        two = float(after.lasting[row] + after.fading[row])
        at, area = _law(told, before.step, one)
        _, area_two = _law(told, before.step, two)
        total[world.table.base[row]] += at if two == one else (area_two - area) / (two - one)
    return np.clip(total, -MOVE_MAX, MOVE_MAX)


def _last_and_index(world: World, pressure: Pressure) -> tuple[F64, F64]:
    move, outside = moves(world, pressure), world.factor[pressure.step]
    return outside * np.exp(move), outside * np.exp(world.index_share * move)


def prices_of(world: World, pressure: Pressure) -> Prices:
    """Last, mark and index of every asset as multiples of the opening, (N,)."""
    last, index = _last_and_index(world, pressure)
    match world.rule:
        case LastMark():
            mark = last
        case IndexMark():
            mark = index
        case AverageMark(bound=bound):
            mark = index * (1.0 + np.clip(pressure.premium, -bound, bound))
        case MedianMark(bound=bound):
            three = np.array([last, index, index * (1.0 + pressure.premium)])
            mark = np.clip(np.median(three, axis=0), index * max(1.0 - bound, 0.0), index * (1.0 + bound))
        case unknown:
            assert_never(unknown)
    return Prices(last, mark, index)


def instrument_prices(world: World, factor: F64, seconds: float) -> tuple[F64, F64]:
    """Price and forward of every instrument where assets are multiples of the opening, (I,) each.

    Parameters
    ----------
    world : World
        Opening prices.
    factor : (N,) ndarray
        Of each asset.
    seconds : float
        Since the opening: options lose time value, at the vol of the opening.
    """
    table = world.table
    move = factor[table.base] / factor[table.quote]
    price, forward = table.mark * move, np.where(table.is_option, table.forward, table.index) * move
    options = np.flatnonzero(table.is_option)
    if options.size and (seconds > 0.0 or bool((move[options] != 1.0).any())):
        vol = vol_at_mark(table, options)
        later = replace(table, years=np.maximum(table.years - seconds / (365.0 * 86_400.0), 0.0))
        moved = moved_forward(table.forward[options], table.averaged[options], move[options])
        shift = model_worth(later, options, moved, vol) - model_worth(
            table, options, table.forward[options], vol
        )
        price[options] = bounded_marks(table, options, table.mark[options], shift)
        forward[options] = moved
    return price, forward


def fill_prices(world: World, before: Pressure, after: Pressure) -> F64:
    """Price of every instrument at which the flow between two pressures fills on average, (I,), before slippage."""
    factor = world.factor[before.step] * np.exp(mean_moves(world, before, after))
    return instrument_prices(world, factor, float(world.seconds[before.step]))[0]


def in_range(world: World, pressure: Pressure) -> bool:
    """Whether a pressure leaves every instrument and asset at what can be a price."""
    if bool((np.abs(moves(world, pressure)) >= MOVE_MAX).any()):
        return False
    prices, seconds = prices_of(world, pressure), float(world.seconds[pressure.step])
    for factor in (prices.last, prices.mark):
        price, forward = instrument_prices(world, factor, seconds)
        firm = ~world.table.is_option
        if not (_good(price[firm]) and _good(forward) and bool(np.isfinite(price).all())):
            return False
    known = ~np.isnan(world.table.asset_price)
    return _good((world.table.asset_price * prices.index)[known])


def _good(price: F64) -> bool:
    return bool(((price >= PRICE_MIN) & (price <= PRICE_MAX)).all())


def market_at(world: World, prices: Prices, seconds: float) -> Market:
    """The market in which margin is asked: marks by the mark rule, collateral at the index."""
    table, opening = world.table, world.market
    mark, forward = instrument_prices(world, prices.mark, seconds)
    at = opening.at + timedelta(seconds=seconds)
    index = {
        asset: price * float(prices.index[table.assets.index(asset)]) if asset in table.assets else price
        for asset, price in opening.index.items()
    }
    quotes = {}
    relative = prices.index[table.base] / prices.index[table.quote]
    for row, symbol in enumerate(world.symbols):
        quote = opening.quotes[symbol]
        moved: Quote = replace(
            quote,
            mark=float(mark[row]),
            index=None if quote.index is None else quote.index * float(relative[row]),
            forward=float(forward[row]) if table.is_option[row] else quote.forward,
            at=None if quote.at is None else at,
        )
        quotes[symbol] = moved
    return replace(opening, at=at, quotes=quotes, index=index)


def perpetuals(world: World) -> Bools:
    """Instruments that pay funding, (I,)."""
    kinds = [world.market.instruments[symbol].kind for symbol in world.symbols]
    return np.array([isinstance(kind, Perpetual) for kind in kinds], dtype=np.bool_)
