"""What a liquidation search answers: bounds on a price, why there is none, and the nearest joint move."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias, final

import numpy as np

from margrave.kernels.normal import normal_cdf

COMMON_FACTOR: Final = "common factor"
"""Direction in which every underlying of a pool that is not stable moves by one factor."""

DAYS_IN_YEAR: Final = 365.0

Side: TypeAlias = Literal["down", "up"]
Method: TypeAlias = Literal["closed form", "Lambert W", "root"]


class NoBound(StrEnum):
    """Why a pool has no liquidation price."""

    NO_POSITION = "no position"
    UNKNOWN = "pool cannot be valued"
    ALREADY = "already liquidatable"
    LONGS_ONLY = "longs only"  # nothing held asks for maintenance
    COVERED_SHORT = "fully collateralised short"
    NOT_MOVED = "pool does not depend on this price"
    NEVER = "no price reaches it"


@final
@dataclass(frozen=True, slots=True)
class Bound:
    """A price at which a pool becomes, or ceases to be, liquidatable (or bankrupt)."""

    side: Side  # where it lies from the price now
    price: float  # of the pool's main instrument, rounded as the venue does
    exact: float  # the same before rounding
    factor: float  # what prices are multiplied by, exact / price now
    distance: float  # price / mark - 1, < 0 below
    sigma: float | None  # |ln factor| in standard deviations of one day; None without a vol
    touch_probability: float | None  # of reaching it within a day, driftless
    binds: str  # what decides there
    method: Method
    bankruptcy: float | None = None  # price beyond it at which equity is zero


@final
@dataclass(frozen=True, slots=True)
class JointMove:
    """The likeliest move of all underlyings together that makes a pool liquidatable."""

    factors: tuple[tuple[str, float], ...]  # underlying, what its price is multiplied by
    sigma: float  # length of the move in standard deviations of one day
    probability: float  # first-order probability of ending the day beyond it
    assumed: tuple[str, ...] = ()  # underlyings whose vol is not in the market and was taken as 1


@final
@dataclass(frozen=True, slots=True)
class PoolLiquidation:
    """Where one pool is liquidatable along one direction."""

    pool: str
    along: str  # an asset, or `COMMON_FACTOR`
    bounds: tuple[Bound, ...]  # nearest below, nearest above, then further crossings
    reason: str | None  # why there is none, when `bounds` is empty
    bankruptcy: tuple[Bound, ...]  # where equity is zero, in the same order
    instrument: str = ""  # whose price the bounds are
    liquidatable: tuple[
        tuple[float, float], ...
    ] = ()  # intervals of exact prices; 0 and inf: without end, or to where the rules say nothing
    each: tuple["PoolLiquidation", ...] = ()  # along every single underlying, where there are several
    joint: JointMove | None = None  # where there are several underlyings


def daily_sigma(factor: float, vol: float | None) -> tuple[float | None, float | None]:
    """Distance of a factor in standard deviations of a day, and the chance of touching it within the day.

    Parameters
    ----------
    factor : float
        Price over price now, > 0.
    vol : float, optional
        Annual vol.

    Returns
    -------
    sigma, touch_probability : float or None
        ``|ln f| / (vol sqrt(1/365))`` and the reflection principle's ``2 N(-sigma)``.
    """
    if vol is None or not vol > 0.0:
        return None, None
    sigma = abs(float(np.log(factor))) / (vol / float(np.sqrt(DAYS_IN_YEAR)))
    return sigma, min(1.0, 2.0 * float(normal_cdf(np.asarray(-sigma))))
