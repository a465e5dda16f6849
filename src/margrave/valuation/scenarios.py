"""Marks under shifted asset prices. Scenario row 0 is now: every factor is one.

A scenario shifts the price of *assets*; a delta-one mark moves with its base over its quote (basis held), an
option is repriced at its own implied vol with its forward moved alike, and collateral moves with its asset.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, I64
from margrave.kernels.black76 import coin_price, quote_price
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class Priced:
    """Prices of a table in every scenario."""

    mark: F64  # (S, I) [as the instrument's mark]
    index: F64  # (S, I) [quote per base]
    forward: F64  # (S, I) options' forward; the index elsewhere
    asset_price: F64  # (S, A) [numeraire per asset]


def now(table: Table) -> Priced:
    """Prices of row 0 alone: the market as it is."""
    forward = np.where(table.is_option, table.forward, table.index)
    return Priced(table.mark[None, :], table.index[None, :], forward[None, :], table.asset_price[None, :])


def shifted(table: Table, factor: F64) -> Priced:
    """Prices under shifts of asset prices.

    Parameters
    ----------
    table : Table
        Instruments and the market.
    factor : (S, A) ndarray
        What each asset's price is multiplied by, > 0; 1 where it stays.

    Returns
    -------
    Priced
        An option's price moves by the difference of its model price, so that a factor of one gives its mark
        exactly. NaN where the vol of a moved option is not known.
    """
    move = factor[:, table.base] / factor[:, table.quote]
    mark = table.mark * move
    forward = np.where(table.is_option, table.forward, table.index) * move
    options = np.flatnonzero(table.is_option)
    if options.size:
        mark[:, options] = _option_marks(table, options, move[:, options])
    return Priced(mark, table.index * move, forward, table.asset_price * factor)


def _option_marks(table: Table, options: I64, move: F64) -> F64:
    known = ~np.isnan(table.vol[options])
    vol = np.where(known, table.vol[options], 0.0)
    terms = (table.strike[options], vol, table.years[options], table.is_call[options])
    forward = table.forward[options]
    coin = table.is_coin_premium[options]

    def model(price: F64) -> F64:
        return np.where(coin, coin_price(price, *terms), quote_price(price, *terms))

    shift = model(forward * move) - model(forward[None, :])
    marks = np.maximum(table.mark[options] + shift, 0.0)
    return np.where(known | (move == 1.0), marks, np.nan)
