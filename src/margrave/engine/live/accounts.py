"""What fills, deposits and orders do to one account of a live venue: the account after, or a refusal."""

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from margrave.core.errors import Reason, refused
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Leg, Position
from margrave.domain.book import legs_of
from margrave.domain.fills import fill, premium
from margrave.domain.instruments import Instrument, Option, payoff_asset
from margrave.engine.changes import with_cash
from margrave.engine.live.events import AccountEvent, Deposited, Filled, OrderCancelled, OrderPlaced
from margrave.engine.live.fees import fee_of
from margrave.rulebook.schema import Rulebook


def after(
    account: Account, listed: Mapping[str, Instrument], rulebook: Rulebook, event: AccountEvent
) -> Account:
    """The account after an event.

    Parameters
    ----------
    account : Account
        As it stands.
    listed : mapping of str to Instrument
        Contract terms of what may be traded. No price is read: an account does not depend on the ticks between its events.
    rulebook : Rulebook
        The rules in force at the event, for the fee of a fill that does not tell its own.
    event : AccountEvent
        What happened.

    Raises
    ------
    RefusedError
        The instrument is not listed, the order to be cancelled is not open, or the cash or fee of a fill has to be told.
    ValueError
        The fill goes through zero in hedge mode.
    """
    match event:
        case Filled():
            return _filled(account, _listed(account, listed, event.symbol), rulebook, event)
        case Deposited():
            return with_cash(account, event.asset, event.amount)
        case OrderPlaced(order=order):
            _listed(account, listed, order.symbol)
            return replace(account, orders=(*account.orders, order))
        case OrderCancelled(order=order):
            if order not in account.orders:
                where = f"{account.name}: {order.symbol}"
                message = f"there is no open order of {order.quantity:g} at {order.price:g}; it may be filled or cancelled already"
                raise refused(where, Reason.NOT_FOUND, message)
            at = account.orders.index(order)
            return replace(account, orders=(*account.orders[:at], *account.orders[at + 1 :]))
        case unknown:
            assert_never(unknown)


def _listed(account: Account, listed: Mapping[str, Instrument], symbol: str) -> Instrument:
    instrument = listed.get(symbol)
    if instrument is None:
        message = "is not among the market's instruments; list it first, with its terms"
        raise refused(f"{account.name}: {symbol}", Reason.UNKNOWN_INSTRUMENT, message)
    return instrument


def _filled(account: Account, instrument: Instrument, rulebook: Rulebook, event: Filled) -> Account:
    held = _held(account, event)
    before = _opened(event) if held is None else replace(held, leg=event.leg)
    now, flows = fill(instrument, before, event.quantity, event.price)
    cash = _cash(account, instrument, event, flows.realised) - _fee(account, instrument, rulebook, event)
    if event.mode is MarginMode.ISOLATED:  # margin leaves pro rata with what is closed
        cash += (before.isolated_margin or 0.0) - (now.isolated_margin or 0.0)
    positions = [now if p is held else p for p in account.positions] + ([now] if held is None else [])
    kept = _told_apart([p for p in positions if p is not now or now.quantity])
    return with_cash(replace(account, positions=kept), instrument.settlement, cash)


def _held(account: Account, event: Filled) -> Position | None:
    # Books keep no legs: a leg is the position of its side, or one that is flat.
    rows = [p for p in account.positions if (p.symbol, p.mode) == (event.symbol, event.mode)]
    if event.leg is Leg.NET:
        if len(rows) > 1:
            message = "is held long and short; name the leg of the fill"
            raise refused(f"{account.name}: {event.symbol}", Reason.CONTRADICTION, message)
        return next(iter(rows), None)
    sign = 1.0 if event.leg is Leg.LONG else -1.0
    own = [p for p in rows if sign * p.quantity > 0.0] + [p for p in rows if p.quantity == 0.0]
    return next(iter(own), None)


def _opened(event: Filled) -> Position:
    return Position(
        symbol=event.symbol,
        quantity=0.0,
        entry=event.price,
        mode=event.mode,
        leg=event.leg,
        leverage=event.leverage,
    )


def _cash(account: Account, instrument: Instrument, event: Filled, realised: float) -> float:
    if event.cash is not None:
        return event.cash
    paid = payoff_asset(instrument)
    if paid != instrument.settlement:
        message = f"pays in {paid} and settles in {instrument.settlement}; state the fill's cash"
        raise refused(f"{account.name}: {event.symbol}", Reason.UNSUPPORTED, message)
    is_option = isinstance(instrument.kind, Option)
    return premium(instrument, event.quantity, event.price) if is_option else realised


def _fee(account: Account, instrument: Instrument, rulebook: Rulebook, event: Filled) -> float:
    if event.fee is not None:
        return event.fee
    if event.liquidity is None:
        return 0.0
    return fee_of(rulebook, instrument, event.quantity, event.price, event.liquidity, account.name)


def _told_apart(positions: list[Position]) -> tuple[Position, ...]:
    legs = legs_of([(p.symbol, p.mode) for p in positions], [p.quantity for p in positions])
    return tuple(p if p.leg is leg else replace(p, leg=leg) for p, leg in zip(positions, legs, strict=True))
