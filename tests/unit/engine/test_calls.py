"""Margin calls over time: each way in which one ends, timed (spec DM-7)."""

import numpy as np
import pytest

from margrave.engine.paths.calls import CallCounts, CallRule, advance, counted, no_calls

RULE = CallRule(grace_seconds=60.0, least=1.0)
NOTHING = np.zeros(1)


def run(rows, rule=RULE):
    """States and events of one pool over rows of time, requirement, balance and what was paid in."""
    calls, told, counts = no_calls(1), [], CallCounts()
    for at, required, balance, paid in rows:
        calls, events = advance(calls, at, np.array([required]), np.array([balance]), np.array([paid]), rule)
        counts = counted(counts, events)
        names = ("issued", "partly_met", "met", "lifted", "defaulted")
        told.append([name for name in names if getattr(events, name)[0]])
    return calls, told, counts


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([(0, 10, 12, 0)], [[]]),
        ([(0, 10, 8, 0), (30, 10, 10, 2)], [["issued"], ["met"]]),
        ([(0, 10, 8, 0), (30, 10, 11, 0)], [["issued"], ["lifted"]]),  # the price did it
        ([(0, 10, 8, 0), (30, 10, 9, 1), (59, 10, 10, 1)], [["issued"], ["partly_met"], ["met"]]),
        ([(0, 10, 8, 0), (30, 10, 9, 1), (60, 10, 9, 0)], [["issued"], ["partly_met"], ["defaulted"]]),
        # called once more although it paid: the price fell
        ([(0, 10, 8, 0), (30, 10, 7, 2)], [["issued"], ["issued", "met"]]),
        # nothing is called after a default until the pool has recovered
        (
            [(0, 10, 8, 0), (60, 10, 8, 0), (70, 10, 5, 0), (80, 10, 11, 0), (90, 10, 8, 0)],
            [["issued"], ["defaulted"], [], [], ["issued"]],
        ),
        ([(0, 10, 9.5, 0), (1, 10, 9, 0)], [[], ["issued"]]),  # less than the least amount
        ([(0, 10, 8, 0), (99, np.nan, 8, 0), (100, 10, 10, 2)], [["issued"], [], ["met"]]),  # unknown: waits
    ],
)
def test_a_call_from_issue_to_end(rows, told):
    assert run(rows)[1] == told


def test_the_buffer_is_part_of_what_is_asked():
    calls, _, _ = run([(5, 10, 10, 0)], CallRule(grace_seconds=60.0, buffer=0.2))
    assert (calls.asked[0], calls.issued[0], calls.due[0]) == (2.0, 5.0, 65.0)


def test_counts_and_latencies():
    rows = [(0, 10, 8, 0), (30, 10, 10, 2), (40, 10, 9, 0), (50, 10, 10, 1), (60, 10, 8, 0), (125, 10, 8, 0)]
    _, _, counts = run([*rows, (130, 10, 11, 0), (140, 10, 8, 0)])
    assert (counts.issued, counts.met, counts.lifted, counts.defaulted, counts.open) == (4, 2, 0, 1, 1)
    assert counts.mean_seconds_to_met == pytest.approx(20.0)
    assert counts.longest_open == 65.0
    assert np.isnan(CallCounts().mean_seconds_to_met)


def test_rows_do_not_meet():
    required, paid = np.array([10.0, 10.0, 10.0]), np.zeros(3)
    calls, events = advance(no_calls(3), 0.0, required, np.array([8.0, 12.0, 9.0]), paid, RULE)
    assert events.issued.tolist() == [True, False, True]
    _, events = advance(calls, 10.0, required, np.array([10.0, 8.0, 9.0]), np.array([2.0, 0.0, 0.0]), RULE)
    assert events.met.tolist() == [True, False, False]
    assert events.issued.tolist() == [False, True, False]


def test_every_call_ends_once_or_is_open():
    g = np.random.default_rng(5)
    calls, counts = no_calls(200), CallCounts()
    for step in range(300):
        balance, paid = g.uniform(5.0, 15.0, 200), g.choice([0.0, 0.0, 2.0], 200)
        calls, events = advance(calls, 10.0 * step, np.full(200, 9.0), balance, paid, RULE)
        counts = counted(counts, events)
        ends = events.met.astype(int) + events.lifted + events.defaulted
        assert ends.max() <= 1
        assert (np.isnan(events.waited) == (ends == 0)).all()
        assert counts.open == calls.is_open.sum()
        assert not (calls.is_open & calls.is_defaulted).any()
    assert min(counts.met, counts.lifted, counts.defaulted) > 0


@pytest.mark.parametrize(
    ("name", "value"), [("grace_seconds", -1.0), ("buffer", -0.1), ("least", float("nan"))]
)
def test_a_rule_that_is_none_is_refused(name, value):
    with pytest.raises(ValueError, match=name):
        CallRule(**{"grace_seconds": 1.0, name: value})


def test_time_does_not_run_back():
    calls, _ = advance(no_calls(1), 9.0, np.array([10.0]), np.array([5.0]), NOTHING, RULE)
    with pytest.raises(ValueError, match="at"):
        advance(calls, 8.0, np.array([10.0]), np.array([5.0]), NOTHING, RULE)


def test_a_payment_below_zero_is_refused():
    with pytest.raises(ValueError, match="paid_in"):
        advance(no_calls(1), 0.0, NOTHING, NOTHING, np.array([-1.0]), RULE)
