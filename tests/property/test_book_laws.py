"""A book gives exactly what its accounts give one by one: every model, mode and factor, any chunk, any threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.domain.book import book_of
from margrave.engine.books.venue import assess_book
from margrave.margin.pooled import evaluate, prepare
from tests.unit import made_books

RULES = made_books.rulebooks()
UNKNOWN = ("bitmex.linear", "okx.futures", "okx.multi")  # they name the symbols of single contracts
COLUMNS = ("equity", "margin_balance", "initial", "maintenance", "order_margin")


def one_by_one(accounts, market, rulebook):
    """Rows of pools, (K, 8): what each account gives alone."""
    rows = []
    for row, account in enumerate(accounts):
        prepared = prepare(book_of((account,)), market, rulebook)
        pooled = evaluate(prepared)
        pools = prepared.pools
        for k in range(len(pools.account)):
            position = int(pools.position[k])
            symbol = prepared.book.symbols[prepared.book.instrument[position]] if position >= 0 else ""
            numbers = (
                pooled.equity[0, k],
                pooled.margin_balance[0, k],
                pooled.initial[0, k],
                pooled.maintenance[0, k],
                pooled.workings.order_margin[0, k],
            )
            currency = prepared.table.assets[int(pools.currency[k])]
            rows.append((row, currency, symbol, prepared.issues.get(k, ()), numbers))
    return rows


def agree(found, alone):
    pools = found.pools
    assert len(pools.account) == len(alone)
    assert pools.account.tolist() == [row for row, *_ in alone]
    assert [found.assets[c] for c in pools.currency.tolist()] == [currency for _, currency, *_ in alone]
    symbols = ["" if i < 0 else found.symbols[i] for i in pools.instrument.tolist()]
    assert symbols == [symbol for _, _, symbol, *_ in alone]
    assert {k: told for k, (*_, told, _) in enumerate(alone) if told} == found.issues
    for column, name in enumerate(COLUMNS):
        one = np.array([numbers[column] for *_, numbers in alone])
        np.testing.assert_array_equal(getattr(pools, name), one, err_msg=name)


@pytest.mark.parametrize("rulebook", RULES, ids=lambda r: r.id)
def test_a_book_gives_what_its_accounts_give_alone(rulebook):
    accounts = made_books.accounts(7, 60, rulebook)
    alone = one_by_one(accounts, made_books.MARKET, rulebook)
    known = sum(not told for *_, told, _ in alone)
    assert known >= len(alone) * (0.0 if rulebook.id in UNKNOWN else 0.4), (
        "a book that says nothing tests nothing"
    )
    for chunk, threads in ((None, 1), (1, 1), (7, 2), (50, 2)):
        found = assess_book(book_of(accounts), made_books.MARKET, rulebook, chunk=chunk, threads=threads)
        agree(found, alone)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 2), st.sampled_from(RULES))
def test_no_seed_chunk_or_thread_changes_a_digit(seed, chunk, threads, rulebook):
    accounts = made_books.accounts(seed, 12, rulebook)
    found = assess_book(book_of(accounts), made_books.MARKET, rulebook, chunk=chunk, threads=threads)
    agree(found, one_by_one(accounts, made_books.MARKET, rulebook))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["example.inverse", "example.unified", "deribit.sm", "deribit.xpm", "made.strategies"]
)
def test_a_book_of_ten_thousand_accounts(name):
    rulebook = next(r for r in RULES if r.id == name)
    accounts = made_books.accounts(13, 10_000 if name == "example.inverse" else 1_000, rulebook)
    found = assess_book(book_of(accounts), made_books.MARKET, rulebook, threads=2)
    agree(found, one_by_one(accounts, made_books.MARKET, rulebook))
