"""Worth of a pool's members in every cell of a scenario grid.

Letters: S rows of the market (row 0 is now, or trial prices of a search), C cells, M members, E expiries, U units.
A cell starts from its row: every price of a unit moves by the cell's move, vols move as the model says, no time passes.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.vol_shock import tenor_scale
from margrave.margin.pools import Pools, grouped_sum
from margrave.margin.scenario.scene import Scene, base_vols
from margrave.margin.scenario.units import Units
from margrave.rulebook.portfolio import (
    Cells,
    ScenarioModel,
    SkewShock,
    StaticDiscount,
    UnitTerms,
    VolMove,
    VolShock,
    VolUnit,
)
from margrave.valuation.scenarios import Priced, bounded_marks, model_worth, moved_forward
from margrave.valuation.table import Table

_NOTHING = 1e-15  # of a strike, a forward that has fallen to zero
_DAYS_MIN = 1e-9


@final
@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of a model as columns, (C,)."""

    move: F64  # [fraction]
    vol: tuple[VolMove, ...]
    weight: F64
    edge: F64  # move at which a loss in quote becomes coin: the cell's own, or the grid's edge for the tail
    is_tail: Bools
    range: float  # of the even part; NaN where there is none


def grid_of(cells: Cells) -> Grid:
    """Columns of a model's cells: the even grid from the lowest move up, then listed cells, then the tail.

    Parameters
    ----------
    cells : Cells
        As the rulebook states them.

    Returns
    -------
    Grid
        With k moves a side and v vol moves the even part is ``v (2k + 1)`` cells, vol moves fastest.
    """
    rows: list[tuple[float, VolMove, float, float, bool]] = []
    width = float("nan")
    if cells.even is not None:
        width, steps = cells.even.range, cells.even.each_side
        moves = [width * k / steps for k in range(-steps, steps + 1)]
        rows += [(m, vol, 1.0, m, False) for m in moves for vol in cells.even.vols]
    rows += [(c.move, c.vol, c.weight, c.move, False) for c in cells.listed]
    if cells.tail is not None:
        tail = cells.tail
        rows += [(m, tail.vol, tail.factor * width / abs(m), np.copysign(width, m), True) for m in tail.moves]
    move, vol, weight, edge, is_tail = zip(*rows, strict=True)
    return Grid(
        np.array(move), tuple(vol), np.array(weight), np.array(edge), np.array(is_tail, dtype=np.bool_), width
    )


@final
@dataclass(frozen=True, slots=True)
class CellWorth:
    """What members gain in every cell, in their pool's currency, before weights."""

    grid: Grid
    member: F64  # (S, C, M) profit or loss of each position
    option_now: F64  # (S, E) worth of an expiry's options
    option: F64  # (S, C, E) worth of them in the cell, undiscounted by static discounts
    expiry: F64  # (S, C, E) profit or loss of an expiry, with static discount and skew rule


def cell_worth(scene: Scene, grid: Grid) -> CellWorth:
    """Revalue members in every cell.

    Parameters
    ----------
    scene : Scene
        Members, prices and rules.
    grid : Grid
        Cells as columns.

    Returns
    -------
    CellWorth
        NaN where a price or a vol is not known.
    """
    model, table, priced, units, quantity = (
        scene.model,
        scene.table,
        scene.priced,
        scene.units,
        scene.quantity,
    )
    at = units.instrument
    listed, place = np.unique(at, return_inverse=True)
    # What a contract gains is worked out once an instrument, however many hold it.
    member = quantity * _gain(scene, grid, listed)[:, :, place]
    rate, power = pool_rates(table, priced, scene.pools, units)
    member *= rate[:, None, :]
    if power.any():
        move = grid.move[None, :, None]
        with np.errstate(divide="ignore"):  # a coin that is worth nothing pays without bound
            member *= np.where(power == 0, 1.0, np.where(power > 0, 1.0 + move, 1.0 / (1.0 + move)))
    shape = (*member.shape[:2], len(units.expiry_unit))
    worth = np.where(units.is_option, quantity * table.a[at] * rate, 0.0) * np.where(
        units.is_option, priced.mark[:, at], 0.0
    )
    option_now = grouped_sum(worth, units.expiry, shape[2])
    options, others = np.flatnonzero(units.is_option), np.flatnonzero(~units.is_option)
    gain = _summed(member[:, :, options], units.expiry[options], shape[2])
    rest = _summed(member[:, :, others], units.expiry[others], shape[2])
    option = option_now[:, None, :] + gain
    if scene.terms.static_discount is not None:
        gain = _discounted(scene.terms.static_discount, model, table, units, option) - option_now[:, None, :]
    skew = np.array([v in (VolMove.LINEAR, VolMove.ABSOLUTE) for v in grid.vol])[None, :, None]
    # Both directions of a skew move are charged: whichever way it pays, it costs.
    gain = np.where(skew, -np.abs(gain), gain)
    return CellWorth(grid, member, option_now, option, gain + rest)


