"""Weights and ratios of Drift v2, in its integers (spec defi 3.2).

Units: weights and margin ratios 1e-4, prices and quote amounts 1e-6, base amounts 1e-9, size factors (IMF) 1e-6.
Signs: long and deposit > 0, short and borrow < 0. Divisions truncate toward zero where nothing else is said.
Start here, then `drift_account` (a whole account), `drift_liquidation` and `drift_oracle`.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import isqrt
from typing import final

from margrave.core.errors import Reason, invalid

QUOTE = PRICE = IMF = PERCENTAGE = 10**6
BASE = 10**9
WEIGHT = 10**4
MAX_U32, MAX_U64, MAX_U128 = 2**32 - 1, 2**64 - 1, 2**128 - 1


class MarginType(StrEnum):
    """Which requirement is asked for."""

    INITIAL = "Initial"
    FILL = "Fill"
    MAINTENANCE = "Maintenance"


@final
@dataclass(frozen=True, slots=True)
class Levels:
    """A weight or ratio at initial and at maintenance level [1e-4]; at a fill it is the mean, cut."""

    initial: int
    maintenance: int

    def __post_init__(self) -> None:
        for name, value in (("initial", self.initial), ("maintenance", self.maintenance)):
            within(f"level {name}", value, 0, MAX_U32)

    def at(self, margin_type: MarginType) -> int:
        """The number of one margin type."""
        match margin_type:
            case MarginType.INITIAL:
                return self.initial
            case MarginType.FILL:
                return (self.initial + self.maintenance) // 2
            case MarginType.MAINTENANCE:
                return self.maintenance


def truncated(numerator: int, denominator: int) -> int:
    """Quotient cut toward zero, as the chain divides signed integers; the denominator is above zero."""
    whole = abs(numerator) // denominator
    return whole if numerator >= 0 else -whole


def ceiled(numerator: int, denominator: int) -> int:
    """Quotient of numbers that are not negative, rounded up."""
    return -(-numerator // denominator)


def unit(decimals: int) -> int:
    """How many of the smallest units make one."""
    return int(10**decimals)


def within(where: str, value: int, low: int, high: int) -> int:
    """A whole number in the range that the chain stores it in.

    Raises
    ------
    InvalidInputError
        It is not a whole number, or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise invalid(
            where,
            Reason.INVALID_VALUE,
            f"is {value!r}; give a whole number from {low} to {high} in the protocol's unit",
        )
    return value


def size_premium(size: int, imf: int, weight: int) -> int:
    """A liability weight or perp ratio raised for size, without the lower bound of the weight itself.

    Parameters
    ----------
    size : int
        Absolute amount [1e-9].
    imf : int
        Size factor [1e-6]; 0 switches the premium off.
    weight : int
        Weight or ratio before [1e-4].

    Returns
    -------
    int
        ``.8 weight + imf sqrt(size)`` [1e-4], with the fifth and the root cut (spec defi 3.2).
    """
    if imf == 0:
        return weight
    return weight - weight // 5 + isqrt(10 * size + 1) * imf // (100_000 * IMF // WEIGHT)


