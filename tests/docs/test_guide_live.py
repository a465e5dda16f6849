"""The guide's section on a live venue is what happens: its code as it stands, with what its comments say."""

import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from margrave.cli.main import cli

GUIDE = (Path(__file__).parents[2] / "docs/guide.md").read_text(encoding="utf-8")
SECTION = GUIDE[GUIDE.index("## A live venue") :].split("\n## ")[0]


def test_the_code_runs_and_gives_what_it_says():
    (code,) = re.findall(r"```python\n(.*?)```", SECTION, flags=re.DOTALL)
    before, last = code.split("state, changes = advance(state, [Clock(at)])")
    names: dict[str, Any] = {}
    exec(before, names)  # the guide's own code
    changes, queue = names["changes"], names["queue"]
    assert (queue.coalesced, changes.applied, len(changes.refused)) == (1, 2, 1)
    assert names["handed_back"] == ()
    assert changes.refused[0].issue.message in code
    assert 900 < changes.touched < 1_100
    assert all(c.before is not c.after for c in changes.statuses)
    assert len(changes.statuses) > 0
    assert names["quantile"](names["waited"], 0.99) == timedelta(milliseconds=3)
    assert names["audited"](names["state"]) is None
    exec("state, changes = advance(state, [Clock(at)])" + last, names)
    assert names["state"].market.at == names["at"]
    changes = names["changes"]
    assert (changes.applied, changes.repeated, changes.refused) == (3, 1, ())
    assert "newcomer" in names["state"].rows
    assert names["audited"](names["state"]) is None


def test_the_replay_prints_what_the_guide_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (events,) = re.findall(r"```text\n(.*?)```", SECTION, flags=re.DOTALL)
    Path("events.jsonl").write_text(events)
    ((line, shown),) = re.findall(r"```\n\$ margrave (.*?)\n(.*?)```", SECTION, flags=re.DOTALL)
    CliRunner().invoke(cli, ["sample", "2000", "--out", "venue"], standalone_mode=False)
    result = CliRunner().invoke(cli, shlex.split(line), standalone_mode=False)
    assert result.return_value == 0
    told, expected = (text.splitlines() for text in (result.stdout, shown))
    assert told[:-1] == expected[:-1]
    assert re.sub(r"[\d.]+", "", told[-1]) == re.sub(r"[\d.]+", "", expected[-1])  # times are the machine's
