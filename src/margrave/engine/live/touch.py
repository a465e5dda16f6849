"""Accounts that a change of the market touches: those that hold, owe or ask for something of which an input is another."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from margrave.domain.book import Book
from margrave.kernels.arrays import Bools
from margrave.margin.resolve import Resolved
from margrave.margin.scenario.units import followed
from margrave.rulebook.health import HealthModel
from margrave.rulebook.portfolio import ScenarioModel
from margrave.rulebook.schema import CrossPool
from margrave.rulebook.standard_manager import StandardManager
from margrave.valuation.table import PER_ASSET, PER_INSTRUMENT, Table


def touched_accounts(before: Resolved, now: Resolved, book: Book) -> Bools:
    """Accounts whose numbers may be others than before, (A,).

    Parameters
    ----------
    before, now : Resolved
        The same instruments under the same rules, in two markets.
    book : Book
        Who holds what.

    Returns
    -------
    (A,) ndarray of bool
        An account is a function of its own rows, of the prices of their instruments, and of the index prices of the assets
        that those name; where all of them are bit for bit what they were, so is the account, and it is not among these.
    """
    touched = np.zeros(len(book.names), dtype=np.bool_)
    assets = _assets_changed(before.table, now.table)
    if _touches_all(before, now, assets):
        return ~touched
    table = now.table
    wanted = _instruments_changed(before.table, table)
    for column in (table.base, table.quote, table.settlement, table.payoff):
        wanted |= assets[column]
    if wanted.any():
        touched[book.account[wanted[book.instrument]]] = True
        touched[book.order_account[wanted[book.order_instrument]]] = True
    own = assets[[table.assets.index(name) for name in book.assets]]
    if own.any():
        touched[book.balance_account[own[book.balance_asset]]] = True
    return touched


def _touches_all(before: Resolved, now: Resolved, assets: Bools) -> bool:
    # What is read beside an account's own rows: the instant by schedules and by models that time their expiries, the
    # currency that all pools count in, and underlyings that collateral follows.
    rules = now.rulebook
    timed = bool(rules.schedules) or not isinstance(rules.portfolio, ScenarioModel | HealthModel | None)
    common = [now.table.assets.index(name) for name in followed(rules)]
    if isinstance(rules.portfolio, StandardManager) and rules.portfolio.settlement in now.table.assets:
        common.append(now.table.assets.index(rules.portfolio.settlement))  # the peg that all pools read
    if rules.account.cross_pool is CrossPool.ACCOUNT:
        common.append(now.currency)
    return bool(assets[common].any()) or (timed and before.market.at != now.market.at)


def _assets_changed(before: Table, now: Table) -> Bools:
    changed = np.zeros(len(now.assets), dtype=np.bool_)
    for name in PER_ASSET:
        changed |= _other(getattr(before, name), getattr(now, name))
    return changed


def _instruments_changed(before: Table, now: Table) -> Bools:
    changed = np.zeros(len(now.instruments), dtype=np.bool_)
    for name in PER_INSTRUMENT:
        changed |= _other(getattr(before, name), getattr(now, name))
    for row in before.issues.keys() | now.issues.keys():
        changed[row] |= before.issues.get(row) != now.issues.get(row)
    return changed


def _other(one: NDArray[Any], two: NDArray[Any]) -> Bools:
    return np.asarray((one != two) & ~((one != one) & (two != two)))
