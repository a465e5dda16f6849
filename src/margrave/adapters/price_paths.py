"""Paths of prices for simulations: recorded ones from a table, and a shock spread over time."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path as File
from typing import Any

import numpy as np

from margrave.core.errors import Reason, invalid
from margrave.domain.market import Market
from margrave.engine.simulation.path import Path
from margrave.kernels.arrays import F64
from margrave.kernels.generators import stationary_rows

_TIMES = ("seconds", "at", "ts", "time", "timestamp", "open_time", "date")


def shocked(market: Market, moves: Mapping[str, float], seconds: F64) -> Path:
    """Index prices that move by fractions in equal logarithmic steps, one an instant.

    Parameters
    ----------
    market : Market
        Whose index prices move.
    moves : mapping of str to float
        Asset -> whole move [fraction], above -1.
    seconds : (T,) ndarray
        Instants since the market's.
    """
    share = np.arange(1, len(seconds) + 1) / len(seconds)
    prices = {}
    for asset, move in moves.items():
        if not -1.0 < move < np.inf:
            raise invalid(
                asset,
                Reason.INVALID_VALUE,
                f"a move of {move:.0%} leaves no price; nothing can be valued at zero",
            )
        prices[asset] = _index(market, asset) * np.exp(np.log1p(move) * share)
    return Path(seconds, prices)


def recorded(market: Market, file: str, columns: Mapping[str, str]) -> Path:
    """A recorded path: every asset moves from its index price as its column moves from the column's first row.

    Parameters
    ----------
    market : Market
        Whose index prices move.
    file : str
        Parquet, Arrow or CSV with a column of instants (``seconds``, or ``at``, ``ts``, ``time``, ``timestamp``, ``open_time``, ``date``).
    columns : mapping of str to str
        Asset -> column with its prices.
    """
    table = _table(File(file))
    names = table.column_names
    time = next((name for name in _TIMES if name in names), None)
    if time is None:
        raise invalid(file, Reason.NOT_FOUND, f"has no column of instants; name one of {', '.join(_TIMES)}")
    seconds = _seconds(table.column(time).to_numpy())
    prices = {}
    for asset, column in columns.items():
        if column not in names:
            raise invalid(
                f"{file}: {column}", Reason.NOT_FOUND, f"is no column; choose from {', '.join(names)}"
            )
        told = table.column(column).to_numpy().astype(np.float64)
        wrong = np.flatnonzero(~(told > 0.0))
        if wrong.size:
            row = int(wrong[0])
            message = f"row {row:,} is {told[row]}; a price has to be above zero"
            raise invalid(f"{file}: {column}", Reason.INVALID_VALUE, message)
        prices[asset] = _index(market, asset) * told / told[0]
    return Path(seconds, prices)


def resampled(path: Path, generator: np.random.Generator, block: float, seconds: F64) -> Path:
    """A path whose moves are drawn from those of another, in blocks: what followed each other, and moved together, stays so.

    Parameters
    ----------
    path : Path
        Two steps or more.
    generator : numpy.random.Generator
        Moved on.
    block : float
        Mean length of a block [steps], one or more.
    seconds : (T,) ndarray
        Instants of the new path.

    References
    ----------
    Stationary bootstrap, `kernels.generators.stationary_rows`.
    """
    if path.count < 2:
        raise invalid("path", Reason.INVALID_VALUE, "has one row; there is no move to draw from")
    (rows,) = stationary_rows(generator, path.count - 1, block, (1, len(seconds)))
    moved = {asset: np.diff(np.log(prices))[rows] for asset, prices in path.prices.items()}
    return Path(seconds, {a: path.prices[a][0] * np.exp(np.cumsum(moves)) for a, moves in moved.items()})


def _table(file: File) -> Any:
    try:
        files, csv, arrow = (
            import_module(name) for name in ("margrave.adapters.book_files", "pyarrow.csv", "pyarrow")
        )
    except ImportError as fault:
        message = "recorded paths need pyarrow; install it with: pip install 'margrave[frames]'"
        raise invalid("pyarrow", Reason.NOT_FOUND, message) from fault
    if file.suffix != ".csv":
        return files.read_table(file)
    try:
        return csv.read_csv(file)
    except (OSError, arrow.ArrowException) as fault:
        raise invalid(
            str(file), Reason.MALFORMED, f"cannot be read ({fault}); check name and form"
        ) from fault


def _seconds(times: F64) -> F64:
    if np.issubdtype(times.dtype, np.datetime64):
        times = times.astype("datetime64[us]").astype(np.float64) / 1e6
    told = times.astype(np.float64)
    return np.asarray(told - told[0])


def _index(market: Market, asset: str) -> float:
    price = market.index.get(asset)
    if price is None:
        raise invalid(asset, Reason.MISSING_INDEX, "has no index price in the market that a path could move")
    return price
