"""Groups of numbers about risk: holding period, procyclicality, filtered history."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from margrave.adapters.conform.reference_pieces import Group, Piece, Translator, numbers, without
from margrave.adapters.conform.vector import Vector
from margrave.engine.measures.procyclicality import peak_to_trough, rise_within
from margrave.kernels import history, holding_period, tail
from margrave.kernels.dynamic_rate import blended, buffered, floored

DAYS: Final = {"d": 1.0, "h": 1.0 / 24.0, "min": 1.0 / 1440.0}


def _liquidity_group(group: Any) -> Iterator[Piece]:
    yield Piece("/time", "/time", {"spans": list(group["sqrt_time"])}, group["sqrt_time"])
    slices = group["linear_liquidation_factor"]["values"]
    yield Piece("/slices", "/slices", {"slices": list(slices)}, slices)
    for name in (
        "square_root_impact",
        "concentration_days_to_liquidate",
        "normal_expected_shortfall_over_margin",
    ):
        if name in group:
            yield Piece(
                f"/{name}", f"/{name}", group[name]["inputs"], without(group[name], "formula", "inputs")
            )


def spans(v: Vector) -> dict[str, Any]:
    """Square root of time between spans such as ``1d->15min``."""
    found = {}
    for name in v.inputs["spans"]:
        of, to = (float(re.sub(r"\D", "", end)) * DAYS[re.sub(r"\d", "", end)] for end in name.split("->"))
        found[name] = float(holding_period.horizon_factor(to, of))
    return found


def slices(v: Vector) -> dict[str, Any]:
    """Deviation of a position that is closed in equal slices."""
    return {n: float(holding_period.liquidation_factor(float(n))) for n in v.inputs["slices"]}


def impact(v: Vector) -> dict[str, Any]:
    """Square-root impact and what an order costs on average."""
    end = holding_period.square_root_impact(v.number("Y"), v.number("sigma_D"), v.number("Q_over_V"))
    return {"I": float(end), "average_cost": float(holding_period.average_impact(end))}


def days(v: Vector) -> dict[str, Any]:
    """Days to close a position."""
    names = ("position", "adv", "participation")
    return {"days": float(holding_period.days_to_liquidate(*(v.number(name) for name in names)))}


def beyond_margin(v: Vector) -> dict[str, Any]:
    """Expected normal loss beyond the margin."""
    return {"value": float(holding_period.normal_shortfall(v.number("s"), v.number("M")))}


def _cycle_group(group: Any) -> Iterator[Piece]:
    rises = group["n_day_max_increase"]
    yield Piece(
        "/measures",
        "/measures",
        {"margin": group["margin"], "days": list(rises)},
        {"peak_to_trough": group["peak_to_trough"], "n_day_max_increase": rises},
    )
    tools = group.get("apc_tools", {})
    for name in ("buffer", "stressed_25pct", "floor_10y"):
        if name in tools:
            inputs = {"model": tools["model_margin"], **_parameters(tools[name])}
            yield Piece(f"/{name}", f"/{name}", inputs, {"out": tools[name]["out"]})


def _parameters(tool: Mapping[str, Any]) -> dict[str, float]:
    # A tool states its parameters in words: "b=25%, M_ref=100", "0.75 M + 0.25 M_stress, M_stress=200".
    text = str(tool.get("rule", ""))
    found = {
        name: float(number) / (100.0 if per_cent else 1.0)
        for name, number, per_cent in re.findall(r"\b(b|M_\w+)=([0-9.]*[0-9])(%?)", text)
    }
    weight = re.search(r"([0-9.]+) M_stress", text)
    return found | ({"weight": float(weight.group(1))} if weight else {})


def cycle(v: Vector) -> dict[str, Any]:
    """Peak over trough, and the largest rises within some days."""
    margin = numbers(v.inputs["margin"])
    rises = {n: rise_within(margin, int(n)) for n in v.inputs["days"]}
    return {
        "peak_to_trough": peak_to_trough(margin),
        "n_day_max_increase": {n: {"abs": r.amount, "rel": r.fraction} for n, r in rises.items()},
    }


def buffer(v: Vector) -> dict[str, Any]:
    """A buffer that is used up."""
    return {"out": buffered(numbers(v.inputs["model"]), v.number("M_ref"), v.number("b")).tolist()}


def stress_weight(v: Vector) -> dict[str, Any]:
    """A weight on stressed observations."""
    return {"out": blended(numbers(v.inputs["model"]), v.number("M_stress"), v.number("weight")).tolist()}


def long_floor(v: Vector) -> dict[str, Any]:
    """A floor of a long window."""
    return {"out": floored(numbers(v.inputs["model"]), v.number("M_10y")).tolist()}


# --- filtered history ---

MEASURES: Final = {
    "VaR_kth_largest": tail.upper_quantile,
    "VaR_next": tail.lower_quantile,
    "ES_exact": tail.expected_shortfall,
    "numpy_linear_quantile": tail.linear_quantile,
}
CONFIDENCE: Final = 0.9
"""Where a group of tails states none: its twenty returns have two in the tail."""


def _history_group(group: Any) -> Iterator[Piece]:
    filters = ("sigma2_next", "sigma_T_plus_1", "rescaled_returns", "half_scaled_returns")
    samples = ("hist", "fhs", "fhs_half", "blend_span2")
    inputs = {
        name: group[name]
        for name in ("returns", "lam", "sigma2_seed", "position_value", "confidence")
        if name in group
    }
    blend = group.get("blend_span2", {})
    inputs |= {name: blend[name] for name in ("x", "stress") if name in blend}
    yield Piece("/filter", "", inputs, {name: group[name] for name in filters if name in group})
    for sample in samples:
        if sample in group:
            outputs = {sample: without(group[sample], "x", "stress", "note")}
            yield Piece(f"/{sample}", "", inputs, outputs)


def filtered(v: Vector) -> dict[str, Any]:
    """Returns at today's vol, and three samples' measures of the tail."""
    returns, value = numbers(v.inputs["returns"])[:, None], v.number("position_value", 1.0)
    variances = history.ewma_variances(returns, v.number("lam"), v.number("sigma2_seed"))
    ratio = history.vol_ratios(variances, 0.0, np.inf)
    full, half = history.rescaled(returns, ratio)[:, 0], history.half_rescaled(returns, ratio)[:, 0]
    confidence = v.number("confidence", CONFIDENCE)
    told: dict[str, Any] = {
        sample: {name: measure(-value * moved, confidence).value for name, measure in MEASURES.items()}
        for sample, moved in (("hist", returns[:, 0]), ("fhs", full), ("fhs_half", half))
    }
    if "stress" in v.inputs:
        risk = blended(told["fhs"]["VaR_kth_largest"], v.number("stress"), 1.0 - v.number("x"))
        told["blend_span2"] = {"market_risk": float(risk)}
    return told | {
        "sigma2_next": float(variances[-1, 0]),
        "sigma_T_plus_1": float(np.sqrt(variances[-1, 0])),
        "rescaled_returns": full.tolist(),
        "half_scaled_returns": half.tolist(),
    }


GROUPS: Final[dict[str, Group]] = {
    "mpor_liquidity": _liquidity_group,
    "procyclicality": _cycle_group,
    "fhs": _history_group,
}
TRANSLATORS: Final[dict[str, Translator]] = {
    "reference mpor_liquidity/time": spans,
    "reference mpor_liquidity/slices": slices,
    "reference mpor_liquidity/square_root_impact": impact,
    "reference mpor_liquidity/concentration_days_to_liquidate": days,
    "reference mpor_liquidity/normal_expected_shortfall_over_margin": beyond_margin,
    "reference procyclicality/measures": cycle,
    "reference procyclicality/buffer": buffer,
    "reference procyclicality/stressed_25pct": stress_weight,
    "reference procyclicality/floor_10y": long_floor,
    "reference fhs": filtered,
}
