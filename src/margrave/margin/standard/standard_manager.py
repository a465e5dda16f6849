"""Formula margin with offsets per expiry: Derive's standard manager.

Everything here is in the protocol's own sign: a *net margin* is what is left of the account after the requirement,
and an account is allowed while it is not below zero. `margin.standard.standard_pool` turns it into a requirement beside
equity. Columns are float64, or objects of `core.fixed` for the protocol's own arithmetic: one formula serves both,
so whole numbers stand here as ints.

Source of every formula: specification of the protocols 1.4. Letters: M underlyings, E expiries, O options.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from margrave.core.errors import InvalidInputError, Issue, Reason
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.kernels.arrays import I64, Bools, finite, non_negative, positive
from margrave.kernels.groups import run_ends
from margrave.rulebook.standard_manager import (
    BaseRule,
    DepegRule,
    ExpiryRule,
    OracleRule,
    PerpetualRule,
    StandardManager,
    StandardMarket,
)

Amounts: TypeAlias = NDArray[Any]  # float64, or objects of Fixed
Amount: TypeAlias = Any  # a number of the same kind


@final
@dataclass(frozen=True, slots=True)
class Underlyings:
    """What an account holds of each underlying besides options, and its prices, (M,)."""

    name: tuple[str, ...]
    spot: Amounts  # > 0 [settlement asset per coin]
    spot_confidence: Amounts  # 0..1
    perpetual: Amounts  # [coin], long > 0
    perpetual_price: Amounts  # > 0
    perpetual_confidence: Amounts  # 0..1
    perpetual_profit: Amounts  # unrealised profit and funding not yet settled [settlement asset]
    base: Amounts  # base collateral, >= 0 [coin]


@final
@dataclass(frozen=True, slots=True)
class Expiries:
    """Expiries in which an account holds options, (E,)."""

    label: tuple[str, ...]
    market: I64  # row of the underlying
    forward: Amounts  # > 0
    confidence: Amounts  # 0..1, the lesser of forward's and vol's


@final
@dataclass(frozen=True, slots=True)
class Options:
    """Option positions, (O,); one row an instrument, since a long and a short of one instrument are one balance."""

    label: tuple[str, ...]
    expiry: I64  # row of the expiry
    strike: Amounts  # >= 0
    is_call: Bools
    quantity: Amounts  # [coin], long > 0
    price: Amounts  # market value of one, >= 0 [settlement asset per coin]


@final
@dataclass(frozen=True, slots=True)
class Holding:
    """One account in one market; or many, whose underlyings, expiries and options are rows of their own.

    Of many accounts ``cash`` is a column of them and ``stable`` one of the underlyings, and labels are left out.
    """

    cash: Amount  # [settlement asset], any sign
    stable: Amount  # price of the settlement asset, >= 0 [USD]
    underlyings: Underlyings
    expiries: Expiries
    options: Options


@final
@dataclass(frozen=True, slots=True)
class Terms:
    """A rulebook's constants as columns of the underlyings, (M,); pairs are (initial, maintenance)."""

    market: tuple[StandardMarket, ...]
    perpetual: tuple[Amounts, Amounts]
    spot_max: Amounts
    spot_min: Amounts
    call: Amounts
    put: Amounts
    put_mark: Amounts
    put_offset: Amounts
    unpaired: tuple[Amounts, Amounts]
    base: Amounts
    base_scale: Amounts
    perpetual_threshold: Amounts
    option_threshold: Amounts
    base_threshold: Amounts
    oracle: Amounts
    depeg: DepegRule | None
    depeg_threshold: Amount
    depeg_factor: Amount


@final
@dataclass(frozen=True, slots=True)
class LevelMargin:
    """Every part of a net margin at one level; charges >= 0 and are taken off, the other parts are added."""

    holding: Holding
    perpetual: Amounts  # (M,) charge
    base: Amounts  # (M,) what base collateral counts
    alone: Amounts  # (O,) margin of each option by itself; <= 0 unless its price exceeds what is asked
    alone_sum: Amounts  # (E,)
    worst_payoff: Amounts  # (E,) of all options at the worst of the strikes and zero, <= 0
    unpaired: Amounts  # (E,) of short calls beyond the long ones, <= 0
    options: Amounts  # (E,) the better of `alone_sum` and `worst_payoff + unpaired`
    depeg: Amounts  # (M,) charge
    oracle_perpetual: Amounts  # (M,) charge
    oracle_options: Amounts  # (E,) charge
    oracle_base: Amounts  # (M,) charge

    @property
    def net(self) -> Amount:
        """Cash, profit and all parts of one account."""
        under = self.holding.underlyings
        charges = self.perpetual + self.depeg + self.oracle_perpetual + self.oracle_base
        of_underlyings = _sum(under.perpetual_profit + self.base - charges)
        return self.holding.cash + of_underlyings + _sum(self.options - self.oracle_options)


