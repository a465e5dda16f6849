"""The guide's examples of scenario margin print what they say."""

import contextlib
import io
import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide.md"


@pytest.mark.parametrize(
    "module", ["margrave.engine.analysis.solvency ", "margrave.engine.analysis.scenario_attribution "]
)
def test_an_example_prints_what_it_says(module):
    blocks = re.findall(r"```python\n([^`]*)```\n\n```\n([^`]*)```", GUIDE.read_text(encoding="utf-8"))
    ((code, shown),) = [pair for pair in blocks if module in pair[0]]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, str(GUIDE), "exec"), {})
    assert out.getvalue() == shown
