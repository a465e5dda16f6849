"""The guide's examples of Drift and Mango run and keep what they assert."""

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide.md"
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("room", ["drift", "mango"])
def test_the_example_of_the_guide_runs(room):
    (block,) = [b for b in BLOCKS if f"margrave.protocols.{room} " in b]
    names: dict[str, object] = {}
    exec(compile(block, str(GUIDE), "exec"), names)
    assert "assert" in block
    assert names
