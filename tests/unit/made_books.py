"""Random accounts of every kind, a market that quotes what they hold, and the rulebooks that margin them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
from msgspec import structs

from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Leg, Memory, Order, Position
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
from margrave.margin.plan import plan_of, product_row
from margrave.rulebook.catalogue import shipped
from margrave.rulebook.clearing import (
    Amount,
    CalendarSpread,
    CommoditySpread,
    DeliveryCharge,
    DeltaRun,
    ExpiryTier,
    PriceRisk,
    ProductGroup,
    RangesModel,
    ScanModel,
    Share,
    ShortCount,
    ShortOptionMinimum,
    SpreadLeg,
    UnderlyingClass,
)
from margrave.rulebook.portfolio import CorrelationOffset, CorrelationPair
from margrave.rulebook.reform import stated, with_schedule
from margrave.rulebook.schedules import Discipline, Excursion, Interpolation, Reference, Schedule
from margrave.rulebook.schema import (
    AccountRules,
    CrossPool,
    Netting,
    OptionModel,
    OrderRule,
    PortfolioMember,
    Rulebook,
    Strategy,
)
from margrave.rulebook.tail import (
    ExpectedShortfall,
    LowerValueAtRisk,
    MonteCarlo,
    NotionalFloor,
    ReturnKind,
    TailModel,
    UpperBound,
    UpperValueAtRisk,
    VolDraws,
)
from tests.unit.made import T1
from tests.unit.margin import clearing

AT = datetime(2026, 11, 1, tzinfo=UTC)
INDEX = {"BTC": 60_000.0, "ETH": 2_400.0, "SOL": 150.0, "USDT": 1.0, "USDC": 0.999, "USD": 1.0}
QUOTES = {"USD": "inverse", "USDT": "linear", "USDC": "linear"}
DAYS = (7, 30, 90)


def _listed() -> tuple[list[Instrument], dict[str, Quote]]:
    instruments, quotes = [], {}

    def add(symbol, base, quote, settlement, kind, payoff, **priced):
        instruments.append(
            Instrument(symbol=symbol, base=base, quote=quote, settlement=settlement, kind=kind, payoff=payoff)
        )
        quotes[symbol] = Quote(**priced)

    for base in ("BTC", "ETH", "SOL"):
        spot = INDEX[base]
        for quote, form in QUOTES.items():
            settled = base if form == "inverse" else quote
            payoff = Inverse(contract_value=10.0) if form == "inverse" else Linear(contract_size=0.01)
            add(f"{base}{quote}", base, quote, settled, Perpetual(), payoff, mark=spot * 1.0005)
            for days in DAYS[1:]:
                kind = Future(expiry=AT + timedelta(days=days))
                add(
                    f"{base}{quote}-{days}", base, quote, settled, kind, payoff, mark=spot * (1 + 1e-4 * days)
                )
        for days in DAYS:
            for share in (0.8, 0.95, 1.0, 1.1, 1.3):
                for right in Right:
                    _options(add, base, spot, days, share, right)
    return instruments, quotes


def _options(add, base, spot, days, share, right):
    expiry, strike = AT + timedelta(days=days), round(spot * share, 2)
    kind = Option(expiry=expiry, strike=strike, right=right)
    forward, vol, years, call = spot * (1 + 1e-4 * days), 0.5 + 0.2 * share, days / 365.0, right is Right.CALL
    name = f"{base}-{days}-{strike:g}-{right}"
    mark = float(coin_price(forward, strike, vol, years, call))
    add(name, base, "USD", base, kind, CoinPremium(contract_size=1.0), mark=mark, forward=forward, vol=vol)
    mark = float(quote_price(forward, strike, vol, years, call))
    for quote in ("USDC", "USDT"):
        payoff = QuotePremium(contract_size=1.0)
        add(f"{name}-{quote}", base, quote, quote, kind, payoff, mark=mark, forward=forward, vol=vol)


INSTRUMENTS, _QUOTES = _listed()
MARKET = Market(
    at=AT,
    instruments={i.symbol: i for i in INSTRUMENTS},
    quotes=_QUOTES,
    index=INDEX,
    vols={"BTC": 0.6, "ETH": 0.75, "SOL": 1.0},
    confidence={"ETH": 0.3, "USDC": 0.9},
    open_interest={i.symbol: 1e4 * k for k, i in enumerate(INSTRUMENTS)},
    slow={"SOL": 140.0, "BTCUSDC": 61_000.0},
    deposits={"BTC": 1_000.0, "ETH": 5e4, "SOL": 1e6, "USDT": 2e6},
    borrows={"BTC": 2_000.0, "ETH": 4e4, "SOL": 1e5, "USDT": 1e5},
    correlations={("BTC", "ETH"): 0.8, ("BTC", "SOL"): 0.6, ("ETH", "SOL"): 0.7},
    returns={
        base: tuple(np.random.default_rng(k).normal(0.0, 0.03, 60).tolist())
        for k, base in enumerate(("BTC", "ETH", "SOL"))
    },
)


def accounts(seed: int, count: int, rulebook: Rulebook) -> list[Account]:
    """Accounts of 0 to 12 positions with every choice that a holder has.

    They hold what the rulebook margins, and now and then something that it does not, or that nobody lists.
    """
    rng = np.random.default_rng(seed)
    plan = plan_of(rulebook)
    ruled = [i for i in INSTRUMENTS if product_row(plan, i) >= 0]
    if rulebook.id.startswith("okx.pm"):  # which does not publish what its options need
        ruled = [i for i in ruled if not isinstance(i.kind, Option)]
    return [_account(rng, f"account {row}", ruled or INSTRUMENTS) for row in range(count)]


def _account(rng: np.random.Generator, name: str, ruled: list[Instrument]) -> Account:
    few = [ruled[int(k)] for k in rng.integers(0, len(ruled), 8)]
    held = [_position(rng, few) for _ in range(rng.integers(0, 13))]
    positions = {(p.symbol, p.leg, p.mode): p for p in held}
    assets = rng.permutation(list(INDEX))[: rng.integers(0, 5)]
    balances = [Balance(asset=str(a), amount=float(rng.normal(0.5, 1.0) * 2e5 / INDEX[a])) for a in assets]
    return Account(
        name=name,
        balances=tuple(balances),
        positions=tuple(positions.values()),
        orders=tuple(_order(rng, few) for _ in range(rng.integers(0, 5) * rng.integers(0, 2))),
        memory=tuple(_memory(rng, a) for a in ("BTC", "ETH") if rng.random() < 0.3),
        parent="house" if rng.random() < 0.1 else None,
    )


def _pick(rng: np.random.Generator, few: list[Instrument]) -> tuple[str, float, float]:
    # Few instruments, so that things offset.
    if (rare := rng.random()) < 0.005:
        return "GONE", 100.0, 1.0
    listed = INSTRUMENTS if rare < 0.02 else few
    instrument = listed[int(rng.integers(0, len(listed)))]
    mark = max(_QUOTES[instrument.symbol].mark, 1e-6)
    match instrument.payoff:
        case Inverse():
            size = 5_000.0 * rng.integers(1, 9)
        case Linear():
            size = 2e5 / INDEX[instrument.base] * rng.integers(1, 30)
        case _:
            size = 2e4 / INDEX[instrument.base] * rng.integers(1, 9)
    return instrument.symbol, float(size), mark


def _position(rng: np.random.Generator, few: list[Instrument]) -> Position:
    symbol, size, mark = _pick(rng, few)
    quantity = float(size * rng.choice((-1.0, 1.0)) * (rng.random() > 0.02))
    isolated = bool(rng.random() < 0.2)
    leg = (Leg.LONG if quantity >= 0 else Leg.SHORT) if rng.random() < 0.2 else Leg.NET
    stated = isolated and rng.random() < 0.5
    return Position(
        symbol=symbol,
        quantity=quantity,
        entry=float(mark * np.exp(rng.normal(0.0, 0.05))),
        mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
        leverage=float(rng.integers(1, 50)) if rng.random() < 0.6 else None,
        isolated_margin=float(rng.random() * 10.0) if stated else None,
        leg=leg,
    )


def _order(rng: np.random.Generator, few: list[Instrument]) -> Order:
    symbol, size, mark = _pick(rng, few)
    return Order(
        symbol=symbol,
        quantity=float(size * rng.choice((-1.0, 1.0))),
        price=float(mark * np.exp(rng.normal(0.0, 0.03))),
        reduce_only=bool(rng.random() < 0.2),
        leverage=float(rng.integers(1, 50)) if rng.random() < 0.3 else None,
    )


def _memory(rng: np.random.Generator, underlying: str) -> Memory:
    def maybe(value: float) -> float | None:
        return float(value) if rng.random() < 0.6 else None

    return Memory(
        underlying=underlying,
        at=AT - timedelta(hours=float(rng.random() * 48)),
        reference=maybe(INDEX[underlying] * np.exp(rng.normal(0.0, 0.1))),
        best_mark=maybe(INDEX[underlying] * np.exp(rng.normal(0.0, 0.1))),
        multiplier=maybe(rng.uniform(0.6, 1.4)),
        tier=int(rng.integers(-2, 3)) if rng.random() < 0.4 else None,
        side=int(rng.choice((-1, 1))),
    )


def rulebooks() -> list[Rulebook]:
    """Every rulebook that ships, each in its newest version, and made ones of every rule that none of them has."""
    newest: dict[str, Rulebook] = {}
    for book in shipped():
        if book.id not in newest or book.valid_from > newest[book.id].valid_from:
            newest[book.id] = book
    return [*(newest[name] for name in sorted(newest)), *_made(newest)]


def _made(newest: dict[str, Rulebook]) -> Iterator[Rulebook]:
    inverse, options, scenarios = (newest[n] for n in ("example.inverse", "deribit.sm", "deribit.xpm"))
    for number, schedule in enumerate(_schedules()):
        yield structs.replace(with_schedule(inverse, schedule), id=f"made.schedule-{number}")
    for netting in Netting:
        rules = structs.replace(inverse.account, netting=netting, matched_charge=0.1, orders=OrderRule.SUM)
        yield structs.replace(inverse, id=f"made.netting-{netting}", account=rules)
    named = tuple(
        structs.replace(p, model=structs.replace(p.model, strategies=tuple(Strategy), strategy_code="MADE-1"))
        if isinstance(p.model, OptionModel)
        else p
        for p in options.products
    )
    account = structs.replace(options.account, open_loss=True, profit_credit=0.5)
    yield structs.replace(options, id="made.strategies", products=named, account=account)
    pairs = (("BTC", "ETH", 0.8), ("BTC", "SOL", 0.6))
    offset = CorrelationOffset(
        code="MADE-2", pairs=tuple(CorrelationPair(first=a, second=b, correlation=rho) for a, b, rho in pairs)
    )
    model = structs.replace(scenarios.portfolio, correlation=offset)
    yield structs.replace(scenarios, id="made.correlation", portfolio=model)
    models = {"scan": _scan(), "spreads": _spreads(), "ranges": _ranges()}
    models |= {f"draws-{k}": model for k, model in enumerate(_draws())}
    for name, portfolio in models.items():
        rules = AccountRules(cross_pool=CrossPool.ACCOUNT, code="MADE-3", haircut_unlisted=0.1)
        yield stated(f"made.{name}", PortfolioMember(), rules, portfolio=portfolio)


def _schedules() -> Iterator[Schedule]:
    rules = (
        (Interpolation.LINEAR, Reference.VWAP, Excursion.PERCENT, Discipline(release_per_hour=0.01)),
        (Interpolation.PCHIP, Reference.RATCHET, Excursion.COIN, Discipline(profit_share_max=0.5)),
        (Interpolation.STEP, Reference.ENTRY, Excursion.LOG, Discipline(dwell=3, dead_band=0.01)),
        (Interpolation.LINEAR, Reference.HIGH_WATER, Excursion.SIGMA, Discipline()),
        (Interpolation.PCHIP, Reference.EWMA, Excursion.RETURN_ON_MARGIN, Discipline()),
    )
    for interpolation, reference, excursion, discipline in rules:
        yield structs.replace(
            T1,
            interpolation=interpolation,
            reference=reference,
            excursion=excursion,
            discipline=discipline,
            floor=0.002,
            cap=0.5,
            initial_over_maintenance=1.1,
        )


def _scan() -> ScanModel:
    return clearing.scan(
        *(
            clearing.commodity(base, price_range=Share(value=0.15), vol_range=Share(value=0.25))
            for base in ("BTC", "ETH", "SOL")
        )
    )


def _spreads() -> ScanModel:
    spread = partial(CalendarSpread, code="MADE-6")
    rate = Share(value=0.01)
    rules = {
        "BTC": {
            "spreads": (spread(tiers=("near", "far"), rate=rate), spread(tiers=("far", "far"), rate=rate))
        },
        "ETH": {"spread_between": DeltaRun.TIER, "price_risk": PriceRisk.NORMAL},
        "SOL": {"spread_between": DeltaRun.TIER, "price_risk": PriceRisk.SCANRANGE},
    }
    tiers = (
        ExpiryTier(name="near", days_max=40.0),
        ExpiryTier(name="far"),
        ExpiryTier(name="perpetual", perpetuals=True),
    )
    own = {
        "price_range": Share(value=0.15),
        "vol_range": Share(value=0.25),
        "tiers": tiers,
        "spreads": (spread(tiers=("perpetual", "near"), rate=Amount(value=10.0), ratios=(1.0, 2.0)),),
        "delivery": DeliveryCharge(
            code="MADE-7", tier="near", spread=Amount(value=5.0), outright=Share(value=0.002)
        ),
        "short_option_minimum": ShortOptionMinimum(
            code="MADE-8", rate=Share(value=0.01), count=ShortCount.LARGER
        ),
    }
    legs = (
        SpreadLeg(commodity="BTC", ratio=1.0),
        SpreadLeg(commodity="ETH", ratio=20.0, opposite=True),
    )
    return clearing.scan(
        *(clearing.commodity(base, **(own | more)) for base, more in rules.items()),
        spreads=(CommoditySpread(code="MADE-9", legs=legs, rate=0.6),),
        initial_over_maintenance=1.2,
    )


def _draws() -> Iterator[TailModel]:
    common = {
        "code": "MADE-10",
        "horizon_days": 2.0,
        "still": ("USD", "USDT", "USDC"),
        "floor": NotionalFloor(code="MADE-11", gross=0.01, net=0.02),
    }
    measures = (
        LowerValueAtRisk(code="MADE-12", confidence=0.95),
        UpperValueAtRisk(code="MADE-12", confidence=0.95),
        ExpectedShortfall(code="MADE-12", confidence=0.95),
        ExpectedShortfall(code="MADE-12", confidence=0.943),
    )
    for k, measure in enumerate(measures):
        draws = MonteCarlo(
            code="MADE-13",
            seed=k,
            count=200,
            returns=ReturnKind.LOG,
            vols=VolDraws(code="MADE-14", vol_of_vol=0.5, correlation=-0.3) if k % 2 else None,
            upper_bound=UpperBound(code="MADE-15", sureness=0.9) if k in (1, 2) else None,
        )
        yield TailModel(measure=measure, scenarios=draws, collateral_moves=k > 1, **common)


def _ranges() -> RangesModel:
    classes = tuple(
        UnderlyingClass(name=base, code=f"MADE-{base}", bases=(base,), up=0.15, down=0.15, group="coins")
        for base in ("BTC", "ETH", "SOL")
    )
    return RangesModel(
        code="MADE-4", classes=classes, groups=(ProductGroup(name="coins", code="MADE-5", offset=0.5),)
    )
