"""Tables of scenarios: one row an instrument, padded to whole vectors, aligned to cache lines."""

import numpy as np

from margrave.kernels.arrays import F64

WIDTH = 8
"""Lanes of a vector of float64."""

_ALIGNMENT = 64  # bytes


def lanes_of(cells: int) -> int:
    """Lanes of a padded row: the next multiple of `WIDTH`."""
    return -(-cells // WIDTH) * WIDTH


def empty_rows(instruments: int, cells: int) -> F64:
    """Uninitialised table (I, lanes), contiguous and aligned."""
    lanes = lanes_of(cells)
    room = np.empty(instruments * lanes + WIDTH)
    skipped = -room.ctypes.data % _ALIGNMENT // room.itemsize
    return room[skipped : skipped + instruments * lanes].reshape(instruments, lanes)


def padded_rows(values: F64) -> F64:
    """Table of values (I, C): contiguous, aligned, each row filled up with copies of its first cell.

    A copy of a cell is never worse than the cell, nor its first worst: the padding changes no answer.
    """
    instruments, cells = values.shape
    table = empty_rows(instruments, cells)
    table[:, :cells] = values
    table[:, cells:] = values[:, :1]
    return table


def check_rows(table: F64) -> None:
    """ValueError unless a table is what `empty_rows` makes: a kernel would read beyond it."""
    if (
        table.dtype != np.float64
        or table.ndim != 2
        or not table.flags.c_contiguous
        or table.shape[1] % WIDTH
        or table.shape[1] == 0
        or table.__array_interface__["data"][0] % _ALIGNMENT
    ):
        raise ValueError(
            f"table must be a contiguous float64 array of rows of a multiple of {WIDTH} lanes, aligned to "
            f"{_ALIGNMENT} bytes, as padded_rows makes; got {table.dtype} {table.shape}"
        )
