"""Cascades of the specification: the tables of inverse-margining 4.3, and the closed form of clearing 5.1."""

import numpy as np
import pytest

from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import book_of
from margrave.engine.measures.cascade import Impact as MapImpact
from margrave.engine.measures.cascade import cascade
from margrave.engine.simulation.events import Priced
from margrave.engine.simulation.path import shock
from margrave.engine.simulation.run import Ending, simulate
from margrave.engine.simulation.settings import Deleveraging, Depth, Impact, Liquidity, Settings
from margrave.rulebook.reform import with_schedule
from tests.unit.made import T1, flat_ladder, inverse_market, linear_market, rules

ENTRY = 50_000.0
LEVERAGE = (3, 5, 8, 10, 12, 15, 20, 25)
EACH = 20e6  # [USD] of a cohort
DEPTH = 100e6  # [USD]
KAPPA = 0.05


def cohorts(payoff):
    """Eight longs, and the market that quotes them."""
    if payoff == "inverse":
        symbol, asset, contracts, worth = "BTCUSD", "BTC", EACH, EACH / ENTRY
        market = inverse_market(ENTRY)
    else:
        symbol, asset, contracts, worth = "BTCUSDT", "USDT", EACH / ENTRY, EACH
        market = linear_market(ENTRY)
    book = book_of(
        Account(
            name=f"{leverage}x",
            balances=(Balance(asset=asset, amount=worth / leverage),),
            positions=(Position(symbol=symbol, quantity=contracts, entry=ENTRY),),
        )
        for leverage in LEVERAGE
    )
    depth = DEPTH if payoff == "inverse" else DEPTH / ENTRY
    liquidity = Liquidity(depth=Depth(contracts=depth), impact=Impact(coefficient=KAPPA))
    return book, market, {symbol: liquidity}


def run(payoff, tiered, move, **more):
    book, market, liquidity = cohorts(payoff)
    rulebook = rules(flat_ladder(initial=0.04, maintenance=0.02))
    rulebook = with_schedule(rulebook, T1) if tiered else rulebook
    settings = Settings(liquidity=liquidity, deleveraging=Deleveraging(shares=None), **more)
    return simulate(book, market, rulebook, shock("BTC", ENTRY, move), settings)


# Specification, inverse-margining 4.3: final price, USD millions liquidated, amplification; rows by shock.
TABLES = {
    ("linear", False): {
        -0.015: (49250.00, 0, 1.000),
        -0.02: (49000.00, 0, 1.000),
        -0.025: (47784.69, 40, 1.790),
        -0.03: (47066.61, 60, 1.985),
        -0.04: (46117.89, 80, 1.980),
        -0.05: (45183.40, 100, 1.975),
    },
    ("linear", True): {
        -0.015: (49250.00, 0, 1.000),
        -0.02: (48029.73, 40, 1.990),
        -0.025: (47309.22, 60, 2.185),
        -0.03: (47066.61, 60, 1.985),
        -0.04: (45659.01, 100, 2.225),
        -0.05: (45183.40, 100, 1.975),
    },
    ("inverse", False): {
        -0.015: (49250.00, 0, 1.000),
        -0.02: (48029.73, 40, 1.990),
        -0.025: (47309.22, 60, 2.185),
        -0.03: (46598.29, 80, 2.313),
        -0.04: (45659.01, 100, 2.225),
        -0.05: (44733.82, 120, 2.170),
    },
    ("inverse", True): {
        -0.015: (49250.00, 0, 1.000),
        -0.02: (48029.73, 40, 1.990),
        -0.025: (47309.22, 60, 2.185),
        -0.03: (46134.63, 100, 2.642),
        -0.04: (45204.70, 120, 2.470),
        -0.05: (44733.82, 120, 2.170),
    },
}
ROWS = [(payoff, tiered, move) for (payoff, tiered), rows in TABLES.items() for move in rows]


@pytest.mark.parametrize(("payoff", "tiered", "move"), ROWS)
def test_cascade_tables_of_the_specification(payoff, tiered, move):
    final, millions, amplification = TABLES[payoff, tiered][move]
    done = run(payoff, tiered, move)
    price = ENTRY * done.steps.last[0, done.frame.assets.index("BTC")]
    assert round(price, 2) == final
    contracts = done.steps.liquidated_contracts[0, 0] * (1.0 if payoff == "inverse" else ENTRY)
    assert contracts == pytest.approx(millions * 1e6, abs=1e-3)
    assert round(np.log(price / ENTRY) / np.log(1.0 + move), 3) == amplification
    assert done.ending is Ending.DONE


