"""`margrave warm` compiles, says so, and says what is missing."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from margrave.cli.main import cli


@pytest.mark.slow
def test_it_says_what_it_compiles():
    run = subprocess.run(
        [sys.executable, "-m", "margrave", "warm"], capture_output=True, text=True, check=True
    )
    assert run.stdout == "the kernels are compiled\n"
    assert "compiling option values" in run.stderr
    assert "compiling pools of coin-settled contracts" in run.stderr


def test_without_a_compiler_it_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "margrave.kernels.compiled.warming", None)
    result = CliRunner().invoke(cli, ["warm"], standalone_mode=False)
    assert result.return_value == 1
    assert "warming" in result.stderr
