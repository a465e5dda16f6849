"""Liquidation amounts of Drift v2, in its integers (spec defi 3.3).

Fees and multipliers 1e-6, weights and ratios 1e-4, shares of what may be taken 1e-4. Where a rule sets no bound,
the largest number of the chain's type comes back, so that the smaller of it and a position is the position.
"""

from dataclasses import dataclass
from typing import final

from margrave.core.errors import Reason, invalid
from margrave.protocols.drift import (
    BASE,
    MAX_U64,
    MAX_U128,
    PRICE,
    QUOTE,
    WEIGHT,
    ceiled,
    unit,
    within,
)

FEE = 10**6
GRACE_SLOTS = 1_500
FEE_PER_SLOT = 1  # a hundredth of a basis point [1e-6]
SMALL_SHORTAGE = 50 * QUOTE  # below it all may be taken at once
DUST = QUOTE  # of an asset that may be left [1e-6]
FUNDING_PER_QUOTE = 1_000  # funding index 1e-9 a quote unit of 1e-6
_RATIO_TO_FEE = FEE // WEIGHT


@final
@dataclass(frozen=True, slots=True)
class Leg:
    """One side of a spot liquidation: the asset that is taken, or the liability that is paid."""

    price: int  # oracle [1e-6]
    decimals: int
    multiplier: int = FEE  # 1 + fee for the asset, 1 - fee for the liability [1e-6]
    weight: int = WEIGHT  # maintenance [1e-4]

    def __post_init__(self) -> None:
        within("leg: price", self.price, 0, MAX_U64 // 2)
        within("leg: decimals", self.decimals, 0, 19)
        within("leg: multiplier", self.multiplier, 0, MAX_U64)
        within("leg: weight", self.weight, 0, MAX_U64)


@final
@dataclass(frozen=True, slots=True)
class PerpTerms:
    """What a perpetual is liquidated at."""

    ratio: int  # margin ratio of the position, with the liquidation buffer on top [1e-4]
    fee: int  # to the liquidator [1e-6]
    price: int  # oracle [1e-6]
    quote_price: int = PRICE  # oracle of the quote token [1e-6]

    def __post_init__(self) -> None:
        within("terms: ratio", self.ratio, 0, MAX_U64)
        within("terms: fee", self.fee, 0, MAX_U64)
        within("terms: price", self.price, 0, MAX_U64 // 2)
        within("terms: quote price", self.quote_price, 0, MAX_U64 // 2)

    @property
    def value(self) -> int:
        """Price of a whole base in quote units of value [1e-6]."""
        return self.price * self.quote_price // PRICE


def base_to_cover_shortage(shortage: int, terms: PerpTerms, insurance_fee: int) -> int:
    """Base amount to close so that the margin it frees pays for shortage and fees (spec defi 3.3).

    Parameters
    ----------
    shortage : int
        Margin to free [1e-6].
    terms : PerpTerms
        Ratio, fee and prices.
    insurance_fee : int
        To the insurance fund [1e-6].

    Returns
    -------
    int
        ``shortage / (price (ratio - fee) - price insurance_fee)`` [1e-9], cut; `MAX_U64` where closing frees
        nothing.
    """
    _not_negative(shortage, insurance_fee)
    ratio = terms.ratio * _RATIO_TO_FEE
    if terms.price == 0 or ratio <= terms.fee:
        return MAX_U64
    freed = terms.value * (ratio - terms.fee) // FEE - terms.price * insurance_fee // FEE
    return min(MAX_U64, shortage * BASE // freed) if freed > 0 else MAX_U64


def liability_to_cover_shortage(shortage: int, asset: Leg, liability: Leg, insurance_fee: int) -> int:
    """Liability to pay so that the margin it frees covers the shortage (spec defi 3.3).

    Parameters
    ----------
    shortage : int
        Margin to free [1e-6].
    asset, liability : Leg
        What is taken for it and what is paid.
    insurance_fee : int
        To the insurance fund [1e-6].

    Returns
    -------
    int
        ``shortage / (price (lw - aw am / lm) - price insurance_fee lw)`` in token units, at least one; `MAX_U128`
        where swapping frees nothing.
    """
    _not_negative(shortage, insurance_fee)
    if asset.weight >= liability.weight or liability.multiplier == 0:
        return MAX_U128
    owed, owned = liability.weight * 10, asset.weight * 10 * asset.multiplier // liability.multiplier
    fee = liability.price * insurance_fee // FEE * owed
    freed = liability.price * (owed - owned) - fee
    if freed <= 0:
        return MAX_U128
    up, down = _scales(liability.decimals, 6)
    return max(1, shortage * up * PRICE * WEIGHT * 10 // freed // down)


def liability_for_asset(amount: int, asset: Leg, liability: Leg) -> int:
    """Liability that an asset amount pays for, in token units, rounded up: the account is paid for all of it."""
    _not_negative(amount)
    up, down = _scales(liability.decimals, asset.decimals)
    price = _above_zero(liability.price * asset.multiplier, "liability price and asset multiplier")
    return ceiled(ceiled(amount * up * asset.price * liability.multiplier, price), down)


def asset_for_liability(balance: int, asset: Leg, amount: int, liability: Leg) -> int:
    """Asset that pays for a liability amount (spec defi 3.3).

    Parameters
    ----------
    balance : int
        The account's whole balance of the asset [token units].
    asset : Leg
        What is taken.
    amount : int
        Liability to be paid [token units].
    liability : Leg
        What is paid.

    Returns
    -------
    int
        Token units, cut, at least one; the whole balance where what would be left, as the chain values it, is below a dollar.
    """
    _not_negative(balance, amount)
    up, down = _scales(asset.decimals, liability.decimals)
    price = _above_zero(asset.price * liability.multiplier, "asset price and liability multiplier")
    transfer = max(1, amount * up * liability.price * asset.multiplier // price // down)
    # Beyond six decimals the chain multiplies where a value would divide: there it sweeps less than a dollar.
    up, down = _scales(asset.decimals, 6)
    left = abs(transfer - balance) * down * asset.price // PRICE * up
    return balance if left < DUST else transfer


def perp_insurance_fee(shortage: int, base: int, terms: PerpTerms, most: int) -> int:
    """Insurance fee of a perpetual liquidation: ``.95 (ratio - fee - shortage / value)``, at most ``most`` [1e-6].

    Nothing where there is no price, no position or no ratio left after the liquidator's fee.
    """
    _not_negative(shortage, base, most)
    if not terms.price or not terms.quote_price or not base or terms.ratio * _RATIO_TO_FEE <= terms.fee:
        return 0
    if terms.value == 0:
        return 0
    used = shortage * BASE // base * PRICE // terms.value
    left = max(0, terms.ratio * _RATIO_TO_FEE - terms.fee - used)
    return min(most, left * 19 // 20)


def spot_insurance_fee(shortage: int, amount: int, asset: Leg, liability: Leg, most: int) -> int:
    """Insurance fee of a spot liquidation: what is left of the weights after the shortage, at most ``most`` [1e-6].

    ``(lw - aw am / lm - shortage / (amount price)) / lw``; nothing where no liability, price or weight is left.
    """
    _not_negative(shortage, amount, most)
    if asset.weight >= liability.weight or not (liability.price and amount and liability.multiplier):
        return 0
    owed, owned = liability.weight * _RATIO_TO_FEE, asset.weight * _RATIO_TO_FEE
    left = max(0, owed - owned * asset.multiplier // liability.multiplier)
    left = max(0, left - shortage * FEE * unit(liability.decimals) // amount // liability.price)
    return min(most, left * FEE // owed)


def liquidator_fee(base_fee: int, most: int, slots: int) -> int:
    """Fee that grows by a hundredth of a basis point a slot once 1,500 slots have passed [1e-6]."""
    _not_negative(base_fee, most, slots)
    return base_fee if slots < GRACE_SLOTS else min(most, base_fee + slots * FEE_PER_SLOT)


def share_to_liquidate(shortage: int, slots: int, initial: int, duration: int, freed: int = 0) -> int:
    """Share of the shortage that may be freed now [1e-4] (spec defi 3.3).

    Parameters
    ----------
    shortage : int
        Margin still to free [1e-6].
    slots : int
        Since the liquidation began or last acted.
    initial : int
        Share at once [1e-4].
    duration : int
        Slots after which all may be taken; 0: at once.
    freed : int
        Margin that this liquidation has freed before [1e-6].
    """
    _not_negative(shortage, slots, initial, duration, freed)
    if shortage < SMALL_SHORTAGE:
        return WEIGHT
    grown = slots * WEIGHT // duration if duration else WEIGHT
    allowed = (shortage + freed) * min(WEIGHT, grown + initial) // WEIGHT
    return max(0, allowed - freed) * WEIGHT // shortage


def funding_step_for_loss(loss: int, base_long: int, base_short: int) -> int:
    """Step of the funding index that spreads a perpetual's loss over all open base [1e-9], rounded up.

    Raises
    ------
    InvalidInputError
        Nobody holds a position to bear it.
    """
    held = abs(base_long) + abs(base_short)
    if held == 0:
        raise invalid(
            "socialise", Reason.NOT_ALLOWED, "no open base bears the loss; leave it to the insurance"
        )
    return ceiled(abs(loss) * BASE, held) * FUNDING_PER_QUOTE


def deposit_index_cut(loss: int, deposits: int, index: int) -> int:
    """What the deposit index of a token loses when depositors bear a loss, rounded up; nothing without deposits.

    ``loss`` and ``deposits`` in token units, ``index`` as the chain keeps it (1e-10).
    """
    _not_negative(loss, deposits, index)
    return ceiled(index * loss, deposits) if deposits else 0


def swap_is_within_bounds(taken: int, asset: Leg, paid: int, liability: Leg) -> bool:
    """Whether a swap by the liquidator paid at least the oracle price after the multipliers of both legs.

    ``taken`` and ``paid`` in token units. False where nothing was taken or the worst price is not defined.
    """
    _not_negative(taken, paid)
    if not (taken and liability.price and asset.multiplier):
        return False
    price = paid * PRICE // unit(liability.decimals) * unit(asset.decimals) // taken
    worst = asset.price * PRICE * liability.multiplier // liability.price // asset.multiplier
    return price >= worst


def _scales(decimals: int, reference: int) -> tuple[int, int]:
    return unit(max(0, decimals - reference)), unit(max(0, reference - decimals))


def _not_negative(*amounts: int) -> None:
    for amount in amounts:
        within("liquidation", amount, 0, MAX_U128)


def _above_zero(product: int, what: str) -> int:
    if product == 0:
        raise invalid("liquidation", Reason.INVALID_VALUE, f"{what} must be above zero for a swap")
    return product
