"""Margin from the tail of joint scenarios: positions add up in every row, then the tail is taken (PMD-2, PMM-1, PMS-3).

``maintenance = max(multiplier max(tail, 0), floor)``, ``initial = initial_over_maintenance maintenance``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import assert_never, final

import numpy as np

from margrave.core.errors import Issue, Reason
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.black76 import quote_greeks
from margrave.kernels.groups import first_seen, run_ends
from margrave.kernels.tail import (
    Precision,
    Tail,
    expected_shortfall,
    lower_quantile,
    lower_quantiles,
    quantile_bounds,
    quantile_precision,
    shortfall_bounds,
    shortfall_precision,
    shortfalls,
    upper_quantile,
    upper_quantiles,
)
from margrave.margin.pool_view import PoolColumns, pools_at
from margrave.margin.pools import grouped_sum
from margrave.margin.tails.joint_rows import JointRows, joint_rows
from margrave.margin.tails.revaluation import Exposures, exposures_of, profits, profits_of
from margrave.rulebook.tail import (
    ExpectedShortfall,
    LowerValueAtRisk,
    Measure,
    MonteCarlo,
    TailModel,
    UpperValueAtRisk,
)
from margrave.valuation.scenarios import row_of, vol_at_mark
from margrave.valuation.table import Table

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


def tail_issues(model: TailModel, columns: PoolColumns, pool: int) -> tuple[Issue, ...]:
    """Why one of the pools has no margin from joint scenarios; empty where it has."""
    one = pools_at(columns, np.array([pool]))
    ((assets, _),) = by_moves(model, one)
    found = list(joint_rows(model, columns.market, assets).issues)
    contract = exposures_of(one, model.collateral_moves).contract
    for row in np.flatnonzero(np.isnan(contract.vol)).tolist():
        instrument = columns.table.instruments[int(contract.instrument[row])]
        assert instrument is not None, "an instrument without terms is no member"
        text = "has no vol, so that it cannot be revalued in scenarios; give its quote a vol"
        found.append(Issue(instrument.symbol, Reason.MISSING_VOL, text))
    _, missing = _without_price(model, one)
    text = "has no index price, so that it cannot be converted in scenarios; add it to [market.index]"
    names = [columns.table.assets[k] for k in np.unique(missing).tolist()]
    return (*found, *(Issue(name, Reason.MISSING_INDEX, text) for name in names))


def without_tail(model: TailModel, columns: PoolColumns) -> Bools:
    """Pools in which `tail_issues` finds something, (V,)."""
    out = np.zeros(len(columns.pool), dtype=np.bool_)
    for assets, pools in by_moves(model, columns):
        out[pools] = bool(joint_rows(model, columns.market, assets).issues)
    options = np.flatnonzero(columns.table.is_option[columns.instrument])
    unknown = np.isnan(vol_at_mark(columns.table, columns.instrument[options]))
    out[columns.owner[options[unknown]]] = True
    if not np.isfinite(columns.priced.asset_price[0]).all():
        out[_without_price(model, columns)[0]] = True
    return out


def _without_price(model: TailModel, columns: PoolColumns) -> tuple[I64, I64]:
    # Pools, and assets without a price that they convert from or to.
    table, owner, at = columns.table, columns.owner, columns.instrument
    needs = [(owner, table.payoff[at])]
    if model.collateral_moves:
        owning = columns.balance != 0.0
        needs += [(columns.bucket_owner[owning], columns.asset[owning]), (owner, table.settlement[at])]
    if model.floor is not None:
        foreign = table.base[at] != columns.currency[owner]
        needs.append((owner[foreign], table.quote[at[foreign]]))
    pool, asset = (np.concatenate(column) for column in zip(*needs, strict=True))
    converted = asset != columns.currency[pool]
    pool, asset = pool[converted], asset[converted]
    pool, asset = np.tile(pool, 2), np.concatenate((asset, columns.currency[pool]))
    missing = ~np.isfinite(columns.priced.asset_price[0, asset])
    return pool[missing], asset[missing]


def by_moves(model: TailModel, columns: PoolColumns) -> Iterator[tuple[tuple[str, ...], I64]]:
    """Pools by the assets whose moves they feel, in alphabetical order.

    Parameters
    ----------
    model : TailModel
        Assets that stand still, and whether collateral moves.
    columns : PoolColumns
        The pools.

    Yields
    ------
    tuple
        Assets that the members of a pool touch but what stands still, and the pools whose assets they are. They
        do not depend on a row of prices: what profit is paid in counts, whether there is profit now or not.
    """
    table, owner, at = columns.table, columns.owner, columns.instrument
    touched = np.zeros((len(columns.pool), len(table.assets)), dtype=np.bool_)
    for asset in (table.base[at], table.quote[at], table.payoff[at], columns.currency[owner]):
        touched[owner, asset] = True
    if model.collateral_moves:
        owning = columns.balance != 0.0
        touched[columns.bucket_owner[owning], columns.asset[owning]] = True
        touched[owner, table.settlement[at]] = True
        touched[np.arange(len(touched)), columns.currency] = True
    still = {columns.market.numeraire, *model.still}
    touched[:, [name in still for name in table.assets]] = False
    if not touched.size or (touched == touched[0]).all():
        yield _names(table, touched.sum(axis=0) > 0), np.arange(len(touched))
        return
    sets, kind = np.unique(np.packbits(touched, axis=1), axis=0, return_inverse=True)
    order, start = run_ends(kind, len(sets))
    for first, last in pairwise(start.tolist()):
        pools = order[first:last]
        yield _names(table, touched[pools[0]]), pools


def _names(table: Table, which: Bools) -> tuple[str, ...]:
    return tuple(sorted(table.assets[k] for k in np.flatnonzero(which).tolist()))


def tail_margins(model: TailModel, columns: PoolColumns) -> tuple[F64, F64]:
    """Initial and maintenance margin of pools in every row of prices, (S, V); see `tail_margin`."""
    maintenance = np.full((len(columns.owned), len(columns.pool)), np.nan)
    for assets, pools in by_moves(model, columns):
        rows = joint_rows(model, columns.market, assets)
        if len(rows.price):
            some = columns if len(pools) == len(columns.pool) else pools_at(columns, pools)
            maintenance[:, pools] = _asked(model, exposures_of(some, model.collateral_moves), rows)
    return maintenance * model.initial_over_maintenance, maintenance


def _asked(model: TailModel, exposures: Exposures, rows: JointRows) -> F64:
    # Maintenance of pools that feel the same moves, (S, V).
    shape = (len(exposures.priced.mark), len(exposures.currency))
    measured = np.full(shape[0] * shape[1], np.nan)
    for first, gained in profits_of(exposures, rows):
        losses = -gained
        known = np.flatnonzero(np.isfinite(losses.sum(axis=1)))
        if len(known):
            some = losses if len(known) == len(losses) else losses[known]
            measured[first + known] = _measured(model, some)
    asked = model.multiplier * np.maximum(measured.reshape(shape), 0.0)
    if model.floor is not None:
        gross, net = notionals(exposures)
        asked = np.maximum(np.maximum(asked, model.floor.gross * gross), model.floor.net * net)
    return np.where(np.isfinite(asked), asked, np.nan)


def _measured(model: TailModel, losses: F64) -> F64:
    # The tail of each pool's losses, (k, N), or its upper bound where the rules ask for it.
    measure, source = model.measure, model.scenarios
    bound = source.upper_bound if isinstance(source, MonteCarlo) else None
    match measure:
        case ExpectedShortfall(confidence=confidence):
            if bound is not None:
                return shortfall_bounds(losses, confidence, bound.sureness)
            return shortfalls(losses, confidence)
        case LowerValueAtRisk() | UpperValueAtRisk():
            if bound is not None:
                return quantile_bounds(losses, measure.confidence, bound.sureness)
            upper = isinstance(measure, UpperValueAtRisk)
            return (upper_quantiles if upper else lower_quantiles)(losses, measure.confidence)
        case unknown:
            assert_never(unknown)


def tail_margin(model: TailModel, columns: PoolColumns, pool: int) -> TailMargin:
    """Margin of one of the pools in the first row of prices, with every part.

    Parameters
    ----------
    model : TailModel
        Measure, scenarios, multiplier and floor.
    columns : PoolColumns
        Pools.
    pool : int
        Row of the pools.

    Returns
    -------
    TailMargin
        NaN where something is not known; `tail_issues` says what.
    """
    one = pools_at(columns, np.array([pool]))
    one = replace(one, priced=row_of(one.priced, 0), owned=one.owned[:1])
    ((assets, _),) = by_moves(model, one)
    rows = joint_rows(model, columns.market, assets)
    exposures = exposures_of(one, model.collateral_moves)
    losses = -profits(exposures, rows)
    initial, maintenance = (float(level[0, 0]) for level in tail_margins(model, one))
    currency = columns.table.assets[int(columns.currency[pool])]
    if not np.isfinite(losses).all() or not len(losses):
        nan = float("nan")
        nothing = Tail(nan, np.zeros(0, dtype=np.int64), np.zeros(0))
        return TailMargin(rows, losses, nothing, None, nan, nan, nan, nan, nan, currency)
    tail, precision = measure_of(model.measure, losses), precision_of(model, losses)
    bounded = isinstance(model.scenarios, MonteCarlo) and model.scenarios.upper_bound is not None
    measured = precision.upper if bounded and precision is not None else tail.value
    none = np.zeros((1, 1))
    gross, net = (none, none) if model.floor is None else notionals(exposures)
    return TailMargin(
        rows,
        losses,
        tail,
        precision,
        measured,
        float(gross[0, 0]),
        float(net[0, 0]),
        initial,
        maintenance,
        currency,
    )


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


def notionals(exposures: Exposures) -> tuple[F64, F64]:
    """Gross notional of pools at the index, and the sum of their underlyings' net deltas, (S, V) each (RBM-4).

    In each pool's currency; NaN where a price is not known.
    """
    table, priced, contract = exposures.table, exposures.priced, exposures.contract
    at, currency = contract.instrument, contract.currency
    mark, c, quote = priced.mark[:, at], table.c[at], table.quote[at]
    coins = table.a[at] + np.divide(c, mark, out=np.zeros(mark.shape), where=c > 0.0)
    with np.errstate(invalid="ignore"):
        rate = priced.asset_price[:, quote] / priced.asset_price[:, currency]
    to_currency = np.where(quote == currency, 1.0, rate)
    worth = coins * np.where(table.base[at] == currency, 1.0, priced.index[:, at] * to_currency)
    delta = np.ones(mark.shape)
    options = np.flatnonzero(table.is_option[at])
    own = at[options]
    terms = (table.strike[own], np.nan_to_num(contract.vol[options]), table.years[own], table.is_call[own])
    if options.size:
        delta[:, options] = quote_greeks(priced.forward[:, own], *terms).delta
    count, unit = len(exposures.currency), exposures.unit
    held = exposures.quantity * worth[:, unit]
    first, underlying = first_seen(exposures.owner * len(table.assets) + table.base[at[unit]])
    net = np.abs(grouped_sum(held * delta[:, unit], underlying, len(first)))
    return (
        grouped_sum(np.abs(held), exposures.owner, count),
        grouped_sum(net, exposures.owner[first], count),
    )
