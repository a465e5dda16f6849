"""Parameters of the two portfolio models of clearing houses: the sixteen-scenario scan, and ranges of points.

Money in these tables is in the pool's currency unless a field says otherwise. Definitions: clearing 1.1 (scan)
and 1.3 (ranges).
"""

from collections.abc import Iterator
from enum import StrEnum
from itertools import pairwise
from math import isfinite
from typing import Annotated, TypeAlias, final

from msgspec import Meta, field, to_builtins

from margrave.core.errors import Issue, Reason
from margrave.rulebook.form import Form, Fraction

Positive: TypeAlias = Annotated[float, Meta(gt=0)]
NonNegative: TypeAlias = Annotated[float, Meta(ge=0)]
ScanLosses: TypeAlias = Annotated[tuple[float, ...], Meta(min_length=16, max_length=16)]


class PriceRisk(StrEnum):
    """Worth of one delta for the credit between commodities."""

    NORMAL = "normal"  # price risk over net delta
    SCANRANGE = "scanrange"  # the price scan range
    SCANRANGE_CAP = "scanrange-cap"  # price risk over net delta, at most the price scan range


class ShortCount(StrEnum):
    """Which short options the minimum is counted on."""

    GROSS = "gross"  # all of them
    LARGER = "larger"  # the larger of calls and puts


class DeltaRun(StrEnum):
    """What calendar spreads are formed between."""

    EXPIRY = "expiry"  # each expiry keeps its delta
    TIER = "tier"  # the expiries of a tier are netted first


@final
class Share(Form, frozen=True, tag_field="of", tag="share"):
    """A size relative to a price, a vol or a worth."""

    value: float


@final
class Amount(Form, frozen=True, tag_field="of", tag="amount"):
    """A size in the unit of what it is a size of."""

    value: float


Size: TypeAlias = Share | Amount


@final
class Extreme(Form, frozen=True):
    """The two moves beyond the scan range, of which only a part of the loss counts."""

    multiple: Positive  # [price scan ranges]
    fraction: Fraction  # share of the loss that counts


@final
class RiskArray(Form, frozen=True):
    """Losses of one long contract as a parameter file gives them."""

    losses: ScanLosses  # [asset that the contract pays in], loss > 0
    delta: float  # [base per contract] composite delta


@final
class ExpiryTier(Form, frozen=True):
    """A run of consecutive expiries. The first tier that reaches an expiry holds it."""

    name: str
    days_max: NonNegative | None = None  # days to expiry up to which it reaches; None: all
    perpetuals: bool = False  # contracts without expiry stand here


@final
class CalendarSpread(Form, frozen=True):
    """A charge for what two tiers of one commodity hold against each other."""

    code: str
    tiers: tuple[str, str]  # the same twice: between expiries of one tier
    rate: Size  # per spread; a share is of the worth of one delta
    ratios: tuple[Positive, Positive] = (1.0, 1.0)  # deltas a spread


@final
class DeliveryCharge(Form, frozen=True):
    """A charge for delta in the tier that is about to be delivered."""

    code: str
    tier: str
    spread: Size  # per delta that calendar spreads consumed
    outright: Size  # per delta that is left


@final
class ShortOptionMinimum(Form, frozen=True):
    """Least risk of a commodity for its short options."""

    code: str
    rate: Size  # per short contract; a share is of the worth of its underlying
    count: ShortCount = ShortCount.GROSS


@final
class Commodity(Form, frozen=True):
    """A combined commodity: everything on one underlying. An empty list matches all."""

    name: str
    code: str
    bases: tuple[str, ...] = ()
    settlements: tuple[str, ...] = ()
    price_range: Size | None = None  # [quote per base]; None: arrays are given
    vol_range: Size | None = None  # [per year, as a fraction]
    drift: Size = Amount(value=0.0)  # change of a price over the look-ahead by itself: carry
    tiers: tuple[ExpiryTier, ...] = ()
    spreads: tuple[CalendarSpread, ...] = ()  # in order of priority
    spread_between: DeltaRun = DeltaRun.EXPIRY
    delivery: DeliveryCharge | None = None
    short_option_minimum: ShortOptionMinimum | None = None
    price_risk: PriceRisk = PriceRisk.SCANRANGE_CAP


@final
class SpreadLeg(Form, frozen=True):
    """One commodity in a spread between commodities."""

    commodity: str
    ratio: Positive
    opposite: bool = False  # its delta has the other sign than the legs that are not


@final
class CommoditySpread(Form, frozen=True):
    """A credit for what commodities hold against each other."""

    code: str
    legs: Annotated[tuple[SpreadLeg, ...], Meta(min_length=2)]
    rate: Fraction  # share of each leg's price risk


@final
class ScanModel(Form, frozen=True, tag_field="model", tag="scan"):
    """Sixteen scenarios of price and vol for each combined commodity, then charges and credits in a stated order."""

    code: str
    commodities: Annotated[
        tuple[Commodity, ...], Meta(min_length=1)
    ]  # the first that matches holds a position
    extreme: Extreme
    look_ahead_years: NonNegative = 1.0 / 365.0
    arrays: dict[str, RiskArray] = field(default_factory=dict)  # symbol -> array; the rest is computed
    spreads: tuple[CommoditySpread, ...] = ()  # in order of priority
    premium_style: bool = True  # options are paid for at once: their net value is credited
    initial_over_maintenance: Annotated[float, Meta(ge=1)] = 1.0


@final
class OptionMinimum(Form, frozen=True):
    """Least requirement for every option held, for a long one not above its value."""

    code: str
    rate: Size  # per unit of base, in the asset it pays in; a share is of its underlying's worth


