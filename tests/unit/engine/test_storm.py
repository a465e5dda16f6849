"""A storm of ticks over a live book: whatever the clock does, nothing is lost and the end is the full recompute."""

import numpy as np
import pytest

from bench.storm import checked, growth, report, size_of, stormed
from bench.storm_events import between, made, recorded, script
from margrave.adapters.made_book import made_book, made_market
from margrave.engine.live.events import Clock, Filled, Funded, Input, Listed, Opened, Tick
from margrave.engine.live.screen import watched
from margrave.engine.live.venue import settled, started
from margrave.rulebook.catalogue import in_force

MARKET = made_market()


class MadeClock:
    """Time that passes by a fixed step at every look, and as asked while waiting."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now

    def wait(self, seconds):
        self.now += seconds


def run(count, seconds, step, rules="example.inverse", **more):
    book = made_book(count, 1, MARKET)
    storm = script(book, MARKET, None, seconds)
    before = started(book, MARKET, in_force(rules, MARKET.at))
    clock = MadeClock(step)
    after, figures = stormed(before, storm, 10.0, clock=clock, wait=clock.wait, **more)
    return before, after, storm, figures


def told(figures):
    return {"coalesced": figures.queue.coalesced, "handed back": figures.handed_back, "most": figures.waiting}


STORMS = {  # seconds of a look at the clock, places -> does it coalesce, is anything handed back
    "with time to spare": (1e-6, 20_000, False, False),
    "behind": (0.05, 20_000, True, False),
    "behind, and full": (0.05, 400, True, True),
}


@pytest.mark.parametrize(("step", "capacity", "coalesces", "full"), STORMS.values(), ids=STORMS)
def test_a_storm_loses_nothing(step, capacity, coalesces, full):
    before, after, storm, figures = run(150, 4.0, step, capacity=capacity)
    assert figures.sent == len(storm.events) > 2_000
    assert figures.unaccounted == 0
    assert checked(before, after, storm, figures) == ""
    assert figures.waiting <= capacity
    assert (figures.queue.coalesced > 100, figures.handed_back > 0) == (coalesces, full), told(figures)
    assert len(figures.lags) == len(storm.events) - figures.queue.coalesced - figures.queue.late
    assert min(figures.lags) > 0.0
    assert f"handed back {figures.handed_back:,}" in report(figures, storm, 10.0)


def test_a_storm_under_a_watch_loses_nothing_either():
    book = made_book(150, 1, MARKET)
    before = started(book, MARKET, in_force("example.inverse", MARKET.at))
    even = watched(before, lambda now: np.arange(0, 150, 2))  # of every other account nothing is proven
    _, after, storm, figures = run(150, 4.0, 0.05, watch=even)
    assert figures.unaccounted == 0
    assert 0 < figures.count("screened") < figures.count("touched")
    late = settled(after)[1]
    said = checked(before, after, storm, figures)
    assert said == "" if not late else "differs" in said or "left out" in said


@pytest.mark.slow
def test_a_storm_over_many_accounts_loses_nothing():
    before, after, storm, figures = run(10_000, 60.0, 0.2, rules="deribit.spm")
    assert checked(before, after, storm, figures) == ""
    assert figures.count("repeated") > 10
    assert sum(len(c.refused) for c in figures.told) > 0
    assert len(after.book.names) == 10_000 + 59
    assert sum(len(c.statuses) for c in figures.told) > 100


def test_a_check_finds_what_a_storm_lost():
    before, after, storm, figures = run(150, 2.0, 1e-6)
    assert "at once differ" in checked(before, before, storm, figures)
    figures.sent += 1
    assert checked(before, after, storm, figures) == "1 events are unaccounted for"


def test_a_script_is_the_same_every_time_and_has_every_kind():
    book = made_book(150, 1, MARKET)
    one, two = (script(book, MARKET, None, 6.0) for _ in range(2))
    assert one.events == two.events
    assert (np.diff(one.due) >= 0.0).all()
    assert one.recorded == 0
    kinds = {type(event) for event in one.events}
    assert {Tick, Clock, Filled, Funded, Listed, Opened} <= kinds
    ticks = [event for event in one.events if isinstance(event, Tick)]
    assert {t.what for t in ticks} == {Input.INDEX, Input.MARK, Input.FORWARD, Input.VOL}


def test_a_made_path_goes_through_every_recorded_tick():
    knots = made(3, 600.0)[Input.INDEX, "BTC"]
    assert knots.price[0] == 1.0
    assert 0.84 < knots.price.min() < 0.92
    rng = np.random.default_rng(1)
    at = np.union1d(knots.seconds, np.linspace(0.0, 500.0, 400))
    path = between(knots, at, rng)
    np.testing.assert_allclose(path[np.isin(at, knots.seconds)], knots.price, rtol=1e-12)
    assert np.abs(np.diff(np.log(path))).max() < 0.05


def test_recorded_bars_are_four_ticks_a_minute(shared):
    found = recorded(shared / "data/prices", 600.0)
    btc = found[Input.MARK, "BTC"]
    assert len(btc.seconds) == 40
    # open of 21:12 and low of 21:20 as the file has them
    assert btc.price.min() * 113_620.639865 == pytest.approx(102_497.485134, rel=1e-11)
    assert len(found[Input.INDEX, "BTC"].seconds) < 40  # minutes without a trade have none


def test_size_counts_an_array_once_and_what_is_repeated_not_at_all():
    column = np.zeros(100)
    seen: set[int] = set()
    assert size_of(column, seen) == 800
    assert size_of(column, seen) == 0
    assert size_of(np.broadcast_to(np.float64(1.0), 100), set()) == 0


def test_growth_is_told_by_size(capsys):
    growth("example.inverse", (200, 400), times=1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * 5
    assert "200 accounts" in lines[0]
    assert lines[4].split()[:2] == ["one", "deposit"]
