"""Contract terms from the names that venues give their instruments. On doubt: an error, never a guess."""

import re
from datetime import UTC, datetime

from margrave.core.errors import InvalidInputError, Reason, invalid
from margrave.domain.instruments import (
    CoinPremium,
    Future,
    Instrument,
    Inverse,
    Kind,
    Linear,
    Option,
    Payoff,
    Perpetual,
    QuotePremium,
    Right,
)

_MONTHS = {
    name: k
    for k, name in enumerate(
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], 1
    )
}
_DERIBIT = re.compile(
    r"^([A-Z0-9]+)(?:_([A-Z]+))?-(PERPETUAL|\d{1,2}[A-Z]{3}\d{2})(?:-(\d+(?:d\d+)?)-([CP]))?$"
)
_CCXT = re.compile(r"^([A-Z0-9]+)/([A-Z0-9]+):([A-Z0-9]+)(?:-(\d{6}))?(?:-(\d+(?:\.\d+)?)-([CP]))?$")
_DELIVERY_HOUR = 8  # UTC, on the venues read here
DERIBIT_MULTIPLIERS = {"BTC": 1.0, "ETH": 1.0, "SOL": 10.0, "XRP": 1_000.0, "MATIC": 1_000.0}
"""Coins per linear option contract, as published in March 2024; others are refused."""


def deribit(symbol: str, where: str = "") -> Instrument:
    """Terms of a Deribit instrument from its name.

    Inverse futures count in dollars (``contract_value`` 1), linear futures in coins, options in contracts.

    Raises
    ------
    InvalidInputError
        The name is not of a form that Deribit documents.
    """
    match = _DERIBIT.match(symbol)
    if match is None:
        raise invalid(
            where or symbol,
            Reason.UNKNOWN_INSTRUMENT,
            f"{symbol!r} is not a Deribit name such as BTC-PERPETUAL, BTC-25DEC26 or BTC-25DEC26-70000-C; correct it",
        )
    base, quote, expiry, strike, right = match.groups()
    kind: Kind
    payoff: Payoff
    if strike is not None:
        kind = Option(
            expiry=_deribit_day(expiry, symbol),
            strike=float(strike.replace("d", ".")),
            right=Right.CALL if right == "C" else Right.PUT,
        )
        if quote and base not in DERIBIT_MULTIPLIERS:
            raise invalid(
                where or symbol,
                Reason.NOT_PUBLISHED,
                f"the coins per linear option contract on {base} are not known; known are {', '.join(DERIBIT_MULTIPLIERS)}",
            )
        size = DERIBIT_MULTIPLIERS[base] if quote else 1.0
        payoff = QuotePremium(contract_size=size) if quote else CoinPremium(contract_size=size)
    else:
        kind = Perpetual() if expiry == "PERPETUAL" else Future(expiry=_deribit_day(expiry, symbol))
        payoff = Linear(contract_size=1.0) if quote else Inverse(contract_value=1.0)
    return Instrument(
        symbol=symbol, base=base, quote=quote or "USD", settlement=quote or base, kind=kind, payoff=payoff
    )


def _deribit_day(text: str, symbol: str) -> datetime:
    try:
        month = _MONTHS[text[-5:-2]]
        return datetime(2000 + int(text[-2:]), month, int(text[:-5]), _DELIVERY_HOUR, tzinfo=UTC)
    except (KeyError, ValueError) as fault:
        raise invalid(
            symbol, Reason.UNKNOWN_INSTRUMENT, f"{text!r} is not a day such as 25DEC26; correct the name"
        ) from fault


