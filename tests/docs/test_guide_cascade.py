"""The command in the guide's section on cascades prints what the page shows."""

import re
from pathlib import Path

import pytest

from margrave.cli import main

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"


def test_the_cascade_prints_what_the_guide_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    (block,) = re.findall(r"```\n(\$ margrave sample 2000 .*?)```", GUIDE.read_text(), re.DOTALL)
    commands = [line[len("$ margrave ") :].split() for line in block.splitlines() if line.startswith("$ ")]
    for argv in commands:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(argv)
        assert end.value.code == 0
    shown = block.split("\n", 2)[2]
    assert capsys.readouterr().out.strip() == shown.strip()
