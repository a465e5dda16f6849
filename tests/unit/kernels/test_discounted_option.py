"""Black-76 under a discount factor: the formula's own values inside, limits at the edges."""

import numpy as np
import pytest

from margrave.kernels.black76 import quote_greeks, quote_price
from margrave.kernels.discounted_option import discounted_delta, discounted_price

CALL, PUT = True, False


@pytest.mark.parametrize("right", [CALL, PUT])
@pytest.mark.parametrize("case", [(1500, 1500, 1.0, 0.02), (1000, 1200, 0.25, 0.1), (1000, 700, 5.0, 1.0)])
def test_inside_it_is_black76_times_the_discount(case, right):
    assert discounted_price(*case, right, 0.9) == pytest.approx(0.9 * quote_price(*case, right), rel=1e-15)
    assert discounted_delta(*case, right, 0.9) == pytest.approx(
        0.9 * quote_greeks(*case, right).delta, rel=1e-15
    )


@pytest.mark.parametrize(
    ("case", "call", "put", "call_delta"),
    [
        # Specification of the protocols 1.1.
        ((1000, 0, 4, 1), 990.0, 0.0, 0.99),
        ((0, 1000, 4, 1), 0.0, 990.0, 0.0),
        ((0, 0, 4, 1), 0.0, 0.0, 0.99),
        ((1000, 700, 24, 1), 990.0, 693.0, 0.99),
        ((1000, 700, 48, 0.25), 990.0, 693.0, 0.99),
        ((1000, 700, 0, 1), 297.0, 0.0, 0.99),
        ((1000, 700, 1, 0), 297.0, 0.0, 0.99),
    ],
    ids=["strike 0", "forward 0", "both 0", "vol at the cap", "vol above the cap", "no vol", "no time"],
)
def test_edges(case, call, put, call_delta):
    assert discounted_price(*case, CALL, 0.99) == pytest.approx(call, abs=1e-12)
    assert discounted_price(*case, PUT, 0.99) == pytest.approx(put, abs=1e-12)
    assert discounted_delta(*case, CALL, 0.99) == pytest.approx(call_delta, abs=1e-15)
    assert discounted_delta(*case, PUT, 0.99) == pytest.approx(call_delta - 0.99, abs=1e-15)


def test_prices_are_within_their_bounds_and_broadcast():
    strike = np.array([0.0, 1e-9, 1.0, 1e3, 1e9])[:, None]
    vol = np.array([0.0, 0.1, 5.0, 23.9, 24.0, 100.0])
    call, put = (discounted_price(1000.0, strike, vol, 1.0, right, 0.5) for right in (CALL, PUT))
    assert call.shape == put.shape == (5, 6)
    assert ((call >= 0) & (call <= 500.0)).all()
    assert ((put >= 0) & (put <= 0.5 * strike)).all()


@pytest.mark.parametrize("name", ["forward", "strike", "vol", "years", "discount"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_what_is_refused(name, value):
    terms = {"forward": 1.0, "strike": 1.0, "vol": 1.0, "years": 1.0, "discount": 1.0, name: value}
    for formula in (discounted_price, discounted_delta):
        with pytest.raises(ValueError, match=name):
            formula(**terms, is_call=CALL)
