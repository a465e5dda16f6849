"""Who bore a deleveraging: how much of it, how evenly, and whether they were the leveraged winners (clearing 5.3, 5.4)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import F64, finite, non_negative


@final
@dataclass(frozen=True, slots=True)
class Burden:
    """A deleveraging by those who were closed."""

    accounts: int  # that lost anything
    volume: float  # notional closed
    in_profit: float  # share of the accounts that were winning
    median_leverage: float
    median_profit: float  # median of profit over entry value
    mean_profit: float
    largest_share: float  # of the volume, by the account that lost most
    top_ten_share: float
    herfindahl: float  # sum of squared shares of the volume
    inequality: float  # Gini coefficient among those who could have been closed


def burden(removed: F64, leverage: F64, profit_share: F64) -> Burden:
    """Sum up who was closed.

    Parameters
    ----------
    removed : (K,) ndarray
        Notional closed of each account that could have been, >= 0.
    leverage : (K,) ndarray
        Notional over equity before; NaN where it is not known.
    profit_share : (K,) ndarray
        Profit over entry value before, a loss < 0; NaN where it is not known.

    Returns
    -------
    Burden
        Medians and means over those who lost anything, whose figure is known; NaN where there is nobody.
    """
    lost = non_negative("removed", removed)
    hit = lost > 0.0
    profit = np.asarray(profit_share)[hit & ~np.isnan(profit_share)]
    lever = np.asarray(leverage)[hit & ~np.isnan(leverage)]
    shares = concentration(lost)
    return Burden(
        int(hit.sum()),
        float(lost.sum()),
        _mean((profit > 0.0).astype(np.float64)),
        float(np.median(lever)) if len(lever) else float("nan"),
        float(np.median(profit)) if len(profit) else float("nan"),
        _mean(profit),
        shares.largest,
        shares.top_ten,
        shares.herfindahl,
        shares.gini,
    )


@final
@dataclass(frozen=True, slots=True)
class Concentration:
    """How unevenly an amount is spread (spec 4.4); all zero where there is none."""

    largest: float  # share of the largest
    top_ten: float
    herfindahl: float  # sum of squared shares: one over their number where all are equal
    gini: float  # 0 where all are equal, towards 1 where one of many has all


def concentration(amount: F64) -> Concentration:
    """How concentrated positions, losses or collateral are.

    Parameters
    ----------
    amount : (K,) ndarray
        >= 0; who has nothing counts for the Gini coefficient only.
    """
    given = non_negative("amount", amount)
    total = float(given.sum())
    share = np.sort(given / total)[::-1] if total else np.zeros(0)
    return Concentration(
        float(share[:1].sum()), float(share[:10].sum()), float((share**2).sum()), gini(given)
    )


def gini(amount: F64) -> float:
    """Gini coefficient of amounts >= 0: half the mean absolute difference over the mean; zero where all are zero."""
    given = np.sort(non_negative("amount", amount))
    total, count = given.sum(), len(given)
    if not total:
        return 0.0
    return float((2.0 * np.arange(1, count + 1) - count - 1.0) @ given / (count * total))


@final
@dataclass(frozen=True, slots=True)
class Overshoot:
    """What deleveraging took beyond what it was for."""

    taken: float  # profit given up against closing at the mark
    needed: float  # deficit
    excess: float  # taken - needed, not below zero
    ratio: float  # taken over needed; NaN where nothing was needed


def overshoot(removed: F64, mark: F64, price: F64, deficit: float) -> Overshoot:
    """Profit that winners gave up, beside the deficit that it was to pay.

    Parameters
    ----------
    removed : (K,) ndarray
        Signed contracts of linear payoff taken from each, as they were held: longs > 0.
    mark, price : (K,) ndarray
        Where they stood, and where they were closed.
    deficit : float
        What had to be paid, >= 0.
    """
    given = finite("removed", removed) * (finite("mark", mark) - finite("price", price))
    taken, needed = float(given.sum()), float(non_negative("deficit", deficit))
    return Overshoot(taken, needed, max(taken - needed, 0.0), taken / needed if needed else float("nan"))


def _mean(values: F64) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
