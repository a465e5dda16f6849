"""What a pool has: cash, profit with its credit, collateral after haircut (spec CMM-1, CMS-1, CMS-2).

A pool's assets are its buckets. Each is counted in the pool's currency: a negative amount in full, a positive
one by the discount of its slices. Losses always count in full; of profit, the share that the rulebook credits.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, Bools
from margrave.margin.pools import Pools, grouped_sum
from margrave.rulebook.schema import CollateralRule, CreditScope, CrossPool, Rulebook
from margrave.valuation.positions import Valued
from margrave.valuation.scenarios import Priced
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class Balances:
    """What pools have, in every scenario."""

    profit: F64  # (S, B) unrealised profit of each bucket [asset]
    owned: F64  # (S, B) cash, profit and option value of each bucket, uncut [asset]
    amount: F64  # (S, B) what is counted of each bucket before its haircut [asset]
    counted: F64  # (S, B) collateral value [pool currency]
    equity: F64  # (S, K) without credit rules or haircuts [pool currency]
    margin_balance: F64  # (S, K) with them [pool currency]


def balances_of(rulebook: Rulebook, table: Table, priced: Priced, pools: Pools, valued: Valued) -> Balances:
    """Equity and margin balance of every pool.

    Parameters
    ----------
    rulebook : Rulebook
        Credit of profit and option value, and collateral rules.
    table, priced, pools, valued : Table, Priced, Pools, Valued
        Where everything is and what it is worth.

    Returns
    -------
    Balances
        NaN where a needed price is NaN.
    """
    rules = rulebook.account
    count = len(pools.bucket_pool)
    futures = np.where(valued.is_option, 0.0, valued.profit) if table.has_options else valued.profit
    profit = grouped_sum(futures, pools.position_bucket, count)
    value = (
        grouped_sum(valued.value, pools.position_bucket, count)
        if table.has_options
        else np.zeros(profit.shape)
    )
    credited = profit
    if rules.profit_credit < 1.0:
        if rules.profit_scope is CreditScope.POSITION:
            part = np.minimum(futures, 0.0) + rules.profit_credit * np.maximum(futures, 0.0)
            credited = grouped_sum(part, pools.position_bucket, count)
        else:
            credited = np.minimum(profit, 0.0) + rules.profit_credit * np.maximum(profit, 0.0)
    amount = pools.bucket_balance + credited + (value if rules.option_value_credit else 0.0)
    counted = _discounted(rulebook, table, priced, pools, amount)
    pool_count = len(pools.account)
    own = owned = pools.bucket_balance + profit + value
    if pools.converts:
        rate = _to_pool(priced, pools)
        counted, own = counted * rate, owned * rate
    equity = grouped_sum(own, pools.bucket_pool, pool_count)
    return Balances(
        profit, owned, amount, counted, equity, grouped_sum(counted, pools.bucket_pool, pool_count)
    )


def _to_pool(priced: Priced, pools: Pools) -> F64:
    currency = pools.currency[pools.bucket_pool]
    rate = priced.asset_price[:, pools.bucket_asset] / priced.asset_price[:, currency]
    return np.where(pools.bucket_asset == currency, 1.0, rate)


def collateral_rule(rulebook: Rulebook, asset: str) -> CollateralRule | None:
    """Rule of an asset in pools of several assets; None where the rulebook has none."""
    return next((rule for rule in rulebook.account.collateral if rule.asset == asset), None)


def _discounted(rulebook: Rulebook, table: Table, priced: Priced, pools: Pools, amount: F64) -> F64:
    # Only pools of several assets discount: the settlement asset of a segregated pool is money as it is.
    if rulebook.account.cross_pool is not CrossPool.ACCOUNT:
        return amount
    spans = np.flatnonzero(pools.spans_assets[pools.bucket_pool])
    counted = np.array(np.broadcast_to(amount, (priced.mark.shape[0], amount.shape[1])))
    asset = pools.bucket_asset[spans]
    names: dict[str, list[int]] = {}  # an asset may have a row for each pool
    for row in np.unique(asset).tolist():
        names.setdefault(table.assets[row], []).append(row)
    for name, rows in names.items():
        at = spans[np.isin(asset, rows)]
        own = pools.bucket_asset[at]
        some = amount[:, at]
        is_currency = pools.currency[pools.bucket_pool[at]] == own
        share = _share(rulebook, name, np.maximum(some, 0.0), priced.asset_price[:, own], is_currency)
        counted[:, at] = np.minimum(some, 0.0) + share
    return counted


def _share(rulebook: Rulebook, asset: str, held: F64, price: F64, is_currency: Bools) -> F64:
    rule = collateral_rule(rulebook, asset)
    if rule is None:
        unlisted = rulebook.account.haircut_unlisted
        return np.where(is_currency, held, held * (0.0 if unlisted is None else 1.0 - unlisted))
    size = held * price if rule.in_numeraire else held
    ends = [*(d.floor for d in rule.discounts[1:]), np.inf]
    share = np.zeros(held.shape)
    for discount, end in zip(rule.discounts, ends, strict=True):
        share += np.clip(size - discount.floor, 0.0, end - discount.floor) * discount.rate
    return share / price if rule.in_numeraire else share
