"""A market that stands ready for one account after another, through the compiled pass: some microseconds a question.

What is asked about is plain columns, or an account. What the pass cannot serve (an isolated position, a contract that nobody lists or that has no
price, an amount that is none) is answered by None, and is a question to the calculator.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

import msgspec
import numpy as np

from margrave.core.errors import Reason, refused
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Position
from margrave.domain.market import Market
from margrave.engine.assess import assess, band_name, notes_of
from margrave.engine.assessment import Assessment, PoolAssessment, PositionAssessment, Status
from margrave.engine.books.laid import contracts_of, spans_coins
from margrave.engine.books.swept import sweep_of
from margrave.engine.books.venue import STATUSES
from margrave.engine.whatif import Leg, taken
from margrave.kernels.compiled.coin_pools import UNFINISHED
from margrave.kernels.compiled.one_account import Columns, OneAccount, one_account, pools_of_one
from margrave.margin.requirement import Requirement
from margrave.margin.resolve import resolve
from margrave.rulebook.schema import OrderRule, Rulebook
from margrave.valuation.positions import value_positions
from margrave.valuation.scenarios import Priced, now
from margrave.valuation.table import Table


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


def holdings_of(account: Account) -> Holdings:
    """An account as lists; its isolated positions are not told apart."""
    positions, balances, orders = account.positions, account.balances, account.orders
    return Holdings(
        [p.symbol for p in positions],
        [p.quantity for p in positions],
        [p.entry for p in positions],
        [b.asset for b in balances],
        [b.amount for b in balances],
        [o.symbol for o in orders],
        [0.0 if o.reduce_only else o.quantity for o in orders],
        [o.price for o in orders],
    )


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
    table: Table
    priced: Priced
    ready: OneAccount
    counts_orders: bool
    spans_coins: bool
    notes: tuple[str, ...]


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
        table,
        now(table),
        one_account(sweep.terms, sweep.levels, contracts_of(table), sweep.rate, currency),
        rulebook.account.orders is not OrderRule.NONE,
        currency is not None,
        notes_of(rulebook, market.at),
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
    columns = _columns(desk, held)
    return None if columns is None else _pools(desk, columns)


def assessed_at(desk: Desk, account: Account) -> Assessment | None:
    """Assess one account: what `engine.assess.assess` answers, with the numbers of the compiled pass.

    Parameters
    ----------
    desk : Desk
        The market.
    account : Account
        The account, as it is.

    Returns
    -------
    Assessment or None
        Every pool and every position; the explanation is worked out by `assess` when it is asked for. None where the pass
        cannot say: an isolated position, a contract without a price, a pool that is unknown.
    """
    positions = account.positions
    if MarginMode.ISOLATED in [p.mode for p in positions]:
        return None
    columns = _columns(desk, holdings_of(account))
    pools = None if columns is None else _pools(desk, columns)
    if columns is None or pools is None:
        return None
    rulebook = desk.rulebook
    held: dict[str, list[PositionAssessment]] = {pool.currency: [] for pool in pools}
    only = pools[0].currency if desk.spans_coins and pools else None
    for position in _positions(desk, account, columns):
        held[only or position.currency].append(position)
    told = tuple(_told(pool, tuple(held[pool.currency]), rulebook) for pool in pools)

    def explain(level: str, pool: int) -> Requirement:
        return assess(account, desk.market, rulebook).explain(level, pool)

    return Assessment(
        account.name, rulebook.id, rulebook.valid_from, desk.market.at, told, desk.notes, explain
    )


def _told(
    pool: PoolStanding, positions: tuple[PositionAssessment, ...], rulebook: Rulebook
) -> PoolAssessment:
    return PoolAssessment(
        pool.name,
        MarginMode.CROSS,
        pool.currency,
        pool.equity,
        pool.equity,
        pool.initial,
        pool.maintenance,
        pool.order_margin,
        pool.status,
        positions,
        (),
        band_name(rulebook.account.bands, pool.equity, pool.maintenance, pool.status),
    )


def _positions(desk: Desk, account: Account, columns: Columns) -> list[PositionAssessment]:
    # Members of a portfolio model are charged nothing one by one.
    table, (row, count, *_) = desk.table, columns
    index = row[:count].astype(np.int64)
    valued = value_positions(table, desk.priced, index, row[count : 2 * count], row[2 * count : 3 * count])
    assets = table.assets
    rows = zip(
        account.positions,
        table.settlement[index].tolist(),
        valued.mark[0].tolist(),
        valued.profit[0].tolist(),
        valued.value[0].tolist(),
        valued.notional[0].tolist(),
        strict=True,
    )
    return [
        PositionAssessment(
            p.symbol, p.quantity, p.entry, mark, assets[paid], profit, value, notional, 0.0, 0.0, p.leverage
        )
        for p, paid, mark, profit, value, notional in rows
    ]


def _columns(desk: Desk, held: Holdings) -> Columns | None:
    # None where a contract or a coin is not known.
    rows, coins = desk.rows, desk.coins
    asked = held.order_quantities
    if not desk.counts_orders:
        asked = [0.0] * len(asked)
    try:
        row = [
            *[rows[symbol] for symbol in held.symbols],
            *held.quantities,
            *held.entries,
            *[coins[asset] for asset in held.assets],
            *held.amounts,
            *[rows[symbol] for symbol in held.order_symbols],
            *asked,
            *held.order_prices,
        ]
    except KeyError:
        return None
    return np.array(row, dtype=np.float64), len(held.symbols), len(held.assets), len(asked)


def _pools(desk: Desk, columns: Columns) -> tuple[PoolStanding, ...] | None:
    found = pools_of_one(desk.ready, columns)
    if found is None:
        return None
    pools = tuple(_standing(desk, *pool) for pool in found.T.tolist())
    return None if any(pool is None for pool in pools) else pools  # type: ignore[return-value]


def _standing(  # noqa: PLR0913 - the rows of the answer
    desk: Desk, coin: float, equity: float, initial: float, maintenance: float, orders: float, standing: float
) -> PoolStanding | None:
    if standing == UNFINISHED:
        return None
    asset = desk.table.assets[int(coin)]
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
