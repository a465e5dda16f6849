"""The compiled kernels beside their NumPy twins and beside plain Python loops."""

import math
from fractions import Fraction

import numba
import numpy as np
import pytest

from margrave.kernels.compiled import black, intrinsics, tiers, twins, worst
from margrave.kernels.compiled.columns import holdings_of
from margrave.kernels.compiled.rows import empty_rows, padded_rows
from tests.reference.compiled_book import FLOORS, RATES, grid, holdings, ladders, options, tier_positions

SEEDS = [1, 2, 3]


# --- intrinsics ---


@numba.njit
def _fma(a, b, c):
    return intrinsics.fma(a, b, c)


@numba.njit
def _round_trip(x):
    return intrinsics.double_of(intrinsics.bits_of(x)), intrinsics.bits_of(x)


@numba.njit
def _below(numbers, first, steps, x):
    return intrinsics.count_below(numbers, first, steps, x)


@numba.njit
def _least(lanes, row):
    return intrinsics.least_lane(lanes, row)


def test_fma_rounds_once():
    dice = np.random.default_rng(5)
    for a, b in dice.normal(0.0, 1.0, (200, 2)):
        c = -a * b  # cancels all but the rounding of the product
        assert _fma(a, b, c) == float(Fraction(a) * Fraction(b) + Fraction(c))


@pytest.mark.parametrize("x", [0.0, -0.0, 1.0, -2.5, 5e-324, math.inf, -math.inf])
def test_bits(x):
    value, bits = _round_trip(x)
    assert math.copysign(1.0, value) == math.copysign(1.0, x)
    assert value == x
    assert bits == np.array(x).view(np.uint64)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_count_below(steps):
    numbers = empty_rows(2, 8 * steps)
    numbers[:] = np.sort(np.random.default_rng(2).integers(-9, 9, numbers.shape).astype(float), axis=1)
    numbers[1, -1] = np.inf
    for row in range(2):
        for x in (-10.0, -9.0, -0.5, 0.0, 3.0, 9.5, math.inf, -math.inf, math.nan):
            expected = sum(bool(n < x) for n in numbers[row])
            assert _below(numbers, row * 8 * steps, (0,) * steps, x) == expected


@pytest.mark.parametrize("vectors", [1, 2, 5, 8, 9, 17])
def test_least_lane(vectors):
    dice = np.random.default_rng(vectors)
    for _ in range(300):
        row = dice.integers(-3, 60, 8 * vectors).astype(float)
        assert _least((0,) * vectors, row) == (row.min(), row.argmin())
        row[dice.integers(len(row))] = math.nan
        least, lane = _least((0,) * vectors, row)
        assert math.isnan(least)
        assert lane == -1


def test_infinities_of_both_signs_are_nan():
    row = np.zeros(8)
    row[2], row[6] = -math.inf, math.inf
    assert math.isnan(_least((0,), row)[0])
    row[6] = 0.0
    assert _least((0,), row) == (-math.inf, 2)


# --- options ---


@pytest.mark.parametrize("seed", SEEDS)
def test_options(seed):
    columns = options(np.random.default_rng(seed), 3_000)
    ours, numpys = black.option_values(*columns), twins.option_values(*columns)
    size = np.maximum(columns[0], columns[1])
    assert np.max(np.abs(ours[0] - numpys[0]) / size) < 1e-15
    np.testing.assert_allclose(ours[1], numpys[1], rtol=1e-12, atol=1e-15)
    for row in (2, 3, 4):
        np.testing.assert_allclose(ours[row], numpys[row], rtol=3e-11, atol=1e-14 * np.abs(numpys[row]).max())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("cells", [1, 8, 41])
def test_grids(seed, cells):
    made = grid(np.random.default_rng(seed), 150, cells)
    ours, numpys = (f(*made, empty_rows(150, cells)) for f in (black.grid_values, twins.grid_values))
    size = np.where(made[0].in_coin, 1.0, made[0].forward) * np.maximum(1.0, made[0].strike / made[0].forward)
    assert np.max(np.abs(ours - numpys) / (size * made[0].size)[:, None]) < 4e-15


def test_a_number_does_not_depend_on_its_neighbours():
    columns = options(np.random.default_rng(8), 700)
    whole = black.option_values(*columns)
    for number in range(0, 700, 23):
        alone = black.option_values(*(column[number : number + 1] for column in columns))
        assert np.array_equal(alone[:, 0], whole[:, number])
    made, factor, level, vol = grid(np.random.default_rng(8), 70, 41)
    table = black.grid_values(made, factor, level, vol, empty_rows(70, 41))
    turned = black.grid_values(made, factor[::-1], level[::-1], vol, empty_rows(70, 41))
    assert np.array_equal(turned[:, :41], table[:, :41][:, ::-1])


