"""Accounts of coin pools under scenario margin through the compiled kernel; which they are, and what it needs.

The kernel serves what its one pass can express: pools in the coin that their contracts are on, scenarios, the roll
charge and the charge on a large delta. Everything else goes the way in NumPy, account by account.
"""

from concurrent.futures import Executor
from dataclasses import dataclass, fields, replace
from typing import Any, final

import numpy as np

from margrave.core.rounding import Direction, Step, round_all
from margrave.domain.book import Book
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.compiled.coin_pools import (
    DELTA,
    FACTS,
    INDEX,
    IS_OPTION,
    MARK,
    PER_PRICE,
    A,
    C,
    CoinRows,
    CoinTerms,
    coin_pools,
)
from margrave.kernels.compiled.rows import empty_rows
from margrave.margin.pooled import evaluate, prepare_in
from margrave.margin.resolve import Resolved
from margrave.margin.scenario.cells import Grid, grid_of
from margrave.margin.scenario.scenarios import ScenarioMargin
from margrave.margin.scenario.scene import coin_deltas
from margrave.margin.scenario.unit_risk import Block, cell_weights
from margrave.rulebook.portfolio import (
    LiquidityCharge,
    Role,
    RollCharge,
    ScenarioModel,
    UnitOf,
    UnitTerms,
    terms_of,
)
from margrave.rulebook.schema import CrossPool, Rulebook


@final
@dataclass(frozen=True, slots=True)
class Sweep:
    """A rulebook in a market as the kernel takes it."""

    terms: CoinTerms
    clean: Bools  # (I,) instruments that the kernel serves
    coin: I64  # rows of the table's assets of the book's own
    initial: float
    maintenance: float
    digits: int | None  # to which the worst loss is rounded


@final
@dataclass(frozen=True, slots=True)
class SweptPools:
    """Pools, (K,), of the accounts that were asked for; in coins."""

    account: I64
    currency: I64
    equity: F64
    initial: F64
    maintenance: F64


def is_expressible(rulebook: Rulebook) -> bool:
    """Whether the kernel can serve the rulebook at all."""
    model, account = rulebook.portfolio, rulebook.account
    if not isinstance(model, ScenarioModel) or account.cross_pool is not CrossPool.SETTLEMENT:
        return False
    apart = (model.correlation, model.levels.depeg, *(rule.debt for rule in account.collateral))
    if model.collateral or model.collateral_moves or any(part is not None for part in apart):
        return False
    plain = model.unit is UnitOf.UNDERLYING and account.profit_credit == 1.0 and account.option_value_credit
    return plain and all(_are_plain(terms) for terms in model.terms)


def _are_plain(terms: UnitTerms) -> bool:
    kinds = [type(charge) for charge in terms.charges]
    both = all(c.role is Role.ADDS and c.initial and c.maintenance for c in terms.charges)
    known = all(kind in (RollCharge, LiquidityCharge) for kind in kinds) and len(set(kinds)) == len(kinds)
    return both and known and terms.skew is None and terms.static_discount is None


def sweep_of(resolved: Resolved, book: Book) -> Sweep | None:
    """What the kernel needs of a market, worked out by the calculation in NumPy on one contract of each instrument.

    Parameters
    ----------
    resolved : Resolved
        Rulebook, market and instruments.
    book : Book
        Any book of these symbols and assets.

    Returns
    -------
    Sweep or None
        None where the kernel cannot serve the rulebook.
    """
    table, model = resolved.table, resolved.rulebook.portfolio
    if not is_expressible(resolved.rulebook) or not book.symbols:
        return None
    assert isinstance(model, ScenarioModel)
    probe = prepare_in(resolved, _one_of_each(book, table.mark))
    margin = evaluate(probe).workings.joint
    if margin is None or not isinstance(margin.workings, ScenarioMargin):
        return None
    count, coins = len(book.symbols), len(table.assets)
    grids = [grid_of(terms.cells) for terms in model.terms]
    rows = empty_rows(count + coins, max(len(grid.move) for grid in grids))
    rows[:] = np.nan
    facts = np.full((count, FACTS), np.nan)
    per_price = np.divide(table.c, table.mark, out=np.zeros(count), where=table.c > 0.0)
    for column, values in ((A, table.a), (C, table.c), (MARK, table.mark), (PER_PRICE, per_price)):
        facts[:, column] = values
    facts[:, IS_OPTION], facts[:, INDEX], facts[:, -1] = table.is_option, table.index, 0.0
    for block in margin.workings.blocks:
        _fill(block, rows, facts)
    dates, date = np.unique(table.years, return_inverse=True)
    share, liquidity = np.zeros((coins, len(dates))), np.zeros((coins, 3))
    for coin, name in enumerate(table.assets):
        terms = terms_of(model, name)
        if terms is not None:
            _padded(rows[count + coin], _damper(terms, grid_of(terms.cells)))
            _charges(terms, dates, share[coin], liquidity[coin])
    sick = np.zeros(count, dtype=np.bool_)
    sick[probe.pools.account[list(probe.issues)]] = True
    own = (table.base == table.settlement) & (table.payoff == table.settlement)
    clean = own & ~sick & np.isfinite(rows[:count]).all(axis=1) & np.isfinite(facts).all(axis=1)
    where = np.array([table.assets.index(name) for name in book.assets], dtype=np.int64)
    levels = model.levels
    made = CoinTerms(rows, facts, table.settlement, date.astype(np.int64), share, liquidity)
    return Sweep(made, clean, where, levels.initial, levels.maintenance, model.worst_digits)


