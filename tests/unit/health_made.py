"""Protocol accounts as books: the same account for the exact twin and for a rulebook with a health model."""

from datetime import UTC, datetime

from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Order, Position
from margrave.domain.instruments import Instrument, Linear, Perpetual, Spot
from margrave.domain.market import Market, Quote
from margrave.protocols import drift, mango
from margrave.protocols.drift_positions import DriftAccount
from margrave.rulebook.health import (
    Gains,
    HealthModel,
    LiquidationEnd,
    OrderTerms,
    PerpetualRule,
    Settling,
    Sides,
    SlowPrices,
    SpotOrders,
    TokenRule,
    Weights,
)
from margrave.rulebook.load import checked
from margrave.rulebook.schema import (
    AccountRules,
    CrossPool,
    Match,
    OrderRule,
    PortfolioMember,
    Product,
    Rulebook,
    Source,
)

AT = datetime(2026, 11, 1, tzinfo=UTC)


def rulebook(model: HealthModel) -> Rulebook:
    """A rulebook of one model in US dollars."""
    return checked(
        Rulebook(
            schema=1,
            id="made.health",
            venue="made",
            title="made",
            valid_from=datetime(2020, 1, 1, tzinfo=UTC),
            account=AccountRules(
                cross_pool=CrossPool.ACCOUNT,
                code="MADE-HEALTH-001",
                currency="USD",
                haircut_unlisted=0.0,
                orders=OrderRule.NONE,
            ),
            products=(Product(name="all", match=Match(), model=PortfolioMember()),),
            sources=(Source(id="made", url="made"),),
            portfolio=model,
        )
    )


def token(asset: str, initial=(1.0, 1.0), maintenance=(1.0, 1.0), **more) -> TokenRule:
    """Weights as (asset, liability)."""
    return TokenRule(
        code=f"MADE-{asset}",
        asset=asset,
        initial=Weights(asset=initial[0], liability=initial[1]),
        maintenance=Weights(asset=maintenance[0], liability=maintenance[1]),
        **more,
    )


def gains(initial=1.0, maintenance=1.0, **more) -> Gains:
    return Gains(code="MADE-GAINS", initial=initial, maintenance=maintenance, **more)


def perpetual(base: str, initial=(0.1, 0.1), maintenance=(0.05, 0.05), of=None, **more) -> PerpetualRule:
    """Rates as (long, short)."""
    return PerpetualRule(
        code=f"MADE-{base}-PERP",
        base=base,
        initial=Sides(long=initial[0], short=initial[1]),
        maintenance=Sides(long=maintenance[0], short=maintenance[1]),
        gains=of or gains(),
        **more,
    )


def beside(tokens, perpetuals=(), buffer=0.02) -> HealthModel:
    """Rules of Drift's kind."""
    return HealthModel(
        code="MADE-MODEL",
        tokens=tuple(tokens),
        perpetuals=tuple(perpetuals),
        orders=OrderTerms(code="MADE-ORDERS", spot=SpotOrders.WORSE_SIDE, fee=0.01),
        settling=Settling.BESIDE,
        slow=SlowPrices(code="MADE-SLOW"),
        liquidation_end=LiquidationEnd(code="MADE-END", weights="maintenance", buffer=buffer),
    )


def into_balance(tokens, perpetuals=()) -> HealthModel:
    """Rules of Mango's kind."""
    return HealthModel(
        code="MADE-MODEL",
        tokens=tuple(tokens),
        perpetuals=tuple(perpetuals),
        orders=OrderTerms(code="MADE-ORDERS", spot=SpotOrders.RESERVED),
        settling=Settling.INTO_BALANCE,
        slow=SlowPrices(code="MADE-SLOW", perpetuals=True, scaling=True),
        liquidation_end=LiquidationEnd(code="MADE-END", weights="initial"),
    )


def contract(base: str, quote: str = "USDC", kind=None, size: float = 1.0) -> Instrument:
    """A perpetual ``BASE-PERP`` or a spot market ``BASE/QUOTE``."""
    symbol = f"{base}/{quote}" if isinstance(kind, Spot) else f"{base}-PERP"
    return Instrument(
        symbol=symbol,
        base=base,
        quote=quote,
        settlement=quote,
        kind=kind or Perpetual(),
        payoff=Linear(contract_size=size),
    )


def market_of(instruments, marks, index, **more) -> Market:
    return Market(
        at=AT,
        instruments={i.symbol: i for i in instruments},
        quotes={symbol: Quote(mark=mark) for symbol, mark in marks.items()},
        index=index,
        **more,
    )


def orders_of(symbol: str, bids: float, asks: float, price: float, count: int) -> list[Order]:
    """One bid and one ask in ``count`` orders together; the first of a side has all of its size but crumbs."""
    sides = [size for size in (bids, asks) if size]
    orders = [Order(symbol=symbol, quantity=size, price=price) for size in sides]
    more = count - len(orders)
    return orders + [
        Order(symbol=symbol, quantity=1e-12 * (sides[0] / abs(sides[0])), price=price) for _ in range(more)
    ]


