"""Bounds on the change of scenario margin: of the worst cell, of the charges beside it, and of haircuts.

The worst of a unit's cells moves no faster than the sum over its members of each one's fastest cell. A future's gain in a
cell is a price times a constant; an option's is the difference of two option prices, and changes by at most both slopes.
Nothing is proven of skewed vols, static discounts, forwards' charges, correlations or a peg (`steepness` says what for).
"""

import numpy as np

from margrave.domain.book import Book
from margrave.kernels.arrays import F64, I64, Bools
from margrave.liquidation.steep_parts import Centres, Slots, slopes_at
from margrave.margin.pools import grouped_sum
from margrave.margin.scenario.cells import Grid, cell_vols, fixed_part, pool_rates
from margrave.margin.scenario.scenarios import ScenarioMargin
from margrave.margin.scenario.scene import Scene, base_vols, numeraire_price, unit_price
from margrave.margin.scenario.unit_risk import Block
from margrave.rulebook.portfolio import (
    AmountCharge,
    Charge,
    ConfidenceCharge,
    HedgedDeltaCharge,
    Held,
    LiquidityCharge,
    NotionalCharge,
    OffsetCharge,
    Role,
    RollCharge,
    ScenarioModel,
    VolMove,
)
from margrave.valuation.scenarios import moved_forward

_DENSEST = 0.398942280401433  # of the normal distribution
_SD_LEAST = 1e-12


def add_scenarios(at: Centres, slots: Slots, unproven: Bools) -> F64:
    """Add scenario margin; gives what the model's rounding may add to each pool, (K,), and marks what is unproven."""
    prepared, joint = at.prepared, at.pooled.workings.joint
    count = len(prepared.pools.account)
    model, rounding = prepared.rulebook.portfolio, np.zeros(count)
    if (
        joint is None
        or not isinstance(model, ScenarioModel)
        or not isinstance(joint.workings, ScenarioMargin)
    ):
        return rounding
    units = joint.workings.portfolio.units
    if model.correlation is not None or model.levels.depeg is not None:
        unproven[:, units.unit_pool] = True
    for block in joint.workings.blocks:
        terms, unit_pool = block.scene.terms, units.unit_pool[block.unit]
        skewed = any(v in (VolMove.LINEAR, VolMove.ABSOLUTE) for v in block.worth.grid.vol)
        if skewed or terms.static_discount is not None or not all(map(_is_proven, terms.charges)):
            unproven[:, unit_pool] = True
            continue
        _add_block(at, block, slots)
        if model.worst_digits is not None:
            steps = 1 + sum(c.role is Role.COMPETES for c in terms.charges)
            factor = max(model.levels.initial, at.closing * model.levels.maintenance)
            np.add.at(rounding, unit_pool, steps * factor * 10.0**-model.worst_digits)
    _add_collateral(at, joint.workings, slots)
    return rounding


def _is_proven(charge: Charge) -> bool:
    match charge:
        case NotionalCharge() | RollCharge() | LiquidityCharge() | HedgedDeltaCharge() | OffsetCharge():
            return True
        case ConfidenceCharge(of=of):
            return of is not Held.COLLATERAL
        case AmountCharge():
            return True
        case _:
            return False


def member_sizes(book: Book, block: Block) -> F64:
    """Contracts of each member with the orders that may fill, (M,), >= 0."""
    units = block.scene.units
    out = np.zeros(len(units.position))
    held, asked = units.position >= 0, units.order >= 0
    out[held] = np.abs(book.quantity[units.position[held]])
    out[asked] = np.abs(book.order_quantity[units.order[asked]])
    return out


def _add_block(at: Centres, block: Block, slots: Slots) -> None:
    scene, table, pools = block.scene, at.prepared.table, at.prepared.pools
    units, levels, row, pool = scene.units, scene.model.levels, scene.units.instrument, scene.units.pool
    size, currency = member_sizes(at.prepared.book, block), pools.currency[scene.units.pool]
    rate, power = pool_rates(table, at.priced, pools, units)
    rate = rate * np.exp(2.0 * at.reach)
    slope, whole = np.zeros(rate.shape), np.zeros(rate.shape)
    for raised in np.unique(power).tolist():
        mine = np.flatnonzero(power == raised)
        listed, place = np.unique(row[mine], return_inverse=True)
        a_slope, a_whole = _cells(at, scene, block.worth.grid, listed, raised)
        slope[:, mine] = size[mine] * a_slope[:, place] * rate[:, mine]
        whole[:, mine] = size[mine] * a_whole[:, place] * rate[:, mine]
    by_delta, by_price = _charges(at, scene, size)
    first = units.unit_instrument
    priced_in = np.where(first >= 0, table.quote[np.maximum(first, 0)], pools.currency[units.unit_pool])
    quote, base = priced_in[units.unit], units.unit_base[units.unit]
    asked, none = units.order >= 0, 0.0 * slope
    initial, maintenance = levels.initial, at.closing * levels.maintenance
    for one, other, cells, charges in (
        (table.base[row], table.quote[row], slope, by_delta),
        (table.payoff[row], currency, whole, none),
        (base, quote, none, by_price),
        (quote, currency, none, by_price),
    ):
        # A charge may stand beside what the level's factor multiplies.
        of_initial = initial * cells + max(initial, 1.0) * charges
        of_maintenance = maintenance * cells + max(maintenance, at.closing) * charges
        slots.add(pool, one, other, of_initial, np.where(asked, 0.0, of_maintenance))
    most = grouped_sum(whole, units.unit, scene.unit_count)
    most[:, units.bucket_unit[units.bucket_unit >= 0]] = np.inf  # collateral adds to what cells gain
    fixed = _fixed_gains(at, scene, block.worth.grid, most)
    slots.add(units.unit_pool, units.unit_base, priced_in, initial * fixed, maintenance * fixed)


