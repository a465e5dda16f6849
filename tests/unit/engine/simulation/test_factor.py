"""Rates that move with the venue's own market (spec DM-1 to DM-6, RBF-6)."""

import numpy as np
import pytest

from margrave.core.errors import InvalidInputError
from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import book_of
from margrave.engine.simulation.events import Ruled
from margrave.engine.simulation.factor import DynamicRate, Seen, begun, moved, target
from margrave.engine.simulation.path import Path
from margrave.engine.simulation.run import simulate
from margrave.engine.simulation.settings import Depth, Impact, Liquidity, Settings
from margrave.kernels.dynamic_rate import Cadence
from tests.unit.made import linear_market, rules

DAY = 86_400.0
YEAR = 365.0 * DAY


def look(at, price, depth=1.0, outstanding=0.0):
    return Seen(at, price, depth, outstanding)


def test_vol_of_marks_moves_the_multiplier_between_its_bounds():
    rule = DynamicRate(asset="BTC", usual_vol=0.5, short_seconds=1.0, long_seconds=1e9, high=3.0)
    state = begun(rule, look(0.0, 100.0))
    assert target(rule, state) == 1.0
    move = 0.75 * (60.0 / YEAR) ** 0.5  # a vol of 75 % for a minute
    state = moved(rule, state, look(60.0, 100.0 * np.exp(move)))
    assert state.standing.rate == pytest.approx(1.5, rel=1e-6)
    state = moved(rule, state, look(120.0, 1_000.0))
    assert state.standing.rate == 3.0


def test_a_long_window_remembers_what_the_short_one_forgets():
    rule = DynamicRate(asset="BTC", usual_vol=0.5, short_seconds=60.0, long_seconds=DAY)
    state = moved(rule, begun(rule, look(0.0, 100.0)), look(60.0, 103.0))
    for k in range(2, 40):
        state = moved(rule, state, look(60.0 * k, 103.0))
    assert state.short**0.5 < 0.1
    assert state.standing.rate == pytest.approx(state.long**0.5 / 0.5)
    assert state.standing.rate > 1.0


def test_depth_and_open_interest_multiply():
    rule = DynamicRate(asset="BTC", reads_depth=True, crowd=(100.0, 200.0), high=5.0)
    state = begun(rule, look(0.0, 1.0, depth=0.5, outstanding=125.0))
    assert target(rule, state) == 2.0 * (1.0 + 4.0 * 0.25)


def test_a_buffer_stands_in_calm_times_and_is_used_up_in_wild_ones():
    rule = DynamicRate(asset="BTC", reads_depth=True, buffer=0.25, floor=1.1)
    for depth, asked in ((1.0, 1.25), (0.9, 1.25), (0.5, 2.0)):
        assert target(rule, begun(rule, look(0.0, 1.0, depth=depth))) == pytest.approx(asked)
    assert begun(rule, look(0.0, 1.0)).standing.rate == 1.25
    floor = DynamicRate(asset="BTC", floor=1.4)
    assert target(floor, begun(floor, look(0.0, 1.0))) == 1.4


def test_notice_and_steps_hold_a_rise_back_and_not_a_fall():
    cadence = Cadence(every=60.0, notice=120.0, step_up=0.5)
    rule = DynamicRate(asset="BTC", reads_depth=True, cadence=cadence)
    state, found = begun(rule, look(0.0, 1.0)), []
    for minute, depth in enumerate((0.25, 0.25, 0.25, 0.25, 0.25, 1.0)):
        state = moved(rule, state, look(60.0 * minute, 1.0, depth=depth))
        found.append(state.standing.rate)
    assert found == [1.0, 1.0, 1.5, 2.25, 3.375, 1.0]


@pytest.mark.parametrize(
    "terms",
    [
        {"usual_vol": 0.0},
        {"short_seconds": 0.0},
        {"low": 2.0, "high": 1.0},
        {"crowd": (2.0, 1.0)},
        {"buffer": -0.1},
        {"floor": 9.0},
    ],
)
def test_absurd_rates_are_refused(terms):
    with pytest.raises(ValueError, match="must be"):
        DynamicRate(asset="BTC", **terms)


def longs(leverage):
    return book_of(
        Account(
            name=f"{x}",
            balances=(Balance(asset="USDT", amount=50_000.0 / x),),
            positions=(Position(symbol="BTCUSDT", quantity=1.0, entry=50_000.0),),
        )
        for x in leverage
    )


def test_a_rate_that_follows_vol_liquidates_whom_the_fall_alone_would_not():
    book = longs((5.0, 8.0, 12.0))
    path = Path(60.0 * np.arange(1, 4), {"BTC": np.array([50_000.0, 48_500.0, 48_500.0])})
    rule = DynamicRate(asset="BTC", usual_vol=0.6, short_seconds=60.0, high=3.0)
    still = simulate(book, linear_market(50_000.0), rules(), path, Settings())
    moving = simulate(book, linear_market(50_000.0), rules(), path, Settings(dynamic=rule))
    assert not still.steps.liquidated.any()
    assert moving.steps.multiplier.tolist() == [1.0, 3.0, 3.0]
    assert moving.steps.maintenance[1] == pytest.approx(3.0 * 0.05 * 48_500.0)  # of the one that is left
    assert moving.end.lots.tolist() == [100_000_000, 0, 0]
    assert [e.event.multiplier for e in moving.log if isinstance(e.event, Ruled)] == [3.0]
    assert moving.rulebook.ladders["all"].tiers[0].maintenance == pytest.approx(0.15)


def test_the_depth_that_liquidations_left_raises_what_the_rest_is_asked():
    # Thurner, Farmer and Geanakoplos 2012 (clearing 5.1): margin that follows the market can make it worse.
    liquidity = Liquidity(depth=Depth(contracts=10.0, emptied=2.0), impact=Impact(coefficient=0.05))
    told = {"liquidity": {"BTCUSDT": liquidity}}
    path = Path(60.0 * np.arange(1, 3), {"BTC": np.array([46_500.0, 46_500.0])})
    rule = DynamicRate(asset="BTC", reads_depth=True)
    still = simulate(longs((3.0, 6.0, 11.0)), linear_market(50_000.0), rules(), path, Settings(**told))
    moving = simulate(
        longs((3.0, 6.0, 11.0)), linear_market(50_000.0), rules(), path, Settings(**told, dynamic=rule)
    )
    assert still.steps.multiplier.tolist() == [1.0, 1.0]
    assert moving.steps.multiplier.tolist() == [1.0, pytest.approx(1.25)]
    assert moving.steps.maintenance[1] == pytest.approx(1.25 * still.steps.maintenance[1])


def test_an_asset_that_is_not_there_is_refused():
    with pytest.raises(InvalidInputError, match="DOGE is no asset"):
        simulate(
            longs((5.0,)),
            linear_market(50_000.0),
            rules(),
            Path(np.zeros(1)),
            Settings(dynamic=DynamicRate(asset="DOGE")),
        )
