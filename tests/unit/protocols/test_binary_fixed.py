"""Numbers of 48 binary places: products down, quotients toward zero, the rest exact."""

import math

import pytest

from margrave.protocols.binary_fixed import I80F48, ONE, i80f48, total
from margrave.protocols.mango import (
    Health,
    Orders,
    Perp,
    Snapshot,
    Token,
    Weights,
    health_of,
    in_fixed_point,
    most_withdrawable,
)
from margrave.protocols.mango_liquidation import PerpTerms, liquidate_perp, liquidate_token

unit = I80F48(1)


def test_a_product_is_rounded_down_and_a_quotient_cut():
    assert (unit * 0.5).units == 0
    assert (-unit * 0.5).units == -1  # so that -((-x) y) is not x y
    assert (-unit / 2).units == 0
    assert (unit / -2).units == 0
    assert (1 / i80f48(3)).units == ONE // 3
    assert (-1 / i80f48(3)).units == -(ONE // 3)
    assert (-1 / i80f48(-3)).units == ONE // 3


def test_sums_are_exact_and_mix_with_plain_numbers():
    third = 1 / i80f48(3)
    assert (third + third + third).units == ONE - 1
    assert 1 - third == i80f48(1) - third
    assert third - 1 == -(1 - third)
    assert 2 + third == third + 2.0
    assert 2 * third == third + third
    assert abs(-third) == third


@pytest.mark.parametrize(
    ("number", "units"),
    [
        (1, ONE),
        (-0.5, -ONE // 2),
        (2.0**-49, 0),
        (3 * 2.0**-49, 2),
        (2.0**79, 2**127),
        (2**70 + 1, (2**70 + 1) * ONE),
    ],
)
def test_a_number_goes_to_the_nearest_unit_and_the_even_of_two(number, units):
    assert i80f48(number).units == units
    assert i80f48(i80f48(number)).units == units


def test_comparisons_are_exact_with_any_float():
    assert unit > 0
    assert unit > 2.0**-49
    assert unit < 2.0**-47
    assert unit < math.inf
    assert unit > -math.inf
    assert not unit <= math.nan
    assert not unit >= math.nan
    assert unit == 2.0**-48
    assert hash(i80f48(2)) == hash(2)
    assert unit != "1"
    assert not I80F48(0)
    assert min(0.0, -unit) == -unit


def test_rounding_up_to_whole_numbers():
    assert [math.ceil(i80f48(n)) for n in (-1.5, -1, 0, 0.25, 1)] == [-1, -1, 0, 1, 1]
    assert math.ceil(unit) == 1


def test_a_total_of_floats_is_rounded_once_and_of_fixed_point_not_at_all():
    assert total([0.1] * 10) == 1.0
    assert total([]) == 0.0
    assert total([unit, 1.0, i80f48(2)]) == i80f48(3) + unit


PLAIN = Weights(1.0, 1.0)
HELD = Snapshot(
    (
        Token("a", 10, 1.0, Weights(0.8, 1.2), Weights(0.9, 1.1), deposits=30.0, deposit_scale_start=20.0),
        Token("b", -9.1, 1.0, Weights(0.8, 1.2), Weights(0.9, 1.1), stable=1.1),
        Token("c", 1e9, 3.3, Weights(0.0, 1.2), Weights(0.0, 1.1)),
    ),
    (Orders("b", "a", 0.7, 0.3, lowest_ask=0.9, highest_bid=1.3),),
    (Perp("p", "a", 1.7, 3, -4.5, Weights(0.9, 1.1), PLAIN, 0.5, 0.5, bids=1, asks=2),),
)


@pytest.mark.parametrize("kind", Health)
def test_health_in_fixed_point_is_that_of_floats_to_its_last_places(kind):
    exact, floats = health_of(in_fixed_point(HELD), kind), health_of(HELD, kind)
    assert isinstance(exact.health, I80F48)
    assert [p.name for p in exact.parts] == [p.name for p in floats.parts]
    for one, other in zip(exact.parts, floats.parts, strict=True):
        assert float(one.health) == pytest.approx(other.health, abs=1e-12)


def test_health_in_fixed_point_to_the_unit():
    tenth = round(0.1 * ONE)
    held = in_fixed_point(Snapshot((Token("a", -3, 0.1, Weights(0.8, 1.1), PLAIN),)))
    weighted = (round(1.1 * ONE) * tenth) >> 48
    assert health_of(held, Health.INIT).health == I80F48(-3 * weighted)
    assert in_fixed_point(HELD).perps[0].lots == 3


def test_liquidation_in_fixed_point_ends_at_the_same_place():
    bare = Snapshot(HELD.tokens, perps=(Perp("p", "a", 1.7, 30, -60.5, Weights(0.9, 1.1), PLAIN, 0.5, 0.5),))
    terms = PerpTerms(20, 5.0, 0.01, 0.02)
    exact, floats = liquidate_perp(in_fixed_point(bare), "p", terms), liquidate_perp(bare, "p", terms)
    assert [(s.part, s.lots) for s in exact.steps] == [(s.part, s.lots) for s in floats.steps]
    assert exact.steps
    tokens = Snapshot(HELD.tokens)
    swapped = liquidate_token(in_fixed_point(tokens), "a", "b", 100.0)
    assert float(swapped.liability) == pytest.approx(
        liquidate_token(tokens, "a", "b", 100.0).liability, abs=1e-9
    )
    assert isinstance(swapped.snapshot.token("b").balance, I80F48)


def test_the_most_that_may_leave_in_fixed_point():
    rich = Snapshot((Token("a", 10, 1.0, Weights(0.8, 1.2), PLAIN), Token("b", -1, 1.0, PLAIN, PLAIN)))
    assert float(most_withdrawable(in_fixed_point(rich), "a")) == pytest.approx(8.75, abs=1e-12)
