"""Laws of the risk matrix: vectors add up, gains scale, and what is written in Deribit's shape is verified."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.adapters import deribit_pme
from margrave.adapters.files import load_example
from margrave.adapters.pme_shape import rendered
from margrave.adapters.verify import first_difference
from margrave.engine.analysis.matrix import risk_matrix
from margrave.rulebook.catalogue import shipped

CASE = load_example("inverse")
(ACCOUNT,) = CASE.accounts
RULES = next(b for b in reversed(shipped()) if b.id == "deribit.spm")
SIZES = st.tuples(*(st.floats(-50.0, 50.0).filter(lambda x: abs(x) > 1e-3) for _ in ACCOUNT.positions))


def held(sizes):
    scale = (1e4, 1e4, 1.0)
    positions = zip(ACCOUNT.positions, sizes, scale, strict=True)
    return replace(ACCOUNT, orders=(), positions=tuple(replace(p, quantity=s * k) for p, s, k in positions))


@given(SIZES)
def test_vectors_add_up_and_only_gains_are_cut(sizes):
    (unit,) = risk_matrix(held(sizes), CASE.market, RULES).pools[0].units
    together = np.sum([v.gains for v in unit.vectors], axis=0)
    assert together == pytest.approx(unit.before, rel=1e-9, abs=1e-9)
    before, after = np.array(unit.before), np.array(unit.after)
    assert (np.abs(after) <= np.abs(before)).all()
    assert unit.worst.loss == pytest.approx(max(-after.min(), 0.0), abs=1e-9)


@given(SIZES)
def test_a_mirrored_account_has_mirrored_cells(sizes):
    (unit,) = risk_matrix(held(sizes), CASE.market, RULES).pools[0].units
    (mirrored,) = risk_matrix(held([-s for s in sizes]), CASE.market, RULES).pools[0].units
    assert mirrored.before == pytest.approx([-x for x in unit.before], rel=1e-12, abs=1e-12)


@given(SIZES)
def test_what_is_written_in_deribits_shape_agrees(sizes):
    account = held(sizes)
    written = rendered(risk_matrix(account, CASE.market, RULES), account, CASE.market, RULES)
    assert first_difference(deribit_pme.read(written, "written").compared()) is None