@final
class UnderlyingClass(Form, frozen=True):
    """Everything on one underlying, valued over one range. An empty list matches all."""

    name: str
    code: str
    down: Annotated[float, Meta(gt=0, lt=1)]  # [fraction of price] size of the lowest point
    up: Positive  # size of the highest
    bases: tuple[str, ...] = ()
    settlements: tuple[str, ...] = ()
    group: str = ""  # product group; empty: by itself


@final
class ProductGroup(Form, frozen=True):
    """Classes whose gains offset one another's losses at the same point."""

    name: str
    code: str
    offset: Fraction  # share of a class's gain that counts


@final
class RangesModel(Form, frozen=True, tag_field="model", tag="ranges"):
    """Greatest loss over equidistant price points, with offsets inside a product group."""

    code: str
    classes: Annotated[
        tuple[UnderlyingClass, ...], Meta(min_length=1)
    ]  # the first that matches holds a position
    groups: tuple[ProductGroup, ...] = ()
    points_each_side: Annotated[int, Meta(ge=1, le=50)] = 5
    minimum: OptionMinimum | None = None
    initial_over_maintenance: Annotated[float, Meta(ge=1)] = 1.0


ClearingModel: TypeAlias = ScanModel | RangesModel
"""Portfolio models of clearing houses."""


def contradictions(model: ClearingModel, where: str) -> Iterator[Issue]:
    """What a portfolio model says against itself, each fault with its place."""
    yield from _numbers(where, to_builtins(model))
    if isinstance(model, ScanModel):
        yield from _scan(model, where)
    else:
        yield from _ranges(model, where)


def _numbers(path: str, node: object) -> Iterator[Issue]:
    """Numbers that no rule can have: not finite, or a size below zero of what is not a drift."""
    if isinstance(node, dict):
        if "of" in node and node["value"] < 0 and not path.endswith(".drift"):
            yield Issue(path, Reason.INVALID_VALUE, f"{node['value']:g} is below zero; give its size")
        for key, value in node.items():
            yield from _numbers(f"{path}.{key}", value)
    elif isinstance(node, list | tuple):
        for k, value in enumerate(node):
            yield from _numbers(f"{path}[{k}]", value)
    elif isinstance(node, float) and not isfinite(node):
        yield Issue(path, Reason.INVALID_VALUE, f"is {node}; write a finite number")


def _scan(model: ScanModel, where: str) -> Iterator[Issue]:
    yield from _twice([c.name for c in model.commodities], f"{where}.commodities")
    for k, commodity in enumerate(model.commodities):
        place = f"{where}.commodities[{k}] ({commodity.name})"
        yield from _sizes(model, commodity, place)
        yield from _tiers(commodity, place)
    names = {commodity.name for commodity in model.commodities}
    for k, spread in enumerate(model.spreads):
        place = f"{where}.spreads[{k}].legs"
        yield from _known([leg.commodity for leg in spread.legs], names, "commodity", place)
        yield from _twice([leg.commodity for leg in spread.legs], place)
        if len({leg.opposite for leg in spread.legs}) == 1:
            message = "are all on one side; a credit needs one leg whose delta is opposite"
            yield Issue(place, Reason.CONTRADICTION, message)


def _sizes(model: ScanModel, commodity: Commodity, place: str) -> Iterator[Issue]:
    price_range = commodity.price_range
    if price_range is None and commodity.price_risk is not PriceRisk.NORMAL:
        message = f"needs price_range, which is not stated; state it or write {PriceRisk.NORMAL.value!r}"
        yield Issue(f"{place}.price_risk", Reason.CONTRADICTION, message)
    deepest = max(1.0, model.extreme.multiple)
    if isinstance(price_range, Share) and price_range.value * deepest >= 1:
        message = f"{price_range.value:g} times {deepest:g} takes the price below zero; lower it or the extreme multiple"
        yield Issue(f"{place}.price_range", Reason.CONTRADICTION, message)


def _tiers(commodity: Commodity, place: str) -> Iterator[Issue]:
    names = {tier.name for tier in commodity.tiers}
    yield from _twice([tier.name for tier in commodity.tiers], f"{place}.tiers")
    reach = [float("inf") if t.days_max is None else t.days_max for t in commodity.tiers if not t.perpetuals]
    if any(later <= earlier for earlier, later in pairwise(reach)):
        yield Issue(f"{place}.tiers", Reason.NOT_MONOTONE, f"reach {reach} days; order them by expiry")
    for k, spread in enumerate(commodity.spreads):
        yield from _known(list(spread.tiers), names, "tier", f"{place}.spreads[{k}].tiers")
    if commodity.delivery is not None:
        yield from _known([commodity.delivery.tier], names, "tier", f"{place}.delivery.tier")


def _ranges(model: RangesModel, where: str) -> Iterator[Issue]:
    yield from _twice([c.name for c in model.classes], f"{where}.classes")
    yield from _twice([g.name for g in model.groups], f"{where}.groups")
    groups = {group.name for group in model.groups}
    used = [c.group for c in model.classes if c.group]
    yield from _known(used, groups, "product group", f"{where}.classes")


def _known(used: list[str], names: set[str], what: str, place: str) -> Iterator[Issue]:
    for name in dict.fromkeys(used):
        if name not in names:
            yield Issue(place, Reason.NOT_FOUND, f"no {what} is called {name!r}; there are {sorted(names)}")


def _twice(names: list[str], place: str) -> Iterator[Issue]:
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield Issue(place, Reason.DUPLICATE, f"{name!r} stands twice; rename or drop one")
