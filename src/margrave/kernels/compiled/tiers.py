"""Ladder margin and liquidation price of positions under progressive ladders, by table and without a search.

In notional n the maintenance margin of tier j is ``n r_j - d_j``, continuous across tiers. With u the worth of a
unit (the price of a linear contract, its inverse for an inverse one), n = |q| u, and t = +1 where equity rises
with n (linear long, inverse short), t = -1 where it falls, what a position has left is

    gap(n) = C + t n - (n r_j - d_j),   C = collateral - t |q| u_entry.

It moves one way as long as every r_j < 1, so the tier in which it is zero follows from C and one number a tier,
and the root from one product: no trial tiers, and the same for both payoffs.
"""

from concurrent.futures import Executor

import numpy as np

from margrave.kernels.arrays import F64, I64
from margrave.kernels.compiled.columns import TierPositions, TierTable
from margrave.kernels.compiled.compiler import even_bounds, in_pieces, inner, kernel, row_bounds
from margrave.kernels.compiled.intrinsics import count_below
from margrave.kernels.compiled.rows import WIDTH

_PIECE = 8192  # positions that are worth a thread
_NAN = float("nan")
# A payoff is the length of a tuple: part of the type, so that each is compiled by itself.
_LINEAR, _INVERSE = (0,), (0, 0)
_INVERSE_LENGTH = 2


# --- kernels ---


@inner
def _margin(
    table: tuple[tuple[int, ...], F64, F64], ladder: int, notional: float, initial_rate: float
) -> tuple[float, float]:
    """Initial and maintenance margin of a notional; on a floor the lower tier counts."""
    steps, limits, terms = table
    tier = count_below(limits, ladder * limits.shape[2], steps, notional)
    least = terms[ladder, tier, 2]
    rate = least if least > initial_rate else initial_rate
    return notional * rate, notional * terms[ladder, tier, 0] - terms[ladder, tier, 1]


@inner
def _root(table: tuple[tuple[int, ...], F64, F64], ladder: int, constant: float, toward: float) -> float:
    """Notional at which ``constant + toward n`` is the maintenance margin, 0 where there is none above zero."""
    steps, limits, terms = table
    x = -toward * constant
    kind = 1 if toward > 0.0 else 2
    first = (kind * limits.shape[1] + ladder) * limits.shape[2]
    tier = count_below(limits, first, steps, x)
    n = (x - toward * terms[ladder, tier, 1]) * terms[ladder, tier, 2 + kind]
    return 0.0 if n < 0.0 else n


@inner
def _unit_worth(payoff: tuple[int, ...], price: float) -> float:
    """Worth of a unit; NaN unless the price is > 0."""
    positive = price if price > 0.0 else _NAN
    return 1.0 / positive if len(payoff) == _INVERSE_LENGTH else positive


@inner
def _toward(payoff: tuple[int, ...], quantity: float) -> float:
    """Whether equity rises (1) or falls (-1) with the notional."""
    return 1.0 if (quantity > 0.0) != (len(payoff) == _INVERSE_LENGTH) else -1.0


@inner
def _threshold(payoff: tuple[int, ...], notional: float, size: float) -> float:
    """Price at which a position of a size has a notional; NaN without a position."""
    price = size / notional if len(payoff) == _INVERSE_LENGTH else notional / size
    return price if size > 0.0 else _NAN


