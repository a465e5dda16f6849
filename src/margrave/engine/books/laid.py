"""A book laid out for the compiled sweep: once, for all the ticks to come."""

from concurrent.futures import Executor
from dataclasses import dataclass, fields, replace
from typing import Any, final

import numpy as np

from margrave.domain.book import Book
from margrave.engine.books.directional_swept import remembered
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.compiled.directional_pools import Remembered
from margrave.kernels.compiled.laid_out import Columns, Contracts, PoolRows, laid_out, starts_of
from margrave.margin.pooled import isolated_margin_of
from margrave.margin.resolve import Resolved
from margrave.rulebook.schema import CrossPool, OrderRule, Rulebook
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class Chosen:
    """What holders chose, of positions, (P,), and orders, (O,), as they are laid out, and what schedules remember of them."""

    leverage: F64  # NaN where none was
    order_price: F64
    order_leverage: F64  # NaN where none was
    entry: F64
    remembered: Remembered  # of accounts


@final
@dataclass(frozen=True, slots=True)
class LaidBook:
    """Accounts as pools, and which accounts they are."""

    contracts: Contracts
    rows: PoolRows  # `account` is a row of the book
    others: Bools  # (A,) accounts that are not laid out: they hold isolated positions
    account: I64  # of each pool
    instrument: I64  # of a pool that is one isolated position; -1
    chosen: Chosen | None  # None where scenarios margin
    first: I64 | None  # (K + 1,) where those of one coin begin, where pools span coins


def spans_coins(rulebook: Rulebook) -> bool:
    """Whether a pool holds several coins, each with what hangs on it as a part of the pool."""
    return rulebook.account.cross_pool is CrossPool.ACCOUNT


def contracts_of(table: Table) -> Contracts:
    """What no price changes of a market's instruments."""
    return Contracts(table.settlement, table.a, table.c, table.is_option, len(table.assets))


def are_same(one: Contracts, other: Contracts) -> bool:
    """Whether what is laid out by some contracts holds for others."""
    return one.coins == other.coins and all(
        np.array_equal(getattr(one, f.name), getattr(other, f.name), equal_nan=f.name in ("a", "c"))
        for f in fields(Contracts)
        if f.name != "coins"
    )


def lay_out(book: Book, resolved: Resolved, pool: Executor | None = None) -> LaidBook:
    """Lay a book out for scenarios, all but accounts with isolated positions.

    Parameters
    ----------
    book : Book
        Accounts.
    resolved : Resolved
        Its instruments in any market; of the rulebook, whether open orders count.
    pool : Executor, optional
        Threads; the answer is the same bytes.
    """
    others = np.zeros(len(book.names), dtype=np.bool_)
    others[book.account[book.is_isolated]] = True
    rows = _rows_of(some_accounts(book, ~others), others, resolved, _ALL_CROSS, pool)
    contracts = contracts_of(resolved.table)
    if not spans_coins(resolved.rulebook):
        return LaidBook(contracts, rows, others, rows.account, _nothing_alone(len(rows.account)), None, None)
    starts = np.flatnonzero(np.diff(rows.account, prepend=-1))
    first = np.concatenate((starts, [len(rows.account)]))
    return LaidBook(contracts, rows, others, rows.account[starts], _nothing_alone(len(starts)), None, first)


def lay_out_alone(book: Book, resolved: Resolved, pool: Executor | None = None) -> LaidBook:
    """Lay a book out for margin by size, isolated positions too: all but accounts with orders for what nobody lists.

    Neither are accounts with short isolated options of which no margin is stated: today's formula says it, at every tick anew.

    Arguments as for `lay_out`.
    """
    table = resolved.table
    others = np.zeros(len(book.names), dtype=np.bool_)
    if table.unlisted is not None:
        others[book.order_account[table.unlisted[book.order_instrument]]] = True
    unstated = book.is_isolated & np.isnan(book.isolated_margin) & (book.quantity < 0.0)
    others[book.account[unstated & table.is_option[book.instrument]]] = True
    held = some_accounts(book, ~others)
    margin = np.where(held.is_isolated, isolated_margin_of(resolved, held), np.nan)
    rows = _rows_of(held, others, resolved, margin, pool)
    alone = np.append(held.instrument, -1)[rows.position]  # the last is that of a cross pool
    came = rows.order_came
    chosen = Chosen(
        held.leverage[rows.came],
        held.order_price[came],
        held.order_leverage[came],
        held.entry[rows.came],
        remembered(book, table),
    )
    rows = replace(rows, came=rows.came[:0])  # what it was for is done
    return LaidBook(contracts_of(table), rows, others, rows.account, alone, chosen, None)


_ALL_CROSS = np.zeros(0)


def _nothing_alone(pools: int) -> I64:
    return np.broadcast_to(np.int64(-1), pools)  # a number for all of them, and no memory


def _counting(book: Book, rulebook: Rulebook) -> Bools:
    # Orders that could open something under rules that margin them.
    return ~book.order_reduces & (rulebook.account.orders is not OrderRule.NONE)


def _rows_of(held: Book, others: Bools, resolved: Resolved, alone: F64, pool: Executor | None) -> PoolRows:
    # Pools of the accounts that are laid out, by rows of the whole book.
    table = resolved.table
    count = len(held.names)
    coin = np.array([table.assets.index(name) for name in held.assets], dtype=np.int64)
    rows = laid_out(
        contracts_of(table),
        Columns(
            start=starts_of(held.account, count),
            instrument=held.instrument,
            quantity=held.quantity,
            entry=held.entry,
            alone=alone,
            balance_start=starts_of(held.balance_account, count),
            balance_coin=coin[held.balance_asset],
            balance=held.balance,
            order_start=starts_of(held.order_account, count),
            order_instrument=held.order_instrument,
            order_quantity=np.where(_counting(held, resolved.rulebook), held.order_quantity, 0.0),
            order_price=held.order_price,
            traced=alone is not _ALL_CROSS,
        ),
        pool,
    )
    return replace(rows, account=np.flatnonzero(~others)[rows.account]) if others.any() else rows


def some_accounts(book: Book, which: Bools) -> Book:
    """The accounts of a book that are chosen, counted anew, with the tables of the whole."""
    if which.all():
        return book
    place: I64 = np.cumsum(which) - 1
    groups = ("account", "balance_account", "order_account")
    members = (
        ("account", "instrument", "quantity", "entry", "leverage", "is_isolated", "isolated_margin"),
        ("balance_account", "balance_asset", "balance"),
        (
            "order_account",
            "order_instrument",
            "order_quantity",
            "order_price",
            "order_leverage",
            "order_reduces",
        ),
    )
    columns: dict[str, Any] = {"names": book.names[which], "parents": book.parents[which]}
    for group, names in zip(groups, members, strict=True):
        rows = which[getattr(book, group)]
        columns.update({name: getattr(book, name)[rows] for name in names})
        columns[group] = place[columns[group]]
    rows = which[book.memory.account]
    memory = {f.name: getattr(book.memory, f.name)[rows] for f in fields(book.memory)}
    memory["account"] = place[memory["account"]]
    return replace(book, **columns, memory=replace(book.memory, **memory))
