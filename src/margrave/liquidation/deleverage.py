"""Deleveraging: who is closed when the insurance fund cannot pay. Scores by venue, and the place in the queue.

Every score is higher for whom is closed earlier; `kernels.deleveraging_shares` says who then loses how much. Signs as
everywhere: profit above zero, sizes at least zero. OKX ranks by a formula that it does not publish; Bybit says
"leveraged return" and no more (spec cex.md 3.1, 4.4): `leveraged_return` is what the words mean, not their number.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, Real, finite, non_negative, positive
from margrave.kernels.deleveraging_shares import queue

BITMEX_BLOCKS = 5
BYBIT_FURTHEST = 0.05
_SAME = 1e-9  # shares of a queue that differ by less are the same: sums of sizes are floats


@final
@dataclass(frozen=True, slots=True)
class LeveragedProfit:
    """Binance's score and what it is the product of."""

    profit_share: F64  # profit over wallet
    margin_ratio: F64  # maintenance over margin balance
    score: F64


def margin_ratio(maintenance: Real, margin_balance: Real) -> F64:
    """Maintenance over margin balance; zero where nothing is left (spec cex.md 1.1)."""
    balance = finite("margin_balance", margin_balance)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(balance > 0.0, non_negative("maintenance", maintenance) / balance, 0.0)


def leveraged_profit(profit: Real, wallet: Real, ratio: Real) -> LeveragedProfit:
    """Binance's score: profit share times margin ratio (spec cex.md 1.1).

    Parameters
    ----------
    profit : float or ndarray
        Unrealised profit [USDT]. A loss scores zero.
    wallet : float or ndarray
        Wallet balance [USDT]; less than one counts as one.
    ratio : float or ndarray
        Maintenance over margin balance, as `margin_ratio` gives it.

    Returns
    -------
    LeveragedProfit
        Share, ratio and score, broadcast.

    Raises
    ------
    ValueError
        A number that is not finite, or a ratio below zero.
    """
    share = np.maximum(finite("profit", profit), 0.0) / np.maximum(finite("wallet", wallet), 1.0)
    held = non_negative("ratio", ratio)
    return LeveragedProfit(share, held, share * held)


def bitmex_leverage(mark_value: Real, bankrupt_value: Real) -> F64:
    """Effective leverage ``|MV| / (MV - BV)``; infinite at and beyond bankruptcy (spec cex.md 2).

    Parameters
    ----------
    mark_value, bankrupt_value : float or ndarray
        Signed values [settlement asset]: of an inverse long both are below zero, and the bankrupt one lower.
    """
    mark, left = finite("mark_value", mark_value), finite("bankrupt_value", bankrupt_value)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mark > left, np.abs(mark) / (mark - left), np.inf)


def effective_leverage(notional: Real, equity: Real) -> F64:
    """Notional over equity; infinite where nothing is left of it, zero without a position."""
    size, left = non_negative("notional", notional), finite("equity", equity)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(size == 0.0, 0.0, np.where(left > 0.0, size / left, np.inf))


def leveraged_return(share: Real, leverage: Real) -> F64:
    """Profit share times leverage, or divided by it under a loss: the rank that most venues describe.

    Parameters
    ----------
    share : float or ndarray
        Profit over entry value; a loss < 0.
    leverage : float or ndarray
        Notional over equity, >= 0; infinite where nothing is left.
    """
    gain, lever = finite("share", share), np.asarray(leverage, dtype=np.float64)
    if not np.all(lever >= 0.0):
        raise ValueError("leverage must be zero or more")
    with np.errstate(invalid="ignore"):
        return np.where(gain > 0.0, gain * lever, gain / np.maximum(lever, np.finfo(float).tiny))


def at_random(count: int, generator: np.random.Generator) -> F64:
    """Scores of a queue in random order, as dYdX v4 looks for the other side (spec defi.md 2)."""
    return generator.permutation(count).astype(np.float64)


def bitmex_score(mark_value: Real, entry_value: Real, bankrupt_value: Real) -> F64:
    """BitMEX's rank: profit share times effective leverage, or divided by it under a loss (spec cex.md 2).

    Parameters
    ----------
    mark_value, entry_value, bankrupt_value : float or ndarray
        Signed values [settlement asset]; the entry value is not zero.

    Raises
    ------
    ValueError
        A value that is not finite, or an entry value of zero.
    """
    entry = finite("entry_value", entry_value)
    share = (finite("mark_value", mark_value) - entry) / positive("absolute entry_value", np.abs(entry))
    return leveraged_return(share, bitmex_leverage(mark_value, bankrupt_value))


def price_and_leverage(entry: Real, mark: Real, side: Real, leverage: Real) -> F64:
    """Score in Hyperliquid's manner: move of the price in the holder's favour, as a ratio, times leverage.

    Parameters
    ----------
    entry, mark : float or ndarray
        Prices, > 0; the mark is that before the event (spec defi.md, Hyperliquid 3).
    side : float or ndarray
        +1 long, -1 short.
    leverage : float or ndarray
        Notional over equity, >= 0.
    """
    ratio = positive("mark", mark) / positive("entry", entry)
    return np.where(finite("side", side) > 0.0, ratio, 1.0 / ratio) * non_negative("leverage", leverage)


def queue_share(score: F64, size: F64, blocks: int = BITMEX_BLOCKS) -> F64:
    """Indicator of each position: the share of the queue up to and with its own size, in whole blocks.

    ``ceil(blocks x cumulative / total) / blocks``: with five blocks BitMEX's lights, 0.2 for whom is closed
    first (spec cex.md 2).

    Parameters
    ----------
    score, size : (n,) ndarray
        Score, and contracts, >= 0, of which some are above zero.
    blocks : int
        Number of blocks.
    """
    order = queue(score)
    sizes = non_negative("size", size)[order]
    share = np.empty(len(order))
    share[order] = np.ceil(blocks * np.cumsum(sizes) / positive("total size", sizes.sum()) - _SAME) / blocks
    return share


def rank_share(score: F64) -> F64:
    """Binance's quantile: rank over number of users, 1 for whom is closed first (spec cex.md 1.1)."""
    order = queue(score)
    share = np.empty(len(order))
    share[order] = np.arange(len(order), 0, -1) / max(len(order), 1)
    return share


def bybit_price(bankruptcy: Real, mark: Real) -> F64:
    """Price at which Bybit closes: bankruptcy, or mark where that is more than 5 % away (spec cex.md 3.1)."""
    bust, now = positive("bankruptcy", bankruptcy), positive("mark", mark)
    return np.where(np.abs(bust / now - 1.0) > BYBIT_FURTHEST + _SAME, now, bust)
