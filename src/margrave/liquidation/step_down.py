"""Partial liquidation: how much is closed so that what stays falls into a lower tier (spec cex.md 1.1, 2, 4.4)."""

from margrave.core.errors import Reason, refused
from margrave.rulebook.ladders import BaseSlope, Ladder, SizePremium, resolve

_MAINTENANCE = 1


def tier_at(ladder: Ladder, size: float) -> int:
    """Row of the tier that a size is in, from zero; a size on an edge is in the lower tier."""
    floors = resolve(ladder, _MAINTENANCE).floor
    return max(int((floors < size).sum()) - 1, 0)


def step_down(ladder: Ladder, size: float, tiers: int | None = None) -> float:
    """Size that is closed to reach a lower tier.

    Parameters
    ----------
    ladder : Ladder
        Tiers of the instrument.
    size : float
        What is held, with or without open orders as the venue counts, >= 0 [tier unit].
    tiers : int, optional
        How many tiers down: one at BitMEX, two at OKX today. None: to the first tier (OKX from 2018 to 2020).

    Returns
    -------
    float
        Size to close, >= 0 [tier unit]. Zero in the first tier: nothing is partial there, all of it goes.

    Raises
    ------
    RefusedError
        The rate grows steadily, or the size is beyond what the ladder publishes.
    """
    if not 0.0 <= size < float("inf"):
        raise ValueError(f"size is {size!r}; it must be finite and >= 0")
    if tiers is not None and tiers < 1:
        raise ValueError(f"tiers is {tiers!r}; one or more, or None for the first tier")
    if isinstance(ladder, BaseSlope | SizePremium):
        raise refused(
            ladder.code, Reason.UNSUPPORTED, "has no tiers to step down; close by requirement instead"
        )
    if ladder.size_max is not None and size > ladder.size_max:
        raise refused(
            ladder.code,
            Reason.NOT_PUBLISHED,
            f"size {size:g} is beyond {ladder.size_max:g}, where the published tiers end",
        )
    at = tier_at(ladder, size)
    if at == 0:
        return 0.0
    target = 0 if tiers is None else max(at - tiers, 0)
    return size - float(resolve(ladder, _MAINTENANCE).floor[target + 1])
