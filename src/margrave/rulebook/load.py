"""Reading a rulebook: form first, then meaning. All faults of meaning come back together."""

import tomllib
from collections.abc import Callable, Iterator
from itertools import pairwise

import msgspec

from margrave.core.errors import InvalidInputError, Issue, Reason, invalid
from margrave.rulebook.bands import band_faults
from margrave.rulebook.clearing import RangesModel, ScanModel, contradictions
from margrave.rulebook.health import HealthModel, health_contradictions
from margrave.rulebook.ladders import Progressive, Tier, WholePosition, initial_rate
from margrave.rulebook.portfolio import ScenarioModel
from margrave.rulebook.scenario_checks import scenario_contradictions
from margrave.rulebook.schedules import Interpolation, Knot, Schedule
from margrave.rulebook.schema import (
    SCHEMA_VERSION,
    CrossPool,
    LadderModel,
    OrderRule,
    PortfolioMember,
    RateRule,
    Rulebook,
)
from margrave.rulebook.tail import TailModel, tail_contradictions


def parse(text: str, where: str) -> Rulebook:
    """Read a rulebook from TOML, or say what is wrong with it and where.

    Parameters
    ----------
    text : str
        Content of the file.
    where : str
        Name of the file, for messages.

    Raises
    ------
    InvalidInputError
        Malformed TOML, a missing or unknown field, a value out of bounds (one at a time: the decoder stops at
        the first), or rules that contradict themselves (all of them).
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise invalid(where, Reason.MALFORMED, f"not valid TOML ({fault}); mend the line named") from fault
    try:
        rulebook = msgspec.convert(tree, type=Rulebook)
    except msgspec.ValidationError as fault:
        reason = Reason.UNKNOWN_FIELD if "unknown field" in str(fault) else Reason.INVALID_VALUE
        raise invalid(
            where, reason, f"{fault}; `margrave rules --fields` lists what a rulebook may say"
        ) from fault
    return checked(rulebook, where)


def checked(rulebook: Rulebook, where: str | None = None) -> Rulebook:
    """Return the rulebook if it does not contradict itself.

    Raises
    ------
    InvalidInputError
        With every contradiction found.
    """
    place = where or rulebook.id
    issues = [issue for check in _CHECKS for issue in check(rulebook, place)]
    if issues:
        raise InvalidInputError(issues)
    return rulebook


def _version(rulebook: Rulebook, where: str) -> Iterator[Issue]:
    if rulebook.schema != SCHEMA_VERSION:
        yield Issue(
            f"{where}: schema",
            Reason.INVALID_VALUE,
            f"is {rulebook.schema}; this Margrave reads {SCHEMA_VERSION}",
        )
    for name in ("valid_from", "valid_until"):
        at = getattr(rulebook, name)
        if at is not None and at.tzinfo is None:
            yield Issue(
                f"{where}: {name}", Reason.INVALID_VALUE, "has no time zone; write 2026-08-01T00:00:00Z"
            )
    ends = rulebook.valid_until
    if ends is not None and ends.tzinfo and rulebook.valid_from.tzinfo and ends <= rulebook.valid_from:
        yield Issue(
            f"{where}: valid_until", Reason.CONTRADICTION, "is not after valid_from; swap them or drop it"
        )


def _codes(rulebook: Rulebook, where: str) -> Iterator[Issue]:
    for path, code in _coded("", msgspec.to_builtins(rulebook)):
        if not code.strip():
            yield Issue(f"{where}: {path}", Reason.INVALID_VALUE, "is empty; every rule has a permanent code")


def _coded(path: str, node: object) -> Iterator[tuple[str, str]]:
    """Every ``code`` of a rule with its path. A collateral rule may go without."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "code":
                yield f"{path}.code".lstrip("."), value
            elif key != "collateral":
                yield from _coded(f"{path}.{key}".lstrip("."), value)
    elif isinstance(node, list | tuple):
        for k, value in enumerate(node):
            yield from _coded(f"{path}[{k}]", value)


