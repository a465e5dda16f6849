"""Portfolio models that see one pool in one row of the market at a time: the standard manager, scan, ranges, tails."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias, assert_never, final

from margrave.core.errors import Issue, Reason
from margrave.margin.clearing.held import Rows, held_of
from margrave.margin.clearing.ranges import ranges_issues, ranges_margin, ranges_requirement
from margrave.margin.clearing.scan import scan_issues, scan_margin, scan_requirement
from margrave.margin.pool_view import PoolView
from margrave.margin.requirement import Requirement
from margrave.margin.standard import standard_pool
from margrave.margin.standard.standard_manager import net_margin, terms_of
from margrave.margin.standard.standard_tree import requirement_tree
from margrave.margin.tails.tail import tail_issues, tail_margin
from margrave.margin.tails.tail_tree import tail_requirement
from margrave.rulebook.clearing import RangesModel, ScanModel
from margrave.rulebook.standard_manager import StandardManager
from margrave.rulebook.tail import TailModel

PoolModel: TypeAlias = StandardManager | ScanModel | RangesModel | TailModel
"""Models that are functions of one pool."""


@final
@dataclass(frozen=True, slots=True)
class PoolMargin:
    """What one pool is asked, in its currency, and why on demand."""

    initial: float
    maintenance: float
    tree: Callable[[int], Requirement]


def pool_issues(model: PoolModel, view: PoolView) -> tuple[Issue, ...]:
    """Why a pool's requirement is unknown; empty where it is known."""
    match model:
        case StandardManager():
            return _unpegged(model, view) + standard_pool.issues_of(model, view.table, _standard(view))
        case ScanModel():
            return scan_issues(
                model, held_of(view.table, view.priced, _rows(view), view.market.at, vols=view.vols)
            )
        case RangesModel():
            return ranges_issues(
                model, held_of(view.table, view.priced, _rows(view), view.market.at, vols=view.vols)
            )
        case TailModel():
            return tail_issues(model, view)
        case unknown:
            assert_never(unknown)


def pool_margin(model: PoolModel, view: PoolView, row: int) -> PoolMargin:
    """Margin of one pool in one row of prices; NaN where `pool_issues` says why."""
    match model:
        case StandardManager():
            return _standard_margin(model, view, row)
        case ScanModel():
            scan = scan_margin(
                model, held_of(view.table, view.priced, _rows(view), view.market.at, row, view.vols)
            )
            return PoolMargin(
                scan.initial, scan.maintenance, lambda level: scan_requirement(model, scan, level)
            )
        case RangesModel():
            ranges = ranges_margin(
                model, held_of(view.table, view.priced, _rows(view), view.market.at, row, view.vols)
            )
            return PoolMargin(
                ranges.initial, ranges.maintenance, lambda level: ranges_requirement(model, ranges, level)
            )
        case TailModel():
            tail = tail_margin(model, view, row)
            return PoolMargin(
                tail.initial, tail.maintenance, lambda level: tail_requirement(model, tail, level)
            )
        case unknown:
            assert_never(unknown)


def _unpegged(model: StandardManager, view: PoolView) -> tuple[Issue, ...]:
    if isfinite(_stable(model, view, 0)):
        return ()
    message = (
        "has no index price, so that nobody knows how far it is from its peg; add it under [market.index]"
    )
    return (Issue(model.settlement, Reason.MISSING_INDEX, message),)


def _stable(model: StandardManager, view: PoolView, row: int) -> float:
    # Dollars per settlement asset; one where the table has no such asset.
    if model.settlement not in view.table.assets:
        return 1.0
    return float(view.priced.asset_price[row, view.table.assets.index(model.settlement)])


def _standard_margin(model: StandardManager, view: PoolView, row: int) -> PoolMargin:
    table, held = view.table, _standard(view)
    sure = standard_pool.Confidence(table.asset_confidence, table.confidence, _stable(model, view, row))
    initial, maintenance = standard_pool.requirement_of(model, table, view.priced, row, held, sure)

    def tree(level: int) -> Requirement:
        holding = standard_pool.holding_of(model, table, view.priced, row, held, sure)
        margin = net_margin(terms_of(model, holding.underlyings.name), holding)
        return requirement_tree(margin, level, model.settlement, model.code)

    return PoolMargin(initial, maintenance, tree)


def _standard(view: PoolView) -> standard_pool.Held:
    return standard_pool.Held(view.instrument, view.quantity, view.balance)


def _rows(view: PoolView) -> Rows:
    return Rows(view.instrument, view.quantity, view.currency)
