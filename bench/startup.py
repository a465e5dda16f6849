"""From nothing to the first margin: a new process, with the kernels compiled ahead and without."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.measure import Gate, Row, Section, Setting

ROOT = Path(__file__).resolve().parents[1]
FIRST = {
    "first margin of one account, NumPy": "from margrave.adapters.files import load_example\n"
    "from margrave.engine.assess import assess\n"
    "from margrave.rulebook.catalogue import in_force\n"
    "case = load_example('inverse')\n"
    "assess(case.accounts[0], case.market, in_force('example.inverse', case.market.at))",
    "first answer of a compiled kernel": "import numpy as np\n"
    "from margrave.kernels.compiled.black import option_values\n"
    "one = np.ones(1)\n"
    "option_values(one, one, one, one, one > 0.0)",
    "first call of every kernel": "from margrave.cli import main\nmain(['warm'])",
}
TURNS = 3


def run(_setting: Setting) -> list[Section]:
    """The shortest of a few processes; once with an empty cache."""
    warmed = {name: min(process(code) for _ in range(TURNS)) for name, code in FIRST.items()}
    *margins, kernels = FIRST
    with tempfile.TemporaryDirectory() as cache:
        cold = process(FIRST[kernels], NUMBA_CACHE_DIR=cache)
    table = [Row(f"{name}, warmed", seconds, 1) for name, seconds in warmed.items()]
    table.append(Row(f"{kernels}, nothing compiled", cold, 1))
    gates = [
        *(Gate("G15", f"{name}, warmed [s]", warmed[name], most=2.0) for name in margins),
        Gate("G15", "all kernels compiled from nothing [s]", cold, most=15.0),
    ]
    return [Section("Start of a process", "process", table, gates)]


def process(code: str, **told: str) -> float:
    """Time of a new interpreter that runs some lines, on the wall's clock [s]."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **told}, cwd=ROOT, check=True)
    return time.perf_counter() - start
