"""A desk gives an account the bytes that it has in a compiled book, and what it cannot say the calculator does."""

from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

pytest.importorskip("numba")

from margrave.adapters.desk_requests import stands
from margrave.adapters.made_book import MADE_AT, made_book, made_market
from margrave.adapters.requests import answered
from margrave.core.errors import InvalidInputError, RefusedError
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import account_of, book_of
from margrave.domain.checks import AMOUNT_MAX, PRICE_MAX, PRICE_MIN
from margrave.engine.books.venue import STATUSES, assess_book
from margrave.engine.calculator import calculator
from margrave.engine.desk import desk, standings
from margrave.engine.holdings import holdings_of
from margrave.kernels.compiled import one_account
from margrave.rulebook.catalogue import in_force

MARKET = made_market()
SYMBOLS = tuple(MARKET.instruments)
TRADED = [s for s in SYMBOLS if MARKET.quotes[s].mark > 1e-6]
BOOK = made_book(400, 11, MARKET)


@cache
def at(name):
    rulebook = in_force(name, MADE_AT)
    return desk(MARKET, rulebook), calculator(MARKET, rulebook), rulebook


def request(account, **more):
    told = {
        "name": account.name,
        "balances": [{"asset": b.asset, "amount": b.amount} for b in account.balances],
        "positions": [
            {"symbol": p.symbol, "quantity": p.quantity, "entry": p.entry} for p in account.positions
        ],
        "orders": [{"symbol": o.symbol, "quantity": o.quantity, "price": o.price} for o in account.orders],
    }
    return msgspec.json.encode({"account": told, **more})


def close(mine, theirs):
    for one, two in zip(mine["pools"], theirs["pools"], strict=True):
        for name in ("name", "currency", "status"):
            assert one[name] == two[name]
        for name in ("equity", "initial", "maintenance", "order_margin"):
            assert one[name] == pytest.approx(two[name], rel=1e-9, abs=2e-9), name


@pytest.mark.parametrize("name", ["deribit.spm", "deribit.xpm"])
def test_an_account_has_the_bytes_that_it_has_in_a_book(name):
    ready, _, rulebook = at(name)
    whole = assess_book(BOOK, MARKET, rulebook, compiled=True).pools
    seen = 0
    for row in range(0, 400, 7):
        mine = np.flatnonzero(whole.account == row)
        found = standings(ready, holdings_of(account_of(BOOK, row)))
        assert found is not None
        assert len(found) == len(mine)
        for pool, k in zip(found, mine, strict=True):
            numbers = (whole.equity[k], whole.initial[k], whole.maintenance[k], whole.order_margin[k])
            assert (pool.equity, pool.initial, pool.maintenance, pool.order_margin) == numbers
            assert pool.status is STATUSES[whole.status[k]]
            seen += pool.order_margin > 0.0
    assert seen


@pytest.mark.parametrize("name", ["deribit.spm", "deribit.xpm"])
def test_an_account_is_assessed_with_the_numbers_of_the_desk(name):
    ready, slow, rulebook = at(name)
    compiled = calculator(MARKET, rulebook, compiled=True)
    for row in range(0, 400, 7):
        account = account_of(BOOK, row)
        found, expected = compiled.assess(account), slow.assess(account)
        close(found.to_dict(), expected.to_dict())
        assert found.notes == expected.notes
        assert [pool.positions for pool in found.pools] == [pool.positions for pool in expected.pools]
        for pool, standing in zip(found.pools, standings(ready, holdings_of(account)), strict=True):
            assert (pool.equity, pool.initial) == (standing.equity, standing.initial)
        assert [found.explain(pool=k).amount for k in range(len(found.pools))] == [
            pool.maintenance for pool in expected.pools
        ]


def test_what_the_pass_does_not_serve_a_compiled_calculator_answers_all_the_same():
    isolated = Position(
        symbol="BTC-PERPETUAL", quantity=100.0, entry=60_000.0, mode=MarginMode.ISOLATED, isolated_margin=0.1
    )
    strange = Position(symbol="NOBODY", quantity=1.0, entry=1.0)
    for name in ("deribit.spm", "example.scan"):
        rulebook = in_force(name, MADE_AT)
        compiled, slow = calculator(MARKET, rulebook, compiled=True), calculator(MARKET, rulebook)
        for positions in ((isolated,), (strange,)):
            account = Account(balances=(Balance(asset="BTC", amount=1.0),), positions=positions)
            assert compiled.assess(account).to_dict() == slow.assess(account).to_dict()


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["deribit.spm", "deribit.xpm"]),
    st.integers(0, 399),
    st.lists(
        st.fixed_dictionaries(
            {
                "symbol": st.sampled_from(TRADED),
                "quantity": st.integers(-2_000, 2_000).filter(bool).map(float),
            },
            optional={"price": st.floats(0.001, 0.1)},
        ),
        max_size=3,
    ),
)
def test_a_question_with_trades_has_the_calculators_answer(name, row, trades):
    ready, slow, _ = at(name)
    body = request(account_of(BOOK, row), trades=trades)
    close(msgspec.json.decode(stands(ready, slow, body)), msgspec.json.decode(answered(slow, body)))


