"""A desk of a rulebook of ladders: the bytes of a compiled book, the margins of the calculation in NumPy."""

from dataclasses import replace
from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

pytest.importorskip("numba")

from margrave.adapters.desk_requests import stands
from margrave.adapters.requests import answered
from margrave.core.errors import InvalidInputError
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Order, Position
from margrave.domain.book import book_of
from margrave.engine.books.venue import STATUSES, assess_book
from margrave.engine.calculator import calculator
from margrave.engine.desk import desk, standings
from margrave.engine.holdings import NOT_CHOSEN, holdings_of, sized_holdings_of
from tests.property.test_compiled_ladders import MARKET, RULES, plain_accounts, venue
from tests.unit import made_books

NAMES = (
    "binance.usdm",
    "binance.coinm",
    "bybit.linear",
    "kraken.futures",
    "hyperliquid.perps",
    "example.inverse",
)


@cache
def at(name):
    return (
        desk(MARKET, venue(name)),
        calculator(MARKET, venue(name)),
        calculator(MARKET, venue(name), compiled=True),
    )


def request(account, **more):
    def plain(thing, names):
        told = {name: getattr(thing, name) for name in names}
        return {name: value for name, value in told.items() if value is not None}

    position = ("symbol", "quantity", "entry", "leverage", "mode", "isolated_margin")
    told = {
        "name": account.name,
        "balances": [{"asset": b.asset, "amount": b.amount} for b in account.balances],
        "positions": [plain(p, position) for p in account.positions],
        "orders": [
            plain(o, ("symbol", "quantity", "price", "reduce_only", "leverage")) for o in account.orders
        ],
    }
    return msgspec.json.encode({"account": told, **more})


def told_by(way):
    """An answer, or what was said to be wrong."""
    try:
        return msgspec.json.decode(way())
    except InvalidInputError as fault:
        return str(fault)


def as_calculated(found, expected, scheduled):
    """Everything to the last digit, but for a multiplier's, which may differ in those of a logarithm."""
    if not scheduled:
        assert found.to_dict() == expected.to_dict()
        return
    close = 1e-12
    assert found.notes == expected.notes
    for mine, theirs in zip(found.pools, expected.pools, strict=True):
        for name in ("name", "mode", "currency", "equity", "margin_balance", "order_margin"):
            assert getattr(mine, name) == getattr(theirs, name), name
        for name in ("initial", "maintenance"):
            assert getattr(mine, name) == pytest.approx(getattr(theirs, name), rel=close, abs=0.0), name
        for one, other in zip(mine.positions, theirs.positions, strict=True):
            charged = {"initial": one.initial, "maintenance": one.maintenance}
            assert changed(other, **charged) == one
            told = {"initial": other.initial, "maintenance": other.maintenance}
            assert charged == pytest.approx(told, rel=close, abs=0.0)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(NAMES).flatmap(lambda name: st.tuples(st.just(name), plain_accounts(name))))
def test_an_account_is_assessed_as_by_the_calculator_and_stands_as_in_a_book(named):
    name, account = named
    ready, slow, quick = at(name)
    expected = slow.assess(account)
    as_calculated(quick.assess(account), expected, bool(ready.rulebook.schedules))
    found = standings(ready, sized_holdings_of(account))
    if any(pool.issues for pool in expected.pools):
        return
    book = assess_book(book_of([account]), MARKET, venue(name), compiled=True).pools
    assert [(p.equity, p.initial, p.maintenance, p.order_margin) for p in found] == list(
        zip(
            *(getattr(book, n).tolist() for n in ("equity", "initial", "maintenance", "order_margin")),
            strict=True,
        )
    )
    assert [pool.status for pool in found] == [STATUSES[row] for row in book.status]


