"""OM-6: vol shocks that scale with tenor."""

import pytest

from margrave.kernels.vol_shock import shocked_vol, tenor_scale


@pytest.mark.parametrize(
    ("days", "scale"), [(30, 1.0), (15, 2**0.30), (60, 2**-0.13), (1, 30**0.30), (365, (30 / 365) ** 0.13)]
)
def test_scale_of_a_tenor(days, scale):
    assert float(tenor_scale(days, 0.30, 0.13)) == pytest.approx(scale, rel=1e-14)


@pytest.mark.parametrize(
    ("vol", "shock", "least", "expected"),
    [(0.6, 0.45, 0.0, 0.87), (0.2, 0.5, 0.5, 0.5), (0.8, -0.25, 0.0, 0.6), (0.8, -2.0, 0.0, 0.0)],
)
def test_vol_after_a_shock_at_thirty_days(vol, shock, least, expected):
    # deribit.md 3.1: 60 vol, +45 % gives 87; the floor holds for the shocked vol.
    assert float(shocked_vol(vol, shock, tenor_scale(30, 0.3, 0.13), least)) == pytest.approx(expected)


@pytest.mark.parametrize(("days", "vol"), [(0, 0.5), (-1, 0.5), (float("nan"), 0.5)])
def test_tenors_that_are_none_are_refused(days, vol):
    with pytest.raises(ValueError, match="days"):
        shocked_vol(vol, 0.5, tenor_scale(days, 0.3, 0.13))
