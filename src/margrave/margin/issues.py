"""Why pools are unknown: what has no terms, no price, no rule, no published rate or no open interest.

Arrays find the rows that are wrong; only those become sentences.
"""

from collections.abc import Iterator
from itertools import chain

import numpy as np

from margrave.core.errors import Issue, Reason
from margrave.domain.book import Book
from margrave.kernels.arrays import I64, Bools
from margrave.margin.ladder import LadderTerms
from margrave.margin.plan import no_rule
from margrave.margin.pools import Pools
from margrave.margin.resolve import Resolved
from margrave.rulebook.schema import Rulebook
from margrave.valuation.table import Table


def issues_of(resolved: Resolved, book: Book, pools: Pools) -> dict[int, tuple[Issue, ...]]:
    """Issues of each pool that has any, each once; a pool that has none is not named."""
    found: dict[int, list[Issue]] = {}
    table, plan, ladders = resolved.table, resolved.plan, resolved.ladders

    def told(row: int) -> Issue:
        instrument = table.instruments[row]
        if row in table.issues or instrument is None:
            return table.issues[row]
        return no_rule(plan, instrument)

    if resolved.wrong is not None:
        for row, pool in _held(resolved.wrong, table, book, pools):
            found.setdefault(pool, []).append(told(row))
    more = (
        _unpriced(table, pools),
        _beyond(plan.rulebook, ladders, table, book, pools),
        _uncounted(ladders, table, book, pools),
        _in_another_asset(resolved, book, pools),
    )
    for pool, issue in chain(*more):
        found.setdefault(pool, []).append(issue)
    return {pool: tuple(dict.fromkeys(issues)) for pool, issues in found.items()}


def _held(wrong: Bools, table: Table, book: Book, pools: Pools) -> Iterator[tuple[int, int]]:
    # Instruments that are wrong with the pools that hold them. What nobody lists may settle in any cross pool of its
    # account, and so may an order: it troubles all of them.
    positions = np.flatnonzero(wrong[book.instrument])
    lost = np.zeros(len(positions), dtype=np.bool_)
    if table.unlisted is not None:
        lost = table.unlisted[book.instrument[positions]] & ~book.is_isolated[positions]
    known, anywhere = positions[~lost], positions[lost]
    yield from zip(book.instrument[known].tolist(), pools.position_pool[known].tolist(), strict=True)
    yield from _in_cross_pools(book.instrument[anywhere], book.account[anywhere], pools)
    orders = np.flatnonzero(wrong[book.order_instrument])
    yield from _in_cross_pools(book.order_instrument[orders], book.order_account[orders], pools)


def _in_cross_pools(instrument: I64, account: I64, pools: Pools) -> Iterator[tuple[int, int]]:
    cross = np.flatnonzero(~pools.is_isolated)
    first, last = (pools.account[cross].searchsorted(account, side=side) for side in ("left", "right"))
    for row, start, end in zip(instrument.tolist(), first.tolist(), last.tolist(), strict=True):
        yield from ((row, pool) for pool in cross[start:end].tolist())


def _unpriced(table: Table, pools: Pools) -> Iterator[tuple[int, Issue]]:
    # An asset needs an index price only where it is converted.
    if not pools.converts:
        return
    currency = pools.currency[pools.bucket_pool]
    foreign = pools.bucket_asset != currency
    rate = table.asset_price[pools.bucket_asset] / table.asset_price[currency]
    wrong = np.flatnonzero(foreign & ~np.isfinite(rate))
    for bucket in wrong.tolist():
        name = table.assets[int(pools.bucket_asset[bucket])]
        message = f"has no index price, so that it cannot be counted in {table.assets[int(currency[bucket])]}; add it under [market.index]"
        yield int(pools.bucket_pool[bucket]), Issue(name, Reason.MISSING_INDEX, message)


def _beyond(
    rulebook: Rulebook, terms: LadderTerms, table: Table, book: Book, pools: Pools
) -> Iterator[tuple[int, Issue]]:
    # Sizes beyond what the venue publishes are unknown, not extrapolated.
    limits = [ladder.size_max for ladder in rulebook.ladders.values()]
    if not any(limits):
        return
    most = np.array([limit or np.inf for limit in limits])
    limit = np.where(terms.is_ladder, most[terms.ladder], np.inf)
    per_price = table.c / np.where(table.c > 0.0, table.mark, 1.0)
    each = np.where(terms.by_value, table.a * table.mark + per_price, terms.unit_per_contract)
    size = np.abs(book.quantity) * each[book.instrument]
    for p in np.flatnonzero(size > limit[book.instrument]).tolist():
        row = int(book.instrument[p])
        message = f"size {size[p]:g} is beyond {limit[row]:g}, up to which {rulebook.id} publishes rates; reduce it or choose another rulebook"
        yield int(pools.position_pool[p]), Issue(book.symbols[row], Reason.NOT_PUBLISHED, message)


def _uncounted(terms: LadderTerms, table: Table, book: Book, pools: Pools) -> Iterator[tuple[int, Issue]]:
    # A rate that grows with the market's open interest is unknown without it.
    if terms.alike.uncrowded:
        return
    missing = (terms.crowd >= 0) & np.isnan(table.open_interest)
    if not missing.any():
        return
    message = "has a rate that grows with the market's open interest, which is not given; add it under [market.open_interest]"
    for row, pool in _held(missing, table, book, pools):
        yield pool, Issue(book.symbols[row], Reason.MISSING_OPEN_INTEREST, message)


def _in_another_asset(resolved: Resolved, book: Book, pools: Pools) -> Iterator[tuple[int, Issue]]:
    # The standard option formula gives the margin of a coin premium in coins, and converts nothing.
    table = resolved.table
    if not (table.has_options and table.converts):
        return
    wrong = resolved.options.is_option & table.is_coin_premium & (table.payoff != table.settlement)
    if not wrong.any():
        return
    for row, pool in _held(wrong, table, book, pools):
        paid, settled = table.assets[int(table.payoff[row])], table.assets[int(table.settlement[row])]
        message = f"pays in {paid} and settles in {settled}; the option formula is for options that settle in the asset of their premium: correct the terms"
        yield pool, Issue(book.symbols[row], Reason.UNSUPPORTED, message)
