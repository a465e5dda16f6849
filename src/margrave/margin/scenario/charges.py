"""Charges beside the worst scenario: each is an amount of a unit in its pool's currency, (S, U)."""

from typing import assert_never

import numpy as np

from margrave.domain.instruments import Perpetual
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.groups import first_seen
from margrave.margin.pools import Pools, grouped_sum
from margrave.margin.scenario.cells import CellWorth, cell_worth, grid_of
from margrave.margin.scenario.scene import (
    Scene,
    coin_deltas,
    coin_sizes,
    collateral_value,
    numeraire_price,
    unit_price,
)
from margrave.margin.scenario.units import Units
from margrave.rulebook.portfolio import (
    AmountCharge,
    Cell,
    Cells,
    Charge,
    ConfidenceCharge,
    ForwardCharge,
    HedgedDeltaCharge,
    Held,
    LiquidityCharge,
    NotionalCharge,
    OffsetCharge,
    RollCharge,
)
from margrave.valuation.table import Table


def charge_of(scene: Scene, worth: CellWorth, charge: Charge) -> F64:
    """Amount of one charge, (S, U), >= 0.

    Parameters
    ----------
    scene : Scene
        Members, prices and rules.
    worth : CellWorth
        What members are worth in the cells.
    charge : Charge
        Which one.

    Returns
    -------
    (S, U) ndarray
        In the pool's currency. NaN where a price is not known.
    """
    match charge:
        case NotionalCharge(of=of, rate=rate):
            return _notional(scene, of) * rate
        case ConfidenceCharge(of=of, below=below, rate=rate):
            return _by_confidence(scene, of, below) * rate
        case ForwardCharge():
            return _forward(scene, worth, charge)
        case AmountCharge(amount=amount):
            return np.broadcast_to(amount * _is_held(scene), (scene.priced.mark.shape[0], scene.unit_count))
        case _:
            return _of_deltas(scene, charge)


def _of_deltas(scene: Scene, charge: RollCharge | LiquidityCharge | HedgedDeltaCharge | OffsetCharge) -> F64:
    unit, count = scene.units.unit, scene.unit_count
    match charge:
        case RollCharge():
            return _roll(scene, charge)
        case LiquidityCharge():
            return _liquidity(scene, charge)
        case HedgedDeltaCharge(net=net, hedged=hedged):
            deltas = coin_deltas(scene)
            total = np.abs(grouped_sum(deltas, unit, count))
            gross = grouped_sum(np.abs(deltas), unit, count)
            return (net * total + hedged * (gross - total) / 2.0) * unit_price(scene)
        case OffsetCharge(rate=rate):
            coins = np.where(scene.units.is_option, 0.0, coin_sizes(scene))
            long, short = (grouped_sum(np.maximum(side * coins, 0.0), unit, count) for side in (1.0, -1.0))
            return rate * np.minimum(long, short) * unit_price(scene)
        case unknown:
            assert_never(unknown)


def _is_held(scene: Scene) -> F64:
    held = np.bincount(scene.units.unit, weights=np.abs(scene.quantity), minlength=scene.unit_count)
    return np.where(held > 0.0, 1.0, 0.0)


def expiry_deltas(scene: Scene) -> tuple[I64, I64, F64]:
    """Net delta of every expiry and settlement asset, which is what a roll is charged on.

    Returns
    -------
    expiry, settled : (R,) ndarray of int
        Rows of the expiries, and of the table's assets.
    net : (S, R) ndarray
        Signed delta in coins.
    """
    units = scene.units
    settled = scene.table.settlement[units.instrument]
    first, run = first_seen(units.expiry * len(scene.table.assets) + settled)
    return units.expiry[first], settled[first], grouped_sum(coin_deltas(scene), run, len(first))


def _roll(scene: Scene, charge: RollCharge) -> F64:
    units = scene.units
    expiry, _, net = expiry_deltas(scene)
    share = np.maximum(charge.least, np.expm1(charge.rate * units.expiry_years[expiry]))
    return grouped_sum(np.abs(net) * share, units.expiry_unit[expiry], scene.unit_count) * unit_price(scene)


def _by_expiry(scene: Scene, values: F64) -> F64:
    return grouped_sum(values, scene.units.expiry, len(scene.units.expiry_unit))


def _held(scene: Scene, of: Held) -> Bools:
    units = scene.units
    if of is Held.OPTIONS:
        return units.is_option
    if of is Held.PERPETUALS:
        perpetual = [i is not None and isinstance(i.kind, Perpetual) for i in scene.table.instruments]
        return np.array(perpetual, dtype=np.bool_)[units.instrument]
    return ~units.is_option & (of in (Held.FUTURES, Held.DELTA_ONE))


