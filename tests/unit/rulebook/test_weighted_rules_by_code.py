"""Rulebooks of weighted cross collateral, rule by rule: what each code asks, and where its figure was read.

Weights of Drift: the table of its documentation (cross-collateral deposits). Ratios of SOL-PERP: README of drift-labs/gateway.
Parameters of Mango: ts/client/scripts/mb-admin.ts of blockworks-foundation/mango-v4.
"""

import pytest

from margrave.core.errors import Reason
from margrave.domain.account import Account, Balance, Order, Position
from margrave.domain.instruments import Spot
from margrave.engine.assess import assess
from margrave.rulebook.catalogue import shipped
from tests.unit.health_made import contract, market_of

BOOKS = {book.id: book for book in shipped()}
TOKENS = [
    # rulebook, code, token, one initial and maintenance as an asset, as a debt
    ("drift.v2", "DRIFT-V2-TOKEN-001", "USDC", (1.0, 1.0), (1.0, 1.0)),
    ("drift.v2", "DRIFT-V2-TOKEN-002", "SOL", (0.8, 0.9), (1.2, 1.1)),
    ("drift.v2", "DRIFT-V2-TOKEN-003", "mSOL", (0.8, 0.9), (1.2, 1.1)),
    ("drift.v2", "DRIFT-V2-TOKEN-004", "wBTC", (0.8, 0.9), (1.2, 1.1)),
    ("drift.v2", "DRIFT-V2-TOKEN-005", "wETH", (0.8, 0.9), (1.2, 1.1)),
    ("drift.v2", "DRIFT-V2-TOKEN-006", "USDT", (0.9, 0.95), (1.1, 1.05)),
    ("drift.v2", "DRIFT-V2-TOKEN-007", "JitoSOL", (0.8, 0.9), (1.2, 1.1)),
    ("drift.v2", "DRIFT-V2-TOKEN-008", "PYTH", (0.5, 0.75), (1.5, 1.25)),
    ("drift.v2", "DRIFT-V2-TOKEN-009", "bSOL", (0.8, 0.9), (1.2, 1.1)),
    ("drift.v2", "DRIFT-V2-TOKEN-010", "JTO", (0.5, 0.75), (1.5, 1.25)),
    ("drift.v2", "DRIFT-V2-TOKEN-011", "WIF", (0.25, 0.5), (1.75, 1.5)),
    ("drift.v2", "DRIFT-V2-TOKEN-012", "JUP", (0.5, 0.75), (1.5, 1.25)),
    ("mango.v4", "MANGO-V4-TOKEN-001", "USDC", (1.0, 1.0), (1.0, 1.0)),
    ("mango.v4", "MANGO-V4-TOKEN-002", "USDT", (0.9, 0.95), (1.1, 1.05)),
    ("mango.v4", "MANGO-V4-TOKEN-003", "DAI", (0.9, 0.95), (1.1, 1.05)),
    ("mango.v4", "MANGO-V4-TOKEN-004", "ETH", (0.8, 0.9), (1.2, 1.1)),
    ("mango.v4", "MANGO-V4-TOKEN-005", "SOL", (0.8, 0.9), (1.2, 1.1)),
    ("mango.v4", "MANGO-V4-TOKEN-006", "MSOL", (0.8, 0.9), (1.2, 1.1)),
    ("example.weighted", "EXAMPLE-WEIGHTED-TOKEN-001", "USDC", (1.0, 1.0), (1.0, 1.0)),
    ("example.weighted", "EXAMPLE-WEIGHTED-TOKEN-002", "BTC", (0.8, 0.9), (1.2, 1.1)),
    ("example.weighted", "EXAMPLE-WEIGHTED-TOKEN-003", "ETH", (0.8, 0.9), (1.2, 1.1)),
    ("example.weighted", "EXAMPLE-WEIGHTED-TOKEN-004", "SOL", (0.8, 0.9), (1.2, 1.1)),
]
SIZED = [
    # rulebook, token, how many, weight that 1.1 / (1 + factor sqrt(size)) gives
    ("drift.v2", "SOL", 40_000.0, 1.1 / 1.6),
    ("drift.v2", "mSOL", 40_000.0, 1.1 / 1.6),
    ("drift.v2", "wBTC", 100.0, 1.1 / 2.05),
    ("drift.v2", "wETH", 1_600.0, 1.1 / 2.0),
    ("drift.v2", "USDT", 2.5e7, 1.1 / 3.0),
    ("drift.v2", "JitoSOL", 1e6, 1.1 / 1.55),
    ("drift.v2", "PYTH", 1e8, 1.1 / 6.5),
    ("drift.v2", "bSOL", 1e6, 1.1 / 1.55),
    ("drift.v2", "JTO", 1e8, 1.1 / 6.5),
    ("drift.v2", "WIF", 1e10, 1.1 / 56.0),
    ("drift.v2", "JUP", 1e8, 1.1 / 6.5),
    ("drift.v2", "SOL", 2_000.0, 0.8),  # the page's example
    ("example.weighted", "BTC", 100.0, 1.1 / 1.5),
]
SCALED = [  # venue-wide value beyond which initial weights scale
    ("mango.v4", "USDT", 1e6),
    ("mango.v4", "ETH", 1e5),
    ("mango.v4", "SOL", 5e6),
    ("mango.v4", "MSOL", 1e6),
    ("example.weighted", "SOL", 5e6),
]


