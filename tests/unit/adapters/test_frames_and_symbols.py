"""Names of instruments, frames, and payloads whose unified numbers mislead."""

from pathlib import Path

import pytest

from margrave.adapters import ccxt, deribit, frames, symbols
from margrave.adapters.files import load_example
from margrave.adapters.payloads import Gathered, case_of, read_json
from margrave.core.errors import InvalidInputError
from margrave.domain.instruments import CoinPremium, Inverse, Linear


def test_names_of_venues() -> None:
    assert symbols.deribit("BTC-PERPETUAL").payoff == Inverse(contract_value=1.0)
    assert symbols.deribit("BTC-25DEC26-70000-C").payoff == CoinPremium(contract_size=1.0)
    assert symbols.deribit("SOL_USDC-PERPETUAL").payoff == Linear(contract_size=1.0)
    assert symbols.binance("BTCUSD_PERP").payoff == Inverse(contract_value=100.0)
    assert symbols.binance("ETHUSD_261225").payoff == Inverse(contract_value=10.0)
    assert symbols.binance("BTCUSDT").settlement == "USDT"
    assert symbols.okx("BTC-USD-SWAP", 100.0).settlement == "BTC"
    assert symbols.unified("BTC/USD:BTC-261225-70000-C", 1.0).payoff == CoinPremium(contract_size=1.0)


@pytest.mark.parametrize("name", ["BTC", "BTC-32DEC26", "BTC-25XXX26"])
def test_doubtful_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="correct"):
        symbols.deribit(name)


def test_missing_multiplier_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="ctVal"):
        symbols.okx("BTC-USDT-SWAP", None)
    with pytest.raises(InvalidInputError, match="contractSize"):
        symbols.unified("BTC/USDT:USDT", None)


SHORT = {"instrument_name": "BTC-PERPETUAL", "direction": "sell", "size": -60000.0, "average_price": 60000.0}


def test_ccxt_reads_raw_info() -> None:
    row = {"symbol": "BTC/USD:BTC", "contracts": -60000.0, "contractSize": 10, "side": "short", "info": SHORT}
    gathered = Gathered()
    ccxt.gather([row], "positions", gathered, "deribit")
    assert gathered.issues == []
    assert gathered.positions["BTC-PERPETUAL"].quantity == -60000.0
    assert gathered.instruments["BTC-PERPETUAL"].payoff == Inverse(contract_value=1.0)


def test_deribit_flat_and_contradiction() -> None:
    gathered = Gathered()
    rows = [
        {**SHORT, "instrument_name": "ETH-PERPETUAL", "direction": "zero", "size": 0},
        {**SHORT, "direction": "buy"},
    ]
    deribit.gather({"jsonrpc": "2.0", "result": rows}, "positions", gathered)
    assert gathered.positions == {}
    assert "flat" in gathered.notes[0]
    assert "do not agree" in gathered.issues[0].message


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_frame_there_and_back(backend: str) -> None:
    pytest.importorskip(backend)
    for name in ("inverse", "hybrid"):
        accounts = load_example(name).accounts
        read = frames.accounts_from_frame(frames.positions_to_frame(accounts, backend))
        assert [a.positions for a in read] == [a.positions for a in accounts]


def test_ccxt_balance_is_the_wallet_and_not_equity() -> None:
    row = {
        "total": {"USDT": 15.0},
        "free": {},
        "info": {"assets": [{"asset": "USDT", "walletBalance": "10"}]},
    }
    gathered = Gathered()
    ccxt.gather(row, "balance", gathered, "binance")
    assert gathered.balances["USDT"].amount == 10.0


def test_profit_settled_daily_counts_once() -> None:
    gathered = Gathered()
    rows = [
        {**SHORT, "mark_price": 50000.0, "floating_profit_loss": -0.05},
        {"currency": "BTC", "balance": 1.0},
    ]
    deribit.gather({"usOut": 1.7e15, "result": rows}, "all", gathered)
    wallet = case_of(gathered).accounts[0].balances[0].amount
    whole = -60000.0 * (1 / 60000.0 - 1 / 50000.0)
    assert wallet + whole == pytest.approx(0.95, abs=1e-12)


def test_recorded_deribit_summary(shared: Path) -> None:
    tree = read_json(shared / "data/accounts/payloads/deribit__http_get_account_summaries.json")
    gathered = Gathered()
    deribit.gather(tree, "recorded", gathered)
    assert gathered.issues == []
    assert gathered.rules == "deribit.sm"
    assert gathered.balances["BTC"].amount == pytest.approx(302.60065765 - 0.03258105, abs=1e-9)
    claimed = {(c.where, c.what): (c.amount, c.digits) for c in gathered.claims}
    assert claimed["recorded: BTC", "equity"] == (302.61869214, 8)
    assert gathered.unread == {}


def test_recorded_hyperliquid_position(shared: Path) -> None:
    tree = read_json(shared / "data/accounts/payloads/hyperliquid__clearinghouseState_docs_sample.json")
    row = {"symbol": "ETH/USDC:USDC", "contractSize": 1.0, "info": tree["assetPositions"][0]}
    gathered = Gathered()
    ccxt.gather([row], "positions", gathered, "hyperliquid")
    assert gathered.issues == []
    held = gathered.positions["ETH/USDC:USDC"]
    assert (held.quantity, held.entry, held.leverage) == (0.0335, 2986.3, 20.0)
    assert held.isolated_margin == pytest.approx(4.967826 + 0.0134, abs=1e-12)
    assert gathered.quotes["ETH/USDC:USDC"]["mark"] == pytest.approx(100.02765 / 0.0335)
