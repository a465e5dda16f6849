"""What the README shows is what happens."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from margrave.cli.main import cli

TOP = Path(__file__).parents[2]
README = (TOP / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_example_prints_what_it_says():
    (code,) = [text for kind, text in BLOCKS if kind == "python"]
    expected = BLOCKS[BLOCKS.index(("python", code)) + 1][1]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {})
    assert out.getvalue() == expected


def test_the_demo_prints_what_it_says():
    (shown,) = [text for kind, text in BLOCKS if not kind and text.startswith("$ margrave demo")]
    printed = CliRunner().invoke(cli, ["demo"], catch_exceptions=False).output
    for line in shown.splitlines()[1:]:
        assert line in printed


GUIDE = (TOP / "docs" / "guide.md").read_text(encoding="utf-8")
COMMANDS = sorted(
    {
        c
        for c in re.findall(r"`margrave ([^`]*)`", README + GUIDE)
        if "example:" in c or c.startswith(("price", "rules list"))
    }
)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_the_pages_run(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(
        cli, shlex.split(command.replace("FILE", "example:inverse")), catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    assert result.output.strip()
