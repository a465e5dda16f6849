"""Hyperliquid's ``clearinghouseState``, ``metaAndAssetCtxs`` (or ``meta``) and ``openOrders``.

``szi`` is signed coins; contracts are linear, quoted and settled in USDC. A state has no marks: ``positionValue`` is
|szi| times the mark. Dollars are told raw, what is left when every position was paid for: the cross wallet is
``totalRawUsd`` plus size times entry, and so is, of its ``rawUsd``, what was put up for an isolated position.
"""

from collections.abc import Iterator
from typing import Any

from margrave.adapters.claims import CurrencyOutput, Figure, Output, PoolOutput, PositionOutput
from margrave.adapters.gathered import Gathered, Shape, Venue, objects, words
from margrave.adapters.rows import Row
from margrave.adapters.terms import delta_one
from margrave.core.words import MarginMode
from margrave.domain.account import Leg, Order, Position
from margrave.domain.instruments import Instrument

_MODES = {"cross": MarginMode.CROSS, "isolated": MarginMode.ISOLATED}
_SIDES = {"B": 1.0, "A": -1.0}
_CASH = "USDC"
_DIGITS = 6


def _rows(tree: Any) -> Iterator[dict[str, Any]]:
    if _is_contexts(tree):
        meta, contexts = tree
        yield from ({**told, **context} for told, context in zip(meta["universe"], contexts, strict=True))
        return
    if isinstance(tree, dict) and isinstance(tree.get("assetPositions"), list):
        yield {k: v for k, v in tree.items() if k != "assetPositions"}
        # One row apart from the state's: a position carries nothing of the account.
        yield from (row for row in tree["assetPositions"] if isinstance(row, dict))
        return
    yield from objects(tree, "universe", "clearinghouseState")


def _is_contexts(tree: Any) -> bool:
    if not (
        isinstance(tree, list) and len(tree) == 2 and isinstance(tree[0], dict) and isinstance(tree[1], list)
    ):
        return False
    universe = tree[0].get("universe")
    return isinstance(universe, list) and len(universe) == len(tree[1])


def _terms(coin: str) -> Instrument:
    return delta_one(coin, (coin.partition(":")[2] or coin, _CASH, _CASH), 1.0)


def _context(row: Row, gathered: Gathered) -> None:
    coin = row.text("name")
    instrument = gathered.require(coin, lambda: _terms(coin))
    oracle = row.chosen("oraclePx")
    gathered.quote(coin, mark=row.chosen("markPx"), index=oracle)
    if oracle:
        gathered.index[instrument.base] = oracle


def _state(row: Row, gathered: Gathered) -> None:
    gathered.seen(row.raw("time"))
    gathered.rules = "hyperliquid.perps"
    cross, whole = row.part("crossMarginSummary"), row.part("marginSummary")
    told = Row(row.fields, row.where, row.read)
    gathered.balance(row, _CASH, cross.number("totalRawUsd"))
    gathered.claim_each(
        cross,
        {
            "accountValue": CurrencyOutput(Figure.EQUITY, _CASH),
            "totalMarginUsed": CurrencyOutput(Figure.INITIAL, _CASH),
            "totalNtlPos": CurrencyOutput(Figure.NOTIONAL, _CASH),
        },
        _CASH,
        _DIGITS,
    )
    gathered.claim_each(
        whole,
        {
            "accountValue": CurrencyOutput(Figure.EQUITY, _CASH, "all"),
            "totalNtlPos": CurrencyOutput(Figure.NOTIONAL, _CASH, "all"),
            "totalMarginUsed": None,
            "totalRawUsd": None,
        },
        _CASH,
        _DIGITS,
    )
    maintenance = CurrencyOutput(Figure.MAINTENANCE, _CASH)
    gathered.claim_each(
        told, {"crossMaintenanceMarginUsed": maintenance, "withdrawable": None}, _CASH, _DIGITS
    )


