"""Each venue's payloads: what is read, and that the venue's own numbers come out of the assessment."""

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from margrave.adapters.claims import Claim, Figure, agrees, digits_of
from margrave.adapters.files import dump_case, parse_case
from margrave.adapters.payloads import import_payloads, recognise, venues
from margrave.adapters.rows import parse_payload
from margrave.adapters.verify import Verdict, compare, first_difference, outputs_of, verify
from margrave.core.errors import InvalidInputError, Reason
from margrave.core.words import MarginMode
from margrave.domain.account import Leg
from margrave.domain.instruments import CoinPremium, Inverse, Linear, Option
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.load import parse
from tests.unit.adapters import payloads_of_venues as made

INSTANT = datetime(2026, 11, 1, 8, tzinfo=UTC)
MADE = {
    "gate": ("leverage", 0.01, 0.005, 'closing_fee = { code = "MADE-FEE-001", rate = 0.0005 }'),
    "hyperliquid": ("leverage-only", 0.02, 0.01, ""),
    "dydx": ("tier", 0.02, 0.012, ""),
}
# name of the made payloads, venue, rulebook that the payloads name, claims that agree
ROUND_TRIPS = [
    ("binance_usdm", "binance", "binance.usdm", 19),
    ("binance_coinm", "binance", "binance.coinm", 2),
    ("bybit_linear", "bybit", "bybit.linear", 8),
    ("okx", "okx", "okx.futures", 7),
    ("gate", "gate", None, 9),
    ("hyperliquid", "hyperliquid", "hyperliquid.perps", 14),
    ("dydx", "dydx", "dydx.v4", 3),
    ("deribit", "deribit", "deribit.sm", 3),
]


def places(name):
    return [(tree, f"{name}-{k}") for k, tree in enumerate(getattr(made, name)())]


def imported(name, **how):
    return import_payloads(None, places(name), at=INSTANT if name == "gate" else None, **how)


def rules_of(name, case):
    if name not in MADE:
        return in_force(case.rules, case.market.at)
    rate, initial, maintenance, fee = MADE[name]
    return parse(
        made.RULES.format(name=name, rate=rate, initial=initial, maintenance=maintenance, fee=fee), "made"
    )


@pytest.mark.parametrize(("name", "venue", "rules", "agreeing"), ROUND_TRIPS)
def test_the_venues_own_numbers_come_out(name, venue, rules, agreeing):
    found = imported(name, strict=True)
    assert (found.venue, found.case.rules, found.case.market.at) == (venue, rules, INSTANT)
    comparisons = verify(found.case, found.claims, rules_of(name, found.case))
    assert first_difference(comparisons) is None
    assert sum(c.verdict is Verdict.AGREES for c in comparisons) == agreeing
    assert parse_case(dump_case(found.case), "again") == found.case


@pytest.mark.parametrize("name", [name for name, *_ in ROUND_TRIPS])
def test_a_claim_that_is_off_by_two_of_its_last_digit_differs(name):
    found = imported(name)
    ours = outputs_of(found.case, rules_of(name, found.case))
    for claim, output in found.claims.items():
        (before,) = compare({claim: output}, ours)
        if claim.amount is None or before.verdict is Verdict.NOT_COMPUTED:
            continue
        moved = replace(
            claim, amount=claim.amount + 2 * 10.0**-claim.digits + claim.left_open + 1e-9 * abs(claim.amount)
        )
        (comparison,) = compare({moved: output}, ours)
        assert comparison.verdict is Verdict.DIFFERS, claim
        assert comparison.to_dict()["difference"] < 0


@pytest.mark.parametrize("name", [name for name, *_ in ROUND_TRIPS])
def test_payloads_in_any_order_give_the_same_case(name):
    forth, back = places(name), places(name)[::-1]
    at = INSTANT if name == "gate" else None
    one, other = (import_payloads(None, p, at=at).case for p in (forth, back))
    assert one.accounts[0].positions == other.accounts[0].positions
    assert one.accounts[0].balances == other.accounts[0].balances
    assert one.market.quotes == other.market.quotes


@pytest.mark.parametrize("name", [name for name, *_ in ROUND_TRIPS])
def test_every_payload_tells_its_venue_and_no_other(name):
    venue = {n: v for n, v, *_ in ROUND_TRIPS}[name]
    for tree, where in places(name):
        assert recognise(tree, where) == venue
        told = {n for n, v in venues().items() if v.recognises(tree)} - {"coinbase"}
        assert told == {venue}


