"""The same bytes from one thread and two, and compiled for AVX-512, for AVX2 and for SSE2 without a fused multiply-add."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.measure import Gate, Row, Section, Setting
from tests.reference.compiled_book import digest

ROOT = Path(__file__).resolve().parents[1]
TARGETS = {"AVX2, fused multiply-add": "haswell", "SSE2, none": "x86-64"}


def run(setting: Setting) -> list[Section]:
    """Digests of one seeded book."""
    here, threads = digest(), digest(setting.pool)
    found = {"2 threads": threads, **{name: compiled_for(cpu) for name, cpu in TARGETS.items()}}
    table = [Row(name, None, 1, f"sha256 {told[:12]}") for name, told in {"1 thread": here, **found}.items()]
    gates = [
        Gate("G14", f"{name}: the bytes of 1 thread", float(told == here), 1.0)
        for name, told in found.items()
    ]
    return [Section("Every kernel's answer for one seeded book", "digest", table, gates)]


def compiled_for(cpu: str) -> str:
    """Digest of a process that compiles for another processor."""
    with tempfile.TemporaryDirectory() as cache:
        told = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": cache}
        out = subprocess.run(
            [sys.executable, "-m", "tests.reference.compiled_book"],
            env={**os.environ, **told},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    return out.stdout.strip()
