"""A whole book: statuses and ratios as one account has them, sums, the nearest to liquidation, chunks."""

from dataclasses import replace

import numpy as np
import pytest

from margrave.domain.account import Account
from margrave.domain.book import account_of, book_of, chunk_of
from margrave.engine.assess import assess_all
from margrave.engine.assessment import Status
from margrave.engine.books.trial import trial, trial_book
from margrave.engine.books.venue import STATUSES, assess_book
from margrave.engine.books.venue_summary import RATIO_EDGES, nearest_to_liquidation, summary_of
from margrave.rulebook.catalogue import in_force
from tests.unit import made_books
from tests.unit.made import inverse_account, inverse_market, rules

INVERSE_RULES = in_force("example.inverse", made_books.AT)


def named(coins: float, name: str) -> Account:
    return replace(inverse_account(coins=coins), name=name)


@pytest.fixture
def found():
    # 100,000 contracts of a dollar at 50,000 are two coins: initial 0.2, maintenance 0.1.
    accounts = [named(0.4, "healthy"), named(0.15, "called"), named(0.05, "gone"), Account(name="empty")]
    return assess_book(book_of(accounts), inverse_market(50_000.0), rules())


def test_statuses_and_ratios(found):
    assert [STATUSES[s] for s in found.status] == [
        Status.HEALTHY,
        Status.CALL,
        Status.LIQUIDATABLE,
        Status.HEALTHY,
    ]
    np.testing.assert_allclose(found.ratio, [0.25, 0.1 / 0.15, 2.0, 0.0], rtol=1e-12)


@pytest.mark.parametrize("coins", [0.0, -0.3])
def test_a_requirement_without_balance_has_an_infinite_ratio(coins):
    found = assess_book(book_of([named(coins, "poor")]), inverse_market(50_000.0), rules())
    assert found.ratio.tolist() == [np.inf]
    assert found.status.tolist() == [STATUSES.index(Status.LIQUIDATABLE)]


def test_the_summary_adds_up(found):
    summary = summary_of(found, inverse_market(50_000.0))
    assert summary.accounts == {
        Status.HEALTHY: 2,
        Status.CALL: 1,
        Status.LIQUIDATABLE: 1,
        Status.UNKNOWN: 0,
    }
    assert (summary.pools, summary.left_out) == (3, 0)
    assert summary.initial == pytest.approx(3 * 0.2 * 50_000, rel=1e-12)
    assert summary.maintenance == pytest.approx(3 * 0.1 * 50_000, rel=1e-12)
    assert summary.equity == pytest.approx(0.6 * 50_000, rel=1e-12)
    assert sum(summary.histogram) == 4
    assert summary.histogram[-1] == 1
    assert len(summary.histogram) == len(RATIO_EDGES)


def test_the_nearest_are_those_that_still_stand(found):
    rows = nearest_to_liquidation(found, 10)
    assert found.names[found.pools.account[rows]].tolist() == ["called", "healthy"]
    assert nearest_to_liquidation(found, 1).tolist() == rows[:1].tolist()


def test_an_unknown_pool_is_in_no_sum():
    market = replace(inverse_market(50_000.0), quotes={})
    found = assess_book(book_of([named(0.4, "unknown")]), market, rules())
    summary = summary_of(found, market)
    assert summary.accounts[Status.UNKNOWN] == summary.left_out == 1
    assert (summary.equity, summary.histogram[0]) == (0.0, 0)
    assert np.isnan(found.ratio).all()
    assert nearest_to_liquidation(found, 3).size == 0
    assert list(found.issues) == [0]


def test_a_book_without_accounts():
    found = assess_book(book_of(()), inverse_market(50_000.0), rules())
    assert len(found.names) == len(found.pools.account) == 0
    assert summary_of(found, inverse_market(50_000.0)).pools == 0


def test_statuses_are_those_of_the_accounts():
    accounts = made_books.accounts(3, 80, INVERSE_RULES)
    found = assess_book(book_of(accounts), made_books.MARKET, INVERSE_RULES)
    told = assess_all(accounts, made_books.MARKET, INVERSE_RULES)
    assert [STATUSES[s] for s in found.status] == [a.status for a in told]
    for account, ratio in zip(told, found.ratio, strict=True):
        ratios = [p.ratio for p in account.pools]
        assert (np.isnan(ratios).any() and np.isnan(ratio)) or ratio == max(ratios, default=0.0)


def test_progress_is_told_once_a_chunk():
    done: list[int] = []
    accounts = made_books.accounts(3, 25, INVERSE_RULES)
    assess_book(book_of(accounts), made_books.MARKET, INVERSE_RULES, chunk=10, told=done.append)
    assert done == [10, 20, 25]


def test_an_account_of_a_book_is_the_account():
    accounts = made_books.accounts(5, 60, INVERSE_RULES)
    book = book_of(accounts)
    for row, account in enumerate(accounts):
        back = account_of(book, row)
        again, one = book_of([back]), chunk_of(book, row, row + 1)
        assert (back.name, back.parent) == (account.name, account.parent)
        assert back.balances == account.balances
        assert back.memory == account.memory
        assert back.orders == account.orders
        for name in ("quantity", "entry", "leverage", "isolated_margin", "is_isolated"):
            np.testing.assert_array_equal(getattr(again, name), getattr(one, name))


def test_a_trial_of_a_book_is_that_of_its_accounts():
    accounts = made_books.accounts(11, 60, INVERSE_RULES)
    flat = in_force("example.flat", made_books.AT)
    alone = trial(INVERSE_RULES, flat, [(accounts, made_books.MARKET)])
    done: list[int] = []
    book = trial_book(INVERSE_RULES, flat, book_of(accounts), made_books.MARKET, told=done.append)
    assert done == [60, 120]
    assert len(book.compared) == len(accounts) - len(alone.not_compared)
    assert book.names[book.newly_called].tolist() == [a.account for a in alone.newly_called]
    assert book.names[book.newly_liquidatable].tolist() == [a.account for a in alone.newly_liquidatable]
    assert book.deciles == pytest.approx(alone.deciles, rel=1e-12)
    assert book.total("initial") == pytest.approx(alone.initial, rel=1e-12)
    assert book.total("maintenance") == pytest.approx(alone.maintenance, rel=1e-12)


def test_a_trial_of_nothing_has_no_deciles():
    book = trial_book(rules(), rules(), book_of([Account(name="empty")]), inverse_market(50_000.0))
    assert book.deciles == ()
