"""Answers that venues really gave: what they hold is read without a field lost, and their numbers are ours."""

import json
from datetime import UTC, datetime

import pytest

from margrave.adapters.gathered import Gathered, gather
from margrave.adapters.payloads import import_payloads, recognise, venues
from margrave.adapters.rows import read_json
from margrave.adapters.verify import Verdict, verify
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.load import parse
from tests.unit.adapters.payloads_of_venues import RULES

pytestmark = pytest.mark.shared

RECORDED = {
    "binance__account_info_v2": "binance",
    "bybit__http_get_instruments_option": "bybit",
    "bybit__ws_account_wallet": "bybit",
    "deribit__http_get_account_summaries": "deribit",
    "deribit__http_get_instruments_option_combo": "deribit",
    "deribit__http_get_order_book": "deribit",
    "deribit__ws_portfolio": "deribit",
    "deribit__ws_ticker": "deribit",
    "dydx__http_get_perpetual_markets": "dydx",
    "dydx__http_get_subaccount": "dydx",
    "hyperliquid__clearinghouseState_docs_sample": "hyperliquid",
    "hyperliquid__http_meta_perp_sample": "hyperliquid",
    "okx__http_get_account_balance": "okx",
    "okx__http_get_option_summary": "okx",
}


def payload(shared, name):
    return read_json(shared / "data/accounts/payloads" / f"{name}.json")


def vector(shared, identity):
    found = json.loads((shared / "vectors/cex.json").read_text(encoding="utf-8"))
    rows = found if isinstance(found, list) else found["vectors"]
    (row,) = (r for r in rows if r["id"] == identity)
    return row["inputs"], row["expected"]


@pytest.mark.parametrize(("name", "venue"), RECORDED.items())
def test_a_recorded_answer_is_recognised_and_read_without_a_field_lost(shared, name, venue):
    tree = payload(shared, name)
    assert recognise(tree, name) == venue
    gathered = Gathered()
    gather(venues()[venue], [(tree, name)], gathered)
    assert gathered.issues == []
    assert gathered.unread == {}


def test_hyperliquids_documented_state_is_reproduced(shared):
    tree = payload(shared, "hyperliquid__clearinghouseState_docs_sample")
    found = import_payloads(None, [(tree, "state")], strict=True)
    # Leverage for the initial margin; half of it at the highest leverage, 1 / (2 x 50), for maintenance.
    rules = parse(
        RULES.format(name="hl", rate="leverage-only", initial=0.02, maintenance=0.01, fee=""), "made"
    )
    told = {(c.claim.where, c.claim.what): c for c in verify(found.case, found.claims, rules)}
    assert [key for key, c in told.items() if c.verdict is Verdict.DIFFERS] == []
    assert sum(c.verdict is Verdict.AGREES for c in told.values()) == 10
    # 95.059824 / (0.0335 x 0.99) is 2866.26938; the venue has 2866.26937 from dollars that it shows rounded.
    price = told["state: ETH", "liquidationPx"]
    assert price.ours == pytest.approx(95.059824 / (0.0335 * 0.99), rel=1e-12)
    assert price.claim.left_open == pytest.approx(5e-7 / (0.0335 * 0.99))


def test_binances_recorded_coin_margined_position_is_reproduced(shared):
    given, expected = vector(shared, "ccxt-binance-coinm-iso")
    row = {
        "symbol": "BTCUSD_PERP",
        "positionAmt": given["contracts"],
        "entryPrice": given["entry"],
        "markPrice": given["mark"],
        "unRealizedProfit": expected["unrealized_pnl"],
        "liquidationPrice": expected["liquidation_price"],
        "leverage": "20",
        "marginType": "isolated",
        "isolatedMargin": expected["isolated_margin"],
        "positionSide": "BOTH",
        "isolatedWallet": given["isolated_wallet"],
        "notionalValue": expected["notional"],
    }
    price = {
        "symbol": "BTCUSD_PERP",
        "markPrice": given["mark"],
        "indexPrice": given["mark"],
        "time": 1650000000000,
    }
    found = import_payloads(None, [([row], "risk"), (price, "price")], strict=True)
    comparisons = verify(found.case, found.claims, in_force("binance.coinm", found.case.market.at))
    assert [(c.claim.what, c.verdict) for c in comparisons] == [
        ("unRealizedProfit", Verdict.AGREES),
        ("liquidationPrice", Verdict.AGREES),
    ]


def test_gates_recorded_position_is_reproduced(shared):
    given, expected = vector(shared, "gate-btc-usdt")
    contract = {"name": "BTC_USDT", "type": "direct", "quanto_multiplier": given["quanto_multiplier"]}
    row = {
        "contract": "BTC_USDT",
        "size": int(given["contracts"]),
        "leverage": "0",
        "cross_leverage_limit": "10",
        "entry_price": given["entry"],
        "mark_price": given["mark"],
        "value": expected["value"],
        "unrealised_pnl": expected["unrealised_pnl"],
        "mode": "single",
    }
    at = datetime(2026, 6, 1, tzinfo=UTC)
    found = import_payloads("gate", [([contract], "c"), ([row], "p")], at=at)
    comparisons = verify(found.case, found.claims, in_force("example.flat", found.case.market.at))
    assert {(c.claim.what, c.verdict) for c in comparisons} == {
        ("value", Verdict.AGREES),
        ("unrealised_pnl", Verdict.AGREES),
    }