# --- worst of accounts ---


def loop_worst(table, cells, held):
    """Worst cell of each account, by exact fractions rounded nowhere."""
    for first, past in zip(held.start, held.start[1:], strict=False):
        sums = [Fraction(0)] * cells
        for p in range(first, past):
            for c in range(cells):
                sums[c] += Fraction(float(held.quantity[p])) * Fraction(float(table[held.index[p], c]))
        yield min(sums), sums


@pytest.mark.parametrize("index", [np.uint16, np.int32, np.int64])
@pytest.mark.parametrize("quantity", [np.int32, np.float64])
def test_worst_of_accounts(index, quantity):
    dice = np.random.default_rng(4)
    table = padded_rows(dice.normal(0.0, 1.0, (60, 13)))
    held = holdings(dice, 40, 60, index, quantity)
    got, cell = worst.worst_cells(table, held)
    for account, (expected, sums) in enumerate(loop_worst(table, 13, held)):
        assert got[account] == pytest.approx(float(expected), rel=1e-12, abs=1e-9)
        assert float(sums[cell[account]]) == pytest.approx(float(expected), rel=1e-12, abs=1e-9)
        assert 0 <= cell[account] < 13
    theirs, their_cell = twins.worst_cells(table, held)
    np.testing.assert_allclose(got, theirs, rtol=1e-12, atol=1e-9)
    assert np.array_equal(cell, their_cell)


@pytest.mark.parametrize("vectors", [1, 5, 7])
def test_vectors_and_obvious_loops_give_the_same_bytes(vectors):
    dice = np.random.default_rng(vectors)
    table = padded_rows(dice.normal(0.0, 1.0, (60, 8 * vectors - 3)))
    table[7, 1] = np.nan
    held = holdings(dice, 500, 60)
    plain = np.empty(500), np.empty(500, dtype=np.int32)
    worst.account_rows_plain(table, (held.start, held.index, held.quantity), (0, 500), plain)
    got = worst.worst_cells(table, held)
    assert np.isnan(got[0]).any()
    assert np.isfinite(got[0]).any()
    assert got[0].tobytes() == plain[0].tobytes()
    assert np.array_equal(got[1], plain[1])


@pytest.mark.parametrize("seed", SEEDS)
def test_units(seed):
    dice = np.random.default_rng(seed)
    table = padded_rows(dice.normal(0.0, 1.0, (60, 35)))
    held = holdings(dice, 300, 60)
    unit_start = np.concatenate(([0], np.sort(dice.integers(0, 301, 99)), [300]))
    ours, numpys = (
        worst.worst_in_units(table, held, unit_start),
        twins.worst_in_units(table, held, unit_start),
    )
    for one, other in zip(ours, numpys, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-8)
    alone, cell = worst.worst_cells(table, held)
    assert np.array_equal(ours[0], alone)
    assert np.array_equal(ours[1], cell)
    together = holdings_of(held.start[unit_start], held.index, held.quantity)
    np.testing.assert_allclose(ours[3], worst.worst_cells(table, together)[0], rtol=1e-11, atol=1e-8)


@pytest.mark.parametrize("module", [worst, twins])
def test_no_accounts_and_no_positions(module):
    table = padded_rows(np.ones((1, 3)))
    for accounts in (0, 2):
        held = holdings_of(np.zeros(accounts + 1, dtype=np.int64), np.zeros(0, np.uint16), np.zeros(0))
        got, cell = module.worst_cells(table, held)
        assert got.tolist() == [0.0] * accounts
        assert cell.tolist() == [0] * accounts


@pytest.mark.parametrize("module", [worst, twins])
def test_nan_stays_in_its_account(module):
    values = np.ones((3, 5))
    values[1, 4] = np.nan
    held = holdings_of(
        np.array([0, 1, 2, 3]), np.array([0, 1, 2], dtype=np.uint16), np.array([-1.0, 2.0, np.nan])
    )
    got, cell = module.worst_cells(padded_rows(values), held)
    assert got[0] == -1.0
    assert np.isnan(got[1:]).all()
    assert cell.tolist() == [0, -1, -1]


# --- ladders ---


def loop_margin(tiers_of, size):
    """Margin and rate row of a size by walking up."""
    at = 0
    while at + 1 < len(tiers_of) and size > tiers_of[at + 1][0]:
        at += 1
    margin = 0.0
    for k, (floor, rate) in enumerate(tiers_of[: at + 1]):
        top = tiers_of[k + 1][0] if k < at else size
        margin += (top - floor) * rate
    return margin, at


