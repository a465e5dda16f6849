"""Optimised trades reach their target by the exact assessment, in lots, or say why not."""

import builtins
from dataclasses import replace

import pytest

from margrave.adapters.files import load_example
from margrave.core.errors import InvalidInputError, RefusedError
from margrave.domain.account import Account, Balance, Position
from margrave.domain.instruments import Option
from margrave.domain.market import Quote
from margrave.engine.analysis.candidates import Costs, lot_of
from margrave.engine.analysis.optimise import Distance, Free, optimise
from margrave.engine.assess import assess
from margrave.liquidation import liquidations
from margrave.rulebook.catalogue import in_force
from tests.unit.made import INVERSE, inverse_account, inverse_market, linear_account, linear_market, rules


def example(name):
    case = load_example(name)
    return case.accounts[0], case.market, in_force(case.rules, case.market.at)


def available(assessment, pool, level):
    (found,) = (p for p in assessment.pools if p.name == pool)
    return found.margin_balance - getattr(found, level)


@pytest.mark.parametrize(
    ("name", "pool", "amount"),
    [
        ("inverse", None, 0.05),
        ("inverse", None, 0.2),
        ("hybrid", "cross USDT", 500.0),
        ("collateral", None, 20_000.0),
    ],
)
@pytest.mark.parametrize("level", ["initial", "maintenance"])
def test_margin_is_freed_exactly_and_in_lots(name, pool, amount, level):
    account, market, rulebook = example(name)
    amount = amount if level == "initial" else 0.4 * amount
    found = optimise(account, market, rulebook, Free(amount, ["initial", "maintenance"].index(level)), pool)
    assert found.reached, found.why
    freed = available(found.after, found.pool, level) - available(found.before, found.pool, level)
    assert freed >= amount * (1 - 1e-8)
    assert found.after == assess(found.account, market, rulebook)
    for leg in found.legs:
        lot = lot_of(market, account, leg.symbol)
        assert leg.quantity / lot == pytest.approx(round(leg.quantity / lot), abs=1e-6)
    assert found.cost > 0


def test_one_position_is_closed_by_what_the_amount_needs():
    # 100,000 contracts at 50,000 ask 10 % of 2 coins. A contract asks 0.1/50,000 coins and costs half of 0.02 % of
    # its worth to sell: 0.1 coins freed are 0.1/(0.1 - 0.0001) of half the position, 50,050.05 contracts.
    account, market = inverse_account(coins=1.0), inverse_market(50_000.0)
    found = optimise(account, market, rules(), Free(0.1), costs=Costs(half_spread=0.0001))
    ((symbol, quantity),) = ((leg.symbol, leg.quantity) for leg in found.legs)
    assert (symbol, quantity) == ("BTCUSD", -50_051.0)
    assert found.cost == pytest.approx(50_051.0 * 0.0001, rel=1e-9)


def test_lots_are_respected():
    found = optimise(
        linear_account(2.0, 50_000.0, 20_000.0),
        linear_market(50_000.0),
        rules(),
        Free(3_000.0),
        costs=Costs(lots={"BTCUSDT": 0.25}),
    )
    assert [leg.quantity for leg in found.legs] == [-0.75]


@pytest.mark.parametrize("move", [-0.3, -0.5])
def test_liquidation_is_moved_beyond_the_distance(move):
    account, market, rulebook = example("inverse")
    found = optimise(account, market, rulebook, Distance(move))
    assert found.reached
    (pool,) = liquidations(found.account, market, rulebook)
    assert all(b.factor <= 1 + move for b in pool.bounds if b.side == "down")
    assert any(b.factor > 1 + move for b in liquidations(account, market, rulebook)[0].bounds)


def test_the_way_up_of_a_short():
    account = inverse_account(-100_000.0, coins=0.2)
    market = inverse_market(50_000.0)
    found = optimise(account, market, rules(), Distance(0.9))
    assert found.reached
    assert sum(leg.quantity for leg in found.legs) > 0
    assert all(
        b.factor >= 1.9 for b in liquidations(found.account, market, rules())[0].bounds if b.side == "up"
    )


