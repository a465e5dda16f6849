"""Whether a pool's own collateral pays in every scenario: equity cell by cell, collateral revalued (spec PMS-6).

A requirement may be covered and the pool insolvent all the same: 0.17 coins cover a loss of 0.16 coins at today's
price, and not the 0.19 coins that the same dollars are where the loss occurs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.errors import Reason, refused
from margrave.domain.account import Account
from margrave.domain.book import book_of
from margrave.domain.market import Market
from margrave.kernels.arrays import F64
from margrave.margin.equity import balances_of
from margrave.margin.pooled import Prepared, prepare
from margrave.margin.pools import pool_name
from margrave.margin.scenario.cells import Grid, cell_vols, grid_of
from margrave.margin.scenario.scene import base_vols
from margrave.rulebook.portfolio import ScenarioModel, UnitTerms, terms_of
from margrave.rulebook.schema import Rulebook
from margrave.valuation.positions import value_positions
from margrave.valuation.scenarios import shifted


@final
@dataclass(frozen=True, slots=True)
class CellEquity:
    """A pool in one cell: everything revalued at the cell's prices, without the weight of the cell."""

    cell: int  # from 1, as the tree of a requirement counts
    move: float  # of every price of the underlying, a fraction
    vol: str  # what happens to vols
    equity: float  # [pool currency] at the cell's prices
    equity_in_numeraire: float  # the same [numeraire] at the cell's prices

    @property
    def is_solvent(self) -> bool:
        """Whether nothing is owed; an equity that is not known is not solvent."""
        return self.equity >= 0.0


@final
@dataclass(frozen=True, slots=True)
class Solvency:
    """A pool in the scenarios of one of its underlyings; other underlyings stay."""

    pool: str
    currency: str
    underlying: str
    equity: float  # now [pool currency]
    cells: tuple[CellEquity, ...]

    @property
    def insolvent(self) -> tuple[CellEquity, ...]:
        """Cells in which the pool owes more than it has."""
        return tuple(c for c in self.cells if not c.is_solvent)

    @property
    def worst(self) -> CellEquity:
        """Cell of the least equity in the pool's currency; one that is not known goes before."""
        return min(self.cells, key=lambda c: _known(c.equity))

    @property
    def worst_in_numeraire(self) -> CellEquity:
        """Cell of the least equity in the numeraire, which may be another."""
        return min(self.cells, key=lambda c: _known(c.equity_in_numeraire))


def _known(equity: float) -> float:
    return equity if equity == equity else float("-inf")


def solvency(account: Account, market: Market, rulebook: Rulebook) -> tuple[Solvency, ...]:
    """Equity of every pool in every cell of the rulebook's scenarios.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation.

    Returns
    -------
    tuple of Solvency
        One a pool and underlying, pools in the order of an assessment. NaN where something is not known.

    Raises
    ------
    RefusedError
        The rulebook has no scenarios.
    """
    model = rulebook.portfolio
    if not isinstance(model, ScenarioModel):
        text = "margins by no scenarios; choose one whose [portfolio] has model 'scenarios'"
        raise refused(rulebook.id, Reason.NOT_ALLOWED, text)
    prepared = prepare(book_of((account,)), market, rulebook)
    return tuple(_found(prepared, model))


def _found(prepared: Prepared, model: ScenarioModel) -> Iterator[Solvency]:
    assert prepared.joined is not None
    units = prepared.joined.units
    assert units is not None
    pairs = zip(units.unit_pool.tolist(), units.unit_base.tolist(), strict=True)
    for pool, base in sorted(dict.fromkeys(pairs), key=lambda pair: pair[0]):
        terms = terms_of(model, prepared.table.assets[base])
        if terms is not None:
            yield _solvency(prepared, model, terms, pool, base)


def _solvency(prepared: Prepared, model: ScenarioModel, terms: UnitTerms, pool: int, base: int) -> Solvency:
    table, pools = prepared.table, prepared.pools
    grid = grid_of(terms.cells)
    currency = int(pools.currency[pool])
    # Row 0 is now.
    factor = np.ones((len(grid.move) + 1, len(table.assets)))
    factor[1:, base] = 1.0 + grid.move
    priced = shifted(table, factor, _vol_factors(prepared, model, terms, grid, base))
    book = prepared.book
    valued = value_positions(table, priced, book.instrument, book.quantity, book.entry)
    equity = balances_of(prepared.rulebook, table, priced, pools, valued).equity[:, pool]
    equity = equity + (np.nan if pool in prepared.issues else 0.0)
    worth = equity * priced.asset_price[:, currency]
    cells = tuple(
        CellEquity(c + 1, float(grid.move[c]), str(grid.vol[c]), float(equity[c + 1]), float(worth[c + 1]))
        for c in range(len(grid.vol))
    )
    names = table.assets
    return Solvency(
        pool_name(pools, table, book, pool), names[currency], names[base], float(equity[0]), cells
    )


def _vol_factors(prepared: Prepared, model: ScenarioModel, terms: UnitTerms, grid: Grid, base: int) -> F64:
    # What each option's vol is multiplied by, (1 + C, I); options on other underlyings keep theirs.
    table = prepared.table
    times = np.ones((len(grid.vol) + 1, len(table.instruments)))
    options = np.flatnonzero(table.is_option & (table.base == base))
    if options.size:
        vol = base_vols(model, table, options)
        moved = cell_vols(terms, grid, table, options, table.forward[None, options], vol)[0]
        times[1:, options] = np.divide(moved, vol, out=np.ones_like(moved), where=vol != 0.0)
    return times
