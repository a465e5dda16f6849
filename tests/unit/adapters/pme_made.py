"""A simulation as Deribit documents it: numbers printed in the API example, the rest computed from their rules by hand."""

from copy import deepcopy
from typing import Any

AT = 1718618400000  # 2024-06-17
MOVES = (-0.16, -0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12, 0.16)
# Vectors of the API example: one cell a price move, the same in all three vol scenarios.
PERPETUAL = (
    -0.05991206933333334,
    -0.04289159509090909,
    -0.027351162086956524,
    -0.013105765166666668,
    0,
    0.012097629384615385,
    0.023299138074074074,
    0.033700538999999995,
    0.043384601931034494,
)
FUTURE = tuple(-0.001187534 * m / (1 + m) for m in MOVES)  # n m / (1 + m), spec 3.1 step 4
AGGREGATED = (
    -0.05968587238095239,
    -0.04272965863636364,
    -0.02724789826086957,
    -0.013056284583333334,
    *[0] * 5,
)
CURRENCY = {
    "annualised_move_risk": 0.075,
    "min_annualised_move": 0.01,
    "extended_dampener": 100000.0,
    "haircut": 0.0,
    "pnl_offset": 0.0,
    "max_offsetable_pnl": 0.0,
    "correlation_set": False,
    "equity_side_impact": "both",
}
PAIR = {
    "price_range": 0.16,
    "volatility_range_up": 0.5,
    "volatility_range_down": 0.25,
    "min_volatility_for_shock_up": 0.5,
    "short_term_vega_power": 0.3,
    "long_term_vega_power": 0.13,
    "extended_table_factor": 1,
    "delta_total_liq_shock_threshold": 20000000,
    "max_delta_shock": 0.1,
    "m_inc": 0.00005,
}


def vector(cells: tuple[float, ...], tail: tuple[float, ...]) -> dict[str, list[float]]:
    """Cells of three equal vol scenarios, and the extended table."""
    return {"standard": [cell for cell in cells for _ in range(3)], "extended": list(tail)}


def edges(cells: tuple[float, ...]) -> tuple[float, ...]:
    """What a future has in the extended table: the cells at the edge of the range (step 5)."""
    return (cells[0],) * 2 + (cells[-1],) * 6


def simulation() -> dict[str, Any]:
    """The answer to a simulation of a perpetual and a near future, both in BTC."""
    before = tuple(p + f for p, f in zip(PERPETUAL, FUTURE, strict=True))
    details = {
        "risk_matrix_margin": 0.06284313098,
        "open_orders_margin": 1.8212e-05,
        "mmp_margin": 0.06,
        "spot_margin": 0,
        "risk_matrix_margin_details": {
            "worst_case": 0.059685872,
            "worst_case_bucket": {"index": 1, "bucket": 1, "side": "left", "source": "standard"},
            "delta_shock": 0,
            "roll_shock": 0.00315725898,
            "correlation_contingency": 0,
        },
    }
    result = {
        "model_params": {
            "general": {"mm_factor": 0.8, "buckets_count": 4, "vol_scenarios_count": 3, "timestamp": AT},
            "currency": {"btc": CURRENCY},
            "currency_pair": {"btc_usd": PAIR},
        },
        "initial_risk_vectors": {
            "BTC-PERPETUAL": vector(PERPETUAL, edges(PERPETUAL)),
            "BTC-28JUN24": vector(FUTURE, edges(FUTURE)),
        },
        "pre_aggregated_risk_vectors": {"btc_btc": vector(before, edges(before))},
        "aggregated_risk_vectors": {"btc_btc": vector(AGGREGATED, (0.0,) * 8)},
        "margins": {
            "btc": {
                "initial_margin": 0.122861343,
                "maintenance_margin": 0.050274504784,
                "initial_margin_details": details,
            }
        },
        "portfolio": {
            "position": {"BTC-PERPETUAL": 0.314538364, "BTC-28JUN24": -0.001187534},
            "currency": {"btc": 1.0},
        },
        "index_price": {"btc_usd": 65666.19},
        "ticker": {
            "BTC-PERPETUAL": {"mark_price": 65640.51, "index_price": 65666.19},
            "BTC-28JUN24": {"mark_price": 65900.0, "index_price": 65666.19},
        },
    }
    return {"jsonrpc": "2.0", "id": 1, "result": deepcopy(result)}
