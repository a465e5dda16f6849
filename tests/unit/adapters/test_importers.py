"""Venue payloads as they come: Deribit's answers, and the raw info of Binance, Bybit and OKX through ccxt."""

import json

import pytest

from margrave.adapters.files import dump_case, parse_case
from margrave.adapters.payloads import import_files
from margrave.core.errors import InvalidInputError, Reason
from margrave.core.words import MarginMode
from margrave.domain.account import Leg
from margrave.engine.assess import assess
from margrave.rulebook.catalogue import in_force

# Figures of Deribit's API documentation (get_positions, c. December 2019), read off deribit.md 8.
POSITION = {
    "instrument_name": "BTC-PERPETUAL",
    "kind": "future",
    "direction": "buy",
    "size": 50,
    "size_currency": 0.006687487,
    "average_price": 7440.18,
    "mark_price": 7476.65,
    "index_price": 7477.0,
    "initial_margin": 0.000197283,
    "maintenance_margin": 0.000143783,
    "total_profit_loss": 3.2781e-05,
}
TICKER = {
    "instrument_name": "BTC-PERPETUAL",
    "timestamp": 1576000000000,
    "mark_price": 7476.65,
    "index_price": 7477.0,
}
SUMMARY = {"currency": "BTC", "margin_model": "segregated_sm", "balance": 1.0, "equity": 1.0}


def saved(folder, name, tree):
    path = folder / name
    path.write_text(json.dumps(tree), encoding="utf-8")
    return path


def test_deribit_answers_become_a_case_that_gives_the_venues_margin(tmp_path):
    envelope = {"jsonrpc": "2.0", "id": 1, "result": [POSITION]}
    notice = {
        "jsonrpc": "2.0",
        "method": "subscription",
        "params": {"channel": "ticker.BTC-PERPETUAL.raw", "data": TICKER},
    }
    files = [
        saved(tmp_path, "p.json", envelope),
        saved(tmp_path, "s.json", {"result": SUMMARY}),
        saved(tmp_path, "t.json", notice),
    ]
    case, _ = import_files("deribit", files, "deribit.testnet")
    (position,) = case.accounts[0].positions
    assert (position.quantity, position.entry) == (50.0, 7440.18)
    rulebook = in_force("deribit.testnet", case.market.at)
    got = assess(case.accounts[0], case.market, rulebook).pools[0].positions[0]
    assert got.initial == pytest.approx(POSITION["initial_margin"], abs=5.1e-10)
    assert got.maintenance == pytest.approx(POSITION["maintenance_margin"], abs=5.1e-10)
    assert parse_case(dump_case(case), "again") == case


def test_deribit_book_summary_gives_options_their_forward_and_vol(tmp_path):
    row = {
        "instrument_name": "BTC-25DEC26-70000-C",
        "mark_price": 0.0412,
        "mark_iv": 65.0,
        "underlying_price": 60630.0,
        "underlying_index": "BTC-25DEC26",
        "estimated_delivery_price": 60000.0,
        "creation_timestamp": 1793520000000,
    }
    held = {
        **POSITION,
        "instrument_name": "BTC-25DEC26-70000-C",
        "direction": "sell",
        "size": -0.5,
        "average_price": 0.05,
        "mark_price": 0.0412,
        "index_price": 60000.0,
    }
    case, notes = import_files(
        "deribit", [saved(tmp_path, "b.json", {"result": [row]}), saved(tmp_path, "p.json", [held])]
    )
    quote = case.market.quotes["BTC-25DEC26-70000-C"]
    assert (quote.mark, quote.vol, quote.forward) == (0.0412, 0.65, 60630.0)
    assert case.accounts[0].positions[0].quantity == -0.5
    assert notes == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"instrument_name": "BTC-SOMEDAY"}, Reason.UNKNOWN_INSTRUMENT),
        ({"direction": "sell"}, Reason.CONTRADICTION),
        ({"size": "many"}, Reason.INVALID_VALUE),
        ({"average_price": None}, Reason.INVALID_VALUE),
        ({"mark_price": None}, Reason.MISSING_MARK),
        ({"average_price": -1}, Reason.INVALID_VALUE),
    ],
)
def test_a_deribit_payload_that_is_wrong_is_named(tmp_path, change, reason):
    with pytest.raises(InvalidInputError) as fault:
        import_files(
            "deribit", [saved(tmp_path, "p.json", {"result": [{**POSITION, **change}], "usOut": 1e15})]
        )
    assert reason in [issue.reason for issue in fault.value.issues]


