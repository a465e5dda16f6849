"""The form of a rulebook. What is not named is refused, and so is what contradicts itself.

A rulebook never changes in place: a new ``valid_from`` is a new file. Everything that a venue does not
publish stands in ``gaps`` and is an error when it is needed, never a guess.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, TypeAlias, final

from msgspec import Meta, field

from margrave.core.rounding import Direction
from margrave.core.words import MarginMode
from margrave.rulebook.bands import Band
from margrave.rulebook.clearing import RangesModel, ScanModel
from margrave.rulebook.form import Form, Fraction
from margrave.rulebook.health import HealthModel
from margrave.rulebook.ladders import Ladder
from margrave.rulebook.portfolio import ScenarioModel
from margrave.rulebook.schedules import Schedule
from margrave.rulebook.standard_manager import StandardManager
from margrave.rulebook.tail import TailModel

SCHEMA_VERSION = 1


class Basis(StrEnum):
    """Price on which a notional is taken."""

    MARK = "mark"
    ENTRY = "entry"
    INDEX = "index"
    WORST = "worst"  # the larger notional of mark and entry


class RateRule(StrEnum):
    """Where the initial rate comes from."""

    TIER = "tier"
    LEVERAGE = "leverage"  # 1 / leverage chosen by the holder, at least the tier's rate
    LEVERAGE_ONLY = "leverage-only"  # 1 / leverage, whatever the tier says


class OptionUnderlying(StrEnum):
    """Price that the fractions of an option formula are of, and that moneyness is measured from."""

    INDEX = "index"
    FORWARD = "forward"


class FeeBasis(StrEnum):
    """What a closing fee inside the margin is taken on."""

    NOTIONAL = "notional"
    BANKRUPTCY = "bankruptcy"  # value at the bankruptcy price of the chosen leverage


class Netting(StrEnum):
    """How opposite positions of one instrument or underlying meet in the requirement."""

    NONE = "none"  # every position is charged
    LARGER_LEG = "larger-leg"  # the larger side of one instrument is charged
    LARGER_SIDE = "larger-side"  # the larger side of one underlying is charged


class CrossPool(StrEnum):
    """What a cross pool spans."""

    SETTLEMENT = "settlement"  # one pool an account and settlement asset
    ACCOUNT = "account"  # one pool an account, other assets counted after a haircut


class CreditScope(StrEnum):
    """Where profit and loss are netted before profit is credited."""

    POSITION = "position"
    ASSET = "asset"


class OrderBasis(StrEnum):
    """Price on which the notional of an open order is taken."""

    ORDER = "order"
    MARK = "mark"
    WORST = "worst"  # the larger notional of the two


class OrderRule(StrEnum):
    """What open orders add to the initial margin."""

    NONE = "none"
    WORST_FILL = "worst-fill"  # the larger of all buys filled and all sells filled
    SUM = "sum"  # every order is charged by itself


class Strategy(StrEnum):
    """Option positions that are recognised together."""

    VERTICAL = "vertical"
    STRANGLE = "strangle"
    COVERED_CALL = "covered-call"
    CASH_SECURED_PUT = "cash-secured-put"


@final
class Source(Form, frozen=True):
    """Where a rule was read."""

    id: str
    url: str
    retrieved: date | None = None
    note: str = ""


@final
class Gap(Form, frozen=True):
    """Something that the venue does not publish and that this rulebook therefore does not answer."""

    code: str
    what: str


@final
class ClosingFee(Form, frozen=True):
    """A fee for closing that the venue counts inside its margin."""

    code: str
    rate: Fraction | None = None  # [fraction]; None: the instrument's taker fee
    basis: FeeBasis = FeeBasis.NOTIONAL
    initial: bool = True
    maintenance: bool = True


@final
class LevelRule(Form, frozen=True):
    """How one level of a ladder is charged."""

    code: str
    basis: Basis = Basis.MARK
    rate: RateRule = RateRule.TIER


@final
class RoundingRule(Form, frozen=True):
    """A grid and a direction."""

    step: Annotated[float, Meta(gt=0)]
    direction: Direction


@final
class OpenInterestRule(Form, frozen=True):
    """The initial rate grows with what is open in the whole market; maintenance never does.

    Up to ``lower`` the rate is the ladder's, from ``upper`` it is one, in a straight line between: a crowded market
    blocks new risk and liquidates nobody.
    """

    code: str
    lower: Annotated[float, Meta(ge=0)]  # [payoff asset] open interest at the mark
    upper: Annotated[float, Meta(gt=0)]  # [payoff asset], at least `lower`
    rounding: RoundingRule | None = None  # grid of the rate between the two


@final
class LadderModel(Form, frozen=True, tag_field="model", tag="ladder"):
    """Margin by size from a ladder."""

    ladder: str
    initial: LevelRule
    maintenance: LevelRule
    closing_fee: ClosingFee | None = None
    schedule: str | None = None
    open_interest: OpenInterestRule | None = None


@final
class ShortTerms(Form, frozen=True):
    """Constants of one level of the standard short option formula; `kernels.option_margin` has the formula."""

    code: str
    base: Annotated[float, Meta(ge=0)]  # [fraction of one coin] before the out-of-the-money credit
    floor: Annotated[float, Meta(ge=0)]  # [fraction of one coin] after it; equal to base: no credit
    mark_fraction: Annotated[float, Meta(ge=0)] = 0.0  # [fraction of mark] least risk part
    factor: Annotated[float, Meta(gt=0)] = 1.0  # multiplies the risk part, not the mark
    fee: Annotated[float, Meta(ge=0)] = 0.0  # [fraction of one coin] closing or liquidation fee
    covers_maintenance: bool = False  # initial is at least maintenance
    mark_at_least_entry: bool = False  # the mark part is the larger of entry and mark


@final
class OptionModel(Form, frozen=True, tag_field="model", tag="standard-option"):
    """The standard option formula: shorts by formula, longs by premium only."""

    initial_call: ShortTerms
    initial_put: ShortTerms
    maintenance_call: ShortTerms
    maintenance_put: ShortTerms
    underlying: OptionUnderlying = OptionUnderlying.INDEX
    strategies: tuple[Strategy, ...] = ()
    strategy_code: str = ""
    strategy_fall: Fraction = 0.66  # deepest settlement that a recognised coin put spread must survive
    schedule: str | None = None
    order_fee: Annotated[float, Meta(ge=0)] = (
        0.0  # [fraction of one coin] taker fee in the margin of a sell order
    )
    order_premium_credit: bool = True  # the premium of a sell order pays the mark part of its margin


@final
class PortfolioMember(Form, frozen=True, tag_field="model", tag="portfolio"):
    """Margined together with the rest of the pool by the rulebook's portfolio model."""

    schedule: None = None  # directional schedules act on rates, and a portfolio model has none


