"""Portfolio margin by scenarios, as data: price moves by vol moves by weights, charges, and how they meet.

One model serves every venue that revalues a portfolio on a grid; what differs between venues is which parts a
rulebook states. `margin.scenario.scenarios` has the formula.
"""

from enum import StrEnum
from typing import Annotated, TypeAlias, final

from msgspec import Meta

from margrave.rulebook.form import Form, Fraction

Positive: TypeAlias = Annotated[float, Meta(gt=0)]
NonNegative: TypeAlias = Annotated[float, Meta(ge=0)]
Move: TypeAlias = Annotated[float, Meta(gt=-1)]


class VolMove(StrEnum):
    """What a cell does to implied vol."""

    UP = "up"
    SAME = "same"
    DOWN = "down"
    LINEAR = "linear"  # skew: one wing up, the other down
    ABSOLUTE = "absolute"  # skew: both wings alike


class VolUnit(StrEnum):
    """What a vol shock is of."""

    RELATIVE = "relative"  # a fraction of the vol
    POINTS = "points"  # added to the vol


class VolSource(StrEnum):
    """Vol from which options are revalued."""

    MARK = "mark"  # the one that is in the mark
    QUOTE = "quote"  # the one that the venue publishes


class UnitOf(StrEnum):
    """Positions that offset each other in full."""

    UNDERLYING = "underlying"
    UNDERLYING_AND_SETTLEMENT = "underlying-and-settlement"


class Role(StrEnum):
    """Where a charge stands in ``max(max(worst, competes) + adds, least)``, times the level's factor, plus ``after``."""

    COMPETES = "competes"
    ADDS = "adds"
    LEAST = "least"
    AFTER = "after"


@final
class Cell(Form, frozen=True):
    """One scenario."""

    move: Move  # [fraction] of every price of the unit
    vol: VolMove = VolMove.SAME
    weight: NonNegative = 1.0  # share of the profit or loss that counts


@final
class EvenGrid(Form, frozen=True):
    """Evenly spaced price moves, each with every vol move."""

    range: Annotated[float, Meta(gt=0, lt=1)]
    each_side: Annotated[int, Meta(ge=1, le=1000)]
    vols: Annotated[tuple[VolMove, ...], Meta(min_length=1)] = (VolMove.UP, VolMove.SAME, VolMove.DOWN)


@final
class Tail(Form, frozen=True):
    """Moves beyond the grid: loss in quote scaled by range / |move| and turned into coin at the grid's edge."""

    code: str
    moves: Annotated[tuple[Move, ...], Meta(min_length=1)]
    factor: NonNegative = 1.0
    vol: VolMove = VolMove.UP


@final
class Cells(Form, frozen=True):
    """The scenarios of a unit."""

    code: str
    even: EvenGrid | None = None
    tail: Tail | None = None  # needs `even`
    listed: tuple[Cell, ...] = ()


@final
class VolShock(Form, frozen=True):
    """Shock of implied vol, scaled by ``(30 / days)`` to a power."""

    code: str
    up: NonNegative
    down: NonNegative
    unit: VolUnit = VolUnit.RELATIVE
    power_short: NonNegative = 0.0  # below 30 days
    power_long: NonNegative = 0.0
    days_least: Positive = 1.0
    vol_least_up: NonNegative = 0.0  # [per year] floor of the vol that was shocked up


@final
class SkewShock(Form, frozen=True):
    """Shock of the smile: vol times ``1 + clamp(k cap / k*)``, k log moneyness, forward unchanged."""

    code: str
    linear_cap: float
    linear_base: float
    absolute_cap: float
    absolute_base: float
    width_least: Positive
    width_scale: NonNegative
    vol_static: float
    vol_slope: float = 0.0


@final
class StaticDiscount(Form, frozen=True):
    """What an expiry's options count for: worth times a base and an exponential of time."""

    code: str
    long_base: NonNegative
    long_multiple: float = 0.0
    long_add: float = 0.0
    short_base: NonNegative = 1.0
    short_multiple: float = 0.0
    short_add: float = 0.0


@final
class Gains(Form, frozen=True):
    """Share of a unit's gains that may offset other units, and what shrinks the tail."""

    code: str
    share: Fraction
    most: NonNegative | None = None  # [pool currency; numeraire where the pool counts in the unit's own coin]
    tail_dampener: NonNegative = (
        0.0  # [pool currency; numeraire where the pool counts in the unit's own coin]
    )


class _Charge(Form, frozen=True, kw_only=True, tag_field="charge"):
    code: str
    role: Role = Role.ADDS
    initial: bool = True  # whether it is part of the level
    maintenance: bool = True


@final
class ForwardCharge(_Charge, frozen=True, kw_only=True, tag="forward"):
    """Basis risk: the worst of two forward moves of every expiry, times ``add + multiple years``."""

    up: Move
    down: Annotated[float, Meta(ge=-1)]
    add: NonNegative
    multiple: NonNegative = 0.0


class Held(StrEnum):
    """What a notional charge is of."""

    PERPETUALS = "perpetuals"
    FUTURES = "futures"  # dated futures and perpetuals
    NAKED_OPTIONS = "naked-options"  # net short per strike, calls and puts together
    OPTIONS = "options"  # gross
    COLLATERAL = "collateral"
    DELTA_ONE = "delta-one"  # perpetuals, futures and collateral together


