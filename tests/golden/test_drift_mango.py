"""Published numbers of Drift and Mango: every one that its source reproduced, and a judge that is not blind."""

from dataclasses import replace
from pathlib import Path

import pytest

from margrave.adapters.conform.runner import Result, judge, read

PASSED_AT_LEAST = {"drift": 77, "mango": 48}

pytestmark = pytest.mark.shared


def _results(shared: Path, protocol: str) -> list[Result]:
    vectors = read(shared / "vectors" / "defi.json")
    return [judge(v) for v in vectors if v.model.startswith(f"{protocol}.")]


@pytest.mark.parametrize("protocol", PASSED_AT_LEAST)
def test_every_published_number_comes_out(shared: Path, protocol: str):
    results = _results(shared, protocol)
    assert [f"{r.vector.id}: {r.detail}" for r in results if r.outcome != "passed"] == []
    assert len(results) >= PASSED_AT_LEAST[protocol]


@pytest.mark.parametrize("protocol", PASSED_AT_LEAST)
def test_a_number_that_is_moved_is_noticed(shared: Path, protocol: str):
    blind = []
    for vector in (r.vector for r in _results(shared, protocol)):
        off = 3 * vector.tolerance.get("abs", 1)
        for name, number in vector.expected.items():
            moved = not number if isinstance(number, bool) else number + off
            if judge(replace(vector, expected={**vector.expected, name: moved})).outcome == "passed":
                blind.append(f"{vector.id}: {name}")
    assert blind == []
