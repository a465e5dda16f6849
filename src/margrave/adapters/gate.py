"""Gate futures v4: ``positions``, ``accounts``, ``orders``, ``contracts`` and ``tickers`` of one settlement coin.

``size`` counts contracts with its sign; one is ``quanto_multiplier`` coins of the base, or one dollar where the
contract is inverse (a multiplier of zero), so the list of contracts is needed. ``leverage`` zero is cross margin,
whose leverage is then ``cross_leverage_limit``. ``total`` is the wallet with the margin of isolated positions inside.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from margrave.adapters.claims import CurrencyOutput, Figure, Output, PoolOutput, PositionOutput
from margrave.adapters.gathered import Gathered, Shape, Venue, objects, words
from margrave.adapters.rows import Row
from margrave.adapters.terms import delta_one, instant
from margrave.core.words import MarginMode
from margrave.domain.account import Leg, Order, Position
from margrave.domain.instruments import Inverse

_LEGS = {"single": Leg.NET, "dual_long": Leg.LONG, "dual_short": Leg.SHORT}
_MODES = {"cross": MarginMode.CROSS, "isolated": MarginMode.ISOLATED}
_NAME = re.compile(r"^([A-Z0-9]+)_(USDT|USDC|USD)(?:_\d{8})?$")
_LIST = "futures/{settle}/contracts"
_DIGITS = 6


def _rows(tree: Any) -> Iterator[dict[str, Any]]:
    yield from objects(tree)


def _refusal(tree: Any) -> str | None:
    if isinstance(tree, dict) and "label" in tree and ("message" in tree or "detail" in tree):
        return f"{tree['label']}: {tree.get('message', tree.get('detail'))}"
    return None


def _terms(row: Row, gathered: Gathered) -> None:
    symbol = row.text("name")
    match = _NAME.match(symbol)
    if match is None:
        row.skip()
        gathered.unlisted.add(symbol)
        return
    base, quote = match.groups()
    multiplier = row.number("quanto_multiplier")
    inverse = row.raw("type") == "inverse" and multiplier == 0.0
    if not inverse and quote == "USD":
        row.skip()
        gathered.unlisted.add(symbol)  # quanto: profit in a third coin
        return
    expires = row.optional("expire_time")
    expiry = None if not expires else instant(expires * 1000.0)
    assets = (base, quote, base if inverse else quote)
    known = delta_one(symbol, assets, 1.0 if inverse else multiplier, expiry, inverse)
    gathered.instruments[symbol] = replace(
        known, tick=row.chosen("order_price_round"), taker_fee=row.optional("taker_fee_rate")
    )
    index = row.chosen("index_price")
    gathered.quote(symbol, mark=row.chosen("mark_price"), index=index)
    if index:
        gathered.index[base] = index


def _ticker(row: Row, gathered: Gathered) -> None:
    index = row.chosen("index_price")
    gathered.quote(row.text("contract"), mark=row.chosen("mark_price"), index=index)
    known = gathered.instruments.get(row.text("contract"))
    if known is not None and index:
        gathered.index[known.base] = index


def _account(row: Row, gathered: Gathered) -> None:
    coin = row.text("currency").upper()
    gathered.balance(row, coin, row.number("total"))
    if row.optional("margin_mode"):
        gathered.notes.append(f"{row.where}: a unified account; its coins are pooled, here each stands alone")
    outputs: dict[str, Output | None] = {
        "unrealised_pnl": CurrencyOutput(Figure.PROFIT, coin, "all"),
        "cross_unrealised_pnl": CurrencyOutput(Figure.PROFIT, coin),
        "cross_initial_margin": None,
        "cross_maintenance_margin": CurrencyOutput(Figure.MAINTENANCE, coin),
        "cross_margin_balance": CurrencyOutput(Figure.EQUITY, coin),
        "maintenance_margin": CurrencyOutput(Figure.MAINTENANCE, coin, "all"),
        "position_initial_margin": None,
        "cross_mmr": None,
        "cross_imr": None,
    }
    gathered.claim_each(row, outputs, coin, _DIGITS)


def _mode(row: Row) -> MarginMode:
    if row.raw("pos_margin_mode") not in (None, ""):
        return row.one_of("pos_margin_mode", _MODES)
    return MarginMode.ISOLATED if row.chosen("leverage") else MarginMode.CROSS


def _position(row: Row, gathered: Gathered) -> None:
    symbol, size = row.text("contract"), row.number("size")
    if size == 0:
        gathered.leave_out(row, f"{symbol}: flat, left out")
        return
    instrument = gathered.listed(row, symbol, _LIST)
    mode, leg = _mode(row), row.one_of("mode", _LEGS, absent="single")
    isolated = mode is MarginMode.ISOLATED
    held = Position(
        symbol=symbol,
        quantity=size,
        entry=row.number("entry_price"),
        leverage=row.chosen("leverage") or row.chosen("cross_leverage_limit"),
        leg=leg,
        mode=mode,
        isolated_margin=row.number("margin") if isolated else None,
    )
    for name in ("margin", "cross_leverage_limit"):
        row.raw(name)
    gathered.position(row, held, "positions")
    if held.isolated_margin:
        coin = instrument.settlement
        gathered.settled[coin] = gathered.settled.get(coin, 0.0) + held.isolated_margin
    gathered.quote(symbol, mark=row.chosen("mark_price"))
    told = (symbol, leg, mode)
    outputs: dict[str, Output | None] = {
        "initial_margin": PositionOutput(Figure.INITIAL, *told),
        "maintenance_margin": PositionOutput(Figure.MAINTENANCE, *told),
        "unrealised_pnl": PositionOutput(Figure.PROFIT, *told),
    }
    if not isinstance(instrument.payoff, Inverse):
        outputs["value"] = PositionOutput(Figure.NOTIONAL, *told)
    gathered.claim_each(row, outputs, instrument.settlement, _DIGITS)
    gathered.claim_price(row, "liq_price", PoolOutput(Figure.LIQUIDATION, *told), instrument.quote)


def _order(row: Row, gathered: Gathered) -> None:
    symbol, left = row.text("contract"), row.number("left")
    price = row.optional("price")
    if not price or left == 0.0:
        gathered.leave_out(row, f"{row.where}: order without a price in the book, left out")
        return
    gathered.listed(row, symbol, _LIST)
    closes = any(row.flag(name) for name in ("is_reduce_only", "is_close", "reduce_only"))
    gathered.orders.append(Order(symbol=symbol, quantity=left, price=price, reduce_only=closes))


VENUE = Venue(
    "gate",
    _rows,
    (
        Shape(
            "contracts",
            words("name quanto_multiplier"),
            _terms,
            words(
                "type leverage_min leverage_max mark_type last_price maker_fee_rate funding_rate funding_interval"
            )
            | words(
                "funding_next_apply risk_limit_base risk_limit_step risk_limit_max order_size_min order_size_max"
            )
            | words(
                "order_price_deviate ref_discount_rate ref_rebate_rate orderbook_id trade_id trade_size funding_cap"
            )
            | words(
                "position_size config_change_time in_delisting orders_limit enable_bonus enable_credit create_time"
            )
            | words(
                "funding_cap_ratio status launch_time maintenance_rate short_users long_users funding_offset"
            )
            | words(
                "funding_impact_value interest_rate cross_leverage_default delisting_time delisted_time voucher_leverage"
            )
            | words(
                "market_order_slip_ratio market_order_size_max funding_rate_indicative funding_rate_limit expire_time"
            )
            | words("underlying cycle settle_fee_rate basis_rate basis_value basis_impact_value settle_price")
            | words("settle_price_interval settle_price_duration settle_size risk_limit_scale enable_decimal")
            | words("mark_price_round enable_circuit_breaker contract_type"),
        ),
        Shape(
            "tickers",
            words("contract last mark_price"),
            _ticker,
            words(
                "last change_percentage total_size low_24h high_24h volume_24h volume_24h_btc volume_24h_usd"
            )
            | words(
                "volume_24h_base volume_24h_quote volume_24h_settle funding_rate funding_rate_indicative price_type"
            )
            | words(
                "quanto_base_rate basis_rate basis_value lowest_ask lowest_size highest_bid highest_size change_from"
            )
            | words("change_utc0 change_utc8 change_price change_utc0_price change_utc8_price volume_24_usd"),
        ),
        Shape(
            "accounts",
            words("total currency available"),
            _account,
            words(
                "user position_margin order_margin available point bonus in_dual_mode enable_credit update_time"
            )
            | words(
                "update_id enable_evolved_classic cross_order_margin cross_available isolated_position_margin"
            )
            | words(
                "enable_new_dual_mode history enable_tiered_mm position_mode funding_balance enable_dual_plus"
            ),
        ),
        Shape(
            "positions",
            words("contract size entry_price mode"),
            _position,
            words(
                "user risk_limit leverage_max maintenance_rate value realised_pnl history_pnl last_close_pnl pnl_pnl"
            )
            | words(
                "pnl_fund pnl_fee realised_point history_point adl_ranking pending_orders close_order update_time"
            )
            | words(
                "update_id open_time risk_limit_table average_maintenance_rate voucher_size voucher_margin voucher_id"
            )
            | words("trade_max_size lever pid cross_leverage_limit margin_mode"),
        ),
        Shape(
            "orders",
            words("contract left price tif"),
            _order,
            words(
                "id user create_time finish_time finish_as status size iceberg fill_price tkfr mkfr tkf mkf refu refr"
            )
            | words(
                "text tif auto_size stp_id stp_act amend_text biz_info update_time update_id limit_vip pnl pnl_margin"
            ),
        ),
    ),
    _refusal,
)