def _tier_issues(tiers: tuple[Tier, ...], place: str) -> Iterator[Issue]:
    if tiers[0].floor != 0:
        yield Issue(
            f"{place}.tiers[0].floor", Reason.CONTRADICTION, "must be 0: the first tier starts at no size"
        )
    for k, tier in enumerate(tiers):
        at = f"{place}.tiers[{k}]"
        initial = initial_rate(tier)
        if initial and tier.maintenance > initial * (1 + 1e-9):
            yield Issue(
                at,
                Reason.CONTRADICTION,
                f"maintenance {tier.maintenance:g} is above initial {initial:g}; a call must come before liquidation",
            )
        if k and tier.floor <= tiers[k - 1].floor:
            yield Issue(
                f"{at}.floor",
                Reason.NOT_MONOTONE,
                f"{tier.floor:g} is not above the floor before it, {tiers[k - 1].floor:g}; order the tiers by size",
            )
        if k and tier.maintenance < tiers[k - 1].maintenance:
            yield Issue(
                f"{at}.maintenance",
                Reason.NOT_MONOTONE,
                f"{tier.maintenance:g} is below the tier before it, {tiers[k - 1].maintenance:g}; a larger size never has a lower rate",
            )
        if k and initial and initial < initial_rate(tiers[k - 1]):
            yield Issue(
                f"{at}.initial",
                Reason.NOT_MONOTONE,
                f"{initial:g} is below the tier before it; a larger size never has a lower rate",
            )


def _ladders(rulebook: Rulebook, where: str) -> Iterator[Issue]:
    for name, ladder in rulebook.ladders.items():
        place = f"{where}: ladders.{name}"
        last = ladder.tiers[-1].floor if isinstance(ladder, Progressive | WholePosition) else 0.0
        if ladder.size_max is not None and ladder.size_max <= last:
            yield Issue(
                f"{place}.size_max",
                Reason.CONTRADICTION,
                f"{ladder.size_max:g} is not above the last floor {last:g}; it ends the last tier",
            )
        match ladder:
            case Progressive(tiers=tiers, deductions=printed):
                yield from _tier_issues(tiers, place)
                if printed is not None and len(printed) != len(tiers):
                    yield Issue(
                        f"{place}.deductions",
                        Reason.CONTRADICTION,
                        f"has {len(printed)} amounts for {len(tiers)} tiers; give one each or none",
                    )
                elif printed is not None:
                    yield from _discontinuities(tiers, printed, place)
            case WholePosition(tiers=tiers):
                yield from _tier_issues(tiers, place)
            case _ if ladder.maintenance > ladder.initial:
                yield Issue(
                    f"{place}.maintenance",
                    Reason.CONTRADICTION,
                    "is above initial; a call must come before liquidation",
                )


def _discontinuities(tiers: tuple[Tier, ...], printed: tuple[float, ...], place: str) -> Iterator[Issue]:
    for k in range(1, len(tiers)):
        below, here = tiers[k - 1], tiers[k]
        gap = (printed[k] - printed[k - 1]) - here.floor * (here.maintenance - below.maintenance)
        if abs(gap) > 1e-6 * max(1.0, abs(printed[k])):
            yield Issue(
                f"{place}.deductions[{k}]",
                Reason.CONTRADICTION,
                f"{printed[k]:g} makes the margin jump by {-gap:g} at size {here.floor:g}; correct it, or leave deductions out to have them computed",
            )


def knot_issues(knots: tuple[Knot, ...], place: str) -> Iterator[Issue]:
    """What is wrong with a schedule's knots: order, direction, anchor (spec CAL-1, INV-1, INV-3)."""
    for k in range(1, len(knots)):
        if knots[k][0] <= knots[k - 1][0]:
            yield Issue(
                f"{place}[{k}]",
                Reason.NOT_MONOTONE,
                f"excursion {knots[k][0]:g} is not above the one before it; order the knots",
            )
        if knots[k][1] > knots[k - 1][1]:
            yield Issue(
                f"{place}[{k}]",
                Reason.NOT_MONOTONE,
                f"multiplier {knots[k][1]:g} rises with favourable movement; it may only fall",
            )
    if not any(x == 0 and g == 1 for x, g in knots):
        yield Issue(
            place, Reason.CONTRADICTION, "has no knot (0, 1); at the reference price the multiplier is one"
        )


def _schedule_issues(schedule: Schedule, place: str) -> Iterator[Issue]:
    yield from knot_issues(schedule.knots, f"{place}.knots")
    if schedule.initial_knots:
        yield from knot_issues(schedule.initial_knots, f"{place}.initial_knots")
    if schedule.floor > schedule.cap:
        yield Issue(
            f"{place}.floor", Reason.CONTRADICTION, f"{schedule.floor:g} is above the cap {schedule.cap:g}"
        )
    if schedule.interpolation is Interpolation.STEP and schedule.discipline.dead_band <= 0:
        yield Issue(
            f"{place}.discipline.dead_band",
            Reason.CONTRADICTION,
            "must be above zero in step mode (INV-2), or the tier flickers at its edge",
        )


