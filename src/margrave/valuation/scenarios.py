"""Marks under shifted asset prices. Scenario row 0 is now: every factor is one.

A scenario shifts the price of *assets*; a delta-one mark moves with its base over its quote (basis held), an
option is repriced at its own implied vol with its forward moved alike, and collateral moves with its asset.
"""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, I64, Real
from margrave.kernels.black76 import coin_price, quote_price
from margrave.kernels.implied_vol import implied_vol_coin, implied_vol_quote
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
    forward = np.where(table.is_option, table.forward, table.index) if table.has_options else table.index
    return Priced(table.mark[None, :], table.index[None, :], forward[None, :], table.asset_price[None, :])


def rows_of(priced: Priced, rows: slice) -> Priced:
    """Some of the scenarios."""
    return Priced(priced.mark[rows], priced.index[rows], priced.forward[rows], priced.asset_price[rows])


def row_of(priced: Priced, row: int) -> Priced:
    """One of the scenarios, S = 1."""
    return rows_of(priced, slice(row, row + 1))


def shifted(table: Table, factor: F64, vol: F64 | None = None) -> Priced:
    """Prices under shifts of asset prices and of options' vols.

    Parameters
    ----------
    table : Table
        Instruments and the market.
    factor : (S, A) ndarray
        What each asset's price is multiplied by, > 0; 1 where it stays.
    vol : (S, I) ndarray, optional
        What each option's vol is multiplied by, >= 0; by default vols stay.

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
        times = np.ones_like(move) if vol is None else vol
        mark[:, options] = _option_marks(table, options, move[:, options], times[:, options])
    return Priced(mark, table.index * move, forward, table.asset_price * factor)


_VOLS: OrderedDict[int, tuple[Table, F64]] = OrderedDict()
_VOLS_KEPT = 8
_VOLS_LOCK = Lock()  # threads solve tables of their own


def vol_at_mark(table: Table, options: I64) -> F64:
    """Vol of options, (n,): the one that is in the mark, else the quoted one, else NaN.

    A mark that carries no vol information (deep in the money, or at expiry) leaves it to the quote; an option
    that has expired needs none. Vols of a table are solved once.
    """
    table_kept, vols = _VOLS.get(id(table), (None, None))
    # An id is only as good as the object behind it: what is kept keeps its table alive, so they agree.
    if vols is None or table_kept is not table:
        vols = np.zeros(len(table.is_option))
        every = np.flatnonzero(table.is_option)
        vols[every] = _solved(table, every)
        keep_vols(table, vols)
    return vols[options]


def keep_vols(table: Table, vols: F64) -> None:
    """Let a table whose rows stand for those of another have that one's vols, (I,), without solving them again."""
    with _VOLS_LOCK:
        _VOLS[id(table)] = (table, vols)
        if len(_VOLS) > _VOLS_KEPT:
            _VOLS.pop(next(iter(_VOLS)), None)


def _solved(table: Table, options: I64) -> F64:
    mark, live = table.mark[options], table.years[options] > 0.0
    known = live & np.isfinite(mark)
    coin = table.is_coin_premium[options]
    at = options[known]
    forward, strike, years, call = table.forward[at], table.strike[at], table.years[at], table.is_call[at]
    found = np.full(len(options), np.nan)
    coin_mark, quote_mark = np.where(coin[known], mark[known], 0.0), np.where(coin[known], 0.0, mark[known])
    in_coin, none_coin = implied_vol_coin(coin_mark, forward, strike, years, call)
    in_quote, none_quote = implied_vol_quote(quote_mark, forward, strike, years, call)
    told = np.where(coin[known], np.where(none_coin, np.nan, in_coin), np.where(none_quote, np.nan, in_quote))
    found[known] = told
    return np.where(live, np.where(np.isnan(found), table.vol[options], found), 0.0)


def _option_marks(table: Table, options: I64, move: F64, times: F64) -> F64:
    at_mark = vol_at_mark(table, options)
    forward = moved_forward(table.forward[options], table.averaged[options], move)
    shift = model_worth(table, options, forward, at_mark * times)
    shift = shift - model_worth(table, options, table.forward[options][None, :], at_mark)
    marks = bounded_marks(table, options, table.mark[options], shift)
    return np.where((move == 1.0) & (times == 1.0), table.mark[options], marks)


def moved_forward(forward: F64, fixed: F64, move: F64) -> F64:
    """Forward after a move of its underlying: what a settlement window has fixed stays.

    Parameters
    ----------
    forward : (...) ndarray
        Forward before. [quote per base]
    fixed : (...) ndarray
        Part of it that is averaged already.
    move : (...) ndarray
        What the price is multiplied by, > 0.
    """
    return (forward - fixed) * move + fixed


def model_worth(table: Table, options: I64, forward: F64, vol: F64, discount: Real = 1.0) -> F64:
    """Black-76 worth of options, (..., n), in the unit of their marks; NaN where the vol is NaN."""
    known = ~np.isnan(vol)
    terms = (table.strike[options], np.where(known, vol, 0.0), table.years[options], table.is_call[options])
    coin = table.is_coin_premium[options]
    if coin.all():
        worth = coin_price(forward, *terms)
    elif not coin.any():
        worth = quote_price(forward, *terms)
    else:
        worth = np.where(coin, coin_price(forward, *terms), quote_price(forward, *terms))
    return np.where(known, worth * discount, np.nan)


def bounded_marks(table: Table, options: I64, mark: F64, shift: F64) -> F64:
    """Marks after a shift of model worth; never below zero, no coin call above a coin.

    Where the model does not give the mark, the difference stays.
    """
    coin_call = table.is_coin_premium[options] & table.is_call[options]
    most = np.where(coin_call, 1.0, np.inf)
    return np.clip(mark + shift, 0.0, np.maximum(most, mark))
