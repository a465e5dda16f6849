"""Nobody is missed who is not asked: a run with the screen has the bytes of one that margins everybody at every move."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

import margrave.engine.simulation.scene as scene_room
from margrave.adapters.made_book import made_book, made_market
from margrave.engine.books.venue import assess_book
from margrave.engine.live.pools import first_difference, pools_from
from margrave.engine.simulation.events import log_bytes
from margrave.engine.simulation.path import Path
from margrave.engine.simulation.run import simulate
from margrave.engine.simulation.screen import NEVER, certain
from margrave.engine.simulation.settings import (
    Behaviour,
    Costs,
    Depth,
    Impact,
    IndexMark,
    LastMark,
    Liquidity,
    Settings,
)
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.reform import with_schedule
from margrave.rulebook.schedules import Discipline, Reference
from tests.property.test_simulation_laws import RULEBOOKS, made_run
from tests.unit.made import T1, rules

MARKET = made_market()
INVERSE = in_force("example.inverse", MARKET.at)
MADE = {
    "flat": rules(),
    "inverse": INVERSE,
    "ratchet": with_schedule(INVERSE, structs.replace(T1, name="R", reference=Reference.RATCHET)),
    "slow": with_schedule(
        INVERSE, structs.replace(T1, name="S", discipline=Discipline(release_per_hour=0.1))
    ),
    "deribit": in_force("deribit.sm", MARKET.at),
    "bitmex": in_force("bitmex.derivatives", MARKET.at) if "bitmex.derivatives" in RULEBOOKS else INVERSE,
}
STEPS = 12


def walked(seed, rulebook, screened, monkeypatch, **more):
    rng = np.random.default_rng(seed)
    moves = {
        "BTC": 62_000.0 * np.exp(np.cumsum(rng.normal(-0.004, 0.01, STEPS))),
        "ETH": 2_450.0 * np.exp(np.cumsum(rng.normal(0.0, 0.012, STEPS))),
    }
    law = Liquidity(depth=Depth(contracts=2e6), impact=Impact(coefficient=0.05, half_life_seconds=120.0))
    told = Settings(
        liquidity=dict.fromkeys(("BTC-PERPETUAL", "ETH-PERPETUAL"), law),
        mark=(LastMark(), IndexMark())[int(rng.integers(0, 2))],
        index_share=0.5,
        costs=Costs(fee_rate=0.0005),
        behaviour=Behaviour(top_up=0.2),
    )
    if not screened:
        monkeypatch.setattr(scene_room, "reaches", lambda *told: np.full(len(told[-1][0]), NEVER))
    count = Counter()
    done = simulate(
        made_book(400, seed, MARKET),
        MARKET,
        rulebook,
        Path(60.0 * np.arange(STEPS), moves),
        replace(told, **more),
        seed,
        told=lambda step, accounts: count.update({step: accounts}),
    )
    monkeypatch.undo()
    return done, sum(count.values())


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("seed", [3, 2195314464])
def test_a_screened_run_has_the_bytes_of_a_full_one(name, seed):
    with pytest.MonkeyPatch.context() as patch:
        few, asked = walked(seed, MADE[name], True, patch, totals_every=0)
        all_of_them, all_asked = walked(seed, MADE[name], False, patch, totals_every=0)
        every, _ = walked(seed, MADE[name], True, patch, totals_every=1)
    assert log_bytes(few.log) == log_bytes(all_of_them.log) == log_bytes(every.log)
    assert asked <= all_asked
    assert first_difference(few.pools, all_of_them.pools, few.book.names) is None
    full = pools_from(assess_book(few.book, few.market, few.rulebook))
    if name not in ("ratchet", "slow"):  # whose memory moved on after the last look
        assert first_difference(few.pools, full, few.book.names) is None
    assert np.isnan(few.steps.equity[:-1]).any() or name not in ("flat", "inverse")
    assert np.isfinite(every.steps.equity).all()


def test_the_screen_spares_most_of_a_healthy_book():
    with pytest.MonkeyPatch.context() as patch:
        _, asked = walked(5, MADE["flat"], True, patch, totals_every=0)
        _, everybody = walked(5, MADE["flat"], False, patch, totals_every=0)
    assert asked < 0.75 * everybody


# Of the others nothing is certain, and everybody is margined at every move.
CERTAIN = [name for name, rulebook in RULEBOOKS.items() if certain(rulebook)]


@pytest.mark.parametrize("name", CERTAIN)
def test_every_rulebook_runs_alike_with_and_without_the_screen(name):
    with pytest.MonkeyPatch.context() as patch:
        one = made_run(11, RULEBOOKS[name])
        patch.setattr(scene_room, "reaches", lambda *told: np.full(len(told[-1][0]), NEVER))
        two = made_run(11, RULEBOOKS[name])
    assert log_bytes(one.log) == log_bytes(two.log)
