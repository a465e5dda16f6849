"""Health of a Mango v4 account: a plain snapshot and one number of three kinds (spec defi 4.2).

A snapshot holds everything that health is made of and nothing else, so that a what-if is the same function of a
changed snapshot. Amounts in tokens, prices in the reference currency, weights as fractions; asset > 0, debt < 0;
health >= 0 is fine. A snapshot of floats is calculated in floats, one that has gone through `in_fixed_point` in the
chain's own numbers, to their last binary place. Start here, then `mango_liquidation`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, TypeVar, final

from margrave.core.errors import Reason, invalid
from margrave.protocols.binary_fixed import Number, i80f48, total

LARGEST = 2.0**79
SMALLEST = 2.0**-48
"""Range and resolution of the chain's numbers."""


def within(where: str, number: Number, low: float = -LARGEST) -> Number:
    """A number that the chain can hold.

    Raises
    ------
    InvalidInputError
        It is not a number, or out of range.
    """
    if not low <= number <= LARGEST:
        raise invalid(where, Reason.INVALID_VALUE, f"is {number!r}; give a number from {low:g} to 2^79")
    return number


class Health(StrEnum):
    """Which health: for new risk, for the end of a liquidation, for its start."""

    INIT = "Init"  # scaled initial weights, worse of oracle and stable price
    LIQUIDATION_END = "LiquidationEnd"  # initial weights, oracle price
    MAINT = "Maint"  # maintenance weights, oracle price


@final
@dataclass(frozen=True, slots=True)
class Weights:
    """Of an asset, in [0, 1], and of a debt, at least 1."""

    asset: Number
    liability: Number

    def __post_init__(self) -> None:
        within("asset weight", self.asset, 0.0)
        within("liability weight", self.liability, 0.0)


@final
@dataclass(frozen=True, slots=True)
class Token:
    """A token's balance and terms."""

    name: str
    balance: Number  # free tokens; neither reserved in orders nor in perpetuals
    oracle: Number
    init: Weights
    maint: Weights
    stable: Number | None = None  # slow price; None: the oracle
    deposits: Number = 0.0  # of the whole bank, with what orders may bring
    borrows: Number = 0.0
    deposit_scale_start: Number = math.inf  # value of deposits from which the asset weight shrinks
    borrow_scale_start: Number = math.inf  # value of borrows from which the liability weight grows
    stable_for_scaling: bool = True  # whether scaling values at the higher of oracle and stable price

    def __post_init__(self) -> None:
        within(f"token {self.name}: balance", self.balance)
        _price(f"token {self.name}", self.oracle, self.stable)
        for what, number in (("deposits", self.deposits), ("borrows", self.borrows)):
            within(f"token {self.name}: {what}", number, 0.0)
        if not (self.deposit_scale_start >= 0.0 and self.borrow_scale_start > 0.0):
            raise invalid(
                f"token {self.name}",
                Reason.INVALID_VALUE,
                "a scale start is a value above zero (of deposits: or zero), infinite for none; give one",
            )


@final
@dataclass(frozen=True, slots=True)
class Orders:
    """What open orders of one spot market hold back."""

    base: str
    quote: str
    reserved_base: Number  # of asks, >= 0
    reserved_quote: Number  # of bids, >= 0
    lowest_ask: Number | None = None  # best placed prices [quote per base]; None or 0: not known
    highest_bid: Number | None = None

    def __post_init__(self) -> None:
        where = f"orders {self.base}/{self.quote}"
        within(f"{where}: reserved base", self.reserved_base, 0.0)
        within(f"{where}: reserved quote", self.reserved_quote, 0.0)
        within(f"{where}: lowest ask", self.lowest_ask or 0.0, 0.0)
        within(f"{where}: highest bid", self.highest_bid or 0.0, 0.0)