@pytest.mark.parametrize("name", [name for name, *_ in ROUND_TRIPS])
def test_a_field_that_nobody_knows_is_told_and_with_strict_is_an_error(name):
    trees = [tree for tree, _ in places(name)]
    for tree in trees:
        _add_everywhere(tree)
    at = INSTANT if name == "gate" else None
    payloads = [(tree, f"p{k}") for k, tree in enumerate(trees)]
    assert any("newlyInvented" in note for note in import_payloads(None, payloads, at=at).notes)
    with pytest.raises(InvalidInputError, match="newlyInvented") as fault:
        import_payloads(None, payloads, at=at, strict=True)
    assert {issue.reason for issue in fault.value.issues} == {Reason.UNKNOWN_FIELD}


def _add_everywhere(tree):
    # Into objects that hold a position; keyed collections (markets by name) must not get a member.
    if isinstance(tree, list):
        for item in tree:
            _add_everywhere(item)
    elif isinstance(tree, dict):
        for item in list(tree.values()):
            _add_everywhere(item)
        if {"entryPrice", "avgPrice", "avgPx", "entry_price", "entryPx", "average_price"} & tree.keys():
            tree["newlyInvented"] = 1


def position(found, symbol, leg=Leg.NET, mode=MarginMode.CROSS):
    return next(
        p for p in found.case.accounts[0].positions if (p.symbol, p.leg, p.mode) == (symbol, leg, mode)
    )


def test_derive_counts_profit_paid_out_once_and_reads_options():
    found = imported("derive", strict=True)
    account, market = found.case.accounts[0], found.case.market
    assert [(b.asset, b.amount) for b in account.balances] == [("USDC", 5000.0)]  # 5150 less the 150 paid out
    call = market.instruments["ETH-20261225-4000-C"]
    assert isinstance(call.kind, Option)
    assert (call.kind.strike, call.settlement, call.kind.expiry) == (
        4000.0,
        "USDC",
        datetime(2026, 12, 25, 8, tzinfo=UTC),
    )
    quote = market.quotes[call.symbol]
    assert (quote.mark, quote.vol, quote.forward) == (100.0, 0.62, 3120.0)
    assert found.case.rules == "derive.srm"
    answer, ticker = made.derive()
    answer["result"] |= {"positions": answer["result"]["positions"][:1], "subaccount_value": "5200"}
    found = import_payloads(None, [(answer, "p"), (ticker, "t")])
    comparisons = verify(found.case, found.claims, in_force("example.multi", INSTANT))
    told = {c.claim.what: c for c in comparisons if c.claim.where == "p: ETH"}
    assert told["subaccount_value"].verdict is Verdict.AGREES  # 5150 + 50, counted in dollars
    assert told["initial_margin"].verdict is Verdict.DIFFERS  # another venue's rules


def test_binance_tells_mode_leverage_and_legs_in_each_of_its_versions():
    account, rows, _, prices = made.binance_usdm()
    bare = import_payloads("binance", [(account, "a"), (rows, "r"), (prices, "p")])
    assert position(bare, "BTCUSDT").leverage == 10.0
    assert any("leverage 10 is notional over initial margin" in note for note in bare.notes)
    older = [{k: v for k, v in row.items() if k != "positionInitialMargin"} for row in rows[:1]]
    older[0] |= {"marginType": "isolated", "leverage": "25", "positionSide": "LONG", "isolatedWallet": "1300"}
    found = import_payloads("binance", [(older, "r"), (prices, "p")])
    held = position(found, "BTCUSDT", Leg.LONG, MarginMode.ISOLATED)
    assert (held.leverage, held.isolated_margin) == (25.0, 1300.0)
    v2 = {**rows[0], "isolated": False, "leverage": "20"}
    v2.pop("markPrice")
    told = import_payloads("binance", [([v2], "a"), (prices, "p")])
    assert position(told, "BTCUSDT").leverage == 20.0


def test_binance_names_what_the_third_account_version_leaves_out():
    account, _, _, prices = made.binance_usdm()
    with pytest.raises(InvalidInputError, match="add positionRisk"):
        import_payloads("binance", [(account, "a"), (prices, "p")])


