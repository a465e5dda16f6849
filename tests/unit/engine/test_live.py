"""A live book: what each event does, whom it touches, what is told of it, and what is refused."""

from dataclasses import replace
from datetime import timedelta
from math import isnan, nan

import numpy as np
import pytest
from msgspec import structs

from margrave.core.errors import Reason
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Leg, Order, Position
from margrave.domain.book import account_of, book_of
from margrave.domain.market import Market, Quote
from margrave.engine.assessment import Status
from margrave.engine.live.events import (
    Clock,
    Deposited,
    Filled,
    Input,
    OrderCancelled,
    OrderPlaced,
    Tick,
)
from margrave.engine.live.pools import first_difference
from margrave.engine.live.venue import advance, audited, started
from margrave.rulebook.standard_manager import StandardManager
from tests.unit import made, made_books

CONVERTED = replace(made.LINEAR, symbol="ETHC", base="ETH", quote="USD", settlement="BTC")
OTHER = replace(made.LINEAR, symbol="ETHUSDT", base="ETH")
MARKET = Market(
    at=made.AT,
    instruments={i.symbol: i for i in (made.LINEAR, made.INVERSE, OTHER, CONVERTED)},
    quotes={"BTCUSDT": Quote(mark=50_000.0), "BTCUSD": Quote(mark=50_000.0), "ETHUSDT": Quote(mark=2_500.0)},
    index={"BTC": 50_000.0, "ETH": 2_500.0, "USDT": 1.0},
)
RULES = made.rules()
AGED = structs.replace(RULES, mark_age_max_seconds=10.0)
# ann: 10 % and 5 % of 50,000 against 6,000 USDT; bob holds the coin-margined one, cid the other coin.
HOLDERS = (
    Account(
        name="ann",
        balances=(Balance(asset="USDT", amount=6_000.0),),
        positions=(Position(symbol="BTCUSDT", quantity=1.0, entry=50_000.0),),
    ),
    Account(
        name="bob",
        balances=(Balance(asset="BTC", amount=1.0),),
        positions=(Position(symbol="BTCUSD", quantity=50_000.0, entry=50_000.0),),
    ),
    Account(
        name="cid",
        balances=(Balance(asset="USDT", amount=1_000.0),),
        positions=(Position(symbol="ETHUSDT", quantity=2.0, entry=2_500.0),),
    ),
)
ORDER = Order(symbol="BTCUSDT", quantity=1.0, price=49_000.0)


def after(seconds):
    return made.AT + timedelta(seconds=seconds)


def live(rules=RULES, market=MARKET, holders=HOLDERS):
    return started(book_of(holders), market, rules)


def mark(value, seconds=1, symbol="BTCUSDT"):
    return Tick(after(seconds), Input.MARK, symbol, value)


def filled(quantity, price, seconds=1, account="ann", symbol="BTCUSDT", **more):
    return Filled(at=after(seconds), account=account, symbol=symbol, quantity=quantity, price=price, **more)


def held(state, name):
    return account_of(state.book, state.rows[name])


def cash(state, name, asset="USDT"):
    return next(b.amount for b in held(state, name).balances if b.asset == asset)


STEPS = {  # mark: status after, and maintenance over margin balance
    "still enough": (49_500.0, Status.HEALTHY, 2_475.0 / 5_500.0),
    "below initial margin": (48_000.0, Status.CALL, 2_400.0 / 4_000.0),
    "below maintenance margin": (46_000.0, Status.LIQUIDATABLE, 2_300.0 / 2_000.0),
}


@pytest.mark.parametrize(("price", "status", "ratio"), STEPS.values(), ids=STEPS)
def test_a_tick_changes_the_status_of_those_who_hold_it(price, status, ratio):
    state, changes = advance(live(), [mark(price)])
    assert audited(state) is None
    assert changes.touched == 1
    assert (changes.at, changes.received, changes.applied) == (after(1), 1, 1)
    told = [(c.account, c.pool, c.before, c.after) for c in changes.statuses]
    expected = [] if status is Status.HEALTHY else [("ann", "cross USDT", Status.HEALTHY, status)]
    assert told == expected
    for change in changes.statuses:
        assert change.ratio_before == pytest.approx(2_500.0 / 6_000.0, rel=1e-15)
        assert change.ratio_after == pytest.approx(ratio, rel=1e-15)


def test_a_status_that_comes_back_is_told_too():
    state, _ = advance(live(), [mark(46_000.0)])
    state, changes = advance(state, [mark(48_000.0, 2), mark(2_501.0, 2, "ETHUSDT")])
    assert [(c.before, c.after) for c in changes.statuses] == [(Status.LIQUIDATABLE, Status.CALL)]
    assert changes.touched == 2


