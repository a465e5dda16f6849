"""A pool's positions as columns, from instruments and a market."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from margrave.core.errors import Reason
from margrave.domain.instruments import (
    CoinPremium,
    Future,
    Instrument,
    Inverse,
    Linear,
    Option,
    Perpetual,
    Quanto,
    QuotePremium,
    Right,
)
from margrave.domain.market import Market, Quote
from margrave.kernels.black76 import coin_price, quote_price
from margrave.margin.clearing.held import (
    Held,
    Rows,
    assigned,
    held_of,
    option_value,
    table_vols,
    underlying_worth,
)
from margrave.margin.clearing.ranges import ranges_margin
from margrave.margin.clearing.scan import scan_issues, scan_margin
from margrave.rulebook.clearing import RangesModel, Share, UnderlyingClass
from margrave.valuation.scenarios import now, shifted
from margrave.valuation.table import table_of
from tests.unit.made import AT
from tests.unit.margin.clearing import commodity, scan

EXPIRY = AT + timedelta(days=30)
YEARS = 30 / 365
CALL = Option(expiry=EXPIRY, strike=65_000.0, right=Right.CALL)
PUT = Option(expiry=EXPIRY, strike=55_000.0, right=Right.PUT)


def instrument(symbol, settlement, kind, payoff, quote="USD"):
    return Instrument(symbol=symbol, base="BTC", quote=quote, settlement=settlement, kind=kind, payoff=payoff)


INSTRUMENTS = {
    "INV": instrument("INV", "BTC", Perpetual(), Inverse(contract_value=1.0)),
    "FUT": instrument("FUT", "USD", Future(expiry=EXPIRY), Linear(contract_size=0.1)),
    "COIN": instrument("COIN", "BTC", CALL, CoinPremium(contract_size=1.0)),
    "QUOTE": instrument("QUOTE", "USD", PUT, QuotePremium(contract_size=0.1)),
    "QUANTO": instrument("QUANTO", "ETH", Perpetual(), Quanto(multiplier=0.001)),
    "MIXED": instrument("MIXED", "BTC", Perpetual(), Linear(contract_size=1.0)),
}
COIN_MARK = float(coin_price(60_300.0, 65_000.0, 0.6, YEARS, True))
QUOTE_MARK = float(quote_price(60_300.0, 55_000.0, 0.7, YEARS, False))
QUOTES = {
    "INV": Quote(mark=60_012.5),
    "FUT": Quote(mark=60_300.0),
    "COIN": Quote(mark=COIN_MARK, forward=60_300.0),
    "QUOTE": Quote(mark=QUOTE_MARK, forward=60_300.0),
    "QUANTO": Quote(mark=60_000.0),
    "MIXED": Quote(mark=60_000.0),
}
MARKET = Market(
    at=AT, instruments=INSTRUMENTS, quotes=QUOTES, index={"BTC": 60_000.0, "ETH": 3_000.0, "USD": 1.0}
)


def columns(currency: str = "USD", market: Market = MARKET, fall: float = 0.0, **quantities: float) -> Held:
    table = table_of(tuple(quantities), ("USD", "BTC", "ETH"), market)
    factor = np.ones((2, len(table.assets)))
    factor[1, table.assets.index("BTC")] = 1.0 - fall
    priced = shifted(table, factor) if fall else now(table)
    rows = Rows(np.arange(len(quantities)), np.array(list(quantities.values())), table.assets.index(currency))
    return held_of(table, priced, rows, market.at, scenario=1 if fall else 0)


def test_columns_of_every_payoff():
    held = columns(INV=100.0, FUT=1.0, COIN=1.0, QUOTE=1.0, QUANTO=1.0, MIXED=1.0)
    assert held.symbol == ("INV", "FUT", "COIN", "QUOTE", "QUANTO", "MIXED")
    assert held.rate == pytest.approx([60_000.0, 1.0, 60_000.0, 1.0, 3_000.0, 1.0])
    assert held.price == pytest.approx([60_012.5, 60_300.0, 60_300.0, 60_300.0, 60_000.0, 60_000.0])
    assert held.in_coin.tolist() == [True, False, True, False, False, False]
    assert held.days == pytest.approx([np.inf, 30.0, 30.0, 30.0, np.inf, np.inf])
    assert held.vol == pytest.approx([0.0, 0.0, 0.6, 0.7, 0.0, 0.0], rel=1e-6)
    assert held.years == pytest.approx([0.0, 0.0, YEARS, YEARS, 0.0, 0.0])


def test_a_pool_may_count_in_coin():
    held = columns("BTC", INV=1.0, FUT=1.0, COIN=2.0)
    assert held.currency == "BTC"
    assert held.rate == pytest.approx([1.0, 1 / 60_000.0, 1.0])
    assert option_value(held) == pytest.approx([0.0, 0.0, 2.0 * COIN_MARK])
    assert underlying_worth(held) == pytest.approx([1.0, 60_300.0 / 60_000.0, 1.0])


def test_any_row_of_the_market():
    held = columns(INV=1.0, COIN=1.0, fall=0.1)
    assert held.price == pytest.approx([0.9 * 60_012.5, 0.9 * 60_300.0])
    assert held.rate == pytest.approx([54_000.0, 54_000.0])
    assert held.mark[1] == pytest.approx(
        float(coin_price(0.9 * 60_300.0, 65_000.0, 0.6, YEARS, True)), rel=1e-6
    )


def test_vols_may_be_solved_once():
    table = table_of(("FUT", "COIN"), ("USD",), MARKET)
    assert table_vols(table) == pytest.approx([0.0, 0.6], rel=1e-6)
    rows = Rows(np.array([1, 0]), np.ones(2), table.assets.index("USD"))
    assert held_of(table, now(table), rows, AT, vols=np.array([0.0, 0.9])).vol.tolist() == [0.9, 0.0]


def test_both_models_on_a_pool():
    rule = commodity(price_range=Share(value=0.15), vol_range=Share(value=0.25))
    held = columns(INV=60_000.0, FUT=-5.0, COIN=-1.0, QUOTE=10.0)
    margin = scan_margin(scan(rule), held)
    assert margin.commodities[0].scan == pytest.approx(float(margin.commodities[0].losses.sum(axis=1).max()))
    assert margin.maintenance > 0
    assert scan_issues(scan(rule), held) == ()
    ranges = RangesModel(code="T", classes=(UnderlyingClass(name="BTC", code="T", down=0.15, up=0.15),))
    assert ranges_margin(ranges, held).maintenance > 0


def test_an_instrument_without_a_quote_is_an_issue():
    bare = replace(MARKET, quotes={"FUT": QUOTES["FUT"]})
    held = columns(market=bare, FUT=1.0, INV=1.0)
    assert [i.reason for i in scan_issues(scan(), held)] == [Reason.MISSING_MARK]
    assert np.isnan(scan_margin(scan(), held).maintenance)
    unknown = columns(market=replace(MARKET, instruments={}), FUT=1.0)
    assert unknown.symbol == ("",)
    assert assigned(unknown, scan().commodities).tolist() == [-1]
    assert np.isnan(scan_margin(scan(), unknown).maintenance)
