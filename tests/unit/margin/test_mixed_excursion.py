"""The excursion of a group with options: its profit in coins of the underlying, over its net delta (specification 1.3, rule 5)."""

from datetime import UTC, datetime, timedelta

import pytest

from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import book_of
from margrave.domain.instruments import Instrument, Linear, Option, Perpetual, QuotePremium, Right
from margrave.domain.market import Market, Quote
from margrave.kernels.black76 import quote_greeks, quote_price
from margrave.margin.pooled import evaluate, prepare
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.reform import with_schedule

AT = datetime(2026, 11, 1, tzinfo=UTC)
PERPETUAL = Instrument(
    symbol="P",
    base="BTC",
    quote="USDC",
    settlement="USDC",
    kind=Perpetual(),
    payoff=Linear(contract_size=1.0),
)
CALL = Instrument(
    symbol="C",
    base="BTC",
    quote="USDC",
    settlement="USDC",
    kind=Option(expiry=AT + timedelta(days=365), strike=50_000.0, right=Right.CALL),
    payoff=QuotePremium(contract_size=1.0),
)


def test_profit_of_a_quote_premium_option_is_counted_in_coins_of_its_underlying():
    forward, vol = 50_000.0, 0.5
    mark = float(quote_price(forward, 50_000.0, vol, 1.0, True))
    market = Market(
        at=AT,
        instruments={"P": PERPETUAL, "C": CALL},
        quotes={"P": Quote(mark=50_000.0), "C": Quote(mark=mark, forward=forward, vol=vol)},
        index={"BTC": 50_000.0, "USDC": 1.0},
    )
    held = (
        Position(symbol="P", quantity=1.0, entry=49_000.0),  # 1,000 USDC ahead: 0.02 BTC
        Position(symbol="C", quantity=2.0, entry=mark - 750.0),  # 1,500 USDC ahead: 0.03 BTC
    )
    account = Account(name="a", balances=(Balance(asset="USDC", amount=50_000.0),), positions=held)
    rules = in_force("example.flat", AT)
    rules = with_schedule(rules, rules.schedules["T1"])
    (factor,) = evaluate(prepare(book_of((account,)), market, rules)).workings.factors
    delta = 1.0 + 2.0 * float(quote_greeks(forward, 50_000.0, vol, 1.0, True).delta)
    assert factor.net.exposure_x[0, 0] == pytest.approx(0.05 / delta, rel=1e-6)