@final
class NotionalCharge(_Charge, frozen=True, kw_only=True, tag="notional"):
    """A share of gross notional at the index."""

    of: Held
    rate: NonNegative


@final
class ConfidenceCharge(_Charge, frozen=True, kw_only=True, tag="confidence"):
    """A charge on what is priced by feeds of low confidence: ``(1 - confidence) rate`` of its notional."""

    of: Held
    below: Fraction
    rate: NonNegative


@final
class RollCharge(_Charge, frozen=True, kw_only=True, tag="roll"):
    """Net delta of every expiry and settlement asset times ``max(least, e^(rate years) - 1)``; they do not net."""

    least: NonNegative
    rate: NonNegative = 0.0


@final
class LiquidityCharge(_Charge, frozen=True, kw_only=True, tag="delta-liquidity"):
    """Cost of a large net delta: ``min(max(|D| price - free, 0) |D| increment, most |D| price)``."""

    free: NonNegative  # [pool currency; numeraire where the pool counts in the unit's own coin]
    increment: NonNegative  # [per coin]
    most: Fraction = 1.0


@final
class HedgedDeltaCharge(_Charge, frozen=True, kw_only=True, tag="hedged-delta"):
    """A share of net delta, and one of the delta that is hedged: ``(gross - |net|) / 2``."""

    net: NonNegative
    hedged: NonNegative = 0.0


@final
class OffsetCharge(_Charge, frozen=True, kw_only=True, tag="offset-futures"):
    """A share of the futures that offset each other: the smaller of long and short coin size."""

    rate: NonNegative


@final
class AmountCharge(_Charge, frozen=True, kw_only=True, tag="amount"):
    """A fixed amount of every unit that has a position."""

    amount: NonNegative  # [pool currency]


Charge: TypeAlias = (
    ForwardCharge
    | AmountCharge
    | NotionalCharge
    | ConfidenceCharge
    | RollCharge
    | LiquidityCharge
    | HedgedDeltaCharge
    | OffsetCharge
)


@final
class Depeg(Form, frozen=True):
    """What a fall of the settlement asset adds to the initial factor: ``max(0, below - price) factor``."""

    code: str
    below: Positive
    factor: NonNegative


@final
class LevelFactors(Form, frozen=True):
    """What multiplies a unit's risk at each level."""

    code: str
    initial: NonNegative = 1.0
    maintenance: NonNegative = 1.0
    depeg: Depeg | None = None


@final
class CollateralMember(Form, frozen=True):
    """Collateral that stands in the scenarios, or is only cut."""

    asset: str
    code: str
    moves_with: str | None = None  # underlying whose moves it follows; None: none
    initial_haircut: Fraction = 0.0  # besides the maintenance haircut
    maintenance_haircut: Fraction = 0.0


@final
class CorrelationPair(Form, frozen=True):
    """Correlation of two underlyings."""

    first: str
    second: str
    correlation: Annotated[float, Meta(ge=-1, le=1)]


@final
class CorrelationOffset(Form, frozen=True):
    """Units meet by correlation: ``sqrt(sum rho_ij s_i s_j R_i R_j)``, s the side that hurts."""

    code: str
    pairs: Annotated[tuple[CorrelationPair, ...], Meta(min_length=1)]
    benefit_most: Fraction = 0.8  # diversification never saves more than this share of the sum


@final
class UnitTerms(Form, frozen=True):
    """What holds for a unit of some underlyings."""

    code: str
    cells: Cells
    vol: VolShock | None = None  # None: not published, so that options are unknown
    bases: tuple[str, ...] = ()  # underlyings that these terms are for; empty: all that no other terms name
    skew: SkewShock | None = None
    static_discount: StaticDiscount | None = None
    gains: Gains | None = None
    charges: tuple[Charge, ...] = ()


@final
class Eligibility(Form, frozen=True):
    """Who may choose the model; everybody else has the venue's standard margin."""

    code: str
    least_equity: NonNegative  # [numeraire] of the whole account


@final
class ScenarioModel(Form, frozen=True, tag_field="model", tag="scenarios"):
    """Portfolio margin from scenarios."""

    code: str
    terms: Annotated[tuple[UnitTerms, ...], Meta(min_length=1)]
    levels: LevelFactors
    unit: UnitOf = UnitOf.UNDERLYING
    vol_source: VolSource = VolSource.MARK
    discounting: bool = False  # options are worth their forward value at the expiry's rate
    settlement_window_seconds: Positive | None = None  # in which the forward becomes an average
    collateral: tuple[CollateralMember, ...] = ()
    collateral_moves: bool = False  # balances in an underlying are revalued in its scenarios
    correlation: CorrelationOffset | None = None
    eligibility: Eligibility | None = None
    worst_digits: Annotated[int, Meta(ge=0, le=15)] | None = None  # decimals of the worst case


def terms_of(model: ScenarioModel, base: str) -> UnitTerms | None:
    """Terms of an underlying: those that name it, else those that name none; None where there are neither."""
    named = (t for t in model.terms if base in t.bases)
    return next(named, next((t for t in model.terms if not t.bases), None))


def moves_vol(cells: Cells) -> bool:
    """Whether any cell moves vol up or down."""
    moved = {c.vol for c in cells.listed}
    moved |= set(cells.even.vols) if cells.even is not None else set()
    moved |= {cells.tail.vol} if cells.tail is not None else set()
    return bool(moved & {VolMove.UP, VolMove.DOWN})
