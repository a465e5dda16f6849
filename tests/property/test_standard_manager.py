"""Laws of the standard manager and of its auctions, for every account; the formula against loops and fixed point."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.core.words import INITIAL, MAINTENANCE
from margrave.liquidation.dutch_auction import (
    Auction,
    Auctioned,
    after_bid,
    bid,
    bid_price,
    buffer_margin,
    discount,
    insolvent_payout,
    max_fraction,
    start_fee,
)
from margrave.margin.requirement import discrepancy
from margrave.margin.standard.standard_manager import net_margin, terms_of
from margrave.margin.standard.standard_pool import required
from margrave.margin.standard.standard_tree import requirement_tree
from tests.unit.standard_made import fixed_array, holding, market, rule, twin

STRIKES = st.sampled_from([0.0, 500.0, 1500.0, 1900.0, 2000.0, 2100.0, 2500.0, 8000.0])
SIZE = st.integers(-40, 40).map(lambda tenths: tenths / 10)
CONFIDENCE = st.sampled_from([1.0, 0.7, 0.4, 0.39, 0.1, 0.0])
LEG = st.tuples(STRIKES, st.booleans(), SIZE, st.integers(0, 30_000).map(lambda cents: cents / 10))
EXPIRY = st.tuples(
    st.sampled_from([1900.0, 2002.75]),
    CONFIDENCE,
    st.lists(LEG, max_size=6, unique_by=lambda leg: leg[:2]),
)
MARKET = st.builds(
    market,
    perp=SIZE,
    profit=st.integers(-1000, 1000).map(float),
    base=SIZE.map(abs),
    spot_confidence=CONFIDENCE,
    perp_confidence=CONFIDENCE,
    expiries=st.lists(EXPIRY, max_size=3),
)
BOOK = st.lists(MARKET, min_size=1, max_size=2).map(
    lambda found: [{**m, "name": f"U{row}"} for row, m in enumerate(found)]
)
STABLE = st.sampled_from([1.01, 1.0, 0.98, 0.97, 0.5, 0.0])


def margin(book, exact=False, **more):
    names = tuple(m["name"] for m in book)
    terms = terms_of(rule(*names), names, *([fixed_array] if exact else []))
    return net_margin(terms, holding(*book, exact=exact, **more))


def levels(book, **more):
    return [float(part.net) for part in margin(book, **more).level]


@given(BOOK, STABLE)
def test_columns_loops_and_fixed_point_agree(book, stable):
    found = levels(book, cash=12.5, stable=stable)
    size = 1.0 + sum(abs(leg[2]) * (leg[3] + 9000) for m in book for _, _, e in m["expiries"] for leg in e)
    wanted = [twin(*book, cash=12.5, stable=stable, initial=initial) for initial in (True, False)]
    assert found == pytest.approx(wanted, rel=1e-12, abs=1e-12 * size)
    assert found == pytest.approx(
        levels(book, exact=True, cash=12.5, stable=stable), rel=1e-12, abs=1e-12 * size
    )


@given(BOOK, STABLE)
def test_the_better_way_is_taken(book, stable):
    for part in margin(book, stable=stable).level:
        assert (part.options >= part.alone_sum).all()
        assert (part.options >= part.worst_payoff + part.unpaired).all()
        assert (part.worst_payoff <= 0).all()


@given(BOOK, st.sampled_from([0.5, 2.0, 8.0]))
def test_twice_the_account_asks_twice(book, factor):
    # Powers of two: no rounding, to the bit.
    def scaled(m):
        expiries = [
            (f, c, [(k, call, q * factor, v) for k, call, q, v in legs]) for f, c, legs in m["expiries"]
        ]
        more = {name: m[name] * factor for name in ("perp", "profit", "base")}
        return {**m, **more, "expiries": expiries}

    assert levels([scaled(m) for m in book]) == [number * factor for number in levels(book)]


@given(BOOK)
def test_initial_is_never_gained_from_a_lost_peg_and_maintenance_never_touched(book):
    found = [levels(book, stable=stable) for stable in (1.0, 0.98, 0.95, 0.5, 0.0)]
    assert all(a[INITIAL] >= b[INITIAL] for a, b in pairwise(found))
    assert len({level[MAINTENANCE] for level in found}) == 1


@given(EXPIRY.filter(lambda date: date[2]), st.data())
def test_a_long_option_at_a_strike_of_the_expiry_never_costs(date, data):
    # At a strike beyond the others it may: tests/unit/margin/test_standard_manager.py.
    forward, confidence, legs = date
    at = data.draw(st.integers(0, len(legs) - 1))
    strike, call, amount, price = legs[at]
    if amount == 0.0:
        return
    more = [*legs[:at], (strike, call, amount + 0.5, price), *legs[at + 1 :]]
    after = 0.0 if amount + 0.5 == 0.0 else None  # the strike itself leaves with its last position
    before = levels([market(expiries=[(forward, confidence, legs)])])
    with_more = levels([market(expiries=[(forward, confidence, more)])])
    assert after == 0.0 or all(b >= a - 1e-9 for a, b in zip(before, with_more, strict=True))


@given(EXPIRY, STRIKES, st.booleans())
def test_a_long_option_never_costs_where_every_short_call_is_paired(date, strike, call):
    forward, confidence, legs = date
    if sum(leg[2] for leg in legs if leg[1]) < 0.0 or any(leg[:2] == (strike, call) for leg in legs):
        return
    more = [*legs, (strike, call, 1.5, 10.0)]
    before = levels([market(expiries=[(forward, confidence, legs)])])
    with_more = levels([market(expiries=[(forward, confidence, more)])])
    assert all(b >= a - 1e-9 for a, b in zip(before, with_more, strict=True))


@given(BOOK, STABLE)
def test_the_tree_gives_back_the_requirement_and_equity_less_it_the_net_margin(book, stable):
    found = margin(book, cash=12.5, stable=stable)
    beside = float(found.mark_to_market) - sum(0.2 * m["base"] * m["spot"] for m in book)
    for level, amount in enumerate(required(found)):
        tree = requirement_tree(found, level, "USDC")
        scale = max(node.amount for _, node in tree.walk()) + 1.0
        assert discrepancy(tree) < 1e-9
        assert tree.amount == pytest.approx(amount, rel=1e-12, abs=1e-12 * scale)
        if amount > 0.0:
            assert beside - amount == pytest.approx(float(found.level[level].net), rel=1e-9, abs=1e-8)


# --- auctions ---

AUCTION = st.builds(
    lambda cutoff, more, fast, slow, fee, buffer: Auction(
        start=cutoff + more * (1.0 - cutoff),
        cutoff=cutoff,
        fast_seconds=fast,
        slow_seconds=slow,
        insolvent_seconds=slow,
        fee=fee,
        buffer=buffer,
    ),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1e4),
    st.floats(0.0, 1e5),
    st.floats(0.0, 1.0),
    st.floats(0.0, 2.0),
)
AMOUNT = st.floats(-1e6, 1e6)
ACCOUNT = st.builds(
    lambda value, less, reserved: Auctioned(value, value - less, reserved),
    AMOUNT,
    st.floats(0.0, 1e6),
    st.floats(0.0, 1e5),
)
ELAPSED = st.floats(0.0, 2e5)


@given(AUCTION, ACCOUNT, ELAPSED)
def test_a_share_is_a_share(auction, account, elapsed):
    assert 0.0 <= max_fraction(auction, account, elapsed) <= 1.0
    assert 0.0 <= discount(auction, elapsed) <= auction.start
    assert 0.0 <= start_fee(auction, account) <= abs(account.mark_to_market) * auction.fee
    assert insolvent_payout(auction, account, elapsed) >= 0.0


@given(AUCTION, ELAPSED, st.floats(0.0, 1e5))
def test_the_discount_only_grows(auction, elapsed, later):
    assert discount(auction, elapsed + later) <= discount(auction, elapsed) + 1e-12


@given(AUCTION, ACCOUNT.filter(lambda account: account.mark_to_market >= 0.0), ELAPSED)
def test_the_largest_bid_brings_the_buffer_margin_to_zero(auction, account, elapsed):
    largest = max_fraction(auction, account, elapsed)
    if not 0.0 < largest < 1.0:
        return
    after = after_bid(account, bid(auction, account, elapsed))
    scale = abs(account.mark_to_market) + abs(account.maintenance) + account.reserved
    assert buffer_margin(auction, after) == pytest.approx(0.0, abs=1e-9 * scale * (1.0 + auction.buffer))


@given(AUCTION, ACCOUNT.filter(lambda account: account.mark_to_market >= 0.0), ELAPSED, st.floats(0.0, 1.0))
def test_what_one_bidder_pays_is_not_sold_to_the_next(auction, account, elapsed, wanted):
    one = bid(auction, account, elapsed, wanted)
    after = after_bid(account, one)
    apart = replace(after, mark_to_market=after.mark_to_market - one.cash, reserved=account.reserved)
    scale = abs(account.mark_to_market) + account.reserved + 1.0
    assert bid_price(auction, after, elapsed) == pytest.approx(
        bid_price(auction, apart, elapsed), abs=1e-9 * scale
    )
