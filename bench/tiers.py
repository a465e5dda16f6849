"""Initial and maintenance margin, profit and liquidation price of positions under ten tiers."""

import numpy as np

from bench.measure import Gate, Section, Setting, interleaved, quicker, rows
from margrave.kernels.compiled import twins
from margrave.kernels.compiled.columns import TierPositions, tier_table
from margrave.kernels.compiled.tiers import (
    inverse_positions,
    linear_pools,
    linear_positions,
)
from margrave.kernels.ladder import progressive_deduction

POSITIONS, FEW = 100_000, 1_000
FLOORS = np.array([0.0, 5e4, 2.5e5, 1e6, 1e7, 2e7, 5e7, 1e8, 2e8, 3e8])
RATES = np.array([0.004, 0.005, 0.01, 0.025, 0.05, 0.1, 0.125, 0.15, 0.25, 0.5])
CUTS = progressive_deduction(FLOORS, RATES)


def made_positions() -> tuple[TierPositions, np.ndarray]:
    """Linear positions of all sizes on ten times leverage."""
    dice = np.random.default_rng(3)
    mark = dice.uniform(5e4, 7e4, POSITIONS)
    quantity = dice.normal(0.0, 1.0, POSITIONS) * np.exp(dice.normal(1.0, 3.0, POSITIONS))
    entry = mark * dice.uniform(0.95, 1.05, POSITIONS)
    positions = TierPositions(
        ladder=np.zeros(POSITIONS, dtype=np.int64), quantity=quantity, entry=entry, mark=mark,
        initial_rate=np.full(POSITIONS, 0.1),
    )  # fmt: skip
    return positions, 0.1 * np.abs(quantity) * entry


def python_positions(
    columns: list[tuple[float, ...]], tiers: list[tuple[float, float, float]]
) -> list[tuple[float, ...]]:
    """One linear position at a time: its tier by walking up, its liquidation price by trying tiers."""
    out = []
    tops = [*(tier[0] for tier in tiers[1:]), float("inf")]
    for quantity, entry, mark, leverage_rate, collateral in columns:
        size, side = abs(quantity), (1.0 if quantity > 0.0 else -1.0)
        notional, k = size * mark, 0
        while notional > tops[k]:
            k += 1
        maintenance = notional * tiers[k][1] - tiers[k][2]
        price = 0.0
        for (floor, rate, cut), top in zip(tiers, tops, strict=True):
            root = (collateral - side * size * entry + cut) / (rate - side)
            if floor <= root <= top:
                price = root / size
                break
        out.append((notional * leverage_rate, maintenance, quantity * (mark - entry), price))
    return out


def run(setting: Setting) -> list[Section]:
    """The benchmark."""
    positions, collateral = made_positions()
    table = tier_table([FLOORS], [RATES], [CUTS], [0.0 * RATES])
    coin = TierPositions(
        ladder=positions.ladder, quantity=positions.quantity * positions.mark, entry=positions.entry,
        mark=positions.mark, initial_rate=positions.initial_rate,
    )  # fmt: skip
    in_coin = collateral / positions.mark
    start, balance = np.arange(0, POSITIONS + 1, 20), np.full(POSITIONS // 20, 1e6)
    columns = positions.quantity, positions.entry, positions.mark, positions.initial_rate, collateral
    few = [tuple(row) for row in np.stack(columns, axis=1)[:FEW].tolist()]
    tiers = list(zip(FLOORS.tolist(), RATES.tolist(), CUTS.tolist(), strict=True))
    runs = {
        "margrave, linear, 1 thread": lambda: linear_positions(table, positions, collateral),
        "margrave, inverse, 1 thread": lambda: inverse_positions(table, coin, in_coin),
        "margrave, linear, cross pools of 20": lambda: linear_pools(table, positions, start, balance),
        "NumPy, every tier tried": lambda: twins.linear_positions(table, positions, collateral),
        f"pure Python, {FEW:,} positions": lambda: python_positions(few, tiers),
    }
    out = runs["margrave, linear, 1 thread"]()

    def both() -> np.ndarray:
        return linear_positions(table, positions, collateral, setting.pool)

    assert both().tobytes() == out.tobytes()
    np.testing.assert_allclose(runs["NumPy, every tier tried"](), out, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(np.array(python_positions(few, tiers)).T, out[:, :FEW], rtol=1e-9, atol=1e-7)
    seconds = interleaved(runs)
    ours = seconds["margrave, linear, 1 thread"]
    inverse, threads = (
        seconds["margrave, inverse, 1 thread"],
        quicker(runs["margrave, linear, 1 thread"], both),
    )
    gates = [
        Gate("G9", "tiers: time of a linear over an inverse position", ours / inverse, 1.0 / 1.5),
        Gate("G13", "tiers: 2 threads over 1, on the wall's clock", threads, 1.6),
    ]
    counts = {name: FEW if "pure" in name else POSITIONS for name in seconds}
    title = "Initial, maintenance, profit and liquidation price, ten tiers"
    return [Section(title, "position", rows(seconds, counts), gates)]
