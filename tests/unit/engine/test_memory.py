"""What path-dependent rules remember: references, release discipline, anti-gaming (spec 1.3 rules 1, 7, 8, 9)."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from margrave.domain.account import Account, Balance
from margrave.domain.market import Quote
from margrave.engine.assess import assess
from margrave.engine.paths.memory import advance, settle
from margrave.rulebook.reform import with_schedule
from margrave.rulebook.schedules import Discipline, Excursion, Reference, relief_rate
from tests.unit.made import T1, inverse_account, inverse_market, linear_account, linear_market, rules


def ruled(**fields):
    return with_schedule(rules(), msgspec.structs.replace(T1, **fields))


def later(market, hours):
    return replace(market, at=market.at + timedelta(hours=hours))


def multiplier(account, market, rulebook):
    pool = assess(account, market, rulebook).pools[0]
    return pool.maintenance / pool.positions[0].notional / 0.05


def test_release_is_limited_in_time_and_tightening_is_not():
    rulebook = ruled(discipline=Discipline(release_per_hour=0.05))
    assert relief_rate(T1) == float("inf")
    account = advance(inverse_account(), inverse_market(50_000), rulebook)
    won = later(inverse_market(60_000), 2)
    assert multiplier(account, won, rulebook) == pytest.approx(1.0 - 0.05 * 2)
    account = advance(account, won, rulebook)
    assert multiplier(account, later(inverse_market(60_000), 10), rulebook) == pytest.approx(
        0.635357, abs=1e-6
    )
    assert multiplier(account, later(inverse_market(45_000), 3), rulebook) == pytest.approx(
        1.526803, abs=1e-6
    )


def test_closing_and_reopening_does_not_lower_a_losers_requirement():
    rulebook = ruled(discipline=Discipline(reopen_window_hours=24.0))
    held = advance(inverse_account(), inverse_market(46_000), rulebook)
    closed = advance(replace(held, positions=()), later(inverse_market(46_000), 1), rulebook)
    assert closed.memory[0].closed_at is not None
    reopened = replace(closed, positions=inverse_account(entry=46_000.0).positions)
    charged = multiplier(reopened, later(inverse_market(46_000), 2), rulebook)
    assert charged == pytest.approx(multiplier(inverse_account(), inverse_market(46_000), ruled()))
    again = advance(reopened, later(inverse_market(46_000), 2), rulebook)
    assert again.memory[0].reference == pytest.approx(50_000)
    forgotten = advance(closed, later(inverse_market(46_000), 30), rulebook)
    assert forgotten.memory == ()
    assert advance(replace(held, positions=()), inverse_market(46_000), ruled()).memory == ()


def test_a_stale_mark_releases_nothing():
    # LM-7: memory of an underlying without a usable mark stays as it was.
    rulebook = msgspec.structs.replace(ruled(), mark_age_max_seconds=60.0)
    account = advance(inverse_account(), inverse_market(50_000), rulebook)
    market = later(inverse_market(60_000), 1)
    old = replace(market, quotes={"BTCUSD": Quote(mark=60_000, at=market.at - timedelta(minutes=5))})
    assert advance(account, old, rulebook).memory == account.memory
    assert assess(account, old, rulebook).status == "unknown"


def test_ewma_reference_follows_the_mark():
    rulebook = ruled(reference=Reference.EWMA, half_life_hours=1.0)
    account = advance(inverse_account(), inverse_market(50_000), rulebook)
    account = advance(account, later(inverse_market(54_000), 1), rulebook)
    assert account.memory[0].reference == pytest.approx(52_000)


def test_settlement_reference_is_the_last_session_price():
    rulebook = ruled(reference=Reference.SETTLEMENT)
    account = settle(inverse_account(), "BTC", 52_500.0, inverse_market(52_500))
    assert multiplier(account, inverse_market(52_500), rulebook) == pytest.approx(1.0)
    account = advance(account, inverse_market(52_500), rulebook)
    assert account.memory[0].reference == 52_500


def test_vwap_reference_is_arithmetic_where_the_entry_is_harmonic():
    twin = replace(inverse_market(45_000).instruments["BTCUSD"], symbol="TWIN")
    market = inverse_market(45_000)
    market = replace(
        market,
        instruments={**market.instruments, "TWIN": twin},
        quotes={**market.quotes, "TWIN": Quote(mark=45_000)},
    )
    first = replace(inverse_account().positions[0], quantity=5e4)
    second = replace(first, symbol="TWIN", entry=40_000.0)
    account = Account(balances=(Balance(asset="BTC", amount=1.0),), positions=(first, second))
    charged = [
        assess(account, market, ruled(reference=r)).pools[0].maintenance * 45_000 / 1e5 / 0.05
        for r in (Reference.VWAP, Reference.ENTRY)
    ]
    assert charged[0] == pytest.approx(1.0)  # (50,000 + 40,000) / 2 is the mark
    assert charged[1] < 1.0  # the harmonic entry, 44,444, lies below it


def test_released_margin_is_at_most_a_share_of_profit():
    rulebook = ruled(discipline=Discipline(profit_share_max=0.05))
    flat, capped = (
        assess(inverse_account(), inverse_market(60_000), r).pools[0] for r in (rules(), rulebook)
    )
    assert flat.maintenance - capped.maintenance == pytest.approx(0.05 / 3)


@pytest.mark.parametrize(
    ("unit", "x"),
    [
        (Excursion.LOG, 0.0953102),
        (Excursion.PERCENT, 0.10),
        (Excursion.COIN, 1 / 11),
        (Excursion.SIGMA, 0.0953102 / (0.8 / 365**0.5)),
        (Excursion.RETURN_ON_MARGIN, 100_000 * (1 / 50_000 - 1 / 55_000) / 0.2),
    ],
)
def test_units_of_the_excursion(unit, x):
    knots = ((-10.0, 2.0), (0.0, 1.0), (10.0, 0.5))
    rulebook = ruled(excursion=unit, knots=knots)
    market = replace(inverse_market(55_000), vols={"BTC": 0.8})
    assert multiplier(inverse_account(), market, rulebook) == pytest.approx(1 - 0.05 * x, abs=1e-7)


def test_a_hedged_pair_is_not_charged_for_its_losing_leg():
    twin = replace(inverse_market(40_000).instruments["BTCUSD"], symbol="TWIN")
    market = inverse_market(40_000)
    market = replace(
        market,
        instruments={**market.instruments, "TWIN": twin},
        quotes={**market.quotes, "TWIN": Quote(mark=40_000)},
    )
    pair = Account(
        balances=(Balance(asset="BTC", amount=1.0),),
        positions=(*inverse_account().positions, replace(inverse_account(-1e5).positions[0], symbol="TWIN")),
    )
    assert assess(pair, market, ruled()).pools[0].maintenance == pytest.approx(2 * 0.05 * 2.5)


def test_the_schedule_serves_linear_contracts_alike():
    # Section 1.3: symmetric in log: a linear long at P has the multiplier of an inverse long at P.
    assert multiplier(linear_account(), linear_market(47_500), ruled()) == pytest.approx(1.207760, abs=6e-7)
    assert multiplier(linear_account(-2.0), linear_market(52_500), ruled()) == pytest.approx(
        1.195161, abs=6e-7
    )
