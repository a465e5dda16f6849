"""Portfolio answers of OKX and Binance, and Hyperliquid's state, beside the shipped rulebooks."""

from copy import deepcopy
from datetime import UTC, datetime

import pytest

from margrave.adapters import okx_builder
from margrave.adapters.payloads import import_payloads
from margrave.adapters.verify import Verdict, first_difference, verify
from margrave.core.errors import InvalidInputError
from margrave.rulebook.catalogue import in_force
from tests.unit.adapters import payloads_of_venues as made

AT = datetime(2026, 11, 1, 8, tzinfo=UTC)
# The position builder's example in docs-v5, 2025-01-15: a short of 0.1 BTC.
CELLS = {
    "0": "0",
    "0.08": "-776.2739496480004",
    "-0.08": "776.2739496480004",
    "0.04": "-388.1369748240002",
    "0.12": "-1164.4109244719994",
    "-0.12": "1164.4109244719994",
    "-0.04": "388.1369748240002",
}
UNIT = {
    "riskUnit": "BTC",
    "delta": "-9704.903689800001",
    "mmr": "1183.8207318516002",
    "imr": "1538.9669514070802",
    "mr1": "1164.4109244719994",
    "mr1Scenarios": {"volSame": CELLS, "volShockUp": CELLS, "volShockDown": CELLS},
    "mr2": "0",
    "mr3": "0",
    "mr4": "19.4098073796",
    "mr5": "0",
    "mr6": "1164.4109244720003",
    "mr6FinalResult": {"pnl": "-2328.8218489440005", "spotShock": "0.24"},
    "mr7": "43.67206660410001",
    "mr8": "0",
    "mr9": "0",
    "portfolios": [{"instId": "BTC-USDT-SWAP", "instType": "SWAP", "amt": "-10"}],
}


def builder(**changes):
    return {"code": "0", "msg": "", "data": [{"riskUnitData": [deepcopy(UNIT) | changes]}]}


def test_okxs_published_charges_agree_and_the_others_name_their_gap():
    rows = okx_builder.compared(builder(), "saved")
    by = {v: [c.claim.what for c in rows if c.verdict is v] for v in Verdict}
    assert by[Verdict.DIFFERS] == []
    assert by[Verdict.NOT_COMPUTED] == ["mr2", "mr3", "mr4", "mr5", "mr7", "mr8", "mr9"]
    # The first move tells the delta; the other six follow from it.
    assert by[Verdict.AGREES] == [
        *(f"mr1 {m} vol same" for m in ("+0", "-0.08", "+0.04", "+0.12", "-0.12", "-0.04")),
        "mr1",
        "mr6",
        "mmr",
        "imr",
    ]
    assert all(c.reason for c in rows if c.verdict is Verdict.NOT_COMPUTED)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"mr1": "1164.5"}, "mr1"),
        ({"mr6": "1200"}, "mr6"),
        ({"imr": "1538.9"}, "imr"),
        ({"mr4": "19.5"}, "mmr"),
        ({"mr7": "2000"}, "mmr"),
        (
            {"mr1Scenarios": UNIT["mr1Scenarios"] | {"volSame": CELLS | {"0.12": "-1164.0"}}},
            "mr1 +0.12 vol same",
        ),
    ],
)
def test_a_changed_charge_is_the_first_that_differs(changes, what):
    assert first_difference(okx_builder.compared(builder(**changes), "saved")).claim.what == what


def test_cells_of_options_are_not_a_delta_times_the_move():
    held = [{"instId": "BTC-USD-261225-70000-C", "instType": "OPTION"}]
    bent = {"volSame": CELLS | {"0.12": "-2000"}, "volShockUp": CELLS}
    rows = okx_builder.compared(
        builder(
            portfolios=held, mr1Scenarios=bent, mr1="2000", mmr="2019.4098073796", imr="2625.23274959348"
        ),
        "saved",
    )
    assert first_difference(rows) is None
    assert not any("vol same" in c.claim.what for c in rows)


def test_a_unit_of_another_form_is_refused():
    tree = {"data": [{"riskUnitData": ["BTC"]}]}
    assert okx_builder.recognises(tree)
    assert not okx_builder.recognises({"data": [{"ccy": "BTC"}]})
    with pytest.raises(InvalidInputError, match="risk unit that is no object"):
        okx_builder.compared(tree, "saved")
    assert okx_builder.compared({"data": [{"riskUnitData": [{"riskUnit": "BTC"}]}]}, "saved") == ()
    with pytest.raises(InvalidInputError, match="finite number"):
        okx_builder.compared(builder(mr1="much"), "saved")


def portfolio(**changes):
    account = {
        "uniMMR": "86.06557377",
        "accountEquity": "21000.0",
        "actualEquity": "21000.0",
        "accountInitialMargin": "6100.0",
        "accountMaintMargin": "244.0",  # 0.4 % of 61,000, the first bracket
        "accountStatus": "NORMAL",
        "virtualMaxWithdrawAmount": "14900.0",
        "totalAvailableBalance": "",
        "totalMarginOpenLoss": "",
        "updateTime": round(AT.timestamp() * 1000),
    }
    position = {
        "symbol": "BTCUSDT",
        "positionSide": "BOTH",
        "positionAmt": "1",
        "entryPrice": "60000",
        "markPrice": "61000",
        "unRealizedProfit": "1000",
        "leverage": "10",
        "notional": "61000",
    }
    balance = {"asset": "USDT", "totalWalletBalance": "20000", "umWalletBalance": "20000"}
    index = [{"asset": "USDT", "assetIndexPrice": "1.0"}, {"asset": "BTC", "assetIndexPrice": "61000"}]
    trees = [account | changes, [position], [balance], index]
    return import_payloads(None, [(tree, f"answer{k}") for k, tree in enumerate(trees)], strict=True)


def compared(found):
    rules = in_force(found.case.rules, found.case.market.at)
    return {c.claim.what: c for c in verify(found.case, found.claims, rules)}


def test_binances_portfolio_account_is_compared_where_rates_are_published():
    found = portfolio()
    assert (found.case.rules, found.case.market.at) == ("binance.pm-pro", AT)
    rows = compared(found)
    for name in ("accountMaintMargin", "accountInitialMargin", "unRealizedProfit"):
        assert rows[name].verdict is Verdict.AGREES
    for name in ("accountEquity", "uniMMR"):
        assert rows[name].reason == "binance.pm-pro has no collateral rate of USDT"
    assert compared(portfolio(accountMaintMargin="245"))["accountMaintMargin"].verdict is Verdict.DIFFERS


def test_hyperliquids_state_agrees_under_the_shipped_rulebook():
    state, _ = made.hyperliquid()
    # Highest leverage is 25 for ETH and 40 for BTC in hyperliquid.perps; half of its inverse is maintenance.
    eth, btc = (row["position"] for row in state["assetPositions"])
    eth |= {"maxLeverage": 25, "liquidationPx": "2551.0204081633"}  # 5,000 / (2 x 0.98)
    btc |= {"maxLeverage": 40, "liquidationPx": "62320.9876543210"}  # 6,310 / (0.1 x 1.0125)
    state["crossMaintenanceMarginUsed"] = "124.0"
    found = import_payloads(None, [(state, "state")], strict=True)
    rows = verify(found.case, found.claims, in_force("hyperliquid.perps", AT))
    assert first_difference(rows) is None
    assert sum(c.verdict is Verdict.AGREES for c in rows) == 14
