"""Fees by the venues' published rules."""

import numpy as np
import pytest

from margrave.kernels.fees import break_even_price, combo_future_fee, combo_option_fee, option_fee


def test_deribit_fee_001_is_a_rate_of_the_coin_until_the_cap_binds():
    assert option_fee(0.0003, np.array([0.05, 0.0024, 0.0001]), 0.125) == pytest.approx(
        [0.0003, 0.0003, 0.0000125]
    )


def test_deribit_fee_001_in_quote_is_a_rate_of_the_index():
    assert option_fee(0.0003, 3_500.0, 0.125, 42_000.0) == pytest.approx(12.6)


def test_deribit_fee_002_leaves_the_cheaper_group_free():
    assert combo_option_fee(np.array([10.0, 3.0]), np.array([8.0, 4.0])) == pytest.approx([10.0, 4.0])


def test_deribit_fee_003_discounts_the_cheaper_leg():
    assert combo_future_fee(np.array([3.0, 5.0])) == pytest.approx(6.5)
    assert combo_future_fee(np.array([3.0, 5.0]), 0.0) == pytest.approx(8.0)


def test_binance_fee_001_lies_beyond_the_entry_on_the_side_of_profit():
    assert break_even_price(100.0, 1, 0.0004) == pytest.approx(100.04)
    assert break_even_price(100.0, -1, 0.0004) == pytest.approx(99.96)
