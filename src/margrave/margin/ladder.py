"""Margin by size: a ladder's rate on a notional, in every scenario.

The ladder's own unit is value, coin, quote or contracts. Its margin m(z) is in that unit, and one unit of
size is worth ``V / z`` of the settlement asset: the margin is ``V m(z) / z``. Where a rulebook says so, the initial
rate r then goes the share s of the way to one that the market's open interest has gone: ``r + s (1 - r)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.rounding import Step, round_all
from margrave.core.words import INITIAL
from margrave.domain.instruments import Instrument, coefficients
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.dynamic_rate import crowding
from margrave.kernels.ladder import ladder_margin_many
from margrave.margin.plan import Known, Plan
from margrave.rulebook.ladders import TierUnit
from margrave.rulebook.schema import Basis, FeeBasis, LadderModel, OpenInterestRule, RateRule
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class Alike:
    """What holds for every instrument alike, so that nothing has to be looked up for each position."""

    ladder: bool  # all are margined by size
    by_value: bool  # by their notional itself
    on_mark: tuple[bool, bool]  # of each level: on the notional at the mark
    by_tier: bool  # the initial rate is the tier's, whatever leverage was chosen
    free: tuple[bool, bool]  # of each level: without a closing fee
    uncrowded: bool  # whatever the market's open interest


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
    crowd: I64  # row of the product whose open-interest rule holds, -1 where none does
    alike: Alike


BASES = tuple(Basis)
RATE_RULES = tuple(RateRule)
_MARK, _ENTRY, _INDEX, _WORST = (BASES.index(b) for b in (Basis.MARK, Basis.ENTRY, Basis.INDEX, Basis.WORST))
_TIER = RATE_RULES.index(RateRule.TIER)
_LEVERAGE_ONLY = RATE_RULES.index(RateRule.LEVERAGE_ONLY)


def ladder_terms(plan: Plan, known: Sequence[Known | None]) -> LadderTerms:
    """Columns of the ladder products of instruments."""
    rows = [_NONE if k is None else k.ladder or _known(plan, k) for k in known]
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), 11).T.copy()
    on, ladder, by_value, per_contract, basis_i, basis_m, rule, fee_i, fee_m, at_bankruptcy, crowd = columns
    told = np.count_nonzero(columns, axis=1)
    some, every = (told > 0).tolist(), (told == len(rows)).tolist()
    alike = Alike(
        ladder=every[0],
        by_value=every[2],
        on_mark=(not some[4], not some[5]),  # the first of `BASES`
        by_tier=not some[6],  # the first of `RATE_RULES`
        free=(not some[7], not some[8]),
        uncrowded=bool((crowd < 0.0).all()),
    )
    return LadderTerms(
        on != 0.0,
        ladder.astype(np.int64),
        by_value != 0.0,
        per_contract,
        (basis_i.astype(np.int64), basis_m.astype(np.int64)),
        rule.astype(np.int64),
        (fee_i, fee_m),
        at_bankruptcy != 0.0,
        crowd.astype(np.int64),
        alike,
    )


_NONE = (0.0,) * 10 + (-1.0,)


def _known(plan: Plan, known: Known) -> tuple[float, ...]:
    known.ladder = _terms(plan, known.instrument, known.product)
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
        -1.0 if model.open_interest is None else float(product),
    )


@final
@dataclass(frozen=True, slots=True)
class LadderMargin:
    """One level of ladder margin, with what made it, (S, P). Rates stand before any factor."""

    size: F64  # [tier unit]
    value: F64  # notional that the rate is charged on [settlement asset]
    row: I64  # row of the flat ladders
    tier_margin: F64  # by the ladder alone [settlement asset]
    crowded: F64  # by the ladder and the market's open interest [settlement asset]
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
    crowd: F64 | None = None  # (S, P) as `crowding_of`; None: open interest plays no part


def crowding_of(plan: Plan, terms: LadderTerms, table: Table, mark: F64) -> F64 | None:
    """How far open interest takes the initial rate of each instrument toward one.

    Parameters
    ----------
    plan, terms, table : Plan, LadderTerms, Table
        Rules and instruments.
    mark : (S, I) ndarray
        Marks, at which open interest is valued.

    Returns
    -------
    (S, I) ndarray or None
        0 up to the lower bound of the instrument's rule and without a rule, 1 from the upper bound, NaN where open
        interest is not given. None where no instrument has a rule.
    """
    if terms.alike.uncrowded:
        return None
    outstanding = table.open_interest * (table.a * mark + table.c / mark)
    share = np.zeros(mark.shape)
    for row in np.unique(terms.crowd[terms.crowd >= 0]).tolist():
        rule, at = crowd_rule(plan, row), terms.crowd == row
        share[:, at] = crowding(outstanding[:, at], rule.lower, rule.upper)
    return share


def crowd_rule(plan: Plan, product: int) -> OpenInterestRule:
    """Open-interest rule of a product that has one."""
    model = plan.rulebook.products[product].model
    assert isinstance(model, LadderModel)
    assert model.open_interest is not None
    return model.open_interest


def notional_on(basis: I64, sized: Sized) -> F64:
    """Notional of each position on its basis (rows of ``BASES``), (S, P)."""
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
    alike = terms.alike
    value = sized.at_mark if alike.on_mark[level] else notional_on(terms.basis[level][at], sized)
    size = value if alike.by_value else _size(terms, sized, value)
    in_unit, row = ladder_margin_many(
        flat.key, flat.rate, flat.slope, flat.deduction, terms.ladder[at], size, flat.root
    )
    tier = in_unit if alike.by_value else _in_money(terms, sized, value, size, in_unit)
    margin = crowded = tier
    if level == INITIAL:
        crowded = _crowded(plan, terms.crowd[at], tier, value, sized.crowd)
        margin = (
            crowded if alike.by_tier else _with_leverage(terms.rate_rule[at], crowded, value, sized.leverage)
        )
    if not alike.ladder:
        margin = np.where(terms.is_ladder[at], margin, 0.0)
    return LadderMargin(
        size, value, row, tier, crowded, margin, _closing_fee(terms, table, sized, value, level)
    )


def _size(terms: LadderTerms, sized: Sized, value: F64) -> F64:
    at = sized.instrument
    return np.where(terms.by_value[at], value, np.abs(sized.quantity) * terms.unit_per_contract[at])


def _in_money(terms: LadderTerms, sized: Sized, value: F64, size: F64, in_unit: F64) -> F64:
    # Margin of the ladder's own unit in the settlement asset.
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = np.where(size > 0.0, value * (in_unit / size), 0.0 * value)
    return np.where(terms.by_value[sized.instrument], in_unit, scaled)


def _crowded(plan: Plan, product: I64, tier: F64, value: F64, crowd: F64 | None) -> F64:
    if crowd is None or not crowd.any():
        return tier
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(value > 0.0, tier / value, 0.0)
    grown = rate + crowd * (1.0 - rate)
    for row in np.unique(product[product >= 0]).tolist():
        grid, at = crowd_rule(plan, row).rounding, product == row
        if grid is not None and len(grown) == 1:  # trial prices are not rounded
            grown[:, at] = round_all(grown[:, at], Step(grid.step, grid.direction))
    return np.where(crowd == 0.0, tier, value * grown)


def _with_leverage(rule: I64, tier: F64, value: F64, leverage: F64) -> F64:
    chosen = ~np.isnan(leverage)
    if not chosen.any():
        return tier
    by_leverage = value / np.where(chosen, leverage, 1.0)
    larger = np.where(rule == _LEVERAGE_ONLY, by_leverage, np.maximum(tier, by_leverage))
    return np.where((rule != _TIER) & chosen, larger, tier)


def _closing_fee(terms: LadderTerms, table: Table, sized: Sized, value: F64, level: int) -> F64:
    if terms.alike.free[level]:
        return np.zeros(np.shape(value))
    at = sized.instrument
    rate = terms.fee[level][at]
    # At the bankruptcy price E L / (L + s) an inverse position is worth V (1 + s / L); a linear one, closed at
    # E (1 - s / L), is worth V (1 - s / L).
    leverage = np.where(np.isnan(sized.leverage), np.inf, sized.leverage)
    tilt = np.where(table.is_inverse[at], 1.0, -1.0) * np.sign(sized.quantity) / leverage
    closing = np.where(terms.fee_at_bankruptcy[at], value * np.maximum(1.0 + tilt, 0.0), value)
    return np.where(terms.is_ladder[at], rate * closing, 0.0)
