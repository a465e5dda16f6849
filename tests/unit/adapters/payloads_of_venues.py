"""Made payloads in the documented shape of each venue, with the venue's numbers worked out by hand.

Every figure is a plain product that can be checked on paper; where a venue's liquidation price has a formula in its
help pages it stands beside the number.
"""

NOW = 1793520000000  # 2026-11-01T08:00:00Z
AT = "2026-11-01T08:00:00Z"

# Rules of venues that ship none here, for round trips: rates alone, one pool a settlement asset.
RULES = """
schema = 1
id = "made.{name}"
venue = "made"
title = "made rules"
valid_from = 2020-01-01T00:00:00Z

[[sources]]
id = "made"
url = "made for a test"

[account]
code = "MADE-ACCOUNT-001"
cross_pool = "settlement"

[ladders.flat]
kind = "progressive"
code = "MADE-LADDER-001"
unit = "value"
source = "made"
tiers = [{{ floor = 0.0, initial = {initial}, maintenance = {maintenance}, max_leverage = 50.0 }}]

[[products]]
name = "perpetuals"
match = {{ kinds = ["perpetual", "future"] }}
[products.model]
model = "ladder"
ladder = "flat"
initial = {{ code = "MADE-MARGIN-001", rate = "{rate}" }}
maintenance = {{ code = "MADE-MARGIN-002" }}
{fee}
"""


def binance_usdm():
    """Cross long 0.5 BTC and an isolated short of 2 ETH; 5,000 in the cross wallet, 1,200 put up."""
    btc = {
        "symbol": "BTCUSDT",
        "positionSide": "BOTH",
        "positionAmt": "0.500",
        "entryPrice": "60000.0",
        "breakEvenPrice": "60030.0",
        "markPrice": "61000.00000000",
        "unRealizedProfit": "500.00000000",
        "liquidationPrice": "50200.80321285",  # (5000 - 0.5 x 60000) / (0.5 x (0.004 - 1))
        "isolatedMargin": "0",
        "notional": "30500.00000000",
        "marginAsset": "USDT",
        "isolatedWallet": "0",
        "initialMargin": "3050.00000000",
        "maintMargin": "122.00000000",
        "positionInitialMargin": "3050.00000000",
        "openOrderInitialMargin": "0",
        "adl": 2,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": 1793510000000,
    }
    eth = {
        **btc,
        "symbol": "ETHUSDT",
        "positionAmt": "-2.000",
        "entryPrice": "3000.00",
        "markPrice": "3100.00000000",
        "unRealizedProfit": "-200.00000000",
        "liquidationPrice": "3585.65737051",  # (1200 + 2 x 3000) / (2 x (0.004 + 1))
        "isolatedMargin": "1000.00000000",
        "notional": "-6200.00000000",
        "isolatedWallet": "1200.00000000",
        "initialMargin": "1240.00000000",
        "maintMargin": "24.80000000",
        "positionInitialMargin": "1240.00000000",
    }
    flat = {**btc, "symbol": "SOLUSDT", "positionAmt": "0.0"}
    asset = {
        "asset": "USDT",
        "walletBalance": "6200.00000000",
        "unrealizedProfit": "300.00000000",
        "marginBalance": "6500.00000000",
        "maintMargin": "146.80000000",
        "initialMargin": "4290.00000000",
        "positionInitialMargin": "4290.00000000",
        "openOrderInitialMargin": "0.00000000",
        "crossWalletBalance": "5000.00000000",
        "crossUnPnl": "500.00000000",
        "availableBalance": "2450.00000000",
        "maxWithdrawAmount": "2450.00000000",
        "updateTime": 1793510000000,
    }
    account = {
        "totalInitialMargin": "4290.00000000",
        "totalMaintMargin": "146.80000000",
        "totalWalletBalance": "6200.00000000",
        "assets": [asset],
        "positions": [
            {
                "symbol": "BTCUSDT",
                "positionSide": "BOTH",
                "positionAmt": "0.500",
                "unrealizedProfit": "500.00000000",
                "isolatedMargin": "0",
                "notional": "30500.00000000",
                "isolatedWallet": "0",
                "initialMargin": "3050.00000000",
                "maintMargin": "122.00000000",
                "updateTime": 1793510000000,
            }
        ],
    }
    config = [
        {
            "symbol": s,
            "marginType": m,
            "isAutoAddMargin": "false",
            "leverage": v,
            "maxNotionalValue": "1000000",
        }
        for s, m, v in (("BTCUSDT", "CROSSED", 10), ("ETHUSDT", "ISOLATED", 5))
    ]
    prices = [
        {
            "symbol": symbol,
            "markPrice": mark,
            "indexPrice": index,
            "estimatedSettlePrice": index,
            "lastFundingRate": "0.0001",
            "interestRate": "0.0001",
            "nextFundingTime": NOW,
            "time": NOW,
        }
        for symbol, mark, index in (
            ("BTCUSDT", "61000.00000000", "61010.0"),
            ("ETHUSDT", "3100.00000000", "3101.0"),
            ("SOLUSDT", "150.0", "150.0"),
            ("ETHBTC", "0.05", "0.05"),
        )
    ]
    return [account, [btc, eth, flat], config, prices]


