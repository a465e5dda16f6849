"""The directional schedule of inverse margining: a requirement that falls with favourable movement.

The multiplier g(x) of a favourable excursion x multiplies the rate of the ladder or the risk part of an
option. Definition and invariants: spec 1.3 and 1.4.
"""

from enum import StrEnum
from typing import Annotated, TypeAlias, final

from msgspec import Meta, Struct

Knot: TypeAlias = tuple[float, Annotated[float, Meta(gt=0)]]


class Reference(StrEnum):
    """Price from which the favourable excursion is measured."""

    ENTRY = "entry"  # net average entry: harmonic for inverse, arithmetic for linear
    VWAP = "vwap"  # volume-weighted average of fills, arithmetic for every payoff
    SETTLEMENT = "settlement"  # last session settlement
    EWMA = "ewma"  # exponentially weighted mark
    HIGH_WATER = "high-water"  # best mark since entry: surcharges, never relief
    RATCHET = "ratchet"  # relief earned at the peak, pull-back charged from the peak (spec 1.4)


class Excursion(StrEnum):
    """Unit of the favourable excursion x."""

    LOG = "log"  # s ln(P / R)
    PERCENT = "percent"  # s (P / R - 1)
    COIN = "coin"  # s (1 - R / P)
    SIGMA = "sigma"  # log excursion over vol sqrt(horizon)
    RETURN_ON_MARGIN = "return-on-margin"  # unrealised profit over initial margin at the reference


class Interpolation(StrEnum):
    """How the multiplier is read between the knots."""

    LINEAR = "linear"
    PCHIP = "pchip"  # monotone cubic
    STEP = "step"


@final
class Discipline(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Tighten at once, release slowly (spec 1.3 rule 7) and do not reward reopening (rule 8)."""

    dead_band: Annotated[float, Meta(ge=0)] = (
        0.0  # [unit of x] step mode: beyond the edge before release counts
    )
    dwell: Annotated[int, Meta(ge=1)] = 1  # step mode: consecutive observations before a release
    release_per_hour: Annotated[float, Meta(gt=0)] | None = None  # most that the multiplier falls in an hour
    reopen_window_hours: Annotated[float, Meta(ge=0)] = 0.0  # a reference is carried over a close and reopen
    profit_share_max: Annotated[float, Meta(ge=0)] | None = None  # released margin <= this share of profit


@final
class Schedule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A directional schedule.

    Knots are (x, g) with x ascending, g non-increasing and g(0) = 1; constant outside. In step mode a knot
    (x, g) with x < 0 is an adverse boundary below which g holds, one with x > 0 a favourable boundary from
    which g holds, and (0, 1) the band between.
    """

    name: str
    code: str
    knots: Annotated[tuple[Knot, ...], Meta(min_length=2)]  # maintenance, and initial where none is given
    initial_knots: tuple[Knot, ...] = ()
    source: str = ""
    reference: Reference = Reference.ENTRY
    excursion: Excursion = Excursion.LOG
    interpolation: Interpolation = Interpolation.LINEAR
    horizon_days: Annotated[float, Meta(gt=0)] = 1.0  # sigma excursion
    half_life_hours: Annotated[float, Meta(gt=0)] = 24.0  # ewma reference
    floor: Annotated[float, Meta(ge=0)] = 0.0  # [rate] least rate after every multiplier
    cap: Annotated[float, Meta(gt=0)] = 1.0  # [rate] largest rate after every multiplier
    initial_over_maintenance: Annotated[float, Meta(ge=1)] = 1.0  # rho_I >= c rho_M
    net_delta_min: Annotated[float, Meta(ge=0)] = 1e-9  # [share of gross delta] below it g = 1
    discipline: Discipline = Discipline()


def relief_rate(schedule: Schedule) -> float:
    """Release speed of the multiplier per hour; infinite where the schedule does not limit it."""
    limit = schedule.discipline.release_per_hour
    return float("inf") if limit is None else limit
