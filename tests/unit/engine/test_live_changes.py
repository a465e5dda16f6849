"""A live book: who joins it, what is listed, funding, fees, ids, dated rules, slow inputs, and screens."""

from dataclasses import fields, replace
from datetime import timedelta
from math import nan

import numpy as np
import pytest
from msgspec import structs

from margrave.core.errors import Reason
from margrave.core.words import Liquidity, MarginMode
from margrave.domain.account import Account, Balance, Memory, Order, Position
from margrave.domain.amended import picked
from margrave.domain.book import account_of, book_of
from margrave.domain.market import Market, Quote
from margrave.engine.assessment import Status
from margrave.engine.live import holders
from margrave.engine.live.events import (
    Clock,
    Deposited,
    Filled,
    Funded,
    Input,
    Listed,
    Opened,
    OrderPlaced,
    Tick,
)
from margrave.engine.live.prices import first_instants, prices_of, resolved_in
from margrave.engine.live.seen import is_seen, with_ids
from margrave.engine.live.venue import advance, audited, settled, stale_inputs, started
from margrave.kernels.fees import option_fee
from margrave.margin.resolve import resolve
from margrave.rulebook.reform import with_schedule
from margrave.rulebook.schedules import Discipline, Reference
from margrave.rulebook.schema import FeeRule, Match
from tests.unit import made, made_books

OPTION = next(i for i in made_books.INSTRUMENTS if i.symbol.startswith("BTC-30") and i.settlement == "BTC")
QUOTED = next(i for i in made_books.INSTRUMENTS if i.symbol.startswith("BTC-30") and i.settlement == "USDC")
CONVERTED = replace(made.LINEAR, symbol="ETHC", base="ETH", quote="USD", settlement="BTC")
TAKEN = replace(made.LINEAR, symbol="TAKEN", taker_fee=0.001)
MARKET = Market(
    at=made.AT,
    instruments={i.symbol: i for i in (made.LINEAR, made.INVERSE, CONVERTED, TAKEN, OPTION, QUOTED)},
    quotes={"BTCUSDT": Quote(mark=50_000.0), "BTCUSD": Quote(mark=50_000.0)},
    index={"BTC": 50_000.0, "USDT": 1.0},
)
RULES = made.rules()
ISOLATED = Position(
    symbol="BTCUSDT", quantity=2.0, entry=5e4, mode=MarginMode.ISOLATED, isolated_margin=300.0
)
ANN = Account(
    name="ann",
    balances=(Balance(asset="USDT", amount=6_000.0),),
    positions=(Position(symbol="BTCUSDT", quantity=1.0, entry=50_000.0),),
)
HOLDERS = (
    ANN,
    Account(
        name="bob",
        balances=(Balance(asset="BTC", amount=1.0),),
        positions=(Position(symbol="BTCUSD", quantity=-100_000.0, entry=50_000.0),),
    ),
    Account(name="cid", positions=(replace(ANN.positions[0], quantity=-1.0),)),
    Account(name="dan", balances=(Balance(asset="USDT", amount=50.0),), positions=(ISOLATED,)),
)
NEW = replace(made.LINEAR, symbol="NEWUSDT", base="NEW")


def after(seconds):
    return made.AT + timedelta(seconds=seconds)


def live(rules=RULES, accounts=HOLDERS, **more):
    return started(book_of(accounts), MARKET, rules, **more)


def held(state, name):
    return account_of(state.book, state.rows[name])


def cash(state, name, asset="USDT"):
    return next(b.amount for b in held(state, name).balances if b.asset == asset)


def paid(amount, seconds=1, account="ann", **more):
    return Deposited(at=after(seconds), account=account, asset="USDT", amount=amount, **more)


def filled(quantity, price, symbol="BTCUSDT", account="ann", **more):
    return Filled(at=after(1), account=account, symbol=symbol, quantity=quantity, price=price, **more)


def funded(rate, mark, symbol="BTCUSDT", **more):
    return Funded(at=after(1), symbol=symbol, rate=rate, mark=mark, **more)


def refused(state, *events):
    state, changes = advance(state, events)
    assert audited(state) is None
    return [r.issue.reason for r in changes.refused]