def test_binance_terms_and_orders():
    _, rows, _, prices = made.binance_usdm()
    listed = {
        "timezone": "UTC",
        "serverTime": made.NOW,
        "rateLimits": [],
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-1"}],
        "symbols": [
            {
                "symbol": "BTCUSDT",
                "contractType": "PERPETUAL",
                "baseAsset": "BTC",
                "quoteAsset": "USDT",
                "marginAsset": "USDT",
                "deliveryDate": 4133404800000,
                "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.10"}],
            },
            {
                "symbol": "ETHUSD_261225",
                "contractType": "CURRENT_QUARTER",
                "baseAsset": "ETH",
                "quoteAsset": "USD",
                "marginAsset": "ETH",
                "contractSize": 10,
                "deliveryDate": 1798185600000,
                "filters": [],
            },
            {"symbol": "ODD", "contractType": "", "baseAsset": "O", "quoteAsset": "D", "filters": []},
        ],
    }
    base = {"symbol": "BTCUSDT", "orderId": 1, "price": "59000", "origQty": "2", "executedQty": "0.5"}
    orders = [
        {**base, "side": "BUY", "type": "LIMIT", "positionSide": "BOTH", "reduceOnly": False},
        {**base, "side": "SELL", "type": "LIMIT", "positionSide": "LONG", "reduceOnly": False},
        {**base, "side": "SELL", "type": "STOP_MARKET", "price": "0", "reduceOnly": True},
    ]
    found = import_payloads(
        "binance", [(listed, "e"), (rows[:1], "r"), (prices, "p"), (orders, "o")], strict=True
    )
    assert found.case.market.instruments["BTCUSDT"].tick == 0.1
    told = [(o.quantity, o.price, o.reduce_only) for o in found.case.accounts[0].orders]
    assert told == [(1.5, 59000.0, False), (-1.5, 59000.0, True)]
    assert any("STOP_MARKET order without a price" in note for note in found.notes)
    every = import_payloads("binance", [(listed, "e"), (prices, "p")], at=INSTANT)
    assert every.case.accounts[0].positions == ()


def test_binance_keeps_its_two_kinds_of_account_apart():
    with pytest.raises(InvalidInputError, match="two accounts"):
        import_payloads("binance", [*places("binance_usdm"), *places("binance_coinm")])


def test_bybit_modes_legs_options_and_orders():
    trees = made.bybit_linear()
    row = trees[0]["result"]["list"][0]
    row |= {"positionIdx": 2, "positionBalance": "2500", "tradeMode": 0}
    order = {
        "orderId": "1",
        "symbol": "BTCUSDT",
        "side": "Buy",
        "qty": "0.3",
        "leavesQty": "0.2",
        "price": "58000",
    }
    order |= {"positionIdx": 2, "reduceOnly": False}
    trees.append(
        {"retCode": 0, "result": {"list": [order, {**order, "price": "0"}], "nextPageCursor": "more"}}
    )
    trees.append({"retCode": 0, "result": {"marginMode": "ISOLATED_MARGIN", "unifiedMarginStatus": 5}})
    found = import_payloads(None, [(t, f"p{k}") for k, t in enumerate(trees)])
    held = position(found, "BTCUSDT", Leg.SHORT, MarginMode.ISOLATED)
    assert held.isolated_margin == 2500.0
    assert found.case.accounts[0].balances[0].amount == 7500.0  # the wallet has the isolated margin inside
    (bought,) = found.case.accounts[0].orders
    assert (bought.quantity, bought.reduce_only) == (0.2, True)  # buying back the short leg
    assert any("further page" in note for note in found.notes)
    call = {
        "symbol": "BTC-25DEC26-70000-C",
        "optionsType": "Call",
        "baseCoin": "BTC",
        "quoteCoin": "USD",
        "settleCoin": "USDC",
        "deliveryTime": "1798185600000",
        "priceFilter": {"tickSize": "5"},
    }
    sold = {
        **row,
        "symbol": call["symbol"],
        "size": "1",
        "markPrice": "900",
        "avgPrice": "950",
        "positionIdx": 0,
    }
    options = [
        {"retCode": 0, "result": {"category": "option", "list": [call]}},
        {"retCode": 0, "time": made.NOW, "result": {"category": "option", "list": [sold]}},
    ]
    told = import_payloads("bybit", [(t, "o") for t in options])
    assert told.case.market.instruments[call["symbol"]].kind.strike == 70000.0
    assert told.case.rules is None


@pytest.mark.parametrize(
    ("symbol", "payoff"),
    [("BTCUSD", Inverse(contract_value=1.0)), ("BTCPERP", Linear(contract_size=1.0))],
)
def test_bybit_terms_from_plain_names(symbol, payoff):
    tree = made.bybit_linear()[0]
    tree["result"]["list"][0] |= {"symbol": symbol}
    found = import_payloads("bybit", [(tree, "p")])
    assert found.case.market.instruments[symbol].payoff == payoff


