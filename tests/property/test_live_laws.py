"""A live book is the full recompute, bit for bit, whatever happens and however events are cut into batches."""

from dataclasses import fields, replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from margrave.adapters.event_files import read_events, written
from margrave.core.words import MarginMode
from margrave.domain.account import Leg, Order
from margrave.domain.amended import amended, picked
from margrave.domain.book import Book, account_of, book_of
from margrave.engine.books.venue import assess_resolved
from margrave.engine.live.events import (
    Clock,
    Deposited,
    Filled,
    Funded,
    Input,
    Listed,
    Opened,
    OrderCancelled,
    OrderPlaced,
    Tick,
)
from margrave.engine.live.holders import accounts_with
from margrave.engine.live.screen import looked, screen_of, watched
from margrave.engine.live.venue import advance, audited, settled, started
from tests.unit import made, made_books

RULES = made_books.rulebooks()
MAX_AGE = 40.0
NEW = [  # two that nobody has heard of, one with an asset of its own, and one that accounts hold unlisted
    replace(made.LINEAR, symbol="NEWUSDT", base="NEW"),
    replace(made.LINEAR, symbol="NEWUSDC", base="NEW", quote="USDC", settlement="USDC"),
    replace(made.LINEAR, symbol="GONE", base="GONE"),
]
SYMBOLS = [i.symbol for i in made_books.INSTRUMENTS]


def random_events(seed, count, accounts):
    """Events of every kind, now and then late, wrong or of somebody who is not there."""
    rng = np.random.default_rng(seed)
    held = sorted({p.symbol for a in accounts for p in a.positions} - {"GONE"}) or SYMBOLS
    events, at = [], made_books.AT
    for _ in range(count):
        at += timedelta(seconds=float(rng.integers(-3, 8)))
        owner = accounts[int(rng.integers(0, len(accounts)))]
        account = "nobody" if rng.random() < 0.02 else owner.name
        events.append(_event(rng, at, account, owner, held))
    return events


def _event(rng, at, account, owner, held):
    symbol = held[int(rng.integers(0, len(held)))] if rng.random() < 0.95 else "GONE"
    moved = float(np.exp(rng.normal(0.0, 0.05)))
    kind = int(rng.integers(0, 13))
    if kind >= 8:
        return _more(rng, at, symbol, moved, kind)
    if kind in (4, 5):
        return _fill(rng, at, account, owner, symbol)
    return _one_of(rng, at, account, owner, symbol, moved, kind)


def _one_of(rng, at, account, owner, symbol, moved, kind):
    quote = made_books.MARKET.quotes.get(symbol)
    match kind:
        case 0:
            asset = str(rng.choice(list(made_books.INDEX)))
            return Tick(at, Input.INDEX, asset, made_books.INDEX[asset] * moved)
        case 1:
            return Tick(at, Input.MARK, symbol, (quote.mark if quote else 1.0) * moved)
        case 2:
            what = Input.VOL if rng.random() < 0.5 or quote is None else Input.FORWARD
            value = 0.6 if what is Input.VOL or quote.forward is None else quote.forward
            return Tick(at, what, symbol, value * moved)
        case 3:
            return Clock(at)
        case 6:
            asset = str(rng.choice([*made_books.INDEX, "XYZ"]))
            amount = float(rng.normal(0.0, 1e3))
            return Deposited(at=at, account=account, asset=asset, amount=amount, id=_id(rng))
    if owner.orders and rng.random() < 0.5:
        return OrderCancelled(at=at, account=account, order=owner.orders[0])
    return OrderPlaced(at=at, account=account, order=Order(symbol=symbol, quantity=10.0, price=1e3 * moved))


def _more(rng, at, symbol, moved, kind):
    match kind:
        case 8:
            return Tick(at, *_slow(rng, symbol, moved))
        case 9:
            return Opened(at=at, account=f"new {rng.integers(0, 4)}", id=_id(rng))
        case 10:
            return Listed(at=at, instrument=NEW[int(rng.integers(0, len(NEW)))])
        case 11:
            name = "BTCUSD" if rng.random() < 0.7 else symbol
            return Funded(
                at=at, symbol=name, rate=float(rng.normal(0.0, 0.01)), mark=5e4 * moved, id=_id(rng)
            )
    return _of_what_is_new(rng, at, moved)


def _id(rng):
    return "" if rng.random() < 0.5 else f"id {rng.integers(0, 12)}"  # of a few, so that some come twice


def _slow(rng, symbol, moved):
    asset = str(rng.choice(["BTC", "ETH", "SOL", "USDT", "XYZ"]))
    return (
        (Input.VOLATILITY, asset, 0.7 * moved),
        (Input.DEPOSITS, asset, 1e6 * moved),
        (Input.BORROWS, asset, 1e5 * moved),
        (Input.SLOW, asset, 1e3 * moved),
        (Input.SLOW, symbol, 1e3 * moved),
        (Input.OPEN_INTEREST, symbol, 0.7 * moved),
        (Input.UNDERLYING, symbol, 0.7 * moved),
    )[int(rng.integers(0, 7))]


