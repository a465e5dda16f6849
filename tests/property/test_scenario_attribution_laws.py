"""The worst scenario of every book adds up, by position, by Greek and in the tree (spec PMM-7)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.engine.analysis.scenario_attribution import worst_scenarios
from margrave.engine.assess import assess
from margrave.margin.requirement import discrepancy
from tests.property.test_scenario_laws import CHARGED, FULL, IN_COIN, MARKET, POINTS, account_of, held
from tests.unit import scenarios_made as made

MOVING = made.rulebook(currency="USD", collateral_moves=True, worst_digits=2)
RULES = {"charged": CHARGED, "full": FULL, "coin": IN_COIN, "points": POINTS, "moving": MOVING}


@settings(max_examples=100)
@given(held, st.sampled_from(sorted(RULES)), st.sampled_from(["initial", "maintenance"]))
def test_pmm_7_parts_of_the_worst_scenario_give_it_back(coins, which, level):
    account, rules = account_of(coins), RULES[which]
    tree = assess(account, MARKET, rules).explain(level, 0)
    assert discrepancy(tree) <= 1e-12
    nodes = [node for _, node in tree.walk() if node.label.startswith("worst of")]
    found = worst_scenarios(account, MARKET, rules)
    assert len(nodes) == len(found)
    for worst in found:
        total = worst.total
        scale = sum(abs(p.profit) for p in worst.positions) + worst.loss + 1.0
        told = total.profit + sum(amount for _, amount in (*worst.collateral, *worst.rest))
        assert told == pytest.approx(-worst.loss, abs=1e-12 * scale)
        greeks = total.delta + total.gamma + total.vega + total.remainder
        assert greeks == pytest.approx(total.profit, abs=1e-9 * scale)
        (node,) = [n for n in nodes if n.amount == worst.loss and n.binds == f"cell {worst.cell}"][:1]
        assert {p.label for p in node.parts} >= {p.symbol for p in worst.positions}
    assert sorted(p.symbol for w in found for p in w.positions) == sorted(coins)
