"""Books margined by size through the compiled kernel beside the calculation in NumPy: margins to the last digit."""

from dataclasses import fields, replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from margrave.core import rounding
from margrave.core.rounding import Direction, Step, last_digits, makes_whole, round_all
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Order, Position
from margrave.domain.book import account_of, book_of
from margrave.domain.instruments import Option
from margrave.engine.books.compiled_path import assess_kept, keep
from margrave.engine.books.ladder_swept import is_by_size
from margrave.engine.books.venue import assess_book
from margrave.engine.live.events import Deposited, Input, Tick
from margrave.engine.live.venue import advance, audited, started
from margrave.kernels.compiled import ladder_steps
from margrave.kernels.compiled.ladder_steps import on_step
from margrave.rulebook.schema import OrderRule
from tests.unit import made_books

RULES = [r for r in made_books.rulebooks() if is_by_size(r)]
MARKET = made_books.MARKET


def same(book, market, rulebook, **options):
    plain = assess_book(book, market, rulebook)
    quick = assess_book(book, market, rulebook, compiled=True, **options)
    exact = ("account", "currency", "instrument", "equity", "margin_balance", "order_margin")
    for name in exact:
        np.testing.assert_array_equal(getattr(quick.pools, name), getattr(plain.pools, name), name)
    # A multiplier may differ in the digits of a logarithm; everything else is the same.
    close = 1e-12 if rulebook.schedules else 0.0
    asked = {
        name: (getattr(quick.pools, name), getattr(plain.pools, name)) for name in ("initial", "maintenance")
    }
    near = np.zeros(len(plain.pools.account), dtype=np.bool_)
    for name, (mine, theirs) in asked.items():
        np.testing.assert_allclose(mine, theirs, rtol=close, atol=0.0, equal_nan=True, err_msg=name)
        near |= np.abs(plain.pools.margin_balance - theirs) <= close * theirs
    near &= close > 0.0
    np.testing.assert_array_equal(quick.pools.status[~near], plain.pools.status[~near])
    assert quick.issues == plain.issues
    return quick


def answered_by_numpy(found):
    assert not any("NumPy answered" in note for note in found.notes)
    note = next((note for note in found.notes if "answered by NumPy" in note), "0 of 0")
    return int(note.split(" of ")[0].replace(",", ""))


@pytest.mark.parametrize("rulebook", RULES, ids=lambda r: r.id)
@pytest.mark.parametrize("threads", [1, 2])
def test_random_accounts_of_every_kind(rulebook, threads):
    """Isolated and cross, with orders, leverage, options and what nobody knows, under every rulebook of the kind."""
    book = book_of(made_books.accounts(17, 300, rulebook))
    same(book, MARKET, rulebook, threads=threads)


def venue(name):
    return next(rulebook for rulebook in RULES if rulebook.id == name)


@cache
def listed(name):
    """Futures that a rulebook margins by size and the market quotes."""
    held = {p.symbol for a in made_books.accounts(3, 400, venue(name)) for p in a.positions}
    quoted = sorted(held & set(MARKET.quotes) & set(MARKET.instruments))
    return [symbol for symbol in quoted if not isinstance(MARKET.instruments[symbol].kind, Option)]


@st.composite
def plain_accounts(draw, name):
    symbols = listed(name)
    held = []
    for symbol in draw(st.lists(st.sampled_from(symbols), max_size=6, unique=True)):
        isolated = draw(st.booleans())
        held.append(
            Position(
                symbol=symbol,
                quantity=draw(st.integers(-50_000, 50_000)) * draw(st.sampled_from((1.0, 0.001))),
                entry=round(MARKET.quotes[symbol].mark * draw(st.floats(0.6, 1.5)) + 0.01, 2),
                leverage=draw(st.sampled_from((None, 1.0, 3.0, 10.0, 50.0))),
                mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
                isolated_margin=draw(st.sampled_from((None, 0.0, 12.5))) if isolated else None,
            )
        )
    cash = tuple(
        Balance(asset=asset, amount=draw(st.floats(-1e3, 1e4)))
        for asset in draw(st.lists(st.sampled_from(("BTC", "ETH", "USDT")), max_size=2, unique=True))
    )
    orders = [
        Order(
            symbol=symbol,
            quantity=draw(st.sampled_from((-1.0, 1.0))) * draw(st.integers(1, 5_000)),
            price=round(MARKET.quotes[symbol].mark * draw(st.floats(0.8, 1.2)) + 0.01, 2),
            leverage=draw(st.sampled_from((None, 2.0, 20.0))),
            reduce_only=draw(st.booleans()),
        )
        for symbol in draw(st.lists(st.sampled_from(symbols[:6]), max_size=8))
    ]
    return Account(balances=cash, positions=tuple(held), orders=tuple(orders))


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(
        (
            "binance.usdm",
            "binance.coinm",
            "bybit.linear",
            "bybit.inverse",
            "kraken.futures",
            "example.inverse",
        )
    ).flatmap(lambda name: st.tuples(st.just(name), st.lists(plain_accounts(name), min_size=1, max_size=4)))
)
def test_accounts_with_orders_are_served_by_the_kernel(named):
    name, held = named
    book = book_of([replace(account, name=f"A{row}") for row, account in enumerate(held)])
    found = same(book, MARKET, venue(name))
    if not found.issues:
        assert answered_by_numpy(found) == 0