@kernel
def position_rows(
    table: tuple[tuple[int, ...], F64, F64],
    positions: tuple[I64, F64, F64, F64, F64, F64],
    payoff: tuple[int, ...],
    first: int,
    past: int,
    out: F64,
) -> None:
    """Positions ``first`` to ``past - 1`` by themselves: initial, maintenance, profit, liquidation price."""
    # Slices: the compiler sees that no index of theirs is negative.
    ladders, quantities = positions[0][first:past], positions[1][first:past]
    entries, marks = positions[2][first:past], positions[3][first:past]
    rates, collaterals = positions[4][first:past], positions[5][first:past]
    initial, maintenance = out[0, first:past], out[1, first:past]
    profit, price = out[2, first:past], out[3, first:past]
    for p in range(len(ladders)):
        size, toward = abs(quantities[p]), _toward(payoff, quantities[p])
        notional, paid = size * _unit_worth(payoff, marks[p]), size * _unit_worth(payoff, entries[p])
        initial[p], maintenance[p] = _margin(table, ladders[p], notional, rates[p])
        profit[p] = toward * (notional - paid)
        root = _root(table, ladders[p], collaterals[p] - toward * paid, toward)
        price[p] = _threshold(payoff, root, size)


@kernel
def pool_rows(
    table: tuple[tuple[int, ...], F64, F64],
    positions: tuple[I64, F64, F64, F64, F64, F64],
    payoff: tuple[int, ...],
    pools: tuple[I64, F64],
    span: tuple[int, int],
    out: tuple[F64, F64],
) -> None:
    """Pools ``span[0]`` to ``span[1] - 1``: their sums, and each position's liquidation price, the rest at rest."""
    start, balance = pools
    of_position, of_pool = out
    ladder, quantity, entry, _mark, _rate, _none = positions
    position_rows(table, positions, payoff, start[span[0]], start[span[1]], of_position)
    for k in range(span[0], span[1]):
        initial, maintenance, equity = 0.0, 0.0, balance[k]
        for p in range(start[k], start[k + 1]):
            initial += of_position[0, p]
            maintenance += of_position[1, p]
            equity += of_position[2, p]
        of_pool[0, k], of_pool[1, k], of_pool[2, k] = equity, initial, maintenance
        for p in range(start[k], start[k + 1]):
            size, toward = abs(quantity[p]), _toward(payoff, quantity[p])
            rest = (equity - maintenance) - (of_position[2, p] - of_position[1, p])
            paid = size * _unit_worth(payoff, entry[p])
            root = _root(table, ladder[p], rest - toward * paid, toward)
            of_position[3, p] = _threshold(payoff, root, size)


# --- what callers use ---


def linear_positions(
    table: TierTable, positions: TierPositions, collateral: F64, pool: Executor | None = None
) -> F64:
    """Isolated linear positions: margin, profit and liquidation price.

    Parameters
    ----------
    table : TierTable
    positions : TierPositions
        Quantity in coins.
    collateral : (P,) ndarray
        Margin set aside for each position. [settlement asset]
    pool : Executor, optional
        Threads; the answer is the same bytes.

    Returns
    -------
    (4, P) ndarray
        Rows: initial and maintenance margin, profit [settlement asset], and liquidation price. A long is
        breached at that price and below, a short at it and above: 0 for a long that never is and for a short that
        always is; of inverse contracts infinite for a short that never is and a long that always is.

    Raises
    ------
    ValueError
        Columns are not of one length, or a ladder is not in the table.

    Notes
    -----
    A mark or entry that is NaN or not > 0, a NaN quantity or NaN collateral gives NaN in all that depends on it; no
    position, zero margin and a NaN price. Quantities and prices are not rounded as venues do.

    References
    ----------
    Binance, "How to Calculate Liquidation Price of USDⓈ-M Futures Contracts", for every tier at once.
    """
    return _positions(table, positions, collateral, _LINEAR, pool)


def inverse_positions(
    table: TierTable, positions: TierPositions, collateral: F64, pool: Executor | None = None
) -> F64:
    """Isolated inverse positions, as `linear_positions`: quantity in quote currency, margin and profit in coin."""
    return _positions(table, positions, collateral, _INVERSE, pool)


