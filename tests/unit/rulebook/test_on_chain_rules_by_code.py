"""The rules of venues on chains, by code, at the smallest and at a large size; figures of defi.md."""

import numpy as np
import pytest

from margrave.core.words import MAINTENANCE
from margrave.domain.account import Account, Position
from margrave.domain.instruments import Right
from margrave.domain.market import Market, Quote
from margrave.engine.assess import assess
from margrave.rulebook.ladders import resolve
from tests.unit.made import AT
from tests.unit.rulebook.test_rules_by_code import INDEX, Row, ask, book, linear, option

HL, DYDX = "hyperliquid.perps", "dydx.v4"
# Maintenance is half the rate of the highest leverage, progressive; initial by leverage, at least the tier's.
ROWS = [
    Row(HL, ("HYPERLIQUID-PERPS-ACCOUNT-001", "HYPERLIQUID-PERPS-LADDER-001", "HYPERLIQUID-PERPS-MARGIN-001", "HYPERLIQUID-PERPS-MARGIN-002"),
        linear("BTC", "USDC"), 1, 40_000, 50_000, 10, 5_000, 50_000 / 80),
    Row(HL, ("HYPERLIQUID-PERPS-LADDER-001",), linear("BTC", "USDC"), 4_000, 50_000, 50_000, 5, 4e7, 0.025 * 2e8 - 0.0125 * 1.5e8),
    Row(HL, ("HYPERLIQUID-PERPS-LADDER-002", "HYPERLIQUID-PERPS-MARGIN-003", "HYPERLIQUID-PERPS-MARGIN-004"),
        linear("ETH", "USDC"), -1, 2_000, 3_000, 10, 300, 60),
    Row(HL, ("HYPERLIQUID-PERPS-LADDER-002",), linear("ETH", "USDC"), 1e5, 3_000, 3_000, 5, 6e7, 3e8 / 30 - (1 / 30 - 0.02) * 1e8),
    Row(HL, ("HYPERLIQUID-PERPS-LADDER-003", "HYPERLIQUID-PERPS-MARGIN-005", "HYPERLIQUID-PERPS-MARGIN-006"),
        linear("SOL", "USDC"), 10, 100, 200, 10, 200, 50),
    Row(HL, ("HYPERLIQUID-PERPS-LADDER-003",), linear("SOL", "USDC"), 1e6, 200, 200, 5, 4e7, 0.05 * 2e8 - 0.025 * 7e7),
    Row(HL, ("HYPERLIQUID-PERPS-LADDER-004", "HYPERLIQUID-PERPS-MARGIN-007", "HYPERLIQUID-PERPS-MARGIN-008"),
        linear("XRP", "USDC"), 10, 100, 200, 10, 200, 50),
    Row(HL, ("HYPERLIQUID-PERPS-LADDER-004",), linear("XRP", "USDC"), 1e6, 200, 200, 5, 4e7, 0.05 * 2e8 - 0.025 * 4e7),
    Row(DYDX, ("DYDX-V4-ACCOUNT-001", "DYDX-V4-LADDER-001", "DYDX-V4-MARGIN-001", "DYDX-V4-MARGIN-002"),
        linear("BTC", "USDC"), 1, 40_000, 50_000, None, 1_000, 600),
    Row(DYDX, ("DYDX-V4-LADDER-001",), linear("BTC", "USDC"), 1e4, 50_000, 50_000, 10, 5e7, 0.012 * 5e8),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.codes[-1]} {row.quantity:g}")
def test_a_ladder_rule_at_its_smallest_and_at_a_large_size(row: Row):
    pool, found = ask(row)
    assert pool.issues == ()
    assert pool.initial == pytest.approx(row.initial, rel=1e-9)
    assert pool.maintenance == pytest.approx(row.maintenance, rel=1e-9)
    assert set(row.codes) <= found


# DYDX-V4-OPEN-INTEREST-001: from 5 % at 40 M of open notional in a straight line to 100 % at 100 M, of DYDX-V4-LADDER-002
# (DYDX-V4-MARGIN-003); maintenance stays 3 % (DYDX-V4-MARGIN-004).
@pytest.mark.parametrize(("open_notional", "rate"), [(4e7, 0.05), (7e7, 0.525), (1e8, 1.0), (2e8, 1.0)])
def test_dydx_initial_rate_rises_with_open_interest(open_notional, rate):
    held = linear("SOL", "USDC")
    market = Market(
        at=AT,
        instruments={held.symbol: held},
        quotes={held.symbol: Quote(mark=200.0)},
        index={"SOL": 200.0, "USDC": 1.0},
        open_interest={held.symbol: open_notional / 200.0},
    )
    account = Account(positions=(Position(symbol=held.symbol, quantity=10.0, entry=100.0),))
    pool = assess(account, market, book(DYDX)).pools[0]
    assert pool.initial == pytest.approx(rate * 2_000)
    assert pool.maintenance == pytest.approx(60)


# Tiers that governance assigns to other markets: no product names them, their rates are published.
@pytest.mark.parametrize(
    ("name", "code", "initial", "maintenance"),
    [
        ("mid", "DYDX-V4-LADDER-002", 0.05, 0.03),
        ("small", "DYDX-V4-LADDER-003", 0.10, 0.05),
        ("long-tail", "DYDX-V4-LADDER-004", 0.20, 0.10),
        ("isolated", "DYDX-V4-LADDER-005", 0.05, 0.03),
        ("safety", "DYDX-V4-LADDER-006", 1.00, 0.20),
        ("FX", "DYDX-V4-LADDER-007", 0.01, 0.005),
    ],
)
def test_dydx_tiers(name, code, initial, maintenance):
    ladder = book(DYDX).ladders[name]
    assert ladder.code == code
    np.testing.assert_allclose(resolve(ladder, 0).rate, [initial])
    np.testing.assert_allclose(resolve(ladder, MAINTENANCE).rate, [maintenance])


# Aevo: 15 % less what is out of the money, at least 10 %; maintenance 10 %, of puts at least 10 % of mark.
AEVO = [
    (Right.CALL, 1.0, 0.02, 0.17, 0.12, ("AEVO-OPTIONS-MARGIN-001", "AEVO-OPTIONS-MARGIN-003")),
    (Right.CALL, 1.6, 0.02, 0.12, 0.12, ("AEVO-OPTIONS-MARGIN-001", "AEVO-OPTIONS-MARGIN-003")),
    (Right.PUT, 0.97, 0.02, 0.14, 0.12, ("AEVO-OPTIONS-MARGIN-002", "AEVO-OPTIONS-MARGIN-004")),
    (Right.PUT, 1.0, 2.0, 2.20, 2.20, ("AEVO-OPTIONS-MARGIN-002", "AEVO-OPTIONS-MARGIN-004")),
]


@pytest.mark.parametrize(("right", "strike", "share", "initial", "maintenance", "codes"), AEVO)
def test_aevo_short_options(right, strike, share, initial, maintenance, codes):
    contract = option("BTC", right, strike * INDEX, coin=False)
    mark = share * INDEX
    pool, found = ask(Row("aevo.options", codes, contract, -1.0, mark, mark, None, 0.0, 0.0))
    assert pool.initial == pytest.approx(initial * INDEX)
    assert pool.maintenance == pytest.approx(maintenance * INDEX)
    assert {"AEVO-OPTIONS-ACCOUNT-001", *codes} <= found
