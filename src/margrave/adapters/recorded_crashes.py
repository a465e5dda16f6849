"""Crashes that were recorded, as paths of one asset: which file, which rows, which hours. The files are the user's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path as Folder
from typing import Any, Final, final

import numpy as np

from margrave.core.errors import Reason, invalid
from margrave.engine.simulation.path import Path


@final
@dataclass(frozen=True, slots=True)
class Crash:
    """A stretch of a recorded file; prices are those at the close of its bars."""

    name: str
    file: str  # under the folder of prices, Parquet
    first: datetime
    until: datetime  # not itself
    stride: int = 1  # every how many bars a step is
    rows: Mapping[str, str] = field(default_factory=dict)  # column -> what it has to be


_BINANCE: Final = {"symbol": "BTCUSDT", "market": "usdm_perp"}
_ETHER: Final = {"symbol": "ETHUSDT", "market": "usdm_perp"}
CRASHES: Final = (
    Crash(
        "12 March 2020, hours", "btcusdt_binance_spot_1h.parquet",
        datetime(2020, 3, 12, tzinfo=UTC), datetime(2020, 3, 13, 12, tzinfo=UTC),
    ),
    Crash(
        "21 January 2022, half hours", "ftx_btc_perp_1m_2022-01.parquet",
        datetime(2022, 1, 21, tzinfo=UTC), datetime(2022, 1, 22, 12, tzinfo=UTC), 30,
    ),
    Crash(
        "6 April 2025, half hours", "binance_5m_2025_crashes.parquet",
        datetime(2025, 4, 6, 12, tzinfo=UTC), datetime(2025, 4, 7, 12, tzinfo=UTC), 6, _BINANCE,
    ),
    Crash(
        "10 October 2025, five minutes", "binance_5m_2025_crashes.parquet",
        datetime(2025, 10, 10, 20, 30, tzinfo=UTC), datetime(2025, 10, 10, 22, 30, tzinfo=UTC), 1, _BINANCE,
    ),
    Crash(
        "10 October 2025, spot, minutes", "gemini_spot_1m_2025-10-10.parquet",
        datetime(2025, 10, 10, 20, 45, tzinfo=UTC), datetime(2025, 10, 10, 21, 45, tzinfo=UTC), 1, {"symbol": "BTCUSD"},
    ),
    Crash(
        "10 October 2025, mark, minutes", "binance_coinm_btcusd_perp_mark_1m_2025-10-09_10.parquet",
        datetime(2025, 10, 10, 21, tzinfo=UTC), datetime(2025, 10, 10, 22, tzinfo=UTC),
    ),
    Crash(
        "5 January 2022, minutes", "ftx_btc_perp_1m_2022-01.parquet",
        datetime(2022, 1, 5, 18, 30, tzinfo=UTC), datetime(2022, 1, 5, 22, 30, tzinfo=UTC),
    ),
    Crash(
        "21 January 2022, minutes", "ftx_btc_perp_1m_2022-01.parquet",
        datetime(2022, 1, 21, 18, 45, tzinfo=UTC), datetime(2022, 1, 21, 23, 15, tzinfo=UTC),
    ),
    Crash(
        "7 April 2025, ether, five minutes", "binance_5m_2025_crashes.parquet",
        datetime(2025, 4, 6, 16, tzinfo=UTC), datetime(2025, 4, 7, 8, tzinfo=UTC), 1, _ETHER,
    ),
    Crash(
        "10 October 2025, mark, two hours", "binance_coinm_btcusd_perp_mark_1m_2025-10-09_10.parquet",
        datetime(2025, 10, 10, 21, tzinfo=UTC), datetime(2025, 10, 10, 23, tzinfo=UTC),
    ),
    Crash(
        "10 October 2025, ether, five minutes", "binance_5m_2025_crashes.parquet",
        datetime(2025, 10, 10, 17, tzinfo=UTC), datetime(2025, 10, 11, 1, tzinfo=UTC), 1, _ETHER,
    ),
    Crash(
        "10 October 2025, Gemini, minutes", "gemini_spot_1m_2025-10-10.parquet",
        datetime(2025, 10, 10, 21, tzinfo=UTC), datetime(2025, 10, 10, 23, tzinfo=UTC), 1, {"symbol": "BTCUSD"},
    ),
)  # fmt: skip
"""The crashes that the study runs one after another: six of bitcoin in coarse and fine steps, then six in full or of ether; each moves the one asset of the made book."""


def crash_path(crash: Crash, folder: str, asset: str, price: float) -> Path:
    """The path of a crash: `asset` starts at a price and moves as the record does.

    Parameters
    ----------
    crash : Crash
        Which.
    folder : str
        That has the file, with ``ts`` and ``close``.
    asset, price : str, float
        What moves, and from where.

    Raises
    ------
    InvalidInputError
        The file is not there, or has no such rows.
    """
    file = Folder(folder) / crash.file
    if not file.is_file():
        raise invalid(
            str(file), Reason.NOT_FOUND, "is not there; name the folder that has the recorded prices"
        )
    at, close = _columns(crash, file)
    order = np.argsort(at, kind="stable")[:: crash.stride]
    seconds, told = at[order], close[order]
    if len(told) < 2:
        raise invalid(
            str(file), Reason.NOT_FOUND, f"has no rows of {crash.name!r}; take the file of that time"
        )
    return Path(seconds - seconds[0], {asset: price * told / told[0]})


def _columns(crash: Crash, file: Folder) -> tuple[Any, Any]:
    from pyarrow import compute, parquet

    table = parquet.read_table(file)
    for column, value in crash.rows.items():
        table = table.filter(compute.equal(table[column], value))
    inside = compute.and_(
        compute.greater_equal(table["ts"], crash.first), compute.less(table["ts"], crash.until)
    )
    table = table.filter(inside)
    at = table["ts"].to_numpy().astype("datetime64[ms]").astype(np.float64) / 1e3
    return at, table["close"].to_numpy().astype(np.float64)
