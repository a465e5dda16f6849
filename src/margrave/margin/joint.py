"""Portfolio margin of the pools of a book, by whichever model the rulebook states, with open orders at their worst fill."""

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from margrave.core.errors import Issue, Reason
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.domain.book import Book
from margrave.kernels.arrays import F64
from margrave.margin.equity import Balances
from margrave.margin.plan import Plan
from margrave.margin.pools import Pools
from margrave.margin.scenarios import Portfolio, ScenarioMargin, scenario_margin
from margrave.margin.scene import base_vols
from margrave.margin.units import Units, units_of
from margrave.rulebook.portfolio import moves_vol, terms_of
from margrave.rulebook.schema import OrderRule, Rulebook
from margrave.valuation.scenarios import Priced
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class Joint:
    """What pools are asked together, (S, K), each in its currency; zero where a pool has no member."""

    initial: F64  # of what is held
    maintenance: F64
    orders: F64  # what open orders add to the initial level at their worst fill
    workings: ScenarioMargin


def joint_units(plan: Plan, table: Table, book: Book, pools: Pools) -> Units | None:
    """Units of a book under the rulebook's portfolio model; None where it has none."""
    model = plan.rulebook.portfolio
    return None if model is None else units_of(model, plan, table, book, pools)


def joint_margin(  # noqa: PLR0913 - the inputs of one sum
    plan: Plan, table: Table, priced: Priced, book: Book, pools: Pools, units: Units, balances: Balances
) -> Joint:
    """Portfolio margin of every pool in every row of prices.

    Parameters
    ----------
    plan, table, priced, book, pools, units : Plan, Table, Priced, Book, Pools, Units
        Rules, prices and who belongs where.
    balances : Balances
        What pools have: a balance that moves with its coin is revalued whole, profit included.

    Returns
    -------
    Joint
        NaN where something is not known.
    """
    model = plan.rulebook.portfolio
    assert model is not None
    held = (
        np.where(units.position >= 0, book.quantity[np.maximum(units.position, 0)], 0.0)
        if book.quantity.size
        else np.zeros(len(units.position))
    )
    portfolio = Portfolio(model, table, priced, pools, units, held, balances.owned[:, units.bucket])
    margin = scenario_margin(portfolio)
    initial = margin.level[INITIAL].required
    orders = np.zeros(initial.shape)
    if (units.order >= 0).any() and plan.rulebook.account.orders is not OrderRule.NONE:
        waiting = np.where(units.order >= 0, book.order_quantity[np.maximum(units.order, 0)], 0.0)
        for side in (np.maximum(waiting, 0.0), np.minimum(waiting, 0.0)):
            filled = scenario_margin(replace(portfolio, quantity=held + side)).level[INITIAL].required
            orders = np.maximum(orders, filled - initial)
    return Joint(initial, margin.level[MAINTENANCE].required, orders, margin)


def unvalued(rulebook: Rulebook, table: Table, units: Units) -> dict[int, tuple[Issue, ...]]:
    """Pools with an underlying without scenarios or an option without a vol: unknown, never a guess."""
    model = rulebook.portfolio
    assert model is not None
    found: dict[int, tuple[Issue, ...]] = {}
    for pool, base in zip(units.unit_pool.tolist(), units.unit_base.tolist(), strict=True):
        name = table.assets[base]
        if terms_of(model, name) is None:
            text = f"has no scenarios in {rulebook.id}; its parameters are not published, or belong to another rulebook"
            found = merged(found, {pool: (Issue(name, Reason.NO_RULE, text),)})
    options = np.flatnonzero(units.is_option)
    for row in options.tolist():
        name = table.assets[int(units.unit_base[units.unit[row]])]
        terms = terms_of(model, name)
        if terms is not None and terms.vol is None and moves_vol(terms.cells):
            gaps = ", ".join(gap.code for gap in rulebook.gaps) or "none named"
            text = f"options cannot be margined: {rulebook.venue} does not publish its vol moves (gaps of {rulebook.id}: {gaps})"
            found = merged(found, {int(units.pool[row]): (Issue(name, Reason.NOT_PUBLISHED, text),)})
    missing = np.isnan(base_vols(model, table, units.instrument[options]))
    for row in options[missing].tolist():
        instrument = table.instruments[int(units.instrument[row])]
        assert instrument is not None
        text = "has no vol, so that it cannot be revalued in scenarios; give its quote a vol"
        found = merged(found, {int(units.pool[row]): (Issue(instrument.symbol, Reason.MISSING_VOL, text),)})
    return found


def merged(
    some: dict[int, tuple[Issue, ...]], more: dict[int, tuple[Issue, ...]]
) -> dict[int, tuple[Issue, ...]]:
    """Issues of pools together, each once, in their order."""
    pools = {**some, **more}
    return {pool: tuple(dict.fromkeys((*some.get(pool, ()), *more.get(pool, ())))) for pool in pools}