@final
@dataclass(frozen=True, slots=True)
class Perp:
    """A perpetual position with its open orders."""

    name: str
    settle: str  # token that profit becomes
    oracle: Number
    lots: int  # long > 0
    quote: Number  # what entering has brought, with funding
    init: Weights  # of the base
    maint: Weights
    init_overall: Number  # weight of a profit; 0: untrusted market
    maint_overall: Number
    lot_size: Number = 1.0  # base per lot
    bids: int = 0  # lots, >= 0
    asks: int = 0  # lots, >= 0
    stable: Number | None = None

    def __post_init__(self) -> None:
        where = f"perp {self.name}"
        _price(where, self.oracle, self.stable)
        within(f"{where}: quote", self.quote)
        within(f"{where}: lots", self.lots)
        within(f"{where}: lot size", self.lot_size, 0.0)
        within(f"{where}: overall weight", self.init_overall, 0.0)
        within(f"{where}: overall weight", self.maint_overall, 0.0)
        within(f"{where}: bids", self.bids, 0.0)
        within(f"{where}: asks", self.asks, 0.0)


@final
@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that health is made of."""

    tokens: tuple[Token, ...]
    orders: tuple[Orders, ...] = ()
    perps: tuple[Perp, ...] = ()

    def __post_init__(self) -> None:
        names = [t.name for t in self.tokens]
        if len(set(names)) < len(names):
            raise invalid("tokens", Reason.DUPLICATE, "a token stands twice; add its balances up")
        wanted = [name for o in self.orders for name in (o.base, o.quote)] + [p.settle for p in self.perps]
        for name in wanted:
            if name not in names:
                raise invalid(
                    f"token {name}", Reason.NOT_FOUND, "orders or perpetuals need it; add the token"
                )

    def token(self, name: str) -> Token:
        """One token.

        Raises
        ------
        InvalidInputError
            The snapshot does not hold it.
        """
        for token in self.tokens:
            if token.name == name:
                return token
        raise invalid(
            f"token {name}", Reason.NOT_FOUND, "the snapshot does not hold it; name one that it does"
        )


def in_fixed_point(snapshot: Snapshot) -> Snapshot:
    """The snapshot in the chain's own numbers, which every function here then keeps; lots stay whole numbers."""
    return Snapshot(
        tuple(_fixed(token) for token in snapshot.tokens),
        tuple(_fixed(orders) for orders in snapshot.orders),
        tuple(_fixed(perp) for perp in snapshot.perps),
    )


_Row = TypeVar("_Row", Token, Orders, Perp, Weights)
_WHOLE = frozenset({"lots", "bids", "asks", "stable_for_scaling"})


def _fixed(row: _Row) -> _Row:
    changes: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        if isinstance(value, Weights):
            changes[field.name] = _fixed(value)
        elif isinstance(value, int | float) and field.name not in _WHOLE and math.isfinite(value):
            changes[field.name] = i80f48(value)
    return replace(row, **changes)


@final
@dataclass(frozen=True, slots=True)
class Contribution:
    """What one token balance or one market's orders add to health."""

    name: str
    amount: Number  # effective balance of a token; tokens of the worse case of orders
    health: Number


@final
@dataclass(frozen=True, slots=True)
class HealthReport:
    """Health with the contributions that it is the sum of."""

    kind: Health
    parts: tuple[Contribution, ...]

    @property
    def health(self) -> Number:
        """Sum of the parts; below zero something is not allowed or is due."""
        return total(p.health for p in self.parts)


def asset_price(oracle: Number, stable: Number | None, kind: Health) -> Number:
    """Price of what is owned: the lower of oracle and stable price for new risk, else the oracle."""
    return oracle if stable is None or kind is not Health.INIT else min(oracle, stable)


def liability_price(oracle: Number, stable: Number | None, kind: Health) -> Number:
    """Price of what is owed: the higher of oracle and stable price for new risk, else the oracle."""
    return oracle if stable is None or kind is not Health.INIT else max(oracle, stable)


def token_weights(token: Token, kind: Health) -> Weights:
    """Weights of a token; those of new risk scale with the whole bank (spec defi 4.2).

    The asset weight times ``start / deposits value`` beyond the start, the liability weight times
    ``borrows value / start``. Values are at the higher of oracle and stable price: the less favourable one.
    """
    if kind is Health.MAINT:
        return token.maint
    if kind is Health.LIQUIDATION_END:
        return token.init
    price = liability_price(token.oracle, token.stable if token.stable_for_scaling else None, kind)
    # Scaling is float64 on the chain as well.
    deposited, borrowed = float(token.deposits) * float(price), float(token.borrows) * float(price)
    asset, liability = token.init.asset, token.init.liability
    if deposited > token.deposit_scale_start:
        asset *= float(token.deposit_scale_start) / deposited
    if borrowed > token.borrow_scale_start:
        liability *= borrowed / float(token.borrow_scale_start)
    return Weights(asset, liability)


