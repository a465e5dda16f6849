"""Groups of numbers become vectors: shapes, tolerances, and what is said of a group that nobody knows."""

import json

import pytest

from margrave.adapters.conform import run
from margrave.adapters.conform.reference import vectors_of_groups

LONGS = {
    "inputs": {
        "side": "winners are long",
        "contracts": [4.0, 4.0],
        "equity": [1_000.0, 4_000.0],
        "entry": [800.0, 500.0],
        "price": 1_000.0,
        "contracts_to_remove": 5.0,
        "deficit_usd": 700.0,
    },
    "leverage_before": [4.0, 1.0],
    "queue": {"score": [5.0, 2.0], "removed": [4.0, 1.0], "leverage_after": [0.0, 0.75]},
    "pro_rata": {"removed": [2.5, 2.5], "leverage_after": [1.5, 0.375]},
    "water_filling": {"target_leverage": 0.6, "removed": [3.4, 1.6], "leverage_after": [0.6, 0.6]},
    "pnl_haircut": {"unrealised": [800.0, 2_000.0], "haircut_fraction": 0.25, "haircut_usd": [200.0, 500.0]},
}


def report(tmp_path, **groups):
    path = tmp_path / "groups.json"
    path.write_text(json.dumps({"meta": {"tolerance": "relative 1e-6"}, **groups}), encoding="utf-8")
    return run([path])


def test_longs_are_deleveraged_by_the_mirror_of_the_shorts(tmp_path):
    found = report(tmp_path, adl=LONGS)
    assert [(r.vector.id, r.outcome, r.detail) for r in found.results] == [
        (f"adl/{name}", "passed", "")
        for name in ("leverage", "queue", "pro_rata", "water_filling", "pnl_haircut")
    ]


def test_a_wrong_number_fails_and_says_where(tmp_path):
    wrong = LONGS | {"pro_rata": {"removed": [2.5, 2.6]}}
    (failed,) = [r for r in report(tmp_path, adl=wrong).results if r.outcome == "failed"]
    assert failed.vector.id == "adl/pro_rata"
    assert "removed[1]: published 2.6" in failed.detail


@pytest.mark.parametrize(
    ("group", "detail"),
    [
        ({"adl": {"contracts": []}}, "input 'side' is not given"),
        (
            {"cascade_linear": {"cases": [{"inputs": {"shock_pct": 1.0}, "gain": 1.0}]}},
            "'kappa_pct_per_musd'",
        ),
        ({"something_new": {"cases": []}}, "no system of this release"),
        ({"credit": {"csa": {}}}, "credit-based margin is not part"),
        (
            {"span": {"nse_nifty_future_array": {"reconstruction": "by hand", "recomputed": [1.0]}}},
            "its terms",
        ),
        (
            {
                "span": {
                    "scenario_definition": {
                        "price_multiples_of_scan_range": [],
                        "vol_multiples": [],
                        "extreme_conventions": [{"name": "usual", "weight_times_multiple": 1.0}],
                    }
                }
            },
            "multiple and share",
        ),
    ],
)
def test_what_cannot_be_calculated_is_unsupported_and_says_why(tmp_path, group, detail):
    found = report(tmp_path, **group).results[-1]
    assert found.outcome == "unsupported"
    assert detail in found.detail


def test_a_cascade_without_end_has_no_limit(tmp_path):
    case = {
        "inputs": {"shock_pct": 2.0, "kappa_pct_per_musd": 0.02, "rho_musd_per_pct": 60.0},
        "gain": 1.2,
        "rounds": [2.0, 4.4],
        "limit": None,
    }
    assert report(tmp_path, cascade_linear={"cases": [case]}).summary == "1 passed, 0 failed, 0 unsupported"


def test_spreads_that_nobody_forms_are_none(tmp_path):
    given = {"near_delta": 10, "far_delta": 6, "price_scan_range": 9_000, "charge_per_spread": 500}
    apart = {"inputs": given, "scan_risk": 144_000, "spreads": 0, "charge": 0, "total": 144_000}
    both = {
        "btc": {"net_delta": 10, "price_scan_range": 9_000},
        "eth": {"net_delta": 150, "price_scan_range": 600},
    }
    same_side = {
        "inputs": {**both, "spread": {"btc": 1, "eth": 15, "credit_rate": 0.7}},
        "spreads_formed": 0,
        "credit": {"btc": 0, "eth": 0},
        "total": 180_000,
    }
    found = report(tmp_path, span={"intracommodity_example": apart, "intercommodity_example": same_side})
    assert [r.detail for r in found.results] == ["", ""]


def test_the_tolerance_is_the_files_own(tmp_path):
    tree = {"meta": {"tolerance": "relative 1e-3 or so"}, "adl": LONGS, "performance_published": [1]}
    vectors = list(vectors_of_groups(tree, tmp_path))
    assert {v.tolerance["rel"] for v in vectors} == {1e-3}
    assert list(vectors_of_groups({"instruments": {}}, tmp_path)) == []
