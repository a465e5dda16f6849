"""The form of a case file, as data. What is not named is refused; meaning is checked in `files`."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

KindName = Literal["spot", "perpetual", "future", "option"]
PayoffName = Literal["linear", "inverse", "quanto", "coin-premium", "quote-premium"]

VOL_PLAUSIBLE = 10.0
"""A vol above 1,000 % a year in a file is taken for one in per cent."""


class _Form(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What every table of a case shares."""


class InstrumentForm(_Form):
    """Contract terms."""

    symbol: str
    kind: KindName
    payoff: PayoffName
    base: str
    quote: str
    settlement: str
    contract_size: float | None = None  # [base per contract] linear and options
    contract_value: float | None = None  # [quote per contract] inverse
    multiplier: float | None = None  # [settlement asset per point] quanto
    expiry: datetime | None = None
    strike: float | None = None
    right: Literal["call", "put"] | None = None
    tick: float | None = None
    taker_fee: float | None = None


class QuoteForm(_Form):
    """Prices of one instrument."""

    symbol: str
    mark: float | None = None  # a quote without a mark is a fault of meaning, not of form
    index: float | None = None
    forward: float | None = None
    vol: float | None = None
    settlement: float | None = None
    at: datetime | None = None
    rate: float = 0.0
    averaged: float = 0.0
    confidence: float = 1.0


class MarketForm(_Form):
    """One instant."""

    at: datetime
    instruments: list[InstrumentForm] = []
    quotes: list[QuoteForm] = []
    index: dict[str, float] = {}
    vols: dict[str, float] = {}
    correlations: dict[str, float] = {}  # "BTC/ETH" -> correlation
    returns: dict[str, tuple[float, ...]] = {}  # asset -> simple returns on common dates, oldest first
    open_interest: dict[str, float] = {}  # symbol -> contracts outstanding, one side
    confidence: dict[str, float] = {}  # asset -> confidence of its index, 0..1
    slow: dict[str, float] = {}  # asset or symbol -> slow price: an average, a stable price
    deposits: dict[str, float] = {}  # asset -> what the whole venue holds of it
    borrows: dict[str, float] = {}  # asset -> what the whole venue has lent of it
    numeraire: str = "USD"


class BalanceForm(_Form):
    """An amount of one asset."""

    asset: str
    amount: float
    locked: float = 0.0


class PositionForm(_Form):
    """Contracts held."""

    symbol: str
    quantity: float
    entry: float
    mode: Literal["cross", "isolated"] = "cross"
    leverage: float | None = None
    isolated_margin: float | None = None
    leg: Literal["net", "long", "short"] = "net"


class OrderForm(_Form):
    """An open order."""

    symbol: str
    quantity: float
    price: float
    reduce_only: bool = False
    leverage: float | None = None


class MemoryForm(_Form):
    """What a directional schedule remembers."""

    underlying: str
    at: datetime
    reference: float | None = None
    best_mark: float | None = None
    multiplier: float | None = None
    tier: int | None = None
    streak: int = 0
    closed_at: datetime | None = None
    side: int = 0


class AccountForm(_Form):
    """One account."""

    name: str = "account"
    parent: str | None = None
    balances: list[BalanceForm] = []
    positions: list[PositionForm] = []
    orders: list[OrderForm] = []
    memory: list[MemoryForm] = []


class TradeForm(_Form):
    """A trade that an account might make."""

    symbol: str
    quantity: float  # [contracts] buy > 0
    price: float | None = None  # None: at the mark


class WhatIfForm(_Form):
    """A request: an account, and what it might trade."""

    account: AccountForm
    trades: list[TradeForm] = []


class CaseForm(_Form):
    """A whole file."""

    schema: int
    market: MarketForm
    title: str = ""
    rules: str | None = None
    schedule: str | None = None
    accounts: list[AccountForm] = []
