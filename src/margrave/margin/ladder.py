"""Margin by size: a ladder's rate on a notional, in every scenario.

The ladder's own unit is value, coin, quote or contracts. Its margin m(z) is in that unit, and one unit of
size is worth ``V / z`` of the settlement asset: the margin is ``V m(z) / z``.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.words import INITIAL
from margrave.domain.instruments import Instrument, coefficients
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.ladder import ladder_margin_many
from margrave.margin.plan import Plan, known_of
from margrave.rulebook.ladders import TierUnit
from margrave.rulebook.schema import Basis, FeeBasis, LadderModel, RateRule
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class LadderTerms:
    """What a rulebook says of each instrument, as columns (I,). Rows of other models are meaningless."""

    is_ladder: Bools
    ladder: I64  # row of the flat ladders
    by_value: Bools  # the tier unit is the notional itself
    unit_per_contract: F64  # tier units per contract where it is not
    basis: tuple[I64, I64]  # row of `BASES` for each level
    rate_rule: I64  # row of `RATE_RULES`, initial level
    fee: tuple[F64, F64]  # closing fee of each level [fraction]
    fee_at_bankruptcy: Bools


BASES = tuple(Basis)
RATE_RULES = tuple(RateRule)
_MARK, _ENTRY, _INDEX, _WORST = (BASES.index(b) for b in (Basis.MARK, Basis.ENTRY, Basis.INDEX, Basis.WORST))
_TIER = RATE_RULES.index(RateRule.TIER)
_LEVERAGE_ONLY = RATE_RULES.index(RateRule.LEVERAGE_ONLY)


def ladder_terms(plan: Plan, table: Table) -> LadderTerms:
    """Columns of the ladder products of a table's instruments."""
    rows = [_NONE if i is None else _known(plan, i) for i in table.instruments]
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), 10).T.copy()
    on, ladder, by_value, per_contract, basis_i, basis_m, rule, fee_i, fee_m, at_bankruptcy = columns
    return LadderTerms(
        on != 0.0,
        ladder.astype(np.int64),
        by_value != 0.0,
        per_contract,
        (basis_i.astype(np.int64), basis_m.astype(np.int64)),
        rule.astype(np.int64),
        (fee_i, fee_m),
        at_bankruptcy != 0.0,
    )


_NONE = (0.0,) * 10


def _known(plan: Plan, instrument: Instrument) -> tuple[float, ...]:
    known = known_of(plan, instrument)
    if known.ladder is None:
        known.ladder = _terms(plan, instrument, known.product)
    return known.ladder


def _terms(plan: Plan, instrument: Instrument, product: int) -> tuple[float, ...]:
    model = None if product < 0 else plan.rulebook.products[product].model
    if not isinstance(model, LadderModel):
        return _NONE
    ladder = plan.rulebook.ladders[model.ladder]
    a, c = coefficients(instrument.payoff)
    per_contract = {
        TierUnit.VALUE: np.nan,
        TierUnit.COIN: np.nan if c else a,
        TierUnit.QUOTE: c or np.nan,
        TierUnit.CONTRACTS: 1.0,
    }[ladder.unit]
    fee_i = fee_m = 0.0
    if (fee := model.closing_fee) is not None:
        rate = (instrument.taker_fee or 0.0) if fee.rate is None else fee.rate
        fee_i, fee_m = rate * fee.initial, rate * fee.maintenance
    return (
        1.0,
        float(plan.ladder_names.index(model.ladder)),
        float(np.isnan(per_contract)),
        0.0 if np.isnan(per_contract) else per_contract,
        float(BASES.index(model.initial.basis)),
        float(BASES.index(model.maintenance.basis)),
        float(RATE_RULES.index(model.initial.rate)),
        fee_i,
        fee_m,
        float(model.closing_fee is not None and model.closing_fee.basis is FeeBasis.BANKRUPTCY),
    )


