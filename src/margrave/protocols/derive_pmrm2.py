"""Derive's second portfolio manager in fixed point: eighteen decimals, every product cut toward zero (spec defi 1.3).

Beside the first manager: options are discounted, far scenarios count by a share, two scenarios turn and bend the
smile, and collateral of several kinds has haircuts. A margin is equity after requirement: what remains, below zero
where collateral is missing. `assess` under the rulebook `derive.pmrm2` asks the same in floats.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from margrave.core.fixed import Fixed, fixed
from margrave.domain.checks import require
from margrave.protocols.derive_option import (
    Option,
    exponential,
    logarithm,
    option_price,
    power,
    square_root,
    years_of,
)
from margrave.protocols.derive_pmrm import Expiry, OptionLeg, naked_shorts, total

_DAY: Final = 86_400
_MONTH_DAYS: Final = fixed("30")
_DAYS_LEAST: Final = fixed("1e-9")
_UNIT: Final = Fixed(1)
_ZERO: Final = Fixed(0)
_ONE: Final = fixed("1")


class VolMove(StrEnum):
    """What a scenario does to vols."""

    UP = "Up"
    SAME = "None"
    DOWN = "Down"
    LINEAR = "Linear"  # turns the smile
    ABSOLUTE = "Abs"  # bends it


_SKEWED: Final = (VolMove.LINEAR, VolMove.ABSOLUTE)


@final
@dataclass(frozen=True, slots=True)
class Scenario:
    """One cell: what spot is multiplied by, what vols do, and the share of the profit that counts."""

    spot: Fixed
    vol: VolMove
    share: Fixed = _ONE

    def __post_init__(self) -> None:
        require(self.spot >= 0, "spot", str(self.spot), "zero or more")
        require(self.share >= 0, "share", str(self.share), "zero or more")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class VolShock:
    """Moves of vols by what a tenor of thirty days gets."""

    up: Fixed
    down: Fixed
    power_short: Fixed  # of tenors up to thirty days, whatever the floor makes of them
    power_long: Fixed
    days_least: Fixed  # floor of the days in the scale
    vol_least_up: Fixed  # floor of a vol after its rise

    def __post_init__(self) -> None:
        require(self.days_least >= 0, "days_least", str(self.days_least), "zero or more")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SkewShock:
    """Turn and bend of the smile: each at most ``base √t + cap``, in full from a log-moneyness of the width on."""

    linear_cap: Fixed
    linear_base: Fixed
    absolute_cap: Fixed
    absolute_base: Fixed
    width_least: Fixed
    width_scale: Fixed
    vol_static: Fixed
    vol_slope: Fixed

    def __post_init__(self) -> None:
        require(self.width_least >= 0, "width_least", str(self.width_least), "zero or more")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StaticDiscount:
    """Share of an expiry's worth that counts in scenarios: ``base exp(-+t (rate multiple + add))``."""

    long_base: Fixed
    long_multiple: Fixed
    long_add: Fixed
    short_base: Fixed
    short_multiple: Fixed
    short_add: Fixed


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """Moves of the forward by itself, and the share of the loss that competes with the scenarios."""

    up: Fixed
    down: Fixed
    add: Fixed
    multiple: Fixed  # per year to expiry


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LevelTerms:
    """Terms of one level; those of initial margin beside its factor come on top of maintenance."""

    factor: Fixed  # of the worst loss
    perp_share: Fixed
    option_share: Fixed


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Parameters of the manager."""

    scenarios: tuple[Scenario, ...]
    vol: VolShock
    skew: SkewShock | None  # scenarios that turn or bend the smile need it
    discount: StaticDiscount
    basis: Basis
    initial: LevelTerms
    maintenance: LevelTerms
    peg_threshold: Fixed
    peg_factor: Fixed
    confidence_threshold: Fixed
    confidence_margin: Fixed

    def __post_init__(self) -> None:
        require(bool(self.scenarios), "scenarios", self.scenarios, "at least one")
        skewed = [str(s.vol) for s in self.scenarios if s.vol in _SKEWED]
        require(self.skew is not None or not skewed, "skew", self.skew, f"stated for {', '.join(skewed)}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Collateral:
    """An asset that stands for margin beside cash."""

    amount: Fixed
    price: Fixed
    confidence: Fixed = _ONE
    follows: bool  # moves with the underlying in scenarios
    initial_haircut: Fixed = _ZERO  # on top of maintenance
    maintenance_haircut: Fixed = _ZERO

    def __post_init__(self) -> None:
        require(self.amount >= 0, "amount", str(self.amount), "zero or more")
        require(self.price >= 0, "price", str(self.price), "zero or more")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Subaccount:
    """A subaccount of one underlying. Forwards of its expiries may be split by `split_forward`."""

    spot: Fixed
    spot_confidence: Fixed = _ONE
    stable: Fixed = _ONE
    cash: Fixed = _ZERO
    perp: Fixed = _ZERO  # [coins] long > 0
    perp_price: Fixed = _ZERO
    perp_confidence: Fixed = _ONE
    perp_profit: Fixed = _ZERO
    expiries: tuple[Expiry, ...] = ()
    collateral: tuple[Collateral, ...] = ()

    def __post_init__(self) -> None:
        require(self.stable > 0, "stable", str(self.stable), "above zero")


@final
@dataclass(frozen=True, slots=True)
class PortfolioMargin:
    """Margins and what they are made of; a loss is below zero."""

    initial: Fixed
    maintenance: Fixed
    mark_to_market: Fixed  # options, collateral and unrealised profit of perpetuals
    option_worth: Fixed
    collateral_worth: Fixed
    profits: tuple[Fixed, ...]  # of each scenario
    basis: Fixed  # <= 0
    contingency: Fixed  # >= 0, of both levels
    initial_contingency: Fixed  # >= 0, on top of it
    confidence: Fixed  # >= 0, of initial margin


@final
@dataclass(frozen=True, slots=True)
class _Dated:
    # What an expiry needs in every scenario, worked out once.
    expiry: Expiry
    years: Fixed
    root: Fixed  # of the years
    less: Fixed  # discount factor
    forward: Fixed
    scale: Fixed  # of vol shocks
    worth: Fixed  # now


def portfolio_margin(account: Subaccount, terms: Terms) -> PortfolioMargin:
    """Margin of a subaccount.

    Parameters
    ----------
    account, terms : Subaccount, Terms
        Numbers of eighteen decimals.

    Returns
    -------
    PortfolioMargin
        ``maintenance = min(scenarios, basis) factor - contingency + mark to market + cash``; initial margin has its own
        factor, larger below the peg, and takes more contingencies off. Sums are exact, so that no order of positions
        changes a unit.
    """
    dated = [_dated(expiry, terms.vol) for expiry in account.expiries]
    held = [c.amount * c.price / account.stable for c in account.collateral]
    profits = tuple(_profit(account, terms, scenario, dated, held) for scenario in terms.scenarios)
    basis = total(_basis(one, terms.basis) for one in dated)
    worst = min(*profits, basis)
    cut = [total(_cut(account, terms, held, initial)) for initial in (False, True)]
    unsure = total(_unsure(account, terms, held))
    options, collateral = total(one.worth for one in dated), total(held)
    market = options + collateral + account.perp_profit
    depeg = max(terms.peg_threshold - account.stable, _ZERO) * terms.peg_factor
    safe = market + account.cash - cut[0]
    return PortfolioMargin(
        initial=worst * (terms.initial.factor + depeg) - cut[1] - unsure + safe,
        maintenance=worst * terms.maintenance.factor + safe,
        mark_to_market=market,
        option_worth=options,
        collateral_worth=collateral,
        profits=profits,
        basis=basis,
        contingency=cut[0],
        initial_contingency=cut[1],
        confidence=unsure,
    )


def _dated(expiry: Expiry, shock: VolShock) -> _Dated:
    years, forward = years_of(expiry.seconds), expiry.fixed_part + expiry.variable
    less = exponential(-(max(expiry.rate, _ZERO) * years))
    worth = total(
        leg.amount * option_price(Option(leg.strike, leg.is_call, years), forward, leg.vol, less)
        for leg in expiry.legs
    )
    return _Dated(expiry, years, square_root(years), less, forward, _scale(expiry.seconds, shock), worth)


def _scale(seconds: int, shock: VolShock) -> Fixed:
    days = Fixed(seconds * 10**18 // _DAY)
    exponent = shock.power_short if days <= _MONTH_DAYS else shock.power_long
    return power(_MONTH_DAYS / max(days, shock.days_least, _DAYS_LEAST), exponent)


def _profit(
    account: Subaccount, terms: Terms, scenario: Scenario, dated: list[_Dated], held: list[Fixed]
) -> Fixed:
    move = scenario.spot - _ONE
    follows = total(worth * move for c, worth in zip(account.collateral, held, strict=True) if c.follows)
    profit = follows + account.perp * account.perp_price * move
    gains = [_static(one, terms.discount, _shocked(one, terms, scenario)) - one.worth for one in dated]
    if scenario.vol in _SKEWED:  # whichever way a move of the smile pays, it costs
        gains = [-abs(gain) for gain in gains]
    return (profit + total(gains)) * scenario.share


def _shocked(one: _Dated, terms: Terms, scenario: Scenario) -> Fixed:
    forward = one.expiry.variable * scenario.spot + one.expiry.fixed_part
    return total(
        leg.amount
        * option_price(
            Option(leg.strike, leg.is_call, one.years), forward, _vol(one, terms, scenario.vol, leg), one.less
        )
        for leg in one.expiry.legs
    )


def _vol(one: _Dated, terms: Terms, move: VolMove, leg: OptionLeg) -> Fixed:
    shock = terms.vol
    if move is VolMove.UP:
        return max(leg.vol * (_ONE + shock.up * one.scale), shock.vol_least_up)
    if move is VolMove.DOWN:
        return leg.vol * max(_ONE - shock.down * one.scale, _ZERO)
    if move is VolMove.SAME or terms.skew is None:
        return leg.vol
    return leg.vol * _lean(one, terms.skew, move, leg.strike)


def _lean(one: _Dated, skew: SkewShock, move: VolMove, strike: Fixed) -> Fixed:
    # Multiplier of a vol: 1 + k cap / width, with |k| for the absolute move. Each wing is bounded on its own side,
    # which matters where time has made the cap negative.
    if strike == 0 or one.forward == 0:
        return _ONE  # the option is worth its bound at any vol
    base, most = (
        (skew.linear_base, skew.linear_cap)
        if move is VolMove.LINEAR
        else (skew.absolute_base, skew.absolute_cap)
    )
    cap = base * one.root + most
    reach = one.root * skew.width_scale * (skew.vol_static + one.root * skew.vol_slope)
    k = logarithm(max(strike / one.forward, _UNIT))
    k = k if move is VolMove.LINEAR else abs(k)
    lean = k * cap / max(skew.width_least, reach, _UNIT)
    return max(_ONE + (min(lean, cap) if k > 0 else max(lean, -cap)), _ZERO)


def _static(one: _Dated, rule: StaticDiscount, worth: Fixed) -> Fixed:
    rate = max(one.expiry.rate, _ZERO)
    if worth >= 0:
        return worth * (
            rule.long_base * exponential(-(one.years * (rate * rule.long_multiple + rule.long_add)))
        )
    more = rule.short_base * exponential(one.years * (rate * rule.short_multiple + rule.short_add))
    return worth * min(_ONE / one.less, more)


def _basis(one: _Dated, rule: Basis) -> Fixed:
    legs, gains = one.expiry.legs, []
    for move in (rule.up, rule.down):
        forward = one.expiry.variable * move + one.expiry.fixed_part
        prices = (
            option_price(Option(o.strike, o.is_call, one.years), forward, o.vol, one.less) for o in legs
        )
        gains.append(total(o.amount * price for o, price in zip(legs, prices, strict=True)) - one.worth)
    return min(*gains, _ZERO) * (rule.add + rule.multiple * one.years)


def _cut(account: Subaccount, terms: Terms, held: list[Fixed], initial: bool) -> Iterator[Fixed]:
    level = terms.initial if initial else terms.maintenance
    yield abs(account.perp) * account.spot * level.perp_share
    yield total(naked_shorts(account.expiries)) * account.spot * level.option_share
    for c, worth in zip(account.collateral, held, strict=True):
        yield worth * (c.initial_haircut if initial else c.maintenance_haircut)


def _unsure(account: Subaccount, terms: Terms, held: list[Fixed]) -> Iterator[Fixed]:
    # Of perpetuals, of the options of each expiry, and of each collateral by the lesser of its own confidence and
    # the index's.
    spot, perp = account.spot_confidence, account.perp_confidence
    sure = min(spot, perp) if account.perp.units else spot
    notionals = [(sure, abs(account.perp) * account.spot)]
    for expiry in account.expiries:
        size = total(abs(leg.amount) for leg in expiry.legs)
        notionals.append((min(sure, expiry.confidence), size * account.spot))
    notionals += [(min(spot, c.confidence), w) for c, w in zip(account.collateral, held, strict=True)]
    for confidence, notional in notionals:
        if confidence < terms.confidence_threshold:
            yield (_ONE - confidence) * terms.confidence_margin * notional
