"""Counters on arrays say what the counters over paths of one account say."""

import numpy as np
import pytest

from margrave.engine.measures.counters import tally
from margrave.engine.paths.contagion_counts import PathOutcome

OUTCOMES = [
    PathOutcome((1,), (), is_solvent=True, is_known=True),  # premature
    PathOutcome((0,), (0, 1), is_solvent=False, is_known=True),  # the second is dragged along
    PathOutcome((0, 1), (), is_solvent=False, is_known=True),  # survives and ends insolvent: not premature
    PathOutcome((0,), (1,), is_solvent=True, is_known=False),
    PathOutcome((), (), is_solvent=True, is_known=True),
]


def arrays(outcomes):
    lost = np.zeros((2, len(outcomes), 2), dtype=bool)
    for n, told in enumerate(outcomes):
        for mode, rows in enumerate((told.isolated, told.cross)):
            lost[mode, n, list(rows)] = True
    return (
        lost[0],
        lost[1],
        np.array([o.is_solvent for o in outcomes]),
        np.array([o.is_known for o in outcomes]),
    )


def test_tally_agrees_with_each_outcome():
    found = tally(*arrays(OUTCOMES))
    assert found.premature.tolist() == [len(o.premature) for o in OUTCOMES] == [1, 0, 0, 0, 0]
    assert found.dragged.tolist() == [len(o.dragged) for o in OUTCOMES] == [0, 1, 0, 0, 0]
    assert (found.paths, found.unknown, found.premature_paths, found.contagion_paths) == (5, 1, 1, 1)


def test_everything_is_known_unless_told():
    assert tally(*arrays(OUTCOMES)[:3]).unknown == 0


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="same paths"):
        tally(np.zeros((2, 2), bool), np.zeros((2, 3), bool), np.zeros(2, bool))
