"""Which instruments may be traded for a pool, in which lots and at what cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from margrave.core.rounding import Direction, Step, round_to
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Leg
from margrave.domain.instruments import Inverse, coefficients, payoff_asset
from margrave.domain.market import Market
from margrave.engine.assessment import PoolAssessment
from margrave.margin.plan import plan_of, product_row
from margrave.rulebook.schema import CrossPool, Rulebook


@final
@dataclass(frozen=True, slots=True)
class Costs:
    """What a trade costs and how it may be cut."""

    half_spread: float = 0.0005  # of notional; an option's of its premium
    fee: float = 0.0  # of notional, where the instrument names no taker fee
    lots: Mapping[str, float] | None = None  # [contracts] smallest size; see `lot_of`


@final
@dataclass(frozen=True, slots=True)
class Candidate:
    """An instrument that may be traded."""

    symbol: str
    lot: float  # [contracts]
    lots_max: int  # on either side
    unit_cost: float  # of one lot [numeraire]
    buy: float  # price
    sell: float


def contracts_of(candidate: Candidate, lots: float) -> float:
    """Contracts of a whole number of lots, on the grid of the lot."""
    return round_to(lots * candidate.lot, Step(candidate.lot, Direction.NEAREST))


def lot_of(market: Market, account: Account, symbol: str) -> float:
    """Smallest size that is traded where nobody says: the decimal place of what is held [contracts].

    What is not held trades in contracts, or in thousandths where a contract is a whole coin or more.
    """
    held = sum(abs(p.quantity) for p in account.positions if p.symbol == symbol)
    if held == 0.0:
        (size, _) = coefficients(market.instruments[symbol].payoff)
        return 1.0 if isinstance(market.instruments[symbol].payoff, Inverse) or size < 1.0 else 0.001
    return next((10.0**-k for k in range(9) if abs(held * 10**k - round(held * 10**k)) < 1e-9), 1e-8)


def candidates_of(
    account: Account,
    market: Market,
    rulebook: Rulebook,
    pool: PoolAssessment,
    assets: tuple[str, ...],
    costs: Costs,
) -> tuple[Candidate, ...]:
    """Instruments that may be traded for a cross pool.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation.
    pool : PoolAssessment
        The pool as it is.
    assets : tuple of str
        Its underlyings.
    costs : Costs
        Half spread, fee and lots.

    Returns
    -------
    tuple of Candidate
        In the market's order: on an underlying of the pool, settled in it, with a rule and a quote. None that
        the account holds isolated or in two legs. No side of one may exceed the pool's gross size in its
        underlying.
    """
    plan, spans = plan_of(rulebook), rulebook.account.cross_pool is CrossPool.ACCOUNT
    bound = {p.symbol for p in account.positions if p.mode is not MarginMode.CROSS or p.leg is not Leg.NET}
    gross = {
        asset: sum(
            abs(p.quantity) * _size(market, p.symbol)
            for p in pool.positions
            if market.instruments[p.symbol].base == asset
        )
        for asset in assets
    }
    found = []
    for symbol, instrument in market.instruments.items():
        fits = instrument.base in assets and (spans or instrument.settlement == pool.currency)
        if not fits or symbol in bound or symbol not in market.quotes or product_row(plan, instrument) < 0:
            continue
        lot = (costs.lots or {}).get(symbol, lot_of(market, account, symbol))
        most = int(gross[instrument.base] / (_size(market, symbol) * lot) + 1e-9)
        if most > 0:
            found.append(_candidate(market, symbol, lot, most, costs))
    return tuple(found)


def _size(market: Market, symbol: str) -> float:
    # Coins of the underlying per contract, whatever the payoff.
    instrument = market.instruments[symbol]
    a, c = coefficients(instrument.payoff)
    index = market.index_of(instrument.base)
    return a + c / (index or market.quotes[symbol].mark)


def _candidate(market: Market, symbol: str, lot: float, most: int, costs: Costs) -> Candidate:
    instrument, mark = market.instruments[symbol], market.quotes[symbol].mark
    a, c = coefficients(instrument.payoff)
    worth = (a * mark + c / mark) * (market.index_of(payoff_asset(instrument)) or 1.0)
    cost = worth * lot * (costs.half_spread + (instrument.taker_fee or 0.0))
    return Candidate(
        symbol, lot, most, cost, mark * (1.0 + costs.half_spread), mark * (1.0 - costs.half_spread)
    )
