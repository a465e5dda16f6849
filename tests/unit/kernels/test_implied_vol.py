"""Implied vol: round trips, and prices that say nothing about vol."""

import numpy as np
import pytest

from margrave.kernels.black76 import coin_price, quote_price
from margrave.kernels.implied_vol import implied_vol_coin, implied_vol_quote

BAD = [np.nan, np.inf, -np.inf, -1.0]
# Spec "inverse margining" section 5, numeric examples: arguments and coin price to twelve digits.
EXAMPLES = [
    ((50_000.0, 50_000.0, 30 / 365, True, 0.0), 0.80, 0.0912984078185),
    ((62_000.0, 75_000.0, 7 / 365, True, 0.0), 0.65, 0.000614383297729),
    ((3_000.0, 2_500.0, 90 / 365, False, 0.02), 0.90, 0.0913368094238),
    ((50_000.0, 50_000.0, 30 / 365, False, 0.0), 0.80, 0.0912984078185),
    ((62_000.0, 75_000.0, 7 / 365, False, 0.0), 0.65, 0.210291802653),
    ((3_000.0, 2_500.0, 90 / 365, True, 0.02), 0.90, 0.257183581602),
]


@pytest.mark.parametrize(("arguments", "vol", "price"), EXAMPLES)
def test_worked_examples(arguments, vol, price):
    found, uninformative = implied_vol_coin(price, *arguments)
    assert not uninformative
    # The deep put's time value is the last 0.3 % of its price: fewer digits of vol.
    assert found == pytest.approx(vol, rel=1e-9)
    found, uninformative = implied_vol_quote(price * arguments[0], *arguments)
    assert not uninformative
    assert found == pytest.approx(vol, rel=1e-9)


@pytest.mark.parametrize("years", [1 / 8760, 7 / 365, 1.0])
@pytest.mark.parametrize("vol", [0.05, 0.6, 3.0])
@pytest.mark.parametrize("is_call", [True, False])
def test_round_trip(vol, years, is_call):
    # Strikes within six deviations, where a price still has digits to spare.
    distance = np.linspace(-6.0, 6.0, 49) * vol * np.sqrt(years)
    strike = 50_000.0 * np.exp(distance)
    price = coin_price(50_000.0, strike, vol, years, is_call)
    found, uninformative = implied_vol_coin(price, 50_000.0, strike, years, is_call)
    again = coin_price(50_000.0, strike[~uninformative], found[~uninformative], years, is_call)
    assert again == pytest.approx(price[~uninformative], rel=1e-12, abs=4e-16)
    out_of_the_money = distance >= 0.0 if is_call else distance <= 0.0
    assert not uninformative[out_of_the_money].any()
    assert found[out_of_the_money] == pytest.approx(vol, rel=1e-10)


@pytest.mark.parametrize("rate", [0.0, 0.3, -0.3])
def test_round_trip_of_quote_prices_with_a_rate(rate):
    strike = np.array([20_000.0, 45_000.0, 50_000.0, 55_000.0, 120_000.0])
    for is_call in (True, False):
        price = quote_price(50_000.0, strike, 0.7, 0.5, is_call, rate)
        found, uninformative = implied_vol_quote(price, 50_000.0, strike, 0.5, is_call, rate)
        assert not uninformative.any()
        assert found == pytest.approx(np.full(5, 0.7), rel=1e-12)


@pytest.mark.parametrize("price", [1e-300, 1e-100, 1e-30, 1e-8])
def test_tiny_prices_far_out_of_the_money(price):
    found, uninformative = implied_vol_coin(price, 1.0, 2.0, 0.1, True)
    assert not uninformative
    assert coin_price(1.0, 2.0, found, 0.1, True) == pytest.approx(price, rel=2e-10)


@pytest.mark.parametrize("price", [1e-15, 1e-9, 0.01, 0.5, 0.99, 1.0 - 1e-9])
def test_at_the_money_from_nothing_to_everything(price):
    found, uninformative = implied_vol_coin(price, 7.0, 7.0, 1.0, True)
    assert not uninformative
    # Rounding leaves an absolute error in a price, a unit of the last digit of the coin.
    assert coin_price(7.0, 7.0, found, 1.0, True) == pytest.approx(price, rel=1e-13, abs=4e-16)


