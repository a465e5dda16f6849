"""ccxt's positions and balances, read from the raw ``info`` of each venue.

The unified numbers are not used: Deribit's BTC-PERPETUAL, 60,000 USD short, comes out of ccxt as
``contracts = -60000``, ``contractSize = 10`` and ``side = 'short'``, ten times too large and signed twice.
"""

from collections.abc import Callable, Iterator
from typing import Any

from margrave.adapters import deribit as deribit_payload
from margrave.adapters.gathered import Gathered
from margrave.adapters.rows import number
from margrave.adapters.symbols import unified
from margrave.core.errors import InvalidInputError, Reason, invalid
from margrave.core.words import MarginMode
from margrave.domain.account import Balance, Leg, Position
from margrave.domain.instruments import Instrument


def gather(tree: Any, where: str, gathered: Gathered, exchange: str) -> None:
    """Add ccxt's list of positions, or its balance, to what was gathered."""
    rows = tree if isinstance(tree, list) else [tree]
    for row in (r for r in rows if isinstance(r, dict)):
        place = f"{where}: {row.get('symbol', 'balance')}"
        try:
            _gather_row(row, where, place, gathered, exchange)
            gathered.seen(row.get("timestamp"))
        except InvalidInputError as fault:
            gathered.issues.extend(fault.issues)
        except ValueError as fault:
            gathered.fault(
                place, Reason.INVALID_VALUE, f"{fault}; the payload holds a number that cannot be used"
            )


def _gather_row(row: dict[str, Any], where: str, place: str, gathered: Gathered, exchange: str) -> None:
    info = row.get("info")
    if "total" in row and "free" in row:
        _balance(info, place, gathered, exchange)
    elif info is None:
        raise invalid(
            place,
            Reason.INVALID_VALUE,
            "has no raw info; ccxt's unified numbers are not safe to read alone",
        )
    elif exchange in ("deribit", "coinbase"):
        deribit_payload.gather(info, where, gathered)
    elif exchange in _READERS:
        _READERS[exchange](row, info, place, gathered)
    else:
        raise invalid(exchange, Reason.NOT_FOUND, f"is not read; there are deribit, {', '.join(_READERS)}")


def _balance(info: Any, where: str, gathered: Gathered, exchange: str) -> None:
    # ccxt's "total" is equity on most venues: with positions beside it, profit would count twice.
    if exchange in ("deribit", "coinbase"):
        deribit_payload.gather(info, where, gathered)
        return
    found = list(_wallets(info))
    if not found:
        raise invalid(where, Reason.INVALID_VALUE, "has no wallet balance in its raw info; keep ccxt's info")
    for asset, amount in found:
        if amount:
            gathered.balances[asset] = Balance(asset=asset, amount=amount)


def _wallets(tree: Any) -> Iterator[tuple[str, float]]:
    # Rows of Binance (asset, walletBalance or balance), Bybit (coin, walletBalance), OKX (ccy, cashBal).
    if isinstance(tree, list):
        for row in tree:
            yield from _wallets(row)
    elif isinstance(tree, dict):
        asset = next((tree[k] for k in ("asset", "ccy", "coin") if isinstance(tree.get(k), str)), None)
        amount = next((tree[k] for k in ("walletBalance", "cashBal", "balance") if tree.get(k)), None)
        if asset is not None and amount is not None:
            yield asset, float(amount)
            return
        for name in ("assets", "result", "list", "coin", "data", "details"):
            yield from _wallets(tree.get(name))


def _instrument(row: dict[str, Any], where: str, gathered: Gathered) -> Instrument:
    size = row.get("contractSize")
    instrument = unified(str(row.get("symbol")), None if size is None else float(size), where)
    gathered.instruments[instrument.symbol] = instrument
    return instrument


def _add(gathered: Gathered, where: str, position: Position, mark: Any) -> None:
    if position.quantity == 0:
        gathered.notes.append(f"{position.symbol}: flat, left out")
        return
    key = position.symbol if position.leg is Leg.NET else f"{position.symbol} {position.leg}"
    if key in gathered.positions:
        gathered.fault(where, Reason.DUPLICATE, f"{key} is there twice; give one answer for each")
        return
    gathered.positions[key] = position
    gathered.quote(position.symbol, mark=mark)


def _isolated(is_isolated: bool, margin: Any) -> dict[str, Any]:
    if not is_isolated:
        return {}
    return {
        "mode": MarginMode.ISOLATED,
        "isolated_margin": None if margin in (None, "", "0") else float(margin),
    }


