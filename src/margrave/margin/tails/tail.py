"""Margin from the tail of joint scenarios: positions add up in every row, then the tail is taken (PMD-2, PMM-1, PMS-3).

``maintenance = max(multiplier max(tail, 0), floor)``, ``initial = initial_over_maintenance maintenance``.
"""

from dataclasses import dataclass
from typing import assert_never, final

import numpy as np

from margrave.core.errors import Issue, Reason
from margrave.kernels.arrays import F64
from margrave.kernels.black76 import quote_greeks
from margrave.kernels.groups import first_seen
from margrave.kernels.tail import (
    Precision,
    Tail,
    expected_shortfall,
    lower_quantile,
    quantile_precision,
    shortfall_precision,
    upper_quantile,
)
from margrave.margin.pool_view import PoolView
from margrave.margin.tails.joint_rows import JointRows, joint_rows
from margrave.margin.tails.revaluation import Exposure, exposure_of, profits
from margrave.rulebook.tail import (
    ExpectedShortfall,
    LowerValueAtRisk,
    Measure,
    MonteCarlo,
    NotionalFloor,
    TailModel,
    UpperValueAtRisk,
)

_SURENESS = 0.95  # of the upper bound that is told where the rules do not use one


@final
@dataclass(frozen=True, slots=True)
class TailMargin:
    """A pool's margin from joint scenarios, with every part; money in the pool's currency."""

    rows: JointRows
    losses: F64  # (N,) of the pool, loss > 0
    tail: Tail  # measure of the losses, and the rows that bind
    precision: Precision | None  # of Monte Carlo draws; None of a history
    measured: float  # the tail, or its upper bound where the rules ask for it; may be below zero
    gross: float  # gross notional, where the rules have a floor
    net: float  # net delta of underlyings, each counted without its sign
    initial: float
    maintenance: float
    currency: str


def moving_assets(model: TailModel, view: PoolView) -> tuple[str, ...]:
    """Assets whose moves a pool feels, in alphabetical order: all that its members touch but what stands still.

    They do not depend on a row of prices: what profit is paid in counts, whether there is profit now or not.
    """
    table, at = view.table, view.instrument
    touched = {*table.base[at].tolist(), *table.quote[at].tolist(), *table.payoff[at].tolist()}
    if at.size:
        touched.add(view.currency)
    if model.collateral_moves:
        touched |= {*np.flatnonzero(view.balance).tolist(), *table.settlement[at].tolist(), view.currency}
    still = {view.market.numeraire, *model.still}
    return tuple(sorted({table.assets[k] for k in touched} - still))


def tail_issues(model: TailModel, view: PoolView) -> tuple[Issue, ...]:
    """Why a pool has no margin from joint scenarios; empty where it has."""
    found = list(joint_rows(model, view.market, moving_assets(model, view)).issues)
    exposure = exposure_of(view, 0, model.collateral_moves)
    for row in np.flatnonzero(np.isnan(exposure.vol)).tolist():
        text = "has no vol, so that it cannot be revalued in scenarios; give its quote a vol"
        found.append(Issue(_symbol(exposure, row), Reason.MISSING_VOL, text))
    return (*found, *_without_price(model, view, exposure))


def _symbol(exposure: Exposure, row: int) -> str:
    instrument = exposure.view.table.instruments[int(exposure.instrument[row])]
    assert instrument is not None, "an instrument without terms is no member"
    return instrument.symbol


def _without_price(model: TailModel, view: PoolView, exposure: Exposure) -> list[Issue]:
    table, price = view.table, view.priced.asset_price[0]
    needed = {int(k) for k in table.payoff[exposure.instrument] if k != view.currency}
    if model.collateral_moves:
        owned = {*np.flatnonzero(view.balance).tolist(), *table.settlement[exposure.instrument].tolist()}
        needed |= owned - {view.currency}
    if model.floor is not None:
        base = table.base[exposure.instrument] == view.currency
        needed |= {int(k) for k in table.quote[exposure.instrument][~base] if k != view.currency}
    missing = {k for k in (*needed, *((view.currency,) if needed else ())) if not np.isfinite(price[k])}
    text = "has no index price, so that it cannot be converted in scenarios; add it to [market.index]"
    return [Issue(table.assets[k], Reason.MISSING_INDEX, text) for k in sorted(missing)]