def test_an_account_joins_trades_and_is_margined():
    events = [
        Opened(at=after(1), account="eve", parent="ann"),
        paid(1_000.0, account="eve"),
        filled(1.0, 50_000.0, account="eve"),
    ]
    state, changes = advance(live(), events)
    assert (changes.applied, changes.refused, changes.touched) == (3, (), 1)
    assert [(c.account, c.before, c.after) for c in changes.statuses] == [
        ("eve", Status.HEALTHY, Status.LIQUIDATABLE)
    ]
    assert held(state, "eve").parent == "ann"
    assert held(state, "ann") == ANN
    assert audited(state) is None
    state, changes = advance(state, [Tick(after(2), Input.MARK, "BTCUSDT", 53_000.0)])
    assert [c.account for c in changes.statuses] == ["cid", "dan", "eve"][-len(changes.statuses) :]
    assert audited(state) is None


def test_an_account_that_is_there_is_not_opened_twice():
    twice = [Opened(at=after(1), account="eve"), Opened(at=after(2), account="eve")]
    assert refused(live(), Opened(at=after(1), account="ann"), *twice) == [Reason.DUPLICATE] * 2


def test_a_narrow_book_takes_more_accounts_than_its_rows_had_room_for():
    many = tuple(Account(name=f"a{k}") for k in range(127))
    book = book_of(many)
    narrow = replace(book, account=book.account.astype(np.int8))
    opened = [Opened(at=after(1), account=f"b{k}") for k in range(9)]
    state, _ = advance(started(narrow, MARKET, RULES), [*opened, filled(1.0, 5e4, account="b8")])
    assert state.book.account.tolist() == [135]
    assert held(state, "b8").positions[0].quantity == 1.0


def test_an_instrument_is_listed_and_then_traded():
    mark, trade = Tick(after(2), Input.MARK, "NEWUSDT", 10.0), filled(5.0, 10.0, symbol="NEWUSDT")
    assert refused(live(), mark, trade) == [Reason.UNKNOWN_INSTRUMENT] * 2
    state, changes = advance(live(), [Listed(at=after(1), instrument=NEW), mark, trade])
    assert (changes.applied, changes.touched) == (3, 1)
    assert state.market.quotes["NEWUSDT"].mark == 10.0
    assert audited(state) is None
    again, changes = advance(state, [Listed(at=after(3), instrument=NEW)])
    assert (changes.applied, changes.touched) == (1, 0)
    other = Listed(at=after(3), instrument=replace(NEW, settlement="USDC", quote="USDC"))
    assert refused(again, other) == [Reason.CONTRADICTION]


def test_what_was_held_unlisted_is_valued_once_it_is_listed():
    lost = replace(ANN, positions=(Position(symbol="NEWUSDT", quantity=5.0, entry=9.0),))
    state = live(accounts=(*HOLDERS[1:], lost))
    events = [Listed(at=after(1), instrument=NEW), Tick(after(1), Input.MARK, "NEWUSDT", 10.0)]
    state, changes = advance(state, events)
    assert [(c.account, c.before, c.after) for c in changes.statuses] == [
        ("ann", Status.UNKNOWN, Status.HEALTHY)
    ]
    assert audited(state) is None


FUNDED = {  # of one contract at 50,000: 0.01 % is 5 USDT from longs to shorts
    "long pays": ("ann", "USDT", 6_000.0 - 5.0),
    "short receives, without a balance before": ("cid", "USDT", 5.0),
    "isolated pays from its own margin": ("dan", "USDT", 50.0),
    "nobody else": ("bob", "BTC", 1.0),
}


@pytest.mark.parametrize(("name", "asset", "amount"), FUNDED.values(), ids=FUNDED)
def test_funding_moves_cash_of_all_who_hold_it(name, asset, amount):
    state, changes = advance(live(), [funded(1e-4, 50_000.0)])
    assert changes.touched == 3
    assert changes.amended.tolist() == [0, 2, 3]
    assert cash(state, name, asset) == amount
    assert held(state, "dan").positions[0].isolated_margin == 300.0 - 10.0
    assert audited(state) is None


