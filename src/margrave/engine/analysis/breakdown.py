"""What a pool is asked when the correlations that its offsets rest on break down (spec PM-1, CMS-3).

The same account under the same rules with other correlations: those of the rulebook, none, all of them turned,
and each with the sign that hurts this pool. Every number is the one calculation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from msgspec import structs

from margrave.core.errors import Reason, refused
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.domain.account import Account
from margrave.domain.book import book_of
from margrave.domain.market import Market
from margrave.margin.pooled import Pooled, Prepared, evaluate, prepare
from margrave.margin.pools import pool_name
from margrave.margin.scenario.scenarios import ScenarioMargin
from margrave.rulebook.portfolio import CorrelationOffset, CorrelationPair, ScenarioModel
from margrave.rulebook.schema import Rulebook

Bent: TypeAlias = Callable[[CorrelationPair], float]  # the correlation of a pair when it breaks down


@final
@dataclass(frozen=True, slots=True)
class Breakdown:
    """One pool's requirement under each set of correlations, in its currency; NaN where it is not known."""

    pool: str
    currency: str
    margin_balance: float
    calibrated: float  # correlations of the rulebook
    uncorrelated: float  # none
    turned: float  # each with the other sign
    worst: float  # each with the sign that hurts; the most that a pair of this size can ask

    @property
    def jump(self) -> float:
        """What the worst of them asks more than the rulebook's own, >= 0."""
        return max(self.uncorrelated, self.turned, self.worst) - self.calibrated

    @property
    def shortfall(self) -> float:
        """What the pool lacks after the jump, >= 0: at initial level a call, at maintenance a liquidation."""
        return max(0.0, self.calibrated + self.jump - self.margin_balance)


def breakdowns(
    account: Account, market: Market, rulebook: Rulebook, level: int = MAINTENANCE
) -> tuple[Breakdown, ...]:
    """Requirement of every pool when correlations vanish, turn, and turn against it.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation.
    level : int
        Level of the requirement, a row of `margrave.core.words`.

    Returns
    -------
    tuple of Breakdown
        In the order of an assessment's pools. A benefit stays capped as the rulebook says.

    Raises
    ------
    RefusedError
        The rulebook offsets nothing by correlation.
    """
    model = rulebook.portfolio
    if not isinstance(model, ScenarioModel) or model.correlation is None:
        text = "offsets nothing by correlation; choose one that states [portfolio.correlation]"
        raise refused(rulebook.id, Reason.NOT_ALLOWED, text)
    prepared = prepare(book_of((account,)), market, rulebook)
    pooled = evaluate(prepared)

    def asked(bent: Bent) -> list[float]:
        other = _bent(rulebook, model, bent)
        return _level(evaluate(prepare(prepared.book, market, other)), level)

    calibrated, uncorrelated = _level(pooled, level), asked(lambda _: 0.0)
    turned = asked(lambda pair: -pair.correlation)
    names = prepared.table.assets
    return tuple(
        Breakdown(
            pool_name(prepared.pools, prepared.table, prepared.book, k),
            names[int(prepared.pools.currency[k])],
            float(pooled.margin_balance[0, k]),
            calibrated[k],
            uncorrelated[k],
            turned[k],
            asked(_against(prepared, pooled, k))[k],
        )
        for k in range(len(prepared.pools.account))
    )


def _level(pooled: Pooled, level: int) -> list[float]:
    amounts = pooled.initial if level == INITIAL else pooled.maintenance
    return [float(x) for x in amounts[0]]


def _bent(rulebook: Rulebook, model: ScenarioModel, bent: Bent) -> Rulebook:
    # Not checked: correlations that break down need not be those of any one distribution.
    rule = model.correlation
    assert isinstance(rule, CorrelationOffset)
    pairs = tuple(structs.replace(pair, correlation=bent(pair)) for pair in rule.pairs)
    changed = structs.replace(model, correlation=structs.replace(rule, pairs=pairs))
    return structs.replace(rulebook, portfolio=changed)


def _against(prepared: Prepared, pooled: Pooled, pool: int) -> Bent:
    # Two units that the same move hurts are hurt together by a correlation above zero, others by one below.
    joint = pooled.workings.joint
    assert joint is not None
    assert isinstance(joint.workings, ScenarioMargin)
    units, side = joint.workings.portfolio.units, joint.workings.side[0]
    names = prepared.table.assets
    sides = {
        names[int(units.unit_base[u])]: float(side[u])
        for u in np.flatnonzero(units.unit_pool == pool).tolist()
    }

    def bent(pair: CorrelationPair) -> float:
        hurt = sides.get(pair.first, 0.0) * sides.get(pair.second, 0.0)
        return abs(pair.correlation) * (-1.0 if hurt < 0.0 else 1.0)

    return bent
