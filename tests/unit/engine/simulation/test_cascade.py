"""Cascades of the specification: the tables of inverse-margining 4.3, and the closed form of clearing 5.1."""

import numpy as np
import pytest

from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import book_of
from margrave.engine.simulation.path import shock
from margrave.engine.simulation.run import Ending, simulate
from margrave.engine.simulation.settings import Deleveraging, Depth, Impact, Liquidity, Settings
from margrave.rulebook.reform import with_schedule
from tests.unit.made import INVERSE, LINEAR, T1, flat_ladder, inverse_market, linear_market, rules

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
