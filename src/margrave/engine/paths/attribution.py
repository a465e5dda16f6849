"""Where a pool's equity went: price, funding, fee, liquidation, and margin moved between pools (spec IM-3).

A fold over events. Each part is computed from its own event; the sum of the parts is the change of equity.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias, assert_never, final

from margrave.core.errors import Reason, refused
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Position
from margrave.domain.fills import funding, notional, profit
from margrave.domain.instruments import Instrument, Perpetual, payoff_asset
from margrave.domain.market import Market
from margrave.engine.assess import assess
from margrave.engine.changes import with_cash
from margrave.engine.default.closing import LiquidationRule, conversion
from margrave.engine.default.unwind import unwind
from margrave.engine.isolated import isolated_margins
from margrave.engine.whatif import Leg, filled
from margrave.rulebook.schema import CrossPool, Rulebook


@final
@dataclass(frozen=True, slots=True)
class Moved:
    """Prices are now those of another market."""

    market: Market


@final
@dataclass(frozen=True, slots=True)
class Funded:
    """A period's funding of a perpetual at its mark; the long pays where the rate is above zero."""

    symbol: str
    rate: float  # [fraction of notional]


@final
@dataclass(frozen=True, slots=True)
class Traded:
    """A fill that the holder wanted; the instrument's taker fee is paid."""

    leg: Leg


@final
@dataclass(frozen=True, slots=True)
class Liquidated:
    """The venue liquidates what it must."""

    rule: LiquidationRule


Event: TypeAlias = Moved | Funded | Traded | Liquidated


@final
@dataclass(frozen=True, slots=True)
class Attribution:
    """Parts of a pool's change of equity [pool currency]; gain > 0."""

    pool: str
    currency: str
    price: float = 0.0  # marks and conversion rates moved, and fills were better or worse than the mark
    funding: float = 0.0
    fee: float = 0.0
    liquidation: float = (
        0.0  # slippage, fee and penalty of forced fills; a deficit that others bore counts back
    )
    moved: float = 0.0  # margin from and to other pools of the account; sums to zero over them

    @property
    def total(self) -> float:
        """Change of equity."""
        return self.price + self.funding + self.fee + self.liquidation + self.moved


Own = dict[str, Attribution]
PARTS = ("price", "funding", "fee", "liquidation", "moved")


@final
@dataclass(frozen=True, slots=True)
class Attributed:
    """The fold's state: the account as it stands, and the parts so far by pool."""

    account: Account
    market: Market
    parts: Mapping[str, Attribution] = field(default_factory=dict)


def attribute(
    account: Account, market: Market, rulebook: Rulebook, events: Iterable[Event]
) -> tuple[Attributed, tuple[Attribution, ...]]:
    """Carry an account through events and say what each pool's equity is made of.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        Where it starts.
    events : iterable of Event
        In the order in which they happened.

    Returns
    -------
    state, parts : Attributed, tuple of Attribution
        The account and market at the end, and one attribution a pool that was ever there.
    """
    state = Attributed(account, market)
    for event in events:
        state = happened(state, event, rulebook)
    return state, tuple(state.parts.values())


def happened(state: Attributed, event: Event, rulebook: Rulebook) -> Attributed:
    """The state after one event more.

    Raises
    ------
    RefusedError
        Funding of what is no perpetual, or a pool that cannot be valued.
    """
    market, account, own = state.market, state.account, Own()
    match event:
        case Moved(market=moved):
            return _booked(state, replace(state, market=moved), rulebook, {}, "price")
        case Funded(symbol=symbol, rate=rate):
            account, own = _funded(state, symbol, rate, rulebook)
        case Traded(leg=leg):
            account, own = _traded(state, leg, rulebook)
        case Liquidated(rule=rule):
            done = unwind(account, market, rulebook, rule)
            account = done.account
            for pool in done.pools:
                borne = pool.deficit if pool.mode is MarginMode.ISOLATED else 0.0
                forced = borne - sum(step.cost for step in pool.steps)
                own[pool.pool] = Attribution(pool.pool, pool.currency, liquidation=forced)
        case unknown:
            assert_never(unknown)
    return _booked(state, replace(state, account=account), rulebook, own, "moved")


