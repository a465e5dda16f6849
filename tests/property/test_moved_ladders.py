"""Excess of pools margined by size at other prices, through the compiled kernels, is that of the calculation in NumPy."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from margrave.adapters.made_book import made_book, made_market
from margrave.domain.book import book_of
from margrave.engine.books.bounds import bounds_book
from margrave.liquidation.direction import underlyings_of
from margrave.liquidation.own_prices import curves_of
from margrave.margin.pooled import prepare_in
from margrave.margin.resolve import resolve
from margrave.rulebook.catalogue import in_force
from tests.unit import made_books

pytest.importorskip("numba")
from margrave.engine.books.moved_ladders import curves_of_ladders, lay_ladders, moved_ladders_of

RULES = {r.id: r for r in made_books.rulebooks()}
MARKET = made_market()
NAMES = [
    "aevo.standard", "binance.coinm", "binance.usdm", "bitmex.xbt", "bybit.inverse", "bybit.linear", "deribit.sm",
    "example.flat", "example.inverse", "gate.futures-flat1", "hyperliquid.perps", "kraken.futures",
    "made.schedule-0", "made.schedule-1", "made.schedule-2", "made.schedule-3", "made.schedule-4",
]  # fmt: skip
NAMES = [name for name in NAMES if name in RULES]
NUMBERS = ("price", "lower", "upper", "lower_exact", "upper_exact")


def moved_in(name, accounts):
    book, rulebook = book_of(accounts), RULES[name]
    resolved = resolve(book.symbols, book.assets, made_books.MARKET, rulebook)
    return book, resolved, moved_ladders_of(resolved)


def rows_of(prepared):
    """Pools that are known, and the assets that move each."""
    known = [k for k in range(len(prepared.pools.account)) if k not in prepared.issues]
    rows = [(k, a) for k in known for a in underlyings_of(prepared, k)]
    return tuple(np.array(rows, dtype=np.int64).reshape(-1, 2).T)


def test_most_rulebooks_of_ladders_are_served():
    served = []
    for name in NAMES:
        book, resolved, moved = moved_in(name, made_books.accounts(2, 20, RULES[name]))
        if moved is not None:
            prepared = prepare_in(resolved, book)
            pool, asset = rows_of(prepared)
            served += [name] * (
                len(curves_of_ladders(lay_ladders(moved, book, resolved), prepared, pool, asset)[0]) > 10
            )
    assert len(NAMES) > 12
    assert len(served) > 10, served


@settings(max_examples=25)
@example(578, "bybit.inverse")  # a size for which rates are published now, and at other prices not
@example(
    44_303, "binance.usdm"
)  # an instrument that nobody lists, in a pool by itself where accounts are laid out
@example(104, "made.schedule-3")  # an option worth next to nothing, whose delta still has a direction
@given(st.integers(0, 2**32 - 1), st.sampled_from(NAMES))
def test_excess_is_that_of_arrays_at_any_price(seed, name):
    dice = np.random.default_rng(seed)
    book, resolved, moved = moved_in(name, made_books.accounts(seed, 6, RULES[name]))
    if moved is None:
        return
    prepared = prepare_in(resolved, book)
    pool, asset = rows_of(prepared)
    served, curves = curves_of_ladders(lay_ladders(moved, book, resolved), prepared, pool, asset)
    if not len(served):
        return
    theirs = curves_of(resolved, prepared, pool[served], asset[served])
    middle = theirs.scan.shape[1] // 2
    size = np.abs(theirs.scan[:, [middle]]) + 1.0
    np.testing.assert_array_less(np.abs(curves.scan - theirs.scan)[:, middle] / size[:, 0], 1e-11)
    # Outward, as far as the excess is above zero, and the first place below it.
    below = theirs.scan < 0.0
    for side in (slice(middle, None), slice(middle, None, -1)):
        inner = np.cumsum(np.cumsum(below[:, side], axis=1), axis=1) <= 1
        apart = np.abs(curves.scan[:, side] - theirs.scan[:, side])
        assert (apart[inner] <= 1e-9 * np.maximum(np.abs(theirs.scan[:, side]), size)[inner]).all()
    row = dice.integers(0, len(served), 3 * len(served))
    at = dice.normal(0.0, 0.5, len(row))
    mine, others = curves.asking(row)(at), theirs.asking(row)(at)
    # In an account of numbers of any size rounding is as large as the largest of them.
    np.testing.assert_allclose(mine, others, rtol=1e-9, atol=1e-9 * size.max())


@pytest.mark.parametrize("name", ["example.flat", "example.inverse"])
def test_bounds_are_those_of_arrays(name):
    book, rulebook = made_book(150, 8, MARKET), in_force(name, MARKET.at)
    slow, quick = (bounds_book(book, MARKET, rulebook, compiled=compiled) for compiled in (False, True))
    parts = bounds_book(book, MARKET, rulebook, compiled=True, chunk=40, threads=2)
    for column in ("account", "pool", "asset", "instrument"):
        np.testing.assert_array_equal(getattr(quick, column), getattr(slow, column))
        np.testing.assert_array_equal(getattr(parts, column), getattr(quick, column))
    for column in NUMBERS:
        np.testing.assert_allclose(getattr(quick, column), getattr(slow, column), rtol=1e-12, err_msg=column)
        np.testing.assert_allclose(getattr(parts, column), getattr(quick, column), rtol=1e-13, err_msg=column)
    assert (~np.isnan(quick.lower_exact)).sum() > 50


@pytest.mark.parametrize("name", NAMES)
def test_bounds_of_made_accounts_are_those_of_arrays(name):
    book = book_of(made_books.accounts(5, 10, RULES[name]))
    slow, quick = (
        bounds_book(book, made_books.MARKET, RULES[name], compiled=compiled) for compiled in (False, True)
    )
    np.testing.assert_array_equal(quick.pool, slow.pool)
    for column in NUMBERS:
        np.testing.assert_allclose(getattr(quick, column), getattr(slow, column), rtol=1e-11, err_msg=column)


def test_a_great_many_questions_are_asked_in_parts(monkeypatch):
    from margrave.engine.books import moved_ladders

    book, resolved, moved = moved_in("example.inverse", made_books.accounts(3, 30, RULES["example.inverse"]))
    prepared = prepare_in(resolved, book)
    pool = np.flatnonzero(~np.isin(np.arange(len(prepared.pools.account)), list(prepared.issues)))
    served, curves = curves_of_ladders(
        lay_ladders(moved, book, resolved), prepared, pool, np.zeros_like(pool)
    )
    row = np.tile(np.arange(len(served)), 5)
    at = np.linspace(-0.3, 0.3, len(row))
    whole = curves.asking(row)(at)
    monkeypatch.setattr(moved_ladders, "_PAIRS", 7)
    np.testing.assert_array_equal(curves.asking(row)(at), whole)
    assert len(served) > 5
