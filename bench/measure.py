"""What every section is written with: times, rows, goals, and the peers that are at hand."""

from concurrent.futures import Executor
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np

from margrave.report.speed import Gate, Row, Section
from margrave.report.timing import Run, interleaved, least, missing, quicker, rows

__all__ = [
    "Gate",
    "Row",
    "Run",
    "Section",
    "Setting",
    "difference",
    "interleaved",
    "least",
    "missing",
    "peer",
    "quicker",
    "rows",
]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run is given: a pool of two threads, and the size of the largest book."""

    pool: Executor
    accounts: int


def peer(name: str) -> ModuleType | None:
    """Another package, which is compared where it is installed."""
    try:
        return import_module(name)
    except ImportError:
        return None


def difference(found: object, expected: object, scale: object = 1.0) -> float:
    """Largest difference of two answers, as a share of `scale`; NaN against a number is infinitely far."""
    away = np.abs(np.asarray(found, dtype=float) - np.asarray(expected, dtype=float)) / np.asarray(scale)
    return float(np.max(np.nan_to_num(away, nan=np.inf), initial=0.0))
