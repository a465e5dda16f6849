"""Which shard an account is of, and how the answers of shards become one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any
from zlib import crc32

import numpy as np

from margrave.core.errors import Issue, MargraveError, Reason
from margrave.domain.amended import picked
from margrave.domain.book import Book, Names
from margrave.engine.books.venue import BookAssessment, PoolColumns
from margrave.engine.live.events import AccountEvent, Event, Funded, Listed, Opened
from margrave.engine.live.venue import Changes, nobody
from margrave.kernels.arrays import I64


def shard_of(account: str, count: int) -> int:
    """Shard of an account among ``count``: by its name alone, so that nobody keeps a list of who is where."""
    return crc32(account.encode()) % count


def shards_of(names: Names, count: int) -> I64:
    """Shard of each account, (A,)."""
    return np.array([shard_of(name, count) for name in names.tolist()], dtype=np.int64)


def split(book: Book, count: int) -> tuple[Book, ...]:
    """A book as ``count`` books, one a shard, each with its accounts in the order of the whole."""
    shard = shards_of(book.names, count)
    return tuple(picked(book, np.flatnonzero(shard == each)) for each in range(count))


def require_shard(book: Book, shard: int, count: int) -> None:
    """Demand that every account of a book is of one shard.

    Raises
    ------
    MargraveError
        With the first account that is not, and the shard that it is of.
    """
    astray = np.flatnonzero(shards_of(book.names, count) != shard)
    if astray.size:
        name = str(book.names[astray[0]])
        message = (
            f"row {astray[0]:,} of shard {shard} is of shard {shard_of(name, count)} of {count}; "
            "split the book with margrave.cluster.shards.split"
        )
        raise MargraveError([Issue(name, Reason.INVALID_VALUE, message)])


def owner_of(event: Event, count: int) -> int | None:
    """Shard that an event is for; None for one that every shard has to hear."""
    return shard_of(event.account, count) if isinstance(event, AccountEvent | Opened) else None


def combined(events: Sequence[Event], parts: Sequence[Changes]) -> Changes:
    """What a batch of events did, from what it did in each shard.

    Parameters
    ----------
    events : sequence of Event
        The batch.
    parts : sequence of Changes
        A shard each. What all shards hear meets the same fate in each of them, and is counted once.

    Returns
    -------
    Changes
        Changes of status shard by shard, in each in the order of its accounts.
    """
    first, at = parts[0], max(part.at for part in parts)
    count = len(parts)
    refused = [r for r in first.refused if owner_of(r.event, count) is None]
    refused += [r for part in parts for r in part.refused if owner_of(r.event, count) is not None]
    heard = {event.id for event in events if isinstance(event, Funded | Listed)}
    again = [name for name in first.again if name in heard]
    again += [name for part in parts for name in part.again if name not in heard]
    return replace(
        first,
        at=at,
        # Shards heard a part of the batch each; its latest instant is that of all its changes.
        statuses=tuple(replace(change, at=at) for part in parts for change in part.statuses),
        received=len(events),
        applied=len(events) - first.coalesced - first.late - len(again) - len(refused),
        refused=tuple(refused),
        touched=sum(part.touched for part in parts),
        again=tuple(again),
        screened=sum(part.screened for part in parts),
        amended=nobody(),  # rows of a whole that stands nowhere
    )


def gathered(parts: Sequence[BookAssessment]) -> BookAssessment:
    """Assessments of shards as one, the accounts of the first shard first."""
    symbols = _table(part.symbols for part in parts)
    assets = _table(part.assets for part in parts)
    columns: dict[str, list[Any]] = {field.name: [] for field in fields(PoolColumns)}
    issues: dict[int, tuple[Issue, ...]] = {}
    accounts = pools = 0
    for part in parts:
        told = {name: getattr(part.pools, name) for name in columns}
        told["account"] = told["account"] + accounts
        told["currency"] = _rows(part.assets, assets)[told["currency"]]
        # -1 is a cross pool: the last of the rows, which is put there for it.
        told["instrument"] = np.append(_rows(part.symbols, symbols), -1)[told["instrument"]]
        for name, column in told.items():
            columns[name].append(column)
        issues |= {pools + row: why for row, why in part.issues.items()}
        accounts += len(part.names)
        pools += len(part.pools.account)
    return replace(
        parts[0],
        names=np.concatenate([part.names for part in parts]),
        symbols=tuple(symbols),
        assets=tuple(assets),
        at=max(part.at for part in parts),
        pools=PoolColumns(**{name: np.concatenate(column) for name, column in columns.items()}),
        issues=issues,
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def _table(tables: Iterable[Iterable[str]]) -> dict[str, int]:
    table: dict[str, int] = {}
    for names in tables:
        for name in names:
            table.setdefault(name, len(table))
    return table


def _rows(names: Iterable[str], table: Mapping[str, int]) -> I64:
    return np.array([table[name] for name in names], dtype=np.int64)
