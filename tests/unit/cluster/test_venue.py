"""Real Ray workers: the digits of one process, whoever is killed, and clear errors."""

import os
import time

import pytest

from margrave.core.errors import MargraveError
from margrave.engine.books.venue import assess_book
from margrave.engine.live.venue import advance
from margrave.engine.live.venue import started as alone
from tests.unit import made_books
from tests.unit.cluster.made_shards import RULES, batches, by_account, told, venue

ray = pytest.importorskip("ray", reason="the extra `cluster` is not installed")

from margrave.cluster.shards import split  # noqa: E402
from margrave.cluster.venue import Settings, started  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning")]
RULEBOOK = RULES[0]


@pytest.fixture(scope="module", autouse=True)
def _ray():
    ray.init(
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        object_store_memory=200_000_000,
    )
    yield
    ray.shutdown()


def _kill(worker):
    """Kill a worker and wait until Ray knows it: `ray.kill` asks, and what was sent just after may still be answered."""
    ray.kill(worker)
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        try:
            ray.get(worker.audited.remote(), timeout=60.0)
        except ray.exceptions.RayActorError:
            return
        time.sleep(0.01)
    raise AssertionError("a killed worker went on answering")


@pytest.mark.parametrize("snapshot_every", [2, None])
def test_a_worker_that_is_killed_in_the_middle_loses_nothing(snapshot_every):
    book, events = venue(23, RULEBOOK, accounts=40, events=90)
    whole = alone(book, made_books.MARKET, RULEBOOK)
    settings = Settings(snapshot_every=snapshot_every)
    with started(split(book, 3), made_books.MARKET, RULEBOOK, settings) as cluster:
        assert cluster.accounts == 40
        for number, batch in enumerate(batches(events, 15)):
            if number in (1, 4):
                _kill(cluster.workers()[number % 3])
            whole, changes = advance(whole, batch)
            assert told(cluster.advance(batch)) == told(changes)
        assert cluster.replaced == 2
        _kill(cluster.workers()[2])  # the state is asked for, not moved
        found = cluster.assessment()
        assert cluster.replaced == 3
        assert cluster.audited() is None
    assert by_account(found) == by_account(assess_book(whole.book, whole.market, RULEBOOK))


def _dies():
    os._exit(1)


def test_a_shard_that_kills_every_worker_is_an_error_that_says_where_to_look():
    with pytest.raises(
        MargraveError, match="lost 3 times while it repeated 0 batches; look at the memory"
    ) as error:
        started([_dies], made_books.MARKET, RULEBOOK)
    assert error.value.issues[0].where == "shard 0"


def test_an_account_in_the_wrong_shard_stops_the_start():
    book, _ = venue(3, RULEBOOK, accounts=12)
    with pytest.raises(MargraveError, match="split the book"):
        started([book, book], made_books.MARKET, RULEBOOK)


def test_no_shard_is_an_error():
    with pytest.raises(MargraveError, match="give one book or more"):
        started([], made_books.MARKET, RULEBOOK)


def test_a_worker_that_does_not_answer_in_time_is_replaced_and_in_the_end_given_up():
    book, _ = venue(3, RULEBOOK, accounts=4)
    with pytest.raises(MargraveError, match="lost 3 times"):
        started([book], made_books.MARKET, RULEBOOK, Settings(patience=0.001))
