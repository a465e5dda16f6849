"""Correlations that break down (spec PM-1, CMS-3, PM-4)."""

from math import isnan, sqrt

import pytest

from margrave.core.errors import RefusedError
from margrave.core.words import INITIAL
from margrave.domain.book import book_of
from margrave.engine.analysis.breakdown import breakdowns
from margrave.engine.assess import assess
from margrave.margin.pooled import evaluate, prepare
from margrave.rulebook.portfolio import Cell, Cells, CorrelationOffset, CorrelationPair, LevelFactors, VolMove
from tests.unit import scenarios_made as made

BTC, ETH, SOL = (made.linear(f"{base}-LINEAR", base) for base in ("BTC", "ETH", "SOL"))
PRICES = {"BTC": 50_000.0, "ETH": 2_500.0, "SOL": 100.0}


def rules(*pairs, most=0.8, **more):
    told = tuple(CorrelationPair(a, b, rho) for a, b, rho in pairs)
    rule = CorrelationOffset(code="TEST-RHO", pairs=told, benefit_most=most)
    return made.rulebook(correlation=rule, currency="USD", **more)


def broken(held, rulebook, cash=5_000.0, **more):
    told = made.market([i for i, _ in held], PRICES)
    account = made.account(held, told, (("USD", cash),))
    return breakdowns(account, told, rulebook, **more)[0]


def test_a_hedge_by_correlation_breaks():
    # A loss of 8,000 on each leg: one coin long at 50,000, twenty short at 2,500, a range of 16 %.
    found = broken([(BTC, 1), (ETH, -20)], rules(("BTC", "ETH", 0.8)))
    assert found.pool == "cross USD"
    assert found.currency == "USD"
    assert found.calibrated == pytest.approx(8_000.0 * sqrt(2.0 - 2.0 * 0.8), rel=1e-12)
    assert found.uncorrelated == pytest.approx(8_000.0 * sqrt(2.0), rel=1e-12)
    assert found.turned == found.worst == pytest.approx(8_000.0 * sqrt(2.0 + 2.0 * 0.8), rel=1e-12)
    assert found.jump == pytest.approx(found.turned - found.calibrated)
    assert found.shortfall == pytest.approx(found.turned - 5_000.0)


def test_the_worst_sign_is_the_pools_own():
    # Both long: what turns helps, and the calibrated correlation is already the worst.
    found = broken([(BTC, 1), (ETH, 20)], rules(("BTC", "ETH", 0.8)), cash=1e6)
    assert found.worst == found.calibrated == pytest.approx(8_000.0 * sqrt(2.0 + 2.0 * 0.8), rel=1e-12)
    assert found.turned < found.uncorrelated < found.calibrated
    assert found.jump == 0.0
    assert found.shortfall == 0.0


def test_the_benefit_is_capped():
    # PM-4: perfect correlation would ask nothing; a fifth of the sum stays.
    found = broken([(BTC, 1), (ETH, -20)], rules(("BTC", "ETH", 1.0)))
    assert found.calibrated == pytest.approx(0.2 * 16_000.0, rel=1e-12)
    assert found.turned == pytest.approx(16_000.0, rel=1e-12)
    levels = LevelFactors(code="L", initial=1.5)
    initial = broken([(BTC, 1), (ETH, -20)], rules(("BTC", "ETH", 1.0), levels=levels), level=INITIAL)
    assert initial.calibrated == pytest.approx(1.5 * 0.2 * 16_000.0, rel=1e-12)


def test_pairs_that_nobody_states_add_up():
    asked = broken([(BTC, 1), (SOL, -500)], rules(("BTC", "ETH", 0.8)))
    assert asked.calibrated == asked.worst == pytest.approx(16_000.0, rel=1e-12)


def test_a_unit_that_no_move_hurts_is_not_offset():
    # The short option's worst cell is a rise of vol at the price of today: no move, no side, no offset.
    option = made.option(50_000.0, "call", coin=False)
    cells = Cells(code="C", listed=(Cell(move=0.0, vol=VolMove.UP), Cell(move=0.001)))
    own = (made.terms(cells, bases=("BTC",)), made.terms())
    rule = CorrelationOffset(code="R", pairs=(CorrelationPair("BTC", "ETH", 0.9),))
    book = made.rulebook(*own, correlation=rule, currency="USD")
    asked = [
        broken(held, book).calibrated for held in ([(option, -1)], [(ETH, -20)], [(option, -1), (ETH, -20)])
    ]
    assert asked[0] > 0.0
    assert asked[2] == pytest.approx(asked[0] + asked[1], rel=1e-12)


def test_an_unknown_account_leaves_the_others_of_a_book_known():
    # A NaN of one pool must not reach another through a matrix of all units.
    rulebook = rules(("BTC", "ETH", 0.8))
    told = made.market([BTC, ETH], PRICES)
    listed = {**told.instruments, "GHOST": made.linear("GHOST", "ETH")}
    told = made.Market(at=told.at, instruments=listed, quotes=told.quotes, index=told.index)
    known = made.account([(BTC, 1), (ETH, -20)], told, (("USD", 5e3),), name="known")
    ghost = made.Position(symbol="GHOST", quantity=1.0, entry=1.0)
    unknown = made.Account(name="unknown", balances=known.balances, positions=(*known.positions, ghost))
    together = evaluate(prepare(book_of((unknown, known)), told, rulebook)).maintenance[0]
    assert isnan(together[0])
    assert together[1] == assess(known, told, rulebook).pools[0].maintenance


def test_rules_without_correlation_refuse():
    told = made.market([BTC], PRICES)
    with pytest.raises(RefusedError, match="correlation"):
        breakdowns(made.account([(BTC, 1)], told), told, made.rulebook())
