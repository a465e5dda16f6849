"""One portfolio under several margin models: requirement, what binds, and the time it took (spec PMM-6)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias, final

from margrave.domain.account import Account
from margrave.domain.market import Market
from margrave.engine.analysis.compare import Variant, in_mode
from margrave.engine.assess import assess
from margrave.margin.requirement import Requirement

Timer: TypeAlias = Callable[[], float]
"""A clock of the caller's, in seconds; the calculation reads none."""


@final
@dataclass(frozen=True, slots=True)
class ModelRow:
    """One pool under one model; money in its currency, NaN where it is not known."""

    model: str
    pool: str
    currency: str
    initial: float
    maintenance: float
    binds: str  # the scenario, charge or rule that makes most of the maintenance margin; or why it is unknown
    seconds: float  # of one assessment of the account


def model_table(
    account: Account, market: Market, chosen: Iterable[Variant], timer: Timer
) -> tuple[ModelRow, ...]:
    """Assess a portfolio under every model.

    Parameters
    ----------
    account, market : Account, Market
        As they are.
    chosen : iterable of Variant
        Rules, with their modes.
    timer : callable
        Gives seconds, such as `time.perf_counter`; called before and after each assessment.

    Returns
    -------
    tuple of ModelRow
        A row a model and pool that holds something. The tree that says what binds is not timed.
    """
    rows = []
    for variant in chosen:
        mine = in_mode(account, market, variant.rulebook, variant.mode)
        start = timer()
        assessment = assess(mine, market, variant.rulebook)
        seconds = timer() - start
        for k, pool in enumerate(assessment.pools):
            if pool.positions or pool.order_margin:
                why = "; ".join(map(str, pool.issues)) or binding(assessment.explain("maintenance", k))
                amounts = (pool.initial, pool.maintenance)
                rows.append(ModelRow(variant.name, pool.name, pool.currency, *amounts, why, seconds))
    return tuple(rows)


def binding(tree: Requirement) -> str:
    """What makes most of a requirement.

    Down the largest parts, through factors of a level, to a sum that names what binds, a charge, a position or a
    sum of leaves.
    """
    node = tree
    while (part := _largest(node)) is not None:
        node = part
    return node.label + (f" ({node.binds})" if node.binds else "")


def _largest(node: Requirement) -> Requirement | None:
    money = [part for part in node.parts if part.unit != "factor"]
    is_end = node.rule == "sum" and (node.binds or not any(part.parts for part in node.parts))
    is_charged = node.rule == "product" and (len(money) != 1 or not money[0].parts)
    if is_end or is_charged:
        return None
    decides = min if node.rule == "min" else max
    return decides(money, key=lambda part: part.amount, default=None)
