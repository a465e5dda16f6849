"""Bybit V5: positions, wallet, account, orders, instruments and tickers.

Read: ``position/list``, ``account/wallet-balance``, ``account/info``, ``account/fee-rate``,
``order/realtime``, ``market/instruments-info`` and ``market/tickers``, and the notifications ``wallet`` and ``position``.

``size`` has no sign, ``side`` is Buy or Sell; ``positionIdx`` 0 is one-way mode, 1 and 2 are the legs of hedge mode.
Linear contracts count coins, inverse ones dollars. Whether margin is isolated is a property of the whole account
(``marginMode``), or of a position on classic accounts (``tradeMode``).
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from margrave.adapters.claims import CurrencyOutput, Figure, Output, PoolOutput, PositionOutput
from margrave.adapters.gathered import Gathered, Shape, Venue, words
from margrave.adapters.rows import Row
from margrave.adapters.terms import delta_one, instant, option, right
from margrave.core.errors import Reason, invalid
from margrave.core.words import MarginMode
from margrave.domain.account import Leg, Order, Position
from margrave.domain.instruments import Instrument, Inverse, Linear, Option

_SIDES = {"Buy": 1.0, "Sell": -1.0, "": 0.0, "None": 0.0}
_LEGS = {"0": Leg.NET, "1": Leg.LONG, "2": Leg.SHORT}
_KINDS = {"LinearPerpetual", "LinearFutures", "InversePerpetual", "InverseFutures"}
_MODES = {
    "ISOLATED_MARGIN": MarginMode.ISOLATED,
    "REGULAR_MARGIN": MarginMode.CROSS,
    "PORTFOLIO_MARGIN": MarginMode.CROSS,
}
_PERPETUAL = re.compile(r"^([A-Z0-9]+?)(USDT|USD|PERP)$")
_DIGITS = 4


def _rows(tree: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(tree, dict):
        for item in tree if isinstance(tree, list) else ():
            yield from _rows(item)
        return
    inside = next((tree[n] for n in ("result", "data") if isinstance(tree.get(n), dict | list)), None)
    if inside is not None:
        yield {"retCode": 0, **{k: v for k, v in tree.items() if k not in ("result", "data")}}
        yield from _rows(inside)
    elif isinstance(tree.get("list"), list):
        yield {"nextPageCursor": "", **{k: v for k, v in tree.items() if k != "list"}}
        for item in tree["list"]:
            yield from _rows(item)
    else:
        coins = tree.get("coin") if isinstance(tree.get("coin"), list) else []
        yield {k: v for k, v in tree.items() if k != "coin" or not coins}
        yield from (coin for coin in coins or () if isinstance(coin, dict))


def _refusal(tree: Any) -> str | None:
    if isinstance(tree, dict) and str(tree.get("retCode") or "0") != "0":
        return f"{tree['retCode']}: {tree.get('retMsg')}"
    return None


def _envelope(row: Row, gathered: Gathered) -> None:
    gathered.seen(row.raw("time") or row.raw("creationTime"))


def _page(row: Row, gathered: Gathered) -> None:
    if row.raw("nextPageCursor") and row.raw("category") != "option":
        gathered.notes.append(
            f"{row.where}: has a further page (nextPageCursor); give it too if rows are missing"
        )


def _info(row: Row, gathered: Gathered) -> None:
    gathered.mode[""] = row.one_of("marginMode", _MODES)


def _terms(row: Row, gathered: Gathered) -> None:
    symbol = row.text("symbol")
    assets = (row.text("baseCoin"), row.text("quoteCoin"), row.text("settleCoin"))
    delivery = row.optional("deliveryTime")
    expiry = instant(delivery) if delivery else None
    if row.raw("optionsType") and expiry is not None:
        strike = float(symbol.split("-")[2])
        kind = Option(expiry=expiry, strike=strike, right=right(row.text("optionsType"), row.where))
        known = option(symbol, assets, 1.0, kind)
    elif row.raw("contractType") in _KINDS:
        inverse = row.text("contractType").startswith("Inverse")
        known = delta_one(symbol, assets, 1.0, expiry, inverse)
    else:
        row.skip()
        gathered.unlisted.add(symbol)
        return
    gathered.instruments[symbol] = replace(known, tick=row.part("priceFilter").chosen("tickSize"))


def _named(symbol: str, where: str) -> Instrument:
    match = _PERPETUAL.match(symbol)
    if match is None:
        raise invalid(
            where,
            Reason.UNKNOWN_INSTRUMENT,
            f"the terms of {symbol!r} are not in its name; add market/instruments-info",
        )
    base, quote = match.groups()
    if quote == "USD":
        return delta_one(symbol, (base, "USD", base), 1.0, inverse=True)
    coin = "USDC" if quote == "PERP" else quote
    return delta_one(symbol, (base, coin, coin), 1.0)


def _fee(row: Row, gathered: Gathered) -> None:
    symbol = row.raw("symbol") or ""
    found = gathered.know(row, symbol, lambda: _named(symbol, row.where))
    if found is not None:
        gathered.instruments[symbol] = replace(found, taker_fee=row.number("takerFeeRate"))


def _prices(row: Row, gathered: Gathered) -> None:
    symbol = row.text("symbol")
    found = gathered.know(row, symbol, lambda: _named(symbol, row.where))
    if found is None:
        return
    index = row.chosen("indexPrice")
    gathered.quote(
        symbol,
        mark=row.chosen("markPrice"),
        index=index,
        forward=row.chosen("underlyingPrice"),
        vol=row.chosen("markIv"),
    )
    if index:
        gathered.index[found.base] = index


def _wallet(row: Row, gathered: Gathered) -> None:
    # Totals are in dollars over all coins, as a rulebook of several currencies counts.
    outputs: dict[str, Output | None] = {
        "totalEquity": CurrencyOutput(Figure.EQUITY, "USD"),
        "totalMarginBalance": CurrencyOutput(Figure.BALANCE, "USD"),
        "totalInitialMargin": CurrencyOutput(Figure.INITIAL, "USD"),
        "totalMaintenanceMargin": CurrencyOutput(Figure.MAINTENANCE, "USD"),
    }
    gathered.claim_each(row, outputs, "USD", _DIGITS)


def _coin(row: Row, gathered: Gathered) -> None:
    coin = row.text("coin")
    borrowed = row.optional("spotBorrow") or 0.0
    gathered.balance(row, coin, row.number("walletBalance") - borrowed)
    if not row.optional("walletBalance"):
        row.skip()
        return
    dollars, equity = row.optional("usdValue"), row.optional("equity")
    if dollars and equity:
        gathered.index.setdefault(coin, dollars / equity)
    orders = row.optional("totalOrderIM") or 0.0
    outputs: dict[str, Output | None] = {
        "equity": CurrencyOutput(Figure.EQUITY, coin, "all"),
        "totalPositionIM": None if orders else CurrencyOutput(Figure.INITIAL, coin, "all"),
        "totalPositionMM": CurrencyOutput(Figure.MAINTENANCE, coin, "all"),
        "unrealisedPnl": CurrencyOutput(Figure.PROFIT, coin, "all"),
        "totalOrderIM": None,
    }
    gathered.claim_each(row, outputs, coin, _DIGITS)


def _position(row: Row, gathered: Gathered) -> None:
    symbol = row.text("symbol")
    quantity = row.one_of("side", _SIDES, absent="") * row.number("size")
    leg = row.one_of("positionIdx", _LEGS, absent="0")
    if quantity == 0:
        gathered.leave_out(row, f"{symbol}: flat, left out")
        return
    instrument = gathered.require(symbol, lambda: _named(symbol, row.where))
    if isinstance(instrument.payoff, Linear | Inverse):
        gathered.ruled(row, "bybit.inverse" if isinstance(instrument.payoff, Inverse) else "bybit.linear")
    alone = str(row.raw("tradeMode")) == "1" or gathered.mode.get("") is MarginMode.ISOLATED
    mode = MarginMode.ISOLATED if alone else MarginMode.CROSS
    held = Position(
        symbol=symbol,
        quantity=quantity,
        entry=row.number("avgPrice"),
        leverage=row.chosen("leverage"),
        leg=leg,
        mode=mode,
        isolated_margin=row.chosen("positionBalance") if alone else None,
    )
    row.raw("positionBalance")
    gathered.position(row, held, "position/list")
    if held.isolated_margin:
        # walletBalance has the margin of isolated positions inside; it stands on the position with us.
        before = gathered.settled.get(instrument.settlement, 0.0)
        gathered.settled[instrument.settlement] = before + held.isolated_margin
    gathered.quote(symbol, mark=row.chosen("markPrice"))
    told = (symbol, leg, mode)
    outputs: dict[str, Output | None] = {
        "positionIM": PositionOutput(Figure.INITIAL, *told),
        "positionMM": PositionOutput(Figure.MAINTENANCE, *told),
        "unrealisedPnl": PositionOutput(Figure.PROFIT, *told),
        "positionIMByMp": None,
        "positionMMByMp": None,
    }
    gathered.claim_each(row, outputs, instrument.settlement, _DIGITS)
    gathered.claim_price(row, "liqPrice", PoolOutput(Figure.LIQUIDATION, *told), instrument.quote)


def _order(row: Row, gathered: Gathered) -> None:
    symbol, price = row.text("symbol"), row.optional("price")
    left = row.optional("leavesQty") if row.optional("leavesQty") is not None else row.number("qty")
    if not price or not left:
        gathered.leave_out(
            row, f"{row.where}: {row.raw('orderType')} order without a price in the book, left out"
        )
        return
    gathered.require(symbol, lambda: _named(symbol, row.where))
    sign = row.one_of("side", _SIDES)
    leg = row.one_of("positionIdx", _LEGS, absent="0")
    closes = row.flag("reduceOnly") or leg is (Leg.LONG if sign < 0 else Leg.SHORT)
    gathered.orders.append(Order(symbol=symbol, quantity=sign * left, price=price, reduce_only=closes))


VENUE = Venue(
    "bybit",
    _rows,
    (
        Shape(
            "envelope",
            words("retCode"),
            _envelope,
            words("retCode retMsg retExtInfo time id topic creationTime"),
            tells=False,
        ),
        Shape(
            "page",
            words("nextPageCursor"),
            _page,
            words("category updatedTime time"),
            lacks=words("symbol coin"),
            tells=False,
        ),
        Shape(
            "account/info",
            words("marginMode unifiedMarginStatus"),
            _info,
            words(
                "unifiedMarginStatus isMasterTrader spotHedgingStatus updatedTime dcpStatus timeWindow smpGroup"
            ),
        ),
        Shape(
            "instruments-info",
            words("symbol baseCoin settleCoin"),
            _terms,
            words(
                "status launchTime deliveryFeeRate priceScale leverageFilter lotSizeFilter unifiedMarginTrade"
            )
            | words(
                "fundingInterval copyTrading upperFundingRate lowerFundingRate displayName riskParameters"
            )
            | words("isPreListing preListingInfo contractType optionsType deliveryTime symbolType symbolId"),
        ),
        Shape("fee-rate", words("symbol takerFeeRate makerFeeRate"), _fee, words("makerFeeRate baseCoin")),
        Shape(
            "tickers",
            words("symbol markPrice ask1Price"),
            _prices,
            words(
                "prevPrice24h price24hPcnt highPrice24h lowPrice24h prevPrice1h openInterest openInterestValue"
            )
            | words(
                "turnover24h volume24h fundingRate nextFundingTime predictedDeliveryPrice basisRate basis lastPrice"
            )
            | words("deliveryFeeRate deliveryTime ask1Size bid1Price ask1Price bid1Size preOpenPrice preQty")
            | words(
                "curPreListingPhase fundingIntervalHour basisRateYear fundingCap bid1Iv ask1Iv totalVolume"
            )
            | words("totalTurnover delta gamma vega theta change24h"),
            lacks=words("positionIdx"),
        ),
        Shape(
            "wallet-balance",
            words("totalEquity accountIMRate"),
            _wallet,
            words(
                "accountType accountIMRate accountMMRate accountLTV totalWalletBalance totalAvailableBalance"
            )
            | words("totalPerpUPL totalPerpUpl accountIMRateByMp accountMMRateByMp totalInitialMarginByMp")
            | words("totalMaintenanceMarginByMp coin"),
        ),
        Shape(
            "wallet-balance coin",
            words("coin walletBalance"),
            _coin,
            words(
                "usdValue free locked spotHedgingQty borrowAmount availableToWithdraw accruedInterest bonus"
            )
            | words("cumRealisedPnl marginCollateral collateralSwitch availableToBorrow totalPositionIM")
            | words("totalPositionMM unrealisedPnl equity totalOrderIM colRes"),
        ),
        Shape(
            "position/list",
            words("symbol size positionIdx avgPrice"),
            _position,
            words(
                "riskId riskLimitValue positionValue positionStatus autoAddMargin bustPrice tpslMode takeProfit"
            )
            | words(
                "stopLoss trailingStop curRealisedPnl cumRealisedPnl sessionAvgPrice delta gamma vega theta"
            )
            | words(
                "adlRankIndicator createdTime updatedTime seq isReduceOnly mmrSysUpdatedTime breakEvenPrice"
            )
            | words("leverageSysUpdatedTime category tradeMode"),
        ),
        Shape(
            "order/realtime",
            words("orderId side qty symbol"),
            _order,
            words(
                "orderId orderLinkId blockTradeId isLeverage orderStatus cancelType rejectReason avgPrice qty"
            )
            | words(
                "leavesValue cumExecQty cumExecValue cumExecFee timeInForce orderType stopOrderType orderIv"
            )
            | words(
                "triggerPrice takeProfit stopLoss tpTriggerBy slTriggerBy triggerDirection triggerBy smpGroup"
            )
            | words("lastPriceOnCreated closeOnTrigger smpType smpOrderId tpslMode tpLimitPrice slLimitPrice")
            | words(
                "placeType createdTime updatedTime createType basePrice ocoTriggerBy marketUnit slippageTolerance"
            )
            | words("slippageToleranceType cumFeeDetail"),
        ),
    ),
    _refusal,
)