TIERS = [
    list(zip(FLOORS, RATES, 2.0 * RATES, strict=True)),
    list(zip(0.5 * FLOORS, RATES, 0.0 * RATES, strict=True)),
    [(0.0, RATES[-1], 0.02)],
]
FUNCTIONS = [("linear_positions", False), ("inverse_positions", True)]


@pytest.mark.parametrize(("name", "inverse"), FUNCTIONS)
@pytest.mark.parametrize("seed", SEEDS)
def test_isolated(name, inverse, seed):
    positions, collateral = tier_positions(np.random.default_rng(seed), 400)
    got = getattr(tiers, name)(ladders(), positions, collateral)
    np.testing.assert_allclose(
        got, getattr(twins, name)(ladders(), positions, collateral), rtol=1e-9, atol=1e-7
    )
    for p in range(400):
        q, entry, mark = (float(c[p]) for c in (positions.quantity, positions.entry, positions.mark))
        rows = [row[:2] for row in TIERS[positions.ladder[p]]]
        least = [row[2] for row in TIERS[positions.ladder[p]]]

        def profit(price, q=q, entry=entry):
            return q / entry - q / price if inverse else q * (price - entry)

        def equity(price, margin=float(collateral[p]), profit=profit):
            return margin + profit(price)

        notional = abs(q) / mark if inverse else abs(q) * mark
        maintenance, tier = loop_margin(rows, notional)
        assert got[0, p] == pytest.approx(notional * max(least[tier], positions.initial_rate[p]), rel=1e-12)
        assert got[1, p] == pytest.approx(maintenance, rel=1e-9)
        assert got[2, p] == pytest.approx(profit(mark), rel=1e-9, abs=1e-12 * notional)
        price = got[3, p]
        if q == 0.0:
            assert math.isnan(price)
        elif 0.0 < price < math.inf:
            margin, _ = loop_margin(rows, abs(q) / price if inverse else abs(q) * price)
            size = max(margin, abs(collateral[p]), abs(equity(price)), notional)
            assert equity(price) - margin == pytest.approx(0.0, abs=1e-9 * size)
        else:  # a million times down or up is not breached, or is
            breached_at = 1e-6 * mark if q > 0.0 else 1e6 * mark
            far, _ = loop_margin(rows, abs(q) / breached_at if inverse else abs(q) * breached_at)
            safe = (price == 0.0) if q > 0.0 else (price == math.inf)
            assert (equity(breached_at) >= far) == safe


@pytest.mark.parametrize("name", ["linear_pools", "inverse_pools"])
@pytest.mark.parametrize("seed", SEEDS)
def test_cross(name, seed):
    dice = np.random.default_rng(seed)
    positions, _ = tier_positions(dice, 300)
    start = np.concatenate(([0], np.sort(dice.integers(0, 301, 49)), [300]))
    balance = dice.uniform(0.0, 1e8, 50)
    ours, numpys = (getattr(m, name)(ladders(), positions, start, balance) for m in (tiers, twins))
    for one, other in zip(ours, numpys, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-6)
    # One position alone in its pool is an isolated one with the balance as collateral.
    alone = getattr(tiers, name)(ladders(), positions, np.arange(301), np.full(300, 1e5))[0]
    isolated = getattr(tiers, name.replace("pools", "positions"))(ladders(), positions, np.full(300, 1e5))
    np.testing.assert_allclose(alone, isolated, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("field", ["quantity", "entry", "mark"])
@pytest.mark.parametrize("module", [tiers, twins])
def test_a_sick_position(module, field):
    positions, collateral = tier_positions(np.random.default_rng(1), 20)
    getattr(positions, field)[7] = math.nan
    got = module.linear_positions(ladders(), positions, collateral)
    assert math.isnan(got[2, 7])
    if field != "mark":
        assert math.isnan(got[3, 7])
    if field != "entry":
        assert np.isnan(got[:3, 7]).all()
    assert np.isfinite(got[:, 8:]).all()


def test_columns_that_may_not_be_written():
    """Columns of a memory-mapped file are read only; they are another type for the compiler, and the same bytes."""
    dice = np.random.default_rng(6)
    table = padded_rows(dice.normal(0.0, 1.0, (60, 13)))
    held = holdings(dice, 50, 60)
    columns = options(dice, 50)
    expected = worst.worst_cells(table, held), black.option_values(*columns)
    for column in (held.start, held.index, held.quantity, *columns):
        column.flags.writeable = False
    got = worst.worst_cells(table, holdings_of(held.start, held.index, held.quantity))
    assert got[0].tobytes() == expected[0][0].tobytes()
    assert black.option_values(*columns).tobytes() == expected[1].tobytes()