def binance_coinm():
    """An isolated long of 40 contracts of 100 dollars, as positionRisk v1 tells it."""
    return [
        [
            {
                "symbol": "BTCUSD_PERP",
                "positionAmt": "40",
                "entryPrice": "50000.0",
                "markPrice": "40000.00000000",
                "unRealizedProfit": "-0.02000000",  # 4000 / 50000 - 4000 / 40000
                "liquidationPrice": "33466.66666666",  # 4000 x 1.004 / (0.04 + 4000 / 50000)
                "leverage": "2",
                "maxQty": "50",
                "marginType": "isolated",
                "isolatedMargin": "0.02000000",
                "isAutoAddMargin": "false",
                "positionSide": "LONG",
                "notionalValue": "0.10000000",
                "isolatedWallet": "0.04000000",
                "updateTime": 0,
                "breakEvenPrice": "0",
            }
        ],
        {
            "symbol": "BTCUSD_PERP",
            "markPrice": "40000.00000000",
            "indexPrice": "40010.0",
            "pair": "BTCUSD",
            "time": NOW,
        },
    ]


def bybit_linear():
    """A cross short of 0.4 BTC at 60,000, ten times levered, closing fee 0.06 %."""
    position = {
        "positionIdx": 0,
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": "BTCUSDT",
        "side": "Sell",
        "size": "0.4",
        "avgPrice": "60000",
        "positionValue": "24000",
        "tradeMode": 0,
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "leverage": "10",
        "positionBalance": "0",
        "markPrice": "59000",
        "liqPrice": "84660.4",  # 60000 + (10000 - 135.84) / 0.4
        "bustPrice": "",
        "positionMM": "135.84",  # 24000 x (0.005 + 1.1 x 0.0006)
        "positionIM": "2415.84",  # 24000 x (0.1 + 1.1 x 0.0006)
        "positionIMByMp": "2375.6",
        "positionMMByMp": "133.6",
        "unrealisedPnl": "400",
        "curRealisedPnl": "-14.4",
        "updatedTime": str(NOW),
    }
    envelope = {"retCode": 0, "retMsg": "OK", "retExtInfo": {}, "time": NOW}
    wallet = {
        "accountType": "UNIFIED",
        "accountIMRate": "0.2",
        "accountMMRate": "0.01",
        "totalEquity": "10400",
        "totalInitialMargin": "2415.84",
        "totalMaintenanceMargin": "135.84",
        "coin": [
            {
                "coin": "USDT",
                "equity": "10400",
                "usdValue": "10400",
                "walletBalance": "10000",
                "totalOrderIM": "0",
                "totalPositionIM": "2415.84",
                "totalPositionMM": "135.84",
                "unrealisedPnl": "400",
            }
        ],
    }
    ticker = {
        "symbol": "BTCUSDT",
        "lastPrice": "59001",
        "indexPrice": "59010",
        "markPrice": "59000",
        "bid1Price": "59000",
        "ask1Price": "59001",
    }
    instrument = {
        "symbol": "BTCUSDT",
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": "BTC",
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "deliveryTime": "0",
        "priceFilter": {"minPrice": "0.1", "maxPrice": "1999999.8", "tickSize": "0.1"},
    }
    fee = {"symbol": "BTCUSDT", "takerFeeRate": "0.0006", "makerFeeRate": "0.0001"}
    return [
        {**envelope, "result": {"list": [position], "nextPageCursor": "", "category": "linear"}},
        {**envelope, "result": {"list": [wallet]}},
        {**envelope, "result": {"category": "linear", "list": [ticker]}},
        {**envelope, "result": {"category": "linear", "list": [instrument], "nextPageCursor": ""}},
        {**envelope, "result": {"list": [fee]}},
    ]


