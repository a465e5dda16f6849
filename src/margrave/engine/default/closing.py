"""What the venue's forced fill moves: cash of a slice at a worse price, fee and penalty (spec FM-5, 1.2)."""

from dataclasses import dataclass
from math import ceil, copysign
from typing import final

from margrave.core.errors import Reason, refused
from margrave.domain.account import Leg, Position
from margrave.domain.checks import require
from margrave.domain.fills import fill, notional, premium
from margrave.domain.instruments import Instrument, Option, payoff_asset
from margrave.domain.market import Market

FLAT = 1e-9
"""Share of a position below which what would remain after a slice is closed with it."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationRule:
    """How a venue closes a pool that fell below its maintenance margin."""

    buffer: float = 0.0  # [fraction of maintenance], margin balance to reach beyond it
    slice_share: float = 0.25  # of the position as liquidation found it, closed at a time
    lot: float = 0.0  # [contracts], slices are whole lots and at least one; 0: any size
    slippage: float = 0.0  # [fraction of mark], fills are that much worse for the holder
    fee_rate: float = 0.0  # [fraction of notional], to the venue
    penalty_rate: float = 0.0  # [fraction of notional], to the insurance fund
    floor: float = float("-inf")  # [pool currency], equity below which no slice may lead: takeover

    def __post_init__(self) -> None:
        require(0 <= self.buffer <= 100, "buffer", self.buffer, "a fraction of maintenance, zero or more")
        require(1e-3 <= self.slice_share <= 1, "slice_share", self.slice_share, "between 0.001 and 1")
        require(0 <= self.lot < float("inf"), "lot", self.lot, "zero or more")
        for name in ("slippage", "fee_rate", "penalty_rate"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "a fraction below one")
        require(self.floor <= 0, "floor", self.floor, "zero or less")


@final
@dataclass(frozen=True, slots=True)
class Closing:
    """One forced fill; money in the settlement asset."""

    symbol: str
    leg: Leg
    quantity: float  # [contracts] traded: buy > 0
    price: float  # [as the mark]
    currency: str
    realised: float  # cash: profit of a future, premium received of an option
    profit: float  # from entry to the fill, of both
    slippage: float  # what the fill is worse than the mark, >= 0
    fee: float  # >= 0, to the venue
    penalty: float  # >= 0, to the insurance fund

    @property
    def cash(self) -> float:
        """What it moved in the pool's cash."""
        return self.realised - self.fee - self.penalty


def slice_of(rule: LiquidationRule, start: float, held: float) -> float:
    """Contracts of the next slice, signed against the position; all that is held where little would remain."""
    size = max(abs(start) * rule.slice_share, rule.lot)
    if rule.lot > 0:
        size = ceil(size / rule.lot - FLAT) * rule.lot
    return -held if abs(held) - size <= FLAT * abs(start) else -copysign(size, held)


def conversion(market: Market, asset: str, into: str) -> float:
    """Units of ``into`` per unit of ``asset`` at the index.

    Raises
    ------
    RefusedError
        One of them has no index price.
    """
    if asset == into:
        return 1.0
    prices = market.index_of(asset), market.index_of(into)
    for name, price in zip((asset, into), prices, strict=True):
        if price is None:
            raise refused(name, Reason.MISSING_INDEX, "has no index price to convert at; add it")
    return prices[0] / prices[1]  # type: ignore[operator]


def cash_of(
    instrument: Instrument, market: Market, position: Position, quantity: float, price: float
) -> float:
    """Cash in the settlement asset that closing moves: a future's profit, an option's premium."""
    if isinstance(instrument.kind, Option):
        moved = premium(instrument, quantity, price)
    else:
        moved = fill(instrument, position, quantity, price)[1].realised
    return moved * conversion(market, payoff_asset(instrument), instrument.settlement)


def closing(
    rule: LiquidationRule, market: Market, position: Position, quantity: float, means: float
) -> Closing:
    """Close a slice of a position at its mark less slippage.

    Parameters
    ----------
    rule, market, position : LiquidationRule, Market, Position
        How, where and what; the instrument has a mark.
    quantity : float
        Contracts traded, against the position.
    means : float
        Equity that is there to pay from [settlement asset]: fee and penalty take what slippage leaves of it
        and no more, so that they never make a deficit.

    Returns
    -------
    Closing
        The fill with everything it moved.
    """
    instrument = market.instruments[position.symbol]
    mark = market.quotes[position.symbol].mark
    price = mark * (1.0 + copysign(rule.slippage, quantity))
    realised = cash_of(instrument, market, position, quantity, price)
    slippage = max(cash_of(instrument, market, position, quantity, mark) - realised, 0.0)
    rate = conversion(market, payoff_asset(instrument), instrument.settlement)
    size = notional(instrument.payoff, quantity, price) * rate
    asked = size * (rule.fee_rate + rule.penalty_rate)
    share = min(1.0, max(means - slippage, 0.0) / asked) if asked > 0 else 0.0
    return Closing(
        position.symbol,
        position.leg,
        quantity,
        price,
        instrument.settlement,
        realised,
        fill(instrument, position, quantity, price)[1].realised * rate,
        slippage,
        size * rule.fee_rate * share,
        size * rule.penalty_rate * share,
    )
