"""Where the excess of a pool may bend or jump along a direction, exactly: tiers, entries, strikes, knots.

Every break is a factor of the price now, with a word for what lies there. What has no exact place (an
option's value, a bucket of options that changes its sign) is left to the grid of `search`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.words import MAINTENANCE
from margrave.kernels.arrays import F64, Real
from margrave.liquidation.direction import Direction, Powers, pooled_at, positions_of, powers_of
from margrave.margin.directional import reference_of
from margrave.margin.ladder import BASES
from margrave.margin.pooled import Prepared, Workings
from margrave.rulebook.schedules import Excursion, Schedule
from margrave.rulebook.schema import Basis

_MARK, _ENTRY, _INDEX, _WORST = (BASES.index(b) for b in (Basis.MARK, Basis.ENTRY, Basis.INDEX, Basis.WORST))


@final
@dataclass(frozen=True, slots=True)
class Break:
    """One place, and what lies there."""

    factor: float
    what: str


def breaks_of(prepared: Prepared, direction: Direction) -> tuple[Break, ...]:
    """Places of a pool along a direction, ascending."""
    workings = pooled_at(prepared, np.ones((1, len(prepared.table.assets)))).workings
    powers = powers_of(prepared, direction)
    found = [
        *_tier_edges(prepared, direction, powers, workings),
        *_entries(prepared, direction, powers),
        *_strikes(prepared, direction, powers),
        *_knots(prepared, direction, powers, workings),
    ]
    kept = (b for b in found if np.isfinite(b.factor) and b.factor > 0.0)
    return tuple(sorted(kept, key=lambda b: b.factor))


def places(breaks: tuple[Break, ...]) -> F64:
    """Factors of breaks."""
    return np.array([b.factor for b in breaks], dtype=np.float64)


def nearest_break(breaks: tuple[Break, ...], factor: float) -> str:
    """Say what lies at a factor; empty where no break is within rounding of it."""
    near = [b for b in breaks if abs(b.factor / factor - 1.0) < 1e-9]
    return min(near, key=lambda b: abs(b.factor / factor - 1.0)).what if near else ""


def _reaches(now: float, wanted: float, power: int) -> float:
    # Factor at which something that moves by a power of it reaches an amount; NaN where it never does.
    if power == 0 or not now > 0.0 or not wanted > 0.0:
        return float("nan")
    with np.errstate(over="ignore", under="ignore"):
        return float(np.exp(np.log(wanted / now) / power))


def _tier_edges(
    prepared: Prepared, direction: Direction, powers: Powers, workings: Workings
) -> Iterator[Break]:
    table, book, terms = prepared.table, prepared.book, prepared.ladders
    flat, valued = prepared.plan.flat[MAINTENANCE], workings.valued
    for p in positions_of(prepared, direction.pool).tolist():
        row = int(book.instrument[p])
        if not (terms.is_ladder[row] and terms.by_value[row]):
            continue  # a size in contracts, coins or dollars does not change with the price
        ladder = int(terms.ladder[row])
        floors = flat.floor[flat.start[ladder] + 1 : flat.start[ladder + 1]].tolist()
        convert = int(powers.convert[p])
        moving = int(powers.mark[p]) * (1 if table.a[row] else -1) + convert
        basis = int(terms.basis[MAINTENANCE][row])
        for now, power in _values(
            basis, float(valued.notional[0, p]), float(valued.notional_entry[0, p]), moving, convert
        ):
            for k, floor in enumerate(floors):
                yield Break(_reaches(now, floor, power), f"edge of tier {k + 2} of {book.symbols[row]}")


def _values(
    basis: int, at_mark: float, at_entry: float, moving: int, still: int
) -> tuple[tuple[float, int], ...]:
    # What the tier is looked up by now, and the power by which it moves. The index moves as the mark does, from
    # nearly the same value: its edges are left to the search.
    marked, entered = (at_mark, moving), (at_entry, still)
    return {_MARK: (marked,), _INDEX: (marked,), _ENTRY: (entered,), _WORST: (marked, entered)}[basis]


def _entries(prepared: Prepared, direction: Direction, powers: Powers) -> Iterator[Break]:
    # Profit changes its sign at the entry, and so do the worse of two bases and a credit of profit.
    table, book = prepared.table, prepared.book
    for p in positions_of(prepared, direction.pool).tolist():
        row = int(book.instrument[p])
        if not table.is_option[row]:
            yield Break(
                _reaches(float(table.mark[row]), float(book.entry[p]), int(powers.mark[p])),
                f"entry of {book.symbols[row]}",
            )


def _strikes(prepared: Prepared, direction: Direction, powers: Powers) -> Iterator[Break]:
    table, book, terms = prepared.table, prepared.book, prepared.options
    for p in positions_of(prepared, direction.pool).tolist():
        row = int(book.instrument[p])
        if not table.is_option[row]:
            continue
        price = float(table.forward[row] if terms.on_forward[row] else table.index[row])
        strike, power = float(table.strike[row]), int(powers.mark[p])
        yield Break(_reaches(price, strike, power), f"strike of {book.symbols[row]}")
        level = terms.level[MAINTENANCE]
        credit = float(np.asarray(level.base)[row]) - float(np.asarray(level.floor)[row])
        # Out-of-the-money amount over price: (K - S) / S of a call, (S - K) / S of a put.
        tilt = 1.0 + credit if table.is_call[row] else 1.0 - credit
        if credit > 0.0 and tilt > 0.0:
            yield Break(_reaches(price, strike / tilt, power), f"least rate of {book.symbols[row]}")


def _knots(prepared: Prepared, direction: Direction, powers: Powers, workings: Workings) -> Iterator[Break]:
    for factor in workings.factors:
        net = factor.net
        references = np.broadcast_to(reference_of(net), net.mark.shape)[0]
        for g in np.flatnonzero(net.pool == direction.pool).tolist():
            if not np.isnan(net.exposure_x[0, g]):
                continue  # mixed groups and options: by exposure, which has no exact inverse
            power = int(powers.mark[net.position[net.group == g][0]])
            name = prepared.table.assets[int(net.base[g])]
            vol = float(prepared.vols[net.base[g]])
            for x, price in knot_prices(net.schedule, references[g], net.side[0, g], vol):
                yield Break(
                    _reaches(float(net.mark[0, g]), float(price), power),
                    f"knot {x:g} of the schedule on {name}",
                )


def knot_prices(schedule: Schedule, reference: Real, side: Real, vol: Real) -> Iterator[tuple[float, Real]]:
    """Knots of a schedule and the prices at which groups are there.

    Parameters
    ----------
    schedule : Schedule
        Excursions by return on margin have no exact place and give nothing.
    reference, side, vol : (G,) ndarray or float
        Of the groups: reference price, direction of the net position, annual vol of the underlying.
    """
    width = vol * np.sqrt(schedule.horizon_days / 365.0)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        for x, _ in (*schedule.knots, *schedule.initial_knots):
            match schedule.excursion:
                case Excursion.LOG:
                    yield x, reference * np.exp(side * x)
                case Excursion.SIGMA:
                    yield x, reference * np.exp(side * x * width)
                case Excursion.PERCENT:
                    yield x, reference * (1.0 + side * x)
                case Excursion.COIN:
                    yield x, np.divide(reference, 1.0 - side * x)
                case Excursion.RETURN_ON_MARGIN:
                    return
