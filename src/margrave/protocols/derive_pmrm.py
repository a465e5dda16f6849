"""Derive's first portfolio manager in fixed point: eighteen decimals, every product cut toward zero (spec defi 1.2, PMD-1).

A margin is equity after requirement: what remains, below zero where collateral is missing. Options are worth their
Black-76 value to the last unit, where the chain's own approximations may differ by some units; everything else is its
arithmetic. `assess` under the rulebook `derive.pmrm` asks the same in floats.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from margrave.core.fixed import Fixed, fixed
from margrave.domain.checks import require
from margrave.protocols.derive_option import as_decimal, exponential, power, years_of
from margrave.protocols.exact_option import option_worth

_DAY: Final = 86_400
_MONTH: Final = 30 * _DAY
_ZERO: Final = Fixed(0)
_ONE: Final = fixed("1")


class VolMove(StrEnum):
    """What a scenario does to vols."""

    UP = "Up"
    SAME = "None"
    DOWN = "Down"


@final
@dataclass(frozen=True, slots=True)
class Scenario:
    """One cell: what spot is multiplied by, and what vols do."""

    spot: Fixed
    vol: VolMove


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Parameters of the manager, as its contracts name them in the specification's table."""

    scenarios: tuple[Scenario, ...]
    spot_up: Fixed  # forward shocks of the basis contingency
    spot_down: Fixed
    basis_add: Fixed
    basis_multiple: Fixed  # per year to expiry
    peg_threshold: Fixed
    peg_factor: Fixed
    confidence_threshold: Fixed
    confidence_margin: Fixed
    base_share: Fixed  # static contingencies, of spot
    perp_share: Fixed
    option_share: Fixed
    initial_factor: Fixed
    base_discount: Fixed
    rate_multiple: Fixed
    rate_add: Fixed
    vol_up: Fixed
    vol_down: Fixed
    power_short: Fixed  # of tenors up to thirty days
    power_long: Fixed
    floor_seconds: int = _DAY  # least tenor of the vol shock

    def __post_init__(self) -> None:
        require(bool(self.scenarios), "scenarios", self.scenarios, "at least one")
        require(self.floor_seconds > 0, "floor_seconds", self.floor_seconds, "above zero")


@final
@dataclass(frozen=True, slots=True)
class OptionLeg:
    """An option position of an expiry."""

    strike: Fixed  # at zero a call is the forward
    is_call: bool
    amount: Fixed  # [coins] long > 0
    vol: Fixed

    def __post_init__(self) -> None:
        require(self.strike >= 0, "strike", str(self.strike), "zero or more")
        require(self.vol >= 0, "vol", str(self.vol), "zero or more")


