"""The example of the guide's section on compiled kernels is what happens."""

import re
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_tick_of_two_accounts():
    (block,) = [b for b in BLOCKS if "kernels.compiled" in b]
    names: dict[str, object] = {}
    exec(compile(block, str(GUIDE), "exec"), names)
    assert "assert" in block
    assert names