def drift_book(account: DriftAccount, strict: bool = True) -> tuple[Account, Market, Rulebook]:
    """A Drift account of the twin as an account under a rulebook with the same markets."""
    index, slow, deposits = {"USDC": account.quote.price / drift.PRICE}, {}, {}
    balances, orders, positions, marks = {"USDC": account.quote.amount / 1e6}, [], [], {}
    tokens, perpetuals, instruments = [token("USDC")], [], []
    if account.quote.twap is not None:
        slow["USDC"] = account.quote.twap / 1e6
    for s in account.spots:
        m, unit = s.market, drift.unit(s.market.decimals)
        index[m.name], balances[m.name] = m.price / 1e6, s.amount / unit
        deposits[m.name] = m.deposits / unit
        if m.twap is not None:
            slow[m.name] = m.twap / 1e6
        tokens.append(
            token(
                m.name,
                (m.asset.initial / 1e4, m.liability.initial / 1e4),
                (m.asset.maintenance / 1e4, m.liability.maintenance / 1e4),
                size_factor=m.imf / 1e6,
                deposits_from=m.scale_start / 1e6 or None,
            )
        )
        instruments.append(listed := contract(m.name, kind=Spot()))
        marks[listed.symbol] = m.price / 1e6
        orders += orders_of(listed.symbol, s.bids / unit, s.asks / unit, m.price / 1e6, s.open_orders)
    for p in account.perps:
        m = p.market
        rates, share = m.ratio, m.pnl_weight
        perpetuals.append(
            perpetual(
                m.name,
                (rates.initial / 1e4,) * 2,
                (rates.maintenance / 1e4,) * 2,
                gains(share.initial / 1e4, share.maintenance / 1e4, size_factor=m.pnl_imf / 1e6, cap=100.0),
                size_factor=m.imf / 1e6,
            )
        )
        instruments.append(listed := contract(m.name))
        marks[listed.symbol] = m.price / 1e6
        orders += orders_of(listed.symbol, p.bids / 1e9, p.asks / 1e9, m.price / 1e6, p.open_orders)
        if p.base:
            alone = p.isolated_deposit is not None
            positions.append(
                Position(
                    symbol=listed.symbol,
                    quantity=p.base / 1e9,
                    entry=-(p.quote + p.funding) * 1e3 / p.base or 1e-12,
                    leverage=1e4 / max(p.ratio, account.ratio) if p.ratio or account.ratio else None,
                    mode=MarginMode.ISOLATED if alone else MarginMode.CROSS,
                    isolated_margin=p.isolated_deposit / 1e6 if alone else None,
                )
            )
    held = Account(
        balances=tuple(Balance(asset=a, amount=x) for a, x in balances.items()),
        positions=tuple(positions),
        orders=tuple(orders),
    )
    market = market_of(instruments, marks, index, slow=slow if strict else {}, deposits=deposits)
    return held, market, rulebook(beside(tokens, perpetuals))


def mango_book(snapshot: mango.Snapshot) -> tuple[Account, Market, Rulebook]:
    """A Mango snapshot of the twin as an account: what orders hold back stands in its balances."""
    balances = {t.name: float(t.balance) for t in snapshot.tokens}
    index = {t.name: float(t.oracle) for t in snapshot.tokens}
    slow = {t.name: float(t.stable) for t in snapshot.tokens if t.stable is not None}
    finite = {True: None}
    tokens = [
        token(
            t.name,
            (t.init.asset, t.init.liability),
            (t.maint.asset, t.maint.liability),
            deposits_from=finite.get(t.deposit_scale_start == float("inf"), t.deposit_scale_start),
            borrows_from=finite.get(t.borrow_scale_start == float("inf"), t.borrow_scale_start),
        )
        for t in snapshot.tokens
    ]
    instruments, marks, orders, positions, perpetuals = [], {}, [], [], []
    for o in snapshot.orders:
        instruments.append(listed := contract(o.base, o.quote, Spot()))
        marks[listed.symbol] = index[o.base] / index[o.quote]
        balances[o.base] += o.reserved_base
        balances[o.quote] += o.reserved_quote
        bid, ask = o.highest_bid or 1e-6, o.lowest_ask or 1e9
        if o.reserved_quote:
            orders.append(Order(symbol=listed.symbol, quantity=o.reserved_quote / bid, price=bid))
        if o.reserved_base:
            orders.append(Order(symbol=listed.symbol, quantity=-o.reserved_base, price=ask))
    for p in snapshot.perps:
        perpetuals.append(
            perpetual(
                p.name,
                (1.0 - p.init.asset, p.init.liability - 1.0),
                (1.0 - p.maint.asset, p.maint.liability - 1.0),
                gains(p.init_overall, p.maint_overall),
            )
        )
        instruments.append(listed := contract(p.name, p.settle, size=p.lot_size))
        marks[listed.symbol] = float(p.oracle)
        if p.stable is not None:
            slow[listed.symbol] = float(p.stable)
        orders += orders_of(listed.symbol, p.bids, -p.asks, float(p.oracle), 0)
        if p.lots:
            entry = -p.quote / (p.lots * p.lot_size)
            positions.append(Position(symbol=listed.symbol, quantity=float(p.lots), entry=entry))
    account = Account(
        balances=tuple(Balance(asset=a, amount=x) for a, x in balances.items()),
        positions=tuple(positions),
        orders=tuple(orders),
    )
    totals = {
        name: {t.name: float(getattr(t, name)) for t in snapshot.tokens} for name in ("deposits", "borrows")
    }
    return (
        account,
        market_of(instruments, marks, index, slow=slow, **totals),
        rulebook(into_balance(tokens, perpetuals)),
    )