def _cells(at: Centres, scene: Scene, grid: Grid, listed: I64, power: int) -> tuple[F64, F64]:
    # Of one contract of each instrument in payoff asset, (S, n): how fast its fastest cell's gain changes, and the largest.
    table, grown = scene.table, np.exp(at.reach)
    move = grid.move
    weight = grid.weight * np.maximum(1.0, (1.0 + move) / (1.0 + grid.edge)) * (1.0 + move) ** power
    mark = at.priced.mark[:, listed]
    a, c = table.a[listed], table.c[listed]
    far = np.max(weight * np.abs(move)), np.max(weight * np.abs(move) / (1.0 + move))
    slope = (a * mark * far[0] + np.divide(c, mark, out=np.zeros(mark.shape), where=c > 0.0) * far[1]) * grown
    whole = slope.copy()
    is_option = table.is_option[listed]
    if is_option.any():
        some = np.flatnonzero(is_option)
        slope[:, some], whole[:, some] = _option_cells(at, scene, grid, listed[some], weight)
    return slope, whole


def _option_cells(at: Centres, scene: Scene, grid: Grid, options: I64, weight: F64) -> tuple[F64, F64]:
    # The two prices of a difference move the same way, so that it changes by at most the faster one.
    table, grown = scene.table, np.exp(at.reach)
    forward, vol = at.priced.forward[:, options], base_vols(scene.model, table, options)
    fixed = fixed_part(scene.model, table, options, forward)[:, None, :]
    moved = moved_forward(forward[:, None, :], fixed, 1.0 + grid.move[None, :, None])
    vols = cell_vols(scene.terms, grid, table, options, forward, vol)
    now = np.maximum(slopes_at(table, options, forward, vol, at.reach), at.slopes[:, options])
    fast = np.maximum(slopes_at(table, options, moved, vols, at.reach), now[:, None, :])
    lowest = np.minimum(moved, forward[:, None, :]) / grown
    highest = np.maximum(moved, forward[:, None, :]) * grown
    strike, call, coin = table.strike[options], table.is_call[options], table.is_coin_premium[options]
    most = np.where(call, np.where(coin, 1.0, highest), np.where(coin, strike / lowest, strike))
    most = np.maximum(most, at.priced.mark[:, None, options])
    times = weight[None, :, None] * table.a[options]
    return np.max(fast * times, axis=1), np.max(most * times, axis=1)


def _charges(at: Centres, scene: Scene, size: F64) -> tuple[F64, F64]:
    # Charges on members' coins and deltas, (S, M): by the price of the member, and by that of its unit.
    units, table, grown = scene.units, scene.table, np.exp(at.reach)
    row = units.instrument
    mark = at.priced.mark[:, row]
    coins = size * (
        table.a[row]
        + np.divide(table.c[row], mark, out=np.zeros(mark.shape), where=table.c[row] > 0.0) * grown
    )
    turning = np.where(table.c[row] > 0.0, coins, 0.0)
    sd = base_vols(scene.model, table, row) * np.sqrt(table.years[row])
    by_delta = np.where(table.is_option[row], coins * _DENSEST / np.maximum(sd, _SD_LEAST), turning)
    price = (unit_price(scene) * grown * grown)[:, units.unit]
    slope, whole = np.zeros(mark.shape), np.zeros(mark.shape)
    for charge in scene.terms.charges:
        match charge:
            case NotionalCharge(rate=rate) | ConfidenceCharge(rate=rate) | OffsetCharge(rate=rate):
                slope, whole = slope + rate * turning, whole + rate * coins
            case RollCharge(least=least, rate=rate):
                share = np.maximum(least, np.expm1(rate * units.expiry_years[units.expiry]))
                slope, whole = slope + share * by_delta, whole + share * coins
            case HedgedDeltaCharge(net=net, hedged=hedged):
                slope, whole = slope + (net + hedged) * by_delta, whole + (net + hedged) * coins
            case LiquidityCharge():
                more = _liquidity(at, scene, charge, coins, by_delta)
                slope, whole = slope + more, whole + charge.most * coins
            case _:
                pass  # an amount, which no price moves
    own = scene.units.unit_base == scene.pools.currency[scene.units.unit_pool]
    return slope * price, np.where(own[units.unit], 0.0, whole * price)


