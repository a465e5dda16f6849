"""The example of the guide's section on accounts one after another is what happens."""

import re
from pathlib import Path
from typing import Any

import msgspec

from margrave.engine.assess import assess

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_a_calculator_and_a_request():
    (block,) = [b for b in BLOCKS if "engine.calculator" in b]
    names: dict[str, Any] = {}
    exec(compile(block, str(GUIDE), "exec"), names)
    case, ready = names["case"], names["ready"]
    assert names["found"] == assess(case.accounts[0], case.market, ready.rulebook)
    told = msgspec.json.decode(names["answer"])
    assert (told["account"], told["rulebook"], told["status"]) == ("account", "example.inverse", "healthy")
    assert told["pools"][0]["positions"][0]["quantity"] == 6_000.0
