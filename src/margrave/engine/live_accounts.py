"""What fills, deposits and orders do to one account of a live venue: the account after, or a refusal."""

from dataclasses import replace
from typing import assert_never

from margrave.core.errors import Reason, refused
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Position
from margrave.domain.fills import fill, premium
from margrave.domain.instruments import Instrument, Option, payoff_asset
from margrave.domain.market import Market
from margrave.engine.changes import with_cash
from margrave.engine.live_events import AccountEvent, Deposited, Filled, OrderCancelled, OrderPlaced


def after(account: Account, market: Market, event: AccountEvent) -> Account:
    """The account after an event; prices of the market are not read, only its contract terms.

    Raises
    ------
    RefusedError
        The instrument is not listed, the order to be cancelled is not open, or the cash of a fill has to be told.
    ValueError
        The fill goes through zero in hedge mode.
    """
    match event:
        case Filled():
            return _filled(account, _listed(account, market, event.symbol), event)
        case Deposited():
            return with_cash(account, event.asset, event.amount)
        case OrderPlaced(order=order):
            _listed(account, market, order.symbol)
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


def _listed(account: Account, market: Market, symbol: str) -> Instrument:
    instrument = market.instruments.get(symbol)
    if instrument is None:
        message = "is not among the market's instruments; start the live book with its terms"
        raise refused(f"{account.name}: {symbol}", Reason.UNKNOWN_INSTRUMENT, message)
    return instrument


def _filled(account: Account, instrument: Instrument, event: Filled) -> Account:
    opened = Position(
        symbol=event.symbol,
        quantity=0.0,
        entry=event.price,
        mode=event.mode,
        leg=event.leg,
        leverage=event.leverage,
    )
    key = (event.symbol, event.mode, event.leg)
    held = next((p for p in account.positions if (p.symbol, p.mode, p.leg) == key), None)
    before = opened if held is None else held
    now, flows = fill(instrument, before, event.quantity, event.price)
    cash = event.cash
    if cash is None:
        if payoff_asset(instrument) != instrument.settlement:
            message = f"pays in {payoff_asset(instrument)} and settles in {instrument.settlement}; state the fill's cash"
            raise refused(f"{account.name}: {event.symbol}", Reason.UNSUPPORTED, message)
        is_option = isinstance(instrument.kind, Option)
        cash = premium(instrument, event.quantity, event.price) if is_option else flows.realised
    if event.mode is MarginMode.ISOLATED:  # margin leaves pro rata with what is closed
        cash += (before.isolated_margin or 0.0) - (now.isolated_margin or 0.0)
    positions = tuple(
        now if p is before else p for p in (*account.positions, *([opened] if held is None else []))
    )
    kept = tuple(p for p in positions if p is not now or now.quantity)
    return with_cash(replace(account, positions=kept), instrument.settlement, cash)
