"""The guide's example of a protocol in integers runs, and the engine says the same of the case that it names."""

import re
from pathlib import Path

import pytest

from margrave.adapters.files import load_example
from margrave.engine.assess import assess
from margrave.kernels.discounted_option import discounted_price
from margrave.rulebook.catalogue import in_force

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide.md"


def test_the_example_of_the_guide_runs_and_is_the_case_that_ships():
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = [b for b in blocks if "margrave.protocols.dydx " in b]
    names: dict[str, object] = {}
    exec(compile(block, str(GUIDE), "exec"), names)
    risk = names["risk"]
    case = load_example("crowded")
    pool = assess(case.accounts[0], case.market, in_force(case.rules or "", case.market.at)).pools[0]
    for amount, quantums in (
        (pool.margin_balance, risk.net_collateral),  # type: ignore[attr-defined]
        (pool.initial, risk.initial),  # type: ignore[attr-defined]
        (pool.maintenance, risk.maintenance),  # type: ignore[attr-defined]
    ):
        assert amount == pytest.approx(quantums / 1e6, abs=1.05e-6)


def test_the_option_of_the_guide_has_its_price():
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = [b for b in blocks if "margrave.protocols.derive_option " in b]
    names: dict[str, object] = {}
    exec(compile(block, str(GUIDE), "exec"), names)
    double = float(discounted_price(2000.0, 2000.0, 0.6, 30 / 365, True, 0.99))
    assert float(names["price"]) == pytest.approx(double, rel=1e-12)  # type: ignore[arg-type]