def test_funding_of_an_inverse_contract_is_in_its_coin():
    state, _ = advance(live(), [funded(-1e-4, 40_000.0, symbol="BTCUSD")])
    assert cash(state, "bob", "BTC") == 1.0 - 1e-4 * 100_000.0 / 40_000.0


def test_isolated_margin_pays_down_to_nothing_and_the_wallet_the_rest():
    state, _ = advance(live(), [funded(0.004, 50_000.0)])  # 400 of 300
    assert held(state, "dan").positions[0].isolated_margin == 0.0
    assert cash(state, "dan") == -50.0


def test_funding_comes_between_fills_as_it_was_sent():
    one, _ = advance(live(), [filled(1.0, 5e4), funded(1e-4, 5e4)])
    two, _ = advance(live(), [funded(1e-4, 5e4), filled(1.0, 5e4)])
    assert (cash(one, "ann"), cash(two, "ann")) == (5_990.0, 5_995.0)


UNFUNDED = {
    "nothing": ("GONE", Reason.UNKNOWN_INSTRUMENT),
    "an option": (OPTION.symbol, Reason.UNKNOWN_INSTRUMENT),
    "what converts": ("ETHC", Reason.UNSUPPORTED),
}


@pytest.mark.parametrize(("symbol", "reason"), UNFUNDED.values(), ids=UNFUNDED)
def test_what_has_no_funding_is_refused(symbol, reason):
    assert refused(live(), funded(1e-4, 5e4, symbol=symbol)) == [reason]


@pytest.mark.parametrize("balances", [(), ANN.balances], ids=["without a balance", "with one"])
def test_funding_beyond_every_balance_is_refused_whole(balances):
    huge = replace(ANN, balances=balances, positions=(replace(ANN.positions[0], quantity=1e15),))
    before = live(accounts=(*HOLDERS[1:], huge))
    state, changes = advance(before, [funded(0.1, 50_000.0)])
    assert [(r.issue.where, r.issue.reason) for r in changes.refused] == [("BTCUSDT", Reason.INVALID_VALUE)]
    assert state.book is before.book


FEES = structs.replace(
    RULES,
    fees=(
        FeeRule(code="X-1", match=Match(kinds=("option",)), maker=0.0003, taker=0.0003, premium_cap=0.125),
        FeeRule(
            code="X-2", match=Match(payoffs=("linear",), symbols=("BTCUSDT",)), maker=-0.0001, taker=0.0005
        ),
    ),
)
PAID = {  # a fill, and what it costs [settlement asset]
    "its own fee": (filled(1.0, 5e4, fee=7.0, liquidity=Liquidity.TAKER), 7.0),
    "none told": (filled(1.0, 5e4), 0.0),
    "a taker's": (filled(2.0, 5e4, liquidity=Liquidity.TAKER), 0.0005 * 1e5),
    "a maker's rebate": (filled(2.0, 5e4, liquidity=Liquidity.MAKER), -0.0001 * 1e5),
    "beside the cash": (filled(1.0, 5e4, cash=-3.0, liquidity=Liquidity.TAKER), 3.0 + 25.0),
    "the instrument's own": (filled(1.0, 5e4, symbol="TAKEN", liquidity=Liquidity.TAKER), 50.0),
}


@pytest.mark.parametrize(("fill", "cost"), PAID.values(), ids=PAID)
def test_a_fill_pays_its_fee(fill, cost):
    state, changes = advance(live(FEES), [fill])
    assert changes.refused == ()
    assert cash(state, "ann") == 6_000.0 - cost


@pytest.mark.parametrize("price", [0.05, 0.001], ids=["by the coin", "by the premium"])
def test_an_option_pays_by_the_coin_and_no_more_than_a_share_of_its_premium(price):
    fill = filled(3.0, price, symbol=OPTION.symbol, account="bob", liquidity=Liquidity.TAKER)
    state, _ = advance(live(FEES), [fill])
    expected = 1.0 - 3.0 * price - 3.0 * float(option_fee(0.0003, price, 0.125))
    assert cash(state, "bob", "BTC") == pytest.approx(expected, rel=1e-15)