Model: TypeAlias = LadderModel | OptionModel | PortfolioMember
Portfolio: TypeAlias = ScenarioModel | StandardManager | ScanModel | RangesModel | TailModel | HealthModel
"""Models that margin the members of a pool together."""


@final
class Match(Form, frozen=True):
    """Instruments that a product means. An empty list matches all."""

    kinds: tuple[str, ...] = ()  # perpetual, future, option
    payoffs: tuple[str, ...] = ()  # linear, inverse, quanto, coin-premium, quote-premium
    bases: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()
    settlements: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()


@final
class Product(Form, frozen=True):
    """Instruments and the model that margins them. The first product that matches an instrument is its product."""

    name: str
    match: Match
    model: Model


@final
class FeeRule(Form, frozen=True):
    """What a trade costs; the first rule that matches an instrument holds."""

    code: str
    match: Match
    maker: Annotated[
        float, Meta(ge=-1, le=1)
    ]  # [fraction of notional; of one coin for an option] a rebate < 0
    taker: Annotated[float, Meta(ge=-1, le=1)]
    premium_cap: Fraction | None = None  # largest share of an option's premium; None: no cap


@final
class Discount(Form, frozen=True):
    """Share of an amount that counts as collateral, by slices of the amount."""

    floor: Annotated[float, Meta(ge=0)]  # [asset, or numeraire where `in_numeraire`]
    rate: Fraction  # share that counts, 1 - haircut


