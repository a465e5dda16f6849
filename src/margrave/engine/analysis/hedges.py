"""Which single trade lowers a pool's margin most for what it costs (spec PMM-8).

`optimise` looks for the cheapest set of trades that reaches a target; here every instrument that may be traded is tried
by itself, on both sides, and assessed exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from margrave.core.errors import Reason, refused
from margrave.core.words import INITIAL, LEVELS
from margrave.domain.account import Account
from margrave.domain.market import Market
from margrave.engine.analysis.candidates import Candidate, Costs, candidates_of, contracts_of
from margrave.engine.analysis.optimise import chosen_pool, with_fees
from margrave.engine.analysis.stress import underlyings
from margrave.engine.assess import assess, assess_all
from margrave.engine.assessment import PoolAssessment
from margrave.engine.whatif import Leg, filled
from margrave.rulebook.schema import Rulebook

_SIZES: Final = 16  # sizes that are tried on each side, twice: over the whole range, then about the best


@final
@dataclass(frozen=True, slots=True)
class Hedge:
    """One trade of the size that lowers the requirement most."""

    leg: Leg  # priced at the mark and half the spread
    relief: float  # requirement before less after, > 0 [pool currency]
    cost: float  # half spread and fee [numeraire]
    relief_per_cost: float  # relief in the numeraire over cost


def ranked_hedges(
    account: Account,
    market: Market,
    rulebook: Rulebook,
    pool: str | None = None,
    level: int = INITIAL,
    costs: Costs = Costs(),  # noqa: B008 - frozen
) -> tuple[Hedge, ...]:
    """Trades that lower a pool's requirement, the one that lowers it most per cost first.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation.
    pool : str, optional
        Name of a cross pool; by default the account's only one with positions.
    level : int
        Level of the requirement, a row of `margrave.core.words`.
    costs : Costs
        Half spread above zero, fee and lots.

    Returns
    -------
    tuple of Hedge
        One an instrument and side that helps. Sizes are whole lots of a grid over what candidates allow, then of a
        finer one about the best; of sizes that lower margin alike the smaller stands.

    Raises
    ------
    RefusedError
        There is no such pool, it is isolated, it cannot be valued, or its currency has no index price.
    """
    market = with_fees(market, costs)
    mine = chosen_pool(account, assess(account, market, rulebook), pool)
    price = market.index_of(mine.currency)
    if price is None:
        text = "has no index price to set beside costs; add it under [market.index]"
        raise refused(mine.currency, Reason.MISSING_INDEX, text)
    assets = underlyings(account, market)
    found = []
    for candidate in candidates_of(account, market, rulebook, mine, assets, costs):
        for side in (1, -1):
            lots, relief = _best(account, market, rulebook, mine, (candidate, side, level))
            cost = lots * candidate.unit_cost
            if relief > 0.0:
                leg = _leg(candidate, side * lots)
                found.append(Hedge(leg, relief, cost, relief * price / cost))
    return tuple(sorted(found, key=lambda hedge: -hedge.relief_per_cost))


def _leg(candidate: Candidate, lots: int) -> Leg:
    size = contracts_of(candidate, lots)
    return Leg(candidate.symbol, size, candidate.buy if lots > 0 else candidate.sell)


def _best(
    account: Account,
    market: Market,
    rulebook: Rulebook,
    pool: PoolAssessment,
    asked: tuple[Candidate, int, int],
) -> tuple[int, float]:
    # Most relief and its size in lots: over the whole range, then between the neighbours of the best.
    candidate, side, level = asked

    def reliefs(lots: Sequence[int]) -> list[float]:
        legs = [_leg(candidate, side * n) for n in lots]
        accounts = [filled(account, market, leg, rulebook) for leg in legs]
        found = assess_all(accounts, market, rulebook)
        pools = [next((p for p in a.pools if p.name == pool.name), None) for a in found]
        before = float(getattr(pool, LEVELS[level]))
        return [before - (0.0 if p is None else float(getattr(p, LEVELS[level]))) for p in pools]

    low, high, best = 1, candidate.lots_max, (1, 0.0)
    for _ in range(2):
        sizes = sorted({round(n) for n in np.geomspace(low, high, _SIZES).tolist()})
        tried = list(zip(sizes, reliefs(sizes), strict=True))
        best = max((best, *tried), key=lambda t: (t[1] if t[1] == t[1] else -np.inf, -t[0]))
        at = sizes.index(best[0])
        low, high = sizes[max(at - 1, 0)], sizes[min(at + 1, len(sizes) - 1)]
    return best
