"""The guide's section on a live venue is what happens: its code as it stands, with what its comments say."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

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
    assert names["audited"](names["state"]) is None