@final
@dataclass(frozen=True, slots=True)
class StandardMargin:
    """Net margin of an account with all that it is made of."""

    holding: Holding
    terms: Terms
    value: Amounts  # (O,) market value of the options, short < 0
    value_sum: Amounts  # (E,)
    level: tuple[LevelMargin, LevelMargin]  # initial, maintenance

    @property
    def mark_to_market(self) -> Amount:
        """Cash, profit, base and options of one account at market value."""
        under = self.holding.underlyings
        profit, base = _sum(under.perpetual_profit), _sum(under.base * under.spot)
        return self.holding.cash + profit + base + _sum(self.value)


@final
@dataclass(frozen=True, slots=True)
class Payoffs:
    """What the options of each expiry pay at worst, which no price of today changes, (E,)."""

    worst: Amounts  # at zero and all strikes, <= 0
    net_calls: Amounts  # [coin]


def floats(values: Sequence[float]) -> Amounts:
    """Numbers as a column of float64."""
    return np.array(values, dtype=np.float64)


_NO_PERPETUAL = PerpetualRule(code="", initial=0.0, maintenance=0.0)
_NO_OPTIONS = ExpiryRule(
    code="",
    spot_max=0.0,
    spot_min=0.0,
    maintenance_call=0.0,
    maintenance_put=0.0,
    maintenance_put_mark=0.0,
    put_initial_over_maintenance=0.0,
    unpaired_initial=0.0,
    unpaired_maintenance=0.0,
)
_COLUMNS = (
    "spot_max",
    "spot_min",
    "call",
    "put",
    "put_mark",
    "put_offset",
    "base",
    "base_scale",
    "perpetual_threshold",
    "option_threshold",
    "base_threshold",
    "oracle",
)
_NO_BASE = BaseRule(code="", factor=0.0, initial_scale=1.0)
_NO_ORACLE = OracleRule(
    code="", perpetual_threshold=0.0, option_threshold=0.0, base_threshold=0.0, factor=0.0
)
_NO_DEPEG = DepegRule(code="", threshold=0.0, factor=0.0)


def terms_of(
    rule: StandardManager, names: Sequence[str], column: Callable[[Sequence[float]], Amounts] = floats
) -> Terms:
    """Columns of a rulebook's constants for some underlyings.

    Parameters
    ----------
    rule : StandardManager
        Section of the rulebook.
    names : (M,) sequence of str
        Underlyings. One without a market has no rule for anything; `net_margin` refuses what it would margin.
    column : callable
        Makes a column of numbers: `floats`, or `core.fixed.fixed_array` for the protocol's arithmetic.
    """
    listed = {market.base: market for market in rule.markets}
    market = tuple(listed.get(name, StandardMarket(base=name)) for name in names)
    perpetual = [m.perpetual or _NO_PERPETUAL for m in market]
    options = [m.options or _NO_OPTIONS for m in market]
    base = [m.collateral or _NO_BASE for m in market]
    oracle = [m.oracle or _NO_ORACLE for m in market]
    depeg = rule.depeg or _NO_DEPEG
    return Terms(
        market=market,
        perpetual=(column([r.initial for r in perpetual]), column([r.maintenance for r in perpetual])),
        spot_max=column([r.spot_max for r in options]),
        spot_min=column([r.spot_min for r in options]),
        call=column([r.maintenance_call for r in options]),
        put=column([r.maintenance_put for r in options]),
        put_mark=column([r.maintenance_put_mark for r in options]),
        put_offset=column([r.put_initial_over_maintenance for r in options]),
        unpaired=(
            column([r.unpaired_initial for r in options]),
            column([r.unpaired_maintenance for r in options]),
        ),
        base=column([r.factor for r in base]),
        base_scale=column([r.initial_scale for r in base]),
        perpetual_threshold=column([r.perpetual_threshold for r in oracle]),
        option_threshold=column([r.option_threshold for r in oracle]),
        base_threshold=column([r.base_threshold for r in oracle]),
        oracle=column([r.factor for r in oracle]),
        depeg=rule.depeg,
        depeg_threshold=column([depeg.threshold])[0],
        depeg_factor=column([depeg.factor])[0],
    )


def terms_at(terms: Terms, row: I64) -> Terms:
    """Constants of many accounts' underlyings, each a row of the terms; without the rules that they come from."""
    return replace(
        terms,
        market=(),
        perpetual=(terms.perpetual[INITIAL][row], terms.perpetual[MAINTENANCE][row]),
        unpaired=(terms.unpaired[INITIAL][row], terms.unpaired[MAINTENANCE][row]),
        **{name: getattr(terms, name)[row] for name in _COLUMNS},
    )