def test_what_cannot_be_reached_says_how_far_the_best_comes():
    account, market, rulebook = example("inverse")
    found = optimise(account, market, rulebook, Free(1.0))
    assert not found.reached
    assert found.why.startswith("the best trades found free 0.32")
    broke = replace(inverse_account(), balances=(Balance(asset="BTC", amount=-1.0),))
    lost = optimise(broke, inverse_market(50_000.0), rules(), Distance(-0.2))
    assert not lost.reached
    assert "liquidatable" in lost.why


def test_a_target_that_holds_needs_no_trade():
    account, market, rulebook = example("inverse")
    found = optimise(account, market, rulebook, Distance(-0.01))
    assert (found.reached, found.legs, found.cost) == (True, (), 0.0)


def test_pools_that_cannot_be_optimised_are_refused():
    account, market, rulebook = example("hybrid")
    with pytest.raises(RefusedError, match="name one cross pool"):
        optimise(account, market, rulebook, Free(0.1))
    with pytest.raises(RefusedError, match="there are cross BTC, cross USDT"):
        optimise(account, market, rulebook, Free(0.1), "isolated BTCUSD")
    account, market, rulebook = example("inverse")
    strange = (*account.positions, Position(symbol="X", quantity=1.0, entry=1.0))
    with pytest.raises(RefusedError, match="cannot be valued"):
        optimise(replace(account, positions=strange), market, rulebook, Free(0.1))


@pytest.mark.parametrize(
    ("target", "costs", "message"),
    [
        (Free(0.0), Costs(), "amount is 0.0"),
        (Distance(-1.0), Costs(), "move is -1.0"),
        (Free(1.0), Costs(half_spread=0.0), "half_spread is 0.0"),
        (Free(1.0), Costs(fee=-1.0), "fee is -1.0"),
    ],
)
def test_wrong_wishes_are_refused(target, costs, message):
    with pytest.raises(ValueError, match=message):
        optimise(inverse_account(), inverse_market(50_000.0), rules(), target, costs=costs)


def test_a_missing_solver_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "scipy":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InvalidInputError, match=r"pip install margrave\[optimise\]"):
        optimise(inverse_account(), inverse_market(50_000.0), rules(), Free(0.01))


def test_positions_in_two_modes_are_left_alone():
    account, market, rulebook = example("hybrid")
    found = optimise(account, market, rulebook, Distance(0.55), "cross BTC")
    assert "BTCUSD" not in {leg.symbol for leg in found.legs}


def test_the_lot_of_what_is_held_is_its_decimal_place():
    market = load_example("inverse").market
    account = Account(
        positions=tuple(Position(symbol=s, quantity=q, entry=1.0) for s, q in (("BTC-PERPETUAL", 1.25),))
    )
    assert lot_of(market, account, "BTC-PERPETUAL") == 0.01
    assert lot_of(market, account, "BTC-26MAR27") == 1.0
    option = next(s for s, i in market.instruments.items() if isinstance(i.kind, Option))
    assert lot_of(market, account, option) == 0.001


def test_a_shortfall_of_less_than_a_lot_is_mended_by_a_lot():
    # One lot of a dollar is 2e-6 of this pool's margin: less than the tolerance that a solver takes for nothing.
    dated = replace(INVERSE, symbol="BTC-DATED")
    market = replace(
        inverse_market(50_000.0),
        instruments={"BTCUSD": INVERSE, "BTC-DATED": dated},
        quotes={"BTCUSD": Quote(mark=50_000.0), "BTC-DATED": Quote(mark=51_000.0)},
    )
    held = (("BTCUSD", 60_000.0), ("BTC-DATED", -469_000.0))
    account = Account(
        balances=(Balance(asset="BTC", amount=1.0),),
        positions=tuple(Position(symbol=s, quantity=q, entry=40_000.0) for s, q in held),
    )
    asked = 0.44140625 * assess(account, market, rules()).pools[0].initial
    found = optimise(account, market, rules(), Free(asked))
    assert found.reached
    # 235,210 contracts of the dated future alone reach it; what is found costs no more.
    assert found.cost <= 235_210 * 0.0005 * 50 / 51