UNPAID = {
    "no rate for a maker": (filled(1.0, 5e4, symbol="TAKEN", liquidity=Liquidity.MAKER), Reason.NO_RULE),
    "no rate at all": (filled(1.0, 5e4, symbol="BTCUSD", liquidity=Liquidity.TAKER), Reason.NO_RULE),
    "an option in dollars": (
        filled(1.0, 5e2, symbol=QUOTED.symbol, liquidity=Liquidity.TAKER),
        Reason.UNSUPPORTED,
    ),
    "what converts": (
        filled(1.0, 2e3, symbol="ETHC", cash=0.0, liquidity=Liquidity.TAKER),
        Reason.UNSUPPORTED,
    ),
}


@pytest.mark.parametrize(("fill", "reason"), UNPAID.values(), ids=UNPAID)
def test_a_fee_that_nobody_knows_refuses_the_fill(fill, reason):
    assert refused(live(FEES), fill) == [reason]


def test_an_event_of_an_id_counts_once():
    events = [paid(10.0, id="a"), paid(10.0, 2, id="a"), paid(10.0, 3), paid(10.0, 4)]
    state, changes = advance(live(), events)
    assert (changes.applied, changes.repeated) == (3, 1)
    state, changes = advance(state, [paid(10.0, 5, id="a"), paid(10.0, 6, id="b")])
    assert (changes.applied, changes.repeated) == (1, 1)
    assert cash(state, "ann") == 6_040.0


def test_what_was_refused_may_be_sent_again():
    lost = paid(10.0, account="eve", id="a")
    state, changes = advance(live(), [lost, Opened(at=after(1), account="eve"), lost])
    assert (len(changes.refused), changes.repeated, changes.applied) == (1, 0, 2)
    assert cash(state, "eve") == 10.0


def test_ids_are_kept_in_sets_that_double():
    seen = ()
    for k in range(100):
        seen = with_ids(seen, [f"{k}"])
    assert all(is_seen(seen, f"{k}") for k in range(100))
    assert not is_seen(seen, "100")
    assert len(seen) <= 7
    assert with_ids(seen, ()) is seen


def test_dated_rules_take_effect_with_the_clock():
    dear = structs.replace(made.rules(made.flat_ladder(0.20, 0.15)), valid_from=after(10))
    state = live(later=[dear])
    state, changes = advance(state, [Clock(after(9))])
    assert (changes.rulebook, changes.touched, state.rulebook) == (None, 0, RULES)
    state, changes = advance(state, [Clock(after(10))])
    assert (changes.rulebook, changes.touched) == (dear, len(HOLDERS))
    told = {c.account: (c.before, c.after) for c in changes.statuses}
    assert told["ann"] == (Status.HEALTHY, Status.LIQUIDATABLE)  # 15 % of 50,000 against 6,000
    assert audited(state) is None


def test_a_fill_pays_by_the_rules_of_its_instant():
    free = structs.replace(FEES, valid_from=after(5), fees=(structs.replace(FEES.fees[1], taker=0.0),))
    state = live(FEES, later=[free])
    fills = [filled(1.0, 5e4, liquidity=Liquidity.TAKER), filled(1.0, 5e4, liquidity=Liquidity.TAKER)]
    state, _ = advance(state, [replace(fills[0], at=after(6)), Clock(after(7)), fills[1]])
    assert cash(state, "ann") == 6_000.0 - 25.0


SLOW = {
    "an index of its own": (Input.UNDERLYING, "BTCUSDT", 51_000.0),
    "open interest": (Input.OPEN_INTEREST, "BTCUSDT", 1e5),
    "a volatility": (Input.VOLATILITY, "BTC", 0.9),
    "a slow price of an asset": (Input.SLOW, "BTC", 49_500.0),
    "a slow price of an instrument": (Input.SLOW, "BTCUSDT", 49_500.0),
    "what the venue holds": (Input.DEPOSITS, "USDT", 1e9),
    "what the venue has lent": (Input.BORROWS, "USDT", 1e8),
}