def tail_margin(model: TailModel, view: PoolView, row: int) -> TailMargin:
    """Margin of one pool in one row of prices.

    Parameters
    ----------
    model : TailModel
        Measure, scenarios, multiplier and floor.
    view : PoolView
        The pool.
    row : int
        Row of the prices.

    Returns
    -------
    TailMargin
        NaN where something is not known; `tail_issues` says what.
    """
    rows = joint_rows(model, view.market, moving_assets(model, view))
    exposure = exposure_of(view, row, model.collateral_moves)
    losses = -profits(exposure, rows)
    currency = view.table.assets[view.currency]
    if not np.isfinite(losses).all() or not len(losses):
        nan = float("nan")
        nothing = Tail(nan, np.zeros(0, dtype=np.int64), np.zeros(0))
        return TailMargin(rows, losses, nothing, None, nan, nan, nan, nan, nan, currency)
    tail, precision = measure_of(model.measure, losses), precision_of(model, losses)
    bounded = isinstance(model.scenarios, MonteCarlo) and model.scenarios.upper_bound is not None
    measured = precision.upper if bounded and precision is not None else tail.value
    gross, net = (0.0, 0.0) if model.floor is None else notionals(exposure)
    asked = max(model.multiplier * max(measured, 0.0), *_floors(model.floor, gross, net))
    # A maximum with NaN would drop it: a notional that is not known leaves the requirement unknown.
    maintenance = asked if np.isfinite(gross + net + measured) else float("nan")
    initial = maintenance * model.initial_over_maintenance
    return TailMargin(rows, losses, tail, precision, measured, gross, net, initial, maintenance, currency)


def _floors(floor: NotionalFloor | None, gross: float, net: float) -> tuple[float, float]:
    return (0.0, 0.0) if floor is None else (floor.gross * gross, floor.net * net)


def measure_of(measure: Measure, losses: F64) -> Tail:
    """Tail of losses by the measure that the rules state."""
    match measure:
        case LowerValueAtRisk(confidence=confidence):
            return lower_quantile(losses, confidence)
        case UpperValueAtRisk(confidence=confidence):
            return upper_quantile(losses, confidence)
        case ExpectedShortfall(confidence=confidence):
            return expected_shortfall(losses, confidence)
        case unknown:
            assert_never(unknown)


def precision_of(model: TailModel, losses: F64) -> Precision | None:
    """How sure Monte Carlo draws are of the measure; None of a history, whose rows are not independent draws."""
    source, measure = model.scenarios, model.measure
    if not isinstance(source, MonteCarlo):
        return None
    sureness = _SURENESS if source.upper_bound is None else source.upper_bound.sureness
    if isinstance(measure, ExpectedShortfall):
        return shortfall_precision(losses, measure.confidence, sureness)
    return quantile_precision(losses, measure.confidence, sureness)


def notionals(exposure: Exposure) -> tuple[float, float]:
    """Gross notional of a pool at the index, and the sum of its underlyings' net deltas, in its currency (RBM-4)."""
    view, at, row = exposure.view, exposure.instrument, exposure.row
    table, price = view.table, view.priced.asset_price[exposure.row]
    mark, c = view.priced.mark[row, at], table.c[at]
    coins = exposure.quantity * (table.a[at] + np.divide(c, mark, out=np.zeros(len(at)), where=c > 0.0))
    quote = table.quote[at]
    to_currency = np.where(quote == view.currency, 1.0, price[quote] / price[view.currency])
    worth = np.where(table.base[at] == view.currency, 1.0, view.priced.index[row, at] * to_currency)
    delta = np.ones(len(at))
    options = np.flatnonzero(table.is_option[at])
    own = at[options]
    terms = (table.strike[own], np.nan_to_num(exposure.vol[options]), table.years[own], table.is_call[own])
    if options.size:
        delta[options] = quote_greeks(view.priced.forward[row, own], *terms).delta
    _, unit = first_seen(table.base[at])
    net = np.bincount(unit, weights=coins * worth * delta, minlength=1)
    return float(np.abs(coins * worth).sum()), float(np.abs(net).sum())
