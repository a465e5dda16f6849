"""Positions and balances of pools as the columns of the standard manager: all pools in all rows of prices at once.

What a row of prices does not change is found once; the columns then stand row of prices by row of prices, and in
each pool by pool. Sums go over a pool's own rows in their order, so that a pool in a book has the digits that it has
alone.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.groups import first_seen
from margrave.margin.standard.standard_manager import (
    Expiries,
    Holding,
    Options,
    Payoffs,
    Terms,
    Underlyings,
    terms_at,
    terms_of,
    worst_payoffs,
)
from margrave.rulebook.standard_manager import StandardManager
from margrave.valuation.scenarios import Priced
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class HeldPools:
    """Positions and balances of V pools, both in the order of the pools."""

    count: int
    owner: I64  # (n,) pool of each position, ascending
    instrument: I64  # (n,) rows of the table; several of one instrument in a pool are one position
    quantity: F64  # (n,) [contracts]
    bucket_owner: I64  # (b,) pool of each balance, ascending
    asset: I64  # (b,) rows of the table's assets, each once a pool
    balance: F64  # (b,) [asset]


@final
@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure the feeds are, 0..1, and where the settlement asset trades."""

    asset: F64  # (A,) of each asset's spot price
    instrument: F64  # (I,) a perpetual's price; an option's forward or vol, whichever is less sure
    stable: float | F64 = 1.0  # [USD per settlement asset]; one number, or one of each row of prices (S,)


@final
@dataclass(frozen=True, slots=True)
class Holdings:
    """S times V pools as rows of one holding: all pools in the first row of prices, then all in the second."""

    holding: Holding  # without labels
    terms: Terms
    payoffs: Payoffs
    pool: I64  # of each underlying, 0 to S V - 1
    base: I64  # (M,) row of the table's assets, of the underlyings of the first row of prices
    dated: I64  # (E,) the first instrument of each expiry of the first row of prices
    option: I64  # (O,) instrument of each option of the first row of prices


@final
@dataclass(frozen=True, slots=True)
class _Net:
    # Net positions of pools: what no price changes.
    at: I64  # (p,) instrument of each, in the order in which a pool first has it
    size: F64  # (p,) [coin]
    market: I64  # (p,) row of the underlying
    owner: I64  # (M,) pool of each underlying, ascending
    base: I64  # (M,) asset, in the order of their names, which no other account can change
    amount: F64  # (M,) base collateral [coin]


def holdings_of(
    rule: StandardManager, table: Table, priced: Priced, held: HeldPools, sure: Confidence
) -> Holdings:
    """Pools as columns in every row of prices.

    Parameters
    ----------
    rule : StandardManager
        Section of the rulebook.
    table, priced : Table, Priced
        Instruments, and their prices (S, I).
    held : HeldPools
        Positions and balances.
    sure : Confidence
        Feeds.

    Returns
    -------
    Holdings
        Cash is the balance of the settlement asset, and profit zero: both stand in the equity, and no part of the
        requirement depends on them. Spot is the index of the underlying's instruments, else the asset's own price.
        The forward of an expiry is the largest that its options are quoted with, its confidence the least.
    """
    net = _net(rule, table, held)
    rows = len(priced.mark)
    under = _underlyings(rule, table, priced, net, sure)
    options = np.flatnonzero(table.is_option[net.at])
    at, market = net.at[options], net.market[options]
    expiry, first = _expiries(market, table.years[at])
    dated = at[first]
    expiries = Expiries(
        label=(),
        market=_in_rows(market[first], rows, len(net.base)),
        forward=_extreme(np.maximum, priced.forward[:, at], expiry, len(first), 0.0).ravel(),
        confidence=np.tile(_extreme(np.minimum, sure.instrument[None, at], expiry, len(first), 1.0)[0], rows),
    )
    one = Options((), expiry, table.strike[at], table.is_call[at], net.size[options], priced.mark[0, at])
    payoffs = worst_payoffs(one, np.zeros(len(first)))
    every = Options(
        (),
        _in_rows(expiry, rows, len(first)),
        np.tile(one.strike, rows),
        np.tile(one.is_call, rows),
        np.tile(one.quantity, rows),
        priced.mark[:, at].ravel(),
    )
    stable = np.broadcast_to(np.asarray(sure.stable, dtype=np.float64), (rows,))
    holding = Holding(_cash(rule, table, held), np.repeat(stable, len(net.base)), under, expiries, every)
    names, row = np.unique(net.base, return_inverse=True)
    terms = terms_at(terms_of(rule, [table.assets[name] for name in names.tolist()]), np.tile(row, rows))
    return Holdings(
        holding,
        terms,
        Payoffs(np.tile(payoffs.worst, rows), np.tile(payoffs.net_calls, rows)),
        _in_rows(net.owner, rows, held.count),
        net.base,
        dated,
        at,
    )


