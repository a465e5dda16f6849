"""What the kernel of ladders reads of instruments in one market: numbers, which prices change, and rows, which they do not."""

from typing import Final

import numpy as np

from margrave.core.words import INITIAL, MAINTENANCE
from margrave.engine.books.directional_swept import unserved
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.compiled import ladder_steps as steps
from margrave.margin.ladder import BASES, RATE_RULES
from margrave.margin.orders import option_order_terms
from margrave.margin.resolve import Resolved
from margrave.margin.short_options import option_margin_of
from margrave.rulebook.schema import Basis, OptionModel, RateRule
from margrave.valuation.scenarios import now
from margrave.valuation.table import Table

_INDEX: Final = BASES.index(Basis.INDEX)
_BASES: Final = {Basis.MARK: steps.NOW, Basis.INDEX: steps.NOW, Basis.ENTRY: steps.AT_ENTRY}
_RULES: Final = {RateRule.TIER: steps.BY_TIER, RateRule.LEVERAGE_ONLY: steps.BY_LEVERAGE}


def others_of(resolved: Resolved) -> Bools:
    """Instruments, (I,), that the kernel has no margin for."""
    table, terms, options = resolved.table, resolved.ladders, resolved.options
    by_size = terms.is_ladder & ~table.is_option & (terms.crowd < 0)
    by_formula = options.is_option & table.is_option & ~options.mark_at_least_entry & ~_is_paired(resolved)
    plain = (by_size | by_formula) & ~unserved(resolved) & (table.payoff == table.settlement)
    others: Bools = ~plain
    return others if resolved.wrong is None else others | resolved.wrong


def numbers_of(resolved: Resolved, others: Bools) -> F64:
    """`LadderTerms.number` of instruments in the market of ``resolved``; those of `others_of` have no mark."""
    number = held_numbers(resolved, others)
    _put_orders(resolved, number)
    return number


def held_numbers(resolved: Resolved, others: Bools) -> F64:
    """`numbers_of` as far as what is held needs them: nothing of open orders."""
    table = resolved.table
    number = np.zeros((len(table.mark), steps.NUMBERS))
    number[:, steps.LIMIT] = np.inf
    number[:, steps.MARK] = np.where(others, np.nan, table.mark)
    number[:, steps.A], number[:, steps.C] = table.a, table.c
    number[:, steps.PER_PRICE] = _per_price(table, table.mark)
    if resolved.rulebook.ladders:
        _put_ladders(resolved, number)
    _put_options(resolved, number)
    for k, schedule in enumerate(resolved.schedules.used):
        at = resolved.schedules.row == k
        number[at, steps.FLOOR], number[at, steps.CAP] = schedule.floor, schedule.cap
        number[at, steps.OVER] = schedule.initial_over_maintenance
    return number


def _put_ladders(resolved: Resolved, number: F64) -> None:
    # What is margined by size.
    table, terms = resolved.table, resolved.ladders
    each = table.a * table.mark + _per_price(table, table.mark)
    at_index = table.a * table.index + _per_price(table, table.index)
    number[:, steps.UNIT] = np.where(terms.by_value, np.nan, terms.unit_per_contract)
    number[:, steps.LIMIT] = np.where(terms.is_ladder, _largest(resolved), np.inf)
    number[:, steps.EACH] = np.where(terms.by_value, each, terms.unit_per_contract)
    number[:, steps.TILT] = np.where(table.is_inverse, 1.0, -1.0)
    for level in (INITIAL, MAINTENANCE):
        number[:, steps.NOTIONAL + level] = np.where(terms.basis[level] == _INDEX, at_index, each)
        number[:, steps.FEE + level] = terms.fee[level]


def _put_options(resolved: Resolved, number: F64) -> None:
    # Options that the standard formula margins, by constants of the instant.
    table, terms = resolved.table, resolved.options
    at = np.flatnonzero(terms.is_option & table.is_option)
    if not at.size:
        return
    margin = option_margin_of(terms, table, now(table), at, np.zeros(len(at)))
    for level in (INITIAL, MAINTENANCE):
        number[at, steps.RISK + level], number[at, steps.PREMIUM + level] = (
            margin.risk[level][0],
            margin.mark[level][0],
        )


def _put_orders(resolved: Resolved, number: F64) -> None:
    # What sold options on order ask, and the fees of all: on top of what those held ask.
    table, terms = resolved.table, resolved.options
    at = np.flatnonzero(terms.is_option & table.is_option)
    if not at.size:
        return
    rate, keeps_premium = option_order_terms(resolved.plan, table, at)
    priced = now(table)
    underlying = np.where(terms.on_forward[at], priced.forward[0, at], priced.index[0, at])
    fee = rate * np.where(table.is_coin_premium[at], 1.0, underlying)
    risk, premium = number[at, steps.RISK + INITIAL], number[at, steps.PREMIUM + INITIAL]
    number[at, steps.SOLD_RISK] = risk + np.where(keeps_premium, premium, 0.0) + fee
    number[at, steps.ORDER_FEE] = fee


def rows_of(resolved: Resolved) -> I64:
    """`LadderTerms.row` of instruments."""
    table, terms, flat = resolved.table, resolved.ladders, resolved.plan.flat
    row = np.zeros((len(table.mark), steps.ROWS), dtype=np.int64)
    if resolved.rulebook.ladders:
        for level in (INITIAL, MAINTENANCE):
            row[:, steps.FIRST + level] = flat[level].start[terms.ladder]
            row[:, steps.PAST + level] = flat[level].start[terms.ladder + 1]
            bases = np.array([_BASES.get(basis, steps.WORST) for basis in BASES])
            row[:, steps.BASIS + level] = bases[terms.basis[level]]
        row[:, steps.RULE] = np.array([_RULES.get(rule, steps.LARGER) for rule in RATE_RULES])[
            terms.rate_rule
        ]
        row[:, steps.AT_BANKRUPTCY] = terms.fee_at_bankruptcy
    row[resolved.options.is_option & table.is_option, steps.KIND] |= steps.OPTION
    for k, schedule in enumerate(resolved.schedules.used):
        bounded = schedule.floor > 0.0 or schedule.cap < 1.0
        row[resolved.schedules.row == k, steps.KIND] |= steps.SCHEDULED | (steps.BOUNDED if bounded else 0)
    return row


def _per_price(table: Table, price: F64) -> F64:
    return table.c / np.where(table.c > 0.0, price, 1.0)


def _largest(resolved: Resolved) -> F64:
    # Size up to which rates are published, in tier units.
    limits = [ladder.size_max or np.inf for ladder in resolved.rulebook.ladders.values()]
    return np.asarray(np.array(limits)[resolved.ladders.ladder])


def _is_paired(resolved: Resolved) -> Bools:
    # Options whose margin other legs may lower.
    products = resolved.rulebook.products
    models = [None if k is None or k.product < 0 else products[k.product].model for k in resolved.known]
    return np.array([isinstance(m, OptionModel) and bool(m.strategies) for m in models], dtype=np.bool_)
