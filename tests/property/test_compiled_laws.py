"""Laws of the compiled kernels, for any input that hypothesis can think of."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from margrave.kernels.compiled.black import grid_values, option_values
from margrave.kernels.compiled.columns import GridOptions, TierPositions, holdings_of, tier_table
from margrave.kernels.compiled.rows import empty_rows, padded_rows
from margrave.kernels.compiled.tiers import inverse_positions, linear_positions
from margrave.kernels.compiled.worst import worst_cells
from margrave.kernels.ladder import progressive_deduction

positive = st.floats(1e-6, 1e9)
FORWARD, STRIKE, VOL, YEARS = positive, positive, st.floats(0.0, 20.0), st.floats(0.0, 5.0)


def of_one(*arguments):
    return option_values(*(np.array([value]) for value in arguments))[:, 0]


@given(FORWARD, STRIKE, VOL, YEARS)
def test_put_and_call_differ_by_the_forward(forward, strike, vol, years):
    call, put = of_one(forward, strike, vol, years, True), of_one(forward, strike, vol, years, False)
    size = max(forward, strike)
    assert abs((call[0] - put[0]) - (forward - strike)) <= 1e-15 * size
    assert abs((call[1] - put[1]) - 1.0) <= 1e-15
    assert np.array_equal(call[2:], put[2:])


@given(FORWARD, STRIKE, VOL, YEARS, st.booleans())
def test_prices_and_greeks_stay_in_their_bounds(forward, strike, vol, years, is_call):
    price, delta, gamma, vega, theta = of_one(forward, strike, vol, years, is_call)
    sign = 1.0 if is_call else -1.0
    assert max(sign * (forward - strike), 0.0) <= price <= (forward if is_call else strike) * (1.0 + 1e-15)
    assert -1e-15 <= sign * delta <= 1.0 + 1e-15
    assert gamma >= 0.0
    assert vega >= 0.0
    assert theta <= 0.0


@given(FORWARD, STRIKE, st.floats(0.01, 3.0), st.floats(0.001, 3.0), st.booleans(), st.floats(1.0, 2.0))
def test_more_vol_is_worth_no_less(forward, strike, vol, years, is_call, more):
    less, greater = (of_one(forward, strike, v, years, is_call)[0] for v in (vol, vol * more))
    assert greater >= less - 4e-16 * max(forward, strike)


@given(FORWARD, STRIKE, VOL, YEARS, st.booleans(), st.integers(-60, 60))
def test_a_power_of_two_of_both_prices_scales_the_price_exactly(forward, strike, vol, years, is_call, power):
    once = of_one(forward, strike, vol, years, is_call)
    assume(once[0] == 0.0 or once[0] > 1e-280)  # below, numbers lose digits by themselves
    scaled = of_one(np.ldexp(forward, power), np.ldexp(strike, power), vol, years, is_call)
    assert scaled[0] == np.ldexp(once[0], power)
    assert scaled[1] == once[1]


@given(FORWARD, STRIKE, st.floats(0.05, 3.0), st.floats(0.001, 2.0), st.booleans(), st.floats(0.3, 3.0))
def test_a_cell_of_the_grid_is_the_moved_option(forward, strike, vol, years, is_call, factor):
    def column(value):
        return np.array([value])

    made = GridOptions(
        forward=column(forward), strike=column(strike), years=column(years), is_call=column(is_call),
        in_coin=column(False), size=column(1.0), mark=column(0.0),
    )  # fmt: skip
    cell = grid_values(made, column(factor), np.array([0]), np.array([[vol]]), empty_rows(1, 1))[0, 0]
    assert abs(cell - of_one(forward * factor, strike, vol, years, is_call)[0]) <= 2e-15 * max(
        forward * factor, strike
    )


quantities = st.lists(st.tuples(st.integers(0, 11), st.integers(-(2**31), 2**31 - 1)), max_size=40)


@given(quantities, quantities, st.integers(1, 20))
def test_the_worst_of_two_accounts_together_is_no_worse_than_the_sum(one, other, cells):
    table = padded_rows(np.random.default_rng(cells).normal(0.0, 1.0, (12, cells)))

    def worst(*accounts):
        rows = [row for account in accounts for row in account]
        held = holdings_of(
            np.cumsum([0] + [len(account) for account in accounts]),
            np.array([row[0] for row in rows], dtype=np.uint16),
            np.array([row[1] for row in rows], dtype=np.int32),
        )
        return worst_cells(table, held)[0]

    apart, together = worst(one, other), worst(one + other)
    gross = 1.0 + 5.0 * sum(abs(row[1]) for row in one + other)
    assert together[0] >= apart.sum() - 1e-13 * gross
    assert np.array_equal(worst(one), apart[:1])  # nor does an account see its neighbour


@given(
    st.lists(st.floats(1.0, 1e6), min_size=1, max_size=20, unique=True),
    st.floats(0.0, 0.9),
    st.floats(-1e4, 1e4),
    st.floats(0.1, 1e4),
    st.floats(0.5, 2.0),
    st.floats(-0.5, 1.5),
)  # fmt: skip
def test_margin_is_short_on_the_losing_side_of_the_liquidation_price(
    floors, top, quantity, entry, move, share
):
    floor = np.array([0.0, *sorted(floors)])
    rate = np.linspace(0.0, top, len(floor))
    cut = progressive_deduction(floor, rate)
    table = tier_table([floor], [rate], [cut], [rate])
    for function, size in (
        (linear_positions, abs(quantity) * entry),
        (inverse_positions, abs(quantity) / entry),
    ):
        collateral = np.array([share * size])

        def left(price, function=function, collateral=collateral):
            at = TierPositions(
                ladder=np.array([0]), quantity=np.array([quantity]), entry=np.array([entry]),
                mark=np.array([price]), initial_rate=np.array([0.0]),
            )  # fmt: skip
            _, maintenance, profit, liquidation = function(table, at, collateral)[:, 0]
            return collateral[0] + profit - maintenance, liquidation

        gap, liquidation = left(entry * move)
        if abs(quantity) < 1e-100 or abs(liquidation / (entry * move) - 1.0) < 1e-6:
            continue
        safe = entry * move > liquidation if quantity > 0.0 else entry * move < liquidation
        slack = 1e-9 * size * (1.0 + abs(share))
        assert gap > -slack if safe else gap < slack
