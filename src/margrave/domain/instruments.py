"""Contract terms: a kind, a payoff and the assets of a contract. No market, no rule.

The payoff says how a price becomes money, and each is a type of its own. Every payoff of this file has the
form ``worth(P) = a P - c / P`` per contract (`coefficients`), which is what the kernels eat: a linear
contract has only ``a``, an inverse one only ``c``, and profit is one fraction without cancellation.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias, assert_never, final

from margrave.domain.checks import require, require_price, require_zone


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """Profit in the quote asset, linear in the price."""

    contract_size: float  # [base per contract], > 0

    def __post_init__(self) -> None:
        require(0 < self.contract_size < float("inf"), "contract_size", self.contract_size, "above zero")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Inverse:
    """Profit in the base asset: a contract is worth ``contract_value / price`` coins."""

    contract_value: float  # [quote per contract], > 0

    def __post_init__(self) -> None:
        require(0 < self.contract_value < float("inf"), "contract_value", self.contract_value, "above zero")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Quanto:
    """Profit in a third asset at a fixed rate: ``multiplier`` settlement units per point and contract."""

    multiplier: float  # [settlement asset per quote point per contract], > 0

    def __post_init__(self) -> None:
        require(0 < self.multiplier < float("inf"), "multiplier", self.multiplier, "above zero")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CoinPremium:
    """Option whose premium is quoted and paid in coin: linear in the *coin* price, never ``1 / price``."""

    contract_size: float  # [base per contract], > 0

    def __post_init__(self) -> None:
        require(0 < self.contract_size < float("inf"), "contract_size", self.contract_size, "above zero")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QuotePremium:
    """Option whose premium is quoted and paid in the quote asset."""

    contract_size: float  # [base per contract], > 0

    def __post_init__(self) -> None:
        require(0 < self.contract_size < float("inf"), "contract_size", self.contract_size, "above zero")


Payoff: TypeAlias = Linear | Inverse | Quanto | CoinPremium | QuotePremium


class Right(StrEnum):
    """What the holder of an option may do at expiry."""

    CALL = "call"
    PUT = "put"


@final
@dataclass(frozen=True, slots=True)
class Spot:
    """The asset itself, delivered at once."""


@final
@dataclass(frozen=True, slots=True)
class Perpetual:
    """A future without expiry, tied to its index by funding."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Future:
    """A future that settles in cash at an instant."""

    expiry: datetime  # with time zone

    def __post_init__(self) -> None:
        require_zone("expiry", self.expiry)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A European option that settles in cash at an instant."""

    expiry: datetime  # with time zone
    strike: float  # [quote per base]
    right: Right

    def __post_init__(self) -> None:
        require_zone("expiry", self.expiry)
        require_price("strike", self.strike)


Kind: TypeAlias = Spot | Perpetual | Future | Option


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A contract as its venue lists it.

    The settlement asset is independent of the payoff: a linear contract may settle in its coin, and its profit
    is then converted at the index. Where the payoff asset and the settlement asset agree nothing is converted.
    """

    symbol: str  # the venue's own
    base: str  # asset that is priced: the underlying
    quote: str  # asset in which the price is written
    settlement: str  # asset in which profit is paid
    kind: Kind
    payoff: Payoff
    tick: float | None = None  # [quote per base], grid of prices
    taker_fee: float | None = None  # [fraction of notional]

    def __post_init__(self) -> None:
        for name in ("symbol", "base", "quote", "settlement"):
            require(bool(getattr(self, name)), name, getattr(self, name), "a name")
        option = isinstance(self.kind, Option)
        premium = isinstance(self.payoff, CoinPremium | QuotePremium)
        require(
            option == premium, "payoff", self.payoff, "a premium payoff for an option, and only for an option"
        )
        if self.tick is not None:
            require(0 < self.tick < float("inf"), "tick", self.tick, "above zero")


def coefficients(payoff: Payoff) -> tuple[float, float]:
    """Coefficients ``(a, c)`` of the worth of one contract, ``a P - c / P``, in the payoff's own asset.

    Profit of one contract from entry E to mark P is ``(P - E) (a + c / (P E))``; its notional ``a P + c / P``.
    """
    match payoff:
        case Linear(contract_size=size) | CoinPremium(contract_size=size) | QuotePremium(contract_size=size):
            return size, 0.0
        case Inverse(contract_value=value):
            return 0.0, value
        case Quanto(multiplier=multiplier):
            return multiplier, 0.0
        case unknown:
            assert_never(unknown)


def payoff_asset(instrument: Instrument) -> str:
    """Asset in which the payoff formula pays, before any conversion into the settlement asset."""
    match instrument.payoff:
        case Linear() | QuotePremium():
            return instrument.quote
        case Inverse() | CoinPremium():
            return instrument.base
        case Quanto():
            return instrument.settlement
        case unknown:
            assert_never(unknown)


def expiry_of(instrument: Instrument) -> datetime | None:
    """Instant of expiry; None for what does not expire."""
    match instrument.kind:
        case Future(expiry=expiry) | Option(expiry=expiry):
            return expiry
        case Spot() | Perpetual():
            return None
        case unknown:
            assert_never(unknown)
