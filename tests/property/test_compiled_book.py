"""The compiled sweep of a book beside the calculation in NumPy: the same pools, statuses and issues, and money to 1e-12."""

from dataclasses import fields, replace
from datetime import timedelta
from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from margrave.adapters.made_book import MADE_AT, made_book, made_market
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Order, Position
from margrave.domain.book import Book, account_of, book_of
from margrave.domain.market import Quote
from margrave.engine.books.compiled_path import assess_kept, keep
from margrave.engine.books.swept import is_expressible
from margrave.engine.books.venue import assess_book
from margrave.engine.live.events import Clock, Deposited, Filled, Input, Opened, OrderPlaced, Tick
from margrave.engine.live.venue import advance, audited, started
from margrave.kernels.compiled.coin_pools import CoinTerms, bits_of_dates, check_terms
from margrave.kernels.compiled.rows import padded_rows
from margrave.rulebook.catalogue import in_force

WITHIN = 1e-12  # of the gross of what is summed
STEP = 1e-9  # Deribit rounds the worst loss to nine digits: one step where it lies between two
MARKET = made_market()
SYMBOLS = tuple(MARKET.instruments)
SPM, XPM = in_force("deribit.spm", MADE_AT), in_force("deribit.xpm", MADE_AT)
DOLLARS = 1e5  # of a coin, at most


@cache
def rulebooks():
    model = SPM.portfolio
    exact = msgspec.structs.replace(SPM, portfolio=msgspec.structs.replace(model, worst_digits=None))
    first = in_force("deribit.spm@2024-07-01", MADE_AT)  # of one coin: the other has no terms
    return {"as published": SPM, "unrounded": exact, "first": first}


def gross(book: Book) -> float:
    size = {s: abs(i.payoff.contract_value / MARKET.quotes[s].mark) if hasattr(i.payoff, "contract_value") else 1.0
            for s, i in MARKET.instruments.items()}  # fmt: skip
    held = sum(
        abs(q) * size.get(book.symbols[i], 1.0) for q, i in zip(book.quantity, book.instrument, strict=True)
    )
    return 1.0 + 100.0 * held + np.abs(book.balance).sum()


def same(book, market, rulebook, unit=1.0, **options):
    plain = assess_book(book, market, rulebook)
    fast = assess_book(book, market, rulebook, compiled=True, **options)
    within = WITHIN * unit * gross(book) + (STEP if rulebook.portfolio.worst_digits else 0.0)
    for name in ("account", "currency", "instrument"):
        np.testing.assert_array_equal(getattr(fast.pools, name), getattr(plain.pools, name), name)
    for name in ("equity", "margin_balance", "initial", "maintenance", "order_margin"):
        mine, theirs = getattr(fast.pools, name), getattr(plain.pools, name)
        np.testing.assert_allclose(mine, theirs, rtol=0.0, atol=within, equal_nan=True, err_msg=name)
    near = np.abs(plain.pools.margin_balance - plain.pools.initial) <= within
    near |= np.abs(plain.pools.margin_balance - plain.pools.maintenance) <= within
    np.testing.assert_array_equal(fast.pools.status[~near], plain.pools.status[~near])
    assert fast.issues == plain.issues
    assert (fast.names == plain.names).all()
    return fast


