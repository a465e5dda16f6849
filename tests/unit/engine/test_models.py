"""One portfolio under several models: requirement, what binds, time (spec PMM-6)."""

from itertools import count

import pytest

from margrave.adapters.files import load_example
from margrave.engine.analysis.compare import Variant
from margrave.engine.analysis.models import binding, model_table
from margrave.engine.assess import assess
from margrave.margin.requirement import Requirement, multiplied, total, worst_of
from margrave.rulebook.catalogue import in_force

CASE = load_example("portfolio")
NAMED = {
    "example.portfolio": "worst of 29 cells: price -0.12, vol down (cell 6)",
    "example.scan": "losses in scenario 10",
    "deribit.sm": "BTC-27MAR26-70000-C",
}


def test_pmm_6_a_row_a_model_with_requirement_what_binds_and_time():
    ticks = count()
    chosen = [Variant(name, in_force(name, CASE.market.at)) for name in NAMED]
    account = CASE.accounts[0]
    rows = model_table(account, CASE.market, chosen, lambda: float(next(ticks)))
    assert {row.model: row.binds for row in rows} == NAMED
    assert [row.seconds for row in rows] == [1.0] * 3
    for row, variant in zip(rows, chosen, strict=True):
        (pool,) = assess(account, CASE.market, variant.rulebook).pools
        told = (pool.name, pool.currency, pool.initial, pool.maintenance)
        assert (row.pool, row.currency, row.initial, row.maintenance) == told


def test_a_model_without_a_rule_says_why():
    variant = Variant("derive", in_force("derive.pmrm", CASE.market.at))
    (row,) = model_table(CASE.accounts[0], CASE.market, [variant], lambda: 0.0)
    assert row.maintenance != row.maintenance
    assert "no rule" in row.binds


CHARGE = multiplied(
    "charge", Requirement("rate", 0.1, unit="rate"), Requirement("value", 50.0, unit="USD"), unit="USD"
)
SMALL = Requirement("small", 1.0, unit="USD")


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        (SMALL, "small"),
        (total("both", CHARGE, SMALL), "charge"),
        (total("leaves", SMALL, SMALL), "leaves"),
        (Requirement("least", 1.0, "min", (CHARGE, SMALL)), "small"),
        (
            multiplied("level", worst_of("worst", SMALL, CHARGE), Requirement("factor", 2.0, unit="factor")),
            "charge",
        ),
        (Requirement("cells", 1.0, "sum", (total("deep", SMALL), SMALL), binds="cell 3"), "cells (cell 3)"),
    ],
)
def test_what_binds(tree, told):
    assert binding(tree) == told
