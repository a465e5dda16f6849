"""The standard manager beside equity: one pool's positions in one row of a market."""

import tomllib
from datetime import timedelta
from importlib import resources

import msgspec
import numpy as np
import pytest

from margrave.core.errors import Reason
from margrave.domain.account import Account, Balance
from margrave.domain.instruments import (
    CoinPremium,
    Future,
    Instrument,
    Inverse,
    Linear,
    Option,
    Perpetual,
    QuotePremium,
    Right,
)
from margrave.domain.market import Market, Quote
from margrave.engine.assess import assess
from margrave.margin.standard.standard_holdings import Confidence
from margrave.margin.standard.standard_manager import net_margin, terms_of
from margrave.margin.standard.standard_pool import (
    Held,
    holding_of,
    issues_of,
    requirement_of,
    sure,
)
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.standard_manager import StandardManager
from margrave.valuation.scenarios import now, shifted
from margrave.valuation.table import table_of
from tests.unit.made import AT
from tests.unit.standard_made import rule


def listed(kind, payoff=None, base="ETH", symbol=None, quote="USDC", settlement="USDC"):
    payoff = payoff or Linear(contract_size=1.0)
    name = symbol or f"{base}-{type(kind).__name__}"
    return Instrument(symbol=name, base=base, quote=quote, settlement=settlement, kind=kind, payoff=payoff)


def option(strike, right=Right.CALL, days=10.0, size=1.0, **more):
    kind = Option(expiry=AT + timedelta(days=days), strike=strike, right=right)
    return listed(kind, QuotePremium(contract_size=size), symbol=f"{strike}-{right}-{days}", **more)


PERP = listed(Perpetual(), symbol="ETH-PERP")
SHORT, LONG, PUT = option(1800.0), option(2000.0), option(1900.0, Right.PUT, days=20.0)
MARKS = {PERP: 2001.0, SHORT: 210.0, LONG: 80.0, PUT: 40.0}


def table_with(marks=MARKS, index=None, more=()):
    quotes = {
        i.symbol: Quote(mark=mark, forward=2002.0 if isinstance(i.kind, Option) else None, vol=0.8)
        for i, mark in marks.items()
    }
    prices = {"ETH": 2000.0, "USDC": 1.0, "BTC": 60_000.0} if index is None else index
    market = Market(at=AT, instruments={i.symbol: i for i in (*marks, *more)}, quotes=quotes, index=prices)
    return table_of(tuple(i.symbol for i in (*marks, *more)), ("ETH", "USDC", "BTC"), market)


def held(table, *quantities, **balances):
    rows = np.array([row for row, _ in quantities], dtype=np.int64)
    amount = np.array([balances.get(asset, 0.0) for asset in table.assets])
    return Held(rows, np.array([q for _, q in quantities], dtype=np.float64), amount)


def asked(table, positions, rules=None, confidence=None, priced=None, row=0):
    return requirement_of(
        rules or rule("ETH"), table, priced or now(table), row, positions, confidence or sure(table)
    )


# By hand, upstream test configuration: beside an equity with options at market value.
CASES = {
    "perpetual": ([(0, -1.0)], {}, 130.065, 100.05),
    "long option: its value is asked back": ([(2, 3.0)], {}, 240.0, 240.0),
    "short call": ([(1, -1.0)], {}, 300.0, 150.0),
    # Largest loss 200; its market value, -130, is in the equity.
    "call spread": ([(1, -1.0), (2, 1.0)], {}, 70.0, 70.0),
    "other expiries do not offset": ([(1, -1.0), (2, 1.0), (3, -1.0)], {}, 70.0 + 200.0, 70.0 + 150.0),
    "rows of one instrument are one balance": ([(1, -1.0), (1, 3.0), (1, -3.0), (2, 1.0)], {}, 70.0, 70.0),
    "a balance that is closed in two rows": ([(1, -1.0), (1, 1.0)], {}, 0.0, 0.0),
    # Counted 0.8 in the equity; initial counts 0.9 of that.
    "base": ([], {"ETH": 2.0, "USDC": 500.0}, 2 * 2000 * 0.8 * 0.1, 0.0),
    "borrowed base and what is not listed": ([], {"ETH": -2.0, "BTC": 1.0}, 0.0, 0.0),
    "nothing": ([], {}, 0.0, 0.0),
}


