"""Where orders fill and on what margin is asked: impact laws, books that empty, marks."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from margrave.core.errors import InvalidInputError, RefusedError
from margrave.domain.market import Market, Quote
from margrave.engine.simulation.path import Path, shock
from margrave.engine.simulation.prices import (
    at_rest,
    fill_prices,
    in_range,
    instrument_prices,
    market_at,
    mean_moves,
    moves,
    pressed,
    prices_of,
    rested,
    world_of,
)
from margrave.engine.simulation.settings import (
    AverageMark,
    Costs,
    Depth,
    Impact,
    IndexMark,
    LastMark,
    Liquidity,
    MedianMark,
    Recorded,
    Settings,
)
from margrave.valuation.table import table_of
from tests.unit.made import AT, LINEAR, linear_market
from tests.unit.made_books import MARKET

MARKET_50K = linear_market(50_000.0)


def world(liquidity=None, seconds=(0.0, 60.0, 120.0), prices=(50_000.0, 50_000.0, 50_000.0), **more):
    told = {} if liquidity is None else {"BTCUSDT": liquidity}
    table = table_of(("BTCUSDT",), ("USDT",), MARKET_50K)
    path = Path(np.array(seconds), {"BTC": np.array(prices)})
    return world_of(MARKET_50K, table, ("BTCUSDT",), path, Settings(liquidity=told, **more))


def law(**terms):
    depth = {name: terms.pop(name) for name in ("emptied", "refill_seconds", "least") if name in terms}
    return Liquidity(depth=Depth(contracts=100.0, **depth), impact=Impact(coefficient=0.05, **terms))


def bitcoin(made, columns):
    return float(columns[made.table.assets.index("BTC")])


@pytest.mark.parametrize(
    ("exponent", "flow", "move", "mean"),
    [
        (1.0, -40.0, -0.02, -0.01),  # half of a straight line
        (0.5, -25.0, -0.025, -0.05 / 3.0),  # two thirds of a square root (clearing 2.2)
        (0.5, 25.0, 0.025, 0.05 / 3.0),
        (2.0, 100.0, 0.05, 0.05 / 3.0),
    ],
)
def test_a_power_of_pressure_over_depth(exponent, flow, move, mean):
    made = world(law(exponent=exponent))
    before = at_rest(made)
    after = pressed(made, before, np.array([flow]))
    assert bitcoin(made, moves(made, after)) == pytest.approx(move, rel=1e-14)
    assert bitcoin(made, mean_moves(made, before, after)) == pytest.approx(mean, rel=1e-12)
    assert fill_prices(made, before, after)[0] == pytest.approx(50_000.0 * np.exp(mean), rel=1e-12)


def test_flow_in_two_parts_moves_as_flow_in_one():
    made = world(law(exponent=0.5))
    start = at_rest(made)
    half = pressed(made, start, np.array([-20.0]))
    whole = pressed(made, half, np.array([-20.0]))
    at_once = pressed(made, start, np.array([-40.0]))
    assert moves(made, whole) == pytest.approx(moves(made, at_once), rel=1e-14)
    parts = mean_moves(made, start, half) + mean_moves(made, half, whole)
    assert parts / 2.0 == pytest.approx(mean_moves(made, start, at_once), rel=1e-12)


def test_flow_back_to_rest_fills_at_the_mean_of_the_way_and_none_at_the_price():
    made = world(law())
    out = pressed(made, at_rest(made), np.array([-40.0]))
    back = pressed(made, out, np.array([40.0]))
    assert moves(made, back) == pytest.approx(0.0, abs=1e-16)
    assert bitcoin(made, mean_moves(made, out, back)) == pytest.approx(-0.01, rel=1e-12)
    assert bitcoin(made, mean_moves(made, out, out)) == pytest.approx(-0.02, rel=1e-12)


def test_what_fades_is_half_gone_after_its_half_life_and_the_permanent_share_stays():
    made = world(law(half_life_seconds=60.0, permanent=0.25))
    state = pressed(made, at_rest(made), np.array([-40.0]))
    assert bitcoin(made, moves(made, state)) == pytest.approx(-0.02)
    state = rested(made, state, 1)
    assert bitcoin(made, moves(made, state)) == pytest.approx(-0.02 * (0.25 + 0.75 / 2.0), rel=1e-14)
    state = rested(made, state, 2)
    assert bitcoin(made, moves(made, state)) == pytest.approx(-0.02 * (0.25 + 0.75 / 4.0), rel=1e-14)


def test_depth_empties_to_its_least_and_fills_up_again():
    made = world(law(emptied=0.5, refill_seconds=60.0, least=0.2))
    state = pressed(made, at_rest(made), np.array([-40.0]))
    assert state.depth.tolist() == [80.0]
    moved_again = pressed(made, state, np.array([-40.0]))
    assert bitcoin(made, moves(made, moved_again)) == pytest.approx(-0.05 * (0.4 + 0.5), rel=1e-14)
    assert pressed(made, state, np.array([-1e6])).depth.tolist() == [20.0]
    assert rested(made, rested(made, state, 0), 1).depth.tolist() == [90.0]
    stays = world(law(emptied=0.5))
    state = pressed(stays, at_rest(stays), np.array([-40.0]))
    assert rested(stays, state, 1).depth.tolist() == [80.0]


BOOK = Recorded(
    offset=np.array([0.01, 0.02]),
    bids=np.array([[10.0, 30.0], [10.0, 0.0], [5.0, 5.0]]),
    asks=np.array([[20.0, 20.0], [20.0, 20.0], [20.0, 20.0]]),
)


@pytest.mark.parametrize(
    ("step", "flow", "move"),
    [
        (0, -10.0, np.log(0.99)),
        (0, -25.0, (np.log(0.99) + np.log(0.98)) / 2.0),  # halfway between two levels
        (0, -40.0, np.log(0.98)),
        (0, -80.0, np.log(0.96)),  # beyond the book, at its mean density
        (0, 20.0, np.log(1.01)),
        (1, -10.0, np.log(0.99)),
        (1, -20.0, np.log(0.98)),  # an empty level is no level
    ],
)
def test_a_recorded_book_is_walked(step, flow, move):
    made = world(BOOK)
    state = rested(made, at_rest(made), step)
    after = pressed(made, state, np.array([flow]))
    assert bitcoin(made, moves(made, after)) == pytest.approx(move, rel=1e-12)


def test_a_recorded_book_fills_at_the_mean_of_its_walk():
    made = world(BOOK)
    start = at_rest(made)
    first = pressed(made, start, np.array([-10.0]))
    assert bitcoin(made, mean_moves(made, start, first)) == pytest.approx(np.log(0.99) / 2.0, rel=1e-12)
    second = pressed(made, first, np.array([-30.0]))
    middle = (np.log(0.99) + np.log(0.98)) / 2.0
    assert bitcoin(made, mean_moves(made, first, second)) == pytest.approx(middle, rel=1e-12)


def test_a_recorded_book_is_fresh_each_step_or_remembers_for_a_while():
    made = world(BOOK)
    state = pressed(made, at_rest(made), np.array([-10.0]))
    assert rested(made, state, 1).fading.tolist() == [0.0]
    made = world(replace(BOOK, half_life_seconds=60.0))
    assert rested(made, state, 1).fading.tolist() == [-5.0]


@pytest.mark.parametrize(
    ("rule", "mark"),
    [
        (LastMark(), 0.98),
        (IndexMark(), 0.98**0.25),
        (AverageMark(half_life_seconds=60.0, bound=0.5), None),
        (AverageMark(half_life_seconds=1e-3, bound=0.005), 0.98**0.25 * 0.995),
        (MedianMark(half_life_seconds=1e9), 0.98**0.25),  # an average that has not moved is the index
        (MedianMark(half_life_seconds=1e-3, bound=0.001), 0.98**0.25 * 0.999),
    ],
)
def test_mark_rules(rule, mark):
    made = world(law(), mark=rule, index_share=0.25)
    state = pressed(made, at_rest(made), np.array([100.0 * np.log(0.98) / 0.05]))
    state = rested(made, rested(made, state, 0), 1)
    found = prices_of(made, state)
    assert bitcoin(made, found.last) == pytest.approx(0.98, rel=1e-12)
    assert bitcoin(made, found.index) == pytest.approx(0.98**0.25, rel=1e-12)
    premium = 0.98**0.75 - 1.0
    expected = 0.98**0.25 * (1.0 + premium / 2.0) if mark is None else mark
    assert bitcoin(made, found.mark) == pytest.approx(expected, rel=1e-6)


def test_a_market_of_the_moment_has_marks_collateral_and_time():
    made = world(law(), prices=(50_000.0, 40_000.0, 40_000.0), index_share=0.5)
    state = pressed(made, rested(made, at_rest(made), 1), np.array([-40.0]))
    market = market_at(made, prices_of(made, state), 60.0)
    assert market.at == AT + timedelta(seconds=60)
    assert market.quotes["BTCUSDT"].mark == pytest.approx(40_000.0 * np.exp(-0.02), rel=1e-12)
    assert market.index["BTC"] == pytest.approx(40_000.0 * np.exp(-0.01), rel=1e-12)
    assert market.index["USDT"] == 1.0


def test_a_quote_with_an_index_and_an_age_moves_with_it():
    quotes = {"BTCUSDT": Quote(mark=50_000.0, index=49_900.0, at=AT)}
    market = Market(at=AT, instruments={"BTCUSDT": LINEAR}, quotes=quotes, index=MARKET_50K.index)
    table = table_of(("BTCUSDT",), ("USDT",), market)
    made = world_of(
        market, table, ("BTCUSDT",), Path(np.array([60.0]), {"BTC": np.array([25_000.0])}), Settings()
    )
    quote = market_at(made, prices_of(made, at_rest(made)), 60.0).quotes["BTCUSDT"]
    assert (quote.mark, quote.index, quote.at) == (25_000.0, 24_950.0, AT + timedelta(seconds=60))


def test_options_are_repriced_at_their_own_vol_and_lose_time():
    names = tuple(s for s in MARKET.quotes if s.startswith("BTC-30-60000"))
    table = table_of(names, (), MARKET)
    made = world_of(MARKET, table, names, Path(np.zeros(1)), Settings())
    one = np.ones(len(table.assets))
    same, _ = instrument_prices(made, one, 0.0)
    assert same.tolist() == [MARKET.quotes[s].mark for s in names]
    later, _ = instrument_prices(made, one, 15 * 86_400.0)
    assert (later < same).all()
    up = np.where(np.array(table.assets) == "BTC", 1.1, 1.0)
    moved, forward = instrument_prices(made, up, 0.0)
    calls = np.array([s.endswith("call") or "call" in s for s in names])
    assert (moved[calls] > same[calls]).all()
    assert (moved[~calls] < same[~calls]).all()
    assert forward == pytest.approx(table.forward * 1.1)


def test_a_price_that_runs_away_is_out_of_range():
    made = world(law())
    assert in_range(made, at_rest(made))
    assert not in_range(made, pressed(made, at_rest(made), np.array([-1e5])))
    deep = world(law(), prices=(50_000.0, 1e-11, 1e-11))
    assert in_range(deep, rested(deep, at_rest(deep), 1))
    assert not in_range(deep, pressed(deep, rested(deep, at_rest(deep), 1), np.array([-1e4])))


def test_what_a_path_may_not_be():
    table = table_of(("BTCUSDT",), ("USDT",), MARKET_50K)
    with pytest.raises(InvalidInputError, match=r"path\.DOGE"):
        world_of(MARKET_50K, table, ("BTCUSDT",), Path(np.zeros(1), {"DOGE": np.ones(1)}), Settings())
    rows = Recorded(offset=np.array([0.01]), bids=np.ones((2, 1)), asks=np.ones((2, 1)))
    with pytest.raises(InvalidInputError, match="has \\[2, 2\\] rows"):
        world(rows)
    names = ("BTCUSD-30",)
    futures = table_of(names, (), MARKET)
    with pytest.raises(RefusedError, match="expires on the path"):
        world_of(MARKET, futures, names, Path(np.array([40 * 86_400.0])), Settings())


@pytest.mark.parametrize("prices", [(0.0,), (-1.0,), (float("nan"),), (float("inf"),), (1.0, 2.0)])
def test_prices_that_are_none_are_refused(prices):
    with pytest.raises(ValueError, match=r"path\.BTC"):
        Path(np.zeros(1), {"BTC": np.array(prices)})


@pytest.mark.parametrize("seconds", [(), (-1.0,), (2.0, 1.0), (float("nan"),), (1e12,)])
def test_seconds_that_are_none_are_refused(seconds):
    with pytest.raises(ValueError, match=r"path\.seconds"):
        Path(np.array(seconds))


def test_a_shock_of_the_whole_price_is_refused():
    assert shock("BTC", 50_000.0, -0.5).prices["BTC"].tolist() == [25_000.0]
    with pytest.raises(ValueError, match="move is -1"):
        shock("BTC", 50_000.0, -1.0)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Depth(contracts=0.0), "depth.contracts"),
        (lambda: Depth(contracts=1.0, emptied=-1.0), "depth.emptied"),
        (lambda: Depth(contracts=1.0, least=0.0), "depth.least"),
        (lambda: Depth(contracts=1.0, refill_seconds=0.0), "depth.refill_seconds"),
        (lambda: Impact(coefficient=-1.0), "impact.coefficient"),
        (lambda: Impact(coefficient=1.0, exponent=0.0), "impact.exponent"),
        (lambda: Impact(coefficient=1.0, permanent=2.0), "impact.permanent"),
        (lambda: replace(BOOK, offset=np.array([0.02, 0.01])), "recorded.offset"),
        (lambda: replace(BOOK, bids=np.zeros((3, 2))), "recorded.bids"),
        (lambda: AverageMark(half_life_seconds=1.0, bound=0.0), "mark.bound"),
        (lambda: MedianMark(half_life_seconds=1.0, bound=0.0), "mark.bound"),
        (lambda: Costs(slippage=1.0), "slippage"),
        (lambda: Settings(index_share=1.1), "index_share"),
        (lambda: Settings(rounds=0), "rounds"),
        (lambda: Settings(fund={"BTC": -1.0}), "fund.BTC"),
        (lambda: Settings(units={"BTC": 0.0}), "units.BTC"),
    ],
)
def test_absurd_settings_are_refused_by_name(make, what):
    with pytest.raises(ValueError, match=what):
        make()
