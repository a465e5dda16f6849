"""Deribit's JSON-RPC answers and notifications, as they come; Coinbase International answers alike.

Read: ``get_positions`` and ``get_position``, ``get_account_summary`` and ``get_account_summaries``,
``get_open_orders``, ``get_instruments``, ``get_book_summary_by_currency``, ``ticker`` and ``get_order_book``, and
the notifications ``user.portfolio`` and ``ticker``. Sizes of inverse futures are dollars, of linear futures coins,
of options contracts; a direction of ``zero`` is no position. The venue's own margins are kept as claims.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from margrave.adapters import gathered as reading
from margrave.adapters.claims import CurrencyOutput, Figure, PoolOutput, PositionOutput
from margrave.adapters.gathered import Gathered, Shape, Venue, words
from margrave.adapters.rows import Row
from margrave.adapters.symbols import deribit
from margrave.core.errors import Reason
from margrave.domain.account import Order, Position
from margrave.domain.fills import profit
from margrave.domain.instruments import Instrument, Option

_MODELS = {"segregated_sm": "deribit.sm"}
_DIRECTION = {"buy": 1.0, "sell": -1.0}
_COIN_DIGITS, _DOLLAR_DIGITS = 8, 6  # closing zeros are dropped: what is shown shorter is as exact


def gather(tree: Any, where: str, gathered: Gathered) -> None:
    """Add one answer, with or without its envelope, to what was gathered."""
    reading.gather(VENUE, [(tree, where)], gathered)


def _rows(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict) and ("result" in tree or isinstance(tree.get("params"), dict)):
        yield {"jsonrpc": "2.0", **{k: v for k, v in tree.items() if k not in ("result", "params")}}
        tree = tree["result"] if "result" in tree else tree["params"].get("data", {})
    if isinstance(tree, dict) and "summaries" in tree:
        yield {"jsonrpc": "2.0", **{k: v for k, v in tree.items() if k != "summaries"}}
        tree = tree["summaries"]
    yield from (row for row in (tree if isinstance(tree, list) else [tree]) if isinstance(row, dict))


def _refusal(tree: Any) -> str | None:
    fault = tree.get("error") if isinstance(tree, dict) else None
    return None if fault is None else str(fault.get("message", fault) if isinstance(fault, dict) else fault)


def _envelope(row: Row, gathered: Gathered) -> None:
    sent = row.optional("usOut") if "usOut" in row.fields else None
    gathered.seen(None if sent is None else sent / 1000.0)


def _least(currency: str) -> int:
    return _DOLLAR_DIGITS if currency.startswith(("USD", "EUR")) else _COIN_DIGITS


def _position(row: Row, gathered: Gathered) -> None:
    symbol = row.text("instrument_name")
    size = row.number("size")
    if row.raw("direction") == "zero" or size == 0:
        gathered.leave_out(row, f"{symbol}: flat, left out")
        return
    instrument = deribit(symbol, row.where)
    # The size carries its sign already (get_positions); the direction must agree with it.
    if (size > 0) != (row.raw("direction") == "buy"):
        gathered.fault(
            row.where,
            Reason.CONTRADICTION,
            f"size {size:g} and direction {row.raw('direction')!r} do not agree; the sign is in the size",
        )
        return
    _know(instrument, gathered)
    held = Position(symbol=symbol, quantity=size, entry=row.number("average_price"))
    gathered.position(row, held, "get_positions")
    index = row.chosen("index_price")
    gathered.quote(symbol, mark=row.chosen("mark_price"), index=index)
    if index:
        gathered.index.setdefault(instrument.base, index)
    _settled(row, instrument, held, gathered)
    unit = instrument.settlement
    for name, figure in (
        ("initial_margin", Figure.INITIAL),
        ("maintenance_margin", Figure.MAINTENANCE),
        ("total_profit_loss", Figure.PROFIT),
    ):
        gathered.claim(row, name, PositionOutput(figure, symbol), unit, _least(unit))
    gathered.claim_price(
        row, "estimated_liquidation_price", PoolOutput(Figure.LIQUIDATION, symbol), instrument.quote
    )
    gathered.claim(row, "open_orders_margin", None, unit, _least(unit))


def _know(instrument: Instrument, gathered: Gathered) -> None:
    gathered.instruments.setdefault(instrument.symbol, instrument)


def _settled(row: Row, instrument: Instrument, held: Position, gathered: Gathered) -> None:
    # floating_profit_loss runs from the last daily settlement; what came before it is in the balance already.
    mark, floating = row.chosen("mark_price"), row.optional("floating_profit_loss")
    if isinstance(instrument.kind, Option) or not mark or floating is None:
        return
    whole = profit(instrument.payoff, held.quantity, held.entry, mark)
    before = gathered.settled.get(instrument.settlement, 0.0)
    gathered.settled[instrument.settlement] = before + whole - floating


def _terms(row: Row, gathered: Gathered) -> None:
    symbol = row.text("instrument_name")
    if row.raw("kind") in ("future_combo", "option_combo", "spot"):
        gathered.leave_out(row, f"{symbol}: a {row.raw('kind')}, left out")
        return
    terms = deribit(symbol, row.where)
    gathered.instruments[symbol] = replace(
        terms, tick=row.chosen("tick_size"), taker_fee=row.optional("taker_commission")
    )


def _prices(row: Row, gathered: Gathered) -> None:
    symbol = row.text("instrument_name")
    instrument = deribit(symbol, row.where)
    _know(instrument, gathered)
    vol = row.optional("mark_iv")
    forward, index = row.chosen("underlying_price"), row.chosen("index_price")
    delivery = row.chosen("estimated_delivery_price")
    gathered.quote(
        symbol,
        mark=row.chosen("mark_price"),
        index=index or delivery,
        forward=forward if isinstance(instrument.kind, Option) else None,
        vol=None if vol is None else vol / 100.0,
        settlement=row.chosen("settlement_price"),
    )
    if index:
        gathered.index[instrument.base] = index
    gathered.seen(row.raw("timestamp") or row.raw("creation_timestamp"))


def _order(row: Row, gathered: Gathered) -> None:
    symbol = row.text("instrument_name")
    left = row.number("amount") - (row.optional("filled_amount") or 0.0)
    if row.raw("order_state") != "open" or left == 0.0:
        gathered.leave_out(row, f"{row.where}: order is {row.raw('order_state')}, left out")
        return
    if row.raw("order_type") != "limit":
        gathered.leave_out(
            row, f"{row.where}: {row.raw('order_type')} order without a price in the book, left out"
        )
        return
    _know(deribit(symbol, row.where), gathered)
    gathered.orders.append(
        Order(
            symbol=symbol,
            quantity=row.one_of("direction", _DIRECTION) * left,
            price=row.number("price"),
            reduce_only=row.flag("reduce_only"),
        )
    )


def _summary(row: Row, gathered: Gathered) -> None:
    currency = row.text("currency")
    # Session profit is not in the balance yet; equity less what positions add is what the wallet holds.
    session = sum(row.optional(name) or 0.0 for name in ("futures_session_rpl", "options_session_rpl"))
    amount = row.number("balance") + session
    gathered.balance(row, currency, amount, row.optional("locked_balance") or 0.0)
    model = row.raw("margin_model") or ""
    # Several currencies in one pool are not told by any figure of one currency.
    segregated = not model.startswith("cross")
    if model in _MODELS:
        gathered.rules = _MODELS[model]
    elif model:
        gathered.notes.append(f"{currency}: margin model {model} has no rulebook here; name one with --rules")
    for name, figure in (
        ("equity", Figure.EQUITY),
        ("margin_balance", Figure.BALANCE),
        ("initial_margin", Figure.INITIAL),
        ("maintenance_margin", Figure.MAINTENANCE),
        ("available_funds", Figure.AVAILABLE),
    ):
        output = CurrencyOutput(figure, currency) if segregated else None
        gathered.claim(row, name, output, currency, _least(currency))
    for name in ("projected_initial_margin", "projected_maintenance_margin"):
        gathered.claim(row, name, None, currency, _least(currency))


VENUE = Venue(
    "deribit",
    _rows,
    (
        Shape(
            "envelope",
            words("jsonrpc"),
            _envelope,
            words(
                "jsonrpc id usIn usDiff testnet method id email username type creation_timestamp login_enabled"
            )
            | words(
                "system_name security_keys_enabled security_keys_assignments referrer_id interuser_transfers_enabled"
            )
            | words(
                "self_trading_reject_mode self_trading_extended_to_subaccounts mmp_enabled has_non_block_chain_equity block_rfq_self_match_prevention"
            ),
            tells=False,
        ),
        Shape(
            "get_instruments",
            words("instrument_name base_currency tick_size"),
            _terms,
            words(
                "instrument_type counter_currency quote_currency settlement_currency price_index contract_size"
            )
            | words(
                "min_trade_amount tick_size_steps strike option_type expiration_timestamp settlement_period"
            )
            | words(
                "maker_commission max_liquidation_commission max_leverage block_trade_commission is_active rfq"
            )
            | words(
                "block_trade_min_trade_amount block_trade_tick_size instrument_id creation_timestamp state kind"
            )
            | words("base_currency margin_params tick_size taker_commission block_rfq_tick_size"),
            lacks=words("direction"),
        ),
        Shape(
            "ticker",
            words("instrument_name mark_price"),
            _prices,
            words(
                "bid_price ask_price mid_price underlying_index interest_rate open_interest volume volume_usd"
            )
            | words(
                "volume_notional current_funding funding_8h best_bid_price best_ask_price best_bid_amount"
            )
            | words(
                "best_ask_amount bid_iv ask_iv greeks min_price max_price state last last_price high low stats bids"
            )
            | words(
                "asks change_id price_change base_currency quote_currency delivery_price interest_value timestamp"
            )
            | words("creation_timestamp"),
            lacks=words("direction order_id"),
        ),
        Shape(
            "get_positions",
            words("instrument_name average_price direction"),
            _position,
            words("kind settlement_price size_currency delta gamma vega theta realized_profit_loss leverage")
            | words(
                "realized_funding interest_value average_price_usd floating_profit_loss_usd margin_model"
            ),
            lacks=words("order_id"),
        ),
        Shape(
            "get_account_summary",
            words("currency balance"),
            _summary,
            words(
                "available_withdrawal_funds session_rpl session_upl futures_pl futures_session_upl options_pl"
            )
            | words(
                "options_session_upl options_value options_delta options_gamma options_theta options_vega"
            )
            | words(
                "options_gamma_map options_vega_map options_theta_map delta_total delta_total_map total_pl"
            )
            | words(
                "projected_delta_total estimated_liquidation_ratio estimated_liquidation_ratio_map spot_reserve"
            )
            | words(
                "additional_reserve fee_balance portfolio_margining_enabled cross_collateral_enabled limits"
            )
            | words(
                "total_equity_usd total_margin_balance_usd total_initial_margin_usd deposit_address fee_group"
            )
            | words(
                "total_maintenance_margin_usd total_delta_total_usd fees id email username type system_name"
            )
            | words("creation_timestamp login_enabled referrer_id security_keys_enabled mmp_enabled")
            | words("security_keys_assignments interuser_transfers_enabled self_trading_reject_mode")
            | words(
                "self_trading_extended_to_subaccounts has_non_block_chain_equity change_margin_model_api_limit"
            ),
        ),
        Shape(
            "get_open_orders",
            words("instrument_name order_id direction"),
            _order,
            words(
                "order_id label average_price creation_timestamp last_update_timestamp time_in_force post_only"
            )
            | words(
                "reject_post_only api web replaced is_liquidation max_show mmp profit_loss commission risk_reducing"
            )
            | words("contracts is_rebalance user_id original_order_type mobile amount"),
        ),
    ),
    _refusal,
)
