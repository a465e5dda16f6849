"""Translators of on-chain vectors: inputs that the published ones leave out or add."""

from pathlib import Path
from typing import Any

import pytest

from margrave.adapters.conform.runner import Result, judge
from margrave.adapters.conform.vector import vector_of

POSITION: dict[str, Any] = {
    "id": 0,
    "quantums": 100,
    "quote_per_quantum": 500,
    "imf_ppm": 200_000,
    "maintenance_fraction_ppm": 500_000,
}


def judged(model: str, inputs: dict[str, Any], **expected: Any) -> Result:
    row = {"id": "made", "protocol": model.split(".")[0], "model": model, "inputs": inputs}
    return judge(vector_of({**row, "expected": expected, "tolerance": {"exact": True}}, Path()))


@pytest.mark.parametrize(
    ("model", "inputs", "expected"),
    [
        (
            "dydx.transition",
            {"old_NC": 50, "old_IMR": 200, "old_MMR": 100, "new_NC": 90, "new_IMR": 80, "new_MMR": 40},
            {"allowed": True, "result": "allowed"},
        ),
        (
            "dydx.transition",
            {"old_NC": 300, "old_IMR": 200, "old_MMR": 100, "new_NC": 90, "new_IMR": 200, "new_MMR": 100},
            {"allowed": False, "result": "newly below initial margin"},
        ),
        (
            "dydx.account_risk",
            {"quote_balance": "-49000", "positions": [{**POSITION, "user_imf_ppm": 500_000}]},
            {"NC": 1_000, "IMR": 25_000, "MMR": 5_000, "liquidatable": True},
        ),
        (  # a price of a fraction of a quote quantum
            "dydx.account_risk",
            {"quote_balance": 0, "positions": [{**POSITION, "quote_per_quantum": "2.505"}]},
            {"NC": 250, "IMR": 50, "MMR": 25},
        ),
        (
            "dydx.account_risk",  # crowded half-way to 100 %
            {
                "quote_balance": 0,
                "positions": [{**POSITION, "oi_lower_cap": 0, "oi_upper_cap": 10_000, "open_interest": 10}],
            },
            {"NC": 50_000, "IMR": 30_000, "MMR": 5_000},
        ),
        (
            "dydx.fillable_price",  # the genesis configuration where none is stated
            {"quote_balance": -48_000, "positions": [POSITION], "perpetual_id": 0},
            {"fillable_price": [455, 1]},  # 1 - 2/5 of 150 % of 5,000, over 100
        ),
        (
            "dydx.insurance_delta",
            {
                "quote_balance": -48_000,
                "positions": [POSITION],
                "perpetual_id": 0,
                "is_buy": False,
                "fill_amount": 100,
                "subticks": 4_810,
                "quantum_conversion_exponent": -1,
            },
            {"insurance_fund_delta": 100},
        ),
        (
            "dydx.funding_settlement",
            {"global_index": 3, "position_index": 0, "quantums": 500_000},
            {"settlement_ppm": -1_500_000, "settlement": -2},
        ),
        (
            "hyperliquid.maintenance_margin",
            {"notional": 300, "tiers": [[0, 10], [100, 5]]},
            {"maintenance_margin": 25},
        ),
        ("hyperliquid.maintenance_margin", {"notional": 200, "max_leverage": 10}, {"maintenance_margin": 10}),
        (
            "opyn.naked_margin",
            {"put": True, "strike": 100, "spot": 150, "days": 10},
            {"required": "23.7"},
        ),
    ],
)
def test_what_is_left_out_or_added_is_understood(model, inputs, expected):
    result = judged(model, inputs, **expected)
    assert (result.outcome, result.detail) == ("passed", "")


def test_a_fraction_of_a_quantum_is_no_input():
    result = judged(
        "dydx.net_notional", {"atomic_resolution": "-6.5", "price": 1, "exponent": 0}, net_notional=1
    )
    assert (result.outcome, "atomic_resolution" in result.detail) == ("failed", True)


def test_an_input_that_is_missing_is_named():
    result = judged("dydx.maintenance_ppm", {}, mmr_ppm=1)
    assert (result.outcome, "imf_ppm" in result.detail) == ("unsupported", True)