def test_okx_inverse_options_and_orders():
    row, instrument = made.okx()[0]["data"][0], made.okx()[1]["data"][0]
    swap = {**instrument, "instId": "BTC-USD-SWAP", "uly": "BTC-USD", "ctVal": "100", "ctValCcy": "USD"}
    swap |= {"ctType": "inverse", "settleCcy": "BTC"}
    call = {**swap, "instType": "OPTION", "instId": "BTC-USD-261225-70000-C", "ctVal": "0.01", "ctType": ""}
    call |= {"stk": "70000", "optType": "C", "expTime": "1798185600000"}
    spot = {"instType": "SPOT", "instId": "BTC-USDT", "ctVal": ""}
    held = {
        **row,
        "instId": "BTC-USD-SWAP",
        "posSide": "net",
        "pos": "-3",
        "mgnMode": "cross",
        "avgPx": "60000",
    }
    held |= {"markPx": "59000", "idxPx": "59010"}
    order = {
        "instType": "SWAP",
        "instId": "BTC-USD-SWAP",
        "ordId": "1",
        "sz": "5",
        "side": "buy",
        "px": "58000",
    }
    greek = {
        "instType": "OPTION",
        "instId": call["instId"],
        "markVol": "0.6",
        "fwdPx": "59500",
        "ts": str(made.NOW),
    }
    marks = [{"instType": "OPTION", "instId": call["instId"], "markPx": "0.04", "ts": str(made.NOW)}]
    index = [{"instId": "BTC-USD", "idxPx": "59011", "ts": str(made.NOW)}]
    trees = [[held], [swap, call, spot], [order, {**order, "instType": "SPOT"}], [greek], marks, index]
    found = import_payloads("okx", [({"code": "0", "msg": "", "data": t}, "p") for t in trees])
    assert position(found, "BTC-USD-SWAP").quantity == -3.0
    assert found.case.market.instruments["BTC-USD-SWAP"].payoff == Inverse(contract_value=100.0)
    assert found.case.market.instruments[call["instId"]].payoff == CoinPremium(contract_size=0.01)
    assert found.case.market.quotes[call["instId"]].vol == 0.6
    assert [o.quantity for o in found.case.accounts[0].orders] == [5.0]
    wrong = {**swap, "ctValCcy": "BTC"}
    with pytest.raises(InvalidInputError, match="expected USD"):
        import_payloads("okx", [({"code": "0", "msg": "", "data": [wrong]}, "p")])


def test_gate_modes_inverse_quanto_and_orders():
    positions, account, contracts = made.gate()
    inverse = {**contracts[0], "name": "BTC_USD", "type": "inverse", "quanto_multiplier": "0"}
    quanto = {**contracts[0], "name": "ETH_USD", "type": "inverse", "quanto_multiplier": "0.000001"}
    odd = {**contracts[0], "name": "odd name"}
    held = {**positions[0], "contract": "BTC_USD", "size": -500, "leverage": "5", "margin": "0.01"}
    held |= {"mode": "dual_short"}
    order = {"contract": "BTC_USD", "left": -100, "size": -200, "price": "47000", "tif": "gtc", "id": 1}
    ticker = {"contract": "BTC_USD", "last": "46001", "mark_price": "46002", "index_price": "46012"}
    coin = {**account, "currency": "btc", "total": "1", "margin_mode": 1}
    payloads = [([inverse, quanto, odd], "c"), ([held], "p"), ([order, {**order, "price": "0"}], "o")]
    found = import_payloads(None, [*payloads, ([ticker], "t"), (coin, "a")], at=INSTANT)
    alone = position(found, "BTC_USD", Leg.SHORT, MarginMode.ISOLATED)
    assert (alone.quantity, alone.leverage, alone.isolated_margin) == (-500.0, 5.0, 0.01)
    assert found.case.accounts[0].balances[0].amount == 0.99
    assert [o.quantity for o in found.case.accounts[0].orders] == [-100.0]
    assert found.case.market.quotes["BTC_USD"].mark == 46000.0  # the position's own, of its instant
    assert any("unified account" in note for note in found.notes)
    with pytest.raises(InvalidInputError, match="add futures"):
        import_payloads("gate", [([{**held, "contract": "ETH_USD"}], "p")], at=INSTANT)


