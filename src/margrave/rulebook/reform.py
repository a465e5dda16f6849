"""A what-if on rules: a function from rulebook to rulebook, never an edit of the base."""

from datetime import UTC, datetime
from typing import Final, assert_never

from msgspec import structs

from margrave.rulebook.clearing import Commodity, RangesModel, RiskArray, ScanModel, Share
from margrave.rulebook.health import HealthModel, PerpetualRule, Sides
from margrave.rulebook.ladders import (
    BaseSlope,
    Ladder,
    Progressive,
    RiskLimit,
    SizePremium,
    Tier,
    WholePosition,
)
from margrave.rulebook.load import checked
from margrave.rulebook.portfolio import ScenarioModel
from margrave.rulebook.schedules import Schedule
from margrave.rulebook.schema import (
    AccountRules,
    Match,
    Model,
    OptionModel,
    Portfolio,
    Product,
    Rulebook,
    ShortTerms,
    Source,
)
from margrave.rulebook.standard_manager import StandardManager, StandardMarket
from margrave.rulebook.tail import TailModel

_FALL_MAX: Final = 0.99  # largest fall of a range: at one nothing has a worth


def with_schedule(rulebook: Rulebook, schedule: Schedule | None) -> Rulebook:
    """The same rules with a directional schedule on every product, or with none.

    Contracts and schedule are independent switches (spec finding 1): the payoff of every instrument stays.
    """
    name = None if schedule is None else schedule.name

    def switched(model: Model) -> Model:
        return structs.replace(model, schedule=name)

    products = tuple(structs.replace(p, model=switched(p.model)) for p in rulebook.products)
    schedules = rulebook.schedules if schedule is None else {**rulebook.schedules, schedule.name: schedule}
    return checked(structs.replace(rulebook, products=products, schedules=schedules))


def with_account_rules(rulebook: Rulebook, rules: AccountRules) -> Rulebook:
    """The same products under other account rules."""
    return checked(structs.replace(rulebook, account=rules))


def with_rates(rulebook: Rulebook, multiplier: float) -> Rulebook:
    """The same rules at rates times a multiplier, as a venue sets them anew when vol or liquidity change (spec DM).

    Parameters
    ----------
    rulebook : Rulebook
        The base; it stays.
    multiplier : float
        Above zero. Of both levels: rates of ladders, up to one; the risk part of short options, not their mark; what a
        scenario or tail model takes its worst case times; price ranges and arrays of clearing models; the shares of spot
        of Derive's standard manager. A rate that follows from chosen leverage stays.

    Raises
    ------
    InvalidInputError
        The moved rules contradict themselves.
    ValueError
        A multiplier that is not above zero and finite.
    """
    if not 0.0 < multiplier < float("inf"):
        raise ValueError(f"multiplier is {multiplier!r}; it must be finite and above zero")
    if multiplier == 1.0:
        return rulebook

    def terms(one: ShortTerms) -> ShortTerms:
        return structs.replace(one, factor=one.factor * multiplier)

    def model_at(model: Model) -> Model:
        if not isinstance(model, OptionModel):
            return model
        names = ("initial_call", "initial_put", "maintenance_call", "maintenance_put")
        return structs.replace(model, **{name: terms(getattr(model, name)) for name in names})

    products = tuple(structs.replace(p, model=model_at(p.model)) for p in rulebook.products)
    ladders = {name: _ladder_at(ladder, multiplier) for name, ladder in rulebook.ladders.items()}
    portfolio = _portfolio_at(rulebook.portfolio, multiplier)
    return checked(structs.replace(rulebook, products=products, ladders=ladders, portfolio=portfolio))


def with_maintenance(rulebook: Rulebook, share: float) -> Rulebook:
    """The same scenarios with maintenance as a share of initial, so that rules of two kinds can be asked the same at both levels.

    Parameters
    ----------
    rulebook : Rulebook
        The base, with a portfolio model of scenarios; it stays.
    share : float
        Above zero, at most one.

    Raises
    ------
    ValueError
        The rules have no scenarios, or the share is outside its range.
    """
    model = rulebook.portfolio
    if not isinstance(model, ScenarioModel):
        raise ValueError(f"rulebook must have a portfolio model of scenarios, {rulebook.id!r} has none")
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share is {share!r}; it must be above zero and at most one")
    levels = structs.replace(model.levels, maintenance=share * model.levels.initial)
    return checked(structs.replace(rulebook, portfolio=structs.replace(model, levels=levels)))


