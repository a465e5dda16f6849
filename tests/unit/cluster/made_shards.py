"""A venue in one process and the same in shards, and what of them has to be equal."""

from dataclasses import fields

import numpy as np

from margrave.domain.book import book_of
from margrave.engine.books.venue import PoolColumns
from tests.property.test_live_laws import random_events
from tests.unit import made_books

RULES = made_books.rulebooks()


def venue(seed, rulebook, accounts=24, events=60):
    made = made_books.accounts(seed, accounts, rulebook)
    return book_of(made), random_events(seed, events, made)


def batches(events, size):
    return [events[start : start + size] for start in range(0, len(events), size)]


def told(changes):
    """All that changes say, without the order of shards."""
    refused = sorted((str(r.event), str(r.issue)) for r in changes.refused)
    statuses = sorted(map(str, changes.statuses))
    return changes.at, statuses, changes.received, changes.applied, changes.coalesced, changes.late, refused


def by_account(found):
    """Bits of every pool's numbers, account by account."""
    pools, told = found.pools, {}
    numbers = [f.name for f in fields(PoolColumns) if f.name not in ("account", "currency", "instrument")]
    for row, account in enumerate(pools.account.tolist()):
        alone = int(pools.instrument[row])
        name = found.symbols[alone] if alone >= 0 else "cross"
        key = (str(found.names[account]), found.assets[int(pools.currency[row])], name)
        values = tuple(np.asarray(getattr(pools, name)[row]).tobytes() for name in numbers)
        told.setdefault(key, []).append((values, found.issues.get(row)))
    return told
