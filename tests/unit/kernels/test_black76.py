"""Black-76 in coin and in quote currency: the worked examples, and every edge of the arguments."""

import dataclasses

import numpy as np
import pytest

from margrave.kernels.black76 import (
    Greeks,
    QuoteGreeks,
    coin_greeks,
    coin_price,
    quanto_inverse_price,
    quote_greeks,
    quote_price,
    usd_price,
)

# Spec "inverse margining" section 5, numeric examples (mpmath, 40 digits; twelve are printed).
# Arguments: forward, strike, vol, years, is_call, lending_rate.
EX1 = (50_000.0, 50_000.0, 0.80, 30 / 365, True, 0.0)
EX2 = (62_000.0, 75_000.0, 0.65, 7 / 365, True, 0.0)
EX3 = (3_000.0, 2_500.0, 0.90, 90 / 365, False, 0.02)
EXAMPLES = [EX1, EX2, EX3]
NAMES = ["call at the money", "call out of the money", "put out of the money"]
GREEKS = {
    "coin_price": (0.0912984078185, 0.000614383297729, 0.0913368094238),
    "usd_price": (4564.92039092, 38.0917644592, 274.010428272),
    "unadjusted_delta": (0.545649203909, 0.0192413377652, -0.262585970011),
    "adjusted_delta": (0.454350796091, 0.0186269544675, -0.353922779435),
    "coin_delta": (9.08701592182e-6, 3.00434749476e-7, -1.17974259812e-4),
    "usd_gamma": (3.45605181005e-5, 8.39535906703e-6, 2.42580570536e-4),
    "coin_gamma": (3.27729725138e-10, 1.25717573679e-10, 1.59509696720e-7),
    "adjusted_delta_slope": (2.54735021787e-5, 8.09492431756e-6, 3.60554830348e-4),
    "coin_vega": (0.113623621152, 0.00648857751455, 0.161498845590),
    "usd_vega": (5681.18105762, 402.291805902, 484.496536770),
    "coin_theta": (-0.552968289608, -0.109958215380, -0.292908657013),
    "coin_vanna": (-1.13623621152e-6, 2.40626953188e-6, -7.60583267852e-5),
    "coin_volga": (-0.00186778555319, 0.0446200708164, 0.0209055293899),
}
OTHER_SIDE = (0.0912984078185, 0.210291802653, 0.257183581602)
QUANTO = (0.0692024556086, 0.000478948124108, 0.186359782332)
PRINTED = 5e-12  # half a unit of the twelfth digit, relative, for a leading digit of 1

PRICES = [coin_price, usd_price, quote_price, quanto_inverse_price]
FUNCTIONS = [*PRICES, coin_greeks, quote_greeks]


def other_side(example):
    forward, strike, vol, years, is_call, rate = example
    return forward, strike, vol, years, not is_call, rate


def fields(greeks):
    return {field.name: getattr(greeks, field.name) for field in dataclasses.fields(greeks)}


@pytest.mark.parametrize("field", GREEKS)
def test_worked_examples(field):
    for example, printed in zip(EXAMPLES, GREEKS[field], strict=True):
        assert getattr(coin_greeks(*example), field) == pytest.approx(printed, rel=PRINTED)


def test_the_examples_cover_every_field():
    assert set(GREEKS) == {field.name for field in dataclasses.fields(Greeks)}


def test_the_price_functions_agree_with_the_examples():
    for example, coin, dollars in zip(EXAMPLES, GREEKS["coin_price"], GREEKS["usd_price"], strict=True):
        assert coin_price(*example) == pytest.approx(coin, rel=PRINTED)
        assert usd_price(*example) == pytest.approx(dollars, rel=PRINTED)


@pytest.mark.parametrize(("example", "value"), list(zip(EXAMPLES, OTHER_SIDE, strict=True)), ids=NAMES)
def test_the_other_side(example, value):
    assert coin_price(*other_side(example)) == pytest.approx(value, rel=PRINTED)


@pytest.mark.parametrize(("example", "value"), list(zip(EXAMPLES, QUANTO, strict=True)), ids=NAMES)
def test_the_quanto_trap_is_another_product(example, value):
    assert quanto_inverse_price(*example) == pytest.approx(value, rel=PRINTED)
    assert abs(coin_price(*example) / value - 1.0) > 0.2


def test_published_pair_of_the_quanto_trap():
    # Spec section 5, cross-check with a Stack Exchange question: S = K = 20, vol 130 %, seven days.
    arguments = (20.0, 20.0, 1.30, 7 / 365.2425, True)
    assert coin_price(*arguments) == pytest.approx(0.0717011, abs=5e-8)
    assert quanto_inverse_price(*arguments) == pytest.approx(0.0575953, abs=5e-8)