@final
@dataclass(frozen=True, slots=True)
class Expiry:
    """Everything of one expiry."""

    seconds: int  # to expiry
    fixed_part: Fixed  # of the forward, that the settlement window has averaged
    variable: Fixed  # of the forward, that moves with spot
    rate: Fixed
    confidence: Fixed  # least of forward, rate and vol feeds
    legs: tuple[OptionLeg, ...]

    def __post_init__(self) -> None:
        require(self.seconds >= 0, "seconds", self.seconds, "zero or more")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Subaccount:
    """A subaccount of one underlying."""

    spot: Fixed
    spot_confidence: Fixed = _ONE
    stable: Fixed = _ONE
    cash: Fixed = _ZERO
    perp: Fixed = _ZERO  # [coins] long > 0
    perp_price: Fixed = _ZERO
    perp_confidence: Fixed = _ONE
    perp_profit: Fixed = _ZERO
    base: Fixed = _ZERO  # [coins] >= 0
    expiries: tuple[Expiry, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class PortfolioMargin:
    """Margins and what they are made of; a loss is below zero."""

    initial: Fixed
    maintenance: Fixed
    mark_to_market: Fixed  # options, base and unrealised profit of perpetuals
    profits: tuple[Fixed, ...]  # of each scenario
    basis: Fixed  # <= 0
    static: Fixed  # >= 0
    confidence: Fixed  # >= 0, of initial margin


def portfolio_margin(account: Subaccount, terms: Terms) -> PortfolioMargin:
    """Margin of a subaccount.

    Parameters
    ----------
    account, terms : Subaccount, Terms
        Numbers of eighteen decimals.

    Returns
    -------
    PortfolioMargin
        ``maintenance = min(scenarios, basis) - static + mark to market + cash``; initial margin multiplies the first
        two terms by its factor, more below the peg, and takes the confidence contingency off. Sums are exact, so that
        no order of positions changes a unit.
    """
    now = [_worth(e, _ONE, None) for e in account.expiries]
    profits = tuple(_profit(account, terms, scenario, now) for scenario in terms.scenarios)
    basis = total(_basis(e, terms, worth) for e, worth in zip(account.expiries, now, strict=True))
    static = _static(account, terms)
    unsure = total(_unsure(account, terms))
    at_risk = min(*profits, basis) - static
    held = total(now) + account.base * account.spot + account.perp_profit
    depeg = max(terms.peg_threshold - account.stable, _ZERO) * terms.peg_factor
    initial = at_risk * (terms.initial_factor + depeg) - unsure + held + account.cash
    return PortfolioMargin(initial, at_risk + held + account.cash, held, profits, basis, static, unsure)


def total(numbers: Iterable[Fixed]) -> Fixed:
    """Sum of numbers, zero of none."""
    return Fixed(sum(number.units for number in numbers))


def _worth(expiry: Expiry, shock: Fixed, multiplier: Fixed | None) -> Fixed:
    # Of an expiry's options, each product cut: forward, vol, price, amount times price.
    forward, years = expiry.variable * shock + expiry.fixed_part, as_decimal(years_of(expiry.seconds))
    worth = _ZERO
    for leg in expiry.legs:
        vol = leg.vol if multiplier is None else leg.vol * multiplier
        price = option_worth(as_decimal(forward), as_decimal(leg.strike), as_decimal(vol), years, leg.is_call)
        worth = worth + leg.amount * fixed(price)
    return worth


def _profit(account: Subaccount, terms: Terms, scenario: Scenario, now: list[Fixed]) -> Fixed:
    move = scenario.spot - _ONE
    profit = account.base * account.spot * move + account.perp * account.perp_price * move
    for expiry, worth in zip(account.expiries, now, strict=True):
        shocked = _worth(expiry, scenario.spot, _multiplier(expiry, terms, scenario.vol))
        if shocked > 0:
            shocked = shocked * _discount(expiry, terms)
        profit = profit + shocked - worth
    return profit


def _multiplier(expiry: Expiry, terms: Terms, move: VolMove) -> Fixed | None:
    if move is VolMove.SAME:
        return None
    exponent = terms.power_short if expiry.seconds <= _MONTH else terms.power_long
    tenor = Fixed(_MONTH * 10**18 // max(expiry.seconds, terms.floor_seconds))
    scale = power(tenor, exponent)
    if move is VolMove.UP:
        return _ONE + terms.vol_up * scale
    return max(_ONE - terms.vol_down * scale, _ZERO)


def _discount(expiry: Expiry, terms: Terms) -> Fixed:
    rate = max(expiry.rate, _ZERO) * terms.rate_multiple + terms.rate_add
    less = exponential(-(years_of(expiry.seconds) * rate))
    return terms.base_discount * less


def _basis(expiry: Expiry, terms: Terms, worth: Fixed) -> Fixed:
    moved = (_worth(expiry, shock, None) - worth for shock in (terms.spot_up, terms.spot_down))
    return min(*moved, _ZERO) * (terms.basis_add + terms.basis_multiple * years_of(expiry.seconds))


def _static(account: Subaccount, terms: Terms) -> Fixed:
    delta_one = abs(account.perp) * terms.perp_share + account.base * terms.base_share
    naked = total(naked_shorts(account.expiries))
    return (delta_one + naked * terms.option_share) * account.spot


def naked_shorts(expiries: tuple[Expiry, ...]) -> Iterator[Fixed]:
    """Short coins of every strike: a short option and a long one of the other right offset."""
    for expiry in expiries:
        strikes: dict[int, Fixed] = {}
        for leg in expiry.legs:
            strikes[leg.strike.units] = strikes.get(leg.strike.units, _ZERO) + leg.amount
        yield from (max(-held, _ZERO) for held in strikes.values())


def _unsure(account: Subaccount, terms: Terms) -> Iterator[Fixed]:
    sure = (
        min(account.spot_confidence, account.perp_confidence)
        if account.perp.units
        else account.spot_confidence
    )
    sizes = [(sure, abs(account.perp) + account.base)]
    sizes += [(min(sure, e.confidence), total([abs(leg.amount) for leg in e.legs])) for e in account.expiries]
    for confidence, size in sizes:
        if confidence < terms.confidence_threshold:
            yield (_ONE - confidence) * terms.confidence_margin * size * account.spot
