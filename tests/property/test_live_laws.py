"""A live book is the full recompute, bit for bit, whatever happens and however events are cut into batches."""

from dataclasses import fields, replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from margrave.core.words import MarginMode
from margrave.domain.account import Leg, Order
from margrave.domain.amended import amended, picked
from margrave.domain.book import Book, account_of, book_of
from margrave.engine.live.events import (
    Clock,
    Deposited,
    Filled,
    Input,
    OrderCancelled,
    OrderPlaced,
    Tick,
)
from margrave.engine.live.venue import advance, audited, started
from tests.unit import made_books

RULES = made_books.rulebooks()
MAX_AGE = 40.0
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
    quote = made_books.MARKET.quotes.get(symbol)
    moved = float(np.exp(rng.normal(0.0, 0.05)))
    match int(rng.integers(0, 8)):
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
        case 4 | 5:
            return _fill(rng, at, account, owner, symbol)
        case 6:
            asset = str(rng.choice([*made_books.INDEX, "XYZ"]))
            return Deposited(at=at, account=account, asset=asset, amount=float(rng.normal(0.0, 1e3)))
        case _:
            if owner.orders and rng.random() < 0.5:
                return OrderCancelled(at=at, account=account, order=owner.orders[0])
            return OrderPlaced(
                at=at, account=account, order=Order(symbol=symbol, quantity=10.0, price=1e3 * moved)
            )


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
        else:
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=f.name)


def same_state(one, two):
    same_columns(one.book, two.book)
    same_columns(one.pools.columns, two.pools.columns)
    assert one.pools.issues == two.pools.issues
    assert one.market == two.market
    assert one.instants == two.instants


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
        total = changes.applied + changes.coalesced + changes.late + len(changes.refused)
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