def _of_what_is_new(rng, at, moved):
    symbol = NEW[int(rng.integers(0, len(NEW)))].symbol
    account = f"new {rng.integers(0, 4)}"
    match int(rng.integers(0, 3)):
        case 0:
            return Tick(at, Input.MARK, symbol, 10.0 * moved)
        case 1:
            return Deposited(at=at, account=account, asset="USDT", amount=100.0)
        case _:
            told = {"quantity": 5.0, "price": 10.0 * moved, "fee": 0.5}
            return Filled(at=at, account=account, symbol=symbol, **told)


def _fill(rng, at, account, owner, symbol):
    known = [p for p in owner.positions if p.symbol != "GONE"]
    if known and rng.random() < 0.7:
        p = known[int(rng.integers(0, len(known)))]
        size = float(rng.choice((-1.0, -0.5, -2.0, 1.0))) * (p.quantity or 1.0)
        leg = (Leg.NET, Leg.NET, Leg.LONG, Leg.SHORT)[int(rng.integers(0, 4))]
        told = {"symbol": p.symbol, "price": p.entry, "mode": p.mode, "leg": leg}
        return Filled(at=at, account=account, quantity=size, **told)
    quote = made_books.MARKET.quotes.get(symbol)
    mode = MarginMode.ISOLATED if rng.random() < 0.2 else MarginMode.CROSS
    price = max(quote.mark if quote else 1.0, 1e-9)
    return Filled(at=at, account=account, symbol=symbol, quantity=100.0, price=price, mode=mode)


def same_columns(one, two):
    for f in fields(one):
        a, b = getattr(one, f.name), getattr(two, f.name)
        if f.name == "memory":
            same_columns(a, b)
        elif isinstance(a, dict | tuple):
            assert a == b, f.name
        else:
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=f.name)


def same_state(one, two):
    same_columns(one.book, two.book)
    same_columns(one.pools.columns, two.pools.columns)
    assert one.pools.issues == two.pools.issues
    assert one.market == two.market
    same_columns(one.resolved.table, two.resolved.table)
    assert one.instants == two.instants
    assert one.rows == two.rows
    assert one.rulebook == two.rulebook
    assert frozenset().union(*one.seen) == frozenset().union(*two.seen)


def cut(events, seed):
    rng = np.random.default_rng(seed)
    while events:
        size = int(rng.integers(1, 9))
        yield events[:size]
        events = events[size:]


def folded(state, batches, audit=False):
    found = []
    for batch in batches:
        state, changes = advance(state, batch)
        found.append(changes)
        total = changes.applied + changes.coalesced + changes.late + changes.repeated + len(changes.refused)
        assert total == changes.received == len(batch)
        if audit:
            assert audited(state) is None
    return state, found


@pytest.mark.parametrize("rulebook", RULES, ids=lambda r: r.id)
def test_every_batch_leaves_the_full_recompute(rulebook):
    accounts = made_books.accounts(3, 12, rulebook)
    for age in (rulebook.mark_age_max_seconds, MAX_AGE):
        rules = structs.replace(rulebook, mark_age_max_seconds=age)
        state = started(book_of(accounts), made_books.MARKET, rules)
        assert audited(state) is None
        _, found = folded(state, cut(random_events(5, 60, accounts), 1), audit=True)
        assert any(c.touched for c in found)
        assert sum(c.applied for c in found) > 20


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(RULES), st.sampled_from((None, MAX_AGE)))
def test_any_events_in_any_batches_give_the_full_recompute(seed, rulebook, age):
    rules = structs.replace(rulebook, mark_age_max_seconds=age)
    accounts = made_books.accounts(seed, 8, rulebook)
    events = random_events(seed, 40, accounts)
    state = started(book_of(accounts), made_books.MARKET, rules)
    one, _ = folded(state, [[e] for e in events])
    two, _ = folded(state, cut(events, seed))
    three, _ = folded(state, [events])
    assert audited(one) is None
    same_state(one, two)
    same_state(one, three)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(RULES), st.sampled_from((None, MAX_AGE)))
def test_the_log_of_a_venue_is_the_venue(seed, rulebook, age):
    rules = structs.replace(rulebook, mark_age_max_seconds=age)
    accounts = made_books.accounts(seed, 6, rulebook)
    events = random_events(seed, 40, accounts)
    log = [written(event) for event in events]
    assert list(read_events(log, "log")) == events
    state = started(book_of(accounts), made_books.MARKET, rules)
    lived, told = folded(state, cut(events, seed))
    replayed, retold = folded(state, cut(list(read_events(log, "log")), seed))
    same_state(lived, replayed)
    assert repr(told) == repr(retold)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(RULES), st.sampled_from(RULES))
