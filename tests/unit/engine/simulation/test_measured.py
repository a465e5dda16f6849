"""A run as columns that measures read."""

import numpy as np
import pytest

from margrave.core.errors import InvalidInputError
from margrave.engine.measures.run import outcome
from margrave.engine.simulation.measured import measured
from tests.unit.engine.simulation.test_cascade import ENTRY, KAPPA, run


def test_amplification_of_the_specification_is_measured_on_the_run():
    # Inverse-margining 4.3, inverse contracts under T1 and a shock of -3 %: 46,134.63, 100 millions, 2.642.
    done = run("inverse", True, -0.03, fund={"BTC": 7.0}, index_share=1.0)
    columns = measured(done, "BTC")
    assert columns.price.round(2).tolist() == [ENTRY, 46_134.63]
    assert columns.outside.tolist() == [ENTRY, 48_500.0]
    assert columns.open_interest.tolist() == [pytest.approx(160e6), pytest.approx(60e6)]
    assert 0.0 < columns.fund[1] < 7.0 * columns.price[1]
    assert columns.shortfall[1] > 0.0
    found = outcome(columns, 60.0)
    assert round(found.amplification, 3) == 2.642
    assert found.liquidated == pytest.approx(100e6, rel=0.01)  # at the index of its moment
    assert found.deepest == pytest.approx(0.97 * np.exp(-KAPPA) - 1.0)


def test_an_asset_that_is_not_there_is_refused():
    with pytest.raises(InvalidInputError, match="DOGE"):
        measured(run("inverse", False, -0.01), "DOGE")
