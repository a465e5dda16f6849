"""What a benchmark says, and how times are taken: by a clock of the test's own."""

import json
from math import nan

import numpy as np
import pytest

from margrave.report import timing
from margrave.report.speed import (
    NOT_INSTALLED,
    Gate,
    Row,
    Section,
    as_json,
    duration,
    goals,
    markdown,
    page,
    per_second,
)

OURS = Row("ours", 2e-3, 1_000)
THEIRS = Row("theirs", 1.0, 100, "100 of them", 3e-16)
SECTION = Section(
    "A thing",
    "piece",
    [OURS, THEIRS, *timing.missing(["absent"])],
    [Gate("G1", "over theirs", 5_000.0, 10.0), Gate("G2", "time [s]", 3.0, most=2.0)],
    {"limit": 1234.5},
)
MACHINE = {
    "processor": "P", "cores": 2, "load": (0.5, 0.4, 0.3), "system": "S", "python": "3.11", "compiler": None,
    "packages": {"numpy": "2.4", "absent": None},
}  # fmt: skip


def test_a_way_is_compared_with_ours_by_piece():
    assert SECTION.slower(OURS) == 1.0
    assert SECTION.slower(THEIRS) == pytest.approx(5_000.0)  # 10 ms a piece over 2 us
    assert SECTION.slower(Row("absent", None, 1)) is None


@pytest.mark.parametrize(
    ("gate", "reached", "wanted"),
    [
        (Gate("G", "", 10.0, 10.0), True, "≥ 10"),
        (Gate("G", "", 9.99, 10.0), False, "≥ 10"),
        (Gate("G", "", 1.2, most=1.2), True, "≤ 1.2"),
        (Gate("G", "", 1.3, most=1.2), False, "≤ 1.2"),
        (Gate("G", "", 1.0, 0.5, 1.5), True, "≥ 0.5, ≤ 1.5"),
        (Gate("G", "", nan, 0.5, 1.5), False, "≥ 0.5, ≤ 1.5"),
    ],
)
def test_a_goal_holds_within_its_bounds(gate, reached, wanted):
    assert gate.reached is reached
    assert gate.wanted == wanted


@pytest.mark.parametrize(
    ("seconds", "told", "rate"),
    [
        (3.5e-9, "3.5 ns", "285.7 M"),
        (2e-6, "2 us", "500 k"),
        (0.25, "250 ms", "4"),
        (12.0, "12 s", "0.08333"),
    ],
)
def test_times_have_the_unit_that_suits_them(seconds, told, rate):
    assert duration(seconds) == told
    assert per_second(seconds) == rate


def test_a_section_in_markdown():
    text = markdown(SECTION)
    assert "| theirs (100 of them)" in text
    assert "3.0e-16" in text
    assert f"absent ({NOT_INSTALLED})" in text
    assert "limit 1,234" in text
    assert goals(SECTION.gates) in text
    assert text.count("PASS") == 1
    assert text.count("**missed**") == 1


def test_a_page_tells_the_machine_and_counts_goals():
    text = page(MACHINE, [SECTION])
    assert "2 cores of P; S; Python 3.11; no C compiler; numpy 2.4. Load when it began: 0.5." in text
    assert "1 of 2 goals reached." in text


def test_json_has_ratios_and_the_machine():
    told = json.loads(as_json(MACHINE, [SECTION]))
    assert told["machine"]["packages"] == {"numpy": "2.4", "absent": None}
    (section,) = told["sections"]
    assert [row["times_ours"] for row in section["rows"]] == [1.0, pytest.approx(5_000.0), None]
    assert [gate["reached"] for gate in section["gates"]] == [True, False]


def test_json_takes_the_numbers_of_numpy():
    gate = Gate("G1", "a ratio", np.float64(1.5), 1.0)
    told = json.loads(as_json(MACHINE, [Section("one", "way", [], [gate])]))
    assert told["sections"][0]["gates"][0]["ratio"] == 1.5


class Clock:
    """Time that goes on only when a way is run."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def way(self, *seconds: float):
        turns = iter(seconds)
        last = seconds[-1]

        def run():
            self.now += next(turns, last)

        return run


def test_ways_take_turns_and_the_median_counts(monkeypatch):
    clock = Clock(monkeypatch)
    ways = {"one": clock.way(9.0, 1.0, 1.0, 5.0, 3.0), "two": clock.way(2.0)}
    found = timing.interleaved(ways, repeats=3, clock=lambda: clock.now)
    assert found == {"one": 3.0, "two": 2.0}  # the first two calls warm up and tell how often to call


def test_quick_ways_are_called_often_enough(monkeypatch):
    clock, calls = Clock(monkeypatch), []

    def quick():
        clock.now += 0.125
        calls.append(None)

    assert timing.interleaved({"quick": quick}, 2, lasting=1.0, clock=lambda: clock.now) == {"quick": 0.125}
    assert len(calls) == 2 + 2 * 8


def test_the_shortest_of_a_few_after_one_to_warm_up(monkeypatch):
    clock = Clock(monkeypatch)
    assert timing.least({"one": clock.way(0.5, 4.0, 2.0, 3.0)}, 3) == {"one": 2.0}


def test_two_threads_are_compared_by_their_least_time(monkeypatch):
    clock = Clock(monkeypatch)
    assert timing.quicker(clock.way(4.0, 2.0), clock.way(1.0), seconds=8.0) == 2.0


def test_the_machine_says_what_it_is():
    facts = timing.machine(("numpy", "no-such-package"))
    assert facts["processor"]
    assert facts["packages"]["numpy"]
    assert facts["packages"]["no-such-package"] is None