def linear_pools(
    table: TierTable, positions: TierPositions, start: I64, balance: F64, pool: Executor | None = None
) -> tuple[F64, F64]:
    """Cross pools of linear positions.

    Parameters
    ----------
    table, pool
        As in `linear_positions`.
    positions : TierPositions
        Of all pools, one after another.
    start : (K + 1,) ndarray of int
        Pool k has positions ``start[k]`` to ``start[k + 1] - 1``.
    balance : (K,) ndarray
        What each pool has beside its positions. [settlement asset]

    Returns
    -------
    of_position : (4, P) ndarray
        As in `linear_positions`; the liquidation price is that of the pool when this position's price moves alone.
    of_pool : (3, K) ndarray
        Equity, initial and maintenance margin.

    Raises
    ------
    ValueError
        As in `linear_positions`, or ``start`` does not ascend from 0 to P.
    """
    return _pools(table, positions, (start, balance), _LINEAR, pool)


def inverse_pools(
    table: TierTable, positions: TierPositions, start: I64, balance: F64, pool: Executor | None = None
) -> tuple[F64, F64]:
    """Cross pools of inverse positions in one coin, as `linear_pools`."""
    return _pools(table, positions, (start, balance), _INVERSE, pool)


def _positions(
    table: TierTable,
    positions: TierPositions,
    collateral: F64,
    payoff: tuple[int, ...],
    pool: Executor | None,
) -> F64:
    kernel_table, columns = _checked(table, positions)
    collateral = np.ascontiguousarray(collateral, dtype=np.float64)
    count = len(columns[0])
    if collateral.shape != (count,):
        raise ValueError(f"collateral must be of length {count}, got {collateral.shape}")
    out = np.empty((4, count))
    in_pieces(
        lambda a, b: position_rows(kernel_table, (*columns, collateral), payoff, a, b, out),
        count,
        lambda: even_bounds(count, 1, _PIECE),
        pool,
    )
    return out


def _pools(
    table: TierTable,
    positions: TierPositions,
    pools: tuple[I64, F64],
    payoff: tuple[int, ...],
    pool: Executor | None,
) -> tuple[F64, F64]:
    kernel_table, columns = _checked(table, positions)
    start = np.ascontiguousarray(pools[0], dtype=np.int64)
    balance = np.ascontiguousarray(pools[1], dtype=np.float64)
    count = len(columns[0])
    if len(start) < 1 or start[0] != 0 or start[-1] != count or np.any(np.diff(start) < 0):
        raise ValueError(f"start must ascend from 0 to the number of positions, {count}")
    if balance.shape != (len(start) - 1,):
        raise ValueError(f"balance must be of length {len(start) - 1}, got {balance.shape}")
    out = np.empty((4, count)), np.empty((3, len(balance)))
    alone = *columns, np.zeros(count)  # the first pass over the positions knows of no collateral
    in_pieces(
        lambda a, b: pool_rows(kernel_table, alone, payoff, (start, balance), (a, b), out),
        len(balance),
        lambda: row_bounds(start, _PIECE),
        pool,
    )
    return out


_KernelTable = tuple[tuple[int, ...], F64, F64]


def _checked(
    table: TierTable, positions: TierPositions
) -> tuple[_KernelTable, tuple[I64, F64, F64, F64, F64]]:
    ladder = np.ascontiguousarray(positions.ladder, dtype=np.int64)
    quantity, entry, mark, initial_rate = (
        np.ascontiguousarray(column, dtype=np.float64)
        for column in (positions.quantity, positions.entry, positions.mark, positions.initial_rate)
    )
    columns = ladder, quantity, entry, mark, initial_rate
    if any(column.shape != (len(ladder),) for column in columns):
        raise ValueError(
            f"columns of positions must be of one length, got {[column.shape for column in columns]}"
        )
    if len(ladder) and not 0 <= ladder.min() <= ladder.max() < len(table.terms):
        raise ValueError(f"ladder must be a row of the table, 0 to {len(table.terms) - 1}")
    return ((0,) * (table.limits.shape[2] // WIDTH), table.limits, table.terms), columns