def test_theta_of_a_day():
    # Spec section 5, row "coin theta / day (365)".
    printed = (-0.00151498161537, -0.000301255384604, -0.000802489471269)
    days = [coin_greeks(*example).coin_theta / 365 for example in EXAMPLES]
    assert days == pytest.approx(printed, rel=PRINTED)


def test_deribits_illustration_of_the_adjusted_delta():
    # Spec section 5: unadjusted delta less coin price is what a position adds to DeltaTotal.
    for example in EXAMPLES:
        greeks = coin_greeks(*example)
        assert greeks.adjusted_delta == pytest.approx(greeks.unadjusted_delta - greeks.coin_price, rel=1e-14)


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_quote_settled_options_are_the_dollar_view(example):
    coin, quote = coin_greeks(*example), quote_greeks(*example)
    forward = example[0]
    assert quote.price == quote_price(*example) == pytest.approx(coin.usd_price, rel=1e-15)
    assert quote.delta == coin.unadjusted_delta
    assert quote.gamma == coin.usd_gamma
    assert quote.vega == pytest.approx(coin.usd_vega, rel=1e-15)
    assert quote.theta == pytest.approx(forward * coin.coin_theta, rel=1e-14)
    assert quote.volga == pytest.approx(forward * coin.coin_volga, rel=1e-14)
    # d(F c)/dF dσ = coin vega + F × coin vanna
    assert quote.vanna == pytest.approx(coin.coin_vega + forward * coin.coin_vanna, rel=1e-11)


def test_arrays_give_what_numbers_give():
    columns = [np.array(column) for column in zip(*EXAMPLES, strict=True)]
    for function in PRICES:
        assert np.array_equal(function(*columns), [function(*example) for example in EXAMPLES])
    for function in (coin_greeks, quote_greeks):
        together = fields(function(*columns))
        alone = [fields(function(*example)) for example in EXAMPLES]
        for name, values in together.items():
            assert values == pytest.approx([one[name] for one in alone], rel=1e-15)


def test_everything_broadcasts():
    forward, strike = np.array([[40_000.0], [50_000.0]]), np.array([45_000.0, 50_000.0, 55_000.0])
    rate = np.zeros((4, 1, 1))
    for function in PRICES:
        assert function(forward, strike, 0.8, 0.1, True).shape == (2, 3)
        assert function(forward, strike, 0.8, 0.1, np.array([True, False, True]), rate).shape == (4, 2, 3)
        assert function(1.0, 1.0, 0.8, 0.1, True, np.zeros(2)).shape == (2,)
    for function, kind in ((coin_greeks, Greeks), (quote_greeks, QuoteGreeks)):
        greeks = function(forward, strike, 0.8, 0.1, True, rate)
        assert isinstance(greeks, kind)
        assert {values.shape for values in fields(greeks).values()} == {(4, 2, 3)}
    assert isinstance(coin_price(1.0, 1.0, 0.8, 0.1, True), np.ndarray)


def test_no_options():
    none = np.empty(0)
    assert coin_price(none, 1.0, 0.5, 1.0, True).shape == (0,)
    assert quote_greeks(none, 1.0, 0.5, 1.0, True).price.shape == (0,)


# --- edges ---


@pytest.mark.parametrize(
    ("vol", "years"), [(0.0, 1.0), (0.8, 0.0), (0.0, 0.0), (1e-120, 1.0), (5e-324, 5e-324)]
)
@pytest.mark.parametrize(
    ("strike", "is_call", "intrinsic"),
    [
        (80.0, True, 0.2),
        (100.0, True, 0.0),
        (125.0, True, 0.0),
        (80.0, False, 0.0),
        (100.0, False, 0.0),
        (125.0, False, 0.25),
    ],
)
def test_no_vol_or_no_time_leaves_the_intrinsic_value(vol, years, strike, is_call, intrinsic):
    arguments = (100.0, strike, vol, years, is_call)
    assert coin_price(*arguments) == pytest.approx(intrinsic, rel=1e-14)
    assert usd_price(*arguments) == quote_price(*arguments) == pytest.approx(100.0 * intrinsic, rel=1e-14)
    greeks = fields(coin_greeks(*arguments))
    assert all(np.isfinite(value) for value in greeks.values())
    side = 0.0 if intrinsic == 0.0 else 1.0 if is_call else -1.0
    if strike == 100.0:
        side = 0.5 if is_call else -0.5
    assert greeks["unadjusted_delta"] == side
    assert greeks["adjusted_delta"] == pytest.approx(side * strike / 100.0)
    for spike in ("usd_gamma", "coin_theta", "coin_vanna", "coin_volga"):
        assert greeks[spike] == 0.0
    quote = fields(quote_greeks(*arguments))
    assert quote["delta"] == side
    assert quote["gamma"] == quote["theta"] == quote["vanna"] == quote["volga"] == 0.0


