"""The cascade index of a rule in the closed loop: its worst amplification over a grid of shocks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isnan, nan
from typing import final

from margrave.engine.measures.run import outcome
from margrave.engine.simulation.measured import measured
from margrave.engine.simulation.path import Path
from margrave.engine.simulation.run import Ending, simulate
from margrave.engine.study.trials import Variant


@final
@dataclass(frozen=True, slots=True)
class Index:
    """One rule over a grid of shocks (spec 4.2)."""

    rule: str
    payoff: str
    mode: str
    seed: int
    shocks: tuple[float, ...]  # [signed fraction]
    amplification: tuple[
        float, ...
    ]  # whole log move over that from outside; infinite where the price ran away
    value: float  # the largest
    shock: float  # the first that has it


def indices(
    variants: Iterable[Variant],
    paths: Mapping[float, Path],
    asset: str,
    *,
    threads: int = 1,
    told: Callable[[str], None] | None = None,
) -> tuple[Index, ...]:
    """Run every variant through every shock.

    Parameters
    ----------
    variants : iterable of Variant
        Rules to compare.
    paths : mapping of float to Path
        By shock, a signed fraction that is not zero.
    asset : str
        Whose price the amplification is of.
    threads : int
        As of `simulate`.
    told : callable, optional
        Called with the name of each run when it is done.
    """
    found = []
    for variant in variants:
        amplified = []
        for shock, path in paths.items():
            amplified.append(_amplified(variant, path, asset, threads))
            if told is not None:
                told(f"{variant.name}, {shock:+.0%}")
        known = [(value, shock) for value, shock in zip(amplified, paths, strict=True) if not isnan(value)]
        value, shock = max(known, key=lambda row: row[0]) if known else (nan, nan)
        found.append(
            Index(
                variant.rule,
                variant.payoff,
                variant.mode,
                variant.seed,
                tuple(paths),
                tuple(amplified),
                value,
                shock,
            )
        )
    return tuple(found)


def _amplified(variant: Variant, path: Path, asset: str, threads: int) -> float:
    run = simulate(
        variant.book, variant.market, variant.rulebook, path, variant.settings, variant.seed, threads=threads
    )
    if run.ending is not Ending.DONE:
        return float("inf")
    return outcome(measured(run, asset), 1.0).amplification