positions = st.builds(
    lambda symbol, quantity, entry: Position(
        symbol=symbol,
        quantity=quantity,
        entry=MARKET.quotes[symbol].mark * entry + (1e-6 if MARKET.quotes[symbol].mark < 1.0 else 0.0),
    ),
    st.sampled_from(SYMBOLS),
    st.one_of(
        st.just(0.0),
        st.integers(-1_000_000, 1_000_000).map(float),
        st.floats(-50.0, 50.0, allow_subnormal=False),
    ),
    st.floats(0.5, 2.0),
)
balances = st.lists(
    st.builds(Balance, asset=st.sampled_from(("BTC", "ETH")), amount=st.floats(-1e3, 1e4)),
    max_size=2,
    unique_by=lambda b: b.asset,
)
orders = st.lists(
    st.builds(
        lambda symbol, quantity, price, reduces: Order(
            symbol=symbol,
            quantity=quantity,
            price=MARKET.quotes[symbol].mark * price + (1e-6 if MARKET.quotes[symbol].mark < 1.0 else 0.0),
            reduce_only=reduces,
        ),
        st.sampled_from(SYMBOLS),
        st.integers(-10_000, 10_000).filter(bool).map(float),
        st.floats(0.8, 1.25),
        st.booleans(),
    ),
    max_size=5,
)
accounts = st.lists(
    st.builds(
        lambda b, p, o: Account(balances=tuple(b), positions=tuple(p), orders=tuple(o)),
        balances,
        st.lists(positions, max_size=12, unique_by=lambda p: p.symbol),
        st.one_of(st.just([]), orders),
    ),
    min_size=1,
    max_size=5,
)


def named(held):
    return book_of([replace(account, name=f"A{row}") for row, account in enumerate(held)])


@settings(max_examples=60, deadline=None)
@given(accounts, st.sampled_from(["as published", "unrounded", "first"]))
def test_a_random_book_is_the_same(held, rules):
    same(named(held), MARKET, rulebooks()[rules])


@settings(max_examples=60, deadline=None)
@given(accounts)
def test_a_random_book_of_dollar_pools_is_the_same(held):
    same(named(held), MARKET, XPM, DOLLARS)


def test_a_made_book_of_dollar_pools_is_the_same_on_two_threads():
    found = same(made_book(3_000, 5, MARKET), MARKET, XPM, DOLLARS, threads=2)
    assert not any("NumPy" in note for note in found.notes)
    assert found.pools.order_margin.any()


@pytest.mark.parametrize("rules", ["as published", "unrounded"])
def test_a_made_book_is_the_same_on_two_threads(rules):
    book = made_book(3_000, 5, MARKET)
    found = same(book, MARKET, rulebooks()[rules], threads=2)
    assert not any("NumPy" in note for note in found.notes)
    assert found.pools.order_margin.any()


def test_what_is_not_known_keeps_its_issues():
    """An option without vol, one without a mark, a symbol that nobody lists, an isolated position."""
    option, other = [s for s in SYMBOLS if s.endswith("-C")][:2]
    quotes = dict(MARKET.quotes)
    del quotes[option]
    quotes[other] = Quote(mark=1e-7, forward=62_000.0)
    market = replace(MARKET, quotes=quotes)
    plain = Position(symbol="BTC-PERPETUAL", quantity=1_000.0, entry=60_000.0)
    cash = (Balance(asset="BTC", amount=1.0), Balance(asset="ETH", amount=2.0))
    held = [
        Account(balances=cash, positions=(plain,)),
        Account(balances=cash, positions=(plain, Position(symbol=option, quantity=-1.0, entry=0.01))),
        Account(balances=cash, positions=(Position(symbol=other, quantity=-1.0, entry=0.01),)),
        Account(balances=cash, positions=(Position(symbol="NOBODY", quantity=1.0, entry=1.0), plain)),
        Account(balances=cash, positions=(replace(plain, mode=MarginMode.ISOLATED, isolated_margin=0.1),)),
        Account(),
        Account(balances=cash),
    ]
    found = same(named(held), market, SPM)
    assert found.issues
    assert found.notes[-1].startswith("4 of 7 accounts")


def test_a_large_delta_pays_for_liquidity():
    size = 3e8  # dollars: above the free twenty million
    for side in (1.0, -1.0):
        held = [
            Account(
                positions=(Position(symbol="BTC-PERPETUAL", quantity=side * size / 10.0, entry=60_000.0),)
            )
        ]
        found = same(named(held), MARKET, SPM)
        tenth = [
            replace(a, positions=tuple(replace(p, quantity=p.quantity / 10.0) for p in a.positions))
            for a in held
        ]
        less = same(named(tenth), MARKET, SPM)  # thirty million: hardly above what is free
        assert found.pools.maintenance[0] > 10.5 * less.pools.maintenance[0]