def weighted_prices(token: Token, kind: Health) -> tuple[Number, Number]:
    """What one token adds to health as an asset, and what one takes from it as a debt."""
    weights = token_weights(token, kind)
    return (
        weights.asset * asset_price(token.oracle, token.stable, kind),
        weights.liability * liability_price(token.oracle, token.stable, kind),
    )


def unweighted_profit(perp: Perp, kind: Health) -> Number:
    """Profit of the worse of "all bids fill" and "all asks fill" with a weighted base, in settle tokens.

    Bids fill at the price of a debt, asks at the price of an asset; a short base is a debt.
    """
    bid = _fill(perp, perp.bids, liability_price(perp.oracle, perp.stable, kind), kind)
    ask = _fill(perp, -perp.asks, asset_price(perp.oracle, perp.stable, kind), kind)
    return perp.quote + min(bid, ask)


def _fill(perp: Perp, lots: int, price: Number, kind: Health) -> Number:
    weights = perp.maint if kind is Health.MAINT else perp.init
    base = (perp.lots + lots) * perp.lot_size
    if base < 0:
        value = base * weights.liability * liability_price(perp.oracle, perp.stable, kind)
    else:
        value = base * weights.asset * asset_price(perp.oracle, perp.stable, kind)
    return value + -lots * perp.lot_size * price


def health_profit(perp: Perp, kind: Health) -> Number:
    """Unweighted profit after the overall weight of gains, in settle tokens."""
    profit = unweighted_profit(perp, kind)
    overall = perp.maint_overall if kind is Health.MAINT else perp.init_overall
    return profit * overall if profit > 0 else profit


def effective_balance(snapshot: Snapshot, name: str, kind: Health) -> Number:
    """Free balance of a token with the health profit of the perpetuals that settle in it."""
    profits = [health_profit(p, kind) for p in snapshot.perps if p.settle == name]
    return total([snapshot.token(name).balance, *profits])


def health_of(snapshot: Snapshot, kind: Health) -> HealthReport:
    """Health of a snapshot (spec defi 4.2).

    Parameters
    ----------
    snapshot : Snapshot
        Balances, orders, positions with their terms.
    kind : Health
        Which of the three.

    Returns
    -------
    HealthReport
        One part a token (effective balance at its weighted price) and one a market with open orders (the worse of
        "all becomes base" and "all becomes quote", while every other market goes its way: a lower bound).
    """
    balances = {t.name: effective_balance(snapshot, t.name, kind) for t in snapshot.tokens}
    parts = [_token_part(token, balances[token.name], kind) for token in snapshot.tokens]
    reserved = [_reserved(snapshot, orders, kind) for orders in snapshot.orders]
    most: dict[str, Number] = dict.fromkeys(balances, 0.0)
    for orders, (as_base, as_quote) in zip(snapshot.orders, reserved, strict=True):
        most[orders.base] += as_base
        most[orders.quote] += as_quote
    for orders, (as_base, as_quote) in zip(snapshot.orders, reserved, strict=True):
        if as_base and as_quote:
            cases = [(orders.base, as_base), (orders.quote, as_quote)]
            parts.append(
                _orders_part(snapshot, orders, cases, {n: balances[n] + most[n] for n in balances}, kind)
            )
    return HealthReport(kind, tuple(parts))


def health(snapshot: Snapshot, kind: Health) -> Number:
    """The number alone."""
    return health_of(snapshot, kind).health


def _token_part(token: Token, balance: Number, kind: Health) -> Contribution:
    asset, liability = weighted_prices(token, kind)
    return Contribution(f"token {token.name}", balance, balance * (liability if balance < 0 else asset))


