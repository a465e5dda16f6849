"""An incremental update is a full recompute, bit for bit, and computes only what was touched (spec PMS-8)."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.domain.account import Balance
from margrave.domain.book import book_of
from margrave.engine.assess import assess
from margrave.margin.pooled import evaluate, prepare
from margrave.margin.requirement import discrepancy
from margrave.margin.scenario.incremental import updated
from margrave.rulebook import portfolio as p
from tests.property.test_scenario_laws import CHARGED, FULL, IN_COIN, MARKET, OF, account_of, held
from tests.unit import made as flat
from tests.unit import scenarios_made as made

MOVING = made.rulebook(currency="USD", collateral_moves=True)
RULES = {"charged": CHARGED, "full": FULL, "coin": IN_COIN, "moving": MOVING}


def with_mark(market, symbol, times):
    quote = market.quotes[symbol]
    return replace(market, quotes={**market.quotes, symbol: replace(quote, mark=quote.mark * times)})


def evaluated(accounts, market, rules, before=None):
    return evaluate(prepare(book_of(accounts), market, rules), before=before)


def same(one, other):
    for level in ("equity", "margin_balance", "initial", "maintenance"):
        np.testing.assert_array_equal(getattr(one, level), getattr(other, level))
    first, second = (x.workings.joint.workings for x in (one, other))
    for name in ("side", "haircut"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    for a, b in zip(first.level, second.level, strict=True):
        for f in fields(a):
            np.testing.assert_array_equal(getattr(a, f.name), getattr(b, f.name))


@settings(max_examples=60)
@given(
    st.lists(held, min_size=1, max_size=3),
    st.lists(
        st.tuples(st.sampled_from(sorted(OF)), st.sampled_from([1.0, 1.001, 0.9])), min_size=1, max_size=3
    ),
    st.sampled_from(["mark", "index", "size", "cash"]),
    st.sampled_from(sorted(RULES)),
)
def test_pms_8_an_incremental_update_is_a_full_recompute(books, moves, what, which):
    rules = RULES[which]
    accounts = [account_of(coins, name=f"account {k}") for k, coins in enumerate(books)]
    market, last = MARKET, evaluated(accounts, MARKET, rules)
    for symbol, times in moves:
        if what == "mark":
            market = with_mark(market, symbol, times)
        elif what == "index":
            base = OF[symbol].base
            market = replace(market, index={**market.index, base: market.index[base] * times})
        elif what == "size":
            grown = tuple(replace(q, quantity=q.quantity * times) for q in accounts[0].positions)
            accounts = [replace(accounts[0], positions=grown), *accounts[1:]]
        else:
            accounts = [
                replace(accounts[0], balances=(Balance(asset="USD", amount=1e6 * times),)),
                *accounts[1:],
            ]
        last = evaluated(accounts, market, rules, last)
        same(last, evaluated(accounts, market, rules))


TWO = made.linear("B"), made.linear("E", "ETH")
PRICES = {"BTC": 50_000.0, "ETH": 2_500.0}


def portfolio(accounts, market, rules=MOVING):
    joint = evaluated(accounts, market, rules).workings.joint
    return joint.workings


def test_only_what_was_touched_is_computed():
    told = made.market(TWO, PRICES)
    accounts = [
        made.account([(i, 1) for i in TWO], told, (("USD", 1e5), ("BTC", 1.0)), name=f"account {k}")
        for k in range(3)
    ]
    first = portfolio(accounts, told)
    units = first.portfolio.units
    names = [first.portfolio.table.assets[b] for b in units.unit_base.tolist()]
    account = first.portfolio.pools.account[units.unit_pool]
    assert sorted(names) == ["BTC"] * 3 + ["ETH"] * 3

    def touched(accounts, market, rules=MOVING):
        now = portfolio(accounts, market, rules).portfolio
        found, rows = updated(first, now)
        assert sorted(u for b in found.blocks for u in b.unit.tolist()) == list(range(6))
        return [(names[u], int(account[u])) for u in rows.tolist()]

    assert touched(accounts, told) == []
    assert touched(accounts, with_mark(told, "E", 1.01)) == [("ETH", 0), ("ETH", 1), ("ETH", 2)]
    more = replace(
        accounts[1], positions=(replace(accounts[1].positions[0], quantity=2.0), accounts[1].positions[1])
    )
    assert touched([accounts[0], more, accounts[2]], told) == [("BTC", 1)]
    # A coin of collateral moves with its unit.
    richer = replace(
        accounts[2], balances=(Balance(asset="USD", amount=1e5), Balance(asset="BTC", amount=2.0))
    )
    assert touched([*accounts[:2], richer], told) == [("BTC", 2)]
    index = replace(told, index={**told.index, "ETH": 2_600.0})
    assert touched(accounts, index) == [("ETH", 0), ("ETH", 1), ("ETH", 2)]
    # Other rules, or other positions: all of it.
    assert (
        len(touched(accounts, told, made.rulebook(currency="USD", collateral_moves=True, discounting=True)))
        == 6
    )


def test_another_book_is_computed_whole():
    told = made.market(TWO, PRICES)
    one, two = (made.account([(i, 1) for i in some], told, (("USD", 1e5),)) for some in (TWO, TWO[:1]))
    found, rows = updated(portfolio([one], told), portfolio([two], told).portfolio)
    assert rows.tolist() == [0]
    np.testing.assert_array_equal(found.level[0].required, portfolio([two], told).level[0].required)


def test_what_is_not_known_is_computed_again():
    told = made.market([made.option(50_000.0, "call", coin=False), TWO[1]], PRICES)
    account = made.account([(i, 1) for i in told.instruments.values()], told, (("USD", 1e5),))
    blind = replace(
        told, quotes={s: replace(q, vol=None, mark=0.0 if q.vol else q.mark) for s, q in told.quotes.items()}
    )
    first = portfolio([account], blind, made.rulebook(currency="USD", vol_source=p.VolSource.QUOTE))
    _, rows = updated(first, first.portfolio)
    assert rows.tolist() == [0]


def test_rules_without_scenarios_take_no_notice():
    accounts, market = [flat.linear_account()], flat.linear_market(50_000.0)
    plain = evaluated(accounts, market, flat.rules())
    again = evaluated(accounts, market, flat.rules(), plain)
    np.testing.assert_array_equal(plain.maintenance, again.maintenance)


def test_a_tree_of_an_update_gives_back_every_number():
    assert discrepancy(assess(account_of({"BTC-C50-30q": 1.0}), MARKET, FULL).explain("initial", 0)) <= 1e-12


@pytest.mark.parametrize("name", ["scene", "worth"])
def test_blocks_that_are_kept_are_cut_to_their_units(name):
    told = made.market(TWO, PRICES)
    account = made.account([(i, 1) for i in TWO], told, (("USD", 1e5),))
    first = portfolio([account], told)
    found, rows = updated(first, portfolio([account], with_mark(told, "E", 1.01)).portfolio)
    kept, fresh = found.blocks
    assert (kept.unit.tolist(), fresh.unit.tolist(), rows.tolist()) == ([0], [1], [1])
    assert getattr(kept, name) is not getattr(first.blocks[0], name)
    assert kept.worth.member.shape[2] == kept.scene.unit_count == 1
    assert kept.scene.priced is found.portfolio.priced
