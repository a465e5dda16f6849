"""The guide's section on what liquidations start prints what it says."""

import contextlib
import io
import re
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parents[2] / "docs/guide.md").read_text(encoding="utf-8")
SECTION = GUIDE[GUIDE.index("## What liquidations start") :].split("\n## ")[0]
EXAMPLES = re.findall(r"```python\n([^`]*)```\n\n```\n([^`]*)```", SECTION)


@pytest.mark.parametrize("example", EXAMPLES, ids=["cascade", "shares"])
def test_an_example_prints_what_it_says(example):
    code, shown = example
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "guide.md", "exec"), {})
    assert out.getvalue() == shown
