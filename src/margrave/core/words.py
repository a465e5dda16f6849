"""Names that several rooms use, each spelt once."""

from enum import StrEnum
from typing import Final

INITIAL: Final = 0
MAINTENANCE: Final = 1
LEVELS: Final = ("initial", "maintenance")
"""Margin levels in order of severity; the first axis of every requirement array, letter L."""

LIQUIDATION_END: Final = "liquidation-end"
"""Name of the level at which a liquidation that has begun ends, where a rulebook knows one."""

NUMERAIRE: Final = "USD"
"""Asset in which index prices are written unless a market says otherwise."""


class MarginMode(StrEnum):
    """Whether a position shares the pool of its account or stands alone."""

    CROSS = "cross"
    ISOLATED = "isolated"


class Liquidity(StrEnum):
    """Which side of a trade an account was."""

    MAKER = "maker"  # its order waited in the book
    TAKER = "taker"