def ask(book, balances, positions=(), orders=(), price=2.0, **more):
    bases = ("SOL", "BTC", "ETH")
    listed = [contract(base) for base in bases] + [contract("SOL", kind=Spot())]
    index = {"USDC": 1.0, **dict.fromkeys(balances, price), **dict.fromkeys(bases, 100.0)}
    index["USDC"] = 1.0
    marks = {i.symbol: 100.0 for i in listed}
    held = Account(
        balances=tuple(Balance(asset=a, amount=x) for a, x in balances.items()),
        positions=tuple(Position(symbol=s, quantity=q, entry=e) for s, q, e in positions),
        orders=tuple(Order(symbol=s, quantity=q, price=p) for s, q, p in orders),
    )
    found = assess(held, market_of(listed, marks, index, **more), BOOKS[book])
    assert found.issues == ()
    return found


def codes(found, *levels):
    return {n.code for level in levels for _, n in found.explain(level).walk() if n.code}


@pytest.mark.parametrize(("book", "code", "token", "asset", "debt"), TOKENS, ids=lambda x: str(x))
def test_weights_of_a_token(book, code, token, asset, debt):
    totals = {"deposits": {token: 1.0}, "borrows": {token: 1.0}}
    for amount, weights in ((0.001, asset), (-0.001, debt)):
        found = ask(book, {token: amount}, **totals)
        (pool,) = found.pools
        initial, maintenance = (
            (pool.margin_balance - asked) / pool.equity for asked in (pool.initial, pool.maintenance)
        )
        assert (initial, maintenance) == pytest.approx(weights, rel=1e-9)
        assert weights[0] == 1.0 or code in codes(found, "initial", "maintenance")


@pytest.mark.parametrize(("book", "token", "size", "weight"), SIZED)
def test_a_large_deposit_counts_less(book, token, size, weight):
    (pool,) = ask(book, {token: size}, deposits={token: 1.0}, borrows={token: 1.0}).pools
    assert (pool.margin_balance - pool.initial) / pool.equity == pytest.approx(weight)


@pytest.mark.parametrize(("book", "token", "start"), SCALED)
def test_a_crowded_token_counts_less_and_costs_more_for_new_risk(book, token, start):
    price = 100.0 if token in ("SOL", "ETH") else 2.0
    totals = {name: {token: 2 * start / price} for name in ("deposits", "borrows")}
    for amount, share in ((0.01, 0.5), (-0.01, 2.0)):
        (pool,) = ask(book, {token: amount}, **totals).pools
        (plain,) = ask(book, {token: amount}, deposits={token: 1.0}, borrows={token: 1.0}).pools
        crowded, alone = ((p.margin_balance - p.initial) for p in (pool, plain))
        assert crowded == pytest.approx(share * alone)
        assert pool.maintenance == plain.maintenance


def test_drift_as_a_whole():
    # A position of 1,000 at a gain of 100 that counts for maintenance only, two orders of which the bid adds 500.
    orders = (("SOL-PERP", 5.0, 90.0), ("SOL-PERP", -1.0, 110.0))
    found = ask(
        "drift.v2", {"USDC": 1_000.0, "SOL": -1.0}, [("SOL-PERP", 10.0, 90.0)], orders, slow={"SOL": 120.0}
    )
    (pool,) = found.pools
    assert pool.equity == 1_000.0 - 100.0 + 100.0
    assert pool.initial == pytest.approx(0.1 * 1_500 + 100 + 120 * 1.2 - 100 + 0.02)
    assert pool.maintenance == pytest.approx(0.05 * 1_500 + 10 + 0.02)
    assert pool.liquidation_end == pytest.approx(pool.maintenance + 0.02 * (1_500 + 100))
    wanted = {
        "DRIFT-V2-ACCOUNT-001",
        "DRIFT-V2-HEALTH-001",
        "DRIFT-V2-ORDERS-001",
        "DRIFT-V2-END-001",
        "DRIFT-V2-TOKEN-002",
        "DRIFT-V2-PERPETUAL-001",
        "DRIFT-V2-GAINS-001",
    }
    assert wanted <= codes(found, "initial", "liquidation-end")
    # DRIFT-V2-SLOW-001: the debt at 120 instead of 100, for initial only
    assert BOOKS["drift.v2"].portfolio.slow.code == "DRIFT-V2-SLOW-001"


