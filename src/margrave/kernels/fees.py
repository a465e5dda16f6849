"""Trading fees by the venues' published rules, each with its rule code. Numbers or arrays, NaN gives NaN."""

import numpy as np

from margrave.kernels.arrays import F64, Real


def option_fee(rate: Real, price: Real, cap: float, worth: Real = 1.0) -> F64:
    """Fee of one option contract: a rate of the underlying, at most a share of the premium (DERIBIT-FEE-001).

    Parameters
    ----------
    rate : (...) ndarray or float
        Fraction of one coin.
    price : (...) ndarray or float
        Premium [as ``worth``].
    cap : float
        Largest share of the premium (Deribit, Bybit 0.125).
    worth : (...) ndarray or float
        Worth of one coin: 1 in coin, the index in quote.
    """
    return np.minimum(np.asarray(rate, dtype=np.float64) * worth, cap * np.asarray(price))


def combo_option_fee(group_a: Real, group_b: Real) -> F64:
    """Fee of an option combo: the cheaper of the two opposite groups is free (DERIBIT-FEE-002, from 2022-08-18)."""
    return np.maximum(np.asarray(group_a, dtype=np.float64), group_b)


def combo_future_fee(legs: F64, discount: float = 0.5) -> float:
    """Fee of a two-leg future combo: a discount on the cheaper leg (DERIBIT-FEE-003, from 2022-08-18)."""
    legs = np.asarray(legs, dtype=np.float64)
    return float(legs.sum() - discount * legs.min())


def break_even_price(entry: Real, side: int, fee_rate: Real) -> F64:
    """Price at which a position has earned its opening fee back: ``entry (1 + side fee)`` (BINANCE-FEE-001)."""
    return np.asarray(entry, dtype=np.float64) * (1.0 + side * np.asarray(fee_rate))
