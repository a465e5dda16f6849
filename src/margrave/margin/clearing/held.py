"""Positions, or contracts in many market rows, as columns: what portfolio models of clearing houses reprice.

Worth of a contract is ``a P - c / P`` for futures and Black-76 for options, in the asset that it pays in, and
everything is counted in the pool's currency at the row's own prices.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, final

import numpy as np

from margrave.core.errors import Issue, Reason
from margrave.domain.instruments import Instrument, expiry_of
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.black76 import coin_price, quote_price
from margrave.rulebook.clearing import Share, Size
from margrave.valuation.positions import settlement_rate
from margrave.valuation.scenarios import Priced, row_of, vol_at_mark
from margrave.valuation.table import Table

_SECONDS_IN_DAY = 86_400.0


@final
@dataclass(frozen=True, slots=True)
class Rows:
    """Positions of a pool."""

    instrument: I64  # (n,) rows of the table
    quantity: F64  # (n,) signed contracts
    currency: int  # row of the table's assets in which the pool counts


@final
@dataclass(frozen=True, slots=True)
class Held:
    """Positions of a pool in one row of the market, (n,). NaN where a price or vol is not known."""

    symbol: tuple[str, ...]
    base: tuple[str, ...]
    settlement: tuple[str, ...]
    currency: str  # asset in which the pool counts
    quantity: F64  # signed contracts
    a: F64  # worth of a contract is a P - c / P, of an option a times its premium [asset it pays in]
    c: F64
    rate: F64  # pool currency per asset it pays in
    price: F64  # [quote per base] what is shocked: mark of a future, forward of an option
    mark: F64  # as the instrument's mark
    is_option: Bools
    is_call: Bools
    in_coin: Bools  # pays in its base: inverse, or a coin premium
    strike: F64
    vol: F64
    years: F64  # to expiry of options
    days: F64  # to expiry; infinite for what has none


def table_vols(table: Table) -> F64:
    """Vol of every instrument, (I,): of options the one in the mark, else as quoted, else NaN; zero elsewhere."""
    vol = np.zeros(len(table.is_option))
    options = np.flatnonzero(table.is_option)
    vol[options] = vol_at_mark(table, options)
    return vol


def held_of(
    table: Table, priced: Priced, rows: Rows, at: datetime, scenario: int = 0, vols: F64 | None = None
) -> Held:
    """Columns of a pool's positions in one row of the market.

    Parameters
    ----------
    table, priced : Table, Priced
        Instruments, and their prices in S scenarios.
    rows : Rows
        Positions of one pool.
    at : datetime
        The market's instant.
    scenario : int
        Row of the prices.
    vols : (I,) ndarray, optional
        From `table_vols`: whoever asks for many pools or rows solves them once.

    Returns
    -------
    Held
        Unknown prices and vols are NaN, also of instruments that the table does not know.
    """
    one = row_of(priced, scenario)
    currency = np.full(len(rows.instrument), rows.currency)
    found = contracts_of(
        table, one, rows.instrument, currency, at, table_vols(table) if vols is None else vols
    )
    return replace(found, currency=table.assets[rows.currency], quantity=rows.quantity)


def contracts_of(
    table: Table, priced: Priced, instrument: I64, currency: I64, at: datetime, vols: F64
) -> Held:
    """Columns of one long contract of each instrument, row of prices by row of prices, (S n,).

    Parameters
    ----------
    table, priced : Table, Priced
        Instruments, and their prices in S scenarios.
    instrument, currency : (n,) ndarray of int
        Rows of the table's instruments, and of its assets in which each is counted.
    at : datetime
        The market's instant.
    vols : (I,) ndarray
        From `table_vols`.
    """
    i, count = instrument, len(priced.mark)
    option = table.is_option[i]
    mark = priced.mark[:, i]
    with np.errstate(invalid="ignore"):
        rate = priced.asset_price[:, table.settlement[i]] / priced.asset_price[:, currency]
    rate = np.where(table.settlement[i] == currency, 1.0, rate)
    convert = settlement_rate(table, priced, i)
    known = [table.instruments[row] for row in i.tolist()]
    return Held(
        symbol=tuple("" if k is None else k.symbol for k in known) * count,
        base=tuple("" if k is None else k.base for k in known) * count,
        settlement=tuple("" if k is None else k.settlement for k in known) * count,
        currency="",
        quantity=np.ones(count * len(i)),
        a=np.tile(table.a[i], count),
        c=np.tile(table.c[i], count),
        rate=(rate if convert is None else rate * convert).ravel(),
        price=np.where(option, priced.forward[:, i], mark).ravel(),
        mark=mark.ravel(),
        is_option=np.tile(option, count),
        is_call=np.tile(table.is_call[i], count),
        in_coin=np.tile(table.is_inverse[i] | table.is_coin_premium[i], count),
        strike=np.tile(table.strike[i], count),
        vol=np.tile(vols[i], count),
        years=np.tile(np.where(option, table.years[i], 0.0), count),
        days=np.tile(np.array([_days(k, at) for k in known], dtype=np.float64), count),
    )


def _days(instrument: Instrument | None, at: datetime) -> float:
    expiry = None if instrument is None else expiry_of(instrument)
    return np.inf if expiry is None else max((expiry - at).total_seconds(), 0.0) / _SECONDS_IN_DAY


def part_of(held: Held, rows: I64) -> Held:
    """Some of the positions."""
    wanted = rows.tolist()

    def names(column: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(column.__getitem__, wanted))

    return Held(
        names(held.symbol),
        names(held.base),
        names(held.settlement),
        held.currency,
        held.quantity[rows],
        held.a[rows],
        held.c[rows],
        held.rate[rows],
        held.price[rows],
        held.mark[rows],
        held.is_option[rows],
        held.is_call[rows],
        held.in_coin[rows],
        held.strike[rows],
        held.vol[rows],
        held.years[rows],
        held.days[rows],
    )


def known_prices(held: Held) -> Bools:
    """Whether price, vol and conversion of each position are known, (n,)."""
    return np.isfinite(held.price + held.mark + held.vol + held.rate)


def worth(held: Held, price: F64, vol: F64, years: F64) -> F64:
    """Worth of one long contract of each position at shocked prices, (S, n) [pool currency].

    Parameters
    ----------
    held : Held
        Positions; conversion into the pool's currency stays that of the row.
    price, vol : (S, n) ndarray
        Shocked price of the underlying, > 0, and vol, >= 0.
    years : (n,) ndarray
        To expiry of the options at the valuation.

    Returns
    -------
    (S, n) ndarray
        NaN where a price or vol is NaN, or a price is not above zero.
    """
    usable = np.isfinite(price) & np.isfinite(vol) & np.isfinite(held.rate) & (price > 0.0)
    safe = np.where(usable, price, 1.0)
    value = held.a * safe - held.c / safe
    option = np.flatnonzero(held.is_option)
    if option.size:
        terms = (
            held.strike[option],
            np.where(usable, vol, 0.0)[:, option],
            years[option],
            held.is_call[option],
        )
        coin, forward = held.in_coin[option], safe[:, option]
        premium = np.where(coin, coin_price(forward, *terms), quote_price(forward, *terms))
        value[:, option] = held.a[option] * premium
    return np.where(usable, value * held.rate, np.nan)


def option_value(held: Held) -> F64:
    """Market value of options, long > 0, zero for what is not an option, (n,) [pool currency]."""
    return np.where(held.is_option, held.quantity * held.a * held.mark * held.rate, 0.0)


def underlying_worth(held: Held) -> F64:
    """Worth of one unit of delta, (n,) [pool currency]: the price where it pays in quote, a coin where in coin."""
    return np.where(held.in_coin, 1.0, held.price) * held.rate


def coins(held: Held) -> F64:
    """Size of one contract in units of delta, (n,): ``a`` or, where it is inverse, ``c / P``."""
    return held.a + held.c / np.where(held.c > 0.0, held.price, 1.0)


def sized(size: Size, of: F64) -> F64:
    """A size as stated, or relative to what it is a size of."""
    return size.value * of if isinstance(size, Share) else np.full_like(of, size.value)


class _Matched(Protocol):
    @property
    def bases(self) -> tuple[str, ...]: ...
    @property
    def settlements(self) -> tuple[str, ...]: ...


def assigned(held: Held, rules: tuple[_Matched, ...]) -> I64:
    """Row of the first rule that matches each position's base and settlement, (n,); -1 for none."""
    found = [
        next((k for k, rule in enumerate(rules) if _matches(rule, base, settlement)), -1)
        for base, settlement in zip(held.base, held.settlement, strict=True)
    ]
    return np.array(found, dtype=np.int64)


def _matches(rule: _Matched, base: str, settlement: str) -> bool:
    return (not rule.bases or base in rule.bases) and (not rule.settlements or settlement in rule.settlements)


def unassigned(held: Held, rules: tuple[_Matched, ...], what: str) -> list[Issue]:
    """Issues of positions that no rule of a model matches."""
    return [
        Issue(
            held.symbol[row],
            Reason.NO_RULE,
            f"no {what} of the portfolio model matches {held.base[row]} settled in {held.settlement[row]}; add one",
        )
        for row in np.flatnonzero(assigned(held, rules) < 0).tolist()
    ]
