"""A market that stands ready for one account after another, through the compiled pass: some microseconds a question.

What is asked about is plain columns. What the pass cannot serve (an isolated position, a contract that nobody lists or that has no
price, an amount that is none) is answered by None, and is a question to the calculator.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

import msgspec
import numpy as np

from margrave.core.errors import Reason, refused
from margrave.domain.account import Position
from margrave.domain.market import Market
from margrave.engine.assessment import Status
from margrave.engine.books.laid import contracts_of, spans_coins
from margrave.engine.books.swept import sweep_of
from margrave.engine.books.venue import STATUSES
from margrave.engine.whatif import Leg, taken
from margrave.kernels.compiled.coin_pools import UNFINISHED
from margrave.kernels.compiled.one_account import OneAccount, one_account, pools_of_one
from margrave.margin.resolve import resolve
from margrave.rulebook.schema import OrderRule, Rulebook

_NO_ROWS = np.zeros(0, dtype=np.int64)
_NO_MONEY = np.zeros(0)


@final
@dataclass(frozen=True, slots=True)
class Holdings:
    """One account as lists: cross positions, balances, and open orders that could open something."""

    symbols: list[str]
    quantities: list[float]
    entries: list[float]
    assets: list[str]
    amounts: list[float]
    order_symbols: list[str]
    order_quantities: list[float]
    order_prices: list[float]


@final
class PoolStanding(msgspec.Struct, frozen=True):
    """Where one pool stands; money in its currency."""

    name: str
    currency: str
    equity: float
    initial: float  # with open orders
    maintenance: float
    order_margin: float
    ratio: float | None  # maintenance over margin balance: 1 is liquidation; None without a balance
    status: Status


@final
@dataclass(frozen=True, slots=True)
class Desk:
    """One market under one rulebook, from `desk`. Threads may share it; another market is another desk."""

    market: Market
    rulebook: Rulebook
    rows: Mapping[str, int]  # of instruments
    coins: Mapping[str, int]  # of assets
    assets: tuple[str, ...]
    ready: OneAccount
    counts_orders: bool


def desk(market: Market, rulebook: Rulebook) -> Desk:
    """Make every contract of a market ready.

    Parameters
    ----------
    market, rulebook : Market, Rulebook
        Immutable: what is made of them holds for as long as the desk does.

    Raises
    ------
    RefusedError
        The rulebook has no compiled form.
    ImportError
        There is no compiler.
    """
    symbols, assets = tuple(market.instruments), tuple(market.index)
    resolved = resolve(symbols, assets, market, rulebook)
    sweep = sweep_of(resolved, symbols)
    if sweep is None:
        told = "has no compiled form; make a calculator (engine.calculator), which serves every rulebook"
        raise refused(rulebook.id, Reason.UNSUPPORTED, told)
    table = resolved.table
    currency = resolved.currency if spans_coins(rulebook) else None
    return Desk(
        market,
        rulebook,
        {symbol: row for row, symbol in enumerate(symbols)},
        {asset: row for row, asset in enumerate(table.assets)},
        table.assets,
        one_account(sweep.terms, sweep.levels, contracts_of(table), sweep.rate, currency),
        rulebook.account.orders is not OrderRule.NONE,
    )


def standings(desk: Desk, held: Holdings) -> tuple[PoolStanding, ...] | None:
    """Where the pools of an account stand.

    Parameters
    ----------
    desk : Desk
        The market.
    held : Holdings
        The account.

    Returns
    -------
    tuple of PoolStanding, or None
        In the order in which balances, positions and orders first need them: the bytes of `assess_book` compiled. None
        where the pass cannot say.
    """
    rows, coins = desk.rows, desk.coins
    try:
        index = np.array([rows[symbol] for symbol in held.symbols], dtype=np.int64)
        coin = np.array([coins[asset] for asset in held.assets], dtype=np.int64)
        asked = _NO_ROWS
        if held.order_symbols:
            asked = np.array([rows[symbol] for symbol in held.order_symbols], dtype=np.int64)
    except KeyError:
        return None
    orders, prices = _NO_MONEY, _NO_MONEY
    if held.order_symbols:
        orders, prices = np.array(held.order_quantities), np.array(held.order_prices)
        orders = orders if desk.counts_orders else 0.0 * orders
    quantities, entries = (
        np.array(held.quantities, dtype=np.float64),
        np.array(held.entries, dtype=np.float64),
    )
    amounts = np.array(held.amounts, dtype=np.float64)
    found = pools_of_one(desk.ready, (index, quantities, entries, coin, amounts, asked, orders, prices))
    if found is None:
        return None
    pools = tuple(_standing(desk, *pool) for pool in found.T.tolist())
    return None if any(pool is None for pool in pools) else pools  # type: ignore[return-value]


def _standing(  # noqa: PLR0913 - the rows of the answer
    desk: Desk, coin: float, equity: float, initial: float, maintenance: float, orders: float, standing: float
) -> PoolStanding | None:
    if standing == UNFINISHED:
        return None
    asset = desk.assets[int(coin)]
    ratio = 0.0 if maintenance == 0.0 else maintenance / equity if equity > 0.0 else None
    status = STATUSES[int(standing)]
    return PoolStanding(f"cross {asset}", asset, equity, initial, maintenance, orders, ratio, status)


def traded(desk: Desk, held: Holdings, legs: Iterable[Leg]) -> Holdings | None:
    """An account after trades in their order, made as a taker: positions, and realised profit, premium and fees in cash.

    Parameters
    ----------
    desk : Desk
        The market.
    held : Holdings
        The account before.
    legs : iterable of Leg
        The trades.

    Returns
    -------
    Holdings or None
        None where a contract is not known.

    Raises
    ------
    ValueError
        A quantity or price is none.
    """
    after = Holdings(
        [*held.symbols],
        [*held.quantities],
        [*held.entries],
        [*held.assets],
        [*held.amounts],
        held.order_symbols,
        held.order_quantities,
        held.order_prices,
    )
    for leg in legs:
        instrument, quote = desk.market.instruments.get(leg.symbol), desk.market.quotes.get(leg.symbol)
        if instrument is None or quote is None:
            return None
        price = quote.mark if leg.price is None else leg.price
        row = after.symbols.index(leg.symbol) if leg.symbol in after.symbols else len(after.symbols)
        if row == len(after.symbols):
            after.symbols.append(leg.symbol)
            after.quantities.append(0.0)
            after.entries.append(price)
        before = Position(symbol=leg.symbol, quantity=after.quantities[row], entry=after.entries[row])
        position, cash = taken(instrument, desk.market, before, leg.quantity, price)
        after.quantities[row], after.entries[row] = position.quantity, position.entry
        after.assets.append(instrument.settlement)
        after.amounts.append(cash)
    return after
