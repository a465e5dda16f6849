"""Spreads of a scan: deltas that stand against each other, walked in order of priority (clearing 1.1).

The walk goes rule by rule and pair by pair, and each step is taken in all commodities or pools at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, I64
from margrave.rulebook.clearing import CalendarSpread, CommoditySpread

ROUNDING = 1e-12  # a delta that is left below this share of what there was is none


@final
@dataclass(frozen=True, slots=True)
class Formed:
    """Spreads of one rule that were formed."""

    rule: int  # place among the rules
    between: tuple[str, ...]  # tiers or commodities
    count: float  # spreads
    deltas: tuple[float, ...]  # deltas consumed on each leg, >= 0


@final
@dataclass(frozen=True, slots=True)
class Runs:
    """Net deltas of runs of expiries of one commodity in G groups; a group's runs nearest first."""

    group: I64  # (r,) ascending
    tier: I64  # (r,) place among the commodity's tiers; -1 where none reaches it
    delta: F64  # (r,)


def calendar_spreads(
    rules: Sequence[CalendarSpread], tiers: Sequence[str], runs: Runs, count: int
) -> tuple[F64, F64]:
    """Calendar spreads of one commodity in many groups, and the deltas that they leave.

    Parameters
    ----------
    rules : sequence of CalendarSpread
        In order of priority.
    tiers : sequence of str
        Names of the tiers.
    runs : Runs
        What each group holds.
    count : int
        Number of groups, G.

    Returns
    -------
    formed : (R, G) ndarray
        Spreads that each rule formed. One forms between opposite signs only, ``n = min(|A| / r_A, |B| / r_B)`` of
        them, and consumes their deltas.
    left : (r,) ndarray
        Delta left of each run.
    """
    left, formed = runs.delta.copy(), np.zeros((len(rules), count))
    for rule, made in zip(rules, formed, strict=True):
        near, far = (_abreast(runs, tiers.index(tier), count) for tier in rule.tiers)
        for some in near:
            for other in far:
                at = np.flatnonzero((some >= 0) & (other >= 0) & (some != other))
                at = at[~(left[some[at]] * left[other[at]] >= 0.0)]
                a, b = some[at], other[at]
                n = np.minimum(np.abs(left[a]) / rule.ratios[0], np.abs(left[b]) / rule.ratios[1])
                left[a] = _less(left[a], n * rule.ratios[0], runs.delta[a])
                left[b] = _less(left[b], n * rule.ratios[1], runs.delta[b])
                made[at] += n
    return formed, left


def _abreast(runs: Runs, tier: int, count: int) -> I64:
    # Runs of a tier: the first of every group, then the second ... (n, G); -1 where a group has no more.
    rows = np.flatnonzero(runs.tier == tier)
    group = runs.group[rows]
    each = np.bincount(group, minlength=count)
    place = np.arange(len(rows)) - (np.cumsum(each) - each)[group]
    out = np.full((int(each.max(initial=0)), count), -1)
    out[place, group] = rows
    return out


def commodity_spreads(rules: Sequence[CommoditySpread], names: Sequence[str], delta: F64) -> F64:
    """Spreads between the commodities of many pools.

    Parameters
    ----------
    rules : sequence of CommoditySpread
        In order of priority.
    names : (C,) sequence of str
        Commodities.
    delta : (C, K) ndarray
        Net delta of each commodity of each pool; zero where it is not held.

    Returns
    -------
    (Q, K) ndarray
        Spreads that each rule formed: ``n = min over legs |delta left| / ratio`` where every leg's sign is on its
        side; deltas are consumed.
    """
    left, formed = delta.copy(), np.zeros((len(rules), delta.shape[1]))
    for rule, made in zip(rules, formed, strict=True):
        legs = [names.index(leg.commodity) for leg in rule.legs]
        side = np.array([[-1.0] if leg.opposite else [1.0] for leg in rule.legs]) * left[legs]
        ratio = np.array([[leg.ratio] for leg in rule.legs])
        at = np.flatnonzero((side > 0.0).all(axis=0) | (side < 0.0).all(axis=0))
        made[at] = (np.abs(side[:, at]) / ratio).min(axis=0)
        for leg, of in zip(legs, ratio[:, 0].tolist(), strict=True):
            left[leg, at] = _less(left[leg, at], made[at] * of, delta[leg, at])
    return formed


def _less(delta: F64, consumed: F64, start: F64) -> F64:
    rest = np.abs(delta) - consumed
    return np.where(rest <= ROUNDING * np.abs(start), 0.0, np.copysign(rest, delta))