def size_discount(size: int, imf: int, weight: int) -> int:
    """An asset weight lowered for size: ``min(weight, 1.1 / (1 + imf sqrt(size)))``, cut [1e-4].

    Parameters are those of `size_premium`.
    """
    if imf == 0:
        return weight
    return min(weight, (IMF + IMF // 10) * WEIGHT // (IMF + isqrt(10 * size + 1) * imf // 100_000))


@final
@dataclass(frozen=True, slots=True)
class SpotMarket:
    """A token as collateral and as debt."""

    name: str
    decimals: int
    price: int  # oracle [1e-6]
    asset: Levels
    liability: Levels
    imf: int = 0
    twap: int | None = None  # five-minute average of the oracle [1e-6]; read in strict mode only
    scale_start: int = 0  # value of all deposits from which the initial weight shrinks [1e-6]; 0: never
    deposits: int = 0  # all deposits of the market [token units]

    def __post_init__(self) -> None:
        within(f"spot {self.name}: decimals", self.decimals, 0, 19)
        within(f"spot {self.name}: price", self.price, 0, MAX_U64 // 2)
        within(f"spot {self.name}: imf", self.imf, 0, MAX_U32)
        within(f"spot {self.name}: scale start", self.scale_start, 0, MAX_U64)
        within(f"spot {self.name}: deposits", self.deposits, 0, MAX_U128)
        if self.twap is not None:
            within(f"spot {self.name}: twap", self.twap, 0, MAX_U64 // 2)


def token_value(amount: int, decimals: int, price: int) -> int:
    """Value of a token amount [1e-6], rounded down: what is owed never looks smaller than it is."""
    return amount * price // unit(decimals)


def scaled_initial_asset_weight(market: SpotMarket) -> int:
    """Initial asset weight, shrunk once the market holds more than ``scale_start`` (spec defi 3.2) [1e-4]."""
    value = token_value(market.deposits, market.decimals, market.price)
    if market.scale_start == 0 or value < market.scale_start:
        return market.asset.initial
    return market.asset.initial * market.scale_start // value


def asset_weight(market: SpotMarket, size: int, margin_type: MarginType) -> int:
    """Weight of a deposit of ``size`` token units: scaled, then discounted for size [1e-4]."""
    scaled = Levels(scaled_initial_asset_weight(market), market.asset.maintenance)
    return size_discount(in_base_precision(size, market.decimals), market.imf, scaled.at(margin_type))


def liability_weight(market: SpotMarket, size: int, margin_type: MarginType) -> int:
    """Weight of a borrow of ``size`` token units, with its size premium [1e-4]."""
    weight = market.liability.at(margin_type)
    return max(weight, size_premium(in_base_precision(size, market.decimals), market.imf, weight))


def in_base_precision(size: int, decimals: int) -> int:
    """A token amount in 1e-9, cut; not negative."""
    within("size", size, 0, MAX_U128)
    return size * BASE // unit(decimals)


@final
@dataclass(frozen=True, slots=True)
class PerpMarket:
    """A perpetual contract and its margin rules."""

    name: str
    price: int  # oracle [1e-6]
    ratio: Levels
    high_leverage: Levels | None = None  # ratios of accounts in high-leverage mode
    imf: int = 0
    pnl_weight: Levels = Levels(0, 0)  # weight of unrealised gains
    pnl_imf: int = 0
    pnl_imbalance: int = 0  # gains of all users that no loss covers [1e-6]
    max_pnl_imbalance: int = 0  # above it the initial weight of gains shrinks [1e-6]; 0: never
    prediction: bool = False  # price between 0 and 1
    expiry_price: int | None = None  # settling: valued at it, nothing required

    def __post_init__(self) -> None:
        within(f"perp {self.name}: price", self.price, 0, MAX_U64 // 2)
        within(f"perp {self.name}: imf", self.imf, 0, MAX_U32)
        within(f"perp {self.name}: pnl imf", self.pnl_imf, 0, MAX_U32)
        within(f"perp {self.name}: max pnl imbalance", self.max_pnl_imbalance, 0, MAX_U64)


def perp_margin_ratio(
    market: PerpMarket, size: int, margin_type: MarginType, *, high_leverage: bool = False
) -> int:
    """Margin ratio of a position of ``size`` base [1e-4].

    Parameters
    ----------
    market : PerpMarket
        Rules.
    size : int
        Absolute base amount [1e-9].
    margin_type : MarginType
        Which requirement.
    high_leverage : bool
        Whether the account is in that mode; it counts only where the market allows it.

    Returns
    -------
    int
        ``max(ratio, .8 ratio + imf sqrt(size))``. In high-leverage mode, except for maintenance, the premium is
        that of the normal ratio, and as much of the way back to it as the premium has used of its fifth.
    """
    within("size", size, 0, MAX_U128)
    allowed = market.high_leverage
    if not (high_leverage and allowed is not None and allowed.initial > 0 and allowed.maintenance > 0):
        base = market.ratio.at(margin_type)
        return max(base, size_premium(size, market.imf, base))
    base = allowed.at(margin_type)
    if margin_type is MarginType.MAINTENANCE:
        return max(base, size_premium(size, market.imf, base))
    normal = market.ratio.at(margin_type)
    return _pulled_back(normal, size_premium(size, market.imf, normal), base)


def _pulled_back(normal: int, adjusted: int, high_leverage: int) -> int:
    if adjusted > normal:
        return adjusted
    if adjusted == normal:
        return high_leverage
    share = max(0, PERCENTAGE - (normal - adjusted) * PERCENTAGE // (normal // 5))
    way = max(1, normal - high_leverage)
    return high_leverage + way * share // PERCENTAGE


def unrealised_asset_weight(market: PerpMarket, pnl: int, margin_type: MarginType) -> int:
    """Weight of unrealised profit [1e-4]: losses count fully, gains by the market's weight.

    Parameters
    ----------
    market : PerpMarket
        Rules.
    pnl : int
        Unrealised profit with funding [1e-6].
    margin_type : MarginType
        For a fill the weight is the initial one, not a mean.
    """
    if pnl <= 0:
        return WEIGHT
    if margin_type is MarginType.MAINTENANCE:
        return market.pnl_weight.maintenance
    weight = market.pnl_weight.initial
    if 0 < market.max_pnl_imbalance < market.pnl_imbalance:
        weight = weight * market.max_pnl_imbalance // market.pnl_imbalance
    return size_discount(pnl * (BASE // QUOTE), market.pnl_imf, weight) if weight else 0
