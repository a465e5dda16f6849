"""From a book to the whole numbers that a run starts from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, final

import numpy as np

from margrave.core.errors import CannotAssessError, Reason, invalid, refused
from margrave.domain.amended import with_tables
from margrave.domain.book import Book, chunk_of
from margrave.engine.live.holders import holders_of
from margrave.engine.simulation.settings import UNIT, Settings
from margrave.engine.simulation.state import UNITS_MAX, Frame, Party, State
from margrave.kernels.arrays import F64, I64
from margrave.kernels.groups import rows_of
from margrave.margin.pooled import prepare_in
from margrave.margin.resolve import Resolved

_DECIMALS: Final = 8
_EXACT: Final = 2.0**52  # lots up to which floats count
_CHUNK: Final = 20_000  # accounts that are partitioned together


@final
@dataclass(frozen=True, slots=True)
class _Partition:
    position_pool: I64
    order_pool: I64
    pool_account: I64
    margin: F64  # (P,) [settlement asset] of isolated positions; zero for others


def opened(book: Book, resolved: Resolved, settings: Settings) -> tuple[Frame, State]:
    """The frame of a run, and the state that it starts from.

    Parameters
    ----------
    book : Book
        Whatever its positions hold is put on the grid of lots, and its money on that of units.
    resolved : Resolved
        The book's instruments in the opening market.
    settings : Settings
        Grids and the fund.

    Raises
    ------
    InvalidInputError
        The settings name a symbol or an asset that the book does not have.
    CannotAssessError
        An instrument has no price: a path cannot move it.
    RefusedError
        Sums that do not fit into 63 bits: state a larger lot or unit.
    """
    _require_known(book, resolved, settings)
    book = _with_wallets(book, resolved)
    table = resolved.table
    assets, count = table.assets, len(table.assets)
    lot = _grid(_lots_of(book, settings))
    unit = _grid([settings.units.get(asset, UNIT) for asset in assets])
    own = np.array([assets.index(name) for name in book.assets], dtype=np.int64)
    settlement = table.settlement[book.instrument]
    cash = own[book.balance_asset]
    wallet = _wallets(book, cash, settlement, count)
    part = _partition(book, resolved)
    balances, positions, parties = len(book.balance), len(book.account), len(Party)
    frame = Frame(
        book,
        resolved.market,
        assets,
        table.settlement,
        lot,
        unit,
        np.concatenate((cash, settlement, cash, np.tile(np.arange(count), parties))),
        np.concatenate((book.balance_account, book.account, np.full(balances + parties * count, -1))),
        np.where(book.is_isolated, balances + np.arange(positions), wallet),
        wallet,
        part.position_pool,
        part.order_pool,
        part.pool_account,
        holders_of(book),
        _ways(part, table.base[book.instrument], count),
    )
    amounts = np.zeros(len(frame.purse_asset))
    amounts[:balances] = book.balance
    amounts[balances : balances + positions] = np.nan_to_num(part.margin)  # a pool that is unknown stays so
    pocket = frame.pocket(np.arange(balances))
    amounts[pocket] = settings.behaviour.pocket * np.maximum(book.balance, 0.0)
    for party, told in ((Party.FUND, settings.fund), (Party.BACKSTOP, settings.backstop)):
        amounts[frame.purse_of(party, np.arange(count))] = [told.get(asset, 0.0) for asset in assets]
    _require_room(frame, amounts)
    lots = np.rint(book.quantity * lot[1][book.instrument] / lot[0][book.instrument]).astype(np.int64)
    rest = np.zeros(len(book.symbols), dtype=np.int64)
    np.subtract.at(rest, book.instrument, lots)
    purse = frame.units(frame.purse_asset, amounts)
    pools = len(part.pool_account)
    cancelled = np.zeros(len(book.order_account), dtype=np.bool_)
    return frame, State(lots, rest, purse, cancelled, np.zeros(pools, dtype=np.int8), book.memory)


def _require_known(book: Book, resolved: Resolved, settings: Settings) -> None:
    assets, symbols = resolved.table.assets, book.symbols
    told = (("liquidity", settings.liquidity, symbols), ("lots", settings.lots, symbols))
    money: tuple[tuple[str, Mapping[str, float], tuple[str, ...]], ...] = (
        ("fund", settings.fund, assets),
        ("backstop", settings.backstop, assets),
        ("units", settings.units, assets),
    )
    for name, mapping, there in (*told, *money):
        lost = [key for key in mapping if key not in there]
        if lost:
            message = f"is not in the book; it has {', '.join(there[:12])}"
            raise invalid(f"{name}.{lost[0]}", Reason.NOT_FOUND, message)
    if resolved.table.issues:
        raise CannotAssessError(resolved.table.issues.values())


def _lots_of(book: Book, settings: Settings) -> list[float]:
    # As fine as floats count the whole book without a rounding, and no finer than eight decimals.
    held = np.zeros(len(book.symbols))
    np.add.at(held, book.instrument, np.abs(book.quantity))
    decimals = np.floor(np.log10(_EXACT / np.maximum(held, 1.0))).astype(np.int64)
    fine = [float(f"1e{-min(d, _DECIMALS)}") for d in decimals.tolist()]
    return [settings.lots.get(symbol, lot) for symbol, lot in zip(book.symbols, fine, strict=True)]


def _grid(sizes: list[float]) -> tuple[F64, F64]:
    exact = [Fraction(repr(size)) for size in sizes]
    return np.array([float(f.numerator) for f in exact]), np.array([float(f.denominator) for f in exact])


def _with_wallets(book: Book, resolved: Resolved) -> Book:
    # Whatever a position realises needs a balance to go to, and whatever is remembered an underlying to stand with.
    table = resolved.table
    more = np.concatenate((table.settlement, table.base)).tolist()
    book = with_tables(book, (), (table.assets[row] for row in more))
    assets = book.assets
    row = np.array([assets.index(name) if name in assets else 0 for name in table.assets], dtype=np.int64)
    wanted = book.account.astype(np.int64) * len(assets) + row[table.settlement[book.instrument]]
    has = book.balance_account.astype(np.int64) * len(assets) + book.balance_asset
    lacking = np.unique(wanted[rows_of(wanted, has) < 0])
    if not lacking.size:
        return book
    account = np.concatenate((book.balance_account, lacking // len(assets)))
    order = account.argsort(kind="stable")
    return replace(
        book,
        balance_account=account[order],
        balance_asset=np.concatenate((book.balance_asset, lacking % len(assets)))[order],
        balance=np.concatenate((book.balance, np.zeros(len(lacking))))[order],
    )


def _wallets(book: Book, balance_asset: I64, settlement: I64, count: int) -> I64:
    key = book.balance_account.astype(np.int64) * count + balance_asset
    return rows_of(book.account.astype(np.int64) * count + settlement, key)


def _partition(book: Book, resolved: Resolved) -> _Partition:
    parts: list[_Partition] = []
    pools, accounts = 0, len(book.names)
    for first in range(0, max(accounts, 1), _CHUNK):
        prepared = prepare_in(resolved, chunk_of(book, first, min(first + _CHUNK, accounts)))
        made = prepared.pools
        margin = np.where(prepared.book.is_isolated, made.bucket_balance[made.position_bucket], 0.0)
        parts.append(
            _Partition(made.position_pool + pools, made.order_pool + pools, made.account + first, margin)
        )
        pools += len(made.account)
    return _Partition(
        np.concatenate([part.position_pool for part in parts]),
        np.concatenate([part.order_pool for part in parts]),
        np.concatenate([part.pool_account for part in parts]),
        np.concatenate([part.margin for part in parts]),
    )


def _ways(part: _Partition, base: I64, count: int) -> I64:
    pools = len(part.pool_account)
    least, most = np.full(pools, count), np.full(pools, -1)
    np.minimum.at(least, part.position_pool, base)
    np.maximum.at(most, part.position_pool, base)
    return np.where(least == most, least, count)


def _require_room(frame: Frame, amounts: F64) -> None:
    money = np.zeros(len(frame.assets))
    np.add.at(
        money,
        frame.purse_asset,
        np.abs(amounts) * frame.unit[1][frame.purse_asset] / frame.unit[0][frame.purse_asset],
    )
    held = np.zeros(len(frame.book.symbols))
    at = frame.book.instrument
    np.add.at(held, at, np.abs(frame.book.quantity) * frame.lot[1][at] / frame.lot[0][at])
    for name, sums, names in (("units", money, frame.assets), ("lots", held, frame.book.symbols)):
        full = np.flatnonzero(~(sums < UNITS_MAX))
        if full.size:
            message = (
                f"has {sums[full[0]]:.3g} {name}, which 63 bits do not hold; state a larger one in `{name}`"
            )
            raise refused(names[int(full[0])], Reason.INVALID_VALUE, message)