@pytest.mark.parametrize(("what", "name", "value"), SLOW.values(), ids=SLOW)
def test_slow_inputs_tick_too(what, name, value):
    state, changes = advance(live(), [Tick(after(1), what, name, value)])
    assert (changes.applied, changes.refused) == (1, ())
    assert state.instants[what, name] == after(1)
    market = state.market
    tables = (market.vols, market.open_interest, market.slow, market.deposits, market.borrows)
    assert value in (*(table.get(name) for table in tables), market.quotes["BTCUSDT"].index)
    assert audited(state) is None
    _, changes = advance(state, [Tick(after(0), what, name, value)])
    assert changes.late == 1


WRONG = {
    "no vol": (Input.VOLATILITY, "BTC", 0.0, Reason.INVALID_VALUE),
    "a vol of per cent": (Input.VOLATILITY, "BTC", 101.0, Reason.INVALID_VALUE),
    "a vol of nothing": (Input.VOLATILITY, "XYZ", 0.5, Reason.NOT_FOUND),
    "a slow price of nothing": (Input.SLOW, "GONE", 1.0, Reason.NOT_FOUND),
    "a slow price of zero": (Input.SLOW, "BTC", 0.0, Reason.INVALID_VALUE),
    "deposits of nothing": (Input.DEPOSITS, "XYZ", 1.0, Reason.NOT_FOUND),
    "open interest of nothing": (Input.OPEN_INTEREST, "GONE", 1.0, Reason.UNKNOWN_INSTRUMENT),
    "an index before a mark": (Input.UNDERLYING, "TAKEN", 1.0, Reason.MISSING_MARK),
    "an index of zero": (Input.UNDERLYING, "BTCUSDT", 0.0, Reason.INVALID_VALUE),
}


@pytest.mark.parametrize(("what", "name", "value", "reason"), WRONG.values(), ids=WRONG)
def test_slow_inputs_that_cannot_be_are_refused(what, name, value, reason):
    assert refused(live(), Tick(after(1), what, name, value)) == [reason]


def test_inputs_that_are_older_than_a_feed_should_be_are_told():
    state, _ = advance(live(), [Tick(after(50), Input.MARK, "BTCUSDT", 5e4), Clock(after(60))])
    most = {Input.MARK: timedelta(seconds=20), Input.INDEX: timedelta(seconds=60)}
    assert stale_inputs(state, most) == ((Input.MARK, "BTCUSD", timedelta(seconds=60)),)


def test_a_screen_leaves_out_what_it_knows_and_it_is_owed():
    asked = []

    def screen(before, now, rows):
        asked.append((before.market.quotes["BTCUSDT"].mark, now.market.quotes["BTCUSDT"].mark, rows.tolist()))
        return rows == 0

    tick, trade = Tick(after(1), Input.MARK, "BTCUSDT", 49_000.0), filled(1.0, 5e4, account="cid")
    state, changes = advance(live(), [tick, trade], screen=screen)
    assert asked == [(50_000.0, 49_000.0, [0, 3])]
    assert (changes.touched, changes.screened, changes.amended.tolist()) == (3, 1, [2])
    assert state.owed.tolist() == [3]
    assert audited(state) is None  # the status of what is owed is right
    whole, told = settled(state)
    exact, _ = advance(live(), [tick, trade])
    assert (told, whole.owed.tolist()) == ((), [])
    for f in fields(exact.pools.columns):
        np.testing.assert_array_equal(
            getattr(whole.pools.columns, f.name), getattr(exact.pools.columns, f.name)
        )


def test_a_screen_that_is_wrong_is_found():
    def screen(before, now, rows):
        return np.zeros(len(rows), dtype=np.bool_)

    state, changes = advance(live(), [Tick(after(1), Input.MARK, "BTCUSDT", 1_000.0)], screen=screen)
    assert changes.statuses == ()
    found = audited(state)
    assert found is not None
    assert (found.account, found.column) == ("ann", "status")
    _, told = settled(state)
    assert "ann" in {c.account for c in told}