def net_margin(terms: Terms, holding: Holding) -> StandardMargin:
    """Net margin of an account at both levels, in the protocol's sign.

    Parameters
    ----------
    terms : Terms
        Constants of the holding's underlyings.
    holding : Holding
        What the account holds, and prices.

    Returns
    -------
    StandardMargin
        With every part per underlying, expiry and option. [settlement asset]

    Raises
    ------
    InvalidInputError
        A position of a kind that its market's rules do not margin.
    ValueError
        A number is NaN, infinite or out of range, by its name.

    Notes
    -----
    Short call of a < 0 coins at spot S and market value v: maintenance ``call S a + v``, initial
    ``max(spot_min, spot_max - OTM / S) S a + v``. Short put: maintenance ``min(put S a, put_mark v) + v``, initial the
    lesser of the call's formula and ``put_offset`` times maintenance. A long option has no margin value by itself.
    An expiry counts the better of its options alone and of their worst payoff over zero and all strikes plus
    ``unpaired × forward × net calls`` where net calls are negative. Depeg and oracle charges are initial's only.
    """
    issues = unmargined(terms, holding)
    if issues:
        raise InvalidInputError(issues)
    _check(holding)
    return margin_of(terms, holding, worst_payoffs(holding.options, 0 * holding.expiries.forward))


def margin_of(terms: Terms, holding: Holding, payoffs: Payoffs) -> StandardMargin:
    """`net_margin` of one account or many, of which nothing is checked; NaN of what is not known.

    Parameters
    ----------
    terms : Terms
        Constants of the holding's underlyings.
    holding : Holding
        Of one account, or of many.
    payoffs : Payoffs
        From `worst_payoffs`.
    """
    options = holding.options
    value = options.quantity * options.price
    initial = _level(terms, holding, value, payoffs, INITIAL)
    maintenance = _level(terms, holding, value, payoffs, MAINTENANCE)
    by_expiry = grouped(value, options.expiry, len(holding.expiries.market))
    return StandardMargin(holding, terms, value, by_expiry, (initial, maintenance))


def unmargined(terms: Terms, holding: Holding) -> tuple[Issue, ...]:
    """What an account holds that its market's rules do not margin."""
    under = holding.underlyings
    with_options = set(
        holding.expiries.market[holding.options.expiry[holding.options.quantity != 0]].tolist()
    )
    issues = []
    for row, market in enumerate(terms.market):
        held = (
            ("perpetuals", under.perpetual[row] != 0, market.perpetual),
            ("options", row in with_options, market.options),
            ("base collateral", under.base[row] != 0, market.collateral),
        )
        issues += [
            Issue(
                market.base,
                Reason.NO_RULE,
                f"the rulebook has no margin for {what} of it; close them or choose a rulebook that has",
            )
            for what, holds, rule in held
            if holds and rule is None
        ]
    return tuple(issues)


def _check(holding: Holding) -> None:
    under, expiries, options = holding.underlyings, holding.expiries, holding.options
    numbers = np.asarray([holding.cash, holding.stable], dtype=np.float64)
    finite("cash", numbers[0])
    non_negative("stable", numbers[1])
    for name in ("spot", "perpetual_price"):
        positive(name, getattr(under, name).astype(np.float64))
    positive("forward", expiries.forward.astype(np.float64))
    for name in ("perpetual", "perpetual_profit"):
        finite(name, getattr(under, name).astype(np.float64))
    finite("quantity", options.quantity.astype(np.float64))
    for name, column in (("base", under.base), ("strike", options.strike), ("price", options.price)):
        non_negative(name, column.astype(np.float64))
    for column in (under.spot_confidence, under.perpetual_confidence, expiries.confidence):
        if np.any(non_negative("confidence", column.astype(np.float64)) > 1.0):
            raise ValueError("confidence must be at most 1; a feed that is sure has 1")


def _level(terms: Terms, holding: Holding, value: Amounts, payoffs: Payoffs, level: int) -> LevelMargin:
    under, expiries, options = holding.underlyings, holding.expiries, holding.options
    at = expiries.market
    perpetual = abs(under.perpetual) * under.perpetual_price * terms.perpetual[level]
    base = under.base * under.spot * terms.base
    alone = _alone(terms, holding, value, level)
    alone_sum = grouped(alone, options.expiry, len(at))
    unpaired = terms.unpaired[level][at] * expiries.forward * np.minimum(payoffs.net_calls, 0)
    together = np.maximum(alone_sum, payoffs.worst + unpaired)
    nothing, no_expiry = 0 * base, 0 * payoffs.worst
    depeg, of_perpetual, of_base, of_options = nothing, nothing, nothing, no_expiry
    if level == INITIAL:
        base = base * terms.base_scale
        short = grouped(np.maximum(-options.quantity, 0), options.expiry, len(at))
        depeg = _depeg(terms, holding, grouped(short, at, len(under.spot)))
        of_perpetual, of_base, of_options = _oracle(terms, holding, short)
    return LevelMargin(
        holding,
        perpetual,
        base,
        alone,
        alone_sum,
        payoffs.worst,
        unpaired,
        together,
        depeg,
        of_perpetual,
        of_options,
        of_base,
    )


