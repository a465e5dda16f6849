"""The portfolio section of joint scenarios: what contradicts itself, and the rulebook that ships by rule code."""

from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from margrave.adapters.files import load_example
from margrave.core.errors import InvalidInputError
from margrave.engine.assess import assess
from margrave.kernels.history import ewma_variances, vol_ratios
from margrave.margin.requirement import discrepancy
from margrave.rulebook.load import checked
from margrave.rulebook.tail import EwmaFilter, NotionalFloor
from tests.unit import tail_made as made
from tests.unit.rulebook.test_rules_by_code import book

EWMA = EwmaFilter(code="T", decay=0.94, ratio_least=3.0, ratio_most=0.5)
FAULTS = {
    "rows of different length": (
        {"scenarios": made.history(returns={"BTC": (0.01,) * 20, "ETH": (0.01,) * 19})},
        "scenarios.returns",
    ),
    "a return below -1": (
        {"scenarios": made.history(returns={"BTC": (*(0.01,) * 19, -6.1)})},
        "scenarios.returns.BTC",
    ),
    "too short a history": (
        {"scenarios": made.history(returns={"BTC": (0.01,) * 9})},
        "scenarios.returns",
    ),
    "returns of what stands still": (
        {"scenarios": made.history(returns={"USDT": (0.01,) * 20})},
        "scenarios.returns.USDT",
    ),
    "vol moves that are not as many": (
        {"scenarios": made.history(vol_moves={"BTC": (0.1,)})},
        "scenarios.vol_moves.BTC",
    ),
    "a vol below zero": (
        {"scenarios": made.history(vol_moves={"ETH": (-1.5,) * 20})},
        "scenarios.vol_moves.ETH",
    ),
    "vol moves of nothing": (
        {"scenarios": made.history(vol_moves={"SOL": (0.1,) * 20})},
        "scenarios.vol_moves.SOL",
    ),
    "a filter without room": ({"scenarios": made.history(filter=EWMA)}, "scenarios.filter.ratio_least"),
    "too few draws": (
        {"scenarios": made.draws(100), "measure": made.shortfall(0.99)},
        "scenarios.count",
    ),
    "a floor of nothing": ({"floor": NotionalFloor(code="T")}, "floor"),
    "an asset twice": ({"still": ("USDT", "USDT")}, "still"),
    "not a number": ({"multiplier": float("inf")}, "multiplier"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_contradiction_is_refused_with_its_place(name):
    parts, place = FAULTS[name]
    good = made.rulebook()
    with pytest.raises(InvalidInputError) as caught:
        checked(structs.replace(good, portfolio=made.model(**parts)))
    assert f"test.tail: portfolio.{place}" in [issue.where for issue in caught.value.issues]


@pytest.mark.parametrize("count", [20, 10])
def test_one_row_in_the_tail_is_enough(count):
    # 10 rows at 90 %: k is one in spite of rounding.
    returns = {asset: rows[:count] for asset, rows in made.HISTORY.items()}
    assert made.rulebook(scenarios=made.history(returns=returns)).portfolio is not None


# --- example.tail by rule code ---


def example_tail(positions=None):
    case = load_example("joint")
    (held,) = case.accounts
    if positions is not None:
        held = replace(held, positions=positions(held.positions), balances=held.balances[:1])
    return held, case.market


def moves(market):
    """Moves of the example by hand: EXAMPLE-TAIL-HISTORY-001 at the vol of EXAMPLE-TAIL-FILTER-001."""
    returns = np.array([market.returns["BTC"], market.returns["ETH"]]).T
    variances = ewma_variances(returns, 0.94, np.mean(returns**2, axis=0))
    return returns * vol_ratios(variances, 0.5, 3.0)


def test_the_requirement_is_the_mean_of_the_worst_days_times_its_factors():
    held, market = example_tail(lambda p: p[:2])
    losses = np.sort(-(moves(market) @ [2.0 * 60_000.0, -25.0 * 3_000.0]))[::-1]
    found = assess(held, market, book("example.tail"))
    (pool,) = found.pools
    assert pool.maintenance == pytest.approx(1.1 * losses[:3].mean(), rel=1e-9)  # EXAMPLE-TAIL-001
    assert pool.initial == pytest.approx(1.25 * pool.maintenance, rel=1e-12)
    tree = found.explain("initial")
    by_code = {node.code: node.amount for _, node in tree.walk()}
    assert by_code["EXAMPLE-TAIL-ACCOUNT-001"] == pool.initial
    assert by_code["EXAMPLE-TAIL-MEASURE-001"] == pytest.approx(losses[:3].mean(), rel=1e-9)
    assert by_code["EXAMPLE-TAIL-HISTORY-001"] == pytest.approx(losses[2] / 3.0, rel=1e-9)
    assert discrepancy(tree) < 1e-12


@pytest.mark.parametrize(
    ("quantities", "least"),
    [
        ((2.0, -36.0), 0.02 * (120_000.0 + 108_000.0)),  # net, underlying by underlying
        ((2.0, 0.0), 0.02 * 120_000.0),
    ],
)
def test_offsets_never_leave_less_than_the_floor(quantities, least):
    held, market = example_tail(
        lambda p: tuple(replace(one, quantity=q) for one, q in zip(p[:2], quantities, strict=True))
    )
    flat = replace(market, returns=dict.fromkeys(market.returns, (0.0,) * 60))
    found = assess(held, flat, book("example.tail"))
    by_code = {node.code: node.amount for _, node in found.explain("maintenance").walk()}
    assert found.pools[0].maintenance == pytest.approx(least, rel=1e-12)
    assert by_code["EXAMPLE-TAIL-FLOOR-001"] in (0.02, least)


def test_coins_in_the_pool_move_with_the_market():
    held, market = example_tail(lambda p: p[:2])
    coins = load_example("joint").accounts[0].balances
    more = assess(replace(held, balances=coins), market, book("example.tail")).pools[0]
    losses = np.sort(-(moves(market) @ [2.25 * 60_000.0, -75_000.0]))[::-1]
    assert more.maintenance == pytest.approx(1.1 * losses[:3].mean(), rel=1e-9)
