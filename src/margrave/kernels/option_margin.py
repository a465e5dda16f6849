"""The standard margin of a short option: one formula, and what differs between venues as its terms."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, Flag, Real, non_negative, positive


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ShortOptionTerms:
    """Constants of one level of margin, numbers or arrays (P,).

    ===================  =====  =====  =============  ======  =====  ==========================
    level                base   floor  mark_fraction  factor  fee    minimum, mark
    ===================  =====  =====  =============  ======  =====  ==========================
    Deribit initial      0.15   0.10   0              1       0      put: at least maintenance
    Deribit maint. call  0.075  0.075  0              1       0
    Deribit maint. put   0.075  0.075  0.075          1       0
    Deribit sell order   0.15   0.10   0              1       0.0003 mark 0
    Bybit initial        0.15   0.10   0              1       0      at least maintenance; mark
                                                                     = max(entry, mark)
    Bybit maintenance    0.03   0.03   0.03           1       0.002
    OKX initial          0.15   0.10   0              k       0
    OKX maint. call      c      c      0              k       0
    OKX maint. put       c      c      c              k       0
    Binance initial      0.15   0.10   0              1       0
    Binance maintenance  0.075  0.05   0              1       0
    ===================  =====  =====  =============  ======  =====  ==========================

    k is OKX's tier factor, c its constant of the coin (0.03 BTC, 0.05 ETH). A level that ignores moneyness
    has ``floor = base``. bit.com has Deribit's constants.
    """

    base: Real  # risk part at the money, >= 0 [fraction of one coin]
    floor: Real  # least risk part, however far out of the money, >= 0 [fraction of one coin]
    mark_fraction: Real = 0.0  # least risk part as a fraction of the option's mark, >= 0
    factor: Real = 1.0  # scales the risk part, > 0
    fee: Real = 0.0  # closing or liquidation fee, >= 0 [fraction of one coin]


def otm_amount(index: Real, strike: Real, is_call: Flag) -> F64:
    """Amount by which an option is out of the money.

    Parameters
    ----------
    index, strike : (...) ndarray or float
        > 0 [quote per coin]. Deribit and its kin take the index, OKX the forward.
    is_call : (...) ndarray of bool or bool
        True for a call.

    Returns
    -------
    (...) ndarray
        ``max(strike - index, 0)`` for a call, ``max(index - strike, 0)`` for a put. [quote per coin]

    Raises
    ------
    ValueError
        A price is NaN, infinite or not positive.
    """
    index, strike = positive("index", index), positive("strike", strike)
    return np.maximum(np.where(is_call, strike - index, index - strike), 0.0)


def short_option_margin(
    terms: ShortOptionTerms, otm_fraction: Real, mark: Real, worth: Real = 1.0, minimum: Real = 0.0
) -> F64:
    """Margin of short options, one coin each; the caller multiplies by the size.

    Parameters
    ----------
    terms : ShortOptionTerms
        Constants of the venue and level.
    otm_fraction : (...) ndarray or float
        Out-of-the-money amount over the index (OKX: over the forward), >= 0.
    mark : (...) ndarray or float
        Price of the option, >= 0; for a rule that takes the worse of entry and mark, their maximum.
        [margin asset per coin]
    worth : (...) ndarray or float
        Worth of one coin in the margin asset: 1 for a coin-settled option, the index for a quote-settled one,
        > 0.
    minimum : (...) ndarray or float
        Least margin, as where initial must cover maintenance, >= 0. [margin asset per coin]

    Returns
    -------
    (...) ndarray
        ``max(factor × max(worth × max(base - otm, floor), mark_fraction × mark) + mark + fee × worth,
        minimum)``, >= 0. [margin asset per coin]

    Raises
    ------
    ValueError
        An argument is NaN, infinite or out of range. The terms are checked where they are read, not here.

    References
    ----------
    Deribit, "Standard Margin"; bit.com, "Margin Rules for Coin-Margined Options"; Bybit help centre, 2023-12
    and 2024-10; OKX help, "Option margin", 2026-05; Binance options ``exchangeInfo`` (constants; the pattern
    is inferred).
    """
    otm_fraction, mark = non_negative("otm_fraction", otm_fraction), non_negative("mark", mark)
    worth, minimum = positive("worth", worth), non_negative("minimum", minimum)
    bracket = worth * np.maximum(terms.base - otm_fraction, terms.floor)
    risk = terms.factor * np.maximum(bracket, terms.mark_fraction * mark)
    return np.maximum(risk + mark + terms.fee * worth, minimum)