def _gain(scene: Scene, grid: Grid, listed: I64) -> F64:
    # What one contract of each instrument gains in every cell, (S, C, n) [payoff asset].
    table = scene.table
    a, c, mark = table.a[listed], table.c[listed], scene.priced.mark[:, None, listed]
    moved = _moved_marks(scene, grid, listed)
    gained = moved - mark
    return np.where(table.is_option[listed], a * gained, gained * (a + _over(c, mark * moved)))


def _over(c: F64, price: F64) -> F64:
    return np.divide(c, price, out=np.zeros(np.broadcast_shapes(c.shape, price.shape)), where=c > 0.0)


def _summed(values: F64, group: I64, count: int) -> F64:
    s, c, m = values.shape
    return grouped_sum(values.reshape(s * c, m), group, count).reshape(s, c, count)


def pool_rates(table: Table, priced: Priced, pools: Pools, units: Units) -> tuple[F64, I64]:
    """Pool currency per payoff asset of each member now, (S, M), and the power of (1 + move) by which a cell changes it."""
    paid, base = table.payoff[units.instrument], table.base[units.instrument]
    currency = pools.currency[units.pool]
    with np.errstate(invalid="ignore"):
        rate = priced.asset_price[:, paid] / priced.asset_price[:, currency]
    rate = np.where(paid == currency, 1.0, rate)
    power = np.where(paid == currency, 0, (paid == base).astype(np.int64) - (currency == base))
    return rate, power


def discounts(model: ScenarioModel, table: Table, rows: I64) -> F64:
    """Discount factor of options, (n,): at the expiry's rate, floored at zero, where the model discounts."""
    if not model.discounting:
        return np.ones(len(rows))
    return np.exp(-np.maximum(table.rate[rows], 0.0) * table.years[rows])


def fixed_part(model: ScenarioModel, table: Table, rows: I64, forward: F64) -> F64:
    """Part of a forward that the settlement window has fixed, (S, n): as quoted, else by the time that is left."""
    if model.settlement_window_seconds is None:
        return np.broadcast_to(table.averaged[rows], forward.shape)
    left = table.years[rows] * 365.0 * 86_400.0
    share = np.maximum(1.0 - left / model.settlement_window_seconds, 0.0)
    return np.where(table.averaged[rows] > 0.0, table.averaged[rows], forward * share)


def _moved_marks(scene: Scene, grid: Grid, listed: I64) -> F64:
    model, table, priced = scene.model, scene.table, scene.priced
    mark = priced.mark[:, None, listed]
    moved = mark * (1.0 + grid.move[None, :, None])
    is_option = table.is_option[listed]
    if not is_option.any():
        return moved
    options = listed[is_option]
    forward = priced.forward[:, options]
    vol, less = base_vols(model, table, options), discounts(model, table, options)
    fixed = fixed_part(model, table, options, forward)[:, None, :]
    cell_forward = moved_forward(forward[:, None, :], fixed, 1.0 + grid.move[None, :, None])
    # A move of everything: a call is worth nothing, a put its strike.
    cell_forward = np.where(cell_forward > 0.0, cell_forward, table.strike[options] * _NOTHING)
    cell_vol = cell_vols(scene.terms, grid, table, options, forward, vol)
    shift = model_worth(table, options, cell_forward, cell_vol, less)
    shift = shift - model_worth(table, options, forward, vol, less)[:, None, :]
    moved[:, :, is_option] = bounded_marks(table, options, priced.mark[:, None, options], shift)
    return moved


