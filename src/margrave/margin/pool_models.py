"""Portfolio models that are functions of a whole pool: the standard manager, scan, ranges, tails."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isfinite
from typing import TypeAlias, assert_never, final

import numpy as np

from margrave.core.errors import Issue, Reason
from margrave.kernels.arrays import F64, Bools
from margrave.margin.clearing.held import Held, Rows, held_of
from margrave.margin.clearing.members import members_of
from margrave.margin.clearing.ranges import (
    ranges_issues,
    ranges_margin,
    ranges_margins,
    ranges_requirement,
    without_range,
)
from margrave.margin.clearing.scan import (
    scan_issues,
    scan_margin,
    scan_margins,
    scan_requirement,
    without_scan,
)
from margrave.margin.pool_view import PoolColumns, pools_at
from margrave.margin.requirement import Requirement
from margrave.margin.standard import standard_pool
from margrave.margin.standard.standard_holdings import Confidence, HeldPools
from margrave.margin.standard.standard_manager import net_margin, terms_of
from margrave.margin.standard.standard_tree import requirement_tree
from margrave.margin.tails.tail import tail_issues, tail_margin, tail_margins, without_tail
from margrave.margin.tails.tail_tree import tail_requirement
from margrave.rulebook.clearing import RangesModel, ScanModel
from margrave.rulebook.standard_manager import StandardManager
from margrave.rulebook.tail import TailModel
from margrave.valuation.scenarios import Priced
from margrave.valuation.table import Table

PoolModel: TypeAlias = StandardManager | ScanModel | RangesModel | TailModel
"""Models that are functions of one pool."""


@final
@dataclass(frozen=True, slots=True)
class PoolTrees:
    """Why pools are asked what they are asked in the first row of prices, on demand."""

    model: PoolModel
    columns: PoolColumns

    def tree(self, pool: int, level: int) -> Requirement | None:
        """Tree of a pool of the book at a level; None where nothing is asked of it."""
        row = int(self.columns.pool.searchsorted(pool))
        if row == len(self.columns.pool) or self.columns.pool[row] != pool:
            return None
        return _tree(self.model, self.columns, row, level)


def pools_with_issues(model: PoolModel, columns: PoolColumns) -> Iterator[tuple[int, tuple[Issue, ...]]]:
    """Pools of the book whose requirement is unknown, and why."""
    for row in np.flatnonzero(_unknown(model, columns)).tolist():
        if issues := pool_issues(model, columns, row):
            yield int(columns.pool[row]), issues


def _unknown(model: PoolModel, columns: PoolColumns) -> Bools:
    # Pools that have issues, (V,): words are found for these alone.
    match model:
        case StandardManager():
            unpegged = not isfinite(_stable(model, columns.table, columns.priced)[0])
            return standard_pool.without_rule(model, columns.table, _standard(columns)) | unpegged
        case ScanModel():
            return without_scan(model, members_of(columns))
        case RangesModel():
            return without_range(model, members_of(columns))
        case TailModel():
            return without_tail(model, columns)
        case unknown:
            assert_never(unknown)


def pool_issues(model: PoolModel, columns: PoolColumns, row: int) -> tuple[Issue, ...]:
    """Why the requirement of one of the pools is unknown; empty where it is known."""
    match model:
        case StandardManager():
            unpegged = _unpegged(model, columns.table, columns.priced)
            return unpegged + standard_pool.issues_of(model, columns.table, _standard_at(columns, row))
        case ScanModel():
            return scan_issues(model, _held(columns, row))
        case RangesModel():
            return ranges_issues(model, _held(columns, row))
        case TailModel():
            return tail_issues(model, columns, row)
        case unknown:
            assert_never(unknown)


def pools_margin(model: PoolModel, columns: PoolColumns) -> tuple[F64, F64]:
    """Initial and maintenance margin of pools in every row of prices, (S, V); NaN where `pool_issues` says why."""
    match model:
        case StandardManager():
            sure = _confidence(model, columns.table, columns.priced)
            return standard_pool.requirements_of(
                model, columns.table, columns.priced, _standard(columns), sure
            )
        case ScanModel():
            return scan_margins(model, members_of(columns))
        case RangesModel():
            return ranges_margins(model, members_of(columns))
        case TailModel():
            return tail_margins(model, columns)
        case unknown:
            assert_never(unknown)


def _tree(model: PoolModel, columns: PoolColumns, row: int, level: int) -> Requirement:
    match model:
        case StandardManager():
            return _standard_tree(model, columns, row, level)
        case ScanModel():
            return scan_requirement(model, scan_margin(model, _held(columns, row)), level)
        case RangesModel():
            return ranges_requirement(model, ranges_margin(model, _held(columns, row)), level)
        case TailModel():
            return tail_requirement(model, tail_margin(model, columns, row), level)
        case unknown:
            assert_never(unknown)


def _held(columns: PoolColumns, row: int) -> Held:
    first, last = columns.owner.searchsorted([row, row + 1])
    held = Rows(columns.instrument[first:last], columns.quantity[first:last], int(columns.currency[row]))
    return held_of(columns.table, columns.priced, held, columns.market.at, vols=columns.vols)


def _unpegged(model: StandardManager, table: Table, priced: Priced) -> tuple[Issue, ...]:
    if isfinite(_stable(model, table, priced)[0]):
        return ()
    message = (
        "has no index price, so that nobody knows how far it is from its peg; add it under [market.index]"
    )
    return (Issue(model.settlement, Reason.MISSING_INDEX, message),)


def _stable(model: StandardManager, table: Table, priced: Priced) -> F64:
    # Dollars per settlement asset in each row, (S,); one where the table has no such asset.
    if model.settlement not in table.assets:
        return np.ones(len(priced.mark))
    return priced.asset_price[:, table.assets.index(model.settlement)]


def _confidence(model: StandardManager, table: Table, priced: Priced) -> Confidence:
    return Confidence(table.asset_confidence, table.confidence, _stable(model, table, priced))


def _standard(columns: PoolColumns) -> HeldPools:
    return HeldPools(
        len(columns.pool),
        columns.owner,
        columns.instrument,
        columns.quantity,
        columns.bucket_owner,
        columns.asset,
        columns.balance,
    )


def _standard_at(columns: PoolColumns, row: int) -> standard_pool.Held:
    one = pools_at(columns, np.array([row]))
    balance = np.zeros(len(columns.table.assets))
    balance[one.asset] = one.balance
    return standard_pool.Held(one.instrument, one.quantity, balance)


def _standard_tree(model: StandardManager, columns: PoolColumns, row: int, level: int) -> Requirement:
    table, priced = columns.table, columns.priced
    sure = replace(_confidence(model, table, priced), stable=float(_stable(model, table, priced)[0]))
    holding = standard_pool.holding_of(model, table, priced, 0, _standard_at(columns, row), sure)
    margin = net_margin(terms_of(model, holding.underlyings.name), holding)
    return requirement_tree(margin, level, model.settlement, model.code)