def unified(symbol: str, contract_size: float | None, where: str = "") -> Instrument:
    """Terms from a ccxt name, ``BASE/QUOTE:SETTLE-YYMMDD-STRIKE-C``, and the size of one contract.

    Parameters
    ----------
    symbol : str
        The unified name.
    contract_size : float, optional
        Quote per contract where the contract settles in its base, base per contract otherwise. Without it the
        instrument is refused: a size that is guessed is wrong by a factor.
    where : str
        Place, for messages.
    """
    match = _CCXT.match(symbol)
    if match is None:
        raise invalid(
            where or symbol,
            Reason.UNKNOWN_INSTRUMENT,
            f"{symbol!r} is not a ccxt contract name such as BTC/USD:BTC or BTC/USD:BTC-261225-70000-C",
        )
    if contract_size is None:
        raise invalid(
            where or symbol,
            Reason.INVALID_VALUE,
            f"the size of one contract of {symbol} is not in the payload; add it as contractSize",
        )
    base, quote, settlement, day, strike, right = match.groups()
    expiry = (
        None if day is None else datetime.strptime(day, "%y%m%d").replace(hour=_DELIVERY_HOUR, tzinfo=UTC)
    )
    in_base = settlement == base
    kind: Kind
    payoff: Payoff
    if strike is not None and expiry is not None:
        kind = Option(expiry=expiry, strike=float(strike), right=Right.CALL if right == "C" else Right.PUT)
        payoff = (
            CoinPremium(contract_size=contract_size) if in_base else QuotePremium(contract_size=contract_size)
        )
    else:
        kind = Perpetual() if expiry is None else Future(expiry=expiry)
        payoff = Inverse(contract_value=contract_size) if in_base else Linear(contract_size=contract_size)
    return Instrument(symbol=symbol, base=base, quote=quote, settlement=settlement, kind=kind, payoff=payoff)


_OKX = re.compile(r"^([A-Z0-9]+)-([A-Z0-9]+)-(?:SWAP|(\d{6}))$")
_BINANCE_COIN = re.compile(r"^([A-Z0-9]+?)USD_(?:PERP|(\d{6}))$")
_BINANCE_USD = re.compile(r"^([A-Z0-9]+?)(USDT|USDC)(?:_(\d{6}))?$")


def okx(symbol: str, contract_size: float | None, where: str = "") -> Instrument:
    """Terms of an OKX swap or future; the size of one contract (``ctVal``) must be given."""
    match = _OKX.match(symbol)
    if match is None:
        raise _unknown(symbol, where, "an OKX name such as BTC-USD-SWAP or BTC-USDT-261225")
    if contract_size is None:
        raise invalid(
            where or symbol,
            Reason.INVALID_VALUE,
            f"the size of one contract of {symbol} is not in its name; give the venue's ctVal",
        )
    base, quote, day = match.groups()
    return _contract(symbol, (base, quote, base if quote == "USD" else quote), day, contract_size)


def binance(symbol: str, where: str = "") -> Instrument:
    """Terms of a Binance future: COIN-M counts 100 USD (BTC) or 10 USD, USDⓈ-M counts coins."""
    if match := _BINANCE_COIN.match(symbol):
        base, day = match.groups()
        return _contract(symbol, (base, "USD", base), day, 100.0 if base == "BTC" else 10.0)
    if match := _BINANCE_USD.match(symbol):
        base, quote, day = match.groups()
        return _contract(symbol, (base, quote, quote), day, 1.0)
    raise _unknown(symbol, where, "a Binance name such as BTCUSD_PERP or BTCUSDT")


def _contract(symbol: str, assets: tuple[str, str, str], day: str | None, size: float) -> Instrument:
    base, quote, settlement = assets
    try:
        expiry = None if day is None else datetime.strptime(day, "%y%m%d").replace(tzinfo=UTC)
    except ValueError as fault:
        raise _unknown(symbol, "", "dated by a day such as 261225") from fault
    kind: Kind = Perpetual() if expiry is None else Future(expiry=expiry.replace(hour=_DELIVERY_HOUR))
    payoff: Payoff = Inverse(contract_value=size) if settlement == base else Linear(contract_size=size)
    return Instrument(symbol=symbol, base=base, quote=quote, settlement=settlement, kind=kind, payoff=payoff)


def _unknown(symbol: str, where: str, expected: str) -> InvalidInputError:
    message = f"{symbol!r} is not {expected}; correct it"
    return invalid(where or symbol, Reason.UNKNOWN_INSTRUMENT, message)
