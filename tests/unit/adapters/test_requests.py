"""A what-if request in JSON gives what the same account and trades give by hand."""

from dataclasses import replace

import msgspec
import pytest

from margrave.adapters.files import load_example
from margrave.adapters.requests import answered
from margrave.core.errors import InvalidInputError
from margrave.engine.assess import assess
from margrave.engine.calculator import calculator
from margrave.engine.whatif import Leg, filled
from margrave.rulebook.catalogue import in_force

CASE = load_example("inverse")
RULES = in_force("example.inverse", CASE.market.at)
READY = calculator(CASE.market, RULES)
ACCOUNT = replace(CASE.accounts[0], orders=())
SYMBOL = ACCOUNT.positions[0].symbol


def asked(**more):
    account = {
        "name": ACCOUNT.name,
        "balances": [{"asset": b.asset, "amount": b.amount} for b in ACCOUNT.balances],
        "positions": [
            {"symbol": p.symbol, "quantity": p.quantity, "entry": p.entry, "leverage": p.leverage}
            for p in ACCOUNT.positions
        ],
    }
    return msgspec.json.encode({"account": account, **more})


def test_an_account_in_json_is_the_account():
    answer = msgspec.json.decode(answered(READY, asked()))
    expected = assess(ACCOUNT, CASE.market, RULES).to_dict()
    assert answer == expected


def test_trades_are_made_in_their_order():
    trades = [
        {"symbol": SYMBOL, "quantity": 500.0},
        {"symbol": SYMBOL, "quantity": -200.0, "price": 60_000.0},
    ]
    account = ACCOUNT
    for leg in (Leg(SYMBOL, 500.0), Leg(SYMBOL, -200.0, 60_000.0)):
        account = filled(account, CASE.market, leg, RULES)
    expected = assess(account, CASE.market, RULES).to_dict()
    assert msgspec.json.decode(answered(READY, asked(trades=trades))) == expected


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "request: malformed"),
        (b'{"account": {"name": "a", "cash": 1}}', "unknown field"),
        (asked(trades=[{"symbol": SYMBOL, "quantity": "many"}]), "trades"),
        (asked(trades=[{"symbol": "NONE", "quantity": 1.0}]), "NONE"),
        (asked(trades=[{"symbol": SYMBOL, "quantity": 1.0, "price": -1.0}]), "trades[0]"),
        (
            b'{"account": {"positions": [{"symbol": "A", "quantity": 1, "entry": -1}]}}',
            "account.positions[0]",
        ),
    ],
)
def test_what_is_wrong_is_told(body, told):
    with pytest.raises(InvalidInputError, match=told.replace("[", r"\[")):
        answered(READY, body)
