"""A market that stands ready for one account after another, through the compiled pass: some microseconds a question.

What is asked about is plain columns, or an account. What the pass cannot serve (an isolated position beside scenarios, an option beside margin by
size, a contract that nobody lists or that has no price, an amount that is none) is answered by None, and is a question to the calculator.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isnan
from typing import final

import msgspec
import numpy as np

from margrave.core.errors import Reason, refused
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Position
from margrave.domain.market import Market
from margrave.engine.assess import assess, band_name, notes_of
from margrave.engine.assessment import Assessment, PoolAssessment, PositionAssessment, Status
from margrave.engine.books.ladder_swept import ladder_sweep_of
from margrave.engine.books.laid import contracts_of, spans_coins
from margrave.engine.books.swept import sweep_of
from margrave.engine.books.venue import STATUSES
from margrave.engine.holdings import (
    NOT_CHOSEN,
    Holdings,
    Row,
    holdings_of,
    row_of,
    sized_holdings_of,
    sized_row_of,
)
from margrave.engine.whatif import Leg, taken
from margrave.kernels.arrays import F64
from margrave.kernels.compiled.coin_pools import UNFINISHED
from margrave.kernels.compiled.one_account import STANDING, OneAccount, one_account, pools_of_one
from margrave.kernels.compiled.one_by_size import POSITION, OneBySize, one_by_size, pools_by_size
from margrave.margin.requirement import Requirement
from margrave.margin.resolve import Resolved, resolve
from margrave.rulebook.schema import OrderRule, Rulebook
from margrave.valuation.positions import value_positions
from margrave.valuation.scenarios import Priced, now
from margrave.valuation.table import Table


@final
class PoolStanding(msgspec.Struct, frozen=True):
    """Where one pool stands; money in its currency."""

    name: str
    currency: str
    equity: float
    margin_balance: float
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
    ready: OneAccount | OneBySize
    counts_orders: bool
    spans_coins: bool
    notes: tuple[str, ...]

    @property
    def by_size(self) -> bool:
        """Whether margin is by size, which leverage and isolated positions are part of; else it is by scenarios."""
        return isinstance(self.ready, OneBySize)


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
    table = resolved.table
    currency = resolved.currency if spans_coins(rulebook) else None
    return Desk(
        market,
        rulebook,
        {symbol: row for row, symbol in enumerate(symbols)},
        {asset: row for row, asset in enumerate(table.assets)},
        table,
        now(table),
        _ready(resolved, symbols, currency),
        rulebook.account.orders is not OrderRule.NONE,
        currency is not None,
        notes_of(rulebook, market.at),
    )


def _ready(resolved: Resolved, symbols: tuple[str, ...], currency: int | None) -> OneAccount | OneBySize:
    contracts = contracts_of(resolved.table)
    by_size = ladder_sweep_of(resolved)
    if by_size is not None:
        return one_by_size(by_size.terms, contracts, by_size.directional)
    sweep = sweep_of(resolved, symbols)
    if sweep is None:
        told = "has no compiled form; make a calculator (engine.calculator), which serves every rulebook"
        raise refused(resolved.rulebook.id, Reason.UNSUPPORTED, told)
    return one_account(sweep.terms, sweep.levels, contracts, sweep.rate, currency)


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
    found = _found(desk, held)
    return None if found is None else _standings(desk, held, found.pools)


@final
class _Found(msgspec.Struct, frozen=True, gc=False):
    # What the pass says of an account.
    row: Row
    pools: F64  # (6 or 8, K)
    charged: F64  # (2, P) margins of positions; members of a portfolio model are charged nothing one by one


def _found(desk: Desk, held: Holdings) -> _Found | None:
    # None where a contract or a coin is not known, or a number is none.
    ready, told = desk.ready, desk.counts_orders
    try:
        if isinstance(ready, OneBySize):
            row = sized_row_of(held, desk.rows, desk.coins, counts_orders=told)
            found = pools_by_size(ready, row)
            return None if found is None else _Found(row, *found)
        row = row_of(held, desk.rows, desk.coins, counts_orders=told)
    except KeyError:
        return None
    pools = pools_of_one(ready, row)
    return None if pools is None else _Found(row, pools, _NOTHING_CHARGED)


_NOTHING_CHARGED = np.zeros((2, 0))


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
        cannot say: an isolated position beside scenarios, what a schedule remembers, a contract without a price, a pool that is
        unknown.
    """
    positions = account.positions
    ready = desk.ready
    if isinstance(ready, OneBySize):
        if ready.nets and account.memory:
            return None
        held = sized_holdings_of(account)
    elif MarginMode.ISOLATED in [p.mode for p in positions]:
        return None
    else:
        held = holdings_of(account)
    found = _found(desk, held)
    pools = None if found is None else _standings(desk, held, found.pools)
    if found is None or pools is None:
        return None
    rulebook = desk.rulebook
    told = _assessed(desk, account, found, pools)

    def explain(level: str, pool: int) -> Requirement:
        return assess(account, desk.market, rulebook).explain(level, pool)

    return Assessment(
        account.name, rulebook.id, rulebook.valid_from, desk.market.at, told, desk.notes, explain
    )