def test_hyperliquid_takes_marks_and_oracles_of_the_contexts():
    state, orders = made.hyperliquid()
    contexts = [
        {"universe": [{"name": "ETH", "szDecimals": 4, "maxLeverage": 50}]},
        [{"markPx": "3100.0", "oraclePx": "3101.0", "funding": "0", "openInterest": "1"}],
    ]
    trigger = [{**orders[0], "isTrigger": True}]
    found = import_payloads(None, [(state, "s"), (contexts, "c"), (orders, "o"), (trigger, "t")], strict=True)
    assert found.case.market.index["ETH"] == 3101.0
    assert [(o.quantity, o.reduce_only) for o in found.case.accounts[0].orders] == [(-1.0, True)]
    assert any("trigger" in note for note in found.notes)


def test_dydx_orders_and_markets_that_are_no_dollar_markets():
    subaccount, markets = made.dydx()
    order = {"ticker": "BTC-USD", "side": "SELL", "size": "1", "totalFilled": "0.25", "price": "62000"}
    order |= {"status": "OPEN", "clientId": "1", "reduceOnly": False}
    markets["markets"]["A,UNISWAP"] = {**markets["markets"]["BTC-USD"], "ticker": "A,UNISWAP"}
    found = import_payloads(
        None, [(subaccount, "s"), (markets, "m"), ([order, {**order, "status": "FILLED"}], "o")]
    )
    assert [o.quantity for o in found.case.accounts[0].orders] == [-0.75]


def test_derive_orders_and_terms():
    (answer, ticker) = made.derive()
    order = {"order_id": "1", "instrument_name": "ETH-PERP", "direction": "sell", "amount": "2"}
    order |= {"filled_amount": "0.5", "limit_price": "3300"}
    answer["result"]["open_orders"] = [order, {**order, "filled_amount": "2"}]
    terms = {
        "instrument_name": "ETH-PERP",
        "tick_size": "0.01",
        "taker_fee_rate": "0.0006",
        "base_asset_address": "0x",
    }
    odd = {**terms, "instrument_name": "USDC"}
    full = {
        **terms,
        "mark_price": "3100",
        "index_price": "3101",
        "timestamp": made.NOW,
        "option_pricing": None,
    }
    found = import_payloads(None, [(answer, "s"), (ticker, "t"), ({"result": [odd, full]}, "i")])
    assert [o.quantity for o in found.case.accounts[0].orders] == [-1.5]
    assert found.case.market.instruments["ETH-PERP"].taker_fee == 0.0006


def test_deribit_orders_and_terms():
    position_, summary = made.deribit()
    order = {"order_id": "1", "instrument_name": "BTC-PERPETUAL", "direction": "sell", "amount": 1000.0}
    order |= {"filled_amount": 100.0, "price": 65000.0, "order_state": "open", "order_type": "limit"}
    terms = {
        "instrument_name": "BTC-PERPETUAL",
        "base_currency": "BTC",
        "tick_size": 0.5,
        "taker_commission": 0.0005,
    }
    orders = [
        order,
        {**order, "order_state": "filled"},
        {**order, "order_type": "stop_market", "price": "market_price"},
    ]
    found = import_payloads(
        None, [(position_, "p"), (summary, "s"), ({"result": orders}, "o"), ({"result": [terms]}, "i")]
    )
    assert [(o.quantity, o.price) for o in found.case.accounts[0].orders] == [(-900.0, 65000.0)]
    assert found.case.market.instruments["BTC-PERPETUAL"].tick == 0.5


def changed(name, payload, **fields):
    """Made payloads in which the first object that has a field gets another value for it."""
    trees = copy.deepcopy(getattr(made, name)())
    for field, value in fields.items():
        _change(trees[payload], field, value)
    return trees


def _change(tree, field, value):
    if isinstance(tree, dict) and field in tree:
        if value is KeyError:
            del tree[field]
        else:
            tree[field] = value
        return True
    inside = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return any(_change(item, field, value) for item in inside)


