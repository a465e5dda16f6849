"""Pools in liquidation sold to bidders: a share of every leg at the mark, at a discount that grows with time.

Bidders are outside of the venue: what they take moves no price, and what they are paid leaves it with their positions.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.engine.simulation.scene import Scene
from margrave.engine.simulation.settings import DutchAuction
from margrave.kernels.arrays import F64
from margrave.liquidation.dutch_auction import (
    Auctioned,
    discount,
    insolvent_payout,
    is_insolvent,
    max_fraction,
    start_fee,
)


@final
@dataclass(frozen=True, slots=True)
class Sale:
    """What bidders take of each pool, (K,), and what leaves it for that [pool currency]; zeros where none come."""

    fraction: F64  # of every leg
    discount: F64  # to the bidders, beside what the legs are worth, >= 0
    fee: F64  # to the insurance fund, when the auction begins, >= 0


def sold(scene: Scene, rule: DutchAuction) -> Sale:
    """Bids of a round.

    Parameters
    ----------
    scene : Scene
        The moment: bidders see the pools as they were margined.
    rule : DutchAuction
        Constants of the auctions, and what bidders want.

    Returns
    -------
    Sale
        Of a solvent pool ``f MtM (1 - d)`` goes to the bidders, of an insolvent one ``MtM`` and the payout.
    """
    columns, terms = scene.columns, rule.terms
    count = len(columns.account)
    fraction, paid, fee = np.zeros(count), np.zeros(count), np.zeros(count)
    for pool in np.flatnonzero(scene.due).tolist():
        value = float(columns.equity[pool])
        account = Auctioned(value, float(columns.margin_balance[pool] - columns.maintenance[pool]))
        elapsed = scene.seconds - float(scene.since[pool])
        if scene.rounds[pool] == 0:
            fee[pool] = start_fee(terms, account)
        if is_insolvent(terms, value, elapsed):
            late = max(elapsed - (terms.fast_seconds + terms.slow_seconds), 0.0) if value > 0.0 else elapsed
            fraction[pool] = 1.0
            paid[pool] = max(value + insolvent_payout(terms, account, late), 0.0)
            continue
        share = discount(terms, elapsed)
        if 1.0 - share >= rule.wanted:
            fraction[pool] = max_fraction(terms, account, elapsed)
            paid[pool] = fraction[pool] * value * (1.0 - share)
    return Sale(fraction, paid, np.where(fraction > 0.0, fee, 0.0))
