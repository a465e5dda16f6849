"""Laws of the analysis over random books: marginals, offsets, Euler sums, and targets of optimised trades."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from margrave.domain.account import Account, Balance, Position
from margrave.domain.market import Quote
from margrave.engine.analysis.contributions import contributions
from margrave.engine.analysis.offset import offsets
from margrave.engine.analysis.optimise import Distance, Free, optimise
from margrave.engine.analysis.stress import matrix
from margrave.engine.assess import assess
from margrave.liquidation import liquidations
from margrave.rulebook.schema import AccountRules, CrossPool, Netting
from tests.unit.liquidation.cases import INVERSE, market
from tests.unit.made import flat_ladder, rules

E = 50_000.0
DATED = replace(INVERSE, symbol="BTC-DATED")
FAR = replace(INVERSE, symbol="BTC-FAR")
MARKET = market((INVERSE, Quote(mark=E)), (DATED, Quote(mark=E * 1.02)), (FAR, Quote(mark=E * 1.05)))
SYMBOLS = (INVERSE.symbol, DATED.symbol, FAR.symbol)
sizes = st.integers(-500, 500).filter(bool).map(lambda n: n * 1_000.0)
entries = st.floats(40_000.0, 60_000.0)
nettings = st.sampled_from([Netting.NONE, Netting.LARGER_SIDE])


@st.composite
def books(draw, least=1):
    count = draw(st.integers(least, 3))
    held = tuple(Position(symbol=s, quantity=draw(sizes), entry=draw(entries)) for s in SYMBOLS[:count])
    return Account(balances=(Balance(asset="BTC", amount=draw(st.floats(0.5, 10.0))),), positions=held)


def ruled(netting, initial=0.1):
    account = AccountRules(cross_pool=CrossPool.SETTLEMENT, code="TEST-ACCOUNT-001", netting=netting)
    return rules(flat_ladder(initial, initial / 2), account=account)


@given(books(), nettings)
@settings(max_examples=40)
def test_offset_is_a_fraction_below_one_and_a_lone_marginal_is_the_requirement(account, netting):
    rulebook = ruled(netting)
    (told,) = offsets(account, MARKET, rulebook)
    assert -1e-12 <= told.fraction < 1.0
    assert all(0.0 < p.fraction <= 1.0 for p in told.pairs)
    lone = replace(account, positions=account.positions[:1])
    (pool,) = contributions(lone, MARKET, rulebook)
    assert pool.positions[0].marginal == pool.positions[0].alone == pool.requirement


@given(books(), nettings)
@settings(max_examples=40)
def test_euler_sums_to_a_requirement_that_scales_with_size(account, netting):
    (pool,) = contributions(account, MARKET, ruled(netting))
    assert pool.residual == pytest.approx(0.0, abs=1e-8 * pool.requirement)


@given(books(), st.floats(-0.6, 1.0), st.floats(-0.5, 1.0))
@settings(max_examples=25)
def test_a_cell_has_the_profit_of_its_equity(account, move, vol):
    (cell,) = matrix(account, MARKET, ruled(Netting.NONE), (move,), (vol,))
    now = assess(account, MARKET, ruled(Netting.NONE)).pools[0]
    assert cell.profit == cell.equity - now.equity


@given(books(least=2), nettings, st.floats(0.05, 1.2))
@settings(max_examples=25)
def test_freed_margin_is_reached_or_the_reason_is_told(account, netting, share):
    rulebook = ruled(netting)
    before = assess(account, MARKET, rulebook).pools[0]
    found = optimise(account, MARKET, rulebook, Free(share * before.initial))
    freed = found.after.pools[0].available - before.available
    assert found.reached == (freed >= share * before.initial * (1 - 1e-8))
    assert found.reached or found.why
    if netting is Netting.NONE and share < 0.95:  # closing everything frees all of it, less the spread
        assert found.reached


@given(books(least=2), st.sampled_from([-0.3, 0.4]))
@settings(max_examples=12)
def test_the_distance_is_reached_or_the_reason_is_told(account, move):
    rulebook = ruled(Netting.NONE, 0.02)
    assume(assess(account, MARKET, rulebook).pools[0].ratio < 1.0)
    found = optimise(account, MARKET, rulebook, Distance(move))
    bounds = liquidations(found.account, MARKET, rulebook)[0].bounds
    inside = [b for b in bounds if (1 + move < b.factor < 1 if move < 0 else 1 < b.factor < 1 + move)]
    assert found.reached == (not inside)
    assert found.reached or found.why
