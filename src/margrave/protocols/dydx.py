"""dYdX v4 in its own integers: what a position asks, what an account is worth, which change is allowed.

Amounts of money are quote quantums (1e-6 USDC), sizes base quantums (10^atomic_resolution of the base), fractions parts
per million. Requirements are rounded up, notionals toward zero; every number is the chain's. Each position gives a
`Risk`, and risks add up to the account's. Source: specification of on-chain systems, section 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import final

from margrave.core.errors import Reason, refused
from margrave.domain.checks import require

MILLION = 1_000_000
QUOTE_RESOLUTION = -6
"""A quote quantum is 10^-6 USDC."""

EXPONENT_MAX = 64
"""Powers of ten beyond are faults of the caller: no market of the chain is near them."""


def require_whole(name: str, number: object) -> None:
    """Refuse what is no integer: a float would no longer be the chain's number."""
    require(isinstance(number, int) and not isinstance(number, bool), name, number, "a whole number")


def _require_share(name: str, ppm: int) -> None:
    require_whole(name, ppm)
    require(0 <= ppm <= MILLION, name, ppm, "between 0 and 1000000 parts per million")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidityTier:
    """Rates that several markets share."""

    initial_ppm: int  # base rate, 0 to 1e6
    maintenance_fraction_ppm: int  # share of the initial margin at the base rate, 0 to 1e6
    open_interest_lower: int = 0  # [quote quantums] the initial rate grows above this
    open_interest_upper: int = 0  # [quote quantums] and is 100 % from here; 0: it never grows

    def __post_init__(self) -> None:
        for name in ("initial_ppm", "maintenance_fraction_ppm"):
            _require_share(name, getattr(self, name))
        require_whole("open_interest_lower", self.open_interest_lower)
        require_whole("open_interest_upper", self.open_interest_upper)
        low, high = self.open_interest_lower, self.open_interest_upper
        require(0 <= low <= high or high == 0 <= low, "open_interest_lower", low, f"between 0 and {high}")


def _tier(initial: int, maintenance: int, lower_usdc: int = 0, upper_usdc: int = 0) -> LiquidityTier:
    return LiquidityTier(
        initial_ppm=initial,
        maintenance_fraction_ppm=maintenance,
        open_interest_lower=lower_usdc * MILLION,
        open_interest_upper=upper_usdc * MILLION,
    )


GENESIS_TIERS = MappingProxyType(
    {
        "large": _tier(20_000, 600_000),
        "mid": _tier(50_000, 600_000, 40_000_000, 100_000_000),
        "small": _tier(100_000, 500_000, 20_000_000, 50_000_000),
        "long-tail": _tier(200_000, 500_000, 5_000_000, 10_000_000),
        "isolated": _tier(50_000, 600_000, 500_000, 1_000_000),
        "safety": _tier(MILLION, 200_000, 2_000_000, 5_000_000),
        "FX": _tier(10_000, 500_000, 500_000, 1_000_000),
    }
)
"""Tiers of the genesis configuration."""

FUNDING_CLAMP_FACTOR_PPM = 6 * MILLION
"""Genesis: a funding rate is at most six times the distance of the two margin rates."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Perpetual:
    """A market at its oracle price: ``price × 10^exponent`` USDC per whole base unit."""

    name: str
    atomic_resolution: int  # a base quantum is 10^this of the base
    price: int  # >= 0
    exponent: int
    tier: LiquidityTier
    open_interest: int = 0  # [base quantums] one side, >= 0
    isolated: bool = False  # stands alone in its subaccount, with a fund of its own

    def __post_init__(self) -> None:
        for name in ("atomic_resolution", "exponent"):
            number = getattr(self, name)
            require_whole(name, number)
            require(abs(number) <= EXPONENT_MAX, name, number, f"within ±{EXPONENT_MAX}")
        for name in ("price", "open_interest"):
            require_whole(name, getattr(self, name))
            require(getattr(self, name) >= 0, name, getattr(self, name), "zero or more")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A position of a subaccount."""

    perpetual: Perpetual
    quantums: int  # [base quantums] long > 0
    user_initial_ppm: int = (
        0  # initial rate that the holder set by a lower leverage; counts where it is larger
    )

    def __post_init__(self) -> None:
        require_whole("quantums", self.quantums)
        _require_share("user_initial_ppm", self.user_initial_ppm)


