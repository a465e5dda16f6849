"""Contract terms from the lists of instruments that venues publish: what is read is what the venue says."""

from datetime import UTC, datetime
from typing import Final

from margrave.core.errors import Reason, invalid
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

RIGHTS: Final = {"C": Right.CALL, "P": Right.PUT, "Call": Right.CALL, "Put": Right.PUT}


def instant(milliseconds: float) -> datetime:
    """An instant from milliseconds since 1970."""
    return datetime.fromtimestamp(milliseconds / 1000.0, tz=UTC)


def delta_one(
    symbol: str,
    assets: tuple[str, str, str],
    size: float,
    expiry: datetime | None = None,
    inverse: bool = False,
) -> Instrument:
    """A perpetual, or a future with an expiry.

    Parameters
    ----------
    symbol : str
        The venue's name.
    assets : tuple of str
        Base, quote and settlement.
    size : float
        Base per contract; quote per contract where it is inverse.
    """
    base, quote, settlement = assets
    kind: Kind = Perpetual() if expiry is None else Future(expiry=expiry)
    payoff: Payoff = Inverse(contract_value=size) if inverse else Linear(contract_size=size)
    return Instrument(symbol=symbol, base=base, quote=quote, settlement=settlement, kind=kind, payoff=payoff)


def option(symbol: str, assets: tuple[str, str, str], size: float, kind: Option) -> Instrument:
    """An option; its premium is in coin where it settles in its base."""
    base, quote, settlement = assets
    payoff = CoinPremium(contract_size=size) if settlement == base else QuotePremium(contract_size=size)
    return Instrument(symbol=symbol, base=base, quote=quote, settlement=settlement, kind=kind, payoff=payoff)


def right(word: str, where: str) -> Right:
    """Call or put, from a venue's word."""
    if word not in RIGHTS:
        raise invalid(where, Reason.INVALID_VALUE, f"{word!r} is neither a call nor a put")
    return RIGHTS[word]