def _liquidity(at: Centres, scene: Scene, charge: LiquidityCharge, coins: F64, by_delta: F64) -> F64:
    # min(max(D - free / p, 0) D increment, most D): nothing where even the gross delta stays below what is free.
    unit, grown = scene.units.unit, np.exp(at.reach)
    price = numeraire_price(scene)
    total = grouped_sum(coins, unit, scene.unit_count)
    charged = total * price * grown > charge.free
    steep = np.where(charged, charge.most + total * charge.increment, 0.0)
    free = np.where(charged, total * charge.increment * charge.free / (price / grown), 0.0)
    with np.errstate(invalid="ignore"):
        each = np.where(total[:, unit] > 0.0, coins / total[:, unit], 0.0)
    return np.asarray(steep[:, unit] * by_delta + free[:, unit] * each)


def _fixed_gains(at: Centres, scene: Scene, grid: Grid, most: F64) -> F64:
    # Amounts in the numeraire that a unit in its own coin turns into coin, (S, U): the most that gains count, the dampener.
    # Where one of them is more than anything that the unit can gain or lose it is not what decides.
    rule, units = scene.terms.gains, scene.units
    if rule is None:
        return np.zeros((len(at.priced.mark), scene.unit_count))
    with np.errstate(invalid="ignore"):
        coin = np.exp(at.reach) / (
            numeraire_price(scene) * np.min(np.where(grid.is_tail, 1.0 + grid.edge, 1.0 + grid.move))
        )
        tail = np.where(grid.is_tail, np.maximum(np.abs(grid.move) / grid.range, 1.0) - 1.0, 0.0)
    fixed = np.minimum(coin * (rule.most or 0.0), most)
    if rule.tail_dampener:
        fixed = fixed + np.minimum(coin * float(np.max(tail)) * rule.tail_dampener, most)
    own = units.unit_base == scene.pools.currency[scene.units.unit_pool]
    return np.where(own, fixed, 0.0)


def _add_collateral(at: Centres, margin: ScenarioMargin, slots: Slots) -> None:
    # What a bucket holds, profit and option value too, is cut and moves in scenarios: a share of how fast it changes.
    prepared, table, pools, units = at.prepared, at.prepared.table, at.prepared.pools, margin.portfolio.units
    share = np.zeros(len(pools.bucket_pool))
    share[units.bucket] = _shares(at, margin)
    if not share.any():
        return
    row, pool = prepared.book.instrument, pools.position_pool
    mine, is_option = share[pools.position_bucket], table.is_option[row]
    size = np.abs(prepared.book.quantity)
    moved = (
        np.where(is_option, size * table.a[row] * at.slopes[:, row] * at.sizes.worth, at.sizes.value) * mine
    )
    whole = np.where(is_option, at.sizes.value + moved * at.reach, at.sizes.value + at.sizes.entry) * mine
    asset, currency = pools.bucket_asset, pools.currency[pools.bucket_pool]
    held = np.abs(pools.bucket_balance) * _rates(at, asset, currency) * np.exp(at.reach) * share
    held = held + grouped_sum(whole, pools.position_bucket, len(asset))
    for where, one, other, amount in (
        (pool, table.base[row], table.quote[row], moved),
        (pool, table.payoff[row], table.settlement[row], whole),
        (pools.bucket_pool, asset, currency, held),
    ):
        slots.add(where, one, other, amount, at.closing * amount)


def _shares(at: Centres, margin: ScenarioMargin) -> F64:
    # Of what each named bucket is worth, the most that scenarios, charges and haircuts together ask.
    model, units, pools = margin.portfolio.model, margin.portfolio.units, at.prepared.pools
    level = max(model.levels.initial, model.levels.maintenance)
    cut = {m.asset: m.maintenance_haircut + m.initial_haircut for m in model.collateral}
    names = at.prepared.table.assets
    share = np.array([cut.get(names[a], 0.0) for a in pools.bucket_asset[units.bucket].tolist()])
    for block in margin.blocks:
        grid, terms = block.worth.grid, block.scene.terms
        weight = grid.weight * np.maximum(1.0, (1.0 + grid.move) / (1.0 + grid.edge))
        most = float(np.max(weight * np.abs(grid.move)))
        held = (Held.COLLATERAL, Held.DELTA_ONE)
        most += sum(c.rate for c in terms.charges if isinstance(c, NotionalCharge) and c.of in held)
        share += np.where(np.isin(units.bucket_unit, block.unit), level * most, 0.0)
    return share


def _rates(at: Centres, asset: I64, currency: I64) -> F64:
    price = at.priced.asset_price
    with np.errstate(invalid="ignore"):
        rate = price[:, asset] / price[:, currency]
    return np.where(asset == currency, 1.0, rate)
