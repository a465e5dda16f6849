"""Margin of what an account owes: a rate on every asset below zero in a pool of several (spec cex.md 1.4, 4.3 MR8)."""

import numpy as np

from margrave.core.words import INITIAL, MAINTENANCE
from margrave.kernels.arrays import F64
from margrave.margin.equity import Balances
from margrave.margin.pools import Pools
from margrave.rulebook.schema import Rulebook
from margrave.valuation.scenarios import Priced
from margrave.valuation.table import Table


def debt_margin_of(
    rulebook: Rulebook, table: Table, priced: Priced, pools: Pools, balances: Balances
) -> tuple[F64, F64] | None:
    """Margin of every bucket that is below zero.

    Parameters
    ----------
    rulebook : Rulebook
        Debt rules of its collateral. A debt counts in full in the equity all the same.
    table, priced, pools, balances : Table, Priced, Pools, Balances
        Where everything is, prices, and what is counted of each bucket, cash and credited profit.

    Returns
    -------
    tuple of (S, B) ndarray, or None
        Initial and maintenance, >= 0 [pool currency]; None where the rulebook has no debt rule.
    """
    if all(rule.debt is None for rule in rulebook.account.collateral):
        return None
    currency = pools.currency[pools.bucket_pool]
    with np.errstate(invalid="ignore"):
        price = priced.asset_price[:, pools.bucket_asset] / priced.asset_price[:, currency]
    price = np.where(pools.bucket_asset == currency, 1.0, price)
    owed = np.maximum(-balances.amount, 0.0)
    # Without a debt nothing is asked, whatever the price: an asset that nobody owes may be unpriced.
    initial, maintenance = (
        np.where(owed > 0.0, owed * price * debt_rates(rulebook, table, pools, level), 0.0)
        for level in (INITIAL, MAINTENANCE)
    )
    return initial, maintenance


def debt_rates(rulebook: Rulebook, table: Table, pools: Pools, level: int) -> F64:
    """Rate of each bucket's asset at a level, (B,); zero in pools of one asset and where there is no rule."""
    rates = {
        rule.asset: rule.debt.initial if level == INITIAL else rule.debt.maintenance
        for rule in rulebook.account.collateral
        if rule.debt is not None
    }
    by_asset = np.array([rates.get(name, 0.0) for name in table.assets])
    return np.where(pools.spans_assets[pools.bucket_pool], by_asset[pools.bucket_asset], 0.0)
