"""What the compiled kernels refuse, how work is cut, how they are warmed, and what is said without a compiler."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from margrave.kernels.compiled import compiler, warming
from margrave.kernels.compiled.black import grid_values, option_values
from margrave.kernels.compiled.columns import GridOptions, TierPositions, holdings_of, tier_table
from margrave.kernels.compiled.rows import check_rows, empty_rows, lanes_of, padded_rows
from margrave.kernels.compiled.tiers import linear_pools, linear_positions
from margrave.kernels.compiled.worst import worst_cells, worst_in_units

ONE, YES, NONE = np.ones(1), np.ones(1, dtype=bool), np.zeros(1, dtype=np.int64)
START = np.array([0, 1])


# --- tables ---


@pytest.mark.parametrize(("cells", "lanes"), [(1, 8), (8, 8), (9, 16), (35, 40), (41, 48)])
def test_rows_are_padded_and_aligned(cells, lanes):
    assert lanes_of(cells) == lanes
    values = np.random.default_rng(1).normal(0.0, 1.0, (5, cells))
    table = padded_rows(values)
    check_rows(table)
    assert table.shape == (5, lanes)
    assert table.ctypes.data % 64 == 0
    assert np.array_equal(table[:, :cells], values)
    assert np.array_equal(table[:, cells:], np.repeat(values[:, :1], lanes - cells, axis=1))


TABLES = {
    "float32": np.zeros((2, 8), dtype=np.float32),
    "flat": np.zeros(8),
    "seven lanes": np.zeros((2, 7)),
    "no lanes": np.zeros((2, 0)),
    "columns first": np.zeros((8, 8)).T[:, ::2],
    "not aligned": empty_rows(3, 8).reshape(-1)[1:17].reshape(2, 8),
}


@pytest.mark.parametrize("name", TABLES)
def test_another_table_is_refused(name):
    with pytest.raises(ValueError, match="padded_rows"):
        check_rows(TABLES[name])


# --- holdings ---

HELD = {
    "float index": ((START, ONE, ONE), "index must be"),
    "short quantity": ((START, NONE, ONE.astype(np.int16)), "quantity"),
    "two lengths": ((START, NONE, np.ones(2)), "one length"),
    "square": ((START, np.zeros((1, 1), dtype=np.int64), np.ones((1, 1))), "one length"),
    "no start": ((NONE[:0], NONE, ONE), "start must ascend"),
    "late start": ((np.array([1, 1]), NONE, ONE), "start must ascend"),
    "early end": ((np.array([0, 0]), NONE, ONE), "start must ascend"),
    "falling start": ((np.array([0, 2, 1, 2]), np.zeros(2, dtype=np.int64), np.ones(2)), "start must ascend"),
    "negative index": ((START, NONE - 1, ONE), "index must be >= 0, got -1"),
}


@pytest.mark.parametrize("name", HELD)
def test_wrong_holdings_are_refused(name):
    arguments, message = HELD[name]
    with pytest.raises(ValueError, match=message):
        holdings_of(*arguments)


def test_a_table_with_too_few_rows_is_refused():
    held = holdings_of(START, NONE + 3, ONE)
    with pytest.raises(ValueError, match="the table has 3 rows, the positions name 4"):
        worst_cells(padded_rows(np.ones((3, 1))), held)


@pytest.mark.parametrize("unit_start", [[], [1, 1], [0, 2], [0, 1, 0, 1]])
def test_wrong_units_are_refused(unit_start):
    with pytest.raises(ValueError, match="unit_start"):
        worst_in_units(padded_rows(np.ones((1, 1))), holdings_of(START, NONE, ONE), np.array(unit_start))


# --- options ---


def test_options_of_two_lengths_are_refused():
    with pytest.raises(ValueError, match="one length"):
        option_values(ONE, np.ones(2), ONE, ONE, YES)


GRIDS = {
    "vols": ((ONE, NONE, np.ones((1, 2))), "options and vols"),
    "level": ((ONE, np.zeros(2, dtype=np.int64), ONE[None]), "factor and level"),
    "no cells": ((ONE[:0], NONE[:0], ONE[None]), "from 1 to 8"),
    "many cells": ((np.ones(9), np.zeros(9, dtype=np.int64), ONE[None]), "from 1 to 8"),
    "low level": ((ONE, NONE - 1, ONE[None]), "row of vol, 0 to 0"),
    "high level": ((ONE, NONE + 1, ONE[None]), "row of vol, 0 to 0"),
}


@pytest.mark.parametrize("name", GRIDS)
def test_a_wrong_grid_is_refused(name):
    arguments, message = GRIDS[name]
    made = GridOptions(forward=ONE, strike=ONE, years=ONE, is_call=YES, in_coin=YES, size=ONE, mark=ONE)
    with pytest.raises(ValueError, match=message):
        grid_values(made, *arguments, empty_rows(1, 8))


# --- ladders ---

LADDERS = {
    "no tier": (([], [], [], []), "ascend strictly"),
    "first floor": (([1.0], [0.1], [0.0], [0.0]), "ascend strictly"),
    "falling": (([0.0, 2.0, 2.0], [0.1] * 3, [0.0] * 3, [0.0] * 3), "ascend strictly"),
    "endless": (([0.0, np.inf], [0.1] * 2, [0.0] * 2, [0.0] * 2), "ascend strictly"),
    "negative rate": (([0.0], [-0.1], [0.0], [0.0]), "maintenance"),
    "rate of one": (([0.0], [1.0], [0.0], [0.0]), "maintenance"),
    "NaN rate": (([0.0], [np.nan], [0.0], [0.0]), "maintenance"),
    "first deduction": (([0.0], [0.1], [0.1], [0.0]), "continuous"),
    "whole position": (([0.0, 5.0], [0.1, 0.2], [0.0, 0.0], [0.0, 0.0]), "jumps by"),
}


@pytest.mark.parametrize("name", LADDERS)
def test_a_wrong_ladder_is_refused(name):
    columns, message = LADDERS[name]
    with pytest.raises(ValueError, match=message):
        tier_table(*([np.array(column)] for column in columns))


def positions(**changed):
    fields = {"ladder": NONE, "quantity": ONE, "entry": ONE, "mark": ONE, "initial_rate": ONE}
    return TierPositions(**{**fields, **changed})


def test_wrong_positions_are_refused():
    table = tier_table(*([np.array([value])] for value in (0.0, 0.1, 0.0, 0.0)))
    with pytest.raises(ValueError, match="one length"):
        linear_positions(table, positions(mark=np.ones(2)), ONE)
    for ladder in (-1, 1):
        with pytest.raises(ValueError, match="ladder must be a row of the table, 0 to 0"):
            linear_positions(table, positions(ladder=NONE + ladder), ONE)
    with pytest.raises(ValueError, match="collateral"):
        linear_positions(table, positions(), np.ones(2))
    for start in ([], [1, 1], [0, 2], [0, 1, 0, 1]):
        with pytest.raises(ValueError, match="start must ascend"):
            linear_pools(table, positions(), np.array(start), ONE)
    with pytest.raises(ValueError, match="balance"):
        linear_pools(table, positions(), START, np.ones(2))
    assert linear_positions(
        table,
        positions(**dict.fromkeys(("quantity", "entry", "mark", "initial_rate"), ONE[:0]), ladder=NONE[:0]),
        ONE[:0],
    ).shape == (4, 0)


# The first brackets of Binance's BTCUSDT, with the maintenance amounts that it prints: 50 and 1,300.
def test_a_worked_ladder():
    floor, rate = np.array([0.0, 50_000.0, 250_000.0]), np.array([0.004, 0.005, 0.01])
    cut = np.array([0.0, 50.0, 1_300.0])
    table = tier_table([floor], [rate], [cut], [np.zeros(3)])
    one = TierPositions(
        ladder=NONE, quantity=np.array([10.0]), entry=np.array([50_000.0]), mark=np.array([40_000.0]), initial_rate=np.array([0.05])
    )  # fmt: skip
    initial, maintenance, profit, liquidation = linear_positions(table, one, np.array([125_000.0]))[:, 0]
    assert (initial, maintenance, profit) == (20_000.0, 2_700.0, -100_000.0)
    # 125,000 + 10 (p - 50,000) = 0.01 × 10 p - 1,300
    assert liquidation == pytest.approx((500_000.0 - 125_000.0 - 1_300.0) / 9.9, rel=1e-15)


# --- pieces, warming, no compiler ---


@pytest.mark.parametrize("count", [0, 1, 7, 8, 1000])
@pytest.mark.parametrize(("multiple", "least"), [(1, 1), (32, 64), (32, 5000)])
def test_even_pieces(count, multiple, least):
    bounds = compiler.even_bounds(count, multiple, least)
    assert bounds[0] == 0
    assert bounds[-1] == count
    assert np.all(np.diff(bounds) >= 0)
    assert np.all(bounds[:-1] % multiple == 0)
    assert len(bounds) - 1 == min(max(count // least, 1), compiler.PIECES)


def test_pieces_of_rows_have_about_as_many_entries():
    count = np.random.default_rng(1).poisson(20, 1_000)
    start = np.concatenate(([0], np.cumsum(count)))
    bounds = compiler.row_bounds(start, 100)
    assert (bounds[0], bounds[-1]) == (0, 1_000)
    assert np.ptp(np.diff(start[bounds])) < 100
    assert compiler.row_bounds(start, 10**6).tolist() == [0, 1_000]


def test_an_error_in_a_thread_is_told():
    def work(first, _past):
        raise ArithmeticError(f"piece from {first}")

    with ThreadPoolExecutor(2) as pool, pytest.raises(ArithmeticError, match="piece from 0"):
        compiler.in_pieces(work, 8, lambda: np.array([0, 4, 8]), pool)


def test_the_cache_asks_for_every_file_that_is_inlined():
    file = option_values.__globals__["option_rows"]._cache._cache_file
    assert file._source_stamp[1] == compiler._STAMP


@pytest.mark.slow
def test_warming_says_what_it_compiles():
    said = []
    warming.warm(said.append)
    assert said[:2] == ["pools of coin-settled contracts", "pools margined by size"]
    assert {"option values", "scenario grid", "tiered margin and liquidation prices"} <= set(said)
    assert "worst of 40 scenarios, index uint16, quantity int32" in said
    warming.warm()


def test_the_kernels_room_imports_no_compiler():
    code = "import sys, margrave.kernels, margrave.kernels.compiled.twins; print('numba' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_a_missing_compiler_is_named_with_its_extra():
    code = "import sys; sys.modules['numba'] = None; import margrave.kernels.compiled.black"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert (
        "the compiled kernels need Numba, which is not installed: pip install 'margrave[fast]'" in run.stderr
    )
