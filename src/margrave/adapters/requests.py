"""A question in JSON, an answer in JSON: one account, and trades that it might make, under rules that are ready."""

from typing import Final

import msgspec

from margrave.adapters.files import read_account
from margrave.adapters.forms import WhatIfForm
from margrave.core.errors import Reason, invalid
from margrave.domain.account import Account
from margrave.engine.calculator import Calculator
from margrave.engine.whatif import Leg, filled

_REQUEST: Final = msgspec.json.Decoder(WhatIfForm)


def answered(calculator: Calculator, body: bytes) -> bytes:
    """Answer a what-if request.

    Parameters
    ----------
    calculator : Calculator
        Market and rulebook, ready.
    body : bytes
        JSON: an ``account`` as in a case file, and ``trades`` with symbol, quantity (buy > 0) and price (the mark
        where it is not given), made in their order.

    Returns
    -------
    bytes
        JSON of the account's assessment after the trades, as `Assessment.to_json`.

    Raises
    ------
    InvalidInputError
        The text, the account or a trade is wrong; it says where and what to do.
    """
    request = read_request(body)
    return calculator.assess(account_after(request, calculator)).to_json()


def read_request(body: bytes) -> WhatIfForm:
    """A what-if request from JSON; InvalidInputError where the text is none."""
    try:
        return _REQUEST.decode(body)
    except msgspec.DecodeError as fault:
        raise invalid("request", Reason.MALFORMED, f"{fault}; send an account and its trades") from fault


def account_after(request: WhatIfForm, calculator: Calculator) -> Account:
    """The account of a request as it is after its trades; InvalidInputError says which is wrong."""
    account = read_account(request.account, "request")
    for number, trade in enumerate(request.trades):
        leg = Leg(trade.symbol, trade.quantity, trade.price)
        try:
            account = filled(account, calculator.market, leg, calculator.rulebook)
        except ValueError as fault:
            told = f"{fault}; correct the trade"
            raise invalid(f"request: trades[{number}]", Reason.INVALID_VALUE, told) from fault
    return account
