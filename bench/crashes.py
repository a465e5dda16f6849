"""Recorded crashes as paths of a study: windows cut out of a folder of recorded prices, and the flags that name them.

``margrave study --out DIR $(python -m bench.crashes --prices FOLDER --out CUT)``. A window that the folder does not have is told, and left out.
"""

import argparse
import shlex
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, final

import polars as pl


@final
@dataclass(frozen=True, slots=True)
class Crash:
    """A window of a recorded series."""

    name: str
    file: str
    start: datetime
    hours: float
    where: tuple[tuple[str, str], ...] = ()  # columns and what they must be
    column: str = "close"


def _at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]  # year, month, day, hour, minute


CRASHES: Final = (
    Crash("12 March 2020, hours", "btcusdt_binance_spot_1h", _at(2020, 3, 12, 0), 36.0),
    Crash("5 January 2022, minutes", "ftx_btc_perp_1m_2022-01", _at(2022, 1, 5, 18, 30), 4.0),
    Crash("21 January 2022, minutes", "ftx_btc_perp_1m_2022-01", _at(2022, 1, 21, 18, 45), 4.5),
    Crash(
        "7 April 2025, ether, five minutes",
        "binance_5m_2025_crashes",
        _at(2025, 4, 6, 16),
        16.0,
        (("symbol", "ETHUSDT"), ("market", "usdm_perp")),
    ),
    Crash("10 October 2025, mark, minutes", "binance_coinm_btcusd_perp_mark_1m_2025-10-09_10", _at(2025, 10, 10, 21), 2.0,
          (("symbol", "BTCUSD_PERP"),)),
    Crash(
        "10 October 2025, ether, five minutes",
        "binance_5m_2025_crashes",
        _at(2025, 10, 10, 17),
        8.0,
        (("symbol", "ETHUSDT"), ("market", "usdm_perp")),
    ),
    Crash("10 October 2025, Gemini, minutes", "gemini_spot_1m_2025-10-10", _at(2025, 10, 10, 21), 2.0, (("symbol", "BTCUSD"),)),
)  # fmt: skip


def cut(crash: Crash, folder: Path, out: Path) -> str | None:
    """Write the window as seconds and prices; the flag that names it, None where the folder does not have it."""
    file = folder / f"{crash.file}.parquet"
    if not file.is_file():
        return None
    bars = pl.read_parquet(file).sort("ts")
    for name, wanted in crash.where:
        if name in bars.columns:
            bars = bars.filter(pl.col(name) == wanted)
    end = crash.start + timedelta(hours=crash.hours)
    bars = bars.filter((pl.col("ts") >= crash.start) & (pl.col("ts") < end))
    if bars.height < 3:
        return None
    seconds = (bars["ts"] - bars["ts"][0]).dt.total_seconds().cast(pl.Float64)
    place = out / f"{crash.name.replace(' ', '-').replace(',', '')}.parquet"
    pl.DataFrame({"seconds": seconds, "close": bars[crash.column]}).write_parquet(place)
    return f"{crash.name}={place}:close:0:{bars.height}"


def main() -> None:
    """Cut every window, and print the flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prices", type=Path, required=True, help="folder of recorded prices")
    parser.add_argument("--out", type=Path, required=True, help="folder of the windows")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    flags = []
    for crash in CRASHES:
        told = cut(crash, options.prices, options.out)
        if told is None:
            print(f"not there: {crash.name} ({crash.file})", file=sys.stderr)
        else:
            flags.append(f"--path {shlex.quote(told)}")
    print(" ".join(flags))


if __name__ == "__main__":
    main()
