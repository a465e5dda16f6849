"""What the guide shows of weighted collateral is what the commands print."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from margrave.cli.main import cli

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "guide.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```\n\$ margrave (\w+ example:weighted[^\n]*)\n(.*?)```", TEXT, re.DOTALL)


def test_there_is_something_to_look_at():
    assert len(SHOWN) == 2


@pytest.mark.parametrize(("command", "expected"), SHOWN, ids=[c for c, _ in SHOWN])
def test_a_command_prints_what_is_shown(command, expected, monkeypatch):
    monkeypatch.setenv("COLUMNS", "110")
    assert CliRunner().invoke(cli, shlex.split(command), catch_exceptions=False).stdout == expected
