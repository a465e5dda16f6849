"""Accounts that a change of the market touches: those that hold, owe or ask for something of which an input is another."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from margrave.domain.book import Book
from margrave.engine.live.holders import Holders, accounts_with
from margrave.kernels.arrays import I64, Bools
from margrave.margin.directional import releases
from margrave.margin.resolve import Resolved
from margrave.margin.scenario.units import followed
from margrave.rulebook.health import HealthModel
from margrave.rulebook.portfolio import ScenarioModel
from margrave.rulebook.schema import CrossPool
from margrave.rulebook.standard_manager import StandardManager
from margrave.valuation.table import PER_ASSET, PER_INSTRUMENT, Table

_TO_ASSET: Final = ("base", "quote", "settlement", "payoff")
_COLUMNS: Final = tuple(name for name in PER_INSTRUMENT if name not in _TO_ASSET)


def touched_accounts(before: Resolved, now: Resolved, book: Book, holders: Holders) -> Bools:
    """Accounts whose numbers may be others than before, (A,).

    Parameters
    ----------
    before, now : Resolved
        Two markets, the later with all instruments of the earlier, and the rules of each.
    book, holders : Book, Holders
        Who holds what.

    Returns
    -------
    (A,) ndarray of bool
        An account is a function of its own rows, of the prices of their instruments, and of the index prices of the assets
        that those name; where all of them are bit for bit what they were, so is the account, and it is not among these.
    """
    if before is now:
        return np.zeros(len(book.names), dtype=np.bool_)
    table = now.table
    was = asset_rows(table, before.table)
    assets = _assets_changed(before.table, table, was)
    vols = _other(_at(before.vols, was), now.vols)
    if before.rulebook is not now.rulebook or _touches_all(before, now, assets, vols):
        return np.ones(len(book.names), dtype=np.bool_)
    wanted = _instruments_changed(before.table, table, was)
    if isinstance(now.rulebook.portfolio, HealthModel):
        _weighed(before, now, wanted, assets)
    for name in _TO_ASSET:
        wanted |= assets[getattr(table, name)]
    if now.rulebook.schedules:
        wanted |= vols[table.base]
    own = assets[[table.assets.index(name) for name in book.assets]]
    found = accounts_with(holders, book, wanted, own)
    if before.market.at != now.market.at and releases(now.rulebook):
        found[book.memory.account] = True
    return found


def _weighed(before: Resolved, now: Resolved, instruments: Bools, assets: Bools) -> None:
    # Mark what a health model weighs by besides the table: slow prices, and what the venue holds and has lent.
    symbols = {i.symbol: row for row, i in enumerate(now.table.instruments) if i is not None}
    rows = {name: row for row, name in enumerate(now.table.assets)}
    for table in ("slow", "deposits", "borrows"):
        one, two = getattr(before.market, table), getattr(now.market, table)
        for name in {k for k in one.keys() | two.keys() if one.get(k) != two.get(k)}:
            if name in symbols:
                instruments[symbols[name]] = True
            if name in rows:
                assets[rows[name]] = True


def asset_rows(now: Table, before: Table) -> I64:
    """Row of each asset of a table in an earlier one, (A,); -1 where it was not there."""
    if now.assets == before.assets:
        return np.arange(len(now.assets))
    known = {name: row for row, name in enumerate(before.assets)}
    return np.array([known.get(name, -1) for name in now.assets], dtype=np.int64)


def _touches_all(before: Resolved, now: Resolved, assets: Bools, vols: Bools) -> bool:
    # What is read beside an account's own rows: the instant and vols by models that time their expiries, the currency that
    # all pools count in, and underlyings that collateral follows.
    rules = now.rulebook
    is_joint = not isinstance(rules.portfolio, ScenarioModel | HealthModel | None)
    common = [now.table.assets.index(name) for name in followed(rules)]
    if isinstance(rules.portfolio, StandardManager) and rules.portfolio.settlement in now.table.assets:
        common.append(now.table.assets.index(rules.portfolio.settlement))  # the peg that all pools read
    if rules.account.cross_pool is CrossPool.ACCOUNT:
        common.append(now.currency)
    if is_joint and before.market.at != now.market.at:
        return True
    return bool(assets[common].any()) or (is_joint and bool(vols.any()))


def _at(column: NDArray[Any], rows: I64) -> NDArray[Any]:
    return np.where(rows >= 0, column[rows], np.nan)


def _assets_changed(before: Table, now: Table, was: I64) -> Bools:
    changed = np.zeros(len(now.assets), dtype=np.bool_)
    for name in PER_ASSET:
        changed |= _other(_at(getattr(before, name), was), getattr(now, name))
    return changed


def _instruments_changed(before: Table, now: Table, was: I64) -> Bools:
    # An instrument that is new is held by nobody whose rows have not changed with it.
    count = len(before.instruments)
    changed = np.zeros(len(now.instruments), dtype=np.bool_)
    for name in _COLUMNS:
        changed[:count] |= _other(getattr(before, name), getattr(now, name)[:count])
    for name in _TO_ASSET:
        changed[:count] |= getattr(before, name) != was[getattr(now, name)[:count]]
    for row in before.issues.keys() | now.issues.keys():
        changed[row] |= before.issues.get(row) != now.issues.get(row)
    return changed


def _other(one: NDArray[Any], two: NDArray[Any]) -> Bools:
    return np.asarray((one != two) & ~((one != one) & (two != two)))