@pytest.mark.parametrize(("rows", "balances", "initial", "maintenance"), CASES.values(), ids=CASES)
def test_requirement_beside_equity(rows, balances, initial, maintenance):
    table = table_with()
    assert asked(table, held(table, *rows, **balances)) == pytest.approx((initial, maintenance))


def test_equity_less_the_requirement_is_the_net_margin():
    table, rules = table_with(), rule("ETH")
    pool = held(table, (0, 2.0), (1, -1.0), (2, 2.0), (3, -4.0), ETH=1.5, USDC=700.0)
    unsure = Confidence(np.full(len(table.assets), 0.3), np.full(4, 0.2), 0.9)
    holding = holding_of(rules, table, now(table), 0, pool, unsure)
    margin = net_margin(terms_of(rules, holding.underlyings.name), holding)
    equity = 700.0 - 210.0 + 160.0 - 160.0 + 1.5 * 2000 * 0.8
    net = [equity - amount for amount in asked(table, pool, confidence=unsure)]
    assert net == pytest.approx([part.net for part in margin.level])
    assert margin.holding.expiries.label == ("2026-11-11 00:00", "2026-11-21 00:00")
    assert margin.holding.options.label == (SHORT.symbol, LONG.symbol, PUT.symbol)


def test_contracts_have_sizes_and_the_spot_is_counted_in_the_settlement_asset():
    small = option(1800.0, size=0.1)
    table = table_with({small: 210.0}, index={"ETH": 2000.0, "USDC": 0.8, "BTC": 1.0})
    spot = 2000.0 / 0.8
    assert asked(table, held(table, (0, -10.0)))[1] == pytest.approx(0.075 * spot)
    assert asked(table, held(table, ETH=1.0))[0] == pytest.approx(spot * 0.8 * 0.1)


def test_a_row_of_a_shifted_market():
    table = table_with()
    factor = np.ones((2, len(table.assets)))
    factor[1, table.assets.index("ETH")] = 1.1
    priced = shifted(table, factor)
    pool = held(table, (0, 1.0))
    assert asked(table, pool, priced=priced, row=1) == pytest.approx(
        np.multiply(asked(table, pool, priced=priced, row=0), 1.1)
    )


def test_the_least_sure_option_of_an_expiry_speaks_for_it():
    table = table_with()
    confidence = Confidence(np.ones(len(table.assets)), np.array([1.0, 0.3, 0.9, 1.0]))
    one = asked(table, held(table, (1, -1.0), (2, -1.0)), confidence=confidence)
    both_sure = asked(table, held(table, (1, -1.0), (2, -1.0)))
    assert one[0] - both_sure[0] == pytest.approx(0.7 * 0.4 * 2000 * 2)
    assert one[1] == both_sure[1]


