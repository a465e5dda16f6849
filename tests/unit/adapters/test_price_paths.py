"""Paths of prices: a shock in equal log steps, a recorded column that moves the index, and what cannot be a path."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from margrave.adapters.price_paths import recorded, resampled, shocked
from margrave.core.errors import InvalidInputError
from margrave.domain.market import Market

MARKET = Market(
    at=datetime(2026, 11, 1, tzinfo=UTC), instruments={}, quotes={}, index={"BTC": 50_000.0, "ETH": 2_000.0}
)


def test_a_shock_is_whole_at_the_last_step_and_the_same_factor_each():
    path = shocked(MARKET, {"BTC": -0.19}, np.array([60.0, 120.0]))
    np.testing.assert_allclose(path.prices["BTC"], [45_000.0, 40_500.0], rtol=1e-14)
    assert path.seconds.tolist() == [60.0, 120.0]


@pytest.mark.parametrize("move", [-1.0, -1.5, float("nan"), float("inf")])
def test_a_shock_that_leaves_no_price_is_refused(move):
    with pytest.raises(InvalidInputError, match="nothing can be valued at zero"):
        shocked(MARKET, {"BTC": move}, np.ones(1))


def test_an_asset_without_an_index_cannot_move():
    with pytest.raises(InvalidInputError, match="no index price in the market"):
        shocked(MARKET, {"XYZ": 0.1}, np.ones(1))


def table(**columns):
    return pa.table(columns)


AT = [datetime(2025, 10, 10, 21, minute, tzinfo=UTC) for minute in (0, 1, 3)]


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_recorded_column_moves_the_index_price(tmp_path, ending):
    place = tmp_path / f"bars.{ending}"
    bars = table(at=AT, close=[100.0, 90.0, 80.0], eth=[10.0, 10.0, 5.0])
    (parquet.write_table if ending == "parquet" else csv.write_csv)(bars, place)
    path = recorded(MARKET, str(place), {"BTC": "close", "ETH": "eth"})
    assert path.seconds.tolist() == [0.0, 60.0, 180.0]
    np.testing.assert_allclose(path.prices["BTC"], [50_000.0, 45_000.0, 40_000.0], rtol=1e-14)
    np.testing.assert_allclose(path.prices["ETH"], [2_000.0, 2_000.0, 1_000.0], rtol=1e-14)


@pytest.mark.parametrize(
    ("columns", "wanted", "told"),
    [
        ({"close": [1.0]}, "close", "no column of instants; name one of seconds, at"),
        ({"seconds": [0.0], "close": [1.0]}, "open", "is no column; choose from seconds, close"),
        ({"seconds": [0.0, 1.0], "close": [1.0, 0.0]}, "close", "row 1 is 0.0; a price has to be above zero"),
        (
            {"seconds": [0.0, 1.0], "close": [1.0, None]},
            "close",
            "row 1 is nan; a price has to be above zero",
        ),
    ],
)
def test_what_is_no_path_says_where(tmp_path, columns, wanted, told):
    place = tmp_path / "bars.parquet"
    parquet.write_table(table(**columns), place)
    with pytest.raises(InvalidInputError, match=told):
        recorded(MARKET, str(place), {"BTC": wanted})


def test_a_file_that_is_no_table_says_so(tmp_path):
    place = tmp_path / "bars.csv"
    place.write_text("")
    with pytest.raises(InvalidInputError, match="cannot be read"):
        recorded(MARKET, str(place), {"BTC": "close"})


def test_a_bootstrap_takes_moves_of_all_assets_from_the_same_rows():
    path = recorded_two()
    again = resampled(path, np.random.default_rng(3), 2.0, np.arange(1.0, 21.0))
    btc, eth = (np.diff(np.log([path.prices[a][0], *again.prices[a]])) for a in ("BTC", "ETH"))
    moves = [tuple(np.diff(np.log(path.prices[a]))) for a in ("BTC", "ETH")]
    pairs = {(round(a, 9), round(b, 9)) for a, b in zip(*moves, strict=True)}
    assert {(round(a, 9), round(b, 9)) for a, b in zip(btc, eth, strict=True)} <= pairs
    same = resampled(path, np.random.default_rng(3), 2.0, np.arange(1.0, 21.0))
    assert same.prices["BTC"].tobytes() == again.prices["BTC"].tobytes()
    with pytest.raises(InvalidInputError, match="no move to draw from"):
        resampled(shocked(MARKET, {"BTC": 0.1}, np.ones(1)), np.random.default_rng(3), 2.0, np.ones(1))


def recorded_two():
    return type(shocked(MARKET, {}, np.ones(1)))(
        np.arange(4.0), {"BTC": np.array([1.0, 2.0, 3.0, 5.0]), "ETH": np.array([7.0, 11.0, 13.0, 17.0])}
    )
