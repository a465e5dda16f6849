"""Weighted collateral through `assess` is the protocols' health: against the exact twins, alone and in a book."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.domain.account import Account, Balance, Order, Position
from margrave.domain.book import book_of
from margrave.engine.assess import assess
from margrave.engine.books.venue import assess_book
from margrave.liquidation.direction import directions_of, excess_of, factors, pooled_at
from margrave.liquidation.pool import liquidation_along
from margrave.margin.pooled import prepare
from margrave.margin.requirement import discrepancy
from margrave.protocols import mango
from margrave.protocols.drift import WEIGHT, Levels, MarginType, PerpMarket, SpotMarket
from margrave.protocols.drift_account import Margin, account_margin
from margrave.protocols.drift_positions import (
    Context,
    DriftAccount,
    PerpPosition,
    QuoteBalance,
    SpotPosition,
    worst_fill,
)
from tests.unit import made_books
from tests.unit.health_made import drift_book, mango_book

IMF = st.sampled_from([0, 0, 1, 300, 3_000, 105_000])
PRICES = st.integers(10**3, 10**11)
NEAR_ONE = st.integers(900_000, 1_100_000)


@st.composite
def ordered(draw, low: int, high: int) -> tuple[int, int]:
    first, second = draw(st.integers(low, high)), draw(st.integers(low, high))
    return max(first, second), min(first, second)


def near(draw, price: int) -> int | None:
    return draw(st.none() | st.integers(max(1, price * 7 // 10), price * 13 // 10 + 1))


@st.composite
def spots(draw, name: str) -> SpotPosition:
    price, decimals = draw(PRICES), draw(st.sampled_from([6, 9]))
    asset, liability = draw(ordered(0, WEIGHT)), draw(ordered(WEIGHT, 2 * WEIGHT))
    market = SpotMarket(
        name,
        decimals,
        price,
        Levels(*asset[::-1]),
        Levels(*liability),
        draw(IMF),
        near(draw, price),
        draw(st.sampled_from([0, 10**10, 10**14])),
        draw(st.integers(0, 10**16)),
    )
    amount = draw(st.integers(-(10**12), 10**12))
    bids, asks = draw(st.integers(0, 10**12)), draw(st.integers(-(10**12), 0))
    count = draw(st.integers(0, 3)) + bool(bids) + bool(asks) if bids or asks else 0
    return SpotPosition(market, amount, bids, asks, count)


@st.composite
def perps(draw, name: str) -> PerpPosition:
    price, ratio, share = draw(PRICES), draw(ordered(1, WEIGHT)), draw(ordered(0, WEIGHT))
    market = PerpMarket(
        name, price, Levels(*ratio), imf=draw(IMF), pnl_weight=Levels(*share[::-1]), pnl_imf=draw(IMF)
    )
    base = 10**7 * draw(st.integers(-(10**5), 10**5))
    entry = draw(st.integers(max(1, price // 2), 2 * price))
    bids, asks = draw(st.integers(0, 10**12)), draw(st.integers(-(10**12), 0))
    count = bool(bids) + bool(asks)
    own = draw(st.sampled_from([0, 0, 1_000, 5_000]))
    alone = draw(st.none() | st.integers(0, 10**10)) if not (bids or asks) and base else None
    quote = -(base * entry // 10**9)
    return PerpPosition(
        market, base, quote, bids, asks, count, ratio=own if base else 0, isolated_deposit=alone
    )


@st.composite
def drift_accounts(draw) -> DriftAccount:
    quote = QuoteBalance(draw(st.integers(-(10**12), 10**12)), draw(NEAR_ONE), draw(st.none() | NEAR_ONE))
    tokens = tuple(draw(spots(f"T{n}")) for n in range(draw(st.integers(0, 2))))
    held = tuple(draw(perps(f"P{n}")) for n in range(draw(st.integers(0, 2))))
    return DriftAccount(quote, tokens, held)


def rounding(account: DriftAccount, margin: Margin, scale: float = 1.0) -> float:
    """What the chain may cut: some units of 1e-6 a part, and two of 1e-4 of each weight that a size moves."""
    moved = any(s.market.imf for s in account.spots)
    moved = moved or any(p.market.imf or p.market.pnl_imf for p in account.perps)
    scaled = moved or any(s.market.scale_start for s in account.spots)
    value = sum(abs(part.value) / 1e6 for part in margin.parts)
    return scale * (1e-4 + 1e-12 * value + (3e-4 * value if scaled else 0.0)) + 2e-6 * len(margin.parts)


def ties(account: DriftAccount) -> float:
    """What the buffer may differ by where two fills are equally bad but for the last unit: which one is chosen then."""
    slack, context = 0.0, Context(MarginType.MAINTENANCE)
    for position in account.spots:
        sides = [worst_fill(replace(position, **{other: 0}), context) for other in ("asks", "bids")]
        if abs(sides[0].contribution - sides[1].contribution) <= 10:
            slack += 0.02 * sum(abs(fill.value) + abs(fill.cash) for fill in sides) / 1e6
    return slack


@given(drift_accounts())
def test_a_drift_account_is_its_exact_twin(account):
    held, market, rulebook = drift_book(account)
    found = assess(held, market, rulebook)
    assert found.issues == ()
    twin = {
        "initial": account_margin(account, Context(MarginType.INITIAL, strict=True)),
        "maintenance": account_margin(account, Context(MarginType.MAINTENANCE)),
        "liquidation_end": account_margin(account, Context(MarginType.MAINTENANCE, buffer=200)),
    }
    usdc = market.index["USDC"]
    isolated = [n for n, p in enumerate(account.perps) if p.isolated_deposit is not None]
    for name, margins in twin.items():
        pools = {pool.name: pool for pool in found.pools}
        wanted = [("cross USD", margins.cross, 1.0)]
        wanted += [(f"isolated P{n}-PERP", margins.isolated[n], usdc) for n in isolated]
        for pool, margin, unit in wanted:
            of = pools[pool]
            exact = (margin.collateral_with_buffer - margin.requirement_with_buffer) / 1e6
            health = (of.margin_balance - getattr(of, name)) * unit
            # The cap of gains is 100 of the pool's currency, which is the token itself where a pool is isolated.
            slack = abs(unit - 1.0) * 100.0 + (ties(account) if name == "liquidation_end" else 0.0)
            assert health == pytest.approx(exact, abs=rounding(account, margin) + slack, rel=1e-12)
            assert getattr(of, name) >= -1e-9 * (1.0 + abs(of.margin_balance))


@st.composite
def weights(draw) -> mango.Weights:
    return mango.Weights(draw(st.floats(0.0, 1.0)), draw(st.floats(1.0, 2.0)))


@st.composite
def weight_levels(draw) -> tuple[mango.Weights, mango.Weights]:
    one, two = draw(weights()), draw(weights())
    first = mango.Weights(min(one.asset, two.asset), max(one.liability, two.liability))
    return first, mango.Weights(max(one.asset, two.asset), min(one.liability, two.liability))


AMOUNTS = st.floats(-1e6, 1e6).map(lambda x: round(x, 6))
SIZES = st.floats(0.0, 1e5).map(lambda x: round(x, 6))
NUMBERS = st.floats(0.01, 1e3).map(lambda x: round(x, 4))
STARTS = st.sampled_from([float("inf"), 1e3, 1e6])


@st.composite
def snapshots(draw) -> mango.Snapshot:
    tokens, orders, held = [], [], []
    for n in range(draw(st.integers(1, 3))):
        init, maint = draw(weight_levels())
        price = draw(NUMBERS)
        stable = draw(st.none() | st.floats(0.7, 1.3).map(lambda x, p=price: p * x))
        tokens.append(
            mango.Token(
                f"T{n}",
                draw(AMOUNTS),
                price,
                init,
                maint,
                stable,
                draw(SIZES),
                draw(SIZES),
                draw(STARTS),
                draw(STARTS),
            )
        )
    for n in range(1, len(tokens)):
        orders.append(
            mango.Orders(
                f"T{n}", "T0", draw(SIZES), draw(SIZES), draw(st.none() | NUMBERS), draw(st.none() | NUMBERS)
            )
        )
    for n in range(draw(st.integers(0, 2))):
        init, maint = draw(weight_levels())
        share = sorted(draw(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0))))
        price, lots = draw(NUMBERS), draw(st.integers(-1000, 1000))
        quote = -lots * 10.0 * draw(NUMBERS)
        stable = draw(st.none() | st.floats(0.7, 1.3).map(lambda x, p=price: p * x))
        bids, asks = draw(st.integers(0, 500)), draw(st.integers(0, 500))
        held.append(
            mango.Perp(f"P{n}", "T0", price, lots, quote, init, maint, *share, 10.0, bids, asks, stable)
        )
    return mango.Snapshot(tuple(tokens), tuple(orders), tuple(held))


@given(snapshots())
def test_a_mango_account_is_its_exact_twin_in_all_three_healths(snapshot):
    held, market, rulebook = mango_book(snapshot)
    (pool,) = assess(held, market, rulebook).pools
    assert pool.issues == ()
    kinds = {
        "initial": mango.Health.INIT,
        "maintenance": mango.Health.MAINT,
        "liquidation_end": mango.Health.LIQUIDATION_END,
    }
    size = sum(abs(b.amount) * market.index[b.asset] for b in held.balances)
    size += sum(abs(p.quantity) * 10.0 * (p.entry + market.quotes[p.symbol].mark) for p in held.positions)
    for name, kind in kinds.items():
        exact, parts = mango.health(snapshot, kind), mango.assets_and_debts(snapshot, kind)
        scale = 1.0 + size + parts.assets + parts.debts
        assert pool.margin_balance - getattr(pool, name) == pytest.approx(exact, abs=1e-11 * scale)


def books():
    return st.one_of(drift_accounts().map(drift_book), snapshots().map(mango_book))


@given(books())
def test_the_tree_gives_back_every_level(made):
    found = assess(*made)
    for k, pool in enumerate(found.pools):
        for level in ("initial", "maintenance", "liquidation-end"):
            tree = found.explain(level, k)
            wanted = getattr(pool, level.replace("-", "_"))
            assert tree.amount == pytest.approx(wanted, rel=1e-9, abs=1e-9 * (1.0 + abs(pool.equity)))
            assert discrepancy(tree) < 1e-9


@settings(max_examples=25)
@given(books(), st.integers(1, 3))
def test_a_book_gives_what_its_accounts_give_alone(made, chunk):
    account, market, rulebook = made
    halves = (
        Account(name="a", balances=account.balances, positions=account.positions),
        Account(name="b", orders=account.orders, positions=account.positions),
        Account(name="c", balances=account.balances, orders=account.orders),
    )
    found = assess_book(book_of(halves), market, rulebook, chunk=chunk)
    alone = [(row, pool) for row, one in enumerate(halves) for pool in assess(one, market, rulebook).pools]
    assert found.pools.account.tolist() == [row for row, _ in alone]
    for name in ("equity", "margin_balance", "initial", "maintenance"):
        one = np.array([getattr(pool, name) for _, pool in alone])
        np.testing.assert_array_equal(getattr(found.pools, name), one, err_msg=name)


def solvent(seed: int) -> Account:
    """A made account that is far enough from its liquidation to have one."""
    dice = np.random.default_rng(seed)
    sides = dice.choice((-1.0, 1.0), 2)
    held = [("SOLUSDC", 100.0 * sides[0] * dice.uniform(10.0, 100.0), 150.0)]
    held += [("BTCUSDC", 100.0 * sides[1] * dice.uniform(0.01, 0.2), 60_000.0)] if seed % 2 else []
    return Account(
        balances=(
            Balance(asset="USDC", amount=float(dice.uniform(-1.0, 3.0) * 1e3)),
            Balance(asset="SOL", amount=float(dice.uniform(10.0, 60.0))),
        ),
        positions=tuple(
            Position(symbol=s, quantity=float(q), entry=float(e * dice.uniform(0.9, 1.1))) for s, q, e in held
        ),
        orders=(Order(symbol=held[0][0], quantity=float(dice.uniform(-2e3, 2e3)), price=100.0),),
    )


@pytest.mark.parametrize(
    ("name", "bases"), [("drift.v2", "SOL"), ("mango.v4", "BTC"), ("example.weighted", "SOL BTC")]
)
def test_a_liquidation_price_leaves_no_excess(name, bases):
    rulebook = next(book for book in made_books.rulebooks() if book.id == name)
    seen = 0
    for seed in range(12):
        account = solvent(seed)
        kept = [tuple(x for x in xs if x.symbol[:3] in bases) for xs in (account.positions, account.orders)]
        account = replace(account, positions=kept[0], orders=kept[1])
        prepared = prepare(book_of((account,)), made_books.MARKET, rulebook)
        assert prepared.issues == {}
        for along in directions_of(prepared, 0):
            for bound in liquidation_along(prepared, along).bounds:
                pooled = pooled_at(prepared, factors(prepared, along, np.array([bound.factor])))
                scale = abs(pooled.margin_balance[0, 0]) + abs(pooled.maintenance[0, 0])
                assert abs(excess_of(prepared, pooled)[0, 0]) <= 1e-9 * scale
                seen += 1
    assert seen >= 6
