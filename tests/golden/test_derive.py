"""Derive's published numbers: every vector of its formula margin, option formulas and auctions."""

from pathlib import Path

import pytest

from margrave.adapters.conform import run
from margrave.adapters.conform.protocol_derive import TRANSLATORS, exact_margin, margin
from margrave.core.fixed import fixed

pytestmark = pytest.mark.shared
PASSED_AT_LEAST = {
    "derive.black76": 6,
    "derive.svi": 11,
    "derive.srm": 18,
    "derive.srm_integer": 27,
    "derive.auction": 6,
    "derive.auction_discount": 5,
}


def _results(shared: Path):
    return run([shared / "vectors" / "defi.json"]).results


def test_every_vector_of_derive_passes(shared: Path):
    mine = [r for r in _results(shared) if r.vector.model in TRANSLATORS]
    assert [f"{r.vector.id}: {r.detail}" for r in mine if r.outcome != "passed"] == []
    count = {model: sum(r.vector.model == model for r in mine) for model in PASSED_AT_LEAST}
    assert all(count[model] >= least for model, least in PASSED_AT_LEAST.items())


def test_integers_come_out_of_fixed_point_without_a_nudge(shared: Path):
    vectors = [r.vector for r in _results(shared) if r.vector.model == "derive.srm_integer"]
    assert len(vectors) >= PASSED_AT_LEAST["derive.srm_integer"]
    for vector in vectors:
        found = exact_margin(vector)
        assert {name: int(fixed(found[name])) for name in vector.expected} == vector.expected


def test_doubles_need_one(shared: Path):
    # 879.9999999999999 for 880: what the nudge of the published tolerance is for.
    doubled = {
        r.vector.id: margin(r.vector) for r in _results(shared) if r.vector.model == "derive.srm_integer"
    }
    assert int(doubled["derive-srm-portfolio-test_base_asset_low_spot_confidence"]["IM"]) == 879


def test_doubles_and_fixed_point_agree(shared: Path):
    for vector in (r.vector for r in _results(shared) if r.vector.model.startswith("derive.srm")):
        exact = {name: float(number) for name, number in exact_margin(vector).items()}
        assert margin(vector) == pytest.approx(exact, rel=1e-12, abs=1e-9)
