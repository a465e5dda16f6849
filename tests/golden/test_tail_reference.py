"""Recomputed numbers of tails and holding periods: groups fhs and mpor_liquidity of the clearing research."""

import json
from pathlib import Path

import numpy as np
import pytest

from margrave.kernels.history import ewma_variances, half_rescaled, rescaled, vol_ratios
from margrave.kernels.holding_period import (
    average_impact,
    days_to_liquidate,
    horizon_factor,
    liquidation_factor,
    normal_shortfall,
    square_root_impact,
)
from margrave.kernels.tail import expected_shortfall, linear_quantile, lower_quantile, upper_quantile

pytestmark = pytest.mark.shared

PRINTED = {"rel": 1e-9, "abs": 1e-12}  # ten digits are printed
CONFIDENCE = 0.9  # two of the twenty losses lie in the tail
DAYS = {"1d": 1.0, "2d": 2.0, "5d": 5.0, "10d": 10.0, "1h": 1.0 / 24.0, "15min": 1.0 / 96.0}


@pytest.fixture(scope="module")
def vectors(shared: Path):
    return json.loads((shared / "vectors" / "reference.json").read_text(encoding="utf-8"))


@pytest.fixture
def fhs(vectors):
    return vectors["fhs"]


@pytest.fixture
def liquidity(vectors):
    return vectors["mpor_liquidity"]


def filtered(fhs):
    returns = np.array(fhs["returns"])[:, None]
    variances = ewma_variances(returns, fhs["lam"], fhs["sigma2_seed"])
    ratio = vol_ratios(variances, 0.0, np.inf)
    full, half = rescaled(returns, ratio)[:, 0], half_rescaled(returns, ratio)[:, 0]
    return variances, {"hist": returns[:, 0], "fhs": full, "fhs_half": half}


def test_the_filter_foresees_the_printed_variance(fhs):
    variances, _ = filtered(fhs)
    assert variances[-1, 0] == pytest.approx(fhs["sigma2_next"], **PRINTED)
    assert np.sqrt(variances[-1, 0]) == pytest.approx(fhs["sigma_T_plus_1"], **PRINTED)


@pytest.mark.parametrize(
    ("printed", "name"), [("rescaled_returns", "fhs"), ("half_scaled_returns", "fhs_half")]
)
def test_returns_are_carried_to_the_vol_of_today(fhs, printed, name):
    assert filtered(fhs)[1][name] == pytest.approx(fhs[printed], **PRINTED)


@pytest.mark.parametrize("name", ["hist", "fhs", "fhs_half"])
@pytest.mark.parametrize(
    ("printed", "measure"),
    [
        ("VaR_kth_largest", upper_quantile),
        ("VaR_next", lower_quantile),
        ("ES_exact", expected_shortfall),
        ("numpy_linear_quantile", linear_quantile),
    ],
)
def test_one_sample_has_three_values_at_risk_and_a_shortfall(fhs, name, printed, measure):
    losses = -fhs["position_value"] * filtered(fhs)[1][name]
    assert measure(losses, CONFIDENCE).value == pytest.approx(fhs[name][printed], **PRINTED)


def test_a_blend_of_filtered_history_and_stress(fhs):
    blend = fhs["blend_span2"]
    losses = -fhs["position_value"] * filtered(fhs)[1]["fhs"]
    risk = blend["x"] * upper_quantile(losses, CONFIDENCE).value + (1 - blend["x"]) * blend["stress"]
    assert risk == pytest.approx(blend["market_risk"], **PRINTED)


def test_square_root_of_time(liquidity):
    for name, factor in liquidity["sqrt_time"].items():
        of, to = name.split("->")
        assert horizon_factor(DAYS[to], DAYS[of]) == pytest.approx(factor, rel=2e-9), name


def test_linear_liquidation(liquidity):
    for slices, factor in liquidity["linear_liquidation_factor"]["values"].items():
        assert liquidation_factor(float(slices)) == pytest.approx(factor, **PRINTED), slices


def test_impact_and_its_average(liquidity):
    case = liquidity["square_root_impact"]
    impact = square_root_impact(*(case["inputs"][name] for name in ("Y", "sigma_D", "Q_over_V")))
    assert impact == pytest.approx(case["I"], **PRINTED)
    assert average_impact(impact) == pytest.approx(case["average_cost"], **PRINTED)


def test_days_to_liquidate(liquidity):
    case = liquidity["concentration_days_to_liquidate"]
    inputs = (case["inputs"][name] for name in ("position", "adv", "participation"))
    assert days_to_liquidate(*inputs) == pytest.approx(case["days"], **PRINTED)


def test_expected_shortfall_beyond_the_margin(liquidity):
    case = liquidity["normal_expected_shortfall_over_margin"]
    found = normal_shortfall(case["inputs"]["s"], case["inputs"]["M"])
    assert found == pytest.approx(case["value"], rel=1e-9, abs=1e-12)
