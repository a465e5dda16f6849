"""Deribit's JSON-RPC answers and notifications, as they come; Coinbase International answers alike.

Read: ``get_positions`` and ``get_position``, ``get_account_summary`` and ``get_account_summaries``,
``get_book_summary_by_currency``, ``ticker``, and the notifications ``user.portfolio`` and ``ticker``. Sizes of
inverse futures are dollars, of linear futures coins, of options contracts; a direction of ``zero`` is no
position. The venue's own margins are kept as ``expected``, to be compared with ours.
"""

from typing import Any

from margrave.adapters.payloads import Gathered, number
from margrave.adapters.symbols import deribit
from margrave.core.errors import InvalidInputError, Reason
from margrave.domain.account import Balance, Position
from margrave.domain.fills import profit
from margrave.domain.instruments import Instrument, Option

_MODELS = {"segregated_sm": "deribit.sm"}


def gather(tree: Any, where: str, gathered: Gathered) -> None:
    """Add one answer, with or without its envelope, to what was gathered."""
    gathered.seen(_time(tree))
    for row in _rows(tree):
        place = f"{where}: {row.get('instrument_name') or row.get('currency') or 'result'}"
        try:
            _gather_row(row, place, gathered)
        except InvalidInputError as fault:
            gathered.issues.extend(fault.issues)
        except ValueError as fault:
            gathered.fault(
                place, Reason.INVALID_VALUE, f"{fault}; the payload holds a number that cannot be used"
            )


def _time(tree: Any) -> Any:
    return (
        tree["usOut"] / 1000.0
        if isinstance(tree, dict) and isinstance(tree.get("usOut"), int | float)
        else None
    )


def _rows(tree: Any) -> list[dict[str, Any]]:
    if isinstance(tree, dict) and "result" in tree:
        tree = tree["result"]
    elif isinstance(tree, dict) and isinstance(tree.get("params"), dict):
        tree = tree["params"].get("data", {})
    if isinstance(tree, dict) and "summaries" in tree:
        tree = tree["summaries"]
    rows = tree if isinstance(tree, list) else [tree]
    return [row for row in rows if isinstance(row, dict)]


def _gather_row(row: dict[str, Any], where: str, gathered: Gathered) -> None:
    if "average_price" in row and "direction" in row:
        _position(row, where, gathered)
    elif "instrument_name" in row:
        _prices(row, gathered)
    elif "currency" in row and "balance" in row:
        _summary(row, where, gathered)
    else:
        gathered.notes.append(f"{where}: not a payload that is read; fields {', '.join(sorted(row)[:6])}")


def _position(row: dict[str, Any], where: str, gathered: Gathered) -> None:
    symbol = str(row.get("instrument_name"))
    if row["direction"] == "zero" or number(row, "size", where) == 0:
        gathered.notes.append(f"{symbol}: flat, left out")
        return
    instrument = deribit(symbol, where)
    # The size carries its sign already (get_positions); the direction must agree with it.
    size = number(row, "size", where)
    if (size > 0) != (row["direction"] == "buy"):
        gathered.fault(
            where,
            Reason.CONTRADICTION,
            f"size {size:g} and direction {row['direction']!r} do not agree; the sign is in the size",
        )
        return
    if symbol in gathered.positions:
        gathered.fault(where, Reason.DUPLICATE, f"{symbol} is there twice; give one answer for each")
        return
    gathered.instruments[symbol] = instrument
    gathered.positions[symbol] = Position(
        symbol=symbol, quantity=size, entry=number(row, "average_price", where)
    )
    gathered.quote(symbol, mark=row.get("mark_price"), index=row.get("index_price"))
    _settled(row, instrument, gathered)
    if row.get("index_price"):
        gathered.index.setdefault(instrument.base, float(row["index_price"]))
    for name in ("initial_margin", "maintenance_margin", "total_profit_loss", "estimated_liquidation_price"):
        if row.get(name) not in (None, ""):
            gathered.expected[f"{symbol}.{name}"] = float(row[name])


def _settled(row: dict[str, Any], instrument: Instrument, gathered: Gathered) -> None:
    # floating_profit_loss runs from the last daily settlement; what came before it is in the balance already.
    mark, floating = row.get("mark_price"), row.get("floating_profit_loss")
    if isinstance(instrument.kind, Option) or not mark or floating in (None, ""):
        return
    held = gathered.positions[instrument.symbol]
    whole = profit(instrument.payoff, held.quantity, held.entry, float(mark))
    before = gathered.settled.get(instrument.settlement, 0.0)
    gathered.settled[instrument.settlement] = before + whole - float(floating)


def _prices(row: dict[str, Any], gathered: Gathered) -> None:
    symbol = str(row["instrument_name"])
    instrument = deribit(symbol)
    gathered.instruments[symbol] = instrument
    vol = row.get("mark_iv")
    option = isinstance(instrument.kind, Option)
    forward = row.get("underlying_price") if option else None
    gathered.quote(
        symbol,
        mark=row.get("mark_price") or None,
        index=row.get("index_price") or row.get("estimated_delivery_price"),
        forward=forward,
        vol=None if vol in (None, "") else float(vol) / 100.0,
        settlement=row.get("settlement_price") or None,
    )
    if row.get("index_price"):
        gathered.index[instrument.base] = float(row["index_price"])
    gathered.seen(row.get("timestamp") or row.get("creation_timestamp"))


def _summary(row: dict[str, Any], where: str, gathered: Gathered) -> None:
    currency = str(row["currency"])
    # Session profit is not in the balance yet; equity less what positions add is what the wallet holds.
    session = sum(float(row.get(name) or 0.0) for name in ("futures_session_rpl", "options_session_rpl"))
    gathered.balances[currency] = Balance(
        asset=currency,
        amount=number(row, "balance", where) + session,
        locked=float(row.get("locked_balance") or 0.0),
    )
    model = str(row.get("margin_model", ""))
    if model in _MODELS:
        gathered.rules = _MODELS[model]
    elif model:
        gathered.notes.append(f"{currency}: margin model {model} has no rulebook here; name one with --rules")
    for name in ("equity", "margin_balance", "initial_margin", "maintenance_margin", "available_funds"):
        if row.get(name) not in (None, ""):
            gathered.expected[f"{currency}.{name}"] = float(row[name])