@pytest.mark.parametrize(
    ("name", "payload", "fields", "said"),
    [
        ("binance_usdm", 1, {"positionAmt": "many"}, "must be a finite number"),
        ("binance_usdm", 1, {"positionAmt": "NaN"}, "must be a finite number"),
        ("binance_usdm", 1, {"positionAmt": "1e400"}, "must be a finite number"),
        ("binance_usdm", 1, {"positionAmt": 10**400}, "must be a finite number"),
        ("binance_usdm", 1, {"positionAmt": "1_000"}, "must be a finite number"),
        ("binance_usdm", 1, {"positionAmt": True}, "must be a finite number"),
        ("binance_usdm", 1, {"positionAmt": ["1"]}, "must be a finite number"),
        ("binance_usdm", 1, {"positionAmt": "1e30"}, "at most 1e"),
        ("binance_usdm", 1, {"positionAmt": "0.6"}, "answers of one instant"),
        ("binance_usdm", 1, {"entryPrice": "-1"}, "cannot be used"),
        ("binance_usdm", 1, {"positionSide": "UP"}, "must be one of 'BOTH', 'LONG', 'SHORT'"),
        ("binance_usdm", 1, {"symbol": "WHATEVER"}, "is not a Binance name"),
        ("binance_usdm", 1, {"symbol": 7}, "must be a word"),
        ("binance_usdm", 2, {"marginType": "half"}, "must be one of"),
        ("binance_usdm", 3, {"time": 1793520000}, "instants are in milliseconds"),
        ("binance_usdm", 3, {"time": "noon"}, "no instant"),
        ("bybit_linear", 0, {"side": "Up"}, "must be one of 'Buy', 'Sell'"),
        (
            "bybit_linear",
            0,
            {"avgPrice": KeyError, "symbol": "BTCUSDT"},
            "not a payload that is read|no instant",
        ),
        ("bybit_linear", 0, {"symbol": "BTC-25DEC26"}, "add market/instruments-info"),
        ("bybit_linear", 0, {"retCode": 10003}, "is an error of bybit"),
        ("okx", 0, {"instId": "XRP-USDT-SWAP"}, "add public/instruments"),
        ("okx", 0, {"pos": None}, "is missing"),
        ("okx", 0, {"mgnMode": "cash"}, "must be one of 'cross', 'isolated'"),
        ("okx", 1, {"ctVal": "0"}, "above zero"),
        ("gate", 0, {"contract": "DOGE_USDT"}, "add futures"),
        ("gate", 0, {"mode": "triple"}, "must be one of"),
        ("hyperliquid", 0, {"szi": ""}, "is missing"),
        ("hyperliquid", 0, {"leverage": {}}, "must be one of 'cross', 'isolated'"),
        ("derive", 0, {"instrument_name": "ETH-2026-C"}, "is not a Derive name"),
        ("derive", 0, {"instrument_name": "ETH-20261325-4000-C"}, "is not a Derive name"),
        ("dydx", 0, {"market": "BTC-EUR"}, "is not a dYdX name"),
        ("dydx", 0, {"isoTimestamp": "noon"}, "no instant"),
        ("deribit", 1, {"currency": 5}, "must be a word"),
    ],
)
def test_a_payload_that_is_wrong_gets_one_clear_message(name, payload, fields, said):
    trees = changed(name, payload, **fields)
    venue = {n: v for n, v, *_ in [*ROUND_TRIPS, ("derive", "derive")]}[name]
    with pytest.raises(InvalidInputError, match=said) as fault:
        import_payloads(venue, [(t, f"p{k}") for k, t in enumerate(trees)], at=INSTANT, strict=True)
    assert all(len(str(issue)) < 400 for issue in fault.value.issues)


@pytest.mark.parametrize(
    ("venue", "tree", "said"),
    [
        ("binance", {"code": -2015, "msg": "Invalid API-key"}, "-2015: Invalid API-key"),
        ("okx", {"code": "50111", "msg": "Invalid OK-ACCESS-KEY", "data": []}, "50111"),
        ("gate", {"label": "INVALID_KEY", "message": "Invalid key"}, "INVALID_KEY"),
        ("derive", {"error": {"code": 1, "message": "bad session"}}, "bad session"),
        ("dydx", {"errors": [{"msg": "not found"}]}, "not found"),
        ("deribit", {"error": {"message": "unauthorized", "code": 13009}}, "unauthorized"),
        ("deribit", {"error": "gone"}, "gone"),
    ],
)
def test_an_error_of_the_venue_is_told_as_one(venue, tree, said):
    with pytest.raises(InvalidInputError, match=said):
        import_payloads(venue, [(tree, "p")], at=INSTANT)


