"""The search against a dense scan of the evaluator, over random pools."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.core.words import MAINTENANCE
from margrave.domain.book import book_of
from margrave.domain.instruments import Right
from margrave.domain.market import Quote
from margrave.kernels.black76 import coin_price
from margrave.liquidation import NoBound
from margrave.liquidation.closed_form import roots, segment_root
from margrave.liquidation.direction import Excess, directions_of, factors, pooled_at
from margrave.liquidation.pool import liquidation_along
from margrave.margin.pooled import prepare
from margrave.rulebook.ladders import Progressive, Tier, TierUnit, WholePosition
from margrave.rulebook.schema import Basis
from tests.unit.liquidation.cases import (
    INVERSE,
    LINEAR,
    T1,
    TIERED,
    crossed,
    flat,
    market,
    mixed_rules,
    option,
    rules,
)

E = 50_000.0
DENSE = np.exp(np.linspace(-6.0, 6.0, 6_001))
DATED = replace(INVERSE, symbol="BTC-DATED")
LADDERS = (
    flat(0.005),
    flat(0.05),
    TIERED,
    WholePosition(
        code="W",
        unit=TierUnit.VALUE,
        tiers=(Tier(0.0, 0.01, 0.02), Tier(60.0, 0.03, 0.05), Tier(150.0, 0.2, 0.3)),
    ),
    Progressive(code="C", unit=TierUnit.CONTRACTS, tiers=(Tier(0.0, 0.01, 0.02), Tier(1e6, 0.05, 0.1))),
)


def assert_agrees_with_a_dense_scan(prepared):
    direction = directions_of(prepared, 0)[0]
    found = liquidation_along(prepared, direction)
    excess = Excess(prepared, direction, MAINTENANCE)
    scanned = excess(DENSE) < 0.0
    prices = DENSE * direction.price
    told = np.zeros(DENSE.size, dtype=bool)
    for low, high in found.liquidatable:
        told |= (prices > low) & (prices < high)
    ends = np.array([end for pair in found.liquidatable for end in pair if 0.0 < end < np.inf])
    clear = np.array([not np.any(np.abs(ends / p - 1.0) < 1e-7) for p in prices])
    assert (told == scanned)[clear].all()
    for bound in found.bounds:
        at = np.array([bound.factor, bound.factor * (1 - 1e-8), bound.factor * (1 + 1e-8)])
        pooled = pooled_at(prepared, factors(prepared, direction, at))
        here, needed = pooled.margin_balance[:, 0], pooled.maintenance[:, 0]
        assert (here[1] < needed[1]) != (here[2] < needed[2])
        if not bound.binds.startswith("jump"):
            scale = abs(here[0]) + abs(needed[0]) + np.abs(pooled.workings.valued.profit[0]).sum()
            assert abs(here[0] - needed[0]) <= 1e-9 * scale
    return found


sizes = st.floats(-2e7, 2e7, allow_subnormal=False).filter(lambda q: abs(q) > 1e3)
entries = st.floats(20_000.0, 120_000.0)


@settings(max_examples=60)
@given(
    sizes,
    sizes,
    entries,
    entries,
    st.floats(0.0, 400.0),
    st.sampled_from(LADDERS),
    st.sampled_from([Basis.MARK, Basis.ENTRY, Basis.WORST]),
)
def test_inverse_pools(first, second, entry, other, cash, ladder, basis):
    prices = market((INVERSE, Quote(mark=E)), (DATED, Quote(mark=E * 1.02)))
    account = crossed("BTC", cash, (INVERSE, first, entry), (DATED, second, other))
    assert_agrees_with_a_dense_scan(prepare(book_of((account,)), prices, rules(ladder, basis)))


@settings(max_examples=40)
@given(
    st.floats(-300.0, 300.0).filter(lambda q: abs(q) > 0.01),
    entries,
    st.floats(0.0, 1e7),
    st.sampled_from(LADDERS),
    st.booleans(),
)
def test_linear_pools(quantity, entry, cash, ladder, directional):
    prices = market((LINEAR, Quote(mark=E)))
    account = crossed("USDT", cash, (LINEAR, quantity, entry))
    assert_agrees_with_a_dense_scan(
        prepare(book_of((account,)), prices, rules(ladder, schedule=T1 if directional else None))
    )


@settings(max_examples=40)
@given(sizes, entries, st.floats(0.0, 400.0), st.sampled_from([0.005, 0.05, 0.2]))
def test_directional_single_positions_have_lambert_and_one_bound(quantity, entry, cash, rate):
    # INV-6: the excess is monotone, so the bound is the only one.
    account = crossed("BTC", cash, (INVERSE, quantity, entry))
    prepared = prepare(book_of((account,)), market((INVERSE, Quote(mark=E))), rules(flat(rate), schedule=T1))
    found = assert_agrees_with_a_dense_scan(prepared)
    assert len(found.bounds) <= 1
    assert all(b.method == "Lambert W" for b in found.bounds)


def quoted(instrument, vol):
    kind = instrument.kind
    mark = float(coin_price(E, kind.strike, vol, 30 / 365, kind.right is Right.CALL))
    return instrument, Quote(mark=max(mark, 1e-12), index=E, forward=E, vol=vol)


@settings(max_examples=30)
@given(
    st.floats(-3.0, 1.0).filter(lambda q: abs(q) > 0.01),
    st.floats(-3.0, 1.0).filter(lambda q: abs(q) > 0.01),
    st.sampled_from([30_000.0, 45_000.0, 50_000.0, 70_000.0]),
    st.sampled_from([35_000.0, 50_000.0, 65_000.0]),
    st.floats(-2e5, 2e5).filter(lambda q: abs(q) > 100.0),
    st.floats(0.0, 5.0),
)
def test_pools_with_options(calls, puts, call_strike, put_strike, hedge, cash):
    call, put = option(call_strike, Right.CALL), option(put_strike, Right.PUT)
    prices = market(quoted(call, 0.8), quoted(put, 0.7), (INVERSE, Quote(mark=E)))
    account = crossed("BTC", cash, (call, calls, 0.05), (put, puts, 0.05), (INVERSE, hedge, 48_000.0))
    found = assert_agrees_with_a_dense_scan(prepare(book_of((account,)), prices, mixed_rules()))
    assert found.reason in (None, *NoBound)


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=3), st.integers(-3, 1))
def test_laurent_roots(coefficients, low):
    polynomial = {low + k: c for k, c in enumerate(coefficients) if abs(c) > 1e-6}
    for f in roots(polynomial):
        terms = [c * f**k for k, c in polynomial.items()]
        assert sum(terms) == pytest.approx(0.0, abs=1e-9 * sum(map(abs, terms)))


@given(st.floats(0.01, 5.0), st.floats(0.001, 0.5), st.floats(-2.0, -1e-3), st.booleans())
def test_segment_root_solves_its_equation(left, level, slope, adds):
    x = segment_root(left, level, slope, adds)
    if x is None or abs(x) > 50:
        return
    e = np.exp(x)
    lhs, rhs = (left * e, 1 + level + slope * x) if adds else (e * (1 - level - slope * x), left)
    assert lhs == pytest.approx(rhs, rel=1e-9, abs=1e-12)
