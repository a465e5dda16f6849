"""Shards answer as the whole does."""

from functools import partial

import numpy as np
import pytest

from margrave.cluster.shards import combined, gathered, owner_of, require_shard, shard_of, shards_of, split
from margrave.cluster.worker import Worker
from margrave.core.errors import MargraveError
from margrave.domain.book import account_of, book_of, names_of
from margrave.engine.books.venue import assess_book
from margrave.engine.live.venue import advance, started
from tests.unit import made_books
from tests.unit.cluster.made_shards import RULES, batches, by_account, told, venue


def same(book):
    return book


def workers_of(book, count, rulebook):
    made = [Worker(1) for _ in range(count)]
    for k, (worker, part) in enumerate(zip(made, split(book, count), strict=True)):
        assert worker.start(partial(same, part), k, count, made_books.MARKET, rulebook) == len(part.names)
    return made


def advanced(workers, events):
    numbered = list(enumerate(events))
    owners = [owner_of(event, len(workers)) for event in events]
    parts = []
    for k, worker in enumerate(workers):
        heard, own = (
            [pair for pair, owner in zip(numbered, owners, strict=True) if owner == who] for who in (None, k)
        )
        parts.append(worker.advance(heard, own))
    return combined(events, parts)


@pytest.mark.parametrize("rulebook", RULES[::3], ids=lambda r: r.id)
@pytest.mark.parametrize("count", [1, 3])
def test_shards_tell_what_the_whole_tells(rulebook, count):
    book, events = venue(11, rulebook)
    whole, workers = started(book, made_books.MARKET, rulebook), workers_of(book, count, rulebook)
    for batch in batches(events, 15):
        whole, changes = advance(whole, batch)
        shards = advanced(workers, batch)
        assert told(shards) == told(changes)
        assert shards.touched == changes.touched
    full = assess_book(whole.book, whole.market, rulebook)
    found = gathered([worker.assessment() for worker in workers])
    assert by_account(found) == by_account(full)
    assert found.notes == full.notes
    assert all(worker.audited() is None for worker in workers)


def test_tables_of_shards_that_were_made_apart_are_put_together():
    rulebook = RULES[0]
    book, _ = venue(5, rulebook)
    apart = [book_of(account_of(part, r) for r in range(len(part.names))) for part in split(book, 3)]
    found = gathered([assess_book(part, made_books.MARKET, rulebook) for part in apart])
    assert by_account(found) == by_account(assess_book(book, made_books.MARKET, rulebook))


def test_a_split_loses_nobody_and_keeps_their_order():
    book, _ = venue(2, RULES[0], accounts=50)
    parts = split(book, 4)
    assert sorted(n for part in parts for n in part.names.tolist()) == sorted(book.names.tolist())
    for k, part in enumerate(parts):
        require_shard(part, k, 4)
        rows = [book.names.tolist().index(name) for name in part.names.tolist()]
        assert rows == sorted(rows)
        assert [account_of(part, i) for i in range(len(rows))] == [account_of(book, row) for row in rows]


def test_the_shard_of_a_name_never_changes():
    # CRC-32 of the name (RFC 1952), modulo the count: 0xCBF43926 of "123456789".
    assert shard_of("123456789", 1000) == 0xCBF43926 % 1000
    assert shards_of(names_of(["123456789", "é"]), 7).tolist() == [0xCBF43926 % 7, shard_of("é", 7)]


def test_an_account_in_the_wrong_shard_is_named():
    book, _ = venue(2, RULES[0])
    right = int(np.argmax(shards_of(book.names, 2) == 1))
    with pytest.raises(MargraveError, match=r"is of shard 1 of 2; split the book") as error:
        require_shard(book, 0, 2)
    assert error.value.issues[0].where == str(book.names[right])


def test_a_worker_without_a_shard_says_so():
    with pytest.raises(RuntimeError, match="call start or resume first"):
        Worker(1).state()
