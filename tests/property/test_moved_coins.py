"""Excess of pools at other prices through the compiled kernels is that of the calculation in NumPy, and so are their bounds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from margrave.adapters.made_book import made_book, made_market
from margrave.domain.book import book_of
from margrave.engine.books.bounds import bounds_book
from margrave.liquidation.many_search import Curves
from margrave.liquidation.own_prices import curves_of
from margrave.liquidation.search import grid
from margrave.margin.pooled import prepare_in
from margrave.margin.resolve import resolve
from margrave.rulebook.catalogue import in_force
from tests.unit import made_books

pytest.importorskip("numba")
from margrave.engine.books.moved_coins import curves_of_coins, lay_coins, moved_coins_of

RULES = {r.id: r for r in made_books.rulebooks()}
NAMES = ["deribit.spm", "deribit.xpm"]
MARKET = made_market()
NUMBERS = ("price", "lower", "upper", "lower_exact", "upper_exact")


def rows_of(book, market, rulebook):
    """Every pool along every asset, and what serves it."""
    resolved = resolve(book.symbols, book.assets, market, rulebook)
    moved = moved_coins_of(resolved, book.symbols)
    prepared = prepare_in(resolved, book)
    count = len(prepared.pools.account), len(prepared.table.assets)
    pool, asset = (column.ravel() for column in np.indices(count))
    known = ~np.isin(pool, list(prepared.issues))
    return (
        resolved,
        prepared,
        pool[known],
        asset[known],
        curves_of_coins(lay_coins(moved, book, resolved), prepared, pool[known], asset[known]),
    )


def assert_same_outward(mine, theirs):
    """The same excess from the prices of now out to the first place of the grid below zero."""
    middle = theirs.shape[1] // 2
    for side in (slice(middle, None), slice(middle, None, -1)):
        here, there = mine[:, side], theirs[:, side]
        inner = np.cumsum(np.cumsum(there < 0.0, axis=1), axis=1) <= 1
        size = np.maximum(np.abs(there), 1e-4 * np.abs(there[:, :1]))  # rounding is of what it is now
        assert (np.abs(here - there)[inner] <= 1e-9 * size[inner]).all()


@settings(max_examples=10)
@example(33_794_109, "deribit.xpm")  # cash in a coin on which nobody holds anything
@given(st.integers(0, 2**32 - 1), st.sampled_from(NAMES))
def test_excess_is_that_of_arrays_at_any_price(seed, name):
    dice, rulebook = np.random.default_rng(seed), RULES[name]
    book = book_of(made_books.accounts(seed, 6, rulebook))
    resolved, prepared, pool, asset, (served, curves) = rows_of(book, made_books.MARKET, rulebook)
    theirs = curves_of(resolved, prepared, pool[served], asset[served])
    assert_same_outward(curves.scan, theirs.scan)
    row = dice.integers(0, len(served), 3 * len(served)) if len(served) else np.zeros(0, dtype=int)
    at = dice.normal(0.0, 0.7, len(row))
    np.testing.assert_allclose(curves.asking(row)(at), theirs.asking(row)(at), rtol=1e-9, atol=1e-9)


def test_cash_in_a_coin_without_contracts_moves_with_it():
    # What accounts have of a coin moves with its price, whether anybody holds a contract on it or not.
    book = made_book(30, 8, MARKET)
    none = replace(book, quantity=0.0 * book.quantity)
    resolved, prepared, pool, asset, (served, curves) = rows_of(
        none, MARKET, in_force("deribit.xpm", MARKET.at)
    )
    theirs = curves_of(resolved, prepared, pool[served], asset[served])
    assert len(served) > 20
    assert_same_outward(curves.scan, theirs.scan)
    apart = np.abs(curves.scan[:, 200:210] / curves.scan[:, [200]] - 1.0)
    assert (apart > 1e-3).any(axis=1).sum() > 10


def test_one_price_asked_alone_is_that_of_the_scan():
    book = made_book(40, 3, MARKET)
    *_, (served, curves) = rows_of(book, MARKET, in_force("deribit.spm", MARKET.at))
    assert len(served) > 30
    at, middle = np.log(grid()), len(grid()) // 2
    seen = 0
    for place in (0, 90, 200, 260, 400):
        # Outward, a row is left once it is below zero.
        inner = slice(min(place + 1, middle), max(place, middle + 1))
        every = np.flatnonzero((curves.scan[:, inner] >= 0.0).all(axis=1))
        found = curves.asking(every)(np.full(len(every), at[place]))
        np.testing.assert_allclose(found, curves.scan[every, place], rtol=1e-12)
        seen += len(every)
    assert seen > 60


@pytest.mark.parametrize("name", NAMES)
def test_bounds_are_those_of_arrays(name):
    book, rulebook = made_book(60, 8, MARKET), in_force(name, MARKET.at)
    slow, quick = bounds_book(book, MARKET, rulebook), bounds_book(book, MARKET, rulebook, compiled=True)
    parts = bounds_book(book, MARKET, rulebook, compiled=True, chunk=11, threads=2)
    found = 0
    for name in ("account", "pool", "asset", "instrument"):
        np.testing.assert_array_equal(getattr(quick, name), getattr(slow, name))
        np.testing.assert_array_equal(getattr(parts, name), getattr(quick, name))
    for name in NUMBERS:
        np.testing.assert_allclose(getattr(quick, name), getattr(slow, name), rtol=1e-12, err_msg=name)
        np.testing.assert_array_equal(getattr(parts, name), getattr(quick, name))
        found += int((~np.isnan(getattr(quick, name))).sum())
    assert found > 130


@pytest.mark.parametrize("name", NAMES)
def test_accounts_with_isolated_positions_are_searched_in_arrays(name):
    book, rulebook = made_book(12, 8, MARKET), in_force(name, MARKET.at)
    book = replace(book, is_isolated=book.account % 4 == 0)
    slow, quick = (bounds_book(book, MARKET, rulebook, compiled=compiled) for compiled in (False, True))
    *_, pool, asset, (served, _) = rows_of(book, MARKET, rulebook)
    rows = set(zip(pool[served].tolist(), asset[served].tolist(), strict=True))
    assert 0 < len(rows & set(zip(slow.pool.tolist(), slow.asset.tolist(), strict=True))) < len(slow.pool)
    for column in NUMBERS:
        np.testing.assert_allclose(getattr(quick, column), getattr(slow, column), rtol=1e-12, err_msg=column)


def test_what_is_not_served_is_searched_in_arrays():
    # Accounts that hold what is unknown, contracts of other coins.
    rulebook = RULES["deribit.spm"]
    book = book_of(made_books.accounts(21, 10, rulebook))
    slow, quick = (
        bounds_book(book, made_books.MARKET, rulebook, compiled=compiled) for compiled in (False, True)
    )
    *_, pool, asset, (served, curves) = rows_of(book, made_books.MARKET, rulebook)
    rows = {(int(pool[row]), int(asset[row])): place for place, row in enumerate(served)}
    assert (
        0 < len(set(zip(slow.pool.tolist(), slow.asset.tolist(), strict=True)) & set(rows)) < len(slow.pool)
    )
    for side in ("lower_exact", "upper_exact"):
        here, there = getattr(quick, side), getattr(slow, side)
        np.testing.assert_array_equal(np.isnan(here), np.isnan(there))
        for row in np.flatnonzero(np.abs(here / there - 1.0) > 1e-12).tolist():
            # Where the excess is so flat that its rounding has a wide say, both have to be inside of it.
            place = rows[int(slow.pool[row]), int(slow.asset[row])]
            at = np.log(np.array([here[row], there[row]]) / slow.price[row])
            depth = np.abs(curves.asking(np.array([place, place]))(at))
            assert (depth <= 1e-13 * np.abs(curves.scan[place]).max()).all()


def test_a_rulebook_without_a_compiled_form_is_searched_in_arrays():
    rulebook = RULES["paradex.pm"]
    book = book_of(made_books.accounts(4, 2, rulebook))
    slow, quick = (
        bounds_book(book, made_books.MARKET, rulebook, compiled=compiled) for compiled in (False, True)
    )
    np.testing.assert_array_equal(quick.lower, slow.lower)
    none = bounds_book(book_of(()), MARKET, in_force("deribit.spm", MARKET.at), compiled=True)
    assert len(none.pool) == 0


def test_cash_alone_has_no_bounds_and_a_coin_without_contracts_moves_what_is_had():
    book = made_book(30, 8, MARKET)
    none = replace(book, quantity=0.0 * book.quantity)
    assert len(bounds_book(none, MARKET, in_force("deribit.spm", MARKET.at), compiled=True).pool) == 0
    assert isinstance(rows_of(none, MARKET, in_force("deribit.xpm", MARKET.at))[-1][1], Curves)
