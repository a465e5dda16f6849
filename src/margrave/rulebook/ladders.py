"""Margin rates by size. Five ways in which venues write them, and the one form that the kernels read.

Every ladder resolves to segments: in segment k a position of size z (in the ladder's unit) has the margin
``z (rate_k + slope_k z + root_k sqrt(z)) - deduction_k``, still in the ladder's unit.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Annotated, TypeAlias, assert_never, final

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from margrave.kernels.ladder import progressive_deduction
from margrave.kernels.size_factor import SIZE_KEPT

Rate: TypeAlias = Annotated[float, Meta(ge=0, le=1)]


class TierUnit(StrEnum):
    """What the size of a position is counted in when its tier is looked up."""

    VALUE = "value"  # notional in the payoff's asset: coin for inverse, quote for linear
    COIN = "coin"  # base asset
    QUOTE = "quote"  # quote asset
    CONTRACTS = "contracts"


@final
class Tier(Struct, frozen=True, forbid_unknown_fields=True):
    """Rates of one step of a ladder."""

    floor: Annotated[float, Meta(ge=0)]  # [tier unit] sizes above this, up to the next floor
    maintenance: Rate
    initial: Rate | None = None  # None: the reciprocal of max_leverage, or of the leverage chosen
    max_leverage: Annotated[float, Meta(gt=0)] | None = None


class _Sourced(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    code: str
    unit: TierUnit
    source: str = ""
    size_max: Annotated[float, Meta(gt=0)] | None = None  # [tier unit], beyond it the venue publishes nothing


@final
class Progressive(
    _Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="progressive"
):
    """Each rate applies to the part of the size inside its tier; the sum is rate times size less a deduction."""

    tiers: Annotated[tuple[Tier, ...], Meta(min_length=1)]
    deductions: tuple[float, ...] | None = None  # [tier unit] as the venue prints them; None: by recursion


@final
class WholePosition(
    _Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="whole-position"
):
    """The whole position takes the rate of the tier it is in: the margin jumps at an edge."""

    tiers: Annotated[tuple[Tier, ...], Meta(min_length=1)]


@final
class BaseSlope(
    _Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="base-slope"
):
    """Rate that grows in a straight line with size: ``base + slope size``."""

    initial: Rate
    maintenance: Rate
    slope: Annotated[float, Meta(ge=0)]  # [1 per tier unit]


@final
class RiskLimit(
    _Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="risk-limit"
):
    """Every step of size beyond the base limit adds one increment to both rates of the whole position."""

    base_limit: Annotated[float, Meta(gt=0)]  # [tier unit]
    step: Annotated[float, Meta(gt=0)]  # [tier unit]
    initial: Rate
    maintenance: Rate
    increment: Annotated[float, Meta(gt=0, le=1)]


@final
class SizePremium(
    _Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="size-premium"
):
    """Rate that grows with the root of the size: ``max(rate, .8 rate + factor sqrt(size))``, on the whole position."""

    initial: Rate
    maintenance: Rate
    factor: Annotated[float, Meta(gt=0)]  # [1 per root of a tier unit] the venues' "IMF factor"


Ladder: TypeAlias = Progressive | WholePosition | BaseSlope | RiskLimit | SizePremium


@final
@dataclass(frozen=True, slots=True)
class Segments:
    """One level of a ladder as the kernels read it: (T,) arrays, in the ladder's unit."""

    floor: NDArray[np.float64]
    rate: NDArray[np.float64]
    slope: NDArray[np.float64]
    deduction: NDArray[np.float64]
    root: NDArray[np.float64] | None = None  # None: nowhere


def initial_rate(tier: Tier) -> float:
    """Initial rate of a tier: as printed, else the reciprocal of its highest leverage, else zero.

    Zero means that the venue leaves it to the leverage that the holder chose.
    """
    if tier.initial is not None:
        return tier.initial
    return 1.0 / tier.max_leverage if tier.max_leverage else 0.0


def _flat(floor: list[float], rate: list[float]) -> Segments:
    zeros = np.zeros(len(floor))
    return Segments(np.array(floor), np.array(rate), zeros, zeros)


def _rates(tiers: tuple[Tier, ...], level: int) -> list[float]:
    return [t.maintenance if level else initial_rate(t) for t in tiers]


def resolve(ladder: Ladder, level: int) -> Segments:
    """Segments of one level.

    Parameters
    ----------
    ladder : Ladder
        As the rulebook writes it.
    level : int
        0 initial, 1 maintenance.

    Returns
    -------
    Segments
        A progressive ladder's *initial* level is the rate of the tier on the whole position (venues print the
        highest leverage of a bracket, not a progressive sum); its deductions belong to maintenance.
    """
    match ladder:
        case Progressive(tiers=tiers, deductions=printed):
            floor, rate = [t.floor for t in tiers], _rates(tiers, level)
            flat = _flat(floor, rate)
            if level == 0:
                return flat
            cut = np.array(printed) if printed is not None else progressive_deduction(flat.floor, flat.rate)
            return Segments(flat.floor, flat.rate, flat.slope, cut)
        case WholePosition(tiers=tiers):
            return _flat([t.floor for t in tiers], _rates(tiers, level))
        case BaseSlope(initial=initial, maintenance=maintenance, slope=slope):
            base = maintenance if level else initial
            return Segments(np.zeros(1), np.array([base]), np.array([slope]), np.zeros(1))
        case SizePremium(initial=initial, maintenance=maintenance, factor=factor):
            base = maintenance if level else initial
            # The premium has a fifth of the rate to fill before it shows.
            begins, zeros = (base * (1.0 - SIZE_KEPT) / factor) ** 2, np.zeros(2)
            if begins == 0.0:
                return Segments(zeros[:1], zeros[:1], zeros[:1], zeros[:1], np.array([factor]))
            rates, root = np.array([base, SIZE_KEPT * base]), np.array([0.0, factor])
            return Segments(np.array([0.0, begins]), rates, zeros, zeros, root)
        case RiskLimit(
            base_limit=limit, step=step, initial=initial, maintenance=maintenance, increment=increment
        ):
            base = maintenance if level else initial
            # Steps end where the rate reaches one: more than the whole value is never asked.
            count = ceil((1.0 - base) / increment) + 1
            floors = [0.0] + [limit + k * step for k in range(count - 1)]
            return _flat(floors, [min(base + k * increment, 1.0) for k in range(count)])
        case unknown:
            assert_never(unknown)
