"""Laws of margin from joint scenarios, for every portfolio and not only for the examples."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.domain.account import Balance
from margrave.domain.book import book_of
from margrave.domain.market import Quote
from margrave.engine.analysis.tails import tails
from margrave.engine.assess import assess
from margrave.kernels.black76 import quote_price
from margrave.kernels.tail import (
    expected_shortfall,
    least_collateral,
    linear_quantile,
    lower_quantile,
    quantile_precision,
    shortfall_precision,
    solvency_share,
    upper_quantile,
)
from margrave.liquidation.direction import pooled_at
from margrave.margin.pooled import prepare
from margrave.margin.requirement import discrepancy
from tests.unit.scenarios_made import option
from tests.unit.tail_made import (
    BTC,
    COIN,
    ETH,
    HISTORY,
    PRICES,
    account,
    draws,
    history,
    market,
    rulebook,
    shortfall,
    value_at_risk,
)

LOSSES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60).map(lambda row: np.round(row, 6))
CONFIDENCE = st.floats(0.01, 0.999)
SIZE = st.floats(-20.0, 20.0).map(lambda q: round(q, 6))
PUT = option(48_000.0, "put", coin=False)
PUT_MARK = float(quote_price(50_000.0, 48_000.0, 0.7, 30 / 365, False))
AT = market((PUT, Quote(mark=PUT_MARK, index=50_000.0, forward=50_000.0, vol=0.7)))
CLOSE = {"rel": 1e-9, "abs": 1e-6}
BOOKS = st.tuples(SIZE, SIZE, SIZE, SIZE)


def held(sizes, times=1.0):
    """BTC and ETH linear, BTC inverse of 50,000 dollars, and a put."""
    btc, eth, coin, put = (times * size for size in sizes)
    legs = ((BTC.symbol, btc), (ETH.symbol, eth), (COIN.symbol, 50_000.0 * coin), (PUT.symbol, put))
    entries = {PUT.symbol: PUT_MARK}
    return account(*((s, q) for s, q in legs if q), entries=entries, USD=1e6)


def asked(sizes, times=1.0, **rules):
    (pool,) = assess(held(sizes, times), AT, rulebook(**rules)).pools
    assert pool.issues == ()
    return pool.maintenance


@given(LOSSES, CONFIDENCE)
def test_a_shortfall_is_at_least_every_quantile(losses, confidence):
    shortfall_here = expected_shortfall(losses, confidence)
    room = 1e-9 * np.abs(losses).max()
    for quantile in (lower_quantile, upper_quantile):
        assert shortfall_here.value >= quantile(losses, confidence).value - room
    assert lower_quantile(losses, confidence).value <= upper_quantile(losses, confidence).value
    assert shortfall_here.value <= losses.max() + room
    assert shortfall_here.weight.sum() == pytest.approx(1.0, rel=1e-12)
    assert losses.min() <= linear_quantile(losses, confidence).value <= losses.max()


@given(LOSSES, CONFIDENCE, CONFIDENCE)
def test_measures_rise_with_the_confidence(losses, one, other):
    low, high = sorted((one, other))
    room = 1e-9 * np.abs(losses).max()
    for measure in (lower_quantile, upper_quantile, expected_shortfall):
        assert measure(losses, low).value <= measure(losses, high).value + room


@given(LOSSES, CONFIDENCE, st.integers(-20, 20), st.floats(-1e3, 1e3))
def test_measures_scale_and_shift_with_the_losses(losses, confidence, power, shift):
    for measure in (lower_quantile, upper_quantile, linear_quantile, expected_shortfall):
        value = measure(losses, confidence).value
        assert measure(losses * 2.0**power, confidence).value == value * 2.0**power
        assert measure(losses + shift, confidence).value == pytest.approx(value + shift, abs=1e-6)


@given(st.integers(1, 40), CONFIDENCE, st.integers(0, 2**32))
def test_a_shortfall_of_a_sum_is_at_most_the_sum(count, confidence, seed):
    one, other = np.random.default_rng(seed).standard_t(3, (2, count))
    together = expected_shortfall(one + other, confidence).value
    assert (
        together
        <= expected_shortfall(one, confidence).value + expected_shortfall(other, confidence).value + 1e-9
    )


@given(LOSSES, CONFIDENCE)
def test_least_collateral_is_enough_and_no_less_is(losses, target):
    needed = least_collateral(losses, target)
    assert solvency_share(losses, needed) >= target - 1e-9
    if needed > 0.0:
        assert solvency_share(losses, np.nextafter(needed, -np.inf)) < target


@given(LOSSES, CONFIDENCE, st.floats(0.51, 0.999))
def test_the_upper_bound_is_above_the_estimate(losses, confidence, sureness):
    bound = quantile_precision(losses, confidence, sureness)
    assert np.isnan(bound.upper) or bound.upper >= lower_quantile(losses, confidence).value
    mean = shortfall_precision(losses, confidence, sureness)
    assert np.isnan(mean.upper) or mean.upper >= expected_shortfall(losses, confidence).value - 1e-6


@settings(max_examples=30)
@given(BOOKS, st.sampled_from([0.5, 2.0, 4.0]))
def test_twice_the_portfolio_is_asked_twice(sizes, times):
    for source in (history(), draws(2_000)):
        assert asked(sizes, times, scenarios=source) == pytest.approx(
            times * asked(sizes, scenarios=source), **CLOSE
        )


@settings(max_examples=30)
@given(BOOKS, BOOKS)
def test_pooling_never_costs_by_shortfall(one, other):
    # One history for all, so that rows are the same and expected shortfall is subadditive.
    both = tuple(a + b for a, b in zip(one, other, strict=True))
    assert asked(both) <= asked(one) + asked(other) + 1e-6


@settings(max_examples=20)
@given(BOOKS)
def test_the_requirement_rises_with_confidence_and_shortfall_covers_value_at_risk(sizes):
    for source in (history(), draws(2_000)):
        by = [asked(sizes, scenarios=source, measure=shortfall(c)) for c in (0.5, 0.8, 0.95)]
        assert by[0] <= by[1] + 1e-6
        assert by[1] <= by[2] + 1e-6
        assert asked(sizes, scenarios=source, measure=value_at_risk(0.8)) <= by[1] + 1e-6


@settings(max_examples=20)
@given(SIZE, SIZE, st.floats(0.1, 20.0), st.floats(1.0, 4.0))
def test_a_linear_book_grows_with_the_root_of_the_horizon(btc, eth, days, times):
    short = asked((btc, eth, 0.0, 0.0), horizon_days=days)
    long = asked((btc, eth, 0.0, 0.0), horizon_days=days * times)
    assert long == pytest.approx(np.sqrt(times) * short, **CLOSE)


@settings(max_examples=30)
@given(BOOKS)
def test_losses_are_the_difference_of_worths_by_loops(sizes):
    """The slow twin: every member valued by its own formula, row by row."""
    if not any(sizes):
        return
    (found,) = tails(held(sizes), AT, rulebook())
    btc, eth, coin, put = sizes
    for row, (b, e) in enumerate(zip(HISTORY["BTC"], HISTORY["ETH"], strict=True)):
        price = PRICES["BTC"] * (1.0 + b)
        profit = btc * PRICES["BTC"] * b + eth * PRICES["ETH"] * e
        profit += 50_000.0 * coin * (1.0 / PRICES["BTC"] - 1.0 / price) * price
        profit += put * (float(quote_price(price, 48_000.0, 0.7, 30 / 365, False)) - PUT_MARK)
        assert found.losses[row] == pytest.approx(-profit, rel=1e-6, abs=1e-4)


@settings(max_examples=30)
@given(BOOKS, st.floats(-5.0, 5.0), st.sampled_from(["USD", "BTC", "ETH"]))
def test_a_loss_is_what_equity_loses_when_the_market_moves(sizes, coins, currency):
    """By another way: the whole account assessed in a market moved by the row, in any currency."""
    alone = held(sizes)
    whole = replace(alone, balances=(*alone.balances, Balance(asset="BTC", amount=coins)))
    rules = rulebook(currency=currency, collateral_moves=True)
    (found,) = tails(whole, AT, rules)
    prepared = prepare(book_of((whole,)), AT, rules)
    factor = np.ones((20, len(prepared.table.assets)))
    for asset, rows in HISTORY.items():
        if asset in prepared.table.assets:
            factor[:, prepared.table.assets.index(asset)] += rows
    equity = pooled_at(prepared, factor).equity[:, 0]
    assert found.losses == pytest.approx(found.equity - equity, rel=1e-9, abs=1e-4)


@settings(max_examples=20)
@given(BOOKS)
def test_the_tree_gives_the_requirement_back(sizes):
    for source in (history(), draws(2_000)):
        found = assess(held(sizes), AT, rulebook(scenarios=source))
        tree = found.explain("maintenance")
        assert tree.amount == pytest.approx(found.pools[0].maintenance, **CLOSE)
        assert discrepancy(tree) < 1e-9
