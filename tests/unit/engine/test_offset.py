"""Offset and contributions against the one calculation."""

from dataclasses import replace

import pytest

from margrave.adapters.files import load_example
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.engine.assess import assess
from margrave.engine.contributions import contributions, sensitivities
from margrave.engine.offset import offsets
from margrave.rulebook.catalogue import in_force


def example(name):
    case = load_example(name)
    return case.accounts[0], case.market, in_force(case.rules, case.market.at)


def test_the_requirement_is_that_of_the_assessment_without_orders():
    account, market, rulebook = example("inverse")
    bare = replace(account, orders=())
    (pool,) = assess(bare, market, rulebook).pools
    (initial,), (maintenance,) = (
        offsets(account, market, rulebook, level) for level in (INITIAL, MAINTENANCE)
    )
    assert initial.requirement == pool.initial
    assert maintenance.requirement == pool.maintenance
    assert initial.sum_of_parts - initial.requirement == initial.benefit


@pytest.mark.parametrize("name", ["inverse", "hybrid", "collateral"])
def test_contributions_of_the_examples(name):
    account, market, rulebook = example(name)
    for pool in contributions(account, market, rulebook):
        print(pool, pool.residual)
    print(sensitivities(account, market, rulebook))
    print(offsets(account, market, rulebook))
