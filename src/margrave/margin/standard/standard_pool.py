"""The standard manager as a requirement beside equity: of one pool in one row of a market, and as a tree.

`margin.standard.standard_manager` says what is left after the requirement. Here the requirement stands beside an equity that
counts cash, profit, options at market value and base collateral after its factor (the collateral rule of the
rulebook): what a long option is worth is in the equity and is asked back here, so that it carries nothing; a base
asset's second factor, which only initial margin knows, is charged in initial.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.errors import Issue, Reason
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.domain.instruments import Instrument, Linear, Option, Perpetual, QuotePremium, expiry_of
from margrave.kernels.arrays import F64, I64
from margrave.kernels.groups import first_seen, rows_of
from margrave.margin.standard.standard_manager import (
    Expiries,
    Holding,
    Options,
    StandardMargin,
    Underlyings,
    net_margin,
    terms_of,
)
from margrave.rulebook.standard_manager import StandardManager, StandardMarket
from margrave.valuation.scenarios import Priced
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class Held:
    """Positions and balances of one pool."""

    instrument: I64  # (n,) rows of the table; several of one instrument are one position
    quantity: F64  # (n,) [contracts]
    balance: F64  # (A,) [asset] of each of the table's assets


@final
@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure the feeds are, 0..1, and where the settlement asset trades."""

    asset: F64  # (A,) of each asset's spot price
    instrument: F64  # (I,) a perpetual's price; an option's forward or vol, whichever is less sure
    stable: float = 1.0  # [USD per settlement asset]


def sure(table: Table) -> Confidence:
    """Feeds that are sure of every price, and a settlement asset at its peg."""
    return Confidence(np.ones(len(table.assets)), np.ones(len(table.instruments)))


def issues_of(rule: StandardManager, table: Table, held: Held) -> tuple[Issue, ...]:
    """Why a pool's requirement is unknown; empty where it is known.

    A position of an underlying, kind or payoff without a rule, one of another settlement asset, and a second
    perpetual of one underlying. Balances without a rule are no issue: they count neither here nor in the equity.
    """
    listed = {market.base: market for market in rule.markets}
    issues = []
    perpetual: dict[str, str] = {}
    for row in dict.fromkeys(held.instrument.tolist()):
        instrument = table.instruments[row]
        if instrument is None:
            issues.append(table.issues[row])
            continue
        if not _is_margined(rule, listed.get(instrument.base), instrument):
            issues.append(_no_rule(rule, instrument))
        elif isinstance(instrument.kind, Perpetual):
            first = perpetual.setdefault(instrument.base, instrument.symbol)
            if first != instrument.symbol:
                issues.append(_second(instrument, first))
    return tuple(issues)


def requirement_of(
    rule: StandardManager, table: Table, priced: Priced, row: int, held: Held, confidence: Confidence
) -> tuple[float, float]:
    """Initial and maintenance requirement of one pool in one row of a market.

    Parameters
    ----------
    rule : StandardManager
        Section of the rulebook.
    table, priced : Table, Priced
        Instruments, and their prices (S, I).
    row : int
        Row of ``priced``.
    held : Held
        Positions and balances of the pool.
    confidence : Confidence
        Feeds; `sure` where a market does not tell.

    Returns
    -------
    tuple of float
        Initial and maintenance, >= 0 [settlement asset]; NaN where `issues_of` finds something or a price is NaN.
    """
    if issues_of(rule, table, held):
        return float("nan"), float("nan")
    holding = holding_of(rule, table, priced, row, held, confidence)
    if not _is_priced(holding):
        return float("nan"), float("nan")
    return required(net_margin(terms_of(rule, holding.underlyings.name), holding))