def okx():
    """An isolated short leg of 200 contracts of 100 ADA, and the same contract's cross long leg of 50."""
    short = {
        "instType": "SWAP",
        "instId": "ADA-USDT-SWAP",
        "mgnMode": "isolated",
        "posSide": "short",
        "pos": "200",
        "avgPx": "0.5",
        "markPx": "0.52",
        "lever": "5",
        "margin": "2000",
        "upl": "-400",  # 20000 x (0.5 - 0.52)
        "imr": "",
        "liqPx": "0.5967180507",  # (2000 + 20000 x 0.5) / (20000 x 1.0055): 0.5 % and the fee of 0.05 %
        "mgnRatio": "27.972027972027972",  # (2000 - 400) / (20000 x 0.52 x 0.0055)
        "ccy": "USDT",
        "uTime": str(NOW),
    }
    long = {
        **short,
        "mgnMode": "cross",
        "posSide": "long",
        "pos": "50",
        "lever": "10",
        "margin": "",
        "upl": "100",
        "liqPx": "",
        "mgnRatio": "",
    }
    instrument = {
        "instType": "SWAP",
        "instId": "ADA-USDT-SWAP",
        "uly": "ADA-USDT",
        "ctVal": "100",
        "ctMult": "1",
        "ctValCcy": "ADA",
        "ctType": "linear",
        "settleCcy": "USDT",
        "expTime": "",
        "tickSz": "0.0001",
        "state": "live",
    }
    balance = {
        "adjEq": "",
        "totalEq": "5000",
        "details": [
            {"ccy": "USDT", "cashBal": "3000", "eq": "4700", "eqUsd": "4700", "upl": "-300", "disEq": "4700"}
        ],
    }
    ok = {"code": "0", "msg": ""}
    return [
        {**ok, "data": [short, long]},
        {**ok, "data": [instrument]},
        {**ok, "data": [balance]},
        {**ok, "data": [{"instType": "SWAP", "instId": "ADA-USDT-SWAP", "markPx": "0.52", "ts": str(NOW)}]},
    ]


def gate():
    """A cross long of 1,000 contracts of 0.0001 BTC."""
    contract = {
        "name": "BTC_USDT",
        "type": "direct",
        "quanto_multiplier": "0.0001",
        "mark_price": "46000",
        "index_price": "46010",
        "order_price_round": "0.1",
        "taker_fee_rate": "0.0005",
        "maintenance_rate": "0.005",
    }
    position = {
        "user": 1,
        "contract": "BTC_USDT",
        "size": 1000,
        "leverage": "0",
        "cross_leverage_limit": "10",
        "risk_limit": "1000000",
        "leverage_max": "100",
        "maintenance_rate": "0.005",
        "value": "4600",
        "margin": "0",
        "entry_price": "45000",
        "liq_price": "0",
        "mark_price": "46000",
        "initial_margin": "462.3",  # 4600 x (0.1 + 0.0005)
        "maintenance_margin": "25.3",  # 4600 x (0.005 + 0.0005)
        "unrealised_pnl": "100",
        "realised_pnl": "-2.25",
        "mode": "single",
        "pending_orders": 0,
    }
    account = {
        "total": "5000",
        "unrealised_pnl": "100",
        "available": "4640",
        "currency": "USDT",
        "margin_mode": 0,
        "cross_margin_balance": "5100",
        "cross_maintenance_margin": "25.3",
        "cross_unrealised_pnl": "100",
        "in_dual_mode": False,
    }
    return [[position], account, [contract]]


def hyperliquid():
    """A cross long of 2 ETH and an isolated short of 0.1 BTC."""
    eth = {
        "coin": "ETH",
        "szi": "2.0",
        "entryPx": "3000.0",
        "leverage": {"type": "cross", "value": 10},
        "positionValue": "6200.0",
        "unrealizedPnl": "200.0",
        "marginUsed": "620.0",
        "liquidationPx": "2525.2525252525",  # (6000 - 1000) / (2 x 0.99)
        "maxLeverage": 50,
        "returnOnEquity": "0.3",
        "cumFunding": {"allTime": "0", "sinceOpen": "0", "sinceChange": "0"},
    }
    btc = {
        **eth,
        "coin": "BTC",
        "szi": "-0.1",
        "entryPx": "60000.0",
        "leverage": {"type": "isolated", "value": 20, "rawUsd": "6310.0"},
        "positionValue": "6000.0",
        "unrealizedPnl": "0.0",
        "marginUsed": "310.0",
        "liquidationPx": "62475.2475247525",  # (310 + 6000) / (0.1 x 1.01)
    }
    state = {
        "assetPositions": [{"type": "oneWay", "position": eth}, {"type": "oneWay", "position": btc}],
        "crossMaintenanceMarginUsed": "62.0",
        "crossMarginSummary": {
            "accountValue": "1200.0",
            "totalMarginUsed": "620.0",
            "totalNtlPos": "6200.0",
            "totalRawUsd": "-5000.0",  # 1000 - 2 x 3000
        },
        "marginSummary": {
            "accountValue": "1510.0",
            "totalMarginUsed": "930.0",
            "totalNtlPos": "12200.0",
            "totalRawUsd": "1310.0",
        },
        "withdrawable": "580.0",
        "time": NOW,
    }
    orders = [
        {
            "coin": "ETH",
            "side": "A",
            "limitPx": "3300.0",
            "sz": "1.0",
            "oid": 1,
            "timestamp": NOW,
            "origSz": "1.0",
            "reduceOnly": True,
        }
    ]
    return [state, orders]