TOUCHED = {
    "an index touches what is on the coin, and its balances": (
        Tick(after(1), Input.INDEX, "BTC", 5e4 + 1),
        2,
    ),
    "a mark touches its holders": (mark(50_001.0), 1),
    "the same price touches nobody": (mark(50_000.0), 0),
    "nobody holds it": (mark(1.0, symbol="ETHC"), 0),
    "time alone touches nobody without options": (Clock(after(1)), 0),
    "a deposit touches its account": (
        Deposited(at=after(1), account="cid", asset="BTC", amount=0.1),
        1,
    ),
    "an order touches its account": (OrderPlaced(at=after(1), account="bob", order=ORDER), 1),
}


@pytest.mark.parametrize(("event", "count"), TOUCHED.values(), ids=TOUCHED)
def test_an_event_touches_no_more_than_it_has_to(event, count):
    state, changes = advance(live(), [event])
    assert (changes.touched, changes.applied, changes.refused) == (count, 1, ())
    assert audited(state) is None


def test_an_empty_batch_changes_nothing():
    before = live()
    state, changes = advance(before, [])
    assert (changes.received, changes.touched, changes.at) == (0, 0, made.AT)
    assert first_difference(state.pools, before.pools, state.book.names) is None


def test_ticks_coalesce_and_late_ones_are_counted():
    ticks = [mark(49_000.0, 1), mark(46_000.0, 3), mark(51_000.0, 2), mark(48_000.0, 3), Clock(after(3))]
    state, changes = advance(live(), ticks)
    assert (changes.received, changes.applied, changes.coalesced, changes.late) == (5, 2, 2, 1)
    assert state.market.quotes["BTCUSDT"].mark == 48_000.0
    state, changes = advance(state, [mark(1.0, 2), Clock(after(2))])
    assert (changes.applied, changes.late, changes.touched) == (0, 2, 0)
    assert state.market.quotes["BTCUSDT"].mark == 48_000.0


def test_a_mark_that_grows_old_makes_its_pools_unknown_until_it_is_renewed():
    state, changes = advance(live(AGED), [mark(50_000.0, 5), Clock(after(12))])
    assert [(c.account, c.before, c.after) for c in changes.statuses] == [
        ("bob", Status.HEALTHY, Status.UNKNOWN),
        ("cid", Status.HEALTHY, Status.UNKNOWN),
    ]
    assert isnan(changes.statuses[0].ratio_after)
    assert {i.reason for told in state.pools.issues.values() for i in told} == {Reason.STALE_MARK}
    state, changes = advance(state, [mark(50_000.0, 13, "BTCUSD")])
    assert [(c.account, c.after) for c in changes.statuses] == [("bob", Status.HEALTHY)]
    assert audited(state) is None


def test_an_index_that_grows_old_is_left_out_until_it_is_renewed():
    marks = [mark(q.mark, 12, s) for s, q in MARKET.quotes.items()]
    state, _ = advance(live(AGED), [*marks, Tick(after(12), Input.INDEX, "BTC", 50_000.0), Clock(after(12))])
    assert set(state.market.index) == {"BTC"}
    assert set(state.prices.index) == {"BTC", "ETH", "USDT"}
    state, _ = advance(state, [Tick(after(13), Input.INDEX, "ETH", 2_500.0)])
    assert set(state.market.index) == {"BTC", "ETH"}
    assert audited(state) is None


FILLS = {  # of ann's long contract at 50,000: contracts, entry and USDT after
    "more of it": (filled(1.0, 52_000.0), [(2.0, 51_000.0)], 6_000.0),
    "half of it sold": (filled(-0.5, 52_000.0), [(0.5, 50_000.0)], 7_000.0),
    "all of it sold": (filled(-1.0, 49_000.0), [], 5_000.0),
    "sold through zero": (filled(-3.0, 49_000.0), [(-2.0, 49_000.0)], 5_000.0),
    "the venue states the cash": (filled(-1.0, 49_000.0, cash=-1_010.0), [], 4_990.0),
    "a short leg beside it": (
        filled(-1.0, 49_000.0, leg=Leg.SHORT),
        [(1.0, 50_000.0), (-1.0, 49_000.0)],
        6e3,
    ),
    "isolated beside it": (
        filled(1.0, 49_000.0, mode=MarginMode.ISOLATED, leverage=20.0),
        [(1.0, 50_000.0), (1.0, 49_000.0)],
        6_000.0,
    ),
}


