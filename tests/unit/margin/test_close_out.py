"""Coinbase International's three rates (cex.md 6)."""

import pytest

from margrave.margin.close_out import close_out_rates


# Base, risk parameter and horizon; initial, maintenance, close-out.
@pytest.mark.parametrize(
    ("base", "risk", "horizon", "rates"),
    [
        (0.20, 0.05, 1.0, (0.20, 0.4 / 3, 0.2 / 3)),  # the base rate binds
        (0.20, 0.10, 9.0, (0.30, 0.20, 0.10)),  # the size binds
        (0.20, 0.15, 16.0, (0.60, 0.40, 0.28)),  # twelve points bind in the close-out rate
        (0.36, 0.0, 0.0, (0.36, 0.24, 0.12)),  # where both are the same
        (0.50, 0.5, 100.0, (1.0, 2 / 3, 2 / 3 - 0.12)),  # never more than the value
        (0.0, 0.0, 0.0, (0.0, 0.0, 0.0)),
    ],
)
def test_rates_by_size(base, risk, horizon, rates):
    assert tuple(map(float, close_out_rates(base, risk, horizon))) == pytest.approx(rates)


@pytest.mark.parametrize("bad", [(-0.1, 0.1, 1.0), (0.1, float("nan"), 1.0), (0.1, 0.1, float("inf"))])
def test_a_bad_number_is_refused(bad):
    with pytest.raises(ValueError, match="must be"):
        close_out_rates(*bad)
