"""Before and after: trades and moves, with money conserved."""

from dataclasses import replace

import pytest

from margrave.core.errors import InvalidInputError
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Position
from margrave.domain.instruments import Instrument, Linear, Perpetual
from margrave.domain.market import Market, Quote
from margrave.engine.whatif import Leg, moved, what_if
from tests.unit.made import (
    AT,
    INVERSE,
    inverse_account,
    inverse_market,
    linear_account,
    linear_market,
    market,
    rules,
)

RULES = rules()


def equity(assessment):
    return sum(pool.equity for pool in assessment.pools)


def test_nothing_asked_nothing_changed():
    told = what_if(inverse_account(), inverse_market(50_000.0), RULES)
    assert told.before == told.after


@pytest.mark.parametrize("size", [50_000.0, -50_000.0, -100_000.0, -150_000.0])
@pytest.mark.parametrize("mode", [MarginMode.CROSS, MarginMode.ISOLATED])
def test_a_trade_at_the_mark_without_fee_leaves_equity(size, mode):
    account = inverse_account(coins=1.0, mode=mode)
    if mode is MarginMode.ISOLATED:
        (position,) = account.positions
        account = replace(account, positions=(replace(position, isolated_margin=0.25),))
    told = what_if(account, inverse_market(52_000.0), RULES, (Leg("BTCUSD", size),))
    assert equity(told.after) == pytest.approx(equity(told.before), rel=1e-12)


def test_closing_half_gives_half_of_the_isolated_margin_back():
    account = inverse_account(coins=1.0, mode=MarginMode.ISOLATED, isolated_margin=0.25)
    told = what_if(account, inverse_market(50_000.0), RULES, (Leg("BTCUSD", -50_000.0),))
    assert told.account.positions[0].isolated_margin == pytest.approx(0.125)
    assert told.account.balances[0].amount == pytest.approx(1.125)


def test_adding_takes_initial_margin_of_what_is_added():
    account = inverse_account(coins=1.0, mode=MarginMode.ISOLATED, isolated_margin=0.25)
    told = what_if(account, inverse_market(50_000.0), RULES, (Leg("BTCUSD", 50_000.0),))
    assert told.account.positions[0].isolated_margin == pytest.approx(0.25 + 0.1)  # 10 % of one coin
    assert told.account.balances[0].amount == pytest.approx(0.9)


def test_a_move_changes_equity_by_the_profit():
    told = what_if(linear_account(), linear_market(50_000.0), RULES, factors={"BTC": 1.1})
    assert equity(told.after) - equity(told.before) == pytest.approx(2.0 * 5_000.0)
    assert told.market.index["BTC"] == pytest.approx(55_000.0)


def test_a_factor_of_one_moves_nothing():
    before = market(INVERSE, BTCUSD=50_000.0)
    assert moved(before, {"BTC": 1.0}) == before


@pytest.mark.parametrize(
    "leg", [Leg("NOTHING", 1.0), Leg("BTCUSD", 0.0), Leg("BTCUSD", 1.0, -5.0), Leg("BTCUSD", float("nan"))]
)
def test_a_trade_that_cannot_be_is_an_error_with_its_place(leg):
    with pytest.raises(InvalidInputError, match=leg.symbol):
        what_if(inverse_account(), inverse_market(50_000.0), RULES, (leg,))


def test_a_move_of_an_unknown_asset_is_an_error():
    with pytest.raises(InvalidInputError, match="XRP"):
        moved(inverse_market(50_000.0), {"XRP": 0.9})


def test_profit_of_a_contract_that_settles_in_another_asset_is_booked_in_that_asset():
    # One coin bought at 50,000 dollars and sold at 52,000, settled in BTC: 2,000 / 52,000 BTC.
    contract = Instrument(
        symbol="BTC-QUANTO",
        base="BTC",
        quote="USD",
        settlement="BTC",
        kind=Perpetual(),
        payoff=Linear(contract_size=1.0),
    )
    prices = Market(
        at=AT,
        instruments={contract.symbol: contract},
        quotes={contract.symbol: Quote(mark=52_000.0, index=52_000.0)},
        index={"BTC": 52_000.0},
    )
    account = Account(
        balances=(Balance(asset="BTC", amount=1.0),),
        positions=(Position(symbol=contract.symbol, quantity=1.0, entry=50_000.0),),
    )
    told = what_if(account, prices, RULES, (Leg(contract.symbol, -1.0),))
    assert equity(told.after) == pytest.approx(1.0 + 2_000.0 / 52_000.0, rel=1e-12)
    assert equity(told.after) == pytest.approx(equity(told.before), rel=1e-12)