def _pool(
    instrument: Instrument, position: Position | None, rulebook: Rulebook, market: Market
) -> tuple[str, str]:
    """Name and currency of the pool that a position is in."""
    if position is not None and position.mode is MarginMode.ISOLATED:
        return f"isolated {instrument.symbol}", instrument.settlement
    spans = rulebook.account.cross_pool is CrossPool.ACCOUNT
    currency = market.numeraire if spans else instrument.settlement
    return f"cross {currency}", currency


def _funded(state: Attributed, symbol: str, rate: float, rulebook: Rulebook) -> tuple[Account, Own]:
    market, account, own = state.market, state.account, Own()
    instrument = market.instruments.get(symbol)
    if instrument is None or not isinstance(instrument.kind, Perpetual):
        raise refused(
            symbol, Reason.UNSUPPORTED, "is no perpetual of this market; only perpetuals are funded"
        )
    for position in (p for p in state.account.positions if p.symbol == symbol and p.quantity != 0.0):
        paid = funding(instrument, position, market.quotes[symbol].mark, rate).funding
        paid *= conversion(market, payoff_asset(instrument), instrument.settlement)
        name, currency = _pool(instrument, position, rulebook, market)
        counted = paid * conversion(market, instrument.settlement, currency)
        told = own.get(name, Attribution(name, currency))
        own[name] = replace(told, funding=told.funding + counted)
        if position.mode is MarginMode.CROSS:
            account = with_cash(account, instrument.settlement, paid)
            continue
        # An isolated position pays from its margin; what that does not hold comes from the wallet.
        only = replace(account, positions=(position,), orders=())
        margin = isolated_margins(only, market, rulebook)[0][1] + paid
        after = replace(position, isolated_margin=max(margin, 0.0))
        account = replace(account, positions=tuple(after if p is position else p for p in account.positions))
        account = with_cash(account, instrument.settlement, min(margin, 0.0))
    return account, own


def _traded(state: Attributed, leg: Leg, rulebook: Rulebook) -> tuple[Account, Own]:
    market = state.market
    after = filled(state.account, market, leg, rulebook)
    instrument, mark = market.instruments[leg.symbol], market.quotes[leg.symbol].mark
    position = next((p for p in state.account.positions if p.symbol == leg.symbol), None)
    name, currency = _pool(instrument, position, rulebook, market)
    price = leg.price if leg.price is not None else mark
    rate = conversion(market, payoff_asset(instrument), currency)
    better = profit(instrument.payoff, leg.quantity, price, mark) * rate
    fee = -(instrument.taker_fee or 0.0) * notional(instrument.payoff, leg.quantity, price) * rate
    return after, {name: Attribution(name, currency, price=better, fee=fee)}


def _equities(state: Attributed, rulebook: Rulebook) -> dict[str, tuple[str, float]]:
    found: dict[str, tuple[str, float]] = {}
    for pool in assess(state.account, state.market, rulebook).pools:
        if not pool.equity == pool.equity:
            raise refused(
                f"{state.account.name}: {pool.name}",
                Reason.MISSING_MARK,
                "has no equity to attribute; mend the market first",
            )
        found[pool.name] = (pool.currency, pool.equity + found.get(pool.name, ("", 0.0))[1])
    return found


def _booked(before: Attributed, after: Attributed, rulebook: Rulebook, own: Own, rest: str) -> Attributed:
    """Add the event's own parts to each pool, and what they do not explain to the part ``rest``."""
    was, now = _equities(before, rulebook), _equities(after, rulebook)
    parts = dict(before.parts)
    for name in dict.fromkeys((*was, *now)):
        currency = (was.get(name) or now[name])[0]
        told, new = parts.get(name, Attribution(name, currency)), own.get(name, Attribution(name, currency))
        unexplained = now.get(name, ("", 0.0))[1] - was.get(name, ("", 0.0))[1] - new.total
        new = replace(new, **{rest: getattr(new, rest) + unexplained})
        summed = {part: getattr(told, part) + getattr(new, part) for part in PARTS}
        parts[name] = replace(told, **summed)
    return replace(after, parts=parts)