def _notional(scene: Scene, of: Held) -> F64:
    units = scene.units
    if of is Held.NAKED_OPTIONS:
        return _naked(scene, units.expiry_unit, scene.unit_count) * unit_price(scene)
    sizes = np.where(_held(scene, of), np.abs(coin_sizes(scene)), 0.0)
    notional = grouped_sum(sizes, units.unit, scene.unit_count) * unit_price(scene)
    return notional + (_moving_collateral(scene) if of in (Held.COLLATERAL, Held.DELTA_ONE) else 0.0)


def _naked(scene: Scene, expiry_group: I64, count: int) -> F64:
    # A short call and a long put of one strike offset; two shorts both count.
    units = scene.units
    options = np.flatnonzero(units.is_option)
    net = grouped_sum(coin_sizes(scene)[:, options], units.strike[options], len(units.strike_expiry))
    return grouped_sum(np.maximum(-net, 0.0), expiry_group[units.strike_expiry], count)


def _moving_collateral(scene: Scene) -> F64:
    units = scene.units
    moving = units.bucket_unit >= 0
    value = np.abs(collateral_value(scene)[:, moving])
    return grouped_sum(value, units.bucket_unit[moving], scene.unit_count)


def unit_confidence(scene: Scene) -> F64:
    """Least confidence behind each unit's delta-one prices, (U,): the index, and its futures' marks."""
    units = scene.units
    sure = scene.table.asset_confidence[units.unit_base].copy()
    plain = ~units.is_option & (scene.quantity != 0.0)
    np.minimum.at(sure, units.unit[plain], scene.table.confidence[units.instrument[plain]])
    return sure


def _by_confidence(scene: Scene, of: Held, below: float) -> F64:
    units = scene.units
    sure = unit_confidence(scene)
    if of is Held.COLLATERAL:
        return np.zeros((scene.priced.mark.shape[0], scene.unit_count))  # by bucket: `unsure_collateral`
    if of not in (Held.OPTIONS, Held.NAKED_OPTIONS):
        return _notional(scene, of) * np.where(sure < below, 1.0 - sure, 0.0)
    expiry = sure[units.expiry_unit]
    options = np.flatnonzero(units.is_option)
    np.minimum.at(expiry, units.expiry[options], scene.table.confidence[units.instrument[options]])
    share = np.where(expiry < below, 1.0 - expiry, 0.0)
    sizes = _by_expiry(scene, np.where(units.is_option, np.abs(coin_sizes(scene)), 0.0))
    return grouped_sum(sizes * share, units.expiry_unit, scene.unit_count) * unit_price(scene)


def unsure_collateral(table: Table, pools: Pools, units: Units, value: F64, charge: ConfidenceCharge) -> F64:
    """A confidence charge on collateral, (S, V): each by the lesser confidence of its own price and of the index.

    Parameters
    ----------
    table, pools, units : Table, Pools, Units
        Confidences, and who belongs where.
    value : (S, V) ndarray
        Worth of each bucket.
    charge : ConfidenceCharge
        The rule.
    """
    least = np.ones(len(pools.account))
    np.minimum.at(least, units.unit_pool, table.asset_confidence[units.unit_base])
    own = table.asset_confidence[pools.bucket_asset[units.bucket]]
    sure = np.minimum(own, least[pools.bucket_pool[units.bucket]])
    share = np.where(sure < charge.below, 1.0 - sure, 0.0) * charge.rate
    return np.abs(value) * share


def _forward(scene: Scene, worth: CellWorth, charge: ForwardCharge) -> F64:
    moves = Cells(code=charge.code, listed=(Cell(move=charge.up), Cell(move=charge.down)))
    shocked = cell_worth(scene, grid_of(moves))
    gain = shocked.option - worth.option_now[:, None, :]
    loss = np.maximum(-np.min(gain, axis=1), 0.0) * (charge.add + charge.multiple * scene.units.expiry_years)
    return grouped_sum(loss, scene.units.expiry_unit, scene.unit_count)


def _liquidity(scene: Scene, charge: LiquidityCharge) -> F64:
    # Deribit's delta shock: long options may only reduce what the rest must sell (spec deribit 3.1, step 9).
    deltas, unit, count = coin_deltas(scene), scene.units.unit, scene.unit_count
    long_options = scene.units.is_option & (scene.quantity > 0.0)
    longs = grouped_sum(np.where(long_options, deltas, 0.0), unit, count)
    rest = grouped_sum(np.where(long_options, 0.0, deltas), unit, count)
    short = np.minimum(np.maximum(longs + rest, rest), 0.0)
    long = np.maximum(np.minimum(longs + rest, rest), 0.0)
    size = np.abs(np.where(rest < 0.0, short, long))
    price = numeraire_price(scene)
    amount = np.minimum(
        np.maximum(size * price - charge.free, 0.0) * size * charge.increment, charge.most * size * price
    )
    return amount / price * unit_price(scene)
