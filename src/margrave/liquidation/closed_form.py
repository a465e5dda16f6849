"""Liquidation prices by formula, as proposals that the evaluator judges.

Between breaks the excess of a pool of delta-one positions is a Laurent polynomial in the factor f of the
price: profit is ``q ((a P f - a E) + (c / E - c / (P f)))``, a notional ``|q| (a P f + c / (P f))``, and the
margin by size ``V (r + b z) - d V / z``. Its coefficients are read from the columns, and where its powers span
two or less the roots are explicit. One position under a linear schedule on the log excursion has Lambert's W.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from math import copysign, exp, isnan, sqrt
from typing import TypeAlias

import numpy as np

from margrave.core.words import MAINTENANCE
from margrave.kernels.lambert import lambert_w0_exp
from margrave.liquidation.breakpoints import Break, places
from margrave.liquidation.direction import Direction, Powers, factors, pooled_at, positions_of, powers_of
from margrave.liquidation.search import FACTOR_MAX, FACTOR_MIN
from margrave.margin.directional import Net, recalled, reference_of
from margrave.margin.equity import collateral_rule
from margrave.margin.ladder import BASES
from margrave.margin.plan import product_of
from margrave.margin.pooled import Prepared
from margrave.rulebook.schedules import Excursion, Interpolation, Reference, Schedule
from margrave.rulebook.schema import Basis, Netting

Laurent: TypeAlias = dict[int, float]  # power of f -> coefficient

_MARK, _ENTRY, _WORST = (BASES.index(b) for b in (Basis.MARK, Basis.ENTRY, Basis.WORST))
_SLACK = 1e-9  # a root this near outside its stretch may be its rounded end


def has_formula(prepared: Prepared, direction: Direction) -> bool:
    """Whether a pool is delta-one, adds its parts up, and counts its assets as they are."""
    rules, pools = prepared.rulebook.account, prepared.pools
    rows = positions_of(prepared, direction.pool)
    at = prepared.book.instrument[rows]
    if rows.size == 0 or prepared.table.is_option[at].any() or not prepared.ladders.is_ladder[at].all():
        return False
    bases = prepared.ladders.basis[MAINTENANCE][at]
    if prepared.plan.flat[MAINTENANCE].root is not None and prepared.ladders.by_value[at].any():
        return False  # a value that moves under a root is no polynomial
    if rules.profit_credit < 1.0 or not np.isin(bases, (_MARK, _ENTRY, _WORST)).all():
        return False
    if rules.netting is not Netting.NONE and rows.size > 1:
        return False
    buckets = np.flatnonzero(pools.bucket_pool == direction.pool)
    if not pools.spans_assets[direction.pool]:
        return True
    own = pools.bucket_asset[buckets] == pools.currency[direction.pool]
    named = [
        collateral_rule(prepared.rulebook, prepared.table.assets[a])
        for a in pools.bucket_asset[buckets].tolist()
    ]
    return bool(own.all()) and not any(named)


def schedule_of(prepared: Prepared, position: int) -> Schedule | None:
    """Directional schedule that a position is under."""
    instrument = prepared.table.instruments[int(prepared.book.instrument[position])]
    product = None if instrument is None else product_of(prepared.plan, instrument)
    name = None if product is None else product.model.schedule
    return None if name is None else prepared.rulebook.schedules[name]


def proposals(
    prepared: Prepared, direction: Direction, breaks: tuple[Break, ...], level: int | None
) -> tuple[tuple[float, str], ...]:
    """Factors at which the excess is zero by formula, and by which; empty where no formula is known."""
    if not has_formula(prepared, direction):
        return ()
    rows = positions_of(prepared, direction.pool).tolist()
    if level == MAINTENANCE and any(schedule_of(prepared, p) is not None for p in rows):
        return (
            tuple((f, "Lambert W") for f in _lambert(prepared, direction, rows, breaks))
            if len(rows) == 1
            else ()
        )
    return tuple((f, "closed form") for f in _polynomial(prepared, direction, rows, breaks, level))


def _stretches(breaks: tuple[Break, ...]) -> list[tuple[float, float]]:
    inside = places(breaks)
    inside = np.unique(inside[(inside > FACTOR_MIN) & (inside < FACTOR_MAX)])
    ends = [FACTOR_MIN, *inside.tolist(), FACTOR_MAX]
    return list(itertools.pairwise(ends))


def _polynomial(
    prepared: Prepared, direction: Direction, rows: list[int], breaks: tuple[Break, ...], level: int | None
) -> Iterator[float]:
    stretches = _stretches(breaks)
    middle = np.array([sqrt(low) * sqrt(high) for low, high in stretches])
    workings = pooled_at(prepared, factors(prepared, direction, middle)).workings
    tier = workings.ladder[MAINTENANCE].row
    entered = workings.valued.notional_entry > workings.valued.notional
    powers = powers_of(prepared, direction)
    own = cash_of(prepared, direction, powers)
    for s, (low, high) in enumerate(stretches):
        excess: Laurent = defaultdict(float, own)
        for p in rows:
            _add_profit(excess, prepared, powers, p)
            if level == MAINTENANCE:
                _add_margin(excess, prepared, powers, p, int(tier[s, p]), bool(entered[s, p]))
        yield from (f for f in roots(excess) if low * (1.0 - _SLACK) <= f <= high * (1.0 + _SLACK))


def cash_of(prepared: Prepared, direction: Direction, powers: Powers) -> Laurent:
    """Cash of a pool in its currency, as a function of the factor."""
    pools, table = prepared.pools, prepared.table
    cash: Laurent = defaultdict(float)
    moved = set(direction.assets)
    for b in np.flatnonzero(pools.bucket_pool == direction.pool).tolist():
        asset, currency = int(pools.bucket_asset[b]), int(pools.currency[direction.pool])
        rate = 1.0 if asset == currency else float(table.asset_price[asset] / table.asset_price[currency])
        cash[(asset in moved) - (currency in moved)] += float(pools.bucket_balance[b]) * rate
    return cash


def _rate_now(prepared: Prepared, position: int) -> tuple[float, float]:
    # Settlement asset per payoff asset, and pool currency per settlement asset, as prices are.
    table, pools = prepared.table, prepared.pools
    row = int(prepared.book.instrument[position])

    def ratio(top: int, bottom: int) -> float:
        return 1.0 if top == bottom else float(table.asset_price[top] / table.asset_price[bottom])

    settled = int(pools.bucket_asset[pools.position_bucket[position]])
    return ratio(int(table.payoff[row]), int(table.settlement[row])), ratio(
        settled, int(pools.currency[pools.position_pool[position]])
    )


def _add_profit(excess: Laurent, prepared: Prepared, powers: Powers, p: int) -> None:
    table, book = prepared.table, prepared.book
    row = int(book.instrument[p])
    convert, to_pool = _rate_now(prepared, p)
    each = float(book.quantity[p]) * convert * to_pool
    outer = int(powers.convert[p] + powers.to_pool[p])
    a, c, mark, entry, e = (
        float(table.a[row]),
        float(table.c[row]),
        float(table.mark[row]),
        float(book.entry[p]),
        int(powers.mark[p]),
    )
    excess[outer + e] += each * a * mark
    excess[outer - e] -= each * c / mark
    excess[outer] += each * (c / entry - a * entry)


def _add_margin(
    excess: Laurent, prepared: Prepared, powers: Powers, p: int, tier: int, entered: bool
) -> None:
    table, book, terms = prepared.table, prepared.book, prepared.ladders
    row, flat = int(book.instrument[p]), prepared.plan.flat[MAINTENANCE]
    basis = int(terms.basis[MAINTENANCE][row])
    at_entry = basis == _ENTRY or (basis == _WORST and entered)
    price = float(book.entry[p] if at_entry else table.mark[row])
    convert, to_pool = _rate_now(prepared, p)
    size, a, c = abs(float(book.quantity[p])), float(table.a[row]), float(table.c[row])
    value = size * (a * price + c / price) * convert  # V now
    power = int(powers.convert[p]) + (0 if at_entry else int(powers.mark[p]) * (1 if a else -1))
    rate, slope, cut = float(flat.rate[tier]), float(flat.slope[tier]), float(flat.deduction[tier])
    root = 0.0 if flat.root is None else float(flat.root[tier])
    out = int(powers.to_pool[p])
    if terms.by_value[row]:
        excess[out + power] -= value * rate * to_pool
        excess[out + 2 * power] -= value * value * slope * to_pool
        excess[out] += cut * to_pool
    else:
        z = size * float(terms.unit_per_contract[row])
        excess[out + power] -= value * (rate + slope * z + root * sqrt(z) - cut / z) * to_pool
    excess[out + power] -= value * _fee_rate(prepared, p, row) * to_pool


def _fee_rate(prepared: Prepared, p: int, row: int) -> float:
    # Closing fee per notional; at the bankruptcy price of the chosen leverage where the venue takes it there.
    rate = float(prepared.ladders.fee[MAINTENANCE][row])
    if not prepared.ladders.fee_at_bankruptcy[row]:
        return rate
    leverage, quantity = float(prepared.book.leverage[p]), float(prepared.book.quantity[p])
    tilt = (
        0.0
        if isnan(leverage)
        else copysign(1.0, quantity) / leverage * (1.0 if prepared.table.is_inverse[row] else -1.0)
    )
    return rate * max(1.0 + tilt, 0.0)


def roots(polynomial: Laurent) -> tuple[float, ...]:
    """Roots above zero of a Laurent polynomial whose powers span two or less; none where they span more."""
    used = {k: v for k, v in polynomial.items() if v != 0.0}
    if len(used) < 2:
        return ()
    low, high = min(used), max(used)
    c, b, a = (used.get(low + k, 0.0) for k in range(3))
    if high - low > 2:
        return ()
    if high - low == 1:
        found = [-c / b]
    else:
        inside = b * b - 4.0 * a * c
        if inside < 0.0:
            return ()
        half = -0.5 * (b + copysign(sqrt(inside), b))  # of the two forms, the one that does not cancel
        found = [half / a, c / half] if half else [0.0]
    return tuple(f for f in found if f > 0.0)


def _lambert(
    prepared: Prepared, direction: Direction, rows: list[int], breaks: tuple[Break, ...]
) -> Iterator[float]:
    del breaks
    position = rows[0]
    schedule = schedule_of(prepared, position)
    net = _only_net(prepared, direction)
    if schedule is None or net is None or not _is_simple(prepared, direction, position, schedule):
        return
    table, book, flat = prepared.table, prepared.book, prepared.plan.flat[MAINTENANCE]
    row = int(book.instrument[position])
    terms = prepared.ladders
    first, last = (int(flat.start[int(terms.ladder[row]) + k]) for k in (0, 1))
    if last - first != 1 or flat.slope[first] or flat.deduction[first] or flat.root is not None:
        return
    rate, fee = float(flat.rate[first]), _fee_rate(prepared, position, row)
    side, reference = float(net.side[0, 0]), float(np.broadcast_to(reference_of(net), net.mark.shape)[0, 0])
    cash = sum(cash_of(prepared, direction, powers_of(prepared, direction)).values())
    # What is left at the reference, per notional there: A. The excess is s (A - exp(-s x ...)), see `segment_root`.
    a, c, q, entry = (
        float(table.a[row]),
        float(table.c[row]),
        abs(float(book.quantity[position])),
        float(book.entry[position]),
    )
    inverse = bool(table.is_inverse[row])
    at_entry = q * (c / entry if inverse else a * entry)
    unit = q * (c / reference if inverse else a * reference)
    adds = (
        side > 0
    ) == inverse  # inverse long, linear short: W + entry value; the other two: entry value - W
    left = ((cash + at_entry) if adds else (at_entry - cash)) / unit
    for (x0, g0), (x1, g1) in _segments(schedule):
        slope = 0.0 if x1 == x0 else rate * (g1 - g0) / (x1 - x0)
        level = (rate * g0 - slope * x0 if np.isfinite(x0) else rate * g1 - slope * x1) + fee
        x = segment_root(left, level, slope, adds)
        if x is not None and x0 - _SLACK <= x <= x1 + _SLACK:
            yield reference * exp(side * x) / float(table.mark[row])


def segment_root(left: float, level: float, slope: float, adds: bool) -> float | None:
    """Excursion at which one position's excess is zero while its rate is ``level + slope x``.

    Parameters
    ----------
    left : float
        Inverse long ``(W + N/E) R/N``, inverse short ``(N/E - W) R/N``, linear short ``(W + QE) / (QR)``, linear
        long ``(QE - W) / (QR)``.
    level, slope : float
        Rate of the segment; slope <= 0.
    adds : bool
        True for the inverse long and the linear short, where ``left exp(x) = 1 + level + slope x``; False for the
        other two, where ``exp(x) (1 - level - slope x) = left``.

    Returns
    -------
    float or None
        None where no price reaches it.
    """
    if left <= 0.0:
        return None
    b = -slope
    if b == 0.0:
        inside = (1.0 + level) / left if adds else (left / (1.0 - level) if level < 1.0 else 0.0)
        return float(np.log(inside)) if inside > 0.0 else None
    if adds:
        return (1.0 + level) / b - float(lambert_w0_exp(left / b, (1.0 + level) / b))
    return float(lambert_w0_exp(left / b, (1.0 - level) / b)) - (1.0 - level) / b


def _segments(schedule: Schedule) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    knots = [(float(x), float(g)) for x, g in schedule.knots]
    padded = [(-np.inf, knots[0][1]), *knots, (np.inf, knots[-1][1])]
    return list(itertools.pairwise(padded))


def _only_net(prepared: Prepared, direction: Direction) -> Net | None:
    nets = [f.net for f in pooled_at(prepared, np.ones((1, len(prepared.table.assets)))).workings.factors]
    here = [n for n in nets if (n.pool == direction.pool).any()]
    # Rows of other pools may share the schedule's arrays: take the group of this pool.
    if len(here) != 1:
        return None
    g = np.flatnonzero(here[0].pool == direction.pool)
    net = here[0]
    return (
        Net(
            net.schedule,
            net.position,
            net.group,
            net.pool[g],
            net.base[g],
            net.side[:, g],
            net.mark[:, g],
            net.reference[:, g],
            net.profit[:, g],
            net.exposure_x[:, g],
            recalled(net.memory, g),
        )
        if g.size == 1 and np.isnan(net.exposure_x[0, g[0]])
        else None
    )


def _is_simple(prepared: Prepared, direction: Direction, position: int, schedule: Schedule) -> bool:
    # The formula's ground: mark basis, one price that moves, a schedule read from its knots and nothing else.
    powers, row = powers_of(prepared, direction), int(prepared.book.instrument[position])
    plain = (
        schedule.reference in (Reference.ENTRY, Reference.VWAP, Reference.SETTLEMENT)
        and schedule.excursion is Excursion.LOG
    )
    free = schedule.discipline.release_per_hour is None and schedule.discipline.profit_share_max is None
    return (
        plain
        and free
        and schedule.interpolation is Interpolation.LINEAR
        and schedule.floor == 0.0
        and schedule.cap >= 1.0
        and int(prepared.ladders.basis[MAINTENANCE][row]) == _MARK
        and int(powers.mark[position]) == 1
        and _own_money(prepared, position)
    )


def _own_money(prepared: Prepared, position: int) -> bool:
    table, pools = prepared.table, prepared.pools
    row = int(prepared.book.instrument[position])
    currency = int(pools.currency[pools.position_pool[position]])
    return int(table.payoff[row]) == int(table.settlement[row]) == currency
