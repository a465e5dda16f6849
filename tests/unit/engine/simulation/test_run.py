"""The run as a whole: what it refuses, how it ends, what it tells, and that every round can be audited."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from margrave.core.errors import CannotAssessError, InvalidInputError, RefusedError
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import book_of
from margrave.domain.market import Market
from margrave.engine.books.venue import assess_book
from margrave.engine.live.pools import first_difference, pools_from
from margrave.engine.paths.memory import advance, needs_memory
from margrave.engine.simulation.candidates import Candidates
from margrave.engine.simulation.events import Levelled, Priced, Remembered, log_bytes, replayed
from margrave.engine.simulation.path import Path, shock
from margrave.engine.simulation.run import Ending, simulate
from margrave.engine.simulation.settings import (
    CloseFactor,
    Deleveraging,
    Depth,
    Impact,
    Liquidity,
    Settings,
    StepDown,
)
from margrave.engine.simulation.state import same
from margrave.rulebook.reform import with_schedule
from margrave.rulebook.schedules import Discipline, Interpolation, Reference
from tests.unit.made import (
    AT,
    INVERSE,
    LINEAR,
    T1,
    inverse_market,
    linear_market,
    market,
    rules,
)

START = 50_000.0


def longs(count=4, asset="USDT", symbol="BTCUSDT"):
    return book_of(
        Account(
            name=f"{row}",
            balances=(Balance(asset=asset, amount=3_000.0 * (row + 1)),),
            positions=(Position(symbol=symbol, quantity=1.0, entry=START),),
        )
        for row in range(count)
    )


def run(book, *prices, settings=None, rulebook=None, **more):
    path = Path(60.0 * np.arange(len(prices)), {"BTC": np.array(prices)})
    return simulate(book, linear_market(START), rulebook or rules(), path, settings or Settings(), **more)


THIN = {"BTCUSDT": Liquidity(depth=Depth(contracts=20.0), impact=Impact(coefficient=0.05))}


# --- how it ends ---


def test_a_path_without_a_cause_does_nothing():
    done = run(longs(), START, START)
    assert done.ending is Ending.DONE
    assert same(replace(done.end, level=done.opening.level), done.opening)
    assert done.steps.rounds.tolist() == [0, 0]
    assert {type(e.event) for e in done.log} == {Priced, Levelled}
    assert {e.round for e in done.log} == {0}


def test_a_book_without_accounts_runs():
    for accounts in ([], [Account(name="nobody")]):
        done = simulate(book_of(accounts), linear_market(START), rules(), Path(np.zeros(2)), Settings())
        assert done.steps.accounts[:, 0].tolist() == [len(accounts)] * 2
        assert done.steps.flat.tolist() == [len(accounts)] * 2


def test_rounds_of_a_step_may_be_few_and_the_cascade_goes_on_in_the_next():
    whole = run(longs(), 46_400.0, 46_400.0, settings=Settings(liquidity=THIN))
    slow = run(longs(), *[46_400.0] * 4, settings=Settings(liquidity=THIN, rounds=1))
    assert whole.steps.rounds[0] > 1
    assert slow.steps.rounds.max() == 1
    assert slow.ending is Ending.SPENT
    assert whole.ending is Ending.DONE
    assert slow.steps.last[-1].tolist() == pytest.approx(whole.steps.last[0].tolist())
    assert slow.end.lots.tolist() == whole.end.lots.tolist()


def test_a_runaway_ends_with_what_was_known():
    steep = {"BTCUSDT": Liquidity(depth=Depth(contracts=0.01), impact=Impact(coefficient=1.0))}
    done = run(longs(), START, 46_900.0, START, settings=Settings(liquidity=steep))
    assert done.ending is Ending.RUNAWAY
    assert len(done.steps.seconds) == 2
    assert done.end.lots.all()
    assert same(replayed(done.frame, done.opening, done.log), done.end)


def test_a_path_that_leaves_the_range_of_prices_ends():
    tiny = replace(
        linear_market(START), quotes={"BTCUSDT": replace(linear_market(START).quotes["BTCUSDT"], mark=1e-6)}
    )
    path = Path(np.zeros(1), {"BTC": np.array([1e-6])})
    done = simulate(longs(), tiny, rules(), path, Settings())
    assert done.ending is Ending.RUNAWAY
    assert done.steps.last.tolist() == [[1.0] * len(done.frame.assets)]


# --- what it refuses ---


def test_names_that_are_not_there_are_refused():
    for settings, what in (
        (Settings(liquidity={"ETHUSDT": THIN["BTCUSDT"]}), "liquidity.ETHUSDT"),
        (Settings(lots={"ETHUSDT": 1.0}), "lots.ETHUSDT"),
        (Settings(fund={"ETH": 1.0}), "fund.ETH"),
        (Settings(units={"ETH": 1.0}), "units.ETH"),
    ):
        with pytest.raises(InvalidInputError, match=what):
            run(longs(), START, settings=settings)


def test_an_instrument_without_a_price_is_refused_and_a_seed_out_of_range():
    with pytest.raises(CannotAssessError, match="BTCUSDT"):
        simulate(longs(), Market(at=AT, instruments={}, quotes={}), rules(), Path(np.zeros(1)), Settings())
    with pytest.raises(ValueError, match="seed"):
        run(longs(), START, seed=-1)


def test_more_than_integers_hold_is_refused_with_what_to_do():
    rich = book_of([Account(name="a", balances=(Balance(asset="USDT", amount=1e12),))])
    with pytest.raises(RefusedError, match="state a larger one in `units`"):
        simulate(rich, linear_market(START), rules(), Path(np.zeros(1)), Settings())
    done = simulate(rich, linear_market(START), rules(), Path(np.zeros(1)), Settings(units={"USDT": 1e-4}))
    assert done.book.balance.tolist() == [1e12]
    huge = book_of(
        [
            Account(
                name="a",
                balances=(Balance(asset="BTC", amount=1e3),),
                positions=(Position(symbol="BTCUSD", quantity=1e16, entry=START),),
            )
        ]
    )
    with pytest.raises(RefusedError, match="state a larger one"):
        simulate(huge, inverse_market(START), rules(), shock("BTC", START, -0.5), Settings())


def test_lots_are_stated_or_as_fine_as_the_book_allows():
    done = run(longs(), START, settings=Settings(lots={"BTCUSDT": 0.25}))
    assert done.opening.lots.tolist() == [4, 4, 4, 4]
    assert done.book.quantity.tolist() == [1.0] * 4
    many = book_of(
        [
            Account(
                name="a",
                balances=(Balance(asset="USDT", amount=1e3),),
                positions=(Position(symbol="BTCUSDT", quantity=1e12, entry=START),),
            )
        ]
    )
    coarse = run(many, START, settings=Settings(units={"USDT": 1.0}))
    assert coarse.opening.lots.tolist() == [10**15]
    assert coarse.frame.contracts(np.zeros(1, dtype=np.int64), coarse.opening.lots).tolist() == [1e12]


# --- what it tells ---


def test_progress_is_told_step_by_step():
    told = []
    run(
        longs(),
        START,
        46_900.0,
        settings=Settings(liquidity=THIN),
        told=lambda step, count: told.append((step, count)),
    )
    assert told[0] == (0, 4)
    assert {step for step, _ in told} == {0, 1}


def test_only_whom_something_touched_is_margined_again():
    eth = type(LINEAR)(
        symbol="ETHUSDT", base="ETH", quote="USDT", settlement="USDT", kind=LINEAR.kind, payoff=LINEAR.payoff
    )
    quotes = market(LINEAR, eth, BTCUSDT=START, ETHUSDT=2_000.0)
    made = replace(quotes, index={"BTC": START, "ETH": 2_000.0, "USDT": 1.0})
    holders = [
        Account(
            name=symbol,
            balances=(Balance(asset="USDT", amount=30_000.0),),
            positions=(Position(symbol=symbol, quantity=1.0, entry=made.quotes[symbol].mark),),
        )
        for symbol in ("BTCUSDT", "ETHUSDT")
    ]
    told = []
    path = Path(60.0 * np.arange(3), {"BTC": np.array([START, 49_000.0, 49_000.0])})
    simulate(
        book_of(holders), made, rules(), path, Settings(), told=lambda step, count: told.append((step, count))
    )
    assert told == [(0, 2), (1, 1)]


def test_an_account_that_cannot_be_valued_is_counted_and_left_alone():
    strange = Account(
        name="s",
        balances=(Balance(asset="BTC", amount=1.0),),
        positions=(Position(symbol="BTCUSD", quantity=1.0, entry=START),),
    )
    made = market(LINEAR, INVERSE, BTCUSDT=START, BTCUSD=START)
    only = rules()
    match = type(only.products[0].match)(symbols=("BTCUSDT",))
    product = type(only.products[0])(name="linear", match=match, model=only.products[0].model)
    only = type(only)(
        **{name: getattr(only, name) for name in only.__struct_fields__} | {"products": (product,)}
    )
    book = book_of([strange])
    done = simulate(book, made, only, shock("BTC", START, -0.9), Settings())
    assert done.steps.accounts.tolist() == [[0, 0, 0, 0, 0, 1]]
    assert done.end.lots.tolist() == done.opening.lots.tolist()


def test_every_round_is_what_the_engine_says_of_its_book():
    settings = Settings(liquidity=THIN, rule=CloseFactor(0.3), rounds=1)
    for steps in range(1, 6):
        done = run(longs(), *[46_900.0] * steps, settings=settings)
        full = pools_from(assess_book(done.book, done.market, done.rulebook))
        assert first_difference(done.pools, full, done.book.names) is None


def test_seeds_and_threads_and_two_runs():
    settings = Settings(liquidity=THIN, rule=StepDown(1))
    one, two = (run(longs(), START, 46_000.0, settings=settings, threads=n) for n in (1, 2))
    assert log_bytes(one.log) == log_bytes(two.log)


# --- memory ---


def test_ratchet_and_stepped_schedules_remember_step_by_step():
    for reference, interpolation, discipline in (
        (Reference.RATCHET, Interpolation.LINEAR, Discipline()),
        (Reference.ENTRY, Interpolation.STEP, Discipline(dwell=2, dead_band=0.01)),
        (Reference.EWMA, Interpolation.LINEAR, Discipline(release_per_hour=0.1)),
    ):
        terms = {name: getattr(T1, name) for name in T1.__struct_fields__}
        terms |= {"reference": reference, "interpolation": interpolation, "discipline": discipline}
        rulebook = with_schedule(rules(), type(T1)(**terms))
        assert needs_memory(rulebook)
        account = Account(
            name="a",
            balances=(Balance(asset="USDT", amount=60_000.0),),
            positions=(Position(symbol="BTCUSDT", quantity=1.0, entry=START),),
        )
        prices = (50_000.0, 52_000.0, 55_000.0, 60_000.0, 57_000.0, 54_000.0)  # specification 1.4
        path = Path(3_600.0 * np.arange(6), {"BTC": np.array(prices)})
        done = simulate(book_of([account]), linear_market(START), rulebook, path, Settings())
        for hour, price in enumerate(prices):
            now = replace(linear_market(price), at=AT + timedelta(hours=hour))
            account = advance(account, now, rulebook)
        told = [e.event.memory for e in done.log if isinstance(e.event, Remembered)]
        assert len(told) == 6
        kept = account.memory[0]
        assert told[-1].multiplier[0] == pytest.approx(kept.multiplier, rel=1e-12)
        assert told[-1].best_mark[0] == pytest.approx(kept.best_mark, rel=1e-12)
        assert np.nan_to_num(told[-1].reference[0]) == pytest.approx(kept.reference or 0.0, rel=1e-12)
    assert not needs_memory(with_schedule(rules(), T1))


# --- inverse contracts ---


def test_takeover_of_an_inverse_position_and_what_no_price_can_win_back():
    book = book_of(
        [
            Account(
                name="a",
                balances=(Balance(asset="BTC", amount=0.1),),
                positions=(Position(symbol="BTCUSD", quantity=50_000.0, entry=START),),
            ),
            Account(
                name="w",
                balances=(Balance(asset="BTC", amount=0.5),),
                positions=(
                    Position(
                        symbol="BTCUSD",
                        quantity=-60_000.0,
                        entry=START,
                        mode=MarginMode.ISOLATED,
                        isolated_margin=0.3,
                    ),
                ),
            ),
        ]
    )
    done = simulate(book, inverse_market(START), rules(), shock("BTC", START, -0.2), Settings())
    # Specification 1.2: N / (W + N / E) is the bankruptcy price of a long.
    price = 50_000.0 / (0.1 + 50_000.0 / START)
    assert done.steps.deleveraged_contracts.tolist() == [[50_000.0]]
    trades = [e.event for e in done.log if hasattr(e.event, "price")]
    assert trades[0].price == pytest.approx([price, price])
    assert done.book.balance[0] == pytest.approx(0.0, abs=1e-7)
    # A long that lost more coins than its notional is worth at any price has no takeover price.
    broke = replace(book, balance=np.array([-1.2, 0.5]))
    lost = simulate(broke, inverse_market(START), rules(), Path(np.zeros(1)), Settings())
    assert lost.steps.deleveraged.tolist() == [0.0]
    assert lost.steps.unpaid[0] == pytest.approx(1.2 * START)


def test_a_rule_of_shares_is_any_function_of_candidates():
    def last_first(candidates: Candidates, wanted: int):
        lots = np.zeros_like(candidates.lots)
        lots[-1] = min(wanted, candidates.lots[-1])
        return lots

    holders = [("a", 1.0, 9_000.0), ("v", -1.0, 30_000.0), ("w", -1.0, 90_000.0)]
    book = book_of(
        Account(
            name=name,
            balances=(Balance(asset="USDT", amount=cash),),
            positions=(Position(symbol="BTCUSDT", quantity=quantity, entry=START),),
        )
        for name, quantity, cash in holders
    )
    done = run(book, 40_000.0, settings=Settings(deleveraging=Deleveraging(shares=last_first)))
    assert done.book.quantity.tolist() == [0.0, -1.0, 0.0]


# Specification 1.4 and 4.1: maintenance in coin of a long of 100,000 USD from 50,000 at 5 %, and its mean and largest
# over smallest, along one path.
PATH = (50_000.0, 52_000.0, 55_000.0, 60_000.0, 57_000.0, 54_000.0, 50_000.0, 47_000.0)
RATCHET = (0.100000, 0.088611, 0.073580, 0.052946, 0.067312, 0.089821, 0.121455, 0.135240)
SERIES = {
    "flat": (None, 1.276596, 0.094636),
    "entry": (Reference.ENTRY, 2.554274, 0.086681),
    "ratchet": (Reference.RATCHET, 2.554274, 0.091121),
    "hwm": (Reference.HIGH_WATER, 2.553191, 0.127705),
}


@pytest.mark.parametrize("name", SERIES)
def test_requirements_over_a_path_are_those_of_the_specification(name):
    reference, peak_to_trough, mean = SERIES[name]
    rulebook = rules()
    if reference is not None:
        terms = {field: getattr(T1, field) for field in T1.__struct_fields__} | {"reference": reference}
        rulebook = with_schedule(rulebook, type(T1)(**terms))
    holder = Account(
        name="a",
        balances=(Balance(asset="BTC", amount=2.0),),
        positions=(Position(symbol="BTCUSD", quantity=100_000.0, entry=START),),
    )
    path = Path(3_600.0 * np.arange(8), {"BTC": np.array(PATH)})
    done = simulate(book_of([holder]), inverse_market(START), rulebook, path, Settings())
    coins = done.steps.maintenance / np.array(PATH)
    assert coins.max() / coins.min() == pytest.approx(peak_to_trough, abs=5e-7)
    assert coins.mean() == pytest.approx(mean, abs=5e-7)
    if name == "ratchet":
        assert coins.round(6).tolist() == list(RATCHET)
