"""The guide's example of scan margin prints what it says."""

import contextlib
import io
import re
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide.md"


def test_the_example_of_scan_margin_prints_what_it_says():
    blocks = re.findall(r"```python\n([^`]*)```\n\n```\n([^`]*)```", GUIDE.read_text(encoding="utf-8"))
    ((code, shown),) = [pair for pair in blocks if "margrave.margin.clearing.scan " in pair[0]]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, str(GUIDE), "exec"), {})
    assert out.getvalue() == shown