def test_a_perpetual_whose_ratio_is_not_known_names_the_gap():
    held = Account(positions=(Position(symbol="BTC-PERP", quantity=1.0, entry=100.0),))
    listed = contract("BTC")
    found = assess(held, market_of((listed,), {"BTC-PERP": 100.0}, {"USDC": 1.0}), BOOKS["drift.v2"])
    (issue,) = found.issues
    assert issue.reason is Reason.NO_RULE
    assert "DRIFT-V2-GAP-002" in issue.message


def test_mango_as_a_whole():
    # 10 BTC from 60 to 100, slow price 90: 400 of profit, of which margin and slow price leave 400 - 45 - 100 = 255.
    found = ask("mango.v4", {"USDC": -50.0}, [("BTC-PERP", 10.0, 60.0)], slow={"BTC-PERP": 90.0})
    (pool,) = found.pools
    init, maint, end = (
        pool.margin_balance - asked for asked in (pool.initial, pool.maintenance, pool.liquidation_end)
    )
    assert init == pytest.approx(-50 + 0.9 * (400 - 100 - 0.05 * 900))
    assert maint == pytest.approx(-50 + 0.95 * (400 - 0.025 * 1_000))
    assert end == pytest.approx(-50 + 0.9 * (400 - 0.05 * 1_000))
    wanted = {"MANGO-V4-ACCOUNT-001", "MANGO-V4-HEALTH-001", "MANGO-V4-PERPETUAL-001", "MANGO-V4-GAINS-001"}
    assert wanted | {"MANGO-V4-SLOW-001"} <= codes(found, "initial")
    # MANGO-V4-END-001 is the level of initial weights at the oracle price.
    # MANGO-V4-ORDERS-001: 500 USDC bid 5 SOL, of which 0.8 counts.
    found = ask(
        "mango.v4",
        {"USDC": 500.0},
        orders=[("SOL/USDC", 5.0, 100.0)],
        deposits={"SOL": 1.0},
        borrows={"SOL": 1.0},
    )
    assert found.pools[0].initial == pytest.approx(100)
    assert "MANGO-V4-ORDERS-001" in codes(found, "initial")


@pytest.mark.parametrize(
    ("base", "code", "gains", "initial", "factor"),
    [
        ("BTC", "EXAMPLE-WEIGHTED-PERPETUAL-001", "EXAMPLE-WEIGHTED-GAINS-001", 0.05, 0.005),
        ("ETH", "EXAMPLE-WEIGHTED-PERPETUAL-002", "EXAMPLE-WEIGHTED-GAINS-002", 0.05, 0.002),
        ("SOL", "EXAMPLE-WEIGHTED-PERPETUAL-003", "EXAMPLE-WEIGHTED-GAINS-003", 0.1, 0.0005),
    ],
)
def test_the_made_rulebook(base, code, gains, initial, factor):
    for size in (1.0, 1e6):
        found = ask("example.weighted", {"USDC": 1e9}, [(f"{base}-PERP", size, 90.0)])
        rate = max(initial, 0.8 * initial + factor * size**0.5)
        counted = min(100.0, 10 * size * min(0.5, 1.1 / (1 + 0.001 * (10 * size) ** 0.5)))
        assert found.pools[0].initial == pytest.approx(rate * size * 100 + 10 * size - counted)
        assert {code, gains, "EXAMPLE-WEIGHTED-ACCOUNT-001", "EXAMPLE-WEIGHTED-HEALTH-001"} <= codes(
            found, "initial"
        )
    orders = [(f"{base}-PERP", 1.0, 100.0)]
    found = ask("example.weighted", {"USDC": -1e3}, orders=orders, slow={"USDC": 1.1})
    assert "EXAMPLE-WEIGHTED-ORDERS-001" in codes(found, "maintenance")
    assert "EXAMPLE-WEIGHTED-END-001" in codes(found, "liquidation-end")
    # EXAMPLE-WEIGHTED-SLOW-001: the debt at 1.1 for initial
    assert found.pools[0].initial == pytest.approx(100 + 100 * initial * 1.1 + 0.01)
