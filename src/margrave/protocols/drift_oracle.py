"""Drift's ladder of oracle states and the table of what each permits (spec defi 3.4 and 7), as data.

A state is the worst thing wrong with a price; an action tolerates states down to a floor. Margin reads go on with
what liquidation or matching refuses, and the other way round: the table is the whole rule.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import final

from margrave.core.errors import Reason, invalid
from margrave.protocols.drift import MAX_U64, PERCENTAGE, PRICE, within


class Validity(IntEnum):
    """State of an oracle price, the worst first."""

    NON_POSITIVE = 0
    TOO_VOLATILE = 1
    TOO_UNCERTAIN = 2
    STALE_FOR_MARGIN = 3
    INSUFFICIENT_DATA = 4
    STALE_FOR_AMM = 5
    VALID = 6


class Action(StrEnum):
    """What a price is wanted for."""

    UPDATE_FUNDING = "update funding"
    SETTLE_PROFIT = "settle profit"
    TRIGGER_ORDER = "trigger order"
    MATCH_ORDER = "match order"
    FILL_AGAINST_AMM = "fill against AMM"
    LIQUIDATE = "liquidate"
    MARGIN = "margin"
    UPDATE_AVERAGE = "update average"
    UPDATE_AMM_CURVE = "update AMM curve"
    ORACLE_ORDER_PRICE = "oracle order price"


WORST_TOLERATED: dict[Action, Validity] = {
    Action.UPDATE_FUNDING: Validity.STALE_FOR_MARGIN,
    Action.SETTLE_PROFIT: Validity.STALE_FOR_MARGIN,
    Action.TRIGGER_ORDER: Validity.TOO_UNCERTAIN,
    Action.MATCH_ORDER: Validity.STALE_FOR_MARGIN,
    Action.FILL_AGAINST_AMM: Validity.VALID,
    Action.LIQUIDATE: Validity.TOO_UNCERTAIN,
    Action.MARGIN: Validity.INSUFFICIENT_DATA,
    Action.UPDATE_AVERAGE: Validity.TOO_VOLATILE,
    Action.UPDATE_AMM_CURVE: Validity.TOO_VOLATILE,
    Action.ORACLE_ORDER_PRICE: Validity.INSUFFICIENT_DATA,
}
"""The worst state in which each action goes on."""

CONFIDENCE_FACTOR = {"A": 1, "B": 1, "C": 2, "speculative": 10, "highly speculative": 50, "isolated": 50}
"""How much wider the confidence interval may be, by contract tier."""


@final
@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of an oracle [1e-6]."""

    price: int
    average: int  # time-weighted, of the last period
    confidence: int  # half width of the interval
    delay: int  # slots since it was published
    enough_data: bool = True

    def __post_init__(self) -> None:
        within("oracle: price", self.price, -(MAX_U64 // 2), MAX_U64 // 2)
        within("oracle: average", self.average, -(MAX_U64 // 2), MAX_U64 // 2)
        within("oracle: confidence", self.confidence, 0, MAX_U64)
        within("oracle: delay", self.delay, -(MAX_U64 // 2), MAX_U64 // 2)


@final
@dataclass(frozen=True, slots=True)
class Guards:
    """Limits between the states."""

    volatile_ratio: int = 5  # price against average, either way
    confidence: int = 20_000  # share of price [1e-6]
    slots_for_margin: int = 120
    slots_for_amm: int = 10
    liquidation_divergence: int = 500_000  # of the five-minute average [1e-6]


def validity(reading: Reading, guards: Guards = Guards(), confidence_factor: int = 1) -> Validity:
    """The worst state that a reading is in.

    Parameters
    ----------
    reading : Reading
        Price with average, confidence and age.
    guards : Guards
        Limits.
    confidence_factor : int
        Of the market's tier, see `CONFIDENCE_FACTOR`.
    """
    price, average = reading.price, reading.average
    if price <= 0:
        return Validity.NON_POSITIVE
    # Whole quotients, as on the chain: five times and a half is not above five.
    if max(price, average) // max(1, min(price, average)) > guards.volatile_ratio:
        return Validity.TOO_VOLATILE
    if reading.confidence * PRICE // price > guards.confidence * confidence_factor:
        return Validity.TOO_UNCERTAIN
    if reading.delay > guards.slots_for_margin:
        return Validity.STALE_FOR_MARGIN
    if not reading.enough_data:
        return Validity.INSUFFICIENT_DATA
    return Validity.STALE_FOR_AMM if reading.delay > guards.slots_for_amm else Validity.VALID


def permits(state: Validity, action: Action) -> bool:
    """Whether an action goes on with a price in that state."""
    return state >= WORST_TOLERATED[action]


def liquidation_is_blocked(price: int, five_minute_average: int, guards: Guards = Guards()) -> bool:
    """Whether oracle and five-minute average differ too much to liquidate: by half of the average.

    Raises
    ------
    InvalidInputError
        The average is not above zero.
    """
    if five_minute_average <= 0:
        raise invalid("oracle", Reason.INVALID_VALUE, "the five-minute average must be above zero")
    apart = abs(price - five_minute_average) * PERCENTAGE // five_minute_average
    return apart >= guards.liquidation_divergence
