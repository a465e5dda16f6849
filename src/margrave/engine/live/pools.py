"""Pools of a live book as columns: parts of them replaced, their statuses compared, two of them told apart."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from margrave.core.errors import Issue
from margrave.domain.amended import rows_of_owners
from margrave.domain.book import Names
from margrave.engine.assessment import Status
from margrave.engine.books.venue import STATUSES, BookAssessment, PoolColumns
from margrave.kernels.arrays import F64, I64

_COLUMNS: Final = tuple(f.name for f in fields(PoolColumns))
_IDENTITY: Final = ("account", "currency", "instrument")
_HEALTHY: Final = STATUSES.index(Status.HEALTHY)


@final
@dataclass(frozen=True, slots=True)
class LivePools:
    """Pools in the order of accounts, and why some are unknown."""

    columns: PoolColumns
    issues: Mapping[int, tuple[Issue, ...]]  # pool row -> why it is unknown


@final
@dataclass(frozen=True, slots=True)
class Words:
    """Names that rows of pools point to."""

    names: Names  # (A,)
    symbols: tuple[str, ...]
    assets: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class StatusChange:
    """A pool whose status is another; one that is not there, before or after, counts as healthy."""

    at: datetime  # latest instant of the events that did it
    account: str
    pool: str  # its mode, and its only position or its currency
    before: Status
    after: Status
    ratio_before: float  # maintenance over margin balance; NaN where unknown, zero where there is no pool
    ratio_after: float


@final
@dataclass(frozen=True, slots=True)
class Difference:
    """Where two calculations of one book part."""

    account: str  # the first that differs
    column: str
    live: float
    full: float


def pools_from(found: BookAssessment, accounts: I64 | None = None) -> LivePools:
    """Pools of an assessment, whose accounts are those rows of the whole book; the same rows by default."""
    columns = {name: getattr(found.pools, name) for name in _COLUMNS}
    if accounts is not None:
        columns["account"] = accounts[found.pools.account]
    return LivePools(PoolColumns(**columns), found.issues)


def in_assets(pools: LivePools, rows: I64) -> LivePools:
    """Pools that point into another table of assets: row of it for each row of the table before."""
    columns = pools.columns
    return replace(pools, columns=replace(columns, currency=rows[columns.currency]))


def with_numbers_of(pools: LivePools, full: LivePools, accounts: I64) -> LivePools:
    """Pools with the numbers and reasons of another calculation for some accounts, ascending; statuses stay.

    Where the two have other pools, all of it stays.
    """
    rows, _ = rows_of_owners(pools.columns.account, accounts)
    there, _ = rows_of_owners(full.columns.account, accounts)
    some = PoolColumns(*(getattr(full.columns, name)[there] for name in _COLUMNS))
    if not rows.size or not np.array_equal(rows, there) or not _same(pools.columns, rows, some):
        return pools
    some = replace(some, status=pools.columns.status[rows])
    mine = set(rows.tolist())
    issues = {row: told for row, told in pools.issues.items() if row not in mine}
    issues |= {row: told for row, told in full.issues.items() if row in mine}
    columns = PoolColumns(*(_written(pools.columns, some, name, rows) for name in _COLUMNS))
    return LivePools(columns, issues)


def _same(one: PoolColumns, rows: I64, two: PoolColumns) -> bool:
    return all(np.array_equal(getattr(one, name)[rows], getattr(two, name)) for name in _IDENTITY)


def merged(pools: LivePools, fresh: LivePools, accounts: I64) -> LivePools:
    """Pools with those of some accounts, ascending, replaced by fresh ones, be they as many or not."""
    old, new = pools.columns, fresh.columns
    rows, _ = rows_of_owners(old.account, accounts)
    if _same(old, rows, new):
        columns = [_written(old, new, name, rows) for name in _COLUMNS]
        return LivePools(PoolColumns(*columns), _retold(pools.issues, rows, fresh.issues))
    stay = np.ones(len(old.account), dtype=np.bool_)
    stay[rows] = False
    order = np.concatenate((old.account[stay], new.account)).argsort(kind="stable")
    columns = [np.concatenate((getattr(old, name)[stay], getattr(new, name)))[order] for name in _COLUMNS]
    goes = np.empty(len(order), dtype=np.int64)
    goes[order] = np.arange(len(order))
    place = np.zeros(len(stay), dtype=np.int64)
    place[stay], place_new = goes[: stay.sum()], goes[stay.sum() :]
    issues = {int(place[row]): told for row, told in pools.issues.items() if stay[row]}
    issues |= {int(place_new[row]): told for row, told in fresh.issues.items()}
    return LivePools(PoolColumns(*columns), issues)


def _retold(
    issues: Mapping[int, tuple[Issue, ...]], rows: I64, fresh: Mapping[int, tuple[Issue, ...]]
) -> Mapping[int, tuple[Issue, ...]]:
    # Reasons of pools, those of some rows replaced by fresh ones; the same mapping where there are none.
    if not issues and not fresh:
        return issues
    mine = set(rows.tolist())
    kept = {row: told for row, told in issues.items() if row not in mine}
    return kept | {int(rows[row]): told for row, told in fresh.items()}


def _written(old: PoolColumns, new: PoolColumns, name: str, rows: I64) -> NDArray[Any]:
    column: NDArray[Any] = getattr(old, name)
    if name in _IDENTITY:
        return column
    column = column.copy()
    column[rows] = getattr(new, name)
    return column


def changed_statuses(
    pools: LivePools, fresh: LivePools, accounts: I64, words: Words, at: datetime
) -> tuple[StatusChange, ...]:
    """Pools of some accounts whose status is another than before, in the order of accounts."""
    old, new = pools.columns, fresh.columns
    was, now, apart = _aligned(old, new, accounts)
    moved = np.flatnonzero(old.status[was] != new.status[now])
    was, now = was[moved], now[moved]
    if apart.size:
        mine, _ = rows_of_owners(old.account, apart)
        theirs, _ = rows_of_owners(new.account, apart)
        other = np.array(list(_paired(old, mine, new, theirs)), dtype=np.int64).reshape(-1, 2).T
        was, now = np.concatenate((was, other[0])), np.concatenate((now, other[1]))
    one, two = _stand(old, was), _stand(new, now)
    account, currency, instrument = (_taken(old, was, new, now, name) for name in _IDENTITY)
    rows = np.flatnonzero(one[0] != two[0])
    rows = rows[account[rows].argsort(kind="stable")]
    columns = (currency, instrument, one[0], two[0], one[1], two[1])
    told = zip(words.names[account[rows]].tolist(), *(c[rows].tolist() for c in columns), strict=True)
    return tuple(
        StatusChange(at, name, _pool_name(words, asset, held), STATUSES[before], STATUSES[after], *ratios)
        for name, asset, held, before, after, *ratios in told
    )


def _pool_name(words: Words, currency: int, instrument: int) -> str:
    return f"isolated {words.symbols[instrument]}" if instrument >= 0 else f"cross {words.assets[currency]}"


def _taken(old: PoolColumns, was: I64, new: PoolColumns, now: I64, name: str) -> I64:
    # What a pool is now, or was where it is there no more.
    taken = np.empty(len(was), dtype=np.int64)
    there = now >= 0
    taken[there] = getattr(new, name)[now[there]]
    taken[~there] = getattr(old, name)[was[~there]]
    return taken


def _aligned(old: PoolColumns, new: PoolColumns, accounts: I64) -> tuple[I64, I64, I64]:
    # Rows before and after of the accounts whose pools are the same ones, and the accounts of which they are not.
    was, which_old = rows_of_owners(old.account, accounts)
    if _same(old, was, new):
        return was, np.arange(len(was)), accounts[:0]
    now, which_new = rows_of_owners(new.account, accounts)
    count = len(accounts)
    differs = np.bincount(which_old, minlength=count) != np.bincount(which_new, minlength=count)
    one, two = ~differs[which_old], ~differs[which_new]
    other = np.zeros(int(one.sum()), dtype=np.bool_)
    for name in _IDENTITY:
        other |= getattr(old, name)[was[one]] != getattr(new, name)[now[two]]
    differs[which_old[one][other]] = True
    return was[~differs[which_old]], now[~differs[which_new]], accounts[differs]


def _paired(old: PoolColumns, rows: I64, new: PoolColumns, fresh: I64) -> Iterator[tuple[int, int]]:
    # The n-th pool of an identity is the n-th before; -1 where there is none.
    waiting: dict[tuple[int, ...], deque[int]] = {}
    for row in rows.tolist():
        waiting.setdefault(_identity(old, row), deque()).append(row)
    for row in fresh.tolist():
        were = waiting.get(_identity(new, row))
        yield (were.popleft() if were else -1), row
    for left in waiting.values():
        yield from ((row, -1) for row in left)


def _identity(columns: PoolColumns, row: int) -> tuple[int, ...]:
    return tuple(int(getattr(columns, name)[row]) for name in _IDENTITY)


def _stand(columns: PoolColumns, rows: I64) -> tuple[I64, F64]:
    # Status and ratio of some pools; healthy where there is none.
    there = rows >= 0
    some = PoolColumns(*(getattr(columns, name)[rows[there]] for name in _COLUMNS))
    status, ratio = np.full(len(rows), _HEALTHY), np.zeros(len(rows))
    status[there], ratio[there] = some.status, some.ratio
    return status, ratio


def first_difference(live: LivePools, full: LivePools, names: Names) -> Difference | None:
    """First account of which a bit of a number, a pool, or the reason why it is unknown differs; None where none does."""
    one, two = live.columns, full.columns
    count = min(len(one.account), len(two.account))
    for name in _IDENTITY:
        apart = np.flatnonzero(getattr(one, name)[:count] != getattr(two, name)[:count])
        count = int(apart[0]) if apart.size else count
    found = [row for row in (_first(one, two, name, count) for name in _COLUMNS) if row is not None]
    issues = [
        (row, "issues")
        for row in live.issues.keys() | full.issues.keys()
        if row < count and live.issues.get(row) != full.issues.get(row)
    ]
    if found or issues:
        row, column = min((*found, *issues))
        known = column in _COLUMNS
        told = [float(getattr(c, column)[row]) if known else float("nan") for c in (one, two)]
        return Difference(str(names[one.account[row]]), column, *told)
    if count == len(one.account) == len(two.account):
        return None
    owners = [float(c.account[count]) if count < len(c.account) else float("nan") for c in (one, two)]
    return Difference(str(names[int(np.nanmin(owners))]), "account", *owners)


def _first(one: PoolColumns, two: PoolColumns, name: str, count: int) -> tuple[int, str] | None:
    a, b = getattr(one, name)[:count], getattr(two, name)[:count]
    other = a != b
    if a.dtype == np.float64:  # to the bit: zero has two signs; what is not known is not known
        other = (a.view(np.int64) != b.view(np.int64)) & ~(np.isnan(a) & np.isnan(b))
    rows = np.flatnonzero(other)
    return (int(rows[0]), name) if rows.size else None
