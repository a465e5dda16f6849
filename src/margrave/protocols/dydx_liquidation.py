"""dYdX v4, liquidation: bankruptcy price, fillable price, the insurance fund's share, deleveraging.

The protocol puts an order on the book for a liquidatable position. The fillable price bounds how bad a fill may be, the
bankruptcy price is where the closed part leaves its share of the account's equity at zero, and what lies between a
fill and the bankruptcy price is paid to, or drawn from, the insurance fund. Integers as in `dydx`; quotes are money
received > 0. Source: specification of on-chain systems, section 2.3.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import final

from margrave.core.errors import Reason, invalid
from margrave.domain.checks import require
from margrave.protocols.dydx import (
    MILLION,
    Holding,
    Risk,
    account_risk,
    net_notional,
    position_risk,
    require_whole,
    scaled,
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationRules:
    """Parameters of liquidation, those of the genesis configuration by default."""

    fee_max_ppm: int = 15_000  # of the quote of a fill
    bankruptcy_adjustment_ppm: int = MILLION  # how fast the fillable price leaves the oracle price
    spread_to_maintenance_ppm: int = 1_500_000  # farthest it gets, of the position's maintenance
    position_notional_min: int = 1_000 * MILLION  # [quote quantums] smaller positions are closed at once
    position_share_max_ppm: int = 100_000  # of a position, a block
    account_notional_max: int = 100_000 * MILLION  # [quote quantums] of an account, a block
    insurance_loss_max: int = 1_000_000 * MILLION  # [quote quantums] of an account, a block

    def __post_init__(self) -> None:
        for name in self.__slots__:
            require_whole(name, getattr(self, name))
            require(getattr(self, name) >= 0, name, getattr(self, name), "zero or more")


GENESIS = LiquidationRules()


@final
@dataclass(frozen=True, slots=True)
class Subaccount:
    """What a liquidation looks at."""

    quote_balance: int  # [quote quantums]
    holdings: tuple[Holding, ...]


@final
@dataclass(frozen=True, slots=True)
class Deleveraged:
    """One part of a position taken over by a holder of the opposite side."""

    holder: str
    quantums: int  # change of the bankrupt account's position [base quantums]
    quote: int  # money that the bankrupt account receives [quote quantums]


def holding_of(account: Subaccount, name: str) -> Holding:
    """Position of an account in a market.

    Raises
    ------
    InvalidInputError
        The account holds none.
    """
    held = next((h for h in account.holdings if h.perpetual.name == name and h.quantums), None)
    if held is None:
        raise invalid(name, Reason.NOT_FOUND, "is not held by the subaccount; name a market that is")
    return held


def _closing(account: Subaccount, name: str, delta: int) -> tuple[Holding, Risk]:
    # The position, and the account's risk; a delta that opens, flips or does nothing closes nothing.
    require_whole("delta", delta)
    held = holding_of(account, name)
    if delta == 0 or delta * held.quantums > 0 or abs(delta) > abs(held.quantums):
        message = f"a change of {delta} does not close a position of {held.quantums}; give one of opposite sign, not larger"
        raise invalid(name, Reason.INVALID_VALUE, message)
    risk = account_risk(account.quote_balance, account.holdings)
    if risk.maintenance == 0:
        raise invalid(
            name,
            Reason.INVALID_VALUE,
            "the subaccount needs no maintenance, so that nothing can be liquidated",
        )
    return held, risk


def bankruptcy_quote(account: Subaccount, name: str, delta: int) -> int:
    """Money that leaves the closed part with no equity [quote quantums].

    Parameters
    ----------
    account : Subaccount
        Before the fill.
    name : str
        Market.
    delta : int
        Change of the position, of its opposite sign. [base quantums]

    Returns
    -------
    int
        ``-dNNV - floor(TNC |dMMR| / TMMR)``: each unit of maintenance that is released carries its share of equity.
        Received > 0: what a long is sold for, or minus what a short is bought back for. A position that cannot be
        sold at a loss has a quote below zero.

    Raises
    ------
    InvalidInputError
        The position is not held, the change does not close it, or no maintenance is asked.
    """
    held, risk = _closing(account, name, delta)
    before, after = position_risk(held), position_risk(replace(held, quantums=held.quantums + delta))
    released = abs(after.maintenance - before.maintenance)
    moved = after.net_collateral - before.net_collateral
    return -moved - risk.net_collateral * released // risk.maintenance


def fillable_price(account: Subaccount, name: str, rules: LiquidationRules = GENESIS) -> Fraction:
    """Price at which the protocol's order may be filled, exact [quote quantums per base quantum].

    ``(PNNV - ABR SMMR PMMR) / size`` with ``ABR = clamp(BA (1 - TNC / TMMR), 0, 1)``: at maintenance it is the oracle
    price, and the further the account is under water the further from it the book may fill.

    Raises
    ------
    InvalidInputError
        The position is not held, or no maintenance is asked.
    """
    held = holding_of(account, name)
    held, risk = _closing(account, name, -held.quantums)
    own = position_risk(held)
    depth = Fraction(rules.bankruptcy_adjustment_ppm, MILLION) * (
        1 - Fraction(risk.net_collateral, risk.maintenance)
    )
    spread = Fraction(rules.spread_to_maintenance_ppm, MILLION) * own.maintenance
    return (own.net_collateral - min(max(depth, Fraction(0)), Fraction(1)) * spread) / held.quantums


def fill_quote(quantums: int, subticks: int, conversion_exponent: int) -> int:
    """Money of a fill, rounded down: ``quantums × subticks × 10^conversion_exponent`` [quote quantums].

    Parameters
    ----------
    quantums : int
        Unsigned size. [base quantums]
    subticks : int
        Price on the order book.
    conversion_exponent : int
        Quantum conversion exponent of the book.
    """
    for name, number in (("quantums", quantums), ("subticks", subticks), ("exponent", conversion_exponent)):
        require_whole(name, number)
    return scaled(quantums * subticks, conversion_exponent)


def insurance_delta(
    account: Subaccount, name: str, delta: int, quote: int, fee_max_ppm: int = GENESIS.fee_max_ppm
) -> int:
    """What a fill pays to the insurance fund (> 0), or draws from it (< 0) [quote quantums].

    Parameters
    ----------
    account, name, delta
        As for `bankruptcy_quote`.
    quote : int
        Money of the fill, unsigned. [quote quantums]
    fee_max_ppm : int
        Largest share of the fill that the fund takes.

    Returns
    -------
    int
        Quote of the fill less bankruptcy quote, at most ``floor(quote × fee)``. A loss is drawn in full.
    """
    received = -quote if delta > 0 else quote
    left = received - bankruptcy_quote(account, name, delta)
    return min(left, quote * fee_max_ppm // MILLION)


def liquidatable_notional(notional: int, liquidated: int = 0, rules: LiquidationRules = GENESIS) -> int:
    """Notional of a position that may still be liquidated in this block [quote quantums].

    Parameters
    ----------
    notional : int
        Of the position, unsigned.
    liquidated : int
        Of the account, in this block already.
    rules : LiquidationRules
        Limits: a share of the position, but never less than the least notional; and the account's limit.
    """
    largest = max(notional * rules.position_share_max_ppm // MILLION, rules.position_notional_min)
    return max(min(notional, largest, rules.account_notional_max - liquidated), 0)


def must_deleverage(risk: Risk, delta: int = 0, fund: int = 0) -> bool:
    """Whether other holders take the position over: collateral is below zero, or the fund cannot pay its share.

    Parameters
    ----------
    risk : Risk
        Of the account.
    delta : int
        Insurance fund's share of the fill. [quote quantums]
    fund : int
        What is in the fund. [quote quantums]
    """
    return risk.net_collateral < 0 or fund + min(delta, 0) < 0


def deleverage(
    account: Subaccount, name: str, opposite: Iterable[tuple[str, int]]
) -> tuple[Deleveraged, ...]:
    """Close a position at its bankruptcy price against holders of the opposite side.

    Parameters
    ----------
    account : Subaccount
        Bankrupt account.
    name : str
        Market.
    opposite : iterable of (str, int)
        Holders and their signed sizes, in the order that they are taken (the chain's is random); those of the
        account's own side are passed over.

    Returns
    -------
    tuple of Deleveraged
        Until the position is closed or no holder is left.
    """
    return _taken_over(account, name, opposite, bankruptcy_quote)


def settle_finally(
    account: Subaccount, name: str, opposite: Iterable[tuple[str, int]]
) -> tuple[Deleveraged, ...]:
    """Close a position of a market that ends: as `deleverage`, at the oracle price."""
    return _taken_over(account, name, opposite, _oracle_quote)


def _oracle_quote(account: Subaccount, name: str, delta: int) -> int:
    return -net_notional(holding_of(account, name).perpetual, delta)


def _taken_over(
    account: Subaccount,
    name: str,
    opposite: Iterable[tuple[str, int]],
    quote_of: Callable[[Subaccount, str, int], int],
) -> tuple[Deleveraged, ...]:
    held = holding_of(account, name)
    taken: list[Deleveraged] = []
    for holder, size in opposite:
        if size * held.quantums < 0:
            amount = min(abs(size), abs(held.quantums))
            delta = -amount if held.quantums > 0 else amount
            quote = quote_of(account, name, delta)
            taken.append(Deleveraged(holder, delta, quote))
            rest = replace(held, quantums=held.quantums + delta)
            kept = tuple(rest if h is held else h for h in account.holdings)
            account, held = Subaccount(account.quote_balance + quote, kept), rest
    return tuple(taken)
