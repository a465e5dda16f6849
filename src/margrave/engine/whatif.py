"""Before and after: fills and price moves on an account, without touching it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from margrave.core.errors import InvalidInputError, Reason, invalid
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Position
from margrave.domain.fills import fill, premium
from margrave.domain.instruments import Instrument, Option, payoff_asset
from margrave.domain.market import Market, Quote
from margrave.engine.assess import assess
from margrave.engine.assessment import Assessment
from margrave.engine.default.closing import conversion
from margrave.engine.isolated import isolated_margins
from margrave.rulebook.schema import Rulebook
from margrave.valuation.scenarios import shifted
from margrave.valuation.table import table_of


@final
@dataclass(frozen=True, slots=True)
class Leg:
    """A trade that might be made."""

    symbol: str
    quantity: float  # [contracts] buy > 0
    price: float | None = None  # None: at the mark


@final
@dataclass(frozen=True, slots=True)
class WhatIf:
    """The account as it is and as it would be."""

    before: Assessment
    after: Assessment
    account: Account  # as it would be
    market: Market  # as it would be


def moved(market: Market, factors: Mapping[str, float], vols: Mapping[str, float] | None = None) -> Market:
    """A market in which asset prices, and vols of options on them, are multiplied by factors.

    Parameters
    ----------
    market : Market
        As it is.
    factors : mapping of str to float
        What each asset's price is multiplied by; futures keep their basis.
    vols : mapping of str to float, optional
        What the implied vols of options on each asset are multiplied by; by default they keep them.

    Raises
    ------
    InvalidInputError
        An asset has no index price, an instrument has expired, or an option without a vol would have to move.
    """
    for asset in factors:
        if market.index_of(asset) is None:
            raise invalid(
                asset,
                Reason.MISSING_INDEX,
                f"has no index price to move; the market has {', '.join(market.index)}",
            )
    symbols = tuple(s for s in market.quotes if s in market.instruments)
    table = table_of(symbols, tuple(market.index), market)
    row = [[factors.get(asset, 1.0) for asset in table.assets]]
    bases = [market.instruments[s].base for s in symbols]
    times = [1.0 if vols is None else vols.get(base, 1.0) for base in bases]
    priced = shifted(table, np.array(row, dtype=np.float64), np.array([times], dtype=np.float64))
    quotes: dict[str, Quote] = dict(market.quotes)
    for k, symbol in enumerate(symbols):
        mark, quote = float(priced.mark[0, k]), market.quotes[symbol]
        if not mark == mark:
            raise _not_priced(symbol, market)
        index = None if quote.index is None else float(priced.index[0, k])
        forward = None if quote.forward is None else float(priced.forward[0, k])
        vol = None if quote.vol is None else quote.vol * times[k]
        quotes[symbol] = replace(quote, mark=max(mark, 1e-12), index=index, forward=forward, vol=vol)
    index_now = {asset: price * factors.get(asset, 1.0) for asset, price in market.index.items()}
    return replace(market, quotes=quotes, index=index_now)


def _not_priced(symbol: str, market: Market) -> InvalidInputError:
    expiry = getattr(market.instruments[symbol].kind, "expiry", None)
    if expiry is not None and expiry < market.at:
        told = f"expired at {expiry:%Y-%m-%d %H:%M}Z and cannot be repriced; settle it at its delivery price"
        return invalid(symbol, Reason.NOT_IN_FORCE, told)
    return invalid(symbol, Reason.MISSING_VOL, "cannot be repriced without a vol; add it to its quote")


def filled(account: Account, market: Market, leg: Leg, rulebook: Rulebook) -> Account:
    """The account after one trade: position, realised profit, premium and fee booked.

    What an isolated position opens takes its initial margin out of the wallet; what it closes gives its share
    of the margin back (spec IMM-4).
    """
    instrument = market.instruments.get(leg.symbol)
    quote = market.quotes.get(leg.symbol)
    if instrument is None or (leg.price is None and quote is None):
        reason = Reason.UNKNOWN_INSTRUMENT if instrument is None else Reason.MISSING_MARK
        told = f"is needed for the leg; the market has {', '.join(market.instruments)}"
        raise invalid(leg.symbol, reason, told)
    price = leg.price if leg.price is not None else (quote.mark if quote else 0.0)
    held = next((p for p in account.positions if p.symbol == leg.symbol), None)
    start = held or Position(symbol=leg.symbol, quantity=0.0, entry=price)
    after, cash = taken(instrument, market, start, leg.quantity, price)
    if held is not None and held.mode is MarginMode.ISOLATED:
        after = _with_margin(account, market, rulebook, held, after)
        cash += _margin(account, market, rulebook, held) - (after.isolated_margin or 0.0)
    positions = (
        tuple(after if p is held else p for p in account.positions)
        if held is not None
        else (*account.positions, after)
    )
    kept = tuple(p for p in positions if p.quantity != 0)
    return replace(account, positions=kept, balances=_paid(account, instrument, cash))


def taken(
    instrument: Instrument, market: Market, position: Position, quantity: float, price: float
) -> tuple[Position, float]:
    """A position after a trade as a taker, and the cash that moves: realised profit or premium, and the fee.

    Parameters
    ----------
    instrument : Instrument
        Contract terms of ``position.symbol``.
    market : Market
        Converts what is paid in another asset than the settlement's.
    position : Position
        Before the trade.
    quantity, price : float
        Contracts, buy > 0, and price.

    Returns
    -------
    position, cash : Position, float
        After the trade; cash received > 0. [settlement asset]
    """
    after, flows = fill(instrument, position, quantity, price, instrument.taker_fee or 0.0)
    cash = flows.total
    if isinstance(instrument.kind, Option):
        cash = premium(instrument, quantity, price) + flows.fee
    return after, cash * conversion(market, payoff_asset(instrument), instrument.settlement)


def _margin(account: Account, market: Market, rulebook: Rulebook, position: Position) -> float:
    only = replace(account, positions=(position,), orders=())
    return isolated_margins(only, market, rulebook)[0][1]


def _with_margin(
    account: Account, market: Market, rulebook: Rulebook, held: Position, after: Position
) -> Position:
    kept = _margin(account, market, rulebook, held)
    if after.quantity == 0:
        return replace(after, isolated_margin=0.0)
    share = after.quantity / held.quantity if held.quantity else 0.0
    if 0 < share <= 1:
        return replace(after, isolated_margin=kept * share)
    asked = _margin(account, market, rulebook, replace(after, isolated_margin=None))
    fresh = 1.0 - 1.0 / share if share > 1 else 1.0  # of the position, that this trade opened
    return replace(after, isolated_margin=(kept if share > 1 else 0.0) + asked * fresh)


def _paid(account: Account, instrument: Instrument, cash: float) -> tuple[Balance, ...]:
    held = {b.asset: b for b in account.balances}
    asset = instrument.settlement
    balance = held.get(asset, Balance(asset=asset, amount=0.0))
    held[asset] = replace(balance, amount=balance.amount + cash)
    return tuple(held.values())


def what_if(
    account: Account,
    market: Market,
    rulebook: Rulebook,
    legs: tuple[Leg, ...] = (),
    factors: dict[str, float] | None = None,
) -> WhatIf:
    """Assess an account before and after trades at today's prices and a move of asset prices that follows.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        As they are.
    legs : tuple of Leg
        Trades, filled in order before prices move.
    factors : dict of str to float, optional
        What each asset's price is multiplied by.
    """
    after = account
    for leg in legs:
        try:
            after = filled(after, market, leg, rulebook)
        except ValueError as fault:
            raise invalid(f"leg {leg.symbol}", Reason.INVALID_VALUE, f"{fault}; correct the trade") from fault
    later = moved(market, factors) if factors else market
    return WhatIf(assess(account, market, rulebook), assess(after, later, rulebook), after, later)