def ladder_of_longs(count, spacing, size):
    """Linear longs whose liquidation prices stand at even steps of the log price below the entry."""
    rate = 0.02
    prices = ENTRY * np.exp(-spacing * np.arange(1, count + 1))
    return book_of(
        Account(
            name=f"{row}",
            balances=(Balance(asset="USDT", amount=float(size * (ENTRY - price * (1.0 - rate)))),),
            positions=(Position(symbol="BTCUSDT", quantity=size, entry=ENTRY),),
        )
        for row, price in enumerate(prices)
    )


# vectors reference.json, cascade_linear: shock 2 %, kappa 0.02 % a million, density 30 and 45 millions a per cent.
@pytest.mark.parametrize(
    ("density", "limit", "rounds"),
    [(30.0, 5.0, (2.0, 3.2, 3.92, 4.352, 4.6112)), (45.0, 20.0, (2.0, 3.8, 5.42, 6.878, 8.1902))],
)
def test_uniform_density_ends_at_shock_over_one_less_gain(density, limit, rounds):
    spacing = 1e-4  # of the log price: a hundredth of a per cent
    each = density * 0.01  # [millions] of an account
    book = ladder_of_longs(int(limit / 0.01) + 300, spacing, 1.0)
    coefficient = 0.0002 * each  # log move of one contract, which is one account's position
    liquidity = Liquidity(depth=Depth(contracts=1.0), impact=Impact(coefficient=coefficient))
    settings = Settings(liquidity={"BTCUSDT": liquidity}, deleveraging=Deleveraging(shares=None))
    rulebook = rules(flat_ladder(initial=0.04, maintenance=0.02))
    done = simulate(book, linear_market(ENTRY), rulebook, shock("BTC", ENTRY, np.expm1(-0.02)), settings)
    fall = -100.0 * np.log(done.steps.last[0, done.frame.assets.index("BTC")])
    gain = 0.02 * density
    one_account = 100.0 * coefficient / (1.0 - gain)  # what the steps of the density leave open
    assert fall == pytest.approx(2.0 / (1.0 - gain), abs=one_account)
    assert limit == pytest.approx(2.0 / (1.0 - gain))
    told = [-100.0 * np.log(e.event.last[0] / ENTRY) for e in done.log if isinstance(e.event, Priced)]
    assert told[: len(rounds)] == pytest.approx(rounds, abs=one_account)


def test_a_gain_of_one_or_more_takes_all_that_there_is_and_ends():
    book = ladder_of_longs(200, 1e-3, 1.0)
    rulebook = rules(flat_ladder(initial=0.04, maintenance=0.02))
    for coefficient, ending in ((1.2e-3, Ending.DONE), (1.0, Ending.RUNAWAY)):
        liquidity = Liquidity(depth=Depth(contracts=1.0), impact=Impact(coefficient=coefficient))
        settings = Settings(liquidity={"BTCUSDT": liquidity}, deleveraging=Deleveraging(shares=None))
        done = simulate(book, linear_market(ENTRY), rulebook, shock("BTC", ENTRY, -0.01), settings)
        assert done.ending is ending
        assert (done.end.lots == 0).all() == (ending is Ending.DONE)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("move", [-0.08, -0.02, 0.03, 0.09])
def test_the_loop_ends_where_the_map_of_liquidation_prices_does(exponent, move):
    rng = np.random.default_rng(int(1000 * exponent) + int(1000 * move))
    rate, side = 0.02, rng.choice((-1.0, 1.0), 60)
    leverage, size = rng.uniform(2.0, 40.0, 60), np.round(rng.uniform(0.1, 3.0, 60), 2)
    book = book_of(
        Account(
            name=f"{row}",
            balances=(Balance(asset="USDT", amount=round(size[row] * ENTRY / leverage[row], 2)),),
            positions=(Position(symbol="BTCUSDT", quantity=side[row] * size[row], entry=ENTRY),),
        )
        for row in range(60)
    )
    # Specification 1.2 and LM-2: long (E - W/Q) / (1 - r), short (E + W/Q) / (1 + r).
    margin = book.balance / size
    liquidation = np.where(side > 0, (ENTRY - margin) / (1.0 - rate), (ENTRY + margin) / (1.0 + rate))
    exact = cascade(liquidation, side * size, ENTRY, move, MapImpact(0.05, 40.0, exponent))
    liquidity = Liquidity(depth=Depth(contracts=40.0), impact=Impact(coefficient=0.05, exponent=exponent))
    settings = Settings(liquidity={"BTCUSDT": liquidity}, deleveraging=Deleveraging(shares=None))
    rulebook = rules(flat_ladder(initial=0.04, maintenance=rate))
    done = simulate(book, linear_market(ENTRY), rulebook, shock("BTC", ENTRY, move), settings)
    assert ENTRY * done.steps.last[0, done.frame.assets.index("BTC")] == pytest.approx(exact.final, rel=1e-12)
    assert done.steps.liquidated_contracts[0, 0] == pytest.approx(exact.volume, rel=1e-12)
    assert done.steps.rounds[0] == len(exact.liquidated)
