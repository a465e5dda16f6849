"""The members of portfolio margin in one market: their prices, coin sizes and deltas, and their collateral."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, I64
from margrave.kernels.black76 import quote_greeks
from margrave.margin.pools import Pools
from margrave.margin.scenario.units import Units
from margrave.rulebook.portfolio import ScenarioModel, UnitTerms, VolSource
from margrave.valuation.scenarios import Priced, vol_at_mark
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class Scene:
    """What charges and scenarios are made of."""

    model: ScenarioModel
    terms: UnitTerms  # of these units
    table: Table
    priced: Priced
    pools: Pools
    units: Units
    quantity: F64  # (M,) signed contracts
    collateral: F64  # (S, V) amount of each bucket that the model names or moves [asset]

    @property
    def unit_count(self) -> int:
        """How many units there are."""
        return len(self.units.unit_pool)


def unit_price(scene: Scene) -> F64:
    """Price of each unit's underlying in its pool's currency, (S, U): the index of its first instrument."""
    units, priced, table = scene.units, scene.priced, scene.table
    currency = scene.pools.currency[units.unit_pool]
    with np.errstate(invalid="ignore"):
        by_asset = priced.asset_price[:, units.unit_base] / priced.asset_price[:, currency]
        told = np.maximum(units.unit_instrument, 0)
        quote = table.quote[told] if len(table.quote) else told
        by_index = priced.index[:, told] if len(table.quote) else by_asset
        to_currency = np.where(
            quote == currency, 1.0, priced.asset_price[:, quote] / priced.asset_price[:, currency]
        )
    price = np.where(units.unit_instrument >= 0, by_index * to_currency, by_asset)
    return np.where(units.unit_base == currency, 1.0, price)


def numeraire_price(scene: Scene) -> F64:
    """Price of each unit's underlying in the numeraire, (S, U): its index, whatever the pool counts in."""
    units = scene.units
    currency = scene.pools.currency[units.unit_pool]
    own = units.unit_base == currency
    if not (units.unit_instrument >= 0).any():
        return unit_price(scene)
    by_index = scene.priced.index[:, np.maximum(units.unit_instrument, 0)]
    return np.where(own & (units.unit_instrument >= 0), by_index, unit_price(scene))


def coin_sizes(scene: Scene) -> F64:
    """Signed size of each member in coins of its underlying, (S, M)."""
    at = scene.units.instrument
    mark = scene.priced.mark[:, at]
    c = scene.table.c[at]
    return scene.quantity * (scene.table.a[at] + np.divide(c, mark, out=np.zeros(mark.shape), where=c > 0.0))


def coin_deltas(scene: Scene) -> F64:
    """Signed delta of each member in coins, (S, M): Black-76 of the forward for options, unadjusted."""
    units, table = scene.units, scene.table
    sizes = coin_sizes(scene)
    options = np.flatnonzero(units.is_option)
    if options.size == 0:
        return sizes
    at = units.instrument[options]
    vol = base_vols(scene.model, table, at)
    known = np.where(np.isnan(vol), 0.0, vol)
    forward = scene.priced.forward[:, at]
    delta = quote_greeks(forward, table.strike[at], known, table.years[at], table.is_call[at]).delta
    out = sizes.copy()
    out[:, options] = sizes[:, options] * np.where(np.isnan(vol), np.nan, delta)
    return out


def collateral_value(scene: Scene) -> F64:
    """Worth of each collateral bucket of the scene in its pool's currency, (S, V), before any haircut."""
    return collateral_worth(scene.priced, scene.pools, scene.units, scene.collateral)


def collateral_worth(priced: Priced, pools: Pools, units: Units, amount: F64) -> F64:
    """Worth of amounts of collateral buckets in their pools' currencies, (S, V)."""
    asset = pools.bucket_asset[units.bucket]
    currency = pools.currency[pools.bucket_pool[units.bucket]]
    with np.errstate(invalid="ignore"):
        rate = priced.asset_price[:, asset] / priced.asset_price[:, currency]
    return amount * np.where(asset == currency, 1.0, rate)


def base_vols(model: ScenarioModel, table: Table, rows: I64) -> F64:
    """Vol of options before any shock, (n,); NaN where it is not known."""
    if model.vol_source is VolSource.QUOTE:
        return np.where(table.years[rows] > 0.0, table.vol[rows], 0.0)
    return vol_at_mark(table, rows)
