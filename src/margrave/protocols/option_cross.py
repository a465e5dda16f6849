"""Cross margin of perpetual options, as Paradex asks it: options without expiry, by premium, spot and moneyness.

A perpetual option has no expiry, so that it is none of the engine's options; its rule looks at mark, spot and strike
alone. Everything is per option and in quote. Source: specification of on-chain systems, section 6.
"""

from dataclasses import dataclass
from typing import final

from margrave.domain.checks import require, require_price
from margrave.domain.instruments import Right


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CrossTerms:
    """Constants of one level of margin; fractions, >= 0."""

    premium: float  # of the mark, long
    long_cap: float  # of spot, long: never more than this
    short_base: float  # of spot, short, before what it is out of the money
    short_floor: float  # of spot, short, after it
    short_put_cap: float  # of the strike, short put: never more than this

    def __post_init__(self) -> None:
        for name in self.__slots__:
            require(
                0.0 <= getattr(self, name) < float("inf"),
                name,
                getattr(self, name),
                "a fraction of zero or more",
            )


PARADEX_INITIAL = CrossTerms(premium=1.0, long_cap=0.20, short_base=0.15, short_floor=0.10, short_put_cap=0.5)
PARADEX_MAINTENANCE = CrossTerms(
    premium=0.5, long_cap=0.10, short_base=0.075, short_floor=0.05, short_put_cap=0.5
)
"""Example parameters of the venue's page; it sets them for each underlying."""


def long_margin(terms: CrossTerms, mark: float, spot: float) -> float:
    """Margin of one option bought: a share of its premium, at most a share of spot [quote].

    Raises
    ------
    ValueError
        Spot is no price, or the mark is below zero or not finite.
    """
    _require_prices(mark, spot)
    return min(terms.premium * mark, terms.long_cap * spot)


def short_margin(terms: CrossTerms, right: Right, strike: float, spot: float) -> float:
    """Margin of one option sold [quote].

    Parameters
    ----------
    terms : CrossTerms
        Constants of the level.
    right : Right
        Call or put.
    strike, spot : float
        > 0. [quote per coin]

    Returns
    -------
    float
        ``max(base × spot - out of the money, floor × spot)``; a put's at most ``cap × strike``, for the strike is
        all that it can cost.

    Raises
    ------
    ValueError
        A price is none.
    """
    _require_prices(0.0, spot)
    require_price("strike", strike)
    out = max(strike - spot if right is Right.CALL else spot - strike, 0.0)
    asked = max(terms.short_base * spot - out, terms.short_floor * spot)
    return asked if right is Right.CALL else min(asked, terms.short_put_cap * strike)


def _require_prices(mark: float, spot: float) -> None:
    require_price("spot", spot)
    require(0.0 <= mark < float("inf"), "mark", mark, "a premium of zero or more")
