"""Liquidation prices of many pools at once are those that each pool has alone, under every model."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.core.words import MAINTENANCE
from margrave.domain.book import book_of
from margrave.liquidation import many
from margrave.liquidation.bounds import Bound, PoolLiquidation
from margrave.liquidation.direction import Excess, direction_of, positions_of, underlyings_of
from margrave.liquidation.many import bounds_of_pools
from margrave.liquidation.many_closed import closed_rows
from margrave.liquidation.pool import liquidation_along
from margrave.margin.pooled import prepare
from margrave.margin.resolve import resolve
from tests.unit import made_books

RULES = {r.id: r for r in made_books.rulebooks()}
QUICK = [
    "binance.usdm", "binance.coinm", "bitmex.xbt", "bybit.uta", "deribit.sm", "example.inverse", "example.unified",
    "hyperliquid.perps", "made.schedule-0", "made.schedule-1", "made.schedule-2", "made.schedule-3", "made.schedule-4",
    "made.netting-larger-leg", "made.netting-larger-side", "made.strategies", "okx.options-k1",
]  # fmt: skip
SEARCHED_LONG = ["deribit.spm", "deribit.xpm", "derive.pmrm2", "paradex.pm", "made.correlation", "okx.pm"]
TOLERANCE = 1e-12


def alone(prepared, pool, asset):
    direction = direction_of(prepared, pool, (asset,), prepared.table.assets[asset])
    return direction, liquidation_along(prepared, direction)


def assert_same(rulebook, accounts):
    """Nearest bounds of both kinds, by row; gives how many there are."""
    book = book_of(accounts)
    found = bounds_of_pools(resolve(book.symbols, book.assets, made_books.MARKET, rulebook), book)
    prepared = prepare(book, made_books.MARKET, rulebook)
    count = 0
    for row in range(len(found.pool)):
        direction, answer = alone(prepared, int(found.pool[row]), int(found.asset[row]))
        assert found.price[row] == direction.price
        for side, exact, price in (
            ("down", found.lower_exact[row], found.lower[row]),
            ("up", found.upper_exact[row], found.upper[row]),
        ):
            bound = next((b for b in answer.bounds if b.side == side), None)
            if bound is None:
                assert np.isnan(exact), (rulebook.id, row, side)
                continue
            count += 1
            near = abs(exact / bound.exact - 1.0) <= TOLERANCE
            assert near or is_a_zero(prepared, direction, exact / direction.price), (rulebook.id, row, side)
            assert price == pytest.approx(bound.price, rel=TOLERANCE) or not near
    return count


def is_a_zero(prepared, direction, factor):
    # Where the excess is so flat that its rounding has a wide say, both have to be inside of it.
    excess = Excess(prepared, direction, MAINTENANCE)
    scale = np.abs(excess(np.array([0.9, 1.0, 1.1]))).max()
    return abs(excess(np.array([factor]))[0]) <= 1e-13 * scale


@pytest.mark.parametrize("name", QUICK)
def test_all_at_once_is_one_by_one(name):
    assert (
        assert_same(RULES[name], made_books.accounts(5, 3 if name.startswith("made") else 6, RULES[name])) > 0
    )


@pytest.mark.parametrize("name", ["deribit.spm", "paradex.pm"])
def test_a_pool_of_portfolio_margin_has_prices_of_its_own(name):
    accounts = [a for a in made_books.accounts(5, 12, RULES[name]) if 1 < len(a.positions) < 6 and a.orders][
        :1
    ]
    assert accounts
    assert_same(RULES[name], accounts)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHED_LONG)
def test_all_at_once_is_one_by_one_under_portfolio_margin(name):
    assert_same(RULES[name], made_books.accounts(5, 3, RULES[name]))


@settings(max_examples=12)
@given(st.integers(0, 2**32 - 1), st.sampled_from(QUICK))
def test_no_seed_tells_them_apart(seed, name):
    assert_same(RULES[name], made_books.accounts(seed, 1, RULES[name]))


LADDERS = ["binance.usdm", "binance.coinm", "bybit.linear", "example.flat", "example.inverse", "hyperliquid.perps",
           "kraken.futures", "bitmex.xbt", "gate.futures-flat1", "coinbase.intx-default"]  # fmt: skip


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from(LADDERS))
def test_the_formula_of_one_position_is_the_search(seed, name):
    # Isolated positions of every size against the search of all pools, which knows no formula.
    rulebook = RULES[name]
    book = book_of(made_books.accounts(seed, 12, rulebook))
    book = replace(book, is_isolated=np.ones(len(book.account), dtype=np.bool_))
    resolved = resolve(book.symbols, book.assets, made_books.MARKET, rulebook)
    found = bounds_of_pools(resolved, book)
    prepared = prepare(book, made_books.MARKET, rulebook)
    known, factor = closed_rows(prepared, found.pool, found.asset)
    pool, asset = found.pool[known], found.asset[known]
    searched = np.array(many.searched(resolved, prepared, pool, asset)) if known.any() else factor[:, known]
    np.testing.assert_array_equal(np.isnan(factor[:, known]), np.isnan(searched))
    np.testing.assert_allclose(factor[:, known], searched, rtol=TOLERANCE)


def test_a_futures_venue_has_formulas_throughout():
    book = book_of(made_books.accounts(1, 12, RULES["binance.usdm"]))
    book = replace(book, is_isolated=np.ones(len(book.account), dtype=np.bool_))
    resolved = resolve(book.symbols, book.assets, made_books.MARKET, RULES["binance.usdm"])
    found = bounds_of_pools(resolved, book)
    known, factor = closed_rows(
        prepare(book, made_books.MARKET, RULES["binance.usdm"]), found.pool, found.asset
    )
    assert known.all()
    assert (~np.isnan(factor)).sum() > 10
    np.testing.assert_array_equal(factor[0] * found.price, found.lower_exact)


def test_models_of_one_pool_are_asked_one_pool_at_a_time(monkeypatch):
    rulebook, asked = RULES["made.ranges"], []

    def answer(prepared, direction):
        asked.append((direction.pool, *direction.assets))
        down = Bound("down", 1.0, 1.0, 0.5, -0.5, None, None, "test", "root")
        return PoolLiquidation("", "", (down, replace(down, factor=0.25)), None, ())

    monkeypatch.setattr(many, "liquidation_along", answer)
    book = book_of(made_books.accounts(8, 12, rulebook))
    found = bounds_of_pools(resolve(book.symbols, book.assets, made_books.MARKET, rulebook), book)
    assert asked == list(zip(found.pool.tolist(), found.asset.tolist(), strict=True)) != []
    np.testing.assert_array_equal(found.lower_exact, 0.5 * found.price)
    assert np.isnan(found.upper_exact).all()


def test_rows_are_the_underlyings_of_known_pools():
    rulebook = RULES["bybit.uta"]
    book = book_of(made_books.accounts(3, 10, rulebook))
    found = bounds_of_pools(resolve(book.symbols, book.assets, made_books.MARKET, rulebook), book)
    prepared = prepare(book, made_books.MARKET, rulebook)
    held = [
        (pool, asset)
        for pool in range(len(prepared.pools.account))
        if pool not in prepared.issues and positions_of(prepared, pool).size
        for asset in underlyings_of(prepared, pool)
    ]
    assert len(held) > 10
    assert sorted(zip(found.pool.tolist(), found.asset.tolist(), strict=True)) == sorted(held)
