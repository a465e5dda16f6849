"""How firm findings are: each rule less the flat one, over draws of the book."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Final, final

import numpy as np

from margrave.engine.study.findings import FLAT, NOTABLE, SMALLEST
from margrave.engine.study.trials import Trial
from margrave.kernels.arrays import F64

SECONDS: Final = "seconds to the first closing"
"""The one figure that is a time, of which less is worse; all others are shares of which more is worse."""


@final
@dataclass(frozen=True, slots=True)
class Spread:
    """A figure of one rule less that of the flat rule, over draws of the book."""

    rule: str
    payoff: str
    mode: str
    deleveraging: str
    path: str
    figure: str
    seeds: int  # draws in which both rules have the figure
    worse: int  # draws in which the rule is worse than flat, by more than a hundredth of its figure
    better: int
    least: float  # differences: a share, or seconds
    median: float
    most: float


def spreads(trials: Sequence[Trial]) -> tuple[Spread, ...]:
    """Every rule that is not flat beside the flat one, figure by figure.

    Parameters
    ----------
    trials : sequence of Trial
        Of one study; draws are told apart by their seeds.

    Returns
    -------
    tuple of Spread
        In the order of the trials. A figure that no draw has under both rules (nobody was closed) is left out.
    """
    trials = [trial for trial in trials if not trial.closing]  # other ways of closing are run on one draw
    flat = {trial.key: trial for trial in trials if trial.rule == FLAT}
    pairs: dict[tuple[str, str, str, str, str], list[tuple[Trial, Trial]]] = {}
    for trial in trials:
        if trial.rule != FLAT and trial.key in flat:
            at = (trial.rule, trial.payoff, trial.mode, trial.deleveraging, trial.path)
            pairs.setdefault(at, []).append((trial, flat[trial.key]))
    found = []
    for at, both in pairs.items():
        for figure, sign in _FIGURES.items():
            figures = [(_of(mine, figure), _of(other, figure)) for mine, other in both]
            known = np.array([row for row in figures if not isnan(sum(row))])
            if known.size:
                found.append(_spread(at, figure, known, sign))
    return tuple(found)


_FIGURES: Final = {
    "furthest price": 1,
    "liquidated": 1,
    "deleveraged": 1,
    "beyond collateral": 1,
    "asked before": 1,
    SECONDS: -1,
}


def _of(trial: Trial, figure: str) -> float:
    return {
        "furthest price": abs(trial.deepest),
        "liquidated": trial.liquidated,
        "deleveraged": trial.deleveraged,
        "beyond collateral": trial.bankrupt,
        "asked before": trial.before,
        SECONDS: trial.first_seconds,
    }[figure]


def _spread(at: tuple[str, str, str, str, str], figure: str, known: F64, sign: int) -> Spread:
    apart = known[:, 0] - known[:, 1]
    notable = np.maximum(NOTABLE * known[:, 1], SMALLEST)
    worse, better = (int((way * apart > notable).sum()) for way in (sign, -sign))
    least, median, most = (float(np.quantile(apart, q)) for q in (0.0, 0.5, 1.0))
    return Spread(*at, figure, apart.size, worse, better, least, median, most)
