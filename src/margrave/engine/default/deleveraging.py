"""Auto-deleveraging: who closes against a bankrupt position, in which order, at which price (spec CMS-5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

from margrave.core.words import MarginMode
from margrave.domain.account import Account, Position
from margrave.domain.checks import PRICE_MAX, PRICE_MIN
from margrave.domain.fills import fill, notional, profit
from margrave.domain.instruments import Instrument, coefficients, payoff_asset
from margrave.domain.market import Market
from margrave.engine.assess import assess
from margrave.engine.changes import with_cash
from margrave.engine.default.closing import cash_of, conversion
from margrave.engine.isolated import isolated_margins
from margrave.rulebook.schema import Rulebook


@final
@dataclass(frozen=True, slots=True)
class Winner:
    """A position in profit that may be deleveraged."""

    account: str
    pool: str
    position: Position
    score: float  # profit over entry value, times leverage: notional over margin balance


def takeover_price(
    instrument: Instrument, market: Market, mark: float, quantity: float, equity: float
) -> float | None:
    """Price at which closing a position leaves nothing of the equity that it carries.

    Parameters
    ----------
    instrument, market : Instrument, Market
        Terms, and index prices where the payoff is paid in another asset than it settles in.
    mark : float
        Where the position stands.
    quantity : float
        Signed contracts held, not zero.
    equity : float
        Its share of the pool's equity at the mark [settlement asset]; a loss < 0.

    Returns
    -------
    float or None
        ``worth(p) = worth(mark) - equity / quantity`` solved for p; for the only position of a pool its
        bankruptcy price. None where no price does it: an inverse long cannot win back more than its coins, nor
        a linear short more than its notional.
    """
    a, c = coefficients(instrument.payoff)
    each = equity / (quantity * conversion(market, payoff_asset(instrument), instrument.settlement))
    if c == 0.0:
        price = mark - each / a
    else:
        inverse = 1.0 / mark + each / c
        price = 1.0 / inverse if inverse > 0 else 0.0
    return price if PRICE_MIN <= price <= PRICE_MAX else None


def winners(
    accounts: Mapping[str, Account], market: Market, rulebook: Rulebook, symbol: str, quantity: float
) -> list[Winner]:
    """Positions in profit opposite to a quantity, by profit times leverage, the highest first; ties by name."""
    instrument, found = market.instruments[symbol], []
    for account in accounts.values():
        held = [p for p in account.positions if p.symbol == symbol and p.quantity * quantity < 0]
        for pool in assess(account, market, rulebook).pools if held else ():
            for position in held:
                here = pool.mode == position.mode and (
                    pool.mode == "isolated" or pool.currency == instrument.settlement
                )
                matching = [
                    p for p in pool.positions if p.symbol == symbol and p.quantity == position.quantity
                ]
                if here and matching and pool.margin_balance > 0 and matching[0].profit > 0:
                    entry = notional(instrument.payoff, position.quantity, position.entry)
                    gain = profit(instrument.payoff, position.quantity, position.entry, matching[0].mark)
                    score = gain / entry * matching[0].notional / pool.margin_balance
                    found.append(Winner(account.name, pool.name, position, score))
    return sorted(found, key=lambda w: (-w.score, w.account, w.pool))


@final
@dataclass(frozen=True, slots=True)
class Deleveraged:
    """One winner closed against a bankrupt position."""

    account: str
    pool: str
    symbol: str
    quantity: float  # [contracts] that the winner traded: buy > 0
    price: float
    realised: float  # by the winner [settlement asset]
    freed: float  # isolated margin that went back to its wallet
    score: float


def deleveraged(
    account: Account, winner: Winner, market: Market, rulebook: Rulebook, quantity: float, price: float
) -> tuple[Account, Deleveraged]:
    """Close part of a winner at the takeover price; isolated margin goes back pro rata (spec IMM-4).

    Parameters
    ----------
    account, winner, market, rulebook : Account, Winner, Market, Rulebook
        The winner's account as it is.
    quantity, price : float
        Contracts that it trades, against its position, at most all of it; and the price.
    """
    position, margin = winner.position, 0.0
    instrument = market.instruments[position.symbol]
    if position.mode is MarginMode.ISOLATED:
        only = replace(account, positions=(position,), orders=())
        margin = isolated_margins(only, market, rulebook)[0][1]
        stated = replace(position, isolated_margin=margin)
        after = fill(instrument, stated, quantity, price)[0]
    else:
        after = fill(instrument, position, quantity, price)[0]
    realised = cash_of(instrument, market, position, quantity, price)
    freed = margin - (after.isolated_margin or 0.0)
    kept = tuple(after if p == position else p for p in account.positions)
    poorer = replace(account, positions=tuple(p for p in kept if p.quantity != 0.0))
    made = Deleveraged(
        account.name, winner.pool, position.symbol, quantity, price, realised, freed, winner.score
    )
    return with_cash(poorer, instrument.settlement, realised + freed), made


def eligible(found: Sequence[Winner], instrument: Instrument, price: float) -> list[Winner]:
    """Winners that still win at the price: deleveraging takes profit, it never makes a loss."""
    return [
        w for w in found if profit(instrument.payoff, w.position.quantity, w.position.entry, price) >= 0.0
    ]
