"""Safe intervals never miss an account whose status a move changes: the sweep of the few is the sweep of all."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.adapters.made_book import made_book, made_market
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.domain.book import book_of
from margrave.engine.books.safe import breaches, breaches_resolved, build, build_resolved, swept
from margrave.engine.books.venue import assess_book
from margrave.liquidation.direction import excess_of
from margrave.liquidation.steepness import steepness_of
from margrave.margin.directional import releases
from margrave.margin.pooled import evaluate, prepare
from margrave.margin.resolve import resolve
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.reform import with_schedule
from margrave.valuation.scenarios import shifted
from tests.unit import made_books
from tests.unit.moved import moved_market

RULES = made_books.rulebooks()
ARRAYS = [r for r in RULES if r.id not in ("derive.srm", "example.tail", "example.scan", "example.ranges")
          and not r.id.startswith(("made.scan", "made.ranges"))]  # fmt: skip
COINS = ("BTC", "ETH", "SOL", "USDT", "USDC")
PROVEN = 0.5  # of known pools, where nothing but the rulebook's own models can be in the way


def moves(dice, count, assets, reach):
    """Logarithms of asset prices, (S, A): some far, some near, some not at all."""
    size = dice.choice([0.0, 0.1, 1.0], (count, assets))
    return dice.uniform(-reach / 2, reach / 2, (count, assets)) * size


def assert_bounds_hold(rulebook, seed, reach=0.06):
    prepared = prepare(book_of(made_books.accounts(seed, 25, rulebook)), made_books.MARKET, rulebook)
    assets, dice = len(prepared.table.assets), np.random.default_rng(seed)
    at = moves(dice, 12, assets, reach)
    at[:, [a for a, name in enumerate(prepared.table.assets) if name == "USD"]] = 0.0
    centre = shifted(prepared.table, np.ones((2, assets)))
    steep = steepness_of(prepared, centre, evaluate(prepared, centre), reach)
    pooled = evaluate(prepared, shifted(prepared.table, np.exp(at)))
    left = {INITIAL: pooled.margin_balance - pooled.initial, MAINTENANCE: excess_of(prepared, pooled)}
    wide = np.concatenate([at, np.zeros((len(at), 1))], axis=1)
    one, other = divmod(steep.pair, assets + 1)
    x = wide[:, one] - wide[:, other]
    pools, checked = len(prepared.pools.account), 0
    scale = np.abs(pooled.margin_balance) + np.abs(pooled.initial) + np.abs(pooled.maintenance)
    for i in range(len(at)):
        for j in range(i):
            far, apart = np.maximum(np.abs(x[i]), np.abs(x[j])), np.abs(x[i] - x[j])
            most = np.zeros(pools)
            np.maximum.at(most, steep.pool, far)
            for level, known in left.items():
                each = np.where(apart > 0.0, steep.level[level, 0], 0.0) * apart
                allowed = np.bincount(steep.pool, weights=each, minlength=pools)
                holds = ~steep.unproven[level] & (most <= steep.until[0]) & np.isfinite(allowed)
                change = np.abs(known[i] - known[j])[holds]
                room = allowed * (1.0 + 1e-9) + 1e-9 * np.maximum(scale[i], scale[j])
                assert (change <= room[holds]).all(), (rulebook.id, level)
                checked += int(holds.sum())
    return checked


@pytest.mark.parametrize("rulebook", ARRAYS, ids=lambda r: r.id)
def test_what_is_left_changes_no_faster_than_is_proven(rulebook):
    assert_bounds_hold(rulebook, 1)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from(ARRAYS), st.sampled_from([0.005, 0.06, 0.4]))
def test_no_seed_finds_a_faster_change(seed, rulebook, reach):
    assert_bounds_hold(rulebook, seed, reach)


def assert_same_as_full(safe, market):
    full = assess_book(safe.book, market, safe.resolved.rulebook).status
    found = swept(safe, market)
    np.testing.assert_array_equal(found.status, full)
    np.testing.assert_array_equal(found.changed, np.flatnonzero(full != safe.status))
    np.testing.assert_array_equal(found.computed, breaches(safe, market))
    assert np.isin(found.changed, found.computed).all()
    return found


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(ARRAYS),
    st.sampled_from([1e-5, 1e-3, 0.01, 0.05, 0.3]),
    st.sampled_from([0.0, 5e-7, 1e-4]),
)
def test_any_book_and_any_move(seed, rulebook, size, parting):
    dice = np.random.default_rng(seed)
    accounts = made_books.accounts(seed, 12, rulebook)
    safe = build(book_of(accounts), made_books.MARKET, rulebook, basis=dice.choice([1e-6, 1e-3]))
    for turn in range(3):
        factor = {name: float(np.exp(dice.normal(0.0, size))) for name in COINS if dice.random() < 0.6}
        assert_same_as_full(safe, moved_market(made_books.MARKET, factor, parting, turn))


MADE = made_market()
VENUE = made_book(1_500, 3, MADE)


@pytest.mark.parametrize("name", ["example.flat", "example.inverse", "deribit.spm", "deribit.xpm"])
def test_moves_to_the_very_ends_of_intervals(name):
    # Just inside of what the nearest accounts bear, and just outside: where a wrong interval would show.
    safe = build(VENUE, MADE, in_force(name, MADE.at))
    changed = 0
    for pair in safe.pairs:
        base = safe.resolved.table.assets[pair.one]
        for ends, sign in ((pair.falls, -1.0), (pair.rises, 1.0)):
            for share in (0.02, 0.2):
                end = float(ends[int(share * len(ends))])
                for times in (0.999999, 1.000001):
                    market = moved_market(MADE, {base: float(np.exp(sign * end * times))})
                    changed += len(assert_same_as_full(safe, market).changed)
    assert changed > 0


@pytest.mark.parametrize(
    ("name", "share"),
    [("example.flat", 0.02), ("example.inverse", 0.08), ("deribit.spm", 0.03), ("deribit.xpm", 0.05)],
)
def test_few_have_to_be_looked_at_after_a_small_move(name, share):
    safe = build(VENUE, MADE, in_force(name, MADE.at), chunk=400)
    assert len(breaches(safe, moved_market(MADE, {"BTC": 1.0002, "ETH": 0.9998}))) <= share * len(VENUE.names)
    assert len(safe.always) <= (0.06 if name == "example.inverse" else 0.01) * len(VENUE.names)


def test_most_known_pools_are_proven():
    for name in ("binance.usdm", "bybit.linear", "example.unified", "kraken.futures", "paradex.pm"):
        rulebook = next(r for r in RULES if r.id == name)
        book = book_of(made_books.accounts(2, 60, rulebook))
        safe = build(book, made_books.MARKET, rulebook)
        known = (safe.status < 3).sum()
        proven = known - np.sum(safe.status[safe.always] < 3)
        assert proven >= PROVEN * known, name


def test_under_other_rules_everybody_is_looked_at():
    told: list[int] = []
    safe = build(VENUE, MADE, in_force("example.flat", MADE.at), chunk=800, told=told.append)
    assert told == [800, 1_500]
    other = resolve(VENUE.symbols, VENUE.assets, MADE, in_force("example.inverse", MADE.at))
    np.testing.assert_array_equal(breaches_resolved(safe, other), np.arange(len(VENUE.names)))
    again = build_resolved(VENUE, safe.resolved)
    np.testing.assert_array_equal(again.pairs[0].rises, safe.pairs[0].rises)


def test_nobody_is_looked_at_when_nothing_moved_but_who_always_is():
    safe = build(VENUE, MADE, in_force("deribit.spm", MADE.at))
    np.testing.assert_array_equal(breaches(safe, MADE), safe.always)


def test_what_no_interval_is_about_touches_its_holders_or_everyone():
    rulebook = in_force("example.inverse", MADE.at)
    safe = build(VENUE, MADE, rulebook)
    quote = MADE.quotes["BTC-PERPETUAL"]
    parted = replace(MADE, quotes={**MADE.quotes, "BTC-PERPETUAL": replace(quote, mark=quote.mark * 1.01)})
    row = VENUE.symbols.index("BTC-PERPETUAL")
    holders = np.union1d(
        VENUE.account[VENUE.instrument == row], VENUE.order_account[VENUE.order_instrument == row]
    )
    np.testing.assert_array_equal(breaches(safe, parted), np.union1d(holders, safe.always))
    assert_same_as_full(safe, parted)
    everyone = np.arange(len(VENUE.names))
    later = replace(MADE, at=MADE.at + timedelta(hours=1))
    assert_same_as_full(safe, later)
    remembers = with_schedule(rulebook, rulebook.schedules["ratchet"])
    assert releases(remembers)
    assert not releases(rulebook)
    np.testing.assert_array_equal(
        breaches(build(VENUE, MADE, remembers), later), everyone
    )  # it reads the clock
    np.testing.assert_array_equal(breaches(safe, replace(MADE, slow={"BTC": 1.0})), everyone)
    np.testing.assert_array_equal(breaches(safe, replace(MADE, confidence={"BTC": 0.5})), everyone)
    fewer = {name: i for name, i in MADE.instruments.items() if name != "ETH-PERPETUAL"}
    assert_same_as_full(safe, replace(MADE, instruments=fewer))
    without = replace(MADE, index={"BTC": MADE.index["BTC"]})
    assert_same_as_full(safe, without)
    option = next(s for s in VENUE.symbols if s.endswith("-C"))
    dearer = {**MADE.quotes, option: replace(MADE.quotes[option], vol=0.9)}
    assert_same_as_full(build(VENUE, MADE, in_force("deribit.spm", MADE.at)), replace(MADE, quotes=dearer))


def test_an_account_says_between_which_factors_it_stays():
    safe = build(VENUE, MADE, in_force("deribit.spm", MADE.at))
    pair = safe.pairs[0]
    row = int(pair.rises_of[len(pair.rises_of) // 2])
    ((name, low, high),) = safe.of_account(row)
    assert name == "BTC/USD"
    assert low < 1.0 < high
    lost = build(VENUE, MADE, in_force("example.inverse", MADE.at))
    assert lost.of_account(int(lost.always[0])) == (("", 1.0, 1.0),)


def test_a_basis_that_proves_nothing_is_refused():
    with pytest.raises(ValueError, match="basis is"):
        build(VENUE, MADE, in_force("example.flat", MADE.at), basis=0.02)


def test_an_empty_book_has_no_interval():
    told = []
    safe = build(book_of(()), MADE, in_force("deribit.spm", MADE.at), told=told.append)
    assert (safe.pairs, len(safe.always), told) == ((), 0, [])
    assert len(swept(safe, moved_market(MADE, {"BTC": 0.5})).status) == 0
