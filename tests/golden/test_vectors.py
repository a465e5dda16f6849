"""Published numbers of venues, inputs to outputs: what has been reached is not lost again."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from margrave.adapters.conform import Report, Result, run
from margrave.adapters.conform.runner import judge

PASSED_AT_LEAST = {"cex.json": 108, "deribit.json": 53}
MUST_PASS = (  # positions with tiers, several positions, options, whole records
    "binance-usdm-cross-btc",
    "ccxt-binance-coinm-iso",
    "bybit-uta-ethusdt",
    "bybit-inv-cross-legacy",
    "bybit-bear-put-spread",
    "okx-ethusd-iso",
    "kraken-inv-liq",
    "bitmex-karen-cross",
    "bitmex-fair-perp",
    "bitmex-ethusdt-iso",
    "bitmex-adl-quintile",
    "binance-adl-user",
    "binance-pmpro-unimmr-api",
    "okx-pm-mr7-scale",
    "okx-pm-mr9",
    "okex-partial-liq",
    "CAP-OPT-BTC38000P",
    "CAP-OPENORD-43000C",
    "API-ACCT-FUT-IM",
    "API-ACCT-LIQRATIO",
)

SIGNIFICANT = 11  # a number is moved in its twelfth significant digit at the finest: beyond is float64
ROUNDED_INPUTS = Decimal("1e-3")

pytestmark = pytest.mark.shared


def _report(shared: Path, *names: str) -> Report:
    return run([shared / "vectors" / name for name in names])


@pytest.mark.parametrize("name", PASSED_AT_LEAST)
def test_no_published_number_differs(shared: Path, name: str):
    report = _report(shared, name)
    assert [f"{r.vector.id}: {r.detail}" for r in report.results if r.outcome == "failed"] == []
    assert report.count("passed") >= PASSED_AT_LEAST[name]


def test_the_discriminating_vectors_are_among_those_that_pass(shared: Path):
    outcome = {r.vector.id: r.outcome for r in _report(shared, *PASSED_AT_LEAST).results}
    assert {name: outcome[name] for name in MUST_PASS} == dict.fromkeys(MUST_PASS, "passed")


def test_what_is_unsupported_says_why(shared: Path):
    rest = [r for r in _report(shared, *PASSED_AT_LEAST).results if r.outcome == "unsupported"]
    assert [r.vector.id for r in rest if not r.detail] == []


@pytest.mark.parametrize("name", PASSED_AT_LEAST)
def test_a_number_that_is_moved_by_three_units_is_noticed(shared: Path, name: str):
    """The judge can fail: every vector that passes no longer does when one published number is moved."""
    blind = []
    for result in _report(shared, name).results:
        if result.outcome == "passed":
            blind += _blind_spots(result)
    assert blind == []


def _blind_spots(result: Result) -> list[str]:
    vector = result.vector
    spots = []
    for output, number in vector.expected.items():
        if isinstance(number, list):
            continue
        published = Decimal(str(number))
        off = Decimal(3).scaleb(-min(vector.digits[output], SIGNIFICANT - published.adjusted()))
        # The source shows inputs rounded, or an interval of them: a wider span is right.
        if vector.input_rounding or vector.expressions or "interval" in vector.note:
            off = max(off, abs(published) * ROUNDED_INPUTS)
        moved = {**vector.expected, output: str(published + off)}
        if judge(replace(vector, expected=moved)).outcome == "passed":
            spots.append(f"{vector.id}: {output}")
    return spots