@pytest.mark.parametrize(("event", "positions", "usdt"), FILLS.values(), ids=FILLS)
def test_a_fill_moves_position_and_cash(event, positions, usdt):
    state, changes = advance(live(), [event])
    assert changes.refused == ()
    assert [(p.quantity, p.entry) for p in held(state, "ann").positions] == positions
    assert cash(state, "ann") == usdt
    assert audited(state) is None


def test_isolated_margin_leaves_with_what_is_closed():
    position = Position(
        symbol="BTCUSDT",
        quantity=1.0,
        entry=50_000.0,
        mode=MarginMode.ISOLATED,
        isolated_margin=5_000.0,
    )
    state = live(holders=(replace(HOLDERS[0], positions=(position,)),))
    state, _ = advance(state, [filled(-0.25, 52_000.0, mode=MarginMode.ISOLATED)])
    assert held(state, "ann").positions[0].isolated_margin == 3_750.0
    assert cash(state, "ann") == 6_000.0 + 500.0 + 1_250.0
    assert audited(state) is None


def test_each_leg_of_a_hedge_is_filled_by_its_side():
    legs = [filled(-1.0, 49_000.0, leg=Leg.SHORT), filled(-0.5, 51_000.0, 2, leg=Leg.LONG)]
    legs.append(filled(1.0, 48_000.0, 3, leg=Leg.SHORT))
    state, changes = advance(live(), legs)
    assert changes.refused == ()
    assert [(p.quantity, p.leg) for p in held(state, "ann").positions] == [(0.5, Leg.NET)]
    assert cash(state, "ann") == 6_000.0 + 500.0 + 1_000.0


def test_orders_come_and_go():
    state, changes = advance(live(), [OrderPlaced(at=after(1), account="ann", order=ORDER)])
    assert [(c.before, c.after) for c in changes.statuses] == [(Status.HEALTHY, Status.CALL)]
    state, changes = advance(state, [OrderCancelled(at=after(2), account="ann", order=ORDER)])
    assert [(c.before, c.after) for c in changes.statuses] == [(Status.CALL, Status.HEALTHY)]
    assert held(state, "ann").orders == ()


def test_a_pool_that_comes_or_goes_is_healthy_where_it_is_not():
    bought = filled(1e6, 50_000.0, symbol="BTCUSD")
    state, changes = advance(live(), [bought])
    (change,) = changes.statuses
    assert (change.pool, change.before, change.after) == ("cross BTC", Status.HEALTHY, Status.LIQUIDATABLE)
    assert change.ratio_before == 0.0
    alone = filled(1.0, 40_000.0, 2, mode=MarginMode.ISOLATED, symbol="ETHUSDT")
    state, changes = advance(state, [alone])
    assert [(c.pool, c.after) for c in changes.statuses] == [("isolated ETHUSDT", Status.LIQUIDATABLE)]
    state, changes = advance(state, [filled(-1.0, 2_500.0, 3, mode=MarginMode.ISOLATED, symbol="ETHUSDT")])
    gone = [(c.pool, c.before, c.after) for c in changes.statuses if c.pool == "isolated ETHUSDT"]
    assert gone == [("isolated ETHUSDT", Status.LIQUIDATABLE, Status.HEALTHY)]
    assert audited(state) is None


REFUSED = {
    "nobody": (Deposited(at=after(1), account="eve", asset="BTC", amount=1.0), Reason.NOT_FOUND),
    "no such asset": (Deposited(at=after(1), account="ann", asset="XYZ", amount=1.0), Reason.NOT_FOUND),
    "too much": (Deposited(at=after(1), account="ann", asset="USDT", amount=1e18), Reason.INVALID_VALUE),
    "no such contract": (filled(1.0, 1.0, symbol="GONE"), Reason.UNKNOWN_INSTRUMENT),
    "no such contract to order": (
        OrderPlaced(at=after(1), account="ann", order=replace(ORDER, symbol="GONE")),
        Reason.UNKNOWN_INSTRUMENT,
    ),
    "no such order": (OrderCancelled(at=after(1), account="ann", order=ORDER), Reason.NOT_FOUND),
    "a leg through zero": (filled(-2.0, 1e4, leg=Leg.LONG), Reason.INVALID_VALUE),
    "cash of one that converts": (filled(1.0, 2_500.0, symbol="ETHC"), Reason.UNSUPPORTED),
    "a mark of zero": (mark(0.0), Reason.INVALID_VALUE),
    "a mark of nothing": (mark(1.0, symbol="GONE"), Reason.UNKNOWN_INSTRUMENT),
    "an index of zero": (Tick(after(1), Input.INDEX, "BTC", 0.0), Reason.INVALID_VALUE),
    "an index of nothing": (Tick(after(1), Input.INDEX, "XYZ", 1.0), Reason.NOT_FOUND),
    "a vol before a mark": (Tick(after(1), Input.VOL, "ETHC", 0.5), Reason.MISSING_MARK),
}


