"""Translator of Derive's second portfolio manager in fixed point: inputs that the published vectors leave out or add."""

from pathlib import Path
from typing import Any

import pytest

from margrave.adapters.conform.protocol_derive_fixed2 import exact_second
from margrave.adapters.conform.protocol_derive_scenarios import second
from margrave.adapters.conform.runner import judge
from margrave.adapters.conform.vector import vector_of
from tests.unit.protocols.pmrm2_made import PARAMS, SCENARIOS

PERPETUAL: dict[str, Any] = {"spot": 2000, "cash": "1000", "perp": 3, "perp_price": 2001, "perp_pnl": 7}
RULES = {"params": PARAMS, "scenarios": SCENARIOS}


def vector(model: str, inputs: dict[str, Any], **expected: Any):
    row = {"id": "made", "protocol": "derive", "model": model, "inputs": {**RULES, **inputs}}
    tolerance = {"truncated_toward_zero": True}
    return vector_of({**row, "expected": expected, "tolerance": tolerance}, Path())


def test_integers_of_the_second_manager_are_judged():
    # 3 x 2,001 x 0.18 = 1,080.54, and 1.5 % and 0.5 % of 6,000: 52.568 and -193.54.
    found = judge(vector("derive.pmrm2_integer", PERPETUAL, IM=-193, MM=52))
    assert found.outcome == "passed"


@pytest.mark.parametrize(
    ("seconds", "forward"),
    [
        (30 * 86_400, {"forward": 2010.0}),
        (30 * 86_400, {"var": 2010.0}),
        (900, {"forward": 2010.0}),  # half of it is fixed by the time that is left
        (900, {"var": 1200.0, "fix": 810.0}),
        (900, {"forward": 2010.0, "fix": 810.0}),
    ],
)
def test_a_forward_and_a_vol_as_they_may_be_told(seconds, forward):
    date = {
        "T": seconds,
        "rate": 0.1,
        **forward,
        "opts": [[1900, True, -2.0, 0.7], [2100, False, 1.0, "0.6"]],
    }
    rows = {**PERPETUAL, "stable": 1.0, "collateral": [], "expiries": [date]}
    found = exact_second(vector("derive.pmrm2", rows))
    doubles = second(vector("derive.pmrm2", rows))
    for name in ("IM", "MM", "MtM", "option_MtM", "basis_contingency"):
        assert float(found[name]) == pytest.approx(doubles[name], rel=1e-9, abs=1e-8), name
    assert [float(p) for p in found["scenario_pnl"]] == pytest.approx(
        doubles["scenario_pnl"], rel=1e-9, abs=1e-8
    )


def test_moves_of_the_smile_that_nobody_states_are_not_valued():
    bare = {"params": {k: v for k, v in PARAMS.items() if k != "SkewShock"}}
    found = exact_second(vector("derive.pmrm2", {**PERPETUAL, **bare}))
    assert len(found["scenario_pnl"]) == len(SCENARIOS) - 2
