"""What an account is exposed to, per underlying: deltas and Greeks in coin and in dollars (spec OM-7, LM-5, 1.2).

The coin-adjusted delta is what the coin value moves by, times price; the dollar delta what the dollar value
moves by. They differ by the coin value itself (finding 8): ``dollar delta - profit in coin = N / P``.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.domain.account import Account
from margrave.domain.book import book_of
from margrave.domain.market import Market
from margrave.kernels.arrays import F64
from margrave.kernels.black76 import coin_greeks, quote_greeks
from margrave.valuation.positions import value_positions
from margrave.valuation.scenarios import now, vol_at_mark
from margrave.valuation.table import Table, table_of


@final
@dataclass(frozen=True, slots=True)
class Exposure:
    """Exposure to one underlying, all positions and balances of an account."""

    underlying: str
    coin_delta: float  # [coins] adjusted: futures N / P or coins, options premium-adjusted
    dollar_delta: float  # [coins] unadjusted: futures N / E or coins, options Black-76 delta
    collateral: float  # [coins] balance in the underlying itself
    gamma: float  # [coins per dollar] of the dollar delta, options
    vega: float  # [dollars per 1.00 vol]
    theta: float  # [dollars per year]
    price: float  # [numeraire per coin]

    @property
    def account_delta(self) -> float:
        """Dollar delta with collateral, in coins: what the account's dollar value moves by."""
        return self.dollar_delta + self.collateral

    @property
    def is_wrong_way(self) -> bool:
        """Long the coin that is also the collateral: it loses value when it is needed (LM-5)."""
        return self.dollar_delta > 0 and self.collateral > 0


def exposures(account: Account, market: Market) -> tuple[Exposure, ...]:
    """Exposure of an account to every underlying that it holds.

    Parameters
    ----------
    account, market : Account, Market
        As they are; no rulebook is needed.

    Returns
    -------
    tuple of Exposure
        In the order of the positions' underlyings. NaN where a mark or a vol is not known.
    """
    book = book_of((account,))
    table = table_of(book.symbols, (*book.assets, market.numeraire), market)
    valued = value_positions(table, now(table), book.instrument, book.quantity, book.entry)
    at = book.instrument
    a, c, quantity, mark = table.a[at], table.c[at], book.quantity, valued.mark[0]
    per_price = c / np.where(c > 0, mark, 1.0)
    greeks = _option_greeks(table)[:, at] * quantity * a
    option = table.is_option[at]
    coin = np.where(option, greeks[0], quantity * (a + per_price))
    dollar = np.where(option, greeks[1], quantity * (a + c / book.entry))
    base = table.base[at]
    held = {b.asset: b.amount for b in account.balances}

    def summed(values: F64, row: int) -> float:
        return float(values[base == row].sum())

    return tuple(
        Exposure(
            table.assets[row],
            summed(coin, row),
            summed(dollar, row),
            held.get(table.assets[row], 0.0),
            summed(np.where(option, greeks[2], 0.0), row),
            summed(np.where(option, greeks[3], 0.0), row),
            summed(np.where(option, greeks[4], 0.0), row),
            float(table.asset_price[row]),
        )
        for row in dict.fromkeys(base.tolist())
    )


def _option_greeks(table: Table) -> F64:
    # (5, I): premium-adjusted delta, unadjusted delta, dollar gamma, dollar vega, dollar theta, per coin of size.
    found = np.zeros((5, len(table.instruments)))
    rows = np.flatnonzero(table.is_option)
    if rows.size == 0:
        return found
    vol = vol_at_mark(table, rows)
    terms = (
        table.forward[rows],
        table.strike[rows],
        np.nan_to_num(vol),
        table.years[rows],
        table.is_call[rows],
    )
    in_coin, in_quote = coin_greeks(*terms), quote_greeks(*terms)
    coin = table.is_coin_premium[rows]
    theta = np.where(coin, in_coin.coin_theta * table.forward[rows], in_quote.theta)
    vega = np.where(coin, in_coin.usd_vega, in_quote.vega)
    adjusted = np.where(coin, in_coin.adjusted_delta, in_quote.delta)
    delta = np.where(coin, in_coin.unadjusted_delta, in_quote.delta)
    gamma = np.where(coin, in_coin.usd_gamma, in_quote.gamma)
    found[:, rows] = np.array([adjusted, delta, gamma, vega, theta]) + np.where(np.isnan(vol), np.nan, 0.0)
    return found
