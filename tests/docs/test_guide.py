"""The example of the guide's section on venues' answers is what happens."""

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from margrave.cli.main import cli
from tests.unit.adapters.pme_made import simulation

GUIDE = (Path(__file__).parents[2] / "docs/guide.md").read_text(encoding="utf-8")


def test_the_payload_that_the_guide_shows_is_verified_as_it_says(tmp_path, monkeypatch):
    (payload,) = re.findall(r"```json\n(.*?)```", GUIDE, flags=re.DOTALL)
    (session,) = re.findall(r"```\n\$ margrave (verify positionRisk.*?)```", GUIDE, flags=re.DOTALL)
    line, shown = session.split("\n", 1)
    (tmp_path / "positionRisk.json").write_text(payload, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    result = CliRunner().invoke(cli, shlex.split(line), standalone_mode=False)
    assert result.return_value == 5
    assert result.stdout == shown


@pytest.mark.parametrize(("command", "code"), [("verify saved_pme", 5), ("matrix example:inverse", None)])
def test_the_cells_that_the_guide_shows_come_out(tmp_path, monkeypatch, command, code):
    (session,) = re.findall(rf"```\n\$ margrave ({command}.*?)```", GUIDE, flags=re.DOTALL)
    line, shown = session.split("\n", 1)
    tree = simulation()
    tree["result"]["aggregated_risk_vectors"]["btc_btc"]["standard"][3] = -0.0427
    (tmp_path / "saved_pme.json").write_text(json.dumps(tree), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    result = CliRunner().invoke(cli, shlex.split(line), standalone_mode=False)
    assert code is None or result.return_value == code
    told = [text.rstrip() for text in result.stdout.splitlines()]
    assert [text for text in shown.splitlines() if text != "..." and text.rstrip() not in told] == []