def _assessed(
    desk: Desk, account: Account, found: _Found, pools: tuple[PoolStanding, ...]
) -> tuple[PoolAssessment, ...]:
    # Positions by the pool that they are in.
    alone = found.pools[POSITION].tolist() if desk.by_size else [-1.0] * len(pools)
    held: dict[str, list[PositionAssessment]] = {pool.currency: [] for pool in pools}
    only = pools[0].currency if desk.spans_coins and pools else None
    positions = _positions(desk, account, found)
    for mine, position in zip(account.positions, positions, strict=True):
        if mine.mode is MarginMode.CROSS:
            held[only or position.currency].append(position)
    return tuple(
        _told(pool, tuple(held[pool.currency]), MarginMode.CROSS, desk.rulebook)
        if own < 0.0
        else _told(pool, (positions[int(own)],), MarginMode.ISOLATED, desk.rulebook)
        for pool, own in zip(pools, alone, strict=True)
    )


def _told(
    pool: PoolStanding, positions: tuple[PositionAssessment, ...], mode: MarginMode, rulebook: Rulebook
) -> PoolAssessment:
    return PoolAssessment(
        pool.name,
        mode,
        pool.currency,
        pool.equity,
        pool.margin_balance,
        pool.initial,
        pool.maintenance,
        pool.order_margin,
        pool.status,
        positions,
        (),
        band_name(rulebook.account.bands, pool.margin_balance, pool.maintenance, pool.status),
    )


def _positions(desk: Desk, account: Account, found: _Found) -> list[PositionAssessment]:
    table, (row, count, *_) = desk.table, found.row
    index = row[:count].astype(np.int64)
    valued = value_positions(table, desk.priced, index, row[count : 2 * count], row[2 * count : 3 * count])
    assets, nothing = table.assets, [0.0] * count
    initial, maintenance = found.charged.tolist() if desk.by_size else (nothing, nothing)
    rows = zip(
        account.positions,
        table.settlement[index].tolist(),
        valued.mark[0].tolist(),
        valued.profit[0].tolist(),
        valued.value[0].tolist(),
        valued.notional[0].tolist(),
        initial,
        maintenance,
        strict=True,
    )
    return [
        PositionAssessment(
            p.symbol, p.quantity, p.entry, mark, assets[paid], profit, value, notional, im, mm, p.leverage
        )
        for p, paid, mark, profit, value, notional, im, mm in rows
    ]


def _standings(desk: Desk, held: Holdings, found: F64) -> tuple[PoolStanding, ...] | None:
    rows = found.T.tolist()
    if UNFINISHED in [row[STANDING] for row in rows]:
        return None
    return tuple([_standing(desk.table.assets, held.symbols, *row) for row in rows])


def _standing(  # noqa: PLR0913 - the rows of the answer
    assets: tuple[str, ...],
    symbols: list[str],
    coin: float,
    equity: float,
    initial: float,
    maintenance: float,
    orders: float,
    standing: float,
    position: float = -1.0,
    counted: float | None = None,
) -> PoolStanding:
    balance = equity if counted is None else counted
    asset = assets[int(coin)]
    name = f"cross {asset}" if position < 0.0 else f"isolated {symbols[int(position)]}"
    ratio = 0.0 if maintenance == 0.0 else maintenance / balance if balance > 0.0 else None
    status = STATUSES[int(standing)]
    return PoolStanding(name, asset, equity, balance, initial, maintenance, orders, ratio, status)


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
        None where a contract is not known, or one that is held isolated is traded.

    Raises
    ------
    ValueError
        A quantity or price is none.
    """
    symbols, quantities, entries = [*held.symbols], [*held.quantities], [*held.entries]
    leverages, margins = [*held.leverages], [*held.margins]
    assets, amounts = [*held.assets], [*held.amounts]
    for leg in legs:
        instrument, quote = desk.market.instruments.get(leg.symbol), desk.market.quotes.get(leg.symbol)
        if instrument is None or quote is None:
            return None
        price = quote.mark if leg.price is None else leg.price
        row = symbols.index(leg.symbol) if leg.symbol in symbols else len(symbols)
        if row == len(symbols):
            symbols.append(leg.symbol)
            quantities.append(0.0)
            entries.append(price)
            leverages += [NOT_CHOSEN] * bool(held.leverages)
            margins += [NOT_CHOSEN] * bool(held.margins)
        elif margins and not isnan(margins[row]):  # what it opens or closes moves margin
            return None
        before = Position(symbol=leg.symbol, quantity=quantities[row], entry=entries[row])
        position, cash = taken(instrument, desk.market, before, leg.quantity, price)
        quantities[row], entries[row] = position.quantity, position.entry
        assets.append(instrument.settlement)
        amounts.append(cash)
    return msgspec.structs.replace(
        held,
        symbols=symbols,
        quantities=quantities,
        entries=entries,
        assets=assets,
        amounts=amounts,
        leverages=leverages,
        margins=margins,
    )
