"""Recorded books and bars through the kernels of impact, generation and dynamic rates."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from margrave.engine.measures.procyclicality import evidence
from margrave.kernels.dynamic_rate import Cadence, blended, buffered, rates, vol_multiplier
from margrave.kernels.generators import bar_ratios, block_rows, chained_bars
from margrave.kernels.history import ewma_variances
from margrave.kernels.impact import depth_within, fills, remaining
from margrave.kernels.volatility import annual

pytestmark = pytest.mark.shared

MINUTES = 365.0 * 24 * 60


@pytest.fixture(scope="module")
def bars(shared: Path):
    rows = pl.read_parquet(
        shared / "data" / "prices" / "binance_coinm_btcusd_perp_mark_1m_2025-10-09_10.parquet"
    )
    return rows.sort("ts").select("open", "high", "low", "close").to_numpy()


@pytest.fixture(scope="module")
def books(shared: Path):
    """Price and size of both sides of each snapshot of a recorded book."""
    rows = pl.read_parquet(shared / "data" / "orderbook" / "binance_usdm_btcusdt_l2_2024-08-08.parquet")
    parts = rows.sort("ts", "side", "level").partition_by("ts", "side", maintain_order=True)
    return [(part["side"][0], part["price"].to_numpy(), part["size"].to_numpy()) for part in parts]


def test_orders_through_a_recorded_book(books):
    assert len(books) == 70
    for side, price, size in books:
        wanted = np.array([0.001, 1.0, 10.0, 100.0, 1e6])
        found = fills(price, size, wanted)
        assert found.filled[-1] == pytest.approx(size.sum())
        assert found.cost[-1] == pytest.approx((price * size).sum())
        worse = -1.0 if side == "bid" else 1.0
        assert (np.diff(worse * found.average) >= -1e-9 * price[0]).all()  # more never gets a better price
        assert (worse * (found.last - found.average) >= -1e-9 * price[0]).all()
        assert remaining(size, 10.0).sum() == pytest.approx(size.sum() - found.filled[2])
        reach = depth_within(price, size, price[0], np.array([0.0, 1.0]))
        assert reach.tolist() == pytest.approx([size[0], size.sum()])


def test_recorded_bars_in_their_own_order_are_themselves(bars):
    ratios = bar_ratios(bars)
    assert chained_bars(bars[0, 3], ratios) == pytest.approx(bars[1:], rel=1e-9)
    rows = block_rows(np.random.default_rng(1), len(ratios), 60, (4, 600))
    made = chained_bars(bars[0, 3], ratios[rows])
    assert (made[..., 1] >= made[..., [0, 3]].max(axis=-1) - 1e-6).all()
    assert (made[..., 2] <= made[..., [0, 3]].min(axis=-1) + 1e-6).all()
    back = np.diff(np.log(np.concatenate([np.full((4, 1), bars[0, 3]), made[..., 3]], axis=1)))
    assert back == pytest.approx(np.log(ratios[..., 3])[rows], abs=1e-12)


def test_what_a_dynamic_rate_does_in_the_crash(bars):
    """10 October 2025: a rate that follows vol multiplies several times; the tools calm it, and cost more before."""
    returns = np.diff(np.log(bars[:, 3]))[:, None]
    usual = float(np.var(returns[:600]))
    short, long = (
        annual(np.sqrt(ewma_variances(returns, decay, usual)[1:, 0]), MINUTES) for decay in (0.94, 0.995)
    )
    target = 0.01 * vol_multiplier(short, long, annual(usual**0.5, MINUTES), 1.0, 5.0)
    at = 60.0 * np.arange(len(target))
    held = {
        "plain": target,
        "venue": rates(at, target, Cadence(every=300.0, notice=900.0, step_up=0.5, step_down=0.1)),
        "buffer": buffered(target, 0.02),
        "stress": blended(target, 0.05),
    }
    # What a position of one dollar loses in the five minutes that follow, longs.
    ahead = 1.0 - bars[6:, 3] / bars[1:-5, 3]
    told = {name: evidence(margin[: len(ahead)], ahead, 60) for name, margin in held.items()}
    assert told["plain"].peak_to_trough == pytest.approx(5.0)
    for tool in ("buffer", "stress"):
        assert told[tool].peak_to_trough < told["plain"].peak_to_trough
        assert told[tool].mean > told["plain"].mean
        assert told[tool].coverage >= told["plain"].coverage
    # A notice of a quarter of an hour comes late in a crash of ten minutes.
    assert told["venue"].worst_breach >= told["plain"].worst_breach