def _alone(terms: Terms, holding: Holding, value: Amounts, level: int) -> Amounts:
    options = holding.options
    at = holding.expiries.market[options.expiry]
    spot = holding.underlyings.spot[at]
    notional = options.quantity * spot
    put = np.minimum(terms.put[at] * notional, terms.put_mark[at] * value) + value
    if level == MAINTENANCE:
        short = np.where(options.is_call, terms.call[at] * notional + value, put)
    else:
        away = np.where(options.is_call, options.strike - spot, spot - options.strike)
        rate = np.maximum(terms.spot_min[at], terms.spot_max[at] - np.maximum(away, 0) / spot)
        risk = rate * notional + value
        short = np.where(options.is_call, risk, np.minimum(risk, put * terms.put_offset[at]))
    return np.where(options.quantity < 0, short, 0 * value)


def worst_payoffs(options: Options, nothing: Amounts) -> Payoffs:
    """Least payoff of all options of each expiry, and their net calls.

    Parameters
    ----------
    options : Options
        Of one account or many.
    nothing : (E,) ndarray
        Zeros of the arithmetic.

    Notes
    -----
    Payoffs are piecewise linear with kinks at the strikes: between them nothing is worse, and above the last one
    only calls move, which is what unpaired calls are charged for.
    """
    count = len(nothing)
    calls = grouped(np.where(options.is_call, options.quantity, 0), options.expiry, count)
    rows = np.flatnonzero(options.quantity != 0)
    order, start = run_ends(options.expiry[rows], count)
    rows = rows[order]
    held = np.diff(start)
    # Settlement at each strike of an expiry, then at zero: every point with every option.
    points, expiry = held + 1, np.repeat(np.arange(count), held + 1)
    first_point = np.cumsum(points) - points
    settled = np.repeat(nothing, points)
    settled[np.arange(len(rows)) + options.expiry[rows]] = options.strike[rows]
    each = held[expiry]
    point = np.repeat(np.arange(len(settled)), each)
    option = rows[np.arange(len(point)) + np.repeat(start[expiry] - (np.cumsum(each) - each), each)]
    above = settled[point] - options.strike[option]
    intrinsic = np.maximum(np.where(options.is_call[option], above, -above), 0)
    payoff = grouped(intrinsic * options.quantity[option], point, len(settled))
    return Payoffs(nothing + np.minimum(np.minimum.reduceat(payoff, first_point), 0), calls)


def _depeg(terms: Terms, holding: Holding, short: Amounts) -> Amounts:
    under = holding.underlyings
    lost = np.maximum(terms.depeg_threshold - holding.stable, 0)
    charged: Amounts = (abs(under.perpetual) + short) * under.spot * (lost * terms.depeg_factor)
    return charged


def _oracle(terms: Terms, holding: Holding, short: Amounts) -> tuple[Amounts, Amounts, Amounts]:
    under, expiries = holding.underlyings, holding.expiries
    at = expiries.market

    def charge(confidence: Amounts, threshold: Amounts, notional: Amounts, factor: Amounts) -> Amounts:
        return np.where(confidence < threshold, (1 - confidence) * factor * notional, 0 * notional)

    traded = np.minimum(under.spot_confidence, under.perpetual_confidence)
    of_perpetual = charge(traded, terms.perpetual_threshold, abs(under.perpetual) * under.spot, terms.oracle)
    of_base = charge(under.spot_confidence, terms.base_threshold, under.base * under.spot, terms.oracle)
    known = np.minimum(under.spot_confidence[at], expiries.confidence)
    of_options = charge(known, terms.option_threshold[at], short * under.spot[at], terms.oracle[at])
    return of_perpetual, of_base, of_options


def grouped(values: Amounts, group: I64, count: int) -> Amounts:
    """Sum rows into groups, (count,), in the order of the rows."""
    total = np.zeros(count, dtype=values.dtype)
    np.add.at(total, group, values)
    return total


def _sum(values: Amounts) -> Amount:
    total: Amount = sum(values.tolist())
    return total
