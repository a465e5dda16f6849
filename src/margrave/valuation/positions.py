"""Profit, notional and delta of positions, in every scenario.

The payoff is a pair of coefficients here (`domain.instruments.coefficients`): one fraction serves all, and
nothing branches on a flag.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, I64, Bools
from margrave.valuation.scenarios import Priced
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class Valued:
    """Rows of positions valued in every scenario; money in each position's settlement asset."""

    quantity: F64  # (P,) [contracts]
    entry: F64  # (P,)
    mark: F64  # (S, P)
    profit: F64  # (S, P) from entry to mark; loss < 0. Options: change of premium
    value: F64  # (S, P) market value: options' worth, zero for what has none (futures)
    notional: F64  # (S, P) at the mark, >= 0
    notional_entry: F64  # (S, P) at the entry, >= 0
    convert: F64 | None  # (S, P) settlement asset per payoff asset; None where they are the same
    is_option: Bools  # (P,)


def settlement_rate(table: Table, priced: Priced, instrument: I64) -> F64 | None:
    """Settlement asset per payoff asset of each position, (S, P); None where no payoff is converted."""
    if not table.converts:
        return None
    paid, settled = table.payoff[instrument], table.settlement[instrument]
    # Where both are the same asset nothing is converted, priced or not.
    with np.errstate(invalid="ignore"):
        rate = priced.asset_price[:, paid] / priced.asset_price[:, settled]
    return np.where(paid == settled, 1.0, rate)


def value_positions(table: Table, priced: Priced, instrument: I64, quantity: F64, entry: F64) -> Valued:
    """Value positions in every scenario.

    Parameters
    ----------
    table, priced : Table, Priced
        Instruments and their prices, (S, I).
    instrument : (P,) ndarray of int
        Rows of the table.
    quantity, entry : (P,) ndarray
        Signed contracts, and average entry.

    Returns
    -------
    Valued
        NaN where the mark is NaN: a position without a price has no profit, never zero profit.
    """
    a, c = table.a[instrument], table.c[instrument]
    mark = priced.mark[:, instrument]
    size = np.abs(quantity)
    # An option may be worth nothing: only what has a c / P part is divided by its mark.
    per_price = c / np.where(c > 0.0, mark, 1.0)
    profit = quantity * ((mark - entry) * (a + per_price / entry))
    notional = size * (a * mark + per_price)
    at_entry = (size * (a * entry + c / entry))[None, :]
    if len(mark) > 1:
        at_entry = np.broadcast_to(at_entry, notional.shape)
    is_option = table.is_option[instrument]
    value = np.where(is_option, quantity * a * mark, 0.0) if table.has_options else np.zeros(mark.shape)
    convert = settlement_rate(table, priced, instrument)
    if convert is not None:
        profit, value, notional, at_entry = (
            profit * convert,
            value * convert,
            notional * convert,
            at_entry * convert,
        )
    return Valued(quantity, entry, mark, profit, value, notional, at_entry, convert, is_option)
