"""The tree gives back every number, for every rulebook that knows the examples, at both levels."""

import pytest

from margrave.adapters.files import example_names, load_example
from margrave.engine.assess import assess
from margrave.margin.requirement import discrepancy
from margrave.rulebook.catalogue import shipped


@pytest.mark.parametrize("name", example_names())
@pytest.mark.parametrize("rulebook", shipped(), ids=lambda b: f"{b.id}@{b.valid_from:%Y-%m-%d}")
def test_the_tree_gives_back_every_number(name, rulebook):
    case = load_example(name)
    assessment = assess(case.accounts[0], case.market, rulebook)
    for k, pool in enumerate(assessment.pools):
        for level in ("initial", "maintenance"):
            tree = assessment.explain(level, k)
            if pool.status == "unknown":
                assert tree.binds
                continue
            assert discrepancy(tree) < 1e-12
            assert tree.amount == pytest.approx(getattr(pool, level), rel=1e-12, abs=1e-12)
            assert all(node.code or node.parts or node.unit for _, node in tree.walk())
