"""Directional schedules as the compiled kernel takes them: of a market, and of what accounts remember."""

from typing import Final, TypeAlias

import numpy as np

from margrave.domain.book import Book, microseconds
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.compiled.directional_pools import (
    COIN,
    FROM_BEST,
    FROM_ENTRY,
    FROM_VOLUME,
    IN_SIGMA,
    LOG,
    PERCENT,
    RATCHET,
    Curves,
    DirectionalTerms,
    Remembered,
)
from margrave.kernels.compiled.laid_out import starts_of
from margrave.kernels.schedule import pchip_slopes
from margrave.margin.directional import boundaries, coin_delta_each
from margrave.margin.resolve import Resolved
from margrave.rulebook.schedules import Excursion, Interpolation, Knot, Reference, Schedule
from margrave.valuation.scenarios import now
from margrave.valuation.table import Table

_REFERENCES: Final = {
    Reference.VWAP: FROM_VOLUME,
    Reference.HIGH_WATER: FROM_BEST,
    Reference.RATCHET: RATCHET,
}
_EXCURSIONS: Final = {
    Excursion.LOG: LOG,
    Excursion.PERCENT: PERCENT,
    Excursion.COIN: COIN,
    Excursion.SIGMA: IN_SIGMA,
}

_Curve: TypeAlias = tuple[Interpolation, tuple[Knot, ...]]
_Part: TypeAlias = tuple[F64, F64, int]


def unserved(resolved: Resolved) -> Bools:
    """Instruments, (I,), under a schedule that reads what positions are asked without it: the kernel has no such number."""
    terms = resolved.schedules
    others = [s.excursion not in _EXCURSIONS or s.discipline.profit_share_max is not None for s in terms.used]
    return np.append(np.array(others, dtype=np.bool_), False)[terms.row]


def directional_of(resolved: Resolved) -> DirectionalTerms | None:
    """What the kernel needs of a market's schedules; None where the rulebook has none."""
    terms, table = resolved.schedules, resolved.table
    if not terms.used:
        return None
    kind, net = _nets(resolved)
    curves: list[_Curve] = []
    code = np.array([_code(schedule, curves) for schedule in terms.used], dtype=np.int64)
    rule = np.array([_rule(schedule) for schedule in terms.used])
    at = float(microseconds(resolved.market.at))
    return DirectionalTerms(
        schedule_numbers(table), kind, net, rule, code, resolved.vols, _curves(curves), at
    )


def schedule_numbers(table: Table, vols: F64 | None = None) -> F64:
    """`DirectionalTerms.number` of instruments in a market, of options at annual ``vols``, (I,); by default at those of their marks."""
    priced, mark = now(table), table.mark
    delta = coin_delta_each(table, priced, np.arange(len(mark)), vols)[0]
    with np.errstate(
        divide="ignore", invalid="ignore"
    ):  # an option's mark may be zero; it is not read as an inverse price
        averaged = np.where(table.is_inverse, 1.0 / mark, mark)
    underlying = np.where(table.is_option, priced.forward[0], mark)
    return np.stack(
        (
            delta,
            np.where(table.is_inverse, table.c, table.a),
            averaged,
            mark,
            table.a,
            table.c / np.where(table.c > 0.0, mark, 1.0),
            np.where(table.is_inverse | table.is_coin_premium, 1.0, underlying),
        ),
        axis=1,
    )


def _nets(resolved: Resolved) -> tuple[I64, I64]:
    # Nets that instruments can belong to: of a schedule and an asset.
    table, row = resolved.table, resolved.schedules.row
    key = np.where(row < 0, -1, row * len(table.assets) + table.base)
    used, number = np.unique(key[key >= 0], return_inverse=True)
    kind = np.full((len(key), 3), -1, dtype=np.int64)
    kind[key >= 0, 0] = number
    kind[:, 1], kind[:, 2] = table.is_inverse, table.is_option
    return kind, np.stack(np.divmod(used, len(table.assets)), axis=1)


def _code(schedule: Schedule, curves: list[_Curve]) -> list[int]:
    # Numbers of a schedule, whose curves are put on the list.
    curves.append((schedule.interpolation, schedule.knots))
    maintenance = len(curves) - 1
    if schedule.initial_knots:
        curves.append((schedule.interpolation, schedule.initial_knots))
    return [
        _REFERENCES.get(schedule.reference, FROM_ENTRY),
        _EXCURSIONS.get(schedule.excursion, LOG),
        int(schedule.interpolation is Interpolation.STEP),
        len(curves) - 1,
        maintenance,
    ]


def _rule(schedule: Schedule) -> tuple[float, float, float]:
    release = schedule.discipline.release_per_hour
    return (
        schedule.net_delta_min,
        float(np.sqrt(schedule.horizon_days / 365.0)),
        np.nan if release is None else release / 3600.0,
    )


def _curves(curves: list[_Curve]) -> Curves:
    parts = [_CURVES[interpolation](knots) for interpolation, knots in curves]
    return Curves(
        np.cumsum([0, *(len(knot) for knot, _, _ in parts)]),
        np.array([home for _, _, home in parts], dtype=np.int64),
        np.concatenate([knot for knot, _, _ in parts]),
        np.concatenate([cubic for _, cubic, _ in parts]),
    )


def _stepped(knots: tuple[Knot, ...]) -> _Part:
    edges, g, home = boundaries(knots)
    cubic = np.zeros((len(g), 4))
    cubic[:, 0] = g
    return np.append(edges, np.inf), cubic, home


def _linear(knots: tuple[Knot, ...]) -> _Part:
    x, g = np.array(knots, dtype=np.float64).T.copy()
    cubic = np.zeros((len(x), 4))
    cubic[:, 0] = g
    cubic[:-1, 1] = np.diff(g) / np.diff(x)
    return x, cubic, 0


def _pchip(knots: tuple[Knot, ...]) -> _Part:
    x, cubic, home = _linear(knots)
    width, chord, slope = np.diff(x), cubic[:-1, 1].copy(), pchip_slopes(x, cubic[:, 0])
    left, right = slope[:-1], slope[1:]
    cubic[:-1, 1] = left
    cubic[:-1, 2] = (3.0 * chord - 2.0 * left - right) / width
    cubic[:-1, 3] = (left + right - 2.0 * chord) / width**2
    return x, cubic, home


_CURVES: Final = {
    Interpolation.LINEAR: _linear,
    Interpolation.PCHIP: _pchip,
    Interpolation.STEP: _stepped,
}


def remembered(book: Book, table: Table) -> Remembered:
    """What accounts of a book remember."""
    kept = book.memory
    rows = {name: row for row, name in enumerate(table.assets)}
    asset = np.array([rows.get(name, len(rows)) for name in book.assets], dtype=np.int64)
    return Remembered(
        starts_of(kept.account, len(book.names)),
        asset[kept.underlying],
        np.stack((kept.at, kept.reference, kept.best_mark, kept.multiplier, kept.tier), axis=1),
    )
