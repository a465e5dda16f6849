"""The same bytes on any number of threads, and from any instruction set."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.reference.compiled_book import digest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_no_byte(threads):
    with ThreadPoolExecutor(threads) as pool:
        assert digest(pool) == digest()


@pytest.mark.slow
@pytest.mark.skipif(
    "avx2" not in Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else True,
    reason="AVX2 is compiled and run here",
)
@pytest.mark.parametrize("cpu", ["haswell", "x86-64"])
def test_instruction_sets_change_no_byte(cpu, tmp_path):
    """AVX2 with fused multiply-add, and SSE2 without one, beside the widest that this machine has."""
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": cpu,
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    run = subprocess.run(
        [sys.executable, "-m", "tests.reference.compiled_book"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    assert run.stdout.strip() == digest()
