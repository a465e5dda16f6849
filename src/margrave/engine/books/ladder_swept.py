"""Pools margined by size through the compiled kernel: what it needs of a market, and what it answers.

The kernel serves futures and perpetuals on ladders and options on the standard formula, cross and isolated, under directional schedules,
with leverage chosen by the holder, closing fees, rounding, and open orders at their worst fill. An instrument whose margin reads open
interest, its premium at entry, other legs, or a number that the kernel does not have is a row of NaN, whose pools go the way in NumPy.
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
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.engine.books.directional_swept import directional_of, unserved
from margrave.engine.books.laid import Chosen, LaidBook
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.compiled import ladder_steps as steps
from margrave.kernels.compiled.coin_pools import PoolMargins, empty_margins, margins_in
from margrave.kernels.compiled.compiler import in_pieces, row_bounds
from margrave.kernels.compiled.directional_pools import DirectionalTerms, directional_pools
from margrave.kernels.compiled.ladder_pools import Grid, LadderTerms, Tiers, ladder_pools
from margrave.margin.ladder import BASES, RATE_RULES
from margrave.margin.orders import option_order_terms
from margrave.margin.plan import FlatLadders
from margrave.margin.resolve import Resolved
from margrave.margin.short_options import option_margin_of
from margrave.rulebook.bands import liquidation_ratio
from margrave.rulebook.schema import (
    Basis,
    CreditScope,
    CrossPool,
    Netting,
    OptionModel,
    OrderBasis,
    OrderRule,
    RateRule,
    Rulebook,
)
from margrave.valuation.scenarios import now
from margrave.valuation.table import Table

_PIECE: Final = 20_000  # positions that are worth a thread
_AT_ONCE: Final = 16_384  # pools of which the multipliers fit a cache
_MARK, _INDEX = BASES.index(Basis.MARK), BASES.index(Basis.INDEX)
_BASES: Final = {Basis.MARK: steps.NOW, Basis.INDEX: steps.NOW, Basis.ENTRY: steps.AT_ENTRY}
_ORDER_BASES: Final = {
    OrderBasis.ORDER: steps.AT_PRICE,
    OrderBasis.MARK: steps.AT_MARK,
    OrderBasis.WORST: steps.AT_WORSE,
}
_RULES: Final = {RateRule.TIER: steps.BY_TIER, RateRule.LEVERAGE_ONLY: steps.BY_LEVERAGE}


@final
@dataclass(frozen=True, slots=True)
class LadderSweep:
    """A rulebook in a market as the kernel takes it."""

    terms: LadderTerms
    directional: DirectionalTerms | None


def is_by_size(rulebook: Rulebook) -> bool:
    """Whether the kernel can serve the rulebook at all."""
    account = rulebook.account
    plain = account.netting is Netting.NONE
    plain &= account.orders in (OrderRule.NONE, OrderRule.WORST_FILL)
    owes = any(rule.debt is not None for rule in account.collateral)
    return rulebook.portfolio is None and account.cross_pool is not CrossPool.ACCOUNT and plain and not owes


def ladder_sweep_of(resolved: Resolved) -> LadderSweep | None:
    """What the kernel needs of a market; None where it can serve nothing under the rulebook."""
    others = _others(resolved)
    if not is_by_size(resolved.rulebook) or (others.size and others.all()):
        return None
    table, flat = resolved.table, resolved.plan.flat
    account = resolved.rulebook.account
    number, row = (
        np.zeros((len(table.mark), steps.NUMBERS)),
        np.zeros((len(table.mark), steps.ROWS), dtype=np.int64),
    )
    each = table.a * table.mark + _per_price(table, table.mark)
    number[:, steps.LIMIT] = np.inf
    number[:, steps.MARK] = np.where(others, np.nan, table.mark)
    number[:, steps.A], number[:, steps.C] = table.a, table.c
    number[:, steps.PER_PRICE] = _per_price(table, table.mark)
    if resolved.rulebook.ladders:
        _put_ladders(resolved, each, number, row)
    _put_options(resolved, number, row)
    _put_schedules(resolved, number, row)
    closing = liquidation_ratio(account.bands)
    basis = _ORDER_BASES[account.order_basis]
    tiers = _tiers(flat[INITIAL]), _tiers(flat[MAINTENANCE])
    told = LadderTerms(
        number,
        row,
        tiers,
        _grid(resolved.rulebook),
        closing,
        (account.profit_credit, account.profit_scope is CreditScope.POSITION, account.option_value_credit),
        basis,
        account.open_loss,
    )
    return LadderSweep(told, directional_of(resolved))


def _put_ladders(resolved: Resolved, each: F64, number: F64, row: I64) -> None:
    # What is margined by size.
    table, terms, flat = resolved.table, resolved.ladders, resolved.plan.flat
    number[:, steps.UNIT] = np.where(terms.by_value, np.nan, terms.unit_per_contract)
    number[:, steps.LIMIT] = np.where(terms.is_ladder, _largest(resolved), np.inf)
    number[:, steps.EACH] = np.where(terms.by_value, each, terms.unit_per_contract)
    number[:, steps.TILT] = np.where(table.is_inverse, 1.0, -1.0)
    for level in (INITIAL, MAINTENANCE):
        at_index = table.a * table.index + _per_price(table, table.index)
        number[:, steps.NOTIONAL + level] = np.where(terms.basis[level] == _INDEX, at_index, each)
        number[:, steps.FEE + level] = terms.fee[level]
        row[:, steps.FIRST + level] = flat[level].start[terms.ladder]
        row[:, steps.PAST + level] = flat[level].start[terms.ladder + 1]
        row[:, steps.BASIS + level] = np.array([_BASES.get(basis, steps.WORST) for basis in BASES])[
            terms.basis[level]
        ]
    row[:, steps.RULE] = np.array([_RULES.get(rule, steps.LARGER) for rule in RATE_RULES])[terms.rate_rule]
    row[:, steps.AT_BANKRUPTCY] = terms.fee_at_bankruptcy


def _put_options(resolved: Resolved, number: F64, row: I64) -> None:
    # Options that the standard formula margins, by constants of the instant.
    table, terms = resolved.table, resolved.options
    at = np.flatnonzero(terms.is_option & table.is_option)
    if not at.size:
        return
    priced = now(table)
    margin = option_margin_of(terms, table, priced, at, np.zeros(len(at)))
    for level in (INITIAL, MAINTENANCE):
        number[at, steps.RISK + level], number[at, steps.PREMIUM + level] = (
            margin.risk[level][0],
            margin.mark[level][0],
        )
    rate, keeps_premium = option_order_terms(resolved.plan, table, at)
    fee = rate * np.where(table.is_coin_premium[at], 1.0, margin.underlying[0])
    number[at, steps.SOLD_RISK] = (
        margin.risk[INITIAL][0] + np.where(keeps_premium, margin.mark[INITIAL][0], 0.0) + fee
    )
    number[at, steps.ORDER_FEE] = fee
    row[at, steps.KIND] |= steps.OPTION


def _put_schedules(resolved: Resolved, number: F64, row: I64) -> None:
    terms = resolved.schedules
    for k, schedule in enumerate(terms.used):
        at = terms.row == k
        bounded = schedule.floor > 0.0 or schedule.cap < 1.0
        row[at, steps.KIND] |= steps.SCHEDULED | (steps.BOUNDED if bounded else 0)
        number[at, steps.FLOOR], number[at, steps.CAP] = schedule.floor, schedule.cap
        number[at, steps.OVER] = schedule.initial_over_maintenance


def _per_price(table: Table, price: F64) -> F64:
    return table.c / np.where(table.c > 0.0, price, 1.0)


def _largest(resolved: Resolved) -> F64:
    # Size up to which rates are published, in tier units.
    limits = [ladder.size_max or np.inf for ladder in resolved.rulebook.ladders.values()]
    return np.asarray(np.array(limits)[resolved.ladders.ladder])


def _others(resolved: Resolved) -> Bools:
    # What the kernel has no margin for.
    table, terms, options = resolved.table, resolved.ladders, resolved.options
    by_size = terms.is_ladder & ~table.is_option & (terms.crowd < 0)
    by_formula = options.is_option & table.is_option & ~options.mark_at_least_entry & ~_is_paired(resolved)
    plain = (by_size | by_formula) & ~unserved(resolved) & (table.payoff == table.settlement)
    others: Bools = ~plain
    return others if resolved.wrong is None else others | resolved.wrong


def _is_paired(resolved: Resolved) -> Bools:
    # Options whose margin other legs may lower.
    products = resolved.rulebook.products
    models = [None if k is None or k.product < 0 else products[k.product].model for k in resolved.known]
    return np.array([isinstance(m, OptionModel) and bool(m.strategies) for m in models], dtype=np.bool_)


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
        With the digits of the calculation in NumPy, but for those of a schedule's logarithm. `UNFINISHED` is what the kernel cannot
        value.
    """
    rows, out = laid.rows, empty_margins(len(laid.account), counted_apart=True)
    chosen = laid.chosen
    assert chosen is not None

    def run(begin: int, past: int) -> None:
        for first in range(begin, past, _AT_ONCE):
            _block(sweep, laid, chosen, (first, min(first + _AT_ONCE, past)), out)

    in_pieces(run, len(laid.account), lambda: row_bounds(rows.start, _PIECE), pool)
    return out


def _block(
    sweep: LadderSweep, laid: LaidBook, chosen: Chosen, span: tuple[int, int], out: PoolMargins
) -> None:
    # Multipliers of some pools, then their margins, so that both stay in a cache.
    rows, begin = laid.rows, int(laid.rows.start[span[0]])
    factors = _NO_FACTORS
    if sweep.directional is not None:
        room = np.empty((2, int(rows.start[span[1]]) - begin))
        directional_pools(sweep.directional, rows, chosen.entry, chosen.remembered, span, (room[0], room[1]))
        factors = room
    told = chosen.leverage, chosen.order_price, chosen.order_leverage, chosen.entry
    ladder_pools(sweep.terms, rows, told, (factors[0], factors[1], begin), span, margins_in(out, *span))


_NO_FACTORS = np.zeros((2, 0))
