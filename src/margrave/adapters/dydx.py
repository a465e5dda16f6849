"""dYdX v4's indexer: a subaccount (``/v4/addresses/…/subaccountNumber/…``), ``/v4/perpetualMarkets`` and ``/v4/orders``.

``size`` of an open position is signed coins; contracts are linear and settle in USDC. The oracle price is the mark.
The indexer's USDC position is the *quote* balance, what is left when every position was paid for at its entry: the
wallet is that balance plus size times entry.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from margrave.adapters.claims import CurrencyOutput, Figure, Output, PositionOutput
from margrave.adapters.gathered import Gathered, Shape, Venue, words
from margrave.adapters.rows import Row
from margrave.adapters.terms import delta_one
from margrave.core.errors import Reason, invalid
from margrave.domain.account import Order, Position
from margrave.domain.instruments import Instrument

_CASH = "USDC"
_SIDES = {"BUY": 1.0, "SELL": -1.0}
_SIGNS = {"LONG": 1.0, "SHORT": -1.0}
_DIGITS = 4


def _rows(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, list):
        for item in tree:
            yield from _rows(item)
        return
    if not isinstance(tree, dict):
        return
    envelope = next((n for n in ("result", "subaccount", "subaccounts", "markets") if n in tree), None)
    if envelope is None:
        nested = [n for n in ("openPerpetualPositions", "assetPositions") if isinstance(tree.get(n), dict)]
        yield {k: v for k, v in tree.items() if k not in nested}
        for name in nested:
            yield from (row for row in tree[name].values() if isinstance(row, dict))
        return
    if stamp := tree.get("isoTimestamp"):
        yield {"isoTimestamp": stamp}
    inside = tree[envelope]
    yield from _rows(list(inside.values()) if envelope == "markets" and isinstance(inside, dict) else inside)


def _refusal(tree: Any) -> str | None:
    return str(tree["errors"]) if isinstance(tree, dict) and "errors" in tree else None


def _time(row: Row, gathered: Gathered) -> None:
    told = row.text("isoTimestamp")
    try:
        at = datetime.fromisoformat(told.replace("Z", "+00:00"))
    except ValueError as fault:
        raise invalid(
            row.where, Reason.INVALID_VALUE, f"{told!r} is no instant; keep the answer as it came"
        ) from fault
    gathered.seen(at.timestamp() * 1000.0)


def _terms(symbol: str, where: str) -> Instrument:
    base, _, quote = symbol.partition("-")
    if quote != "USD" or not base:
        raise invalid(
            where, Reason.UNKNOWN_INSTRUMENT, f"{symbol!r} is not a dYdX name such as BTC-USD; correct it"
        )
    return delta_one(symbol, (base, _CASH, _CASH), 1.0)


def _market(row: Row, gathered: Gathered) -> None:
    symbol = row.text("ticker")
    found = gathered.know(row, symbol, lambda: _terms(symbol, row.where))
    oracle = row.chosen("oraclePrice")
    if found is None or oracle is None:
        return
    gathered.instruments[symbol] = replace(found, tick=row.chosen("tickSize"))
    gathered.quote(symbol, mark=oracle, index=oracle)
    gathered.index[found.base] = oracle


def _subaccount(row: Row, gathered: Gathered) -> None:
    gathered.rules = "dydx.v4"
    outputs: dict[str, Output | None] = {
        "equity": CurrencyOutput(Figure.EQUITY, _CASH),
        "freeCollateral": CurrencyOutput(Figure.AVAILABLE, _CASH),
    }
    gathered.claim_each(row, outputs, _CASH, _DIGITS)


def _asset(row: Row, gathered: Gathered) -> None:
    asset = row.text("symbol")
    gathered.balance(row, asset, row.one_of("side", _SIGNS) * abs(row.number("size")))


def _position(row: Row, gathered: Gathered) -> None:
    symbol = row.text("market")
    if row.raw("status") != "OPEN":
        gathered.leave_out(row, f"{symbol}: {row.raw('status')}, left out")
        return
    size = row.one_of("side", _SIGNS) * abs(row.number("size"))
    gathered.require(symbol, lambda: _terms(symbol, row.where))
    entry = row.number("entryPrice")
    gathered.position(row, Position(symbol=symbol, quantity=size, entry=entry), "subaccount")
    # The quote balance has been paid for the position at its entry: the wallet has not.
    gathered.settled[_CASH] = gathered.settled.get(_CASH, 0.0) - size * entry
    gathered.claim(row, "unrealizedPnl", PositionOutput(Figure.PROFIT, symbol), _CASH, _DIGITS)


def _order(row: Row, gathered: Gathered) -> None:
    symbol = row.text("ticker")
    left = row.number("size") - (row.optional("totalFilled") or 0.0)
    if row.raw("status") not in ("OPEN", "BEST_EFFORT_OPENED") or left == 0.0:
        gathered.leave_out(row, f"{row.where}: order is {row.raw('status')}, left out")
        return
    gathered.require(symbol, lambda: _terms(symbol, row.where))
    gathered.orders.append(
        Order(
            symbol=symbol,
            quantity=row.one_of("side", _SIDES) * left,
            price=row.number("price"),
            reduce_only=row.flag("reduceOnly"),
        )
    )


VENUE = Venue(
    "dydx",
    _rows,
    (
        Shape("envelope", words("isoTimestamp"), _time, tells=False),
        Shape(
            "perpetualMarkets",
            words("ticker oraclePrice clobPairId"),
            _market,
            words(
                "clobPairId status priceChange24H volume24H trades24H nextFundingRate initialMarginFraction"
            )
            | words(
                "maintenanceMarginFraction openInterest atomicResolution quantumConversionExponent tickSize"
            )
            | words(
                "stepSize stepBaseQuantums subticksPerTick marketType openInterestLowerCap openInterestUpperCap"
            )
            | words("baseOpenInterest defaultFundingRate1H"),
        ),
        Shape(
            "subaccount",
            words("subaccountNumber freeCollateral"),
            _subaccount,
            words("address subaccountNumber marginEnabled updatedAtHeight latestProcessedBlockHeight"),
        ),
        Shape("assetPositions", words("symbol side size assetId"), _asset, words("assetId subaccountNumber")),
        Shape(
            "openPerpetualPositions",
            words("market side size entryPrice"),
            _position,
            words(
                "maxSize exitPrice realizedPnl createdAt createdAtHeight closedAt sumOpen sumClose netFunding"
            )
            | words("subaccountNumber"),
        ),
        Shape(
            "orders",
            words("ticker totalFilled clientId"),
            _order,
            words(
                "id subaccountId clientId clobPairId type timeInForce orderFlags goodTilBlock goodTilBlockTime"
            )
            | words(
                "createdAtHeight clientMetadata triggerPrice updatedAt updatedAtHeight postOnly removalReason"
            )
            | words(
                "subaccountNumber orderRouterAddress builderFee feePpm builderAddress duration interval priceTolerance"
            ),
        ),
    ),
    _refusal,
)