def test_dated_rules_take_effect_wherever_the_events_are_cut(seed, first, second):
    accounts = made_books.accounts(seed, 6, first)
    events = random_events(seed, 40, accounts)
    at = made_books.AT
    first = structs.replace(first, valid_from=at - timedelta(days=1))
    later = [structs.replace(second, valid_from=at + timedelta(seconds=s)) for s in (90, 60)]
    state = started(book_of(accounts), made_books.MARKET, first, later=later)
    one, _ = folded(state, [[e] for e in events], audit=True)
    two, told = folded(state, cut(events, seed))
    same_state(one, two)
    held = sum(r.valid_from <= one.prices.at for r in later)
    assert one.rulebook is (first, *sorted(later, key=lambda r: r.valid_from))[held]
    assert len([c for c in told if c.rulebook is not None]) <= held


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(RULES))
def test_what_a_screen_leaves_out_is_owed_and_then_the_same(seed, rulebook):
    accounts = made_books.accounts(seed, 8, rulebook)
    events = random_events(seed, 40, accounts)
    state = started(book_of(accounts), made_books.MARKET, rulebook)
    whole, _ = folded(state, cut(events, seed))
    rng, lazy = np.random.default_rng(seed), state
    for batch in cut(events, seed):
        lazy, changes = advance(lazy, batch, screen=lambda before, now, rows: rng.random(len(rows)) < 0.5)
        assert changes.screened <= changes.touched
        assert not set(lazy.owed.tolist()) & set(changes.amended.tolist())
        in_part = replace(lazy, owed=lazy.owed[:0])
        if audited(in_part) is not None:
            assert lazy.owed.size
    done, _ = settled(lazy)
    assert not done.owed.size
    same_state(done, whole)


def oracle(state):
    """The tightest proof there is: accounts whose pools or statuses the full recompute has otherwise than now."""
    made_of = state.pools.columns

    def breaches(now):
        full = assess_resolved(state.book, now).pools
        return np.array(
            [
                row
                for row in range(len(state.book.names))
                if not np.array_equal(
                    made_of.status[made_of.account == row], full.status[full.account == row]
                )
            ],
            dtype=np.int64,
        )

    return breaches


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(RULES))
def test_under_a_proof_every_status_is_that_of_the_full_recompute(seed, rulebook):
    accounts = made_books.accounts(seed, 8, rulebook)
    events = random_events(seed, 50, accounts)
    state = started(book_of(accounts), made_books.MARKET, rulebook)
    whole, watch = state, watched(state, oracle(state))
    for batch in cut(events, seed):
        whole, exact = advance(whole, batch)
        state, told = advance(state, batch, screen=screen_of(watch))
        watch = looked(watch, state, told)
        assert audited(state) is None
        assert [(c.account, c.pool, c.before, c.after) for c in told.statuses] == [
            (c.account, c.pool, c.before, c.after) for c in exact.statuses
        ]
    same_state(settled(state)[0], whole)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(RULES))
def test_the_index_of_holders_finds_exactly_them(seed, rulebook):
    rng = np.random.default_rng(seed)
    accounts = made_books.accounts(seed, 60, rulebook)
    state = started(book_of(accounts), made_books.MARKET, rulebook)
    for batch in cut(random_events(seed, 25, accounts), seed):
        state, _ = advance(state, batch)
        book = state.book
        instruments, assets = rng.random(len(book.symbols)) < 0.05, rng.random(len(book.assets)) < 0.1
        expected = np.zeros(len(book.names), dtype=np.bool_)
        expected[book.account[instruments[book.instrument]]] = True
        expected[book.order_account[instruments[book.order_instrument]]] = True
        expected[book.balance_account[assets[book.balance_asset]]] = True
        found = accounts_with(state.holders, book, instruments, assets)
        np.testing.assert_array_equal(found, expected)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(RULES))
def test_a_replay_tells_the_same_story_on_any_threads(seed, rulebook):
    accounts = made_books.accounts(seed, 8, rulebook)
    batches = list(cut(random_events(seed, 30, accounts), seed))
    state = started(book_of(accounts), made_books.MARKET, rulebook)
    for batch in batches:
        first, told = advance(state, batch)
        again, retold = advance(state, batch, threads=2)
        same_state(first, again)
        assert repr(told) == repr(retold)  # by words: what is not known is not equal to itself
        state = first


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sets(st.integers(0, 11)))
def test_accounts_are_picked_and_put_back_as_they_were(seed, rows):
    book = book_of(made_books.accounts(seed, 12, RULES[0]))
    rows = np.array(sorted(rows), dtype=np.int64)
    part = picked(book, rows)
    for k, row in enumerate(rows.tolist()):
        assert repr(account_of(part, k)) == repr(account_of(book, row))
    same_columns(amended(book, {row: account_of(book, row) for row in rows.tolist()}), book)


def test_a_narrow_book_stays_narrow():
    book = book_of(made_books.accounts(1, 12, RULES[0]))
    narrow: Book = replace(
        book, account=book.account.astype(np.int32), instrument=book.instrument.astype(np.int16)
    )
    after = amended(narrow, {3: account_of(narrow, 4)})
    assert (after.account.dtype, after.instrument.dtype) == (np.int32, np.int16)
    assert repr(account_of(after, 3).positions) == repr(account_of(book, 4).positions)
    assert repr(account_of(after, 5)) == repr(account_of(book, 5))
