"""What one account holds: balances, positions, orders, and what path-dependent rules remember of it.

A balance is the wallet *without* the margin that was moved to isolated positions; that margin stands on the
position. Quantities are signed contracts of the venue: long above zero.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import final

from margrave.core.words import MarginMode
from margrave.domain.checks import require, require_finite, require_price, require_zone


class Leg(StrEnum):
    """One-way mode nets everything into one position; hedge mode keeps a long and a short one."""

    NET = "net"
    LONG = "long"
    SHORT = "short"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """An amount of one asset in the wallet."""

    asset: str
    amount: float  # [asset], negative for a debt
    locked: float = 0.0  # [asset], >= 0: counts as collateral, cannot be withdrawn

    def __post_init__(self) -> None:
        require(bool(self.asset), "asset", self.asset, "a name")
        require_finite("amount", self.amount)
        require(0 <= self.locked < float("inf"), "locked", self.locked, "zero or more")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Contracts held at an average entry price."""

    symbol: str
    quantity: float  # [contracts], long > 0, short < 0
    entry: float  # [quote per base; coin per base for a coin premium]
    mode: MarginMode = MarginMode.CROSS
    leverage: float | None = None  # chosen by the holder, > 0
    isolated_margin: float | None = None  # [settlement asset], >= 0; None: initial margin at entry
    leg: Leg = Leg.NET

    def __post_init__(self) -> None:
        require_finite("quantity", self.quantity)
        require_price("entry", self.entry)
        if self.leverage is not None:
            require(0 < self.leverage <= 1e6, "leverage", self.leverage, "above zero")
        if self.isolated_margin is not None:
            require(
                self.mode is MarginMode.ISOLATED,
                "isolated_margin",
                self.isolated_margin,
                "absent in cross mode",
            )
            require(
                0 <= self.isolated_margin < float("inf"),
                "isolated_margin",
                self.isolated_margin,
                "zero or more",
            )
        if self.leg is not Leg.NET:
            agrees = (self.quantity >= 0) == (self.leg is Leg.LONG) or self.quantity == 0
            require(agrees, "quantity", self.quantity, f"of the sign of its {self.leg} leg")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An open limit order: a position that may or may not come to be."""

    symbol: str
    quantity: float  # [contracts], buy > 0, sell < 0
    price: float  # [as the instrument's mark]
    reduce_only: bool = False
    leverage: float | None = None

    def __post_init__(self) -> None:
        require_finite("quantity", self.quantity)
        require(self.quantity != 0, "quantity", self.quantity, "other than zero")
        require_price("price", self.price)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a directional schedule remembers of an account's net position in one underlying."""

    underlying: str
    at: datetime  # when this was written
    reference: float | None = None  # [quote per base] carried reference price; None: the net entry
    best_mark: float | None = None  # [quote per base] best mark in the holder's favour since entry
    multiplier: float | None = None  # multiplier in effect at `at`
    tier: int | None = None  # step mode: tier in force, 0 at the reference, favourable > 0
    streak: int = 0  # step mode: consecutive observations that qualify for release
    closed_at: datetime | None = None  # when the net position went flat; the reference is carried from then
    side: int = 0  # +1 long, -1 short: side that the memory is about

    def __post_init__(self) -> None:
        require_zone("at", self.at)
        for name in ("reference", "best_mark"):
            price = getattr(self, name)
            if price is not None:
                require_price(name, price)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account, or one sub-account: its margin never mixes with that of another."""

    name: str = "account"
    balances: tuple[Balance, ...] = ()
    positions: tuple[Position, ...] = ()
    orders: tuple[Order, ...] = ()
    memory: tuple[Memory, ...] = ()
    parent: str | None = None  # name of the main account, for a sub-account

    def __post_init__(self) -> None:
        assets = [b.asset for b in self.balances]
        require(len(set(assets)) == len(assets), "balances", assets, "at most one of each asset")
        legs = [(p.symbol, p.leg, p.mode) for p in self.positions]
        require(
            len(set(legs)) == len(legs),
            "positions",
            [leg[0] for leg in legs],
            "one of each instrument, leg and mode",
        )


@final
@dataclass(frozen=True, slots=True)
class Flows:
    """Cash that a change of position moved, in the settlement asset; received > 0."""

    realised: float = 0.0
    funding: float = 0.0
    fee: float = 0.0

    def __add__(self, other: "Flows") -> "Flows":
        return Flows(self.realised + other.realised, self.funding + other.funding, self.fee + other.fee)

    @property
    def total(self) -> float:
        """All of it."""
        return self.realised + self.funding + self.fee
