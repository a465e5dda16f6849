"""A position that cannot be valued makes its pool unknown, never healthy; every message says where, what and what to do."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Order, Position
from margrave.domain.instruments import CoinPremium, Future, Instrument, Option, Right
from margrave.domain.market import Quote
from margrave.engine.assess import assess
from margrave.engine.assessment import Status
from margrave.liquidation import liquidations
from margrave.rulebook.catalogue import in_force
from tests.unit.made import AT, INVERSE, inverse_account, inverse_market, market, rules

MARKET = inverse_market(50_000)
OPTION = Instrument(
    symbol="OPT",
    base="BTC",
    quote="USD",
    settlement="BTC",
    kind=Option(expiry=AT + timedelta(days=30), strike=60_000.0, right=Right.CALL),
    payoff=CoinPremium(contract_size=1.0),
)


def aged(seconds):
    return replace(MARKET, quotes={"BTCUSD": Quote(mark=50_000, at=AT - timedelta(seconds=seconds))})


CASES = [
    (
        "unknown instrument",
        inverse_account(),
        replace(MARKET, instruments={}),
        rules(),
        "BTCUSD: unknown instrument",
        "add its contract terms",
    ),
    (
        "missing mark",
        inverse_account(),
        replace(MARKET, quotes={}),
        rules(),
        "BTCUSD: missing mark",
        "add its mark",
    ),
    (
        "stale mark",
        inverse_account(),
        aged(61),
        msgspec.structs.replace(rules(), mark_age_max_seconds=60.0),
        "BTCUSD: stale mark",
        "61 s old and the rulebook allows 60 s",
    ),
    (
        "missing index",
        Account(
            balances=(Balance(asset="BTC", amount=1.0),),
            positions=(Position(symbol="OPT", quantity=-1.0, entry=0.05),),
        ),
        replace(market(OPTION, OPT=0.05), index={}),
        in_force("example.flat", AT),
        "OPT: missing index",
        "[market.index]",
    ),
    (
        "expired instrument",
        inverse_account(),
        replace(MARKET, instruments={"BTCUSD": replace(INVERSE, kind=Future(expiry=AT - timedelta(days=1)))}),
        rules(),
        "BTCUSD: not in force",
        "settle it at its delivery price",
    ),
    (
        "no rule",
        inverse_account(),
        MARKET,
        in_force("binance.usdm@2026-09-02", AT),
        "BTCUSD: no rule",
        "Choose another rulebook",
    ),
    (
        "order of an unknown instrument",
        Account(
            balances=(Balance(asset="BTC", amount=1.0),),
            orders=(Order(symbol="BTCUSD", quantity=1.0, price=1.0),),
        ),
        replace(MARKET, quotes={}),
        rules(),
        "BTCUSD: missing mark",
        "add its mark",
    ),
]


@pytest.mark.parametrize(
    ("name", "account", "prices", "rulebook", "where", "remedy"), CASES, ids=[c[0] for c in CASES]
)
def test_a_pool_that_cannot_be_valued_is_unknown(name, account, prices, rulebook, where, remedy):
    del name
    assessment = assess(account, prices, rulebook)
    assert assessment.status is Status.UNKNOWN
    pool = next(p for p in assessment.pools if p.issues)
    assert pool.status is Status.UNKNOWN
    assert pool.maintenance != pool.maintenance  # NaN, never zero
    assert str(pool.issues[0]).startswith(where)
    assert remedy in str(pool.issues[0])
    tree = assessment.explain("maintenance", assessment.pools.index(pool))
    assert where in tree.binds
    assert assessment.to_dict()["pools"][assessment.pools.index(pool)]["maintenance"] is None
    found = liquidations(account, prices, rulebook)[assessment.pools.index(pool)]
    assert (found.bounds, found.reason) == ((), "pool cannot be valued")


def test_a_mark_that_is_fresh_enough_is_used():
    rulebook = msgspec.structs.replace(rules(), mark_age_max_seconds=60.0)
    assert assess(inverse_account(), aged(60), rulebook).status is Status.HEALTHY


def test_one_unknown_pool_leaves_the_other_as_it_is():
    position = replace(inverse_account().positions[0], mode=MarginMode.ISOLATED, isolated_margin=0.5)
    other = Position(symbol="GONE", quantity=1.0, entry=1.0)
    both = Account(balances=(Balance(asset="BTC", amount=1.0),), positions=(position, other))
    assessment = assess(both, MARKET, rules())
    assert {p.name: p.status for p in assessment.pools if p.positions}["isolated BTCUSD"] is Status.HEALTHY
    assert assessment.status is Status.UNKNOWN


def test_sizes_beyond_what_is_published_are_unknown():
    rulebook = in_force("deribit.sm@2026-09-01", AT)
    future = replace(INVERSE, kind=Future(expiry=AT + timedelta(days=90)))
    prices = market(future, BTCUSD=50_000.0)
    small, large = (
        assess(inverse_account(coins * 50_000.0, coins=100.0), prices, rulebook) for coins in (26.0, 27.0)
    )
    assert small.status is Status.HEALTHY
    assert "not published" in str(large.issues[0])


def test_notes_tell_of_rules_out_of_date():
    late = replace(MARKET, at=AT + timedelta(days=400))
    assert (
        "may have changed" in assess(inverse_account(), late, in_force("deribit.sm@2026-09-01", AT)).notes[0]
    )
    assert "not in force" in assess(inverse_account(), MARKET, in_force("deribit.sm@2023-01-01", AT)).notes[0]


def test_results_render_as_data_frames_and_html():
    assessment = assess(inverse_account(), MARKET, rules())
    for backend in ("pandas", "polars", "pyarrow"):
        frame = assessment.to_frame(backend)
        assert len(frame) == 1
    assert "<td>cross BTC</td>" in assessment._repr_html_()
    assert assessment.pools[0].ratio == pytest.approx(0.5)
    with pytest.raises(ValueError, match="has pools 0 to 0"):
        assessment.explain("maintenance", 3)
    with pytest.raises(ValueError, match="level is"):
        assessment.explain("everything")
