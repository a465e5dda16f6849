"""Ticks written into what is known of the market, and instruments priced anew where a price is another."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, final

import numpy as np

from margrave.core.errors import Issue, MargraveError, Reason
from margrave.domain.book import Book
from margrave.domain.checks import require, require_price
from margrave.domain.instruments import Instrument, payoff_asset
from margrave.domain.market import VOLATILITY_MAX, Market, Quote
from margrave.engine.live.events import Input, InputName, Tick
from margrave.margin.resolve import Resolved, resolve, wrong_rows
from margrave.rulebook.schema import Rulebook
from margrave.valuation.table import PER_INSTRUMENT, Table, table_of

_FIELDS: Final[Mapping[Input, str]] = MappingProxyType(
    {Input.MARK: "mark", Input.FORWARD: "forward", Input.VOL: "vol", Input.UNDERLYING: "index"}
)
_TABLES: Final[Mapping[Input, str]] = MappingProxyType(
    {
        Input.INDEX: "index",
        Input.VOLATILITY: "vols",
        Input.OPEN_INTEREST: "open_interest",
        Input.SLOW: "slow",
        Input.DEPOSITS: "deposits",
        Input.BORROWS: "borrows",
    }
)
_BY_ASSET: Final = frozenset({Input.INDEX, Input.VOLATILITY, Input.DEPOSITS, Input.BORROWS})
_TERMS: Final = ("a", "c", "base", "quote", "settlement", "payoff")  # of contract terms alone
_PRICED: Final = tuple(name for name in PER_INSTRUMENT if name not in _TERMS)


@final
@dataclass(slots=True)
class Prices:
    """A working copy of a market: what a batch of ticks is written into."""

    market: Market  # as it was
    at: datetime
    instruments: dict[str, Instrument]
    quotes: dict[str, Quote]
    tables: dict[Input, dict[str, float]]  # what is a number a name
    instants: dict[InputName, datetime]  # (input, name) -> when the value that is known was made
    moved: bool = False


def prices_of(market: Market, instants: Mapping[InputName, datetime]) -> Prices:
    """A working copy."""
    return Prices(
        market,
        market.at,
        dict(market.instruments),
        dict(market.quotes),
        {what: dict(getattr(market, table)) for what, table in _TABLES.items()},
        dict(instants),
    )


def market_of(prices: Prices) -> Market:
    """The market that a working copy has become; the same one where nothing was written."""
    if not prices.moved:
        return prices.market
    tables: dict[str, Any] = {table: prices.tables[what] for what, table in _TABLES.items()}
    return replace(
        prices.market,
        at=prices.at,
        instruments=prices.instruments,
        quotes=prices.quotes,
        **tables,
    )


def first_instants(market: Market) -> dict[InputName, datetime]:
    """When the prices of a market were made: at their quote's instant, or at the market's."""
    instants: dict[InputName, datetime] = {
        (what, name): market.at for what, table in _TABLES.items() for name in getattr(market, table)
    }
    for symbol, quote in market.quotes.items():
        instants |= {(what, symbol): quote.at or market.at for what in _inputs(quote)}
    return instants


def assets_of(instrument: Instrument) -> tuple[str, ...]:
    """Assets that an instrument names."""
    return instrument.base, instrument.quote, instrument.settlement, payoff_asset(instrument)


def written(tick: Tick, prices: Prices, assets: tuple[str, ...]) -> None:
    """Write one tick where it belongs, or raise and leave all as it was.

    Raises
    ------
    MargraveError
        Nobody knows the asset or the instrument, or an option's vol or forward came before its mark.
    ValueError
        The value cannot be one of its kind.
    """
    what, name = tick.what, tick.name
    if what in _BY_ASSET or (what is Input.SLOW and name not in prices.instruments):
        if name not in assets:
            message = "is no asset of the book or its instruments; correct the name"
            raise MargraveError([Issue(name, Reason.NOT_FOUND, message)])
    elif name not in prices.instruments:
        message = "is not among the market's instruments; list it first, with its terms"
        raise MargraveError([Issue(name, Reason.UNKNOWN_INSTRUMENT, message)])
    if what in prices.tables:
        _require(what, tick.value)
        prices.tables[what][name] = tick.value
    else:
        _quoted(tick, prices)
    prices.instants[what, name] = tick.at
    prices.moved = True


def _require(what: Input, value: float) -> None:
    # As the market will ask: what is refused here leaves it as it was. A tick is never below zero.
    if what is Input.VOLATILITY:
        require(0.0 < value <= VOLATILITY_MAX, "volatility", value, "a fraction per year, 0.65 for 65 %")
    elif what in (Input.INDEX, Input.SLOW):
        require_price(what, value)


def _quoted(tick: Tick, prices: Prices) -> None:
    what, name = tick.what, tick.name
    quote = prices.quotes.get(name)
    if quote is None and what is not Input.MARK:
        message = f"has no mark yet, and so no place for a {what}; send its mark first"
        raise MargraveError([Issue(name, Reason.MISSING_MARK, message)])
    others = [] if quote is None else [prices.instants[i, name] for i in _inputs(quote) if i is not what]
    # As old as the oldest of what it is made of.
    told: dict[str, Any] = {_FIELDS[what]: tick.value, "at": min([tick.at, *others])}
    prices.quotes[name] = Quote(**told) if quote is None else replace(quote, **told)


def _inputs(quote: Quote) -> list[Input]:
    return [what for what, name in _FIELDS.items() if getattr(quote, name) is not None]


def resolved_in(
    before: Resolved | None, book: Book, prices: Prices, market: Market, rulebook: Rulebook
) -> Resolved:
    """Resolve a book's instruments in the prices that are known.

    Parameters
    ----------
    before : Resolved, optional
        Of an earlier market. Where instruments, rules and instant are the same, only what is priced otherwise is
        resolved again, to the same bits.
    book : Book
        Its tables.
    prices, market : Prices, Market
        What is known and when it was made.
    rulebook : Rulebook
        The rules. A quote tells its own age to the table; an index price has none there, and what is stale is left out.
    """
    most = rulebook.mark_age_max_seconds
    if most is not None:
        fresh = {
            asset: price
            for asset, price in market.index.items()
            if (market.at - prices.instants[Input.INDEX, asset]).total_seconds() <= most
        }
        market = replace(market, index=fresh)
    if (
        before is None
        or before.rulebook is not rulebook
        or before.market.at != market.at
        or len(before.table.instruments) != len(book.symbols)
        or before.market.instruments != market.instruments
    ):
        return resolve(book.symbols, book.assets, market, rulebook)
    return _repriced(before, book.symbols, market)


def _repriced(before: Resolved, symbols: tuple[str, ...], market: Market) -> Resolved:
    old, table = before.market, before.table
    priced = {a for a in old.index.keys() | market.index.keys() if old.index.get(a) != market.index.get(a)}
    rows = [row for row, symbol in enumerate(symbols) if _is_other(symbol, table, row, old, market, priced)]
    some = tuple(symbols[row] for row in rows)
    fresh = table_of(some, (), market, before.rulebook.mark_age_max_seconds, before.rulebook.days_in_year)
    columns: dict[str, Any] = {name: getattr(table, name).copy() for name in _PRICED}
    for name, column in columns.items():
        column[rows] = getattr(fresh, name)
    price = table.asset_price.copy()
    for asset in priced & set(table.assets):
        told = market.index_of(asset)
        price[table.assets.index(asset)] = np.nan if told is None else told
    issues = {row: issue for row, issue in table.issues.items() if row not in set(rows)}
    issues |= {rows[k]: issue for k, issue in fresh.issues.items()}
    # What has no price is no option to the table, so that a first mark makes one.
    columns |= {"asset_price": price, "issues": issues, "has_options": bool(columns["is_option"].any())}
    table = replace(table, **columns)
    return replace(
        before,
        market=market,
        table=table,
        wrong=wrong_rows(table, before.known),
        vols=np.array([market.vols.get(asset, np.nan) for asset in table.assets]),
    )


def _is_other(symbol: str, table: Table, row: int, old: Market, new: Market, priced: set[str]) -> bool:
    # Whether anything that is read of an instrument is another.
    if old.quotes.get(symbol) is not new.quotes.get(symbol):
        return True
    if old.open_interest.get(symbol) != new.open_interest.get(symbol):
        return True
    instrument = table.instruments[row]
    return (
        bool(priced) and instrument is not None and (instrument.base in priced or instrument.quote in priced)
    )
