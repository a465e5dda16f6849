"""Times as medians of interleaved repetitions, and what they are compared with."""

import os
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

Run = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Row:
    """One way of doing a piece of work."""

    name: str
    seconds: float  # median of one run
    count: int  # pieces of work in one run
    note: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """A goal as a ratio of two figures of this run; missed where the ratio is below the least."""

    code: str
    text: str
    ratio: float
    least: float

    @property
    def reached(self) -> bool:
        """Whether the goal holds in this run."""
        return self.ratio >= self.least


@dataclass(frozen=True, slots=True)
class Section:
    """What one benchmark says: ways of the same work, the first of them ours, and the gates."""

    title: str
    unit: str  # of a piece of work
    rows: list[Row]
    gates: list[Gate] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)


def interleaved(
    runs: dict[str, Run],
    repeats: int = 41,
    least: float = 0.001,
    clock: Callable[[], float] = time.thread_time,
) -> dict[str, float]:
    """Median time of each run [s]: of this thread on the processor, unless another clock is given.

    Each run is called once to warm up. Then, in each round, each is called in turn, often enough to last `least`
    seconds: what else the machine does falls on all of them alike, and does not count while it has the processor.
    """
    calls = {}
    for name, run in runs.items():
        run()
        start = time.perf_counter()
        run()
        calls[name] = max(1, int(least / (time.perf_counter() - start)))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = clock()
            for _ in range(calls[name]):
                run()
            times[name].append((clock() - start) / calls[name])
    return {name: statistics.median(values) for name, values in times.items()}


def quicker(one: Run, two: Run, seconds: float = 4.0) -> float:
    """How many times quicker `two` is on the wall's clock: for work in several threads.

    By the least time of each, in turn: a thread that waits for a processor which something else holds says nothing of
    ours, and with as many threads as processors one of them often does.
    """
    least = [float("inf"), float("inf")]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for number, run in enumerate((one, two)):
            start = time.perf_counter()
            run()
            least[number] = min(least[number], time.perf_counter() - start)
    return least[0] / least[1]


def rows(
    seconds: dict[str, float], counts: dict[str, int] | int, notes: dict[str, str] | None = None
) -> list[Row]:
    """Rows of the times of `interleaved`."""
    return [
        Row(name, taken, counts if isinstance(counts, int) else counts[name], (notes or {}).get(name, ""))
        for name, taken in seconds.items()
    ]


PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "margrave")


def machine() -> dict[str, object]:
    """Facts that a figure means nothing without."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "compiler": _compiler(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if not facts.is_file():
        return platform.processor()
    lines = dict(
        line.split("\t: ", 1) for line in facts.read_text().split("\n\n")[0].splitlines() if "\t: " in line
    )
    named = {key.strip(): value for key, value in lines.items()}
    widest = "AVX-512" if "avx512f" in named.get("flags", "") else "no AVX-512"
    return f"{named.get('model name')}, family {named.get('cpu family')} model {named.get('model')}, {widest}"


def _compiler() -> str | None:
    found = shutil.which("gcc")
    if found is None:
        return None
    return subprocess.run(
        [found, "--version"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[0]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