def test_rules_that_take_effect_ask_no_screen():
    state = live(later=[structs.replace(RULES, valid_from=after(5))])
    tick = Tick(after(5), Input.MARK, "BTCUSDT", 49_000.0)
    _, changes = advance(state, [tick, Clock(after(5))], screen=lambda before, now, rows: rows < 0)
    assert (changes.touched, changes.screened) == (len(HOLDERS), 0)


def test_an_audit_of_other_pools_than_there_are_tells_them():
    state, _ = advance(
        live(),
        [Tick(after(1), Input.MARK, "BTCUSDT", 49_000.0)],
        screen=lambda before, now, rows: rows < 0,
    )
    lost = replace(state, book=picked(state.book, np.array([1, 2, 3])))
    found = audited(lost)
    assert found is not None
    assert found.column == "account"


def test_only_what_is_priced_otherwise_is_resolved_again_to_the_same_bits():
    accounts = made_books.accounts(4, 20, RULES)
    aged = structs.replace(RULES, mark_age_max_seconds=30.0)
    state = started(book_of(accounts), made_books.MARKET, aged)
    symbol = made_books.INSTRUMENTS[3].symbol
    ticks = [
        Tick(made_books.AT, Input.MARK, symbol, 1_234.5),
        Tick(made_books.AT, Input.INDEX, "ETH", 2_345.6),
        Tick(made_books.AT, Input.OPEN_INTEREST, symbol, 17.0),
        Tick(made_books.AT, Input.VOLATILITY, "SOL", 0.3),
    ]
    moved, _ = advance(state, ticks)
    whole = resolve(moved.book.symbols, moved.book.assets, moved.market, aged)
    for f in fields(whole.table):
        np.testing.assert_equal(getattr(moved.resolved.table, f.name), getattr(whole.table, f.name))
    np.testing.assert_array_equal(moved.resolved.vols, whole.vols)


def test_an_index_that_is_stale_is_left_out_of_what_is_resolved():
    aged = structs.replace(RULES, mark_age_max_seconds=30.0)
    prices = prices_of(MARKET, first_instants(MARKET))
    late = replace(MARKET, at=after(31))
    found = resolved_in(None, book_of(HOLDERS), prices, late, aged)
    assert found.market.index == {}
    assert np.isnan(found.table.mark).all() or found.table.issues == {}


def test_the_index_of_holders_is_made_anew_when_many_have_traded(monkeypatch):
    monkeypatch.setattr(holders, "_AMENDED_MAX", 0.3)
    state, _ = advance(live(), [paid(1.0)])
    assert state.holders.amended.tolist() == [0]
    assert state.holders.nbytes > 0
    order = Order(symbol="BTCUSD", quantity=1.0, price=5e4)
    state, _ = advance(state, [OrderPlaced(at=after(2), account="cid", order=order)])
    assert state.holders.amended.tolist() == []
    _, changes = advance(state, [Tick(after(3), Input.MARK, "BTCUSD", 51_000.0)])
    assert changes.touched == 2


BAD = {
    "no name": lambda: Opened(at=after(1), account=""),
    "a rate of per cent": lambda: funded(1.5, 5e4),
    "no mark": lambda: funded(0.0, nan),
    "no zone": lambda: Listed(at=made.AT.replace(tzinfo=None), instrument=NEW),
    "an infinite fee": lambda: filled(1.0, 1.0, fee=float("inf")),
}


@pytest.mark.parametrize("wrong", BAD.values(), ids=BAD)
def test_events_that_cannot_be_are_not_made(wrong):
    with pytest.raises(ValueError, match="must be"):
        wrong()


def test_time_touches_who_remembers_under_a_schedule_that_releases():
    slow = structs.replace(
        made.T1, name="slow", discipline=Discipline(release_per_hour=0.1), reference=Reference.RATCHET
    )
    past = Memory(underlying="BTC", at=made.AT, reference=60_000.0, multiplier=1.8, side=1)
    accounts = (replace(ANN, memory=(past,)), *HOLDERS[1:])
    for schedule, count in ((slow, 1), (made.T1, 0)):
        state = live(with_schedule(RULES, schedule), accounts)
        state, changes = advance(state, [Clock(after(3_600))])
        assert changes.touched == count
        assert audited(state) is None
