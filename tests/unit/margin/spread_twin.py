"""Slow twin of the spreads of a scan: one commodity, or one pool, at a time in plain loops."""

from collections.abc import Mapping, Sequence

from margrave.margin.clearing.spreads import ROUNDING, Formed
from margrave.rulebook.clearing import CalendarSpread, CommoditySpread


def calendar_spreads(
    rules: Sequence[CalendarSpread], tiers: Sequence[str], deltas: Sequence[float]
) -> tuple[tuple[Formed, ...], tuple[float, ...]]:
    """Calendar spreads of one commodity, and the deltas that they leave.

    Parameters
    ----------
    rules : sequence of CalendarSpread
        In order of priority.
    tiers, deltas : sequence of str, sequence of float
        Tier and net delta of each run of expiries, nearest first.

    Returns
    -------
    tuple
        What was formed, one entry a rule that found a pair; and the deltas left. A spread forms between opposite
        signs only, ``n = min(|A| / r_A, |B| / r_B)`` of them, and consumes their deltas.
    """
    left = list(deltas)
    formed = [_walk(k, rule, tiers, left, deltas) for k, rule in enumerate(rules)]
    return tuple(spread for spread in formed if spread.count > 0), tuple(left)


def _walk(
    place: int, rule: CalendarSpread, tiers: Sequence[str], left: list[float], start: Sequence[float]
) -> Formed:
    near, far = rule.ratios
    count = 0.0
    for i in (k for k, tier in enumerate(tiers) if tier == rule.tiers[0]):
        for j in (k for k, tier in enumerate(tiers) if tier == rule.tiers[1] and k != i):
            if left[i] * left[j] >= 0:
                continue
            n = min(abs(left[i]) / near, abs(left[j]) / far)
            left[i] = _less(left[i], n * near, start[i])
            left[j] = _less(left[j], n * far, start[j])
            count += n
    return Formed(place, rule.tiers, count, (count * near, count * far))


def commodity_spreads(rules: Sequence[CommoditySpread], deltas: Mapping[str, float]) -> tuple[Formed, ...]:
    """Spreads between commodities.

    Parameters
    ----------
    rules : sequence of CommoditySpread
        In order of priority.
    deltas : mapping of str to float
        Net delta of each commodity held; one that is not held has none.

    Returns
    -------
    tuple of Formed
        ``n = min over legs |delta left| / ratio`` where every leg's sign is on its side; deltas are consumed.
    """
    left = dict(deltas)
    formed = []
    for place, rule in enumerate(rules):
        sides = [left.get(leg.commodity, 0.0) * (-1.0 if leg.opposite else 1.0) for leg in rule.legs]
        if not (all(side > 0 for side in sides) or all(side < 0 for side in sides)):
            continue
        count = min(abs(side) / leg.ratio for side, leg in zip(sides, rule.legs, strict=True))
        for leg in rule.legs:
            left[leg.commodity] = _less(left[leg.commodity], count * leg.ratio, deltas[leg.commodity])
        names = tuple(leg.commodity for leg in rule.legs)
        formed.append(Formed(place, names, count, tuple(count * leg.ratio for leg in rule.legs)))
    return tuple(formed)


def _less(delta: float, consumed: float, start: float) -> float:
    rest = abs(delta) - consumed
    return 0.0 if rest <= ROUNDING * abs(start) else rest if delta > 0 else -rest
