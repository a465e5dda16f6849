"""Derive's first portfolio manager in fixed point against its published integers and against the engine (PMD-1)."""

from pathlib import Path

import pytest

from margrave.adapters.conform import run
from margrave.adapters.conform.protocol_derive_fixed import exact_margin
from margrave.adapters.conform.protocol_derive_scenarios import first

pytestmark = pytest.mark.shared
MODELS = ("derive.pmrm", "derive.pmrm_integer")


def _vectors(shared: Path):
    found = [r.vector for r in run([shared / "vectors" / "defi.json"]).results if r.vector.model in MODELS]
    assert len(found) >= 43
    return found


def test_integers_come_out_without_a_nudge(shared: Path):
    vectors = [v for v in _vectors(shared) if v.model == "derive.pmrm_integer"]
    for vector in vectors:
        margin = exact_margin(vector)
        found = {"IM": int(margin.initial), "MM": int(margin.maintenance)}
        assert {name: found[name] for name in vector.expected} == vector.expected, vector.id


def test_the_engine_agrees(shared: Path):
    for vector in _vectors(shared):
        margin, floats = exact_margin(vector), first(vector)
        found = {"IM": float(margin.initial), "MM": float(margin.maintenance)}
        assert found == pytest.approx({k: floats[k] for k in found}, rel=1e-12, abs=1e-9), vector.id