def holding_of(
    rule: StandardManager, table: Table, priced: Priced, row: int, held: Held, confidence: Confidence
) -> Holding:
    """A pool as the columns of `standard_manager`; arguments are those of `requirement_of`.

    Cash is the balance of the settlement asset, and profit zero: both stand in the equity, and no part of the
    requirement depends on them. Spot is the index of the underlying's instruments, else the asset's own price. The
    forward of an expiry is the largest that its options are quoted with, its confidence the least.
    """
    first, place = first_seen(held.instrument)
    at = held.instrument[first]
    size = np.bincount(place, weights=held.quantity, minlength=len(at)) * table.a[at]
    with_collateral = {market.base for market in rule.markets if market.collateral is not None}
    balance = np.array(
        [
            max(float(amount), 0.0) if name in with_collateral else 0.0
            for name, amount in zip(table.assets, held.balance, strict=True)
        ]
    )
    # In the order of their names, which no other account can change.
    wanted = {*table.base[at].tolist(), *np.flatnonzero(balance).tolist()}
    bases = np.array(sorted(wanted, key=table.assets.__getitem__), dtype=np.int64)
    market = rows_of(table.base[at], bases)
    settled = (
        priced.asset_price[row, table.assets.index(rule.settlement)]
        if rule.settlement in table.assets
        else 1.0
    )
    spot = priced.asset_price[row, bases] / settled
    spot[market] = priced.index[row, at]
    option = table.is_option[at]
    perpetual, price, sureness = np.zeros(len(bases)), spot.copy(), np.ones(len(bases))
    perps = market[~option]
    perpetual[perps], price[perps] = size[~option], priced.mark[row, at[~option]]
    sureness[perps] = confidence.instrument[at[~option]]
    under = Underlyings(
        name=tuple(table.assets[base] for base in bases.tolist()),
        spot=spot,
        spot_confidence=confidence.asset[bases],
        perpetual=perpetual,
        perpetual_price=price,
        perpetual_confidence=sureness,
        perpetual_profit=np.zeros(len(bases)),
        base=balance[bases],
    )
    cash = held.balance[table.assets.index(rule.settlement)] if rule.settlement in table.assets else 0.0
    expiries, options = _options(table, priced, row, at[option], size[option], market[option], confidence)
    return Holding(float(cash), confidence.stable, under, expiries, options)


def required(margin: StandardMargin) -> tuple[float, float]:
    """Initial and maintenance requirement of a net margin, >= 0 [settlement asset].

    Equity less the net margin. Only prices that no market should show, as a spread sold for more than it can ever
    pay, would bring it below zero.
    """
    return _required(margin, INITIAL), _required(margin, MAINTENANCE)


def _required(margin: StandardMargin, level: int) -> float:
    part = margin.level[level]
    base = margin.level[MAINTENANCE].base - part.base
    by_underlying = part.perpetual + base + part.depeg + part.oracle_perpetual + part.oracle_base
    by_expiry = margin.value_sum - part.options + part.oracle_options
    return max(float(by_underlying.sum() + by_expiry.sum()), 0.0)


def _options(  # noqa: PLR0913 - the option rows of a pool
    table: Table, priced: Priced, row: int, at: I64, size: F64, market: I64, confidence: Confidence
) -> tuple[Expiries, Options]:
    keys = np.array([market.astype(np.float64), table.years[at]])
    dates, expiry = np.unique(keys, axis=1, return_inverse=True)
    count = dates.shape[1]
    forward, known = np.zeros(count), np.ones(count)
    np.maximum.at(forward, expiry, priced.forward[row, at])
    np.minimum.at(known, expiry, confidence.instrument[at])
    first = np.zeros(count, dtype=np.int64)
    first[expiry[::-1]] = at[::-1]
    label = tuple(_date(table, instrument) for instrument in first.tolist())
    expiries = Expiries(label, dates[0].astype(np.int64), forward, known)
    symbols = tuple(_symbol(table, instrument) for instrument in at.tolist())
    price = priced.mark[row, at]
    return expiries, Options(symbols, expiry, table.strike[at], table.is_call[at], size, price)


def _symbol(table: Table, row: int) -> str:
    instrument = table.instruments[row]
    return "" if instrument is None else instrument.symbol


def _date(table: Table, row: int) -> str:
    instrument = table.instruments[row]
    expiry = None if instrument is None else expiry_of(instrument)
    return "" if expiry is None else f"{expiry:%Y-%m-%d %H:%M}"


def _is_priced(holding: Holding) -> bool:
    under, expiries, options = holding.underlyings, holding.expiries, holding.options
    columns = (under.spot, under.perpetual_price, expiries.forward, options.price, options.quantity)
    return bool(np.isfinite(holding.stable)) and all(bool(np.isfinite(column).all()) for column in columns)


def _is_margined(rule: StandardManager, market: StandardMarket | None, instrument: Instrument) -> bool:
    if market is None or not instrument.settlement == instrument.quote == rule.settlement:
        return False
    match instrument.kind, instrument.payoff:
        case Perpetual(), Linear():
            return market.perpetual is not None
        case Option(), QuotePremium():
            return market.options is not None
        case _:
            return False


def _no_rule(rule: StandardManager, instrument: Instrument) -> Issue:
    message = (
        f"has no margin in this rulebook, which knows linear perpetuals and options quoted and settled in "
        f"{rule.settlement} of the underlyings that it lists; close it or choose another rulebook"
    )
    return Issue(instrument.symbol, Reason.NO_RULE, message)


def _second(instrument: Instrument, first: str) -> Issue:
    message = (
        f"is a second perpetual of {instrument.base} beside {first}; the rulebook margins one an underlying"
    )
    return Issue(instrument.symbol, Reason.UNSUPPORTED, message)