def _optional(value: Any) -> float | None:
    return None if value in (None, "", "0", 0) else float(value)


def _binance(row: dict[str, Any], info: dict[str, Any], where: str, gathered: Gathered) -> None:
    # positionRisk: positionAmt is signed, in coins (USDⓈ-M) or contracts (COIN-M); so is ccxt's contract size.
    instrument = _instrument(row, where, gathered)
    side = str(info.get("positionSide", "BOTH"))
    leg = {"LONG": Leg.LONG, "SHORT": Leg.SHORT}.get(side, Leg.NET)
    isolated = str(info.get("marginType", info.get("isolated", ""))).lower() in ("isolated", "true")
    size = number(info, "positionAmt", where)
    if size == 0:
        gathered.notes.append(f"{instrument.symbol}: flat, left out")
        return
    position = Position(
        symbol=instrument.symbol,
        quantity=size,
        entry=number(info, "entryPrice", where),
        leverage=_optional(info.get("leverage")),
        leg=leg,
        **_isolated(isolated, info.get("isolatedWallet")),
    )
    _add(gathered, where, position, info.get("markPrice"))


def _bybit(row: dict[str, Any], info: dict[str, Any], where: str, gathered: Gathered) -> None:
    # V5: size without sign, side Buy or Sell, positionIdx 0 one-way, 1 and 2 the legs of hedge mode.
    instrument = _instrument(row, where, gathered)
    sign = {"Buy": 1.0, "Sell": -1.0}.get(str(info.get("side")), 0.0)
    leg = {"1": Leg.LONG, "2": Leg.SHORT}.get(str(info.get("positionIdx", "0")), Leg.NET)
    size = number(info, "size", where)
    if size == 0 or sign == 0:
        gathered.notes.append(f"{instrument.symbol}: flat, left out")
        return
    position = Position(
        symbol=instrument.symbol,
        quantity=sign * size,
        entry=number(info, "avgPrice", where),
        leverage=_optional(info.get("leverage")),
        leg=leg,
        **_isolated(str(info.get("tradeMode", "0")) == "1", info.get("positionBalance")),
    )
    _add(gathered, where, position, info.get("markPrice"))


def _okx(row: dict[str, Any], info: dict[str, Any], where: str, gathered: Gathered) -> None:
    # pos is signed in net mode and without sign in long/short mode; contracts of the venue.
    instrument = _instrument(row, where, gathered)
    side = str(info.get("posSide", "net"))
    size = number(info, "pos", where)
    if size == 0:
        gathered.notes.append(f"{instrument.symbol}: flat, left out")
        return
    quantity = -abs(size) if side == "short" else size
    position = Position(
        symbol=instrument.symbol,
        quantity=quantity,
        entry=number(info, "avgPx", where),
        leverage=_optional(info.get("lever")),
        leg={"long": Leg.LONG, "short": Leg.SHORT}.get(side, Leg.NET),
        **_isolated(info.get("mgnMode") == "isolated", info.get("margin")),
    )
    _add(gathered, where, position, info.get("markPx"))


def _hyperliquid(row: dict[str, Any], info: dict[str, Any], where: str, gathered: Gathered) -> None:
    # clearinghouseState: szi is signed coins; there is no mark, but positionValue is |szi| times it.
    instrument = _instrument(row, where, gathered)
    held = info.get("position", info)
    size = number(held, "szi", where)
    if size == 0:
        gathered.notes.append(f"{instrument.symbol}: flat, left out")
        return
    leverage = held.get("leverage") or {}
    isolated = leverage.get("type") == "isolated"
    # marginUsed of an isolated position has its profit inside; what was put up has not.
    margin = number(held, "marginUsed", where) - number(held, "unrealizedPnl", where) if isolated else None
    position = Position(
        symbol=instrument.symbol,
        quantity=size,
        entry=number(held, "entryPx", where),
        leverage=_optional(leverage.get("value")),
        **_isolated(isolated, margin),
    )
    _add(gathered, where, position, number(held, "positionValue", where) / abs(size))


_READERS: dict[str, Callable[[dict[str, Any], dict[str, Any], str, Gathered], None]] = {
    "binance": _binance,
    "binanceusdm": _binance,
    "binancecoinm": _binance,
    "bybit": _bybit,
    "okx": _okx,
    "hyperliquid": _hyperliquid,
}
