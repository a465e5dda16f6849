"""Instruments and one market as columns: the step between what people write and what kernels eat."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final, final

import numpy as np

from margrave.core.errors import Issue, Reason
from margrave.domain.instruments import (
    CoinPremium,
    Instrument,
    Inverse,
    Option,
    Right,
    coefficients,
    expiry_of,
    payoff_asset,
)
from margrave.domain.market import Market, Quote
from margrave.kernels.arrays import F64, I64, Bools

_SECONDS_IN_DAY = 86_400.0
_NEVER = float("inf")  # seconds to the expiry of what has none


@final
@dataclass(frozen=True, slots=True)
class Table:
    """Instruments of a book with their prices. A price that is not known is NaN, and why stands in ``issues``."""

    instruments: tuple[Instrument | None, ...]  # (I,)
    assets: tuple[str, ...]  # (A,)
    asset_price: F64  # (A,) index price [numeraire per asset]
    a: F64  # (I,) worth of a contract is a P - c / P [payoff asset]
    c: F64  # (I,)
    base: I64  # (I,) row of `assets`
    quote: I64  # (I,)
    settlement: I64  # (I,)
    payoff: I64  # (I,) asset in which the payoff formula pays
    converts: bool  # some instrument's payoff asset is not its settlement asset
    has_options: bool  # some instrument is an option
    unlisted: Bools | None  # (I,) has no contract terms; None where all have
    mark: F64  # (I,) [quote per base; coin for a coin premium]
    index: F64  # (I,) [quote per base]
    is_inverse: Bools  # (I,) futures worth c / P
    is_option: Bools  # (I,)
    is_coin_premium: Bools  # (I,)
    is_call: Bools  # (I,)
    strike: F64  # (I,) 1 where no option
    forward: F64  # (I,) 1 where no option
    vol: F64  # (I,) as quoted; 0 where no option, NaN where none is quoted
    years: F64  # (I,) to expiry, futures too; 0 where there is none
    rate: F64  # (I,) [per year, continuous] of options; 0 elsewhere
    averaged: F64  # (I,) [quote per base] part of an option's forward that is fixed already
    confidence: F64  # (I,) [0..1] of the prices
    asset_confidence: F64  # (A,) [0..1] of the index prices
    open_interest: F64  # (I,) contracts outstanding in the market; NaN where it is not given
    issues: Mapping[int, Issue]  # instrument row -> why it cannot be valued


PER_ASSET: Final = ("asset_price", "asset_confidence")
"""Columns of prices of assets."""

_WHOLE: Final = ("instruments", "assets", "converts", "has_options", "unlisted", "issues")
PER_INSTRUMENT: Final = tuple(f.name for f in fields(Table) if f.name not in (*_WHOLE, *PER_ASSET))
"""Columns of numbers of instruments."""

_NO_TERMS = (np.nan,) * 4 + (0.0,) * 5
_NO_OPTION = (0.0, 0.0, 0.0, 1.0, 1.0, 0.0)
_UNQUOTED = (0.0, 0.0, 0.0, 1.0)  # years, rate, averaged, confidence
_COLUMNS = 19


def table_of(
    symbols: tuple[str, ...],
    more_assets: tuple[str, ...],
    market: Market,
    age_max_seconds: float | None = None,
    days_in_year: float = 365.0,
) -> Table:
    """Columns of the instruments that a book holds.

    Parameters
    ----------
    symbols : (I,) tuple of str
        Instruments.
    more_assets : tuple of str
        Assets that need a price besides those of the instruments: balances, and the pools' currencies.
    market : Market
        One instant.
    age_max_seconds : float, optional
        Marks older than this do not value a position. [s]
    days_in_year : float
        Convention of the year fraction of options (ACT/365: 365).

    Returns
    -------
    Table
        Nothing raises for a single instrument: what cannot be valued has an issue and NaN prices.
    """
    assets: dict[str, int] = {}
    rows: list[tuple[float, ...]] = []
    issues: dict[int, Issue] = {}
    instruments = tuple([market.instruments.get(symbol) for symbol in symbols])
    year = _SECONDS_IN_DAY * days_in_year
    for row, (symbol, instrument) in enumerate(zip(symbols, instruments, strict=True)):
        quote = market.quotes.get(symbol)
        if instrument is None or quote is None:
            issues[row] = _missing(symbol, instrument)
            terms = _NO_TERMS if instrument is None else _row(instrument, np.nan, np.nan, assets)
            rows.append(terms + _NO_OPTION + _UNQUOTED)
            continue
        left = _seconds_left(instrument, market.at)
        wrong = _stale(symbol, quote, market.at, age_max_seconds) or _expired(instrument, left)
        if wrong is not None:
            issues[row] = wrong
        index = _index(instrument, quote, market)
        if index is None and row not in issues:
            issues[row] = _no_index(instrument, market)
        mark = np.nan if row in issues else quote.mark
        rows.append(
            _row(instrument, mark, np.nan if index is None else index, assets)
            + _option(instrument, quote, index)
            + (max(left, 0.0) / year if left < _NEVER else 0.0, quote.rate, quote.averaged, quote.confidence)
        )
    for asset in more_assets:
        assets.setdefault(asset, len(assets))
    prices = np.array([_price(market, asset) for asset in assets], dtype=np.float64)
    sure = np.array([market.confidence.get(asset, 1.0) for asset in assets], dtype=np.float64)
    outstanding = np.array([market.open_interest.get(symbol, np.nan) for symbol in symbols], dtype=np.float64)
    return _table(instruments, tuple(assets), (prices, sure), rows, outstanding, issues)


def _missing(symbol: str, instrument: Instrument | None) -> Issue:
    if instrument is None:
        return Issue(
            symbol,
            Reason.UNKNOWN_INSTRUMENT,
            "is not among the market's instruments; add its contract terms or correct the name",
        )
    return Issue(symbol, Reason.MISSING_MARK, "has no quote in the market; add its mark")


def _stale(symbol: str, quote: Quote, at: datetime, age_max_seconds: float | None) -> Issue | None:
    if age_max_seconds is None or quote.at is None:
        return None
    age = (at - quote.at).total_seconds()
    if age <= age_max_seconds:
        return None
    return Issue(
        symbol,
        Reason.STALE_MARK,
        f"mark is {age:.0f} s old and the rulebook allows {age_max_seconds:.0f} s; refresh it",
    )


def _seconds_left(instrument: Instrument, at: datetime) -> float:
    expiry = expiry_of(instrument)
    return _NEVER if expiry is None else (expiry - at).total_seconds()


def _expired(instrument: Instrument, left: float) -> Issue | None:
    if left >= 0.0:
        return None
    expiry = expiry_of(instrument)
    message = (
        f"expired at {expiry:%Y-%m-%d %H:%M}Z, before the market's instant; settle it at its delivery price"
    )
    return Issue(instrument.symbol, Reason.NOT_IN_FORCE, message)


def _index(instrument: Instrument, quote: Quote, market: Market) -> float | None:
    if quote.index is not None:
        return quote.index
    base, priced_in = market.index_of(instrument.base), market.index_of(instrument.quote)
    if base is not None and priced_in is not None:
        return base / priced_in
    # A delta-one contract without an index is measured from its own mark: only options need the difference.
    return None if isinstance(instrument.kind, Option) else quote.mark


def _no_index(instrument: Instrument, market: Market) -> Issue:
    return Issue(
        instrument.symbol,
        Reason.MISSING_INDEX,
        f"needs the index price of {instrument.base} and {instrument.quote} in {market.numeraire}; add [market.index]",
    )


def _price(market: Market, asset: str) -> float:
    price = market.index_of(asset)
    return np.nan if price is None else price


def _row(instrument: Instrument, mark: float, index: float, assets: dict[str, int]) -> tuple[float, ...]:
    a, c = coefficients(instrument.payoff)
    place = assets.setdefault
    return (
        a,
        c,
        mark,
        index,
        place(instrument.base, len(assets)),
        place(instrument.quote, len(assets)),
        place(instrument.settlement, len(assets)),
        place(payoff_asset(instrument), len(assets)),
        float(isinstance(instrument.payoff, Inverse)),
    )


def _option(instrument: Instrument, quote: Quote, index: float | None) -> tuple[float, ...]:
    option = instrument.kind
    if not isinstance(option, Option) or index is None:
        return _NO_OPTION
    forward = index if quote.forward is None else quote.forward
    coin = isinstance(instrument.payoff, CoinPremium)
    vol = np.nan if quote.vol is None else quote.vol
    return (1.0, float(coin), float(option.right is Right.CALL), option.strike, forward, vol)


def _table(
    instruments: tuple[Instrument | None, ...],
    assets: tuple[str, ...],
    priced: tuple[F64, F64],
    rows: list[tuple[float, ...]],
    outstanding: F64,
    issues: dict[int, Issue],
) -> Table:
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), _COLUMNS).T.copy()
    a, c, mark, index = columns[:4]
    base, quote, settlement, payoff = columns[4:8].astype(np.int64)
    inverse, option, coin, call = (column != 0.0 for column in columns[8:12])
    strike, forward, vol, years, rate, averaged, confidence = columns[12:]
    unlisted = [i is None for i in instruments]
    return Table(
        instruments,
        assets,
        priced[0],
        a,
        c,
        base,
        quote,
        settlement,
        payoff,
        bool((settlement != payoff).any()),
        bool(option.any()),
        np.array(unlisted, dtype=np.bool_) if any(unlisted) else None,
        mark,
        index,
        inverse,
        option,
        coin,
        call,
        strike,
        forward,
        vol,
        years,
        rate,
        averaged,
        confidence,
        priced[1],
        outstanding,
        issues,
    )