def test_intrinsic_value_is_discounted():
    assert coin_price(100.0, 80.0, 0.0, 2.0, True, 0.05) == pytest.approx(0.2 * np.exp(-0.1), rel=1e-14)
    assert quote_price(100.0, 80.0, 0.0, 2.0, True, 0.05) == pytest.approx(20.0 * np.exp(-0.1), rel=1e-14)


def test_a_rate_of_an_array_and_of_a_number_are_one():
    rates = np.array([0.0, 0.02, -0.01])
    together = coin_price(100.0, 90.0, 0.7, 0.5, True, rates)
    assert together.tolist() == [coin_price(100.0, 90.0, 0.7, 0.5, True, rate) for rate in rates]
    assert together[0] == coin_price(100.0, 90.0, 0.7, 0.5, True)


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ((1.0, 1e-300, 0.8, 0.1, True), 1.0),
        ((1.0, 1e-300, 0.8, 0.1, False), 0.0),
        ((1.0, 1e300, 0.8, 0.1, True), 0.0),
        ((1.0, 1e300, 0.8, 0.1, False), 1e300),
        ((1e-150, 1e150, 0.8, 0.1, False), 1e300),
        ((1e150, 1e-150, 0.8, 0.1, True), 1.0),
        ((1.0, 1.0, 1e200, 1.0, True), 1.0),  # infinite vol: the call is the coin, the put the strike
        ((1.0, 2.0, 1e200, 1.0, False), 2.0),
        ((1.0, 1.0, 1e-3, 1e300, True), 1.0),
        ((5e-324, 5e-324, 0.0, 0.0, True), 0.0),
    ],
)
def test_far_out_everything_stays_finite(arguments, value):
    assert coin_price(*arguments) == pytest.approx(value, rel=1e-12)
    greeks = coin_greeks(*arguments)
    assert greeks.coin_price == coin_price(*arguments)
    assert greeks.coin_vega == pytest.approx(0.0, abs=1e-300)
    assert quote_greeks(*arguments).price == quote_price(*arguments)


def test_a_worthless_option_is_not_below_zero():
    strikes = np.geomspace(1e-3, 1e3, 10_001)
    for is_call in (True, False):
        assert coin_price(1.0, strikes, 0.3, 0.02, is_call).min() >= 0.0


BAD = [np.nan, np.inf, -np.inf, -1.0]
ORDER = ("forward", "strike", "vol", "years")


@pytest.mark.parametrize("bad", [*BAD, 0.0])
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", ORDER)
def test_a_bad_argument_is_named(name, function, bad):
    if bad == 0.0 and name in ("vol", "years"):
        assert function(1.0, 2.0, *(0.0 if each == name else 0.5 for each in ORDER[2:]), True) is not None
        return
    arguments = {"forward": 1.0, "strike": 2.0, "vol": 0.5, "years": 0.5, name: bad}
    with pytest.raises(ValueError, match=f"^{name} must"):
        function(**arguments, is_call=True)
    arguments[name] = np.array([1.0, bad, 1.0])
    with pytest.raises(ValueError, match=f"^{name} must"):
        function(**arguments, is_call=True)


@pytest.mark.parametrize("bad", BAD[:3])
def test_a_bad_rate_is_named(bad):
    for function in (coin_price, usd_price, quanto_inverse_price, coin_greeks):
        with pytest.raises(ValueError, match=r"^lending_rate must"):
            function(1.0, 1.0, 0.5, 0.5, True, lending_rate=bad)
    for function in (quote_price, quote_greeks):
        with pytest.raises(ValueError, match=r"^quote_rate must"):
            function(1.0, 1.0, 0.5, 0.5, True, quote_rate=bad)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_two_negative_prices_do_not_pass_as_one_ratio(function):
    with pytest.raises(ValueError, match=r"^forward must"):
        function(-1.0, -1.0, 0.5, 0.5, True)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((1e-300, 1e300, 0.5, 0.5, True, 0.0), "strike / forward"),
        ((1e300, 1e-300, 0.5, 0.5, True, 0.0), "strike / forward"),
        ((1.0, 1.0, 1e300, 1e300, True, 0.0), "vol × √years"),
        ((1.0, 1.0, 0.5, 10.0, True, 100.0), "discount factor"),
        ((1.0, 1.0, 0.5, 10.0, True, -100.0), "discount factor"),
        ((1.0, 1.0, 0.5, 1e300, True, 1e300), "discount factor"),
    ],
)
def test_what_float64_cannot_hold_is_named(function, arguments, named):
    with pytest.raises(ValueError, match=rf"^{named}.* must"):
        function(*arguments)


@pytest.mark.parametrize("vol", [27.0, 1e160])
def test_the_quanto_factor_may_not_overflow(vol):
    with pytest.raises(ValueError, match=r"^vol: vol² × years must be <= 700"):
        quanto_inverse_price(1.0, 1.0, np.array([0.5, vol]), 1.0, True)