def derive():
    """A perpetual whose profit was paid out in part, and a short call, with USDC and ETH behind them."""
    perpetual = {
        "instrument_type": "perp",
        "instrument_name": "ETH-PERP",
        "amount": "2",
        "average_price": "3000",
        "mark_price": "3100",
        "index_price": "3101",
        "mark_value": "50",  # 200 of profit, of which 150 were paid
        "net_settlements": "150",
        "initial_margin": "0",
        "maintenance_margin": "0",
        "open_orders_margin": "0",
        "leverage": None,
        "liquidation_price": None,
        "unrealized_pnl": "200",
        "creation_timestamp": NOW,
    }
    call = {
        **perpetual,
        "instrument_type": "option",
        "instrument_name": "ETH-20261225-4000-C",
        "amount": "-1.5",
        "average_price": "90",
        "mark_price": "100",
        "mark_value": "-150",
        "net_settlements": "0",
        "liquidation_price": "",
    }
    cash = {
        "asset_type": "erc20",
        "asset_name": "USDC",
        "currency": "USDC",
        "amount": "5150",
        "mark_price": "1",
        "mark_value": "5150",
        "initial_margin": "5150",
        "maintenance_margin": "5150",
    }
    ticker = {
        "instrument_name": "ETH-20261225-4000-C",
        "mark_price": "100",
        "index_price": "3101",
        "timestamp": NOW,
        "option_pricing": {"iv": "0.62", "forward_price": "3120", "mark_price": "100", "delta": "0.2"},
    }
    subaccount = {
        "subaccount_id": 5,
        "label": "",
        "currency": "ETH",
        "margin_type": "SM",
        "is_under_liquidation": False,
        "subaccount_value": "5050",  # 5150 + 50 - 150
        "initial_margin": "1234",
        "maintenance_margin": "2345",
        "open_orders_margin": "0",
        "positions": [perpetual, call],
        "collaterals": [cash],
        "open_orders": [],
    }
    return [{"id": 1, "jsonrpc": "2.0", "result": subaccount}, {"id": 2, "result": ticker}]


def dydx():
    """A short of 0.5 BTC: the indexer's USDC holds what the sale brought in."""
    stamp = {"isoTimestamp": "2026-11-01T08:00:00.000Z"}
    position = {
        "market": "BTC-USD",
        "status": "OPEN",
        "side": "SHORT",
        "size": "-0.5",
        "maxSize": "-0.5",
        "entryPrice": "60000",
        "exitPrice": None,
        "realizedPnl": "0",
        "unrealizedPnl": "500",
        "netFunding": "0",
        "subaccountNumber": 0,
    }
    subaccount = {
        "address": "dydx1",
        "subaccountNumber": 0,
        "equity": "10500",  # 40000 - 0.5 x 59000
        "freeCollateral": "9910",  # less 2 % of 29500
        "openPerpetualPositions": {"BTC-USD": position},
        "assetPositions": {
            "USDC": {"size": "40000", "symbol": "USDC", "side": "LONG", "assetId": "0", "subaccountNumber": 0}
        },
        "marginEnabled": True,
    }
    market = {
        "clobPairId": "0",
        "ticker": "BTC-USD",
        "status": "ACTIVE",
        "oraclePrice": "59000",
        "initialMarginFraction": "0.02",
        "maintenanceMarginFraction": "0.012",
        "tickSize": "1",
    }
    return [{"result": {"subaccount": subaccount}, **stamp}, {"markets": {"BTC-USD": market}}]


def deribit():
    """A long of 30,000 dollars under the standard model: 2 % and 0.5 % per 100 BTC."""
    position = {
        "instrument_name": "BTC-PERPETUAL",
        "kind": "future",
        "direction": "buy",
        "size": 30000.0,
        "average_price": 60000.0,
        "mark_price": 60000.0,
        "index_price": 60010.0,
        "floating_profit_loss": 0.0,
        "total_profit_loss": 0.0,
        "open_orders_margin": 0.0,
    }
    summary = {
        "currency": "BTC",
        "margin_model": "segregated_sm",
        "balance": 1.0,
        "equity": 1.0,
        "margin_balance": 1.0,
        "futures_session_rpl": 0.0,
    }
    return [
        {"jsonrpc": "2.0", "result": [position], "usOut": NOW * 1000},
        {"jsonrpc": "2.0", "result": summary},
    ]