@pytest.mark.parametrize(
    ("price", "strike", "years", "is_call"),
    [
        (0.0, 2.0, 1.0, True),  # worthless
        (0.0, 0.5, 1.0, True),  # below the intrinsic value
        (0.4, 0.5, 1.0, True),
        (0.5, 0.5, 1.0, True),  # at the intrinsic value
        (0.5 + 1e-17, 0.5, 1.0, True),
        (1.0, 2.0, 1.0, True),  # at the upper bound
        (1.5, 2.0, 1.0, True),
        (2.0, 2.0, 1.0, False),
        (3.0, 2.0, 1.0, False),
        (0.1, 1.0, 0.0, True),  # no time
        (0.9 + 2e-16, 0.1, 1.0, True),  # time value within rounding
        (1.0 - 1e-16, 1.0, 1.0, True),
    ],
)
def test_a_price_that_says_nothing(price, strike, years, is_call):
    found, uninformative = implied_vol_coin(price, 1.0, strike, years, is_call)
    assert uninformative
    assert np.isnan(found)


def test_one_bad_price_does_not_spoil_the_others():
    price = np.array([0.1, 0.0, 0.2, 1.5])
    found, uninformative = implied_vol_coin(price, 1.0, 1.0, 0.25, True)
    assert uninformative.tolist() == [False, True, False, True]
    assert coin_price(1.0, 1.0, found[[0, 2]], 0.25, True) == pytest.approx([0.1, 0.2], rel=1e-14)


def test_vol_scales_with_the_root_of_time():
    years = np.array([0.25, 1.0, 4.0])
    found, _ = implied_vol_coin(0.1, 1.0, 1.1, years, True)
    assert found * np.sqrt(years) == pytest.approx(np.full(3, found[1]), rel=1e-15)


def test_shapes_broadcast():
    found, uninformative = implied_vol_coin(np.array([[0.1], [0.2]]), 1.0, np.ones(3), 1.0, True)
    assert found.shape == uninformative.shape == (2, 3)
    assert implied_vol_quote(np.empty(0), 1.0, 1.0, 1.0, True)[0].shape == (0,)
    found, uninformative = implied_vol_coin(0.1, 1.0, 1.0, 1.0, True)
    assert found.shape == uninformative.shape == ()


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", ["price", "forward", "strike", "years"])
@pytest.mark.parametrize("function", [implied_vol_coin, implied_vol_quote])
def test_a_bad_argument_is_named(function, name, bad):
    arguments = {"price": 0.1, "forward": 1.0, "strike": 1.0, "years": 1.0, name: np.array([bad])}
    with pytest.raises(ValueError, match=f"^{name} must"):
        function(**arguments, is_call=True)


@pytest.mark.parametrize("bad", BAD[:3])
def test_a_bad_rate_is_named(bad):
    with pytest.raises(ValueError, match=r"^lending_rate must"):
        implied_vol_coin(0.1, 1.0, 1.0, 1.0, True, lending_rate=bad)
    with pytest.raises(ValueError, match=r"^quote_rate must"):
        implied_vol_quote(0.1, 1.0, 1.0, 1.0, True, quote_rate=bad)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((0.1, 1e-300, 1e300, 1.0, True, 0.0), "strike / forward"),
        ((0.1, 1e300, 1e-300, 1.0, True, 0.0), "strike / forward"),
        ((0.1, 1.0, 1.0, 10.0, True, 100.0), "discount factor"),
        ((0.1, 1.0, 1.0, 10.0, True, -100.0), "discount factor"),
        ((1e300, 1.0, 1.0, 1.0, True, 600.0), "price / discount factor"),
    ],
)
@pytest.mark.parametrize("function", [implied_vol_coin, implied_vol_quote])
def test_what_float64_cannot_hold_is_named(function, arguments, named):
    with pytest.raises(ValueError, match=f"^{named}"):
        function(*arguments)


def test_a_quote_price_beyond_the_forward_is_named():
    with pytest.raises(ValueError, match=r"^price / forward must"):
        implied_vol_quote(1e300, 1e-300, 1e-300, 1.0, True)