def _schedules(rulebook: Rulebook, where: str) -> Iterator[Issue]:
    for name, schedule in rulebook.schedules.items():
        yield from _schedule_issues(schedule, f"{where}: schedules.{name}")


def _products(rulebook: Rulebook, where: str) -> Iterator[Issue]:
    for k, product in enumerate(rulebook.products):
        place = f"{where}: products[{k}] ({product.name})"
        model = product.model
        if model.schedule is not None and model.schedule not in rulebook.schedules:
            yield Issue(
                f"{place}.schedule",
                Reason.NOT_FOUND,
                f"no schedule is called {model.schedule!r}; the file has {sorted(rulebook.schedules)}",
            )
        if not isinstance(model, LadderModel):
            continue
        if model.ladder not in rulebook.ladders:
            yield Issue(
                f"{place}.ladder",
                Reason.NOT_FOUND,
                f"no ladder is called {model.ladder!r}; the file has {sorted(rulebook.ladders)[:8]}",
            )
        crowd = model.open_interest
        if crowd is not None and crowd.lower > crowd.upper:
            yield Issue(
                f"{place}.open_interest.lower",
                Reason.CONTRADICTION,
                f"{crowd.lower:g} is above upper {crowd.upper:g}; the rate grows from the one to the other",
            )
        if model.maintenance.rate is not RateRule.TIER:
            yield Issue(
                f"{place}.maintenance.rate",
                Reason.CONTRADICTION,
                "must be 'tier': no venue lets the holder choose maintenance",
            )


def _collateral(rulebook: Rulebook, where: str) -> Iterator[Issue]:
    for rule in rulebook.account.collateral:
        place = f"{where}: account.collateral.{rule.asset}"
        floors = [d.floor for d in rule.discounts]
        if floors[0] != 0 or any(b <= a for a, b in pairwise(floors)):
            yield Issue(
                place, Reason.NOT_MONOTONE, f"slices start at {floors}; they must start at 0 and rise"
            )
        if rule.debt is not None and rule.debt.maintenance > rule.debt.initial:
            yield Issue(
                f"{place}.debt",
                Reason.CONTRADICTION,
                "maintenance is above initial; a call must come before liquidation",
            )


def _bands(rulebook: Rulebook, where: str) -> Iterator[Issue]:
    for row, fault in band_faults(rulebook.account.bands):
        yield Issue(f"{where}: account.bands[{row}]", Reason.CONTRADICTION, fault)


def _portfolio(rulebook: Rulebook, where: str) -> Iterator[Issue]:
    model = rulebook.portfolio
    members = [k for k, p in enumerate(rulebook.products) if isinstance(p.model, PortfolioMember)]
    if model is None and members:
        message = "is margined by the portfolio model, and the file has none; state [portfolio]"
        yield Issue(f"{where}: products[{members[0]}].model", Reason.CONTRADICTION, message)
    if model is not None and not members:
        message = "margins no product; give a product the model 'portfolio' or drop it"
        yield Issue(f"{where}: portfolio", Reason.CONTRADICTION, message)
    if isinstance(model, ScanModel | RangesModel):
        yield from contradictions(model, f"{where}: portfolio")
    elif isinstance(model, ScenarioModel):
        yield from scenario_contradictions(model, f"{where}: portfolio")
    elif isinstance(model, TailModel):
        yield from tail_contradictions(model, f"{where}: portfolio")
    elif isinstance(model, HealthModel):
        yield from health_contradictions(model, f"{where}: portfolio")
        yield from _counted_in_full(rulebook, where)


def _counted_in_full(rulebook: Rulebook, where: str) -> Iterator[Issue]:
    # The weights of a health model are a requirement beside an equity without haircuts: a second haircut would count
    # twice, and an asset left out of the equity would be charged all the same.
    rules = rulebook.account
    stated = {
        "cross_pool": rules.cross_pool is CrossPool.ACCOUNT,
        "haircut_unlisted": rules.haircut_unlisted == 0.0,
        "collateral": not rules.collateral,
        "profit_credit": rules.profit_credit == 1.0,
        "orders": rules.orders is OrderRule.NONE,
    }
    asked = "cross_pool account, haircut_unlisted 0, no collateral rules, profit_credit 1, orders none"
    for name, holds in stated.items():
        if not holds:
            message = f"does not go with a health model, which weighs everything itself; give it {asked}"
            yield Issue(f"{where}: account.{name}", Reason.CONTRADICTION, message)


_CHECKS: tuple[Callable[[Rulebook, str], Iterator[Issue]], ...] = (
    _version,
    _codes,
    _ladders,
    _schedules,
    _products,
    _collateral,
    _bands,
    _portfolio,
)
