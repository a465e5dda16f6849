"""What the guide shows of tails is what the commands and its Python example print."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from margrave.cli.main import cli

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide.md"
TEXT = GUIDE.read_text(encoding="utf-8")
SHOWN = re.findall(r"```\n\$ margrave ((?:\w+) example:joint[^\n]*)\n(.*?)```", TEXT, re.DOTALL)


def test_there_is_something_to_look_at():
    assert len(SHOWN) == 2


@pytest.mark.parametrize(("command", "expected"), SHOWN, ids=[c for c, _ in SHOWN])
def test_a_command_prints_what_is_shown(command, expected, monkeypatch):
    monkeypatch.setenv("COLUMNS", "110")
    assert CliRunner().invoke(cli, shlex.split(command), catch_exceptions=False).stdout == expected


def test_the_example_of_draws_prints_what_it_says():
    blocks = re.findall(r"```python\n([^`]*)```\n\n```\n([^`]*)```", TEXT)
    ((code, shown),) = [pair for pair in blocks if "MonteCarlo(" in pair[0]]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, str(GUIDE), "exec"), {})
    assert out.getvalue() == shown