def test_what_has_no_compiled_form_is_answered_all_the_same():
    rulebook = in_force("example.portfolio", MADE_AT)
    assert not is_expressible(rulebook)
    found = same(made_book(50, 1, MARKET), MARKET, rulebook)
    assert "no compiled form" in found.notes[-1]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"table": padded_rows(np.ones((1, 8)))}, "1 rows for 1 instruments and 1 coins"),
        ({"share": np.ones((1, 16))}, "16 dates do not match 1 bytes"),
        ({"cells": 6}, "no room behind 6 cells"),
    ],
)
def test_terms_that_do_not_fit_are_refused(change, why):
    table, none = padded_rows(np.ones((2, 8))), np.zeros(1, dtype=np.int64)
    terms = CoinTerms(table, 5, bits_of_dates(none, 1), np.ones((1, 8)), np.ones((1, 3)), np.ones(1))
    check_terms(terms)
    with pytest.raises(ValueError, match=why):
        check_terms(replace(terms, **change))


def test_an_account_alone_has_the_same_bytes_as_in_its_book():
    book = made_book(200, 3, MARKET)
    whole = assess_book(book, MARKET, SPM, compiled=True, threads=2).pools
    for row in range(0, 200, 40):
        alone = assess_book(book_of([account_of(book, row)]), MARKET, SPM, compiled=True).pools
        mine = whole.account == row
        for name in ("equity", "initial", "maintenance"):
            assert getattr(whole, name)[mine].tobytes() == getattr(alone, name).tobytes()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_kept_book_answers_in_any_market_what_a_new_one_does(threads):
    book = made_book(2_000, 9, MARKET)
    kept = keep(book, MARKET, SPM, threads=threads)
    quotes = {s: replace(q, mark=1.07 * q.mark) for s, q in MARKET.quotes.items()}
    for market in (MARKET, replace(MARKET, quotes=quotes)):
        found, anew = (
            assess_kept(kept, market, threads=threads),
            assess_book(book, market, SPM, compiled=True),
        )
        for field in fields(anew.pools):
            mine, theirs = getattr(found.pools, field.name), getattr(anew.pools, field.name)
            assert mine.tobytes() == theirs.tobytes(), field.name


def test_a_kept_book_is_laid_out_anew_where_its_contracts_are_others():
    held = [Account(positions=(Position(symbol="BTC-PERPETUAL", quantity=500.0, entry=60_000.0),))]
    kept = keep(named(held), MARKET, SPM)
    other = MARKET.instruments["BTC-PERPETUAL"]
    larger = replace(other, payoff=replace(other.payoff, contract_value=100.0))
    market = replace(MARKET, instruments={**MARKET.instruments, "BTC-PERPETUAL": larger})
    before, after = assess_kept(kept, MARKET).pools, assess_kept(kept, market).pools
    assert after.initial[0] == pytest.approx(10.0 * before.initial[0], rel=1e-6)
    assert after.equity[0] == pytest.approx(10.0 * before.equity[0])


def test_a_book_is_kept_for_rules_that_have_no_compiled_form():
    book, rulebook = made_book(20, 1, MARKET), in_force("example.portfolio", MADE_AT)
    found = assess_kept(keep(book, MARKET, rulebook), MARKET)
    assert found.pools.initial.tobytes() == assess_book(book, MARKET, rulebook).pools.initial.tobytes()


