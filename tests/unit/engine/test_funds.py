"""What an account may spend or take out."""

import pytest

from margrave.engine.funds import available_funds, equity_of, withdrawable


def test_deribit_sm_funds_001_adds_every_part_with_its_sign():
    assert equity_of(10.0) == 10.0
    assert equity_of(10.0, 2.0, -3.5) == pytest.approx(8.5)


def test_deribit_sm_funds_002_is_the_call_when_below_zero():
    assert available_funds(10.0, 4.0) == 6.0
    assert available_funds(3.0, 4.0) == -1.0


@pytest.mark.parametrize(
    ("balance", "margin_balance", "locked", "out"),
    [
        (10.0, 12.0, 0.0, 6.0),  # profit that is not cash stays
        (10.0, 7.0, 0.0, 3.0),  # a loss is held back
        (10.0, 12.0, 2.5, 3.5),
        (10.0, 3.0, 0.0, 0.0),  # never below zero
    ],
)
def test_deribit_sm_funds_003_never_pushes_equity_under_initial_margin(
    balance: float, margin_balance: float, locked: float, out: float
):
    assert withdrawable(balance, margin_balance, 4.0, locked) == pytest.approx(out)