def cell_vols(terms: UnitTerms, grid: Grid, table: Table, options: I64, forward: F64, vol: F64) -> F64:
    """Vols of options in every cell, (S, C, n).

    Parameters
    ----------
    terms, grid, table : UnitTerms, Grid, Table
        The moves, and the options' terms.
    options : (n,) ndarray of int
        Rows of the table.
    forward : (S, n) ndarray
        Their forwards before the move.
    vol : (n,) ndarray
        Their vols before the move.

    Returns
    -------
    (S, C, n) ndarray
        NaN where a vol is not known, or its move is not published.
    """
    years = table.years[options]
    # Vol moves that are not published leave an option unknown in every cell that needs them.
    unknown = np.full(vol.shape, np.nan)
    rise, fall = (unknown, unknown) if terms.vol is None else _shocked(terms.vol, years * 365.0, vol)
    shape = (forward.shape[0], len(grid.vol), len(options))
    out = np.empty(shape)
    for cell, how in enumerate(grid.vol):
        if how is VolMove.UP:
            out[:, cell] = rise
        elif how is VolMove.DOWN:
            out[:, cell] = fall
        elif how is VolMove.SAME or terms.skew is None:
            out[:, cell] = vol
        else:
            log_moneyness = np.log(table.strike[options] / forward)
            out[:, cell] = vol * _skew(terms.skew, how, years, log_moneyness)
    return out


def _shocked(shock: VolShock, days: F64, vol: F64) -> tuple[F64, F64]:
    scale = tenor_scale(days, shock.power_short, shock.power_long, max(shock.days_least, _DAYS_MIN))
    if shock.unit is VolUnit.POINTS:
        return np.maximum(vol + shock.up * scale, shock.vol_least_up), np.maximum(
            vol - shock.down * scale, 0.0
        )
    up = np.maximum(vol * (1.0 + shock.up * scale), shock.vol_least_up)
    return up, vol * np.maximum(1.0 - shock.down * scale, 0.0)


def _skew(skew: SkewShock, how: VolMove, years: F64, log_moneyness: F64) -> F64:
    # Derive PMRM_2 (spec defi 1.3): 1 + clamp(k cap / k*, -cap, +cap), |k| for the absolute move.
    root = np.sqrt(years)
    base, most = (
        (skew.linear_base, skew.linear_cap)
        if how is VolMove.LINEAR
        else (skew.absolute_base, skew.absolute_cap)
    )
    cap = base * root + most
    width = np.maximum(skew.width_least, root * skew.width_scale * (skew.vol_static + root * skew.vol_slope))
    k = log_moneyness if how is VolMove.LINEAR else np.abs(log_moneyness)
    # Each wing is bounded on its own side; that matters where time has made the cap negative.
    lean = k * cap / width
    return np.maximum(1.0 + np.where(k > 0.0, np.minimum(lean, cap), np.maximum(lean, -cap)), 0.0)


def _discounted(rule: StaticDiscount, model: ScenarioModel, table: Table, units: Units, option: F64) -> F64:
    # An expiry's rate and time are those of its options; an expiry without options has no worth to discount.
    count = len(units.expiry_unit)
    rate, less = np.zeros(count), np.ones(count)
    options = units.is_option
    rate[units.expiry[options]] = np.maximum(table.rate[units.instrument[options]], 0.0)
    less[units.expiry[options]] = discounts(model, table, units.instrument[options])
    years = units.expiry_years
    long = rule.long_base * np.exp(-years * (rate * rule.long_multiple + rule.long_add))
    short = rule.short_base * np.exp(years * (rate * rule.short_multiple + rule.short_add))
    return option * np.where(option >= 0.0, long, np.minimum(1.0 / less, short))
