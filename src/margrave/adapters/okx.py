"""OKX V5: positions, balance, orders, instruments and prices.

Read: ``account/positions``, ``account/balance``, ``trade/orders-pending``, ``public/instruments``,
``public/mark-price``, ``public/opt-summary`` and ``market/index-tickers``.

``pos`` counts contracts of ``ctVal`` times ``ctMult``, so the list of instruments is needed. It is signed in net mode
(``posSide`` net) and has no sign on the legs of long/short mode. ``cashBal`` is the wallet without the margin of
isolated positions, which is ``margin``.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from margrave.adapters.claims import CurrencyOutput, Figure, Output, PoolOutput, PositionOutput
from margrave.adapters.gathered import Gathered, Shape, Venue, objects, words
from margrave.adapters.rows import Row
from margrave.adapters.terms import delta_one, instant, option, right
from margrave.core.errors import Reason, invalid
from margrave.core.words import MarginMode
from margrave.domain.account import Leg, Order, Position
from margrave.domain.instruments import Instrument, Option

_LEGS = {"net": Leg.NET, "long": Leg.LONG, "short": Leg.SHORT}
_MODES = {"cross": MarginMode.CROSS, "isolated": MarginMode.ISOLATED}
_SIDES = {"buy": 1.0, "sell": -1.0}
_LIST = "public/instruments of its instType"
_DIGITS = 6


def _rows(tree: Any) -> Iterator[dict[str, Any]]:
    for row in objects(tree, "data"):
        details = row.get("details")
        yield {k: v for k, v in row.items() if k != "details"}
        yield from (d for d in (details if isinstance(details, list) else []) if isinstance(d, dict))


def _refusal(tree: Any) -> str | None:
    if isinstance(tree, dict) and "msg" in tree and str(tree.get("code", "0")) != "0":
        return f"{tree['code']}: {tree['msg']}"
    return None


def _terms(row: Row, gathered: Gathered) -> None:
    symbol, kind = row.text("instId"), row.text("instType")
    if kind not in ("SWAP", "FUTURES", "OPTION"):
        row.skip()
        return
    base, quote = (row.raw("uly") or row.text("instFamily")).split("-")[:2]
    assets = (base, quote, row.text("settleCcy"))
    inverse = row.raw("ctType") == "inverse"
    size = row.number("ctVal") * (row.optional("ctMult") or 1.0)
    expires = row.optional("expTime")
    expiry = instant(expires) if expires else None
    if kind == "OPTION" and expiry is not None:
        terms = Option(expiry=expiry, strike=row.number("stk"), right=right(row.text("optType"), row.where))
        known = option(symbol, assets, size, terms)
    else:
        _check_unit(row, assets, inverse)
        known = delta_one(symbol, assets, size, expiry, inverse)
    gathered.instruments[symbol] = replace(known, tick=row.chosen("tickSz"))


def _check_unit(row: Row, assets: tuple[str, str, str], inverse: bool) -> None:
    unit, expected = row.raw("ctValCcy"), assets[1] if inverse else assets[0]
    if unit and unit != expected:
        raise invalid(
            f"{row.where}.ctValCcy",
            Reason.WRONG_UNIT,
            f"is {unit}, expected {expected}; this contract is not read",
        )


def _prices(row: Row, gathered: Gathered) -> None:
    gathered.quote(row.text("instId"), mark=row.chosen("markPx"))
    gathered.seen(row.raw("ts"))


def _index(row: Row, gathered: Gathered) -> None:
    base, quote = row.text("instId").split("-")[:2]
    if quote in ("USD", "USDT", "USDC") and (quote == "USD" or base not in gathered.index):
        gathered.index[base] = row.number("idxPx")
    gathered.seen(row.raw("ts"))


def _summary(row: Row, gathered: Gathered) -> None:
    gathered.quote(row.text("instId"), vol=row.chosen("markVol"), forward=row.chosen("fwdPx"))
    gathered.seen(row.raw("ts"))


def _account(row: Row, gathered: Gathered) -> None:
    outputs: dict[str, Output | None] = {
        "adjEq": CurrencyOutput(Figure.BALANCE, "USD"),
        "totalEq": CurrencyOutput(Figure.EQUITY, "USD"),
        "imr": CurrencyOutput(Figure.INITIAL, "USD"),
        "mmr": None,
    }
    gathered.claim_each(row, outputs, "USD", _DIGITS)


def _detail(row: Row, gathered: Gathered) -> None:
    coin = row.text("ccy")
    # Stable, and left in dollars by the venue: eqUsd over eq is the index price of the coin.
    equity, dollars = row.optional("eq"), row.optional("eqUsd")
    gathered.balance(row, coin, row.number("cashBal"))
    if equity and dollars:
        gathered.index.setdefault(coin, dollars / equity)
    outputs: dict[str, Output | None] = {
        "eq": CurrencyOutput(Figure.EQUITY, coin, "all"),
        "imr": CurrencyOutput(Figure.INITIAL, coin),
        "mmr": None,
        "upl": CurrencyOutput(Figure.PROFIT, coin, "all"),
        "isoUpl": None,
        "mgnRatio": None,
    }
    gathered.claim_each(row, outputs, coin, _DIGITS)


def _position(row: Row, gathered: Gathered) -> None:
    symbol, size = row.text("instId"), row.number("pos")
    if size == 0:
        gathered.leave_out(row, f"{symbol}: flat, left out")
        return
    instrument = gathered.listed(row, symbol, _LIST)
    leg, mode = row.one_of("posSide", _LEGS, absent="net"), row.one_of("mgnMode", _MODES)
    held = Position(
        symbol=symbol,
        quantity=-abs(size) if leg is Leg.SHORT else size,
        entry=row.number("avgPx"),
        leverage=row.chosen("lever"),
        leg=leg,
        mode=mode,
        isolated_margin=row.number("margin") if mode is MarginMode.ISOLATED else None,
    )
    gathered.position(row, held, "positions")
    gathered.rules = gathered.rules or _rules(instrument)
    gathered.quote(symbol, mark=row.chosen("markPx"), index=row.chosen("idxPx"))
    if index := row.chosen("idxPx"):
        gathered.index[instrument.base] = index
    _claims(row, instrument, (symbol, leg, mode), gathered)


def _rules(instrument: Instrument) -> str | None:
    return None if isinstance(instrument.kind, Option) else "okx.futures"


def _claims(row: Row, instrument: Instrument, told: tuple[str, Leg, MarginMode], gathered: Gathered) -> None:
    outputs: dict[str, Output | None] = {
        "imr": PositionOutput(Figure.INITIAL, *told),
        "mmr": None,  # without the liquidation fee, which our maintenance has inside; mgnRatio has it, too
        "upl": PositionOutput(Figure.PROFIT, *told),
        "optVal": PositionOutput(Figure.VALUE, *told),
        "mgnRatio": PoolOutput(Figure.RATIO, *told),
    }
    gathered.claim_each(row, outputs, instrument.settlement, _DIGITS)
    gathered.claim_price(row, "liqPx", PoolOutput(Figure.LIQUIDATION, *told), instrument.quote)


def _order(row: Row, gathered: Gathered) -> None:
    symbol, price = row.text("instId"), row.optional("px")
    left = row.number("sz") - (row.optional("accFillSz") or 0.0)
    if row.raw("instType") == "SPOT" or not price or left == 0.0:
        gathered.leave_out(
            row, f"{row.where}: {row.raw('ordType')} order without a contract and a price, left out"
        )
        return
    gathered.listed(row, symbol, _LIST)
    sign = row.one_of("side", _SIDES)
    leg = row.one_of("posSide", _LEGS, absent="net")
    gathered.orders.append(
        Order(
            symbol=symbol,
            quantity=sign * left,
            price=price,
            reduce_only=row.flag("reduceOnly") or leg is (Leg.LONG if sign < 0 else Leg.SHORT),
            leverage=row.chosen("lever"),
        )
    )


VENUE = Venue(
    "okx",
    _rows,
    (
        Shape(
            "instruments",
            words("instId instType ctVal"),
            _terms,
            words(
                "alias auctionEndTime baseCcy category contTdSwTime lever listTime lotSz maxIcebergSz maxLmtAmt"
            )
            | words(
                "maxLmtSz maxMktAmt maxMktSz maxStopSz maxTriggerSz maxTwapSz minSz openType preMktSwTime quoteCcy"
            )
            | words(
                "ruleType state stk optType expTime ctMult ctType ctVal ctValCcy settleCcy instFamily uly tickSz"
            )
            | words(
                "instIdCode tradeQuoteCcyList futureSettlement groupId posLmtAmt posLmtPct maxPlatOILmt upcChg"
            ),
        ),
        Shape("mark-price", words("instId markPx ts"), _prices, words("instType"), lacks=words("pos")),
        Shape(
            "index-tickers",
            words("instId idxPx ts"),
            _index,
            words("high24h open24h low24h sodUtc0 sodUtc8"),
            lacks=words("pos"),
        ),
        Shape(
            "opt-summary",
            words("instId markVol"),
            _summary,
            words(
                "instType uly delta gamma vega theta deltaBS gammaBS vegaBS thetaBS lever bidVol askVol realVol"
            )
            | words("volLv buyApr sellApr distance"),
        ),
        Shape(
            "balance",
            words("adjEq totalEq"),
            _account,
            words(
                "borrowFroz isoEq mgnRatio notionalUsd notionalUsdForBorrow notionalUsdForFutures availEq delta"
            )
            | words(
                "notionalUsdForOption notionalUsdForSwap ordFroz uTime upl deltaLever deltaNeutralStatus"
            ),
        ),
        Shape(
            "balance detail",
            words("ccy cashBal"),
            _detail,
            words(
                "accAvgPx availBal availEq borrowFroz clSpotInUseAmt collateralEnabled crossLiab disEq fixedBal"
            )
            | words(
                "frozenBal interest isoEq isoLiab liab maxLoan maxSpotInUse maxSpotInUseAmt notionalLever"
            )
            | words(
                "openAvgPx ordFrozen rewardBal smtSyncEq spotBal spotCopyTradingEq spotInUseAmt spotIsoBal"
            )
            | words(
                "spotUpl spotUplRatio stgyEq totalPnl totalPnlRatio twap uTime uplLiab colRes colBorrAutoConversion"
            )
            | words("collateralRestrict autoLendStatus autoLendMtAmt frpType"),
        ),
        Shape(
            "positions",
            words("instId pos avgPx mgnMode"),
            _position,
            words(
                "adl availPos baseBal baseBorrowed baseInterest bePx bizRefId bizRefType cTime ccy clSpotInUseAmt"
            )
            | words(
                "closeOrderAlgo deltaBS deltaPA fee fundingFee gammaBS gammaPA instType interest last liab liabCcy"
            )
            | words(
                "liqPenalty margin maxSpotInUseAmt nonSettleAvgPx notionalUsd pendingCloseOrdLiabVal pnl posCcy"
            )
            | words(
                "posId quoteBal quoteBorrowed quoteInterest realizedPnl settledPnl spotInUseAmt spotInUseCcy"
            )
            | words(
                "thetaBS thetaPA tradeId uTime uplLastPx uplRatio uplRatioLastPx usdPx vegaBS vegaPA hedgedPos"
            ),
        ),
        Shape(
            "orders-pending",
            words("instId ordId sz side"),
            _order,
            words(
                "accFillSz algoClOrdId algoId attachAlgoClOrdId attachAlgoOrds avgPx cTime cancelSource category ccy"
            )
            | words(
                "cancelSourceReason clOrdId fee feeCcy fillPx fillSz fillTime instType isTpLimit linkedAlgoOrd"
            )
            | words(
                "ordId ordType pnl pxType pxUsd pxVol quickMgnType rebate rebateCcy slOrdPx slTriggerPx source"
            )
            | words(
                "slTriggerPxType state stpId stpMode tag tdMode tgtCcy tpOrdPx tpTriggerPx tpTriggerPxType"
            )
            | words("tradeId uTime tradeQuoteCcy lever posSide reduceOnly"),
        ),
        Shape(
            "envelope",
            words("code msg"),
            lambda row, gathered: None,
            words("code msg data inTime outTime"),
            tells=False,
        ),
    ),
    _refusal,
)
