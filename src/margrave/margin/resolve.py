"""Instruments of a book under a rulebook in a market: made once, for however many accounts hold them."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.domain.market import Market
from margrave.kernels.arrays import F64, Bools
from margrave.margin.directional import ScheduleTerms, schedule_terms
from margrave.margin.ladder import LadderTerms, ladder_terms
from margrave.margin.plan import Known, Plan, known_of, plan_of
from margrave.margin.scenario.units import followed
from margrave.margin.short_options import OptionTerms, option_terms
from margrave.rulebook.schema import Rulebook
from margrave.valuation.table import Table, table_of


@final
@dataclass(frozen=True, slots=True)
class Resolved:
    """A market and a rulebook as columns of the instruments that a book names."""

    market: Market
    rulebook: Rulebook
    plan: Plan
    table: Table
    known: tuple[Known | None, ...]  # (I,) what the rules say of each; None where the instrument is unknown
    ladders: LadderTerms
    options: OptionTerms
    schedules: ScheduleTerms
    vols: F64  # (A,) annual vol of each asset; NaN where the market has none
    wrong: Bools | None  # (I,) cannot be valued or has no rule; None where all can and have
    currency: int  # row of the table's assets in which pools that span assets count


def resolve(
    symbols: tuple[str, ...], assets: tuple[str, ...], market: Market, rulebook: Rulebook
) -> Resolved:
    """Resolve instruments and assets against a market and a rulebook.

    Parameters
    ----------
    symbols, assets : tuple of str
        Tables of a book.
    market, rulebook : Market, Rulebook
        One instant, and the rules.

    Returns
    -------
    Resolved
        Nothing raises for a single instrument: the pools that hold it get an issue.
    """
    plan = plan_of(rulebook)
    currency = rulebook.account.currency or market.numeraire
    more = (*assets, currency, *followed(rulebook))
    table = table_of(symbols, more, market, rulebook.mark_age_max_seconds, rulebook.days_in_year)
    known = tuple([None if i is None else known_of(plan, i) for i in table.instruments])
    return Resolved(
        market,
        rulebook,
        plan,
        table,
        known,
        ladder_terms(plan, known),
        option_terms(plan, known),
        schedule_terms(plan, known),
        np.array([market.vols.get(asset, np.nan) for asset in table.assets]),
        wrong_rows(table, known),
        table.assets.index(currency),
    )


def wrong_rows(table: Table, known: tuple[Known | None, ...]) -> Bools | None:
    """Instruments that cannot be valued or have no rule, (I,); None where there are none."""
    unruled = [k is not None and k.product < 0 for k in known]
    if not (table.issues or any(unruled)):
        return None
    wrong = np.array(unruled, dtype=np.bool_)
    wrong[list(table.issues)] = True
    return wrong