def _in_rows(index: I64, rows: int, count: int) -> I64:
    # Indices into columns that stand row of prices by row of prices.
    return np.asarray((np.arange(rows)[:, None] * count + index).ravel())


def _cash(rule: StandardManager, table: Table, held: HeldPools) -> F64:
    cash = np.zeros(held.count)
    if rule.settlement in table.assets:
        own = held.asset == table.assets.index(rule.settlement)
        cash[held.bucket_owner[own]] = held.balance[own]
    return cash


def _net(rule: StandardManager, table: Table, held: HeldPools) -> _Net:
    count = len(table.assets)
    first, place = first_seen(held.owner * len(table.instruments) + held.instrument)
    at = held.instrument[first]
    size = np.bincount(place, weights=held.quantity, minlength=len(at)) * table.a[at]
    named = {market.base for market in rule.markets if market.collateral is not None}
    counts = np.array([name in named for name in table.assets], dtype=np.bool_)[held.asset]
    backing = np.flatnonzero(counts & (held.balance > 0.0))
    by_name = np.array(sorted(range(count), key=table.assets.__getitem__), dtype=np.int64)
    rank = np.empty(count, dtype=np.int64)
    rank[by_name] = np.arange(count)
    owner = np.concatenate((held.owner[first], held.bucket_owner[backing]))
    base = np.concatenate((table.base[at], held.asset[backing]))
    key, row = np.unique(owner * count + rank[base], return_inverse=True)
    amount = np.zeros(len(key))
    amount[row[len(at) :]] = held.balance[backing]
    return _Net(at, size, row[: len(at)], key // count, by_name[key % count], amount)


def _underlyings(
    rule: StandardManager, table: Table, priced: Priced, net: _Net, sure: Confidence
) -> Underlyings:
    rows, base = len(priced.mark), net.base
    spot = priced.asset_price[:, base]
    if rule.settlement in table.assets:
        spot = spot / priced.asset_price[:, [table.assets.index(rule.settlement)]]
    last = np.full(len(base), -1)
    last[net.market] = np.arange(len(net.at))
    quoted = np.flatnonzero(last >= 0)
    spot[:, quoted] = priced.index[:, net.at[last[quoted]]]
    perps = np.flatnonzero(~table.is_option[net.at])
    at, market = net.at[perps], net.market[perps]
    perpetual, price, sureness = np.zeros(len(base)), spot.copy(), np.ones(len(base))
    perpetual[market], price[:, market], sureness[market] = (
        net.size[perps],
        priced.mark[:, at],
        sure.instrument[at],
    )
    return Underlyings(
        name=(),
        spot=spot.ravel(),
        spot_confidence=np.tile(sure.asset[base], rows),
        perpetual=np.tile(perpetual, rows),
        perpetual_price=price.ravel(),
        perpetual_confidence=np.tile(sureness, rows),
        perpetual_profit=np.zeros(rows * len(base)),
        base=np.tile(net.amount, rows),
    )


def _expiries(market: I64, years: F64) -> tuple[I64, I64]:
    # Expiry of each option, by underlying and date, and the first option of each expiry.
    order = np.lexsort((years, market))
    opens = np.ones(len(order), dtype=np.bool_)
    opens[1:] = (np.diff(market[order]) != 0) | (np.diff(years[order]) != 0.0)
    expiry = np.empty(len(order), dtype=np.int64)
    expiry[order] = np.cumsum(opens) - 1
    return expiry, order[opens]


def _extreme(of: np.ufunc, values: F64, group: I64, count: int, least: float) -> F64:
    out = np.full((len(values), count), least)
    for row, value in zip(out, values, strict=True):
        of.at(row, group, value)
    return out


def known(holdings: Holdings, count: int) -> Bools:
    """Whether every number of a pool is one that a market can have, (count,)."""
    holding = holdings.holding
    under, expiries, options = holding.underlyings, holding.expiries, holding.options
    of_market = holdings.pool[expiries.market]
    columns = (
        (holdings.pool, _above(under.spot) & _above(under.perpetual_price) & _at_least_zero(holding.stable)),
        (of_market, _above(expiries.forward)),
        (of_market[options.expiry], _at_least_zero(options.price) & np.isfinite(options.quantity)),
    )
    out = np.ones(count, dtype=np.bool_)
    for pool, holds in columns:
        out[pool[~holds]] = False
    return out


def _above(column: F64) -> Bools:
    return np.asarray((column > 0.0) & (column < np.inf))


def _at_least_zero(column: F64) -> Bools:
    return np.asarray((column >= 0.0) & (column < np.inf))
