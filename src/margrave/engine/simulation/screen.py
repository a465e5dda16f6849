"""Whom a move of prices cannot have brought near a level: they keep what they were told last, and are not asked again.

No margin is computed here. A pool that was margined gets a *reach*: a log move of the prices that it depends on, below which
its maintenance certainly stays under the first level of the ladder. Prices wander; the length of their way since then is at
least their move, so that one number a pool and one comparison a round decide. Where nothing certain can be said the reach
is nothing, and the pool is margined at every move.

With equity that changes by at most ``G (e^r - 1)`` under a move r, G the gross notional, and maintenance of at most ``R e^r``,
R rates times notional without any deduction, the ratio stays under e as long as ``e^r < e (B + G) / (R + e G)``.
"""

from typing import Final

import numpy as np

from margrave.core.words import MAINTENANCE
from margrave.domain.book import Book
from margrave.engine.simulation.settings import Ladder
from margrave.engine.simulation.state import Frame
from margrave.kernels.arrays import F64, I64, Bools
from margrave.margin.ladder import Sized, ladder_margin_of
from margrave.margin.plan import product_of
from margrave.margin.resolve import Resolved
from margrave.rulebook.bands import liquidation_ratio
from margrave.rulebook.schema import CrossPool, Rulebook
from margrave.valuation.positions import value_positions
from margrave.valuation.scenarios import now

NEVER: Final = -np.inf
"""Reach of a pool of which nothing is certain."""

_MOST: Final = float(np.log(2.0))  # a rate that grows with size is bounded up to a doubling of it
_SURE: Final = 1e-9  # of a log move, kept back for roundings


def reaches(
    frame: Frame, book: Book, resolved: Resolved, ladder: Ladder, told: tuple[I64, F64, Bools]
) -> F64:
    """Log move that each of some pools can bear for certain.

    Parameters
    ----------
    frame, book, resolved : Frame, Book, Resolved
        Rows, holdings, and the prices and rules in which the pools were margined.
    ladder : Ladder
        Levels; the first is what is kept away from.
    told : tuple of (K',) ndarray
        Rows of the pools, ascending, their margin balances, and whether they are on the level below all.

    Returns
    -------
    (K',) ndarray
        Infinite for a pool that holds nothing and owes nothing, `NEVER` where nothing is certain.
    """
    pools, balance, healthy = told
    if not certain(resolved.rulebook) or resolved.table.converts:
        return np.full(len(pools), NEVER)
    position = _positions(frame, book, pools)
    at = book.instrument[position]
    gross, asked, room = _legs(book, resolved, position)
    group = np.searchsorted(pools, frame.position_pool[position])
    total, most = (np.bincount(group, weights=part, minlength=len(pools)) for part in (gross, asked))
    least = np.full(len(pools), _MOST)
    np.minimum.at(least, group, np.where(resolved.ladders.is_ladder[at], room, NEVER))
    level = ladder.enter[0] / liquidation_ratio(resolved.rulebook.account.bands)
    held = total > 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = np.log(np.maximum(level * (balance + total), 0.0) / np.where(held, most + level * total, 1.0))
    reach = np.where(held, np.minimum(bound, least), np.where(balance >= 0.0, np.inf, NEVER)) - _SURE
    return np.where(healthy & (reach > 0.0), reach, NEVER)


def _positions(frame: Frame, book: Book, pools: I64) -> I64:
    wanted = np.zeros(len(frame.pool_account), dtype=np.bool_)
    wanted[pools] = True
    return np.flatnonzero(wanted[frame.position_pool] & (book.quantity != 0.0))


def certain(rulebook: Rulebook) -> bool:
    """Whether anything can be said of pools under a rulebook: one currency a pool, margin by size, no release by time."""
    used = {product.model.schedule for product in rulebook.products}
    schedules = [schedule for name, schedule in rulebook.schedules.items() if name in used]
    slow = any(schedule.discipline.release_per_hour is not None for schedule in schedules)
    single = rulebook.account.cross_pool is CrossPool.SETTLEMENT and rulebook.portfolio is None
    return single and not slow


def _legs(book: Book, resolved: Resolved, position: I64) -> tuple[F64, F64, F64]:
    # Notional, the most that is asked of it, and the log move up to the end of its tier.
    table, plan, ladders = resolved.table, resolved.plan, resolved.ladders
    at, quantity = book.instrument[position], book.quantity[position]
    valued = value_positions(table, now(table), at, quantity, book.entry[position])
    index = np.abs(quantity) * (table.a[at] * table.index[at] + table.c[at] / table.index[at])
    sized = Sized(
        at, quantity, book.leverage[position], valued.notional, valued.notional_entry, index[None, :]
    )
    charged = ladder_margin_of(plan, ladders, table, sized, MAINTENANCE)
    flat, row, size = plan.flat[MAINTENANCE], charged.row[0], charged.size[0]
    by_value = ladders.by_value[at]
    grows = flat.slope[row] * size + (0.0 if flat.root is None else flat.root[row] * np.sqrt(size))
    rate = flat.rate[row] + grows * np.where(by_value, 2.0, 1.0)
    times, floor = _schedules(resolved)
    asked = np.maximum(rate * times[at], floor[at]) * charged.value[0] + charged.fee[0]
    rounding = resolved.rulebook.rounding.margin
    asked = asked if rounding is None else asked + rounding.step
    last = flat.start[ladders.ladder[at] + 1] - 1
    ceiling = np.where(row < last, flat.floor[np.minimum(row + 1, len(flat.floor) - 1)], np.inf)
    with np.errstate(divide="ignore"):
        room = np.where(by_value, np.log(ceiling / np.where(size > 0.0, size, 1.0)), np.inf)
    return valued.notional[0], asked, room


def _schedules(resolved: Resolved) -> tuple[F64, F64]:
    # The largest multiplier of each instrument's schedule, and the least rate, (I,).
    times, floor = np.ones(len(resolved.table.instruments)), np.zeros(len(resolved.table.instruments))
    for row, instrument in enumerate(resolved.table.instruments):
        product = None if instrument is None else product_of(resolved.plan, instrument)
        name = None if product is None else product.model.schedule
        if name is not None:
            schedule = resolved.rulebook.schedules[name]
            times[row], floor[row] = max(g for _, g in schedule.knots), schedule.floor
    return times, floor
