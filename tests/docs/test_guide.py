"""The example of the guide's section on venues' answers is what happens."""

import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from margrave.cli.main import cli

GUIDE = (Path(__file__).parents[2] / "docs/guide.md").read_text(encoding="utf-8")


def test_the_payload_that_the_guide_shows_is_verified_as_it_says(tmp_path, monkeypatch):
    (payload,) = re.findall(r"```json\n(.*?)```", GUIDE, flags=re.DOTALL)
    (session,) = re.findall(r"```\n\$ margrave (verify .*?)```", GUIDE, flags=re.DOTALL)
    line, shown = session.split("\n", 1)
    (tmp_path / "positionRisk.json").write_text(payload, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    result = CliRunner().invoke(cli, shlex.split(line), standalone_mode=False)
    assert result.return_value == 5
    assert result.stdout == shown
