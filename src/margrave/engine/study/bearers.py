"""Who bore the deleveraging of a run: accounts by decile of leverage and of size (clearing 5.3, 5.4)."""

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from margrave.engine.measures.burden import concentration
from margrave.engine.simulation.events import Cause, Traded
from margrave.engine.simulation.run import Run
from margrave.kernels.arrays import F64, I64

DECILES: Final = 10


@final
@dataclass(frozen=True, slots=True)
class Bearers:
    """Shares of the contracts that were taken from winners; all zero where nobody was deleveraged."""

    accounts: int  # from whom anything was taken
    by_leverage: tuple[float, ...]  # (10,) by decile of leverage at the opening, the lowest first
    by_size: tuple[float, ...]  # (10,) by decile of contracts held at the opening, the smallest first
    top_ten: float  # of the ten who gave most
    gini: float  # over all accounts that held anything


def bearers(run: Run, equity: F64) -> Bearers:
    """Sum up who was deleveraged.

    Parameters
    ----------
    run : Run
        Simulated, on instruments of one contract size.
    equity : (A,) ndarray
        Of each account at the opening [numeraire]; leverage is contracts over it, and who has none is in the highest decile.
    """
    book = run.frame.book
    count = len(book.names)
    held = np.bincount(book.account, np.abs(run.opening.lots), count).astype(np.float64)
    taken = np.zeros(count)
    for entry in run.log:
        if isinstance(entry.event, Traded) and entry.event.cause is Cause.DELEVERAGING:
            # Losers stand first, then as many winners.
            half = len(entry.event.position) // 2
            accounts = book.account[entry.event.position[half:]]
            np.add.at(taken, accounts, np.abs(entry.event.lots[half:]))
    holds = held > 0.0
    leverage = np.full(count, np.inf)
    np.divide(held, equity, out=leverage, where=equity > 0.0)
    told = concentration(taken[holds])
    return Bearers(
        int((taken > 0.0).sum()),
        _shares(taken[holds], _deciles(leverage[holds])),
        _shares(taken[holds], _deciles(held[holds])),
        told.top_ten,
        told.gini,
    )


def _deciles(of: F64) -> I64:
    # Of equal counts; ties by their place, so that the same book gives the same deciles.
    rank = np.empty(len(of), dtype=np.int64)
    rank[np.argsort(of, kind="stable")] = np.arange(len(of))
    return rank * DECILES // max(len(of), 1)


def _shares(amount: F64, decile: I64) -> tuple[float, ...]:
    total = amount.sum()
    found = np.bincount(decile, amount, DECILES)
    return tuple((found / total).tolist()) if total else (0.0,) * DECILES
