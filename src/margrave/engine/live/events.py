"""What happens on a live venue. Every event has its own instant, told by whoever saw it: nothing here reads a clock."""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias, final

from margrave.core.words import Liquidity, MarginMode
from margrave.domain.account import Leg, Order
from margrave.domain.checks import require, require_finite, require_price, require_zone
from margrave.domain.instruments import Instrument


class Input(StrEnum):
    """What ticks, each with an age of its own."""

    INDEX = "index"  # of an asset [numeraire per asset]
    MARK = "mark"  # of an instrument [as its quote]
    FORWARD = "forward"  # of an option's expiry [quote per base]
    VOL = "vol"  # of an option at its mark [per year]
    UNDERLYING = "underlying"  # index of an instrument that has one of its own [quote per base]
    VOLATILITY = "volatility"  # of an asset, realised or a published index of implied vol [per year]
    OPEN_INTEREST = "open-interest"  # of an instrument, one side [contracts]
    SLOW = "slow"  # average or stable price of an asset [numeraire] or an instrument [as its mark]
    DEPOSITS = "deposits"  # what the whole venue holds of an asset [asset]
    BORROWS = "borrows"  # what the whole venue has lent of an asset [asset]


InputName: TypeAlias = tuple[Input, str]
"""An input and the asset or instrument that it is of."""


@final
@dataclass(frozen=True, slots=True)
class Tick:
    """A price, a vol or an open interest, as it was at an instant."""

    at: datetime
    what: Input
    name: str  # of an asset or an instrument, as the input is
    value: float

    def __post_init__(self) -> None:
        require_zone("at", self.at)
        require_finite("value", self.value)
        require(self.value >= 0.0, "value", self.value, "zero or more")


@final
@dataclass(frozen=True, slots=True)
class Clock:
    """Time passes: the market's instant becomes this one, options lose it, and prices of long ago are stale."""

    at: datetime

    def __post_init__(self) -> None:
        require_zone("at", self.at)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A trade of an account."""

    at: datetime
    account: str
    symbol: str
    quantity: float  # [contracts] bought > 0
    price: float  # [as the mark]
    cash: float | None = (
        None  # [settlement asset] received > 0, before the fee; None: profit or premium by the payoff
    )
    fee: float | None = None  # [settlement asset] paid > 0, a rebate < 0; None: by `liquidity`
    liquidity: Liquidity | None = None  # whose rate is the fee, where none is told; None: no fee
    mode: MarginMode = MarginMode.CROSS
    leg: Leg = Leg.NET
    leverage: float | None = None  # of a position that this opens
    id: str = ""  # of the event: what was applied once is not applied again; empty: nobody sends it twice

    def __post_init__(self) -> None:
        require_zone("at", self.at)
        require_finite("quantity", self.quantity)
        require(self.quantity != 0, "quantity", self.quantity, "other than zero")
        require_price("price", self.price)
        require_finite("cash", self.cash or 0.0)
        require_finite("fee", self.fee or 0.0)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Deposited:
    """Cash that came in, or went out."""

    at: datetime
    account: str
    asset: str
    amount: float  # [asset] withdrawn < 0
    id: str = ""  # of the event: what was applied once is not applied again; empty: nobody sends it twice

    def __post_init__(self) -> None:
        require_zone("at", self.at)
        require_finite("amount", self.amount)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced:
    """An order that is open from now on."""

    at: datetime
    account: str
    order: Order
    id: str = ""  # of the event: what was applied once is not applied again; empty: nobody sends it twice

    def __post_init__(self) -> None:
        require_zone("at", self.at)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled:
    """An order that is open no more, whether it was filled or taken back: the first that equals this one."""

    at: datetime
    account: str
    order: Order
    id: str = ""  # of the event: what was applied once is not applied again; empty: nobody sends it twice

    def __post_init__(self) -> None:
        require_zone("at", self.at)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Funded:
    """Funding of a perpetual is paid, by everybody who holds it at this place among the events.

    A mark of its own, so that the payment is the same however ticks are cut into batches.
    """

    at: datetime
    symbol: str
    rate: float  # of the period [fraction of notional] long pays short > 0
    mark: float  # on which the notional is taken [quote per base]
    id: str = ""  # as of every event

    def __post_init__(self) -> None:
        require_zone("at", self.at)
        require(-1.0 <= self.rate <= 1.0, "rate", self.rate, "a fraction, 0.0001 for 0.01 %")
        require_price("mark", self.mark)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An account that is there from now on, empty."""

    at: datetime
    account: str
    parent: str | None = None  # main account of a sub-account
    id: str = ""  # as of every event

    def __post_init__(self) -> None:
        require_zone("at", self.at)
        require(bool(self.account), "account", self.account, "a name")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An instrument that may be traded from now on, with its contract terms."""

    at: datetime
    instrument: Instrument
    id: str = ""  # as of every event

    def __post_init__(self) -> None:
        require_zone("at", self.at)


AccountEvent: TypeAlias = Filled | Deposited | OrderPlaced | OrderCancelled
Event: TypeAlias = Tick | Clock | AccountEvent | Funded | Opened | Listed


def key_of(event: Event) -> Hashable | None:
    """What a later event of the same key makes obsolete: a tick's input, the clock; None for what happened once."""
    match event:
        case Tick():
            return event.what, event.name
        case Clock():
            return Clock
        case _:
            return None
