"""Portfolio margin that the tests make: the market and the grid of the specification, section 2 PMS."""

from datetime import timedelta

from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import book_of
from margrave.domain.instruments import (
    CoinPremium,
    Future,
    Instrument,
    Inverse,
    Linear,
    Option,
    Perpetual,
    QuotePremium,
    Right,
)
from margrave.domain.market import Market, Quote
from margrave.kernels.black76 import coin_price, quote_price
from margrave.margin.pooled import evaluate, prepare
from margrave.rulebook.portfolio import (
    Cells,
    EvenGrid,
    LevelFactors,
    ScenarioModel,
    UnitTerms,
    VolShock,
)
from margrave.rulebook.reform import stated
from margrave.rulebook.schema import AccountRules, CrossPool, PortfolioMember
from tests.unit.made import AT

PRICE, VOL, DAYS = 50_000.0, 0.8, 30.0
GRID = Cells(code="TEST-PM-001", even=EvenGrid(range=0.16, each_side=4))
SHOCK = VolShock(code="TEST-PM-002", up=0.5, down=0.25)  # 80 % to 120 %, 80 %, 60 %


def terms(cells=GRID, vol=SHOCK, **more):
    """What holds for every underlying."""
    return UnitTerms(code="TEST-PM-003", cells=cells, vol=vol, **more)


def model(*of, levels=None, **more):
    """A scenario model; the grid of the specification by default."""
    levels = levels or LevelFactors(code="TEST-PM-005")
    return ScenarioModel(code="TEST-PM-004", terms=of or (terms(),), levels=levels, **more)


def rulebook(*of, account=None, currency=None, **more):
    """Everything margined together, by settlement asset or, with a currency, the whole account."""
    pool = CrossPool.SETTLEMENT if currency is None else CrossPool.ACCOUNT
    account = account or AccountRules(
        cross_pool=pool,
        currency=currency,
        code="TEST-PM-006",
        option_value_credit=True,
        haircut_unlisted=0.0,
    )
    return stated("test.portfolio", PortfolioMember(), account, portfolio=model(*of, **more))


def inverse(symbol="BTCUSD", base="BTC", days=None):
    """Contracts of one dollar in the coin."""
    kind = Perpetual() if days is None else Future(expiry=AT + timedelta(days=days))
    return Instrument(
        symbol=symbol, base=base, quote="USD", settlement=base, kind=kind, payoff=Inverse(contract_value=1.0)
    )


def linear(symbol="BTC-LINEAR", base="BTC", days=None):
    """Contracts of one coin in dollars."""
    kind = Perpetual() if days is None else Future(expiry=AT + timedelta(days=days))
    return Instrument(
        symbol=symbol, base=base, quote="USD", settlement="USD", kind=kind, payoff=Linear(contract_size=1.0)
    )


def option(strike, right, *, coin=True, days=DAYS, base="BTC"):
    """An option on one coin, such as C50 on 50,000, with premium in coin or in dollars."""
    kind = Option(expiry=AT + timedelta(days=days), strike=strike, right=Right(right))
    unit = "" if coin else "q"
    letter = right[0].upper()
    return Instrument(
        symbol=f"{base}-{letter}{strike / 1000:g}-{days:g}{unit}",
        base=base,
        quote="USD",
        settlement=base if coin else "USD",
        kind=kind,
        payoff=CoinPremium(contract_size=1.0) if coin else QuotePremium(contract_size=1.0),
    )


def quote_of(instrument, price=PRICE, vol=VOL):
    """Mark at the model's price."""
    if not isinstance(instrument.kind, Option):
        return Quote(mark=price, index=price)
    years = (instrument.kind.expiry - AT).total_seconds() / (365.0 * 86_400.0)
    worth = coin_price if isinstance(instrument.payoff, CoinPremium) else quote_price
    mark = float(worth(price, instrument.kind.strike, vol, years, instrument.kind.right is Right.CALL))
    return Quote(mark=mark, index=price, forward=price, vol=vol)


def market(instruments, prices=None, vol=VOL, **more):
    """All instruments at the price of their underlying."""
    prices = {"BTC": PRICE} if prices is None else prices
    quotes = {i.symbol: quote_of(i, prices[i.base], vol) for i in instruments}
    listed = {i.symbol: i for i in instruments}
    return Market(at=AT, instruments=listed, quotes=quotes, index=prices, **more)


def account(held, told, balances=(("BTC", 1.0),), name="account"):
    """Positions at their marks."""
    positions = tuple(
        Position(symbol=i.symbol, quantity=float(q), entry=max(told.quotes[i.symbol].mark, 1e-12))
        for i, q in held
    )
    owned = tuple(Balance(asset=a, amount=x) for a, x in balances)
    return Account(name=name, balances=owned, positions=positions)


def pooled_of(held, rules=None, balances=(("BTC", 1.0),), prices=None, **more):
    """Pools of one account."""
    told = market([i for i, _ in held], prices, **more)
    return evaluate(prepare(book_of((account(held, told, balances),)), told, rules or rulebook()))


def block_of(held, rules=None, **more):
    """The workings of the first terms' units."""
    return pooled_of(held, rules, **more).workings.joint.workings.blocks[0]


def gains_of(held, rules=None, **more):
    """Gains of the first unit in every cell, (C,)."""
    return block_of(held, rules, **more).gross[0, :, 0]
