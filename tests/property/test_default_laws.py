"""Laws of liquidation and of the default waterfall on random books: FM-5, CMM-6, CMS-5."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Position
from margrave.domain.instruments import Future
from margrave.engine.assess import assess
from margrave.engine.assessment import Status
from margrave.engine.default.closing import LiquidationRule
from margrave.engine.default.ledger import CLEARING, FUND, UNCOVERED, VENUE
from margrave.engine.default.unwind import Outcome, unwind
from margrave.engine.default.waterfall import Terms, waterfall
from margrave.rulebook.schema import AccountRules, CrossPool, Netting
from tests.unit.made import AT, INVERSE, LINEAR, market, rules

LATER = replace(INVERSE, symbol="BTCUSD-LATER", kind=Future(expiry=AT + timedelta(days=30)))
SIZES = {"BTCUSD": 50_000.0, "BTCUSD-LATER": 50_000.0, "BTCUSDT": 1.0}
RULES = st.builds(
    LiquidationRule,
    buffer=st.floats(0, 1),
    slice_share=st.floats(0.05, 1),
    slippage=st.floats(0, 0.02),
    fee_rate=st.floats(0, 0.002),
    penalty_rate=st.floats(0, 0.01),
)
BOOKS = st.sampled_from([Netting.NONE, Netting.LARGER_LEG, Netting.LARGER_SIDE])


def rulebook(netting: Netting):
    account = AccountRules(cross_pool=CrossPool.SETTLEMENT, code="TEST-ACCOUNT-004", netting=netting)
    return rules(account=account)


def at(mark: float):
    marks = {"BTCUSD": mark, "BTCUSD-LATER": mark * 1.01, "BTCUSDT": mark * 0.999}
    return market(INVERSE, LATER, LINEAR, **marks)


@st.composite
def accounts(draw, name="account"):
    positions = []
    for symbol, size in SIZES.items():
        quantity = draw(st.sampled_from([0.0, -2.0, -1.0, -0.3, 0.5, 1.0, 3.0])) * size
        mode = draw(st.sampled_from(list(MarginMode)))
        if quantity:
            entry = draw(st.floats(40_000, 60_000))
            positions.append(Position(symbol=symbol, quantity=quantity, entry=entry, mode=mode))
    cash = (
        Balance(asset="BTC", amount=draw(st.floats(0, 1))),
        Balance(asset="USDT", amount=draw(st.floats(0, 20_000))),
    )
    return Account(name=name, balances=cash, positions=tuple(positions))


@given(accounts(), st.floats(25_000, 90_000), RULES, BOOKS)
@settings(max_examples=60, deadline=None)
def test_fm_5_liquidation_ends_well_and_its_record_adds_up(account, mark, rule, netting):
    market_now, book = at(mark), rulebook(netting)
    done = unwind(account, market_now, book, rule)
    for pool in done.pools:
        for step, following in pairwise(pool.steps):
            assert step.after == following.before
        for step in pool.steps:
            scale = abs(step.before.equity) + step.before.maintenance
            assert step.after.equity == pytest.approx(step.before.equity - step.cost, abs=1e-9 * scale)
            assert step.after.maintenance <= step.before.maintenance * (1 + 1e-12)  # no hedge is broken
        if pool.outcome is Outcome.RESTORED:
            assert pool.end.margin_balance >= pool.end.maintenance * (1 + rule.buffer)
        if pool.outcome is Outcome.CLOSED:
            assert pool.positions == ()
    for pool in assess(done.account, market_now, book).pools:
        assert pool.status is not Status.LIQUIDATABLE or not pool.positions
    kept = {(p.symbol, p.mode): p.quantity for p in done.account.positions}
    for p in account.positions:  # only ever smaller, never turned
        assert 0 <= kept.get((p.symbol, p.mode), 0.0) / p.quantity <= 1


def wealth(found, asset, market_now, book):
    return sum(
        pool.equity
        for account in found
        for pool in assess(account, market_now, book).pools
        if pool.currency == asset
    )


@given(
    st.tuples(*(accounts(name=n) for n in "abc")),
    st.floats(25_000, 90_000),
    RULES,
    st.tuples(st.floats(0, 0.5), st.floats(0, 5_000)),
)
@settings(max_examples=60, deadline=None)
def test_cms_5_the_books_balance_at_every_step(holders, mark, rule, fund):
    market_now, book = at(mark), rulebook(Netting.NONE)
    terms = Terms(rule, dict(zip(("BTC", "USDT"), fund, strict=True)))
    result = waterfall(holders, market_now, book, terms)
    ledger = result.ledger
    opening = ledger.balances(0)
    for asset in ("BTC", "USDT"):
        total = sum(units for (_, a), units in opening.items() if a == asset)
        for step in range(len(ledger.transfers) + 1):
            held = ledger.balances(step)
            assert sum(units for (_, a), units in held.items() if a == asset) == total
            assert held.get((FUND, asset), 0) >= 0
        named = sum(u.amount for u in result.uncovered if u.asset == asset)
        assert ledger.balance(UNCOVERED, asset) == -round(named / terms.unit)
    paid_by = [t.payer for t in ledger.transfers]
    assert VENUE not in paid_by


@given(
    st.tuples(*(accounts(name=n) for n in "abc")),
    st.floats(25_000, 90_000),
    RULES,
    st.tuples(st.floats(0, 0.5), st.floats(0, 5_000)),
)
@settings(max_examples=60, deadline=None)
def test_cms_5_what_accounts_lose_others_have(holders, mark, rule, fund):
    market_now, book = at(mark), rulebook(Netting.NONE)
    result = waterfall(holders, market_now, book, Terms(rule, dict(zip(("BTC", "USDT"), fund, strict=True))))
    end, start = result.ledger.balances(), result.ledger.balances(0)
    for asset in ("BTC", "USDT"):
        before, after = (wealth(x, asset, market_now, book) for x in (holders, result.accounts))
        gained = sum(
            end.get((who, asset), 0) - start.get((who, asset), 0) for who in (FUND, VENUE, UNCOVERED)
        )
        fills = [f for u in result.unwindings for s in u.steps for f in s.fills] + list(result.takeovers)
        slipped = sum(f.slippage for f in fills if f.currency == asset)  # to whoever took the fill
        # A hundred roundings to a unit of 1e-8 at most.
        assert after + gained * 1e-8 + slipped == pytest.approx(before, abs=1e-6 + 1e-9 * abs(before))
    ledger_cash = {(p.name, b.asset): b.amount for p in result.accounts for b in p.balances}
    for (name, asset), amount in ledger_cash.items():
        booked = end.get((f"{name}: cross {asset}", asset), 0) * 1e-8
        assert booked == pytest.approx(amount, abs=1e-6)
    for made in result.deleveraged:
        assert made.realised >= -1e-9
    assert CLEARING not in {a.name for a in result.accounts}


@given(st.tuples(*(accounts(name=n) for n in "ab")), st.floats(25_000, 90_000))
@settings(max_examples=40, deadline=None)
def test_cms_5_nobody_is_below_zero_at_the_end(holders, mark):
    market_now, book = at(mark), rulebook(Netting.NONE)
    result = waterfall(holders, market_now, book, Terms(LiquidationRule(slippage=0.005)))
    for account in result.accounts:
        for pool in assess(account, market_now, book).pools:
            assert pool.equity >= -1e-6