def test_orders_that_lose_on_both_sides_are_charged_by_instrument():
    """A buy above and a sell below the mark of two futures: NumPy asks each instrument for its worse side."""
    perpetual, future = "BTC-PERPETUAL", "BTC-27NOV26"
    crossing = [
        Order(symbol=perpetual, quantity=1_000.0, price=1.02 * MARKET.quotes[perpetual].mark),
        Order(symbol=future, quantity=-500.0, price=0.98 * MARKET.quotes[future].mark),
    ]
    cash = (Balance(asset="BTC", amount=2.0),)
    held = [
        Account(balances=cash, orders=tuple(crossing)),
        Account(balances=cash, orders=tuple(crossing[:1])),
    ]
    found = same(named(held), MARKET, SPM)
    assert found.notes[-1].startswith("1 of 2 accounts")


def _events(seed):
    """Ticks of every kind, clocks, deposits, fills and orders over the made book."""
    rng, at = np.random.default_rng(seed), MADE_AT
    for _ in range(60):
        at += timedelta(seconds=1)
        name, symbol = f"M{int(rng.integers(0, 300)):08d}", SYMBOLS[int(rng.integers(0, len(SYMBOLS)))]
        mark, moved = MARKET.quotes[symbol].mark, float(np.exp(rng.normal(0.0, 0.03)))
        size = float(rng.integers(1, 50))
        yield (
            Tick(at, Input.INDEX, "BTC", MARKET.index["BTC"] * moved),
            Tick(at, Input.MARK, symbol, mark * moved),
            Clock(at),
            Deposited(at=at, account=name, asset="BTC", amount=moved),
            Filled(at=at, account=name, symbol=symbol, quantity=size, price=mark + 1e-6),
            OrderPlaced(at=at, account=name, order=Order(symbol=symbol, quantity=-size, price=mark + 1e-6)),
        )[int(rng.integers(0, 6))]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_compiled_live_book_is_its_own_full_recompute_and_stands_where_numpy_does(seed):
    book = made_book(300, 2, MARKET)
    quick, plain = (started(book, MARKET, SPM, compiled=compiled) for compiled in (True, False))
    for events in zip(*[_events(seed)] * 20, strict=True):
        (quick, told), (plain, same_told) = advance(quick, events), advance(plain, events)
        assert told.touched == same_told.touched > 0
        assert not told.refused
        assert audited(quick, threads=2) is None
        assert (quick.pools.columns.status == plain.pools.columns.status).all()
        np.testing.assert_allclose(
            quick.pools.columns.initial, plain.pools.columns.initial, rtol=1e-9, atol=2e-9
        )


def test_a_live_book_stays_laid_out_while_few_accounts_change():
    state = started(made_book(300, 2, MARKET), MARKET, SPM, compiled=True)
    first, at = state.layout.kept, MADE_AT
    names = ["M00000007", "M00000123", "somebody new"]
    for turn, name in enumerate(names):
        at += timedelta(seconds=1)
        come = [] if name in state.rows else [Opened(at=at, account=name)]
        state, _ = advance(state, [*come, Deposited(at=at, account=name, asset="ETH", amount=3.0)])
        index = MARKET.index["BTC"] * (0.99 - 0.01 * turn)
        state, changes = advance(state, [Tick(at, Input.INDEX, "BTC", index)])
        assert changes.touched > 100
        assert state.layout.kept is first
        assert audited(state) is None
    assert state.layout.since.tolist() == [7, 123, 300]


def test_a_live_book_is_laid_out_anew_where_many_accounts_or_the_contracts_change():
    state = started(made_book(300, 2, MARKET), MARKET, SPM, compiled=True)
    first, at = state.layout.kept, MADE_AT + timedelta(seconds=1)
    paid = [Deposited(at=at, account=f"M{k:08d}", asset="ETH", amount=3.0) for k in range(10)]
    state, _ = advance(state, paid)
    state, _ = advance(state, [Tick(at, Input.INDEX, "BTC", 0.97 * MARKET.index["BTC"])])
    assert state.layout.kept is not first
    assert not state.layout.since.size
    assert audited(state) is None
    assert started(made_book(20, 2, MARKET), MARKET, SPM).layout is None
