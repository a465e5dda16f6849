"""Excursions: how far the mark has moved in favour of a position, in every unit."""

import numpy as np
import pytest

from margrave.kernels.schedule import (
    coin_excursion,
    exposure_excursion,
    log_excursion,
    percent_excursion,
    return_on_margin_excursion,
    sigma_excursion,
)

BAD = [np.nan, np.inf, -np.inf, -1.0]
PRICED = [log_excursion, percent_excursion, coin_excursion]


@pytest.mark.parametrize(
    ("mark", "x"),
    [
        # Spec "inverse margining" 1.3, worked example, column x; reference 50,000.
        (45_000, -0.105361),
        (46_500, -0.072571),
        (47_500, -0.051293),
        (48_000, -0.040822),
        (49_000, -0.020203),
        (50_000, 0.0),
        (51_000, 0.019803),
        (52_000, 0.039221),
        (52_500, 0.048790),
        (55_000, 0.095310),
        (60_000, 0.182322),
        (62_500, 0.223144),
    ],
)
def test_log_moves_of_the_worked_example(mark, x):
    assert log_excursion(1.0, mark, 50_000.0) == pytest.approx(x, abs=5e-7)
    assert log_excursion(-1.0, mark, 50_000.0) == pytest.approx(-x, abs=5e-7)


@pytest.mark.parametrize(
    ("function", "side", "mark", "x"),
    [
        (percent_excursion, 1.0, 110.0, 0.1),
        (percent_excursion, -1.0, 110.0, -0.1),
        (percent_excursion, 1.0, 90.0, -0.1),
        # Spec 1.1 CAL-3a: ±10 % earn an inverse long +9.0909 % and -11.1111 %.
        (coin_excursion, 1.0, 110.0, 1 / 11),
        (coin_excursion, 1.0, 90.0, -1 / 9),
        (coin_excursion, -1.0, 90.0, 1 / 9),
    ],
)
def test_other_units(function, side, mark, x):
    assert function(side, mark, 100.0) == pytest.approx(x, rel=1e-14)


def test_sigma_unit():
    # A log move of 0.1 at 80 % vol over a quarter: 0.1 / (0.8 × 0.5).
    assert sigma_excursion(1.0, np.exp(0.1), 1.0, 0.8, 0.25) == pytest.approx(0.25, rel=1e-14)


def test_return_on_margin_carries_its_side():
    result = return_on_margin_excursion(np.array([5.0, -5.0, 0.0]), 20.0)
    assert result.tolist() == [0.25, -0.25, 0.0]


@pytest.mark.parametrize("function", PRICED)
def test_a_flat_position_has_moved_nowhere(function):
    assert function(0.0, 123.0, 100.0) == 0.0


@pytest.mark.parametrize("function", PRICED)
def test_scenarios_broadcast(function):
    result = function(np.array([1.0, -1.0]), np.array([[90.0], [100.0], [110.0]]), np.array([100.0, 100.0]))
    assert result.shape == (3, 2)
    assert result[:, 0].tolist() == (-result[:, 1]).tolist()
    assert result[1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("bad", [*BAD, 0.0])
@pytest.mark.parametrize("name", ["mark", "reference"])
@pytest.mark.parametrize("function", PRICED)
def test_a_bad_price_is_named(function, name, bad):
    arguments = {"mark": 100.0, "reference": 100.0, name: np.array([bad])}
    with pytest.raises(ValueError, match=f"^{name} must"):
        function(1.0, **arguments)


@pytest.mark.parametrize("bad", [*BAD, 0.0])
@pytest.mark.parametrize("name", ["mark", "reference", "vol", "horizon_years"])
def test_a_bad_argument_of_the_sigma_unit_is_named(name, bad):
    arguments = {"mark": 1.0, "reference": 1.0, "vol": 0.5, "horizon_years": 0.1, name: bad}
    with pytest.raises(ValueError, match=f"^{name} must"):
        sigma_excursion(1.0, **arguments)


def test_a_bad_return_is_named():
    with pytest.raises(ValueError, match=r"^unrealised must"):
        return_on_margin_excursion(np.nan, 1.0)
    with pytest.raises(ValueError, match=r"^initial_at_entry must"):
        return_on_margin_excursion(1.0, 0.0)


@pytest.mark.parametrize(
    ("gain", "exposure", "x"),
    [
        (1.0, 10.0, 0.1),
        (-1.0, 10.0, -0.1),
        (9.0, 10.0, 0.5),
        (-9.0, 10.0, -0.5),
        (9.0, 0.0, 0.0),
        (9.0, 1e-6, 0.0),  # at the minimum there is no direction yet
        (9.0, 1.1e-6, 0.5),
        (1e300, 1e-5, 0.5),
        (-1e300, 1e-5, -0.5),
        (0.0, 10.0, 0.0),
    ],
)
def test_gain_over_exposure(gain, exposure, x):
    result = exposure_excursion(np.array([gain]), np.array([exposure]), 1e-6, 0.5)
    assert result == pytest.approx([x], rel=1e-14)


def test_an_overflow_is_beyond_any_limit():
    assert exposure_excursion(1e300, 1e-300, 0.0, 0.5) == 0.5


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", ["gain", "exposure", "exposure_min", "limit"])
def test_a_bad_exposure_is_named(name, bad):
    if name == "gain" and bad == -1.0:
        assert exposure_excursion(bad, 4.0, 0.0, 0.5) == -0.25
        return
    arguments = {"gain": 1.0, "exposure": 1.0, "exposure_min": 0.0, "limit": 0.5, name: bad}
    with pytest.raises(ValueError, match=f"^{name} must"):
        exposure_excursion(**arguments)
