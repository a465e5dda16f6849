"""Times as medians of interleaved repetitions, and the machine that they were taken on."""

import os
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeAlias

from margrave.report.speed import NOT_INSTALLED, Row

Run: TypeAlias = Callable[[], object]
Clock: TypeAlias = Callable[[], float]


def interleaved(
    runs: Mapping[str, Run], repeats: int = 41, lasting: float = 0.001, clock: Clock = time.thread_time
) -> dict[str, float]:
    """Median time of each way of the same work [s].

    Parameters
    ----------
    runs : mapping of str to callable
        Ways by name. Each is called once to warm up; then, in each round, each is called in turn, so that what else the
        machine does falls on all of them alike.
    repeats : int
        Rounds.
    lasting : float
        A way is called often enough in each round to last so long. [s]
    clock : callable
        Time of this thread on the processor by default, which does not count while other work has it;
        `time.perf_counter` for work in several threads or in a library that has threads of its own.

    Returns
    -------
    dict of str to float
        In the order of ``runs``.
    """
    calls = {}
    for name, run in runs.items():
        run()
        start = time.perf_counter()
        run()
        calls[name] = max(1, int(lasting / max(time.perf_counter() - start, 1e-9)))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = clock()
            for _ in range(calls[name]):
                run()
            times[name].append((clock() - start) / calls[name])
    return {name: statistics.median(values) for name, values in times.items()}


def least(runs: Mapping[str, Run], rounds: int) -> dict[str, float]:
    """Shortest time of each way on the wall's clock, in turn, after one to warm up [s]: for work of seconds."""
    found = dict.fromkeys(runs, float("inf"))
    for round_ in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if round_ > 0:
                found[name] = min(found[name], time.perf_counter() - start)
    return found


def quicker(one: Run, two: Run, seconds: float = 4.0) -> float:
    """How many times quicker `two` is on the wall's clock: for work in several threads.

    By the least time of each, in turn: a thread that waits for a processor which something else holds says nothing of
    ours, and with as many threads as processors one of them often does.
    """
    found = [float("inf"), float("inf")]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for number, run in enumerate((one, two)):
            start = time.perf_counter()
            run()
            found[number] = min(found[number], time.perf_counter() - start)
    return found[0] / found[1]


def rows(
    seconds: Mapping[str, float],
    counts: Mapping[str, int] | int,
    notes: Mapping[str, str] | None = None,
    errors: Mapping[str, float] | None = None,
) -> list[Row]:
    """Rows of the times of `interleaved`, with what was found of each way by name."""
    return [
        Row(
            name,
            taken,
            counts if isinstance(counts, int) else counts[name],
            (notes or {}).get(name, ""),
            (errors or {}).get(name),
        )
        for name, taken in seconds.items()
    ]


def missing(names: Iterable[str]) -> list[Row]:
    """Rows of peers that are not at hand."""
    return [Row(name, None, 1, NOT_INSTALLED) for name in names]


def machine(packages: Iterable[str]) -> dict[str, object]:
    """Facts that a figure means nothing without; None for a package that is not installed."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "compiler": _compiler(),
        "packages": {name: _version(name) for name in packages},
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
