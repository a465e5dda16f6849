"""Accounts, markets and rulebooks of the published examples, in a line each."""

from datetime import UTC, datetime

from msgspec import structs

from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Position
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
from margrave.rulebook.ladders import Ladder, Progressive, Tier, TierUnit
from margrave.rulebook.reform import stated, with_schedule
from margrave.rulebook.schedules import Schedule
from margrave.rulebook.schema import (
    AccountRules,
    Basis,
    ClosingFee,
    CrossPool,
    LadderModel,
    LevelRule,
    Match,
    OptionModel,
    Product,
    Rulebook,
    ShortTerms,
)

AT = datetime(2026, 8, 1, tzinfo=UTC)
INVERSE = Instrument(
    symbol="BTC-INVERSE",
    base="BTC",
    quote="USD",
    settlement="BTC",
    kind=Perpetual(),
    payoff=Inverse(contract_value=1.0),
)
LINEAR = Instrument(
    symbol="BTC-LINEAR",
    base="BTC",
    quote="USDT",
    settlement="USDT",
    kind=Perpetual(),
    payoff=Linear(contract_size=1.0),
)
T1 = Schedule(
    name="t1",
    code="SPEC-T1",
    knots=((-0.20, 2.0), (-0.10, 1.5), (-0.05, 1.2), (0.0, 1.0), (0.05, 0.9), (0.10, 0.8), (0.20, 0.6)),
)
TIERED = Progressive(
    code="SPEC-TIERS",
    unit=TierUnit.VALUE,
    tiers=(
        Tier(0.0, 0.025, 0.05),
        Tier(50.0, 0.05, 0.10),
        Tier(100.0, 0.10, 0.20),
        Tier(200.0, 0.125, 0.25),
    ),
    deductions=(0.56, 1.81, 6.81, 11.81),
)


def flat(maintenance: float, initial: float = 0.10) -> Progressive:
    return Progressive(
        code="FLAT", unit=TierUnit.VALUE, tiers=(Tier(0.0, maintenance, max(initial, maintenance)),)
    )


def rules(
    ladder: Ladder,
    basis: Basis = Basis.MARK,
    schedule: Schedule | None = None,
    fee: float | None = None,
    cross: CrossPool = CrossPool.SETTLEMENT,
    **parts: object,
) -> Rulebook:
    level = LevelRule(code="L", basis=basis)
    closing = None if fee is None else ClosingFee(code="F", rate=fee)
    model = LadderModel(ladder="l", initial=level, maintenance=level, closing_fee=closing)
    account = AccountRules(cross_pool=cross, code="A")
    book = stated("test.rules", model, account, ladders={"l": ladder}, **parts)
    return book if schedule is None else with_schedule(book, schedule)


def market(
    *quoted: tuple[Instrument, Quote],
    vols: dict[str, float] | None = None,
    index: dict[str, float] | None = None,
    correlations: dict[tuple[str, str], float] | None = None,
) -> Market:
    return Market(
        at=AT,
        instruments={i.symbol: i for i, _ in quoted},
        quotes={i.symbol: q for i, q in quoted},
        index={"BTC": 50_000.0, "USDT": 1.0, **(index or {})},
        vols=vols or {},
        correlations=correlations or {},
    )


def plain_market(mark: float = 50_000.0, **more: object) -> Market:
    prices = {"BTC": mark}
    return market((INVERSE, Quote(mark=mark)), (LINEAR, Quote(mark=mark)), index=prices, **more)  # type: ignore[arg-type]


def isolated(instrument: Instrument, quantity: float, margin: float, entry: float = 50_000.0) -> Account:
    held = Position(
        symbol=instrument.symbol,
        quantity=quantity,
        entry=entry,
        mode=MarginMode.ISOLATED,
        isolated_margin=margin,
    )
    return Account(positions=(held,))


def crossed(asset: str, cash: float, *held: tuple[Instrument, float, float]) -> Account:
    positions = tuple(Position(symbol=i.symbol, quantity=q, entry=e) for i, q, e in held)
    return Account(balances=(Balance(asset=asset, amount=cash),), positions=positions)


def option(
    strike: float, right: Right, coin: bool = True, base: str = "BTC", expiry: datetime | None = None
) -> Instrument:
    kind = Option(expiry=expiry or datetime(2026, 8, 31, tzinfo=UTC), strike=strike, right=right)
    payoff = CoinPremium(contract_size=1.0) if coin else QuotePremium(contract_size=1.0)
    settled = base if coin else "USDT"
    quote = "USD" if coin else "USDT"
    symbol = f"{base}-{strike:g}-{right}{'' if coin else '-L'}"
    return Instrument(symbol=symbol, base=base, quote=quote, settlement=settled, kind=kind, payoff=payoff)


def mixed_rules(maintenance: float = 0.05, **parts: object) -> Rulebook:
    """Futures by a flat ladder, options by the standard formula, in one pool a settlement asset."""

    def short(base: float, floor: float) -> ShortTerms:
        return ShortTerms(code="O", base=base, floor=floor)

    options = OptionModel(
        initial_call=short(0.15, 0.10),
        initial_put=short(0.15, 0.10),
        maintenance_call=short(0.075, 0.05),
        maintenance_put=short(0.075, 0.05),
    )
    book = rules(flat(maintenance), **parts)  # type: ignore[arg-type]
    first = structs.replace(book.products[0], match=Match(kinds=("perpetual", "future")))
    second = Product(name="options", match=Match(kinds=("option",)), model=options)
    account = structs.replace(book.account, option_value_credit=True)
    return structs.replace(book, products=(first, second), account=account)
