"""What each position does to the requirement of its pool: by leaving it out, by its size, and by Greeks.

The marginal contribution is what the requirement falls by without the position, exactly. The Euler attribution
is ``q dR/dq``; where the requirement is homogeneous of degree one in the sizes its sum is the requirement, and
where it is not (tiers, fixed amounts, minimums) the rest is told.

References
----------
Tasche, "Capital allocation to business units and sub-portfolios: the Euler principle", 2008.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias, final

import numpy as np

from margrave.core.words import INITIAL
from margrave.domain.account import Account, Position
from margrave.domain.instruments import Option
from margrave.domain.market import Market
from margrave.engine.analysis.exposure import exposures
from margrave.engine.analysis.parts import PoolPart, pools_with_positions, required
from margrave.engine.whatif import moved
from margrave.kernels.arrays import F64
from margrave.rulebook.schema import Rulebook

_STEP = 1e-6  # relative step of sizes: exact on straight pieces, an error of order 1e-10 elsewhere
_SPOT_STEP = 0.01  # [fraction] bump of spot
_VOL_STEP = 0.01  # [fraction] bump of vol

Asked: TypeAlias = Callable[
    [dict[str, float], dict[str, float]], float
]  # requirement at factors of spot and vol


@final
@dataclass(frozen=True, slots=True)
class Contribution:
    """One position in its pool; money in the pool's currency. Below zero: the position lowers the requirement."""

    symbol: str
    quantity: float
    alone: float  # requirement of the position by itself
    marginal: float  # requirement with the position less without
    euler: float  # size times slope of the requirement in the size


@final
@dataclass(frozen=True, slots=True)
class Contributions:
    """Contributions in one pool at one level. Open orders are left out."""

    pool: str
    currency: str
    requirement: float
    positions: tuple[Contribution, ...]

    @property
    def residual(self) -> float:
        """Requirement less the sum of the Euler attribution; zero for a requirement homogeneous of degree one."""
        return self.requirement - sum(p.euler for p in self.positions)


@final
@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What the requirement of a pool does when one underlying or its vol moves; beside it the pool's Greeks."""

    pool: str
    currency: str
    underlying: str
    spot: float  # change of the requirement per +1 % of spot, mean of both sides [pool currency]
    curvature: float  # change of that change per +1 % of spot [pool currency]
    vol: float | None  # change per +1 % of the vols of the underlying's options; None without options
    delta: float  # [coins] dollar delta
    gamma: float  # [coins per dollar]
    vega: float  # [dollars per 1.00 vol]


def contributions(
    account: Account, market: Market, rulebook: Rulebook, level: int = INITIAL
) -> tuple[Contributions, ...]:
    """Contribution of every position to the requirement of its pool.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation.
    level : int
        Level of the requirement, a row of `margrave.core.words`.

    Returns
    -------
    tuple of Contributions
        Pools that hold positions and can be valued. Slopes are the mean of both sides and leave out the
        venue's rounding; at a kink the mean of two pieces is told.
    """
    pools = pools_with_positions(account, market, rulebook)
    return tuple(_of_pool(account, market, rulebook, pool, level) for pool in pools)


def _of_pool(
    account: Account, market: Market, rulebook: Rulebook, pool: PoolPart, level: int
) -> Contributions:
    held = pool.positions
    without = [held[:k] + held[k + 1 :] for k in range(len(held))]
    sets = [held, *((p,) for p in held), *without]
    amounts = required(account, market, rulebook, sets)[level]
    alone, left = np.split(amounts[1:], 2)
    euler = _euler(account, market, rulebook, held)[level]
    rows = zip(held, alone.tolist(), (amounts[0] - left).tolist(), euler.tolist(), strict=True)
    parts = tuple(Contribution(p.symbol, p.quantity, own, gone, slope) for p, own, gone, slope in rows)
    return Contributions(pool.name, pool.currency, float(amounts[0]), parts)


def _euler(
    account: Account, market: Market, rulebook: Rulebook, held: tuple[Position, ...]
) -> tuple[F64, F64]:
    def scaled(by: float) -> list[tuple[Position, ...]]:
        return [
            tuple(replace(p, quantity=p.quantity * by) if n == k else p for n, p in enumerate(held))
            for k in range(len(held))
        ]

    sets = scaled(1.0 + _STEP) + scaled(1.0 - _STEP)
    initial, maintenance = (
        np.split(part, 2) for part in required(account, market, rulebook, sets, is_rounded=False)
    )
    return (
        (initial[0] - initial[1]) / (2.0 * _STEP),
        (maintenance[0] - maintenance[1]) / (2.0 * _STEP),
    )


def sensitivities(
    account: Account, market: Market, rulebook: Rulebook, level: int = INITIAL
) -> tuple[Sensitivity, ...]:
    """Change of every pool's requirement per unit move of each underlying and of its vol.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation.
    level : int
        Level of the requirement, a row of `margrave.core.words`.

    Returns
    -------
    tuple of Sensitivity
        A row a pool and underlying.

    Raises
    ------
    InvalidInputError
        An underlying has no index price, or an option without a vol would have to move.
    """
    rows = []
    for pool in pools_with_positions(account, market, rulebook):
        part = replace(account, positions=pool.positions, orders=())

        def asked(spot: dict[str, float], vol: dict[str, float], part: Account = part) -> float:
            later = moved(market, spot, vol)
            return float(required(part, later, rulebook, (part.positions,))[level][0])

        for greek in exposures(part, market):
            spot, curvature = _spot_slopes(asked, greek.underlying)
            vol = _vol_slope(asked, greek.underlying) if _has_option(pool, market, greek.underlying) else None
            rows.append(
                Sensitivity(
                    pool.name,
                    pool.currency,
                    greek.underlying,
                    spot,
                    curvature,
                    vol,
                    greek.dollar_delta,
                    greek.gamma,
                    greek.vega,
                )
            )
    return tuple(rows)


def _has_option(pool: PoolPart, market: Market, underlying: str) -> bool:
    held = (market.instruments[p.symbol] for p in pool.positions)
    return any(i.base == underlying and isinstance(i.kind, Option) for i in held)


def _spot_slopes(asked: Asked, asset: str) -> tuple[float, float]:
    low, here, high = (asked({asset: 1.0 + bump}, {}) for bump in (-_SPOT_STEP, 0.0, _SPOT_STEP))
    return 0.5 * (high - low), high - 2.0 * here + low


def _vol_slope(asked: Asked, asset: str) -> float:
    return asked({}, {asset: 1.0 + _VOL_STEP}) - asked({}, {asset: 1.0})
