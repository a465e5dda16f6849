"""Two markets compared: how far index prices moved, and which instruments did something else than follow them."""

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from margrave.kernels.arrays import F64, I64, Bools
from margrave.liquidation.steep_parts import slopes_at
from margrave.margin.directional import releases
from margrave.margin.resolve import Resolved
from margrave.valuation.scenarios import bounded_marks, model_worth, vol_at_mark
from margrave.valuation.table import Table

VOL_WITHIN: Final = 1e-8
"""Vols, solved from marks, that count as the same [per year]."""


@final
@dataclass(frozen=True, slots=True)
class Moved:
    """From one market to another, for the same instruments under the same rules."""

    asset: F64  # (A + 1,) logarithm of what each index price is multiplied by; the last is the numeraire, 0
    parted: Bools  # (I,) instruments of which something else than the price of the pair changed, or beyond the basis
    everything: bool  # something that no interval is about: rules, instants of schedules, confidences


_FIXED: Final = ("years", "rate", "averaged", "confidence", "open_interest", "vol")


def moved_between(before: Resolved, now: Resolved, basis: float) -> Moved:
    """Compare two markets.

    Parameters
    ----------
    before, now : Resolved
        The same instruments and assets under the same rules.
    basis : float
        How far a mark, index or forward may part from its index prices [logarithm].
    """
    one, two = before.table, now.table
    with np.errstate(invalid="ignore", divide="ignore"):
        asset = np.append(np.log(two.asset_price / one.asset_price), 0.0)
    asset[:-1][np.isnan(one.asset_price) & np.isnan(two.asset_price)] = 0.0
    parted = _parted(one, two, asset, basis)
    for row in one.issues.keys() | two.issues.keys():
        parted[row] |= one.issues.get(row) != two.issues.get(row)
    return Moved(asset, parted, _everything(before, now))


def _everything(before: Resolved, now: Resolved) -> bool:
    if before.rulebook is not now.rulebook or before.table.assets != now.table.assets:
        return True
    tables = ("slow", "deposits", "borrows")
    if any(getattr(before.market, name) != getattr(now.market, name) for name in tables):
        return True
    timed = before.market.at != now.market.at and releases(now.rulebook)
    moving = bool(now.rulebook.schedules) and bool(_other(before.vols, now.vols).any())
    return timed or moving or bool(_other(before.table.asset_confidence, now.table.asset_confidence).any())


def _other(one: F64, two: F64) -> Bools:
    return np.asarray((one != two) & ~((one != one) & (two != two)))


def _parted(one: Table, two: Table, asset: F64, basis: float) -> Bools:
    pair = asset[one.base] - asset[one.quote]
    parted = np.zeros(len(one.a), dtype=np.bool_)
    for name in _FIXED:
        parted |= _other(getattr(one, name), getattr(two, name))
    for name in ("index", "forward"):
        parted |= _beyond(
            getattr(one, name), getattr(two, name), pair, basis, one.is_option | (name == "index")
        )
    parted |= _beyond(one.mark, two.mark, pair, basis, ~one.is_option)
    options = np.flatnonzero(one.is_option)
    if options.size:
        parted[options] |= _options_parted(one, two, options, basis)
    return parted


def _beyond(one: F64, two: F64, pair: F64, basis: float, counts: Bools) -> Bools:
    with np.errstate(invalid="ignore", divide="ignore"):
        near = np.abs(np.log(two / one) - pair) <= basis
    return np.asarray(counts & ~near & ~(np.isnan(one) & np.isnan(two)))


def _options_parted(one: Table, two: Table, options: I64, basis: float) -> Bools:
    # An option follows where its mark is what its model makes of its forward, to within a part of what the basis moves it.
    vol, now = vol_at_mark(one, options), vol_at_mark(two, options)
    forward = two.forward[options]
    shift = model_worth(one, options, forward, vol) - model_worth(one, options, one.forward[options], vol)
    expected = bounded_marks(one, options, one.mark[options], shift)
    slack = 0.1 * basis * slopes_at(one, options, forward, vol, 0.0)
    with np.errstate(invalid="ignore"):
        follows = (np.abs(two.mark[options] - expected) <= slack) & (np.abs(now - vol) <= VOL_WITHIN)
    both = np.isnan(one.mark[options]) & np.isnan(two.mark[options])
    return np.asarray((~follows & ~both) | (one.averaged[options] > 0.0))
