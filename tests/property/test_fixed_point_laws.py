"""Fixed-point arithmetic of protocols: the same integers whatever the order, and no float on the way (spec PMD-1).

Whole numbers of Python have no width and no rounding of a machine: where inputs, intermediate numbers and results are
whole, every platform gives them. Each test looks for the same units in every order, and for rounding against the holder.
"""

from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.core.fixed import Fixed
from margrave.protocols.binary_fixed import I80F48
from margrave.protocols.drift import BASE, PRICE, Levels, MarginType, PerpMarket, SpotMarket
from margrave.protocols.drift_account import account_margin
from margrave.protocols.drift_positions import Context, DriftAccount, PerpPosition, QuoteBalance, SpotPosition
from margrave.protocols.dydx import GENESIS_TIERS, MILLION, Holding, Perpetual, account_risk
from margrave.protocols.mango import Health, Orders, Perp, Snapshot, Token, Weights, health_of, in_fixed_point
from tests.property.test_standard_manager import BOOK, STABLE, margin

DICE = st.integers(0, 2**32).map(Random)
TIERS = tuple(GENESIS_TIERS.values())


def shuffled(dice, rows):
    return tuple(dice.sample(rows, len(rows)))


HOLDINGS = st.lists(
    st.tuples(st.integers(-(10**12), 10**12), st.integers(1, 10**9), st.integers(0, len(TIERS) - 1)),
    max_size=6,
)


@given(st.integers(-(10**15), 10**15), HOLDINGS, DICE)
def test_pmd_1_dydx_gives_the_same_integers_in_every_order(balance, rows, dice):
    held = tuple(
        Holding(
            perpetual=Perpetual(
                name=f"M{k}", atomic_resolution=-6, price=price, exponent=-3, tier=TIERS[tier]
            ),
            quantums=size,
        )
        for k, (size, price, tier) in enumerate(rows)
    )
    risk, other = account_risk(balance, held), account_risk(balance, shuffled(dice, held))
    assert risk == other
    assert {type(risk.net_collateral), type(risk.initial), type(risk.maintenance)} == {int}
    # Each requirement is the exact one rounded up: against the holder, by less than a quantum a market.
    exact = sum(
        Fraction(abs(size) * price, 1000).__floor__() * Fraction(TIERS[tier].initial_ppm, MILLION)
        for size, price, tier in rows
    )
    assert exact <= risk.initial <= exact + len(rows)


SPOTS = tuple(
    SpotMarket(f"S{k}", 9, (90 + 7 * k) * PRICE + k, Levels(8000 - 100 * k, 9000), Levels(12000, 11000 + k))
    for k in range(4)
)
PERPS = tuple(PerpMarket(f"P{k}", (80 + 11 * k) * PRICE + 13, Levels(1000 + k, 500)) for k in range(4))
SIZES = st.lists(st.integers(-(10**13), 10**13), min_size=4, max_size=4)


@given(st.integers(-(10**13), 10**13), SIZES, SIZES, SIZES, DICE, st.sampled_from(list(MarginType)))
def test_pmd_1_drift_gives_the_same_integers_in_every_order(usdc, tokens, bases, quotes, dice, margin_type):
    spots = tuple(SpotPosition(m, n * (BASE // 10**9)) for m, n in zip(SPOTS, tokens, strict=True))
    perps = tuple(PerpPosition(m, b, q) for m, b, q in zip(PERPS, bases, quotes, strict=True))
    account = DriftAccount(QuoteBalance(usdc), spots, perps)
    other = replace(account, spots=shuffled(dice, spots), perps=shuffled(dice, perps))
    first, second = (account_margin(a, Context(margin_type)).cross for a in (account, other))
    assert (first.requirement, first.collateral) == (second.requirement, second.collateral)
    assert {type(first.requirement), type(first.collateral)} == {int}
    assert sorted(p.name for p in first.parts) == sorted(p.name for p in second.parts)


AMOUNT = st.integers(-(10**9), 10**9).map(lambda n: n / 997.0)
PLAIN = Weights(0.8, 1.2)


@given(
    st.lists(AMOUNT, min_size=3, max_size=3),
    st.lists(AMOUNT, min_size=2, max_size=2),
    DICE,
    st.sampled_from(Health),
)
def test_pmd_1_mango_gives_the_same_integers_in_every_order(balances, quotes, dice, kind):
    tokens = tuple(
        Token(f"T{k}", b, 1.0 + 0.37 * k, PLAIN, Weights(0.9, 1.1)) for k, b in enumerate(balances)
    )
    orders = (Orders("T1", "T0", 0.7, 0.3), Orders("T2", "T0", 1.1, 0.9), Orders("T2", "T1", 0.1, 0.2))
    perps = tuple(
        Perp(f"P{k}", "T0", 1.7 + k, 3 - 4 * k, q, PLAIN, Weights(0.9, 1.1), 0.5, 0.5)
        for k, q in enumerate(quotes)
    )
    held = in_fixed_point(Snapshot(tokens, orders, perps))
    other = Snapshot(*(shuffled(dice, rows) for rows in (held.tokens, held.orders, held.perps)))
    first, second = health_of(held, kind).health, health_of(other, kind).health
    assert isinstance(first, I80F48)
    assert type(first.units) is int
    assert first == second


@given(BOOK, STABLE, st.integers(-(10**6), 10**6), DICE)
def test_pmd_1_the_standard_manager_gives_the_same_integers_in_every_order(book, stable, cash, dice):
    def other(market):
        dates = [(f, c, list(shuffled(dice, legs))) for f, c, legs in market["expiries"]]
        return {**market, "expiries": list(shuffled(dice, dates))}

    turned = [other(m) for m in shuffled(dice, book)]
    first, second = (margin(b, exact=True, cash=float(cash), stable=stable).level for b in (book, turned))
    for one, two in zip(first, second, strict=True):
        assert isinstance(one.net, Fixed)
        assert type(one.net.units) is int
        assert one.net == two.net


@pytest.mark.parametrize(("one", "other"), [(1, 3), (-1, 3), (2, -3), (10**30 + 1, 7)])
def test_quotients_and_products_are_cut_toward_zero_on_both_sides(one, other):
    exact = Fraction(one, other)
    cut = Fraction((Fixed(one * 10**18) / Fixed(other * 10**18)).units, 10**18)
    assert abs(cut) <= abs(exact)
    assert abs(exact - cut) < Fraction(1, 10**18)
