"""The worst scenario of every account: one pass over compressed rows that keeps only the least sum.

Profit > 0, so the worst is the least. A table has a row of cells an instrument; an account's value in a cell is the
sum of quantity × cell over its positions, in their order, each step one fused multiply-add. Nothing of size
accounts × cells is ever written.
"""

from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from margrave.kernels.arrays import F64, I32, I64
from margrave.kernels.compiled.columns import Holdings
from margrave.kernels.compiled.compiler import in_pieces, kernel, kernel_with_room, row_bounds
from margrave.kernels.compiled.intrinsics import fma, least_lane, worst_lane, worst_lane_adding
from margrave.kernels.compiled.rows import WIDTH, check_rows

_PIECE = 20_000  # positions that are worth a thread


# --- kernels ---


@kernel
def account_rows(
    lanes: tuple[int, ...],
    table: F64,
    holdings: tuple[I64, NDArray[Any], NDArray[Any]],
    span: tuple[int, int],
    out: tuple[F64, I32],
) -> None:
    """Accounts from ``span[0]`` to ``span[1] - 1`` of `worst_cells`."""
    start, index, quantity = holdings
    worst, cell = out
    for account in range(span[0], span[1]):
        worst[account], cell[account] = worst_lane(
            lanes, table, index, quantity, start[account], start[account + 1]
        )


@kernel_with_room
def account_rows_plain(
    table: F64,
    holdings: tuple[I64, NDArray[Any], NDArray[Any]],
    span: tuple[int, int],
    out: tuple[F64, I32],
) -> None:
    """`account_rows` as obvious loops: the same bytes without vector types, for a machine that has none."""
    start, index, quantity = holdings
    worst, cell = out
    sums = np.empty(table.shape[1])
    for account in range(span[0], span[1]):
        sums[:] = 0.0
        for position in range(start[account], start[account + 1]):
            row, weight = table[index[position]], float(quantity[position])
            for lane in range(len(sums)):
                sums[lane] = fma(weight, row[lane], sums[lane])
        worst[account], cell[account] = sums[0], 0
        total = sums[0]
        for lane in range(1, len(sums)):
            total += sums[lane]
            if sums[lane] < worst[account]:
                worst[account], cell[account] = sums[lane], lane
        if np.isnan(total):
            worst[account], cell[account] = np.nan, -1


@kernel_with_room
def unit_rows(
    lanes: tuple[int, ...],
    table: F64,
    holdings: tuple[I64, NDArray[Any], NDArray[Any]],
    units: tuple[I64, int, int],
    out: tuple[F64, I32, F64, F64, I32],
) -> None:
    """Accounts from ``units[1]`` to ``units[2] - 1`` of `worst_in_units`."""
    start, index, quantity = holdings
    unit_start, first, past = units
    worst, cell, total, joint, joint_cell = out
    sums = np.empty(table.shape[1])
    for account in range(first, past):
        sums[:] = 0.0
        together = 0.0
        for unit in range(unit_start[account], unit_start[account + 1]):
            worst[unit], cell[unit] = worst_lane_adding(
                lanes, table, index, quantity, start[unit], start[unit + 1], sums
            )
            together += worst[unit]
        total[account] = together
        joint[account], joint_cell[account] = least_lane(lanes, sums)


# --- what callers use ---


def worst_cells(table: F64, holdings: Holdings, pool: Executor | None = None) -> tuple[F64, I32]:
    """Worst scenario of every account.

    Parameters
    ----------
    table : (I, lanes) ndarray
        Profit of one contract in each cell, from `rows.padded_rows` or `black.grid_values`. [settlement asset]
    holdings : Holdings
        Of accounts, or of any other rows whose positions offset in full.
    pool : Executor, optional
        Threads; the answer is the same bytes.

    Returns
    -------
    worst : (A,) ndarray
        Least sum over cells, 0 without positions, > 0 where every cell gains. [settlement asset]
    cell : (A,) ndarray of int
        Which, the first of equals.

    Raises
    ------
    ValueError
        The table is not padded and aligned, or has fewer rows than the holdings name.

    Notes
    -----
    NaN in a cell of an instrument that is held, or infinities of both signs, give NaN and cell -1.
    """
    _check_table(table, holdings)
    accounts = len(holdings.start) - 1
    out = np.empty(accounts), np.empty(accounts, dtype=np.int32)
    lanes = (0,) * (table.shape[1] // WIDTH)
    columns = holdings.start, holdings.index, holdings.quantity
    in_pieces(
        lambda a, b: account_rows(lanes, table, columns, (a, b), out),
        accounts,
        lambda: row_bounds(holdings.start, _PIECE),
        pool,
    )
    return out


def worst_in_units(
    table: F64, holdings: Holdings, unit_start: I64, pool: Executor | None = None
) -> tuple[F64, I32, F64, F64, I32]:
    """Worst scenario of every unit and of every account, in one pass.

    Parameters
    ----------
    table, pool
        As in `worst_cells`.
    holdings : Holdings
        A row a unit: positions on one underlying, say.
    unit_start : (A + 1,) ndarray of int
        Account a has units ``unit_start[a]`` to ``unit_start[a + 1] - 1``.

    Returns
    -------
    worst, cell : (U,) ndarrays
        Of each unit by itself, as in `worst_cells`.
    total : (A,) ndarray
        Sum of the account's units, each in its own worst cell: grids that shock each underlying by itself.
    joint, joint_cell : (A,) ndarrays
        Worst cell of the units together: historical and other joint scenarios.

    Raises
    ------
    ValueError
        As in `worst_cells`, or ``unit_start`` does not ascend from 0 to the number of units.
    """
    _check_table(table, holdings)
    unit_start = np.ascontiguousarray(unit_start, dtype=np.int64)
    units, accounts = len(holdings.start) - 1, len(unit_start) - 1
    if accounts < 0 or unit_start[0] != 0 or unit_start[-1] != units or np.any(np.diff(unit_start) < 0):
        raise ValueError(f"unit_start must ascend from 0 to the number of units, {units}")
    out = (
        np.empty(units),
        np.empty(units, dtype=np.int32),
        np.empty(accounts),
        np.empty(accounts),
        np.empty(accounts, dtype=np.int32),
    )
    lanes = (0,) * (table.shape[1] // WIDTH)
    columns = holdings.start, holdings.index, holdings.quantity
    in_pieces(
        lambda a, b: unit_rows(lanes, table, columns, (unit_start, a, b), out),
        accounts,
        lambda: row_bounds(holdings.start[unit_start], _PIECE),
        pool,
    )
    return out


def _check_table(table: F64, holdings: Holdings) -> None:
    check_rows(table)
    if len(table) < holdings.instruments:
        raise ValueError(f"the table has {len(table)} rows, the positions name {holdings.instruments}")