def unified(symbol, size, info):
    return {
        "symbol": symbol,
        "contractSize": size,
        "contracts": -999.0,
        "side": "long",
        "timestamp": 1793520000000,
        "info": info,
    }


BINANCE = {
    "symbol": "BTCUSD_PERP",
    "positionAmt": "-20",
    "entryPrice": "60000",
    "markPrice": "59000",
    "leverage": "10",
    "marginType": "isolated",
    "isolatedWallet": "0.01",
    "positionSide": "BOTH",
}
BYBIT = {
    "symbol": "BTCUSDT",
    "side": "Sell",
    "size": "0.5",
    "avgPrice": "60000",
    "markPrice": "59000",
    "leverage": "10",
    "positionIdx": "2",
    "tradeMode": 0,
}
OKX = {
    "instId": "BTC-USD-SWAP",
    "pos": "3",
    "posSide": "short",
    "avgPx": "60000",
    "markPx": "59000",
    "lever": "5",
    "mgnMode": "cross",
}


@pytest.mark.parametrize(
    ("exchange", "row", "quantity", "leg", "mode"),
    [
        ("binancecoinm", unified("BTC/USD:BTC", 100.0, BINANCE), -20.0, Leg.NET, MarginMode.ISOLATED),
        ("bybit", unified("BTC/USDT:USDT", 1.0, BYBIT), -0.5, Leg.SHORT, MarginMode.CROSS),
        ("okx", unified("BTC/USD:BTC", 100.0, OKX), -3.0, Leg.SHORT, MarginMode.CROSS),
    ],
)
def test_the_raw_info_is_read_and_not_the_unified_numbers(tmp_path, exchange, row, quantity, leg, mode):
    case, _ = import_files(f"ccxt:{exchange}", [saved(tmp_path, "p.json", [row])])
    (position,) = case.accounts[0].positions
    assert (position.quantity, position.entry, position.leg, position.mode) == (quantity, 60_000.0, leg, mode)
    assert case.market.quotes[row["symbol"]].mark == 59_000.0
    assert position.leverage in (10.0, 5.0)


@pytest.mark.parametrize(
    ("exchange", "info"),
    [
        ("binancecoinm", {**BINANCE, "positionAmt": "0"}),
        ("bybit", {**BYBIT, "size": "0"}),
        ("okx", {**OKX, "pos": "0"}),
    ],
)
def test_flat_positions_are_left_out_with_a_note(tmp_path, exchange, info):
    case, notes = import_files(
        f"ccxt:{exchange}", [saved(tmp_path, "p.json", [unified("BTC/USD:BTC", 100.0, info)])]
    )
    assert case.accounts[0].positions == ()
    assert "flat" in notes[0]


@pytest.mark.parametrize(
    ("venue", "tree", "said"),
    [
        ("ccxt:okx", [{"symbol": "BTC/USD:BTC", "timestamp": 1}], "no raw info"),
        ("ccxt:okx", [unified("BTC/USD:BTC", None, OKX)], "contractSize"),
        ("ccxt:nowhere", [unified("BTC/USD:BTC", 100.0, OKX)], "is not read"),
        ("nowhere", [], "is no venue"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, venue, tree, said):
    with pytest.raises(InvalidInputError, match=said):
        import_files(venue, [saved(tmp_path, "p.json", tree)])
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="is not JSON"):
        import_files("deribit", [tmp_path / "bad.json"])
    with pytest.raises(InvalidInputError, match="cannot be read"):
        import_files("deribit", [tmp_path / "gone.json"])