def _one_of_each(book: Book, mark: F64) -> Book:
    count = len(book.symbols)
    each, none = np.arange(count), np.zeros(0, dtype=np.int64)
    some = _some(book, np.zeros(len(book.names), dtype=np.bool_))
    return replace(
        some,
        names=np.array(book.symbols, dtype=book.names.dtype),
        parents=np.full(count, "", dtype=book.parents.dtype),
        account=each,
        instrument=each,
        quantity=np.ones(count),
        entry=mark,
        leverage=np.full(count, np.nan),
        is_isolated=np.zeros(count, dtype=np.bool_),
        isolated_margin=np.full(count, np.nan),
        order_account=none,
    )


def _fill(block: Block, rows: F64, facts: F64) -> None:
    scene, grid = block.scene, block.worth.grid
    weights = cell_weights(scene, grid)[:, scene.units.unit]
    profit, delta = block.worth.member[0] * weights, coin_deltas(scene)[0]
    for member, instrument in enumerate(scene.units.instrument.tolist()):
        _padded(rows[instrument], profit[:, member])
        facts[instrument, DELTA] = delta[member]


def _padded(row: F64, cells: F64) -> None:
    row[: len(cells)] = cells
    row[len(cells) :] = cells[0]


def _damper(terms: UnitTerms, grid: Grid) -> F64:
    # What shrinks a loss of the tail, at a price of one; gains never count for the worst loss of a pool of one unit.
    if terms.gains is None or not terms.gains.tail_dampener:
        return np.zeros(len(grid.move))
    beyond = np.maximum(np.abs(grid.move) / grid.range, 1.0) - 1.0
    return np.where(grid.is_tail, beyond, 0.0) * terms.gains.tail_dampener / (1.0 + grid.edge)


def _charges(terms: UnitTerms, dates: F64, share: F64, liquidity: F64) -> None:
    for charge in terms.charges:
        if isinstance(charge, RollCharge):
            share[:] = np.maximum(charge.least, np.expm1(charge.rate * dates))
        if isinstance(charge, LiquidityCharge):
            liquidity[:] = charge.free, charge.increment, charge.most


def served(sweep: Sweep, book: Book) -> Bools:
    """Accounts that the kernel answers, (A,): cross positions in instruments that it serves, and no open orders."""
    out = np.ones(len(book.names), dtype=np.bool_)
    out[book.order_account] = False
    out[book.account[book.is_isolated]] = False
    if not sweep.clean.all():
        out[book.account[~sweep.clean[book.instrument]]] = False
    return out


def swept(sweep: Sweep, book: Book, pool: Executor | None = None) -> SweptPools:
    """Pools of a book of accounts that the kernel serves.

    Parameters
    ----------
    sweep : Sweep
        Rulebook and market.
    book : Book
        Accounts of which `served` says yes.
    pool : Executor, optional
        Threads; the answer is the same bytes.

    Returns
    -------
    SweptPools
        Within 1e-12 of the gross of what is summed of the calculation in NumPy, and where the rulebook rounds the
        worst loss, one step where it lies between two.
    """
    asset = sweep.coin[book.balance_asset]
    count = len(book.names)
    rows = CoinRows(
        _starts(book.account, count),
        np.ascontiguousarray(book.instrument),
        np.ascontiguousarray(book.quantity),
        np.ascontiguousarray(book.entry),
        _starts(book.balance_account, count),
        asset,
        np.ascontiguousarray(book.balance),
    )
    found = coin_pools(sweep.terms, rows, pool)
    worst = found.worst
    if sweep.digits is not None:
        worst = round_all(worst, Step(10.0**-sweep.digits, Direction.NEAREST))
    risk = worst + found.charge
    return SweptPools(
        found.account, found.currency, found.equity, sweep.initial * risk, sweep.maintenance * risk
    )


def _starts(account: I64, count: int) -> I64:
    starts = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(account, minlength=count), out=starts[1:])
    return starts


def some_accounts(book: Book, which: Bools) -> Book:
    """The accounts of a book that are chosen, counted anew, with the tables of the whole."""
    return book if which.all() else _some(book, which)


def _some(book: Book, which: Bools) -> Book:
    place = np.cumsum(which) - 1
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