def test_a_position_twice_a_wallet_twice_and_venues_mixed():
    account, rows, config, prices = made.binance_usdm()
    with pytest.raises(InvalidInputError, match="there twice"):
        import_payloads(None, [(rows, "r"), (rows, "again"), (prices, "p")])
    other = copy.deepcopy(account)
    other["assets"][0]["crossWalletBalance"] = "1"
    with pytest.raises(InvalidInputError, match="in another payload"):
        import_payloads(None, [(rows, "r"), (account, "a"), (other, "b"), (prices, "p"), (config, "c")])
    with pytest.raises(InvalidInputError, match="one venue at a time"):
        import_payloads(None, [*places("okx"), *places("gate")])
    with pytest.raises(InvalidInputError, match="none of the venues"):
        import_payloads(None, [({"hello": 1}, "p")])
    with pytest.raises(InvalidInputError, match="hold nothing"):
        import_payloads(None, [([], "p")])


def test_an_object_of_no_shape_is_told():
    found = import_payloads(
        "okx", [({"code": "0", "msg": "", "data": [{"what": 1}]}, "p"), (3, "q")], at=INSTANT
    )
    assert any("not a payload that is read" in note and "what" in note for note in found.notes)
    assert any("holds no object" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ('{"a": NaN}', "NaN is no JSON number"),
        ('{"a": -Infinity}', "no JSON number"),
        ('{"a": 1, "a": 2}', "'a' is there twice"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_text_that_is_no_payload(text, said):
    with pytest.raises(InvalidInputError, match=said):
        parse_payload(text, "p")


def test_digits_and_agreement():
    assert (digits_of("1.500"), digits_of(1e-5), digits_of("3"), digits_of("0", 6)) == (3, 5, 0, 6)
    claim = Claim("p", "margin", 1.23, "USDT", 2)
    assert agrees(claim, 1.234)  # rounded
    assert agrees(claim, 1.2399)  # cut
    assert not agrees(claim, 1.2401)
    assert not agrees(claim, float("nan"))
    assert not agrees(claim, None)
    assert agrees(replace(claim, left_open=0.05), 1.28)
    assert agrees(replace(claim, amount=None), None)
    assert not agrees(replace(claim, amount=None), 5.0)


def test_what_cannot_be_compared_says_why():
    rows = made.binance_usdm()
    alone = import_payloads(None, [(rows[1], "r"), (rows[3], "p")])
    told = {
        (c.claim.where, c.claim.what): c for c in verify(alone.case, alone.claims, rules_of("", alone.case))
    }
    assert "wallet is not in the payloads" in told["r: BTCUSDT", "liquidationPrice"].reason
    assert told["r: ETHUSDT", "liquidationPrice"].verdict is Verdict.AGREES
    foreign = in_force("okx.futures", INSTANT)
    found = imported("binance_usdm")
    assert {c.verdict for c in verify(found.case, found.claims, foreign)} == {Verdict.NOT_COMPUTED}
    assert Figure.RATIO in {getattr(o, "figure", None) for o in imported("okx").claims.values()}


def test_claims_are_frozen():
    found = imported("gate")
    with pytest.raises(TypeError):
        found.claims[next(iter(found.claims))] = None
    assert json.dumps([c.to_dict() for c in verify(found.case, found.claims, rules_of("gate", found.case))])


def test_legs_of_hedge_mode_share_the_price_that_ends_them():
    account, rows, _, prices = made.binance_usdm()
    # (5000 - 0.5 x 60000 + 0.2 x 62000) / (0.5 x 0.004 + 0.2 x 0.004 - 0.5 + 0.2), of the venue's help pages
    price = {"liquidationPrice": "42395.69313594", "leverage": "10", "marginType": "cross"}
    long = {**rows[0], **price, "positionSide": "LONG"}
    short = {**rows[0], **price, "positionSide": "SHORT", "positionAmt": "-0.2", "entryPrice": "62000"}
    short |= {"unRealizedProfit": "200.0", "maintMargin": "48.8", "initialMargin": "1220.0"}
    short |= {"positionInitialMargin": "1220.0"}
    wallet = {
        **account["assets"][0],
        "marginBalance": "5700.0",
        "maintMargin": "170.8",
        "initialMargin": "4270.0",
    }
    wallet |= {"unrealizedProfit": "700.0", "crossUnPnl": "700.0", "availableBalance": "1430.0"}
    found = import_payloads(None, [([long, short], "r"), (wallet, "w"), (prices, "p")])
    comparisons = verify(found.case, found.claims, rules_of("", found.case))
    assert first_difference(comparisons) is None
    prices_ = [c for c in comparisons if c.claim.what == "liquidationPrice"]
    assert [c.verdict for c in prices_] == [Verdict.AGREES] * 2


def test_a_price_told_by_another_instrument_of_the_pool_is_not_compared():
    account, rows, config, prices = made.binance_usdm()
    rows[1] |= {"marginType": "cross", "isolatedWallet": "0", "isolatedMargin": "0"}
    future = {**rows[0], "symbol": "BTCUSDT_261225", "positionAmt": "0.010"}
    found = import_payloads(
        None, [([*rows[:2], future], "r"), (account["assets"][0], "a"), (prices, "p"), (config[:1], "c")]
    )
    told = {
        c.claim.where: c
        for c in verify(found.case, found.claims, rules_of("", found.case))
        if c.claim.what == "liquidationPrice"
    }
    assert "told by BTCUSDT" in told["r: BTCUSDT_261225"].reason
    assert told["r: ETHUSDT"].verdict is not Verdict.NOT_COMPUTED  # ETH moves alone


def test_a_pool_that_is_liquidatable_already_has_no_price_to_compare():
    account, rows, config, prices = made.binance_usdm()
    account["assets"][0]["crossWalletBalance"] = "-450"
    found = import_payloads(None, [(rows, "r"), (account, "a"), (prices, "p"), (config, "c")])
    told = {
        (c.claim.where, c.claim.what): c for c in verify(found.case, found.claims, rules_of("", found.case))
    }
    assert told["r: BTCUSDT", "liquidationPrice"].reason == "already liquidatable"


def test_a_collateral_that_the_rulebook_counts_elsewhere_is_not_compared():
    trees = made.derive()
    trees[0]["result"]["collaterals"].append(
        {"asset_name": "ETH", "amount": "1", "mark_price": "3101", "mark_value": "3101"}
    )
    trees[0]["result"]["positions"] = trees[0]["result"]["positions"][:1]
    found = import_payloads(None, [(t, "p") for t in trees])
    comparisons = verify(found.case, found.claims, in_force("example.flat", INSTANT))
    told = {c.claim.what: c for c in comparisons if c.claim.where == "p: ETH"}
    assert "counts this account in" in told["subaccount_value"].reason


def test_many_flat_positions_are_one_note():
    rows = made.binance_usdm()[1]
    flat = [{**rows[2], "symbol": f"C{k}USDT"} for k in range(5)]
    found = import_payloads(None, [([*rows[:2], *flat], "r"), (made.binance_usdm()[3], "p")])
    assert [note for note in found.notes if "flat" in note] == ["flat positions, left out: 5"]


# Figures of Deribit's API documentation (get_positions, c. December 2019), read off deribit.md 8.
def test_deribits_documented_position_is_reproduced():
    position_ = {
        "instrument_name": "BTC-PERPETUAL",
        "kind": "future",
        "direction": "buy",
        "size": 50,
        "average_price": 7440.18,
        "mark_price": 7476.65,
        "index_price": 7477.0,
        "initial_margin": 0.000197283,
        "maintenance_margin": 0.000143783,
        "total_profit_loss": 3.2781e-05,
        "estimated_liquidation_price": None,
    }
    found = import_payloads(
        None, [({"jsonrpc": "2.0", "result": [position_]}, "p")], at=datetime(2019, 12, 10, tzinfo=UTC)
    )
    comparisons = verify(found.case, found.claims, in_force("deribit.testnet", found.case.market.at))
    told = {c.claim.what: c for c in comparisons}
    for name in ("initial_margin", "maintenance_margin", "total_profit_loss"):
        assert (told[name].verdict, told[name].claim.digits) == (Verdict.AGREES, 9)
    assert "wallet is not in the payloads" in told["estimated_liquidation_price"].reason


@pytest.mark.parametrize("name", [*(name for name, *_ in ROUND_TRIPS), "derive"])
def test_numbers_that_stand_as_text_are_read_alike(name):
    at = INSTANT if name == "gate" else None
    quoted = import_payloads(
        None, [(_quoted(tree), where) for tree, where in places(name)], at=at, strict=True
    )
    assert quoted.case == imported(name).case


def _quoted(tree):
    # What ccxt's transport makes of an answer: every number is text, so that no digit is lost.
    if isinstance(tree, dict):
        return {key: _quoted(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_quoted(item) for item in tree]
    return str(tree) if isinstance(tree, int | float) and not isinstance(tree, bool) else tree


def test_marks_of_two_instants_are_told():
    rows, prices = made.binance_usdm()[1], made.binance_usdm()[3]
    prices[0]["markPrice"] = "62000"
    found = import_payloads(None, [(rows, "r"), (prices, "p")])
    assert "BTCUSDT: marks 62000 and 61000, the latter is used; give answers of one instant" in found.notes