def _position(row: Row, gathered: Gathered) -> None:
    held = Row(row.part("position").fields, row.where)
    coin, size = held.text("coin"), held.number("szi")
    held = Row(held.fields, f"{row.where}: {coin}", held.read)
    if size == 0:
        gathered.leave_out(row, f"{coin}: flat, left out")
        return
    gathered.require(coin, lambda: _terms(coin))
    chosen = held.part("leverage")
    mode = chosen.one_of("type", _MODES)
    isolated = mode is MarginMode.ISOLATED
    entry, value = held.number("entryPx"), held.number("positionValue")
    put_up = max(0.0, chosen.number("rawUsd") + size * entry) if isolated else None
    gathered.position(
        held,
        Position(
            symbol=coin,
            quantity=size,
            entry=entry,
            leverage=chosen.chosen("value"),
            mode=mode,
            isolated_margin=put_up,
        ),
        "clearinghouseState",
    )
    # The state is of one instant; marks of a later answer would contradict its own numbers.
    gathered.quote(coin, mark=value / abs(size))
    if not isolated:
        gathered.settled[_CASH] = gathered.settled.get(_CASH, 0.0) - size * entry
    _claims(held, (coin, Leg.NET, mode), gathered)
    if unread := held.unread(_HELD) | chosen.unread(words("rawUsd")):
        gathered.unread.setdefault("hyperliquid assetPositions", set()).update(unread)


def _claims(held: Row, told: tuple[str, Leg, MarginMode], gathered: Gathered) -> None:
    isolated = told[2] is MarginMode.ISOLATED
    outputs: dict[str, Output | None] = {
        "positionValue": PositionOutput(Figure.NOTIONAL, *told),
        "unrealizedPnl": PositionOutput(Figure.PROFIT, *told),
        # Of an isolated position it is what stands there, not what is asked.
        "marginUsed": PoolOutput(Figure.EQUITY, *told) if isolated else PositionOutput(Figure.INITIAL, *told),
    }
    gathered.claim_each(held, outputs, _CASH, _DIGITS)
    # Raw dollars are told to six decimals, the price to eight: half a unit of the former moves the price by as much
    # as that is of the size, less maintenance (half of the initial margin at the highest leverage).
    kept = 1.0 - 0.5 / (held.chosen("maxLeverage") or 1.0)
    left_open = 0.5 * 10.0**-_DIGITS / (abs(held.number("szi")) * kept)
    gathered.claim_price(held, "liquidationPx", PoolOutput(Figure.LIQUIDATION, *told), _CASH, left_open)


def _order(row: Row, gathered: Gathered) -> None:
    coin, size, price = row.text("coin"), row.number("sz"), row.optional("limitPx")
    if not price or size == 0.0 or row.flag("isTrigger"):
        gathered.leave_out(row, f"{row.where}: order that rests on a trigger, left out")
        return
    gathered.require(coin, lambda: _terms(coin))
    gathered.orders.append(
        Order(
            symbol=coin,
            quantity=row.one_of("side", _SIDES) * size,
            price=price,
            reduce_only=row.flag("reduceOnly"),
        )
    )


_HELD = words("cumFunding returnOnEquity")

VENUE = Venue(
    "hyperliquid",
    _rows,
    (
        Shape(
            "metaAndAssetCtxs",
            words("name szDecimals"),
            _context,
            words(
                "szDecimals maxLeverage onlyIsolated isDelisted marginTableId marginMode funding openInterest prevDayPx"
            )
            | words("dayNtlVlm premium midPx impactPxs dayBaseVlm growthMode lastGrowthModeChangeTime"),
        ),
        Shape("clearinghouseState", words("marginSummary crossMarginSummary"), _state),
        Shape("assetPositions", words("position type"), _position, words("type")),
        Shape(
            "openOrders",
            words("coin limitPx sz oid"),
            _order,
            words(
                "oid timestamp origSz cloid orderType tif triggerCondition triggerPx isPositionTpsl children"
            ),
        ),
    ),
)
