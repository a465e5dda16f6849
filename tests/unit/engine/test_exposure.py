"""Exposure in coin and in dollars: rows OM-7 and LM-5, and the identities of section 1.2."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.domain.account import Account, Balance, Position
from margrave.domain.instruments import CoinPremium, Instrument, Option, QuotePremium, Right
from margrave.domain.market import Quote
from margrave.engine.analysis.exposure import exposures
from margrave.kernels.black76 import coin_price
from tests.unit.made import AT, LINEAR, inverse_account, inverse_market, market


@given(st.floats(10_000, 200_000), st.floats(10_000, 200_000), st.sampled_from([1e5, -1e5]))
def test_dollar_delta_less_profit_is_the_coin_delta(mark, entry, quantity):
    # 1.2: N / E - UPL = N / P, all P.
    (told,) = exposures(inverse_account(quantity, entry), inverse_market(mark))
    profit = quantity * (1 / entry - 1 / mark)
    assert told.dollar_delta - profit == pytest.approx(told.coin_delta, rel=1e-9)
    assert told.account_delta == pytest.approx(0.2 + quantity / entry)
    assert told.is_wrong_way == (quantity > 0)


def test_stablecoin_collateral_is_never_wrong_way():
    account = Account(
        balances=(Balance(asset="USDT", amount=1e4),),
        positions=(Position(symbol="BTCUSDT", quantity=2.0, entry=4e4),),
    )
    (told,) = exposures(account, market(LINEAR, BTCUSDT=50_000.0))
    assert (told.coin_delta, told.dollar_delta, told.collateral, told.is_wrong_way) == (2.0, 2.0, 0.0, False)


@pytest.mark.parametrize("coin", [True, False])
def test_greeks_of_options_add_up(coin):
    # Section 5, example 1: 50,000 at the money, 80 % vol, 30 days.
    price = float(coin_price(50_000.0, 50_000.0, 0.8, 30 / 365, True))
    payoff = CoinPremium(contract_size=1.0) if coin else QuotePremium(contract_size=1.0)
    kind = Option(expiry=AT + timedelta(days=30), strike=50_000.0, right=Right.CALL)
    contract = Instrument(
        symbol="C", base="BTC", quote="USD", settlement="BTC" if coin else "USD", kind=kind, payoff=payoff
    )
    mark = price if coin else price * 50_000
    prices = replace(
        market(contract, C=mark), quotes={"C": Quote(mark=mark, forward=50_000.0)}, index={"BTC": 50_000.0}
    )
    account = Account(positions=(Position(symbol="C", quantity=-2.0, entry=mark),))
    (told,) = exposures(account, prices)
    assert told.dollar_delta == pytest.approx(-2 * 0.545649203909, rel=1e-9)
    assert told.coin_delta == pytest.approx(-2 * (0.454350796091 if coin else 0.545649203909), rel=1e-9)
    assert told.gamma == pytest.approx(-2 * 3.45605181005e-5, rel=1e-9)
    assert told.vega == pytest.approx(-2 * 5681.18105762, rel=1e-9)
    assert told.theta == pytest.approx(2 * 0.552968289608 * 50_000, rel=1e-9)
