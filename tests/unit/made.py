"""Accounts, markets and rules that the tests make. Figures in the tests are of the specification's section named."""

from datetime import UTC, datetime

from margrave.domain.account import Account, Balance, Position
from margrave.domain.instruments import Instrument, Inverse, Linear, Perpetual
from margrave.domain.market import Market, Quote
from margrave.rulebook.ladders import Ladder, Tier, TierUnit, WholePosition
from margrave.rulebook.reform import stated
from margrave.rulebook.schedules import Schedule
from margrave.rulebook.schema import AccountRules, Basis, CrossPool, LadderModel, LevelRule, Rulebook

AT = datetime(2026, 11, 1, tzinfo=UTC)
T1 = Schedule(
    name="T1",
    code="TEST-T1-001",
    knots=((-0.2, 2.0), (-0.1, 1.5), (-0.05, 1.2), (0.0, 1.0), (0.05, 0.9), (0.1, 0.8), (0.2, 0.6)),
)
"""The default example schedule of the specification, section 1.3."""

INVERSE = Instrument(
    symbol="BTCUSD",
    base="BTC",
    quote="USD",
    settlement="BTC",
    kind=Perpetual(),
    payoff=Inverse(contract_value=1.0),
)
LINEAR = Instrument(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    settlement="USDT",
    kind=Perpetual(),
    payoff=Linear(contract_size=1.0),
)


def flat_ladder(initial: float = 0.10, maintenance: float = 0.05) -> Ladder:
    """One rate for every size."""
    tier = Tier(floor=0.0, initial=initial, maintenance=maintenance)
    return WholePosition(code="TEST-LADDER-001", unit=TierUnit.VALUE, tiers=(tier,))


def rules(
    ladder: Ladder | None = None,
    basis: Basis = Basis.MARK,
    account: AccountRules | None = None,
    **parts: object,
) -> Rulebook:
    """Rulebook of one ladder for every instrument."""
    model = LadderModel(
        ladder="all",
        initial=LevelRule(code="TEST-IM-001", basis=basis),
        maintenance=LevelRule(code="TEST-MM-001", basis=basis),
    )
    account = account or AccountRules(cross_pool=CrossPool.SETTLEMENT, code="TEST-ACCOUNT-001")
    return stated("test.flat", model, account, ladders={"all": ladder or flat_ladder()}, **parts)


def market(*instruments: Instrument, **marks: float) -> Market:
    """Market of instruments at marks by symbol; the index of BTC is the first mark."""
    quotes = {symbol: Quote(mark=mark) for symbol, mark in marks.items()}
    index = {"BTC": next(iter(marks.values())), "USDT": 1.0}
    return Market(at=AT, instruments={i.symbol: i for i in instruments}, quotes=quotes, index=index)


def inverse_market(mark: float) -> Market:
    """The inverse perpetual at a mark."""
    return market(INVERSE, BTCUSD=mark)


def linear_market(mark: float) -> Market:
    """The linear perpetual at a mark."""
    return market(LINEAR, BTCUSDT=mark)


def inverse_account(
    quantity: float = 100_000.0, entry: float = 50_000.0, coins: float = 0.2, **more: object
) -> Account:
    """One inverse position on a wallet of coins."""
    position = Position(symbol="BTCUSD", quantity=quantity, entry=entry, **more)  # type: ignore[arg-type]
    return Account(balances=(Balance(asset="BTC", amount=coins),), positions=(position,))


def linear_account(quantity: float = 2.0, entry: float = 50_000.0, cash: float = 10_000.0) -> Account:
    """One linear position on a wallet of USDT."""
    position = Position(symbol="BTCUSDT", quantity=quantity, entry=entry)
    return Account(balances=(Balance(asset="USDT", amount=cash),), positions=(position,))
