"""One account over several wallets: Binance's portfolio margin and its ratio, uniMMR (spec cex.md 1.4).

Per asset ``x = margin asset - loan + futures asset + futures profit``; the collateral rate hits only what is
above zero. Everything here is a sum over assets in USD; ladders of the positions are the ladder model's.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, Real, finite, non_negative, positive


@final
@dataclass(frozen=True, slots=True)
class Unified:
    """An account as its ratio sees it [USD]."""

    equity: float  # adjusted
    initial: float
    maintenance: float

    @property
    def ratio(self) -> float:
        """Adjusted equity over maintenance (uniMMR); infinite without a requirement."""
        return self.equity / self.maintenance if self.maintenance > 0.0 else float("inf")

    @property
    def available(self) -> float:
        """Adjusted equity beyond the initial requirement."""
        return self.equity - self.initial


def asset_equity(amount: Real, index: Real, rate: Real) -> F64:
    """What each asset counts: ``min(x index rate, x index)`` [USD].

    Parameters
    ----------
    amount : float or ndarray
        Asset less loan, with futures balance and profit [asset], any sign.
    index : float or ndarray
        Price of the asset [USD], > 0.
    rate : float or ndarray
        Collateral rate, 0 to 1: share of what is above zero that counts.

    Raises
    ------
    ValueError
        A number that is not finite, a price that is not positive, or a rate outside 0 to 1: above one the
        formula would charge debts more than they are.
    """
    worth, share = finite("amount", amount) * positive("index", index), non_negative("rate", rate)
    if (share > 1.0).any():
        raise ValueError(f"rate must be <= 1, got {share.max()}")
    return np.minimum(worth * share, worth)


def adjusted_equity(counted: F64, open_loss: F64, index: F64) -> float:
    """Equity less the open loss of orders [USD].

    Parameters
    ----------
    counted : (n,) ndarray
        Each asset by `asset_equity` [USD].
    open_loss : (n,) ndarray
        Loss that orders have at once [asset], >= 0.
    index : (n,) ndarray
        Prices [USD].
    """
    lost = non_negative("open_loss", open_loss) * positive("index", index)
    return float(finite("counted", counted).sum() - lost.sum())


def requirement(positions: F64, loan: F64, loan_rate: F64, index: F64) -> float:
    """Requirement of positions and loans [USD]: ``sum positions index + sum loan rate index``.

    Parameters
    ----------
    positions : (n,) ndarray
        Futures requirement in each asset [asset], >= 0.
    loan : (n,) ndarray
        What is borrowed [asset], >= 0.
    loan_rate : (n,) ndarray
        Rate of each loan at this level; maintenance 0.10 at 3x, 0.08 at 5x, 0.05 at 10x.
    index : (n,) ndarray
        Prices [USD].
    """
    price = positive("index", index)
    owed = non_negative("loan", loan) * non_negative("loan_rate", loan_rate)
    return float(((non_negative("positions", positions) + owed) * price).sum())
