"""The study in the guide prints, first, what the page shows."""

import re
from pathlib import Path

import pytest

from margrave.cli import main

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"


def test_the_study_prints_what_the_guide_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```\n\$ margrave (study .*?)\n```", GUIDE.read_text(), re.DOTALL)
    command, shown = block.split("\n", 1)
    with pytest.raises(SystemExit) as end:
        main(command.split())
    assert end.value.code == 0
    assert capsys.readouterr().out.splitlines()[0] == shown
    assert (tmp_path / "small" / "study.json").is_file()
