"""The queue before a live book: what waits, what a newer tick replaces, what is handed back; and how long it took."""

from datetime import timedelta

import pytest

from margrave.engine.live.events import Clock, Deposited, Input, Tick
from margrave.engine.live.latency import Latencies, noted, quantile
from margrave.engine.live.queue import Queue, drained, offered
from tests.unit.made import AT


def at(seconds):
    return AT + timedelta(seconds=seconds)


def tick(value, seconds=0, name="BTC"):
    return Tick(at(seconds), Input.INDEX, name, value)


def paid(amount):
    return Deposited(at=AT, account="ann", asset="BTC", amount=amount)


CASES = {  # events, capacity -> what waits, what is handed back, coalesced, late
    "in order": ([tick(1.0), paid(1.0), Clock(AT)], 3, [tick(1.0), paid(1.0), Clock(AT)], [], 0, 0),
    "the last tick stays": ([tick(1.0), paid(1.0), tick(2.0)], 2, [paid(1.0), tick(2.0)], [], 1, 0),
    "the newer tick stays": ([tick(1.0, 5), tick(2.0, 4)], 2, [tick(1.0, 5)], [], 0, 1),
    "other inputs have places": (
        [tick(1.0), tick(2.0, name="ETH")],
        2,
        [tick(1.0), tick(2.0, name="ETH")],
        [],
        0,
        0,
    ),
    "the newer clock stays": ([Clock(at(1)), Clock(AT), Clock(at(2))], 1, [Clock(at(2))], [], 1, 1),
    "full": (
        [paid(1.0), paid(2.0), paid(3.0), tick(1.0)],
        1,
        [paid(1.0)],
        [paid(2.0), paid(3.0), tick(1.0)],
        0,
        0,
    ),
    "full, and a tick that waits": ([tick(1.0), paid(1.0), tick(2.0)], 1, [tick(2.0)], [paid(1.0)], 1, 0),
    "full for a new tick": (
        [tick(1.0), tick(2.0, name="ETH")],
        1,
        [tick(1.0)],
        [tick(2.0, name="ETH")],
        0,
        0,
    ),
}


@pytest.mark.parametrize(
    ("events", "capacity", "waits", "back", "coalesced", "late"), CASES.values(), ids=CASES
)
def test_a_queue_keeps_what_it_has_room_for(events, capacity, waits, back, coalesced, late):
    queue, refused = offered(Queue(capacity), events)
    assert list(refused) == back
    assert (queue.coalesced, queue.late, queue.refused) == (coalesced, late, len(back))
    assert len(queue) == len(waits)
    empty, found = drained(queue)
    assert list(found) == waits
    assert len(empty) == 0
    assert len(events) == len(found) + queue.coalesced + queue.late + queue.refused
    again, _ = offered(empty, back)
    assert again.coalesced == coalesced


def test_a_queue_of_no_places_is_no_queue():
    with pytest.raises(ValueError, match="capacity"):
        Queue(0)


def test_waiting_times_are_told_to_a_factor_of_two():
    waited = [timedelta(microseconds=us) for us in (1, 3, 100, 1_000, 5_000)]
    found = noted(Latencies(), [AT - w for w in waited], AT)
    assert found.count == 5
    assert found.most == timedelta(microseconds=5_000)
    assert [quantile(found, share) // timedelta(microseconds=1) for share in (0.0, 0.4, 0.5, 0.8, 1.0)] == [
        2,
        4,
        128,
        1_024,
        5_000,
    ]


def test_no_event_waits_less_than_nothing_or_beyond_the_last_bin():
    found = noted(Latencies(), [at(5), AT - timedelta(days=30)], AT)
    assert quantile(found, 0.5) == timedelta(microseconds=1)
    assert quantile(found, 1.0) == timedelta(days=30)


@pytest.mark.parametrize(("found", "share"), [(Latencies(), 0.5), (noted(Latencies(), [AT], AT), 1.5)])
def test_a_quantile_of_nothing_is_refused(found, share):
    with pytest.raises(ValueError, match="must be"):
        quantile(found, share)