def test_what_the_desk_cannot_say_the_calculator_does():
    """An account with an isolated position, an asset and a contract that the market does not know, and a locked balance."""
    ready, slow, _ = at("deribit.spm")
    held = {"symbol": "BTC-PERPETUAL", "quantity": 100.0, "entry": 60_000.0}
    cash = {"asset": "BTC", "amount": 1.0}
    for account in (
        {"balances": [cash], "positions": [{**held, "leverage": 5.0}]},
        {"balances": [cash], "positions": [{**held, "symbol": "NOBODY"}]},
        {"balances": [{**cash, "locked": 0.1}], "positions": [held]},
        {"balances": [{**cash, "asset": "WHAT"}], "positions": [held]},
    ):
        body = msgspec.json.encode({"account": account})
        found = msgspec.json.decode(stands(ready, slow, body))
        for mine, theirs in zip(
            found["pools"], msgspec.json.decode(answered(slow, body))["pools"], strict=True
        ):
            assert {key: value for key, value in mine.items() if key != "ratio"}.items() <= theirs.items()
    assert standings(ready, changed(holdings_of(Account()), assets=["WHAT"], amounts=[1.0])) is None


def test_a_pool_without_balance_has_no_ratio():
    ready, slow, _ = at("deribit.spm")
    held = {"symbol": "BTC-PERPETUAL", "quantity": 100.0, "entry": 90_000.0}
    found = msgspec.json.decode(stands(ready, slow, msgspec.json.encode({"account": {"positions": [held]}})))
    assert found["pools"][0]["ratio"] is None
    assert found["status"] == "liquidatable"
    empty = msgspec.json.decode(stands(ready, slow, b'{"account": {"name": "nobody"}}'))
    assert empty == {"account": "nobody", "status": "healthy", "pools": []}


HELD = '{"symbol": "BTC-PERPETUAL", "quantity": 100, "entry": 60000}'


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("{", "malformed"),
        ('{"account": {"cash": 1}}', "unknown field"),
        (f'{{"account": {{"positions": [{HELD}, {HELD}]}}}}', "BTC-PERPETUAL"),
        (f'{{"account": {{"positions": [{HELD.replace("60000", "0")}]}}}}', "entry"),
        (f'{{"account": {{"positions": [{HELD.replace("100", "1e30")}]}}}}', "quantity"),
        ('{"account": {}, "trades": [{"symbol": "NONE", "quantity": 1}]}', "NONE"),
        ('{"account": {}, "trades": [{"symbol": "BTC-PERPETUAL", "quantity": 1, "price": -1}]}', "trades[0]"),
        ('{"account": {"orders": [{"symbol": "BTC-PERPETUAL", "quantity": 0, "price": 1}]}}', "quantity"),
    ],
)
def test_what_is_wrong_is_told_as_by_the_calculator(body, told):
    ready, slow, _ = at("deribit.spm")
    with pytest.raises(InvalidInputError) as mine:
        stands(ready, slow, body.encode())
    assert told in str(mine.value)
    with pytest.raises(InvalidInputError) as theirs:
        answered(slow, body.encode())
    assert str(mine.value) == str(theirs.value)


def test_a_rulebook_without_compiled_form_has_no_desk():
    with pytest.raises(RefusedError, match="make a calculator"):
        desk(MARKET, in_force("example.scan", MADE_AT))


def test_amounts_are_those_of_the_domain():
    assert (one_account._LEAST, one_account._MOST) == (PRICE_MIN, PRICE_MAX)
    assert one_account._AMOUNT_MAX == AMOUNT_MAX
    held = Account(
        balances=(Balance(asset="BTC", amount=1.0),),
        positions=(Position(symbol="BTC-PERPETUAL", quantity=1.0, entry=1.0),),
    )
    ready, _, _ = at("deribit.spm")
    for change in ({"quantities": [float("nan")]}, {"entries": [0.0]}, {"amounts": [float("inf")]}):
        assert standings(ready, changed(holdings_of(held), **change)) is None
    assert len(book_of([held]).names) == 1
