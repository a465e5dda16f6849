"""How much of a pool is closed at a time, and which leg of it: the venues' rules of partial liquidation.

Rules by a share of the position, by tier (`step_down`), and by auction (`dutch_auction`) stand beside this: here are
fixed contracts a round, a first share of large positions, legs that steer toward a delta of zero, and the choice of a
leg by margin relieved per cost. Amounts are contracts >= 0 and never more than what is held.
"""

from typing import Final

import numpy as np

from margrave.kernels.arrays import F64, I64, Bools, Real, finite, non_negative, positive

ROUNDS: Final = (10.0, 200.0, 400.0)
"""Futures contracts that Deribit closed in the first, the second and every later round (spec deribit.md 5)."""

LARGE: Final = 100_000.0
"""Value in USDC beyond which Hyperliquid closes a fifth first, and pauses for 30 seconds (spec defi.md 5)."""

FIRST_SHARE: Final = 0.2
BACKSTOP: Final = 2.0 / 3.0
"""Share of maintenance below which Hyperliquid's vault takes a position over (spec defi.md 5)."""

_SAME: Final = 1e-9  # of a lot


def in_rounds(held: F64, done: I64, contracts: tuple[float, ...] = ROUNDS) -> F64:
    """Fixed contracts a round, more in later rounds.

    Parameters
    ----------
    held : (n,) ndarray
        Contracts, >= 0.
    done : (n,) ndarray of int
        Rounds of this liquidation that are over, >= 0.
    contracts : tuple of float
        Of the first round, the second and so on; the last holds for all that follow. > 0.

    Returns
    -------
    (n,) ndarray
        Contracts of the next round.
    """
    steps = positive("contracts", np.array(contracts))
    if np.any(done < 0):
        raise ValueError("done must be zero rounds or more")
    return np.minimum(non_negative("held", held), steps[np.minimum(done, len(steps) - 1)])


def first_part(
    held: F64, value: F64, large: float = LARGE, share: float = FIRST_SHARE, lot: float = 0.0
) -> F64:
    """A share of a large position first, all of one that is not large.

    Parameters
    ----------
    held : (n,) ndarray
        Contracts, >= 0.
    value : (n,) ndarray
        What they are worth, >= 0 [as ``large``].
    large : float
        Value beyond which a position is closed in parts.
    share : float
        Of it, in (0, 1].
    lot : float
        The part is rounded up to whole lots; zero: any size.
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share must be above zero and at most one, got {share}")
    size, step = non_negative("held", held), float(non_negative("lot", lot))
    part = size * share
    if step:
        part = np.ceil(part / step - _SAME) * step
    return np.where(non_negative("value", value) > large, np.minimum(part, size), size)


def is_for_backstop(balance: Real, maintenance: Real, share: float = BACKSTOP) -> Bools:
    """Whether a pool is so far below maintenance that the backstop takes it over instead of the market."""
    return np.asarray(finite("balance", balance) < share * non_negative("maintenance", maintenance))


def toward_neutral(quantity: F64, delta: F64, turn: F64, lot: Real = 0.0) -> F64:
    """Close legs of the side that is too much, until the delta of the pool is zero.

    Parameters
    ----------
    quantity : (n,) ndarray
        Signed contracts of the legs of one pool and underlying.
    delta : (n,) ndarray
        Coins that a contract held long moves as: below zero for a put.
    turn : (n,) ndarray
        Legs of a lower number go first, of equal ones the earlier: futures before options at Deribit.
    lot : float or (n,) ndarray
        Amounts are rounded down to whole lots, so that delta never turns around; zero: any size.

    Returns
    -------
    (n,) ndarray
        Contracts closed of each leg. Legs that hedge stay: closing them would take the delta further away.
    """
    held, each = finite("quantity", quantity), finite("delta", delta)
    own = held * each
    net = float(own.sum())
    leading = own * np.sign(net) > 0.0
    order = np.argsort(finite("turn", turn), kind="stable")
    room = np.where(leading, np.abs(own), 0.0)[order]
    step = np.broadcast_to(non_negative("lot", lot), held.shape)
    closed, left = np.zeros(len(held)), abs(net)
    for row, most in zip(order.tolist(), room.tolist(), strict=True):
        if most == 0.0:
            continue
        amount = abs(held[row]) * (left / most if left < most else 1.0)
        if step[row] and amount < abs(held[row]):
            amount = min(np.floor(amount / step[row] + _SAME) * step[row], abs(held[row]))
        closed[row] = amount
        left = max(left - amount * abs(each[row]), 0.0)
    return closed


def hedge(net: float, delta: float, lot: float = 0.0) -> float:
    """Signed contracts that bring a net delta to zero without closing anything: a perpetual, bought or sold.

    Parameters
    ----------
    net : float
        Coins.
    delta : float
        Coins that one contract held long moves as, > 0.
    lot : float
        Rounded toward zero to whole lots; zero: any size.
    """
    wanted = -float(finite("net", net)) / float(positive("delta", delta))
    step = float(non_negative("lot", lot))
    return float(np.trunc(wanted / step + np.copysign(_SAME, wanted)) * step) if step else wanted


def best_leg(relief: F64, cost: F64, least: float = 0.0) -> int | None:
    """The leg to close: most margin relieved per cost, and never one whose closing raises the requirement (PM-5).

    Parameters
    ----------
    relief : (n,) ndarray
        Requirement before less after closing the leg's slice: below zero where the leg is a hedge. A leg of which
        relief or cost is not known (NaN) is not chosen.
    cost : (n,) ndarray
        What closing it costs, >= 0.
    least : float
        Relief that counts as some, >= 0.

    Returns
    -------
    int or None
        Row of the leg; of equal ones that with more relief, then the first. None where no leg relieves.
    """
    gain, paid = np.asarray(relief, dtype=np.float64), np.asarray(cost, dtype=np.float64)
    if np.any(paid < 0.0):
        raise ValueError(f"cost must be zero or more, got {paid.min()}")
    able = (gain > least) & ~np.isnan(paid)
    if not able.any():
        return None
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        per_cost = np.where(paid > 0.0, gain / paid, np.inf)
    rows = np.flatnonzero(able)
    return int(rows[np.lexsort((rows, -gain[rows], -per_cost[rows]))[0]])
