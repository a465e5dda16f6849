"""The standard option margin: shorts by formula, longs by premium only (spec OM-1, OM-2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.words import INITIAL
from margrave.domain.instruments import Instrument, Option, Right
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.option_margin import ShortOptionTerms, otm_amount, short_option_margin
from margrave.margin.plan import Known, Plan, product_row
from margrave.rulebook.schema import OptionModel, OptionUnderlying, ShortTerms
from margrave.valuation.scenarios import Priced
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class OptionTerms:
    """What a rulebook says of each option, as columns (I,), with the right of the instrument chosen."""

    is_option: Bools
    level: tuple[ShortOptionTerms, ShortOptionTerms]
    covers_maintenance: Bools
    mark_at_least_entry: Bools
    on_forward: Bools


_NONE = (0.0,) * 10 + (0.0,) * 4


def option_terms(plan: Plan, known: Sequence[Known | None]) -> OptionTerms:
    """Columns of the option products of instruments."""
    rows = [_NONE if k is None else k.option or _known(plan, k) for k in known]
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), 14).T.copy()

    def terms(first: int) -> ShortOptionTerms:
        base, floor, mark_fraction, factor, fee = columns[first : first + 5]
        return ShortOptionTerms(base=base, floor=floor, mark_fraction=mark_fraction, factor=factor, fee=fee)

    return OptionTerms(
        columns[10] != 0.0, (terms(0), terms(5)), columns[11] != 0.0, columns[12] != 0.0, columns[13] != 0.0
    )


def model_of(plan: Plan, table: Table, row: int) -> OptionModel | None:
    """Option model of an instrument; None where another model margins it."""
    instrument = table.instruments[row]
    product = -1 if instrument is None else product_row(plan, instrument)
    model = None if product < 0 else plan.rulebook.products[product].model
    return model if isinstance(model, OptionModel) else None


def _known(plan: Plan, known: Known) -> tuple[float, ...]:
    known.option = _terms(plan, known.instrument, known.product)
    return known.option


def _terms(plan: Plan, instrument: Instrument, product: int) -> tuple[float, ...]:
    model = None if product < 0 else plan.rulebook.products[product].model
    if not isinstance(model, OptionModel):
        return _NONE
    call = isinstance(instrument.kind, Option) and instrument.kind.right is Right.CALL
    initial = model.initial_call if call else model.initial_put
    maintenance = model.maintenance_call if call else model.maintenance_put
    flags = (
        initial.covers_maintenance,
        initial.mark_at_least_entry,
        model.underlying is OptionUnderlying.FORWARD,
    )
    return (*_numbers(initial), *_numbers(maintenance), 1.0, *map(float, flags))


def _numbers(terms: ShortTerms) -> tuple[float, ...]:
    return terms.base, terms.floor, terms.mark_fraction, terms.factor, terms.fee


@final
@dataclass(frozen=True, slots=True)
class OptionMargin:
    """Both levels of option margin per contract, with what made them; (S, n), in the payoff's asset."""

    underlying: F64  # price that the fractions are of [quote per base]
    otm: F64  # out-of-the-money amount [fraction of underlying]
    mark: tuple[F64, F64]  # mark part of each level, per coin
    risk: tuple[F64, F64]  # the rest, per coin


def option_margin_of(
    terms: OptionTerms, table: Table, priced: Priced, instrument: I64, entry: F64
) -> OptionMargin:
    """Margin of one short coin of each option, initial and maintenance.

    Parameters
    ----------
    terms, table, priced : OptionTerms, Table, Priced
        Rules, instruments and prices.
    instrument : (n,) ndarray of int
        Rows of options.
    entry : (n,) ndarray
        Average premium, for venues that take the worse of entry and mark.

    Returns
    -------
    OptionMargin
        NaN where the price is NaN.
    """
    at = instrument
    price = np.where(terms.on_forward[at], priced.forward[:, at], priced.index[:, at])
    mark = priced.mark[:, at]
    known = np.isfinite(price) & np.isfinite(mark)
    price, mark = np.where(known, price, 1.0), np.where(known, mark, 0.0)
    worth = np.where(table.is_coin_premium[at], 1.0, price)
    otm = otm_amount(price, table.strike[at], table.is_call[at]) / price
    maintenance = short_option_margin(_rows(terms.level[1], at), otm, mark, worth)
    higher = np.where(terms.mark_at_least_entry[at], np.maximum(mark, entry), mark)
    minimum = np.where(terms.covers_maintenance[at], maintenance, 0.0)
    initial = short_option_margin(_rows(terms.level[INITIAL], at), otm, higher, worth, minimum)
    unknown = np.where(known, 0.0, np.nan)
    # Where maintenance binds the initial level, its mark part is the one that both share.
    return OptionMargin(
        price,
        otm,
        (higher + unknown, mark + unknown),
        (initial - higher + unknown, maintenance - mark + unknown),
    )


def _rows(terms: ShortOptionTerms, at: I64) -> ShortOptionTerms:
    def pick(column: float | F64) -> F64:
        return np.asarray(column)[at]

    factor = np.where(pick(terms.factor) > 0.0, pick(terms.factor), 1.0)
    return ShortOptionTerms(
        base=pick(terms.base),
        floor=pick(terms.floor),
        mark_fraction=pick(terms.mark_fraction),
        factor=factor,
        fee=pick(terms.fee),
    )
