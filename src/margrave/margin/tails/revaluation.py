"""Full revaluation of one pool in joint scenarios: contracts by their own formulas, never by a delta.

Every member is worth in a row what its payoff says at the row's prices: an inverse contract in coin, an option by
Black-76, and what it pays is converted at the row's prices. Rows are valued a block at a time.
"""

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from margrave.kernels.arrays import F64, I64
from margrave.kernels.groups import first_seen
from margrave.margin.pool_view import PoolView
from margrave.margin.tails.joint_rows import JointRows
from margrave.valuation.scenarios import bounded_marks, model_worth, moved_forward, vol_at_mark
from margrave.valuation.table import Table

_BLOCK: Final = 1 << 18  # cells (row by instrument) at a time


@final
@dataclass(frozen=True, slots=True)
class Exposure:
    """What a pool holds, each instrument once, at one row of the market."""

    view: PoolView
    row: int
    instrument: I64  # (i,) rows of the table
    quantity: F64  # (i,) net contracts
    vol: F64  # (i,) of options before any move; 0 elsewhere, NaN where not known
    collateral: F64  # (A,) what moves with its asset [asset]


def exposure_of(view: PoolView, row: int, collateral_moves: bool) -> Exposure:
    """Net the members of a pool; its balances too where they move."""
    first, place = first_seen(view.instrument)
    instrument = view.instrument[first]
    vol = np.zeros(len(instrument))
    options = np.flatnonzero(view.table.is_option[instrument])
    vol[options] = vol_at_mark(view.table, instrument[options])
    return Exposure(
        view,
        row,
        instrument,
        np.asarray(np.bincount(place, view.quantity, len(instrument)), dtype=np.float64),
        vol,
        view.owned[row] if collateral_moves else np.zeros(len(view.table.assets)),
    )


def profits(exposure: Exposure, rows: JointRows) -> F64:
    """Profit of the pool in every joint scenario.

    Parameters
    ----------
    exposure : Exposure
        Positions, and collateral that moves.
    rows : JointRows
        N scenarios.

    Returns
    -------
    (N,) ndarray
        In the pool's currency, no time passes. NaN where a price or vol is not known.
    """
    count = len(rows.price)
    step = max(_BLOCK // max(len(exposure.instrument), 1), 1)
    out = np.empty(count)
    for first in range(0, count, step):
        part = slice(first, first + step)
        out[part] = _block(exposure, _by_asset(exposure, rows, rows.price[part]), rows, rows.vol[part])
    return out


def _by_asset(exposure: Exposure, rows: JointRows, price: F64) -> F64:
    table = exposure.view.table
    factor = np.ones((len(price), len(table.assets)))
    for column, asset in enumerate(rows.assets):
        factor[:, table.assets.index(asset)] = price[:, column]
    return factor


def _block(exposure: Exposure, factor: F64, rows: JointRows, vol: F64) -> F64:
    view, at, row = exposure.view, exposure.instrument, exposure.row
    table, currency = view.table, view.currency
    mark = view.priced.mark[row, at]
    move = factor[:, table.base[at]] / factor[:, table.quote[at]]
    moved = mark * move
    options = np.flatnonzero(table.is_option[at])
    if options.size:
        times = _vol_factors(table, rows, vol)[:, table.base[at[options]]]
        moved[:, options] = _options(exposure, options, move[:, options], times)
    c = table.c[at]
    inverse = np.divide(c, mark * moved, out=np.zeros(moved.shape), where=c > 0.0)
    gain = (moved - mark) * (table.a[at] + inverse) * exposure.quantity
    asset_price = view.priced.asset_price[row]
    with np.errstate(invalid="ignore"):
        to_currency = asset_price / asset_price[currency]
    to_currency = np.where(np.arange(len(asset_price)) == currency, 1.0, to_currency)
    rate = to_currency * factor / factor[:, [currency]]
    # In the order of their names, which no other account can change.
    held = np.flatnonzero(exposure.collateral).tolist()
    moving = np.array(sorted(held, key=table.assets.__getitem__), dtype=np.int64)
    # Sums of one row do not depend on how many rows stand beside it.
    profit = np.einsum("ni,ni->n", gain, rate[:, table.payoff[at]])
    gained = rate[:, moving] - to_currency[moving]
    return np.asarray(profit + np.einsum("na,a->n", gained, exposure.collateral[moving]))


def _vol_factors(table: Table, rows: JointRows, vol: F64) -> F64:
    out = np.ones((len(vol), len(table.assets)))
    for column, asset in enumerate(rows.assets):
        out[:, table.assets.index(asset)] = vol[:, column]
    return out


def _options(exposure: Exposure, options: I64, move: F64, times: F64) -> F64:
    view, at = exposure.view, exposure.instrument[options]
    forward, vol = view.priced.forward[exposure.row, at], exposure.vol[options]
    cell = moved_forward(forward, view.table.averaged[at], move)
    shift = model_worth(view.table, at, cell, vol * times)
    shift = shift - model_worth(view.table, at, forward[None, :], vol[None, :])
    return bounded_marks(view.table, at, view.priced.mark[exposure.row, at], shift)
