"""Pools margined by size through the compiled kernel: what it needs of a market, and what it answers.

The kernel serves futures and perpetuals on ladders, cross and isolated, with leverage chosen by the holder, closing fees, rounding, and
open orders at their worst fill. An instrument of another kind, under a schedule, on a basis of its entry, or without a price is a row
of NaN, whose pools go the way in NumPy.
"""

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from margrave.core.rounding import (
    CLOSE,
    Direction,
    last_digits,
    makes_whole,
)
from margrave.core.rounding import Step as Rounding
from margrave.engine.books.laid import LaidBook
from margrave.kernels.arrays import F64, Bools
from margrave.kernels.compiled.coin_pools import PoolMargins, empty_margins, margins_in
from margrave.kernels.compiled.compiler import in_pieces, row_bounds
from margrave.kernels.compiled.ladder_pools import (
    AT_MARK,
    AT_PRICE,
    AT_WORSE,
    BY_LEVERAGE,
    BY_TIER,
    LARGER,
    Grid,
    LadderTerms,
    Tiers,
    ladder_pools,
)
from margrave.margin.ladder import BASES, RATE_RULES
from margrave.margin.plan import FlatLadders
from margrave.margin.resolve import Resolved
from margrave.rulebook.bands import liquidation_ratio
from margrave.rulebook.schema import Basis, CrossPool, Netting, OrderBasis, OrderRule, RateRule, Rulebook
from margrave.valuation.table import Table

_PIECE: Final = 20_000  # positions that are worth a thread
_MARK, _INDEX = BASES.index(Basis.MARK), BASES.index(Basis.INDEX)
_BASES: Final = {OrderBasis.ORDER: AT_PRICE, OrderBasis.MARK: AT_MARK, OrderBasis.WORST: AT_WORSE}
_RULES: Final = {RateRule.TIER: BY_TIER, RateRule.LEVERAGE_ONLY: BY_LEVERAGE}


@final
@dataclass(frozen=True, slots=True)
class LadderSweep:
    """A rulebook in a market as the kernel takes it."""

    terms: LadderTerms


def is_by_size(rulebook: Rulebook) -> bool:
    """Whether the kernel can serve the rulebook at all."""
    account = rulebook.account
    plain = account.netting is Netting.NONE and account.profit_credit == 1.0
    plain &= account.orders in (OrderRule.NONE, OrderRule.WORST_FILL)
    owes = any(rule.debt is not None for rule in account.collateral)
    return (
        rulebook.portfolio is None
        and bool(rulebook.ladders)
        and account.cross_pool is not CrossPool.ACCOUNT
        and plain
        and not owes
    )


def ladder_sweep_of(resolved: Resolved) -> LadderSweep | None:
    """What the kernel needs of a market; None where it can serve nothing under the rulebook."""
    others = _others(resolved)
    if not is_by_size(resolved.rulebook) or others.all():
        return None
    table, terms, flat = resolved.table, resolved.ladders, resolved.plan.flat
    count = len(table.instruments)
    number, row = np.empty((count, 12)), np.zeros((count, 6), dtype=np.int64)
    each = table.a * table.mark + _per_price(table, table.mark)
    number[:, 0] = table.a * table.mark - _per_price(table, table.mark)
    number[:, 1] = np.where(terms.by_value, np.nan, terms.unit_per_contract)
    number[:, 2] = _largest(resolved)
    number[:, 3] = np.where(terms.by_value, each, terms.unit_per_contract)
    number[:, 4] = np.where(table.is_inverse, 1.0, -1.0)
    for level in (0, 1):
        at_index = table.a * table.index + _per_price(table, table.index)
        number[:, 5 + level] = np.where(terms.basis[level] == _INDEX, at_index, each)
        number[:, 7 + level] = terms.fee[level]
        row[:, 2 + level] = flat[level].start[terms.ladder]
        row[:, 4 + level] = flat[level].start[terms.ladder + 1]
    number[:, 9], number[:, 10], number[:, 11] = table.mark, table.a, table.c
    row[:, 0] = np.array([_RULES.get(rule, LARGER) for rule in RATE_RULES])[terms.rate_rule]
    row[:, 1] = terms.fee_at_bankruptcy
    number[others, 0] = np.nan
    closing = liquidation_ratio(resolved.rulebook.account.bands)
    account = resolved.rulebook.account
    tiers = _tiers(flat[0]), _tiers(flat[1])
    basis = _BASES[account.order_basis]
    told = LadderTerms(number, row, tiers, _grid(resolved.rulebook), closing, basis, account.open_loss)
    return LadderSweep(told)


def _per_price(table: Table, price: F64) -> F64:
    return table.c / np.where(table.c > 0.0, price, 1.0)


def _largest(resolved: Resolved) -> F64:
    # Size up to which rates are published, in tier units.
    limits = [ladder.size_max or np.inf for ladder in resolved.rulebook.ladders.values()]
    return np.asarray(np.array(limits)[resolved.ladders.ladder])


def _others(resolved: Resolved) -> Bools:
    # What is not a position by size alone, at the price of an instant.
    table, terms = resolved.table, resolved.ladders
    plain = terms.is_ladder & ~table.is_option & (terms.crowd < 0) & (resolved.schedules.row < 0)
    for basis in terms.basis:
        plain &= (basis == _MARK) | (basis == _INDEX)
    plain &= table.payoff == table.settlement
    return ~plain if resolved.wrong is None else ~plain | resolved.wrong


def _tiers(flat: FlatLadders) -> Tiers:
    root = np.zeros(0) if flat.root is None else flat.root
    return Tiers(flat.floor, flat.rate, flat.slope, flat.deduction, root)


def _grid(rulebook: Rulebook) -> Grid:
    rule = rulebook.rounding.margin
    if rule is None:
        return Grid(0.0, 0.0, 0, 0.0, 0.0)
    whole = makes_whole(Rounding(rule.step, rule.direction))
    return Grid(
        rule.step,
        float(round(1.0 / rule.step)),
        list(Direction).index(rule.direction),
        CLOSE if whole else np.inf,  # where steps make no unit, everything is close to one
        last_digits(rule.step) if whole else np.inf,
    )


def ladders_swept(sweep: LadderSweep, laid: LaidBook, pool: Executor | None = None) -> PoolMargins:
    """Pools in a market.

    Parameters
    ----------
    sweep : LadderSweep
        Rulebook and market.
    laid : LaidBook
        From `lay_out_alone`, of instruments as the sweep has them.
    pool : Executor, optional
        Threads; the answer is the same bytes.

    Returns
    -------
    PoolMargins
        Margins with the digits of the calculation in NumPy, equity within 1e-12 of the gross of what is summed. `UNFINISHED` is
        what the kernel cannot value.
    """
    rows, out = laid.rows, empty_margins(len(laid.account))
    assert laid.chosen is not None
    chosen = laid.chosen.leverage, laid.chosen.order_price, laid.chosen.order_leverage

    def run(begin: int, past: int) -> None:
        ladder_pools(sweep.terms, rows, chosen, (begin, past), margins_in(out, begin, past))

    in_pieces(run, len(laid.account), lambda: row_bounds(rows.start, _PIECE), pool)
    return out
