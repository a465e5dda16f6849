"""The section of a rulebook for weighted cross collateral: weights by level and size, gains, open orders, slow prices.

`margin.health` has the formulas. What a pool has is counted in full in its equity; what a weight takes from it, or adds
to a debt, is its requirement, so that equity less requirement is the protocols' health (free collateral).
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias, final

from msgspec import Meta

from margrave.core.errors import Issue, Reason
from margrave.rulebook.form import Form, Fraction

Factor: TypeAlias = Annotated[float, Meta(ge=0)]
Positive: TypeAlias = Annotated[float, Meta(gt=0)]


@final
class Weights(Form, frozen=True):
    """What one unit of value counts as an asset, and as a debt."""

    asset: Fraction
    liability: Annotated[float, Meta(ge=1)]


@final
class TokenRule(Form, frozen=True):
    """How a token counts as collateral and as debt."""

    code: str
    asset: Annotated[str, Meta(min_length=1)]
    initial: Weights
    maintenance: Weights
    size_factor: Factor = 0.0  # [1 per root of a token] discount of assets, premium of debts
    deposits_from: Positive | None = (
        None  # [pool currency] all deposits from which the initial asset weight shrinks
    )
    borrows_from: Positive | None = (
        None  # [pool currency] all borrows from which the initial liability weight grows
    )


@final
class Sides(Form, frozen=True):
    """Margin rates of a long and of a short, on the notional."""

    long: Fraction
    short: Factor


@final
class Gains(Form, frozen=True):
    """Share of a gain that counts; losses count in full."""

    code: str
    initial: Fraction
    maintenance: Fraction
    size_factor: Factor = 0.0  # [1 per root of a unit of the settlement asset] discount of initial
    cap: Positive | None = None  # [pool currency] most that a gain counts for initial


@final
class PerpetualRule(Form, frozen=True):
    """Margin of the perpetuals on one base."""

    code: str
    base: Annotated[str, Meta(min_length=1)]
    initial: Sides  # a leverage that the holder chose raises it to its reciprocal
    maintenance: Sides
    gains: Gains
    size_factor: Factor = 0.0  # [1 per root of a unit of base]


class Settling(StrEnum):
    """Where the profit of a perpetual goes."""

    BESIDE = "beside"  # gains are weighed before margin, and stand beside the settlement token
    INTO_BALANCE = "into-balance"  # what margin leaves is weighed and joins the token before its own weight


class SpotOrders(StrEnum):
    """What open spot orders cost."""

    WORSE_SIDE = "worse-side"  # the worse of all bids filled and all asks filled, at the oracle price
    RESERVED = "reserved"  # what orders hold back, as the worse of all base and all quote


@final
class OrderTerms(Form, frozen=True):
    """What open orders cost, at every level."""

    code: str
    spot: SpotOrders
    fee: Factor = 0.0  # [pool currency] of each open order


@final
class SlowPrices(Form, frozen=True):
    """New risk is taken at the worse of oracle and slow price, where the market has one."""

    code: str
    perpetuals: bool = False  # perpetuals have slow prices too, not only tokens
    scaling: bool = False  # venue-wide totals are valued at the higher of the two


@final
class LiquidationEnd(Form, frozen=True):
    """Level at which a liquidation that has begun ends: weights of a level at the oracle price, and a buffer."""

    code: str
    weights: Literal["initial", "maintenance"]
    buffer: Fraction = 0.0  # share of debts, position values and losses on top


@final
class HealthModel(Form, frozen=True, tag_field="model", tag="health"):
    """Weighted cross collateral of a whole account."""

    code: str
    tokens: Annotated[tuple[TokenRule, ...], Meta(min_length=1)]
    orders: OrderTerms
    settling: Settling
    perpetuals: tuple[PerpetualRule, ...] = ()
    slow: SlowPrices | None = None
    liquidation_end: LiquidationEnd | None = None


def health_contradictions(model: HealthModel, place: str) -> Iterator[Issue]:
    """What a model says against itself: names told twice, and a maintenance that asks more than initial."""
    for what, names in (
        ("tokens", [t.asset for t in model.tokens]),
        ("perpetuals", [p.base for p in model.perpetuals]),
    ):
        for name in dict.fromkeys(n for n in names if names.count(n) > 1):
            yield Issue(f"{place}.{what}", Reason.DUPLICATE, f"{name} stands twice; keep one")
    after = "maintenance asks more than initial; a call must come before liquidation"
    for token in model.tokens:
        first, last = token.initial, token.maintenance
        if last.asset < first.asset or last.liability > first.liability:
            yield Issue(f"{place}.tokens.{token.asset}", Reason.CONTRADICTION, after)
    for perpetual in model.perpetuals:
        one, two, gains = perpetual.initial, perpetual.maintenance, perpetual.gains
        if two.long > one.long or two.short > one.short or gains.maintenance < gains.initial:
            yield Issue(f"{place}.perpetuals.{perpetual.base}", Reason.CONTRADICTION, after)
