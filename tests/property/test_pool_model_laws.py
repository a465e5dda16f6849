"""Models of a whole pool: many rows of prices at once are each row alone, and a tree gives back its pool's number."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.core.words import INITIAL, MAINTENANCE
from margrave.domain.book import book_of
from margrave.margin.pool_models import PoolTrees
from margrave.margin.pooled import evaluate, prepare
from margrave.margin.requirement import discrepancy
from margrave.rulebook.clearing import RangesModel, ScanModel
from margrave.rulebook.standard_manager import StandardManager
from margrave.rulebook.tail import TailModel
from margrave.valuation.scenarios import shifted
from tests.unit import made_books

RULES = {
    r.id: r
    for r in made_books.rulebooks()
    if isinstance(r.portfolio, StandardManager | ScanModel | RangesModel | TailModel)
}
NUMBERS = ("equity", "initial", "maintenance")


def prepared_under(rulebook, seed, count):
    return prepare(book_of(made_books.accounts(seed, count, rulebook)), made_books.MARKET, rulebook)


@pytest.mark.parametrize("name", RULES)
def test_rows_of_prices_do_not_know_each_other(name):
    prepared = prepared_under(RULES[name], 3, 15)
    factor = np.exp(np.random.default_rng(4).normal(0.0, 0.2, (9, len(prepared.table.assets))))
    together = evaluate(prepared, shifted(prepared.table, factor))
    for row in range(len(factor)):
        alone = evaluate(prepared, shifted(prepared.table, factor[row : row + 1]))
        for number in NUMBERS:
            np.testing.assert_array_equal(getattr(together, number)[row], getattr(alone, number)[0], number)
    assert np.nanmax(together.maintenance) > 0


@settings(max_examples=15)
@given(st.sampled_from(sorted(RULES)), st.integers(0, 2**32 - 1))
def test_a_tree_gives_back_the_number_of_its_pool(name, seed):
    prepared = prepared_under(RULES[name], seed, 6)
    joint = evaluate(prepared).workings.joint
    assert isinstance(joint.workings, PoolTrees)
    known = set(range(joint.initial.shape[1])) - set(prepared.issues)
    for pool in sorted(known):
        for level, asked in ((INITIAL, joint.initial), (MAINTENANCE, joint.maintenance)):
            tree = joint.workings.tree(pool, level)
            if tree is None:
                assert asked[0, pool] == 0.0
            else:
                assert tree.amount == pytest.approx(asked[0, pool], rel=1e-9, abs=1e-6)
                assert discrepancy(tree) < 1e-9
