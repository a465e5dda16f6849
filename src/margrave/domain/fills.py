"""What fills, funding and expiry do to a position. Entry averages follow the payoff.

The average entry is the price at which the position's worth equals the sum of its fills' worths: arithmetic
for linear, quanto and premium payoffs, harmonic for inverse ones (spec 1.2; the arithmetic average of an
inverse position mis-states its profit).
"""

from dataclasses import replace
from typing import assert_never

from margrave.domain.account import Flows, Leg, Position
from margrave.domain.checks import require, require_price
from margrave.domain.instruments import (
    CoinPremium,
    Instrument,
    Inverse,
    Linear,
    Option,
    Payoff,
    Quanto,
    QuotePremium,
    Right,
    coefficients,
)


def average_entry(payoff: Payoff, fills: tuple[tuple[float, float], ...]) -> float:
    """Average entry price of fills on one side.

    Parameters
    ----------
    payoff : Payoff
        Harmonic average for `Inverse`, arithmetic for every other.
    fills : tuple of (quantity, price)
        Contracts and price of each fill, all of one sign.

    Returns
    -------
    float
        Average entry [as the prices].
    """
    require(len(fills) > 0, "fills", fills, "at least one fill")
    require(len({q > 0 for q, _ in fills}) == 1, "fills", fills, "all on one side")
    total = sum(q for q, _ in fills)
    match payoff:
        case Inverse():
            return total / sum(q / p for q, p in fills)
        case Linear() | Quanto() | CoinPremium() | QuotePremium():
            return sum(q * p for q, p in fills) / total
        case unknown:
            assert_never(unknown)


def profit(payoff: Payoff, quantity: float, entry: float, exit_price: float) -> float:
    """Profit of signed contracts from entry to exit, in the payoff's asset; loss < 0."""
    a, c = coefficients(payoff)
    return quantity * ((exit_price - entry) * (a + c / (exit_price * entry)))


def notional(payoff: Payoff, quantity: float, price: float) -> float:
    """Size of a position at a price, in the payoff's asset, >= 0."""
    a, c = coefficients(payoff)
    return abs(quantity) * (a * price + c / price)


def fill(
    instrument: Instrument, position: Position, quantity: float, price: float, fee_rate: float = 0.0
) -> tuple[Position, Flows]:
    """Apply one fill.

    A fill on the position's side moves the average entry; one against it realises profit and leaves the entry;
    one that goes through zero closes the old position and opens the rest at the fill's price. Isolated margin
    leaves pro rata with a partial close (spec IMM-4) and is all released by a close.

    Parameters
    ----------
    instrument : Instrument
        Contract terms of ``position.symbol``.
    position : Position
        Before the fill.
    quantity, price : float
        Signed contracts, and price [as the mark].
    fee_rate : float
        Fraction of the notional at the fill's price that is paid as fee; negative for a rebate.

    Returns
    -------
    position, flows : Position, Flows
        After the fill, and the cash that moved in the payoff's asset. Option premium is not profit: it is
        what `premium` says.
    """
    require(quantity != 0, "quantity", quantity, "other than zero")
    require_price("price", price)
    held, after = position.quantity, position.quantity + quantity
    fee = -fee_rate * notional(instrument.payoff, quantity, price)
    if held == 0 or (held > 0) == (quantity > 0):
        parts = ((held, position.entry), (quantity, price)) if held else ((quantity, price),)
        return replace(position, quantity=after, entry=average_entry(instrument.payoff, parts)), Flows(
            fee=fee
        )
    closed = quantity if abs(quantity) <= abs(held) else -held
    realised = profit(instrument.payoff, -closed, position.entry, price)
    if abs(quantity) <= abs(held):
        kept = None if position.isolated_margin is None else position.isolated_margin * (after / held)
        return replace(position, quantity=after, isolated_margin=kept), Flows(realised=realised, fee=fee)
    require(position.leg is Leg.NET, "quantity", quantity, "at most the position's size in hedge mode")
    # Through zero: what is open now was opened by this fill alone, with margin of its own.
    opened = replace(position, quantity=after, entry=price, isolated_margin=None)
    return opened, Flows(realised=realised, fee=fee)


def premium(instrument: Instrument, quantity: float, price: float) -> float:
    """Premium that trading options moves at once, received > 0, in the payoff's asset."""
    require(isinstance(instrument.kind, Option), "instrument", instrument.symbol, "an option")
    a, _ = coefficients(instrument.payoff)
    return -quantity * a * price


def funding(instrument: Instrument, position: Position, mark: float, rate: float) -> Flows:
    """Funding of one period: long pays short when the rate is above zero.

    Parameters
    ----------
    instrument, position : Instrument, Position
        A perpetual and the contracts held.
    mark : float
        Price on which the notional is taken [quote per base].
    rate : float
        Funding of the period [fraction of notional].

    Returns
    -------
    Flows
        ``funding = -sign(quantity) rate notional`` in the payoff's asset (spec 1.2, FM-3); changes equity only.
    """
    require_price("mark", mark)
    sign = 1.0 if position.quantity > 0 else -1.0
    return Flows(funding=-sign * rate * notional(instrument.payoff, position.quantity, mark))


def settle_session(instrument: Instrument, position: Position, settlement: float) -> tuple[Position, Flows]:
    """Move unrealised profit to cash at a session settlement: equity does not change (spec CMM-5)."""
    require_price("settlement", settlement)
    realised = profit(instrument.payoff, position.quantity, position.entry, settlement)
    return replace(position, entry=settlement), Flows(realised=realised)


def intrinsic(instrument: Instrument, delivery: float) -> float:
    """Payoff of one option contract at expiry, in the payoff's asset, >= 0 (spec OM-5, deribit.md 1)."""
    option = instrument.kind
    require(isinstance(option, Option), "instrument", instrument.symbol, "an option")
    assert isinstance(option, Option)
    require_price("delivery", delivery)
    a, _ = coefficients(instrument.payoff)
    sign = 1.0 if option.right is Right.CALL else -1.0
    worth = max(sign * (delivery - option.strike), 0.0)
    return a * (worth / delivery if isinstance(instrument.payoff, CoinPremium) else worth)


def expire(instrument: Instrument, position: Position, delivery: float) -> tuple[Position, Flows]:
    """Settle a position at expiry: cash moves, nothing is left, margin is released.

    Futures pay the profit from entry to the delivery price; options pay their intrinsic value (a short pays it
    away).
    """
    require_price("delivery", delivery)
    flat = replace(position, quantity=0.0, isolated_margin=None)
    if isinstance(instrument.kind, Option):
        return flat, Flows(realised=position.quantity * intrinsic(instrument, delivery))
    return flat, Flows(realised=profit(instrument.payoff, position.quantity, position.entry, delivery))
