"""Rules on trial: who is newly called or liquidatable, deciles, totals, and what is not compared."""

from dataclasses import replace

import pytest

from margrave.domain.account import Account, Balance
from margrave.engine.assessment import Status
from margrave.engine.books.trial import trial
from tests.unit.made import flat_ladder, inverse_account, inverse_market, rules

MARKET = inverse_market(50_000.0)
OLD = rules(flat_ladder(0.10, 0.05))
NEW = rules(flat_ladder(0.20, 0.10))
# 2 coins of notional ask 0.2 and 0.1 coins under the old rules, 0.4 and 0.2 under the new.
BOOK = tuple(replace(inverse_account(coins=c), name=f"{c}") for c in (1.0, 0.3, 0.15, 0.01))


def test_a_book_under_two_rulebooks():
    found = trial(OLD, NEW, [(BOOK, MARKET)])
    assert [a.account for a in found.newly_called] == ["0.3"]
    assert [a.account for a in found.newly_liquidatable] == ["0.15"]
    assert [a.was for a in found.accounts][-1] is Status.LIQUIDATABLE
    assert found.not_compared == ()
    assert found.initial == pytest.approx((4 * 0.2 * 50_000.0, 4 * 0.4 * 50_000.0))
    assert found.maintenance == pytest.approx((4 * 0.1 * 50_000.0, 4 * 0.2 * 50_000.0))
    assert found.deciles == pytest.approx([1.0] * 11)
    assert (found.old, found.new) == ("test.flat@1970-01-01", "test.flat@1970-01-01")


def test_the_same_rules_change_nothing_and_an_empty_book_has_no_deciles():
    same = trial(OLD, OLD, [(BOOK, MARKET), (BOOK, MARKET)])
    assert (same.newly_called, same.newly_liquidatable, set(same.deciles)) == ((), (), {0.0})
    idle = Account(balances=(Balance(asset="BTC", amount=1.0),))
    none = trial(OLD, NEW, [((idle,), MARKET)])
    assert (none.deciles, none.accounts[0].change, none.initial) == ((), None, (0.0, 0.0))


def test_what_cannot_be_valued_or_priced_is_told_and_left_out():
    blind = replace(MARKET, quotes={})
    found = trial(OLD, NEW, [(BOOK[:1], blind), (BOOK[1:2], replace(MARKET, index={})), (BOOK[:1], MARKET)])
    assert [a.why != "" for a in found.accounts] == [True, True, False]
    assert "BTC has no index price" in found.accounts[1].why
    assert found.initial == pytest.approx((10_000.0, 20_000.0))
    assert found.accounts[0].change is None