def _reserved(snapshot: Snapshot, orders: Orders, kind: Health) -> tuple[Number, Number]:
    base, quote = snapshot.token(orders.base), snapshot.token(orders.quote)
    bought = orders.reserved_quote * asset_price(quote.oracle, quote.stable, kind)
    bought /= liability_price(base.oracle, base.stable, kind)
    sold = orders.reserved_base * asset_price(base.oracle, base.stable, kind)
    sold /= liability_price(quote.oracle, quote.stable, kind)
    if orders.highest_bid:
        bought = min(bought, orders.reserved_quote / orders.highest_bid)
    if orders.lowest_ask:
        sold = min(sold, orders.reserved_base * orders.lowest_ask)
    return orders.reserved_base + bought, orders.reserved_quote + sold


def _orders_part(
    snapshot: Snapshot,
    orders: Orders,
    cases: Sequence[tuple[str, Number]],
    most: dict[str, Number],
    kind: Health,
) -> Contribution:
    effects = [(_effect(snapshot.token(name), most[name], amount, kind), amount) for name, amount in cases]
    worse, amount = min(effects)
    return Contribution(f"orders {orders.base}/{orders.quote}", amount, worse)


def _effect(token: Token, most: Number, amount: Number, kind: Health) -> Number:
    # The amount is taken to come last, on top of all else that may come: there it does the least good.
    as_asset = min(max(most, 0.0), amount)
    weights = token_weights(token, kind)
    return as_asset * weights.asset * asset_price(token.oracle, token.stable, kind) + (
        amount - as_asset
    ) * weights.liability * liability_price(token.oracle, token.stable, kind)


def _price(where: str, oracle: Number, stable: Number | None) -> None:
    for price in (oracle, oracle if stable is None else stable):
        within(f"{where}: price", price, SMALLEST)


@final
@dataclass(frozen=True, slots=True)
class AssetsAndDebts:
    """Health split into what is owned and what is owed, both weighted and >= 0."""

    assets: Number
    debts: Number

    @property
    def ratio(self) -> Number:
        """``(assets - debts) / debts``: 0 at zero health, 1 with twice the assets; infinite without debts."""
        return (self.assets - self.debts) / self.debts if self.debts > 0 else math.inf


def assets_and_debts(snapshot: Snapshot, kind: Health) -> AssetsAndDebts:
    """Split health, with debts that do not move when assets change.

    A token deposit and the loss of a perpetual that settles in it are an asset and a debt, both at the liability
    weight as far as they cancel. ``assets - debts`` is `health`.
    """
    assets, debts = [], []
    for token in snapshot.tokens:
        asset, liability = weighted_prices(token, kind)
        held = [token.balance, *(health_profit(p, kind) for p in snapshot.perps if p.settle == token.name)]
        owned, owed = total(x for x in held if x > 0), -total(x for x in held if x < 0)
        debts.append(owed * liability)
        assets.append(min(owned, owed) * liability + max(0.0, owned - owed) * asset)
    for part in health_of(snapshot, kind).parts[len(snapshot.tokens) :]:
        assets.append(part.health)
    return AssetsAndDebts(total(assets), total(debts))


def with_change(snapshot: Snapshot, name: str, change: Number) -> Snapshot:
    """The snapshot after tokens come in (> 0) or leave (< 0); the bank's totals stay what they were."""
    token = snapshot.token(name)
    changed = replace(token, balance=token.balance + change)
    return replace(snapshot, tokens=tuple(changed if t is token else t for t in snapshot.tokens))


def most_withdrawable(snapshot: Snapshot, name: str, kind: Health = Health.INIT) -> Number:
    """The most of a token that may leave, borrowed if need be, before health falls below zero.

    Parameters
    ----------
    snapshot : Snapshot
        Before.
    name : str
        The token.
    kind : Health
        Which health must stay at or above zero.

    Returns
    -------
    float
        Tokens, >= 0; 0 where health is not above zero. Infinite where even a debt as large
        as the chain can hold leaves health at or above zero.
    """
    if health(snapshot, kind) <= 0.0:
        return 0.0
    low, high = 0.0, 1.0
    while health(with_change(snapshot, name, -high), kind) >= 0.0:
        low, high = high, 2.0 * high
        if high > LARGEST / 4.0:
            return math.inf
    while (middle := 0.5 * (low + high)) not in (low, high):  # until no float lies between
        fine = health(with_change(snapshot, name, -middle), kind) >= 0.0
        low, high = (middle, high) if fine else (low, middle)
    return low
