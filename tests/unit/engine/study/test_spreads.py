"""How often a rule is worse than flat over draws: counts, and the differences from least to most."""

from dataclasses import replace

import numpy as np
import pytest

from margrave.engine.study.bearers import Bearers
from margrave.engine.study.spreads import SECONDS, spreads
from margrave.engine.study.trials import Trial

NAN = float("nan")
NOBODY = Trial(
    "flat", "linear", "cross", "score", "fall", 0, "done", 1.0, -0.2, -0.2, 0.3, 0.0, 0.0, 0.0, 0.0, 0, NAN, 0.0,
    0.2, 0.2, 0.1, 0.1, 0.0, Bearers(0, (0.0,) * 10, (0.0,) * 10, 0.0, 0.0), np.ones(2), np.zeros(2),
)  # fmt: skip


def pair(seed, liquidated, first=NAN, other=NAN):
    flat = replace(NOBODY, seed=seed, first_seconds=other)
    return [flat, replace(flat, rule="ratchet", liquidated=liquidated, first_seconds=first)]


def of(figure, *trials):
    return next((s for s in spreads(trials) if s.figure == figure), None)


def test_draws_are_compared_with_their_own_flat_one():
    found = of("liquidated", *pair(1, 0.4), *pair(2, 0.2), *pair(3, 0.35), *pair(4, 0.3))
    assert (found.rule, found.path, found.seeds, found.worse, found.better) == ("ratchet", "fall", 4, 2, 1)
    assert (found.least, found.median, found.most) == pytest.approx((-0.1, 0.025, 0.1), rel=1e-12)


def test_an_earlier_first_closing_is_worse():
    found = of(SECONDS, *pair(1, 0.3, 60.0, 120.0), *pair(2, 0.3, 180.0, 120.0), *pair(3, 0.3, 60.0))
    assert (found.seeds, found.worse, found.better) == (2, 1, 1)  # flat never closes anybody in the third
    assert (found.least, found.most) == (-60.0, 60.0)


def test_what_nobody_has_is_left_out():
    assert of(SECONDS, *pair(1, 0.3)) is None


def test_a_fall_counts_by_its_size():
    flat, other = pair(1, 0.3)
    found = of("furthest price", flat, replace(other, deepest=-0.25))
    assert (found.worse, found.median) == (1, pytest.approx(0.05, rel=1e-12))


def test_without_a_flat_twin_nothing_is_said():
    assert spreads(pair(1, 0.4)[1:]) == ()
    flat, other = pair(1, 0.4)
    assert spreads([flat, replace(other, seed=2)]) == ()
