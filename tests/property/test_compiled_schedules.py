"""Directional schedules of every form through the compiled kernel beside the calculation in NumPy."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import numpy as np
import pytest
from msgspec import structs

pytest.importorskip("numba")

from margrave.domain.account import Account, Balance, Memory, Position
from margrave.domain.book import book_of
from margrave.engine.books.compiled_path import assess_kept, keep
from margrave.engine.live.events import Clock, Deposited, Input, Tick
from margrave.engine.live.venue import advance, audited, started
from margrave.kernels.compiled import directional_pools
from margrave.margin import directional
from margrave.rulebook.schedules import Discipline, Excursion, Interpolation, Reference
from tests.property.test_compiled_ladders import MARKET, answered_by_numpy, same, venue
from tests.unit import made_books

INVERSE = venue("example.inverse")
SERVED = [excursion for excursion in Excursion if excursion is not Excursion.RETURN_ON_MARGIN]
FORMS = list(product(Interpolation, Reference, SERVED))
ACCOUNTS = [
    replace(account, positions=tuple(p for p in account.positions if p.symbol in MARKET.quotes))
    for account in made_books.accounts(41, 200, INVERSE)
]


def rules(**changes):
    schedule = structs.replace(made_books.T1, **changes)
    return made_books.with_schedule(INVERSE, schedule)


@pytest.mark.parametrize(
    ("interpolation", "reference", "excursion"), FORMS, ids=["-".join(map(str, form)) for form in FORMS]
)
def test_every_form_of_a_schedule(interpolation, reference, excursion):
    """With memory, a release that is limited, an initial table of its own, a floor and a cap, on futures and options."""
    rulebook = rules(
        interpolation=interpolation,
        reference=reference,
        excursion=excursion,
        initial_knots=((-0.3, 2.5), (-0.1, 1.3), (0.0, 1.0), (0.15, 0.7)),
        discipline=Discipline(release_per_hour=0.01, dead_band=0.01),
        floor=0.002,
        cap=0.5,
        initial_over_maintenance=1.1,
    )
    found = same(book_of(ACCOUNTS), MARKET, rulebook)
    assert answered_by_numpy(found) <= 0.2 * len(ACCOUNTS)  # short isolated options, and what has no price


def one(side, entry, memory=(), **more):
    position = Position(symbol="BTCUSD", quantity=side * 100.0, entry=entry)
    return Account(
        balances=(Balance(asset="BTC", amount=10.0),), positions=(position,), memory=memory, **more
    )


def maintenance(rulebook, *accounts):
    named = [replace(account, name=f"A{row}") for row, account in enumerate(accounts)]
    found = same(book_of(named), MARKET, rulebook)
    assert answered_by_numpy(found) == 0
    return found.pools.maintenance


def test_what_wins_is_asked_less_and_what_loses_more():
    """Spec 1.3: at the entry the flat rate, with 10 % of log profit 0.8 of it, with 10 % of loss 1.5."""
    mark = MARKET.quotes["BTCUSD"].mark
    up, down = mark * np.exp(-0.1), mark * np.exp(0.1)
    flat, wins, loses, short_wins = maintenance(
        INVERSE, one(1, mark), one(1, up), one(1, down), one(-1, down)
    )
    np.testing.assert_allclose([wins / flat, loses / flat, short_wins / flat], [0.8, 1.5, 0.8], rtol=1e-12)


def test_what_is_remembered_holds_release_back():
    """A ratchet that releases 0.05 an hour: half an hour after a multiplier of 1.2 at least 1.175 is asked."""
    mark = MARKET.quotes["BTCUSD"].mark
    ratchet = made_books.with_schedule(INVERSE, INVERSE.schedules["ratchet"])
    at = MARKET.at.replace(hour=0) - (
        MARKET.at.replace(hour=0, minute=30) - MARKET.at.replace(hour=0, minute=0)
    )
    kept = (Memory(underlying="BTC", at=at, multiplier=1.2),)
    flat, held = maintenance(ratchet, one(1, mark), one(1, mark, kept))
    seconds = (MARKET.at - at).total_seconds()
    assert held / flat == pytest.approx(1.2 - 0.05 * seconds / 3600.0, rel=1e-12)


def test_a_step_beside_its_boundary_is_left_to_numpy():
    """At the boundary itself the digits of a logarithm would decide between two tiers."""
    mark = MARKET.quotes["BTCUSD"].mark
    steps = made_books.with_schedule(INVERSE, INVERSE.schedules["steps"])
    accounts = [replace(one(1, mark * np.exp(-x)), name=f"{x}") for x in (0.04, 0.05, 0.06, -0.02, -0.03)]
    found = same(book_of(accounts), MARKET, steps)
    assert answered_by_numpy(found) == 2


def test_a_kept_book_has_the_multipliers_of_each_market():
    book = book_of(ACCOUNTS)
    kept = keep(book, MARKET, INVERSE)
    for move in (0.9, 1.0, 1.1):
        quotes = {s: replace(q, mark=move * q.mark) for s, q in MARKET.quotes.items()}
        market = replace(MARKET, quotes=quotes)
        found, plain = assess_kept(kept, market, threads=2).pools, same(book, market, INVERSE).pools
        assert found.maintenance.tobytes() == plain.maintenance.tobytes()


@pytest.mark.parametrize("name", ["T1", "ratchet", "steps"])
def test_a_compiled_live_book_is_the_full_recompute_with_what_it_remembers(name):
    """After ticks, a clock that lets multipliers fall, and money paid in, audited bit by bit."""
    rulebook = made_books.with_schedule(INVERSE, INVERSE.schedules[name])
    book = book_of(ACCOUNTS)
    assert len(book.memory.account)
    state = started(book, MARKET, rulebook, compiled=True)
    at = MARKET.at
    for hour, move in enumerate((0.97, 1.01, 1.05), start=1):
        at = MARKET.at + timedelta(hours=hour)
        marks = [Tick(at, Input.MARK, s, move * MARKET.quotes[s].mark) for s in ("BTCUSD", "ETHUSD-30")]
        paid = Deposited(at=at, account=book.names[hour], asset="BTC", amount=0.5)
        state, changes = advance(
            state, [Clock(at), Tick(at, Input.INDEX, "BTC", move * MARKET.index["BTC"]), *marks, paid]
        )
        assert changes.touched
        assert audited(state) is None


def test_the_kernel_has_the_numbers_of_the_calculation():
    assert directional_pools.EXPOSURE_LIMIT == directional.EXPOSURE_LIMIT
    assert directional_pools.EXPOSURE_LEAST == directional.EXPOSURE_LEAST
