"""How opposite positions meet in a pool's requirement."""

import numpy as np

from margrave.domain.book import Book
from margrave.kernels.arrays import F64
from margrave.kernels.groups import first_seen
from margrave.margin.pools import Pools, grouped_sum
from margrave.rulebook.schema import AccountRules, Netting
from margrave.valuation.table import Table


def netted(rules: AccountRules, table: Table, book: Book, pools: Pools, margin: F64) -> F64:
    """Requirement of each pool from those of its positions.

    Parameters
    ----------
    rules : AccountRules
        ``netting``: ``none`` adds every position; ``larger-leg`` charges the larger side of each instrument,
        ``larger-side`` of each underlying, and ``matched_charge`` of the smaller side (spec FM-7). Options are
        always added.
    table, book, pools : Table, Book, Pools
        Where each position belongs.
    margin : (S, P) ndarray
        Requirement of each position [pool currency].

    Returns
    -------
    (S, K) ndarray
        Never more than the plain sum (spec CMM-3).
    """
    count, rule = len(pools.account), rules.netting
    if rule is Netting.NONE or margin.shape[1] == 0:
        return grouped_sum(margin, pools.position_pool, count)
    at = book.instrument
    what = at if rule is Netting.LARGER_LEG else table.base[at]
    alone = np.where(table.is_option[at], np.arange(len(at)) + 1, 0)
    width = int(what.max()) + 1
    keys = (pools.position_pool * width + what) * (len(at) + 1) + alone
    first, group = first_seen(keys)
    long = grouped_sum(np.where(book.quantity > 0, margin, 0.0), group, len(first))
    short = grouped_sum(np.where(book.quantity > 0, 0.0, margin), group, len(first))
    charged = np.maximum(long, short) + rules.matched_charge * np.minimum(long, short)
    return grouped_sum(charged, pools.position_pool[first], count)
