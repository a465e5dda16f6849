"""Equity in every scenario with collateral revalued (spec PMS-6), and against the margin's own cells."""

import numpy as np
import pytest

from margrave.core.errors import RefusedError
from margrave.engine.analysis.solvency import solvency
from margrave.engine.assess import assess
from margrave.engine.assessment import Status
from tests.unit import made as flat
from tests.unit import scenarios_made as made

FUTURE = made.inverse()


def solvencies(held, rules=None, balances=(("BTC", 0.17),), **more):
    told = made.market([i for i, _ in held], **more)
    return solvency(made.account(held, told, balances), told, rules or made.rulebook())


def test_coins_that_cover_todays_dollars_do_not_cover_the_fall():
    # Specification PMS-6: 0.17 coin and a long future of 50,000 dollars.
    (pool,) = solvencies([(FUTURE, 50_000.0)])
    assert pool.currency == pool.underlying == "BTC"
    assert pool.equity == pytest.approx(0.17)
    assert pool.worst.move == pytest.approx(-0.16)
    assert pool.worst.equity == pytest.approx(-0.0204761905, abs=1e-10)
    assert pool.worst.equity_in_numeraire == pytest.approx(-0.0204761905 * 42_000.0, abs=1e-5)
    assert {round(c.move, 12) for c in pool.insolvent} == {-0.16}
    assert [c.cell for c in pool.insolvent] == [1, 2, 3]


def test_the_same_account_counted_in_dollars_looks_covered_and_is_named_all_the_same():
    rules = made.rulebook(currency="USD")
    held = [(FUTURE, 50_000.0)]
    told = made.market([FUTURE])
    account = made.account(held, told, (("BTC", 0.17),))
    (assessed,) = assess(account, told, rules).pools
    assert assessed.maintenance == pytest.approx(0.16 * 50_000.0)  # 0.16 coin at today's price
    assert assessed.status is Status.HEALTHY
    (pool,) = solvencies(held, rules)
    assert pool.currency == "USD"
    assert pool.worst.equity == pytest.approx(-0.0204761905 * 42_000.0, abs=1e-5)
    # Where collateral is revalued inside the scenarios, the requirement says it too.
    (moving,) = assess(account, told, made.rulebook(currency="USD", collateral_moves=True)).pools
    assert moving.status is Status.LIQUIDATABLE


def test_gains_are_those_of_the_margin_calculation():
    held = [
        (FUTURE, 70_000.0),
        (made.option(45_000.0, "put"), -2),
        (made.option(60_000.0, "call", days=90.0), 3),
        (made.option(50_000.0, "call"), -1),
    ]
    (pool,) = solvencies(held, balances=(("BTC", 1.0),))
    gains = [c.equity - pool.equity for c in pool.cells]
    np.testing.assert_allclose(gains, made.gains_of(held), rtol=0, atol=1e-12)
    assert pool.worst.equity - pool.equity == pytest.approx(-made.block_of(held).worst[0, 0], abs=1e-12)


def test_the_worst_dollar_cell_may_be_another():
    held = [(made.option(50_000.0, right), -1) for right in ("call", "put")]
    (pool,) = solvencies(held, balances=(("BTC", 0.0),))
    assert pool.worst.move == pytest.approx(-0.16)
    assert pool.worst_in_numeraire.move == pytest.approx(0.16)


def test_what_cannot_be_valued_is_not_solvent():
    option = made.option(50_000.0, "call")
    told = made.market([option])
    quote = made.Quote(mark=told.quotes[option.symbol].mark, index=made.PRICE, forward=made.PRICE)
    blind = made.Market(
        at=told.at, instruments=told.instruments, quotes={option.symbol: quote}, index=told.index
    )
    account = made.account([(option, -1)], told)
    (known,) = solvency(account, blind, made.rulebook())  # a vol is in the mark
    assert known.insolvent == ()
    expired = made.rulebook(made.terms(vol=None))  # vol moves that are not published
    (pool,) = solvency(account, told, expired)
    assert len(pool.insolvent) == len(pool.cells)
    assert np.isnan(pool.worst.equity)
    assert np.isnan(pool.worst_in_numeraire.equity)


def test_a_rulebook_without_scenarios_refuses():
    with pytest.raises(RefusedError, match="scenarios"):
        solvency(flat.inverse_account(), flat.inverse_market(50_000.0), flat.rules())