ODD = {
    "no market": listed(Perpetual(), base="SOL"),
    "dated future": listed(Future(expiry=AT + timedelta(days=3))),
    "inverse": listed(Perpetual(), Inverse(contract_value=1.0), settlement="ETH"),
    "other settlement": listed(Perpetual(), quote="USDT", settlement="USDT"),
    "coin premium": listed(
        Option(expiry=AT + timedelta(days=3), strike=2000.0, right=Right.CALL),
        CoinPremium(contract_size=1.0),
        settlement="ETH",
    ),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_has_no_rule_makes_the_pool_unknown(odd):
    index = {"ETH": 2000.0, "USDC": 1.0, "USDT": 1.0, "SOL": 100.0}
    table = table_with({**MARKS, odd: 100.0}, index=index)
    pool = held(table, (0, 1.0), (4, 1.0))
    assert [(i.where, i.reason) for i in issues_of(rule("ETH"), table, pool)] == [
        (odd.symbol, Reason.NO_RULE)
    ]
    assert np.isnan(asked(table, pool)).all()


@pytest.mark.parametrize("part", ["perpetual", "options"])
def test_so_does_a_kind_that_its_market_does_not_margin(part):
    table = table_with()
    pool = held(table, (0, 1.0), (1, 1.0))
    assert len(issues_of(rule("ETH", **{part: None}), table, pool)) == 1


def test_so_does_a_second_perpetual_of_one_underlying():
    second = listed(Perpetual(), symbol="ETH-PERP-2")
    table = table_with({PERP: 2001.0, second: 2002.0})
    issue = issues_of(rule("ETH"), table, held(table, (0, 1.0), (1, 1.0)))[0]
    assert (issue.where, issue.reason, "ETH-PERP" in issue.message) == (
        "ETH-PERP-2",
        Reason.UNSUPPORTED,
        True,
    )


def test_so_does_what_has_no_price():
    unpriced = option(2500.0)
    table = table_with(more=(unpriced,))
    pool = held(table, (4, 1.0))
    assert np.isnan(asked(table, pool)).all()
    unknown = table_of(("NONE",), ("USDC",), Market(at=AT, instruments={}, quotes={}, index={}))
    assert issues_of(rule("ETH"), unknown, held(unknown, (0, 1.0)))[0].reason is Reason.UNKNOWN_INSTRUMENT
    blind = table_with({PERP: 2001.0}, index={"USDC": 1.0})
    assert np.isnan(asked(blind, held(blind, ETH=1.0))).all()


def test_the_rulebook_has_the_values_of_the_specification():
    folder = resources.files("margrave.rulebook") / "venues"
    tree = tomllib.loads((folder / "derive.srm@2025-02-17.toml").read_text(encoding="utf-8"))
    rules = msgspec.convert(tree["portfolio"], StandardManager)
    market = {m.base: m for m in rules.markets}
    # Specification of the protocols 1.1 and 1.4, mainnet configuration.
    for name in ("ETH", "BTC"):
        assert (market[name].perpetual.maintenance, market[name].perpetual.initial) == (0.065, 0.10)
        options = msgspec.structs.astuple(market[name].options)[1:]
        assert options == (0.15, 0.13, 0.09, 0.09, 0.09, 1.05, 1.2, 1.1)
    assert msgspec.structs.astuple(market["SNX"].options)[1:] == (
        0.25,
        0.225,
        0.15,
        0.15,
        0.15,
        1.05,
        1.4,
        1.3,
    )
    assert (rules.depeg.threshold, rules.depeg.factor) == (0.99, 2.0)
    assert {msgspec.structs.astuple(m.oracle)[1:] for m in rules.markets} == {(0.55, 0.55, 0.55, 1.0)}
    assert (market["wstETH"].collateral.factor, market["wstETH"].collateral.initial_scale) == (0.8, 0.9375)
    # The equity's haircut and the model's factor are one number in two places.
    haircut = {c["asset"]: c["discounts"][0]["rate"] for c in tree["account"]["collateral"]}
    assert haircut == {m.base: m.collateral.factor for m in rules.markets if m.collateral is not None}


def test_collateral_alone_bears_the_second_factor_of_initial_margin():
    # 1 ETH at 10 USDC counts 8 (factor 0.8), and 7.5 for initial margin (scale 0.9375): spec defi 1.1.
    market = Market(at=AT, instruments={}, quotes={}, index={"ETH": 10.0, "USDC": 1.0})
    account = Account(balances=(Balance(asset="ETH", amount=1.0),))
    (pool,) = assess(account, market, in_force("derive.srm", AT)).pools
    assert pool.margin_balance == pytest.approx(8.0, rel=1e-12)
    assert pool.available == pytest.approx(7.5, rel=1e-12)
    assert pool.maintenance == 0.0
