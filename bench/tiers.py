"""Initial and maintenance margin, profit and liquidation price of positions under ten tiers."""

import numpy as np
from scipy import optimize

from bench.measure import Gate, Section, Setting, difference, interleaved, quicker, rows
from margrave.adapters.made_columns import CUTS, FLOORS, RATES, made_positions
from margrave.kernels.compiled import twins
from margrave.kernels.compiled.columns import TierPositions, tier_table
from margrave.kernels.compiled.tiers import (
    inverse_positions,
    linear_pools,
    linear_positions,
)

POSITIONS, FEW, POOLS = 100_000, 1_000, 50
PYTHON = f"pure Python, {FEW:,} positions"


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
    positions, collateral = made_positions(POSITIONS)
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
        PYTHON: lambda: python_positions(few, tiers),
    }
    out = runs["margrave, linear, 1 thread"]()

    def both() -> np.ndarray:
        return linear_positions(table, positions, collateral, setting.pool)

    assert both().tobytes() == out.tobytes()
    scale = np.maximum(np.abs(out), 1.0)
    errors = {
        "NumPy, every tier tried": difference(runs["NumPy, every tier tried"](), out, scale),
        PYTHON: difference(np.array(python_positions(few, tiers)).T, out[:, :FEW], scale[:, :FEW]),
    }
    assert max(errors.values()) < 1e-9, errors
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
    return [Section(title, "position", rows(seconds, counts, errors=errors), gates), searched()]


def searched() -> Section:
    """Liquidation price of pools of 20 positions when the price of one of them moves, beside a search for the root."""
    positions, _ = made_positions(POSITIONS)
    table, size = tier_table([FLOORS], [RATES], [CUTS], [0.0 * RATES]), 20
    start, balance = np.arange(0, POSITIONS + 1, size), np.full(POSITIONS // size, 1e9)
    _, pools = linear_pools(table, positions, start, balance)
    first = np.arange(POOLS) * size

    def excess(price: float, p: int, rest: float) -> float:
        quantity = positions.quantity[p]
        notional = abs(quantity) * price
        tier = np.searchsorted(FLOORS[1:], notional)
        return rest + quantity * (price - positions.entry[p]) - (notional * RATES[tier] - CUTS[tier])

    def brentq_way() -> np.ndarray:
        found = []
        for p, k in zip(first.tolist(), range(POOLS), strict=True):
            mark = positions.mark[p]
            own = excess(mark, p, 0.0)
            rest = pools[0, k] - pools[2, k] - own
            side = (1e-9, mark) if positions.quantity[p] > 0.0 else (mark, 1e12)
            signs = [excess(price, p, rest) for price in side]
            crosses = signs[0] * signs[1] < 0.0
            found.append(
                optimize.brentq(excess, *side, args=(p, rest), xtol=1e-9, rtol=1e-14) if crosses else 0.0
            )
        return np.array(found)

    theirs = brentq_way()
    ours = linear_pools(table, positions, start, balance)[0][3, first]
    both = theirs > 0.0
    error = difference(theirs[both], ours[both], ours[both])
    assert both.sum() > POOLS // 4
    assert error < 1e-9, error
    names = "margrave, both margins and the price of every position", f"SciPy brentq, {POOLS} prices"
    seconds = interleaved(
        {names[0]: lambda: linear_pools(table, positions, start, balance), names[1]: brentq_way}
    )
    counts = {names[0]: POSITIONS, names[1]: POOLS}
    title = "Liquidation price of one position in a cross pool of 20, ten tiers"
    return Section(title, "price", rows(seconds, counts, errors={names[1]: error}))
