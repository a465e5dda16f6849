"""Recorded crashes as paths: the right file, rows and hours, from the price of the made book on."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from margrave.adapters.recorded_crashes import CRASHES, Crash, crash_path
from margrave.core.errors import InvalidInputError

START = datetime(2020, 3, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path):
    at = [START + timedelta(hours=k) for k in range(-2, 6)] * 2
    table = pa.table(
        {
            "ts": pa.array(at, pa.timestamp("ms", "UTC")),
            "symbol": ["A"] * 8 + ["B"] * 8,
            "close": [*np.linspace(110.0, 40.0, 8).tolist(), *[7.0] * 8],
        }
    )
    parquet.write_table(table, tmp_path / "bars.parquet")
    return tmp_path


def test_a_window_moves_as_the_record_does(folder):
    crash = Crash("fall", "bars.parquet", START, START + timedelta(hours=4), 1, {"symbol": "A"})
    path = crash_path(crash, str(folder), "BTC", 1_000.0)
    assert path.seconds.tolist() == [0.0, 3_600.0, 7_200.0, 10_800.0]
    assert path.prices["BTC"].tolist() == pytest.approx(
        [1_000.0 * p / 90.0 for p in (90.0, 80.0, 70.0, 60.0)]
    )
    every_other = Crash("fall", "bars.parquet", START, START + timedelta(hours=4), 2, {"symbol": "A"})
    assert len(crash_path(every_other, str(folder), "BTC", 1.0).seconds) == 2


def test_what_is_not_there_is_told(folder):
    with pytest.raises(InvalidInputError, match="name the folder"):
        crash_path(CRASHES[0], str(folder), "BTC", 1.0)
    late = Crash(
        "late", "bars.parquet", START + timedelta(days=9), START + timedelta(days=10), 1, {"symbol": "A"}
    )
    with pytest.raises(InvalidInputError, match="has no rows of 'late'"):
        crash_path(late, str(folder), "BTC", 1.0)


def test_the_crashes_have_names_of_their_own_and_end_after_they_begin():
    assert len({crash.name for crash in CRASHES}) == len(CRASHES)
    assert all(crash.first < crash.until for crash in CRASHES)
