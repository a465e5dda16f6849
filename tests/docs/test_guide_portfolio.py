"""What the guide and the README show of portfolio margin is what the commands print."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from margrave.cli.main import cli
from margrave.core.errors import RefusedError

TOP = Path(__file__).parents[2]
GUIDE = (TOP / "docs" / "guide.md").read_text(encoding="utf-8")
PAGES = GUIDE + (TOP / "README.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```\n\$ margrave ((?:\w+) example:portfolio[^\n]*)\n(.*?)```", PAGES, re.DOTALL)


def test_there_is_something_to_look_at():
    assert len(SHOWN) == 4


@pytest.mark.parametrize(("command", "expected"), SHOWN, ids=[c for c, _ in SHOWN])
def test_a_command_prints_what_is_shown(command, expected, monkeypatch):
    monkeypatch.setenv("COLUMNS", "110")
    assert CliRunner().invoke(cli, shlex.split(command), catch_exceptions=False).stdout == expected


def test_a_model_that_is_not_published_is_refused_as_shown():
    ((command, told),) = re.findall(
        r"```\n\$ margrave (rules show [^\n]*)\nerror: (.*?)```", GUIDE, re.DOTALL
    )
    with pytest.raises(RefusedError) as caught:
        CliRunner().invoke(cli, shlex.split(command), catch_exceptions=False, standalone_mode=False)
    assert str(caught.value).split() == told.split()


def test_they_are_listed():
    printed = CliRunner().invoke(cli, ["rules", "list"], catch_exceptions=False).output
    assert re.findall(r"^(\S+) +unpublished", printed, re.MULTILINE) == [
        "binance.pm-span",
        "bybit.pm",
        "gate.pm",
    ]
