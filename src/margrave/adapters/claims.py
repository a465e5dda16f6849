"""What a venue's payload says of its own numbers, and which of ours should agree with each.

A claim is kept as it was shown: its amount, its unit and how many decimals the venue printed. The mapping from
claims to outputs is what `margrave verify` compares; a claim without an output is one that Margrave does not
compute.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Literal, TypeAlias, final

from margrave.core.words import MarginMode
from margrave.domain.account import Leg

_RELATIVE: Final = (
    1e-12  # what float64 and the venue's own arithmetic may differ by, whatever the digits shown
)


class Figure(StrEnum):
    """A number of ours that a venue may claim as well."""

    EQUITY = "equity"
    BALANCE = "margin balance"
    INITIAL = "initial"
    MAINTENANCE = "maintenance"
    AVAILABLE = "available"  # margin balance less initial
    EXCESS = "excess"  # margin balance less maintenance
    NOTIONAL = "notional"
    PROFIT = "profit"
    VALUE = "value"
    RATIO = "margin balance over maintenance"
    LIQUIDATION = "liquidation"


@final
@dataclass(frozen=True, slots=True)
class PositionOutput:
    """A figure of one position."""

    figure: Figure
    symbol: str
    leg: Leg = Leg.NET
    mode: MarginMode = MarginMode.CROSS


@final
@dataclass(frozen=True, slots=True)
class PoolOutput:
    """A figure of the pool that a position stands in."""

    figure: Figure
    symbol: str
    leg: Leg = Leg.NET
    mode: MarginMode = MarginMode.CROSS


@final
@dataclass(frozen=True, slots=True)
class CurrencyOutput:
    """A figure added up over the pools of one currency: the cross pool alone, or isolated ones with it."""

    figure: Figure
    currency: str
    pools: Literal["cross", "all"] = "cross"


@final
@dataclass(frozen=True, slots=True)
class AnswerOutput:
    """A number in an answer of ours that has the shape of the venue's, by its place in both."""

    place: str


Output: TypeAlias = PositionOutput | PoolOutput | CurrencyOutput | AnswerOutput


@final
@dataclass(frozen=True, slots=True)
class Claim:
    """One number of a venue, as it was shown."""

    where: str  # payload and instrument or asset
    what: str  # the venue's own name of it
    amount: float | None  # None: the venue says that there is none (a liquidation price)
    unit: str
    digits: int  # decimals shown
    left_open: float = 0.0  # how far the rounding of the payload's own inputs lets it be off [unit]


Claims: TypeAlias = Mapping[Claim, Output | None]


def digits_of(shown: Any, least: int = 0) -> int:
    """Decimals of a number as a payload shows it; at least `least`, for venues that drop closing zeros."""
    exponent = Decimal(str(shown)).as_tuple().exponent
    return max(least, -exponent if isinstance(exponent, int) else 0)


def agrees(claim: Claim, ours: float | None) -> bool:
    """Whether our number gives the venue's to the digits it shows, its last digit rounded or cut.

    Where a price is shown with more digits than the rounded inputs of the payload determine, it agrees within what
    they leave open.

    Two answers of *none* agree; NaN agrees with nothing.
    """
    if claim.amount is None or ours is None:
        return claim.amount is None and ours is None
    return abs(ours - claim.amount) < 10.0**-claim.digits + claim.left_open + _RELATIVE * abs(claim.amount)