@pytest.mark.parametrize("rulebook", RULES, ids=lambda r: r.id)
def test_accounts_of_every_kind_have_the_calculators_answer(rulebook):
    slow, quick = calculator(MARKET, rulebook), calculator(MARKET, rulebook, compiled=True)
    for account in made_books.accounts(5, 60, rulebook):
        found, expected = quick.assess(account), slow.assess(account)
        if any(pool.issues for pool in expected.pools):
            assert found.to_dict() == expected.to_dict()
        else:
            as_calculated(found, expected, bool(rulebook.schedules))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(NAMES).flatmap(lambda name: st.tuples(st.just(name), plain_accounts(name))),
    st.lists(st.tuples(st.integers(0, 5), st.integers(-500, 500).filter(bool).map(float)), max_size=3),
)
def test_a_question_has_the_calculators_answer(named, trades):
    name, account = named
    ready, slow, _ = at(name)
    symbols = [p.symbol for p in account.positions] or ["BTCUSDT"]
    body = request(
        account,
        trades=[{"symbol": symbols[row % len(symbols)], "quantity": amount} for row, amount in trades],
    )
    mine, theirs = (told_by(way) for way in (lambda: stands(ready, slow, body), lambda: answered(slow, body)))
    if isinstance(mine, str) or isinstance(theirs, str):
        assert mine == theirs
        return
    for one, two in zip(mine["pools"], theirs["pools"], strict=True):
        assert (one["name"], one["currency"]) == (two["name"], two["currency"])
        for number in ("equity", "initial", "maintenance", "order_margin"):
            if two[number] is None:
                assert one[number] is None
            else:
                assert one[number] == pytest.approx(two[number], rel=1e-9, abs=1e-6), number


def test_a_position_with_margin_of_its_own_is_its_own_pool_and_trading_it_is_the_calculators():
    ready, slow, quick = at("binance.usdm")
    symbol = "BTCUSDT"
    mark = MARKET.quotes[symbol].mark
    alone = Position(symbol=symbol, quantity=0.5, entry=mark, leverage=10.0, mode=MarginMode.ISOLATED)
    account = Account(balances=(Balance(asset="USDT", amount=1e5),), positions=(alone,))
    found = quick.assess(account)
    assert [pool.name for pool in found.pools] == ["cross USDT", f"isolated {symbol}"]
    assert found.pools[1].equity == pytest.approx(found.pools[1].positions[0].notional / 10.0)
    assert found.to_dict() == slow.assess(account).to_dict()
    body = request(account, trades=[{"symbol": symbol, "quantity": -0.25}])
    mine, theirs = (msgspec.json.decode(way) for way in (stands(ready, slow, body), answered(slow, body)))
    assert mine["pools"][1]["equity"] == theirs["pools"][1]["equity"]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("leverage", 0.0, "leverage"),
        ("leverage", -3.0, "leverage"),
        ("isolated_margin", -1.0, "isolated_margin"),
        ("entry", -1.0, "entry"),
        ("quantity", 1e30, "quantity"),
    ],
)
def test_what_is_wrong_is_told_as_by_the_calculator(field, value, told):
    ready, slow, _ = at("binance.usdm")
    held = {"symbol": "BTCUSDT", "quantity": 1.0, "entry": 60_000.0, "mode": "isolated", field: value}
    body = msgspec.json.encode({"account": {"positions": [held]}})
    with pytest.raises(InvalidInputError, match=told) as mine:
        stands(ready, slow, body)
    with pytest.raises(InvalidInputError) as theirs:
        answered(slow, body)
    assert str(mine.value) == str(theirs.value)


def test_margin_on_a_cross_position_is_refused():
    ready, slow, _ = at("binance.usdm")
    held = {"symbol": "BTCUSDT", "quantity": 1.0, "entry": 60_000.0, "isolated_margin": 5.0}
    with pytest.raises(InvalidInputError, match="absent in cross mode"):
        stands(ready, slow, msgspec.json.encode({"account": {"positions": [held]}}))


def test_lists_without_leverage_are_those_of_an_account_that_chose_none():
    ready, _, _ = at("binance.usdm")
    held = Account(
        balances=(Balance(asset="USDT", amount=1e5),),
        positions=(Position(symbol="BTCUSDT", quantity=1.0, entry=60_000.0),),
        orders=(Order(symbol="BTCUSDT", quantity=2.0, price=59_000.0),),
    )
    plain, sized = holdings_of(held), sized_holdings_of(held)
    assert standings(ready, plain) == standings(ready, sized)
    chosen = standings(ready, changed(sized, leverages=[2.0]))
    assert chosen[0].initial > standings(ready, plain)[0].initial
    assert np.isnan(NOT_CHOSEN)
    assert standings(ready, changed(sized, symbols=["NOBODY"])) is None
    assert standings(ready, changed(sized, margins=[-1.0])) is None
    reduces = replace(held, orders=(replace(held.orders[0], reduce_only=True),))
    assert standings(ready, sized_holdings_of(reduces))[0].order_margin == 0.0
