"""Every liquidation and bankruptcy price that the specification prints (1.2, 1.3, LM-2, CMM-8, IMM)."""

import pytest

from margrave.liquidation import NoBound, PoolLiquidation, liquidations
from margrave.rulebook.schema import Basis
from tests.unit.liquidation.cases import (
    INVERSE,
    LINEAR,
    T1,
    crossed,
    flat,
    isolated,
    plain_market,
    rules,
)

N, E = 100_000.0, 50_000.0
PRINTED = 1e-9  # figures of the tables have 10 or more digits


def only(account, market, book, **how) -> PoolLiquidation:
    found = [p for p in liquidations(account, market, book, **how) if p.reason != NoBound.NO_POSITION]
    assert len(found) == 1
    return found[0]


def single(instrument, quantity, margin, book, mark=E) -> PoolLiquidation:
    return only(isolated(instrument, quantity, margin), plain_market(mark), book)


LONG_TABLE = [
    (0.005, 2.0, 25_125.00, 25_062.65664, 25_000.0),
    (0.005, 1.0, 33_500.00, 33_444.81605, 33_333.33333),
    (0.005, 0.2, 45_681.81818, 45_662.10046, 45_454.54545),
    (0.005, 0.08, 48_317.30769, 48_309.17874, 48_076.92308),
    (0.05, 1.0, 35_000.00, 34_482.75862, 33_333.33333),
    (0.05, 0.2, 47_727.27273, 47_619.04762, 45_454.54545),
]
SHORT_TABLE = [
    (0.005, 2.0, None, 10_000_000.0, None),
    (0.005, 1.0, 99_500.0, 99_009.90099, 100_000.0),
    (0.005, 0.2, 55_277.77778, 55_248.61878, 55_555.55556),
    (0.005, 0.08, 51_822.91667, 51_813.47150, 52_083.33333),
    (0.05, 1.0, 95_000.0, 90_909.09091, 100_000.0),
    (0.05, 0.2, 52_777.77778, 52_631.57895, 55_555.55556),
]


@pytest.mark.parametrize(("rate", "margin", "by_mark", "by_entry", "broken"), LONG_TABLE)
def test_inverse_long(rate, margin, by_mark, by_entry, broken):
    for basis, printed in ((Basis.MARK, by_mark), (Basis.ENTRY, by_entry)):
        found = single(INVERSE, N, margin, rules(flat(rate), basis))
        assert len(found.bounds) == 1
        bound = found.bounds[0]
        assert (bound.side, bound.method) == ("down", "closed form")
        assert bound.exact == pytest.approx(printed, abs=6e-6)
        assert bound.bankruptcy == pytest.approx(broken, abs=6e-6)
        assert found.bankruptcy[0].exact == bound.bankruptcy
        assert found.liquidatable == ((0.0, bound.exact),)


@pytest.mark.parametrize(("rate", "margin", "by_mark", "by_entry", "broken"), SHORT_TABLE)
def test_inverse_short(rate, margin, by_mark, by_entry, broken):
    for basis, printed in ((Basis.MARK, by_mark), (Basis.ENTRY, by_entry)):
        found = single(INVERSE, -N, margin, rules(flat(rate), basis))
        if printed is None:
            assert found.bounds == ()
            assert found.reason == NoBound.COVERED_SHORT
        else:
            bound = found.bounds[0]
            assert (bound.side, bound.method) == ("up", "closed form")
            assert bound.exact == pytest.approx(printed, abs=6e-6)
            assert bound.bankruptcy == (None if broken is None else pytest.approx(broken, abs=6e-6))


@pytest.mark.parametrize("fee", [0.00075, 0.0005])
def test_formulas_with_a_closing_fee(fee):
    r, w = 0.05, 0.2
    book = rules(flat(r), fee=fee)
    long, short = single(INVERSE, N, w, book), single(INVERSE, -N, w, book)
    assert long.bounds[0].exact == pytest.approx(N * (1 + r + fee) / (w + N / E), rel=PRINTED)
    assert short.bounds[0].exact == pytest.approx(N * (1 - r - fee) / (N / E - w), rel=PRINTED)