@final
@dataclass(frozen=True, slots=True)
class LadderMargin:
    """One level of ladder margin, with what made it, (S, P). Rates stand before any factor."""

    size: F64  # [tier unit]
    value: F64  # notional that the rate is charged on [settlement asset]
    row: I64  # row of the flat ladders
    tier_margin: F64  # by the ladder alone [settlement asset]
    margin: F64  # after the leverage rule, before factors and fee [settlement asset]
    fee: F64  # closing fee inside the margin [settlement asset]


@final
@dataclass(frozen=True, slots=True)
class Sized:
    """Sizes that are to be margined: positions, or positions with orders filled."""

    instrument: I64  # (P,)
    quantity: F64  # (P,) [contracts] signed
    leverage: F64  # (P,) NaN where none was chosen
    at_mark: F64  # (S, P) notional [settlement asset]
    at_entry: F64  # (S, P)
    at_index: F64  # (S, P)


def notional_on(basis: I64, sized: Sized) -> F64:
    """Notional of each position on its basis (rows of ``BASES``), (S, P)."""
    if not basis.any():  # all on mark: the common case
        return sized.at_mark
    worst = np.maximum(sized.at_mark, sized.at_entry)
    return np.where(
        basis == _MARK,
        sized.at_mark,
        np.where(basis == _ENTRY, sized.at_entry, np.where(basis == _INDEX, sized.at_index, worst)),
    )


def ladder_margin_of(plan: Plan, terms: LadderTerms, table: Table, sized: Sized, level: int) -> LadderMargin:
    """Margin by size at one level.

    Parameters
    ----------
    plan, terms, table : Plan, LadderTerms, Table
        Rules and instruments.
    sized : Sized
        What is held, (P,) and (S, P).
    level : int
        0 initial, 1 maintenance.

    Returns
    -------
    LadderMargin
        Zero for rows of other models. NaN where the notional is NaN.
    """
    at = sized.instrument
    flat = plan.flat[level]
    value = notional_on(terms.basis[level][at], sized)
    by_value = terms.by_value[at]
    size = np.where(by_value, value, np.abs(sized.quantity) * terms.unit_per_contract[at])
    in_unit, row = ladder_margin_many(flat.key, flat.rate, flat.slope, flat.deduction, terms.ladder[at], size)
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = np.where(size > 0.0, value * (in_unit / size), 0.0 * value)
    tier = np.where(by_value, in_unit, scaled)
    margin = _with_leverage(terms.rate_rule[at], tier, value, sized.leverage) if level == INITIAL else tier
    margin = np.where(terms.is_ladder[at], margin, 0.0)
    return LadderMargin(size, value, row, tier, margin, _closing_fee(terms, table, sized, value, level))


def _with_leverage(rule: I64, tier: F64, value: F64, leverage: F64) -> F64:
    chosen = ~np.isnan(leverage)
    if not rule.any() or not chosen.any():
        return tier
    by_leverage = value / np.where(chosen, leverage, 1.0)
    larger = np.where(rule == _LEVERAGE_ONLY, by_leverage, np.maximum(tier, by_leverage))
    return np.where((rule != _TIER) & chosen, larger, tier)


def _closing_fee(terms: LadderTerms, table: Table, sized: Sized, value: F64, level: int) -> F64:
    at = sized.instrument
    rate = terms.fee[level][at]
    if not rate.any():
        return np.zeros(np.shape(value))
    # At the bankruptcy price E L / (L + s) an inverse position is worth V (1 + s / L); a linear one, closed at
    # E (1 - s / L), is worth V (1 - s / L).
    leverage = np.where(np.isnan(sized.leverage), np.inf, sized.leverage)
    tilt = np.where(table.is_inverse[at], 1.0, -1.0) * np.sign(sized.quantity) / leverage
    closing = np.where(terms.fee_at_bankruptcy[at], value * np.maximum(1.0 + tilt, 0.0), value)
    return np.where(terms.is_ladder[at], rate * closing, 0.0)