@pytest.mark.parametrize("name", ["binance.usdm", "binance.coinm", "hyperliquid.perps"])
def test_an_account_alone_has_the_bytes_that_it_has_in_its_book(name):
    rulebook = venue(name)
    book = book_of(made_books.accounts(23, 120, rulebook))
    whole = assess_book(book, MARKET, rulebook, compiled=True, threads=2).pools
    for row in range(0, 120, 11):
        alone = assess_book(book_of([account_of(book, row)]), MARKET, rulebook, compiled=True).pools
        for one in ("equity", "initial", "maintenance", "status"):
            assert getattr(whole, one)[whole.account == row].tobytes() == getattr(alone, one).tobytes()


def test_open_orders_count_at_their_worst_fill_and_those_that_reduce_do_not():
    rulebook = venue("binance.usdm")
    assert rulebook.account.orders is not OrderRule.NONE
    symbol = next(s for s in listed(rulebook.id) if MARKET.instruments[s].settlement == "USDT")
    order = Order(symbol=symbol, quantity=1.0, price=MARKET.quotes[symbol].mark)
    cash = (Balance(asset="USDT", amount=1e4),)
    held = [
        Account(name="opens", balances=cash, orders=(order,)),
        Account(name="reduces", balances=cash, orders=(replace(order, reduce_only=True),)),
        Account(name="only an order", orders=(replace(order, reduce_only=True),)),
        Account(name="nothing"),
    ]
    found = same(book_of(held), MARKET, rulebook)
    assert answered_by_numpy(found) == 0
    assert found.pools.order_margin.tolist() == [found.pools.initial[0], 0.0, 0.0]
    assert found.pools.order_margin[0] > 0.0


def test_a_kept_book_of_ladders_answers_in_any_market_and_lives():
    rulebook = venue("binance.coinm")
    book = book_of(made_books.accounts(31, 200, rulebook))
    kept = keep(book, MARKET, rulebook)
    quotes = {s: replace(q, mark=1.03 * q.mark) for s, q in MARKET.quotes.items()}
    for market in (MARKET, replace(MARKET, quotes=quotes)):
        found, anew = assess_kept(kept, market, threads=2), assess_book(book, market, rulebook, compiled=True)
        for field in fields(anew.pools):
            assert getattr(found.pools, field.name).tobytes() == getattr(anew.pools, field.name).tobytes()
    state = started(book, MARKET, rulebook, compiled=True)
    at = MARKET.at
    state, _ = advance(state, [Deposited(at=at, account=book.names[3], asset="BTC", amount=2.0)])
    for asset in ("BTC", "ETH"):
        state, _ = advance(state, [Tick(at, Input.INDEX, asset, 0.9 * MARKET.index[asset])])
    symbol = next(s for s in listed(rulebook.id) if s.startswith("BTC"))
    state, changes = advance(state, [Tick(at, Input.MARK, symbol, 0.8 * MARKET.quotes[symbol].mark)])
    assert changes.touched
    assert audited(state) is None


@given(
    st.integers(-(10**15), 10**15),
    st.integers(-40, 40),
    st.sampled_from((1e-9, 1e-8, 1e-6, 0.01, 0.5, 0.25, 0.0025, 0.125, 1.0)),
    st.sampled_from(list(Direction)),
)
def test_the_kernel_rounds_as_the_one_place_that_rounds(halves, digits, step, direction):
    amount, rule = 0.5 * halves * step * (1.0 + digits * 1.1e-16), Step(step, direction)
    assert makes_whole(rule)
    grid = step, float(round(1.0 / step)), list(Direction).index(direction), rounding.CLOSE, last_digits(step)
    found = on_step(amount, grid)
    assert np.isnan(found) or found == round_all(np.array([amount]), rule)[0]
    if abs(digits) < 2 and abs(halves) < 10**13:
        assert not np.isnan(found)


def test_the_kernel_has_the_numbers_of_the_one_place_that_rounds():
    np.testing.assert_array_equal(ladder_steps.DECADES, rounding.DECADES)
    np.testing.assert_array_equal(ladder_steps.FIFTEENTH, rounding.FIFTEENTH)
    assert (ladder_steps.DIGITS_MAX, ladder_steps.ROUNDED) == (rounding.DIGITS_MAX, rounding.ROUNDED)
    names = [direction.name for direction in Direction]
    assert [getattr(ladder_steps, name) for name in names] == list(range(len(names)))