def test_linear_prices_and_bankruptcy():
    book = rules(flat(0.05))
    long, short = single(LINEAR, 2.0, 10_000.0, book), single(LINEAR, -2.0, 10_000.0, book)
    assert long.bounds[0].exact == pytest.approx(47_368.421053, abs=6e-7)
    assert short.bounds[0].exact == pytest.approx(52_380.952381, abs=6e-7)
    assert (long.bounds[0].bankruptcy, short.bounds[0].bankruptcy) == pytest.approx((45_000.0, 55_000.0))


TIERED_TABLE = [
    (INVERSE, N, 0.2, "down", 48_082.727220, -0.038345, 45_454.545455),
    (INVERSE, -N, 0.2, "up", 52_281.916261, 0.045638, 55_555.555556),
    (LINEAR, 2.0, 10_000.0, "down", 47_817.681117, -0.043646, 45_000.0),
    (LINEAR, -2.0, 10_000.0, "up", 51_993.722996, 0.039874, 55_000.0),
]


@pytest.mark.parametrize(
    ("instrument", "quantity", "margin", "side", "printed", "distance", "broken"), TIERED_TABLE
)
def test_directional_schedule(instrument, quantity, margin, side, printed, distance, broken):
    bound = single(instrument, quantity, margin, rules(flat(0.05), schedule=T1)).bounds[0]
    assert (bound.side, bound.method) == (side, "Lambert W")
    assert bound.exact == pytest.approx(printed, abs=6e-7)
    assert bound.distance == pytest.approx(distance, abs=6e-6)
    assert bound.bankruptcy == pytest.approx(broken, abs=6e-7)


def test_lambert_oracle_to_its_last_digit():
    bound = single(INVERSE, N, 0.2, rules(flat(0.05), schedule=T1)).bounds[0]
    assert bound.exact == pytest.approx(48_082.7272204901, abs=6e-10)
    # The specification prints ...942544; forty digits give ...942539.
    from math import log

    assert log(bound.exact / E) == pytest.approx(-0.0390999942539, abs=6e-14)


def test_duality_of_inverse_short_and_linear_long():
    for schedule in (None, T1):
        book = rules(flat(0.05), schedule=schedule)
        short = single(INVERSE, -N, 0.2, book).bounds[0].exact
        long = single(LINEAR, 2.0, 10_000.0, book).bounds[0].exact
        assert short * long == pytest.approx(E * E, rel=1e-12)


def test_cross_margin_along_the_coin():
    book = rules(flat(0.05))
    second = INVERSE.__class__(
        **{f: getattr(INVERSE, f) for f in ("base", "quote", "settlement", "payoff", "kind")},
        symbol="BTC-DATED",
    )
    from margrave.domain.market import Quote
    from tests.unit.liquidation.cases import market

    prices = market((INVERSE, Quote(mark=E)), (second, Quote(mark=E)))
    account = crossed("BTC", 0.5, (INVERSE, 100_000.0, 50_000.0), (second, -40_000.0, 52_000.0))
    found = only(account, prices, book)
    assert found.bounds[0].exact == pytest.approx(38_711.1111, abs=6e-5)
    assert found.bounds[0].bankruptcy == pytest.approx(34_666.6667, abs=6e-5)
    account = crossed("BTC", 0.5, (INVERSE, -100_000.0, 50_000.0), (second, 40_000.0, 48_000.0))
    found = only(account, prices, book)
    assert (found.bounds[0].side, found.bounds[0].exact) == ("up", pytest.approx(79_500.0, rel=1e-12))
    assert found.bounds[0].bankruptcy == pytest.approx(90_000.0, rel=1e-12)
    account = crossed("BTC", 1.3, (INVERSE, -100_000.0, 50_000.0), (second, 40_000.0, 48_000.0))
    found = only(account, prices, book)
    assert not [b for b in found.bounds if b.side == "up"]


def test_distance_in_sigma_and_touch_probability():
    prices = plain_market(vols={"BTC": 0.8})
    account = isolated(INVERSE, N, 0.2)
    flat_bound = only(account, prices, rules(flat(0.05))).bounds[0]
    tiered = only(account, prices, rules(flat(0.05), schedule=T1)).bounds[0]
    assert flat_bound.sigma == pytest.approx(1.11095, abs=6e-6)
    assert flat_bound.touch_probability == pytest.approx(0.26659, abs=6e-6)
    assert tiered.sigma == pytest.approx(0.93376, abs=6e-6)
    assert tiered.touch_probability == pytest.approx(0.35043, abs=6e-6)
