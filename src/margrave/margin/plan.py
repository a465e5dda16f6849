"""A rulebook resolved to array indices: which product margins an instrument, and all ladders in flat arrays."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import final

import numpy as np

from margrave.core.errors import Issue, Reason
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.domain.instruments import (
    CoinPremium,
    Future,
    Instrument,
    Inverse,
    Linear,
    Option,
    Perpetual,
    Quanto,
    QuotePremium,
    Spot,
)
from margrave.kernels.arrays import C128, F64, I64
from margrave.kernels.ladder import ladder_key
from margrave.rulebook.ladders import Segments, resolve
from margrave.rulebook.schema import Match, Product, Rulebook

_KIND: dict[type, str] = {Spot: "spot", Perpetual: "perpetual", Future: "future", Option: "option"}
_PAYOFF: dict[type, str] = {
    Linear: "linear",
    Inverse: "inverse",
    Quanto: "quanto",
    CoinPremium: "coin-premium",
    QuotePremium: "quote-premium",
}


@final
@dataclass(frozen=True, slots=True)
class FlatLadders:
    """One level of every ladder of a rulebook, end to end."""

    key: C128  # (T,) search key
    start: I64  # (L + 1,)
    floor: F64  # (T,)
    rate: F64  # (T,)
    slope: F64  # (T,)
    deduction: F64  # (T,)
    root: F64 | None  # (T,) None where no ladder grows with the root of the size


@final
@dataclass(slots=True)
class Known:
    """What a rulebook says of one instrument, resolved once."""

    instrument: Instrument  # kept alive, so that its id stays its own
    product: int  # row of the product, -1 where none
    ladder: tuple[float, ...] | None = None  # columns of `margin.ladder`
    option: tuple[float, ...] | None = None  # columns of `margin.short_options`


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """A rulebook ready for arrays. Made once a rulebook; instruments are looked up once each."""

    rulebook: Rulebook
    ladder_names: tuple[str, ...]  # (L,)
    flat: tuple[FlatLadders, FlatLadders]  # a level each
    known: dict[int, Known] = field(default_factory=dict)  # id of an instrument -> what the rules say of it


_PLANS: OrderedDict[int, Plan] = OrderedDict()
_PLANS_KEPT = 64
_KNOWN_KEPT = 50_000


def plan_of(rulebook: Rulebook) -> Plan:
    """Resolve a rulebook; the same rulebook object is resolved once."""
    plan = _PLANS.get(id(rulebook))
    # An id is only as good as the object behind it: the plan keeps its rulebook alive, so they agree.
    if plan is None or plan.rulebook is not rulebook:
        names = tuple(rulebook.ladders)
        flat = (_flatten(rulebook, names, INITIAL), _flatten(rulebook, names, MAINTENANCE))
        plan = Plan(rulebook, names, flat)
        _PLANS[id(rulebook)] = plan
        while len(_PLANS) > _PLANS_KEPT:
            _PLANS.popitem(last=False)
    return plan


def _flatten(rulebook: Rulebook, names: tuple[str, ...], level: int) -> FlatLadders:
    parts = [resolve(rulebook.ladders[name], level) for name in names] or [Segments(*np.zeros((4, 1)))]
    start = np.concatenate(([0], np.cumsum([len(p.floor) for p in parts]))).astype(np.int64)
    floor = np.concatenate([p.floor for p in parts])
    return FlatLadders(
        ladder_key(floor, start),
        start,
        floor,
        np.concatenate([p.rate for p in parts]),
        np.concatenate([p.slope for p in parts]),
        np.concatenate([p.deduction for p in parts]),
        np.concatenate([np.zeros(len(p.rate)) if p.root is None else p.root for p in parts])
        if any(p.root is not None for p in parts)
        else None,
    )


def known_of(plan: Plan, instrument: Instrument) -> Known:
    """What the rules say of an instrument; looked up once for each instrument object."""
    known = plan.known.get(id(instrument))
    if known is None or known.instrument is not instrument:
        rows = (k for k, product in enumerate(plan.rulebook.products) if matches(product.match, instrument))
        known = Known(instrument, next(rows, -1))
        if len(plan.known) >= _KNOWN_KEPT:  # instruments that are read anew for every market would pile up
            plan.known.clear()
        plan.known[id(instrument)] = known
    return known


def product_row(plan: Plan, instrument: Instrument) -> int:
    """Row of the first product that matches an instrument; -1 where the rulebook has none."""
    return known_of(plan, instrument).product


def matches(match: Match, instrument: Instrument) -> bool:
    """Whether a product means an instrument: every list that is not empty has to name it."""
    told = (
        (match.kinds, _KIND[type(instrument.kind)]),
        (match.payoffs, _PAYOFF[type(instrument.payoff)]),
        (match.bases, instrument.base),
        (match.quotes, instrument.quote),
        (match.settlements, instrument.settlement),
        (match.symbols, instrument.symbol),
    )
    return all(not names or name in names for names, name in told)


def product_of(plan: Plan, instrument: Instrument) -> Product | None:
    """Product of an instrument; None where the rulebook has none."""
    row = product_row(plan, instrument)
    return None if row < 0 else plan.rulebook.products[row]


_TOLD_MAX = 12


def no_rule(plan: Plan, instrument: Instrument) -> Issue:
    """Why a rulebook cannot margin an instrument, naming a published gap where there is one."""
    kind, payoff = _KIND[type(instrument.kind)], _PAYOFF[type(instrument.payoff)]
    told = _few([product.name for product in plan.rulebook.products], ", ")
    more = _gaps(plan.rulebook, (kind, instrument.base))
    article = "an" if payoff[0] in "aeiou" else "a"
    message = f"{plan.rulebook.id} has no rule for {article} {payoff} {kind} on {instrument.base}; it has {told}.{more} Choose another rulebook"
    return Issue(instrument.symbol, Reason.NO_RULE, message)


def _gaps(rulebook: Rulebook, words: tuple[str, ...]) -> str:
    # What the venue does not publish of such an instrument; where no gap speaks of it, their codes.
    if not rulebook.gaps:
        return ""
    about = [gap for gap in rulebook.gaps if any(word in gap.what for word in words)]
    if about:
        return f" Not published by the venue: {'; '.join(f'{gap.code} {gap.what}' for gap in about)}."
    codes = _few([gap.code for gap in rulebook.gaps], ", ")
    return f" Not published by the venue: {codes} (`margrave rules show {rulebook.id}` tells what)."


def _few(names: list[str], between: str) -> str:
    # A rulebook of a venue's whole table has hundreds of products.
    more = [f"and {len(names) - _TOLD_MAX} more"] if len(names) > _TOLD_MAX else []
    return between.join(names[:_TOLD_MAX] + more)
