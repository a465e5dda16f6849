"""Who may have portfolio margin, and what it falls back to (spec PMS-7, PM-7)."""

import pytest

from margrave.domain.market import Market
from margrave.engine.analysis.eligibility import eligible
from margrave.rulebook.portfolio import Eligibility
from tests.unit import made as flat
from tests.unit import scenarios_made as made

FUTURE = made.inverse()
STANDARD = flat.rules(flat.flat_ladder(0.20, 0.16))
PORTFOLIO = made.rulebook(eligibility=Eligibility(code="TEST-LEAST-001", least_equity=40_000.0))


def chosen(coins, told=None, **more):
    told = told or made.market([FUTURE])
    account = made.account([(FUTURE, 50_000.0)], told, (("BTC", coins),))
    return eligible(account, told, PORTFOLIO, STANDARD, **more)


def test_enough_equity_gives_portfolio_margin_and_the_comparison():
    found = chosen(0.8)
    assert found.rulebook is PORTFOLIO
    assert found.reasons == ()
    standard, portfolio = found.compared
    assert standard.pool.maintenance == pytest.approx(0.16)
    assert portfolio.pool.maintenance == pytest.approx(0.1904761905, abs=1e-10)


def test_less_equity_falls_back_and_says_why():
    found = chosen(0.79)
    assert found.rulebook is STANDARD
    assert found.reasons == ("equity of 39,500.00 USD is below 40,000.00 (TEST-LEAST-001)",)


def test_who_did_not_choose_it_has_standard_margin():
    found = chosen(5.0, is_opted_in=False)
    assert found.rulebook is STANDARD
    assert found.reasons == ("portfolio margin was not chosen",)


def test_an_equity_that_is_not_known_is_not_enough():
    told = made.market([FUTURE])
    blind = Market(at=told.at, instruments=told.instruments, quotes={}, index=told.index)
    found = eligible(made.account([(FUTURE, 50_000.0)], told, (("BTC", 5.0),)), blind, PORTFOLIO, STANDARD)
    assert found.rulebook is STANDARD
    assert found.reasons == ("equity is not known (TEST-LEAST-001)",)


def test_rules_without_a_condition_hold_for_all():
    told = made.market([FUTURE])
    account = made.account([(FUTURE, 50_000.0)], told, (("BTC", 0.01),))
    assert eligible(account, told, made.rulebook(), STANDARD).reasons == ()
