"""Binance USDⓈ-M and COIN-M: positions, wallets, orders, terms and prices.

Read: ``positionRisk`` v1 to v3, ``account`` v1 to v3, ``balance``, ``symbolConfig``, ``openOrders``,
``exchangeInfo`` and ``premiumIndex``.

``positionAmt`` is signed: coins on USDⓈ-M, contracts of 100 or 10 dollars on COIN-M. ``positionSide`` BOTH is one-way
mode, LONG and SHORT the legs of hedge mode. A wallet is told without the margin of isolated positions
(``crossWalletBalance``); that margin is ``isolatedWallet``. The margin of v3 names neither leverage nor mode: the
mode is told by ``isolatedWallet``, the leverage by ``symbolConfig``, or by notional over initial margin where that
is a whole number, as every leverage of Binance is.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from margrave.adapters.claims import CurrencyOutput, Figure, Output, PoolOutput, PositionOutput
from margrave.adapters.gathered import Gathered, Shape, Venue, key_of, words
from margrave.adapters.rows import Row
from margrave.adapters.symbols import binance
from margrave.adapters.terms import delta_one, instant
from margrave.core.errors import Issue, Reason
from margrave.core.words import MarginMode
from margrave.domain.account import Leg, Order, Position
from margrave.domain.instruments import Instrument, Inverse

_LEGS = {"BOTH": Leg.NET, "LONG": Leg.LONG, "SHORT": Leg.SHORT}
_MODES = {
    "isolated": MarginMode.ISOLATED,
    "ISOLATED": MarginMode.ISOLATED,
    "cross": MarginMode.CROSS,
    "CROSSED": MarginMode.CROSS,
}
_SIDES = {"BUY": 1.0, "SELL": -1.0}
_DIGITS = 8
_WHOLE = 1e-3  # relative: how near to a whole number notional over margin is taken as the leverage

_PORTFOLIO = "binance.pm-pro"


def _rows(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, list):
        for item in tree:
            yield from _rows(item)
    elif isinstance(tree, dict):
        nested = [n for n in ("symbols", "assets", "positions") if isinstance(tree.get(n), list)]
        yield {k: v for k, v in tree.items() if k not in nested}
        for name in nested:
            yield from _rows(tree[name])


def _refusal(tree: Any) -> str | None:
    if isinstance(tree, dict) and isinstance(tree.get("code"), int | str) and "msg" in tree:
        return f"{tree['code']}: {tree['msg']}"
    return None


def _terms(row: Row, gathered: Gathered) -> None:
    symbol = row.text("symbol")
    kind = row.raw("contractType") or ""
    if not row.raw("marginAsset") or not kind:
        row.skip()
        gathered.unlisted.add(symbol)
        return
    assets = (row.text("baseAsset"), row.text("quoteAsset"), row.text("marginAsset"))
    perpetual = kind.endswith("PERPETUAL")
    expiry = None if perpetual else instant(row.number("deliveryDate"))
    size = row.optional("contractSize") or 1.0
    known = delta_one(symbol, assets, size, expiry, inverse=assets[0] == assets[2])
    steps = [f.get("tickSize") for f in row.raw("filters") or () if f.get("filterType") == "PRICE_FILTER"]
    gathered.instruments[symbol] = replace(known, tick=float(steps[0]) if steps else None)


def _prices(row: Row, gathered: Gathered) -> None:
    symbol = row.text("symbol")
    found = gathered.know(row, symbol, lambda: binance(symbol, row.where))
    if found is None:
        return
    index = row.chosen("indexPrice")
    gathered.quote(symbol, mark=row.chosen("markPrice"), index=index)
    gathered.seen(row.raw("time"))
    if index:
        gathered.index[found.base] = index


def _config(row: Row, gathered: Gathered) -> None:
    symbol = row.text("symbol")
    gathered.mode[symbol] = row.one_of("marginType", _MODES)
    if leverage := row.chosen("leverage"):
        gathered.leverage[symbol] = leverage


def _account(row: Row, gathered: Gathered) -> None:
    if row.flag("multiAssetsMargin"):
        gathered.notes.append(
            f"{row.where}: multi-assets mode adds assets up after haircuts that no rulebook here has; each is told alone"
        )


def _portfolio(row: Row, gathered: Gathered) -> None:
    gathered.rules = _PORTFOLIO
    gathered.seen(row.raw("updateTime"))
    outputs: dict[str, Output | None] = {
        "accountEquity": CurrencyOutput(Figure.BALANCE, "USD"),
        "accountMaintMargin": CurrencyOutput(Figure.MAINTENANCE, "USD"),
        "accountInitialMargin": CurrencyOutput(Figure.INITIAL, "USD"),
    }
    gathered.claim_each(row, outputs, "USD", _DIGITS)
    gathered.claim(row, "uniMMR", CurrencyOutput(Figure.RATIO, "USD"), "ratio", _DIGITS)


def _portfolio_index(row: Row, gathered: Gathered) -> None:
    gathered.index[row.text("asset")] = row.price("assetIndexPrice")


def _portfolio_asset(row: Row, gathered: Gathered) -> None:
    gathered.balance(row, row.text("asset"), row.number("totalWalletBalance"))


def _asset(row: Row, gathered: Gathered) -> None:
    asset = row.text("asset")
    wallet = row.optional("walletBalance") if "walletBalance" in row.fields else row.number("balance")
    cross = row.optional("crossWalletBalance")
    amount = row.number("walletBalance") if cross is None and wallet is None else cross
    gathered.balance(row, asset, (wallet or 0.0) if amount is None else amount)
    outputs: dict[str, Output | None] = {
        "marginBalance": CurrencyOutput(Figure.EQUITY, asset, "all"),
        "maintMargin": CurrencyOutput(Figure.MAINTENANCE, asset, "all"),
        "initialMargin": CurrencyOutput(Figure.INITIAL, asset, "all"),
        "unrealizedProfit": CurrencyOutput(Figure.PROFIT, asset, "all"),
        "crossUnPnl": CurrencyOutput(Figure.PROFIT, asset),
        "availableBalance": CurrencyOutput(Figure.AVAILABLE, asset),
        "positionInitialMargin": None,
        "openOrderInitialMargin": None,
    }
    if amount or wallet:
        gathered.claim_each(row, outputs, asset, _DIGITS)
    for name in outputs:
        row.raw(name)


def _mode(row: Row, gathered: Gathered, symbol: str) -> MarginMode:
    if row.raw("marginType") not in (None, ""):
        return row.one_of("marginType", _MODES)
    if "isolated" in row.fields:
        return MarginMode.ISOLATED if row.flag("isolated") else MarginMode.CROSS
    if symbol in gathered.mode:
        return gathered.mode[symbol]
    alone = row.optional("isolatedWallet") or row.optional("isolatedMargin")
    return MarginMode.ISOLATED if alone else MarginMode.CROSS


def _leverage(row: Row, gathered: Gathered, symbol: str) -> float | None:
    told = row.chosen("leverage") or gathered.leverage.get(symbol)
    notional = row.optional("notional") or row.optional("notionalValue")
    margin = row.optional("positionInitialMargin")
    if told or not notional or not margin:
        return told
    found = abs(notional) / margin
    if round(found) < 1 or abs(found - round(found)) > _WHOLE * found:
        return None
    gathered.notes.append(
        f"{symbol}: leverage {round(found)} is notional over initial margin; add symbolConfig to have it told"
    )
    return float(round(found))


def _outputs(position: Position, orders: float) -> dict[str, Output | None]:
    told = (position.symbol, position.leg, position.mode)
    initial = PositionOutput(Figure.INITIAL, *told)
    return {
        "unRealizedProfit": PositionOutput(Figure.PROFIT, *told),
        "unrealizedProfit": PositionOutput(Figure.PROFIT, *told),
        "initialMargin": None if orders else initial,
        "maintMargin": PositionOutput(Figure.MAINTENANCE, *told),
        "positionInitialMargin": initial,
        "openOrderInitialMargin": None,
    }


def _held(row: Row, gathered: Gathered, source: str) -> None:
    symbol, quantity = row.text("symbol"), row.number("positionAmt")
    leg = row.one_of("positionSide", _LEGS, absent="BOTH")
    if quantity == 0:
        gathered.leave_out(row, f"{symbol}: flat, left out")
        return
    instrument = gathered.require(symbol, lambda: binance(symbol, row.where))
    if gathered.rules != _PORTFOLIO:
        gathered.ruled(row, _rules(instrument))
    mode = _mode(row, gathered, symbol)
    isolated = mode is MarginMode.ISOLATED
    shape = Position(
        symbol=symbol,
        quantity=quantity,
        entry=row.chosen("entryPrice") or 1.0,
        leverage=_leverage(row, gathered, symbol),
        leg=leg,
        mode=mode,
        isolated_margin=(row.optional("isolatedWallet") if isolated else None),
    )
    row.raw("isolatedWallet")
    row.raw("isolatedMargin")
    gathered.claim_each(
        row, _outputs(shape, row.optional("openOrderInitialMargin") or 0.0), instrument.settlement, _DIGITS
    )
    gathered.claim_price(
        row, "liquidationPrice", PoolOutput(Figure.LIQUIDATION, symbol, leg, mode), instrument.quote
    )
    gathered.quote(symbol, mark=row.chosen("markPrice"))
    if row.chosen("entryPrice"):
        gathered.position(row, shape, source)
        return
    needs = "has no entryPrice in this answer; add positionRisk, which tells it"
    gathered.pending[key_of(shape)] = quantity, Issue(row.where, Reason.INVALID_VALUE, needs)


def _rules(instrument: Instrument) -> str:
    return "binance.coinm" if isinstance(instrument.payoff, Inverse) else "binance.usdm"


def _position_risk(row: Row, gathered: Gathered) -> None:
    _held(row, gathered, "positionRisk")


def _account_position(row: Row, gathered: Gathered) -> None:
    _held(row, gathered, "account")


def _order(row: Row, gathered: Gathered) -> None:
    symbol, price = row.text("symbol"), row.optional("price")
    left = row.number("origQty") - (row.optional("executedQty") or 0.0)
    if not price or left == 0.0:
        gathered.leave_out(row, f"{row.where}: {row.raw('type')} order without a price in the book, left out")
        return
    gathered.require(symbol, lambda: binance(symbol, row.where))
    sign = row.one_of("side", _SIDES)
    closes = row.flag("reduceOnly") or row.flag("closePosition") or _closes(row, sign)
    gathered.orders.append(
        Order(
            symbol=symbol,
            quantity=sign * left,
            price=price,
            reduce_only=closes,
            leverage=gathered.leverage.get(symbol),
        )
    )


def _closes(row: Row, sign: float) -> bool:
    # In hedge mode a sale of the long leg, and a purchase of the short one, can only reduce.
    leg = row.one_of("positionSide", _LEGS, absent="BOTH")
    return leg is (Leg.LONG if sign < 0 else Leg.SHORT)


_HELD = words(
    "breakEvenPrice maxNotionalValue maxNotional maxQty notionalValue notional updateTime adl adlQuantile bidNotional"
) | words("askNotional isAutoAddMargin marginAsset isolatedMargin isolatedWallet markPrice")

VENUE = Venue(
    "binance",
    _rows,
    (
        Shape(
            "exchangeInfo",
            words("symbol baseAsset quoteAsset filters"),
            _terms,
            words(
                "pair onboardDate status contractStatus maintMarginPercent requiredMarginPercent pricePrecision"
            )
            | words(
                "quantityPrecision baseAssetPrecision quotePrecision underlyingType underlyingSubType settlePlan"
            )
            | words(
                "triggerProtect orderType orderTypes timeInForce liquidationFee marketTakeBound maxMoveOrderLimit"
            )
            | words("equalQtyPrecision contractSize deliveryDate permissionSets baseAsset quoteAsset"),
        ),
        Shape(
            "exchangeInfo",
            words("serverTime"),
            lambda row, gathered: None,
            words("timezone serverTime futuresType rateLimits exchangeFilters"),
        ),
        Shape(
            "exchangeInfo asset",
            words("asset marginAvailable"),
            lambda row, gathered: None,
            words("asset marginAvailable autoAssetExchange"),
            lacks=words("walletBalance balance"),
        ),
        Shape(
            "premiumIndex",
            words("symbol markPrice indexPrice"),
            _prices,
            words("pair estimatedSettlePrice lastFundingRate interestRate nextFundingTime"),
            lacks=words("positionAmt"),
        ),
        Shape(
            "symbolConfig",
            words("symbol marginType maxNotionalValue"),
            _config,
            words("isAutoAddMargin maxNotionalValue"),
            lacks=words("positionAmt"),
        ),
        Shape(
            "portfolio account",
            words("uniMMR accountMaintMargin"),
            _portfolio,
            words("actualEquity accountStatus accountType virtualMaxWithdrawAmount totalMarginOpenLoss")
            | words("totalAvailableBalance"),
        ),
        Shape(
            "asset-index-price",
            words("asset assetIndexPrice"),
            _portfolio_index,
        ),
        Shape(
            "portfolio balance",
            words("asset totalWalletBalance umWalletBalance"),
            _portfolio_asset,
            words(
                "crossMarginAsset crossMarginBorrowed crossMarginFree crossMarginInterest crossMarginLocked"
            )
            | words(
                "umWalletBalance umUnrealizedPNL cmWalletBalance cmUnrealizedPNL updateTime negativeBalance"
            ),
        ),
        Shape(
            "account",
            words("canTrade"),
            _account,
            words(
                "feeTier canTrade canDeposit canWithdraw updateTime tradeGroupId totalInitialMargin totalMaintMargin"
            )
            | words(
                "totalWalletBalance totalUnrealizedProfit totalMarginBalance totalPositionInitialMargin feeBurn"
            )
            | words("totalOpenOrderInitialMargin totalCrossWalletBalance totalCrossUnPnl availableBalance")
            | words("maxWithdrawAmount"),
        ),
        Shape(
            "account",
            words("totalWalletBalance totalMaintMargin"),
            _account,
            words(
                "totalInitialMargin totalMaintMargin totalWalletBalance totalUnrealizedProfit totalMarginBalance"
            )
            | words(
                "totalPositionInitialMargin totalOpenOrderInitialMargin totalCrossWalletBalance totalCrossUnPnl"
            )
            | words("availableBalance maxWithdrawAmount"),
        ),
        Shape(
            "account asset",
            words("asset crossWalletBalance"),
            _asset,
            words("accountAlias maxWithdrawAmount marginAvailable updateTime balance"),
        ),
        Shape(
            "account position",
            words("symbol positionAmt"),
            _account_position,
            _HELD,
            lacks=words("markPrice"),
        ),
        Shape("positionRisk", words("symbol positionAmt markPrice"), _position_risk, _HELD),
        Shape(
            "openOrders",
            words("orderId origQty side"),
            _order,
            words(
                "avgPrice clientOrderId cumQuote cumBase cumQty origType status stopPrice pair time timeInForce type"
            )
            | words(
                "activatePrice priceRate updateTime workingType priceProtect priceMatch goodTillDate orderId"
            )
            | words("selfTradePreventionMode"),
        ),
    ),
    _refusal,
)