@final
class DebtRule(Form, frozen=True):
    """Margin of what is owed in an asset, on its value."""

    code: str
    initial: Fraction
    maintenance: Fraction


@final
class CollateralRule(Form, frozen=True):
    """How one asset counts in a pool of several."""

    asset: str
    discounts: Annotated[tuple[Discount, ...], Meta(min_length=1)]
    code: str = ""
    in_numeraire: bool = False  # slices are counted in the numeraire instead of the asset
    debt: DebtRule | None = None  # margin of a balance below zero, beside its counting in full


@final
class AccountRules(Form, frozen=True):
    """What the venue does with an account as a whole."""

    cross_pool: CrossPool
    code: str
    currency: str | None = None  # in which a pool of several assets counts; None: the market's numeraire
    modes: tuple[MarginMode, ...] = (MarginMode.CROSS, MarginMode.ISOLATED)
    hedge_mode: bool = True
    netting: Netting = Netting.NONE
    matched_charge: Fraction = (
        0.0  # share of the smaller side that is charged all the same: a calendar spread's floor
    )
    profit_credit: Fraction = 1.0  # share of unrealised profit that counts; losses count in full
    profit_scope: CreditScope = CreditScope.ASSET
    option_value_credit: bool = False  # option value is part of the equity that margin is compared with
    orders: OrderRule = OrderRule.WORST_FILL
    order_basis: OrderBasis = OrderBasis.ORDER
    open_loss: bool = True  # an order priced worse than the mark must cover the difference at once
    haircut_unlisted: Fraction | None = None  # assets without a collateral rule; None: they do not count
    collateral: tuple[CollateralRule, ...] = ()
    ratio_name: str = "margin ratio"  # the venue's word
    ratio_is_equity_over_margin: bool = False  # the venue divides the other way round
    bands: tuple[Band, ...] = ()  # what the venue does by margin balance over maintenance, from the best


@final
class Roundings(Form, frozen=True):
    """Where the venue rounds. Absent: nowhere."""

    margin: RoundingRule | None = None  # every position's requirement
    profit: RoundingRule | None = None  # every position's unrealised profit, as shown
    size: RoundingRule | None = None  # sizes and notionals, as shown
    price_to_earlier: bool = False  # liquidation prices move onto the tick toward earlier liquidation
    price_step: Annotated[float, Meta(gt=0)] | None = None  # grid where the instrument has no tick
    price_direction: Direction | None = None  # another direction than toward earlier liquidation


@final
class Rulebook(Form, frozen=True):
    """A venue's rules from one instant on."""

    schema: int
    id: str  # venue.model
    venue: str
    title: str
    valid_from: datetime
    account: AccountRules
    products: Annotated[tuple[Product, ...], Meta(min_length=1)]
    sources: Annotated[tuple[Source, ...], Meta(min_length=1)]
    ladders: dict[str, Ladder] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    portfolio: Portfolio | None = None
    rounding: Roundings = Roundings()
    fees: tuple[FeeRule, ...] = ()  # of trades, where events of a live book do not tell them
    gaps: tuple[Gap, ...] = ()
    valid_until: datetime | None = None
    stale_after: date | None = None  # after this day the rulebook may have been overtaken
    mark_age_max_seconds: Annotated[float, Meta(gt=0)] | None = None  # older marks do not value a position
    days_in_year: Annotated[float, Meta(gt=0)] = 365.0
    corrects: str | None = None  # the file that this one corrects
    words: dict[str, str] = field(default_factory=dict)  # our word -> the venue's