@pytest.mark.parametrize(("event", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_applied_is_told_and_changes_nothing(event, reason):
    before = live()
    state, changes = advance(before, [event, mark(50_000.0, 1, "BTCUSD")])
    (told,) = changes.refused
    assert (told.event, told.issue.reason) == (event, reason)
    assert (changes.applied, changes.statuses) == (1, ())
    assert first_difference(state.pools, before.pools, state.book.names) is None
    assert held(state, "ann") == held(before, "ann")


def test_a_fill_that_names_no_leg_of_two_is_refused():
    state, _ = advance(live(), [filled(-1.0, 49_000.0, leg=Leg.SHORT)])
    _, changes = advance(state, [filled(1.0, 49_000.0, 2)])
    assert [r.issue.reason for r in changes.refused] == [Reason.CONTRADICTION]


def test_a_contract_that_converts_fills_with_its_cash_stated():
    state, changes = advance(live(), [filled(1.0, 2_500.0, symbol="ETHC", account="bob", cash=-0.25)])
    assert changes.refused == ()
    assert cash(state, "bob", "BTC") == 0.75


BAD = {
    "no zone": lambda: Clock(made.AT.replace(tzinfo=None)),
    "negative": lambda: mark(-1.0),
    "not a number": lambda: mark(nan),
    "no contracts": lambda: filled(0.0, 1.0),
    "no price": lambda: filled(1.0, nan),
    "infinite cash": lambda: filled(1.0, 1.0, cash=float("inf")),
    "infinite amount": lambda: Deposited(at=made.AT, account="a", asset="A", amount=float("inf")),
}


@pytest.mark.parametrize("wrong", BAD.values(), ids=BAD)
def test_events_that_cannot_be_are_not_made(wrong):
    with pytest.raises(ValueError, match="must be"):
        wrong()


def with_column(state, name, row, value):
    column = getattr(state.pools.columns, name).copy()
    column[row] = value
    return replace(state, pools=replace(state.pools, columns=replace(state.pools.columns, **{name: column})))


DAMAGED = {
    "a digit": ("maintenance", 1, np.nextafter(0.05, 1.0), ("bob", "maintenance")),
    "the sign of zero": ("order_margin", 2, -0.0, ("cid", "order_margin")),
    "what is known": ("equity", 0, nan, ("ann", "equity")),
    "a status": ("status", 0, 1, ("ann", "status")),
    "a pool of another": ("account", 0, 1, ("ann", "account")),
}


@pytest.mark.parametrize(("name", "row", "value", "told"), DAMAGED.values(), ids=DAMAGED)
def test_an_audit_names_the_first_account_that_differs(name, row, value, told):
    found = audited(with_column(live(), name, row, value))
    assert found is not None
    assert (found.account, found.column) == told


def test_an_audit_sees_a_lost_reason_and_a_lost_pool():
    state, _ = advance(live(AGED), [Clock(after(11))])
    silent = replace(state, pools=replace(state.pools, issues={}))
    found = audited(silent)
    assert found is not None
    assert (found.account, found.column) == ("ann", "issues")
    fewer, _ = advance(live(), [filled(1.0, 5e4, symbol="BTCUSD", account="cid")])
    found = audited(replace(live(), book=fewer.book))
    assert found is not None
    assert (found.account, found.column) == ("cid", "account")


def test_a_peg_that_nobody_quotes_makes_standard_manager_pools_unknown():
    rules = next(r for r in made_books.rulebooks() if isinstance(r.portfolio, StandardManager))
    settled = rules.portfolio.settlement
    accounts = made_books.accounts(2, 6, rules)
    state = started(book_of(accounts), made_books.MARKET, structs.replace(rules, mark_age_max_seconds=10.0))
    fresh = [
        Tick(after(20), Input.INDEX, a, p) for a, p in made_books.INDEX.items() if a not in (settled, "USD")
    ]
    state, changes = advance(state, [*fresh, Clock(after(20))])
    assert changes.touched == len(accounts)
    assert {s.after for s in changes.statuses} <= {Status.UNKNOWN}
    told = [i for issues in state.pools.issues.values() for i in issues]
    assert (settled, Reason.MISSING_INDEX) in {(i.where, i.reason) for i in told}
    assert audited(state) is None
