"""The outputs of the guide's analysis commands are what the commands print."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from margrave.cli.main import cli

GUIDE = (Path(__file__).parents[2] / "docs" / "guide.md").read_text(encoding="utf-8")
SHOWN = re.findall(
    r"```\n\$ margrave ((?:offset|contributions|optimise|stress) [^\n]*)\n(.*?)```", GUIDE, re.DOTALL
)


def test_there_is_something_to_look_at():
    assert len(SHOWN) == 4


@pytest.mark.parametrize(("command", "expected"), SHOWN, ids=[c for c, _ in SHOWN])
def test_a_command_prints_what_the_guide_shows(command, expected, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert CliRunner().invoke(cli, shlex.split(command), catch_exceptions=False).stdout == expected
