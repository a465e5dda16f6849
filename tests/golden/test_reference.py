"""Groups of recomputed numbers through the conformance runner, and the record of October 2025 through the measures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from margrave.adapters.conform import run
from margrave.adapters.conform.runner import judge
from margrave.engine.measures.burden import burden
from margrave.engine.measures.run import one_sided, outcome, profile, steps_of

PASSED_AT_LEAST = 130
LATER = {"es_backtest_acerbi_szekely/critical", "credit"}
MUST_PASS = (
    *(f"adl/{rule}" for rule in ("leverage", "queue", "pro_rata", "water_filling", "pnl_haircut")),
    *("cascade_linear/0", "cascade_linear/1", "cascade_linear/sale", "cascade_validation_targets/one_sided"),
    *(f"almgren_chriss/{row}" for row in range(3)),
    *(f"procyclicality/{name}" for name in ("measures", "buffer", "stressed_25pct", "floor_10y")),
    *("span/synthetic_btc", "fhs/fhs", "inverse/several", "dydx_v4_oimf/4", "perpetual_pricing/0"),
    *("var_backtests/kupiec 13", "var_backtests/christoffersen 0", "var_backtests/boundaries 750 0.005"),
    *("var_backtests/acceptance 1000 0.01", "es_backtest_acerbi_szekely/worked"),
    "portfolio_margin_tims/long_100_shares_long_1_put",
)

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def report(shared: Path):
    return run([shared / "vectors" / "reference.json"])


def test_no_number_differs(report):
    assert [f"{r.vector.id}: {r.detail}" for r in report.results if r.outcome == "failed"] == []
    assert report.count("passed") >= PASSED_AT_LEAST
    assert {r.vector.id for r in report.results if r.outcome == "unsupported"} == LATER


def test_the_discriminating_groups_are_among_those_that_pass(report):
    outcomes = {r.vector.id: r.outcome for r in report.results}
    assert {name: outcomes[name] for name in MUST_PASS} == dict.fromkeys(MUST_PASS, "passed")


def _moved(value):
    """The same outputs, each number ten times the tolerance off, a zero not quite, a word another."""
    if isinstance(value, dict):
        return {name: _moved(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_moved(inner) for inner in value]
    if isinstance(value, str):
        return value + "?"
    return value * (1 + 1e-5) if value else 1e-9


def test_a_number_that_is_moved_is_noticed(report):
    blind = []
    for result in report.results:
        vector = result.vector
        for output, value in vector.expected.items() if result.outcome == "passed" else ():
            moved = replace(
                vector, expected={output: _moved(value)}, tolerance=vector.tolerance or {"rel": 1e-7}
            )
            if value is not None and judge(moved).outcome == "passed":
                blind.append(f"{vector.id}: {output}")
    assert blind == []


# --- 10 October 2025, Hyperliquid: reference.json, cascade_validation_targets ---


@pytest.fixture(scope="module")
def targets(shared: Path):
    import json

    groups = json.loads((shared / "vectors" / "reference.json").read_text(encoding="utf-8"))
    return groups["cascade_validation_targets"]["hyperliquid_2025_10_10"]


@pytest.fixture(scope="module")
def record(shared: Path):
    rows = pl.read_parquet(shared / "data" / "liquidations" / "hyperliquid_2025-10-10_timeline.parquet")
    return tuple(rows[name].to_numpy().astype(float) for name in ("second", "liquidations", "adls"))


def test_the_record_as_steps(record, targets):
    at, feed, deleveraged = record
    found = outcome(steps_of(at, liquidated=one_sided(feed, deleveraged), deleveraged=deleveraged), 60.0)
    assert found.deleveraged == targets["adl_rows"]
    assert feed.sum() == targets["liquidation_rows"]
    # The record is in whole seconds: 61 of the 61.7 that were measured.
    assert found.seconds_to_deleveraging == int(targets["seconds_to_first_adl"])
    assert np.isnan([found.amplification, found.fund_draw]).all()


def test_the_profile_of_the_record_by_minute(record, targets):
    at, feed, deleveraged = record
    edges = 60.0 * np.arange(13)
    for column, name in ((feed, "liquidation_rows"), (deleveraged, "adl_rows")):
        rows = np.array([targets["by_minute_rows"][str(minute)][name] for minute in range(12)])
        assert profile(at, column, edges) * column.sum() == pytest.approx(rows)


def test_the_largest_burst_of_the_record(record, targets):
    at, feed, deleveraged = record
    burst = targets["largest_burst"]
    row = int(np.argmax(feed))
    assert (at[row], feed[row], deleveraged[row]) == (burst["second"], burst["liquidations"], burst["adls"])


def test_the_share_of_deleveraging_by_notional(shared: Path, targets):
    rows = pl.read_parquet(shared / "data" / "liquidations" / "hyperliquid_2025-10-10_by_coin.parquet")
    feed, deleveraged = (rows[name].fill_null(0.0).to_numpy() for name in ("liq_notional", "adl_notional"))
    at = np.zeros(len(feed))
    found = outcome(steps_of(at, liquidated=one_sided(feed, deleveraged), deleveraged=deleveraged), 1.0)
    assert found.deleveraged_share == pytest.approx(targets["one_sided"]["adl_share"], abs=5e-5)
    assert found.liquidated == pytest.approx(targets["one_sided"]["book_liquidations_usd"], rel=1e-8)


def test_who_bore_it(shared: Path, targets):
    """Two of three accounts are on record, by account and not by position: shares agree, medians need not."""
    rows = pl.read_parquet(shared / "data" / "liquidations" / "hyperliquid_2025-10-10_adl_by_account.parquet")
    columns = ("adl_notional", "leverage_derived", "pnl_pct_derived")
    removed, leverage, per_cent = (rows[name].to_numpy() for name in columns)
    found = burden(removed, leverage, per_cent / 100.0)
    assert found.accounts == len(rows)
    assert found.in_profit == pytest.approx(targets["adl_targets"]["profitable_share"], abs=0.01)
    assert found.median_leverage < 0.5  # low leverage did not protect
    assert found.top_ten_share > 0.5
    assert found.inequality > 0.95
