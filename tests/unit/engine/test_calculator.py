"""A calculator gives what `assess` gives, to the last digit, however often and for whomever it is asked."""

from dataclasses import replace

import msgspec
import pytest

from margrave.engine.assess import assess, assess_all
from margrave.engine.calculator import calculator
from tests.unit import made_books

RULES = made_books.rulebooks()


def told(assessment):
    """Everything, NaN as None: two answers that know nothing are the same."""
    return assessment.to_dict()


@pytest.mark.parametrize("rulebook", RULES, ids=lambda r: r.id)
def test_a_calculator_gives_what_assess_gives(rulebook):
    accounts = made_books.accounts(5, 15, rulebook)
    ready = calculator(made_books.MARKET, rulebook)
    for account in (*accounts, *accounts):  # the second time everything is kept
        assert told(ready.assess(account)) == told(assess(account, made_books.MARKET, rulebook))
    together = zip(ready.assess_all(accounts), assess_all(accounts, made_books.MARKET, rulebook), strict=True)
    assert all(told(one) == told(two) for one, two in together)


def test_another_market_is_another_calculator():
    rulebook = next(r for r in RULES if r.id == "example.inverse")
    account = made_books.accounts(5, 1, rulebook)[0]
    market = made_books.MARKET
    dearer = replace(market, quotes={s: replace(q, mark=q.mark * 1.01) for s, q in market.quotes.items()})
    before, after = (calculator(m, rulebook).assess(account) for m in (market, dearer))
    assert before.pools[0].equity != after.pools[0].equity


def test_it_explains_too():
    rulebook = next(r for r in RULES if r.id == "example.inverse")
    account = made_books.accounts(5, 1, rulebook)[0]
    found = calculator(made_books.MARKET, rulebook).assess(account)
    assert found.explain().amount == found.pools[0].maintenance


@pytest.mark.parametrize("rulebook", RULES[:4], ids=lambda r: r.id)
def test_json_tells_what_the_dictionary_tells(rulebook):
    for account in made_books.accounts(9, 20, rulebook):
        found = assess(account, made_books.MARKET, rulebook)
        assert msgspec.json.decode(found.to_json()) == found.to_dict()
