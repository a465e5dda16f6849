"""Domain objects and rulebooks from the parameters that a vector states."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, final

from margrave.adapters.conform.vector import UnsupportedError
from margrave.core.rounding import Direction
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Order, Position
from margrave.domain.instruments import (
    CoinPremium,
    Instrument,
    Inverse,
    Linear,
    Option,
    Perpetual,
    QuotePremium,
    Right,
)
from margrave.domain.market import Market, Quote
from margrave.engine.assess import assess
from margrave.engine.assessment import PoolAssessment
from margrave.liquidation import liquidations
from margrave.rulebook.ladders import Ladder, Progressive, Tier, TierUnit
from margrave.rulebook.reform import stated
from margrave.rulebook.schema import (
    AccountRules,
    Basis,
    ClosingFee,
    CrossPool,
    LadderModel,
    LevelRule,
    Model,
    RateRule,
    Rulebook,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)
CODE = "STATED-RULE-001"


def linear(size: float = 1.0, symbol: str = "MAIN", base: str = "MAIN", **more: Any) -> Instrument:
    """A linear perpetual in USDT."""
    return Instrument(
        symbol=symbol,
        base=base,
        quote="USDT",
        settlement="USDT",
        kind=Perpetual(),
        payoff=Linear(contract_size=size),
        **more,
    )


def inverse(value: float = 1.0, symbol: str = "MAIN", base: str = "MAIN", **more: Any) -> Instrument:
    """An inverse perpetual."""
    return Instrument(
        symbol=symbol,
        base=base,
        quote="USD",
        settlement=base,
        kind=Perpetual(),
        payoff=Inverse(contract_value=value),
        **more,
    )


def option(strike: float, right: str, *, coin: bool, size: float = 1.0, symbol: str = "OPTION") -> Instrument:
    """A European option of 30 days on MAIN."""
    payoff = CoinPremium(contract_size=size) if coin else QuotePremium(contract_size=size)
    kind = Option(expiry=AT + timedelta(days=30), strike=strike, right=Right(right))
    return Instrument(
        symbol=symbol,
        base="MAIN",
        quote="USD",
        settlement="MAIN" if coin else "USD",
        kind=kind,
        payoff=payoff,
    )


def one_rate(maintenance: float, deduction: float = 0.0, initial: float | None = None) -> Ladder:
    """A bracket that holds for every size, with the deduction that the source states."""
    tier = Tier(floor=0.0, maintenance=maintenance, initial=initial)
    return Progressive(code=CODE, unit=TierUnit.VALUE, tiers=(tier,), deductions=(deduction,))


def brackets(rows: list[Any], unit: TierUnit = TierUnit.VALUE) -> Progressive:
    """A progressive ladder from rows of floor and maintenance rate; deductions by recursion."""
    return Progressive(
        code=CODE, unit=unit, tiers=tuple(Tier(floor=float(f), maintenance=float(r)) for f, r in rows)
    )


def rules(
    ladder: Ladder,
    *,
    basis: Basis = Basis.MARK,
    rate: RateRule = RateRule.LEVERAGE_ONLY,
    fee: ClosingFee | None = None,
    account: AccountRules | None = None,
    **parts: Any,
) -> Rulebook:
    """A rulebook of one ladder; the holder's leverage gives the initial rate."""
    model = LadderModel(
        ladder="stated",
        initial=LevelRule(code=CODE, basis=basis, rate=rate),
        maintenance=LevelRule(code=CODE, basis=basis),
        closing_fee=fee,
    )
    return book(model, account, ladders={"stated": ladder}, **parts)


def book(model: Model, account: AccountRules | None = None, **parts: Any) -> Rulebook:
    """A rulebook of one model."""
    account = account or AccountRules(cross_pool=CrossPool.SETTLEMENT, code=CODE)
    return stated("stated.vector", model, account, **parts)


EARLIER = {"price_to_earlier": True}
DOWN = Direction.TRUNCATE


@final
@dataclass(frozen=True, slots=True)
class Held:
    """One position of a vector."""

    instrument: Instrument
    quantity: float
    entry: float
    mark: float | None = None  # None: at entry
    leverage: float | None = None
    isolated: float | None = None  # margin; None: cross
    alone: bool = False  # isolated with the margin that its leverage asks


def market_of(
    *held: Held, index: dict[str, float] | None = None, instruments: tuple[tuple[Instrument, float], ...] = ()
) -> Market:
    """A market of the positions' marks."""
    quotes = {h.instrument.symbol: Quote(mark=h.entry if h.mark is None else h.mark) for h in held}
    quotes |= {i.symbol: Quote(mark=mark) for i, mark in instruments}
    listed = {h.instrument.symbol: h.instrument for h in held} | {i.symbol: i for i, _ in instruments}
    return Market(at=AT, instruments=listed, quotes=quotes, index=index or {})


def account_of(*held: Held, cash: dict[str, float] | None = None, orders: tuple[Order, ...] = ()) -> Account:
    """An account of positions and cash."""
    positions = tuple(
        Position(
            symbol=h.instrument.symbol,
            quantity=h.quantity,
            entry=h.entry,
            mode=MarginMode.ISOLATED if h.alone or h.isolated is not None else MarginMode.CROSS,
            leverage=h.leverage,
            isolated_margin=h.isolated,
        )
        for h in held
    )
    balances = tuple(Balance(asset=asset, amount=amount) for asset, amount in (cash or {}).items())
    return Account(balances=balances, positions=positions, orders=orders)


def pool_of(account: Account, market: Market, rulebook: Rulebook) -> PoolAssessment:
    """The pool that holds the account's first position, or its only pool."""
    pools = assess(account, market, rulebook).pools
    return next((p for p in pools if p.positions), pools[0])


def liquidated(
    account: Account,
    market: Market,
    rulebook: Rulebook,
    sign: float,
    *,
    bankrupt: bool = False,
    rounded: bool = False,
) -> float:
    """Liquidation (or bankruptcy) price of the first position against its holder, along its own underlying."""
    base = market.instruments[account.positions[0].symbol].base
    found = next(
        p
        for p in liquidations(account, market, rulebook, base)
        if p.instrument == account.positions[0].symbol
    )
    side = "down" if sign > 0 else "up"
    # At a hundredfold leverage the liquidation price may be the entry itself, which lies on neither side.
    bounds = [
        b
        for b in (found.bankruptcy if bankrupt else found.bounds)
        if b.side == side or abs(b.factor - 1.0) < 1e-12
    ]
    if not bounds:
        raise UnsupportedError(f"no {side} bound: {found.reason}")
    return bounds[0].price if rounded else bounds[0].exact