def _portfolio_at(model: Portfolio | None, multiplier: float) -> Portfolio | None:
    match model:
        case None:
            return None
        case TailModel():
            return structs.replace(model, multiplier=model.multiplier * multiplier)
        case ScenarioModel(levels=at):
            initial, maintenance = at.initial * multiplier, at.maintenance * multiplier
            return structs.replace(
                model, levels=structs.replace(at, initial=initial, maintenance=maintenance)
            )
        case RangesModel(classes=classes):
            wide = [
                structs.replace(c, up=c.up * multiplier, down=min(c.down * multiplier, _FALL_MAX))
                for c in classes
            ]
            return structs.replace(model, classes=tuple(wide))
        case ScanModel(commodities=commodities, arrays=arrays, extreme=extreme):
            deepest = max(extreme.multiple, 1.0)
            return structs.replace(
                model,
                commodities=tuple(_commodity_at(commodity, multiplier, deepest) for commodity in commodities),
                arrays={symbol: _array_at(array, multiplier) for symbol, array in arrays.items()},
            )
        case StandardManager(markets=markets):
            return structs.replace(model, markets=tuple(_market_at(market, multiplier) for market in markets))
        case HealthModel(perpetuals=perpetuals):
            return structs.replace(model, perpetuals=tuple(_weighted_at(p, multiplier) for p in perpetuals))
        case unknown:
            assert_never(unknown)


def _weighted_at(rule: PerpetualRule, multiplier: float) -> PerpetualRule:
    def sides(at: Sides) -> Sides:
        return Sides(long=min(at.long * multiplier, 1.0), short=at.short * multiplier)

    return structs.replace(rule, initial=sides(rule.initial), maintenance=sides(rule.maintenance))


def _commodity_at(commodity: Commodity, multiplier: float, deepest: float) -> Commodity:
    size = commodity.price_range
    if size is None:
        return commodity
    most = _FALL_MAX / deepest if isinstance(size, Share) else float("inf")
    moved = structs.replace(size, value=min(size.value * multiplier, most))
    return structs.replace(commodity, price_range=moved)


def _array_at(array: RiskArray, multiplier: float) -> RiskArray:
    return structs.replace(array, losses=tuple(loss * multiplier for loss in array.losses))


def _market_at(market: StandardMarket, multiplier: float) -> StandardMarket:
    names = {
        "perpetual": ("initial", "maintenance"),
        "options": ("spot_max", "spot_min", "maintenance_call", "maintenance_put"),
    }
    changed = {}
    for part, fields in names.items():
        rule = getattr(market, part)
        if rule is not None:
            moved = {name: getattr(rule, name) * multiplier for name in fields}
            changed[part] = structs.replace(rule, **moved)
    return structs.replace(market, **changed)


def _ladder_at(ladder: Ladder, multiplier: float) -> Ladder:
    match ladder:
        case Progressive(tiers=tiers, deductions=printed):
            moved = tuple(_tier_at(tier, multiplier) for tier in tiers)
            capped = tiers[-1].maintenance * multiplier > 1.0
            cut = None if printed is None or capped else tuple(amount * multiplier for amount in printed)
            return structs.replace(ladder, tiers=moved, deductions=cut)
        case WholePosition(tiers=tiers):
            return structs.replace(ladder, tiers=tuple(_tier_at(tier, multiplier) for tier in tiers))
        case BaseSlope():
            return structs.replace(ladder, slope=ladder.slope * multiplier, **_base_at(ladder, multiplier))
        case SizePremium():
            return structs.replace(ladder, factor=ladder.factor * multiplier, **_base_at(ladder, multiplier))
        case RiskLimit():
            increment = min(ladder.increment * multiplier, 1.0)
            return structs.replace(ladder, increment=increment, **_base_at(ladder, multiplier))
        case unknown:
            assert_never(unknown)


def _base_at(ladder: BaseSlope | RiskLimit | SizePremium, multiplier: float) -> dict[str, float]:
    return {name: min(getattr(ladder, name) * multiplier, 1.0) for name in ("initial", "maintenance")}


def _tier_at(tier: Tier, multiplier: float) -> Tier:
    initial = None if tier.initial is None else min(tier.initial * multiplier, 1.0)
    leverage = None if tier.max_leverage is None else max(tier.max_leverage / multiplier, 1.0)
    maintenance = min(tier.maintenance * multiplier, 1.0)
    return structs.replace(tier, initial=initial, max_leverage=leverage, maintenance=maintenance)


def stated(name: str, model: Model, account: AccountRules, **parts: object) -> Rulebook:
    """A rulebook of one product from rules that somebody states, such as a published worked example.

    Parameters
    ----------
    name : str
        Identifier and title.
    model, account : Model, AccountRules
        The rules.
    **parts
        Further fields of `Rulebook`, such as ``ladders`` and ``rounding``.

    Raises
    ------
    InvalidInputError
        The rules contradict themselves.
    """
    book = Rulebook(
        schema=1,
        id=name,
        venue=name.split(".", maxsplit=1)[0],
        title=f"rules as stated by {name}",
        valid_from=datetime(1970, 1, 1, tzinfo=UTC),
        account=account,
        products=(Product(name="all", match=Match(), model=model),),
        sources=(Source(id="stated", url="stated with the example"),),
        **parts,  # type: ignore[arg-type]
    )
    return checked(book)