@final
@dataclass(frozen=True, slots=True)
class Risk:
    """What is there and what is asked. Risks add up [quote quantums]."""

    net_collateral: int = 0  # USDC and signed notionals
    initial: int = 0  # >= 0
    maintenance: int = 0  # >= 0

    def __add__(self, other: "Risk") -> "Risk":
        return Risk(
            self.net_collateral + other.net_collateral,
            self.initial + other.initial,
            self.maintenance + other.maintenance,
        )


@final
class Transition(StrEnum):
    """What becomes of a change to a subaccount."""

    ALLOWED = "allowed"
    STILL_UNDER = "still below initial margin"
    NEWLY_UNDER = "newly below initial margin"


def share_up(amount: int, ppm: int) -> int:
    """``amount × ppm / 1e6``, rounded up. Requirements are rounded against the holder."""
    return -(-amount * ppm // MILLION)


def scaled(amount: int, power: int) -> int:
    """``amount × 10^power``, rounded down."""
    unit: int = 10 ** abs(power)
    return amount * unit if power >= 0 else amount // unit


def net_notional(perpetual: Perpetual, quantums: int) -> int:
    """Signed notional of a size at the oracle price, toward zero [quote quantums].

    Parameters
    ----------
    perpetual : Perpetual
        Market with its price.
    quantums : int
        Signed size. [base quantums]

    Returns
    -------
    int
        ``quantums × price × 10^(atomic_resolution + exponent + 6)``.
    """
    power = perpetual.atomic_resolution + perpetual.exponent - QUOTE_RESOLUTION
    whole = scaled(abs(quantums) * perpetual.price, power)
    return whole if quantums >= 0 else -whole


def maintenance_ppm(tier: LiquidityTier) -> int:
    """Maintenance rate of a tier, rounded down as the chain shows it. The requirement itself is `position_risk`'s."""
    return tier.initial_ppm * tier.maintenance_fraction_ppm // MILLION


def initial_ppm(tier: LiquidityTier, open_interest: int, user_ppm: int = 0) -> int:
    """Initial rate at an open interest.

    Parameters
    ----------
    tier : LiquidityTier
        Base rate and caps.
    open_interest : int
        Notional of the market's open interest, >= 0. [quote quantums]
    user_ppm : int
        Rate that the holder set; it counts where it is larger.

    Returns
    -------
    int
        The base rate up to the lower cap, 100 % from the upper one, between them a straight line rounded down; a tier
        whose upper cap is zero never leaves its base rate.
    """
    base, low, high = tier.initial_ppm, tier.open_interest_lower, tier.open_interest_upper
    if high == 0 or open_interest <= low:
        rate = base
    elif open_interest >= high:
        rate = MILLION
    else:
        rate = base + (MILLION - base) * (open_interest - low) // (high - low)
    return max(rate, user_ppm)


def initial_margin(tier: LiquidityTier, notional: int, open_interest: int = 0, user_ppm: int = 0) -> int:
    """Initial margin of an unsigned notional, rounded up [quote quantums]."""
    return share_up(notional, initial_ppm(tier, open_interest, user_ppm))


def maintenance_margin(tier: LiquidityTier, notional: int) -> int:
    """Maintenance margin of an unsigned notional: a share of the initial margin at the *base* rate, rounded up twice.

    Neither open interest nor the holder's choice moves it, so that a crowded market blocks new risk and liquidates
    nobody. [quote quantums]
    """
    return share_up(share_up(notional, tier.initial_ppm), tier.maintenance_fraction_ppm)


def position_risk(holding: Holding) -> Risk:
    """Risk of one position: its signed notional, and both margins of its size."""
    perpetual, tier = holding.perpetual, holding.perpetual.tier
    notional = net_notional(perpetual, holding.quantums)
    crowd = net_notional(perpetual, perpetual.open_interest)
    return Risk(
        notional,
        initial_margin(tier, abs(notional), crowd, holding.user_initial_ppm),
        maintenance_margin(tier, abs(notional)),
    )


def account_risk(quote_balance: int, holdings: Sequence[Holding] = ()) -> Risk:
    """Risk of a subaccount.

    Parameters
    ----------
    quote_balance : int
        Signed USDC. [quote quantums]
    holdings : sequence of Holding
        One a market.

    Returns
    -------
    Risk
        Sum of the balance and of every position's risk.

    Raises
    ------
    ValueError
        Two holdings are of one market.
    """
    require_whole("quote_balance", quote_balance)
    names = [h.perpetual.name for h in holdings]
    require(len(set(names)) == len(names), "holdings", names, "one a market; add the sizes up")
    return sum(map(position_risk, holdings), Risk(quote_balance))


def meets_initial(risk: Risk) -> bool:
    """Whether new risk may be taken."""
    return risk.net_collateral >= risk.initial


def meets_maintenance(risk: Risk) -> bool:
    """Whether collateral covers maintenance. Not the opposite of `is_liquidatable`: debt without positions is neither."""
    return risk.net_collateral >= risk.maintenance


def is_liquidatable(risk: Risk) -> bool:
    """Whether positions may be closed by the protocol; without any there is nothing to close."""
    return risk.maintenance > 0 and risk.maintenance > risk.net_collateral


def compare(first: Risk, second: Risk) -> int:
    """Order of risk: -1 where the first is less risky, 1 where it is riskier, 0 where neither is.

    Collateral per maintenance decides, cross-multiplied so that nothing is rounded; then the smaller maintenance is
    the safer, then the larger collateral.
    """
    a = (-first.net_collateral * second.maintenance, first.maintenance, -first.net_collateral)
    b = (-second.net_collateral * first.maintenance, second.maintenance, -second.net_collateral)
    return (a > b) - (a < b)


def improves(old: Risk, new: Risk) -> bool:
    """Whether a state below initial margin may follow another.

    Maintenance must not grow and the account must not be riskier by `compare`. Where either state has no maintenance,
    both must have none and collateral must rise: debt is only ever paid down.
    """
    if new.maintenance > old.maintenance:
        return False
    if new.maintenance == 0 or old.maintenance == 0:
        return new.maintenance == old.maintenance and new.net_collateral > old.net_collateral
    return compare(new, old) <= 0


def transition(old: Risk, new: Risk) -> Transition:
    """What becomes of a change from one state of a subaccount to another."""
    if meets_initial(new) or improves(old, new):
        return Transition.ALLOWED
    return Transition.NEWLY_UNDER if meets_initial(old) else Transition.STILL_UNDER


def require_transition(where: str, old: Risk, new: Risk) -> None:
    """Raise where a change is not allowed.

    Raises
    ------
    RefusedError
        It says whether the account was below initial margin before, or falls below it by this change.
    """
    if (told := transition(old, new)) is not Transition.ALLOWED:
        message = (
            f"the change leaves it {told}: collateral {new.net_collateral}, initial {new.initial}, maintenance "
            f"{new.maintenance} quote quantums; add collateral, or close positions without adding risk"
        )
        raise refused(where, Reason.INSUFFICIENT, message)


def require_isolation(where: str, holdings: Sequence[Holding]) -> None:
    """Raise where an isolated market shares its subaccount.

    Raises
    ------
    RefusedError
        It names the markets.
    """
    held = [h.perpetual for h in holdings if h.quantums]
    if len(held) > 1 and any(p.isolated for p in held):
        names = ", ".join(p.name for p in held)
        raise refused(
            where, Reason.NOT_ALLOWED, f"holds {names}; give each isolated market its own subaccount"
        )


def funding_clamp_ppm(tier: LiquidityTier, factor_ppm: int = FUNDING_CLAMP_FACTOR_PPM) -> int:
    """Largest funding rate of either sign: a multiple of initial less maintenance rate, rounded down [ppm]."""
    return factor_ppm * (tier.initial_ppm - maintenance_ppm(tier)) // MILLION


def clamped_funding_ppm(
    rate_ppm: int, tier: LiquidityTier, factor_ppm: int = FUNDING_CLAMP_FACTOR_PPM
) -> int:
    """A funding rate inside the bounds of its tier [ppm]."""
    bound = funding_clamp_ppm(tier, factor_ppm)
    return max(-bound, min(bound, rate_ppm))


def funding_settlement_ppm(global_index: int, position_index: int, quantums: int) -> int:
    """Funding that a position has run up since its index, exact; received > 0 [1e-6 quote quantums].

    A long pays while the index rises.
    """
    return -(global_index - position_index) * quantums


def settled(settlement_ppm: int) -> int:
    """Funding as it is booked: rounded down, against the holder either way [quote quantums]."""
    return settlement_ppm // MILLION
