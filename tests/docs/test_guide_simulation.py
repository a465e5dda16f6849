"""The guide's section on the closed loop is what happens: its code as it stands prints what it shows."""

import re
from pathlib import Path

GUIDE = (Path(__file__).parents[2] / "docs/guide.md").read_text(encoding="utf-8")
SECTION = GUIDE[GUIDE.index("## A venue in a closed loop") :].split("\n## ")[0]


def test_the_code_prints_what_the_guide_shows(capsys):
    ((code, shown),) = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", SECTION, flags=re.DOTALL)
    exec(code, {})  # the guide's own code
    assert capsys.readouterr().out == shown
