"""Compile everything before it is needed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Final, TypeAlias

import numpy as np

from margrave.kernels.arrays import F64, I64
from margrave.kernels.compiled.black import grid_values, option_values
from margrave.kernels.compiled.coin_pools import (
    CoinTerms,
    Levels,
    bits_of_dates,
    coin_pools,
    empty_margins,
    empty_parts,
    join_pools,
)
from margrave.kernels.compiled.columns import GridOptions, TierPositions, holdings_of, tier_table
from margrave.kernels.compiled.directional_pools import (
    Curves,
    DirectionalTerms,
    Remembered,
    directional_pools,
)
from margrave.kernels.compiled.ladder_pools import Grid, LadderTerms, Tiers, ladder_pools
from margrave.kernels.compiled.ladder_steps import NUMBERS, ROWS
from margrave.kernels.compiled.laid_out import Columns, Contracts, PoolRows, laid_out
from margrave.kernels.compiled.moved_rows import CALL, OPTION, MovedTerms, move_coin, moved_room, pools_at
from margrave.kernels.compiled.moved_rows import NUMBERS as MOVED_NUMBERS
from margrave.kernels.compiled.one_account import one_account, pools_of_one
from margrave.kernels.compiled.one_by_size import one_by_size, pools_by_size
from margrave.kernels.compiled.rows import padded_rows
from margrave.kernels.compiled.tiers import inverse_pools, inverse_positions, linear_pools, linear_positions
from margrave.kernels.compiled.worst import worst_cells, worst_in_units

VECTORS = 5
"""Width of scenario rows, in vectors of eight cells, that is compiled ahead: the 33 to 40 cells of shipped rulebooks with pools in a
kernel. Another takes a third of a second when it is first asked for."""

_PAIRS = ((np.uint16, np.int32), (np.int32, np.float64))  # the smallest, and what most files hold


def warm(announce: Callable[[str], object] = lambda _text: None, groups: Iterable[str] | None = None) -> None:
    """Compile every kernel for the usual types; the machine code is kept on disk, beside the package.

    Parameters
    ----------
    announce : callable
        Told what is compiled next, in a few words: the first time it takes a second or so each, later nothing.
    groups : iterable of str, optional
        Of `GROUPS`; all by default. No kernel is in two of them, so that processes may take one each.
    """
    for group in GROUPS if groups is None else groups:
        for title, run in GROUPS[group]():
            announce(title)
            run()


_Steps: TypeAlias = Iterator[tuple[str, Callable[[], object]]]


def _options() -> _Steps:
    one, yes, none = np.ones(1), np.ones(1, dtype=np.bool_), np.zeros(1, dtype=np.int64)
    yield "option values", lambda: option_values(one, one, one, one, yes)
    options = GridOptions(forward=one, strike=one, years=one, is_call=yes, in_coin=yes, size=one, mark=one)
    table = padded_rows(np.ones((1, 1)))
    yield "scenario grid", lambda: grid_values(options, one, none, np.ones((1, 1)), table)


def _sweeps() -> _Steps:
    for index, quantity in _PAIRS:
        name = f"{8 * VECTORS} scenarios, index {index.__name__}, quantity {quantity.__name__}"
        yield f"worst of {name}", lambda i=index, q=quantity: _worst(i, q)  # type: ignore[misc]


def _pools() -> _Steps:
    yield "pools of coin-settled contracts", _coins


def _moved() -> _Steps:
    yield "pools at other prices of their coins", _at_prices


def _ladders() -> _Steps:
    yield "pools margined by size", _by_size


def _prices() -> _Steps:
    yield "tiered margin and liquidation prices", lambda: _tiers(np.ones(1))


GROUPS: Final[Mapping[str, Callable[[], _Steps]]] = {
    "pools": _pools,
    "ladders": _ladders,
    "options": _options,
    "prices": _moved,
    "tiers": _prices,
    "sweeps": _sweeps,
}
"""What can be compiled apart, the longest first."""


def _worst(index: type, quantity: type) -> None:
    table = padded_rows(np.ones((1, 8 * VECTORS)))
    start = np.array([0, 1])
    holdings = holdings_of(start, np.zeros(1, dtype=index), np.ones(1, dtype=quantity))
    worst_cells(table, holdings)
    worst_in_units(table, holdings, start)


def _coins() -> None:
    one, row, first = np.ones(1), np.zeros(1, dtype=np.int64), np.array([0, 1])
    levels = Levels(1.0, 1.0, 1.0, (0.0, 0.0, 0.0))
    contracts = Contracts(row, one, one, np.zeros(1, dtype=np.bool_), 1)
    table = padded_rows(np.ones((3, 8 * VECTORS)))
    bits, share, liquidity = bits_of_dates(row, 1), np.zeros((1, 8)), np.zeros((1, 3))
    for quantity, orders in product((1.0, 0.5), (row[:0], row)):  # whole contracts take four bytes
        rows = laid_out(contracts, _account(quantity * one, orders))
        parts, out = empty_parts(rows, 1), empty_margins(1)
        for moves in (False, True):
            terms = CoinTerms(table, 1, bits, share, liquidity, one, moves)
            coin_pools(terms, levels, rows, (0, 1), parts, out)
        join_pools(levels, one, rows, first, (parts, out), (0, 1), out)
    market = one_account(CoinTerms(table[:2], 1, bits, share, liquidity, one), levels, contracts, one, None)
    pools_of_one(market, (np.zeros(8), 1, 1, 1))


def _at_prices() -> None:
    one, row, cells = np.ones(1), np.zeros(1, dtype=np.int64), np.ones((1, 1))
    table, first, index = (
        padded_rows(np.ones((2, 8 * VECTORS))),
        np.array([0, 1]),
        np.zeros(1, dtype=np.uint16),
    )
    terms = CoinTerms(table, 1, bits_of_dates(row, 1), np.zeros((1, 8)), np.zeros((1, 3)), one)
    no_orders = 0 * first, row, index[:0], one[:0], one[:0], row[:0], one
    rows = PoolRows(row, row, one, first, index, one, row, row, *no_orders)
    moved = MovedTerms(terms, np.ones((1, MOVED_NUMBERS)), row + (OPTION | CALL), cells, cells, cells)
    move_coin(moved, moved_room(moved), 0, row, 1.0)
    pools_at(moved, moved_room(moved), rows, row, one)


def _by_size() -> None:
    one, row = np.ones(1), np.zeros(1, dtype=np.int64)
    tiers = Tiers(one, one, one, one, one[:0])
    columns = np.ones((1, NUMBERS)), np.zeros((1, ROWS), dtype=np.int64)
    terms = LadderTerms(
        *columns, (tiers, tiers), Grid(0.0, 0.0, 0, 0.0, 0.0), 1.0, (1.0, False, False), 0, True
    )
    first, index = np.array([0, 1]), np.zeros(1, dtype=np.uint16)
    no_orders = 0 * first, row, index[:0], one[:0], one[:0], row[:0], one
    rows = PoolRows(row, row, one, first, index, one, row, row, *no_orders)
    chosen = one, one[:0], one[:0], one
    ladder_pools(terms, rows, chosen, (one, one, 0), (0, 1), empty_margins(1, counted_apart=True))
    curves = Curves(first, row, one, np.ones((1, 4)))
    number, kind, net = np.ones((1, 7)), np.zeros((1, 3), dtype=np.int64), np.zeros((1, 2), dtype=np.int64)
    code = np.zeros((1, 5), dtype=np.int64)
    schedules = DirectionalTerms(number, kind, net, np.ones((1, 3)), code, one, curves, 0.0)
    memory = Remembered(0 * first, row[:0], np.ones((0, 5)))
    directional_pools(schedules, rows, one, memory, (0, 1), (one.copy(), one.copy()))
    contracts = Contracts(row, one, one, np.zeros(1, dtype=np.bool_), 1)
    pools_by_size(one_by_size(terms, contracts, schedules), (np.zeros(11), 1, 1, 1))


def _account(quantity: F64, orders: I64) -> Columns:
    row, first, price = np.zeros(1, dtype=np.int64), np.array([0, 1]), np.ones(1)
    return Columns(
        start=first,
        instrument=row,
        quantity=quantity,
        entry=price,
        alone=np.zeros(0),
        balance_start=first,
        balance_coin=row,
        balance=price,
        order_start=first * len(orders),
        order_instrument=orders,
        order_quantity=orders.astype(float),
        order_price=orders.astype(float) + 1.0,
    )


def _tiers(one: F64) -> None:
    nothing, start = np.zeros(1), np.array([0, 1])
    for width in (1, 12):  # up to nine tiers, and up to seventeen
        floor = np.arange(float(width))
        table = tier_table([floor], [0.0 * floor], [0.0 * floor], [0.0 * floor])
        positions = TierPositions(
            ladder=np.zeros(1, dtype=np.int64), quantity=one, entry=one, mark=one, initial_rate=nothing
        )
        for isolated in (linear_positions, inverse_positions):
            isolated(table, positions, nothing)
        for cross in (linear_pools, inverse_pools):
            cross(table, positions, start, nothing)
