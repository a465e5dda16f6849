"""What the trials of a study say in plain sentences: where a rule makes things worse than the flat one, and where better."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Final, final

from margrave.engine.study.trials import Trial

FLAT: Final = "flat"
"""The rule that all others are compared with."""

NOTABLE: Final = 0.01
"""Share of the flat rule's figure: what is nearer counts as the same."""

SMALLEST: Final = 1e-6
"""Share of open notional: what is below counts as nothing."""


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """One rule beside the flat one at the same book, mode, deleveraging and path."""

    rule: str
    payoff: str
    mode: str
    deleveraging: str
    path: str
    seed: int
    worse: tuple[str, ...]
    better: tuple[str, ...]
    closing: str = ""

    @property
    def sentence(self) -> str:
        """The comparison as a person would say it."""
        words = [self.payoff, self.mode, self.deleveraging, *([self.closing] if self.closing else [])]
        where = f"{self.rule} ({', '.join(words)}; {self.path})"
        told = []
        if self.worse:
            told.append(f"worse than flat: {'; '.join(self.worse)}")
        if self.better:
            told.append(f"better: {'; '.join(self.better)}")
        return f"{where}: {'. '.join(told) if told else 'nothing differs by a hundredth'}."


def findings(trials: Sequence[Trial]) -> tuple[Finding, ...]:
    """Every trial whose rule is not flat, beside the flat one of the same key; those without a twin are left out."""
    flat = {trial.key: trial for trial in trials if trial.rule == FLAT}
    return tuple(
        _compared(trial, flat[trial.key]) for trial in trials if trial.rule != FLAT and trial.key in flat
    )


def _compared(trial: Trial, flat: Trial) -> Finding:
    worse: list[str] = []
    better: list[str] = []
    for name, words in (
        ("liquidated", "liquidates"),
        ("deleveraged", "deleverages"),
        ("bankrupt", "loses beyond collateral"),
        ("socialised", "leaves to others"),
    ):
        _shares(getattr(trial, name), getattr(flat, name), words, worse, better)
    _amplification(trial, flat, worse, better)
    _earlier(trial, flat, worse, better)
    for mine, other, whom in (
        (trial.ahead, flat.ahead, "who is ahead"),
        (trial.behind, flat.behind, "who is behind"),
        (trial.before, flat.before, "all together until the first is closed"),
    ):
        _asked(mine, other, whom, worse, better)
    _shares(trial.clawback, flat.clawback, "asks back", worse, better)
    return Finding(
        trial.rule,
        trial.payoff,
        trial.mode,
        trial.deleveraging,
        trial.path,
        trial.seed,
        tuple(worse),
        tuple(better),
        trial.closing,
    )


def _shares(mine: float, other: float, words: str, worse: list[str], better: list[str]) -> None:
    if max(mine, other) < SMALLEST or abs(mine - other) <= NOTABLE * max(other, SMALLEST):
        return
    to = worse if mine > other else better
    to.append(f"{words} {mine:.3%} of open notional instead of {other:.3%}")


def _amplification(trial: Trial, flat: Trial, worse: list[str], better: list[str]) -> None:
    mine, other = abs(trial.deepest), abs(flat.deepest)
    if abs(mine - other) > NOTABLE * other:
        to = worse if mine > other else better
        to.append(f"the price goes {trial.deepest:+.1%} instead of {flat.deepest:+.1%}")
    if trial.ending != flat.ending:
        to = worse if trial.ending != "done" else better
        to.append(f"the run ends as {trial.ending} instead of {flat.ending}")


def _earlier(trial: Trial, flat: Trial, worse: list[str], better: list[str]) -> None:
    mine, other = trial.first_seconds, flat.first_seconds
    if isnan(mine) and isnan(other):
        return
    if isnan(mine) or isnan(other):
        (better if isnan(mine) else worse).append(
            "nobody is closed by force"
            if isnan(mine)
            else "somebody is closed by force, who flat never closes"
        )
    elif mine != other:
        (worse if mine < other else better).append(
            f"the first is closed {abs(mine - other):,.0f} s {'earlier' if mine < other else 'later'}"
        )


def _asked(mine: float, other: float, whom: str, worse: list[str], better: list[str]) -> None:
    change = mine / other - 1.0 if other else float("nan")
    if abs(change) > NOTABLE:
        less = change < 0.0
        (better if less else worse).append(
            f"asks {abs(change):.1%} {'less' if less else 'more'} initial margin of {whom}"
        )
