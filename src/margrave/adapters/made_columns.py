"""Made columns for the kernels: options, a tick's grid, holdings and tiered positions, seeded and nobody's.

Sizes are those of a venue: 800 listed options, twenty positions an account, ten tiers.
"""

from typing import Final, TypeAlias

import numpy as np

from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.compiled.columns import GridOptions, Holdings, TierPositions, holdings_of
from margrave.kernels.compiled.rows import padded_rows
from margrave.kernels.ladder import progressive_deduction

Options: TypeAlias = tuple[F64, F64, F64, F64, Bools]
"""Forward, strike, vol, years, is_call."""

Grid: TypeAlias = tuple[GridOptions, F64, I64, F64]
"""Options, factor and vol level of each cell, and vols of each level."""

CELLS: Final = 41
FLOORS: Final = np.array([0.0, 5e4, 2.5e5, 1e6, 1e7, 2e7, 5e7, 1e8, 2e8, 3e8])
RATES: Final = np.array([0.004, 0.005, 0.01, 0.025, 0.05, 0.1, 0.125, 0.15, 0.25, 0.5])
CUTS: Final = progressive_deduction(FLOORS, RATES)
"""A ladder of ten tiers: floors [quote], maintenance rates, deductions [quote]."""


def made_options(count: int) -> Options:
    """A day to 18 months, up to some four deviations out, (count,) each."""
    dice = np.random.default_rng(1)
    forward, vol = dice.uniform(5e4, 7e4, count), dice.uniform(0.4, 1.2, count)
    years = dice.uniform(1.0 / 365.0, 1.5, count)
    strike = forward * np.exp(dice.normal(0.0, 1.3, count) * vol * np.sqrt(years))
    return forward, strike, vol, years, dice.random(count) < 0.5


def made_grid(columns: Options) -> Grid:
    """41 cells of coin premium: moves of up to 16 % with vol down, same and up, and two tails."""
    forward, strike, vol, years, is_call = columns
    none = np.zeros(len(forward))
    options = GridOptions(
        forward=forward,
        strike=strike,
        years=years,
        is_call=is_call,
        in_coin=none == 0.0,
        size=none + 1.0,
        mark=none,
    )
    moves = np.repeat(1.0 + np.linspace(-0.16, 0.16, 13), 3)
    factor = np.concatenate((moves, [0.5, 1.5]))
    level = np.concatenate((np.tile([0, 1, 2], 13), [2, 2]))
    return options, factor, level, np.array([0.75 * vol, vol, 1.5 * vol])


def made_holdings(accounts: int, instruments: int = 832, cells: int = 35) -> tuple[F64, Holdings, Holdings]:
    """A table of scenario rows, and holdings of 6 and of 12 bytes a position in it.

    Twenty positions an account on average, 30 % of them in 32 perpetuals and futures.
    """
    dice = np.random.default_rng(2)
    count = dice.poisson(20, accounts)
    start = np.concatenate(([0], np.cumsum(count)))
    places = int(start[-1])
    options = 32 + ((instruments - 32) * dice.random(places) ** 2).astype(np.int64)
    index = np.where(dice.random(places) < 0.3, dice.integers(0, 32, places), options)
    quantity = dice.integers(-1_000, 1_001, places)
    return (
        padded_rows(dice.normal(0.0, 1.0, (instruments, cells))),
        holdings_of(start, index.astype(np.uint16), quantity.astype(np.int32)),
        holdings_of(start, index.astype(np.int32), quantity.astype(np.float64)),
    )


def made_positions(count: int) -> tuple[TierPositions, F64]:
    """Linear positions of all sizes on ten times leverage, and the collateral of each [quote]."""
    dice = np.random.default_rng(3)
    mark = dice.uniform(5e4, 7e4, count)
    quantity = dice.normal(0.0, 1.0, count) * np.exp(dice.normal(1.0, 3.0, count))
    entry = mark * dice.uniform(0.95, 1.05, count)
    positions = TierPositions(
        ladder=np.zeros(count, dtype=np.int64),
        quantity=quantity,
        entry=entry,
        mark=mark,
        initial_rate=np.full(count, 0.1),
    )
    return positions, 0.1 * np.abs(quantity) * entry
