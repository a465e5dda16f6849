"""The standard manager as a requirement beside equity: of pools in rows of a market.

`margin.standard.standard_manager` says what is left after the requirement. Here the requirement stands beside an equity that
counts cash, profit, options at market value and base collateral after its factor (the collateral rule of the
rulebook): what a long option is worth is in the equity and is asked back here, so that it carries nothing; a base
asset's second factor, which only initial margin knows, is charged in initial.
"""

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from margrave.core.errors import Issue, Reason
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.domain.instruments import Instrument, Linear, Option, Perpetual, QuotePremium, expiry_of
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.groups import first_seen
from margrave.margin.standard.standard_holdings import Confidence, HeldPools, holdings_of, known
from margrave.margin.standard.standard_manager import Holding, StandardMargin, grouped, margin_of
from margrave.rulebook.standard_manager import StandardManager, StandardMarket
from margrave.valuation.scenarios import Priced, row_of
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class Held:
    """Positions and balances of one pool."""

    instrument: I64  # (n,) rows of the table; several of one instrument are one position
    quantity: F64  # (n,) [contracts]
    balance: F64  # (A,) [asset] of each of the table's assets


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


def without_rule(rule: StandardManager, table: Table, held: HeldPools) -> Bools:
    """Pools in which `issues_of` finds something, (V,)."""
    listed = {market.base: market for market in rule.markets}
    first, kind = first_seen(held.instrument)
    seen = [table.instruments[row] for row in held.instrument[first].tolist()]
    margined = [i is not None and _is_margined(rule, listed.get(i.base), i) for i in seen]
    fault = ~np.array(margined, dtype=np.bool_)[kind]
    perps = np.flatnonzero(~fault & ~table.is_option[held.instrument])
    first, unit = first_seen(held.owner[perps] * len(table.assets) + table.base[held.instrument[perps]])
    fault[perps] = held.instrument[perps] != held.instrument[perps[first]][unit]
    out = np.zeros(held.count, dtype=np.bool_)
    out[held.owner[fault]] = True
    return out


def requirements_of(
    rule: StandardManager, table: Table, priced: Priced, held: HeldPools, confidence: Confidence
) -> tuple[F64, F64]:
    """Initial and maintenance requirement of pools in every row of a market.

    Parameters
    ----------
    rule : StandardManager
        Section of the rulebook.
    table, priced : Table, Priced
        Instruments, and their prices (S, I).
    held : HeldPools
        Positions and balances of V pools.
    confidence : Confidence
        Feeds; `sure` where a market does not tell.

    Returns
    -------
    tuple of (S, V) ndarray
        Initial and maintenance, >= 0 [settlement asset]; NaN where `issues_of` finds something or a price is not
        one that a market can have.
    """
    rows = len(priced.mark)
    holdings = holdings_of(rule, table, priced, held, confidence)
    unknown = np.where(known(holdings, rows * held.count), 0.0, np.nan).reshape(rows, held.count)
    unknown[:, without_rule(rule, table, held)] = np.nan
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        margin = margin_of(holdings.terms, holdings.holding, holdings.payoffs)
    initial, maintenance = (
        required_of(margin, level, holdings.pool, unknown.size).reshape(unknown.shape)
        for level in (INITIAL, MAINTENANCE)
    )
    return initial + unknown, maintenance + unknown


def requirement_of(
    rule: StandardManager, table: Table, priced: Priced, row: int, held: Held, confidence: Confidence
) -> tuple[float, float]:
    """`requirements_of` one pool in one row of a market."""
    initial, maintenance = requirements_of(rule, table, row_of(priced, row), _alone(held), confidence)
    return float(initial[0, 0]), float(maintenance[0, 0])


def holding_of(
    rule: StandardManager, table: Table, priced: Priced, row: int, held: Held, confidence: Confidence
) -> Holding:
    """A pool as the columns of `standard_manager`, with labels; arguments are those of `requirement_of`."""
    found = holdings_of(rule, table, row_of(priced, row), _alone(held), confidence)
    holding = found.holding
    names = tuple(table.assets[base] for base in found.base.tolist())
    dates = tuple(_date(table, instrument) for instrument in found.dated.tolist())
    symbols = tuple(_symbol(table, instrument) for instrument in found.option.tolist())
    return Holding(
        float(holding.cash[0]),
        float(np.asarray(confidence.stable)),
        replace(holding.underlyings, name=names),
        replace(holding.expiries, label=dates),
        replace(holding.options, label=symbols),
    )


def _alone(held: Held) -> HeldPools:
    none = np.zeros(len(held.instrument), dtype=np.int64)
    assets = np.arange(len(held.balance))
    return HeldPools(1, none, held.instrument, held.quantity, np.zeros_like(assets), assets, held.balance)


def required(margin: StandardMargin) -> tuple[float, float]:
    """Initial and maintenance requirement of one account's net margin, >= 0 [settlement asset].

    Equity less the net margin. Only prices that no market should show, as a spread sold for more than it can ever
    pay, would bring it below zero.
    """
    alone = np.zeros(len(margin.holding.underlyings.spot), dtype=np.int64)
    initial, maintenance = (required_of(margin, level, alone, 1) for level in (INITIAL, MAINTENANCE))
    return float(initial[0]), float(maintenance[0])


def required_of(margin: StandardMargin, level: int, pool: I64, count: int) -> F64:
    """Requirement at a level of the pools that the underlyings stand in, (count,)."""
    part = margin.level[level]
    base = margin.level[MAINTENANCE].base - part.base
    by_underlying = part.perpetual + base + part.depeg + part.oracle_perpetual + part.oracle_base
    by_expiry = margin.value_sum - part.options + part.oracle_options
    dated = grouped(by_expiry, pool[margin.holding.expiries.market], count)
    return np.maximum((grouped(by_underlying, pool, count) + dated).astype(np.float64), 0.0)


def _symbol(table: Table, row: int) -> str:
    instrument = table.instruments[row]
    return "" if instrument is None else instrument.symbol


def _date(table: Table, row: int) -> str:
    instrument = table.instruments[row]
    expiry = None if instrument is None else expiry_of(instrument)
    return "" if expiry is None else f"{expiry:%Y-%m-%d %H:%M}"


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
