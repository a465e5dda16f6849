"""Holdings of a Drift account and what each adds to margin (spec defi 3.2).

A token counts at the worse of two fills of its orders, a perpetual at the larger of two positions. In strict mode
what is owned takes the lower, what is owed the higher of oracle price and five-minute average.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

from margrave.core.errors import Reason, invalid
from margrave.protocols.drift import (
    BASE,
    MAX_U32,
    MAX_U64,
    MAX_U128,
    PRICE,
    WEIGHT,
    MarginType,
    PerpMarket,
    SpotMarket,
    asset_weight,
    liability_weight,
    perp_margin_ratio,
    token_value,
    truncated,
    unrealised_asset_weight,
    within,
)

OPEN_ORDER = 10_000  # requirement of one open order [1e-6]
INITIAL_GAIN_CAP = 100 * 10**6  # unrealised gains count up to here for initial [1e-6]
_I64 = MAX_U64 // 2
_I128 = MAX_U128 // 2
QUOTE_DECIMALS = 6


@final
@dataclass(frozen=True, slots=True)
class QuoteBalance:
    """The quote token (USDC): margined at its full value either way."""

    amount: int  # [1e-6], deposit > 0, borrow < 0
    price: int = PRICE
    twap: int | None = None  # five-minute average [1e-6]; read in strict mode only
    oracle_valid: bool = True

    def __post_init__(self) -> None:
        within("quote balance: amount", self.amount, -_I128, _I128)
        within("quote balance: price", self.price, 0, _I64)
        if self.twap is not None:
            within("quote balance: twap", self.twap, 0, _I64)


@final
@dataclass(frozen=True, slots=True)
class SpotPosition:
    """A token balance with its open orders, in token units."""

    market: SpotMarket
    amount: int  # deposit > 0, borrow < 0
    bids: int = 0  # >= 0
    asks: int = 0  # <= 0
    open_orders: int = 0
    oracle_valid: bool = True

    def __post_init__(self) -> None:
        where = f"spot {self.market.name}"
        within(f"{where}: amount", self.amount, -_I128, _I128)
        _orders(where, self.bids, self.asks, self.open_orders)


@final
@dataclass(frozen=True, slots=True)
class PerpPosition:
    """A perpetual position with its open orders."""

    market: PerpMarket
    base: int  # long > 0 [1e-9]
    quote: int  # what entering has brought [1e-6]: minus cost of a long, proceeds of a short
    bids: int = 0  # >= 0 [1e-9]
    asks: int = 0  # <= 0 [1e-9]
    open_orders: int = 0
    funding: int = 0  # unsettled, received > 0 [1e-6]
    ratio: int = 0  # the position's own margin ratio, for initial only [1e-4]
    isolated_deposit: int | None = None  # quote tokens of an isolated position [1e-6]; None: cross
    oracle_valid: bool = True

    def __post_init__(self) -> None:
        where = f"perp {self.market.name}"
        within(f"{where}: base", self.base, -_I64, _I64)
        within(f"{where}: quote", self.quote, -_I64, _I64)
        within(f"{where}: funding", self.funding, -_I64, _I64)
        within(f"{where}: ratio", self.ratio, 0, MAX_U32)
        within(f"{where}: isolated deposit", self.isolated_deposit or 0, 0, MAX_U64)
        _orders(where, self.bids, self.asks, self.open_orders)


def _orders(where: str, bids: int, asks: int, count: int) -> None:
    within(f"{where}: bids", bids, 0, _I64)
    within(f"{where}: asks", asks, -_I64, 0)
    within(f"{where}: open orders", count, 0, MAX_U32)


@final
@dataclass(frozen=True, slots=True)
class DriftAccount:
    """What a user holds."""

    quote: QuoteBalance
    spots: tuple[SpotPosition, ...] = ()
    perps: tuple[PerpPosition, ...] = ()
    ratio: int = 0  # the user's own margin ratio, for initial only [1e-4]
    high_leverage: bool = False

    def __post_init__(self) -> None:
        within("account: ratio", self.ratio, 0, MAX_U32)


@final
@dataclass(frozen=True, slots=True)
class Context:
    """For what purpose margin is computed."""

    margin_type: MarginType
    strict: bool = False  # each price at its worse of oracle and five-minute average
    buffer: int = 0  # share of liabilities and of losses on top, while liquidated [1e-4]
    ratio_override: int = 0  # at least this margin ratio, whatever the margin type [1e-4]
    ignore_invalid_deposits: bool = False  # a deposit whose oracle is invalid counts nothing

    def __post_init__(self) -> None:
        within("context: buffer", self.buffer, 0, MAX_U32)
        within("context: ratio override", self.ratio_override, 0, MAX_U32)


@final
@dataclass(frozen=True, slots=True)
class Part:
    """What one holding adds to a margin [1e-6], and why."""

    name: str  # quote, spot SOL, spot SOL orders, spot SOL order fee, perp SOL, perp SOL profit, ...
    value: int  # what is weighted: of a balance, cash of fills, margined value or profit of a perpetual
    weight: int  # weight or margin ratio that applies [1e-4]
    requirement: int = 0  # >= 0
    collateral: int = 0  # a loss is < 0
    liability: int = 0  # value that the liquidation buffer is a share of, >= 0
    debts: int = 0  # how many debts, open perpetuals or fills that may become one


def low(price: int, twap: int | None, context: Context) -> int:
    """Price of what is owned: in strict mode the lower of oracle and five-minute average."""
    return price if twap is None or not context.strict else min(price, twap)


def high(price: int, twap: int | None, context: Context) -> int:
    """Price of what is owed: in strict mode the higher of oracle and five-minute average."""
    return price if twap is None or not context.strict else max(price, twap)


def quote_parts(quote: QuoteBalance, context: Context) -> Iterator[Part]:
    """Collateral of a quote deposit, or requirement of a quote borrow; nothing for nothing."""
    price = (low if quote.amount > 0 else high)(quote.price, quote.twap, context)
    value = token_value(quote.amount, QUOTE_DECIMALS, price)
    if quote.amount > 0:
        dropped = context.ignore_invalid_deposits and not quote.oracle_valid
        yield Part("quote", value, WEIGHT, collateral=0 if dropped else value)
    elif quote.amount < 0:
        yield Part("quote", value, WEIGHT, requirement=-value, liability=-value, debts=1)


@final
@dataclass(frozen=True, slots=True)
class Fill:
    """A token balance after all orders of one side have filled."""

    amount: int  # token units
    value: int  # of the balance [1e-6]
    weight: int  # [1e-4]
    cash: int  # quote that the fills bring [1e-6]

    @property
    def weighted(self) -> int:
        """Value after its weight [1e-6]."""
        return truncated(self.value * self.weight, WEIGHT)

    @property
    def contribution(self) -> int:
        """To free collateral [1e-6]."""
        return self.weighted + self.cash


def worst_fill(position: SpotPosition, context: Context, ratio: int = 0) -> Fill:
    """The riskier of "all bids fill" and "all asks fill", then the user's own ratio (spec defi 3.2).

    Parameters
    ----------
    position : SpotPosition
        Balance and orders.
    context : Context
        Margin type and strictness; orders fill at the higher price in strict mode.
    ratio : int
        Custom margin ratio r [1e-4]: asset weight at most ``1 - r``, liability weight at least ``1 + r``; 0: none.
    """
    bid, ask = (_filled(position, size, context) for size in (position.bids, position.asks))
    return _with_ratio(ask if ask.contribution <= bid.contribution else bid, position.market, ratio)


def _filled(position: SpotPosition, size: int, context: Context) -> Fill:
    market = position.market
    price = (low if position.amount > 0 else high)(market.price, market.twap, context)
    cash = token_value(-size, market.decimals, high(market.price, market.twap, context))
    amount, value = position.amount + size, token_value(position.amount, market.decimals, price) - cash
    weigh = asset_weight if value > 0 else liability_weight
    return Fill(amount, value, weigh(market, abs(amount), context.margin_type), cash)


def _with_ratio(fill: Fill, market: SpotMarket, ratio: int) -> Fill:
    if ratio and fill.weighted < 0:
        weight = max(liability_weight(market, abs(fill.amount), MarginType.INITIAL), WEIGHT + ratio)
    elif ratio and fill.weighted > 0:
        weight = min(asset_weight(market, abs(fill.amount), MarginType.INITIAL), max(0, WEIGHT - ratio))
    else:
        return fill
    return replace(fill, weight=weight)


def spot_parts(position: SpotPosition, context: Context, ratio: int) -> Iterator[Part]:
    """Balance, order fee and cash of the worst fill of a token.

    Raises
    ------
    InvalidInputError
        A borrow whose liability weight is below one: the protocol refuses to compute such a market.
    """
    name, fill = f"spot {position.market.name}", worst_fill(position, context, ratio)
    dropped = context.ignore_invalid_deposits and not position.oracle_valid
    if fill.value > 0:
        yield Part(name, fill.value, fill.weight, collateral=0 if dropped else fill.weighted)
    elif fill.value < 0 and fill.weight < WEIGHT:
        raise invalid(
            name,
            Reason.CONTRADICTION,
            "its liability weight is below 10000 and the protocol refuses to compute; give at least 10000",
        )
    elif fill.value < 0:
        yield Part(name, fill.value, fill.weight, requirement=-fill.weighted, liability=-fill.value, debts=1)
    elif position.bids or position.asks or position.open_orders:
        yield Part(name, 0, fill.weight, debts=1)
    if fill.cash > 0:
        yield Part(f"{name} orders", fill.cash, WEIGHT, collateral=0 if dropped else fill.cash)
    elif fill.cash < 0:
        yield Part(f"{name} orders", fill.cash, WEIGHT, requirement=-fill.cash, liability=-fill.cash)
    yield from _order_fee(name, position.open_orders)


def _order_fee(name: str, count: int) -> Iterator[Part]:
    fee = count * OPEN_ORDER
    if fee:
        yield Part(f"{name} order fee", fee, WEIGHT, requirement=fee)


def perp_liability(market: PerpMarket, base: int) -> int:
    """Value that a base amount is margined on [1e-6], cut; a short prediction can lose ``1 - price``."""
    price = max(0, PRICE - market.price) if market.prediction and base < 0 else market.price
    return abs(base) * price // BASE


def perp_profit(position: PerpPosition) -> int:
    """Unrealised profit with unsettled funding [1e-6], at the expiry price once the market settles."""
    market = position.market
    price = market.price if market.expiry_price is None else market.expiry_price
    return truncated(position.base * price, BASE) + position.quote + position.funding


def perp_parts(position: PerpPosition, account: DriftAccount, context: Context, ratio: int) -> Iterator[Part]:
    """Requirement of the worst fill, weighted profit and order fee of a perpetual (spec defi 3.2).

    Parameters
    ----------
    position : PerpPosition
        Position with its market.
    account : DriftAccount
        Whose it is: quote price and high-leverage mode.
    context : Context
        Margin type and strictness.
    ratio : int
        Least margin ratio of the whole account [1e-4].

    Yields
    ------
    Part
        Profit counts as collateral after its weight and the quote price, up to 100 USDC for initial margin; a loss
        counts fully. Nothing is required of a market that settles.
    """
    market, name = position.market, f"perp {position.market.name}"
    bids, asks = position.base + position.bids, position.base + position.asks
    worst = asks if perp_liability(market, asks) >= perp_liability(market, bids) else bids
    value = perp_liability(market, worst) * high(account.quote.price, account.quote.twap, context) // PRICE
    own = perp_margin_ratio(market, abs(worst), context.margin_type, high_leverage=account.high_leverage)
    stated = position.ratio if context.margin_type is MarginType.INITIAL else 0
    weight = max(own, ratio, stated) if market.expiry_price is None else 0
    orders = bool(position.bids or position.asks or position.open_orders)
    debts = int(bool(position.base) or position.quote < 0 or orders)
    yield Part(name, value, weight, requirement=value * weight // WEIGHT, liability=value, debts=debts)
    yield _profit_part(position, account.quote, context)
    yield from _order_fee(name, position.open_orders)


def _profit_part(position: PerpPosition, quote: QuoteBalance, context: Context) -> Part:
    profit = perp_profit(position)
    weight = unrealised_asset_weight(position.market, profit, context.margin_type)
    price = (low if profit > 0 else high)(quote.price, quote.twap, context)
    counted = truncated(truncated(profit * weight, WEIGHT) * price, PRICE)
    if context.margin_type is MarginType.INITIAL:
        counted = min(counted, INITIAL_GAIN_CAP)
    return Part(f"perp {position.market.name} profit", profit, weight, collateral=counted)
