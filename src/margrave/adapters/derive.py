"""Derive (Lyra): ``private/get_subaccount``, ``public/get_instruments`` and ``public/get_ticker``.

Amounts are signed coins; everything settles in USDC, premiums too. A perpetual's ``mark_value`` is its profit that
is not yet paid into cash: what was settled before is in the wallet already. The margins of a subaccount are *net*,
equity after requirement: above zero is allowed, below zero is not.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from margrave.adapters.claims import CurrencyOutput, Figure, Output, PoolOutput, PositionOutput
from margrave.adapters.gathered import Gathered, Shape, Venue, objects, words
from margrave.adapters.rows import Row
from margrave.adapters.terms import delta_one, option, right
from margrave.core.errors import Reason, invalid
from margrave.domain.account import Order, Position
from margrave.domain.fills import profit
from margrave.domain.instruments import Instrument, Option

_CASH = "USDC"
_SIDES = {"buy": 1.0, "sell": -1.0}
_DIGITS = 6
_EXPIRY_HOUR = 8  # UTC


def _rows(tree: Any) -> Iterator[dict[str, Any]]:
    for row in objects(tree, "result", "instruments", "tickers"):
        nested = [n for n in ("positions", "collaterals", "open_orders") if isinstance(row.get(n), list)]
        yield {k: v for k, v in row.items() if k not in nested}
        for name in nested:
            yield from (inner for inner in row[name] if isinstance(inner, dict))


def _refusal(tree: Any) -> str | None:
    fault = tree.get("error") if isinstance(tree, dict) else None
    return None if fault is None else str(fault.get("message", fault) if isinstance(fault, dict) else fault)


def _named(symbol: str, where: str) -> Instrument:
    parts = symbol.split("-")
    if len(parts) == 2 and parts[1] == "PERP":
        return delta_one(symbol, (parts[0], _CASH, _CASH), 1.0)
    if len(parts) == 4:
        try:
            day = datetime.strptime(parts[1], "%Y%m%d").replace(hour=_EXPIRY_HOUR, tzinfo=UTC)
            strike = float(parts[2].replace("_", "."))
        except ValueError:
            pass
        else:
            kind = Option(expiry=day, strike=strike, right=right(parts[3], where))
            return option(symbol, (parts[0], _CASH, _CASH), 1.0, kind)
    raise invalid(
        where,
        Reason.UNKNOWN_INSTRUMENT,
        f"{symbol!r} is not a Derive name such as ETH-PERP or ETH-20261225-3000-C; correct it",
    )


def _terms(row: Row, gathered: Gathered) -> None:
    symbol = row.text("instrument_name")
    found = gathered.know(row, symbol, lambda: _named(symbol, row.where))
    if found is None:
        return
    gathered.instruments[symbol] = replace(
        found, tick=row.chosen("tick_size"), taker_fee=row.optional("taker_fee_rate")
    )
    if "mark_price" in row.fields:
        _prices(row, gathered)


def _prices(row: Row, gathered: Gathered) -> None:
    symbol = row.text("instrument_name")
    found = gathered.know(row, symbol, lambda: _named(symbol, row.where))
    if found is None:
        return
    pricing, index = row.part("option_pricing"), row.chosen("index_price")
    gathered.quote(
        symbol,
        mark=row.chosen("mark_price"),
        index=index,
        forward=pricing.chosen("forward_price"),
        vol=pricing.chosen("iv"),
    )
    gathered.seen(row.raw("timestamp"))
    if index:
        gathered.index[found.base] = index


def _subaccount(row: Row, gathered: Gathered) -> None:
    model = row.raw("margin_type")
    if model == "SM":
        gathered.rules = "derive.srm"
    else:
        gathered.notes.append(f"{row.where}: margin type {model} has no rulebook here; name one with --rules")
    outputs: dict[str, Output | None] = {
        "subaccount_value": CurrencyOutput(Figure.EQUITY, "USD"),
        "initial_margin": CurrencyOutput(Figure.AVAILABLE, "USD"),
        "maintenance_margin": CurrencyOutput(Figure.EXCESS, "USD"),
        "open_orders_margin": None,
        "positions_initial_margin": None,
        "positions_maintenance_margin": None,
        "collaterals_initial_margin": None,
        "collaterals_maintenance_margin": None,
    }
    gathered.claim_each(row, outputs, "USD", _DIGITS)


def _collateral(row: Row, gathered: Gathered) -> None:
    asset = row.text("asset_name")
    gathered.balance(row, asset, row.number("amount"))
    if price := row.chosen("mark_price"):
        gathered.index.setdefault(asset, price)
    for name in ("initial_margin", "maintenance_margin"):
        gathered.claim(row, name, None, _CASH, _DIGITS)


def _position(row: Row, gathered: Gathered) -> None:
    symbol, quantity = row.text("instrument_name"), row.number("amount")
    if quantity == 0:
        gathered.leave_out(row, f"{symbol}: flat, left out")
        return
    instrument = gathered.require(symbol, lambda: _named(symbol, row.where))
    entry, mark = row.price("average_price"), row.price("mark_price")
    gathered.position(row, Position(symbol=symbol, quantity=quantity, entry=entry), "get_subaccount")
    index = row.chosen("index_price")
    gathered.quote(symbol, mark=mark, index=index)
    if index:
        gathered.index.setdefault(instrument.base, index)
    value = row.optional("mark_value")
    is_option = isinstance(instrument.kind, Option)
    if not is_option and value is not None:
        paid = profit(instrument.payoff, quantity, entry, mark) - value
        gathered.settled[_CASH] = gathered.settled.get(_CASH, 0.0) + paid
    outputs: dict[str, Output | None] = {
        "mark_value": PositionOutput(Figure.VALUE, symbol) if is_option else None,
        "initial_margin": None,  # a share of a net figure
        "maintenance_margin": None,
        "open_orders_margin": None,
    }
    gathered.claim_each(row, outputs, _CASH, _DIGITS)
    gathered.claim_price(row, "liquidation_price", PoolOutput(Figure.LIQUIDATION, symbol), _CASH)


def _order(row: Row, gathered: Gathered) -> None:
    symbol = row.text("instrument_name")
    left = row.number("amount") - (row.optional("filled_amount") or 0.0)
    if left == 0.0:
        gathered.leave_out(row, f"{row.where}: order is filled, left out")
        return
    gathered.require(symbol, lambda: _named(symbol, row.where))
    gathered.orders.append(
        Order(
            symbol=symbol,
            quantity=row.one_of("direction", _SIDES) * left,
            price=row.number("limit_price"),
            reduce_only=row.flag("reduce_only"),
        )
    )


_LISTED = (
    words(
        "instrument_type base_currency quote_currency option_details perp_details erc20_details is_active pro_rata_amount"
    )
    | words(
        "scheduled_activation scheduled_deactivation amount_step minimum_amount maximum_amount maker_fee_rate"
    )
    | words(
        "base_fee mark_price_fee_rate_cap base_asset_address base_asset_sub_id pro_rata_fraction fifo_min_allocation"
    )
    | words("base_asset_id taker_fee_rate tick_size")
)

VENUE = Venue(
    "derive",
    _rows,
    (
        Shape(
            "get_instruments",
            words("instrument_name base_asset_address tick_size"),
            _terms,
            _LISTED
            | words(
                "best_ask_amount best_ask_price best_bid_amount best_bid_price stats max_price min_price five_percent_ask_depth"
            )
            | words("five_percent_bid_depth open_interest mark_price index_price timestamp option_pricing"),
        ),
        Shape(
            "get_ticker",
            words("instrument_name mark_price option_pricing"),
            _prices,
            _LISTED
            | words(
                "best_ask_amount best_ask_price best_bid_amount best_bid_price stats max_price min_price open_interest"
            ),
            lacks=words("average_price"),
        ),
        Shape(
            "get_subaccount",
            words("subaccount_id subaccount_value"),
            _subaccount,
            words(
                "subaccount_id label currency is_under_liquidation projected_margin_change positions_value failed_to_fetch"
            )
            | words(
                "collaterals_value manager_id risk_universe_id mm_credits owner_wallet wallet valuation_timestamp"
            ),
        ),
        Shape(
            "collaterals",
            words("asset_name amount mark_value"),
            _collateral,
            words(
                "asset_type currency mark_value cumulative_interest pending_interest open_orders_margin delta asset_id"
            )
            | words(
                "delta_currency average_price average_price_excl_fees realized_pnl realized_pnl_excl_fees total_fees"
            )
            | words("unrealized_pnl unrealized_pnl_excl_fees creation_timestamp amount_step"),
        ),
        Shape(
            "positions",
            words("instrument_name average_price net_settlements"),
            _position,
            words(
                "instrument_type average_price_excl_fees leverage unrealized_pnl unrealized_pnl_excl_fees realized_pnl"
            )
            | words(
                "realized_pnl_excl_fees cumulative_funding pending_funding net_settlements total_fees delta gamma vega"
            )
            | words("creation_timestamp theta amount_step mark_value"),
        ),
        Shape(
            "open_orders",
            words("instrument_name order_id limit_price direction"),
            _order,
            words(
                "order_id average_price cancel_reason creation_timestamp is_transfer label last_update_timestamp max_fee"
            )
            | words(
                "mmp nonce order_fee order_status order_type quote_id replaced_order_id signature signature_expiry_sec"
            )
            | words(
                "signer subaccount_id time_in_force trigger_price trigger_price_type trigger_reject_message extra_fee"
            ),
        ),
        Shape(
            "envelope",
            words("id jsonrpc"),
            lambda row, gathered: None,
            words("id jsonrpc result usIn usOut usDiff"),
            tells=False,
        ),
    ),
    _refusal,
)
