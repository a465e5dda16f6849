"""What a pool saves by holding its positions together (spec PMS-5, PM-3, PM-4).

The requirement of the pool beside the sum of its parts, each position alone with the same collateral, rules and
market; the pairs that offset each other most; and what a cap of the benefit would ask.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import final

from margrave.core.words import INITIAL
from margrave.domain.account import Account
from margrave.domain.checks import require
from margrave.domain.market import Market
from margrave.engine.analysis.parts import PoolPart, pools_with_positions, required
from margrave.rulebook.schema import Rulebook

_NOISE = 1e-6  # of what two positions ask alone: a smaller saving is not worth telling


@final
@dataclass(frozen=True, slots=True)
class Pair:
    """Two positions and what holding them together saves, ``R(i) + R(j) - R(i, j)`` > 0 [pool currency]."""

    first: str
    second: str
    saving: float
    fraction: float  # of what the two ask alone


@final
@dataclass(frozen=True, slots=True)
class Offset:
    """Offset of one pool at one level; money in its currency. Open orders are left out."""

    pool: str
    currency: str
    requirement: float
    parts: tuple[tuple[str, float], ...]  # each position alone, in the account's order
    pairs: tuple[Pair, ...]  # that save most, best first
    cap: float  # greatest benefit that the check allows, a fraction of the sum of the parts

    @property
    def sum_of_parts(self) -> float:
        """What the positions ask when each stands alone."""
        return sum(amount for _, amount in self.parts)

    @property
    def benefit(self) -> float:
        """Sum of the parts less the requirement; below zero where the rules ask more of the whole."""
        return self.sum_of_parts - self.requirement

    @property
    def fraction(self) -> float:
        """Benefit over the sum of the parts; zero where nothing is asked."""
        return self.benefit / self.sum_of_parts if self.sum_of_parts else 0.0

    @property
    def capped(self) -> float:
        """Requirement if the benefit were capped: at least ``(1 - cap)`` of the sum of the parts (spec PM-4)."""
        return max(self.requirement, (1.0 - self.cap) * self.sum_of_parts)


def offsets(
    account: Account,
    market: Market,
    rulebook: Rulebook,
    level: int = INITIAL,
    cap: float = 0.8,
    most: int = 5,
) -> tuple[Offset, ...]:
    """Offset of every pool that holds positions and can be valued.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation.
    level : int
        Level of the requirement, a row of `margrave.core.words`.
    cap : float
        Greatest diversification benefit, in [0, 1].
    most : int
        How many pairs are told.

    Returns
    -------
    tuple of Offset
        In the order of an assessment's pools. Every pair of a pool is assessed: the time grows with the square
        of its positions.
    """
    require(0.0 <= cap <= 1.0, "cap", cap, "a fraction from 0 to 1")
    pools = pools_with_positions(account, market, rulebook)
    return tuple(_offset(account, market, rulebook, pool, level, (cap, most)) for pool in pools)


def _offset(
    account: Account,
    market: Market,
    rulebook: Rulebook,
    pool: PoolPart,
    level: int,
    asked: tuple[float, int],
) -> Offset:
    cap, most = asked
    held, count = pool.positions, len(pool.positions)
    places = list(combinations(range(count), 2))
    sets = [held, *((p,) for p in held), *((held[i], held[j]) for i, j in places)]
    amounts = required(account, market, rulebook, sets)[level].tolist()
    whole, alone, together = amounts[0], amounts[1 : count + 1], amounts[count + 1 :]
    names = [p.symbol for p in held]
    pairs = [
        Pair(names[i], names[j], alone[i] + alone[j] - amount, 1.0 - amount / (alone[i] + alone[j]))
        for (i, j), amount in zip(places, together, strict=True)
        if alone[i] + alone[j] > 0.0
    ]
    saving = [p for p in pairs if p.fraction > _NOISE]
    best = sorted(saving, key=lambda p: p.saving, reverse=True)[:most]
    return Offset(pool.name, pool.currency, whole, tuple(zip(names, alone, strict=True)), tuple(best), cap)
